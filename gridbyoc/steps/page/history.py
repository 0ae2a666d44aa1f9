"""The runs of a journal, with the steps of each: when they began, how long they took, what came of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from gridbyoc.steps.page.model import PastRun, PastStep

KILLED = "killed"
Record = Mapping[str, Any]


def past_runs(records: Iterable[Record]) -> tuple[PastRun, ...]:
    """Every run that wrote its beginning, the newest first. Whatever a damaged journal holds is text, or nothing."""
    of_run: dict[str, list[Record]] = {}
    for record in records:
        of_run.setdefault(str(record.get("run")), []).append(record)
    found = [_run(ident, mine) for ident, mine in of_run.items() if any(r.get("type") == "run_started" for r in mine)]
    return tuple(reversed(found))


def _run(ident: str, records: Sequence[Record]) -> PastRun:
    begin = next(record for record in records if record.get("type") == "run_started")
    end = next((record for record in records if record.get("type") == "run_ended"), None)
    code = KILLED if end is None else str(end.get("code") or "")
    return PastRun(
        ident,
        str(begin.get("verb")),
        str(begin.get("time")),
        None if end is None else _between(begin, end),
        code,
        str(begin.get("version") or ""),
        tuple(_steps(begin, records)),
    )


def _steps(begin: Record, records: Sequence[Record]) -> list[PastStep]:
    steps: list[PastStep] = []
    open_at: dict[str, int] = {}
    for record in records:
        kind, name = str(record.get("type")), str(record.get("step"))
        if kind == "step_started":
            open_at[name] = len(steps)
            steps.append(PastStep(name, KILLED, _between(begin, record), 0.0, ""))
        elif kind.startswith("step_") and name in open_at:
            place = open_at.pop(name)
            steps[place] = _ended(steps[place], kind.removeprefix("step_"), record)
    return steps


def _ended(step: PastStep, outcome: str, record: Record) -> PastStep:
    seconds = record.get("seconds")
    took = float(seconds) if isinstance(seconds, (int, float)) and 0 <= seconds < 1e9 else 0.0
    said = str(record.get("code") or record.get("detail") or "")
    return PastStep(step.name, outcome, step.after, took, said)


def _between(first: Record, second: Record) -> float:
    try:
        gap = datetime.fromisoformat(str(second.get("time"))) - datetime.fromisoformat(str(first.get("time")))
    except (ValueError, TypeError):
        return 0.0
    return max(gap.total_seconds(), 0.0)
