"""A fleet's page: one HTML file, Markdown for a job's summary, JSON, and a table of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict, cast

from markupsafe import Markup

from gridbyoc.operations.fleet.report import LIVE, RANKS, FleetPage, FleetRow, Piece, StackFact
from gridbyoc.show.fleet import StackResult, advice_lines, fleet_summary, result_json
from gridbyoc.show.markdown import code, fitted, prose
from gridbyoc.show.output import Output, Screen
from gridbyoc.show.page.html import FLEET_GENERATOR, STYLES, OverviewBody, hash_source, page_environment
from gridbyoc.show.page.tables import cut
from gridbyoc.stack.words import counted, escaped, minute

LONGEST_NOTE = 160
"""The most characters of a note in a row; the stack's own page has the whole text."""
NAMES: dict[Piece, str] = {
    "state": "State",
    "clusters": "Clusters",
    "drift": "Drift",
    "proof": "Proof",
    "preflight": "Preflight",
    "cost": "Cost a day",
    "last_run": "Last run",
}
WORDS: dict[Piece, dict[str, str]] = {
    "drift": {"pass": "without drift", "warn": "with differences"},
    "proof": {"pass": "proven", "warn": "proven, with remarks", "fail": "failing"},
    "preflight": {"pass": "passing", "warn": "with warnings", "fail": "failing"},
}
"""The words of a summary for each mark; ``unknown`` and ``none`` (not checked) mean the same for all."""
FOR_ALL = dict.fromkeys(("unknown", "wait", ""), "unknown") | {"none": "not checked"}
MOST_MARKDOWN = 1_000_000
"""The most bytes of Markdown: GitHub drops a job's summary that is larger than 1 MiB."""


def account_words(row: FleetRow) -> tuple[str, str]:
    """The account, and a note where it is from if nobody looked."""
    if row.account_id:
        return row.account_id, ""
    return (row.declared_account_id, "in the stack file") if row.declared_account_id else ("unknown", "")


def cost_words(row: FleetRow) -> str:
    """The standing cost a day."""
    return "not known" if row.dollars_a_day is None else f"${row.dollars_a_day}"


def fleet_html(page: FleetPage, templates: Path) -> str:
    """The page as text; ``templates`` is the directory of the templates."""
    environment = page_environment(templates, ())
    styles = environment.get_template(STYLES).render() + environment.get_template("report/fleet.css").render()
    script = environment.get_template("report/fleet.js").render()
    return environment.get_template("report/fleet.html.j2").render(
        _content(page),
        styles=Markup(styles),  # noqa: S704 - a file of ours
        style_hash=hash_source(styles),
        script=Markup(script),  # noqa: S704 - a file of ours
        script_hash=hash_source(script),
    )


def _content(page: FleetPage) -> dict[str, Any]:
    rows, looked_at = page.worst_first, page.looked_at
    columns = [each for each in LIVE if each != "preflight" or each in looked_at]
    return {
        "generator": FLEET_GENERATOR,
        "title": counted(len(rows), "stack"),
        "made": _as_of(page),
        "version": page.version,
        "accounts": _accounts(rows),
        "looked_at": _looked_at(page),
        "tiles": _tiles(page, columns),
        "attention": _attention(page),
        "states": list(dict.fromkeys(row.facts["state"].text for row in rows)),
        "columns": [(each, NAMES[each]) for each in columns],
        "rows": [_row(row, columns) for row in rows],
    }


def _as_of(page: FleetPage) -> str:
    """When the stacks were read: of many, the first was read minutes before the last."""
    first, last = minute(page.began), minute(page.made)
    return last if first == last else f"{first.removesuffix(' UTC')} to {last}"


def _accounts(rows: Sequence[FleetRow]) -> str:
    accounts = [row.account_id or row.declared_account_id for row in rows]
    known = set(filter(None, accounts))
    without = accounts.count(None)
    return f"{len(known)}, unknown for {counted(without, 'stack')}" if without else str(len(known))


