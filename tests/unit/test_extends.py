"""``extends``: base files, merged so that each value, and each problem, knows where it stands."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.errors import Problem, StackError, UsageError
from gridbyoc.operations.state_place import point_at
from gridbyoc.stack.document import Document
from gridbyoc.stack.edit import write_back
from gridbyoc.stack.extends import MOST_FILES, PATHS, StackFileIndex, merge_under, standing_elsewhere
from gridbyoc.stack.load import load
from gridbyoc.stack.model import LocalBackend, S3Backend, Stack
from gridbyoc.stack.scan import KEYS, is_part
from gridbyoc.stack.schema import schema, schemas_at

STACK = "version: 1\nextends: base.yaml\nname: ml\nclusters: [{name: ml}]\n"
BUCKET = "terraform: {backend: {s3: {bucket: shared-state, key: k}}}\n"


def put(directory: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def loaded(directory: Path, name: str = "stack.yaml", *overrides: str, **files: str) -> Stack:
    put(directory, {f"{key}.yaml": text for key, text in files.items()})
    return load(name, overrides=overrides, environ={}, cwd=directory, home=directory)


def problems(directory: Path, name: str = "stack.yaml", *overrides: str, **files: str) -> Sequence[Problem]:
    with pytest.raises(StackError) as caught:
        loaded(directory, name, *overrides, **files)
    return caught.value.problems


def test_the_nearer_wins_mappings_merge_and_lists_are_replaced(tmp_path: Path) -> None:
    base = (
        "aws: {region: eu-west-1, profile: admin}\nrole: {tags: {a: base, b: base}}\nclusters: [{name: x}, {name: y}]\n"
    )
    found = loaded(tmp_path, stack=f"{STACK}aws: {{region: us-west-2}}\nrole: {{tags: {{b: near}}}}\n", base=base)
    assert (found.aws.region, found.aws.profile) == ("us-west-2", "admin")
    assert dict(found.role.tags) == {"a": "base", "b": "near"}
    assert [spec.name for spec in found.clusters] == ["ml"]


def test_of_several_bases_the_later_wins_and_bases_have_bases(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "stack.yaml": "version: 1\nextends: [a.yaml, b.yaml]\nname: ml\nclusters: [{name: ml}]\n",
            "a.yaml": "role: {path: /a/, max_session_hours: 2, tags: {from: a}}\n",
            "b.yaml": "extends: deep/c.yaml\nrole: {path: /b/}\n",
            "deep/c.yaml": "role: {path: /c/, max_session_hours: 3, name_prefix: c-}\n",
        },
    )
    role = loaded(tmp_path).role
    assert (role.path, role.max_session_hours, role.name_prefix, dict(role.tags)) == ("/b/", 3, "c-", {"from": "a"})


def test_name_version_and_clusters_may_come_from_a_base(tmp_path: Path) -> None:
    found = loaded(tmp_path, stack="extends: base.yaml\n", base="version: 1\nname: ml\nclusters: [{name: ml}]\n")
    assert (found.name, found.file) == ("ml", tmp_path / "stack.yaml")


def test_an_empty_section_is_absent_and_null_takes_a_single_value_away(tmp_path: Path) -> None:
    base = "aws: {profile: admin, region: eu-west-1}\nrole: {name_prefix: acme-, path: /x/}\n"
    found = loaded(tmp_path, stack=f"{STACK}aws:\nrole: {{name_prefix: null, name: mine}}\n", base=base)
    assert (found.aws.region, found.aws.profile) == ("eu-west-1", "admin")
    assert (found.role.name, found.role.name_prefix, found.role.path) == ("mine", None, "/x/")


def test_a_choice_is_taken_from_one_side(tmp_path: Path) -> None:
    local = loaded(tmp_path, stack=f"{STACK}terraform: {{backend: {{local: {{}}}}}}\n", base=BUCKET)
    assert local.terraform.backend == LocalBackend()
    own = loaded(tmp_path, stack=f"{STACK}terraform: {{backend: {{s3: {{key: mine}}}}}}\n", base=BUCKET)
    assert own.terraform.backend == S3Backend("shared-state", "mine", "us-east-1")


def test_paths_in_a_base_are_relative_to_it(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "top/base.yaml": "control_plane: {ca_bundle: ca.pem}\nterraform: {module: {source: ./mod//inner}}\n",
            "top/ca.pem": "x",
            "top/mod/inner/main.tf": "",
            "stacks/stack.yaml": STACK.replace("base.yaml", "../top/base.yaml"),
        },
    )
    found = loaded(tmp_path, "stacks/stack.yaml")
    assert found.control_plane.ca_bundle == tmp_path / "top/ca.pem"
    assert found.terraform.module is not None
    assert found.terraform.module.source == f"{tmp_path}/top/mod//inner"


def test_the_paths_of_a_stack_file_are_known() -> None:
    """A new key that holds a path must be anchored, too: they all say so in the schema or are listed here."""
    assert all(schemas_at(place) for place in PATHS)


def test_problems_name_the_base_and_its_line(tmp_path: Path) -> None:
    found = problems(tmp_path, stack=STACK, base="# shared\naws:\n  region: us-west-2a\nrole: {nmae: x}\n")
    assert [(p.file, p.line, p.path) for p in found] == [("base.yaml", 3, "aws.region"), ("base.yaml", 4, "role.nmae")]


def test_a_problem_of_the_stack_file_keeps_its_own_line(tmp_path: Path) -> None:
    found = problems(tmp_path, stack=f"{STACK}aws: {{region: nowhere}}\n", base="aws: {region: us-west-2}\n")
    assert [(p.file, p.line, p.path) for p in found] == [("stack.yaml", 5, "aws.region")]


@pytest.mark.parametrize(
    "value, message",
    [
        ("gone.yaml", "there is no file"), ("[]", "is empty"), ("[base.yaml, 3]", "must be the path of a file"),
        ("/etc/passwd", "is not relative"), ("~/base.yaml", "is not relative"), ("mod", "is a directory"),
        ("{a: b}", "must be the path of a file"), ('"a\\0b"', "is not a path"), ("pipe", "is not a regular file"),
        ("stack.yaml", "extends itself"),
    ],
)  # fmt: skip
def test_what_cannot_be_extended_is_a_problem_of_its_line(tmp_path: Path, value: str, message: str) -> None:
    (tmp_path / "mod").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (found,) = problems(tmp_path, stack=STACK.replace("base.yaml", value, 1), base="{}\n")
    assert (found.file, found.line) == ("stack.yaml", 2)
    assert found.path.startswith("extends")
    assert message in found.message


def test_a_cycle_is_found_where_it_closes(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, stack=STACK, base="aws: {}\nextends: other.yaml\n", other="extends: [base.yaml]\n")
    assert (found.file, found.line, found.path) == ("other.yaml", 1, "extends[0]")
    assert "extends itself" in found.message


def test_one_base_by_two_ways_is_no_cycle(tmp_path: Path) -> None:
    found = loaded(
        tmp_path, stack=STACK.replace("base.yaml", "[a.yaml, b.yaml]"),
        a="extends: base.yaml\n", b="extends: base.yaml\n", base="aws: {profile: admin}\n",
    )  # fmt: skip
    assert found.aws.profile == "admin"


def test_bases_that_multiply_are_too_many(tmp_path: Path) -> None:
    files = {f"b{n}": f"extends: [b{n + 1}.yaml, b{n + 1}.yaml]\n" for n in range(8)}
    found = problems(tmp_path, stack=STACK.replace("base.yaml", "b0.yaml"), b8="{}\n", **files)
    assert any(f"more than {MOST_FILES} base files" in problem.message for problem in found)


@pytest.mark.parametrize(
    "text, message",
    [("aws: [\n", "is not valid YAML"), ("aws: {}\naws: {}\n", "twice"), ("a\0b", "binary"), ("a\xff", "UTF-8")],
)
def test_a_base_that_is_no_base_says_so_itself(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path, {"stack.yaml": STACK})
    (tmp_path / "base.yaml").write_bytes(text.encode("latin-1"))
    found = problems(tmp_path)
    assert any(each.file == "base.yaml" and message in each.message for each in found)


CANARY = "canary-of-another-file"


@pytest.mark.parametrize(
    "text",
    [
        f"{CANARY}: 1\n", f"password: {CANARY}\nuser: x\n", f"[default]\naws_secret_access_key = {CANARY}\n",
        f"name: {CANARY}\nuser: x\nother: y\n",
        f"- {CANARY}\n", f"&{CANARY} a: *{CANARY}\n", f"a: %{CANARY}\n", f"{CANARY}: 1\n{CANARY}: 2\n", CANARY,
        f"apiVersion: v1\nkind: Config\nusers: []\nclusters: [{{name: {CANARY}}}]\n", f"a: !{CANARY} x\n",
    ],
)  # fmt: skip
def test_nothing_is_shown_of_a_file_that_is_no_part_of_a_stack_file(tmp_path: Path, text: str) -> None:
    """Not its keys, its values or its lines; where it is extended, and where a link in the stack file's place is."""
    (found,) = problems(tmp_path / "repo" / "in", stack=STACK, base=text)
    assert (found.file, found.line, found.message) == ("stack.yaml", 2, "`base.yaml` is not part of a stack file")
    (tmp_path / "secret").write_text(text)
    (tmp_path / "repo" / "in" / "link.yaml").symlink_to(tmp_path / "secret")
    (linked,) = problems(tmp_path / "repo" / "in", "link.yaml")
    assert linked.message == "is a link to a file that is not a stack file"
    assert CANARY not in f"{found}{linked}{sources_name(tmp_path / 'repo' / 'in' / 'stack.yaml')}"


