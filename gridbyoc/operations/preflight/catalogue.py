"""All checks and all kinds of findings."""

from __future__ import annotations

from gridbyoc.operations.finding import FindingKind
from gridbyoc.operations.preflight.control_plane import CHECKS as CONTROL_PLANE
from gridbyoc.operations.preflight.identity import CHECKS as IDENTITY
from gridbyoc.operations.preflight.machine import CLOCK_CHECKS, DISK_CHECKS, TERRAFORM_CHECKS
from gridbyoc.operations.preflight.model import Check
from gridbyoc.operations.preflight.offerings import CHECKS as OFFERINGS
from gridbyoc.operations.preflight.permissions import CHECKS as PERMISSIONS
from gridbyoc.operations.preflight.policies import CHECKS as POLICIES
from gridbyoc.operations.preflight.quotas import CHECKS as QUOTAS

CHECKS: tuple[Check, ...] = (
    *TERRAFORM_CHECKS,
    *DISK_CHECKS,
    *CLOCK_CHECKS,
    *IDENTITY,
    *PERMISSIONS,
    *POLICIES,
    *QUOTAS,
    *OFFERINGS,
    *CONTROL_PLANE,
)
"""In the order of a run: the machine, the caller, permissions, the account's quotas, the control plane."""

KINDS: tuple[FindingKind, ...] = tuple(
    sorted((kind for check in CHECKS for kind in check.kinds), key=lambda kind: kind.code)
)
