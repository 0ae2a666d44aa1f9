"""The quotas of one scene: its region, its clusters, its account."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from gridbyoc.aws import AwsSession
from gridbyoc.aws.quotas import AccountQuotas, Increase, open_request, read_quotas
from gridbyoc.errors import AwsError
from gridbyoc.stack.defaults import INSTANCE_TYPES
from gridbyoc.stack.model import DialectName, Stack
from gridbyoc.stack.service_quotas import SPOT, vcpu_quota
from gridbyoc.steps.background import Background
from gridbyoc.steps.preflight.scene import Scene
from gridbyoc.steps.quotas.needs import (
    MARKETS,
    PER_ROLE,
    Need,
    fixed_needs,
    per_role_need,
    quotas_of,
    types_of,
    vcpu_needs,
)
from gridbyoc.steps.quotas.review import QuotaRow, review


def quota_rows(scene: Scene) -> tuple[QuotaRow, ...]:
    """A row for every quota that the scene's clusters run into; raises only where there are no AWS credentials.

    Without a stack file nothing is needed: the rows tell what there is, for the instance types of a starter.
    """
    session = scene.session()
    names = wanted_types(scene)
    reading = Background(lambda: read_quotas(session, quotas_of(names), names))
    scene.listed()  # asked meanwhile
    account = reading.result()
    if scene.stack is None:
        return tuple(_numbers(row) for row in review(account, {}))
    rows = review(account, _needs(scene, scene.stack, account))
    return _with_pending(session, (_spot_alone(row, rows, names) for row in rows))


def _needs(scene: Scene, stack: Stack, account: AccountQuotas) -> dict[str, Need]:
    """By quota code. Where a cluster may stand already that the control plane cannot be asked about, all is soft.

    Without a role of the stack none can.
    """
    new, dialect = scene.new_clusters(), stack.control_plane.type
    needs = fixed_needs(new, dialect, scene.has_role)
    needs |= vcpu_needs(new, dialect, account.vcpus, account.vcpus_why)
    if scene.listed() is None and scene.has_role is not False:
        needs = {code: replace(need, soft=True) for code, need in needs.items()}
    if stack.terraform.module is None:  # another module gives the role what it likes
        needs[PER_ROLE] = per_role_need(stack.role, scene.has_role)
    return needs


def _spot_alone(row: QuotaRow, rows: Iterable[QuotaRow], names: Iterable[str]) -> QuotaRow:
    """A shortage on the spot market alone: a cluster works without, where its machines can be started on demand."""
    if row.verdict != "fail" or row.quota.market != SPOT:
        return row
    counterparts = {vcpu_quota(name) for name in names if vcpu_quota(name, SPOT) == row.quota}
    if any(other.quota in counterparts and other.verdict == "fail" for other in rows):
        return row
    return replace(row, verdict="warn", why=f"{row.why} Such machines start on demand, and not as spot.".strip())


def wanted_types(scene: Scene) -> tuple[str, ...]:
    """The instance types of every cluster of the scene, each once."""
    if scene.stack is None:
        return INSTANCE_TYPES
    dialect: DialectName = scene.stack.control_plane.type
    return tuple(dict.fromkeys(item.name for spec in scene.wanted for item in types_of(spec, dialect)))


def without_quota(scene: Scene) -> tuple[tuple[str, str], ...]:
    """The instance types of the stack file that AWS names no vCPU quota for, each with the market."""
    names = wanted_types(scene) if scene.stack else ()
    return tuple((name, market) for name in names for market in MARKETS if vcpu_quota(name, market) is None)


def _numbers(row: QuotaRow) -> QuotaRow:
    """Where nothing is needed the numbers are all there is: what could not be read is unknown."""
    why = row.reading.limit.why if row.limit is None else row.reading.use.why
    return replace(row, verdict="unknown", why=why) if row.limit is None or row.in_use is None else row


def _with_pending(session: AwsSession, rows: Iterable[QuotaRow]) -> tuple[QuotaRow, ...]:
    """What is short, with the request for it that is open already."""
    found = tuple(rows)
    short = [row for row in found if row.verdict == "fail"]
    if not short:
        return found
    looking = {row.quota.code: Background(partial(_pending, session, row)) for row in short}
    pending = {code: look.result() for code, look in looking.items()}
    return tuple(replace(row, pending=pending.get(row.quota.code)) for row in found)


def _pending(session: AwsSession, row: QuotaRow) -> Increase | None:
    """Whether a request is open is beside the point of the row: where it cannot be told, nothing is said."""
    try:
        return open_request(session, row.quota)
    except AwsError:
        return None
