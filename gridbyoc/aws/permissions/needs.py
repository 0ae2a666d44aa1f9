"""The action list of a stack: everything that the tool and Terraform call in AWS for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gridbyoc.aws.permissions.model import Need, Phase, Place
from gridbyoc.aws.permissions.ours import (
    increase_needs,
    leftover_needs,
    preflight_needs,
    quota_needs,
    resume_needs,
    verify_needs,
)
from gridbyoc.aws.permissions.state import bucket_needs, state_needs
from gridbyoc.aws.permissions.terraform import terraform_needs
from gridbyoc.stack.model import Role, S3Backend, Stack

USES: dict[str, tuple[Phase, ...]] = {
    "plan": ("state", "plan", "preflight", "quotas", "resume"),
    "bootstrap": ("state", "plan", "apply", "destroy", "preflight", "quotas", "resume"),
    "destroy": ("state", "plan", "destroy", "leftovers", "cleanup"),
    "doctor": ("preflight", "quotas"),
    "quotas": ("quotas", "increase"),
    "verify": ("verify",),
    "leftovers": ("leftovers", "cleanup"),
    "state-init": ("bucket",),
}
"""Which phases a command goes through. A bootstrap deletes, too: what is replaced, and, rolled back, what it made."""


def needs_of(
    stack: Stack | None,
    partition: str = "aws",
    account_id: str | None = None,
    *,
    phases: Iterable[Phase] | None = None,
    principal: str | None = None,
    native_lock: bool = True,
) -> tuple[Need, ...]:
    """Every need of ``stack`` (``None``: of any stack that leaves the role's name to the module), in a stable order.

    ``account_id`` ``None``: the stack's guard, else any account. ``phases``: only these (default: all).
    ``principal``: the ARN of the user or role that will run the tool, where it is known. ``native_lock``: the state
    is locked by an object in S3 (Terraform 1.10 and later). For another module than ours its resources' needs are not
    known and left out.
    """
    guard = stack.aws.account_id if stack else None
    region = stack.aws.region if stack else "*"
    place = Place(partition, account_id or guard or "*", region)
    wanted = frozenset(phases) if phases is not None else None
    every = _every(stack, place, principal, native_lock=native_lock)
    return tuple(dict.fromkeys(need for need in every if wanted is None or need.phase in wanted))


def phases_of(uses: Iterable[str]) -> frozenset[Phase]:
    """The phases of commands (keys of ``USES``), or of ``all``."""
    named = set(uses)
    chosen = USES if "all" in named else {use: USES[use] for use in named}
    return frozenset(phase for phases in chosen.values() for phase in phases)


def _every(stack: Stack | None, place: Place, principal: str | None, *, native_lock: bool) -> Iterator[Need]:
    role = stack.role if stack else Role()
    if stack is None or stack.terraform.module is None:
        yield from terraform_needs(role, place, narrow=stack is not None)
        yield from verify_needs(role, place)
        yield from resume_needs(role, place)
    backend = stack.terraform.backend if stack else None
    if isinstance(backend, S3Backend):
        yield from state_needs(backend, place, native_lock=native_lock)
    yield from preflight_needs(role, place, principal)
    yield from quota_needs()
    yield from increase_needs(place)
    yield from leftover_needs(place)
    default = f"gridbyoc-state-{place.account_id}-{place.region}"
    yield from bucket_needs(backend.bucket if isinstance(backend, S3Backend) else default, place)
