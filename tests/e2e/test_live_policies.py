"""Policies that somebody puts on a standing role by hand: every command names them, none says that all is well."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.e2e.conftest import Tool, World, stack_text
from tests.e2e.fault_proxy import Proxy, proxy_of
from tests.functional.terraform_kit import script

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
DENIED = {"status": 403, "code": "AccessDenied", "message": "no"}
KNOWN = f"known_policies: ['{ADMIN}'], known_inline_policies: [by-hand]"


def named(text: str) -> None:
    """Both policies stand in it, and none of the sentences that would be untrue."""
    assert ADMIN in text
    assert "by-hand" in text
    for untrue in ("No drift", "no drift", "Nothing changed", "both sides are as the stack file asks", "stack is up"):
        assert untrue not in text


def test_policies_that_the_stack_file_does_not_list(tool: Tool, world: World) -> None:
    tool.write(stack_text("stray", role="{name: grid-stray}"))
    tool("bootstrap", "--yes")
    record = tool.directory / ".gridbyoc" / "stray" / "converged.json"
    believed = record.read_bytes()
    iam = world.iam()
    iam.attach_role_policy(RoleName="grid-stray", PolicyArn=ADMIN)
    iam.put_role_policy(RoleName="grid-stray", PolicyName="by-hand", PolicyDocument=EVERYTHING)

    named(tool("drift", status=3).out)
    assert "the role has " + ADMIN in tool("verify", status=4).out
    shown = tool("status").out
    named(shown)
    assert "next      Detach from the role what should not be there" in shown
    named(tool("plan", "--report", "plan.md", "--report", "plan.json").out)
    named((tool.directory / "plan.md").read_text())
    planned = json.loads((tool.directory / "plan.json").read_text())
    assert (planned["has_changes"], planned["policies"]["undeclared"]["inline"]) == (False, ["by-hand"])
    page = json.loads(tool("report", "--format", "json", "--no-checks").out)
    assert [each["subject"] for each in page["drift"]] == [ADMIN, "inline policy by-hand"]
    again = tool("bootstrap", "--yes")
    named(again.out)
    named(again.err)

    # a fingerprint is neither kept beside them, nor believed if an earlier run has kept it
    assert not record.exists()
    record.write_bytes(believed)
    done = tool("bootstrap", "--yes", "--format", "json").objects[-1]
    assert done["policies"]["undeclared"] == {"attached": [ADMIN], "inline": ["by-hand"]}
    assert not record.exists()

    tool.write(stack_text("stray", role=f"{{name: grid-stray, {KNOWN}}}"))
    calm = tool("drift").out
    assert "No drift" in calm
    assert f"Accepted on the role by the stack file: {ADMIN}." in calm
    assert "Proven: " in tool("verify", "--strict").out
    done = tool("bootstrap", "--yes").out
    assert "Nothing changed" in done
    assert f"accepted  {ADMIN}, which the stack file does not manage" in done
    assert record.exists()
    quick = tool("bootstrap", "--yes")
    assert "plan" not in quick.err
    assert f"accepted  {ADMIN}" in quick.out
    assert world.attached("grid-stray") >= {ADMIN}

    exclusive(tool, world)
    with proxy_of(world.sandbox.aws_url, "aws") as aws:
        terraform = f"export AWS_ENDPOINT_URL='{world.sandbox.aws_url}'\nexec terraform \"$@\""
        around = {"GRIDBYOC_TERRAFORM_BIN": str(script(tool.directory / "terraform", terraform))}
        unread(replace(tool, env={**tool.env, **around, "AWS_ENDPOINT_URL": aws.url}), aws)


def exclusive(tool: Tool, world: World) -> None:
    """Terraform takes off what is neither listed nor known: shown first, and with the approval of a destruction."""
    iam = world.iam()
    iam.attach_role_policy(RoleName="grid-stray", PolicyArn=READ_ONLY)
    iam.put_role_policy(RoleName="grid-stray", PolicyName="late", PolicyDocument=EVERYTHING)
    before = world.attached("grid-stray")
    tool.write(stack_text("stray", role=f"{{name: grid-stray, exclusive: true, {KNOWN}}}"))
    planned = tool("plan", "--out", "plan.bundle", "--unencrypted").out
    assert f"Destroys:\n  - {READ_ONLY} (is detached from the role)\n  - inline policy late" in planned
    assert "2 to add" in planned
    for command in (("bootstrap", "--yes"), ("apply", "plan.bundle", "--yes")):
        assert READ_ONLY in tool(*command, status=2).err
    iam.put_role_policy(RoleName="grid-stray", PolicyName="later", PolicyDocument=EVERYTHING)
    moved = tool("apply", "plan.bundle", "--yes", "--yes-destroy", status=9)
    assert "the apply would now also detach: inline policy later" in moved.err
    assert world.attached("grid-stray") == before
    iam.delete_role_policy(RoleName="grid-stray", PolicyName="later")
    tool("apply", "plan.bundle", "--yes", "--yes-destroy")
    assert world.attached("grid-stray") == before - {READ_ONLY}
    assert iam.list_role_policies(RoleName="grid-stray")["PolicyNames"] == ["by-hand"]
    assert "No drift" in tool("drift").out


def unread(tool: Tool, aws: Proxy) -> None:
    """Terraform gets its lists as before, the tool does not: they are not taken for empty."""
    for action in ("ListRolePolicies", "GetPolicyVersion", "ListAttachedRolePolicies"):
        aws.strike({"on": f"iam:{action}", "always": True, "answer": DENIED})
        standing = tool("status").out
        assert f"the caller may not call iam:{action}" in standing
        assert "Nothing" not in standing.splitlines()[-1]
    drifted = tool("fleet", "drift", ".", "--format", "json", status=4)
    assert "not known: the attached policies: the caller may not call iam:ListAttachedRolePolicies" in drifted.out
    assert "no drift" not in drifted.out
    done = tool("bootstrap", "--yes")
    assert "Nothing changed" not in done.text
    assert "the caller may not call iam:ListAttachedRolePolicies" in done.out
