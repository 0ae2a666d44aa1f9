"""The result of a bootstrap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gridbyoc.control_plane.model import Cluster
from gridbyoc.operations.changes import Action, ClusterChange
from gridbyoc.operations.role_policies import RolePolicies
from gridbyoc.operations.run import Run
from gridbyoc.operations.vendor_handover import VendorHandover, handover_of
from gridbyoc.terraform import ApplySummary, Outputs

if TYPE_CHECKING:
    from gridbyoc.operations.prepare import PreparedStack


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a bootstrap. ``changed`` is false if nothing had to be changed on either side.

    ``resources`` counts the changes of every apply of the run, including the last one of a rotation or replacement.

    ``policies``: the live role's, compared with the stack file; ``None`` if another module makes it. ``unasked``: why
    the control plane of a stack without clusters was not asked. ``handover``: the data to send to a vendor without an
    API. ``roles``: the ARN of each role by its name, if the module makes several. With ``--no-wait``: ``deleting`` are
    the clusters whose deletion was requested; ``old_grant``: whether the next run has an old grant to drop. Of a
    partial run: ``only`` are the clusters that it was limited to, ``left_out`` the stack file's others.
    """

    stack: str
    account_id: str
    role_arn: str
    role_name: str | None
    changed: bool
    resources: Mapping[str, int]
    clusters: tuple[Cluster, ...]
    actions: Mapping[str, Action]
    seconds: Mapping[str, float]
    policies: RolePolicies | None = None
    unasked: str = ""
    handover: VendorHandover | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    deleting: tuple[Cluster, ...] = ()
    old_grant: bool = False
    only: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def limited(self, only: tuple[str, ...], left_out: tuple[str, ...]) -> Report:
        """The report of a partial run that had nothing to change; itself if ``only`` is empty."""
        if not only:
            return self
        clusters = tuple(cluster for cluster in self.clusters if cluster.name in only)
        actions = {name: action for name, action in self.actions.items() if name in only}
        return replace(self, clusters=clusters, actions=actions, only=only, left_out=left_out)

    @property
    def remarks(self) -> tuple[str, ...]:
        """A sentence for each difference from the stack file, although nothing had to be changed."""
        return self.policies.warnings(put_right=False) if self.policies else ()


def report_of(
    run: Run,
    site: PreparedStack,
    outputs: Outputs,
    applies: Iterable[ApplySummary],
    changes: tuple[ClusterChange, ...],
    clusters: tuple[Cluster, ...],
    policies: RolePolicies | None,
) -> Report:
    """The report of a completed run; ``applies`` are the applies that it made."""
    resources = dict.fromkeys(("add", "change", "destroy"), 0)
    for done in applies:
        resources = {name: count + getattr(done, name) for name, count in resources.items()}
    actions: dict[str, Action] = {change.name: change.action for change in changes}
    changed = any(resources.values()) or any(action != "none" for action in actions.values())
    return Report(
        run.stack.name,
        site.preflight.caller.account_id,
        outputs.role_arn,
        outputs.role_name,
        changed,
        resources,
        clusters,
        actions,
        {str(step): took for step, took in run.seconds.items()},
        policies,
        site.preflight.registrar.unasked,
        handover_of(run.stack, site.preflight.caller.account_id, outputs.every_role),
        outputs.roles,
        only=run.only,
        left_out=run.left_out,
    )
