"""Quotas and the requests to raise them, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from gridbyoc.operations.finding import Verdict
from gridbyoc.operations.quotas.raising import PlannedIncrease, RequestResult
from gridbyoc.operations.quotas.review import (
    NO_QUOTA,
    Increase,
    QuotaFacts,
    QuotaRow,
    fix_words,
    needed_words,
    no_quota_words,
    quota_facts,
    read_words,
    whole,
)
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.words import counted, minute

COLUMNS = ("code", "name", "region", "limit", "in use", "needed", "verdict")
ASK_COLUMNS = ("code", "name", "region", "from", "to", "state")
REQUEST_COLUMNS = ("code", "name", "region", "to", "status", "case", "filed", "changed")

QuotaTable = tuple[tuple[str, ...], list[tuple[str, ...]]]


def quota_table(rows: Sequence[QuotaRow]) -> QuotaTable:
    """A row for each quota."""
    return COLUMNS, [
        (
            row.quota.code,
            row.quota.name,
            row.region,
            _text(row.limit),
            _text(row.in_use),
            needed_words(row),
            row.verdict,
        )
        for row in rows
    ]


def quota_advice(rows: Sequence[QuotaRow], without: Sequence[tuple[str, str]] = ()) -> list[str]:
    """A line for each quota that does not simply pass: the numbers, and what to do.

    ``without``: instance types that no quota is known for, each with the market.
    """
    lines = [f"{row.quota.code} {row.verdict}: {_advice(row)}" for row in rows if row.verdict != "pass"]
    return [*lines, *(f"unknown: {no_quota_words(*each)}. {NO_QUOTA}" for each in without)]


def _advice(row: QuotaRow) -> str:
    return ". ".join(part.rstrip(".") for part in (read_words(row), fix_words(row)) if part)


@dataclass(frozen=True, slots=True)
class QuotasFound:
    """The quotas of an account. ``without``: see ``quota_advice``."""

    account_id: str
    region: str
    rows: Sequence[QuotaRow]
    without: Sequence[tuple[str, str]] = ()

    @property
    def blocked(self) -> bool:
        """Whether a shortage is proven."""
        return any(row.verdict == "fail" for row in self.rows)


QuotaVerdict = TypedDict("QuotaVerdict", {"verdict": Verdict, "why": str, "for": str, "fix": str})


class QuotaBody(QuotaFacts, QuotaVerdict):
    """One quota, judged; ``for`` says what needs it."""


class QuotasBody(TypedDict):
    """Limits, use, and the needs of the stack's new clusters. ``blocked``: a limit is too low."""

    account_id: str
    region: str
    blocked: bool
    quotas: list[QuotaBody]


def quotas_json(found: QuotasFound) -> QuotasBody:
    """All quotas."""
    return {
        "account_id": found.account_id,
        "region": found.region,
        "blocked": found.blocked,
        "quotas": [
            {**quota_facts(row), "verdict": row.verdict, "why": row.why, "for": row.need.words, "fix": fix_words(row)}
            for row in found.rows
        ],
    }


def _write_quotas(found: QuotasFound, screen: Screen) -> None:
    screen.table(*quota_table(found.rows))
    screen.line()
    for line in quota_advice(found.rows, found.without):
        screen.line(line)
    short = sum(row.verdict == "fail" for row in found.rows)
    what = f"{short} of {len(found.rows)} short" if short else "no quota is too low"
    screen.line(f"Account {found.account_id}, region {found.region}: {what}.")


QUOTAS = Output("quotas", quotas_json, _write_quotas, stack="optional")


def ask_table(asks: Sequence[PlannedIncrease]) -> QuotaTable:
    """A row for each planned increase."""
    return ASK_COLUMNS, [
        (ask.row.quota.code, ask.row.quota.name, ask.row.region, _text(ask.row.limit), str(ask.desired), _result(ask))
        for ask in asks
    ]


