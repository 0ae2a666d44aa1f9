"""The content of a fleet's page: a row for each stack, from the document that the stack's run of ``report`` wrote."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import gridbyoc
from gridbyoc.operations.finding import NOT_CHECKED, WORST
from gridbyoc.operations.fleet.model import Member, Result, words_of
from gridbyoc.operations.fleet.run import FleetReport
from gridbyoc.stack.redaction import redacted
from gridbyoc.stack.secret import Secret

Piece = Literal["state", "clusters", "drift", "proof", "preflight", "cost", "last_run"]
PIECES: tuple[Piece, ...] = ("state", "clusters", "drift", "proof", "preflight", "cost", "last_run")
LIVE: tuple[Piece, ...] = ("state", "clusters", "drift", "proof", "preflight")
"""The pieces that were read from AWS, the control plane or Terraform, or that an option left out."""
RANKS: Mapping[str, int] = {sign: rank for rank, sign in enumerate((*WORST[:-1], "wait", "none", "pass", ""))}
"""The marks, worst first."""


@dataclass(frozen=True, slots=True)
class StackFact:
    """A piece in a few words, as the stack's own page has it. ``note`` says more, or why it is unknown."""

    text: str
    mark: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A stack. ``page``: its page's address relative to the fleet's page, if its run wrote one.

    ``made``: when its run had read everything. ``account_id`` was read from the live role, ``declared_account_id`` from
    the stack file. ``dollars_a_day``: the standing cost of the clusters in the stack file. ``last_verb``,
    ``last_began``, ``last_code``: the newest run in the journal; ``last_code`` is empty if it succeeded.
    """

    result: Result
    facts: Mapping[Piece, StackFact]
    page: str | None = None
    made: str | None = None
    account_id: str | None = None
    declared_account_id: str | None = None
    region: str | None = None
    control_plane: str | None = None
    dollars_a_day: int | None = None
    last_verb: str | None = None
    last_began: str | None = None
    last_code: str | None = None

    @property
    def read(self) -> bool:
        """Whether the stack's run wrote its document."""
        return "page" in self.result.said

    @property
    def rank(self) -> int:
        """The rank of the worst live piece. Of the preflight only a failure counts: warnings are usual."""
        marks = [self.facts[piece].mark for piece in LIVE if piece != "preflight"]
        marks += [mark for mark in (self.facts["preflight"].mark,) if mark == "fail"]
        return min(RANKS[mark] for mark in marks)

    @property
    def attention(self) -> bool:
        """Whether a piece is failed or unknown, or something differs from the stack file."""
        return self.rank <= RANKS["unknown"] or "warn" in (self.facts["state"].mark, self.facts["drift"].mark)


@dataclass(frozen=True, slots=True)
class FleetPage:
    """The page of a fleet. ``report`` is the run that read the stacks; it ended at ``made`` (UTC)."""

    made: datetime
    report: FleetReport
    rows: tuple[FleetRow, ...]
    version: str = field(default=gridbyoc.__version__)

    @property
    def began(self) -> datetime:
        """When the first stack was read."""
        return self.made - timedelta(seconds=self.report.seconds)

    @property
    def worst_first(self) -> tuple[FleetRow, ...]:
        """The rows by their worst live piece; equal ones stay in order."""
        return tuple(sorted(self.rows, key=lambda row: (not row.attention, row.rank)))

    @property
    def looked_at(self) -> tuple[Piece, ...]:
        """The live pieces that no option left out."""
        read = [row.facts for row in self.rows if row.read]
        return tuple(piece for piece in LIVE if any(facts[piece].text != NOT_CHECKED for facts in read))

    @property
    def dollars_a_day(self) -> int:
        """The standing cost of all stacks whose price is known."""
        return sum(row.dollars_a_day or 0 for row in self.rows)

    @property
    def without_price(self) -> int:
        """The number of stacks whose standing cost is not known."""
        return sum(row.dollars_a_day is None for row in self.rows)


def page_names(members: Iterable[Member]) -> dict[Member, str]:
    """A file name for each stack's page, from its label; unique, also where upper and lower case are the same."""
    names: dict[Member, str] = {}
    for member in members:
        plain = re.sub(r"[^a-z0-9._]+", "-", member.label.lower()).strip("-._")[:100]
        digest = hashlib.sha256(member.shown.encode(errors="surrogateescape")).hexdigest()[:16]
        # no plain name has two hyphens in a row
        names[member] = f"{plain}.html" if plain and plain == member.label else f"{plain}--{digest}.html"
    return names


def fleet_page(
    report: FleetReport, links: Mapping[Member, str], made: datetime, secrets: Sequence[Secret] = ()
) -> FleetPage:
    """The page of a fleet's run of ``report``. ``links``: where each stack's page is, relative to the fleet's.

    ``secrets`` are removed from every text. Each stack's run has already removed those that it knew.
    """
    return FleetPage(made, report, tuple(_row(result, links, secrets) for result in report.results))


def _row(result: Result, links: Mapping[Member, str], secrets: Sequence[Secret]) -> FleetRow:
    document: Mapping[str, Any] | None = result.said.get("page")
    if document is None:
        unread = _unread(result)
        return FleetRow(result, dict.fromkeys(PIECES, replace(unread, note=redacted(unread.note, secrets))))
    overview: Mapping[Piece, Mapping[str, str]] = document["overview"]
    last: Mapping[str, str] = next(iter(document["history"]), {})
    return FleetRow(
        result,
        {piece: _fact(overview[piece], secrets) for piece in PIECES},
        links.get(result.member) if result.outcome == "done" else None,
        document["made"],
        document["account_id"],
        document["declared_account_id"],
        document["region"],
        document["control_plane"],
        document["dollars_a_day"],
        last.get("verb"),
        last.get("began"),
        last.get("code"),
    )


def _fact(item: Mapping[str, str], secrets: Sequence[Secret]) -> StackFact:
    mark = item["mark"] if item["mark"] in RANKS else "unknown"
    return StackFact(redacted(item["text"], secrets), mark, redacted(item["note"], secrets))


def _unread(result: Result) -> StackFact:
    """Every piece of a stack whose run wrote no document: nothing was looked at, or nothing came of it."""
    if result.outcome == "not started":
        return StackFact(NOT_CHECKED, "none", "its run was not started")
    return StackFact("unknown", "unknown", words_of(result) or result.outcome)
