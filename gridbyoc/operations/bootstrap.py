"""Bootstrap: the steps from a stack file to running clusters, idempotent and resumable."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.control_plane.registrar import refuse_unasked, without_word
from gridbyoc.errors import SAFE_NOTHING_DONE, SAFE_RESUMES, ApprovalRequiredError, StalePlanError, UsageError
from gridbyoc.operations.accepted_ids import external_ids_to_accept, hide_their_id
from gridbyoc.operations.changes import ClusterChange, cluster_changes
from gridbyoc.operations.converged import remember_converged, short_way
from gridbyoc.operations.events import Note
from gridbyoc.operations.import_orphans import import_orphans
from gridbyoc.operations.lock import SAVED_PLAN
from gridbyoc.operations.options import Approval, BootstrapOptions, EditBody
from gridbyoc.operations.partial import refuse_touching_others
from gridbyoc.operations.plan import Plan, make_plan, users_of
from gridbyoc.operations.prepare import (
    MODULE,
    PREVIOUS_MODULE,
    PreparedStack,
    current_grant,
    grant_of,
    prepare,
    rerender,
)
from gridbyoc.operations.protection import protection, refuse_if_protected
from gridbyoc.operations.report import Report, report_of
from gridbyoc.operations.role_policies import RolePolicies, read_role
from gridbyoc.operations.rollback import CreatedResources, compensating
from gridbyoc.operations.run import Run
from gridbyoc.operations.vendor_defaults import keep_standing_role
from gridbyoc.operations.wait import delete_and_wait, known_of, refuse_new_deletions, wait_for
from gridbyoc.render import PreviousRole
from gridbyoc.stack.files import remove
from gridbyoc.stack.model import ClusterSpec
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import NOTHING_DONE, ApplySummary


def replace_role(run: Run, site: PreparedStack) -> PreparedStack:
    """Keep the current role as the previous one, so that the next apply makes a new role beside it.

    Continues a replacement that is already under way. Raises ``UsageError`` if there is no role yet, the stack uses
    another module, or the role's name is fixed and unchanged.
    """
    if site.state.module(PREVIOUS_MODULE).present:
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
            f"The new role cannot be named {found.role_name}, like the role that it replaces.",
            fix="Change role.name in the stack file (or remove it to have a name generated), and run this again.",
            rerun=SAFE_NOTHING_DONE,
        )
    own = found.own_policy.get("name")
    if own is not None and run.stack.role.policy.name == own:
        raise UsageError(
            f"The new role's own policy cannot be named {own}, like that of the role that it replaces.",
            fix="Change role.policy.name in the stack file (or remove role.policy: it is then named after the new "
            "role), and run this again.",
            rerun=SAFE_NOTHING_DONE,
        )
    previous = PreviousRole.of(found.role_name, grant.role_arn, found.own_policy)
    with run.effect("move", role=grant.role_arn):
        site.runner.move(MODULE, PREVIOUS_MODULE)
    return replace(site, previous_role=previous, previous_arn=grant.role_arn, state=site.runner.state())


def finish_replacement(
    run: Run,
    site: PreparedStack,
    kept_ids: tuple[Secret, ...],
    grant: Grant,
    *,
    may_destroy: bool,
    may_plan: bool = True,
) -> ApplySummary:
    """Drop old external ids and the old role once no cluster uses them. Returns what that changed.

    This needs its own plan and apply; without ``may_plan`` the next bootstrap does it.
    """
    old_ids = any(value != grant.external_id for value in kept_ids)
    if not old_ids and site.previous_role is None:
        return NOTHING_DONE
    if site.without_api and run.stack.terraform.module is not None:
        return NOTHING_DONE  # whether another module accepts more than one id is not decided here
    if site.without_api and not site.drop_old:
        vendor = run.stack.control_plane.vendor
        old = "role and its external id stay" if site.previous_role else "external id stays"
        run.outside.emit(
            Note(
                f"The old {old} accepted. Give {vendor} the new one; once {vendor} says that it works with it, "
                "`gridbyoc rotate --no-control-plane --drop-old` drops the old.",
                "warning",
            )
        )
        return NOTHING_DONE
    if not run.choices.wait or not may_plan:
        alike = "" if site.previous_role or may_plan else ", or the next plan that is applied,"
        run.outside.emit(Note(f"The old grant is still accepted; the next bootstrap{alike} drops it.", "warning"))
        return NOTHING_DONE
    if (unasked := site.preflight.registrar.unasked) and not site.without_api:
        run.outside.emit(Note(f"The old grant is still accepted: it is unknown who uses it ({unasked}).", "warning"))
        return NOTHING_DONE
    clusters = site.preflight.registrar.list()
    done = site
    if site.previous_role is not None and _may_go(run, site, clusters, may_destroy=may_destroy):
        done = replace(site, previous_role=None, previous_arn=None)
    kept = external_ids_to_accept(done, grant, clusters)
    stay = _tell_who_needs_old_ids(run, clusters, done.roles(grant), set(kept) - {grant.external_id})
    if done is site and set(kept_ids) <= {grant.external_id, *kept}:
        return NOTHING_DONE
    rerender(run, done, kept)
    with run.step("apply") as step:
        dropped = _drop(run, site, grant, users_of(site, grant, clusters), may_destroy=may_destroy)
        if done.previous_role is not None:
            outcome = "the new role no longer accepts an old external id; the old role stays"
        elif stay:
            outcome = "the old external id is accepted for those clusters only"
        else:
            outcome = "the old grant is no longer accepted"
        step.detail = f"{dropped}; {outcome}"
    return dropped


def _tell_who_needs_old_ids(
    run: Run, clusters: Collection[Cluster], roles: Collection[str], old: Collection[Secret]
) -> bool:
    """Warn about the clusters that still need old external ids; true if any id stays accepted."""
    hidden = hide_their_id(clusters, roles)
    holders = tuple(c.name for c in clusters if c.role_arn in roles and c.external_id in old)
    if old and hidden:
        why = f"The control plane does not show which external id {', '.join(hidden)} holds"
        run.outside.emit(Note(f"{why}: the old one stays accepted.", "warning"))
    elif holders:
        run.outside.emit(Note(f"The old external id stays accepted: {', '.join(holders)} still holds it.", "warning"))
    return bool(old)


def _drop(run: Run, site: PreparedStack, grant: Grant, users: tuple[str, ...], *, may_destroy: bool) -> ApplySummary:
    """Plan and apply dropping the old grant. The wait was long: changes that nobody was shown are not destroyed."""
    saved = run.work_dir / SAVED_PLAN
    try:
        plan = Plan(site.runner.plan(out=saved), (), (), grant, policies=_losable(run, site, grant), users=users)
        if plan.destroys:
            refuse_if_protected(run, f"destroy {', '.join(plan.destroys)}", rerun=SAFE_RESUMES)
        if plan.destroys and not may_destroy:
            raise ApprovalRequiredError(
                f"Dropping the old grant would now also destroy: {', '.join(plan.destroys)}.",
                why="Something has changed since the plan that was approved.",
                fix="Look at `gridbyoc plan`, then run `gridbyoc bootstrap` again.",
                rerun=SAFE_RESUMES,
            )
        with run.effect("apply", planned="drop the old grant"):
            return site.runner.apply(saved)
    finally:
        remove(saved)


def _losable(run: Run, site: PreparedStack, grant: Grant) -> RolePolicies | None:
    """The policies on an exclusive role: the apply detaches those that the stack file does not list."""
    if not run.stack.role.exclusive:
        return None
    return read_role(site.preflight.session, grant.role_arn).policies(run.stack, grant.external_id)


def _may_go(run: Run, site: PreparedStack, clusters: Collection[Cluster], *, may_destroy: bool) -> bool:
    users = [cluster.name for cluster in clusters if cluster.role_arn and cluster.role_arn == site.previous_arn]
    if users:
        run.outside.emit(Note(f"The old role stays: {', '.join(users)} still runs through it.", "warning"))
    elif place := protection(run):
        run.outside.emit(Note(f"The old role stays: the stack is protected ({place}).", "warning"))
    elif not may_destroy:
        run.outside.emit(Note("The old role stays until its destruction is approved (--yes-destroy).", "warning"))
    return may_destroy and not users and not run.stack.protect


NO_OPTIONS = BootstrapOptions()


def bootstrap(run: Run, approval: Approval, options: BootstrapOptions = NO_OPTIONS) -> Report:
    """Make AWS and the control plane match the stack file, and wait until the clusters run.

    With ``--yes``, a fresh role is applied without a plan: nothing exists that it could destroy. Everything else is
    planned and approved, and exactly that plan is applied. If another machine applied in between, a run that asks
    nobody plans once more. If nothing has changed since the last good run, Terraform is not started (unless
    ``choices.refresh``). The caller holds the stack's lock.
    """
    return short_way(run, options) or long_way(run, approval, options)


def long_way(run: Run, approval: Approval, options: BootstrapOptions = NO_OPTIONS) -> Report:
    """Bootstrap with Terraform, even if nothing has changed."""
    if options.new_role:
        refuse_if_protected(run, "replace its role")
    try:
        return _bootstrap(run, approval, options)
    except StalePlanError:
        if not approval.create_and_change or run.choices.finishing:
            raise
    run.outside.emit(Note("Another run has changed the stack meanwhile: planning anew.", "warning"))
    return _bootstrap(run, approval, options)


def _bootstrap(run: Run, approval: Approval, options: BootstrapOptions) -> Report:
    made = CreatedResources()
    run = made.watching(run)
    site = prepare(run)
    if options.new_role or options.needs_role:
        refuse_unasked(site.preflight.registrar, "rotate the grant")
    site = replace(import_orphans(run, site), drop_old=options.drop_old)
    site = replace_role(run, site) if options.new_role else site
    plan = make_plan(run, site, with_terraform=not (site.fresh and approval.create_and_change))
    return carry_out(run, site, plan, approval, options, made)


def carry_out(
    run: Run, site: PreparedStack, plan: Plan, approval: Approval, options: BootstrapOptions, made: CreatedResources
) -> Report:
    """Approve and apply a plan, prove the trust, register, wait, and delete clusters no longer in the file."""
    done = _approve_and_apply(run, site, plan, approval, options, made)
    with run.step("output") as step:
        # Nothing was applied, and nobody was asked meanwhile: the outputs read before are still valid.
        step.skipped = plan.terraform is not None and not plan.has_changes and site.outputs is not None
        outputs = site.outputs if step.skipped and site.outputs else site.runner.output()
    grant = grant_of(run, outputs)
    proven = prove_trust(run, site, grant, outputs.every_role)
    changes = _final_changes(run, site, plan, grant)
    with compensating(run, site, grant, made, rollback=options.rollback):
        clusters = register_clusters(run, site, changes, grant, options.edit, made)
    clusters = wait_for(run, site.preflight.registrar, clusters)
    # Before the old grant is dropped: a cluster needs it until its deletion is complete.
    deleting = _delete_unlisted(run, site, changes)
    may_plan = not options.only_planned and not run.only
    last = finish_replacement(run, site, plan.kept_ids, grant, may_destroy=approval.destroy, may_plan=may_plan)
    reading = read_role(site.preflight.session, grant.role_arn)
    policies = reading.policies(run.stack, grant.external_id)
    report = report_of(run, site, outputs, (done, last), changes, clusters, policies)
    remember_converged(run, site, grant, report, reading.role if proven else None)
    if run.choices.wait and not run.only:
        return report
    old_grant = site.previous_role is not None or bool(set(plan.kept_ids) - {grant.external_id})
    return replace(report, deleting=deleting, old_grant=old_grant)


def _approve_and_apply(
    run: Run, site: PreparedStack, plan: Plan, approval: Approval, options: BootstrapOptions, made: CreatedResources
) -> ApplySummary:
    """Approve the plan and apply it. The saved plan is removed in any case."""
    try:
        if options.needs_role and plan.grant is None:
            raise UsageError("There is no role yet.", fix="Run `gridbyoc bootstrap` first.", rerun=SAFE_NOTHING_DONE)
        _approve(run, site, plan, approval)
        if options.on_approved is not None:
            options.on_approved()
        if options.rollback:
            made.snapshot(site)
        return _apply(run, site, plan)
    finally:
        if plan.saved:
            remove(plan.saved)


def _approve(run: Run, site: PreparedStack, plan: Plan, approval: Approval) -> None:
    refuse_new_deletions(run, (each.cluster for each in plan.clusters if each.action == "delete" and each.cluster))
    if not plan.has_changes or approval.create_and_change:
        for warning in plan.warnings:
            run.outside.emit(Note(warning, "warning"))
    if not plan.has_changes:
        return
    if site.without_api:
        _guard_handed_on(run, site, plan)
    if plan.destroys:
        refuse_if_protected(run, f"destroy or replace {', '.join(plan.destroys)}")
        _refuse_unasked(site, plan)
    if plan.destroys and not approval.destroy and approval.create_and_change:
        raise ApprovalRequiredError(
            f"This would destroy: {', '.join(plan.destroys)}.",
            why="--yes approves creation and change, never destruction.",
            fix="Look at `gridbyoc plan`; if it is meant, run again with --yes-destroy as well.",
            rerun=SAFE_NOTHING_DONE,
        )
    if approval.create_and_change:
        for cost in plan.costs:
            run.outside.emit(Note(cost))
        return
    from gridbyoc.operations.review.review import review_of  # here: only a run that asks needs it

    found = review_of(run, site, plan)
    with run.asking():
        approved = approval.ask(found)
    if not approved:
        raise ApprovalRequiredError("The plan was not approved.", rerun=SAFE_NOTHING_DONE)


def _guard_handed_on(run: Run, site: PreparedStack, plan: Plan) -> None:
    """Warn before a vendor without an API loses access. Raises ``UsageError`` for ``drop_old`` in such a plan."""
    if site.drop_old and plan.handed_on:
        raise UsageError(
            f"The old grant cannot be dropped: the plan would make another {' and '.join(plan.handed_on)} first.",
            why="What the vendor holds would not be accepted any more, and it does not have the new one yet.",
            fix="Run `gridbyoc bootstrap`, give the vendor the new one, then drop the old.",
            rerun=SAFE_NOTHING_DONE,
        )
    if run.stack.terraform.module is not None and "external_id" in plan.handed_on:
        vendor = run.stack.control_plane.vendor
        text = f"{vendor} must have the new external id at once: the other module does not keep accepting the old one."
        run.outside.emit(Note(text, "warning"))


def _refuse_unasked(site: PreparedStack, plan: Plan) -> None:
    """Refuse to destroy what clusters may need while the control plane has not been asked for them.

    A vendor without an API can never be asked: what the stack file removes from its role may go, the role may not.
    """
    doing = f"destroy or replace {', '.join(plan.destroys)}"
    if not site.without_api:
        refuse_unasked(site.preflight.registrar, doing)
    elif any(".aws_iam_role." in address for address in plan.destroys):
        raise without_word(site.preflight.registrar, doing)


def _apply(run: Run, site: PreparedStack, plan: Plan) -> ApplySummary:
    with run.step("apply") as step:
        if plan.terraform is not None and not plan.terraform.has_changes:
            step.skipped = True
            step.detail = "nothing to change"
            return NOTHING_DONE
        _refuse_more_users(run, site, plan)
        _refuse_more_detaches(run, site, plan)
        with run.effect("apply", planned="saved" if plan.saved else "fresh"):
            done = site.runner.apply(plan.saved)
        step.detail = str(done)
        return done


def _refuse_more_users(run: Run, site: PreparedStack, plan: Plan) -> None:
    """Ask again who uses the role before a partial run changes it: the question may have been open for long."""
    if run.only and plan.terraform is not None:
        refuse_touching_others(run, plan, users_of(site, plan.grant, site.preflight.registrar.list()))


def _refuse_more_detaches(run: Run, site: PreparedStack, plan: Plan) -> None:
    """Raise ``StalePlanError`` if an exclusive role has a policy that the plan did not know of.

    Called right before the apply: Terraform detaches every policy that is attached by then, even if the plan did not
    show it.
    """
    if plan.policies is None or not plan.exclusive:
        return
    reading = read_role(site.preflight.session, plan.policies.role_arn)
    now = reading.policies(run.stack, plan.grant.external_id if plan.grant else Secret(""))
    if now is None:
        return
    then = {*plan.policies.undeclared, *plan.policies.accepted}
    more = [f"the apply would detach: {name}" for name in (*now.undeclared, *now.accepted) if name not in then]
    more += [f"no longer known: {why}" for why in now.unknown if why not in plan.policies.unknown]
    if more:
        raise StalePlanError(
            "The role may have other policies than when this was planned.",
            diagnostics=tuple(more),
            why="role.exclusive detaches every unlisted policy, and the plan did not show all of these.",
            fix="Plan again.",
            rerun=SAFE_NOTHING_DONE,
        )


def prove_trust(run: Run, site: PreparedStack, grant: Grant, roles: Mapping[str, str] | None = None) -> bool:
    """The trust step: each live role admits the control plane with this external id, else ``TrustError``.

    ``roles``: the ARN of each by its name; without them, the grant's own. Returns whether all was proven: false if
    AWS's documentation does not settle a condition.
    """
    roles = roles or {"role": grant.role_arn}
    details, proven = [], True
    with run.step("trust") as step:
        for name, role_arn in roles.items():
            trust = run.live_trust(site.preflight.session, role_arn, grant.external_id, wait=True)
            details.append(trust.detail if len(roles) == 1 else f"{name}: {trust.detail}")
            if trust.verdict == "unknown":
                proven = False
                run.outside.emit(Note(f"The {name}'s trust could not be proven: {trust.detail}.", "warning"))
        step.detail = "; ".join(details)
    return proven


def _final_changes(run: Run, site: PreparedStack, plan: Plan, grant: Grant) -> tuple[ClusterChange, ...]:
    if plan.grant == grant:
        return plan.clusters
    preflight = site.preflight
    ours = site.roles(plan.grant)
    changes = cluster_changes(preflight.registrar, run.stack, preflight.clusters, grant, our_roles=ours, only=run.only)
    # A role that existed before may have clusters of others: only clusters that the plan showed are deleted.
    shown = {change.name for change in plan.clusters if change.action == "delete"}
    return tuple(change for change in changes if change.action != "delete" or change.name in shown)


def register_clusters(
    run: Run,
    site: PreparedStack,
    changes: tuple[ClusterChange, ...],
    grant: Grant,
    edit: EditBody | None,
    made: CreatedResources,
) -> tuple[Cluster, ...]:
    """The register step: create and update clusters as ``changes`` say. Returns the stack's clusters, in file order."""
    clusters = []
    with run.step("register") as step:
        for change in changes:
            if change.spec is not None:
                clusters.append(_register_one(run, site, change, change.spec, grant, edit, made))
        counts = {action: sum(c.action == action for c in changes) for action in ("create", "update", "none")}
        step.skipped = not counts["create"] and not counts["update"]
        step.detail = f"{counts['create']} created, {counts['update']} updated, {counts['none']} unchanged"
    return tuple(clusters)


