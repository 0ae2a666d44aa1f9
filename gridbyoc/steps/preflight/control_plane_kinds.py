"""The kinds of the group ``control-plane``."""

from __future__ import annotations

from gridbyoc.steps.preflight.model import Kind

GROUP = "control-plane"
ANSWERS = Kind(
    "GBY-K001",
    GROUP,
    "control plane",
    "The control plane answers as one. Fails where it cannot be reached, or something else answers; is unknown while "
    "it has an error of its own.",
)
KEY = Kind(
    "GBY-K002",
    GROUP,
    "control-plane credentials",
    "There are credentials, and the control plane takes them. Fails without any, and where it refuses them.",
)
CARRIES = Kind(
    "GBY-K003",
    GROUP,
    "what the clusters ask for",
    "The control plane's API can carry each cluster of the stack: its name, its types, its profile. Fails where not.",
)
NAMES = Kind(
    "GBY-K004",
    GROUP,
    "cluster names",
    "Each name is free, or that of a cluster which runs through this stack's role. Fails for one that runs through "
    "another role or is being deleted; with remote state a role of this account counts as ours until it is read.",
)
ACCOUNT = Kind(
    "GBY-K005",
    GROUP,
    "trusted account",
    "The AWS account that the control plane comes from, which its own global cluster tells, is the one that the role "
    "trusts (`role.trusted_account_id`). Fails if it is another, or if the role is in another partition than the "
    "vendor's account. Is unknown if the control plane does not say (type lightning never does); warns if the account "
    "is then the vendor's default of an old guide.",
    "https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html",
)
TYPES = Kind(
    "GBY-K006",
    GROUP,
    "instance types of the control plane",
    "The control plane's own list has each instance type. Warns for one that is not in it.",
)
