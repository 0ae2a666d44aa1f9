"""From a stack file to a running cluster, and what a second and a third run do."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.e2e.conftest import Tool, World, stack_text


def test_the_starter_bootstraps_as_it_is(tool: Tool, world: World) -> None:
    tool("new", "--no-input", "--name", "starter", "--cluster", "starter")
    done = tool("bootstrap", "--yes")
    cluster = world.cluster("starter")
    assert cluster is not None
    assert cluster["status"]["phase"] == "CLUSTER_STATE_RUNNING"
    assert "running" in done.out
    aws = cluster["spec"]["driver"]["kubernetes"]["aws"]
    assert aws["roleArn"] in done.out
    assert aws["externalId"] not in done.text
    for step in ("render", "init", "preflight", "apply", "output", "trust", "register", "wait"):
        assert f"{step} " in done.out, step


def test_twice_changes_nothing_and_a_third_with_one_type_more_updates_the_cluster(tool: Tool, world: World) -> None:
    tool.write(stack_text("thrice"))
    first = tool("bootstrap", "--yes", "--format", "json").objects[-1]
    before = world.cluster("thrice")
    posts = [r for r in world.sandbox.requests() if r["method"] in {"POST", "PUT", "DELETE"}]

    second = tool("bootstrap", "--yes")
    assert "Nothing changed" in second.out
    assert world.cluster("thrice") == before
    assert [r for r in world.sandbox.requests() if r["method"] in {"POST", "PUT", "DELETE"}] == posts

    tool.write(stack_text("thrice", types="[t2.medium, {name: g4dn.xlarge, overprovisioned_ondemand_count: 1}]"))
    pending = tool("plan", "--exit-code", status=3)
    assert "~ cluster thrice" in pending.out
    assert "g4dn.xlarge" in pending.out
    third = tool("bootstrap", "--yes", "--format", "json").objects[-1]
    assert third["role_arn"] == first["role_arn"]
    assert not any(third["resources"].values())
    assert [c["action"] for c in third["clusters"]] == ["update"]
    after = world.cluster("thrice")
    assert after is not None
    assert before is not None
    assert after["id"] == before["id"]
    types = after["spec"]["driver"]["kubernetes"]["aws"]["instanceTypes"]
    assert [kind["name"] for kind in types] == ["t2.medium", "g4dn.xlarge"]
    assert tool("plan", "--exit-code").status == 0


def test_state_live_role_and_control_plane_agree(tool: Tool, world: World) -> None:
    tool.write(stack_text("agree"))
    tool("bootstrap", "--yes")
    work_dir = tool.directory / ".gridbyoc" / "agree"
    ran = subprocess.run(
        ["terraform", "output", "-json"], cwd=work_dir, env=tool.env, capture_output=True, text=True, check=True
    )
    outputs = {name: output["value"] for name, output in json.loads(ran.stdout).items()}
    role = world.iam().get_role(RoleName=outputs["role_name"])["Role"]
    assert role["Arn"] == outputs["role_arn"]
    trust = json.dumps(role["AssumeRolePolicyDocument"])
    assert outputs["external_id"] in trust
    cluster = world.cluster("agree")
    assert cluster is not None
    aws = cluster["spec"]["driver"]["kubernetes"]["aws"]
    assert (aws["roleArn"], aws["externalId"]) == (outputs["role_arn"], outputs["external_id"])
    assert len(world.attached(outputs["role_name"])) == 10
    shown = json.loads(tool("outputs", "--format", "json").out)
    assert shown == {
        "type": "outputs",
        "stack": shown["stack"],
        "role_arn": outputs["role_arn"],
        "role_name": outputs["role_name"],
        "external_id": "[secret]",
        "roles": {},
    }
    assert tool("outputs", "--reveal", "--name", "external_id").out.strip() == outputs["external_id"]
    masked = tool("outputs", "--reveal", "--name", "external_id", GITHUB_ACTIONS="true")
    assert masked.err.splitlines() == [f"::add-mask::{outputs['external_id']}"]
    assert masked.out.strip() == outputs["external_id"]


def test_standard_input_and_overrides(tool: Tool, world: World) -> None:
    text = stack_text("piped")
    done = tool("plan", "-", "--set", "aws.account_id='123456789012'", stdin=text)
    assert "+ cluster piped" in done.out
    assert "$10 a day" in done.out
    assert world.cluster("piped") is None
    assert (tool.directory / ".gridbyoc" / "piped" / "main.tf").exists()


def test_removing_a_cluster_from_the_file_needs_an_approval_of_its_own(tool: Tool, world: World) -> None:
    second = "  - {name: two-b, instance_types: [t2.medium]}\n"
    tool.write(stack_text("two-a", extra=second))
    tool("bootstrap", "--yes")
    tool.write(stack_text("two-a"))
    refused = tool("bootstrap", "--yes", status=2)
    assert "cluster two-b" in refused.err
    assert "--yes-destroy" in refused.err
    assert world.cluster("two-b") is not None
    tool("bootstrap", "--yes", "--yes-destroy")
    assert world.cluster("two-b") is None
    assert world.cluster("two-a") is not None


def test_destroy_takes_the_cluster_first_and_then_the_role(tool: Tool, world: World) -> None:
    tool.write(stack_text("doomed", role="{name: grid-doomed}"))
    tool("bootstrap", "--yes")
    assert "--yes-destroy" in tool("destroy", status=2).err
    assert world.cluster("doomed") is not None
    by_hand = tool.directory / ".gridbyoc" / "doomed" / "notes_override.tf"
    by_hand.write_text("# somebody's own\n")
    done = tool("destroy", "--yes-destroy")
    assert "Destroyed: clusters doomed" in done.out
    assert by_hand.exists()
    assert not (by_hand.parent / "terraform.tfstate").exists()
    assert world.cluster("doomed") is None
    assert world.roles("grid-doomed") == []
    assert "Nothing to destroy" in tool("destroy", "--yes-destroy").out
    tool("bootstrap", "--yes")
    assert world.cluster("doomed") is not None


def test_a_role_that_was_changed_by_hand_is_mended(tool: Tool, world: World) -> None:
    tool.write(stack_text("drift", role="{name: grid-drift}"))
    tool("bootstrap", "--yes")
    trust = world.iam().get_role(RoleName="grid-drift")["Role"]["AssumeRolePolicyDocument"]
    trust["Statement"][0]["Effect"] = "Deny"
    world.iam().update_assume_role_policy(RoleName="grid-drift", PolicyDocument=json.dumps(trust))
    report = tool("bootstrap", "--yes", "--format", "json").objects[-1]
    assert report["resources"] == {"add": 0, "change": 1, "destroy": 0}
    mended = world.iam().get_role(RoleName="grid-drift")["Role"]["AssumeRolePolicyDocument"]
    assert mended["Statement"][0]["Effect"] == "Allow"


def test_a_control_plane_cluster_of_another_role_is_refused_before_anything_is_made(tool: Tool, world: World) -> None:
    tool.write(stack_text("taken"))
    tool("bootstrap", "--yes")
    other = tool.directory / "other"
    other.mkdir()
    Path(other, "gridbyoc.yaml").write_text(stack_text("taken", role="{name: grid-taken-other}"))
    refused = tool("bootstrap", "--yes", "other/gridbyoc.yaml", status=1)
    assert "does not run through this stack's role" in refused.err
    assert world.roles("grid-taken-other") == []
