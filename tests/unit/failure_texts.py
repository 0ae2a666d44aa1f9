"""Texts of real failures, and the card that each is about.

Those of Terraform 1.11, the AWS provider 5.100 and the S3 backend were written down from runs here against a local
responder with AWS's error bodies; the others are quoted from where the comment says, names and ids replaced.
"""

from __future__ import annotations

_RUN = "https response error StatusCode: {}, RequestID: 7a62c49f-347e-4fc4-9331-6e8eEXAMPLE"
_S3 = 'Unable to list objects in S3 bucket "states" with prefix "env:/": operation error S3: ListObjectsV2, '
_WHO = (
    "Retrieving AWS account details: validating provider credentials: retrieving caller identity from STS: "
    "operation error STS: GetCallerIdentity, "
)
_USER = "User: arn:aws:sts::123456789012:assumed-role/Deployer/ci is not authorized to perform: "
_ROLE = "arn:aws:iam::123456789012:role/grid-ml"
_CREATE = f"creating IAM Role (grid-ml): operation error IAM: CreateRole, {_RUN.format(403)}, api error AccessDenied: "
_LOCK = """Error acquiring the state lock
Error message: {}
Lock Info:
  ID:        d00e686f-6802-4adc-008d-a442765d8db2
  Path:      states/k
  Who:       ada@host
"""


def _denied(why: str, action: str = "iam:CreateRole", resource: str = _ROLE) -> str:
    return f"{_CREATE}{_USER}{action} on resource: {resource} {why}"


_Text = tuple[str, str, tuple[str, ...]]

CREDENTIALS: tuple[_Text, ...] = (
    # hashicorp/terraform-provider-aws#38965
    (
        "GBY-A101",
        "no valid credential sources for Terraform AWS Provider found. Error: failed to refresh cached "
        "credentials, the "
        "SSO session has expired or is invalid: open /home/ada/.aws/sso/cache/16ff.json: no such file or directory",
        ("aws sso login --profile",),
    ),
    # gruntwork-io/terragrunt#2604
    ("GBY-A101", "Error: SSOProviderInvalidToken: the SSO session has expired or is invalid", ("aws sso login",)),
    # botocore: UnauthorizedSSOTokenError, SSOTokenLoadError, TokenRetrievalError
    (
        "GBY-A101",
        "The SSO session associated with this profile has expired or is otherwise invalid. To refresh this "
        "SSO session "
        "run aws sso login with the corresponding profile.",
        (),
    ),
    ("GBY-A101", "Error loading SSO Token: Token for corp does not exist", ()),
    ("GBY-A101", "Error loading SSO Token: Token for https://x.awsapps.com/start does not exist", ("aws sso login",)),
    ("GBY-A101", "Error when retrieving token from sso: Token has expired and refresh failed", ()),
    (
        "GBY-A102",
        "No valid credential sources found Please see https://registry.example/providers/hashicorp/aws for more "
        "information about providing credentials. Error: failed to refresh cached credentials, no EC2 IMDS "
        "role found, "
        "operation error ec2imds: GetMetadata, access disabled to EC2 IMDS via client option",
        ("aws sts get-caller-identity",),
    ),
    # a machine that is none of EC2's: 1Password/shell-plugins#376
    (
        "GBY-A102",
        "Error: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, "
        'request send failed, Get "http://169.254.169.254/latest/meta-data/": dial tcp 169.254.169.254:80: i/o timeout',
        ("AWS credentials",),
    ),
    ("GBY-A102", "Unable to locate credentials. You can configure credentials by running `aws configure`.", ()),
    (
        "GBY-A103",
        f"{_WHO}{_RUN.format(403)}, api error ExpiredToken: The security token included in the request is expired",
        ("aws sso login",),
    ),
    (
        "GBY-A103",
        f"Failed to get existing workspaces: {_S3}{_RUN.format(400)}, HostID: EXAMPLE, api error ExpiredToken: The "
        "provided token has expired.",
        (),
    ),
    # EC2
    ("GBY-A103", "api error RequestExpired: Request has expired.", ()),
    (
        "GBY-A104",
        f"{_WHO}{_RUN.format(403)}, api error SignatureDoesNotMatch: Signature expired: 20260101T000000Z is "
        f"now earlier "
        "than 20260101T010000Z (20260101T011500Z - 15 min.)",
        ("date -u",),
    ),
    # the same form for a clock that is fast
    (
        "GBY-A104",
        "SignatureDoesNotMatch: Signature not yet current: 20260101T020000Z is still later than 20260101T011500Z "
        "(20260101T010000Z + 15 min.)",
        (),
    ),
    (
        "GBY-A104",
        f"{_S3}exceeded maximum number of attempts, 5, Probable clock skew error: {_RUN.format(403)}, HostID: "
        f"EXAMPLE, "
        "api error RequestTimeTooSkewed: The difference between the request time and the current time is too large.",
        (),
    ),
    (
        "GBY-A105",
        "api error SignatureDoesNotMatch: The request signature we calculated does not match the signature "
        "you provided. "
        "Check your AWS Secret Access Key and signing method.",
        ("aws configure list",),
    ),
    # a commercial key in China
    (
        "GBY-A106",
        'Post "https://sts.cn-north-1.amazonaws.com.cn/": api error InvalidClientTokenId: The security token '
        "included in the request is invalid",
        ("cn-north-1",),
    ),
    (
        "GBY-A106",
        'api error MalformedPolicyDocument: Partition "aws-cn" is not valid for resource "arn:aws-cn:s3:::x".',
        ("aws-cn",),
    ),
    # awslabs/aws-deployment-framework#283
    (
        "GBY-A107",
        "An error occurred (OptInRequired) when calling the DescribeRegions operation: You are not "
        "subscribed to this "
        "service. Please go to http://aws.amazon.com to subscribe.",
        ("enable-region",),
    ),
    # https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    ("GBY-A107", "RegionDisabledException: STS is not activated in this region for account:123456789012.", ()),
    (
        "GBY-A108",
        f"{_WHO}{_RUN.format(403)}, api error InvalidClientTokenId: The security token included in the request is "
        "invalid",
        ("aws configure list", "enable-region"),
    ),
    # turbot/steampipe-plugin-aws#75
    ("GBY-A108", "AuthFailure: AWS was not able to validate the provided access credentials", ()),
    ("GBY-A108", "InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records.", ()),
    ("GBY-A109", "failed to get shared config profile, nope", ("nope", "list-profiles")),
    ("GBY-A109", "The config profile (nope) could not be found", ("nope",)),
)

