"""The status of a stack: from the journal, and live from AWS and the control plane."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridbyoc.control_plane.model import Cluster
from gridbyoc.errors import (
    DefaultChangedError,
    GridbyocError,
    OutputMissingError,
    SharedRoleError,
    StateMovedError,
    TrustError,
)
from gridbyoc.operations.accepted_ids import ids_applied
from gridbyoc.operations.handoff.record import HandedOver, last_handoff
from gridbyoc.operations.journal import JOURNAL, read_journal, role_was_made
from gridbyoc.operations.lock import holder_of
from gridbyoc.operations.partial import clusters_of_partial
from gridbyoc.operations.prepare import MODULE, PREVIOUS_MODULE, grant_of, read_state
from gridbyoc.operations.release_marker import Marker, adopt_command, read_marker
from gridbyoc.operations.role_policies import RolePolicies, read_role
from gridbyoc.operations.run import Run
from gridbyoc.operations.state_removal import REMOVAL
from gridbyoc.operations.vendor_defaults import keep_standing_role
from gridbyoc.render import values_differ
from gridbyoc.stack.words import enumerated
from gridbyoc.terraform import Outputs, State, read_outputs
from gridbyoc.terraform.state_recovery import UnsavedState, unsaved_state


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run in the journal.

    ``code``: the code of its error, ``killed`` if the journal has no end of it, ``under way`` if a run still holds the
    lock. ``only``: the clusters that a partial run was limited to (``--cluster``).
    """

    verb: str
    began: str
    code: str | None
    last_step: str
    open_effects: tuple[str, ...]
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """What was found. ``unknown``: each side that could not be read, with the reason.

    ``policies``: the role's policies compared with the stack file; ``None`` if there is no role or another module makes
    it. ``unasked``: why the control plane of a stack without clusters was not asked. ``roles``: each role's ARN by its
    name, if the module makes several. ``unlisted``: the names of clusters that use the role but are not in the stack
    file. ``handoff``: the newest one in the journal of this work_dir. ``vendor``: the name of the vendor without an API
    that the role is handed over to. ``admitted``: whether the live role admits whom it should; ``None``: unknown.
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
    released: Marker | None = None
    unasked: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    unlisted: tuple[str, ...] = ()
    handoff: HandedOver | None = None
    vendor: str = ""
    admitted: bool | None = None


UNDER_WAY = "under way"
ROLE_GONE = "IAM does not know the role"
CHANGING = ("bootstrap", "apply", "rotate", "destroy")


@dataclass(slots=True)
class _Look:
    """What was read, to choose the next step from.

    ``failures``: the error of each side that could not be read. ``edited``: what the stack file asks to change,
    compared with the last render and the control plane. ``role_was_made``: says the journal.
    """

    run: Run
    last: LastRun | None
    holder: str | None
    unsaved: UnsavedState | None
    role_was_made: bool = False
    state: State = field(default_factory=State)
    outputs: Outputs | None = None
    trust: str = "no role yet"
    policies: RolePolicies | None = None
    trusts: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict, repr=False)
    admitted: bool | None = None
    clusters: tuple[Cluster, ...] = ()
    unlisted: tuple[str, ...] = ()
    handoff: HandedOver | None = None
    edited: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    failures: dict[str, GridbyocError] = field(default_factory=dict)
    released: Marker | None = None
    unasked: str = ""

    def failed(self, side: str, error: GridbyocError) -> None:
        """Record why a side could not be read."""
        self.unknown[side] = f"{error.what} {error.why}".strip()
        self.failures[side] = error

    @property
    def file(self) -> str:
        """The stack file as a shell word, relative to the current directory; "" for the default file."""
        file = self.run.stack.file
        if file is None or (file.name == "gridbyoc.yaml" and file.parent == Path.cwd()):
            return ""
        near = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
        return shlex.quote(str(near))

    def command(self, verb: str, option: str = "") -> str:
        """``gridbyoc VERB FILE`` or ``gridbyoc VERB OPTION FILE``, ready to type."""
        words = ("gridbyoc", verb, *((option, self.file) if self.file else ()))
        return f"`{' '.join(filter(None, words))}`"


def stack_status(run: Run) -> Status:
    """Read the journal, the lock, the state, the live role and the control plane. Changes nothing."""
    holder = holder_of(run.own_work_dir)
    records = read_journal(run.work_dir / JOURNAL)
    look = _Look(
        run,
        _last_run(records, under_way=holder is not None),
        holder,
        unsaved_state(run.own_work_dir, run.outside.environ),
        role_was_made(records),
        released=read_marker(run.own_work_dir),
    )
    _read_state(look)
    if look.outputs is not None:
        _read_role(look, look.outputs)
        look.edited += ["role"] if values_differ(run.stack, run.work_dir) else []
    _read_clusters(look)
    role_arn = look.outputs.role_arn if look.outputs else None
    if "state" not in look.failures:
        look.handoff = last_handoff(records, look.outputs, look.trusts, admitted=look.admitted)
    return Status(
        look.last,
        look.holder,
        role_arn,
        look.trust,
        look.clusters,
        look.unknown,
        look.unsaved is not None,
        _next_step(look),
        look.policies,
        look.released,
        unasked=look.unasked,
        roles=look.outputs.roles if look.outputs else {},
        unlisted=look.unlisted,
        handoff=look.handoff,
        vendor=run.stack.control_plane.vendor,
        admitted=look.admitted,
    )


def _last_run(records: tuple[dict[str, Any], ...], *, under_way: bool) -> LastRun | None:
    starts = [record for record in records if record.get("type") == "run_started"]
    if not starts:
        return None
    begin = starts[-1]
    mine = [record for record in records if record.get("run") == begin.get("run")]
    ends = [record for record in mine if record.get("type") == "run_ended"]
    steps = [str(record.get("step")) for record in mine if "step" in record]
    begun = [_effect(record) for record in mine if record.get("type") == "effect_started"]
    done = {_effect(record) for record in mine if record.get("type") == "effect_done"}
    code = ends[-1].get("code") if ends else UNDER_WAY if under_way else "killed"
    left = tuple(effect for effect in begun if effect not in done)
    last_step = steps[-1] if steps else "none"
    return LastRun(str(begin.get("verb")), str(begin.get("time")), code, last_step, left, clusters_of_partial(mine))


def _effect(record: Mapping[str, Any]) -> str:
    return " ".join(str(record[key]) for key in ("effect", "cluster") if record.get(key))


def _read_state(look: _Look) -> None:
    try:
        look.state = read_state(look.run)
        look.outputs = read_outputs(look.state.outputs)
    except OutputMissingError:
        return
    except GridbyocError as error:
        look.failed("state", error)


def _read_role(look: _Look, outputs: Outputs) -> None:
    """Read whether the role admits the control plane, and how its policies differ from the stack file."""
    run = look.run
    try:
        session, _ = run.account()
        details, judged = [], {}
        for name, role_arn in outputs.every_role.items():
            found = run.live_trust(session, role_arn, outputs.external_id)
            details.append(f"{name}: {found.detail}" if outputs.roles else found.detail)
            judged[role_arn] = found
        look.trust = "; ".join(details)
        look.trusts = {arn: each.policy for arn, each in judged.items()}
        look.admitted = True if all(each.verdict == "admitted" for each in judged.values()) else None
    except TrustError as error:
        look.failures["role"] = error
        look.admitted = False
        why = f"{error.what} {error.why}".strip() if outputs.roles else error.why or error.what
        look.trust = ROLE_GONE if error.why.startswith(ROLE_GONE) else f"refused: {why}"
        if look.trust == ROLE_GONE:
            return
    except GridbyocError as error:
        look.failed("role", error)
        look.trust = "not proven"
        return
    look.policies = read_role(session, outputs.role_arn).policies(run.stack, outputs.external_id)
    if look.policies is not None and look.policies.unknown:
        look.unknown["role's policies"] = "; ".join(look.policies.unknown)


def _read_clusters(look: _Look) -> None:
    """Read the stack's clusters, and which of them the stack file asks to change."""
    run, outputs = look.run, look.outputs
    try:
        registrar = run.registrar()
        listed = registrar.list()
    except GridbyocError as error:
        look.failed("control plane", error)
        return
    look.unasked = registrar.unasked
    names = {spec.name for spec in run.stack.clusters}
    role_arn = outputs.role_arn if outputs else None
    look.clusters = tuple(c for c in listed if c.name in names or (role_arn is not None and c.role_arn == role_arn))
    if outputs is None:
        return
    there = {cluster.name: cluster for cluster in look.clusters if cluster.role_arn == role_arn}
    for spec in run.stack.clusters:
        cluster = there.pop(spec.name, None)
        if cluster is None or registrar.diff(cluster, spec, grant_of(run, outputs)):
            look.edited.append(f"cluster {spec.name}")
    look.unlisted = tuple(there)


