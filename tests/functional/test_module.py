"""The gridbyoc module by itself: its own tests, and that its examples are valid."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gridbyoc.render import data_dir
from tests.functional.terraform_cli import TerraformCli


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory, provider_mirror: Path) -> TerraformCli:
    return TerraformCli(tmp_path_factory.mktemp("home"), provider_mirror, {})


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory, terraform: TerraformCli) -> Path:
    """A copy of the module, initialised: nothing is left behind in the checkout."""
    directory = tmp_path_factory.mktemp("module")
    left_out = shutil.ignore_patterns(".terraform*")
    shutil.copytree(data_dir("modules") / "gridbyoc", directory, dirs_exist_ok=True, symlinks=True, ignore=left_out)
    terraform.init(directory)
    return directory


def test_its_own_tests_pass(terraform: TerraformCli, module: Path) -> None:
    assert "0 failed" in terraform.run(module, "test", "-no-color").stdout


def test_its_examples_are_valid(terraform: TerraformCli, module: Path) -> None:
    names = sorted(path.name for path in (module / "examples").iterdir())
    assert names == ["complete", "minimal", "rotation"]
    root = module / "every-example"  # one root that calls them all needs one init only
    root.mkdir()
    calls = [f'module "{name}" {{\n  source = "../examples/{name}"\n}}\n' for name in names]
    (root / "main.tf").write_text("\n".join(calls))
    terraform.init(root)
    assert "valid" in terraform.run(root, "validate", "-no-color").stdout
