"""What is rendered, put before real Terraform: formatting, validity, and strings that try to break out."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridbyoc.render import data_dir, hcl, render
from gridbyoc.stack.model import (
    Aws,
    ControlPlane,
    ModuleSource,
    PolicyStatement,
    Role,
    S3Backend,
    Stack,
    TerraformSettings,
)
from gridbyoc.stack.secret import Secret
from tests.functional.terraform_cli import TerraformCli

FOREIGN = """\
variable "name" { type = string }
variable "nested" { type = any }
output "role_arn" { value = var.name }
output "external_id" {
  value     = jsonencode(var.nested)
  sensitive = true
}
"""
NASTY = [
    *('"', '"}', "\\", "${", "%{", "$${", "%%{", "$", "%", "{", "}", "~}", "${1+1}", "%{if true}x%{endif}"),
    *("\n", "\r", "\t", "\0", "é", "e\u0301", "\u202e", "\ufeff", "😀", "EOT", "<<EOT\n", "/*", "#", "//"),
]
STRINGS = st.lists(st.sampled_from(NASTY) | st.characters(exclude_categories=["Cs"]), max_size=8).map("".join)


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory, provider_mirror: Path) -> TerraformCli:
    return TerraformCli(tmp_path_factory.mktemp("home"), provider_mirror, {})


def stack(
    name: str = "ml", *, aws: Aws | None = None, role: Role | None = None, terraform: TerraformSettings | None = None
) -> Stack:
    return Stack(
        name, aws or Aws("us-west-2"), role or Role(), (), ControlPlane(), terraform or TerraformSettings(), None
    )


def full_role() -> Role:
    return Role(
        name="grid-ml",
        name_prefix="grid-",
        path="/platform/",
        permissions_boundary="arn:aws:iam::123456789012:policy/boundary",
        max_session_hours=1,
        trusted_account_id="111122223333",
        external_id=Secret("an-external-id"),
        rotation="1",
        trusted_principals=("arn:aws:iam::123456789012:role/auditor",),
        trusted_principals_without_external_id=("arn:aws:iam::123456789012:user/ann",),
        managed_policies=("AmazonS3FullAccess",),
        statements=(PolicyStatement(("s3:*",), ("arn:aws:s3:::home/${aws:username}/*",), "Deny", "Home"),),
        tags={"team": "ml"},
    )


def foreign_module(directory: Path) -> ModuleSource:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "main.tf").write_text(FOREIGN)
    return ModuleSource(str(directory), inputs={"name": "${1 + 1}", "nested": {"list": [1, "%{if}", None]}})


def test_whatever_is_rendered_is_formatted(terraform: TerraformCli, tmp_path: Path) -> None:
    s3 = S3Backend("b", 'k"${x}', "eu-west-2", "state", True, "alias/key", "locks")
    full_aws = Aws("us-gov-west-1", "admin", "123456789012")
    source = ModuleSource("gridai/gridbyoc/aws", "~> 1.0", {"a": 1, "a-much-longer-name": {}, "b_2": []})
    many_tags = Role(tags={f"key{number}": "" for number in range(50)})
    variety = [
        stack("minimal"),
        stack("profile", aws=Aws("us-west-2", profile="admin")),
        stack("full", aws=full_aws, role=full_role(), terraform=TerraformSettings(s3, None, "~> 5.100")),
        stack("tags", role=many_tags),
        stack("registry", aws=full_aws, terraform=TerraformSettings(s3, module=source)),
        stack("git", terraform=TerraformSettings(module=ModuleSource("git::https://example.com/m.git?ref=v1"))),
    ]
    for each in variety:
        for lock in (True, False):
            render(each, tmp_path / f"{each.name}-{lock}", s3_native_lock=lock)
    assert terraform.run(tmp_path, "fmt", "-check", "-diff", "-recursive", ok=(0, 3)).stdout == ""


def test_the_modules_are_formatted(terraform: TerraformCli) -> None:
    assert terraform.run(data_dir("modules"), "fmt", "-check", "-diff", "-recursive", ok=(0, 3)).stdout == ""


def test_the_rendered_root_is_valid(terraform: TerraformCli, tmp_path: Path) -> None:
    each = stack(aws=Aws("us-west-2", "admin", "123456789012"), role=full_role())
    work_dir = render(each, tmp_path / "w").work_dir
    terraform.init(work_dir)
    assert "valid" in terraform.run(work_dir, "validate", "-no-color").stdout
    lock_file = (work_dir / ".terraform.lock.hcl").read_bytes()
    again = render(each, work_dir)
    assert again.changed == again.removed == again.warnings == ()
    assert (work_dir / ".terraform.lock.hcl").read_bytes() == lock_file


def test_another_module_gets_its_inputs_as_they_are_and_needs_no_role_name(
    terraform: TerraformCli, tmp_path: Path
) -> None:
    each = stack(terraform=TerraformSettings(module=foreign_module(tmp_path / "theirs")))
    work_dir = render(each, tmp_path / "w").work_dir
    (work_dir / "providers.tf").unlink()  # nothing uses the provider, and without it this takes no time
    (work_dir / "versions.tf").unlink()
    terraform.init(work_dir)
    terraform.apply(work_dir)
    outputs = terraform.outputs(work_dir)
    assert outputs["role_arn"] == "${1 + 1}"
    assert outputs["external_id"] == '{"list":[1,"%{if}",null]}'
    assert outputs.get("role_name") is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STRINGS, min_size=40, max_size=120))
def test_no_text_breaks_out_of_its_quotes(
    terraform: TerraformCli, tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    directory = tmp_path_factory.mktemp("hcl")
    body = "".join(f"    {hcl(text)},\n" for text in texts)
    (directory / "main.tf").write_text(f'output "texts" {{\n  value = [\n{body}  ]\n}}\n')
    terraform.run(directory, "fmt", "-check")
    terraform.apply(directory)
    expected = [unicodedata.normalize("NFC", text) for text in texts]  # Terraform's strings are NFC, always
    assert terraform.outputs(directory)["texts"] == expected
