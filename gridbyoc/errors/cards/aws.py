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
    "EC2 does not permit the caller to use {action}; its reasons are in the encoded message.",
    "Decode them: `aws sts decode-authorization-message --encoded-message MESSAGE --query DecodedMessage --output "
    "text` (needs sts:DecodeAuthorizationMessage); the whole MESSAGE is in Terraform's error or in the log. Then "
    "allow the action: `gridbyoc policy` prints the whole policy that the caller needs.",
    # asquarezone/TerraformZone#1; if the message also has the plain reason, a more specific failure matches
    (r"^(?!.*is not authorized to perform: ).*Encoded authorization failure message",),
)
SCP = KnownFailure(
    "GBY-A111",
    "Denied by a service control policy",
    f"{_WHO}: a service control policy of the organization denies it, regardless of what the account allows.",
    "Only the organization's administrators can change that: ask them to allow {action} in this account{by_policy}, or "
    "use an account of another organizational unit. If the policy requires a permissions boundary on new roles, set it "
    "in role.permissions_boundary. `gridbyoc policy` prints every action that is needed.",
    (_deny("service control policy"), _because("service control policy")),
)
RCP = KnownFailure(
    "GBY-A112",
    "Denied by a resource control policy",
    f"{_WHO}: a resource control policy of the organization denies it, regardless of what the account allows.",
    "Only the organization's administrators can change that: ask them to allow {action} on {resource}{by_policy}.",
    (_deny("resource control policy"), _because("resource control policy")),
)
BOUNDARY = KnownFailure(
    "GBY-A113",
    "Denied by a permissions boundary",
    f"{_WHO}: the caller's permissions boundary does not allow it, and no other policy can override that.",
    "Have {action} allowed in the boundary of {principal}{by_policy}. If the boundary requires a boundary on new "
    "roles, too, set it in role.permissions_boundary. `gridbyoc policy` prints every action that is needed.",
    (_deny("permissions boundary"), _because("permissions boundary")),
)
SESSION = KnownFailure(
    "GBY-A114",
    "Denied by a session policy",
    f"{_WHO}: the session policy that was passed when the role was assumed does not allow it.",
    "Assume the role without a session policy, or with one that allows {action}; check what issues the credentials "
    "(CI, `credential_process`, a permission set). `gridbyoc policy` prints every action that is needed.",
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
    f"{_WHO}: the resource's own policy (a bucket policy, a key policy, a role's trust policy) does not allow it.",
    "Allow {principal} to use {action} in the policy of {resource}: the trust policy for sts:AssumeRole, the key "
    "policy for kms:*, the bucket policy for s3:*.",
    (
        _deny("resource-based policy"),
        _because("resource-based policy"),
        # an error about sts:AssumeRole names no policy: the role's trust policy must allow it
        r"is not authorized to perform: (?P<action>sts:AssumeRole\w*) on resource: arn:[^\s,]{1,400}(?! because)",
    ),
)
IDENTITY_DENY = KnownFailure(
    "GBY-A117",
    "Explicitly denied by the caller's policy",
    f"{_WHO}: a policy of the caller has a matching Deny, and a Deny wins over every Allow.",
    "Find the Deny that covers {action} in the policies of {principal} and of its groups{by_policy}, and exclude this "
    "action or this resource from it. Allowing it elsewhere does not help. If it denies new roles without a "
    "permissions boundary, set one in role.permissions_boundary.",
    (_deny("identity-based policy"), r"with an explicit deny(?! in)"),
)
IDENTITY = KnownFailure(
    "GBY-A118",
    "Action is not allowed to the caller",
    f"{_WHO}: no policy of the caller allows it.",
    "Allow {action} to {principal}: `gridbyoc policy` prints the whole policy that the caller needs. Attach it to the "
    "role or permission set, or run with credentials that have it (aws.profile, AWS_PROFILE).",
    (
        _because("identity-based policy"),
        # Services and API versions that do not name the policy: ministryofjustice/cloud-platform-environments#4030
        r"is not authorized to perform: (?P<action>[\w-]+:[\w*]+)",
        r"You are not authorized to perform this operation",
        r"\bUnauthorizedOperation\b",
    ),
)
PLAIN = KnownFailure(
    "GBY-A119",
    "Access denied, without a reason",
    "AWS does not permit the caller to use {action}, and names neither the reason nor the resource. S3 does that: the "
    "cause may be the caller's policies, the bucket policy, a key policy or a policy of the organization.",
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
    "The profile's IAM Identity Center session has expired, or there was never a login on this machine.",
    "Log in again: `aws sso login --profile {profile}` (the profile in aws.profile, else in AWS_PROFILE).",
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
        # sso:GetRoleCredentials with an expired token
        r"UnauthorizedException: Session token not found or invalid",
    ),
)
NONE = KnownFailure(
    "GBY-A102",
    "No AWS credentials",
    "No source has credentials: no environment variables, no profile, no login, no role of the machine.",
    "Provide AWS credentials: `aws sso login --profile {profile}`, an assumed role, OIDC in CI, or the AWS_* "
    "variables; `aws sts get-caller-identity` shows which are found.",
    (
        # AWS provider 5, the S3 backend since Terraform 1.6, OpenTofu
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
    "The temporary credentials have expired.",
    "Log in again (`aws sso login --profile {profile}`), assume the role again, or restart the CI job. Exported AWS_* "
    "variables win over a profile: if they are old, `unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN`.",
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
    "AWS accepts a signed request only for a few minutes, and this machine's clock signed it with a different time.",
    "Correct the clock: `date -u` must show the current time; run `sudo timedatectl set-ntp true`, or restart the "
    "virtual machine or the container's host.",
    (
        # S3; the SDK adds "Probable clock skew error" (Terraform 1.11's S3 backend against a local responder)
        r"\bRequestTimeTooSkewed\b|Probable clock skew error",
        # STS and IAM: convox/rack#235, EngineerBetter/control-tower#51
        r"Signature (?:expired|not yet current): \d{8}T\d{6}Z is (?:now earlier|still later) than",
        # EC2: "AuthFailure: … not able to validate" does not mention time; this text does
        r"AuthFailure: .{0,80}(?:clock|time ?stamp|timestamp)",
        r"\bInvalidSignatureException: Signature (?:expired|not yet current)",
        # IAM: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
        r"request reached the service more than 15 minutes (?:after|before)",
    ),
)
SECRET = KnownFailure(
    "GBY-A105",
    "Secret key does not match",
    "AWS knows the access key id, but the request was signed with a different secret key.",
    "Check where the keys come from (`aws configure list`), and set both id and secret again; a space or a line break "
    "at the end counts as part of the secret. A proxy that rewrites requests has the same effect.",
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
    "The commercial regions, China and GovCloud are separate partitions: a key or an ARN ({partition}) of one is "
    "unknown in the others.",
    "Use a profile of the partition of {region} (`aws sts get-caller-identity` shows the caller's), or a region of the "
    "caller's partition. If the key does belong to that partition, it was deleted or is inactive. ARNs in the stack "
    "file begin with arn:aws-cn: in China, arn:aws-us-gov: in GovCloud.",
    (
        # A key of another partition: the code is that of an unknown key; the region shows the partition
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
    "Enable it with `aws account enable-region --region-name {region}` (takes minutes to hours) or on the account's "
    "AWS Regions page; `aws account list-regions` shows the state. Or set another region in aws.region.",
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
    "the account has not enabled the region, which gives the same error.",
    "`aws configure list` shows where the key comes from; log in again (`aws sso login --profile {profile}`). If it "
    "works with `--region us-east-1`, the region is not enabled: `aws account enable-region --region-name {region}`.",
    (
        # STS, IAM; hashicorp/terraform-provider-aws#12940 shows it for a region that is not enabled
        r"\bInvalidClientTokenId\b|\bUnrecognizedClientException\b",
        r"[Tt]he security token included in the request is invalid",
        # S3
        r"\bInvalidAccessKeyId\b|The AWS Access Key Id you provided does not exist",
        r"\bInvalidToken: The provided token is malformed",
        # EC2; turbot/steampipe-plugin-aws#75 shows it for a region that is not enabled
        r"\bAuthFailure\b|not able to validate the provided access credentials",
    ),
)
PROFILE = KnownFailure(
    "GBY-A109",
    "AWS profile does not exist",
    "The AWS configuration on this machine has no profile {profile}.",
    "`aws configure list-profiles` lists the profiles; correct aws.profile or AWS_PROFILE, or create the profile with "
    "`aws configure sso`.",
    (
        # aws-sdk-go-v2
        r"failed to get shared config profile, (?P<profile>[\w.@/+-]{1,100})",
        # botocore: ProfileNotFound
        r"The config profile \((?P<profile>[^)\s]{1,100})\) could not be found",
    ),
)

CREDENTIALS = (SSO_OVER, PROFILE, CLOCK, EXPIRED, PARTITION, OPT_IN, SECRET, UNKNOWN_KEY, NONE)
"""Specific failures first: an expired SSO session is also reported as "no valid credential sources found"."""


ROLE_EXISTS = KnownFailure(
    "GBY-A120",
    "Role already exists",
    "The account has a role {name} that is not in this stack's state: it was created by hand, by another stack, or by "
    "a run whose state was lost.",
    "If it is this stack's role, import it into the state: `{import_command}`, then run again. Otherwise change "
    "role.name, or omit it: a generated name cannot collide.",
    (
        # IAM CreateRole: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html#API_CreateRole_Errors
        r"EntityAlreadyExists(?:Exception)?: Role with name (?P<name>[\w+=,.@-]{1,64}) already exists",
    ),
)
POLICY_EXISTS = KnownFailure(
    "GBY-A121",
    "Policy already exists",
    "The account has a policy {name} that is not in this stack's state: it was created by hand, by another stack, or "
    "by a run whose state was lost.",
    "If it is this stack's policy, import it into the state: `{import_command}`, then run again; `aws iam "
    "list-policies --scope Local` shows its ARN. Otherwise change role.name: the policy is named after the role.",
    (
        # IAM CreatePolicy, through AWS provider 5.100
        r"EntityAlreadyExists(?:Exception)?: A policy called (?P<name>[\w+=,.@-]{1,128}) already exists",
    ),
)
SUCCESSOR = KnownFailure(
    "GBY-A122",
    "AWS has retired the managed policy",
    "AmazonGuardDutyFullAccess has been deprecated since 2025-08-26: it can no longer be attached to a role.",
    "Use its successor AmazonGuardDutyFullAccess_v2 in role.managed_policies, or omit the list: the default contains "
    "the successor.",
    (
        # https://docs.aws.amazon.com/guardduty/latest/ug/security-iam-awsmanpol.html
        r"Policy (?P<policy>arn:[\w-]+:iam::aws:policy/AmazonGuardDutyFullAccess) (?:does not exist|is not attachable)",
    ),
)
NO_POLICY = KnownFailure(
    "GBY-A123",
    "Managed policy cannot be attached",
    "There is no policy {policy} in this partition, its path is missing (service-role/…), or AWS has retired it.",
    "`aws iam get-policy --policy-arn {policy}` shows whether AWS knows it; correct role.managed_policies. For an AWS "
    "managed policy, give only the name: gridbyoc then builds the ARN for the stack's partition.",
    (
        # hashicorp/terraform#31748, AWS provider 5.100
        r"Policy (?P<policy>arn:[\w-]+:iam::(?:aws|\d{12}):policy/[^\s]{1,300}) is not attachable",
        r"Policy (?P<policy>arn:[\w-]+:iam::(?:aws|\d{12}):policy/[^\s]{1,300}) (?:does not exist|was not found)",
    ),
)
NO_BOUNDARY = KnownFailure(
    "GBY-A124",
    "Permissions boundary does not exist",
    "The policy {policy} does not exist in this account, or cannot be a permissions boundary.",
    "Correct role.permissions_boundary (for a user: --permissions-boundary): it must be the ARN of a managed policy in "
    "this account and partition.",
    # IAM CreateRole and PutRolePermissionsBoundary
    (r"Scope ARN: (?P<policy>arn:[^\s]{1,300}) does not exist or is not attachable",),
)
POLICY_SIZE = KnownFailure(
    "GBY-A125",
    "Policy is too long",
    "The policy is longer than allowed: 6,144 characters for a managed policy, the quota ACLSizePerRole for a trust "
    "policy (white space does not count).",
    "Shorten role.statements (wildcards, fewer statements) or the lists of trusted principals. Only the limit for "
    "trust policies can be raised: IAM's quota L-C07B4B0D, in the Service Quotas console.",
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
    "The account has reached IAM's quota {quota}.",
    "`gridbyoc quotas` shows usage and limit, `gridbyoc quotas request` asks AWS for more; or delete what you no "
    "longer need (fewer role.managed_policies for PoliciesPerRole or AttachedPoliciesPerRole).",
    (
        # ministryofjustice/cloud-platform-environments#14118
        r"Cannot exceed quota for (?P<quota>\w{1,60})",
        r"\bLimitExceeded(?:Exception)?\b",
    ),
)
QUOTA = KnownFailure(
    "GBY-A127",
    "AWS quota is used up",
    "The request exceeds a quota of the account{named_quota}.",
    "`gridbyoc quotas` shows usage and limit of every quota that clusters need, `gridbyoc quotas request` asks AWS for "
    "more; or delete unused resources, or use another region.",
    (
        # terraform-aws-modules/terraform-aws-vpc#429, coreos/tectonic-forum#196
        r"\b(?P<quota>(?:Vpc|Address|NatGateway|InternetGateway|Subnet|SecurityGroup|Vcpu|Instance|Volume|RouteTable|"
        r"NetworkInterface|VpcEndpoint|MaxSpotInstanceCount|Resource|Snapshot)LimitExceeded)(?:Exception)?\b",
        # Auto Scaling has one code for all its quotas, and IAM uses the same code
        r"\b(?P<quota>Auto ?Scaling)\b.{0,400}\bLimitExceeded(?:Fault)?\b",
        r"\b(?P<quota>TooManyBuckets|MaxSpotInstanceCountExceeded|ServiceQuotaExceeded(?:Exception)?)\b",
        r"The maximum number of (?P<quota>VPCs|addresses|internet gateways) has been reached",
        r"You have requested more (?P<quota>vCPU capacity|instances) .{0,40}than your current",
    ),
)
THROTTLED = KnownFailure(
    "GBY-A128",
    "AWS throttles requests",
    "The whole account sent too many requests in a short time, and the retries were not enough.",
    "Run again in a few minutes, with fewer parallel runs in the account; AWS_MAX_ATTEMPTS=20 makes Terraform retry "
    "more often.",
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
    "IAM looks up every principal of a trust policy, and this account, role or user does not exist or was deleted: "
    "{principal}.",
    "Correct role.trusted_account_id or role.trusted_principals: the control plane's documentation names its account. "
    "A role must exist before it can be trusted; if it was created seconds ago, run again.",
    (
        # hashicorp/terraform-provider-aws#8905; IAM CreateRole and UpdateAssumeRolePolicy
        r"MalformedPolicyDocument(?:Exception)?: Invalid principal in policy(?:: \"(?:AWS|Federated|Service)\": ?"
        r"\"(?P<principal>[^\"\s]{1,300})\")?",
    ),
)
MALFORMED = KnownFailure(
    "GBY-A130",
    "IAM rejects the policy",
    "A policy document that gridbyoc made from the stack file breaks a rule of IAM; AWS says which.",
    "Correct role.statements (actions such as `s3:GetObject`, resources `*` or ARNs of this partition) or the "
    "trusted principals, as AWS says.",
    # hashicorp/terraform-provider-aws#10419
    (r"\bMalformedPolicyDocument(?:Exception)?\b",),
)
NO_ROLE = KnownFailure(
    "GBY-A131",
    "Role no longer exists",
    "The role {name} is in the state or the stack but not in the account: it was deleted by hand, or AWS does "
    "not show it everywhere yet, because it was created moments ago.",
    "Run again: Terraform reads the account and creates missing resources again.",
    (
        # IAM: hashicorp/terraform#5979
        r"NoSuchEntity(?:Exception)?: (?:The )?[Rr]ole (?:with name )?(?P<name>[\w+=,.@-]{1,64}) "
        r"(?:was not found|cannot be found)",
    ),
    LATER,
)
AWS_DOWN = KnownFailure(
    "GBY-A132",
    "AWS has an internal problem",
    "AWS itself could not answer.",
    "Run again in a few minutes; https://health.aws.amazon.com/health/status lists known problems.",
    (
        r"\bapi error (?:ServiceUnavailable|InternalFailure|InternalError|ServiceFailure|InternalServerError)\b",
        r"\b(?:ServiceUnavailable|InternalFailure|ServiceFailureException|InternalServerError)(?:Exception)?: ",
    ),
    LATER,
)

CAPACITY = KnownFailure(
    "GBY-A133",
    "AWS has no capacity for the instance type",
    "The account may start the instance, but AWS currently has none of that type free in the zone. A higher quota does "
    "not help.",
    "Try again later, or list more instance types of the same size: the cluster then uses one that is free. `gridbyoc "
    "doctor --only offerings` shows which types the zone offers.",
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
    "`gridbyoc doctor --only offerings` names the nearest type that is offered there; add it to instance_types in the "
    "stack file, and run `gridbyoc bootstrap`.",
    (
        # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: Unsupported, InvalidInstanceType
        r"[Yy]our requested instance type \([\w.-]+\) is not supported in your requested Availability Zone",
        r"[Tt]he requested configuration is currently not supported",
        r"The following supplied instance types do not exist",
    ),
)
OTHER_ACCOUNT = KnownFailure(
    "GBY-A135",
    "Terraform's credentials belong to another account",
    "The stack is for another AWS account than the credentials that Terraform found, which belong to {account}.",
    "Use credentials of the stack's account (aws.profile, AWS_PROFILE); `gridbyoc credentials show` shows which are "
    "used. Or correct aws.account_id in the stack file.",
    (r"AWS [Aa]ccount ID not allowed: (?P<account>\d{12})",),  # AWS provider 5: allowed_account_ids
)

RESOURCES = (
    ROLE_EXISTS, POLICY_EXISTS, SUCCESSOR, NO_BOUNDARY, NO_POLICY, POLICY_SIZE, QUOTA, THROTTLED, IAM_QUOTA,
    NO_PRINCIPAL, MALFORMED, NO_ROLE, CAPACITY, NOT_OFFERED, OTHER_ACCOUNT, AWS_DOWN,
)  # fmt: skip
