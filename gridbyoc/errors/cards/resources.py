"""What AWS says of roles, policies, quotas and rates."""

from __future__ import annotations

from gridbyoc.errors.cards.model import LATER, Card

ROLE_EXISTS = Card(
    "GBY-A120",
    "Role exists already",
    "A role called {name} is in the account and not in this stack's state: made by hand, by another stack, or by a "
    "run whose state was lost.",
    "If it is this stack's, take it into the state: `{import_command}`, then run again. If it is another's, give "
    "role.name another name, or leave it out: a generated name cannot collide.",
    (
        # IAM CreateRole: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html#API_CreateRole_Errors
        r"EntityAlreadyExists(?:Exception)?: Role with name (?P<name>[\w+=,.@-]{1,64}) already exists",
    ),
)
POLICY_EXISTS = Card(
    "GBY-A121",
    "Policy exists already",
    "A policy called {name} is in the account and not in this stack's state: made by hand, by another stack, or by a "
    "run whose state was lost.",
    "If it is this stack's, take it into the state: `{import_command}`, then run again; `aws iam list-policies "
    "--scope Local` shows its ARN. If it is another's, give role.name another name: the policy is named after the "
    "role.",
    (
        # IAM CreatePolicy, through AWS provider 5.100
        r"EntityAlreadyExists(?:Exception)?: A policy called (?P<name>[\w+=,.@-]{1,128}) already exists",
    ),
)
SUCCESSOR = Card(
    "GBY-A122",
    "AWS has retired the managed policy",
    "AmazonGuardDutyFullAccess is deprecated since 2025-08-26: it cannot be attached to a role any more.",
    "Name its successor AmazonGuardDutyFullAccess_v2 in role.managed_policies, or leave the list out: the default has "
    "it.",
    (
        # https://docs.aws.amazon.com/guardduty/latest/ug/security-iam-awsmanpol.html
        r"Policy (?P<policy>arn:[\w-]+:iam::aws:policy/AmazonGuardDutyFullAccess) (?:does not exist|is not attachable)",
    ),
)
NO_POLICY = Card(
    "GBY-A123",
    "Managed policy cannot be attached",
    "There is no policy {policy} in this partition, its path is missing (service-role/…), or AWS has retired it.",
    "`aws iam get-policy --policy-arn {policy}` shows what AWS knows; correct role.managed_policies. A policy of AWS "
    "is best given by its bare name: the ARN is then built for the partition that the stack runs in.",
    (
        # hashicorp/terraform#31748, AWS provider 5.100
        r"Policy (?P<policy>arn:[\w-]+:iam::(?:aws|\d{12}):policy/[^\s]{1,300}) is not attachable",
        r"Policy (?P<policy>arn:[\w-]+:iam::(?:aws|\d{12}):policy/[^\s]{1,300}) (?:does not exist|was not found)",
    ),
)
NO_BOUNDARY = Card(
    "GBY-A124",
    "Permissions boundary does not exist",
    "The policy {policy} that is to be the permissions boundary does not exist in this account, or cannot be one.",
    "Correct role.permissions_boundary (of a user: --permissions-boundary): it must be the ARN of a managed policy of "
    "this account and partition.",
    # IAM CreateRole and PutRolePermissionsBoundary
    (r"Scope ARN: (?P<policy>arn:[^\s]{1,300}) does not exist or is not attachable",),
)
POLICY_SIZE = Card(
    "GBY-A125",
    "Policy is too long",
    "A managed policy may have 6,144 characters, a trust policy as many as the quota ACLSizePerRole says (blanks do "
    "not count), and this one has more.",
    "Shorten role.statements (wildcards, fewer statements) or the lists of trusted principals. Only the trust policy's "
    "length can be raised: the quota L-C07B4B0D of IAM, in the console of Service Quotas.",
    (
        # ministryofjustice/cloud-platform-environments#14473, docker/docs#4685, kubeflow/dashboard#29
        r"Cannot exceed quota for (?P<quota>PolicySize|ACLSizePerRole)(?:: (?P<limit>\d+))?",
        # ExpediaGroup/apiary-data-lake#173
        r"Maximum policy size of \d+ bytes exceeded for role",
    ),
)
IAM_QUOTA = Card(
    "GBY-A126",
    "IAM quota is used up",
    "The account has reached the quota {quota} of IAM.",
    "`gridbyoc quotas` shows use and limit, `gridbyoc quotas request` asks AWS for more; or delete what is not needed "
    "any more (fewer role.managed_policies for PoliciesPerRole or AttachedPoliciesPerRole).",
    (
        # ministryofjustice/cloud-platform-environments#14118
        r"Cannot exceed quota for (?P<quota>\w{1,60})",
        r"\bLimitExceeded(?:Exception)?\b",
    ),
)
QUOTA = Card(
    "GBY-A127",
    "AWS quota is used up",
    "The account has no room left for what was asked{named_quota}.",
    "`gridbyoc quotas` shows use and limit of every quota that clusters need, `gridbyoc quotas request` asks AWS for "
    "more; or free what is not used, or take another region.",
    (
        # terraform-aws-modules/terraform-aws-vpc#429, coreos/tectonic-forum#196
        r"\b(?P<quota>(?:Vpc|Address|NatGateway|InternetGateway|Subnet|SecurityGroup|Vcpu|Instance|Volume|RouteTable|"
        r"NetworkInterface|VpcEndpoint|MaxSpotInstanceCount|Resource|Snapshot)LimitExceeded)(?:Exception)?\b",
        # Auto Scaling has one code for all of its quotas, and IAM has the same one
        r"\b(?P<quota>Auto ?Scaling)\b.{0,400}\bLimitExceeded(?:Fault)?\b",
        r"\b(?P<quota>TooManyBuckets|MaxSpotInstanceCountExceeded|ServiceQuotaExceeded(?:Exception)?)\b",
        r"The maximum number of (?P<quota>VPCs|addresses|internet gateways) has been reached",
        r"You have requested more (?P<quota>vCPU capacity|instances) .{0,40}than your current",
    ),
)
THROTTLED = Card(
    "GBY-A128",
    "AWS throttles",
    "Too many requests in a short time, of this account as a whole, and the retries did not suffice.",
    "Run again in some minutes, with fewer runs side by side in the account; AWS_MAX_ATTEMPTS=20 makes Terraform more "
    "patient.",
    (
        # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html, S3's SlowDown
        r"\b(?:Throttling(?:Exception)?|ThrottledException|RequestThrottled(?:Exception)?|RequestLimitExceeded|SlowDown|"
        r"TooManyRequests(?:Exception)?|PriorRequestNotComplete|ProvisionedThroughputExceededException)\b",
        r"\bRate exceeded\b|Please reduce your request rate",
    ),
    LATER,
)
NO_PRINCIPAL = Card(
    "GBY-A129",
    "Trust policy names a principal that does not exist",
    "IAM looks every principal of a trust policy up, and this account, role or user does not exist (any more): "
    "{principal}.",
    "Correct role.trusted_account_id or role.trusted_principals: the control plane's documentation names its account. "
    "A role must exist before it is trusted; one that was made seconds ago is known a moment later.",
    (
        # hashicorp/terraform-provider-aws#8905; IAM CreateRole and UpdateAssumeRolePolicy
        r"MalformedPolicyDocument(?:Exception)?: Invalid principal in policy(?:: \"(?:AWS|Federated|Service)\": ?"
        r"\"(?P<principal>[^\"\s]{1,300})\")?",
    ),
)
MALFORMED = Card(
    "GBY-A130",
    "IAM does not take the policy",
    "A policy document that was made from the stack file is not one by IAM's rules; AWS says which rule.",
    "Correct role.statements (actions such as `s3:GetObject`, resources `*` or ARNs of this partition) or the "
    "trusted principals, by what AWS names.",
    # hashicorp/terraform-provider-aws#10419
    (r"\bMalformedPolicyDocument(?:Exception)?\b",),
)
NO_ROLE = Card(
    "GBY-A131",
    "Role is gone",
    "The role {name} is in the state or the stack and not in the account: it was deleted by hand meanwhile, or is so "
    "new that AWS does not know it everywhere.",
    "Run again: Terraform looks at what exists and makes anew what is missing.",
    (
        # IAM: hashicorp/terraform#5979
        r"NoSuchEntity(?:Exception)?: (?:The )?[Rr]ole (?:with name )?(?P<name>[\w+=,.@-]{1,64}) "
        r"(?:was not found|cannot be found)",
    ),
    LATER,
)
AWS_DOWN = Card(
    "GBY-A132",
    "AWS has trouble",
    "AWS itself could not answer.",
    "Run again in some minutes; https://health.aws.amazon.com/health/status tells of known trouble.",
    (
        r"\bapi error (?:ServiceUnavailable|InternalFailure|InternalError|ServiceFailure|InternalServerError)\b",
        r"\b(?:ServiceUnavailable|InternalFailure|ServiceFailureException|InternalServerError)(?:Exception)?: ",
    ),
    LATER,
)

