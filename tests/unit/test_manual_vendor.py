"""A vendor without an API: nothing has a default, only named principals get in, and the output says what to send."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gridbyoc.aws.leftovers.model import DeletedCluster, Ledger
from gridbyoc.aws.permissions import needs_of, phases_of
from gridbyoc.control_plane import connect
from gridbyoc.errors import (
    ApprovalRequiredError,
    TrustError,
    UnaskedControlPlaneError,
    UnsupportedByDialectError,
    UsageError,
)
from gridbyoc.operations.destroy import Destroyed
from gridbyoc.operations.drift import find_drift
from gridbyoc.operations.leftovers import FoundLeftovers
from gridbyoc.operations.run import Choices
from gridbyoc.operations.status import Status, stack_status
from gridbyoc.operations.verify import Proof, prove
from gridbyoc.render.root import root_values
from gridbyoc.show.leftovers import DESTROYED
from gridbyoc.show.report import report_json, report_lines, report_markdown
from gridbyoc.stack.defaults import name_pattern_of
from gridbyoc.stack.model import ClusterSpec, ControlPlane, PolicyStatement, Role, Stack
from gridbyoc.stack.secret import Secret
from tests.unit.fakes import stack
from tests.unit.stack_helpers import loaded, problems_of, stack_of
from tests.unit.world import FAST, World

VENDOR = "arn:aws:iam::808407022534:role/VendorRole"
SECOND = "arn:aws:iam::808407022534:role/Second"
ROOT = "arn:aws:iam::808407022534:root"
HEAD = "version: 1\nname: ml\ncontrol_plane: {type: manual, vendor: Acme AI}\n"
GOOD = HEAD + f"role: {{trusted_principals: ['{VENDOR}'], managed_policies: [AmazonS3FullAccess]}}\n"
ROLE = Role(
    vendor=None,
    trusted_principals=(VENDOR, SECOND),
    managed_policies=("AmazonS3FullAccess",),
    statements=(PolicyStatement(("sqs:*",)),),
)
ACME = stack(role=ROLE, control_plane=ControlPlane("manual", vendor="Acme AI"))
TOLD = replace(FAST, no_control_plane=True)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def principals(world: World) -> list[str]:
    """Whom the one role trusts, with and without an external id."""
    (role,) = world.iam.roles.values()
    document = role["AssumeRolePolicyDocument"]
    found: list[str] = []
    for statement in (json.loads(document) if isinstance(document, str) else document)["Statement"]:
        named = statement["Principal"]["AWS"]
        found += [named] if isinstance(named, str) else named
    return found


BAD = [
    (HEAD.replace(", vendor: Acme AI", "") + GOOD.partition("\n")[2].partition("\n")[2].partition("\n")[2], 3,
     "control_plane", "`vendor` is missing"),
    (GOOD.replace("Acme AI", "''"), 3, "control_plane.vendor", "is empty"),
    (GOOD.replace("Acme AI", '"a\\nb"'), 3, "control_plane.vendor", "cannot be printed, or a second line"),
    (GOOD.replace("Acme AI", '"a\\u202eb"'), 3, "control_plane.vendor", "cannot be printed"),
    (GOOD.replace("Acme AI", "x" * 101), 3, "control_plane.vendor", "at most 100"),
    (GOOD.replace("Acme AI", "7"), 3, "control_plane.vendor", 'write it in quotes: "7"'),
    (GOOD.replace("Acme AI", "A, url: 'https://x.example'"), 3, "control_plane.url", "has no address to ask"),
    (GOOD.replace("Acme AI", "A, ca_bundle: ca.pem"), 3, "control_plane.ca_bundle", "has no address to ask"),
    (GOOD.replace("Acme AI", "A, org_id: x"), 3, "control_plane.org_id", "has no address to ask"),
    (GOOD + "clusters: [{name: ml}]\n", 5, "clusters", "creates its clusters itself"),
    (HEAD, None, "", "names nobody who may assume the role"),
    (HEAD, None, "", "`role.managed_policies`, `role.statements` or both"),
    (HEAD + "role: {trusted_account_id: '808407022534'}\n", 4, "role", "grants the role nothing"),
    (HEAD + "role: {statements: []}\n", 4, "role", "`role.trusted_principals`"),
    (HEAD + "role: {trusted_principals: [], statements: []}\n", 4, "role", "names nobody who may assume"),
    (GOOD.replace("arn:aws:iam", "arn:aws-cn:iam"), 4, "role.trusted_principals[0]", "partition `aws-cn`"),
    (GOOD.replace("manual", "grid"), 3, "control_plane.vendor", "this control plane has one"),
    (GOOD.replace("manual", "maunal"), 3, "control_plane.type", "did you mean `manual`?"),
]  # fmt: skip


@pytest.mark.parametrize("text,line,path,words", BAD, ids=[words for *_, words in BAD])
def test_what_the_stack_file_is_refused_for(text: str, line: int | None, path: str, words: str) -> None:
    found = problems_of(text)
    assert any(words in f"{each.message} {each.hint}" and each.path == path for each in found), found
    if line is not None:
        assert any(words in f"{each.message} {each.hint}" and each.line == line for each in found), found


@pytest.mark.parametrize("more", ["", "clusters: []\n", "clusters:\n"])
def test_clusters_need_not_be_said(more: str) -> None:
    if more == "clusters:\n":
        assert [each.path for each in problems_of(GOOD + more)] == ["clusters"]
        return
    found = stack_of(GOOD + more)
    assert (found.clusters, found.control_plane.vendor, found.role.vendor) == ((), "Acme AI", None)
    assert not loaded(GOOD + more).warnings


def test_a_role_grants_and_trusts_nothing_by_default() -> None:
    values = root_values(stack_of(HEAD + f"role: {{trusted_principals: ['{VENDOR}'], statements: []}}\n"))
    assert (values["managed_policies"], values["policy_statements"]) == ([], [])
    only_managed = root_values(stack_of(GOOD))
    assert (only_managed["managed_policies"], only_managed["policy_statements"]) == (["AmazonS3FullAccess"], [])
    assert values["trust_account_root"] is False
    assert "trusted_account_id" not in values
    assert values["role_name_prefix"] == "byoc-"
    assert name_pattern_of(ROLE) == "byoc-*"
    account = root_values(stack_of(HEAD + "role: {trusted_account_id: '808407022534', statements: []}\n"))
    assert account["trusted_account_id"] == "808407022534"
    assert "trust_account_root" not in account


def test_bootstrap_says_what_to_send_and_never_the_id(world: World) -> None:
    report = world.bootstrap(ACME)
    assert principals(world) == [VENDOR, SECOND]
    assert world.detail("trust") == f"{VENDOR} and {SECOND} may assume it with the external id"
    lines = report_lines(report)
    (role,) = world.iam.roles.values()
    (external_id,) = world.iam.accepted(role["Arn"])
    for text in ("\n".join(lines), report_markdown(report)):
        for told in ("Send to Acme AI", role["Arn"], "123456789012", "us-east-1", "never by mail, chat or ticket"):
            assert told in text, told
        assert external_id not in text
        assert "unknown" not in text
        assert "key for" not in text
    body = report_json(report)["handover"]
    assert body is not None
    assert (body["vendor"], body["roles"], body["account_id"]) == ("Acme AI", {"role": role["Arn"]}, "123456789012")
    again = world.bootstrap(ACME)
    assert not again.changed
    assert report_json(again)["handover"] == body
    assert not world.plane.calls


def test_the_account_is_let_in_only_where_it_is_named(world: World) -> None:
    whole = replace(ACME, role=replace(ROLE, trusted_account_id="808407022534"))
    world.bring_up(whole)
    assert principals(world) == [ROOT, VENDOR, SECOND]
    world.bootstrap(ACME)
    assert principals(world) == [VENDOR, SECOND]


def change_trust(world: World, *arns: str) -> None:
    (role,) = world.iam.roles.values()
    document = role["AssumeRolePolicyDocument"]
    document = json.loads(document) if isinstance(document, str) else document
    document["Statement"][0]["Principal"]["AWS"] = list(arns)
    role["AssumeRolePolicyDocument"] = json.dumps(document)


def proof_of(world: World, asked: Stack = ACME) -> Proof:
    with world.run(asked, "verify") as run:
        return prove(run, now=world.now)


def status_of(world: World, asked: Stack = ACME) -> Status:
    with world.run(asked, "status") as run:
        pass  # the lock is free again: it is no run that is under way
    return stack_status(run)


def verdicts(proof: Proof) -> dict[str, str]:
    return {each.code: each.verdict for each in proof.findings}


def test_each_principal_is_proven(world: World) -> None:
    world.bring_up(ACME)
    found = verdicts(proof_of(world))
    assert {code for code, verdict in found.items() if verdict != "pass"} == {"GBY-V014"}  # the id of a test
    assert not {"GBY-V021", "GBY-V022", "GBY-V023"} & found.keys()
    change_trust(world, VENDOR)
    assert verdicts(proof_of(world))["GBY-V001"] == "fail"
    assert f"{SECOND} may not assume it" in status_of(world, ACME).trust


@pytest.mark.parametrize("extra", [ROOT, "arn:aws:iam::808407022534:role/Third", "arn:aws:iam::999999999998:root"])
def test_nobody_else_gets_in(extra: str, world: World) -> None:
    world.bring_up(ACME)
    change_trust(world, VENDOR, SECOND, extra)
    assert verdicts(proof_of(world))["GBY-V006"] == "fail"


def test_drift_and_status_speak_of_the_vendor(world: World) -> None:
    world.bring_up(ACME)
    with world.run(ACME, "drift") as run:
        found = find_drift(run)
    assert found.none
    assert found.unasked == "Acme AI has no API to query"
    change_trust(world, VENDOR)
    with world.run(ACME, "drift") as run:
        assert any(SECOND in each.detail for each in find_drift(run).differences if each.side == "role")


def test_destroy_takes_the_statement_that_nothing_runs_through_it(world: World) -> None:
    world.bring_up(ACME)
    with pytest.raises(UnaskedControlPlaneError, match="Acme AI has no API") as refused:
        world.destroy(ACME)
    assert "login" not in refused.value.fix
    assert "--no-control-plane" in refused.value.fix
    world.destroy(ACME, choices=TOLD)
    assert not world.iam.roles


def test_a_role_that_admits_only_one_of_them_ends_the_run(world: World) -> None:
    """Somebody takes one principal out between the apply and the proof."""
    world.meanwhile["AttachRolePolicy"] = lambda: change_trust(world, VENDOR)
    with pytest.raises(TrustError, match="does not admit") as refused:
        world.bootstrap(ACME)
    assert SECOND in refused.value.why


def test_whoever_wants_an_answer_is_told_that_there_is_none(tmp_path: Path) -> None:
    plane = ControlPlane("manual", vendor="Acme AI")
    client: Any = connect(plane, environ={}, home=tmp_path)
    assert (client.list(), client.find("x"), client.url) == ((), None, "")
    for ask in (
        lambda: client.get("x"),
        lambda: client.check(ClusterSpec("x")),
        lambda: client.delete("x"),
        lambda: client.instance_types("x"),
        lambda: client.cloud_account_id("x"),
    ):
        with pytest.raises(UnsupportedByDialectError, match="Acme AI has no API"):
            ask()


def test_an_id_of_ones_own_is_told_apart(world: World) -> None:
    own = replace(ACME, role=replace(ROLE, external_id=Secret("external-id-given-0123456789")))
    report = world.bootstrap(own)
    assert report.handover is not None
    assert "role.external_id_from" in report.handover.external_id


ROTATED = replace(ACME, role=replace(ROLE, rotation="2"))
ROTATE: dict[str, Any] = {"needs_role": True, "choices": TOLD}


def accepted(world: World) -> set[str]:
    """What the roles accept, all together."""
    return {each for role in world.iam.roles.values() for each in world.iam.accepted(role["Arn"])}


def test_a_rotation_takes_two_words(world: World) -> None:
    world.bootstrap(ACME)
    old = accepted(world)
    with pytest.raises(UnaskedControlPlaneError, match="rotate the grant"):
        world.bootstrap(ROTATED, needs_role=True)
    assert accepted(world) == old
    world.bootstrap(ROTATED, **ROTATE)
    both = accepted(world)
    assert old < both
    assert any("Give Acme AI the new one" in each and "--drop-old" in each for each in world.notes())
    proof = proof_of(world, ROTATED)
    assert verdicts(proof)["GBY-V011"] == "warn"
    for again in (FAST, TOLD):
        world.bootstrap(ROTATED, choices=again)
        assert accepted(world) == both
    assert "The old external id is still accepted" in status_of(world, ROTATED).next_step
    with world.run(ROTATED, "drift") as run:
        assert find_drift(run).none
    with pytest.raises(UnaskedControlPlaneError):
        world.bootstrap(ROTATED, needs_role=True, drop_old=True)
    world.bootstrap(ROTATED, drop_old=True, **ROTATE)
    assert accepted(world) == both - old
    assert verdicts(proof_of(world, ROTATED))["GBY-V011"] == "pass"
    assert "Hand it over to Acme AI" in status_of(world, ROTATED).next_step


def test_the_old_id_is_not_dropped_in_the_run_that_makes_the_new_one(world: World) -> None:
    """The stack file asks for another id by now: the vendor cannot have it."""
    world.bootstrap(ACME)
    old = accepted(world)
    with pytest.raises(UsageError, match="would make another external_id first"):
        world.bootstrap(ROTATED, drop_old=True, **ROTATE)
    assert accepted(world) == old


def test_an_id_that_somebody_put_into_the_trust_policy_is_not_kept(world: World) -> None:
    world.bootstrap(ACME)
    ours = accepted(world)
    (role,) = world.iam.roles.values()
    document = role["AssumeRolePolicyDocument"]
    document = json.loads(document) if isinstance(document, str) else document
    document["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"] = [*ours, "external-id-of-a-stranger"]
    role["AssumeRolePolicyDocument"] = json.dumps(document)
    assert verdicts(proof_of(world))["GBY-V011"] == "fail"
    with world.run(ACME, "drift") as run:
        assert find_drift(run).differences
    world.bootstrap(ACME)
    assert accepted(world) == ours


def test_a_new_role_stands_beside_the_old_until_the_vendor_has_it(world: World) -> None:
    world.bootstrap(ACME)
    world.bootstrap(ACME, new_role=True, yes_destroy=True, choices=TOLD)
    assert len(world.iam.roles) == 2
    assert any("role and its external id stay accepted" in each for each in world.notes())
    world.bootstrap(ACME, yes_destroy=True)
    assert len(world.iam.roles) == 2
    assert "The old role is still accepted" in status_of(world, ACME).next_step
    world.bootstrap(ACME, drop_old=True, **ROTATE)
    assert len(world.iam.roles) == 2, "its destruction was not approved"
    world.bootstrap(ACME, drop_old=True, yes_destroy=True, **ROTATE)
    assert len(world.iam.roles) == 1


@pytest.mark.parametrize("choices", [FAST, TOLD])
def test_the_role_is_never_replaced_where_it_stands(choices: Choices, world: World) -> None:
    world.bootstrap(ACME)
    moved = replace(ACME, role=replace(ROLE, path="/elsewhere/"))
    with pytest.raises(UnaskedControlPlaneError, match="destroy or replace"):
        world.bootstrap(moved, yes_destroy=True, choices=choices)
    assert world.made_roles == 1


def test_what_the_file_no_longer_grants_goes_with_approval(world: World) -> None:
    world.bootstrap(ACME)
    less = replace(ACME, role=replace(ROLE, managed_policies=()))
    with pytest.raises(ApprovalRequiredError):
        world.bootstrap(less)
    world.bootstrap(less, yes_destroy=True)
    assert verdicts(proof_of(world, less))["GBY-V025"] == "pass"


def test_leftovers_are_the_vendors(world: World) -> None:
    from gridbyoc.operations.leftovers import find_leftovers

    world.bootstrap(ACME)
    with world.run(ACME, "leftovers") as run:
        session, caller = run.account()
        with pytest.raises(UnsupportedByDialectError, match="Acme AI has no API"):
            find_leftovers(run, session, caller, run.registrar())


def test_a_destruction_does_not_say_that_nothing_of_the_vendors_is_left(world: World) -> None:
    world.bootstrap(ACME)
    done = world.destroy(ACME, choices=TOLD)
    lines: list[str] = []
    screen: Any = SimpleNamespace(line=lines.append, note=lines.append)
    DESTROYED.text(done, screen)
    assert lines[-1].startswith("What Acme AI made in the account was not looked for")
    assert not any("is left" in line for line in lines)
    assert DESTROYED.document(done, "demo")["vendor"] == "Acme AI"


def test_a_stack_that_had_another_control_plane_before_shows_what_its_clusters_left(world: World) -> None:
    world.bootstrap(ACME)
    with world.run(ACME, "destroy") as run:
        assert run.wait_timeout > 0
    past = replace(world.destroy(ACME, choices=TOLD).left.search, clusters=(DeletedCluster("ml"),))
    done = Destroyed("demo", (), 1, None, FoundLeftovers(past, Ledger()), vendor="Acme AI")
    lines: list[str] = []
    screen: Any = SimpleNamespace(line=lines.append, note=lines.append, table=lambda *_: None)
    DESTROYED.text(done, screen)
    assert "Nothing is left." in lines
    assert lines[-1].startswith("What Acme AI made")


def test_the_rights_to_run_it_leave_out_what_deletes_leftovers() -> None:
    phases = {need.phase for need in needs_of(ACME, phases=phases_of(("all",)))}
    assert {"apply", "destroy", "verify"} <= phases
    assert not phases & {"leftovers", "cleanup"}
