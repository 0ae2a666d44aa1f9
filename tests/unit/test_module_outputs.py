"""Another module's outputs: their names, several roles, and an external id that the module does not hand on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.errors import OutputMissingError, TrustError, UnaskedControlPlaneError
from gridbyoc.operations.drift import DriftFound, find_drift
from gridbyoc.operations.status import stack_status
from gridbyoc.operations.verify import Proof, attestation, prove
from gridbyoc.render.module import CalledModule
from gridbyoc.render.root import root_files, root_values
from gridbyoc.show.report import report_json, report_lines, report_markdown
from gridbyoc.show.status import status_json, status_lines
from gridbyoc.show.verify import verify_json, verify_summary
from gridbyoc.stack.model import ControlPlane, ModuleOutputs, ModuleSource, Role, Stack, TerraformSettings
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import read_outputs
from tests.unit.fakes import stack
from tests.unit.stack_helpers import problems_of, stack_of
from tests.unit.world import FAST, World

VENDOR = "arn:aws:iam::311022431024:role/cloud-manager"
ROLES = {"bootstrap": "bootstrap_role_arn", "management": "management_role_arn"}
HEAD = f"""version: 1
name: ml
control_plane: {{type: manual, vendor: Acme AI}}
role: {{trusted_principals: ['{VENDOR}'], external_id_from: {{env: ID}}}}
terraform:
  module:
    source: acme/byoc/aws
    version: ~> 1.0
"""
WITHOUT = HEAD.replace(", external_id_from: {env: ID}", "")
ENVIRON = {"ID": "external-id-given-0123456789"}
NAMED = "    outputs: {role_arn: crossplane_role_arn, external_id: id}\n"
SEVERAL = "    outputs: {external_id: id, roles: {bootstrap: bootstrap_role_arn, management: management_role_arn}}\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "main.tf").write_text("# in memory\n")
    return World(tmp_path)


def files_of(asked: Stack) -> dict[str, str]:
    """The root module's files as text."""
    files = root_files(asked, CalledModule("acme/byoc/aws", "~> 1.0", {}), s3_native_lock=False)
    return {name: each.content.decode() for name, each in files.items()}


def acme(world: World, **role: Any) -> Any:
    """A stack whose module makes two roles."""
    inputs = {"trusted_principals": [VENDOR]}
    outputs = ModuleOutputs("bootstrap_role_arn", "id", ROLES)
    module = ModuleSource(str(world.directory / "module"), None, inputs, outputs, "id" if role else None)
    return stack(
        role=Role(vendor=None, trusted_principals=(VENDOR,), **role),
        control_plane=ControlPlane("manual", vendor="Acme AI"),
        terraform=TerraformSettings(module=module),
    )


PLACE = "terraform.module.outputs"
BAD = [
    (WITHOUT + "    outputs: {role_arn: x}\n", 9, "terraform.module.outputs", "names no output for the external id"),
    (WITHOUT + "    outputs: {role_arn: 'x y', external_id: id}\n", 9, f"{PLACE}.role_arn", "an output"),
    (WITHOUT + "    outputs: {external_id: 'a.b'}\n", 9, "terraform.module.outputs.external_id", "an output"),
    (WITHOUT + "    outputs: {external_id: id, roles: {a: '${x}'}}\n", 9, f"{PLACE}.roles.a", "an output"),
    (WITHOUT + "    outputs: {external_id: id, roles: {A b: x}}\n", 9, f'{PLACE}.roles["A b"]', "role's"),
    (WITHOUT + "    outputs: {external_id: id, roles: {}}\n", 9, "terraform.module.outputs.roles", "is empty"),
    (WITHOUT + "    outputs: {role_arn: x, external_id: id, roles: {role: y}}\n", 9,
     "terraform.module.outputs.roles.role", "choose another name"),
    (WITHOUT + "    outputs: {id: x}\n", 9, "terraform.module.outputs.id", "allowed: role_arn, external_id, roles"),
    (WITHOUT + "    external_id_input: external_id\n", 9, "terraform.module.external_id_input", "supplies none"),
    (HEAD + "    external_id_input: 'a b'\n", 9, "terraform.module.external_id_input", "an input"),
    (HEAD + "    external_id_input: id\n    inputs: {id: x}\n", 10, "terraform.module.inputs.id", "not be written"),
    (HEAD, 4, "role.external_id_from", "is a setting of the gridbyoc module"),
    (HEAD + NAMED, 4, "role.external_id_from", "is a setting of the gridbyoc module"),
]  # fmt: skip


