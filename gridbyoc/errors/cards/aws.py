"""Known failures of AWS: access, credentials, resources."""

from __future__ import annotations

from gridbyoc.errors.cards.model import LATER, KnownFailure

_WHO = "{principal} may not do {action} on {resource}"
_POLICY = r"(?:[:,]? (?P<policy>arn:[\w-]{1,20}:[^\s,;)\"]{1,400}))?"


def _because(kind: str) -> str:
    return rf"because no {kind} allows the (?P<action>[\w-]+:[\w*]+) action"


def _deny(kind: str) -> str:
    return rf"with an explicit deny in an? {kind}{_POLICY}"


ENCODED = KnownFailure(
    "GBY-A110",
    "EC2 refuses an operation, in an encoded message",
    "EC2 does not permit {action} to the caller, and its reasons are in the encoded message.",
    "Decode them: `aws sts decode-authorization-message --encoded-message MESSAGE --query DecodedMessage --output "
    "text` (needs sts:DecodeAuthorizationMessage); MESSAGE stands whole in Terraform's words or in the log. Then "
    "allow the action: `gridbyoc policy` prints the whole policy that the caller needs.",
    # asquarezone/TerraformZone#1; where the message says the reason in clear too, that is the better card
    (r"^(?!.*is not authorized to perform: ).*Encoded authorization failure message",),
)
SCP = KnownFailure(
    "GBY-A111",
    "Denied by a service control policy",
    f"{_WHO}: a service control policy of the organization denies it, whatever the account itself allows.",
    "Only who manages the organization can change that: ask for {action} to be allowed in this account{by_policy}, or "
    "take an account of another organizational unit. Where it demands that new roles carry a permissions boundary, "
    "name that in role.permissions_boundary. `gridbyoc policy` prints every action that is needed.",
    (_deny("service control policy"), _because("service control policy")),
)
RCP = KnownFailure(
    "GBY-A112",
    "Denied by a resource control policy",
    f"{_WHO}: a resource control policy of the organization denies it, whatever the account itself allows.",
    "Only who manages the organization can change that: ask for {action} on {resource} to be allowed{by_policy}.",
    (_deny("resource control policy"), _because("resource control policy")),
)
BOUNDARY = KnownFailure(
    "GBY-A113",
    "Denied by a permissions boundary",
    f"{_WHO}: the caller's permissions boundary does not allow it, and what it does not allow no other policy can.",
    "Have {action} allowed in the boundary of {principal}{by_policy}. Where the boundary wants new roles to carry a "
    "boundary too, name it in role.permissions_boundary. `gridbyoc policy` prints every action that is needed.",
    (_deny("permissions boundary"), _because("permissions boundary")),
)
SESSION = KnownFailure(
    "GBY-A114",
    "Denied by a session policy",
    f"{_WHO}: the policy that was given when the role was assumed does not allow it.",
    "Assume the role without a session policy, or with one that allows {action}; look at what hands out the "
    "credentials (CI, `credential_process`, a permission set). `gridbyoc policy` prints every action that is needed.",
    (_deny("session policy"), _because("session policy")),
)
ENDPOINT = KnownFailure(
    "GBY-A115",
    "Denied by a VPC endpoint's policy",
    f"{_WHO}: the request went through a VPC endpoint, and its policy does not allow it.",
    "Have {action} allowed in the endpoint's policy{by_policy}, or run from a network that does not use the endpoint.",
    (_deny("VPC endpoint policy"), _because("VPC endpoint policy")),
)
RESOURCE = KnownFailure(
    "GBY-A116",
    "Denied by the resource's own policy",
    f"{_WHO}: the policy of the resource itself (a bucket's, a key's, a role's trust policy) does not allow it.",
    "Have {principal} allowed to do {action} in the policy of {resource}: the trust policy for sts:AssumeRole, the "
    "key policy for kms:*, the bucket policy for s3:*.",
    (
        _deny("resource-based policy"),
        _because("resource-based policy"),
        # sts:AssumeRole names no policy: the role's trust policy is the one that must allow it
        r"is not authorized to perform: (?P<action>sts:AssumeRole\w*) on resource: arn:[^\s,]{1,400}(?! because)",
    ),
)
IDENTITY_DENY = KnownFailure(
    "GBY-A117",
    "Explicitly denied by the caller's policy",
    f"{_WHO}: a Deny in a policy of the caller says so, and a Deny wins over every Allow.",
    "Find the Deny that covers {action} in the policies of {principal} and of its groups{by_policy}, and except this "
    "action or this resource from it. Allowing it elsewhere does not help. Where it denies new roles without a "
    "permissions boundary, name that in role.permissions_boundary.",
    (_deny("identity-based policy"), r"with an explicit deny(?! in)"),
)
IDENTITY = KnownFailure(
    "GBY-A118",
    "Action is not allowed to the caller",
    f"{_WHO}: no policy of the caller allows it.",
    "Allow {action} to {principal}: `gridbyoc policy` prints the whole policy that the caller needs; attach it to the "
    "role or permission set, or run as one that has it (aws.profile, AWS_PROFILE).",
    (
        _because("identity-based policy"),
        # Services and API versions that do not say which policy: ministryofjustice/cloud-platform-environments#4030
        r"is not authorized to perform: (?P<action>[\w-]+:[\w*]+)",
        r"You are not authorized to perform this operation",
        r"\bUnauthorizedOperation\b",
    ),
)
PLAIN = KnownFailure(
    "GBY-A119",
    "Access denied, without a reason",
    "AWS does not permit {action} to the caller, and says neither why nor on what. S3 does that: the caller's "
    "policies, the bucket's policy, a key's policy or a policy of the organization may be the reason.",
    "Allow {action} to the caller: `gridbyoc policy` prints the whole policy that it needs. The event in CloudTrail "
    "(errorCode AccessDenied) often says more.",
    (
        # hashicorp/terraform#14402: Error putting S3 ACL: AccessDenied: Access Denied
        r"\bAccessDenied(?:Exception)?\b|\bAccess Denied\b",
        r"StatusCode: 403\b.{0,300}\bapi error (?:Forbidden|403)\b",
        r"\bNotAuthorized(?:Exception)?\b|\bAuthorizationError\b",
    ),
)

