"""Known failures of Terraform: backends, providers, the network."""

from __future__ import annotations

from gridbyoc.errors.cards.model import LATER, KnownFailure

_BUCKET = r"S3 bucket \(?\"?(?P<bucket>[a-z0-9][a-z0-9.-]{1,62})\"?\)?"
_HELD = (
    "Wait until the other run has ended (--lock-timeout waits for it). `gridbyoc state unlock` says whether that run "
    "is alive, and removes the lock of a dead run. By hand, only if you are sure that the run no longer exists: "
    "`{unlock_command}`."
)

LOCK_S3 = KnownFailure(
    "GBY-T120",
    "State is locked in S3",
    "Another run holds the lock (the object KEY.tflock beside the state), or a killed run left it behind.",
    _HELD,
    # Terraform and OpenTofu since 1.10, use_lockfile: opentofu/opentofu#4405
    (r"Error acquiring the state lock.{0,600}(?:PreconditionFailed|StatusCode: 412)",),
)
LOCK_DYNAMODB = KnownFailure(
    "GBY-T121",
    "State is locked in DynamoDB",
    "Another run holds the lock (an item in the backend's DynamoDB table), or a killed run left it behind.",
    _HELD,
    # Genaker/TerraformMagentoCloud#22, hashicorp/terraform#32690
    (r"ConditionalCheckFailedException",),
)
LOCK_LOCAL = KnownFailure(
    "GBY-T122",
    "State is locked on this machine",
    "Another Terraform process uses the local state file. Its lock ends with the process.",
    "Wait until the other run has ended (--lock-timeout waits for it), or end it. `force-unlock` is neither needed nor "
    "possible.",
    # Terraform 1.11: EAGAIN of fcntl on Unix, LockFileEx on Windows
    (
        r"Error acquiring the state lock.{0,200}(?:resource temporarily unavailable|another process has locked|"
        r"The process cannot access the file)",
    ),
)
LOCK_TABLE = KnownFailure(
    "GBY-T123",
    "State could not be locked",
    "Terraform could not lock the state; it gives the reason.",
    "Read that reason. If another run holds the lock, `gridbyoc state unlock` says whether that run is alive.",
    (r"Error acquiring the state lock",),
)
NO_BUCKET = KnownFailure(
    "GBY-T130",
    "Bucket of the state does not exist",
    "The backend names the S3 bucket {bucket}, but this account's partition has no bucket with that name.",
    "Create the S3 bucket (`gridbyoc state init` creates a secure one), or correct terraform.backend.s3.bucket in the "
    "stack file.",
    (
        # Terraform 1.11: S3 bucket "x" does not exist.
        rf"{_BUCKET} does not exist",
        r"\bNoSuchBucket\b",
    ),
)
OTHER_REGION = KnownFailure(
    "GBY-T131",
    "Bucket of the state is in another region",
    "The backend names {region}, but the bucket {bucket} is in another region.",
    "Set terraform.backend.s3.region to {right_region}; `aws s3api head-bucket --bucket {bucket}` shows it "
    "(BucketRegion).",
    (
        # Terraform 1.11: requested bucket from "us-west-2", actual location "eu-west-1"
        r"requested bucket from \"(?P<region>[a-z0-9-]{1,30})\", actual location \"(?P<right_region>[a-z0-9-]{0,30})\"",
        # S3, if the request was signed for another region, through Terraform 1.11
        r"the region '(?P<region>[a-z0-9-]{1,30})' is wrong; expecting '(?P<right_region>[a-z0-9-]{1,30})'",
        r"\bAuthorizationHeaderMalformed\b|\bPermanentRedirect\b|\bIllegalLocationConstraintException\b",
        r"must be addressed using the specified endpoint",
        # Terraform 1.5 and OpenTofu: BucketRegionError
        r"BucketRegionError: incorrect region",
    ),
)
KMS_DISABLED = KnownFailure(
    "GBY-T132",
    "Key of the state is disabled",
    "The KMS key that encrypts the state is disabled, pending deletion or deleted.",
    "Enable it (`aws kms enable-key --key-id {key}`), or cancel its deletion (`aws kms cancel-key-deletion`). If the "
    "key was deleted, the state can no longer be decrypted.",
    (
        # S3 passes KMS's codes on: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
        r"(?P<key>arn:[\w-]{1,20}:kms:[^\s]{1,300}) is (?:disabled|pending deletion)",
        r"\bKMS\.(?:DisabledException|KMSInvalidStateException|NotFoundException)\b",
        r"\bKMSInvalidStateException\b",
    ),
)
KMS_DENIED = KnownFailure(
    "GBY-T133",
    "Caller may not use the key of the state",
    "{principal} may not do {action} with the KMS key that encrypts the state ({resource}).",
    "Allow kms:Decrypt, kms:GenerateDataKey and kms:DescribeKey on that key to the caller, in its policies and in the "
    "key's policy.",
    # hashicorp/terraform#29063; IAM's common form
    (r"not authorized to perform: (?P<action>kms:\w+)",),
)
STATE_DENIED = KnownFailure(
    "GBY-T134",
    "State cannot be read: access denied",
    "S3 does not permit the caller to use {action} on the state's bucket {bucket}. S3 gives the same answer if the "
    "bucket belongs to another account, and, to a caller without s3:ListBucket, if there is no state yet.",
    "Allow the caller s3:ListBucket on the bucket and s3:GetObject, s3:PutObject, s3:DeleteObject on the state's key "
    "(and kms:* on its KMS key, if it has one), in the caller's policies and the bucket's: `gridbyoc policy` prints "
    "them. Check terraform.backend.s3.bucket and the caller's account (`aws sts get-caller-identity`).",
    (
        # Terraform 1.11's S3 backend against a local responder: 403 on ListObjectsV2, and Forbidden on HeadObject
        rf"Unable to (?:list objects in|access object \"[^\"]{{1,1024}}\" in) {_BUCKET}"
        r".{0,400}StatusCode: 403.{0,200}api error (?:AccessDenied|Forbidden)",
        # Saving: hashicorp/terraform#29063
        r"(?:failed to upload state|Failed to save state|Error refreshing state|Error loading state).{0,400}"
        r"(?:AccessDenied|Access Denied|Forbidden)",
    ),
)
NEWER_STATE = KnownFailure(
    "GBY-T135",
    "State was written by a newer Terraform",
    "This Terraform does not know the format of the state; a newer version wrote it ({version}).",
    "Use that version of Terraform or a newer one: set --terraform-bin or GRIDBYOC_TERRAFORM_BIN.",
    (
        # Terraform 1.11 with a state of format version 5
        r"Unsupported state file format: .{0,200}created by (?:Terraform|OpenTofu) (?P<version>\d[\w.-]*\w)",
        # a state that a full disk cut off is not a newer one
        r"Unsupported state file format(?!\W+The state file (?:could not be parsed|does not have))",
        # Terraform before 0.14, OpenTofu
        r"state snapshot was created by (?:Terraform|OpenTofu) v?(?P<version>[\d.]+\d)",
    ),
)
MOVED = KnownFailure(
    "GBY-T136",
    "Backend configuration changed",
    "The work_dir was initialised with another backend than the stack file now names.",
    "The backend was changed. `gridbyoc state migrate` on the stack file moves the state and verifies it; by hand: "
    "`{migrate_command}`.",
    (
        # Terraform 1.5 to 1.11, OpenTofu
        r"Backend configuration (?:block has )?changed",
        r"Unsetting the previously set backend",
        r"Can't ask approval for state migration",
    ),
)
STALE = KnownFailure(
    "GBY-T137",
    "Saved plan is stale",
    "Terraform applies a saved plan only to the state that it was made from.",
    "Run the same command again: it makes a new plan from the current state.",
    (r"Saved plan is stale", r"Saved plan does not match the given state"),  # Terraform 1.5 to 1.11, OpenTofu
)
NO_INIT = KnownFailure(
    "GBY-T138",
    "work_dir is not initialised",
    "The work_dir's backend, a provider or a module is missing, or does not match the configuration.",
    "Initialise the work_dir: `{init_command}`.",
    (
        # Terraform 1.5 to 1.11, OpenTofu
        r"Backend initialization required",
        r"Inconsistent dependency lock file",
        r"Required plugins are not installed",
        r"Missing required provider",
        r"Module not installed|Module source has changed",
    ),
)

