"""What a parent leaves in our process (signals, umask, descriptors) does not change a verdict: docs/resilience.md."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gridbyoc.terraform.binary import embedded_argv
from tests.functional.terraform_kit import environment, root, thing
from tests.json_outputs import check_outputs

TOOL = (sys.executable, "-m", "gridbyoc")
IGNORED_CHILDREN = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
STACK = "version: 1\nname: {}\naws: {{region: us-east-1}}\nclusters: [{{name: a, instance_types: [t2.medium]}}]\n"


def parent(state: str, *argv: str) -> list[str]:
    """A program that brings its own process into a state, then becomes ``argv``: the state goes along."""
    code = f"import os, signal, sys\n{state}\nos.execvp(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code, *argv]


def run(state: str, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        parent(state, *argv), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


def test_a_revision_that_is_not_there(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    done = run(IGNORED_CHILDREN, *TOOL, "fleet", "matrix", "--since", "no-such-rev", cwd=tmp_path)
    assert done.returncode == 2
    assert "There is no revision no-such-rev" in done.stderr


def test_a_command_that_fails_in_the_sandbox(tmp_path: Path) -> None:
    assert run(IGNORED_CHILDREN, *TOOL, "sandbox", "run", "--", "false", cwd=tmp_path).returncode == 1


def test_a_fleet_in_which_every_stack_fails(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(STACK.format(name))
    argv = (*TOOL, "fleet", "plan", "--terraform-bin", str(tmp_path / "gone"), "a.yaml", "b.yaml")
    done = run(IGNORED_CHILDREN, *argv, cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert "2 failed" in done.stdout


def test_the_embedded_terraform_waits_for_what_it_starts(tmp_path: Path) -> None:
    argv = embedded_argv()
    assert argv is not None
    root(tmp_path / "w", thing(script="exit 0"))
    done = run(IGNORED_CHILDREN, *argv, "apply", "-auto-approve", "-no-color", cwd=tmp_path / "w")
    assert done.returncode == 0, done.stderr


def test_the_embedded_terraform_without_streams_keeps_its_status(tmp_path: Path) -> None:
    argv = embedded_argv()
    assert argv is not None
    root(tmp_path / "w", thing())
    closed = "for number in range(3): os.close(number)"
    done = run(closed, *argv, "plan", "-detailed-exitcode", cwd=tmp_path / "w")
    assert done.returncode == 2


@pytest.mark.parametrize("state", ["signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})",
                                   "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])  # fmt: skip
def test_a_run_can_be_stopped(tmp_path: Path, state: str) -> None:
    process = subprocess.Popen(
        parent(state, *TOOL, "validate", "-"), cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write("#" * 200_000)  # more than a pipe holds: it reads
    process.stdin.flush()
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert (process.returncode, "Interrupted" in err) == (130, True)


def test_what_it_writes_can_be_read_by_its_owner(tmp_path: Path) -> None:
    (tmp_path / "gridbyoc.yaml").write_text(STACK.format("a"))
    done = run("os.umask(0o777)", *TOOL, "render", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = list((tmp_path / ".gridbyoc").rglob("*"))
    assert written
    for path in written:
        assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600, path


def test_a_long_output_on_a_pipe_that_does_not_block_is_whole(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    process = subprocess.Popen([*TOOL, "explain", "--format", "json"], cwd=tmp_path, stdout=writing)
    os.close(writing)
    time.sleep(1)  # until the pipe is full
    with os.fdopen(reading, encoding="utf-8") as stream:
        text = stream.read()
    assert process.wait(20) == 0
    assert check_outputs(("--format=json",), text)


def test_an_ignored_interrupt_stays_ignored(tmp_path: Path) -> None:
    shown = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    argv = (*TOOL, "sandbox", "run", "--", sys.executable, "-c", shown)
    assert run("signal.signal(signal.SIGINT, signal.SIG_IGN)", *argv, cwd=tmp_path).stdout == "True\n"
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
