"""From a stack file to running clusters: the order of things, idempotent and resumable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbyoc.aws import await_trust
from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError, StalePlanError, UsageError
from gridbyoc.stack.files import remove
from gridbyoc.stack.model import ClusterSpec
from gridbyoc.stack.role_defaults import trusted_account_of
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.adopt import adopt_strays
from gridbyoc.steps.changes import ClusterChange, cluster_changes
from gridbyoc.steps.converged import remember_converged, unchanged
from gridbyoc.steps.events import Note
from gridbyoc.steps.plan import Plan, make_plan
from gridbyoc.steps.prepare import Site, grant_of, prepare
from gridbyoc.steps.protection import refuse_if_protected
from gridbyoc.steps.replacement import finish_replacement, replace_role
from gridbyoc.steps.report import Report, report_of
from gridbyoc.steps.role_policies import read_role
from gridbyoc.steps.rollback import Made, compensating
from gridbyoc.steps.run import Run
from gridbyoc.steps.wait import delete_and_wait, wait_for
from gridbyoc.steps.wishes import Approval, EditBody, Wishes
from gridbyoc.terraform import NOTHING_DONE, ApplySummary

NO_WISHES = Wishes()


def bootstrap(run: Run, approval: Approval, wishes: Wishes = NO_WISHES) -> Report:
    """Make both sides what the stack file asks for, and wait until the clusters run.

    A fresh role needs no plan to be approved by ``--yes``: nothing exists that it could destroy. Everything else is
    planned, approved, and exactly that plan is applied; where another machine's apply came in between, a run that
    asks nobody plans once more. Where nothing has moved since the last good run, it is done without Terraform
    (``choices.refresh``: not so). The caller holds the stack's lock.
    """
    if wishes.new_role:
        refuse_if_protected(run, "replace its role")
    if wishes.nothing_new and not run.choices.refresh:
        report = unchanged(run)
        if report is not None:
            return report
    try:
        return _bootstrap(run, approval, wishes)
    except StalePlanError:
        if not approval.create_and_change:
            raise
    run.outside.emit(Note("Another run has changed the stack meanwhile: planning anew.", "warning"))
    return _bootstrap(run, approval, wishes)


def _bootstrap(run: Run, approval: Approval, wishes: Wishes) -> Report:
    made = Made()
    run = made.watching(run)
    site = prepare(run)
    site = adopt_strays(run, site)
    site = replace_role(run, site) if wishes.new_role else site
    plan = make_plan(run, site, with_terraform=not (site.fresh and approval.create_and_change))
    return carry_out(run, site, plan, approval, wishes, made)


def carry_out(run: Run, site: Site, plan: Plan, approval: Approval, wishes: Wishes, made: Made) -> Report:
    """Approve and apply a plan, prove the trust, register, wait, delete what the file lists no more."""
    done = _approve_and_apply(run, site, plan, approval, wishes, made)
    with run.step("output"):
        outputs = site.runner.output()
    grant = grant_of(run, outputs)
    prove_trust(run, site, grant)
    changes = _final_changes(run, site, plan, grant)
    with compensating(run, site, grant, made, rollback=wishes.rollback):
        clusters = register_clusters(run, site, changes, grant, wishes.edit, made)
    clusters = wait_for(run, site.preflight.registrar, clusters)
    # Before the old grant goes: a cluster that is deleted needs what it was given until it is gone.
    _delete_unlisted(run, site, changes)
    may_plan = not wishes.only_planned
    last = finish_replacement(run, site, plan.kept_ids, grant, may_destroy=approval.destroy, may_plan=may_plan)
    reading = read_role(site.preflight.session, grant.role_arn)
    policies = reading.policies(run.stack, grant.external_id)
    report = report_of(run, site, outputs, (done, last), changes, clusters, policies)
    remember_converged(run, site, grant, report, reading.role)
    return report


def _approve_and_apply(
    run: Run, site: Site, plan: Plan, approval: Approval, wishes: Wishes, made: Made
) -> ApplySummary:
    """Approve the plan and apply it; the saved one is gone afterwards, whatever came of it."""
    try:
        if wishes.needs_role and plan.grant is None:
            raise UsageError("There is no role yet.", fix="Run `gridbyoc bootstrap` first.", rerun=SAFE_NOTHING_DONE)
        _approve(run, site, plan, approval)
        if wishes.approved is not None:
            wishes.approved()
        if wishes.rollback:
            made.begin(site)
        return _apply(run, site, plan)
    finally:
        if plan.saved:
            remove(plan.saved)


def _approve(run: Run, site: Site, plan: Plan, approval: Approval) -> None:
    if not plan.has_changes or approval.create_and_change:
        for warning in plan.warnings:
            run.outside.emit(Note(warning, "warning"))
    if not plan.has_changes:
        return
    if plan.destroys:
        refuse_if_protected(run, f"destroy or replace {', '.join(plan.destroys)}")
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
    from gridbyoc.steps.review.review import review_of  # here: a run that asks nobody does without it

    found = review_of(run, site, plan)
    with run.asking():
        approved = approval.ask(found)
    if not approved:
        raise ApprovalRequiredError("The plan was not approved.", rerun=SAFE_NOTHING_DONE)


def _apply(run: Run, site: Site, plan: Plan) -> ApplySummary:
    with run.step("apply") as step:
        if plan.terraform is not None and not plan.terraform.has_changes:
            step.skipped = True
            step.detail = "nothing to change"
            return NOTHING_DONE
        _refuse_more_detaches(run, site, plan)
        with run.effect("apply", planned="saved" if plan.saved else "fresh"):
            done = site.runner.apply(plan.saved)
        step.detail = str(done)
        return done


def _refuse_more_detaches(run: Run, site: Site, plan: Plan) -> None:
    """Right before the apply, an exclusive role has no policy but those that the plan knew of; ``StalePlanError``.

    Terraform takes off whatever is there at that time, whether or not it stood in the plan.
    """
    if plan.policies is None or not plan.exclusive:
        return
    reading = read_role(site.preflight.session, plan.policies.role_arn)
    now = reading.policies(run.stack, plan.grant.external_id if plan.grant else Secret(""))
    if now is None:
        return
    then = {*plan.policies.undeclared, *plan.policies.accepted}
    more = [
        f"the apply would take off the role: {name}" for name in (*now.undeclared, *now.accepted) if name not in then
    ]
    more += [f"it is not known any more: {why}" for why in now.unknown if why not in plan.policies.unknown]
    if more:
        raise StalePlanError(
            "The role is not known to have only the policies that it had when this was planned.",
            diagnostics=tuple(more),
            why="role.exclusive takes off every policy that is not listed; none is taken off that was not shown.",
            fix="Plan again.",
            rerun=SAFE_NOTHING_DONE,
        )


def prove_trust(run: Run, site: Site, grant: Grant) -> None:
    """The trust step: the live role admits the control plane with this external id, else ``TrustError``."""
    with run.step("trust") as step:
        trust = await_trust(
            site.preflight.session,
            grant.role_arn,
            grant.external_id,
            trusted_account_of(run.stack.role),
            sleep=run.outside.sleep,
            clock=run.outside.clock,
        )
        step.detail = trust.detail
    if trust.verdict == "unknown":
        run.outside.emit(Note(f"The role's trust could not be proven: {trust.detail}.", "warning"))


def _final_changes(run: Run, site: Site, plan: Plan, grant: Grant) -> tuple[ClusterChange, ...]:
    if plan.grant == grant:
        return plan.clusters
    preflight = site.preflight
    ours = site.roles(plan.grant)
    changes = cluster_changes(preflight.registrar, run.stack, preflight.clusters, grant, our_roles=ours)
    # A role that was there before may have clusters of others: what no plan has shown is not deleted.
    shown = {change.name for change in plan.clusters if change.action == "delete"}
    return tuple(change for change in changes if change.action != "delete" or change.name in shown)


def register_clusters(
    run: Run, site: Site, changes: tuple[ClusterChange, ...], grant: Grant, edit: EditBody | None, made: Made
) -> tuple[Cluster, ...]:
    """The register step: create and update what ``changes`` say; the stack's clusters, in its order."""
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
    run: Run, site: Site, change: ClusterChange, spec: ClusterSpec, grant: Grant, edit: EditBody | None, made: Made
) -> Cluster:
    registrar = site.preflight.registrar
    if change.cluster is not None and change.action == "none":
        return change.cluster
    with run.effect(change.action, cluster=spec.name) as came_of_it:
        if change.cluster is not None:
            cluster = registrar.update(change.cluster, spec, grant)
        else:
            body = _edited(run, edit, spec, registrar.request(spec, grant)) if edit else None
            created = registrar.create(spec, grant, body=body)
            cluster = created.cluster
            if created.adopted:
                run.outside.emit(Note(f"The cluster {spec.name} existed already with this role: it is taken on."))
                # Made by a run that was cut off, it may still hold another external id or what the file said then.
                cluster = registrar.update(cluster, spec, grant)
            else:
                made.clusters.append(cluster)
        came_of_it |= {"id": cluster.id, "bucket": cluster.bucket_name}
    return cluster


def _edited(run: Run, edit: EditBody, spec: ClusterSpec, body: dict[str, Any]) -> Mapping[str, Any]:
    with run.asking():
        return edit(spec, body)


def _delete_unlisted(run: Run, site: Site, changes: tuple[ClusterChange, ...]) -> None:
    """Read again first: the wait was long, and a cluster may have been given another role meanwhile."""
    doomed = {change.cluster.id: change.cluster for change in changes if change.action == "delete" and change.cluster}
    if not doomed:
        return
    listed = site.preflight.registrar.list()
    still = tuple(c for c in listed if c.id in doomed and c.role_arn == doomed[c.id].role_arn)
    delete_and_wait(run, site.preflight.registrar, still)
