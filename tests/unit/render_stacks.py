"""Stacks to render, and what is expected of every rendered root."""

from __future__ import annotations

from pathlib import Path

from gridbyoc.stack.model import (
    Aws,
    ControlPlane,
    LocalBackend,
    ModuleSource,
    Role,
    S3Backend,
    Stack,
    TerraformSettings,
)

ROOT = {
    "backend.tf",
    "main.tf",
    "outputs.tf",
    "providers.tf",
    "terraform.tfvars.json",
    "variables.tf",
    "versions.tf",
}
OURS = {f"modules/gridbyoc/{name}" for name in ("README.md", "main.tf", "outputs.tf", "variables.tf", "versions.tf")}
MANIFEST = ".gridbyoc-rendered.json"
S3 = S3Backend("acme-tf-state", "gridbyoc/ml.tfstate", "us-west-2")
REGISTRY = ModuleSource("gridai/gridbyoc/aws", "1.0.0", {"role_name": "x"})


def stack(
    *,
    role: Role | None = None,
    aws: Aws | None = None,
    backend: LocalBackend | S3Backend | None = None,
    module: ModuleSource | None = None,
    file: Path | None = None,
    aws_provider_version: str | None = None,
) -> Stack:
    terraform = TerraformSettings(backend or LocalBackend(), None, aws_provider_version, module)
    return Stack("ml", aws or Aws("us-west-2"), role or Role(), (), ControlPlane(), terraform, file)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def module_at(directory: Path, **files: str) -> Path:
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / f"{name}.tf").write_text(text)
    return directory
