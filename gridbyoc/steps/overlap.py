"""External ids that the role must go on to accept, so that a rotation never locks the control plane out.

Every apply keeps accepting the ids that our clusters still hold; once the control plane holds the new one everywhere,
a last apply drops the rest. What is kept is read from both sides, never from a record: a run that was killed anywhere
is taken up by the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gridbyoc.aws import accepted_external_ids
from gridbyoc.control_plane.model import Cluster, Grant, Phase
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.prepare import Site


def ids_in_use(clusters: Iterable[Cluster], roles: Collection[str]) -> tuple[Secret, ...]:
    """The external ids that live clusters hold for these roles, each once, in a stable order."""
    held = {
        cluster.external_id.reveal()
        for cluster in clusters
        if cluster.external_id and cluster.role_arn in roles and cluster.phase is not Phase.DELETED
    }
    return tuple(Secret(value) for value in sorted(held))


def hide_their_id(clusters: Iterable[Cluster], roles: Collection[str]) -> tuple[str, ...]:
    """The live clusters on these roles of which the control plane does not show the external id."""
    live = (cluster for cluster in clusters if cluster.phase is not Phase.DELETED and cluster.role_arn in roles)
    return tuple(cluster.name for cluster in live if cluster.external_id is None)


def ids_to_keep(site: Site, grant: Grant | None) -> tuple[Secret, ...]:
    """What the role must go on to accept: ids in use that it accepts already.

    An id other than the state's own must stand in the live trust policy, so that nobody who can write to the control
    plane's record can widen the trust. The state's own is kept beside them: the request that hands it to a cluster may
    still be under way, sent by a run that was killed. Where a cluster's id is not shown, every accepted one is kept.
    """
    if grant is None:
        return ()
    roles = site.roles(grant)
    used = ids_in_use(site.preflight.clusters, roles)
    hidden = hide_their_id(site.preflight.clusters, roles)
    if not hidden and all(value == grant.external_id for value in used):
        return used
    accepted = {value for role in roles for value in accepted_external_ids(site.preflight.session, role)}
    wanted = accepted if hidden else accepted & set(used)
    others = sorted(wanted - {grant.external_id}, key=Secret.reveal)
    return (grant.external_id, *others)
