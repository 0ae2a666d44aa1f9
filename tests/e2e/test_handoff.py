"""Two people on the sandbox: one has AWS, the other the control plane's key and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import EXTERNAL_ID, FastStack, fast_stack, without_aws_provider
from tests.e2e.fault_proxy import Proxy, proxy_of

pytestmark = pytest.mark.usefixtures("measured")

KEY = "the passphrase of both of them"


@dataclass(frozen=True)
class Two:
    """``first`` runs in the stack's directory; ``second`` in another, where nothing is known of AWS."""

    first: Tool
    second: Tool
    world: World
    plane: Proxy
    stack: FastStack

    @property
    def handoff(self) -> Path:
        return self.second.directory / "x.handoff"

    def hand_over(self, *args: str) -> None:
        self.first("handoff", "--out", "x.handoff", *args)
        shutil.copy(self.first.directory / "x.handoff", self.handoff)

    def list_in_file(self, *names: str) -> None:
        """Write the stack's clusters anew."""
        head, _, rest = self.stack.file.read_text().partition("clusters:")
        tail = rest[rest.index("terraform:") :]
        entries = "".join(f"  - {{name: {name}, instance_types: [t2.medium]}}\n" for name in names)
        self.stack.file.write_text(f"{head}clusters:{chr(10) + entries if names else ' []' + chr(10)}{tail}")


