"""The end of a rotation, and the replacement of the role itself, without a moment in which nothing can be assumed.

A new role is made beside the old one; the control plane gets it; once every cluster runs through it, the old one goes.
The state tells how far that is: a run that was killed anywhere is taken up by the next.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.errors import SAFE_NOTHING_DONE, SAFE_RESUMES, ApprovalRequiredError, UsageError
from gridbyoc.render import PreviousRole
from gridbyoc.stack.files import remove
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.events import Note
from gridbyoc.steps.lock import SAVED_PLAN
from gridbyoc.steps.overlap import hide_their_id, ids_to_keep
from gridbyoc.steps.plan import Plan, users_of
from gridbyoc.steps.prepare import MODULE, PREVIOUS_MODULE, Site, current_grant, rerender
from gridbyoc.steps.protection import protection, refuse_if_protected
from gridbyoc.steps.role_policies import RolePolicies, read_role
from gridbyoc.steps.run import Run
from gridbyoc.steps.vendor_defaults import keep_standing_role
from gridbyoc.terraform import NOTHING_DONE, ApplySummary


def replace_role(run: Run, site: Site) -> Site:
    """Keep the role that stands as the previous one, so that the next apply makes a new one beside it.

    A replacement that is under way already is gone on with. ``UsageError`` where there is no role yet, the module is
    another one, or the name is fixed and the same.
    """
    if site.replacing:
        return site
    keep_standing_role(run.stack, site.standing)
    grant = current_grant(run, site)
    found = site.standing
    if grant is None or found.role_name is None or run.stack.terraform.module is not None:
        raise UsageError(
            "There is no role of the gridbyoc module to replace.", fix="Run `gridbyoc bootstrap` first.",
            rerun=SAFE_NOTHING_DONE,
        )  # fmt: skip
    if run.stack.role.name == found.role_name:
        raise UsageError(
            f"The new role cannot be named {found.role_name}, as the one it replaces.",
            fix="Change role.name in the stack file (or take it out: then a name is made), and run this again.",
            rerun=SAFE_NOTHING_DONE,
        )
    previous = PreviousRole.of(found.role_name, grant.role_arn)
    begun = replace(site, previous_role=previous, previous_arn=grant.role_arn)
    with run.effect("move", role=grant.role_arn):
        site.runner.move(MODULE, PREVIOUS_MODULE)
    rerender(run, begun)
    return begun


def finish_replacement(
    run: Run, site: Site, kept_ids: tuple[Secret, ...], grant: Grant, *, may_destroy: bool, may_plan: bool = True
) -> ApplySummary:
    """Once no cluster holds an old external id or runs through the old role any more, both go; what that changed.

    That takes a plan and an apply of its own: without ``may_plan`` it is left to the next bootstrap.
    """
    old_ids = any(value != grant.external_id for value in kept_ids)
    if not old_ids and site.previous_role is None:
        return NOTHING_DONE
    if not run.choices.wait or not may_plan:
        alike = "" if site.previous_role or may_plan else ", or the next plan that is applied,"
        run.outside.emit(Note(f"The old grant is still accepted; the next bootstrap{alike} drops it.", "warning"))
        return NOTHING_DONE
    clusters = site.preflight.registrar.list()
    done = site
    if site.previous_role is not None and _may_go(run, site, may_destroy=may_destroy):
        done = replace(site, previous_role=None, previous_arn=None)
    kept = ids_to_keep(done, grant, clusters)
    stay = _tell_who_needs_old_ids(run, clusters, done.roles(grant), set(kept) - {grant.external_id})
    if done is site and set(kept_ids) <= {grant.external_id, *kept}:
        return NOTHING_DONE
    rerender(run, done, kept)
    with run.step("apply") as step:
        dropped = _drop(run, site, grant, users_of(site, grant, clusters), may_destroy=may_destroy)
        if done.previous_role is not None:
            outcome = "the new role accepts no old external id any more; the old role stays"
        elif stay:
            outcome = "the old external id is accepted for those clusters alone"
        else:
            outcome = "the old grant is not accepted any more"
        step.detail = f"{dropped}; {outcome}"
    return dropped


def _tell_who_needs_old_ids(
    run: Run, clusters: Collection[Cluster], roles: Collection[str], old: Collection[Secret]
) -> bool:
    """Warn of the clusters for which old external ids stay accepted; whether there are any."""
    hidden = hide_their_id(clusters, roles)
    holders = tuple(c.name for c in clusters if c.role_arn in roles and c.external_id in old)
    if old and hidden:
        why = f"The control plane does not show which external id {', '.join(hidden)} holds"
        run.outside.emit(Note(f"{why}: the old stays accepted.", "warning"))
    elif holders:
        run.outside.emit(Note(f"The old external id stays accepted: {', '.join(holders)} still holds it.", "warning"))
    return bool(old)


def _drop(run: Run, site: Site, grant: Grant, users: tuple[str, ...], *, may_destroy: bool) -> ApplySummary:
    """Planned anew, for the wait was long: what nobody was shown may be in the plan by now, and is not destroyed."""
    saved = run.work_dir / SAVED_PLAN
    try:
        plan = Plan(site.runner.plan(out=saved), (), (), grant, policies=_losable(run, site, grant), users=users)
        if plan.destroys:
            refuse_if_protected(run, f"destroy {', '.join(plan.destroys)}", rerun=SAFE_RESUMES)
        if plan.destroys and not may_destroy:
            raise ApprovalRequiredError(
                f"Dropping the old grant would by now destroy: {', '.join(plan.destroys)}.",
                why="Something has changed since the plan that was approved.",
                fix="Look at `gridbyoc plan`, then run `gridbyoc bootstrap` again.",
                rerun=SAFE_RESUMES,
            )
        with run.effect("apply", planned="drop the old grant"):
            return site.runner.apply(saved)
    finally:
        remove(saved)


def _losable(run: Run, site: Site, grant: Grant) -> RolePolicies | None:
    """The policies on an exclusive role, of which an apply takes off what is not listed."""
    if not run.stack.role.exclusive:
        return None
    return read_role(site.preflight.session, grant.role_arn).policies(run.stack, grant.external_id)


def _may_go(run: Run, site: Site, *, may_destroy: bool) -> bool:
    listed = site.preflight.registrar.list()
    users = [cluster.name for cluster in listed if cluster.role_arn and cluster.role_arn == site.previous_arn]
    if users:
        run.outside.emit(Note(f"The old role stays: {', '.join(users)} still runs through it.", "warning"))
    elif place := protection(run):
        run.outside.emit(Note(f"The old role stays: the stack is protected ({place}).", "warning"))
    elif not may_destroy:
        run.outside.emit(Note("The old role stays until its destruction is approved (--yes-destroy).", "warning"))
    return may_destroy and not users and not run.stack.protect