ACCESS: tuple[_Text, ...] = (
    # EC2: asquarezone/TerraformZone#1
    (
        "GBY-A110",
        "creating EC2 VPC: operation error EC2: CreateVpc, https response error StatusCode: 403, RequestID: "
        "r, api error "
        "UnauthorizedOperation: You are not authorized to perform this operation. Encoded authorization failure "
        "message: p1EyykaD2fI3csh_sf_WvdHF",
        ("decode-authorization-message", "ec2:CreateVpc", "gridbyoc policy"),
    ),
    # EC2 today, where it says both
    (
        "GBY-A118",
        "operation error EC2: CreateVpc, api error UnauthorizedOperation: You are not authorized to perform this "
        f"operation. {_USER}ec2:CreateVpc on resource: arn:aws:ec2:us-west-2:1:vpc/* because no identity-based policy "
        "allows the ec2:CreateVpc action. Encoded authorization failure message: AbC-_12",
        ("ec2:CreateVpc", "arn:aws:ec2:us-west-2:1:vpc/*"),
    ),
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html has the phrase for each kind
    ("GBY-A111", _denied("with an explicit deny in a service control policy"), ("iam:CreateRole", "organization")),
    (
        "GBY-A111",
        _denied("because no service control policy allows the iam:CreateRole action"),
        ("iam:CreateRole", "gridbyoc policy"),
    ),
    # since 2026 the policy's ARN stands behind it
    (
        "GBY-A111",
        _denied("with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-a/scp/p-1"),
        ("arn:aws:organizations::1:policy/o-a/scp/p-1",),
    ),
    ("GBY-A112", _denied("with an explicit deny in a resource control policy"), ("iam:CreateRole",)),
    (
        "GBY-A113",
        _denied("because no permissions boundary allows the iam:CreateRole action"),
        ("role.permissions_boundary", "arn:aws:sts::123456789012:assumed-role/Deployer/ci"),
    ),
    ("GBY-A113", _denied("with an explicit deny in a permissions boundary"), ()),
    ("GBY-A114", _denied("because no session policy allows the iam:CreateRole action"), ("iam:CreateRole",)),
    ("GBY-A114", _denied("with an explicit deny in a session policy"), ()),
    ("GBY-A115", _denied("with an explicit deny in a VPC endpoint policy"), ("endpoint",)),
    ("GBY-A115", _denied("because no VPC endpoint policy allows the iam:CreateRole action"), ()),
    (
        "GBY-A116",
        _denied("because no resource-based policy allows the iam:PassRole action", "iam:PassRole"),
        (_ROLE, "iam:PassRole"),
    ),
    ("GBY-A116", f"AccessDenied: {_USER}sts:AssumeRole on resource: {_ROLE}", (_ROLE, "trust policy")),
    ("GBY-A117", _denied("with an explicit deny in an identity-based policy"), ("iam:CreateRole", "Deny")),
    ("GBY-A117", _denied("with an explicit deny"), ()),
    (
        "GBY-A118",
        _denied("because no identity-based policy allows the iam:CreateRole action"),
        ("iam:CreateRole", _ROLE, "arn:aws:sts::123456789012:assumed-role/Deployer/ci", "gridbyoc policy"),
    ),
    # before 2021, and services that do not say more: ministryofjustice/cloud-platform-environments#4030
    (
        "GBY-A118",
        "Error creating IAM User x: AccessDenied: User: arn:aws:iam::754256621582:user/ci is not authorized "
        "to perform: "
        "iam:CreateUser on resource: arn:aws:iam::754256621582:user/x\n\tstatus code: 403, request id: 0e2e65d7",
        ("iam:CreateUser", "arn:aws:iam::754256621582:user/x"),
    ),
    # hashicorp/terraform#14402; AWS provider 5.100
    (
        "GBY-A119",
        f"creating S3 Bucket (x): operation error S3: CreateBucket, {_RUN.format(403)}, HostID: EXAMPLE, api error "
        "AccessDenied: Access Denied",
        ("s3:CreateBucket", "gridbyoc policy"),
    ),
)

