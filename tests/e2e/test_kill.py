"""``kill -9`` at each step; then one run of the same command, and all is well.

A sample of the instants, with real processes and files. ``tests/unit/test_bootstrap_kills.py`` and ``test_destroy.py``
there kill at every instant, in memory. The whole table is printed: ``pytest tests/e2e/test_kill.py -s``.
docs/resilience.md tells what comes of each.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

import pytest

from tests.e2e.conftest import Tool, World, stack_text
from tests.e2e.gates import Stop, kill_at
from tests.e2e.scene import CREATE, LIST, Scene, faults_of, scene_of, seconds_since, show, side_by_side

pytestmark = pytest.mark.timeout(400)

BOOTSTRAP = ("bootstrap", "--yes")
DESTROY = ("destroy", "--yes-destroy")
HEAD = ("step", "killed", "where", "left then", "next run", "took", "")
KEPT = {"journal.jsonl", "run.lock"}


@dataclass(frozen=True)
class Row:
    """One kill: at which step of which command, where exactly, and of whom."""

    step: str
    stop: Stop
    who: Literal["tool", "terraform", "both"] = "tool"
    torn: bool = False
    """Terraform was just about to write its state, which it does in place: the file is left empty."""


NEW = (
    Row("preflight", Stop("plane", LIST, "before")),
    Row("init", Stop("terraform", "init", "after")),
    Row("apply", Stop("terraform", "apply", "before")),
    Row("apply", Stop("terraform", "apply", "after")),
    Row("output", Stop("terraform", "output", "before")),
    Row("register", Stop("plane", CREATE, "before")),
    Row("register", Stop("plane", CREATE, "after")),
    Row("wait", Stop("plane", "control-plane:GetCluster", "after")),
)
CHANGED = (
    Row("plan", Stop("terraform", "plan", "after")),
    Row("register", Stop("plane", "control-plane:UpdateCluster", "after")),
)
DESTROYED = (
    Row("delete", Stop("plane", "control-plane:DeleteCluster", "after")),
    Row("destroy", Stop("terraform", "destroy", "before")),
)
ANOTHER_TYPE = "[t2.medium, {name: g4dn.xlarge, overprovisioned_ondemand_count: 1}]"


def killed(scene: Scene, row: Row, command: tuple[str, ...], *, roles: str | None = None) -> tuple[str, ...]:
    """Kill a run of ``command`` there, run it once more at once, and see what is wrong: a line of the table."""
    began = time.monotonic()
    kill_at(scene.held(row.stop), scene.tool.start(*command), row.who)
    if row.torn:
        (scene.work_dir / "terraform.tfstate").write_bytes(b"")
    left = scene.left()
    done = scene.run(*command)
    wrong = [f"status {done.status}: {done.text}"] if done.status else []
    wrong += gone_faults(scene, roles) if command == DESTROY else faults_of(scene, roles=roles)
    verdict = "; ".join(wrong) or "converged"
    where = f"{row.stop}, the state cut off" if row.torn else str(row.stop)
    return row.step, row.who, where, left, f"status {done.status}", seconds_since(began), verdict


def gone_faults(scene: Scene, roles: str | None) -> list[str]:
    """What is left of a stack that was destroyed."""
    found = [] if scene.world.cluster(scene.name) is None else ["a cluster is left"]
    if roles and scene.world.roles(roles):
        found.append("a role is left")
    left = {path.name for path in scene.work_dir.iterdir()} - KEPT
    return found + ([f"left in the work_dir: {sorted(left)}"] if left else [])


def with_another_type(scene: Scene) -> None:
    text = scene.stack_file.read_text()
    scene.stack_file.write_text(text.replace("[t2.medium]", ANOTHER_TYPE))


def assert_all_converge(title: str, lines: Iterable[tuple[str, ...]]) -> None:
    table = [HEAD, *lines]
    show(title, table)
    assert [line for line in table[1:] if line[-1] != "converged"] == []


def test_at_each_step(tool: Tool, world: World) -> None:
    """One stack after the other: it is killed while it comes up, some while they are changed, some while they go."""

    def a_life(rows: tuple[int, tuple[Row | None, ...]]) -> list[tuple[str, ...]]:
        number, (new, changed, destroyed) = rows
        lines = []
        with scene_of(tool, world, f"killed-{number}", fast=True) as scene:
            if new:
                lines.append(killed(scene, new, BOOTSTRAP))
            if changed:
                with_another_type(scene)
                lines.append(killed(scene, changed, BOOTSTRAP))
            if destroyed:
                lines.append(killed(scene, destroyed, DESTROY))
        return lines

    lives = side_by_side(a_life, enumerate(zip_longest(NEW, CHANGED, DESTROYED)))
    assert_all_converge("killed at every step", [line for life in lives for line in life])


ROLE_ROWS = (
    Row("apply", Stop("aws", "iam:CreateRole", "after")),
    Row("apply", Stop("aws", "iam:CreateRole", "after"), "terraform"),
    Row("apply", Stop("aws", "iam:CreateRole", "after"), "both"),
    Row("apply", Stop("aws", "iam:CreatePolicy", "after"), "both", torn=True),
)
GOES = 2
GOING = Row("destroy", Stop("aws", "iam:DeleteRole", "after"), "both")


def test_a_real_role(tool: Tool, world: World) -> None:
    """While Terraform works in AWS: the tool is killed, or Terraform under it, or both. One of the roles goes again."""

    def a_life(numbered: tuple[int, Row]) -> list[tuple[str, ...]]:
        number, row = numbered
        with scene_of(tool, world, f"killed-role-{number}") as scene:
            # With a name of its own a role that nobody knows of is in the way; without one it is one too many.
            kind = "name" if number % 2 else "name_prefix"
            roles = f"{scene.name}-"
            scene.tool.write(stack_text(scene.name, role=f"{{{kind}: {roles}}}"))
            lines = [killed(scene, row, BOOTSTRAP, roles=roles)]
            if number == GOES:
                lines.append(killed(scene, GOING, DESTROY, roles=roles))
            return lines

    lives = side_by_side(a_life, enumerate(ROLE_ROWS))
    assert_all_converge("killed while the role is made, and while it goes", [line for life in lives for line in life])


def test_a_state_that_was_cut_off_in_a_write_is_put_back(tool: Tool, world: World) -> None:
    """Terraform's copy is of the moment when the run began that was cut off."""
    with scene_of(tool, world, "cut-off", fast=True) as scene:
        scene.run(*BOOTSTRAP, status=0)
        state = scene.work_dir / "terraform.tfstate"
        (scene.work_dir / "terraform.tfstate.backup").write_bytes(state.read_bytes())
        for torn in (b"", state.read_bytes()[:400]):
            state.write_bytes(torn)
            done = scene.run(*BOOTSTRAP, status=0)
            assert "its backup from before that run is restored" in done.err
            assert "Nothing changed" in done.out
            assert faults_of(scene) == []


