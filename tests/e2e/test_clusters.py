"""One cluster at a time: created beside others, edited, and never robbed of what the tool does not know."""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import FastStack, fast_stack, without_aws_provider

pytestmark = pytest.mark.usefixtures("measured")

Spec = dict[str, Any]
FUTURE = {"deep": [1, {"er": "x"}], "yes": True, "nothing": {}}


@pytest.fixture
def tool(tool: Tool) -> Tool:
    return without_aws_provider(tool)


def editor(directory: Path, code: str) -> str:
    """An editor's command line that carries out ``code`` on the JSON in the file, as ``it``; it keeps what it saw."""
    script = directory / "editor.py"
    script.write_text(
        f"import json, sys\npath = sys.argv[1]\ntext = open(path).read()\nopen({str(directory / 'seen')!r}, 'w')"
        f".write(text)\nit = json.loads(text)\n{code}\njson.dump(it, open(path, 'w'))\n"
    )
    return f"{sys.executable} {script}"


def send(world: World, method: str, path: str, body: Spec) -> Spec:
    """A request of another client."""
    env, url = world.sandbox.env, f"{world.sandbox.control_plane_url}/v1/core/clusters{path}"
    answer = requests.request(method, url, json=body, auth=(env["GRID_USER_ID"], env["GRID_API_KEY"]), timeout=10)
    answer.raise_for_status()
    found: Spec = answer.json()
    return found


def spec_of(world: World, name: str) -> Spec:
    found = world.cluster(name)
    assert found is not None
    spec: Spec = found["spec"]
    return spec


def plant(world: World, name: str, change: Callable[[Spec], None]) -> Spec:
    """Change a cluster's spec behind the tool's back; the spec as it is kept."""
    spec = spec_of(world, name)
    change(spec)
    send(world, "PUT", f"/{name}", {"name": name, "spec": spec})
    assert spec_of(world, name) == spec
    return spec


def puts(world: World) -> int:
    return sum(request["method"] == "PUT" for request in world.sandbox.requests())


def add_cluster(stack: FastStack, name: str) -> None:
    text = stack.file.read_text()
    stack.file.write_text(text.replace("terraform:", f"  - {{name: {name}, instance_types: [t2.medium]}}\nterraform:"))


def test_one_cluster_is_created_through_the_role_that_is_there(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "alone", role="alone-role")
    file = ("--stack", str(stack.file))
    early = tool("clusters", "create", "alone", *file, status=1)
    assert "The role of the stack alone does not exist yet" in early.err
    assert "gridbyoc bootstrap" in early.err
    assert world.cluster("alone") is None
    assert "Did you mean `alone`?" in tool("clusters", "create", "alnoe", *file, status=2).err
    tool("bootstrap", str(stack.file), "--yes", "--no-wait")

    add_cluster(stack, "alone-b")
    types = "it['spec']['driver']['kubernetes']['aws']['instance_types'].append({'name': 'm5.large'})"
    line = editor(tool.directory, types)
    done = tool("clusters", "create", "alone-b", *file, "--edit-before-creation", EDITOR=line)
    header, row = done.out.splitlines()[-2:]
    assert header.split()[:4] == ["id", "name", "type", "status"]
    assert row.split()[:4] == ["alone-b", "alone-b", "byoc", "running"]
    assert "$50 a day" in done.text
    aws = spec_of(world, "alone-b")["driver"]["kubernetes"]["aws"]
    assert [kind["name"] for kind in aws["instanceTypes"]] == ["t2.medium", "m5.large"]
    assert aws["externalId"] not in done.text + (tool.directory / "seen").read_text()
    assert aws["roleArn"] == spec_of(world, "alone")["driver"]["kubernetes"]["aws"]["roleArn"]

    before = puts(world)
    again = tool("clusters", "create", "alone-b", *file, "--format", "json")
    assert "It is left unchanged; `gridbyoc bootstrap` would change instance_types[m5.large]" in again.text
    assert again.objects[-1]["cluster"]["status"] == "running"
    assert puts(world) == before

    add_cluster(stack, "alone-c")
    foreign = copy.deepcopy(spec_of(world, "alone"))
    foreign["driver"]["kubernetes"]["aws"]["roleArn"] += "-of-somebody-else"
    send(world, "POST", "", {"name": "alone-c", "spec": foreign})
    assert "does not run through this stack's role" in tool("clusters", "create", "alone-c", *file, status=1).err


def test_two_runs_of_a_stack_are_kept_apart(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "apart")
    tool("bootstrap", str(stack.file), "--yes", "--no-wait")
    add_cluster(stack, "apart-b")
    go = tool.directory / "go"
    slow = editor(tool.directory, f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)")
    process = tool.start(
        "clusters", "create", "apart-b", "--stack", str(stack.file), "--edit-before-creation", EDITOR=slow
    )
    while not (tool.directory / "seen").exists():
        assert process.poll() is None
        time.sleep(0.02)
    refused = tool("clusters", "create", "apart-b", "--stack", str(stack.file), status=8)
    assert "gridbyoc clusters create" in refused.err
    go.touch()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert world.cluster("apart-b") is not None


