"""A preflight's findings as a table, as JSON, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING, Any, TextIO, TypedDict

from gridbyoc.operations.finding import WORST, Finding, Verdict, tally
from gridbyoc.show.layout import GAP, STYLES, cell_lines, columns_of, console_of, wrapped, write_table
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.words import plain_text

if TYPE_CHECKING:
    from rich.console import Console


COLUMNS = ("code", "check", "verdict", "found", "needed", "do")


def preflight_rows(findings: Sequence[Finding]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows, one per finding; a finding that passes has no action."""
    return COLUMNS, [(f.code, f.title, f.verdict, f.detail, f.needed, _to_do(f)) for f in findings]


def preflight_summary(findings: Sequence[Finding], *, region: str) -> str:
    """One sentence: the region, and the number of findings per verdict."""
    return f"Region {region}: {tally(f.verdict for f in findings) or 'nothing was checked'}."


@dataclass(frozen=True, slots=True)
class Examined:
    """The findings of a preflight in ``region``; ``blocked``: a bootstrap would not start."""

    findings: Sequence[Finding]
    region: str
    blocked: bool


class FindingBody(TypedDict):
    """One finding: what was ``read``, by which call (``source``), what would pass, and what to do.

    ``facts`` are the numbers behind it.
    """

    code: str
    group: str
    check: str
    subject: str
    verdict: Verdict
    read: str
    source: str
    needed: str
    fix: str
    link: str
    facts: dict[str, Any]


class PreflightBody(TypedDict):
    """The preflight checks of a bootstrap. ``blocked``: a bootstrap would not start."""

    region: str
    blocked: bool
    findings: list[FindingBody]


def finding_json(finding: Finding) -> FindingBody:
    """One finding."""
    return {
        "code": finding.code,
        "group": finding.kind.group,
        "check": finding.kind.title,
        "subject": finding.subject,
        "verdict": finding.verdict,
        "read": finding.detail,
        "source": finding.source,
        "needed": finding.needed,
        "fix": _to_do(finding),
        "link": finding.kind.link,
        "facts": dict(finding.facts),
    }


def preflight_json(examined: Examined) -> PreflightBody:
    """The whole preflight."""
    return {
        "region": examined.region,
        "blocked": examined.blocked,
        "findings": [finding_json(finding) for finding in examined.findings],
    }


def preflight_markdown(findings: Sequence[Finding], *, region: str) -> list[str]:
    """Lines of Markdown: a summary, and a table in which each code links to its page."""
    lines = [
        f"**{preflight_summary(findings, region=region)}**",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for f in findings:
        code = f"[{f.code}]({f.kind.link})" if f.kind.link else f.code
        read = f"{f.detail} ({f.source})" if f.source else f.detail
        cells = (code, f.title, f.verdict, read, f.needed, _to_do(f))
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return lines


def _to_do(finding: Finding) -> str:
    return "" if finding.verdict == "pass" else finding.fix


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


SIGNS = {"pass": "✓", "warn": "!", "fail": "✗", "unknown": "?"}
VERDICT, CODE = 9, 8
"""Widths of the first two columns."""

LONGEST_CHECK = 42
"""The most characters in the column of checks; longer texts wrap."""


def write_preflight(
    stream: TextIO, findings: Sequence[Finding], *, environ: Mapping[str, str], width: int | None = None
) -> None:
    """Write the findings: in groups on a terminal, otherwise as a plain table with one line each.

    ``width``: the terminal's columns; ``None``: as the terminal reports.
    """
    if not stream.isatty():
        write_table(stream, *preflight_rows(findings), environ=environ)
        return
    from rich.text import Text

    console = console_of(stream, environ, width)
    room = min(max((len(each.title) for each in findings), default=0), LONGEST_CHECK, console.width // 3)
    for number, (group, members) in enumerate(groupby(findings, key=lambda each: each.kind.group)):
        found = list(members)
        if number:
            console.print()
        console.print(
            Text.assemble((group.capitalize(), "bold"), (f"  {tally((each.verdict for each in found), WORST)}", "dim"))
        )
        for each in found:
            _write(console, each, room)
    stream.flush()


def _write(console: Console, finding: Finding, room: int) -> None:
    """Verdict, code, check and result. If the finding does not pass, also what would pass, and what to do.

    The result stands beside the check, or below it if the terminal is too narrow for both.
    """
    from rich.text import Text

    width, passes = console.width, finding.verdict == "pass"
    sign = f"{SIGNS[finding.verdict]} {finding.verdict}".ljust(VERDICT + len(GAP))
    start = len(sign) + CODE + len(GAP)
    left = start + room + len(GAP)
    below = start if width - left >= LEAST_DETAIL else len(sign)
    detail, title = plain_text(finding.detail), plain_text(finding.title)
    beside = below == start and max(map(columns_of, detail.split()), default=0) <= width - left
    found = (_first_line if passes else cell_lines)(detail, width - (left if beside else below))
    checks = cell_lines(title, room if beside else width - start)
    for number, (check, result) in enumerate(zip_longest(checks, found if beside else (), fillvalue="")):
        line = Text.assemble(
            (sign if number == 0 else " " * len(sign), STYLES.get(finding.verdict, "bold")),
            (finding.code if number == 0 else " " * CODE, "dim" if passes else ""),
            GAP,
            (check, "" if passes else "bold"),
        )
        if result:
            line.append(" " * (left - start - columns_of(check)) + result)
        console.print(line, soft_wrap=True)
    for part in () if beside else found:
        console.print(Text(" " * below + part), soft_wrap=True)
    more = (("read by: ", finding.source), ("more: ", finding.kind.link)) if finding.verdict in ("fail", "warn") else ()
    for word, text in (("needed: ", finding.needed), ("do: ", finding.fix), *more):
        if text and not passes:
            first, *further = wrapped(f"{' ' * below}{word}{plain_text(text)}", width)
            label = Text(first[: below + len(word)], "dim")
            console.print(label.append(first[below + len(word) :], ""), soft_wrap=True)
            for part in further:
                console.print(Text(part), soft_wrap=True)


LEAST_DETAIL = 28
"""The fewest columns for a result beside its check."""
_IDENTIFIER = re.compile(r"[:/]\S|[A-Z]+-[A-Z0-9]+")


def _first_line(text: str, room: int) -> list[str]:
    """What passes needs one line: the first words. A text that would lose an identifier stays whole."""
    lines = cell_lines(text, room)
    if len(lines) == 1 or any(map(_IDENTIFIER.search, lines[1:])):
        return lines
    first = cell_lines(text, room - len(" …"))[0]
    return [f"{first.rstrip(' ,;:')} …"]


def _write_all(examined: Examined, screen: Screen) -> None:
    write_preflight(screen.stdout, examined.findings, environ=screen.environ)
    screen.line()
    screen.line(preflight_summary(examined.findings, region=examined.region))


def _markdown(examined: Examined, _stack: str) -> str:
    return plain_text("\n".join(preflight_markdown(examined.findings, region=examined.region)))


PREFLIGHT = Output("preflight", preflight_json, _write_all, stack="optional", others={"markdown": _markdown})
