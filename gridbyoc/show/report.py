"""A run's report as lines of text."""

from __future__ import annotations

from gridbyoc.operations.report import Report
from gridbyoc.show.plain import duration

DONE = {"add": "added", "change": "changed", "destroy": "destroyed"}
"""Terraform's words for what a plan would do → for what was done."""


def report_lines(report: Report) -> list[str]:
    """The role, what changed on either side, and how long each step took."""
    made = ", ".join(f"{count} {DONE.get(word, word)}" for word, count in report.resources.items() if count)
    acted = [f"{name}: {action}d" for name, action in report.actions.items() if action != "none"]
    lines = [
        "",
        f"stack     {report.stack} in account {report.account_id}",
        f"role      {report.role_arn}",
        f"IAM role  {f'resources: {made}' if made else 'unchanged'}",
        f"clusters  {', '.join(acted) if acted else 'unchanged'}",
        f"steps     {'  '.join(f'{step} {duration(took)}' for step, took in report.seconds.items())}",
    ]
    lines += [f"accepted  {name}, which the stack file does not manage" for name in accepted(report)]
    lines += [] if report.changed else [unchanged(report)]
    return [*lines, *report.remarks]


def accepted(report: Report) -> tuple[str, ...]:
    """The policies on the role that the stack file accepts without managing them."""
    return report.policies.accepted if report.policies else ()


def unchanged(report: Report) -> str:
    """What is said of a run that had nothing to change."""
    if report.remarks:
        return "Nothing was changed, and not everything is as the stack file says:"
    return "Nothing changed: both sides were already as the stack file asks."