RESOURCES: tuple[_Text, ...] = (
    (
        "GBY-A120",
        f"creating IAM Role (grid-ml): operation error IAM: CreateRole, {_RUN.format(409)}, "
        f"EntityAlreadyExists: Role "
        "with name grid-ml already exists.",
        ("grid-ml", "import", "role.name"),
    ),
    (
        "GBY-A121",
        f"creating IAM Policy (grid-ml): operation error IAM: CreatePolicy, {_RUN.format(409)}, "
        f"EntityAlreadyExists: A "
        "policy called grid-ml already exists. Duplicate names are not allowed.",
        ("grid-ml", "import", "list-policies"),
    ),
    (
        "GBY-A122",
        "attaching IAM Policy (arn:aws:iam::aws:policy/AmazonGuardDutyFullAccess) to IAM Role (grid-ml): "
        "operation error "
        f"IAM: AttachRolePolicy, {_RUN.format(404)}, NoSuchEntity: Policy "
        "arn:aws:iam::aws:policy/AmazonGuardDutyFullAccess does not exist or is not attachable.",
        ("AmazonGuardDutyFullAccess_v2",),
    ),
    # hashicorp/terraform#31748
    (
        "GBY-A123",
        "NoSuchEntity: Policy arn:aws:iam::aws:policy/AWSLambdaRole does not exist or is not attachable. "
        "status code: 404",
        ("arn:aws:iam::aws:policy/AWSLambdaRole", "get-policy"),
    ),
    # in China, an ARN of the commercial partition
    (
        "GBY-A123",
        "NoSuchEntity: Policy arn:aws-cn:iam::aws:policy/AmazonGuardDutyFullAccess_v2 does not exist or is "
        "not attachable.",
        ("partition",),
    ),
    (
        "GBY-A124",
        "api error NoSuchEntity: Scope ARN: arn:aws:iam::123456789012:policy/edge does not exist or is not attachable.",
        ("arn:aws:iam::123456789012:policy/edge", "role.permissions_boundary"),
    ),
    # ministryofjustice/cloud-platform-environments#14473, kubeflow/dashboard#29, ExpediaGroup/apiary-data-lake#173
    ("GBY-A125", "LimitExceeded: Cannot exceed quota for PolicySize: 6144", ("6,144", "role.statements")),
    ("GBY-A125", "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048", ("L-C07B4B0D",)),
    ("GBY-A125", "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role x", ()),
    # ministryofjustice/cloud-platform-environments#14118
    ("GBY-A126", "LimitExceeded: Cannot exceed quota for PoliciesPerRole: 15", ("PoliciesPerRole", "gridbyoc quotas")),
    ("GBY-A126", "api error LimitExceeded: Cannot exceed quota for RolesPerAccount: 1000", ("RolesPerAccount",)),
    # terraform-aws-modules/terraform-aws-vpc#429
    (
        "GBY-A127",
        "Error creating VPC: VpcLimitExceeded: The maximum number of VPCs has been reached.\n\tstatus code: 400",
        ("VpcLimitExceeded", "gridbyoc quotas"),
    ),
    ("GBY-A127", "AddressLimitExceeded: The maximum number of addresses has been reached.", ("AddressLimitExceeded",)),
    (
        "GBY-A127",
        "VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 0 allows",
        ("VcpuLimitExceeded",),
    ),
    ("GBY-A128", f"{_S3}{_RUN.format(503)}, api error SlowDown: Please reduce your request rate.", ()),
    ("GBY-A128", "api error Throttling: Rate exceeded", ()),
    ("GBY-A128", "RequestLimitExceeded: Request limit exceeded.", ()),
    ("GBY-A128", "TooManyRequestsException: Too Many Requests", ()),
    # hashicorp/terraform-provider-aws#8905
    (
        "GBY-A129",
        'api error MalformedPolicyDocument: Invalid principal in policy: "AWS":"arn:aws:iam::999999999999:root"',
        ("arn:aws:iam::999999999999:root", "role.trusted_account_id"),
    ),
    # hashicorp/terraform-provider-aws#10419
    ("GBY-A130", "MalformedPolicyDocument: Policy document should not specify a principal.", ("role.statements",)),
    # hashicorp/terraform#5979; IAM today
    ("GBY-A131", "NoSuchEntity: Role ECS-Instance-Ops-CI was not found.", ("ECS-Instance-Ops-CI",)),
    ("GBY-A131", "NoSuchEntity: The role with name grid-ml cannot be found.", ("grid-ml",)),
    (
        "GBY-A127",
        "operation error EKS: CreateCluster, StatusCode: 400, ResourceLimitExceededException: Cluster limit exceeded",
        ("ResourceLimitExceeded", "gridbyoc quotas request"),
    ),
    (
        "GBY-A127",
        "operation error Auto Scaling: CreateAutoScalingGroup, api error LimitExceeded: You've reached it",
        ("Auto Scaling",),
    ),
    (
        "GBY-A133",
        "InsufficientInstanceCapacity: We currently do not have sufficient g4dn.xlarge capacity in the Availability "
        "Zone you requested (us-east-1a).",
        ("instance types",),
    ),
    (
        "GBY-A134",
        "Unsupported: Your requested instance type (p3.2xlarge) is not supported in your requested Availability Zone "
        "(us-east-1a).",
        ("doctor --only offerings",),
    ),
    ("GBY-A135", "Error: AWS account ID not allowed: 111111111111", ("111111111111", "credentials show")),
    ("GBY-A132", "operation error IAM: GetRole, StatusCode: 503, api error ServiceUnavailable: try later", ()),
)