ACCESS = (ENCODED, SCP, RCP, BOUNDARY, SESSION, ENDPOINT, RESOURCE, IDENTITY_DENY, IDENTITY, PLAIN)


SSO_OVER = KnownFailure(
    "GBY-A101",
    "SSO session expired",
    "The login of IAM Identity Center that the profile uses is over, or was never made on this machine.",
    "Log in again: `aws sso login --profile {profile}` (the profile of aws.profile, else of AWS_PROFILE).",
    (
        # aws-sdk-go-v2 in provider and S3 backend: hashicorp/terraform-provider-aws#38965
        r"the SSO session has expired or is invalid",
        # The older SDK: gruntwork-io/terragrunt#2604
        r"SSOProviderInvalidToken",
        # aws-sdk-go-v2, token of an sso-session: credentials/ssocreds/sso_token_provider.go
        r"refresh cached SSO token failed|cached SSO token (?:is expired|must contain)",
        # botocore: UnauthorizedSSOTokenError, SSOTokenLoadError, TokenRetrievalError
        r"The SSO session associated with this profile has expired or is otherwise invalid",
        r"Error loading SSO Token: Token for \S{1,300} does not exist",
        r"Error when retrieving token from sso: Token has expired and refresh failed",
        # sso:GetRoleCredentials with a token that is over
        r"UnauthorizedException: Session token not found or invalid",
    ),
)
NONE = KnownFailure(
    "GBY-A102",
    "No AWS credentials",
    "No source of credentials gave any: no environment variables, no profile, no login, no role of the machine.",
    "Give AWS credentials. Log in first: `aws sso login --profile {profile}`, an assumed role, OIDC in CI, or the "
    "AWS_* variables; `aws sts get-caller-identity` shows what is found.",
    (
        # AWS provider 5 and S3 backend of Terraform 1.6 on, OpenTofu
        r"[Nn]o valid credential sources (?:found|for)",
        # Terraform 1.5: NoCredentialProviders: no valid providers in chain
        r"NoCredentialProviders",
        # aws-sdk-go-v2
        r"failed to (?:refresh cached|retrieve) credentials",
        r"no EC2 IMDS role found",
        # botocore: NoCredentialsError, PartialCredentialsError
        r"Unable to locate credentials",
        r"Partial credentials found in",
        # The query protocol without a signature
        r"\bMissingAuthenticationToken(?:Exception)?\b",
    ),
)
EXPIRED = KnownFailure(
    "GBY-A103",
    "AWS session expired",
    "The temporary credentials were valid once and their time is over.",
    "Log in again (`aws sso login --profile {profile}`), assume the role anew, or start the CI job again. Exported "
    "AWS_* variables win over a profile: `unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN` where they "
    "are old.",
    (
        # https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html; S3: "The provided token has expired."
        r"\b(?:ExpiredToken(?:Exception)?|RequestExpired)\b",
        r"[Tt]he security token included in the request is expired",
        r"The provided token has expired",
        # botocore, for credentials with AWS_CREDENTIAL_EXPIRATION: "Credentials were refreshed, but … still expired"
        r"refreshed credentials are still expired",
    ),
)
CLOCK = KnownFailure(
    "GBY-A104",
    "Clock of this machine is wrong",
    "AWS takes a signed request for a few minutes only, and by this machine's clock it was signed at another time.",
    "Set the clock: `date -u` must show the present time; `sudo timedatectl set-ntp true`, or restart the virtual "
    "machine or the container's host.",
    (
        # S3; the SDK adds "Probable clock skew error" (Terraform 1.11's S3 backend against a local responder)
        r"\bRequestTimeTooSkewed\b|Probable clock skew error",
        # STS and IAM: convox/rack#235, EngineerBetter/control-tower#51
        r"Signature (?:expired|not yet current): \d{8}T\d{6}Z is (?:now earlier|still later) than",
        # EC2: "AuthFailure: … not able to validate" says nothing of time; this one does
        r"AuthFailure: .{0,80}(?:clock|time ?stamp|timestamp)",
        r"\bInvalidSignatureException: Signature (?:expired|not yet current)",
        # IAM: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
        r"request reached the service more than 15 minutes (?:after|before)",
    ),
)
SECRET = KnownFailure(
    "GBY-A105",
    "Secret key does not match",
    "AWS knows the access key id, and the request was signed with another secret than the one that belongs to it.",
    "Look where the keys come from (`aws configure list`), and set id and secret anew, both; a blank or a line break "
    "at the end is part of the secret. A proxy that rewrites requests does the same.",
    (
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html
        r"\bSignatureDoesNotMatch\b|\bInvalidSignatureException\b",
        r"The request signature we calculated does not match",
        r"\bIncompleteSignature(?:Exception)?\b",
    ),
)
PARTITION = KnownFailure(
    "GBY-A106",
    "Wrong AWS partition",
    "The commercial regions, China and GovCloud are partitions of their own: a key of one is unknown in the others, "
    "and an ARN of one ({partition}) names nothing in the others.",
    "Use a profile of the partition that {region} lies in (`aws sts get-caller-identity` shows the caller's), or name "
    "a region of the caller's partition; a key of that very partition was deleted or is inactive. ARNs in the stack "
    "file begin with arn:aws-cn: in China, arn:aws-us-gov: in GovCloud.",
    (
        # A key of another partition: the code is the one of an unknown key, the region tells the rest
        r"(?:sts|iam|s3|ec2)\.(?P<region>(?:cn|us-gov|us-iso[a-z]?)-[a-z]+-\d)\..{0,400}\b(?:InvalidClientTokenId|"
        r"UnrecognizedClientException|InvalidAccessKeyId|AuthFailure)\b",
        r"\b(?:InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|AuthFailure)\b.{0,400}"
        r"\b(?P<region>(?:cn|us-gov|us-iso[a-z]?)-[a-z]+-\d)\b",
        # IAM on a policy document with an ARN of another partition
        r"Partition \"(?P<partition>[\w-]{0,20})\" is not valid for resource",
        # IAM on a policy's ARN of another partition
        r"ARN arn:(?P<partition>aws(?:-cn|-us-gov)?):[^\s]{1,300} is not valid\b",
    ),
)
OPT_IN = KnownFailure(
    "GBY-A107",
    "Region is not enabled in the account",
    "The account has not opted in to the region {region}, or the service is not active for the account there.",
    "Enable it: `aws account enable-region --region-name {region}` (takes some minutes, up to hours), or the "
    "account's page of AWS Regions; `aws account list-regions` shows the state. Or name another region in aws.region.",
    (
        # awslabs/aws-deployment-framework#283
        r"\bOptInRequired\b|[Yy]ou are not subscribed to this service",
        r"\bSubscriptionRequiredException\b|needs a subscription for the service",
        # https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html#API_AssumeRole_Errors
        r"\bRegionDisabled(?:Exception)?\b|STS is not activated in this region",
        # S3, for a bucket in such a region
        r"\bInvalidRegionException\b|The .{0,60}region is not enabled",
    ),
)
UNKNOWN_KEY = KnownFailure(
    "GBY-A108",
    "AWS does not know the access key",
    "The access key was deleted, is inactive or misspelt; or it belongs to another partition (China, GovCloud); or "
    "the region is one that the account has not enabled, which gives the very same error.",
    "`aws configure list` shows where the key comes from; log in anew (`aws sso login --profile {profile}`). If it "
    "works with `--region us-east-1`, the region is not enabled: `aws account enable-region --region-name {region}`.",
    (
        # STS, IAM; hashicorp/terraform-provider-aws#12940 has it from a region that is not enabled
        r"\bInvalidClientTokenId\b|\bUnrecognizedClientException\b",
        r"[Tt]he security token included in the request is invalid",
        # S3
        r"\bInvalidAccessKeyId\b|The AWS Access Key Id you provided does not exist",
        r"\bInvalidToken: The provided token is malformed",
        # EC2; turbot/steampipe-plugin-aws#75 has it from a region that is not enabled
        r"\bAuthFailure\b|not able to validate the provided access credentials",
    ),
)
PROFILE = KnownFailure(
    "GBY-A109",
    "AWS profile does not exist",
    "The AWS configuration on this machine has no profile {profile}.",
    "`aws configure list-profiles` shows what there is; correct aws.profile or AWS_PROFILE, or make the profile with "
    "`aws configure sso`.",
    (
        # aws-sdk-go-v2
        r"failed to get shared config profile, (?P<profile>[\w.@/+-]{1,100})",
        # botocore: ProfileNotFound
        r"The config profile \((?P<profile>[^)\s]{1,100})\) could not be found",
    ),
)

