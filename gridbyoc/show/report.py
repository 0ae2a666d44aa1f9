"""A run's report, as text, as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from gridbyoc.operations.changes import Action
from gridbyoc.operations.report import Report
from gridbyoc.operations.vendor_handover import THEN, VendorHandover
from gridbyoc.show.clusters import AwaitedBody, ClusterFields, awaits_json, cluster_json, cluster_rows
from gridbyoc.show.markdown import code, fitted, prose
from gridbyoc.show.output import Output, Screen
from gridbyoc.show.role_policies import PoliciesBody, policies_json
from gridbyoc.show.run import duration
from gridbyoc.stack.words import enumerated

if TYPE_CHECKING:
    from gridbyoc.operations.plan import Plan

DONE = {"add": "added", "change": "changed", "destroy": "destroyed"}
"""Terraform's words for planned changes, and the words for completed ones."""


def report_lines(report: Report) -> list[str]:
    """The role, the changes on either side, and the duration of each step."""
    made = ", ".join(f"{count} {DONE.get(word, word)}" for word, count in report.resources.items() if count)
    acted = [f"{name}: {action}d" for name, action in report.actions.items() if action != "none"]
    lines = [
        "",
        f"stack     {report.stack} in account {report.account_id}",
        *([f"role      {name}: {arn}" for name, arn in report.roles.items()] or [f"role      {report.role_arn}"]),
        f"IAM role  {f'resources: {made}' if made else 'unchanged'}",
        f"clusters  {', '.join(acted) or _no_act(report)}",
        *([f"partial   {limits(report)}"] if report.only else []),
        f"steps     {'  '.join(f'{step} {duration(took)}' for step, took in report.seconds.items())}",
    ]
    lines += [f"accepted  {name}, which the stack file does not manage" for name in accepted(report)]
    lines += [] if report.changed else [unchanged(report)]
    return [*lines, *report.remarks, *(handover_lines(report.handover) if report.handover else ())]


def handover_lines(handover: VendorHandover) -> list[str]:
    """What to send to the vendor, and how."""
    rows = [*handover.roles.items(), ("account", handover.account_id), ("region", handover.region)]
    width = max(len(name) for name, _ in rows)
    sent = [f"  {name:<{width}}  {value}" for name, value in rows]
    return ["", f"Send to {handover.vendor}:", *sent, handover.external_id, THEN]


def accepted(report: Report) -> tuple[str, ...]:
    """The policies on the role that the stack file accepts without managing them."""
    return report.policies.accepted if report.policies else ()


def unchanged(report: Report) -> str:
    """The sentence for a run that had nothing to change."""
    if report.remarks:
        return "Nothing was changed, but not everything is as the stack file says:"
    if report.unasked:
        return "Nothing changed: the role was already as the stack file asks."
    if report.only:
        return f"Nothing changed: the role and {enumerated(report.only)} were already as the stack file asks."
    return "Nothing changed: both sides were already as the stack file asks."


def limits(limited: Report | Plan) -> str:
    """The clusters that a partial run or plan is limited to, and those that it leaves out."""
    rest = f"{enumerated(limited.left_out)} left out" if limited.left_out else "every cluster of the stack file"
    return f"only {enumerated(limited.only)} ({rest}; nothing is deleted)"


def _no_act(report: Report) -> str:
    if report.handover:
        return f"those of {report.handover.vendor}, which it makes itself"
    if report.unasked:
        return f"none asked for; the control plane's clusters are unknown: {report.unasked}"
    return "unchanged" if report.clusters else "none asked for"


def report_markdown(report: Report, warnings: Sequence[str] = ()) -> str:
    """The changes on either side, the warnings, the clusters, and the duration of each step."""
    made = ", ".join(f"{count} {DONE.get(word, word)}" for word, count in report.resources.items() if count)
    outcome = unchanged(report).rstrip(":")
    if report.changed:
        outcome = f"Applied: AWS {made or 'nothing changed'}; clusters {_acted(report)}."
    blocks = [
        f"<!-- gridbyoc apply {report.stack} -->\n### Apply of {code(report.stack)}",
        f"**{outcome}**",
        f"- account {code(report.account_id)}\n"
        + "\n".join(
            [f"- role {code(name)}: {code(arn)}" for name, arn in report.roles.items()]
            or [f"- role {code(report.role_arn)}"]
        ),
    ]
    if report.only:
        blocks.append(f"**Partial:** {prose(limits(report))}")
    told = tuple(dict.fromkeys((*warnings, *report.remarks)))
    if told:
        blocks.append("**Warnings**\n\n" + "\n".join(f"- {prose(text)}" for text in told))
    if report.clusters:
        blocks.append("\n".join(f"- cluster {code(c.name)}: {code(c.status)} ({code(c.id)})" for c in report.clusters))
    if report.handover:
        title, *lines = handover_lines(report.handover)[1:]
        blocks.append(f"**{prose(title.rstrip(':'))}**\n\n" + "\n".join(f"- {prose(line.strip())}" for line in lines))
    steps = ", ".join(f"{step} {duration(took)}" for step, took in report.seconds.items())
    return fitted([*blocks, f"Steps: {steps}"], left_out="*{count} more sections are left out.*")