@pytest.mark.parametrize("text,line,path,words", BAD, ids=[f"{path}-{words}" for *_, path, words in BAD])
def test_what_is_refused(text: str, line: int, path: str, words: str) -> None:
    found = problems_of(text, environ=ENVIRON)
    assert any((each.path, each.line) == (path, line) and words in f"{each.message} {each.hint}" for each in found), (
        found
    )


def test_the_names_of_outputs() -> None:
    module = stack_of(WITHOUT + NAMED).terraform.module
    assert module is not None
    assert module.outputs == ModuleOutputs("crossplane_role_arn", "id")
    both = stack_of(WITHOUT + SEVERAL.replace("{external_id", "{role_arn: x, external_id")).terraform.module
    assert both is not None
    assert dict(both.outputs.roles) == {"role": "x", **ROLES}
    plain = stack_of(WITHOUT).terraform.module
    assert plain is not None
    assert plain.outputs == ModuleOutputs()


def test_the_root_passes_them_on() -> None:
    root = files_of(stack_of(WITHOUT + NAMED))["outputs.tf"]
    assert "module.gridbyoc.crossplane_role_arn\n" in root
    assert "module.gridbyoc.id\n" in root
    assert 'output "roles"' not in root
    root = files_of(stack_of(WITHOUT + SEVERAL))["outputs.tf"]
    assert "module.gridbyoc.bootstrap_role_arn\n" in root
    assert '"management" = module.gridbyoc.management_role_arn' in root


def test_an_id_that_the_stack_brings_goes_into_a_variable_that_is_sensitive() -> None:
    text = HEAD + "    external_id_input: trust_id\n    outputs: {role_arn: crossplane_role_arn}\n"
    asked = stack_of(text, environ=ENVIRON)
    files = files_of(asked)
    assert "trust_id = var.external_id\n" in files["main.tf"]
    assert "value       = var.external_id" in files["outputs.tf"]
    assert ENVIRON["ID"] not in "".join(each for name, each in files.items() if name.endswith(".tf"))
    assert root_values(asked)["external_id"] == ENVIRON["ID"]
    variable = files["variables.tf"].partition('variable "external_id"')[2]
    assert "sensitive" in variable.partition("}")[0]


def change_trust(world: World, name: str, *arns: str) -> None:
    role = world.iam.roles[name]
    document = role["AssumeRolePolicyDocument"]
    document = json.loads(document) if isinstance(document, str) else document
    document["Statement"][0]["Principal"]["AWS"] = list(arns)
    role["AssumeRolePolicyDocument"] = json.dumps(document)


def proof_of(world: World) -> Proof:
    with world.run(acme(world), "verify") as run:
        return prove(run, now=world.now)


def test_each_role_is_proven_shown_and_reported(world: World) -> None:
    asked = acme(world)
    report = world.bootstrap(asked)
    arns = {name: f"arn:aws:iam::123456789012:role/acme-{name}" for name in ROLES}
    assert (report.roles, report.role_arn) == (arns, arns["bootstrap"])
    assert world.detail("trust").count("may assume it with the external id") == 2
    for text in ("\n".join(report_lines(report)), report_markdown(report)):
        assert all(text.count(arn) == 2 for arn in arns.values()), "as a role, and to be sent"
    body = report_json(report)
    assert (body["roles"], body["handover"] and body["handover"]["roles"]) == (arns, arns)
    with world.run(asked, "status") as run:
        pass
    found = stack_status(run)
    assert status_json(found)["roles"] == arns
    assert sum(arn in line for line in status_lines(found, world.now()) for arn in arns.values()) == 2
    with world.run(asked, "drift") as run:
        assert find_drift(run).none
    proof = proof_of(world)
    assert verify_json(proof)["further_roles"] == {"management": arns["management"]}
    assert all(arn in verify_summary(proof) for arn in arns.values())
    assert {each.role for each in proof.findings} == set(ROLES)
    assert attestation(proof)["further_roles"]["management"]["role_arn"] == arns["management"]
    assert proof.verdict == "warn", "the id of a test can be guessed"