NETWORK: tuple[_Text, ...] = (
    (
        "GBY-A140",
        f"{_WHO}exceeded maximum number of attempts, 9, https response error StatusCode: 0, RequestID: , "
        f"request send "
        'failed, Post "https://sts.us-west-2.amazonaws.com/": proxyconnect tcp: dial tcp 127.0.0.1:9: connect: '
        "connection refused",
        ("HTTPS_PROXY",),
    ),
    ("GBY-A144", 'Could not connect to the endpoint URL: "https://sts-fips.eu-north-1.amazonaws.com/"', ("sts-fips",)),
    (
        "GBY-A144",
        "operation error STS: GetCallerIdentity, https response error StatusCode: 0, RequestID: , request send failed, "
        'Post "https://sts-fips.eu-north-1.amazonaws.com/": dial tcp: lookup sts-fips.eu-north-1.amazonaws.com: '
        "no such host",
        ("sts-fips.eu-north-1.amazonaws.com", "unset AWS_USE_FIPS_ENDPOINT"),
    ),
    ("GBY-A144", "Invalid Configuration: FIPS and custom endpoint are not supported", ("use_fips_endpoint",)),
    ("GBY-A144", "FIPS is enabled but this partition does not support FIPS", ()),
    (
        "GBY-A145",
        'Could not connect to the endpoint URL: "https://sts.eu-north-1.api.aws/"',
        ("sts.eu-north-1.api.aws",),
    ),
    (
        "GBY-A145",
        'request send failed, Get "https://b.s3.dualstack.xx-west-1.amazonaws.com/": dial tcp: lookup '
        "b.s3.dualstack.xx-west-1.amazonaws.com: no such host",
        ("unset AWS_USE_DUALSTACK_ENDPOINT",),
    ),
    ("GBY-A145", "DualStack is enabled but this partition does not support DualStack", ()),
    ("GBY-A140", 'Failed to connect to proxy URL: "http://127.0.0.1:9"', ()),
    (
        "GBY-A141",
        f"{_WHO}https response error StatusCode: 0, RequestID: , request send failed, Post "
        '"https://sts.us-west-2.amazonaws.com/": tls: failed to verify certificate: x509: certificate signed by '
        "unknown authority",
        ("AWS_CA_BUNDLE",),
    ),
    (
        "GBY-A141",
        "SSL validation failed for https://sts.us-west-2.amazonaws.com/ [SSL: CERTIFICATE_VERIFY_FAILED] certificate "
        "verify failed: self-signed certificate in certificate chain",
        (),
    ),
    (
        "GBY-A142",
        f"{_WHO}https response error StatusCode: 0, RequestID: , request send failed, Post "
        '"http://nowhere.invalid/": dial tcp: lookup nowhere.invalid on 10.0.0.2:53: no such host',
        ("nowhere.invalid", "aws.region"),
    ),
    (
        "GBY-A143",
        f"{_WHO}exceeded maximum number of attempts, 9, https response error StatusCode: 0, RequestID: , "
        f"request send "
        'failed, Post "http://127.0.0.1:9/": dial tcp 127.0.0.1:9: connect: connection refused',
        ("127.0.0.1:9",),
    ),
    ("GBY-A143", 'Could not connect to the endpoint URL: "http://127.0.0.1:9/"', ("127.0.0.1:9",)),
    ("GBY-A143", 'Connect timeout on endpoint URL: "https://iam.amazonaws.com/"', ("iam.amazonaws.com",)),
)

