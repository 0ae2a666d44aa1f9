"""``gridbyoc clusters edit`` against a control plane in memory: what is asked, sent, written and said."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.errors import ApprovalRequiredError, ControlPlaneError, FileError, LockedError, UsageError
from gridbyoc.operations.journal import read_journal
from gridbyoc.operations.lock import hold
from tests.functional.test_control_plane_cli import CANARY, KEY, ROLE, Tool, editor, tool

__all__ = ["tool"]
STACK = """\
# kept
version: 1
name: demo
clusters:
  - name: ml  # ours
    performance_profile: default
    instance_types:
      - t2.medium  # small
      # more to come
control_plane: {type: grid}
"""
SPEC: dict[str, Any] = {
    "clusterType": "CLUSTER_TYPE_BYOC",
    "driver": {
        "kubernetes": {
            "aws": {
                "externalId": CANARY,
                "instanceTypes": [{"name": "t2.medium", "future": 1}],
                "region": "us-east-1",
                "roleArn": ROLE,
            },
            "future": {"deep": ["x"]},
        }
    },
    "performanceProfile": "CLUSTER_PERFORMANCE_PROFILE_DEFAULT",
}
EDIT = ("clusters", "edit", "ml")
LARGER = "aws['instance_types'].append({'name': 'm5.large'})"
SAVING = "spec['performance_profile'] = 'CLUSTER_PERFORMANCE_PROFILE_COST_SAVING'"


@pytest.fixture
def cluster(tool: Tool) -> dict[str, Any]:
    return tool.plane.add("ml", SPEC)


def edits(tool: Tool, code: str) -> str:
    """An editor that carries out ``code`` on the spec; ``aws`` is a part of it."""
    opened = "import json; spec = json.loads(text); aws = spec['driver']['kubernetes']['aws']"
    return editor(tool, f"{opened}\n{code}\ntext = json.dumps(spec)")


def puts(tool: Tool) -> list[Any]:
    return [request.json for request in tool.server.requests if request.method == "PUT"]


def written(tool: Tool, text: str = STACK) -> Path:
    path = tool.directory / "gridbyoc.yaml"
    path.write_text(text)
    return path


def test_the_whole_spec_is_sent_with_what_is_not_known(tool: Tool, cluster: dict[str, Any]) -> None:
    before = copy.deepcopy(cluster["spec"])
    tool(*EDIT, "--yes", EDITOR=edits(tool, LARGER))
    (put,) = puts(tool)
    aws = before["driver"]["kubernetes"]["aws"]
    aws["instanceTypes"] = [{"name": "t2.medium", "future": 1}, {"name": "m5.large"}]
    assert put == {"name": cluster["id"], "spec": before}
    assert "The cluster ml was changed (1 field)." in tool.out
    assert "instance_types[m5.large].name: (absent) -> m5.large" in tool.err
    assert "unchanged: driver.kubernetes.aws.instanceTypes[].future, driver.kubernetes.future" in tool.err
    assert "$50 a day" in tool.err
    assert not (tool.directory / ".gridbyoc").exists()


def test_unchanged_sends_nothing(tool: Tool, cluster: dict[str, Any]) -> None:
    file = written(tool)
    tool(*EDIT, "--yes", "--write", EDITOR=editor(tool, ""))
    assert tool.out == "ml is unchanged.\n"
    tool(*EDIT, "--yes", "--format", "json", EDITOR=edits(tool, "aws['instance_types'].reverse()"))
    told = json.loads(tool.out)
    assert (told["type"], told["changed"], told["changes"], told["file"]) == ("edited", False, [], None)
    assert puts(tool) == []
    assert file.read_text() == STACK


def test_the_change_is_written_into_the_stack_file(tool: Tool, cluster: dict[str, Any]) -> None:
    file = written(tool)
    file.chmod(0o640)
    tool(*EDIT, "--yes", "--write", "--format", "json", EDITOR=edits(tool, f"{LARGER}; {SAVING}"))
    assert file.read_text() == STACK.replace("profile: default", "profile: cost-saving").replace(
        "# small\n", "# small\n      - m5.large\n"
    )
    assert file.stat().st_mode & 0o777 == 0o640
    told = json.loads(tool.out.splitlines()[-1])
    assert (told["changed"], told["file"], len(told["changes"])) == (True, str(file), 2)
    assert [item["name"] for item in told["cluster"]["instance_types"]] == ["t2.medium", "m5.large"]
    assert "would change" not in tool.err
    effects = [(r["type"], r["effect"]) for r in read_journal(tool.directory / ".gridbyoc/demo/journal.jsonl")
               if "effect" in r]  # fmt: skip
    assert effects == [("effect_started", "update"), ("effect_done", "update")]


def test_without_writing_the_next_bootstrap_is_told_of(tool: Tool, cluster: dict[str, Any]) -> None:
    file = written(tool)
    tool(*EDIT, "--yes", EDITOR=edits(tool, SAVING))
    assert f"the next `gridbyoc bootstrap` of {file} would change performance_profile: cost-saving -> def" in tool.err
    assert file.read_text() == STACK
    tool(*EDIT, "--yes", "--write", EDITOR=edits(tool, "spec['pause_automation'] = True"))
    assert "has no key for this change" in tool.err
    assert "would change performance_profile" in tool.err
    assert file.read_text() == STACK
    assert tool.plane.clusters["id-1"]["spec"]["pauseAutomation"] is True


def test_a_cluster_that_changes_meanwhile_is_left_alone(tool: Tool, cluster: dict[str, Any]) -> None:
    file = written(tool)
    change = f"import base64, urllib.request as u\n{SAVING}\n"
    change += f"q = u.Request('{tool.server.url}/v1/core/clusters/id-1', method='PUT', data=json.dumps("
    change += "{'spec': {**json.loads(open('other.json').read()), 'costFactor': '2'}}).encode())\nu.urlopen(q)"
    (tool.directory / "other.json").write_text(json.dumps(cluster["spec"]))
    change = change.replace("'other.json'", repr(str(tool.directory / "other.json")))
    error = tool.fails(ControlPlaneError, *EDIT, "--yes", "--write", EDITOR=edits(tool, change))
    assert "was changed at the control plane" in error.what
    assert "cost_factor" in error.why
    assert len(puts(tool)) == 1
    assert file.read_text() == STACK


def test_a_stack_file_that_changes_meanwhile_is_left_alone(tool: Tool, cluster: dict[str, Any]) -> None:
    file = written(tool)
    meanwhile = f"{SAVING}; open({str(file)!r}, 'a').write('role: {{path: /a/}}')"
    tool.fails(FileError, *EDIT, "--write", "--yes", EDITOR=edits(tool, meanwhile))
    assert puts(tool) == []
    assert file.read_text() == STACK + "role: {path: /a/}"


def test_nothing_is_sent_while_another_run_holds_the_stack(tool: Tool, cluster: dict[str, Any]) -> None:
    file = written(tool)
    with hold(tool.directory / ".gridbyoc/demo", verb="bootstrap", now=lambda: datetime.now(timezone.utc)):
        tool.fails(LockedError, *EDIT, "--write", "--yes", EDITOR=edits(tool, SAVING))
    assert puts(tool) == []
    assert file.read_text() == STACK


def test_answers_on_a_terminal(tool: Tool, cluster: dict[str, Any]) -> None:
    error = tool.fails(ApprovalRequiredError, *EDIT, answers="n\n", EDITOR=edits(tool, SAVING))
    assert "was not approved" in error.what
    once = tool.directory / "once"
    slip = f"import os\nif not os.path.exists({str(once)!r}):\n open({str(once)!r}, 'w'); text = text + 'x'\n"
    mended = "else:\n text = text[:-1].replace('PROFILE_DEFAULT', 'PROFILE_COST_SAVING')"
    assert puts(tool) == []
    tool(*EDIT, answers="y\ny\n", EDITOR=editor(tool, slip + mended))
    assert "not JSON" in tool.err
    assert puts(tool)[0]["spec"]["performanceProfile"].endswith("COST_SAVING")
    once.unlink()
    assert "not JSON" in tool.fails(UsageError, *EDIT, answers="n\n", EDITOR=editor(tool, slip)).what


@pytest.mark.parametrize(
    "code, words",
    [
        ("aws['role_arn'] += 'x'", "role_arn cannot be changed"),
        ("aws['external_id'] = 'another-one'", "external_id cannot be changed"),
        ("aws['region'] = 'eu-west-1'", "region cannot be changed"),
        ("aws['bucket_name'] = 'b'", "bucket_name cannot be changed"),
        ("aws['instance_typs'] = []", "is not a field"),
        ("sys.exit(3)", "status 3"),
    ],
)
def test_edits_that_are_refused_send_nothing(tool: Tool, cluster: dict[str, Any], code: str, words: str) -> None:
    assert words in tool.fails(UsageError, *EDIT, "--yes", EDITOR=edits(tool, code)).what
    assert puts(tool) == []


def test_what_is_refused_before_the_editor_opens(tool: Tool, cluster: dict[str, Any]) -> None:
    opened = tool.directory / "opened"
    line = editor(tool, f"open({str(opened)!r}, 'w')")
    assert "no terminal" in tool.fails(ApprovalRequiredError, *EDIT, EDITOR=line).what
    assert "no stack file" in tool.fails(UsageError, *EDIT, "--yes", "--write", EDITOR=line).why
    text = STACK.replace("name: ml ", "name: other ")
    piped = tool.fails(UsageError, *EDIT, "--yes", "--write", "--stack", "-", stdin=STACK, EDITOR=line)
    assert "standard input" in piped.why
    written(tool, text)
    assert "has no cluster named ml" in tool.fails(UsageError, *EDIT, "--yes", "--write", EDITOR=line).why
    other = ("--control-plane", "lightning")
    env = {"LIGHTNING_CLOUD_URL": tool.server.url, "LIGHTNING_USER_ID": "u", "LIGHTNING_API_KEY": KEY}
    assert "other dialect" in tool.fails(ControlPlaneError, *EDIT, "--yes", *other, EDITOR=line, **env).what
    assert not opened.exists()
    tool(*EDIT, "--yes", EDITOR=edits(tool, SAVING))
    assert "would change" not in tool.err
    assert len(puts(tool)) == 1
