"""A rotation, killed, and after each of its changes: can the control plane assume the role?

Some of the instants, with real processes; all of them are killed at in ``tests/unit/test_bootstrap_kills.py``.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest

from tests.e2e.conftest import Tool, World, stack_text
from tests.e2e.gates import Stop, kill_at
from tests.e2e.scene import (
    Scene,
    accepted,
    faults_of,
    scene_of,
    seconds_since,
    show,
    side_by_side,
)
from tests.e2e.test_kill import Row

PUT = "control-plane:UpdateCluster"
ROTATE = ("rotate", "--yes")
REPLACE = ("rotate", "--role", "--yes", "--yes-destroy")
BOOTSTRAP = ("bootstrap", "--yes")
HEAD = ("command", "killed", "where", "then", "took", "")


CHANGES = ("iam:UpdateAssumeRolePolicy", "iam:CreateRole", "iam:DeleteRole", PUT)
"""All that changes what is held, or who may assume the role."""


@dataclass
class Watch:
    """Evaluates what the control plane holds against the live role: at first, and after each change of either.

    It looks while whoever made the change still waits for the answer, so that nothing lies between two looks.
    """

    scene: Scene
    looks: int = 0
    refused: list[str] = field(default_factory=list)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Watch:
        self._look("the start")
        for proxy in (self.scene.aws, self.scene.plane):
            proxy.told.append(self._after)
        return self

    def __exit__(self, *error: object) -> None:
        for proxy in (self.scene.aws, self.scene.plane):
            proxy.told.remove(self._after)

    def _after(self, request: str) -> None:
        if request in CHANGES:
            self._look(request)

    def _look(self, after: str) -> None:
        with self._one_at_a_time:
            self.looks += 1
            cluster = self.scene.world.cluster(self.scene.name)
            assert cluster is not None
            held = cluster["spec"]["driver"]["kubernetes"]["aws"]
            if not self._admits(held["roleArn"], held["externalId"]):
                self.refused.append(f"after {after} the role {held['roleArn']} does not accept what is held")

    def _admits(self, role_arn: str, external_id: str) -> bool:
        iam = self.scene.world.iam()
        try:
            return external_id in accepted(iam, role_arn)
        except iam.exceptions.NoSuchEntityException:
            return False


@dataclass(frozen=True)
class Life:
    """A stack that is rotated again and again: each time killed somewhere, and gone on with by some command."""

    role: str
    command: tuple[str, ...]
    kills: tuple[tuple[Row, tuple[str, ...]], ...]


LIVES = (
    Life(
        "name",
        ROTATE,
        (
            (Row("rotate", Stop("terraform", "apply", "after")), BOOTSTRAP),
            (Row("rotate", Stop("plane", PUT, "after")), ROTATE),
            (Row("rotate", Stop("aws", "iam:UpdateAssumeRolePolicy", "after", 2), "both"), BOOTSTRAP),
        ),
    ),
    Life(
        "name_prefix",
        REPLACE,
        (
            (Row("rotate --role", Stop("terraform", "state", "after")), REPLACE),
            (Row("rotate --role", Stop("aws", "iam:CreateRole", "after"), "both"), (*BOOTSTRAP, "--yes-destroy")),
        ),
    ),
)


def rotated(scene: Scene, row: Row, command: tuple[str, ...], then: tuple[str, ...]) -> tuple[str, ...]:
    """Kill a rotation there, run ``then``, and see what is wrong: a line of the table."""
    began = time.monotonic()
    with Watch(scene) as watch:
        kill_at(scene.held(row.stop), scene.tool.start(*command), row.who)
        done = scene.run(*then)
    wrong = [f"status {done.status}: {done.text}"] if done.status else []
    wrong += watch.refused[:3] + faults_of(scene, roles=scene.name)
    wrong += [] if watch.looks > 3 else [f"only {watch.looks} looks"]  # the start, and the three changes there are
    verdict = "; ".join(wrong) or f"one id; assumable at all {watch.looks} looks"
    return row.step, row.who, str(row.stop), then[0], seconds_since(began), verdict


def a_life(tool: Tool, world: World, number: int) -> list[tuple[str, ...]]:
    life = LIVES[number]
    with scene_of(tool, world, f"turning-{number}") as scene:
        scene.tool.write(stack_text(scene.name, role=f"{{{life.role}: {scene.name}-}}"))
        scene.run(*BOOTSTRAP, status=0)
        lines = []
        for row, then in life.kills:
            lines.append(rotated(scene, row, life.command, then))
        return lines


@pytest.mark.timeout(600)
def test_the_control_plane_can_always_assume_the_role(tool: Tool, world: World) -> None:
    lives = side_by_side(lambda number: a_life(tool, world, number), range(len(LIVES)))
    table = [HEAD, *(line for life in lives for line in life)]
    show("rotations killed", table)
    assert [line for line in table[1:] if not line[-1].startswith("one id")] == []
