"""The journal, the lock, a timed step and the background check."""

from __future__ import annotations

import json
import resource
import threading
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

import pytest

from gridbyoc.errors import FileError, LockedError, UsageError
from gridbyoc.operations.events import Event, StepFinished, StepStarted
from gridbyoc.operations.journal import Journal
from gridbyoc.operations.lock import HOLDER, LOCK, SAVED_PLAN, hold
from gridbyoc.operations.run import Choices, Environment, Run
from gridbyoc.stack.background import Background
from gridbyoc.stack.clock import backoff
from tests.unit.fakes import Time, stack


def noon() -> datetime:
    return datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


def make_run(directory: Path, events: list[Event], time: Time) -> Run:
    outside = Environment({}, directory, events.append, time.clock, time.sleep)
    return Run(stack(), directory, outside, Choices(), Journal(directory / "journal.jsonl", noon, "r1"))


def records(directory: Path) -> list[dict]:
    return [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]


def test_a_step_is_timed_told_and_recorded(tmp_path: Path) -> None:
    events: list[Event] = []
    time = Time()
    run = make_run(tmp_path, events, time)
    with run.step("init") as step:
        time.sleep(2)
        step.detail = "fine"
    assert events == [StepStarted("init"), StepFinished("init", 2.0, "done", "fine")]
    assert run.seconds == {"init": 2.0}
    assert [(r["type"], r["step"]) for r in records(tmp_path)] == [("step_started", "init"), ("step_done", "init")]
    assert (tmp_path / "journal.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_failed_step_is_told_by_its_code_and_goes_on_raising(tmp_path: Path) -> None:
    events: list[Event] = []
    run = make_run(tmp_path, events, Time())
    with pytest.raises(UsageError), run.step("apply"):
        raise UsageError("no")
    with pytest.raises(KeyboardInterrupt), run.step("wait"):
        raise KeyboardInterrupt
    assert [e.detail for e in events if isinstance(e, StepFinished)] == ["GBY-U001", "KeyboardInterrupt"]
    assert [r.get("code") for r in records(tmp_path) if r["type"] == "step_failed"] == ["GBY-U001", "KeyboardInterrupt"]


def test_work_beside_a_run_that_is_over_neither_shows_nor_records(tmp_path: Path) -> None:
    events: list[Event] = []
    over = threading.Event()
    beside = make_run(tmp_path, events, Time()).muted_when(over.is_set)

    def end_late() -> None:
        over.set()
        raise RuntimeError("interpreter shutdown")

    with pytest.raises(RuntimeError), beside.step("preflight"):
        end_late()
    assert events == [StepStarted("preflight")]
    assert [r["type"] for r in records(tmp_path)] == ["step_started"]


def test_a_skipped_step_says_so(tmp_path: Path) -> None:
    events: list[Event] = []
    run = make_run(tmp_path, events, Time())
    with run.step("init") as step:
        step.skipped = True
    assert isinstance(events[-1], StepFinished)
    assert events[-1].outcome == "skipped"
    assert records(tmp_path)[-1]["type"] == "step_skipped"


def test_a_journal_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "missing" / "journal.jsonl", noon, "r1")
    with pytest.raises(FileError, match="could not be written") as caught:
        journal.write("x")
    assert "No such file" in caught.value.why


def test_the_lock_admits_one_and_says_who_holds_it(tmp_path: Path) -> None:
    with hold(tmp_path, verb="bootstrap", now=noon):
        assert (tmp_path / LOCK).stat().st_mode & 0o777 == 0o600
        with pytest.raises(LockedError, match="in progress") as caught, hold(tmp_path, verb="plan", now=noon):
            pytest.fail("two held it")
        assert "gridbyoc bootstrap" in caught.value.why
        assert "2026-01-02 12:00 UTC" in caught.value.why
    assert not (tmp_path / HOLDER).exists()
    with hold(tmp_path, verb="plan", now=noon):
        pass


def test_a_saved_plan_that_a_killed_run_left_goes_with_the_next_run_alone(tmp_path: Path) -> None:
    with hold(tmp_path, verb="apply", now=noon):
        (tmp_path / SAVED_PLAN).write_bytes(b"secrets in clear")
        with pytest.raises(LockedError), hold(tmp_path, verb="plan", now=noon):
            pytest.fail("two held it")
        assert (tmp_path / SAVED_PLAN).exists()
    with hold(tmp_path, verb="bootstrap", now=noon):
        assert not (tmp_path / SAVED_PLAN).exists()


def test_a_holder_that_did_not_sign_is_still_told(tmp_path: Path) -> None:
    with hold(tmp_path, verb="bootstrap", now=noon):
        (tmp_path / HOLDER).write_text("{")
        with pytest.raises(LockedError) as caught, hold(tmp_path, verb="plan", now=noon):
            pytest.fail("two held it")
        assert "did not record its identity" in caught.value.why


def test_a_lock_where_a_directory_stands_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(FileError, match="could not be acquired"), hold(tmp_path, verb="plan", now=noon):
        pytest.fail("held a directory")


def test_a_holder_that_cannot_sign_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limit[1]))
    try:
        with pytest.raises(FileError) as caught, hold(tmp_path, verb="plan", now=noon):
            pytest.fail("held what it could not sign")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert caught.value.what == f"Cannot write {tmp_path / HOLDER}."
    assert "Free some space" in caught.value.fix
    assert not (tmp_path / HOLDER).exists()


def test_the_background_hands_on_values_and_errors() -> None:
    main = threading.current_thread()
    assert Background(threading.current_thread).result() is not main
    failing = Background(lambda: {}["x"])
    with pytest.raises(KeyError):
        failing.result()


@pytest.mark.parametrize(
    "arguments, pauses",
    [
        ((1.0, 2.0, 8.0), [1, 2, 4, 8, 8]),
        ((5.0, 1.5, 10.0), [5, 7.5, 10, 10, 10]),
        ((90.0, 1.5, 60.0), [60, 60, 60, 60, 60]),
        ((0.0, 2.0, 1.0), [0, 0, 0, 0, 0]),
    ],
)
def test_pauses_grow_up_to_the_longest(arguments: tuple[float, float, float], pauses: list[float]) -> None:
    assert list(islice(backoff(*arguments), 5)) == pauses


def test_pauses_that_begin_with_none_grow_from_the_least() -> None:
    assert list(islice(backoff(0.0, 2.0, 0.5, least=0.1), 5)) == [0, 0.2, 0.4, 0.5, 0.5]


def test_a_disk_that_takes_a_part_of_a_line_leaves_no_torn_one(tmp_path: Path) -> None:
    import resource
    import signal

    journal = Journal(tmp_path / "journal.jsonl", noon, "r1")
    journal.write("first")
    size = journal.path.stat().st_size
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        with pytest.raises(FileError, match="could not be written"):
            journal.write("second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    journal.write("third")
    assert [record["type"] for record in records(tmp_path)] == ["first", "third"]