def sources_name(file: Path) -> str | None:
    return StackFileIndex().glance(file).name


def test_bases_lie_in_the_repository_or_where_the_user_says(tmp_path: Path) -> None:
    base = "aws: {profile: admin}\n"
    put(tmp_path, {"repo/stacks/one/stack.yaml": STACK, "repo/bases/base.yaml": base, "out/base.yaml": base})
    stack, out = tmp_path / "repo" / "stacks" / "one", tmp_path / "out"

    def profile(path: str, **environ: str) -> str | None:
        (stack / "stack.yaml").write_text(STACK.replace("base.yaml", path))
        return load("stack.yaml", environ=environ, cwd=stack, home=tmp_path).aws.profile

    def refused(path: str, root: Path, **environ: str) -> str:
        with pytest.raises(StackError) as caught:
            profile(path, **environ)
        (problem,) = caught.value.problems
        assert (problem.line, problem.path) == (2, "extends")
        assert problem.message == f"`{path}` lies outside `{root}`"
        return problem.hint

    # without Git: below the parent of the stack file's directory
    refused("../../bases/base.yaml", stack.parent)
    # in a repository: below its top, of a worktree or submodule as well; links are resolved
    for mark in ("directory", "file"):
        git = tmp_path / "repo" / ".git"
        git.mkdir() if mark == "directory" else git.write_text("gitdir: elsewhere\n")
        assert profile("../../bases/base.yaml") == "admin"
        for path in ("../../../out/base.yaml", "../../../out/gone.yaml", "linked.yaml", "out/base.yaml"):
            (stack / "linked.yaml").unlink(missing_ok=True)
            (stack / "linked.yaml").symlink_to(out / "base.yaml")
            (stack / "out").unlink(missing_ok=True)
            (stack / "out").symlink_to(out)
            hint = refused(path, tmp_path / "repo")
            assert f"`export GRIDBYOC_EXTENDS_ROOT={out}`" in hint
            refused(path, tmp_path / "repo", GRIDBYOC_EXTENDS_ROOT=str(tmp_path / "elsewhere"))
            if "gone" not in path:
                assert profile(path, GRIDBYOC_EXTENDS_ROOT=str(out)) == "admin"
        git.rmdir() if mark == "directory" else git.unlink()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    assert profile("linked.yaml", GRIDBYOC_EXTENDS_ROOT=str(tmp_path / "link")) == "admin"
    with pytest.raises(UsageError, match="GRIDBYOC_EXTENDS_ROOT"):
        profile("linked.yaml", GRIDBYOC_EXTENDS_ROOT="../out")
    # a repository that is reached by a link is still one
    (tmp_path / "repo" / ".git").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "repo")
    profile("../../bases/base.yaml")
    way = tmp_path / "way" / "stacks" / "one"
    assert load("stack.yaml", environ={}, cwd=way, home=tmp_path).aws.profile == "admin"


