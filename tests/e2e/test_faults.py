"""Faults between the tool and both services: what the user sees, what remains, and what the next run does.

The whole table is printed: ``pytest tests/e2e/test_faults.py -s``. docs/resilience.md has it in words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pytest

from tests.e2e.conftest import Done, Tool, World, stack_text
from tests.e2e.fault_proxy import Fault
from tests.e2e.scene import CREATE, LIST, Scene, faults_of, scene_of, show, side_by_side

pytestmark = pytest.mark.timeout(400)

BOOTSTRAP = ("bootstrap", "--yes")
DESTROY = ("destroy", "--yes-destroy")
ONE = "/v1/core/clusters/*"
HEAD = ("fault", "the user sees", "what remains", "the next run", "")
HTML = b"<html>Sign in to the hotel's network</html>"
PAGE = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}
XML = {"Content-Type": "text/xml"}


def aws_error(code: str, message: str) -> bytes:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html"""
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>".encode()


def refused(on: str, status: int, code: str, message: str, **how: object) -> Fault:
    """AWS says no."""
    return Fault(on, status=status, body=aws_error(code, message), headers=XML, **how)  # type: ignore[arg-type]


def said(status: int, message: str) -> dict[str, object]:
    """The control plane says no."""
    return {"status": status, "body": json.dumps({"code": 2, "message": message, "details": []}).encode()}


@dataclass(frozen=True)
class Row:
    """A fault on the way to a service, the status and the words it must end with, and what it must leave."""

    words: str
    at: Literal["aws", "plane"]
    faults: tuple[Fault, ...]
    status: int = 0
    says: str = ""
    left: str = "running"
    command: tuple[str, ...] = BOOTSTRAP


WHO = "GetCallerIdentity"
UP = (
    Row("AWS throttles twice", "aws", (refused(WHO, 400, "ThrottlingException", "Rate exceeded", times=2),)),
    Row("AWS answers 500 twice", "aws", (refused(WHO, 500, "InternalFailure", "oops", times=2),)),
    Row(
        "AWS answers 503, Retry-After",
        "aws",
        (Fault(WHO, status=503, body=aws_error("ServiceUnavailable", "later"), headers={**XML, "Retry-After": "1"}),),
    ),
    Row("AWS takes 2 s to answer", "aws", (Fault(WHO, delay=2.0),)),
    Row("connection to AWS reset", "aws", (Fault(WHO, cut="request"),)),
    Row("AWS's answer cut short", "aws", (Fault(WHO, cut="half", times=None),), 1, "GBY-A001"),
    Row(
        "a page in AWS's place",
        "aws",
        (Fault(WHO, status=200, body=HTML, headers=PAGE, times=None),),
        1,
        "what answered is not AWS",
    ),
    Row("credentials expired", "aws", (refused(WHO, 403, "ExpiredToken", "expired", times=None),), 1, "GBY-A103"),
    Row("control plane throttles", "plane", (Fault(LIST, **said(429, "slow down"), headers={"Retry-After": "1"}),)),
    Row("control plane answers 500 twice", "plane", (Fault(LIST, **said(500, "oops"), times=2),)),
    Row("503, Retry-After", "plane", (Fault(LIST, **said(503, "later"), headers={"Retry-After": "2"}),)),
    Row("3 s to answer", "plane", (Fault(LIST, delay=3.0),)),
    Row("connection reset", "plane", (Fault(LIST, cut="request"),)),
    Row("answer cut short", "plane", (Fault(LIST, cut="half"),)),
    Row(
        "a page in its place",
        "plane",
        (Fault(LIST, status=200, body=HTML, headers=PAGE, times=None),),
        1,
        "something that is not the control plane's API",
    ),
    Row("401", "plane", (Fault(LIST, **said(401, "who?"), times=None),), 1, "does not accept the credentials"),
)
"""On a stack that is up."""