_SCHEMA = (
    "Failed to load plugin schemas Error while loading schemas for plugin components: Failed to obtain "
    "provider schema: "
    'Could not load the schema for provider hashicorp/aws: failed to instantiate provider "hashicorp/aws" to obtain '
    "schema: "
)
PROVIDERS: tuple[_Text, ...] = (
    (
        "GBY-T101",
        "Failed to query available provider packages\nCould not retrieve the list of available versions for provider "
        "hashicorp/aws: failed to query provider mirror https://127.0.0.1:9/ for hashicorp/aws: the request "
        "failed after "
        "2 attempts, please try again later: dial tcp 127.0.0.1:9: connect: connection refused",
        ("127.0.0.1:9", "GRIDBYOC_PROVIDER_MIRROR"),
    ),
    (
        "GBY-T102",
        "Failed to query available provider packages\nCould not retrieve the list of available versions for provider "
        "hashicorp/aws: could not connect to registry.example: failed to request discovery document: Get "
        '"https://registry.example/.well-known/terraform.json": proxyconnect tcp: dial tcp 127.0.0.1:9: connect: '
        "connection refused",
        ("GRIDBYOC_PROVIDER_MIRROR", "HTTPS_PROXY"),
    ),
    # OpenTofu 1.10
    (
        "GBY-T102",
        "Failed to query available provider packages\nCould not retrieve the list of available versions for provider "
        "hashicorp/aws: could not connect to registry.example: failed to request discovery document: dial "
        "tcp: no such host",
        (),
    ),
    (
        "GBY-T103",
        "Failed to query available provider packages\nCould not retrieve the list of available versions for provider "
        "hashicorp/aws: no available releases match the given constraints 99.0.0",
        ("terraform.aws_provider_version",),
    ),
    (
        "GBY-T104",
        "Failed to install provider\nError while installing hashicorp/aws v5.100.0: the local package for "
        "hashicorp/aws "
        "5.100.0 doesn't match any of the checksums previously recorded in the dependency lock file (this might be "
        "because the available checksums are for packages targeting different platforms)",
        (".terraform.lock.hcl", "terraform providers lock"),
    ),
    # hashicorp/terraform#27769, hashicorp/terraform-provider-aws#41432
    (
        "GBY-T104",
        "the cached package for hashicorp/aws 3.28.0 (in .terraform/providers) does not match any of the checksums "
        "recorded in the dependency lock file",
        (),
    ),
    (
        "GBY-T104",
        "Error while installing hashicorp/aws v5.87.0: archive has incorrect checksum zh:1885 (expected zh:ac5d)",
        (),
    ),
    (
        "GBY-T105",
        "Failed to install provider\nError while installing hashicorp/aws v5.100.0: write "
        "/tmp/terraform-provider123: no space left on device",
        ("df -h",),
    ),
    # hashicorp/terraform#31521
    (
        "GBY-T106",
        "Failed to install provider\nError while installing hashicorp/aws v4.23.0: could not query provider "
        "registry for "
        "hashicorp/aws: failed to retrieve authentication checksums for provider: the request failed after 2 "
        "attempts",
        ("firewall",),
    ),
    # snowflakedb/terraform-provider-snowflake#4861
    (
        "GBY-T106",
        "Failed to install provider\nError while installing hashicorp/aws v2.17.0: could not query provider "
        "registry for "
        "hashicorp/aws: the request failed after 2 attempts, please try again later: 502 Bad Gateway",
        (),
    ),
    (
        "GBY-T107",
        "Incompatible provider version\nProvider hashicorp/aws v5.100.0 does not have a package available for your "
        "current platform, linux_amd64.",
        ("linux_amd64",),
    ),
    (
        "GBY-T108",
        f"{_SCHEMA}fork/exec .terraform/x/terraform-provider-aws_v5.100.0: exec format error..",
        (".terraform",),
    ),
    (
        "GBY-T108",
        f"{_SCHEMA}Unrecognized remote plugin message: \nFailed to read any lines from plugin's stdout\nThis "
        f"usually means",
        (),
    ),
    # hashicorp/terraform#34657
    (
        "GBY-T109",
        "Plugin did not respond\nThe plugin encountered an error, and failed to respond to the "
        "plugin6.(*GRPCProvider).ConfigureProvider call. The plugin logs may contain more details.",
        ("panic:",),
    ),
    ("GBY-T110", "terraform apply failed: it was ended by SIGKILL, as when memory runs out.", ("memory",)),
)

