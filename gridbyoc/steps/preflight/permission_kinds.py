"""The kinds of the group ``permissions``."""

from __future__ import annotations

from gridbyoc.steps.preflight.model import Kind

_SIMULATOR = "https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html"

SIMULATION = Kind(
    "GBY-P001",
    "permissions",
    "simulation",
    """IAM tells what the caller may do (`iam:SimulatePrincipalPolicy`, and `iam:GetRole` for a session's role). Unknown
    where the caller may not ask, where IAM is too busy, and for federated users; the run goes on then.""",
    _SIMULATOR,
)
ALLOWED = Kind(
    "GBY-P002",
    "permissions",
    "permission",
    """What plan, apply and destroy of this stack call in AWS is allowed, and what its state needs. Fails for
    each action that is proven to be denied and that the run ahead calls for certain: no policy allows it, one
    denies it, the caller's boundary does not let it through, or a rule demands a permissions boundary on new
    roles and `role.permissions_boundary` is not set, or to another one. Warns for what is called only where
    something has to be made, changed or deleted: before a `plan`, for a role that may stand already, and for all
    that only a destroy needs. Unknown where a condition or a resource's own policy may decide otherwise.""",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
)
LOOKING = Kind(
    "GBY-P003",
    "permissions",
    "permission to look",
    """What only doctor, verify, resuming and leftovers need is allowed. Warns where it is not: a bootstrap works, and
    something will be unknown, or not be cleaned up.""",
    _SIMULATOR,
)
ORGANIZATION = Kind(
    "GBY-P004",
    "permissions",
    "organization",
    """No service control policy (SCP) of the organization denies what plan, apply and destroy of this stack call. Warns
    for each action that the simulator says one denies, and never fails: of SCPs with conditions the simulator says so
    of what AWS allows (https://github.com/aws/aws-sdk/issues/102, https://github.com/aws/aws-cli/issues/10525).""",
    "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html",
)