def _next_step(look: _Look) -> str:
    """The first step that applies, with a command that is ready to type."""
    return next(filter(None, (step(look) for step in _STEPS)))


def _under_way(look: _Look) -> str:
    return "Wait for the run that is under way." if look.holder else ""


def _released(look: _Look) -> str:
    if look.released is None:
        return ""
    return f"The stack was released: `{adopt_command(look.released, look.file)}` takes it back."


def _unsaved_state(look: _Look) -> str:
    return f"{look.unsaved.where} {look.unsaved.fix(file=look.file)}" if look.unsaved else ""


def _default_changed(look: _Look) -> str:
    """Set if a default differs from what the role has: bootstrap refuses until the stack file states the value."""
    try:
        keep_standing_role(look.run.stack, look.state.module(MODULE))
    except DefaultChangedError as error:
        return f"{error.fix} Then look at {look.command('plan')}."
    return ""


def _state_elsewhere(look: _Look) -> str:
    if not isinstance(look.failures.get("state"), StateMovedError):
        return ""
    return f"The state is elsewhere. Run {look.command('state migrate')}, or put terraform.backend back as it was."


def _not_trusted(look: _Look) -> str:
    if not isinstance(look.failures.get("role"), TrustError):
        return ""
    if look.trust == ROLE_GONE:
        return f"The role was deleted outside of gridbyoc. Run {look.command('bootstrap')}: it creates the role again."
    return (
        f"The role does not admit the control plane: {look.command('verify')} shows why. "
        f"{look.command('bootstrap')} restores the trust policy."
    )