LOST = (("register", CREATE), ("register", "control-plane:UpdateCluster"), ("delete", "control-plane:DeleteCluster"))


def test_the_answer_is_lost_and_nobody_killed(tool: Tool, world: World) -> None:
    """The control plane stores what it is sent, and the connection is cut before it can say so."""
    lines = []
    with scene_of(tool, world, "lost-answers", fast=True) as scene:
        for step, request in LOST:
            began = time.monotonic()
            command = DESTROY if step == "delete" else BOOTSTRAP
            if request.endswith("UpdateCluster"):
                with_another_type(scene)
            scene.plane.strike({"on": request, "when": "after", "cut": "connection"})
            done = scene.run(*command)
            wrong = [] if done.status == 0 and scene.plane.struck else [done.text]
            wrong += gone_faults(scene, None) if command == DESTROY else faults_of(scene)
            wrong += [] if scene.run(*command).status == 0 else ["the run after it did not end well"]
            line = (step, "nobody", f"answer to {request} lost", "", f"status {done.status}", seconds_since(began))
            lines.append((*line, "; ".join(wrong) or "converged"))
    assert_all_converge("answers lost", lines)


def test_again_and_again_at_any_time(tool: Tool, world: World) -> None:
    """Killed at moments that nobody chose, one run after the other; the last one may finish."""
    with ExitStack() as scenes:
        scene = scenes.enter_context(scene_of(tool, world, "again", fast=True))
        for tenths in range(5, 17, 2):
            process = scene.tool.start(*BOOTSTRAP)
            time.sleep(tenths / 10)
            process.kill()
            process.communicate()
        assert scene.run(*BOOTSTRAP).status == 0
        assert faults_of(scene) == []
        assert "Nothing changed" in scene.run(*BOOTSTRAP, status=0).out
