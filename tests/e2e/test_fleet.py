"""Many stacks as a user runs them: side by side, some failing, interrupted, killed half-way, and run again."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.operations.journal import JOURNAL, read_journal
from tests.e2e.conftest import Started, Tool, World, stack_text
from tests.e2e.fast_stack import EXTERNAL_ID, FastStack, fast_stack
from tests.e2e.gates import Gates, children
from tests.e2e.test_interrupts import end
from tests.unit.page_kit import read

pytestmark = pytest.mark.usefixtures("measured")

BOOTSTRAP = ("fleet", "bootstrap", ".", "--yes", "--format", "jsonl", "--skip-preflight")


@pytest.fixture
def quick(tool: Tool) -> Tool:
    """The tool, whose Terraform leaves the AWS provider out of fast stacks."""
    return replace(
        tool, env={**tool.env, "GRIDBYOC_TERRAFORM_BIN": str(Gates(tool.directory / ".g", light=True).program)}
    )


def stacks(tool: Tool, world: World, prefix: str, **scripts: str) -> list[FastStack]:
    """Fast stacks that share one role, each in a directory called by its letter."""
    return [
        fast_stack(tool, world, f"{prefix}-{key}", place=key, script=script, role=f"role-{prefix}-{key}")
        for key, script in scripts.items()
    ]


def runs(stack: FastStack, verb: str = "bootstrap") -> int:
    """How often its journal says that it was run."""
    return sum(
        each.get("type") == "run_started" and each.get("verb") == verb
        for each in read_journal(stack.work_dir / JOURNAL)
    )


def until(true: Callable[[], bool], process: Started) -> None:
    limit = time.monotonic() + 90
    while not true():
        if time.monotonic() > limit or process.poll() is not None:
            process.kill()
            raise AssertionError(process.communicate())
        time.sleep(0.05)


def outcomes(report: dict[str, Any]) -> list[str]:
    return [each["outcome"] for each in report["stacks"]]


def gate(path: Path) -> str:
    """A script that waits until the file is there."""
    return f"while [ ! -e {path} ]; do sleep 0.05; done"


def test_killed_half_way_the_next_run_does_only_the_rest(quick: Tool, world: World) -> None:
    wait = gate(quick.directory / "open")
    a, b, c = stacks(quick, world, "killed", a="true", b=wait, c=wait)
    process = quick.start(*BOOTSTRAP, "--jobs", "2")
    until(lambda: b.made == c.made == 1 and "register" in steps(a), process)
    record = quick.directory / ".gridbyoc/_fleet/bootstrap.json"
    until(lambda: record.exists() and len(json.loads(record.read_text())) == 1, process)
    process.kill()
    process.communicate()
    assert (record.stat().st_mode & 0o777, record.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    (quick.directory / "open").touch()
    done = quick(*BOOTSTRAP, "--jobs", "2")
    report = done.objects[-1]
    assert outcomes(report) == ["skipped", "done", "done"], done.text
    assert [runs(each) for each in (a, b, c)] == [1, 2, 2]
    assert a.made == 1
    assert all(world.cluster(each.name) for each in (a, b, c))
    assert not record.exists()
    assert "_fleet" not in {path.parent.name for path in quick.directory.rglob(JOURNAL)}


def steps(stack: FastStack) -> set[str]:
    return {str(each.get("step")) for each in read_journal(stack.work_dir / JOURNAL) if each.get("type") == "step_done"}


def test_a_stack_that_fails_stops_no_other_unless_that_is_asked_for(quick: Tool, world: World) -> None:
    a, b = stacks(quick, world, "failing", a="exit 7", b="true")
    (quick.directory / "c").mkdir()
    (quick.directory / "c/broken.yaml").write_text("version: 1\nname: failing-c\nclusters: none\n")
    fast = quick(*BOOTSTRAP, "--jobs", "1", "--fail-fast", status=1).objects
    assert outcomes(fast[-1]) == ["failed", "not started", "not started"]
    done = quick(*BOOTSTRAP, "--jobs", "1", status=1)
    report = done.objects[-1]
    assert outcomes(report) == ["failed", "done", "failed"]
    assert [each["status"] for each in report["stacks"]] == [1, 0, 2]
    assert [each["code"] for each in report["stacks"]] == ["GBY-T001", None, "GBY-S001"]
    assert {each["stack"] for each in done.objects if each["type"] == "step_finished"} == {a.name, b.name}
    only = quick("fleet", "validate", "c/*.yaml", status=2)
    assert "GBY" not in only.out
    assert "c/broken.yaml:3: clusters" in only.out


def test_an_interrupt_reaches_every_run_and_nothing_is_left_behind(quick: Tool, world: World) -> None:
    """Also where the fleet was started with `&` by a script, which lets it ignore SIGINT, and its children with it."""
    wait = gate(quick.directory / "open")
    a, b, _ = stacks(quick, world, "stopped", a=wait, b=wait, c="true")
    deaf = ("sh", "-c", 'trap "" INT; exec "$@"', "sh", *quick.argv(*BOOTSTRAP, "--jobs", "2"))
    process = subprocess.Popen(
        deaf, cwd=quick.directory, env=quick.env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    until(lambda: a.made == b.made == 1, process)
    process.send_signal(signal.SIGTERM)
    status, text = end(process)
    assert status == 130, text
    assert "2 interrupted, 1 not started" in text
    report = next(
        each for each in map(json.loads, text.splitlines()[: text.count('{"type"')]) if each["type"] == "fleet"
    )
    assert outcomes(report) == ["interrupted", "interrupted", "not started"]
    for stack in (a, b):
        assert not (stack.work_dir / ".terraform.tfstate.lock.info").exists()
        assert read_journal(stack.work_dir / JOURNAL)[-1]["type"] == "run_ended"


def test_nothing_begins_without_an_approval(quick: Tool) -> None:
    quick.write(stack_text("unapproved"))
    for verb, flag in (("bootstrap", "--yes"), ("destroy", "--yes-destroy")):
        refused = quick("fleet", verb, ".", status=2)
        assert flag in refused.err
    assert not (quick.directory / ".gridbyoc").exists()


def test_three_stacks_from_nothing_to_running(tool: Tool, world: World) -> None:
    """With the real provider, and a base that they share."""
    (tool.directory / "base.yaml").write_text("aws: {region: us-east-1}\nrole: {tags: {team: fleet}}\n")
    names = ("fleet-one", "fleet-two", "fleet-three")
    for name in names:
        (tool.directory / name).mkdir()
        text = stack_text(name, role=f"{{name: grid-{name}}}").replace(
            "version: 1", "version: 1\nextends: ../base.yaml"
        )
        (tool.directory / name / "gridbyoc.yaml").write_text(text)
    made = tool("fleet", "bootstrap", "fleet-*/*.yaml", "--yes", "--jobs", "3", "--skip-preflight")
    assert "3 done" in made.out
    assert len(world.roles("grid-fleet-")) == 3
    assert all(world.cluster(name) for name in names)


def test_the_verbs_that_look_and_the_one_that_takes_down(quick: Tool, world: World) -> None:
    a, b = stacks(quick, world, "verbs", a="true", b="true")
    planned = quick("fleet", "plan", "--format", "json", ".", "--exit-code", status=3).objects[-1]
    assert outcomes(planned) == ["changes"] * 2
    assert [each["document"]["type"] for each in planned["stacks"]] == ["plan", "plan"]
    quick(*BOOTSTRAP, "--set", "role.tags.team=fleet")
    check_report(quick, a)
    gone = quick("fleet", "destroy", ".", "--yes-destroy", "--format", "json").objects[-1]
    assert outcomes(gone) == ["done"] * 2
    assert [world.cluster(each.name) for each in (a, b)] == [None, None]


def check_report(quick: Tool, stack: FastStack) -> None:
    """One page about both stacks and a broken one, with a page for each that could be read."""
    (quick.directory / "broken.yaml").write_text("version: 1\nname: broken\nclusters: none\n")
    done = quick("fleet", "report", ".", "--no-checks", "--no-drift", "--out", "all.html", "--format", "json", status=2)
    (document,) = done.objects
    assert [each["overview"] and each["overview"]["state"]["text"] for each in document["stacks"]] == [
        "running", "running", None,
    ]  # fmt: skip
    assert document["stacks"][0]["overview"]["drift"]["text"] == "not checked"
    page = quick.directory / "all.html"
    links = [each.attributes["href"] for each in read(page.read_text()).named("a")][1:]
    assert sorted(links) == [f"./all-stacks/{each['stack']}.html" for each in document["stacks"][:2]]
    own = page.parent / links[0]
    assert "1 of 1 running" in own.read_text()
    assert [path.stat().st_mode & 0o777 for path in (page, own, own.parent)] == [0o600, 0o600, 0o700]
    assert EXTERNAL_ID not in done.text + page.read_text() + own.read_text()
    assert len(list(own.parent.iterdir())) == 2
    (quick.directory / "broken.yaml").unlink()
    assert runs(stack, "report") == 0


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_clusters_are_waited_for_without_a_job_and_a_stopped_fleet_goes_on(
    quick: Tool, world: World, stop: signal.Signals
) -> None:
    """One job, two stacks: the second begins while the first waits. No stack holds a lock then."""
    a, b = stacks(quick, world, f"waits-{stop.value}", a="true", b="true")
    slow = (*BOOTSTRAP, "--jobs", "1", "--poll-interval", "60s")
    process = quick.start(*slow)
    until(lambda: "register" in steps(a) and "register" in steps(b), process)
    until(lambda: all(read_journal(each.work_dir / JOURNAL)[-1]["type"] == "run_ended" for each in (a, b)), process)
    until(lambda: not list(children(process.pid)), process)  # the fleet has seen it, too
    process.send_signal(stop)
    status, text = end(process)
    if stop is signal.SIGINT:
        assert status == 130, text
        told = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        assert [each["stack"] for each in told if each["type"] == "stack_waiting"] == [a.name, b.name]
        assert outcomes(next(each for each in told if each["type"] == "fleet")) == ["interrupted", "interrupted"]
        assert "the control plane continues by itself" in text
    done = quick(*BOOTSTRAP, "--jobs", "1").objects[-1]
    assert outcomes(done) == ["done", "done"]
    assert (a.made, b.made) == (1, 1)
    gone = quick("fleet", "destroy", ".", "--yes-destroy", "--jobs", "1", "--format", "jsonl").objects
    assert [each["stack"] for each in gone if each["type"] == "stack_waiting"] == [a.name, b.name]
    assert outcomes(gone[-1]) == ["done", "done"]
    assert world.cluster(a.name) is world.cluster(b.name) is None