def _unread(look: _Look) -> str:
    if not look.unknown:
        return ""
    sides = ", ".join(look.unknown)
    return f"Not everything could be read ({sides}): {look.command('doctor', '--stack')} says what to do."


def _undeclared(look: _Look) -> str:
    if look.policies is None or not look.policies.undeclared:
        return ""
    return look.policies.remedy.replace("`gridbyoc bootstrap`", look.command("bootstrap"))


def _never_run_or_destroyed(look: _Look) -> str:
    if look.outputs is not None or (look.last is not None and look.last.open_effects):
        return ""
    destroyed = look.last is not None and look.last.verb == "destroy" and look.last.code is None
    emptied = bool(look.state.lineage) and not look.state.kinds
    if emptied or destroyed:
        return f"The stack was destroyed. {look.command('bootstrap')} creates it again."
    if look.last is None:
        return f"The stack has never been run from here. Run {look.command('plan')}, then {look.command('bootstrap')}."
    return ""


def _lost_state(look: _Look) -> str:
    """The state has no role, but the control plane or the journal knows one: bootstrap would make a second one."""
    destroyed = bool(look.state.lineage) and not look.state.kinds
    resumes = look.last is not None and look.last.open_effects
    if look.outputs is not None or "state" in look.failures or destroyed or resumes:
        return ""
    through = {cluster.role_arn: cluster.name for cluster in look.clusters if cluster.role_arn}
    if not through and not look.role_was_made:
        return ""
    role_arn, name = next(iter(sorted(through.items())), ("ROLE_ARN", ""))
    known = f"the cluster {name} runs through {role_arn}" if name else "the journal says that this stack made one"
    take_back = "" if look.run.stack.terraform.module else f", or run {look.command(f'adopt {role_arn}')}"
    return (
        f"The state has no role, but {known}. If this stack made that role, restore its state{take_back}; "
        f"{look.command('bootstrap')} would make a second role."
    )


def _cut_off(look: _Look) -> str:
    if look.last is None or look.last.code is None or look.last.verb not in CHANGING:
        return ""
    if look.last.code == SharedRoleError.code:
        return ""  # nothing was done, and the same run would be refused again
    again = "destroy" if look.last.verb == "destroy" else "bootstrap"
    again += " --with-state" if REMOVAL in look.last.open_effects else ""
    again += "".join(f" --cluster {shlex.quote(name)}" for name in look.last.only)
    ended = "was killed, or could not record its end" if look.last.code == "killed" else f"ended with {look.last.code}"
    return f"The last {look.last.verb} {ended}. Run {look.command(again)}: it continues from what exists."