BACKENDS: tuple[_Text, ...] = (
    # Terraform 1.11 with use_lockfile; opentofu/opentofu#4405
    (
        "GBY-T120",
        _LOCK.format(
            "operation error S3: PutObject, https response error StatusCode: 412, RequestID: , HostID: , api error "
            "PreconditionFailed: At least one of the pre-conditions you specified did not hold"
        ),
        ("gridbyoc state unlock",),
    ),
    # Genaker/TerraformMagentoCloud#22, vchokshi in hashicorp/terraform-provider-aws#7135
    ("GBY-T121", _LOCK.format("ConditionalCheckFailedException: The conditional request\nfailed"), ("DynamoDB",)),
    (
        "GBY-T121",
        _LOCK.format(
            "operation error DynamoDB: PutItem, https response error StatusCode: 400, RequestID: r, "
            "ConditionalCheckFailedException: The conditional request failed"
        ),
        (),
    ),
    ("GBY-T122", _LOCK.format("resource temporarily unavailable"), ("`force-unlock` is neither needed",)),
    ("GBY-T123", _LOCK.format("no such table"), ("gridbyoc state unlock",)),
    (
        "GBY-T130",
        'Failed to get existing workspaces: S3 bucket "states" does not exist.\nThe referenced S3 bucket must have '
        f"been previously created.\n\nError: operation error S3: ListObjectsV2, {_RUN.format(404)}, HostID: E, "
        f"NoSuchBucket:",
        ("Create the S3 bucket", "states", "gridbyoc state init"),
    ),
    (
        "GBY-T131",
        f'Failed to get existing workspaces: {_S3}{_RUN.format(301)}, HostID: E, requested bucket from "us-west-2", '
        'actual location "eu-west-1"',
        ("eu-west-1", "us-west-2", "states"),
    ),
    (
        "GBY-T131",
        f"{_S3}{_RUN.format(400)}, HostID: E, api error AuthorizationHeaderMalformed: The authorization header is "
        "malformed; the region 'us-west-2' is wrong; expecting 'eu-west-1'",
        ("terraform.backend.s3.region to eu-west-1",),
    ),
    (
        "GBY-T131",
        "PermanentRedirect: The bucket you are attempting to access must be addressed using the specified endpoint.",
        (),
    ),
    (
        "GBY-T132",
        f"{_S3}{_RUN.format(400)}, HostID: E, api error KMS.DisabledException: arn:aws:kms:us-west-2:1:key/2 "
        f"is disabled.",
        ("--key-id arn:aws:kms:us-west-2:1:key/2",),
    ),
    (
        "GBY-T133",
        f"Failed to save state: failed to upload state: operation error S3: PutObject, {_RUN.format(403)}, api error "
        f"AccessDenied: {_USER}kms:GenerateDataKey on resource: arn:aws:kms:us-west-2:1:key/2 because no "
        "resource-based policy allows the kms:GenerateDataKey action",
        ("kms:GenerateDataKey", "arn:aws:kms:us-west-2:1:key/2"),
    ),
    (
        "GBY-T134",
        'Error refreshing state: Unable to access object "k" in S3 bucket "states": operation error S3: HeadObject, '
        f"{_RUN.format(403)}, HostID: , api error Forbidden: Forbidden",
        ("s3:GetObject", "states"),
    ),
    # hashicorp/terraform#29063
    (
        "GBY-T134",
        "Failed to save state Error saving state: failed to upload state: AccessDenied: Access Denied status code: 403",
        ("s3:PutObject",),
    ),
    (
        "GBY-T135",
        "Error refreshing state: Unsupported state file format: The state file uses format version 5, which is not "
        "supported by Terraform 1.11.4. This state file was created by Terraform 9.9.9.",
        ("9.9.9", "--terraform-bin"),
    ),
    (
        "GBY-T135",
        "state snapshot was created by Terraform v1.12.0, which is newer than current v1.5.7; upgrade to Terraform "
        "v1.12.0 or greater to work with this state",
        ("1.12.0",),
    ),
    (
        "GBY-T136",
        "Backend configuration changed A change in the backend configuration has been detected",
        ("state migrate",),
    ),
    ("GBY-T137", "Saved plan is stale The given plan file can no longer be applied", ("makes a new plan",)),
    ("GBY-T138", 'Backend initialization required, please run "terraform init" Reason: Initial', ("terraform init",)),
)

