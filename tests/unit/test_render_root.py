"""What stands in the rendered root module: provider, versions, backend, module."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from gridbyoc.errors import FileError, StackError
from gridbyoc.render import KnownPolicies, PreviousRole, render
from gridbyoc.stack.model import (
    Aws,
    ModuleSource,
    Role,
)
from gridbyoc.stack.secret import Secret
from tests.unit.render_stacks import OURS, REGISTRY, S3, contents, module_at, stack


def test_values_stand_in_tfvars_and_nowhere_else(tmp_path: Path) -> None:
    role = Role(external_id=Secret("an-external-id"), tags={"team": "${1 + 1}"})
    rendered = render(stack(role=role), tmp_path)
    values = json.loads((tmp_path / "terraform.tfvars.json").read_bytes())
    assert values["external_id"] == "an-external-id"
    assert values["tags"] == {"team": "${1 + 1}"}
    for name, content in contents(tmp_path).items():
        assert name == "terraform.tfvars.json" or (b"an-external-id" not in content and b"1 + 1" not in content)
    assert "an-external-id" not in repr(rendered)


def test_the_provider_holds_what_the_stack_says(tmp_path: Path) -> None:
    render(stack(), tmp_path)
    text = (tmp_path / "providers.tf").read_text()
    assert "profile" not in text
    assert "allowed_account_ids" not in text
    render(stack(aws=Aws("us-west-2", "admin", "123456789012")), tmp_path)
    text = (tmp_path / "providers.tf").read_text()
    assert "  region              = var.region\n  profile             = var.profile\n" in text
    assert "  allowed_account_ids = [var.account_id]\n" in text


def test_an_exclusive_role_has_its_lists_in_the_root_alone(tmp_path: Path) -> None:
    render(stack(), tmp_path)
    before = contents(tmp_path)
    assert not any(b"exclusive" in content for name, content in before.items() if not name.startswith("modules/"))
    known = Role(exclusive=True, known_policies=("arn:a", "arn:b"), known_inline_policies=("x", "y"))
    first = render(stack(role=known), tmp_path, known=KnownPolicies(("arn:b",), ("x",)))
    changed = {"main.tf", "variables.tf", "versions.tf", "terraform.tfvars.json"}
    assert set(first.changed) == changed
    text = (tmp_path / "main.tf").read_text()
    assert "policy_arns = concat(module.gridbyoc.policy_arns, var.known_policies)" in text
    assert "policy_names = var.known_inline_policies" in text

    def values() -> tuple[list[str], list[str]]:
        found = json.loads((tmp_path / "terraform.tfvars.json").read_bytes())
        return found["known_policies"], found["known_inline_policies"]

    assert values() == (["arn:b"], ["x"])
    again = render(stack(role=known), tmp_path)
    assert (again.changed, again.digest) == ((), first.digest), "what was on the role at the last look stays"
    render(stack(role=replace(known, known_inline_policies=())), tmp_path)
    assert values() == (["arn:b"], [])
    render(stack(role=known), tmp_path, known=KnownPolicies())
    assert values() == ([], [])
    render(stack(), tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "given,rendered",
    [(None, ">= 5.72, < 7.0"), ("~> 5.100", "~> 5.100, >= 5.72"), ("5.100.0", "5.100.0, >= 5.72")],
)
def test_an_exclusive_role_raises_the_providers_floor_in_its_root(
    tmp_path: Path, given: str | None, rendered: str
) -> None:
    render(stack(role=Role(exclusive=True), aws_provider_version=given), tmp_path)
    assert f'version = "{rendered}"' in (tmp_path / "versions.tf").read_text()
    assert 'version = ">= 5.0"' in (tmp_path / "modules/gridbyoc/versions.tf").read_text()


def test_the_provider_may_work_in_the_account_that_was_shown_alone(tmp_path: Path) -> None:
    def allowed() -> str | None:
        values = json.loads((tmp_path / "terraform.tfvars.json").read_bytes())
        guarded = "  allowed_account_ids = [var.account_id]\n" in (tmp_path / "providers.tf").read_text()
        assert guarded == ("account_id" in values)
        return values.get("account_id")

    render(stack(), tmp_path)
    assert allowed() is None
    first = render(stack(), tmp_path, account_id="111111111111")
    assert allowed() == "111111111111"
    again = render(stack(), tmp_path)
    assert (allowed(), again.changed, again.digest) == ("111111111111", (), first.digest), "the last one stays"
    render(stack(aws=Aws("us-west-2", account_id="222222222222")), tmp_path)
    assert allowed() == "222222222222", "the stack file's guard wins over the last one"
    render(stack(), tmp_path, account_id="333333333333")
    assert allowed() == "333333333333"
    render(stack(aws=Aws("us-west-2", account_id="222222222222")), tmp_path, account_id="333333333333")
    assert allowed() == "222222222222", "and over whichever the caller has"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"account_id": 1}', '{"account_id": "${x}"}', '{"account_id": "1"}'])
def test_an_account_that_cannot_be_one_is_not_kept(tmp_path: Path, text: str) -> None:
    (tmp_path / "terraform.tfvars.json").write_text(text)
    render(stack(), tmp_path)
    assert "account_id" not in json.loads((tmp_path / "terraform.tfvars.json").read_bytes())


def test_versions_are_pinned_and_can_be_chosen(tmp_path: Path) -> None:
    first = render(stack(), tmp_path)
    text = (tmp_path / "versions.tf").read_text()
    assert 'required_version = ">= 1.5"' in text
    assert 'version = ">= 5.0, < 7.0"' in text
    second = render(stack(aws_provider_version="~> 5.100"), tmp_path)
    assert 'version = "~> 5.100"' in (tmp_path / "versions.tf").read_text()
    assert second.digest != first.digest


def test_local_state_needs_no_settings(tmp_path: Path) -> None:
    render(stack(), tmp_path)
    assert (tmp_path / "backend.tf").read_text().endswith('\nterraform {\n  backend "local" {}\n}\n')


def test_state_in_s3_with_terraforms_own_lock(tmp_path: Path) -> None:
    rendered = render(stack(backend=S3), tmp_path)
    assert rendered.warnings == ()
    assert (
        (tmp_path / "backend.tf")
        .read_text()
        .endswith(
            """
