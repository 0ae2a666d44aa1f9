"""Whether the holder of a state's lock lives: dead only where it is proven."""

from __future__ import annotations

import io
import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from gridbyoc.cli.app import App
from gridbyoc.cli.state import _may_break
from gridbyoc.errors import UsageError
from gridbyoc.operations.journal import Journal
from gridbyoc.operations.state_unlock import HolderState, Lock, Process, judge, refusal, user_name, working_in
from gridbyoc.terraform import LockInfo

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
HERE = "ada@box"


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def lock(seconds: float = 2, who: str = HERE) -> LockInfo:
    return LockInfo("the-id", "OperationTypeApply", who, created=after(seconds))


def journal(work_dir: Path, *records: tuple[float, str, dict[str, Any]], run_id: str = "r") -> None:
    for seconds, kind, fields in records:
        Journal(work_dir / "journal.jsonl", lambda when=seconds: after(when), run_id).write(kind, **fields)


def nobody(_directory: Path) -> tuple[Process, ...]:
    return ()


def verdict(work_dir: Path, info: LockInfo, workers: Any = nobody) -> tuple[str, str]:
    return judge(work_dir, info, here=HERE, workers=workers)


APPLY = {"step": "apply"}


def test_a_step_that_never_ended_and_nobody_at_work_is_a_dead_holder(tmp_path: Path) -> None:
    journal(tmp_path, (0, "step_started", APPLY))
    said, reason = verdict(tmp_path, lock())
    assert said == "dead"
    assert "step apply" in reason


def test_a_step_that_failed_is_over_too(tmp_path: Path) -> None:
    journal(tmp_path, (0, "step_started", APPLY), (5, "step_failed", {**APPLY, "code": "GBY-T001"}))
    assert verdict(tmp_path, lock())[0] == "dead"


@pytest.mark.parametrize(
    "records",
    [
        (),
        ((0, "step_started", APPLY), (5, "step_done", APPLY)),
        ((0, "step_started", APPLY), (5, "step_failed", {**APPLY, "code": "GBY-T005"})),
        ((0, "step_started", APPLY), (1, "step_failed", {**APPLY, "code": "GBY-T001"})),
        ((3, "step_started", APPLY),),
        ((-200, "step_started", APPLY),),
    ],
    ids=["no journal", "ended well", "was refused the lock", "ended before", "began after", "began long before"],
)
def test_a_lock_that_no_step_of_ours_can_have_taken_is_not_proven_dead(tmp_path: Path, records: Any) -> None:
    journal(tmp_path, *records)
    said, reason = verdict(tmp_path, lock())
    assert said == "unknown"
    assert "another directory may hold it" in reason


def test_a_broken_journal_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text('{"type": "step_started", "time": "once", "step": "apply"}\n[]\n{')
    assert verdict(tmp_path, lock())[0] == "unknown"
    journal(tmp_path, (0, "step_started", APPLY))
    assert verdict(tmp_path, LockInfo("i", who=HERE))[0] == "unknown"


@pytest.mark.parametrize("who", ["ada@elsewhere", "bob@box", ""])
def test_a_lock_of_another_machine_or_user_is_unknown(tmp_path: Path, who: str) -> None:
    journal(tmp_path, (0, "step_started", APPLY))
    said, reason = verdict(tmp_path, lock(who=who))
    assert said == "unknown"
    assert "this is ada@box" in reason


def test_whoever_works_in_the_work_dir_may_be_the_holder(tmp_path: Path) -> None:
    journal(tmp_path, (0, "step_started", APPLY))
    said, reason = verdict(tmp_path, lock(), lambda _: (Process(7, "terraform"),))
    assert (said, "terraform (process 7)" in reason) == ("alive", True)
    assert verdict(tmp_path, lock(), lambda _: (Process(7, "vim"),))[0] == "unknown"
    assert verdict(tmp_path, lock(), lambda _: None)[0] == "unknown"


def test_the_machine_tells_who_works_in_a_directory(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    with subprocess.Popen(["sleep", "30"], cwd=below) as sleeper:
        assert working_in(tmp_path) == (Process(sleeper.pid, "sleep"),)
        assert working_in(tmp_path / "elsewhere") == ()
        sleeper.kill()
    assert working_in(tmp_path) == ()
    assert working_in(tmp_path, proc=tmp_path) is None
    assert user_name() == (subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip())


def test_odd_processes_do_not_stop_the_look(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    for name in ("self", "17", "18", str(os.getpid())):
        (proc / name).mkdir(parents=True)
    (proc / "18" / "cwd").symlink_to(tmp_path / "w")
    (proc / "18" / "comm").write_text("bash\n")
    assert working_in(tmp_path / "w", proc=proc) == ()


def test_a_refusal_names_the_one_line_that_breaks_the_lock() -> None:
    unknown = refusal(Lock(lock(), "unknown", "it was taken elsewhere", "terraform force-unlock the-id"), "s.yaml")
    assert unknown.exit_status == 8
    assert "gridbyoc state unlock s.yaml --force the-id" in unknown.fix
    assert "terraform force-unlock the-id" in unknown.fix
    assert unknown.lock_id == "the-id"
    alive = refusal(Lock(lock(), "alive", "terraform (process 7)", "terraform force-unlock the-id"), "s.yaml")
    assert "force" not in alive.fix
    assert "process 7" in alive.why


def test_a_lock_without_an_id_is_not_broken_by_terraform() -> None:
    assert ".tflock" in refusal(Lock(LockInfo(""), "unknown", "it does not say", ""), "s.yaml").fix


def answered(found: Lock, typed: str) -> bool:
    """What a person at a terminal brings about who types this when asked."""
    app = App({}, Path(), Path(), io.StringIO(), io.StringIO(), io.StringIO(), interactive=True)
    answer: list[bool] = []
    ask = click.Command("ask", callback=lambda: answer.append(_may_break(app, found, yes=False, force=None)))
    assert CliRunner().invoke(ask, input=f"{typed}\n", standalone_mode=False).exception is None
    return answer[0]


@pytest.mark.parametrize(
    "verdict, typed, breaks",
    [("dead", "y", True), ("dead", "", False), ("unknown", "the-id", True), ("unknown", "y", False)],
)
def test_a_person_is_asked_for_a_yes_or_for_the_id(verdict: HolderState, typed: str, breaks: bool) -> None:
    assert answered(Lock(lock(), verdict, "because", "terraform force-unlock the-id"), typed) is breaks


def test_words_on_the_command_line_count_as_much_as_they_say() -> None:
    app = App({}, Path(), Path(), io.StringIO(), io.StringIO(), io.StringIO())
    dead, unknown, alive = (Lock(lock(), verdict, "because", "x") for verdict in ("dead", "unknown", "alive"))
    assert _may_break(app, dead, yes=True, force=None)
    assert not _may_break(app, unknown, yes=True, force=None)
    assert _may_break(app, unknown, yes=False, force="the-id")
    assert not _may_break(app, alive, yes=True, force="the-id")
    assert not _may_break(app, dead, yes=False, force=None)
    with pytest.raises(UsageError, match="not other"):
        _may_break(app, dead, yes=True, force="other")