@pytest.mark.parametrize("name", ["pipe", "device"])
def test_a_pipe_holds_nobody_up(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (found,) = problems(tmp_path, name)
    assert (found.message, "`- <" in found.hint) == ("is not a regular file", True)
    (based,) = problems(tmp_path, stack=STACK.replace("base.yaml", name))
    assert "is not a regular file" in based.message or "lies outside" in based.message


def test_what_the_caller_has_opened_itself_is_read(tmp_path: Path) -> None:
    """A shell's ``<(…)``."""
    reading, writing = os.pipe()
    os.write(writing, STACK.replace("extends: base.yaml\n", "").encode())
    os.close(writing)
    try:
        assert load(f"/dev/fd/{reading}", environ={}, cwd=tmp_path, home=tmp_path).name == "ml"
    finally:
        os.close(reading)


def test_an_empty_base_says_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, stack=STACK, base="# later\n").name == "ml"


def test_standard_input_extends_from_the_current_directory(tmp_path: Path) -> None:
    put(tmp_path, {"base.yaml": "aws: {profile: admin}\n"})
    found = load("-", environ={}, stdin=STACK, cwd=tmp_path, home=tmp_path)
    assert (found.aws.profile, found.file) == ("admin", None)


def test_overrides_come_last_and_cannot_change_the_bases(tmp_path: Path) -> None:
    files = {"stack": STACK, "base": "aws: {profile: admin}\n"}
    assert loaded(tmp_path, "stack.yaml", "aws.profile=other", **files).aws.profile == "other"
    (found,) = problems(tmp_path, "stack.yaml", "extends=x.yaml", **files)
    assert (found.file, found.path) == ("--set", "extends")