def _register_one(
    run: Run,
    site: PreparedStack,
    change: ClusterChange,
    spec: ClusterSpec,
    grant: Grant,
    edit: EditBody | None,
    made: CreatedResources,
) -> Cluster:
    registrar = site.preflight.registrar
    if change.cluster is not None and change.action == "none":
        return change.cluster
    with run.effect(change.action, cluster=spec.name) as result:
        if change.cluster is not None:
            cluster = registrar.update(change.cluster, spec, grant)
        else:
            body = _edited(run, edit, spec, registrar.request(spec, grant)) if edit else None
            created = registrar.create(spec, grant, body=body)
            cluster = created.cluster
            if created.adopted:
                run.outside.emit(Note(f"The cluster {spec.name} already existed with this role: it is adopted."))
                # A run that was cut off may have created it with another external id or an older stack file.
                cluster = registrar.update(cluster, spec, grant)
            else:
                made.clusters.append(cluster)
        result |= known_of(cluster)
    return cluster


def _edited(run: Run, edit: EditBody, spec: ClusterSpec, body: dict[str, Any]) -> Mapping[str, Any]:
    with run.asking():
        return edit(spec, body)


def _delete_unlisted(run: Run, site: PreparedStack, changes: tuple[ClusterChange, ...]) -> tuple[Cluster, ...]:
    """Delete clusters that the file no longer lists; returns those that were not waited for.

    Reads them again first: their role may have changed during the wait.
    """
    doomed = {change.cluster.id: change.cluster for change in changes if change.action == "delete" and change.cluster}
    if not doomed:
        return ()
    listed = site.preflight.registrar.list()
    still = tuple(c for c in listed if c.id in doomed and c.role_arn == doomed[c.id].role_arn)
    return delete_and_wait(run, site.preflight.registrar, still)
