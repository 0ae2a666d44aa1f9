"""The runs of a journal, whatever it holds, and readings that come late, fail or have a fault."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbyoc.errors import AwsError
from gridbyoc.operations.page import past_runs, reading
from gridbyoc.stack.background import Background
from tests.unit.page_kit import JOURNAL

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
kinds = st.sampled_from(["run_started", "run_ended", "step_started", "step_done", "step_failed", "step_", "note"])
records = st.fixed_dictionaries(
    {"type": kinds},
    optional=dict.fromkeys(("run", "time", "step", "seconds", "code", "detail", "verb"), json_values),
)


def test_runs_newest_first_with_their_steps() -> None:
    newest, oldest = past_runs(JOURNAL)
    assert (newest.verb, newest.code, newest.seconds) == ("rotate", "killed", None)
    assert [(s.name, s.outcome, s.after) for s in newest.steps] == [("apply", "killed", 2.0)]
    assert (oldest.code, oldest.seconds, oldest.last_step) == ("preflight_blocked", 5.0, "preflight")
    assert [(s.name, s.outcome, s.after, s.seconds, s.detail) for s in oldest.steps] == [
        ("init", "done", 1.0, 3.0, "d"),
        ("preflight", "failed", 1.0, 4.0, "preflight_blocked"),
    ]


def test_a_step_that_is_done_twice_is_there_twice() -> None:
    twice = [*JOURNAL[6:], {"run": "b", "type": "step_done", "step": "apply", "seconds": 1.0}]
    twice += [{"run": "b", "type": "step_started", "step": "apply"}]
    (run,) = past_runs(twice)
    assert [step.outcome for step in run.steps] == ["done", "killed"]


def test_records_without_a_beginning_are_no_run() -> None:
    assert past_runs([{"run": "x", "type": "step_started", "step": "render"}]) == ()


@given(st.lists(records, max_size=12))
@settings(max_examples=100, deadline=None)
def test_no_journal_is_too_strange(found: list[dict[str, object]]) -> None:
    for run in past_runs(found):
        assert run.seconds is None or run.seconds >= 0
        assert all(0 <= step.seconds < 1e9 and step.after >= 0 for step in run.steps)


def _refused() -> int:
    raise AwsError("AWS did not answer.", why="It is down.")


def _broken() -> int:
    raise KeyError("x")


@pytest.mark.parametrize(
    ("work", "value", "why"),
    [
        (lambda: 3, 3, ""),
        (_refused, None, "AWS did not answer. It is down."),
        (_broken, None, "internal error in gridbyoc (KeyError)"),
    ],
)
def test_a_reading_has_a_value_or_a_reason(work: object, value: object, why: str) -> None:
    found = reading(Background(work), 60, 60)  # type: ignore[arg-type]  # a function of each kind
    assert (found.value, found.why) == (value, why)


def test_a_late_answer_is_not_waited_for() -> None:
    hold = threading.Event()
    try:
        assert reading(Background(hold.wait), 0.0, 5).why == "no answer within 5 s"
    finally:
        hold.set()
