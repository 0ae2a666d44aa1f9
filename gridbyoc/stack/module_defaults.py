"""What the gridbyoc module makes of a role where the stack file says nothing (modules/gridbyoc/variables.tf)."""

from __future__ import annotations

from gridbyoc.stack.model import PolicyStatement, Role

NAME_PREFIX = "grid-cloud-"
MANAGED_POLICIES = (
    "AmazonEC2FullAccess",
    "AmazonGuardDutyFullAccess_v2",
    "AmazonRoute53ResolverFullAccess",
    "AmazonS3FullAccess",
    "AmazonSNSFullAccess",
    "AmazonSQSFullAccess",
    "AmazonVPCFullAccess",
    "CloudWatchLogsFullAccess",
    "IAMFullAccess",
)
"""The guide's list, with the successor of its GuardDuty policy."""
STATEMENTS = (PolicyStatement(("eks:*", "ecr:*", "events:*")),)


def managed_policies_of(role: Role) -> tuple[str, ...]:
    """The managed policies that are attached to it: names of AWS's, or ARNs."""
    return MANAGED_POLICIES if role.managed_policies is None else role.managed_policies


def statements_of(role: Role) -> tuple[PolicyStatement, ...]:
    """The statements of its own policy; none: it has no such policy."""
    return STATEMENTS if role.statements is None else role.statements


def name_pattern_of(role: Role) -> str:
    """Its name, or the prefix of the name that is made for it, with a ``*``."""
    return role.name or f"{role.name_prefix or NAME_PREFIX}*"