def _unlisted(look: _Look) -> str:
    """Someone may have registered them with a handoff, so do not suggest bootstrap, which would delete them."""
    if not look.unlisted:
        return ""
    one = len(look.unlisted) == 1
    names = enumerated(look.unlisted)
    what, it = (f"The cluster {names} uses", "it") if one else (f"The clusters {names} use", "them")
    return (
        f"{what} the role but {'is' if one else 'are'} not in the stack file. Add {it} to `clusters`, so that "
        f"{look.command('drift')} compares {it}; otherwise {look.command('bootstrap')} would delete {it}."
    )


def _edited(look: _Look) -> str:
    if not look.edited:
        return ""
    return (
        f"The stack file differs from what exists ({', '.join(look.edited)}). Run "
        f"{look.command('plan')}, then {look.command('bootstrap')}."
    )


def _failed_or_waiting(look: _Look) -> str:
    """Clusters of the stack that exist but do not run."""
    names = {spec.name for spec in look.run.stack.clusters}
    there = [cluster for cluster in look.clusters if cluster.name in names and cluster.status != "running"]
    failed = [cluster.name for cluster in there if cluster.status == "failed"]
    if failed:
        return f"Fix the reason why {', '.join(failed)} failed, then run {look.command('bootstrap')}."
    coming = [cluster.name for cluster in there if cluster.status in ("queued", "pending", "configuring")]
    return f"Wait: {look.command(f'clusters wait {shlex.quote(coming[0])}', '--stack')}." if coming else ""


def _to_hand_over(look: _Look) -> str:
    """A vendor without an API: a person hands the role over, and again after a change."""
    vendor = look.run.stack.control_plane.vendor
    if not vendor or look.outputs is None or (look.handoff is not None and look.handoff.standing != "changed"):
        return ""
    if look.handoff is None and _old_grant(look):
        return ""  # the replaced role or id was handed over in another way
    why = "The role or its external id has changed since the handover" if look.handoff else "The role is up"
    return f"{why}. Hand it over to {vendor}: {look.command('handoff --reveal')} prints what to send and how."


def _old_grant(look: _Look) -> str:
    """A vendor without an API: the old role or id stays accepted until the user says that it can be dropped."""
    stack = look.run.stack
    if stack.control_plane.type != "manual" or stack.terraform.module is not None or look.outputs is None:
        return ""
    replaced = look.state.module(PREVIOUS_MODULE).present
    if not replaced and ids_applied(look.state) <= {look.outputs.external_id}:
        return ""
    vendor, old = look.run.stack.control_plane.vendor, "role" if replaced else "external id"
    drop = look.command("rotate --no-control-plane --drop-old")
    return f"The old {old} is still accepted: once {vendor} confirms that the new one works, run {drop}."


def _all_is_well(look: _Look) -> str:
    running = {cluster.name for cluster in look.clusters if cluster.status == "running"}
    differs = look.policies is not None and look.policies.differs
    if look.outputs and not differs and all(spec.name in running for spec in look.run.stack.clusters):
        if look.run.stack.control_plane.type == "manual":
            vendor = look.run.stack.control_plane.vendor
            return f"Nothing here: the role is up. Only {vendor} can say whether it works."
        if look.unasked:
            return (
                f"Nothing: the role is up, and the file lists no cluster. {look.command('drift')} compares in detail."
            )
        return f"Nothing: the stack is up. {look.command('drift')} compares in detail."
    return f"Run {look.command('bootstrap')}: it continues from what exists."


_STEPS: tuple[Callable[[_Look], str], ...] = (
    _under_way,
    _released,
    _unsaved_state,
    _state_elsewhere,
    _default_changed,
    _not_trusted,
    _unread,
    _undeclared,
    _lost_state,
    _never_run_or_destroyed,
    _cut_off,
    _unlisted,
    _edited,
    _failed_or_waiting,
    _to_hand_over,
    _old_grant,
    _all_is_well,
)
