"""Credentials: none, over, wrong, of another partition, for a region that is not enabled, on a machine with no time."""

from __future__ import annotations

from gridbyoc.errors.cards.model import Card

SSO_OVER = Card(
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
NONE = Card(
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
EXPIRED = Card(
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
CLOCK = Card(
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
SECRET = Card(
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
PARTITION = Card(
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
OPT_IN = Card(
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
UNKNOWN_KEY = Card(
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
PROFILE = Card(
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
