"""Ctrl-C, once and twice, in apply and in wait; and what a second run finds."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.e2e.conftest import Started, Tool, World, stack_text


def read_until(process: Started, text: str) -> str:
    """Read the tool's standard error until it says ``text``."""
    seen = ""
    assert process.stderr is not None
    for line in process.stderr:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} was never said:\n{seen}")


def end(process: Started) -> tuple[int, str]:
    out, err = process.communicate(timeout=90)
    assert "Traceback" not in out + err
    return process.returncode, out + err


def lock_of(tool: Tool, name: str) -> Path:
    return tool.directory / ".gridbyoc" / name / ".terraform.tfstate.lock.info"


def test_ctrl_c_during_apply_ends_terraform_cleanly(tool: Tool, world: World) -> None:
    tool.write(stack_text("stopped", role="{name: grid-stopped}"))
    process = tool.start("bootstrap", "--yes")
    read_until(process, "aws_iam_role.this: create done")
    os.killpg(process.pid, signal.SIGINT)
    status, text = end(process)
    assert status == 130, text
    assert "re-run is safe" in text
    assert not lock_of(tool, "stopped").exists()
    assert world.cluster("stopped") is None
    tool("bootstrap", "--yes")
    assert len(world.roles("grid-stopped")) == 1
    assert len(world.attached("grid-stopped")) == 10
    assert world.cluster("stopped") is not None


def test_ctrl_c_during_wait_leaves_everything_as_it_is(tool: Tool, world: World) -> None:
    tool.write(stack_text("waiting", role="{name: grid-waiting}"))
    process = tool.start("bootstrap", "--yes", "--poll-interval", "60s")
    read_until(process, "cluster waiting:")
    os.killpg(process.pid, signal.SIGINT)
    status, text = end(process)
    assert status == 130, text
    assert "gridbyoc clusters wait waiting" in text
    before = world.cluster("waiting")
    assert before is not None
    done = tool("bootstrap", "--yes")
    assert "Nothing changed" in done.out
    after = world.cluster("waiting")
    assert after is not None
    assert after["id"] == before["id"]


def test_ctrl_c_twice_says_what_may_be_left(tool: Tool) -> None:
    wrapper = '#!/bin/sh\ncase "$*" in *apply*) trap "" INT; echo "{}"; sleep 60;; *) exec terraform "$@";; esac\n'
    stubborn = tool.write(wrapper, "stubborn")
    stubborn.chmod(0o755)
    tool.write(stack_text("twice"))
    process = tool.start("bootstrap", "--yes", GRIDBYOC_TERRAFORM_BIN=str(stubborn))
    read_until(process, "init: done")
    time.sleep(1.0)
    began = time.monotonic()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.7)
    status, text = end(process)
    assert status == 130, text
    assert time.monotonic() - began < 30
    assert "lock" in text
    assert "force-unlock" in text


def test_sigterm_is_an_interrupt(tool: Tool) -> None:
    tool.write(stack_text("terminated"))
    process = tool.start("bootstrap", "--yes", "--poll-interval", "60s")
    read_until(process, "cluster terminated:")
    process.send_signal(signal.SIGTERM)
    status, text = end(process)
    assert status == 130, text


def test_two_runs_of_one_stack_do_not_meet(tool: Tool) -> None:
    tool.write(stack_text("solitary"))
    process = tool.start("bootstrap", "--yes", "--poll-interval", "60s")
    read_until(process, "cluster solitary:")
    refused = tool("bootstrap", "--yes", status=8)
    assert f"process {process.pid}" in refused.err
    process.send_signal(signal.SIGINT)
    assert end(process)[0] == 130