def _result(ask: PlannedIncrease) -> str:
    request = ask.request
    result = "asked before" if ask.result == "pending" else ask.result  # AWS may have decided meanwhile
    if request is None:
        return f"{result}: {ask.why}" if ask.why else result
    case = f", case {request.case_id}" if request.case_id else ""
    amount = f" for {whole(request.desired)}" if request.desired != ask.desired else ""
    return f"{result}{amount}: {request.status}{case}"


@dataclass(frozen=True, slots=True)
class Asked:
    """The requests to AWS and their results. ``untold``: codes of quotas that could not be read."""

    account_id: str
    region: str
    asks: Sequence[PlannedIncrease]
    untold: Sequence[str] = ()


class IncreaseBody(TypedDict):
    """A request as AWS records it; times are ISO 8601 in UTC."""

    id: str
    service: str
    quota_code: str
    quota_name: str
    region: str
    desired: float
    status: str
    open: bool
    case_id: str | None
    created: str | None
    updated: str | None


class AskBody(QuotaFacts):
    """A requested increase of one quota."""

    desired: int
    result: RequestResult
    why: str
    request: IncreaseBody | None


class AskedBody(TypedDict):
    """The requests to AWS and their results."""

    account_id: str
    region: str
    untold: list[str]
    requests: list[AskBody]


def asked_json(asked: Asked) -> AskedBody:
    """The document of the requests."""
    return {
        "account_id": asked.account_id,
        "region": asked.region,
        "untold": list(asked.untold),
        "requests": [
            {
                **quota_facts(ask.row),
                "desired": ask.desired,
                "result": ask.result,
                "why": ask.why,
                "request": increase_json(ask.request) if ask.request else None,
            }
            for ask in asked.asks
        ],
    }


def _write_asked(asked: Asked, screen: Screen) -> None:
    if asked.asks:
        screen.table(*ask_table(asked.asks))
        return
    short = f"no quota is known to be too low; {', '.join(asked.untold)} could not be determined"
    known = short if asked.untold else "nothing to ask for"
    screen.line(f"Account {asked.account_id}, region {asked.region}: {known}.")


QUOTA_REQUESTS = Output("quota_requests", asked_json, _write_asked, stack="optional")


def request_table(requests: Sequence[Increase]) -> QuotaTable:
    """A row for each request."""
    return REQUEST_COLUMNS, [
        (
            request.quota.code,
            request.quota.name,
            request.region,
            f"{whole(request.desired)}",
            request.status,
            request.case_id,
            minute(request.created),
            minute(request.updated),
        )
        for request in requests
    ]


def increase_json(request: Increase) -> IncreaseBody:
    """A request."""
    return {
        "id": request.id,
        "service": request.quota.service,
        "quota_code": request.quota.code,
        "quota_name": request.quota.name,
        "region": request.region,
        "desired": request.desired,
        "status": request.status,
        "open": request.open,
        "case_id": request.case_id or None,
        "created": request.created.isoformat() if request.created else None,
        "updated": request.updated.isoformat() if request.updated else None,
    }


@dataclass(frozen=True, slots=True)
class History:
    """An account's requests for quota increases, in the regions where quotas are raised."""

    account_id: str
    regions: Sequence[str]
    requests: Sequence[Increase]


class HistoryBody(TypedDict):
    """The account's requests for increases of these quotas."""

    account_id: str
    regions: list[str]
    requests: list[IncreaseBody]


def history_json(found: History) -> HistoryBody:
    """The document of the history."""
    listed = [increase_json(each) for each in found.requests]
    return {"account_id": found.account_id, "regions": list(found.regions), "requests": listed}


def _write_history(found: History, screen: Screen) -> None:
    if found.requests:
        screen.table(*request_table(found.requests))
    count = counted(len(found.requests), "request") if found.requests else "no requests"
    screen.line(f"Account {found.account_id}, {' and '.join(found.regions)}: {count}.")


QUOTA_HISTORY = Output("quota_history", history_json, _write_history, stack="optional")


def _text(value: float | None) -> str:
    return "?" if value is None else str(whole(value))