CREDENTIALS = (SSO_OVER, PROFILE, CLOCK, EXPIRED, PARTITION, OPT_IN, SECRET, UNKNOWN_KEY, NONE)
"""The certain ones first: an expired SSO session is also "no valid credential sources found"."""


ROLE_EXISTS = KnownFailure(
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
POLICY_EXISTS = KnownFailure(
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
SUCCESSOR = KnownFailure(
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
NO_POLICY = KnownFailure(
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
NO_BOUNDARY = KnownFailure(
    "GBY-A124",
    "Permissions boundary does not exist",
    "The policy {policy} that is to be the permissions boundary does not exist in this account, or cannot be one.",
    "Correct role.permissions_boundary (of a user: --permissions-boundary): it must be the ARN of a managed policy of "
    "this account and partition.",
    # IAM CreateRole and PutRolePermissionsBoundary
    (r"Scope ARN: (?P<policy>arn:[^\s]{1,300}) does not exist or is not attachable",),
)
POLICY_SIZE = KnownFailure(
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
IAM_QUOTA = KnownFailure(
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
QUOTA = KnownFailure(
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
THROTTLED = KnownFailure(
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
NO_PRINCIPAL = KnownFailure(
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
MALFORMED = KnownFailure(
    "GBY-A130",
    "IAM does not take the policy",
    "A policy document that was made from the stack file is not one by IAM's rules; AWS says which rule.",
    "Correct role.statements (actions such as `s3:GetObject`, resources `*` or ARNs of this partition) or the "
    "trusted principals, by what AWS names.",
    # hashicorp/terraform-provider-aws#10419
    (r"\bMalformedPolicyDocument(?:Exception)?\b",),
)
NO_ROLE = KnownFailure(
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
AWS_DOWN = KnownFailure(
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

CAPACITY = KnownFailure(
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
NOT_OFFERED = KnownFailure(
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
OTHER_ACCOUNT = KnownFailure(
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
