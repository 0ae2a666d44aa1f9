"""The main job through the dialect of today's service, from the stack file to nothing again."""

from __future__ import annotations

import json
from typing import Any

from gridbyoc.vendors import VendorType, facts_of
from tests.e2e.conftest import Tool, World, stack_text

PLANE = "control_plane: {type: lightning}\n"


def text(types: str) -> str:
    written = stack_text("bolt", types=types, role="{name: grid-bolt}", extra=PLANE)
    return written.replace("    performance_profile: cost-saving\n", "")


def writes(world: World) -> list[Any]:
    return [request for request in world.sandbox.requests() if request["method"] in {"POST", "PUT", "DELETE"}]


def test_the_main_job_on_lightning(tool: Tool, world: World) -> None:
    tool.write(text("[t2.medium]"))
    first = tool("bootstrap", "--yes", "--format", "json").objects[-1]
    cluster = world.cluster("bolt")
    assert cluster is not None
    assert cluster["status"]["phase"] == "CLUSTER_STATE_RUNNING"
    spec = cluster["spec"]
    assert (spec["driver"], spec["availableAccelerators"]) == ("AWS", ["t2.medium"])
    aws = spec["awsV1"]
    assert (aws["roleArn"], aws["primaryRegion"]) == (first["role_arn"], "us-east-1")
    assert tool("outputs", "--reveal", "--name", "external_id").out.strip() == aws["externalId"]
    assert "performanceProfile" not in spec

    before = writes(world)
    assert "Nothing changed" in tool("bootstrap", "--yes").out
    assert writes(world) == before

    tool.write(text("[t2.medium, {name: g4dn.xlarge, overprovisioned_ondemand_count: 1}]"))
    third = tool("bootstrap", "--yes", "--format", "json").objects[-1]
    assert (third["role_arn"], [c["action"] for c in third["clusters"]]) == (first["role_arn"], ["update"])
    assert not any(third["resources"].values())
    after = world.cluster("bolt")
    assert after is not None
    assert after["id"] == cluster["id"]
    assert after["spec"]["availableAccelerators"] == ["t2.medium", "g4dn.xlarge"]
    (ready,) = after["spec"]["overprovisioning"]
    assert (ready["instanceType"], ready["minimumCount"], ready["isSpot"]) == ("g4dn.xlarge", 1, False)

    tool("destroy", "--yes-destroy")
    assert world.cluster("bolt") is None
    assert world.roles("grid-bolt") == []


def test_what_lightning_cannot_carry_is_said_before_anything_is_made(tool: Tool, world: World) -> None:
    tool.write(stack_text("bolt.two", extra=PLANE))
    refused = tool("bootstrap", "--yes", status=2)
    assert "has no performance profiles" in refused.err
    assert "1 to 63 of a-z, 0-9 and `-`" in refused.err
    assert "for instance `bolt-two`" in refused.err
    assert not (tool.directory / ".gridbyoc").exists()


def granted(vendor: VendorType) -> str:
    """A vendor's own grant, written out under ``role``."""
    facts = facts_of(vendor)
    statements = [{"actions": list(actions)} for actions in facts.permissions.statements]
    keys = {
        "name": "grid-bolt",
        "trusted_account_id": facts.trusted_account.account_id,
        "managed_policies": list(facts.permissions.managed_policies),
        "statements": statements,
    }
    return json.dumps(keys)


def test_a_role_keeps_the_grant_of_an_earlier_version_until_the_file_says_otherwise(tool: Tool, world: World) -> None:
    def write(role: str) -> None:
        written = stack_text("bolt", types="[t2.medium]", role=role, extra=PLANE)
        tool.write(written.replace("    performance_profile: cost-saving\n", ""))

    def trusted() -> str:
        (role,) = world.roles("grid-bolt")
        (principal,) = role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]
        return str(principal)

    # What 0.1.0 made of a file without these keys; its control plane refuses the role.
    write(granted("grid"))
    tool("bootstrap", "--yes", "--no-wait")
    before = (trusted(), world.attached("grid-bolt"))
    assert before[0] == "arn:aws:iam::302180240179:root"

    write("{name: grid-bolt}")
    for verb in (["plan"], ["bootstrap", "--yes", "--yes-destroy"], ["rotate", "--role", "--yes", "--yes-destroy"]):
        refused = tool(*verb, status=4)
        assert "GBY-A007" in refused.err
        assert '`trusted_account_id: "302180240179"`' in refused.err
        assert (trusted(), world.attached("grid-bolt")) == before

    world.forget("bolt")
    write(granted("lightning"))
    tool("bootstrap", "--yes", "--yes-destroy")
    assert trusted() == "arn:aws:iam::748115360335:root"
    assert {arn.rsplit("/", 1)[-1] for arn in world.attached("grid-bolt")} == {"grid-bolt"}
    cluster = world.cluster("bolt")
    assert cluster is not None
    assert cluster["status"]["phase"] == "CLUSTER_STATE_RUNNING"
    assert "Proven" in tool("verify").out