CAPACITY = Card(
    "GBY-A133",
    "AWS has no such machine free",
    "The account may start the instance, and AWS has none of its type left in that zone now. No quota helps.",
    "Try again later, or name more instance types of the same size: the cluster then takes what there is. `gridbyoc "
    "doctor --only offerings` shows what the zone offers at all.",
    (
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html#troubleshooting-launch-capacity
        r"\bInsufficient(?:Instance|Host|ReservedInstance)?Capacity(?:Exception)?\b",
        r"do not have sufficient [\w.-]+ capacity|There is no Spot capacity available",
    ),
    LATER,
)
NOT_OFFERED = Card(
    "GBY-A134",
    "Instance type is not offered there",
    "The zone or the region does not offer the instance type.",
    "`gridbyoc doctor --only offerings` names the nearest type that can be had there; put it under instance_types in "
    "the stack file, and run `gridbyoc bootstrap`.",
    (
        # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: Unsupported, InvalidInstanceType
        r"[Yy]our requested instance type \([\w.-]+\) is not supported in your requested Availability Zone",
        r"[Tt]he requested configuration is currently not supported",
        r"The following supplied instance types do not exist",
    ),
)
OTHER_ACCOUNT = Card(
    "GBY-A135",
    "Terraform's credentials are of another account",
    "The stack is for one AWS account, and the credentials that Terraform found are of {account}.",
    "Use credentials of the stack's account (aws.profile, AWS_PROFILE): `gridbyoc credentials show` tells which. "
    "Or mend aws.account_id in the stack file.",
    (r"AWS [Aa]ccount ID not allowed: (?P<account>\d{12})",),  # AWS provider 5: allowed_account_ids
)

RESOURCES = (
    ROLE_EXISTS, POLICY_EXISTS, SUCCESSOR, NO_BOUNDARY, NO_POLICY, POLICY_SIZE, QUOTA, THROTTLED, IAM_QUOTA,
    NO_PRINCIPAL, MALFORMED, NO_ROLE, CAPACITY, NOT_OFFERED, OTHER_ACCOUNT, AWS_DOWN,
)  # fmt: skip
