"""External ids that the role must go on to accept, so that a rotation never locks the control plane out.

Every apply keeps accepting the ids that our clusters still hold; once the control plane holds the new one everywhere,
a last apply drops the rest. What is kept is read from both sides, never from a record: a run that was killed anywhere
is taken up by the next.
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
    """The live clusters on these roles of which the control plane does not show the external id."""
    return tuple(each.name for each in clusters if each.role_arn in roles and each.external_id is None)


def external_ids_to_accept(
    site: PreparedStack, grant: Grant | None, clusters: Collection[Cluster]
) -> tuple[Secret, ...]:
    """What the role must go on to accept: ids that these clusters hold and that it accepts already.

    An id other than the state's own must stand in the live trust policy, so that nobody who can write to the control
    plane's record can widen the trust. The state's own is kept beside them: the request that hands it to a cluster may
    still be under way, sent by a run that was killed. Where a cluster's id is not shown, or the control plane is not
    asked, every accepted one is kept.
    """
    if grant is None:
        return ()
    roles = site.roles(grant)
    if site.without_api:
        return _ids_until_told(site, grant, roles)
    used = ids_in_use(clusters, roles)
    hidden = hide_their_id(clusters, roles) or site.preflight.registrar.unasked
    if not hidden and all(value == grant.external_id for value in used):
        return used
    accepted = {value for role in roles for value in accepted_external_ids(site.preflight.session, role)}
    wanted = accepted if hidden else accepted & set(used)
    others = sorted(wanted - {grant.external_id}, key=Secret.reveal)
    return (grant.external_id, *others)


def _ids_until_told(site: PreparedStack, grant: Grant, roles: Collection[str]) -> tuple[Secret, ...]:
    """Where nobody can be asked which id the vendor holds: each that we had it accept, until the user says otherwise.

    One that stands in the live trust policy alone is somebody else's, and is not kept.
    """
    if site.drop_old:
        return ()
    accepted = {value for role in roles for value in accepted_external_ids(site.preflight.session, role)}
    others = sorted((accepted & ids_applied(site.state)) - {grant.external_id}, key=Secret.reveal)
    return (grant.external_id, *others)


def ids_applied(state: State) -> frozenset[Secret]:
    """The external ids that the last apply had the stack's roles accept, also one that is being replaced."""
    modules = (state.module(MODULE), state.module(PREVIOUS_MODULE))
    return frozenset(each for module in modules for each in accepted_in(module.trust))


@dataclass(frozen=True, slots=True)
class Rotation:
    """What shows that an external id besides the stack's own is still meant to be accepted.

    ``held``: the ids that live clusters on the stack's roles hold at the control plane; ``None`` where it could not be
    asked, and ``unread`` says why. ``hidden``: the clusters of which it does not show the id. ``changing``: those that
    do not run, so that a change of their id may not be through. ``kept``: the ids that the last render of this work_dir
    wrote (``previous_external_ids``). ``holder``: another run that is at work on the stack, in words.
    """

    held: frozenset[Secret] | None
    kept: frozenset[Secret]
    hidden: tuple[str, ...] = ()
    changing: tuple[str, ...] = ()
    unread: str = ""
    holder: str = ""

    def under_way(self, external_id: Secret) -> bool | None:
        """Whether the id belongs to a rotation under way; ``None`` where that cannot be told.

        It does where both sides say so: a cluster still holds it, and our own render keeps it for that. A record of
        the control plane alone could have been written to widen the trust; a render alone may be an old one.
        """
        kept = external_id in self.kept
        if self.held is not None and external_id in self.held:
            return True if kept else None
        if self.holder or (kept and (self.held is None or self.hidden or self.changing)):
            return None
        return False

    def doubt(self, external_id: Secret) -> str:
        """Why it cannot be told, or why it does not belong to a rotation, in words."""
        if self.holder:
            return f"another run may be about to take it out: {self.holder.rstrip('.')}"
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
    """Ask the control plane and the work_dir which external ids a rotation keeps; the role that is replaced counts.

    Of a vendor without an API the state tells: it has what we went on to accept until the user says that it may go.
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
