"""The AWS permissions that the tool and Terraform need, and the policy that allows exactly those."""

from gridbyoc.aws.permissions.model import (
    MANAGED_POLICY_LIMIT,
    MANDATORY,
    PHASES,
    Need,
    NeedPhase,
    SimulatedPrincipal,
    policy_document,
    policy_size,
    principal_of,
    split_document,
)
from gridbyoc.aws.permissions.needs import USES, Part, needs_of, phases_of
from gridbyoc.aws.permissions.simulate import WITHOUT_BOUNDARY, SimulationResult, makes_role_without_boundary, simulate

__all__ = [
    "MANAGED_POLICY_LIMIT",
    "MANDATORY",
    "PHASES",
    "USES",
    "WITHOUT_BOUNDARY",
    "Need",
    "NeedPhase",
    "Part",
    "SimulatedPrincipal",
    "SimulationResult",
    "makes_role_without_boundary",
    "needs_of",
    "phases_of",
    "policy_document",
    "policy_size",
    "principal_of",
    "simulate",
    "split_document",
]