def test_where_a_value_stands(tmp_path: Path) -> None:
    put(
        tmp_path,
        {"stack.yaml": "version: 1\nextends: base.yaml\nname: ml\n", "base.yaml": "\nclusters: [{name: ml}]\n"},
    )
    found = standing_elsewhere(tmp_path / "stack.yaml", ("clusters", 0), {})
    assert found is not None
    assert (found.file, found.line) == (str(tmp_path / "base.yaml"), 2)
    assert standing_elsewhere(tmp_path / "stack.yaml", ("name",), {}) is None


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


@given(MAPPINGS, MAPPINGS)
def test_merging_keeps_every_value_of_the_nearer(near: dict[str, Any], base: dict[str, Any]) -> None:
    document = Document("near", copied(near))
    merge_under(document, Document("base", copied(base)))
    assert_kept(near, document.data)
    assert set(document.data) <= set(near) | set(base)
    assert all(document.data[key] == base[key] for key in set(base) - set(near))


def assert_kept(near: dict[str, Any], merged: dict[str, Any]) -> None:
    for key, value in near.items():
        if isinstance(value, dict):
            assert_kept(value, merged[key])
        elif value is not None:
            assert merged[key] == value


@given(MAPPINGS)
def test_merging_with_nothing_changes_nothing(data: dict[str, Any]) -> None:
    document = Document("near", copied(data))
    merge_under(document, Document("base", {}))
    assert document.data == data


def test_what_is_written_back_goes_into_the_stack_file_and_wins(tmp_path: Path) -> None:
    base = "role: {rotation: first, tags: {a: b}}\n" + BUCKET
    before = loaded(tmp_path, stack=STACK, base=base)
    write_back(tmp_path / "stack.yaml", {("role", "rotation"): "second"})
    assert point_at(before, LocalBackend())
    after = loaded(tmp_path)
    assert (after.role.rotation, dict(after.role.tags)) == ("second", {"a": "b"})
    assert after.terraform.backend == LocalBackend()
    assert (tmp_path / "base.yaml").read_text() == base


def test_the_keys_of_a_stack_file_are_the_schemas() -> None:
    assert set(schema()["properties"]) == KEYS
    assert is_part(())
    assert is_part({"role", "rolle"})
    assert not is_part({"role", "a", "b"})