NEW = (
    Row("create throttled", "plane", (Fault(CREATE, **said(429, "slow down")),)),
    Row("create answered with 500, but stored", "plane", (Fault(CREATE, **said(500, "oops"), carried_out=True),)),
    Row("create's answer cut short", "plane", (Fault(CREATE, cut="half"),)),
    Row(
        "a page as create's answer",
        "plane",
        (Fault(CREATE, status=200, body=HTML, headers=PAGE, carried_out=True),),
    ),
    Row("create's answer reset", "plane", (Fault(CREATE, cut="answer"),)),
    Row("create answered with 503, not stored", "plane", (Fault(CREATE, **said(503, "later")),)),
    Row(
        "create refused: 409",
        "plane",
        (Fault(CREATE, **said(409, "a cluster of that name exists already"), times=None),),
        1,
        "is taken, but this account cannot see that cluster",
        "1 in state, no cluster",
    ),
    Row(
        "401 while waiting",
        "plane",
        (Fault(f"GET {ONE}", first=2, times=None, **said(401, "expired")),),
        1,
        "does not accept the credentials",
        "1 in state, ",
    ),
    Row("500 while waiting", "plane", (Fault(f"GET {ONE}", times=3, **said(500, "oops")),)),
    Row("reset while waiting", "plane", (Fault(f"GET {ONE}", times=3, cut="answer"),)),
)
"""While a stack comes up."""

GOING = (
    Row("delete answered with 503", "plane", (Fault(f"DELETE {ONE}", **said(503, "later")),), left="no cluster"),
    Row("delete's answer reset", "plane", (Fault(f"DELETE {ONE}", cut="answer"),), left="no cluster"),
    Row(
        "delete forbidden",
        "plane",
        (Fault(f"DELETE {ONE}", **said(403, "not you"), times=None),),
        1,
        "does not permit this",
    ),
)
ROLE = (
    Row(
        "throttling, 500, resets and 1 s more while the role is made",
        "aws",
        (
            refused("CreateRole", 400, "Throttling", "Rate exceeded", times=2),
            refused("CreatePolicy", 500, "ServiceFailure", "oops"),
            Fault("AttachRolePolicy", cut="request", times=2),
            Fault("AttachRolePolicy", first=3, delay=1.0),
        ),
    ),
    Row(
        "IAM does not see the new role for 3 s",
        "aws",
        (refused("GetRole", 404, "NoSuchEntity", "not yet", times=None, seconds=3.0),),
    ),
    Row("answer to CreateRole reset", "aws", (Fault("CreateRole", cut="answer"),), 1, "GBY-A120", "no cl"),
    Row("answer to CreateRole cut short", "aws", (Fault("CreateRole", cut="half"),), 1, "GBY-T001", "no cluster"),
    Row(
        "a page as answer to CreateRole",
        "aws",
        (Fault("CreateRole", status=200, body=HTML, headers=PAGE, carried_out=True),),
        1,
        "GBY-T001",
        "no cluster",
    ),
    Row(
        "the seventh attachment is denied",
        "aws",
        (refused("AttachRolePolicy", 403, "AccessDenied", "not allowed to attach", first=7),),
        1,
        "not allowed to attach",
        "13 in state, no cluster",
    ),
    Row(
        "credentials expire mid-apply",
        "aws",
        (refused("*", 403, "ExpiredToken", "The security token included in the request is expired", first=4,
                 since="AttachRolePolicy"),),
        1,
        "GBY-A103",
        "no cluster",
    ),
)  # fmt: skip


def suffered(scene: Scene, row: Row, *, roles: str | None = None) -> tuple[str, ...]:
    """Run into the fault, then run again without it, and see what is wrong: a line of the table."""
    proxy = scene.aws if row.at == "aws" else scene.plane
    proxy.strike(*row.faults)
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
    return Row(row.words, row.at, row.faults, row.status, row.says, row.left, DESTROY)


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
        scene.plane.strike(Fault(LIST, status=200, body=b'{"clusters": []}', headers=JSON))
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
