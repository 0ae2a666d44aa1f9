"""Faults between the tool and both services: what the user sees, what remains, and what the next run does.

The whole table is printed: ``pytest tests/e2e/test_faults.py -s``. docs/resilience.md has it in words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pytest

from tests.e2e.conftest import Done, Tool, World, stack_text
from tests.e2e.fault_proxy import Step, shipped_steps
from tests.e2e.scene import CREATE, LIST, Scene, faults_of, scene_of, show, side_by_side

pytestmark = pytest.mark.timeout(400)

BOOTSTRAP = ("bootstrap", "--yes")
DESTROY = ("destroy", "--yes-destroy")
ONE = "control-plane:GetCluster"
DELETE = "control-plane:DeleteCluster"
HEAD = ("fault", "the user sees", "what remains", "the next run", "")
EXPIRED = {"status": 403, "code": "ExpiredToken", "message": "expired"}


@dataclass(frozen=True)
class Row:
    """A fault on the way to a service, the status and the words it must end with, and what it must leave."""

    words: str
    at: Literal["aws", "plane"]
    steps: tuple[Step, ...]
    status: int = 0
    says: str = ""
    left: str = "running"
    command: tuple[str, ...] = BOOTSTRAP


WHO = "sts:GetCallerIdentity"


def error(status: int, code: str, message: str = "oops", **more: int) -> dict[str, object]:
    """AWS says no."""
    return {"status": status, "code": code, "message": message, **more}


def said(status: int, message: str, **more: int) -> dict[str, object]:
    """The control plane says no."""
    return {"status": status, "message": message, **more}


UP = (
    Row("AWS throttles twice", "aws", ({"on": WHO, "answer": error(400, "ThrottlingException"), "times": 2},)),
    Row("AWS answers 500 twice", "aws", ({"on": WHO, "answer": error(500, "InternalFailure"), "times": 2},)),
    Row(
        "AWS answers 503, Retry-After",
        "aws",
        ({"on": WHO, "answer": error(503, "ServiceUnavailable", retry_after=1)},),
    ),
    Row("AWS takes 2 s to answer", "aws", ({"on": WHO, "delay": 2.0},)),
    Row("connection to AWS reset", "aws", ({"on": WHO, "cut": "connection"},)),
    Row("AWS's answer cut short", "aws", ({"on": WHO, "cut": "half", "always": True},), 1, "GBY-A001"),
    Row("a page in AWS's place", "aws", ({"on": WHO, "page": True, "always": True},), 1, "what answered is not AWS"),
    Row("credentials expired", "aws", ({"on": WHO, "answer": EXPIRED, "always": True},), 1, "GBY-A103"),
    Row("control plane throttles", "plane", ({"on": LIST, "answer": said(429, "slow down", retry_after=1)},)),
    Row("control plane answers 500 twice", "plane", ({"on": LIST, "answer": said(500, "oops"), "times": 2},)),
    Row("503, Retry-After", "plane", ({"on": LIST, "answer": said(503, "later", retry_after=2)},)),
    Row("3 s to answer", "plane", ({"on": LIST, "delay": 3.0},)),
    Row("connection reset", "plane", ({"on": LIST, "cut": "connection"},)),
    Row("answer cut short", "plane", ({"on": LIST, "cut": "half"},)),
    Row(
        "a page in its place",
        "plane",
        ({"on": LIST, "page": True, "always": True},),
        1,
        "something that is not the control plane's API",
    ),
    Row(
        "401",
        "plane",
        ({"on": LIST, "answer": said(401, "who?"), "always": True},),
        1,
        "does not accept the credentials",
    ),
)
"""On a stack that is up."""

NEW = (
    Row("create throttled", "plane", ({"on": CREATE, "answer": said(429, "slow down")},)),
    Row(
        "create answered with 500, but stored",
        "plane",
        ({"on": CREATE, "answer": said(500, "oops"), "when": "after"},),
    ),
    Row("create's answer cut short", "plane", ({"on": CREATE, "cut": "half"},)),
    Row("a page as create's answer", "plane", ({"on": CREATE, "page": True, "when": "after"},)),
    Row("create's answer reset", "plane", shipped_steps("answer-lost-cluster")),
    Row("create answered with 503, not stored", "plane", ({"on": CREATE, "answer": said(503, "later")},)),
    Row(
        "create refused: 409",
        "plane",
        shipped_steps("cluster-name-taken"),
        1,
        "is taken, but this account cannot see that cluster",
        "1 in state, no cluster",
    ),
    Row(
        "401 while waiting",
        "plane",
        ({"on": ONE, "nth": 2, "always": True, "answer": said(401, "expired")},),
        1,
        "does not accept the credentials",
        "1 in state, ",
    ),
    Row("500 while waiting", "plane", ({"on": ONE, "times": 3, "answer": said(500, "oops")},)),
    Row("reset while waiting", "plane", ({"on": ONE, "times": 3, "cut": "connection", "when": "after"},)),
)
"""While a stack comes up."""

GOING = (
    Row("delete answered with 503", "plane", ({"on": DELETE, "answer": said(503, "later")},), left="no cluster"),
    Row("delete's answer reset", "plane", ({"on": DELETE, "cut": "connection", "when": "after"},), left="no cluster"),
    Row(
        "delete forbidden",
        "plane",
        ({"on": DELETE, "answer": said(403, "not you"), "always": True},),
        1,
        "does not permit this",
    ),
)
ATTACH = "iam:AttachRolePolicy"
ROLE = (
    Row(
        "throttling, 500, resets and 1 s more while the role is made",
        "aws",
        (
            *shipped_steps("aws-throttling"),
            {"on": ATTACH, "nth": 3, "times": 2, "cut": "connection"},
            {"on": ATTACH, "nth": 5, "delay": 1.0},
        ),
    ),
    Row("IAM does not see the new role for 5 s", "aws", shipped_steps("iam-role-late")),
    Row("answer to CreateRole reset", "aws", shipped_steps("answer-lost-role"), 1, "GBY-A120", "no cl"),
    Row(
        "answer to CreateRole cut short", "aws", ({"on": "iam:CreateRole", "cut": "half"},), 1, "GBY-T001", "no cluster"
    ),
    Row(
        "a page as answer to CreateRole",
        "aws",
        ({"on": "iam:CreateRole", "page": True, "when": "after"},),
        1,
        "GBY-T001",
        "no cluster",
    ),
    Row(
        "the seventh attachment is denied",
        "aws",
        ({"on": ATTACH, "nth": 7, "answer": error(403, "AccessDenied", "not allowed to attach")},),
        1,
        "not allowed to attach",
        "13 in state, no cluster",
    ),
    Row("credentials expire mid-apply", "aws", shipped_steps("session-ends"), 1, "GBY-A103", "no cluster"),
)


def suffered(scene: Scene, row: Row, *, roles: str | None = None) -> tuple[str, ...]:
    """Run into the fault, then run again without it, and see what is wrong: a line of the table."""
    proxy = scene.aws if row.at == "aws" else scene.plane
    proxy.strike(*row.steps)
    done = scene.run(*row.command)
    struck, left = list(proxy.struck), scene.left()
    proxy.strike()
    wrong = _amiss(row, done, struck, left)
    then = "not needed"
    if done.status:
        after = scene.run(*row.command)
        then = "goes on: status 0" if after.status == 0 else f"status {after.status}: {after.text}"
        wrong += [then] if after.status else []
    if row.command == BOOTSTRAP:
        wrong += faults_of(scene, roles=roles)
    elif scene.world.cluster(scene.name):
        wrong.append("a cluster is left")
    return row.words, _seen(done), left, then, "; ".join(wrong) or "nothing lost"


def _amiss(row: Row, done: Done, struck: list[str], left: str) -> list[str]:
    wrong = [] if struck else ["the fault never struck"]
    if done.status != row.status or row.says not in done.text:
        wrong.append(f"status {done.status}, not {row.status} with {row.says!r}: {done.text}")
    return wrong + ([] if row.left in left else [f"left: {left}, not {row.left}"])


def _seen(done: Done) -> str:
    first = next((line for line in done.err.splitlines() if line.startswith("error[")), "")
    return f"status {done.status}" + (f", {first[:90]}" if first else "")


def assert_nothing_lost(title: str, lines: Iterable[tuple[str, ...]]) -> None:
    table = [HEAD, *lines]
    show(title, table)
    assert [line for line in table[1:] if line[-1] != "nothing lost"] == []


def test_with_a_stack_that_comes_up_and_goes(tool: Tool, world: World) -> None:
    def a_life(number: int) -> list[tuple[str, ...]]:
        with scene_of(tool, world, f"faults-{number}", fast=True) as scene:
            lines = [suffered(scene, NEW[number])]
            if number < len(GOING):
                lines.append(suffered(scene, _going(number)))
            return lines

    lives = side_by_side(a_life, range(len(NEW)), workers=4)
    assert_nothing_lost("while a stack comes up and goes", [line for life in lives for line in life])


def _going(number: int) -> Row:
    row = GOING[number]
    return Row(row.words, row.at, row.steps, row.status, row.says, row.left, DESTROY)


def test_with_a_stack_that_is_up(tool: Tool, world: World) -> None:
    def a_life(part: int) -> list[tuple[str, ...]]:
        with scene_of(tool, world, f"faults-up-{part}", fast=True) as scene:
            scene.run(*BOOTSTRAP, status=0)
            return [suffered(scene, row) for row in UP[part::2]]

    lives = side_by_side(a_life, range(2))
    assert_nothing_lost("on a stack that is up", [line for life in lives for line in life])


def test_while_a_real_role_is_made(tool: Tool, world: World) -> None:
    def a_fault(numbered: tuple[int, Row]) -> tuple[str, ...]:
        number, row = numbered
        # Terraform would try an unreadable answer 25 times, for minutes.
        with scene_of(tool, world, f"faults-role-{number}", AWS_MAX_ATTEMPTS="4") as scene:
            roles = f"{scene.name}-"
            scene.tool.write(stack_text(scene.name, role=f"{{name_prefix: {roles}}}"))
            return suffered(scene, row, roles=roles)

    lines = side_by_side(a_fault, enumerate(ROLE))
    assert_nothing_lost("while the role is made", lines)


def test_a_cluster_that_the_list_showed_too_late_is_made_right(tool: Tool, world: World) -> None:
    """A run that was killed may have created it with what held then: it is adopted, and then changed."""
    with scene_of(tool, world, "listed-late", fast=True) as scene:
        scene.run(*BOOTSTRAP, status=0)
        world.put_external_id(scene.name, "an-older-external-id")
        scene.plane.strike({"on": LIST, "answer": {"status": 200, "body": '{"clusters": []}'}})
        assert "it is adopted" in scene.run(*BOOTSTRAP, status=0).err
        assert faults_of(scene) == []


def test_clusters_of_others_on_a_role_that_was_there_are_not_deleted(tool: Tool, world: World) -> None:
    """Two stacks of one role: neither has been shown the deletion of the other's cluster."""
    with scene_of(tool, world, "first-of-two", fast=True) as first, scene_of(tool, world, "second", fast=True) as other:
        first.run(*BOOTSTRAP, status=0)
        module = other.tool.directory / "mod" / "main.tf"
        module.write_text(module.read_text().replace("role-second", "role-first-of-two"))
        other.run(*BOOTSTRAP, status=0)
        assert world.cluster(other.name) is not None
        assert world.cluster(first.name) is not None
        assert "--yes-destroy" in other.run(*BOOTSTRAP, status=2).err