@pytest.mark.parametrize("name", ROLES)
def test_a_role_that_fails_fails_the_whole(name: str, world: World) -> None:
    """Also where it is not the first one."""
    asked = acme(world)
    world.bootstrap(asked)
    change_trust(world, f"acme-{name}", "arn:aws:iam::999999999998:role/stranger")
    proof = proof_of(world)
    assert not proof.holds(strict=False)
    failing = {each.code for each in proof.findings if each.verdict == "fail" and each.role == name}
    assert failing == {"GBY-V001", "GBY-V006"}
    assert all(each.verdict != "fail" for each in proof.findings if each.role != name)
    assert attestation(proof)["verdict"] == "fail"
    with world.run(asked, "drift") as run:
        found = find_drift(run)
    assert [each.subject.rpartition("/")[2] for each in found.differences if each.side == "role"] == [f"acme-{name}"]
    with world.run(asked, "status") as run:
        pass
    assert f"acme-{name} does not admit" in stack_status(run).trust


@pytest.mark.parametrize("name", ROLES)
def test_a_bootstrap_ends_at_a_role_that_does_not_admit_the_vendor(name: str, world: World) -> None:
    """Somebody changes one of the roles between the apply and the proof."""
    last = "state 5"
    world.meanwhile[last] = lambda: change_trust(world, f"acme-{name}", "arn:aws:iam::999999999998:role/stranger")
    with pytest.raises(TrustError, match=f"acme-{name} does not admit"):
        world.bootstrap(acme(world))


def read_drift(world: World, asked: Any) -> DriftFound:
    with world.run(asked, "drift") as run:
        return find_drift(run)


def test_a_role_that_could_not_be_read_is_no_absence_of_drift(world: World) -> None:
    asked = replace(acme(world), control_plane=ControlPlane())
    world.bring_up(asked)
    assert not read_drift(world, asked).unknown
    world.iam.refused["GetRole"] = "AccessDenied"
    found = read_drift(world, asked)
    assert not found.none
    assert len(found.unknown) == 2
    assert "may not read the role (iam:GetRole)" in found.unknown[0]


def test_they_are_destroyed_together(world: World) -> None:
    asked = acme(world)
    world.bootstrap(asked)
    with pytest.raises(UnaskedControlPlaneError):
        world.destroy(asked)
    world.destroy(asked, choices=replace(FAST, no_control_plane=True))
    assert not world.iam.roles
    assert len(world.doomed[-1].roles) == 2


def test_states_of_earlier_versions_stay_readable() -> None:
    old = {
        "role_arn": {"value": "arn:aws:iam::123456789012:role/x"},
        "external_id": {"value": "an-id", "sensitive": True},
    }
    found = read_outputs(old)
    assert (found.roles, dict(found.every_role)) == ({}, {"role": "arn:aws:iam::123456789012:role/x"})
    assert found.external_id == Secret("an-id")
    with pytest.raises(OutputMissingError, match="no ARN for management") as missing:
        read_outputs({**old, "roles": {"value": {"bootstrap": "arn:x", "management": None}}})
    assert "Nothing was" not in missing.value.rerun, "an apply has just made the other role"


def test_another_module_is_not_said_to_go_on_accepting_the_old_id(world: World) -> None:
    first, second = (acme(world, external_id=Secret(f"external-id-given-{number}")) for number in (1, 2))
    world.bootstrap(first)
    world.bootstrap(second)
    (accepted,) = {frozenset(world.iam.accepted(role["Arn"])) for role in world.iam.roles.values()}
    assert accepted == {"external-id-given-2"}
    assert any("must have the new external id at once" in each for each in world.notes())
    assert not any("stay accepted" in each or "stays accepted" in each for each in world.notes())
    with world.run(second, "status") as run:
        pass
    assert "drop-old" not in stack_status(run).next_step
