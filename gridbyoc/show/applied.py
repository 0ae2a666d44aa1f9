"""A run's report as Markdown: a job's summary, or a comment."""

from __future__ import annotations

from collections.abc import Sequence

from gridbyoc.show.markdown import code, fitted, prose
from gridbyoc.show.plain import duration
from gridbyoc.show.report import DONE, unchanged
from gridbyoc.steps.report import Report


def report_markdown(report: Report, warnings: Sequence[str] = ()) -> str:
    """What changed on either side, what was warned of, the clusters, and how long each step took."""
    made = ", ".join(f"{count} {DONE.get(word, word)}" for word, count in report.resources.items() if count)
    outcome = unchanged(report).rstrip(":")
    if report.changed:
        outcome = f"Applied: AWS {made or 'nothing changed'}; clusters {_acted(report)}."
    blocks = [
        f"<!-- gridbyoc apply {report.stack} -->\n### Apply of {code(report.stack)}",
        f"**{outcome}**",
        f"- account {code(report.account_id)}\n- role {code(report.role_arn)}",
    ]
    told = tuple(dict.fromkeys((*warnings, *report.remarks)))
    if told:
        blocks.append("**Warnings**\n\n" + "\n".join(f"- {prose(text)}" for text in told))
    if report.clusters:
        blocks.append("\n".join(f"- cluster {code(c.name)}: {code(c.status)} ({code(c.id)})" for c in report.clusters))
    steps = ", ".join(f"{step} {duration(took)}" for step, took in report.seconds.items())
    return fitted([*blocks, f"Steps: {steps}"], left_out="*{count} more sections are left out.*")


def _acted(report: Report) -> str:
    counts = {word: list(report.actions.values()).count(word) for word in ("create", "update", "delete")}
    return ", ".join(f"{count} {word}d" for word, count in counts.items() if count) or "nothing changed"