def _acted(report: Report) -> str:
    counts = {word: list(report.actions.values()).count(word) for word in ("create", "update", "delete")}
    return ", ".join(f"{count} {word}d" for word, count in counts.items() if count) or "nothing changed"


class ResourceCounts(TypedDict):
    """The number of AWS resources that Terraform added, changed and destroyed."""

    add: int
    change: int
    destroy: int


class ReportCluster(ClusterFields):
    """A cluster of the stack, and what the run did to it."""

    action: Action


class HandoverBody(TypedDict):
    """What to send to a vendor without an API: each role's ARN by its name, the AWS account, the region. The external
    id is no part of it; ``external_id`` says how the vendor gets it.
    """

    vendor: str
    roles: dict[str, str]
    account_id: str
    region: str
    external_id: str


class ReportBody(TypedDict):
    """The result of a run: ``changed`` is false if both sides were already as the stack file asks.

    ``seconds``: by step. ``unasked``: why the control plane of a stack without clusters was not asked; otherwise empty.
    ``handover``: the data to send to a vendor without an API. ``roles``: the ARN of each role by its name, if the
    module makes several; ``role_arn`` is the first of them. ``awaits``: the clusters that do not run yet or are being
    deleted. ``unfinished``: the run did not wait, and the next one has something left to do. ``partial``: the run was
    limited with ``--cluster``; ``clusters`` has the clusters that it was limited to, ``left_out`` the names of the
    stack file's others.
    """

    account_id: str
    role_arn: str
    roles: dict[str, str]
    role_name: str | None
    changed: bool
    resources: ResourceCounts
    clusters: list[ReportCluster]
    unasked: str
    seconds: dict[str, float]
    policies: PoliciesBody | None
    handover: HandoverBody | None
    awaits: list[AwaitedBody]
    unfinished: bool
    partial: bool
    left_out: list[str]


def handover_json(handover: VendorHandover | None) -> HandoverBody | None:
    """What to send; nothing secret."""
    if handover is None:
        return None
    return {
        "vendor": handover.vendor,
        "roles": dict(handover.roles),
        "account_id": handover.account_id,
        "region": handover.region,
        "external_id": handover.external_id,
    }


def report_json(report: Report) -> ReportBody:
    """The report's document; it contains no secret."""
    counts = report.resources
    return {
        "account_id": report.account_id,
        "role_arn": report.role_arn,
        "roles": dict(report.roles),
        "role_name": report.role_name,
        "changed": report.changed,
        "resources": {"add": counts["add"], "change": counts["change"], "destroy": counts["destroy"]},
        "clusters": [{**cluster_json(c), "action": report.actions.get(c.name, "none")} for c in report.clusters],
        "unasked": report.unasked,
        "seconds": {step: round(took, 3) for step, took in report.seconds.items()},
        "policies": policies_json(report.policies),
        "handover": handover_json(report.handover),
        "awaits": awaits_json([c for c in report.clusters if c.status != "running"], report.deleting),
        "unfinished": report.old_grant or bool(report.deleting),
        "partial": bool(report.only),
        "left_out": list(report.left_out),
    }


def _write(report: Report, screen: Screen) -> None:
    for line in report_lines(report):
        screen.line(line)
    if report.clusters:
        screen.line()
        screen.table(*cluster_rows(report.clusters))


def report_output(warnings: Sequence[str] = ()) -> Output[Report]:
    """A run's report; in Markdown it includes the ``warnings`` of the run."""

    def markdown(report: Report, _stack: str) -> str:
        return report_markdown(report, warnings)

    return Output("report", report_json, _write, others={"markdown": markdown})


REPORT = report_output()
