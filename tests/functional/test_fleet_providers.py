"""One provider for many new stacks, installed by a real init; nobody writes where another reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gridbyoc.operations.fleet.find import find_members
from gridbyoc.operations.fleet.providers import CACHE, MIRROR, Provision, provision
from gridbyoc.terraform import Runner, find_binary

STACK = "version: 1\nname: {}\nclusters: [{{name: x}}]\n"


@pytest.fixture
def environ(tmp_path: Path, real_provider_mirror: Path | None) -> dict[str, str]:
    """A machine without a named mirror; where there is one, Terraform's own configuration leads to it."""
    plain = {name: value for name, value in os.environ.items() if name not in {MIRROR, CACHE}}
    if real_provider_mirror is None:
        return plain
    config = tmp_path / "terraform.rc"
    config.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{real_provider_mirror}"\n  }}\n}}\n'
    )
    return {**plain, "TF_CLI_CONFIG_FILE": str(config)}


def provided(top: Path, environ: dict[str, str], jobs: int = 2) -> tuple[Provision, dict[str, str | None]]:
    members = find_members([str(top)], top)
    made = provision(members, jobs, cwd=top, environ=environ, home=top)
    return made, {member.label: made.environ(member).get(MIRROR) for member in members}


def test_new_stacks_share_one_provider(tmp_path: Path, environ: dict[str, str]) -> None:
    top = tmp_path / "stacks"
    top.mkdir()
    for name in ("a", "b", "module", "installed", "other"):
        (top / f"{name}.yaml").write_text(STACK.format(name))
    with (top / "module.yaml").open("a") as stream:
        stream.write("terraform: {module: {source: ./}}\n")
    with (top / "other.yaml").open("a") as stream:
        stream.write("terraform: {aws_provider_version: '>= 5.1'}\n")  # alone with it
    (top / ".gridbyoc/installed/.terraform").mkdir(parents=True)
    made, mirrors = provided(top, {**environ, CACHE: "/cache"})
    assert mirrors["a"]
    assert mirrors["a"] == mirrors["b"]
    assert [mirrors[name] for name in ("module", "installed", "other")] == [None] * 3
    assert all(CACHE not in made.environ(member) for member in find_members(["."], top))
    assert any(CACHE in note.message for note in made.notes)
    before = {path: path.lstat().st_mtime_ns for path in Path(mirrors["a"]).rglob("*")}
    root = tmp_path / "root"
    root.mkdir()
    (root / "main.tf").write_text(
        'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n'
    )
    Runner(find_binary(None, environ), root, environ={**environ, MIRROR: mirrors["a"]}).init()
    (package,) = (root / ".terraform/providers").glob("*/*/*/*/*")
    assert package.is_symlink()
    assert provided(top, environ)[1] == mirrors
    assert {path: path.lstat().st_mtime_ns for path in Path(mirrors["a"]).rglob("*")} == before


def test_where_nothing_is_to_be_done_the_environment_stays(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(STACK.format(name))
    for environ, jobs in (({MIRROR: "/m", CACHE: "/c"}, 2), ({CACHE: "/c"}, 1)):
        made, _ = provided(tmp_path, environ, jobs)
        assert (made.jobs, made.notes) == (jobs, ())
        assert made.environ(find_members(["a.yaml"], tmp_path)[0]) == environ
    assert not (tmp_path / ".gridbyoc").exists()


def test_a_cache_of_terraforms_own_configuration_means_one_at_a_time(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(STACK.format(name))
    (tmp_path / ".terraformrc").write_text('plugin_cache_dir = "/cache"\n')
    made, mirrors = provided(tmp_path, {})
    assert (made.jobs, set(mirrors.values())) == (1, {None})
    assert "plugin_cache_dir" in made.notes[0].message


def test_a_provider_that_cannot_be_had_is_left_to_each_run(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(STACK.format(name))
    made, mirrors = provided(tmp_path, {"GRIDBYOC_TERRAFORM_BIN": "/bin/false", "PATH": ""})
    assert (made.jobs, set(mirrors.values())) == (2, {None})
    assert "could not be installed once" in made.notes[0].message
