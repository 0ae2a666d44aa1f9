"""The state: where it lies, who holds its lock, who may read it, which Terraform wrote it."""

from __future__ import annotations

from gridbyoc.errors.cards.model import Card

_BUCKET = r"S3 bucket \(?\"?(?P<bucket>[a-z0-9][a-z0-9.-]{1,62})\"?\)?"
_HELD = (
    "Wait until the other run has ended (--lock-timeout waits for it). `gridbyoc state unlock` tells whether that run "
    "is alive, and breaks the lock of a dead one. By hand, only if you are sure that it no longer exists: "
    "`{unlock_command}`."
)

LOCK_S3 = Card(
    "GBY-T120",
    "State is locked in S3",
    "Another run holds the lock, which is an object beside the state (KEY.tflock), or a run that was killed left it.",
    _HELD,
    # Terraform 1.10 on and OpenTofu 1.10 on, use_lockfile: opentofu/opentofu#4405
    (r"Error acquiring the state lock.{0,600}(?:PreconditionFailed|StatusCode: 412)",),
)
LOCK_DYNAMODB = Card(
    "GBY-T121",
    "State is locked in DynamoDB",
    "Another run holds the lock, an item in the DynamoDB table of the backend, or a run that was killed left it.",
    _HELD,
    # Genaker/TerraformMagentoCloud#22, hashicorp/terraform#32690
    (r"ConditionalCheckFailedException",),
)
LOCK_LOCAL = Card(
    "GBY-T122",
    "State is locked on this machine",
    "Another Terraform works on the local state file. The lock ends with that process.",
    "Wait until the other run has ended (--lock-timeout waits for it), or end it. No `force-unlock` is needed, and "
    "none is possible.",
    # Terraform 1.11: EAGAIN of fcntl on Unix, LockFileEx on Windows
    (
        r"Error acquiring the state lock.{0,200}(?:resource temporarily unavailable|another process has locked|"
        r"The process cannot access the file)",
    ),
)
LOCK_TABLE = Card(
    "GBY-T123",
    "Lock could not be taken",
    "Terraform wanted the lock of the state and did not get it, for the reason that it names.",
    "Look at that reason. Where another run holds the lock, `gridbyoc state unlock` tells whether it is alive.",
    (r"Error acquiring the state lock",),
)
NO_BUCKET = Card(
    "GBY-T130",
    "Bucket of the state does not exist",
    "The backend names the S3 bucket {bucket}, and there is none of that name in this account's partition.",
    "Create the S3 bucket: `gridbyoc state init` makes a safe one; or correct terraform.backend.s3.bucket in the "
    "stack file.",
    (
        # Terraform 1.11: S3 bucket "x" does not exist.
        rf"{_BUCKET} does not exist",
        r"\bNoSuchBucket\b",
    ),
)
OTHER_REGION = Card(
    "GBY-T131",
    "Bucket of the state is in another region",
    "The backend names {region}, and the bucket {bucket} lies in another region.",
    "Set terraform.backend.s3.region to {right_region}; `aws s3api head-bucket --bucket {bucket}` shows it "
    "(BucketRegion).",
    (
        # Terraform 1.11: requested bucket from "us-west-2", actual location "eu-west-1"
        r"requested bucket from \"(?P<region>[a-z0-9-]{1,30})\", actual location \"(?P<right_region>[a-z0-9-]{0,30})\"",
        # S3 with another signature's region, through Terraform 1.11
        r"the region '(?P<region>[a-z0-9-]{1,30})' is wrong; expecting '(?P<right_region>[a-z0-9-]{1,30})'",
        r"\bAuthorizationHeaderMalformed\b|\bPermanentRedirect\b|\bIllegalLocationConstraintException\b",
        r"must be addressed using the specified endpoint",
        # Terraform 1.5 and OpenTofu: BucketRegionError
        r"BucketRegionError: incorrect region",
    ),
)
KMS_DISABLED = Card(
    "GBY-T132",
    "Key of the state is disabled",
    "The KMS key that the state is encrypted with is disabled, being deleted or gone.",
    "Enable it (`aws kms enable-key --key-id {key}`), or cancel its deletion (`aws kms cancel-key-deletion`). A key "
    "that is gone takes the state with it.",
    (
        # S3 passes KMS's codes on: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
        r"(?P<key>arn:[\w-]{1,20}:kms:[^\s]{1,300}) is (?:disabled|pending deletion)",
        r"\bKMS\.(?:DisabledException|KMSInvalidStateException|NotFoundException)\b",
        r"\bKMSInvalidStateException\b",
    ),
)
KMS_DENIED = Card(
    "GBY-T133",
    "Key of the state is not permitted",
    "{principal} may not do {action} with the KMS key that the state is encrypted with ({resource}).",
    "Allow kms:Decrypt, kms:GenerateDataKey and kms:DescribeKey on that key to the caller, in its policies and in the "
    "key's policy.",
    # hashicorp/terraform#29063; IAM's common form
    (r"not authorized to perform: (?P<action>kms:\w+)",),
)
STATE_DENIED = Card(
    "GBY-T134",
    "State cannot be read: access denied",
    "S3 does not permit {action} on the state's bucket {bucket} to the caller. S3 says the same of a bucket that "
    "belongs to another account, and, to a caller without s3:ListBucket, of a state that is not there yet.",
    "Allow s3:ListBucket on the bucket and s3:GetObject, s3:PutObject, s3:DeleteObject on the state's key to the "
    "caller (kms:* of its key, where it has one), in its policies and the bucket's: `gridbyoc policy` prints them. Is "
    "terraform.backend.s3.bucket the right one, and the caller of the right account (`aws sts get-caller-identity`)?",
    (
        # Terraform 1.11's S3 backend against a local responder: 403 on ListObjectsV2, and Forbidden on HeadObject
        rf"Unable to (?:list objects in|access object \"[^\"]{{1,1024}}\" in) {_BUCKET}"
        r".{0,400}StatusCode: 403.{0,200}api error (?:AccessDenied|Forbidden)",
        # Saving: hashicorp/terraform#29063
        r"(?:failed to upload state|Failed to save state|Error refreshing state|Error loading state).{0,400}"
        r"(?:AccessDenied|Access Denied|Forbidden)",
    ),
)
NEWER_STATE = Card(
    "GBY-T135",
    "State was written by a newer Terraform",
    "The state has a format that this Terraform does not know; a newer one wrote it ({version}).",
    "Use that version of Terraform or a newer one: --terraform-bin or GRIDBYOC_TERRAFORM_BIN names it.",
    (
        # Terraform 1.11 with a state of format version 5
        r"Unsupported state file format: .{0,200}created by (?:Terraform|OpenTofu) (?P<version>\d[\w.-]*\w)",
        r"Unsupported state file format",
        # Terraform before 0.14, OpenTofu
        r"state snapshot was created by (?:Terraform|OpenTofu) v?(?P<version>[\d.]+\d)",
    ),
)
MOVED = Card(
    "GBY-T136",
    "Backend configuration changed",
    "The work_dir was initialised with another backend than the one that the stack file names now.",
    "The backend was changed. `gridbyoc state migrate` on the stack file takes the state along, verified; by hand: "
    "`{migrate_command}`.",
    (
        # Terraform 1.5 to 1.11, OpenTofu
        r"Backend configuration (?:block has )?changed",
        r"Unsetting the previously set backend",
        r"Can't ask approval for state migration",
    ),
)
STALE = Card(
    "GBY-T137",
    "Saved plan is stale",
    "Terraform applies a saved plan only to the very state that it was made from.",
    "Run the same command again: it plans anew, from what the other run made.",
    (r"Saved plan is stale", r"Saved plan does not match the given state"),  # Terraform 1.5 to 1.11, OpenTofu
)
NO_INIT = Card(
    "GBY-T138",
    "work_dir is not initialised",
    "The work_dir lacks its backend, a provider or a module, or has ones that the configuration does not ask for.",
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
