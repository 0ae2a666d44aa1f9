"""The quotas of one scene: its region, its clusters, its account."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from gridbyoc.aws import AwsSession
from gridbyoc.aws.quotas import Increase, open_request, read_quotas
from gridbyoc.errors import AwsError
from gridbyoc.stack.defaults import INSTANCE_TYPES
from gridbyoc.stack.model import DialectName
from gridbyoc.steps.background import Background
from gridbyoc.steps.preflight.scene import Scene
from gridbyoc.steps.quotas.needs import PER_ROLE, fixed_needs, per_role_need, quotas_of, types_of, vcpu_needs
from gridbyoc.steps.quotas.review import QuotaRow, review


def quota_rows(scene: Scene) -> tuple[QuotaRow, ...]:
    """A row for every quota that the scene's clusters run into; raises only where there are no AWS credentials.

    Without a stack file nothing is needed: the rows tell what there is, for the instance types of a starter.
    """
    session = scene.session()
    names = wanted_types(scene)
    reading = Background(lambda: read_quotas(session, quotas_of(names), names))
    new = scene.new_clusters()
    account = reading.result()
    if scene.stack is None:
        return tuple(_numbers(row) for row in review(account, {}))
    dialect = scene.stack.control_plane.type
    needs = fixed_needs(new, dialect, scene.has_role)
    needs |= vcpu_needs(new, dialect, account.vcpus, account.vcpus_why)
    if scene.stack.terraform.module is None:  # another module gives the role what it likes
        needs[PER_ROLE] = per_role_need(scene.stack.role, scene.has_role)
    return _with_pending(session, review(account, needs))


def wanted_types(scene: Scene) -> tuple[str, ...]:
    """The instance types of every cluster of the scene, each once."""
    if scene.stack is None:
        return INSTANCE_TYPES
    dialect: DialectName = scene.stack.control_plane.type
    return tuple(dict.fromkeys(item.name for spec in scene.wanted for item in types_of(spec, dialect)))


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
