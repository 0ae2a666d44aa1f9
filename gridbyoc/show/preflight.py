"""A preflight's findings as a table, as JSON, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridbyoc.steps.preflight.model import Finding

COLUMNS = ("code", "check", "verdict", "found", "needed", "do")


def preflight_rows(findings: Sequence[Finding]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows, a finding each; what passes needs nothing done."""
    return COLUMNS, [(f.code, f.title, f.verdict, f.read, f.needed, _to_do(f)) for f in findings]


def preflight_summary(findings: Sequence[Finding], *, region: str) -> str:
    """One sentence: where, and how many came out how."""
    counts = {word: sum(f.verdict == word for f in findings) for word in ("pass", "warn", "fail", "unknown")}
    parts = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "nothing was looked at"
    return f"Region {region}: {parts}."


def finding_object(finding: Finding) -> dict[str, Any]:
    """A finding as JSON; the keys are a promise."""
    return {
        "code": finding.code,
        "group": finding.kind.group,
        "check": finding.kind.title,
        "subject": finding.subject,
        "verdict": finding.verdict,
        "read": finding.read,
        "source": finding.source,
        "needed": finding.needed,
        "fix": _to_do(finding),
        "link": finding.kind.link,
        "facts": dict(finding.facts),
    }


def preflight_object(findings: Sequence[Finding], *, region: str, blocked: bool) -> dict[str, Any]:
    """The whole preflight as one JSON object."""
    return {
        "type": "preflight",
        "region": region,
        "blocked": blocked,
        "findings": [finding_object(finding) for finding in findings],
    }


def preflight_markdown(findings: Sequence[Finding], *, region: str) -> list[str]:
    """Lines of Markdown: a summary, and a table in which each code leads to its page."""
    lines = [
        f"**{preflight_summary(findings, region=region)}**",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for f in findings:
        code = f"[{f.code}]({f.kind.link})" if f.kind.link else f.code
        read = f"{f.read} ({f.source})" if f.source else f.read
        cells = (code, f.title, f.verdict, read, f.needed, _to_do(f))
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return lines


def _to_do(finding: Finding) -> str:
    return "" if finding.verdict == "pass" else finding.fix


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
