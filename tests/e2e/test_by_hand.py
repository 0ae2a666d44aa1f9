"""Without a stack file: a role made by hand, a login, the default cluster, and the commands that need nothing."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import EXTERNAL_ID, role_arn

pytestmark = pytest.mark.usefixtures("measured")


def edited_by(directory: Path, old: str, new: str) -> str:
    script = directory / "editor.py"
    script.write_text(
        "import sys\npath = sys.argv[1]\ntext = open(path).read()\n"
        f"open(path, 'w').write(text.replace({old!r}, {new!r}))\n"
    )
    return f"{sys.executable} {script}"


def test_a_role_made_by_hand_is_registered_and_waited_for(tool: Tool, world: World) -> None:
    role = ("--role-arn", role_arn(world, "by-hand"))
    secret = tool.directory / "external-id"
    secret.write_text(EXTERNAL_ID + "\n")
    given = ("--external-id-file", str(secret), "--instance-types", "t2.medium", "--cost-savings")
    line = edited_by(tool.directory, '"t2.medium"', '"t3.large"')
    done = tool("register", "by-hand", *role, *given, "--edit-before-creation", "--wait", EDITOR=line)
    assert "instance_types[t3.large].name: (absent) -> t3.large" in done.err
    assert "status = running" in done.out
    assert EXTERNAL_ID not in done.text
    cluster = world.cluster("by-hand")
    assert cluster is not None
    assert cluster["spec"]["performanceProfile"].endswith("COST_SAVING")
    aws = cluster["spec"]["driver"]["kubernetes"]["aws"]
    assert (aws["externalId"], [kind["name"] for kind in aws["instanceTypes"]]) == (EXTERNAL_ID, ["t3.large"])
    again = tool("register", "by-hand", *role, *given)
    assert "existed already with this role" in again.text


def test_a_wrong_external_id_ends_in_words(tool: Tool, world: World) -> None:
    role = ("--role-arn", role_arn(world, "by-hand"))
    wrong = {"EXT": "not-the-one-of-the-role"}
    failed = tool("register", "by-hand-b", *role, "--external-id-env", "EXT", "--wait", status=5, **wrong)
    assert "error[GBY-C111]" in failed.err
    assert "gridbyoc verify" in failed.err
    assert "does not admit AWS account" in failed.err
    assert wrong["EXT"] not in failed.text
    shown = tool("clusters", "list")
    assert next(line for line in shown.out.splitlines() if "by-hand-b" in line).split()[3] == "failed"


def test_login_and_context_live_where_the_services_client_keeps_them(tool: Tool, world: World) -> None:
    env = dict.fromkeys(("GRID_USERNAME", "GRID_USER_ID", "GRID_API_KEY", "GRID_URL"))
    url = ("--url", world.sandbox.control_plane_url)
    key = world.sandbox.env["GRID_API_KEY"]
    home = Path(tool.env["HOME"])
    refused = tool("clusters", "list", *url, status=1, **env)
    assert "gridbyoc login" in refused.err
    done = tool("login", "--username", "ada", "--key-stdin", *url, stdin=key, **env)
    assert key not in done.text
    assert "Logged in as ada" in done.out
    credentials, settings = home / ".grid" / "credentials.json", home / ".grid" / "settings.json"
    kept = json.loads(credentials.read_text())
    assert kept == {"UserID": world.sandbox.env["GRID_USER_ID"], "APIKey": key}
    role = ("--role-arn", role_arn(world, "by-hand"), "--external-id-env", "EXT")
    tool("register", "by-hand-c", *role, EXT=EXTERNAL_ID, **env)
    assert "by-hand-c" in tool("context", "by-hand-c", **env).out
    assert json.loads(settings.read_text())["context"] == "by-hand-c"
    assert tool("context", **env).out.strip() == "by-hand-c"
    for file in (credentials, settings):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file

    bare = dict.fromkeys(("LIGHTNING_USER_ID", "LIGHTNING_API_KEY"))
    tool("login", "--username", "ada", "--key-stdin", "--control-plane", "lightning", stdin=key, **bare)
    lightning = home / ".lightning" / "credentials.json"
    assert json.loads(lightning.read_text())["api_key"] == key
    assert stat.S_IMODE(lightning.stat().st_mode) == 0o600
    assert "by-hand-c" in tool("clusters", "list", "--control-plane", "lightning", **bare).out


def test_what_needs_nothing(tool: Tool) -> None:
    bare = {name: None for name in os.environ if name.startswith(("AWS_", "GRID_", "LIGHTNING_"))}
    schema = json.loads(tool("schema", **bare).out)
    jsonschema.Draft202012Validator.check_schema(schema)
    versions = json.loads(tool("version", "--format", "json", **bare).out)
    assert set(versions) == {"type", "gridbyoc", "python", "terraform"}
    assert versions["gridbyoc"] in tool("--version", **bare).out


@pytest.mark.parametrize(
    "shell, words", [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --no-files")]
)
def test_completion(tool: Tool, shell: str, words: str) -> None:
    assert words in tool("completion", shell).out
    asked = {"bash": {"COMP_WORDS": "gridbyoc clusters ed", "COMP_CWORD": "2"}}.get(shell)
    if asked:
        answer = tool(_GRIDBYOC_COMPLETE="bash_complete", **asked)
        assert answer.out.split() == ["plain,edit"]