LOCKS = (LOCK_DYNAMODB, LOCK_S3, LOCK_LOCAL)
BACKENDS = (
    STALE, MOVED, NO_INIT, NEWER_STATE, NO_BUCKET, OTHER_REGION, KMS_DISABLED, KMS_DENIED, STATE_DENIED,
)  # fmt: skip


_MIRROR = "An air-gapped machine needs a provider mirror: create one with `terraform providers mirror DIR`, and set " \
    "GRIDBYOC_PROVIDER_MIRROR or terraform.provider_mirror."  # fmt: skip

MIRROR_DOWN = KnownFailure(
    "GBY-T101",
    "Provider mirror cannot be reached",
    "The CLI configuration names a network mirror for providers, but {host} does not answer as one.",
    "Check the address of network_mirror in the CLI configuration (TF_CLI_CONFIG_FILE or ~/.terraformrc), and the "
    f"network. {_MIRROR}",
    (r"failed to query provider mirror https?://(?P<host>[\w.-]{1,253}(?::\d{1,5})?)",),  # Terraform 1.11
    LATER,
)
REGISTRY = KnownFailure(
    "GBY-T102",
    "Provider registry cannot be reached",
    "Terraform asked the registry for the provider's versions and got no answer.",
    f"Check whether the registry is reachable (network, proxy in HTTPS_PROXY). {_MIRROR}",
    (
        # Terraform 1.11: failed to request discovery document; before 1.9 with a capital: hashicorp/terraform#33044
        r"[Ff]ailed to request discovery document",
        r"could not connect to [\w.-]{1,253}",
        # hashicorp/terraform#26532, HXSecurity/TerraformGoat#98; OpenTofu: failed to query provider registry
        r"(?:could not query|failed to query) provider registry for",
        r"Failed to query available provider packages",
    ),
    LATER,
)
NO_VERSION = KnownFailure(
    "GBY-T103",
    "No version of the provider matches",
    "Neither registry nor mirror has a version of {provider} that all constraints allow.",
    "Correct terraform.aws_provider_version in the stack file, or add that version to the mirror. `terraform "
    "providers` in the work_dir shows each constraint and its origin.",
    (
        # Terraform 1.11 against a filesystem mirror
        r"no available releases match the given constraints",
        r"provider registry [\w.-]+ does not have a provider named",
        r"does not match configured version constraint",
    ),
)
CHECKSUM = KnownFailure(
    "GBY-T104",
    "Provider does not match the lock file",
    "The provider's package matches no checksum in .terraform.lock.hcl: the file was written on another platform or "
    "from another source (a mirror), or the package is damaged.",
    "If you trust the source, write a new lock file: delete .terraform.lock.hcl in the work_dir and run "
    "`{init_command}`; for several platforms `terraform providers lock -platform=linux_amd64 -platform=darwin_arm64`.",
    (
        # Terraform 1.11; NixOS/infra#216, hashicorp/terraform#27769; OpenTofu has the same words
        r"any of the checksums (?:previously )?recorded in the dependency lock file",
        # hashicorp/terraform-provider-aws#41432
        r"archive has incorrect checksum",
    ),
)
DISK = KnownFailure(
    "GBY-T105",
    "Disk is full",
    "There is no space left where Terraform writes: installing the AWS provider alone needs about 800 MB.",
    "Free some space (`df -h .` and `df -h /tmp` show it), or set TMPDIR to another directory; TF_PLUGIN_CACHE_DIR "
    "keeps one copy of the provider for all stacks.",
    (r"no space left on device|[Dd]isk quota exceeded|There is not enough space on the disk",),  # errno ENOSPC, EDQUOT
)
DOWNLOAD = KnownFailure(
    "GBY-T106",
    "Provider could not be downloaded",
    "The registry answered, but the package or its checksums could not be downloaded.",
    f"Run again. Packages come from another host than the registry; a firewall must allow it, too. {_MIRROR}",
    (
        # hashicorp/terraform#31521, snowflakedb/terraform-provider-snowflake#4861
        r"failed to retrieve authentication checksums for provider",
        r"Error while installing [\w./-]+ v[\w.+-]+: .{0,300}(?:could not query provider registry|Get \"https?://|"
        r"bad response|unexpected EOF|Bad Gateway|timeout)",
        r"Failed to install provider",
    ),
    LATER,
)
PLATFORM = KnownFailure(
    "GBY-T107",
    "Provider has no package for this platform",
    "The registry or mirror does not have the requested version for {platform}.",
    "Use another terraform.aws_provider_version; to add a platform to a mirror: `terraform providers mirror "
    "-platform={platform} DIR`.",
    (
        # Terraform 1.11; picatz/terraform-google-nomad#58
        r"does not have a package available for your current platform, (?P<platform>[a-z0-9]+_[a-z0-9]+)",
        r"Incompatible provider version",
    ),
)
NOT_STARTED = KnownFailure(
    "GBY-T108",
    "Provider cannot be started",
    "The provider's file exists but does not run: it is for another platform, damaged, not executable, or on a disk "
    "that is mounted noexec.",
    "Delete .terraform in the work_dir (and the copy in TF_PLUGIN_CACHE_DIR or the mirror), then `{init_command}`.",
    (
        # Terraform 1.11 with a provider that is no program, and with one that ends at once
        r"failed to instantiate provider .{0,400}(?:exec format error|permission denied|no such file|text file busy)",
        r"Failed to read any lines from plugin's stdout|Unrecognized remote plugin message",
        r"timeout while waiting for plugin to start",
    ),
)
CRASHED = KnownFailure(
    "GBY-T109",
    "Provider crashed",
    "The provider ended unexpectedly: it has a bug, or the system killed it because memory ran out.",
    "Run again. If it persists, search the log for `panic:`, give the machine more memory (1 GB for the AWS provider), "
    "or use another terraform.aws_provider_version.",
    (
        # hashicorp/terraform#34657, hashicorp/terraform-provider-aws#44855
        r"Plugin did not respond|and failed to respond to the plugin6?\.\(\*GRPCProvider\)",
        r"rpc error: code = Unavailable desc = (?:transport is closing|error reading)",
        r"Request cancelled .{0,100}plugin6?\.\(\*GRPCProvider\)",
        r"Stack trace from the terraform-provider-",
    ),
    LATER,
)
MEMORY = KnownFailure(
    "GBY-T110",
    "Killed, probably because memory ran out",
    "The process was killed (SIGKILL). If memory runs out, the operating system kills the largest process.",
    "Give the machine or the container more memory (2 GB for Terraform with the AWS provider); `dmesg` or the "
    "container's state (OOMKilled) says whether memory was the cause.",
    (
        r"\bended by SIGKILL\b|\bsignal: killed\b|\bOOMKilled\b",
        r"runtime: out of memory|cannot allocate memory",
    ),
)

