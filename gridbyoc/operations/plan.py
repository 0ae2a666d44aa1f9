"""One plan for both sides: Terraform's changes and the control plane's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.errors import SharedRoleError
from gridbyoc.operations.accepted_ids import external_ids_to_accept
from gridbyoc.operations.changes import ClusterChange, cluster_changes, standing_cost
from gridbyoc.operations.lock import SAVED_PLAN
from gridbyoc.operations.partial import refuse_touching_others
from gridbyoc.operations.prepare import MODULE, PreparedStack, current_grant, rerender
from gridbyoc.operations.role_policies import RolePolicies, RoleReading, read_role
from gridbyoc.operations.run import Run
from gridbyoc.operations.vendor_defaults import keep_standing_role
from gridbyoc.render import KnownPolicies
from gridbyoc.stack.background import Background
from gridbyoc.stack.files import remove
from gridbyoc.stack.model import Stack
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import PlanSummary, ResourceChange

ATTACHMENTS_EXCLUSIVE = "aws_iam_role_policy_attachments_exclusive"
INLINE_EXCLUSIVE = "aws_iam_role_policies_exclusive"
ROLE = f"{MODULE}.aws_iam_role.this"
OWN_ATTACHMENT = f"{MODULE}.aws_iam_role_policy_attachment.this[0]"
_MANAGED = re.compile(re.escape(MODULE) + r'\.aws_iam_role_policy_attachment\.managed\["(.+)"\]')


@dataclass(frozen=True, slots=True)
class Plan:
    """What a bootstrap would do. ``terraform`` is ``None`` if a fresh role is created without a plan.

    ``policies``: the live role's policies compared with the stack file; ``None`` if there is no role yet, or another
    module makes it. ``users``: the clusters that run through the stack's roles, including those being deleted, which
    still need the role. ``unasked``: why the control plane was not asked for them. Of a partial run: ``only`` are the
    clusters that it is limited to, ``left_out`` the stack file's others.
    """

    terraform: PlanSummary | None
    clusters: tuple[ClusterChange, ...]
    costs: tuple[str, ...]
    grant: Grant | None
    kept_ids: tuple[Secret, ...] = ()
    saved: Path | None = None
    policies: RolePolicies | None = None
    users: tuple[str, ...] = ()
    unasked: str = ""
    only: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def has_changes(self) -> bool:
        """Whether anything would change on either side."""
        by_terraform = self.terraform is None or self.terraform.has_changes
        return by_terraform or any(change.action != "none" for change in self.clusters)

    @property
    def destroys(self) -> tuple[str, ...]:
        """What would be destroyed or replaced: resource addresses and clusters."""
        resources = self.terraform.changes if self.terraform else ()
        return (
            *(
                change.address
                for change in resources
                if change.action in {"delete", "replace"} and _real(change.address) and not self._half_made(change)
            ),
            *self.detaches,
            *(f"cluster {change.name}" for change in self.clusters if change.action == "delete"),
        )

    @property
    def detaches(self) -> tuple[str, ...]:
        """The policies that an exclusive role would lose.

        Terraform detaches them while it creates or changes the lists of what the role may have. For a new list, its
        plan names none of them.
        """
        lists, left = self.exclusive, self._left
        if left is None or not lists:
            return ()
        return (
            *(f"{arn} (is detached from the role)" for arn in left.attached if ATTACHMENTS_EXCLUSIVE in lists),
            *(f"inline policy {name}" for name in left.inline if INLINE_EXCLUSIVE in lists),
            *(f"policies of the role that are not known ({why})" for why in left.unknown),
        )

    @property
    def exclusive(self) -> frozenset[str]:
        """Resource types of the exclusive lists that the apply creates or changes.

        Deleting a list detaches nothing.
        """
        made = (change for change in self.terraform.changes if change.action != "delete") if self.terraform else ()
        return frozenset({change.address.split(".")[0] for change in made} & {ATTACHMENTS_EXCLUSIVE, INLINE_EXCLUSIVE})

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each policy that differs from the stack file, or is unknown, and would stay so."""
        left = self._left
        if left is None:
            return ()
        put_right = self.terraform is None or self.terraform.has_changes
        return (replace(left, attached=(), inline=()) if self.detaches else left).warnings(put_right=put_right)

    @property
    def _left(self) -> RolePolicies | None:
        """The role's policies without those that this plan removes: the module's own, or all together with the role."""
        return self.policies.without(self._taken_off) if self.policies else None

    @property
    def _taken_off(self) -> frozenset[str] | None:
        """The policies that the plan removes from the role, by ARN or AWS's name.

        ``None`` if the role is destroyed with all.
        """
        changes = self.terraform.changes if self.terraform else ()
        gone = {change.address for change in changes if change.action in {"delete", "replace"}}
        if ROLE in gone:
            return None
        own = {self.policies.own_arn} if self.policies and OWN_ATTACHMENT in gone else set()
        return frozenset(own | {found[1] for found in map(_MANAGED.fullmatch, gone) if found})

    @property
    def handed_on(self) -> tuple[str, ...]:
        """What the apply would change of the grant (``role_arn``, ``external_id``); clusters receive the new values."""
        changed = self.terraform.outputs if self.terraform and self.grant else ()
        return tuple(name for name in ("role_arn", "external_id", "roles") if name in changed)

    def _half_made(self, change: ResourceChange) -> bool:
        """Whether the resource is tainted: creating it was interrupted, and it is created again.

        A role does not count if clusters use it, or may use it.
        """
        in_use = ".aws_iam_role." in change.address and bool(self.users or self.unasked)
        return change.reason == "tainted" and ".aws_iam_" in change.address and not in_use


