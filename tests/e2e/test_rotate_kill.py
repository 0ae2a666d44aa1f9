"""A rotation, killed at every point, while somebody asks all the time: can the control plane assume the role?"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.attached_provider import running_provider
from tests.e2e.conftest import Tool, World, stack_text
from tests.e2e.gates import Stop, kill_at
from tests.e2e.scene import Scene, accepted, faults_of, scene_of, seconds_since, show, side_by_side
from tests.e2e.test_kill import Row

PUT = "PUT /v1/core/clusters/*"
ROTATE = ("rotate", "--yes")
REPLACE = ("rotate", "--role", "--yes", "--yes-destroy")
BOOTSTRAP = ("bootstrap", "--yes")
HEAD = ("command", "killed", "where", "then", "took", "")


@dataclass
class Watch:
    """Evaluates what the control plane holds against the live role, all the time."""

    world: World
    cluster: str
    looks: int = 0
    refused: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        iam = self.world.iam()
        with requests.Session() as plane:
            plane.auth = (self.world.sandbox.env["GRID_USER_ID"], self.world.sandbox.env["GRID_API_KEY"])
            held = self._held(plane)
            while not self._over.wait(0.05):
                admitted = self._admits(iam, *held)
                before, held = held, self._held(plane)
                # The record did not change while the role was read: what it holds had to be accepted.
                if held == before:
                    self.looks += 1
                    if not admitted:
                        self.refused.append(f"the role {held[0]} does not accept what is held")

    def _held(self, plane: requests.Session) -> tuple[str, str]:
        url = f"{self.world.sandbox.control_plane_url}/v1/core/clusters/{self.cluster}"
        aws = plane.get(url, timeout=10).json()["spec"]["driver"]["kubernetes"]["aws"]
        return aws["roleArn"], aws["externalId"]

    def _admits(self, iam: Any, role_arn: str, external_id: str) -> bool:
        try:
            return external_id in accepted(iam, role_arn)
        except iam.exceptions.NoSuchEntityException:
            return False


def both_sides(at: str, name: str, turn: int = 1) -> tuple[Stop, Stop]:
    return Stop(at, name, "before", turn), Stop(at, name, "after", turn)  # type: ignore[arg-type]  # at: a literal


BEFORE_FIRST, AFTER_FIRST = both_sides("terraform", "apply")
BEFORE_LAST, AFTER_LAST = both_sides("terraform", "apply", 2)
BEFORE_PUT, AFTER_PUT = both_sides("plane", PUT)
AFTER_MOVE = Stop("terraform", "state", "after")


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
            (Row("rotate", BEFORE_FIRST), ROTATE),
            (Row("rotate", AFTER_FIRST), BOOTSTRAP),
            (Row("rotate", BEFORE_PUT), ROTATE),
            (Row("rotate", AFTER_LAST), BOOTSTRAP),
        ),
    ),
    Life(
        "name",
        ROTATE,
        (
            (Row("rotate", AFTER_PUT), BOOTSTRAP),
            (Row("rotate", BEFORE_LAST), ROTATE),
            (Row("rotate", Stop("aws", "UpdateAssumeRolePolicy", "after", 2), "both"), BOOTSTRAP),
        ),
    ),
    Life(
        "name_prefix",
        REPLACE,
        (
            (Row("rotate --role", AFTER_MOVE), REPLACE),
            (Row("rotate --role", Stop("aws", "CreateRole", "after"), "both"), (*BOOTSTRAP, "--yes-destroy")),
        ),
    ),
)


def rotated(scene: Scene, row: Row, command: tuple[str, ...], then: tuple[str, ...]) -> tuple[str, ...]:
    """Kill a rotation there, run ``then``, and see what is wrong: a line of the table."""
    began = time.monotonic()
    with Watch(scene.world, scene.name) as watch:
        kill_at(scene.held(row.stop), scene.tool.start(*command), row.who)
        done = scene.run(*then)
    wrong = [f"status {done.status}: {done.text}"] if done.status else []
    wrong += watch.refused[:3] + faults_of(scene, roles=scene.name)
    wrong += [] if watch.looks > 20 else [f"only {watch.looks} looks"]
    verdict = "; ".join(wrong) or f"one id; assumable at all {watch.looks} looks"
    return row.step, row.who, str(row.stop), then[0], seconds_since(began), verdict


def a_life(tool: Tool, world: World, mirror: Path | None, number: int) -> list[tuple[str, ...]]:
    life = LIVES[number]
    with scene_of(tool, world, f"turning-{number}") as scene, ExitStack() as beside:
        if all(row.who == "tool" for row, _ in life.kills):  # else its own provider is to die with a Terraform
            scene = replace(scene, tool=beside.enter_context(attached(scene, mirror)))
        scene.tool.write(stack_text(scene.name, role=f"{{{life.role}: {scene.name}-}}"))
        scene.run(*BOOTSTRAP, status=0)
        return [rotated(scene, row, life.command, then) for row, then in life.kills]


@contextmanager
def attached(scene: Scene, mirror: Path | None) -> Iterator[Tool]:
    """The scene's tool, attached to a provider of its own."""
    directory = scene.tool.directory / "provider"
    directory.mkdir()
    environ = {**scene.world.sandbox.env, "AWS_ENDPOINT_URL": scene.aws.url}
    with running_provider(environ, directory, mirror) as provider:
        yield provider.attach(scene.tool)


@pytest.mark.timeout(600)
def test_the_control_plane_can_always_assume_the_role(tool: Tool, world: World, provider_mirror: Path | None) -> None:
    lives = side_by_side(lambda number: a_life(tool, world, provider_mirror, number), range(len(LIVES)))
    table = [HEAD, *(line for life in lives for line in life)]
    show("rotations killed", table)
    assert [line for line in table[1:] if not line[-1].startswith("one id")] == []