PROVIDERS = (
    DISK, MIRROR_DOWN, CHECKSUM, NO_VERSION, PLATFORM, MEMORY, NOT_STARTED, CRASHED, DOWNLOAD, REGISTRY,
)  # fmt: skip
"""The failures that match any failed installation come last."""


# The SDKs' prefix of a network failure: `operation error STS: …, request send failed, Post "https://…`.
# On a machine outside EC2, looking up the machine's role fails in the same way, but it means: no credentials.
_SENT = r"^(?!.*no EC2 IMDS role found).*(?:request send failed|sending request|Could not connect to the endpoint URL)"

PROXY = KnownFailure(
    "GBY-A140",
    "Proxy does not work",
    "The request had to go through a proxy (HTTPS_PROXY, HTTP_PROXY), and the proxy refused it.",
    "Check HTTPS_PROXY, its port and its credentials; list hosts that must bypass the proxy in NO_PROXY.",
    (
        # Go's net/http, as AWS provider 5.100 and Terraform's S3 backend show it
        _SENT + r".{0,300}\bproxyconnect tcp\b",
        # botocore: ProxyConnectionError
        r"Failed to connect to proxy URL",
        _SENT + r".{0,300}\bProxy Authentication Required\b",
    ),
)
TLS = KnownFailure(
    "GBY-A141",
    "TLS certificate on the way to AWS is not trusted",
    "This machine does not trust the certificate that it received for AWS; usually a proxy that inspects TLS sent it.",
    "Set AWS_CA_BUNDLE to your network's CA bundle (boto3, the provider and the S3 backend read it), or exclude AWS "
    "from the proxy's inspection (NO_PROXY).",
    (
        _SENT + r".{0,300}\b(?:x509:|tls: (?!handshake timeout))",
        # botocore: SSLError
        r"SSL validation failed for https?://",
        r"CERTIFICATE_VERIFY_FAILED",
    ),
)
DNS = KnownFailure(
    "GBY-A142",
    "Name of an AWS endpoint does not resolve",
    "This machine's resolver does not know the name {host}: no network, a misspelt region, or a custom endpoint.",
    "Check the network and its DNS, aws.region, and AWS_ENDPOINT_URL* in the environment.",
    (
        # Go's resolver, through AWS provider 5.100
        _SENT + r".{0,300}\bdial tcp: lookup (?P<host>[\w.-]{1,253})",
        _SENT + r".{0,300}\bno such host\b",
        # urllib3, where botocore repeats it
        r"Failed to resolve '(?P<host>[\w.-]{1,253})'|Name or service not known|Temporary failure in name resolution",
    ),
    LATER,
)
CONNECTION = KnownFailure(
    "GBY-A143",
    "AWS cannot be reached",
    "No connection to {host}: a firewall, a network without a route to AWS, or an endpoint on which nothing listens.",
    "Check the network, the proxy (HTTPS_PROXY), a VPC endpoint's security group, and AWS_ENDPOINT_URL* in the "
    "environment.",
    (
        # Go's net package, through AWS provider 5.100
        _SENT + r".{0,300}\b(?:connection refused|i/o timeout|connection reset|network is unreachable|no route to host|"
        r"EOF|TLS handshake timeout|Client\.Timeout exceeded|context deadline exceeded)",
        # botocore: EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError, ConnectionClosedError
        r"Could not connect to the endpoint URL: \"https?://(?P<host>[\w.-]{1,253}(?::\d{1,5})?)",
        r"(?:Connect|Read) timeout on endpoint URL: \"https?://(?P<host>[\w.-]{1,253}(?::\d{1,5})?)",
        r"Connection was closed before we received a valid response from endpoint URL",
    ),
    LATER,
)

