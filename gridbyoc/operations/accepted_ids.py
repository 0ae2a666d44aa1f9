"""External ids that the role must keep accepting, so that a rotation never locks the control plane out.

Every apply keeps the ids that our clusters still hold. Once the control plane uses the new id everywhere, a last apply
drops the others. The ids are read from the control plane and the live role, never from a record, so the next run can
continue after a run that was killed at any point.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from gridbyoc.aws import accepted_external_ids
from gridbyoc.aws.trust import accepted_in
from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.lock import holder_of
from gridbyoc.operations.prepare import MODULE, PREVIOUS_MODULE, PreparedStack
from gridbyoc.operations.run import Run
from gridbyoc.render import standing_ids
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import State


def ids_in_use(clusters: Iterable[Cluster], roles: Collection[str]) -> tuple[Secret, ...]:
    """The external ids that live clusters hold for these roles, each once, in a stable order."""
    held = {cluster.external_id.reveal() for cluster in clusters if cluster.external_id and cluster.role_arn in roles}
    return tuple(Secret(value) for value in sorted(held))


def hide_their_id(clusters: Iterable[Cluster], roles: Collection[str]) -> tuple[str, ...]:
    """Names of the clusters on these roles whose external id the control plane does not show."""
    return tuple(each.name for each in clusters if each.role_arn in roles and each.external_id is None)


def external_ids_to_accept(
    site: PreparedStack, grant: Grant | None, clusters: Collection[Cluster]
) -> tuple[Secret, ...]:
    """The external ids that the role must keep accepting: those that these clusters hold and the role already accepts.

    An id other than the state's own must be in the live trust policy. Otherwise anyone who can write the control
    plane's records could widen the trust. The state's own id is always included: a run that was killed may have sent a
    request that gives it to a cluster. If the control plane hides a cluster's id or was not asked, every accepted id is
    kept.
    """
    if grant is None:
        return ()
    roles = site.roles(grant)
    if site.without_api:
        return _ids_until_dropped(site, grant, roles)
    used = ids_in_use(clusters, roles)
    hidden = hide_their_id(clusters, roles) or site.preflight.registrar.unasked
    if not hidden and all(value == grant.external_id for value in used):
        return used
    accepted = {value for role in roles for value in accepted_external_ids(site.preflight.session, role)}
    wanted = accepted if hidden else accepted & set(used)
    others = sorted(wanted - {grant.external_id}, key=Secret.reveal)
    return (grant.external_id, *others)


def _ids_until_dropped(site: PreparedStack, grant: Grant, roles: Collection[str]) -> tuple[Secret, ...]:
    """The ids to keep for a vendor without an API: all that we ever applied, until the user drops them.

    An id that only the live trust policy contains is not ours, and is not kept.
    """
    if site.drop_old:
        return ()
    accepted = {value for role in roles for value in accepted_external_ids(site.preflight.session, role)}
    others = sorted((accepted & ids_applied(site.state)) - {grant.external_id}, key=Secret.reveal)
    return (grant.external_id, *others)


def ids_applied(state: State) -> frozenset[Secret]:
    """The external ids that the last apply let the stack's roles accept, including a role that is being replaced."""
    modules = (state.module(MODULE), state.module(PREVIOUS_MODULE))
    return frozenset(each for module in modules for each in accepted_in(module.trust))


@dataclass(frozen=True, slots=True)
class Rotation:
    """Evidence that an external id other than the stack's own must still be accepted.

    ``held``: the ids that the control plane records for live clusters on the stack's roles; ``None`` if it could not be
    asked (``unread`` says why). ``hidden``: clusters whose id it does not show. ``changing``: clusters that are not
    running, whose id may still be changing. ``kept``: the ids in this work_dir's last render
    (``previous_external_ids``). ``holder``: another run that is working on the stack, in words.
    """

    held: frozenset[Secret] | None
    kept: frozenset[Secret]
    hidden: tuple[str, ...] = ()
    changing: tuple[str, ...] = ()
    unread: str = ""
    holder: str = ""

    def under_way(self, external_id: Secret) -> bool | None:
        """Whether the id belongs to a rotation in progress; ``None`` if unknown.

        It does if a cluster still holds it and our own render keeps it. The control plane's record alone is not enough:
        it could have been written to widen the trust. A render alone may be out of date.
        """
        kept = external_id in self.kept
        if self.held is not None and external_id in self.held:
            return True if kept else None
        if self.holder or (kept and (self.held is None or self.hidden or self.changing)):
            return None
        return False

    def doubt(self, external_id: Secret) -> str:
        """Explain why the answer is unknown, or why the id belongs to no rotation."""
        if self.holder:
            return f"another run may be about to remove it: {self.holder.rstrip('.')}"
        if self.held is None:
            return f"the control plane could not be asked which ids its clusters hold: {self.unread.rstrip('.')}"
        if external_id in self.held:
            return "a cluster holds it, and the last render of this work_dir does not keep it"
        if self.hidden:
            return f"the control plane does not show which id {', '.join(self.hidden)} holds"
        if external_id in self.kept:
            changing = f", and {', '.join(self.changing)} does not run yet" if self.changing else ""
            return f"the last render keeps it, no cluster of the stack holds it any more{changing}"
        return "no cluster of the stack holds it, and no render keeps it"


NO_ROTATION = Rotation(frozenset(), frozenset())
"""No cluster holds another id, and no render keeps one."""


def rotation_of(run: Run, state: State, role_arn: str) -> Rotation:
    """Ask the control plane and the work_dir which external ids a rotation keeps, also for a role being replaced.

    For a vendor without an API, the state says which ids the last apply kept, until the user drops them.
    """
    if run.stack.control_plane.type == "manual":
        applied = ids_applied(state)
        return Rotation(held=applied, kept=applied)
    kept, holder = frozenset(standing_ids(run.work_dir)), holder_of(run.own_work_dir) or ""
    try:
        registrar = run.registrar()
        clusters = registrar.list()
    except GridbyocError as error:
        return Rotation(None, kept, unread=error.what, holder=holder)
    if registrar.unasked:
        return Rotation(None, kept, unread=registrar.unasked, holder=holder)
    roles = {arn for arn in (role_arn, state.module(PREVIOUS_MODULE).role_arn) if arn}
    live = [each for each in clusters if each.role_arn in roles]
    return Rotation(
        held=frozenset(ids_in_use(live, roles)),
        kept=kept,
        hidden=hide_their_id(live, roles),
        changing=tuple(each.name for each in live if each.status != "running"),
        holder=holder,
    )