terraform {
  backend "s3" {
    bucket       = "acme-tf-state"
    key          = "gridbyoc/ml.tfstate"
    region       = "us-west-2"
    encrypt      = true
    use_lockfile = true
  }
}
"""
        )
    )
    assert 'required_version = ">= 1.10"' in (tmp_path / "versions.tf").read_text()


def test_state_in_s3_with_everything(tmp_path: Path) -> None:
    backend = replace(S3, profile="state", encrypt=False, kms_key_id="alias/key", dynamodb_table="locks")
    rendered = render(stack(backend=backend, aws=Aws("us-west-2", "admin")), tmp_path, s3_native_lock=False)
    assert rendered.warnings == ()
    text = (tmp_path / "backend.tf").read_text()
    for line in ('profile        = "state"', "encrypt        = false", 'kms_key_id     = "alias/key"'):
        assert f"    {line}\n" in text
    assert '    dynamodb_table = "locks"\n' in text
    assert "use_lockfile" not in text


def test_the_state_is_read_with_the_stacks_profile_where_it_has_no_other(tmp_path: Path) -> None:
    render(stack(backend=S3, aws=Aws("us-west-2", "admin")), tmp_path)
    assert '    profile      = "admin"\n' in (tmp_path / "backend.tf").read_text()


def test_state_in_s3_without_any_lock_is_warned_of(tmp_path: Path) -> None:
    (warning,) = render(stack(backend=S3), tmp_path, s3_native_lock=False).warnings
    assert "not locked" in warning
    assert "dynamodb_table" in warning


def test_the_digest_follows_backend_module_and_versions(tmp_path: Path) -> None:
    local = module_at(tmp_path / "theirs", main="# one\n")
    variants = [
        stack(),
        stack(backend=S3),
        stack(backend=replace(S3, key="other")),
        stack(module=REGISTRY),
        stack(module=replace(REGISTRY, version="1.0.1")),
        stack(module=ModuleSource(str(local))),
    ]
    digests = [render(each, tmp_path / "w").digest for each in variants]
    (local / "main.tf").write_text("# two\n")
    digests.append(render(variants[-1], tmp_path / "w").digest)
    assert len(set(digests)) == len(variants) + 1


def test_a_registry_module_takes_the_place_of_ours(tmp_path: Path) -> None:
    render(stack(), tmp_path)
    rendered = render(stack(module=REGISTRY), tmp_path)
    assert set(rendered.removed) == OURS
    assert not (tmp_path / "modules").exists()
    text = (tmp_path / "main.tf").read_text()
    assert (
        '  source  = "gridai/gridbyoc/aws"\n  version = "1.0.0"\n\n  role_name = var.module_inputs.role_name\n' in text
    )
    assert "try(module.gridbyoc.role_name, null)" in (tmp_path / "outputs.tf").read_text()
    assert set(render(stack(), tmp_path).changed) >= OURS


def test_what_another_module_does_not_get_is_warned_of(tmp_path: Path) -> None:
    role = Role(name="x", external_id=Secret("an-external-id"), tags={"team": "ml"})
    (warning,) = render(stack(role=role, module=REGISTRY), tmp_path).warnings
    assert "name, external_id." in warning
    assert "an-external-id" not in warning
    assert b"an-external-id" not in b"".join(contents(tmp_path).values())


@pytest.mark.parametrize("name", ["source", "for_each", "two words", 'x" = 1', ""])
def test_an_input_that_no_module_can_have_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(StackError) as caught:
        render(stack(module=replace(REGISTRY, inputs={name: 1})), tmp_path / "w")
    assert repr(name) in caught.value.what
    assert not (tmp_path / "w").exists()


def test_text_that_is_not_unicode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="cannot be written"):
        render(stack(backend=replace(S3, key="\ud800")), tmp_path)


def test_a_local_module_is_copied(tmp_path: Path) -> None:
    local = module_at(tmp_path / "stacks" / "theirs", main="# main\n")
    module_at(local / "inner", main="# inner\n")
    (local / "run.sh").write_text("#!/bin/sh\n")
    (local / "run.sh").chmod(0o755)
    for name in ("terraform.tfvars", "terraform.tfstate", ".terraform.lock.hcl"):
        (local / name).write_text("not copied")
    module_at(local / ".terraform", main="# not copied\n")
    os.mkfifo(local / "pipe")
    (local / "link.tf").symlink_to(local / "main.tf")
    file = tmp_path / "stacks" / "gridbyoc.yaml"
    rendered = render(stack(module=ModuleSource("./theirs", "1.0"), file=file), tmp_path / "w")
    copied = {name for name in rendered.changed if name.startswith("modules/")}
    assert copied == {"modules/custom/main.tf", "modules/custom/inner/main.tf", "modules/custom/run.sh"}
    assert stat.S_IMODE((tmp_path / "w/modules/custom/run.sh").stat().st_mode) == 0o700
    text = (tmp_path / "w" / "main.tf").read_text()
    assert '  source = "./modules/custom"\n' in text
    assert "version" not in text
    assert [warning.split(" ")[0] for warning in rendered.warnings] == [
        "terraform.module.version",
        str(local / "link.tf"),
    ]


def test_a_local_module_beside_others_is_copied_with_them(tmp_path: Path) -> None:
    module_at(tmp_path / "all" / "one", main='module "two" {\n  source = "../two"\n}\n')
    module_at(tmp_path / "all" / "two", main="# two\n")
    rendered = render(stack(module=ModuleSource(f"{tmp_path}/all//one")), tmp_path / "w")
    assert {"modules/custom/one/main.tf", "modules/custom/two/main.tf"} <= set(rendered.changed)
    assert '"./modules/custom/one"' in (tmp_path / "w" / "main.tf").read_text()


def test_a_path_without_a_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source in (f"{tmp_path}/empty", "./nothing-here", f"{tmp_path}/empty//inner"):
        with pytest.raises(FileError, match="no Terraform module"):
            render(stack(module=ModuleSource(source), file=tmp_path / "stack.yaml"), tmp_path / "w")


def test_a_directory_that_is_more_than_a_module_is_refused(tmp_path: Path) -> None:
    local = module_at(tmp_path / "theirs", **{f"file{number}": "" for number in range(1001)})
    with pytest.raises(FileError, match="more than 1000 files"):
        render(stack(module=ModuleSource(str(local))), tmp_path / "w")


@pytest.mark.parametrize(
    ("arn", "path"),
    [
        ("arn:aws:iam::123456789012:role/old", "/"),
        ("arn:aws:iam::123456789012:role/platform/ml/old", "/platform/ml/"),
        (None, "/"),
    ],
)
def test_a_role_that_is_being_replaced_keeps_name_and_path(tmp_path: Path, arn: str | None, path: str) -> None:
    render(stack(role=Role(name="new", path="/new/")), tmp_path, previous_role=PreviousRole.of("old", arn, {}))
    values = json.loads((tmp_path / "terraform.tfvars.json").read_bytes())
    assert (values["previous_role_name"], values["previous_role_path"]) == ("old", path)
    _, _, previous = (tmp_path / "main.tf").read_text().partition('module "gridbyoc_previous"')
    assert "var.previous_role_path" in previous
    assert "var.path" not in previous
    assert "policy_name" not in previous


def test_the_own_policy_of_a_role_that_is_being_replaced_keeps_what_differs(tmp_path: Path) -> None:
    arn = "arn:aws:iam::123456789012:role/platform/old"
    usual = {
        "name": "old",
        "path": "/platform/",
        "description": "What the role old may do besides its managed policies.",
    }
    assert PreviousRole.of("old", arn, usual) == PreviousRole("old", "/platform/")
    found = PreviousRole.of("old", arn, {"name": "by-hand", "path": "/", "description": ""})
    assert found == PreviousRole("old", "/platform/", "by-hand", "/", "")
    render(stack(role=Role(name="new")), tmp_path, previous_role=found)
    values = json.loads((tmp_path / "terraform.tfvars.json").read_bytes())
    assert (values["previous_policy_name"], values["previous_policy_description"]) == ("by-hand", "")
    _, _, previous = (tmp_path / "main.tf").read_text().partition('module "gridbyoc_previous"')
    assert re.search(r"policy_name += var.previous_policy_name", previous)
    assert "var.policy_name" not in previous
    again = render(stack(role=Role(name="new")), tmp_path)
    assert again.changed == ()
