"""Quotas and the requests to raise them, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridbyoc.operations.quotas.raising import Ask
from gridbyoc.operations.quotas.review import (
    NO_QUOTA,
    Increase,
    QuotaRow,
    fix_words,
    needed_words,
    no_quota_words,
    quota_facts,
    read_words,
    whole,
)
from gridbyoc.stack.words import minute

COLUMNS = ("code", "name", "region", "limit", "in use", "needed", "verdict")
ASK_COLUMNS = ("code", "name", "region", "from", "to", "state")
REQUEST_COLUMNS = ("code", "name", "region", "to", "status", "case", "filed", "changed")

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def quota_table(rows: Sequence[QuotaRow]) -> Table:
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
    """A line for each quota that does not simply pass: what was read, what to do.

    ``without`` are instance types that no quota is known for, each with the market.
    """
    lines = [f"{row.quota.code} {row.verdict}: {_advice(row)}" for row in rows if row.verdict != "pass"]
    return [*lines, *(f"unknown: {no_quota_words(*each)}. {NO_QUOTA}" for each in without)]


def _advice(row: QuotaRow) -> str:
    return ". ".join(part.rstrip(".") for part in (read_words(row), fix_words(row)) if part)


def quotas_object(rows: Sequence[QuotaRow], *, account: str, region: str, blocked: bool) -> dict[str, Any]:
    """All of it as one JSON object; the keys are a promise."""
    return {
        "type": "quotas",
        "account_id": account,
        "region": region,
        "blocked": blocked,
        "quotas": [
            {**quota_facts(row), "verdict": row.verdict, "why": row.why, "for": row.need.words, "fix": fix_words(row)}
            for row in rows
        ],
    }


def ask_table(asks: Sequence[Ask]) -> Table:
    """A row for each quota that is asked for."""
    return ASK_COLUMNS, [
        (ask.row.quota.code, ask.row.quota.name, ask.row.region, _text(ask.row.limit), str(ask.desired), _result(ask))
        for ask in asks
    ]


def _result(ask: Ask) -> str:
    request = ask.request
    result = "asked before" if ask.result == "pending" else ask.result  # AWS may have decided meanwhile
    if request is None:
        return f"{result}: {ask.why}" if ask.why else result
    case = f", case {request.case_id}" if request.case_id else ""
    amount = f" for {whole(request.desired)}" if request.desired != ask.desired else ""
    return f"{result}{amount}: {request.status}{case}"


def asks_object(asks: Sequence[Ask], untold: Sequence[str] = (), *, account: str, region: str) -> dict[str, Any]:
    """What was asked for and what came of it, as one JSON object; the keys are a promise.

    ``untold`` are the codes of quotas that could not be read.
    """
    return {
        "type": "quota_requests",
        "account_id": account,
        "region": region,
        "untold": list(untold),
        "requests": [
            {
                **quota_facts(ask.row),
                "desired": ask.desired,
                "result": ask.result,
                "why": ask.why,
                "request": request_object(ask.request) if ask.request else None,
            }
            for ask in asks
        ],
    }


def request_table(requests: Sequence[Increase]) -> Table:
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


def request_object(request: Increase) -> dict[str, Any]:
    """A request as JSON; times are ISO 8601 in UTC."""
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


def _text(value: float | None) -> str:
    return "?" if value is None else str(whole(value))