TEXTS = (*CREDENTIALS, *ACCESS, *RESOURCES, *NETWORK, *PROVIDERS, *BACKENDS)

ANSWERS: tuple[tuple[str, int, str, bool], ...] = (
    ("GBY-C101", 0, "the connection was refused", True),
    ("GBY-C101", 0, "its name does not resolve", True),
    ("GBY-C102", 0, "its TLS certificate is not trusted (self-signed certificate)", True),
    ("GBY-C103", 401, "authentication failed: unknown user id, API key or token", True),
    ("GBY-C104", 403, "permission denied", True),
    ("GBY-C105", 404, "cluster c-1 not found", True),
    ("GBY-C106", 409, "cluster ml-prod already exists", True),
    ("GBY-C106", 400, "a cluster named ml-prod already exists", True),
    ("GBY-C107", 400, "invalid instance type", True),
    ("GBY-C108", 429, "slow down", True),
    ("GBY-C109", 503, "", True),
    ("GBY-C110", 200, "", False),
    ("GBY-C112", 302, "", True),
)

REASONS: tuple[tuple[str, str], ...] = (
    (
        "GBY-C111",
        "its trust policy does not let AWS account 302180240179 assume it (sts:AssumeRole); add "
        "arn:aws:iam::302180240179:root as a principal, with the external id as the condition",
    ),
    (
        "GBY-C111",
        "AccessDenied: User: arn:aws:sts::302180240179:assumed-role/x/y is not authorized to perform: "
        "sts:AssumeRole on "
        "resource: arn:aws:iam::123456789012:role/grid-ml",
    ),
    ("GBY-A127", "VpcLimitExceeded: The maximum number of VPCs has been reached."),
)

UNKNOWN = (
    "Error saving state: 2 problems: - Unsupported state file format: The state file could not be parsed as JSON: "
    'syntax error at byte offset 512. - Unsupported state file format: The state file does not have a "version".',
    "Invalid value for variable",
    "Unreadable module directory",
    "A thing that nobody has seen yet: {action} 100% of the time",
    "api error TeapotException: short and stout",
    "Error: Unsupported argument",
)