def grid_future(spec: Spec) -> None:
    kubernetes = spec["driver"]["kubernetes"]
    for place in (spec, kubernetes, kubernetes["aws"], kubernetes["aws"]["instanceTypes"][0]):
        place["futureField"] = FUTURE


def lightning_future(spec: Spec) -> None:
    ready = {"instanceType": "t2.medium", "region": "us-east-1", "volumeSize": 50, "futureField": FUTURE}
    spec["overprovisioning"] = [
        {**ready, "isSpot": True, "minimumCount": 1, "maximumCount": 2},
        {**ready, "isSpot": False, "minimumCount": 0, "maximumCount": 1},
    ]
    for place in (spec, spec["awsV1"]):
        place["futureField"] = FUTURE


def without(spec: Spec, *names: str) -> Spec:
    return {key: value for key, value in spec.items() if key not in names}


def test_what_is_not_known_survives_grid(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "kept", role="kept-role")
    file = str(stack.file)
    tool("bootstrap", file, "--yes", "--no-wait")
    planted = plant(world, "kept", grid_future)

    stack.file.write_text(stack.file.read_text().replace("[t2.medium]", "[t2.medium, t2.large]  # two"))
    tool("bootstrap", file, "--yes")
    expected = copy.deepcopy(planted)
    expected["driver"]["kubernetes"]["aws"]["instanceTypes"].append({"name": "t2.large"})
    assert spec_of(world, "kept") == expected

    code = "it['driver']['kubernetes']['aws']['instance_types'][0]['root_volume_size'] = 50"
    edit = ("clusters", "edit", "kept", "--stack", file, "--yes")
    done = tool(*edit, "--write", EDITOR=editor(tool.directory, code))
    expected["driver"]["kubernetes"]["aws"]["instanceTypes"][0]["rootVolumeSize"] = 50
    assert spec_of(world, "kept") == expected
    seen = (tool.directory / "seen").read_text()
    assert json.loads(seen)["driver"]["kubernetes"]["aws"]["external_id"] == "[secret]"
    assert expected["driver"]["kubernetes"]["aws"]["externalId"] not in seen + done.text
    assert "instance_types[t2.medium].root_volume_size: (absent) -> 50" in done.err
    assert "[{name: t2.medium, root_volume_size: 50}, t2.large]  # two" in stack.file.read_text()
    assert "# where the state lies" in stack.file.read_text()

    before = puts(world)
    assert "is unchanged" in tool(*edit, EDITOR=editor(tool.directory, "")).out
    taken = "it['driver']['kubernetes']['aws']['role_arn'] += 'x'"
    assert "gridbyoc rotate" in tool(*edit, status=2, EDITOR=editor(tool.directory, taken)).err
    assert "Nothing changed" in tool("bootstrap", file, "--yes").out
    assert puts(world) == before


def test_what_is_not_known_survives_lightning(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "kept-l", role="kept-l-role", vendor="lightning")
    file = str(stack.file)
    stack.file.write_text(stack.file.read_text() + "control_plane: {type: lightning}\n")
    tool("bootstrap", file, "--yes", "--no-wait")
    planted = plant(world, "kept-l", lightning_future)

    stack.file.write_text(stack.file.read_text().replace("[t2.medium]", "[t2.medium, t2.large]"))
    tool("bootstrap", file, "--yes")
    types = {"availableAccelerators": ["t2.medium", "t2.large"]}
    now = spec_of(world, "kept-l")
    changed = ("overprovisioning", *types)
    assert without(now, *changed) == without(planted, *changed)
    assert now["availableAccelerators"] == types["availableAccelerators"]
    entries = [sorted(spec["overprovisioning"], key=lambda each: each["isSpot"]) for spec in (now, planted)]
    assert entries[0] == entries[1]

    code = "next(each for each in it['overprovisioning'] if not each['is_spot'])['minimum_count'] = 1"
    edit = ("clusters", "edit", "kept-l", "--stack", file, "--yes")
    tool(*edit, "--write", EDITOR=editor(tool.directory, code))
    next(each for each in now["overprovisioning"] if not each["isSpot"])["minimumCount"] = 1
    assert spec_of(world, "kept-l") == now
    assert "{name: t2.medium, overprovisioned_ondemand_count: 1}, t2.large]" in stack.file.read_text()
    assert "Nothing changed" in tool("bootstrap", file, "--yes").out
    assert spec_of(world, "kept-l") == now
