"""The process function: output as it comes, interrupts, kills, and nothing left behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from gridbyoc.errors import TerraformTimeoutError
from gridbyoc.terraform import Binary, ResourceEvent, find_binary
from gridbyoc.terraform.process import Cause, ExitInfo, Interrupts, NotStartedError, ProcessCommand, Stream, run
from tests.functional.terraform_kit import (
    Recorder,
    drive,
    environment,
    make_runner,
    nobody_in,
    processes_in,
    root,
    script,
    thing,
    wait_for,
)


@pytest.fixture(scope="module", params=["terraform", "embedded"])
def binary(request: pytest.FixtureRequest) -> Binary:
    return find_binary(request.param, environment())


def shell(text: str, cwd: Path, timeout: float = 20.0, grace: float = 5.0) -> tuple[ExitInfo, list[tuple[Stream, str]]]:
    lines: list[tuple[Stream, str]] = []
    command = ProcessCommand(("/bin/sh", "-c", text), environment(), cwd, timeout, grace)
    ended = run(command, lambda stream, line: lines.append((stream, line)), interrupts=Interrupts())
    return ended, lines


# --- lines ---


def test_both_streams_line_by_line(tmp_path: Path) -> None:
    ended, lines = shell(r"printf 'a\r\nb'; printf 'c\n' >&2; exit 3", tmp_path)
    assert sorted(lines) == [("stderr", "c"), ("stdout", "a"), ("stdout", "b")]
    assert (ended.code, ended.cause, ended.killed) == (3, Cause.EXIT, False)


def test_bytes_that_are_no_text_do_not_matter(tmp_path: Path) -> None:
    _, lines = shell(r"printf '\377\376 x\n\303'; sleep 0.1; printf '\274\n'", tmp_path)
    assert lines == [("stdout", "�� x"), ("stdout", "ü")]


def test_a_very_long_line_comes_whole(tmp_path: Path) -> None:
    text = f"{sys.executable} -c \"print('x' * 3_000_000)\""
    _, lines = shell(text, tmp_path)
    assert [len(line) for _, line in lines] == [3_000_000]


def test_standard_input_is_closed_and_the_session_is_its_own(tmp_path: Path) -> None:
    text = f"cat; {sys.executable} -c 'import os; print(os.getsid(0) == os.getppid() or os.getsid(0) == os.getpid())'"
    _, lines = shell(text, tmp_path)
    assert lines == [("stdout", "True")]


def test_a_pipe_that_somebody_else_holds_does_not_hold_us(tmp_path: Path) -> None:
    begun = time.monotonic()
    ended, lines = shell("(sleep 8) & echo done", tmp_path)
    assert lines == [("stdout", "done")]
    assert ended.code == 0
    assert time.monotonic() - begun < 5


def test_a_child_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    ended, _ = shell("exec >&- 2>&-; sleep 0.5; exit 4", tmp_path)
    assert ended.code == 4


def test_a_program_that_is_not_there_is_not_started(tmp_path: Path) -> None:
    command = ProcessCommand((str(tmp_path / "gone"),), {}, tmp_path)
    with pytest.raises(NotStartedError, match="No such file"):
        run(command, lambda *_: None, interrupts=Interrupts())


# --- the end ---


def test_a_time_out_interrupts_and_sweeps(tmp_path: Path) -> None:
    ended, _ = shell("trap 'exit 7' INT; sleep 30 & while :; do sleep 0.05; done", tmp_path, timeout=0.3)
    assert (ended.code, ended.cause, ended.killed) == (7, Cause.TIMEOUT, False)
    nobody_in(tmp_path)


def test_after_the_grace_comes_the_kill(tmp_path: Path) -> None:
    ended, _ = shell("trap '' INT; sleep 30; sleep 30", tmp_path, timeout=0.2, grace=0.2)
    assert (ended.code, ended.cause, ended.killed) == (-9, Cause.TIMEOUT, True)
    nobody_in(tmp_path)


def test_what_raises_in_a_line_stops_the_child_first(tmp_path: Path) -> None:
    seen = []

    def on_line(_stream: Stream, line: str) -> None:
        seen.append(line)
        if line == "two":
            raise LookupError(line)

    text = "trap 'echo bye; exit' INT; printf 'one\\ntwo\\nthree\\n'; while :; do sleep 0.05; done"
    with pytest.raises(LookupError):
        run(ProcessCommand(("/bin/sh", "-c", text), environment(), tmp_path), on_line, interrupts=Interrupts())
    assert seen == ["one", "two", "three", "bye"]


def test_sigint_is_sent_once_and_to_the_child_alone(tmp_path: Path) -> None:
    text = (
        "(trap 'echo grandchild' INT; sleep 1; sleep 0.1) & trap 'n=$((n+1)); echo got $n' INT; echo up; "
        "wait; wait; echo end"
    )
    _, lines = shell(text, tmp_path, timeout=0.4)
    words = [line for _, line in lines]
    assert words.count("got 1") == 1
    assert "got 2" not in words
    assert "grandchild" not in words


def test_an_interrupt_asked_for_in_this_process(tmp_path: Path) -> None:
    def on_line(_stream: Stream, _line: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    command = ProcessCommand(("/bin/sh", "-c", "echo up; exec sleep 30"), environment(), tmp_path)
    ended = run(command, on_line, interrupts=Interrupts())
    assert (ended.code, ended.cause) == (-2, Cause.INTERRUPT)


# --- Terraform, and real signals to a process that runs it ---


def test_ctrl_c_ends_terraform_cleanly_and_the_next_run_goes_on(binary: Binary, tmp_path: Path) -> None:
    flag = tmp_path / "go"
    body = thing("a") + thing("b", f"test -e {flag} || sleep 30", "depends_on = [terraform_data.a]")
    work_dir = root(tmp_path / "w", body)
    driver = drive(binary, work_dir, "apply")
    driver.until("terraform_data.b', action='create', state='started'")
    driver.process.send_signal(signal.SIGINT)
    status, told = driver.end()
    assert status == 130
    assert (told["error"], told["killed"]) == ("TerraformInterruptedError", "False")
    assert "stopped cleanly" in told["what"]
    nobody_in(work_dir)
    assert not (work_dir / ".terraform.tfstate.lock.info").exists()
    flag.touch()
    runner = make_runner(binary, work_dir)
    assert runner.state().has_resources
    # a was made and is kept; b was tainted by the interrupt and is made again
    assert runner.apply().add == 1


def test_sigterm_is_an_interrupt(binary: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing(script="sleep 30"))
    driver = drive(binary, work_dir, "apply")
    driver.until("started")
    driver.process.terminate()
    status, told = driver.end()
    assert (status, told["killed"]) == (130, "False")


def test_a_second_ctrl_c_kills_and_says_what_may_be_left(tmp_path: Path) -> None:
    deaf = script(tmp_path / "deaf", "trap '' INT\necho up\nsleep 30\nsleep 30")
    work_dir = root(tmp_path / "w")
    driver = drive(Binary((str(deaf),), "terraform", (1, 11, 0), str(deaf)), work_dir, "apply")
    driver.until("up")
    driver.process.send_signal(signal.SIGINT)
    time.sleep(0.8)
    assert driver.process.poll() is None
    driver.until("A second Ctrl-C kills it")
    assert processes_in(work_dir) != []
    driver.process.send_signal(signal.SIGINT)
    status, told = driver.end(10)
    assert (status, told["killed"]) == (130, "True")
    assert "second interrupt" in told["what"]
    assert "may exist in AWS but not in the state" in told["why"]
    nobody_in(work_dir)


def test_ctrl_c_without_an_answer_kills_after_the_grace(tmp_path: Path) -> None:
    deaf = script(tmp_path / "deaf", "trap '' INT\necho up\nsleep 30\nsleep 30")
    driver = drive(Binary((str(deaf),), "terraform", (1, 11, 0), str(deaf)), root(tmp_path / "w"), "apply", grace=0.5)
    driver.until("up")
    driver.process.send_signal(signal.SIGINT)
    status, told = driver.end(10)
    assert (status, told["killed"]) == (130, "True")
    assert "did not end within 0.5 s" in told["what"]


def test_when_we_are_killed_terraform_still_ends_cleanly(binary: Binary, tmp_path: Path) -> None:
    flag = tmp_path / "go"
    body = thing("a") + thing("b", f"test -e {flag} || sleep 30", "depends_on = [terraform_data.a]")
    work_dir = root(tmp_path / "w", body)
    driver = drive(binary, work_dir, "apply")
    driver.until("terraform_data.b', action='create', state='started'")
    driver.process.kill()
    driver.process.wait()
    wait_for(lambda: not any(" apply" in line for line in processes_in(work_dir)), 20)
    assert not (work_dir / ".terraform.tfstate.lock.info").exists()
    flag.touch()
    assert make_runner(binary, work_dir).apply().add == 1


def test_a_time_out_works_where_sigint_is_ignored(binary: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing(script="sleep 30"))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under nohup, or with & in a script
    try:
        driver = drive(binary, work_dir, "apply", timeout=1.5)
        status, told = driver.end(20)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (status, told["error"]) == (1, "TerraformTimeoutError")
    assert "so it was stopped" in told["what"]


def test_the_watcher_leaves_with_its_child(tmp_path: Path) -> None:
    before = watchers()
    shell("true", tmp_path)
    assert watchers() == before


def watchers() -> int:
    found = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
            parent = (entry.parent / "stat").read_text().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
        found += b"gridbyoc-leash" in words and parent == str(os.getpid())
    return found


def test_events_of_an_interrupted_apply_still_come(binary: Binary, tmp_path: Path) -> None:
    heard = Recorder()
    runner = make_runner(binary, root(tmp_path / "w", thing(script="sleep 30")), on_event=heard, timeout=1.0)
    with pytest.raises(TerraformTimeoutError):
        runner.apply()
    assert any(isinstance(event, ResourceEvent) and event.state == "failed" for event in heard)
