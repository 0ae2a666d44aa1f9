"""Two-sided drift: how AWS, the live role and the control plane differ from the stack file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from gridbyoc.control_plane.model import Grant, Phase
from gridbyoc.errors import ClusterConflictError, TrustError
from gridbyoc.operations.changes import cluster_changes
from gridbyoc.operations.converged import unchanged
from gridbyoc.operations.lock import SAVED_PLAN
from gridbyoc.operations.plan import policies_read, render_for_plan, role_reading
from gridbyoc.operations.prepare import PreparedStack, current_grant, prepare
from gridbyoc.operations.private_copy import scratch_run
from gridbyoc.operations.report import Report
from gridbyoc.operations.review.review import (
    AttributeChange,
    output_details,
    permission_sentences,
    redactor_of,
    resource_details,
)
from gridbyoc.operations.review.words import RoleSentence, changed_outside
from gridbyoc.operations.role_policies import NOT_COMPARED, RolePolicies
from gridbyoc.operations.run import Run
from gridbyoc.stack.secret import Secret

ACCEPTED = "Accepted on the role by the stack file: {}."


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference, in words.

    ``attributes``: the attributes that differ, ``before`` as they are, ``after`` as the stack file asks; no secrets.
    """

    side: Literal["terraform", "role", "control plane"]
    subject: str
    detail: str
    attributes: tuple[AttributeChange, ...] = ()


@dataclass(slots=True)
class DriftFound:
    """The result of a comparison.

    ``permissions``: how bootstrap would change the role's permissions. ``unknown``: what could not be read, with the
    reason. ``remarks``: what is accepted or not compared, one sentence each. ``unasked``: why the control plane of a
    stack without clusters was not asked. ``by_record``: nothing has moved since the record of the last good run, so
    Terraform was not started.
    """

    differences: list[Drift] = field(default_factory=list)
    permissions: list[RoleSentence] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unasked: str = ""
    by_record: bool = False

    @property
    def none(self) -> bool:
        """Whether everything was read and nothing differs."""
        return not self.differences and not self.unknown


def find_drift(run: Run) -> DriftFound:
    """Compare the stack file with all three. Only reads, on a copy, so it works while another run holds the lock.

    If role, state, stack file and clusters are as the last good run left them, Terraform is not started
    (``choices.refresh``: always).
    """
    found = DriftFound()
    with scratch_run(run) as reading:
        if not run.choices.refresh and (same := unchanged(reading)) is not None:
            return _nothing_moved(same)
        site = prepare(reading)
        grant = current_grant(reading, site)
        if grant is None:
            found.differences.append(Drift("terraform", "role", "nothing has been applied yet"))
            return found
        roles = {arn: role_reading(reading, site, replace(grant, role_arn=arn)) for arn in sorted(site.roles(grant))}
        kept = render_for_plan(reading, site, grant, roles[grant.role_arn])
        _terraform(reading, site, grant, kept, found)
        _trust(reading, site, grant, found)
        for role in roles.values():
            _policies(policies_read(reading, role, grant), found)
        found.differences += _control_plane(reading, site, grant)
        if unasked := site.preflight.registrar.unasked:
            found.unasked = unasked
            found.remarks.append(f"What the control plane has is unknown: {unasked}.")
        return found


def _nothing_moved(same: Report) -> DriftFound:
    found = DriftFound(by_record=True, unasked=same.unasked)
    if same.policies is not None:
        found.remarks += (ACCEPTED.format(name) for name in same.policies.accepted)
    if same.unasked:
        found.remarks.append(f"What the control plane has is unknown: {same.unasked}.")
    return found


def _terraform(run: Run, site: PreparedStack, grant: Grant, kept: tuple[Secret, ...], found: DriftFound) -> None:
    with run.step("plan") as step:
        saved = run.work_dir / SAVED_PLAN
        plan = site.runner.plan(out=saved, lock=False)
        step.detail = f"{plan.add} to add, {plan.change} to change, {plan.destroy} to destroy"
    if not plan.changes and not plan.outputs:
        return
    shown = site.runner.show(saved)
    redactor = redactor_of(run.stack, grant, kept, shown)
    outside = changed_outside(shown)
    details = {detail.address: detail.attributes for detail in resource_details(shown, redactor)}
    for change in plan.changes:
        cause = "was changed outside of gridbyoc; " if change.address in outside else ""
        text = f"{cause}bootstrap would {change.action} it"
        found.differences.append(Drift("terraform", change.address, text, details.get(change.address, ())))
    outputs = output_details(shown, redactor)
    for name in plan.outputs:
        found.differences.append(
            Drift("terraform", f"output {name}", "bootstrap would change it", outputs.get(name, ()))
        )
    found.permissions += permission_sentences(run.stack, shown, redactor)


def _policies(compared: RolePolicies | None, found: DriftFound) -> None:
    """Compare the policies of one role, current or being replaced."""
    if compared is None:
        found.remarks += () if NOT_COMPARED in found.remarks else (NOT_COMPARED,)
        return
    found.differences += (Drift("role", subject, detail) for subject, detail in compared.differences())
    found.unknown += compared.unknown
    found.remarks += (ACCEPTED.format(name) for name in compared.accepted)


def _trust(run: Run, site: PreparedStack, grant: Grant, found: DriftFound) -> None:
    roles = site.outputs.every_role if site.outputs else {"role": grant.role_arn}
    details = []
    with run.step("trust") as step:
        for name, role_arn in roles.items():
            said, mark = _trust_of(run, site, role_arn, grant, found), f"{name}: " if len(roles) > 1 else ""
            details.append(f"{mark}{said}")
        step.detail = "; ".join(details)


def _trust_of(run: Run, site: PreparedStack, role_arn: str, grant: Grant, found: DriftFound) -> str:
    """Compare one role's trust policy; returns the result in words."""
    try:
        trust = run.live_trust(site.preflight.session, role_arn, grant.external_id)
    except TrustError as error:
        found.differences.append(Drift("role", role_arn, error.why))
        return "not admitted"
    if trust.policy is None:  # another module's role, which Terraform need not have read either
        found.unknown.append(f"whether the role {role_arn} admits the control plane: {trust.detail}")
    elif trust.verdict == "unknown":
        found.remarks.append(f"Whether the role {role_arn} admits the control plane is unknown: {trust.detail}.")
    return trust.detail


def _control_plane(run: Run, site: PreparedStack, grant: Grant) -> Iterator[Drift]:
    listed = site.preflight.clusters
    try:
        changes = cluster_changes(site.preflight.registrar, run.stack, listed, grant, our_roles=site.roles(grant))
    except ClusterConflictError as error:
        yield Drift("control plane", "clusters", f"{error.what} {error.why}".strip())
        return
    if site.previous_arn is not None:
        yield Drift("role", site.previous_arn, "is being replaced, and still exists")
    words = {
        "create": "is missing",
        "update": "differs",
        "delete": "uses the role but is not in the stack file; bootstrap would delete it",
    }
    for change in changes:
        fields = tuple(AttributeChange(each.field, each.before, each.after) for each in change.fields)
        if change.action != "none":
            yield Drift("control plane", f"cluster {change.name}", words[change.action], fields)
        elif change.cluster is not None and change.cluster.phase is Phase.FAILED:
            yield Drift("control plane", f"cluster {change.name}", f"has failed: {change.cluster.reason}")