def make_plan(run: Run, site: PreparedStack, *, with_terraform: bool = True) -> Plan:
    """Plan both sides. The saved plan stays in the work_dir until it is applied or removed."""
    keep_standing_role(run.stack, site.standing)
    grant = current_grant(run, site)
    reading = role_reading(run, site, grant)
    kept = render_for_plan(run, site, grant, reading)
    with run.step("plan") as step:
        # First the checks that may refuse: a saved plan holds secrets and must not be left behind.
        changes = cluster_changes(
            site.preflight.registrar, run.stack, site.preflight.clusters, grant, our_roles=site.roles(grant),
            only=run.only,
        )  # fmt: skip
        saved = run.work_dir / SAVED_PLAN if with_terraform else None
        summary = site.runner.plan(out=saved) if with_terraform else None
        if summary:
            step.detail = f"{summary.add} to add, {summary.change} to change, {summary.destroy} to destroy"
        else:
            step.detail = "a new role"
    policies = policies_read(run, reading, grant)
    users = users_of(site, grant, site.preflight.clusters)
    unasked = site.preflight.registrar.unasked
    costs = costs_of(run.stack, changes)
    plan = Plan(summary, changes, costs, grant, kept, saved, policies, users, unasked, run.only, run.left_out)
    try:
        refuse_touching_others(run, plan, users)
    except SharedRoleError:
        if saved:
            remove(saved)
        raise
    return plan


def render_for_plan(
    run: Run, site: PreparedStack, grant: Grant | None, reading: Background[RoleReading] | None
) -> tuple[Secret, ...]:
    """Render the root with everything that was read. Returns the external ids that it keeps accepting."""
    kept = external_ids_to_accept(site, grant, site.preflight.clusters)
    rerender(run, site, kept, known_on(run, reading))
    return kept


def users_of(site: PreparedStack, grant: Grant | None, clusters: Iterable[Cluster]) -> tuple[str, ...]:
    """Clusters that run through a role of the stack, including a role that is being replaced or has no outputs."""
    roles = site.roles(grant) | {site.standing.role_arn}
    return tuple(cluster.name for cluster in clusters if cluster.role_arn is not None and cluster.role_arn in roles)


def role_reading(run: Run, site: PreparedStack, grant: Grant | None) -> Background[RoleReading] | None:
    """The live role, read in the background; ``None`` if there is none yet.

    A first apply that was cut off may have left a role without outputs. It is read if it is exclusive, because it loses
    policies then.
    """
    arn = grant.role_arn if grant else None
    if arn is None and run.stack.role.exclusive and not site.fresh:
        arn = site.standing.role_arn
    session = site.preflight.session
    return Background(partial(read_role, session, arn)) if arn else None


def policies_read(run: Run, reading: Background[RoleReading] | None, grant: Grant | None) -> RolePolicies | None:
    """The role's policies according to the reading, without the external id."""
    return reading.result().policies(run.stack, grant.external_id if grant else Secret("")) if reading else None


def known_on(run: Run, reading: Background[RoleReading] | None) -> KnownPolicies | None:
    """The known policies on an exclusive role, for its root; ``None`` keeps those of the last render."""
    if not run.stack.role.exclusive:
        return None
    if reading is None:
        return KnownPolicies()
    policies = reading.result().policies(run.stack, Secret(""))
    return KnownPolicies(policies.known, policies.known_inline) if policies and not policies.unknown else None


def costs_of(stack: Stack, changes: Iterable[ClusterChange]) -> tuple[str, ...]:
    """A sentence for each cluster that would be created or changed."""
    return tuple(
        standing_cost(change.spec, stack.control_plane.type)
        for change in changes
        if change.spec is not None and change.action in {"create", "update"}
    )


def _real(address: str) -> bool:
    """Whether a resource exists outside the state. ``terraform_data`` only holds the external id.

    The lists of an exclusive role do not exist in AWS either: if they are deleted, the role keeps its policies.
    """
    kinds = ("terraform_data", ATTACHMENTS_EXCLUSIVE, INLINE_EXCLUSIVE)
    return not any(f".{kind}." in f".{address}" for kind in kinds)