@pytest.fixture
def two(tool: Tool, world: World, tmp_path: Path) -> Iterator[Two]:
    name = f"two-{tmp_path.name[-10:].strip('_').replace('_', '-')}"  # one of its own in the shared sandbox
    fast = without_aws_provider(tool)
    with proxy_of(world.sandbox.control_plane_url, "plane") as plane:
        first = replace(fast, env={**fast.env, "GRID_URL": plane.url, "GRIDBYOC_HANDOFF_KEY": KEY})
        stack = fast_stack(first, world, name, place=name)
        directory, home = tmp_path / "second", tmp_path / "second-home"
        directory.mkdir()
        home.mkdir()
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # and never listens: whoever asks AWS is refused
            env = {name: first.env[name] for name in ("PATH", "GRID_URL", "GRID_USER_ID", "GRID_API_KEY")}
            env |= {"HOME": str(home), "GRIDBYOC_HANDOFF_KEY": KEY, "GRIDBYOC_POLL_INTERVAL": "0.2s"}
            env["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{closed.getsockname()[1]}"
            pair = Two(replace(first, directory=stack.directory), Tool(directory, env), world, plane, stack)
            pair.list_in_file()
            pair.first("bootstrap", "--yes")
            yield pair


def test_one_makes_the_role_the_other_registers_and_the_first_knows(two: Two) -> None:
    name = two.stack.name
    assert two.world.cluster(name) is None
    two.hand_over()
    assert two.handoff.stat().st_mode & 0o777 == 0o600

    done = two.second("register", "--handoff", "x.handoff", name, "--instance-types", "t2.medium")
    assert "status = running" in done.out
    cluster = two.world.cluster(name)
    assert cluster is not None
    aws = cluster["spec"]["driver"]["kubernetes"]["aws"]
    assert aws["externalId"] == EXTERNAL_ID

    # the first one has not written it into the file yet
    assert f"cluster   {name}: running, not in the stack file" in two.first("status").out
    assert "uses the role but is not in the stack file" in two.first("drift", status=3).out
    keyless: dict[str, str | None] = {"GRID_API_KEY": None, "GRID_USER_ID": None}
    assert "cluster   unknown: there is no key" in two.first("status", **keyless).out
    assert "unknown: there is no key" in two.first("drift", **keyless).text

    two.list_in_file(name)
    status = two.first("status").out
    assert f"cluster   {name}: running\n" in status
    assert "Nothing: the stack is up" in status
    assert "handoff   handed over at" in status
    assert "No drift" in two.first("drift").out
    two.first("plan", "--exit-code")

    (journal,) = two.first.directory.glob(".gridbyoc/*/journal.jsonl")
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    (record,) = [each for each in records if each.get("effect") == "handoff" and each["type"] == "effect_done"]
    assert record["role"] == aws["roleArn"]
    assert record["expires"]
    homes = (Path(two.second.env["HOME"]), two.second.directory, Path(two.first.env["HOME"]), journal.parent / "logs")
    for place in homes:
        for path in place.rglob("*"):
            assert not path.is_file() or EXTERNAL_ID.encode() not in path.read_bytes(), path
    assert EXTERNAL_ID not in journal.read_text() + done.text + status


def test_what_is_refused_sends_nothing(two: Two) -> None:
    two.hand_over()
    whole = two.handoff.read_bytes()
    register = ("register", "--handoff", "x.handoff", "never")
    before = len(two.plane.seen)

    assert "GBY-H002" in two.second(*register, status=2, GRIDBYOC_HANDOFF_KEY="another passphrase, as long").err
    assert "GBY-H002" in two.second(*register, status=2, GRIDBYOC_HANDOFF_KEY=None).err
    two.handoff.write_bytes(whole[: len(whole) // 2])
    assert "GBY-H001" in two.second(*register, status=1).err
    two.handoff.write_bytes(whole)
    assert "GBY-H004" in two.second(*register, "--expect-stack", "another", status=4).err
    assert "GBY-H004" in two.second(*register, status=4, GRID_URL="http://127.0.0.1:9").err
    two.hand_over("--valid-for", "1s")
    time.sleep(1.1)
    assert "GBY-H003" in two.second(*register, status=4).err
    assert len(two.plane.seen) == before

    (two.first.directory / "x.handoff").write_text("thesis")
    assert "is not overwritten: it is not a handoff" in two.first("handoff", "--out", "x.handoff", status=1).err
    assert (two.first.directory / "x.handoff").read_text() == "thesis"


def test_a_vendor_without_an_api_gets_a_page_with_reveal_alone(two: Two) -> None:
    text = two.stack.file.read_text().replace("clusters: []\n", "")
    role = 'role: {trusted_account_id: "302180240179"}\n'
    two.stack.file.write_text(f"{text}control_plane: {{type: manual, vendor: Acme AI}}\n{role}")
    keyless: dict[str, str | None] = {"GRID_API_KEY": None, "GRID_USER_ID": None, "GRIDBYOC_HANDOFF_KEY": None}
    status = two.first("status", **keyless).out
    assert "handoff   not yet handed over to Acme AI" in status
    assert "Hand it over to Acme AI: `gridbyoc handoff --reveal`" in status

    assert "either --out FILE or --reveal" in two.first("handoff", status=2, **keyless).err
    page = two.first("handoff", "--reveal", **keyless)
    assert page.out.startswith("Send to Acme AI:\n  role         arn:aws:iam::")
    assert f"  external id  {EXTERNAL_ID}\n" in page.out
    assert EXTERNAL_ID not in page.err
    masked = two.first("handoff", "--reveal", GITHUB_ACTIONS="true", **keyless)
    assert f"::add-mask::{EXTERNAL_ID}" in masked.err
    document = json.loads(two.first("handoff", "--reveal", "--format", "json", **keyless).out)
    assert (document["type"], document["external_id"]) == ("handoff_page", EXTERNAL_ID)

    status = two.first("status", **keyless).out
    assert "handoff   handed over to Acme AI at" in status
    assert EXTERNAL_ID not in status
    two.hand_over()
    assert f"external id  {EXTERNAL_ID}" in two.second("bundle", "show", "--reveal", "x.handoff").out
    assert "is for Acme AI, which has no API" in two.second("register", "--handoff", "x.handoff", "a", status=4).err
    (journal,) = two.first.directory.glob(".gridbyoc/*/journal.jsonl")
    assert EXTERNAL_ID not in journal.read_text()


@pytest.mark.parametrize("on", ["control-plane:CreateCluster", "control-plane:GetCluster"])
def test_killed_between_creation_and_wait_it_goes_on(two: Two, on: str) -> None:
    name = two.stack.name
    two.hand_over()
    register = ("register", "--handoff", "x.handoff", name, "--instance-types", "t2.medium")
    hold = two.plane.hold(on, "after" if on.endswith("CreateCluster") else "before")
    running = two.second.start(*register)
    hold.wait()
    os.kill(running.pid, signal.SIGKILL)
    running.communicate(timeout=30)
    hold.drop()
    assert [each["name"] for each in two.world.clusters()].count(name) == 1

    again = two.second(*register)
    assert "is used as it is" in again.err
    assert "status = running" in again.out
    assert [each["name"] for each in two.world.clusters()].count(name) == 1
    assert two.plane.seen.count("control-plane:CreateCluster") == 1