FIPS = KnownFailure(
    "GBY-A144",
    "FIPS endpoint does not exist",
    "AWS_USE_FIPS_ENDPOINT (in a profile: use_fips_endpoint) asks for FIPS endpoints, and AWS has none at {host}.",
    "Remove the setting (`unset AWS_USE_FIPS_ENDPOINT`; in a profile: use_fips_endpoint = false), or choose a region "
    "that https://aws.amazon.com/compliance/fips/ lists for every service used.",
    (
        # Go's resolver, and botocore's EndpointConnectionError
        _SENT + r".{0,300}\blookup (?P<host>[\w.-]{0,100}\bfips\b[\w.-]{1,150})",
        r"Could not connect to the endpoint URL: \"https?://(?P<host>[\w.-]{0,100}\bfips\b[\w.-]{1,150})",
        # Both SDKs' endpoint rules
        r"\bFIPS (?:and DualStack are|is) enabled,? but this partition does not support|"
        r"\bFIPS and custom endpoint are not supported|A custom endpoint cannot be combined with FIPS|"
        r"Partition does not support FIPS",
    ),
)
DUAL_STACK = KnownFailure(
    "GBY-A145",
    "Dual-stack endpoint does not exist",
    "AWS_USE_DUALSTACK_ENDPOINT (in a profile: use_dualstack_endpoint) asks for endpoints with IPv6, and AWS has none "
    "at {host}.",
    "Remove the setting (`unset AWS_USE_DUALSTACK_ENDPOINT`; in a profile: use_dualstack_endpoint = false), or choose "
    "a region whose services https://docs.aws.amazon.com/vpc/latest/userguide/aws-ipv6-support.html lists.",
    (
        _SENT + r".{0,300}\blookup (?P<host>[\w.-]{1,150}\.api\.(?:aws|amazonwebservices)\b[\w.-]{0,30})",
        _SENT + r".{0,300}\blookup (?P<host>[\w.-]{0,100}\bdualstack\b[\w.-]{1,150})",
        r"Could not connect to the endpoint URL: \"https?://(?P<host>[\w.-]{1,150}\.api\.(?:aws|amazonwebservices)\b"
        r"[\w.-]{0,30})",
        r"Could not connect to the endpoint URL: \"https?://(?P<host>[\w.-]{0,100}\bdualstack\b[\w.-]{1,150})",
        r"\bDualStack is enabled but this partition does not support|"
        r"\bDualstack and custom endpoint are not supported|"
        r"Cannot set dual-stack in combination with a custom endpoint",
    ),
)

ENDPOINTS = (FIPS, DUAL_STACK)
"""Failures in which a setting of the caller selects an endpoint that does not exist."""

NETWORK = (PROXY, TLS, *ENDPOINTS, DNS, CONNECTION)
