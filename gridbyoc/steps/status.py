"""Where a stack stands: from the journal, and from both sides live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gridbyoc.aws import await_trust, caller_identity, guard_account
from gridbyoc.control_plane.model import Cluster
from gridbyoc.errors import GridbyocError, OutputMissingError
from gridbyoc.stack.role_defaults import trusted_account_of
from gridbyoc.steps.journal import JOURNAL, read_journal
from gridbyoc.steps.lock import holder_of
from gridbyoc.steps.prepare import read_outputs
from gridbyoc.steps.role_policies import RolePolicies, read_role
from gridbyoc.steps.run import Run
from gridbyoc.terraform import Outputs
from gridbyoc.terraform.errored import UnsavedState, unsaved_state


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run in the journal. ``code`` is its error's, or ``killed`` where it never wrote its end."""

    verb: str
    began: str
    code: str | None
    last_step: str
    open_effects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What was found; a side that could not be read is named in ``unknown`` with the reason.

    ``policies``: the role's, compared with the stack file; ``None`` where there is no role, or another module makes it.
    """

    last_run: LastRun | None
    holder: str | None
    role_arn: str | None
    trust: str
    clusters: tuple[Cluster, ...]
    unknown: Mapping[str, str]
    errored_state: bool
    next_step: str
    policies: RolePolicies | None = None


def stack_status(run: Run) -> Status:
    """Read the journal, the lock, the state, the live role and the control plane; nothing is changed."""
    last = _last_run(read_journal(run.work_dir / JOURNAL))
    unknown: dict[str, str] = {}
    outputs = _outputs(run, unknown)
    trust, policies = _role(run, outputs, unknown) if outputs else ("no role yet", None)
    clusters = _clusters(run, outputs, unknown)
    unsaved = unsaved_state(run.own_work_dir, run.outside.environ)
    holder = holder_of(run.own_work_dir)
    return Status(
        last,
        holder,
        outputs.role_arn if outputs else None,
        trust,
        clusters,
        unknown,
        unsaved is not None,
        _next_step(run, outputs, clusters, unknown, policies, unsaved=unsaved, holder=holder),
        policies,
    )


def _last_run(records: tuple[dict[str, Any], ...]) -> LastRun | None:
    starts = [record for record in records if record.get("type") == "run_started"]
    if not starts:
        return None
    begin = starts[-1]
    mine = [record for record in records if record.get("run") == begin.get("run")]
    ends = [record for record in mine if record.get("type") == "run_ended"]
    steps = [str(record.get("step")) for record in mine if "step" in record]
    begun = [_effect(record) for record in mine if record.get("type") == "effect_started"]
    done = {_effect(record) for record in mine if record.get("type") == "effect_done"}
    code = ends[-1].get("code") if ends else "killed"
    left = tuple(effect for effect in begun if effect not in done)
    return LastRun(str(begin.get("verb")), str(begin.get("time")), code, steps[-1] if steps else "none", left)


def _effect(record: Mapping[str, Any]) -> str:
    return " ".join(str(record[key]) for key in ("effect", "cluster") if record.get(key))


def _outputs(run: Run, unknown: dict[str, str]) -> Outputs | None:
    try:
        return read_outputs(run)
    except OutputMissingError:
        return None
    except GridbyocError as error:
        unknown["state"] = f"{error.what} {error.why}".strip()
        return None


def _role(run: Run, outputs: Outputs, unknown: dict[str, str]) -> tuple[str, RolePolicies | None]:
    """Whether the role admits the control plane, in words; its policies, compared with the stack file."""
    try:
        session = run.open_session()
        guard_account(caller_identity(session), run.stack.aws.account_id)
        outside = run.outside
        account = trusted_account_of(run.stack.role)
        found = await_trust(
            session, outputs.role_arn, outputs.external_id, account,
            sleep=outside.sleep, clock=outside.clock, timeout=0.0,
        )  # fmt: skip
    except GridbyocError as error:
        unknown["role"] = f"{error.what} {error.why}".strip()
        return "not proven", None
    policies = read_role(session, outputs.role_arn).policies(run.stack, outputs.external_id)
    if policies is not None and policies.unknown:
        unknown["role's policies"] = "; ".join(policies.unknown)
    return found.detail, policies


def _clusters(run: Run, outputs: Outputs | None, unknown: dict[str, str]) -> tuple[Cluster, ...]:
    try:
        listed = run.connect().list()
    except GridbyocError as error:
        unknown["control plane"] = f"{error.what} {error.why}".strip()
        return ()
    names = {spec.name for spec in run.stack.clusters}
    role_arn = outputs.role_arn if outputs else None
    return tuple(c for c in listed if c.name in names or (role_arn is not None and c.role_arn == role_arn))


def _next_step(
    run: Run,
    outputs: Outputs | None,
    clusters: tuple[Cluster, ...],
    unknown: Mapping[str, str],
    policies: RolePolicies | None,
    *,
    unsaved: UnsavedState | None,
    holder: str | None,
) -> str:
    if holder:
        return "Wait for the run that is under way."
    if unsaved:
        return f"{unsaved.where} {unsaved.fix()}"
    if unknown:
        return f"Mend what could not be read ({', '.join(unknown)}), then look again."
    if policies is not None and policies.undeclared:
        return policies.remedy
    running = {c.name for c in clusters if c.status == "running"}
    if outputs and not (policies and policies.differs) and all(spec.name in running for spec in run.stack.clusters):
        return "Nothing: the stack is up. `gridbyoc drift` looks closer."
    return "Run `gridbyoc bootstrap`: it goes on from what exists."
