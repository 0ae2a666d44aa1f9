"""The kinds of the group ``identity``."""

from __future__ import annotations

from gridbyoc.steps.preflight.model import Kind

CALLER = Kind(
    "GBY-I001",
    "identity",
    "caller",
    """The AWS credentials are valid: STS says which account and principal they are. Fails where there are none, they
    have expired, AWS does not know them, or what they come from is broken (a profile, a process, a login, a file that
    boto3 cannot read), with the file, the line and the command that helps. Unknown where nobody could be asked.""",
    "https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html",
)
SOURCE = Kind(
    "GBY-I002",
    "identity",
    "credentials",
    """Where they come from, and how long they last. Fails where they have expired, warns where fewer than 15 minutes
    are left and nothing renews them: Terraform's part needs them, the 20 to 50 minutes of a cluster do not. A
    long-lived access key passes, with the advice to use short-term credentials; so do temporary credentials in the
    environment that do not say when they end (`AWS_CREDENTIAL_EXPIRATION`).""",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#bp-workloads-use-roles",
)
ROOT = Kind(
    "GBY-I003",
    "identity",
    "root user",
    "Warns where the caller is the account's root user, whom no policy limits.",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/root-user-best-practices.html",
)
GUARD = Kind(
    "GBY-I004",
    "identity",
    "account guard",
    "The caller's account is the stack's `aws.account_id`, where it has one. Fails where it is another account.",
    "https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-identifiers.html",
)
ENABLED = Kind(
    "GBY-I005",
    "identity",
    "region enabled",
    "The account has enabled the region, or need not. Fails where it has not, with the command that does.",
    "https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html",
)
STS = Kind(
    "GBY-I006",
    "identity",
    "STS endpoint",
    """STS answers at the region's own endpoint, which the cluster's machines use. Fails where it refuses credentials
    that another region accepts: the region, or STS in it, is not active.""",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html",
)
PARTITION = Kind(
    "GBY-I007",
    "identity",
    "partition",
    "The credentials are of the partition that the region is in (aws, aws-cn, aws-us-gov, aws-eusc). Fails otherwise.",
    "https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html",
)
