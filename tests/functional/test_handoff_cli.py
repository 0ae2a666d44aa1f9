"""`register --handoff` on the command line: whose key goes where, what is refused, and that AWS is never asked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from gridbyoc.errors import (
    ClusterConflictError,
    ClusterFailedError,
    FileError,
    GridbyocError,
    HandoffError,
    HandoffExpiredError,
    HandoffKeyError,
    HandoffMismatchError,
    UsageError,
    WaitTimedOutError,
    WrongFileKindError,
)
from gridbyoc.operations.handoff.file import pack_handoff
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.secret import Secret
from tests.functional.test_control_plane_cli import CANARY, KEY, ROLE, Tool, tool
from tests.unit.test_bundle_file import PLAIN
from tests.unit.test_handoff_file import MADE

__all__ = ["tool"]  # the fixture

PASS = "a passphrase of some length"
STACK = """\
version: 1
name: ml-prod
aws: {region: eu-west-1}
clusters:
  - name: ml
    performance_profile: cost-saving
    instance_types: [t3.large, {name: m5.large, overprovisioned_ondemand_count: 2}]
"""


@cache
def packed(url: str) -> bytes:
    now = utc_now().replace(microsecond=0)
    until = now + timedelta(days=1)
    handoff = replace(MADE, role_arn=ROLE, external_id=Secret(CANARY), url=url, created=now, expires=until)
    return pack_handoff(handoff, Secret(PASS))


@pytest.fixture
def second(tool: Tool) -> Tool:
    """The second person: a key for the control plane, the handoff and its key, and nothing of AWS."""
    tool.env |= {"GRIDBYOC_HANDOFF_KEY": PASS}
    (tool.directory / "x.handoff").write_bytes(packed(tool.server.url))
    return tool


REGISTER = ("register", "--handoff", "x.handoff", "ml")


def test_it_registers_waits_and_goes_on(second: Tool) -> None:
    second(*REGISTER, "--instance-types", "t3.large", "--cost-savings")
    assert f"Stack ml-prod: role {ROLE}, region eu-west-1, for grid at {second.server.url}." in second.err
    assert "Handed over by arn:aws:iam::123456789012:user/ada at" in second.err
    assert "wait: done" in second.err
    assert "status = running" in second.out
    (body,) = [request.json for request in second.server.requests if request.method == "POST"]
    aws = body["spec"]["driver"]["kubernetes"]["aws"]
    assert (aws["roleArn"], aws["externalId"], aws["region"]) == (ROLE, CANARY, "eu-west-1")
    second(*REGISTER, "--format", "json")
    assert "is used as it is" in second.err
    document = json.loads(second.out)
    assert (document["stack"], document["cluster"]["role_arn"]) == ("ml-prod", ROLE)
    assert second.plane.posts == 1


def test_it_waits_unless_it_is_told_not_to(second: Tool) -> None:
    second.plane.phase = "CLUSTER_STATE_PENDING"
    second(*REGISTER, "--no-wait")
    assert "status = pending" in second.out
    error = second.fails(WaitTimedOutError, *REGISTER, "--timeout", "0.2s", "--poll-interval", "0.1s")
    assert error.exit_status == 6
    second.plane.clusters["id-1"]["status"] = {"phase": "CLUSTER_STATE_FAILED", "reason": f"no role, {CANARY}"}
    error = second.fails(ClusterFailedError, *REGISTER)
    assert error.exit_status == 5
    assert CANARY not in error.what


def test_the_stack_file_says_what_the_cluster_is(second: Tool) -> None:
    (second.directory / "s.yaml").write_text(STACK)
    second(*REGISTER, "-f", "s.yaml")
    (body,) = [request.json for request in second.server.requests if request.method == "POST"]
    types = body["spec"]["driver"]["kubernetes"]["aws"]["instanceTypes"]
    assert [each["name"] for each in types] == ["t3.large", "m5.large"]
    assert "2" in json.dumps(types[1])
    assert body["spec"]["performanceProfile"].endswith("COST_SAVING")
    error = second.fails(UsageError, *REGISTER, "-f", "s.yaml", "--cost-savings")
    assert "say what ml is" in error.what
    second("register", "--handoff", "x.handoff", "more", "-f", "s.yaml", "--instance-types", "t3.large")
    assert "does not list more" in second.err
    (second.directory / "s.yaml").write_text(STACK.replace("ml-prod", "demo"))
    assert "the stack file names demo" in second.fails(HandoffMismatchError, *REGISTER, "-f", "s.yaml").what


def test_a_stack_file_that_only_lies_there_does_not_count(second: Tool) -> None:
    (second.directory / "gridbyoc.yaml").write_text(STACK.replace("ml-prod", "demo"))
    second(*REGISTER, "--no-wait")
    assert second.plane.posts == 1


def bent(tool: Tool) -> None:
    data = bytearray((tool.directory / "x.handoff").read_bytes())
    data[data.index(b"PK\x01\x02") - 20] ^= 1
    (tool.directory / "x.handoff").write_bytes(bytes(data))


def torn(tool: Tool) -> None:
    (tool.directory / "x.handoff").write_bytes((tool.directory / "x.handoff").read_bytes()[:-40])


def another_key(tool: Tool) -> None:
    tool.env["GRIDBYOC_HANDOFF_KEY"] = "another passphrase, as long"


def no_key(tool: Tool) -> None:
    del tool.env["GRIDBYOC_HANDOFF_KEY"]


def a_short_key(tool: Tool) -> None:
    tool.env["GRIDBYOC_HANDOFF_KEY"] = "short"


def a_bundle(tool: Tool) -> None:
    (tool.directory / "x.handoff").write_bytes(PLAIN)


def nothing(tool: Tool) -> None:
    (tool.directory / "x.handoff").unlink()


def old(tool: Tool) -> None:
    now = utc_now().replace(microsecond=0)
    late = replace(MADE, url=tool.server.url, created=now - timedelta(days=8), expires=now - timedelta(days=1))
    (tool.directory / "x.handoff").write_bytes(pack_handoff(late, Secret(PASS)))


def elsewhere(tool: Tool) -> None:
    (tool.directory / "x.handoff").write_bytes(packed("https://plane.elsewhere.test"))


def another_address_here(tool: Tool) -> None:
    tool.env["GRID_URL"] = "https://plane.elsewhere.test"


@pytest.mark.parametrize(
    ("before", "args", "kind", "code", "status", "words"),
    [
        (bent, (), HandoffError, "GBY-H001", 1, "handoff"),
        (torn, (), HandoffError, "GBY-H001", 1, "can be used"),
        (another_key, (), HandoffKeyError, "GBY-H002", 2, "not the key of this"),
        (no_key, (), HandoffKeyError, "GBY-H002", 2, "there is no key"),
        (a_short_key, (), HandoffKeyError, "GBY-H002", 2, "too short"),
        (old, (), HandoffExpiredError, "GBY-H003", 4, "expired at"),
        (elsewhere, (), HandoffMismatchError, "GBY-H004", 4, "https://plane.elsewhere.test; this machine uses http"),
        (another_address_here, (), HandoffMismatchError, "GBY-H004", 4, "this machine uses https://plane.elsewhere"),
        (id, ("--url", "https://other.test"), HandoffMismatchError, "GBY-H004", 4, "uses https://other.test"),
        (id, ("--control-plane", "lightning"), HandoffMismatchError, "GBY-H004", 4, "--control-plane names lightning"),
        (id, ("--expect-stack", "demo"), HandoffMismatchError, "GBY-H004", 4, "--expect-stack names demo"),
        (a_bundle, (), WrongFileKindError, "GBY-B003", 2, "is a bundle"),
        (nothing, (), FileError, "GBY-F001", 1, "The handoff x.handoff cannot be read"),
        (id, ("--role-arn", ROLE), UsageError, "GBY-U001", 2, "--handoff and --role-arn"),
        (id, ("--region", "us-east-1", "--external-id-env", "EXT"), UsageError, "GBY-U001", 2, "cannot go together"),
    ],
    ids=lambda value: value.__name__ if callable(value) and not isinstance(value, type) else None,
)
def test_each_refusal_has_its_own_code_and_sends_nothing(
    second: Tool,
    before: Callable[[Tool], object],
    args: tuple[str, ...],
    kind: type[GridbyocError],
    code: str,
    status: int,
    words: str,
) -> None:
    before(second)
    error = second.fails(kind, *REGISTER, *args)
    assert (error.code, int(error.exit_status)) == (code, status)
    assert words in error.what
    assert error.fix
    assert second.server.requests == []


def test_a_role_or_a_handoff_must_be_named(second: Tool) -> None:
    assert "No role was given" in second.fails(UsageError, "register", "ml").what
    by_hand = ("register", "ml", "--role-arn", ROLE, "--external-id-env", "EXT")
    error = second.fails(UsageError, *by_hand, "--expect-stack", "x")
    assert "--expect-stack needs --handoff" in error.what


def test_a_name_of_another_role_is_refused(second: Tool) -> None:
    second(*REGISTER, "--no-wait")
    place = second.plane.clusters["id-1"]["spec"]["driver"]["kubernetes"]["aws"]
    place["roleArn"] = f"{ROLE}-of-somebody-else"
    error = second.fails(ClusterConflictError, *REGISTER)
    assert "another role" in error.what
    assert second.plane.posts == 1


def test_an_answer_that_is_lost_makes_no_second_cluster(second: Tool) -> None:
    from tests.functional.fault_server import HTML

    second.plane.faults.append(("POST", HTML, True))
    second(*REGISTER)
    assert second.plane.posts == 1
    assert len(second.plane.clusters) == 1


def test_the_header_is_shown_without_a_key_and_the_rest_with_it(second: Tool) -> None:
    del second.env["GRIDBYOC_HANDOFF_KEY"]
    second("bundle", "show", "x.handoff")
    assert "stack      ml-prod" in second.out
    assert ROLE not in second.out
    second("bundle", "show", "x.handoff", "--format", "json")
    assert json.loads(second.out)["type"] == "handoff_header"
    assert "no key" in second.fails(HandoffKeyError, "bundle", "show", "x.handoff", "--reveal").what
    (second.directory / "x.bundle").write_bytes(PLAIN)
    assert "for a handoff" in second.fails(UsageError, "bundle", "show", "x.bundle", "--reveal").what


def test_aws_is_not_asked(second: Tool) -> None:
    """In a process that cannot import boto3, with an address for AWS that nobody answers at."""
    without = "import sys\nsys.modules['boto3'] = sys.modules['botocore'] = None\n"
    code = without + "from gridbyoc.cli import main\nmain()"
    names = ("GRID_URL", "GRID_USER_ID", "GRID_API_KEY", "GRIDBYOC_HANDOFF_KEY")
    env = {name: second.env[name] for name in names} | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    env |= {"HOME": str(second.directory / "home"), "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code, *REGISTER], env=env, cwd=second.directory, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "status = running" in done.stdout
    assert KEY not in done.stdout + done.stderr