def _attention(page: FleetPage) -> str:
    """How many stacks need attention. Nothing is said of what nobody looked at."""
    count, whole = sum(row.attention for row in page.rows), len(page.rows)
    if count:
        need = "needs" if count == 1 else "need"
        return f"{count} of {whole} {need} attention: something failed, is unknown, or differs from the stack file."
    return "By what was looked at, no stack needs attention." if page.looked_at else "Nothing was checked."


def _tiles(page: FleetPage, columns: Sequence[Piece]) -> list[dict[str, Any]]:
    rows = page.worst_first
    tiles = [_tile("State", [(row.facts["state"].mark, row.facts["state"].text) for row in rows])]
    for piece in columns:
        if piece in WORDS:
            tiles.append(_tile(NAMES[piece], [_summary(piece, row.facts[piece]) for row in rows]))
    cost, more = _cost(page)
    note = "; ".join(filter(None, ("of all clusters in the stack files", more)))
    return [*tiles, {"name": "Standing cost", "lines": [("", cost)], "note": note}]


def _tile(name: str, summaries: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """How many stacks have each mark and word, worst first."""
    counts = Counter(summaries)
    ordered = sorted(counts, key=lambda each: (RANKS[each[0]], each[1]))
    return {"name": name, "lines": [(each[0], f"{counts[each]} {each[1]}") for each in ordered], "note": ""}


def _summary(piece: Piece, fact: StackFact) -> tuple[str, str]:
    """A piece's mark and the word for all stacks with this mark; a result with gaps is partly unknown."""
    if fact.mark == "unknown" and fact.text != "unknown":
        return fact.mark, "partly unknown"
    return fact.mark, {**FOR_ALL, **WORDS[piece]}[fact.mark]


def _cost(page: FleetPage) -> tuple[str, str]:
    """The sum of the known prices, and the number of stacks without one."""
    if page.without_price == len(page.rows):
        return "not known", ""
    more = f"{counted(page.without_price, 'stack')} without a known price" if page.without_price else ""
    return f"about ${page.dollars_a_day:,} a day", more


def _row(row: FleetRow, columns: Sequence[Piece]) -> dict[str, Any]:
    member, reason = row.result.member, row.facts["state"].note
    account, source = account_words(row)
    return {
        "name": member.label,
        "file": "" if member.label == escaped(member.shown) else member.shown,
        "href": row.page,
        "state": row.facts["state"].text,
        "attention": row.attention,
        "cells": [_cell(piece, row.facts[piece], reason) for piece in columns],
        "cost": cost_words(row),
        "cost_key": row.dollars_a_day or 0,
        "last": {**_cell("last_run", row.facts["last_run"], reason), "key": row.last_began or ""},
        "account": account,
        "region": ", ".join(filter(None, (row.region, source))),
    }


def _cell(piece: Piece, fact: StackFact, reason: str) -> dict[str, str]:
    """A cell. The reason for an unknown state is usually that of the other pieces, too, and is not repeated."""
    note = "" if fact.note == reason and piece != "state" else cut(fact.note, LONGEST_NOTE)
    return {
        "name": NAMES[piece],
        "text": fact.text,
        "mark": fact.mark,
        "note": note,
        "key": f"{RANKS[fact.mark]} {fact.text}",
    }


class FleetLastRun(TypedDict):
    """The newest run in a stack's journal. ``code``: its error's, ``killed`` or ``under way``; empty if it is done."""

    verb: str
    began: str
    code: str


class FleetReportStack(StackResult):
    """A row of a fleet's page.

    ``page``: the stack's page, relative to the fleet's. ``made``: when everything was read. ``overview``: its pieces in
    a few words, ``null`` if its run wrote no document. ``attention``: whether a piece is failed or unknown, or the
    stack differs from its file. ``account_id`` was read from the live role, ``declared_account_id`` from the stack
    file.
    """

    page: str | None
    made: str | None
    attention: bool
    account_id: str | None
    declared_account_id: str | None
    region: str | None
    control_plane: str | None
    overview: OverviewBody | None
    dollars_a_day: int | None
    last_run: FleetLastRun | None


class FleetReportBody(TypedDict):
    """A fleet's page, written at ``made``. ``status`` is the exit status; ``counts``: the number of stacks per outcome.

    ``looked_at``: the pieces that no option left out. ``dollars_a_day``: the standing cost of the stacks whose price is
    known; ``without_price``: the number of the others.
    """

    made: str
    version: str
    status: int
    interrupted: bool
    jobs: int
    seconds: float
    counts: dict[str, int]
    looked_at: list[Piece]
    dollars_a_day: int
    without_price: int
    stacks: list[FleetReportStack]


def fleet_report_json(page: FleetPage) -> FleetReportBody:
    """The page's document."""
    report = page.report
    return {
        "made": page.made.isoformat(timespec="seconds"),
        "version": page.version,
        "status": report.status,
        "interrupted": report.interrupted,
        "jobs": report.jobs,
        "seconds": round(report.seconds, 3),
        "counts": report.counts(),
        "looked_at": list(page.looked_at),
        "dollars_a_day": page.dollars_a_day,
        "without_price": page.without_price,
        "stacks": [_stack_json(row) for row in page.rows],
    }


def _stack_json(row: FleetRow) -> FleetReportStack:
    overview = {piece: asdict(fact) for piece, fact in row.facts.items()}
    return {
        **result_json(row.result),
        "page": row.page,
        "made": row.made,
        "attention": row.attention,
        "account_id": row.account_id,
        "declared_account_id": row.declared_account_id,
        "region": row.region,
        "control_plane": row.control_plane,
        "overview": cast(OverviewBody, overview) if row.read else None,
        "dollars_a_day": row.dollars_a_day,
        "last_run": _last_run(row),
    }


def _last_run(row: FleetRow) -> FleetLastRun | None:
    if row.last_verb is None:
        return None
    return {"verb": row.last_verb, "began": row.last_began or "", "code": row.last_code or ""}


TEXT = ("stack", "state", "clusters", "drift", "proof", "cost a day", "last run", "account", "region")


def _text(row: FleetRow) -> tuple[str, ...]:
    facts = (row.facts[piece] for piece in ("state", "clusters", "drift", "proof"))
    last = row.facts["last_run"]
    when = f"{last.text}, {last.note}" if row.last_began else last.text
    account, source = account_words(row)
    account += f" ({source})" if source else ""
    return (row.result.member.label, *(fact.text for fact in facts), cost_words(row), when, account, row.region or "-")


def fleet_report_markdown(page: FleetPage, _stack: str) -> str:
    """A table for a job's summary, the stacks that need attention first; at most ``MOST_MARKDOWN`` bytes."""
    head = f"### {counted(len(page.rows), 'stack')}\n\n{_attention(page)}"
    lines = [head, "", f"| {' | '.join(TEXT)} |", f"|{'---|' * len(TEXT)}"]
    for row in page.worst_first:
        name, *texts = _text(row)
        shown = code(name).replace("|", "\\|")  # a table's cell ends at a bar even in a code span
        lines.append(f"| {shown} | {' | '.join(map(prose, texts))} |")
    cost = "; ".join(filter(None, _cost(page)))
    summary = f"As of {_as_of(page)}. Standing cost: {cost}. Looked at: {_looked_at(page)}."
    return fitted(
        ["\n".join(lines[:4]), *lines[4:], f"\n{summary}"], left_out=LEFT_OUT, limit=MOST_MARKDOWN, between="\n"
    )


NOTHING = "nothing, only stack files and journals were read"
LEFT_OUT = "*{count} more lines are left out. `gridbyoc fleet report` writes all of them into its page.*"


def _looked_at(page: FleetPage) -> str:
    return ", ".join(NAMES[each].lower() for each in page.looked_at) or NOTHING


def _write(page: FleetPage, screen: Screen) -> None:
    screen.table(TEXT, [_text(row) for row in page.rows])
    for line in advice_lines(page.report):
        screen.note(line)
    screen.line(fleet_summary(page.report))


FLEET_REPORT = Output(
    "fleet_report", fleet_report_json, _write, stack="none", others={"markdown": fleet_report_markdown}
)
