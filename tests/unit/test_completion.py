"""The offers for the tab key, through click's own ``ShellComplete``."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete

from gridbyoc.cli.app import App
from gridbyoc.cli.completion import MOST_DIRECTORIES, MOST_FILES, stack_files
from gridbyoc.cli.explanations import EXPLANATIONS
from gridbyoc.cli.main import COMMANDS, cli

STACK = "version: 1\nname: {name}\naws: {{region: us-east-1}}\nclusters: [{clusters}]\n"


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """A directory with stack files at several depths, and files that are none."""
    write(tmp_path / "gridbyoc.yaml", "ml", "ml-a", "ml-b")
    write(tmp_path / "stacks" / "web.yaml", "web", "web-a", "web-b", "web-c")
    write(tmp_path / "stacks" / "eu" / "web.yml", "web-eu", "web-eu")
    write(tmp_path / ".hidden" / "secret.yaml", "secret", "secret")
    (tmp_path / "stacks" / "mkdocs.yaml").write_text("site_name: x\nnav: []\n")
    (tmp_path / "stacks" / "notes.txt").write_text(STACK)
    return tmp_path


def write(file: Path, name: str, *clusters: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(STACK.format(name=name, clusters=", ".join(f"{{name: {each}}}" for each in clusters)))


def items(cwd: Path, line: str, **environ: str) -> list[CompletionItem]:
    """The offers for ``line``, whose last word is incomplete."""
    streams = {"stdin": io.StringIO(), "stdout": io.StringIO(), "stderr": io.StringIO()}
    app = App(environ=environ, home=cwd, cwd=cwd, interactive=False, **streams)
    *words, incomplete = [*shlex.split(line), *([""] if not line or line.endswith(" ") else [])]
    found = ShellComplete(cli, {"obj": app}, "gridbyoc", "_GRIDBYOC_COMPLETE").get_completions(words, incomplete)
    assert (app.stdout.getvalue(), app.stderr.getvalue()) == ("", "")  # type: ignore[attr-defined]  # of a StringIO
    return found


def offered(cwd: Path, line: str, **environ: str) -> list[str]:
    return [each.value for each in items(cwd, line, **environ)]


ALL = ["gridbyoc.yaml", "stacks/web.yaml", "stacks/eu/web.yml"]


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("plan ", ALL),
        ("plan g", ["gridbyoc.yaml"]),
        ("bootstrap st", ALL[1:]),
        ("bootstrap stacks/e", ["stacks/eu/web.yml"]),
        ("destroy --stack stacks/w", ["stacks/web.yaml"]),
        ("clusters list -f ", ALL),
        ("apply some.bundle stacks/eu/", ["stacks/eu/web.yml"]),
        ("fleet plan gridbyoc.yaml ", ALL[1:]),
        ("pipeline github stacks/w", ["stacks/web.yaml"]),
        ("fmt .h", [".hidden/secret.yaml"]),
    ],
)
def test_stack_files(cwd: Path, line: str, files: list[str]) -> None:
    assert offered(cwd, line) == files


def test_stack_files_above_and_of_an_absolute_path(cwd: Path) -> None:
    assert offered(cwd / "stacks", "plan ../g") == ["../gridbyoc.yaml"]
    assert offered(Path("/"), f"plan {cwd}/stacks/w") == [f"{cwd}/stacks/web.yaml"]


def test_any_file_is_left_to_the_shell_where_no_stack_file_begins_so(cwd: Path) -> None:
    assert [(each.type, each.value) for each in items(cwd, "plan stacks/no")] == [("file", "stacks/no")]
    assert [each.type for each in items(cwd, "apply ")] == ["file"]
    assert [each.type for each in items(cwd, "bundle show ")] == ["file"]


def test_the_search_ends_in_a_large_tree(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 5):
        (tmp_path / f"{number:04}.yaml").write_text("version: 1\nname: x\n")
    assert len(list(stack_files(tmp_path, ""))) == MOST_FILES
    for number in range(MOST_DIRECTORIES):
        (tmp_path / "z" / f"{number:04}").mkdir(parents=True)
    write(tmp_path / "z" / f"{MOST_DIRECTORIES - 1:04}" / "last.yaml", "x", "x")
    assert list(stack_files(tmp_path, "z")) == []


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("bootstrap --cluster ", ["ml-a", "ml-b"]),
        ("bootstrap stacks/web.yaml --cluster ", ["web-a", "web-b", "web-c"]),
        ("plan -f stacks/web.yaml --cluster web-b --cluster web-", ["web-a", "web-c"]),
        ("clusters wait -f stacks/web.yaml web-c", ["web-c"]),
        ("clusters create ", ["ml-a", "ml-b"]),
        ("clusters delete --stack stacks/eu/web.yml ", ["web-eu"]),
        ("register ml", ["ml-a", "ml-b"]),
        ("context ", ["ml-a", "ml-b"]),
        ("bootstrap - --cluster ", []),
        ("bootstrap missing.yaml --cluster ", []),
    ],
)
def test_clusters_of_the_stack_file_on_the_line(cwd: Path, line: str, names: list[str]) -> None:
    assert offered(cwd, line) == names


def test_clusters_of_the_environments_stack_file(cwd: Path) -> None:
    assert offered(cwd, "bootstrap --cluster ", GRIDBYOC_STACK="stacks/eu/web.yml") == ["web-eu"]


def test_clusters_of_a_base_and_of_a_file_that_is_not_valid(cwd: Path) -> None:
    (cwd / "near.yaml").write_text("extends: [./gridbyoc.yaml]\nname: near\n")
    assert offered(cwd, "plan near.yaml --cluster ") == ["ml-a", "ml-b"]
    (cwd / "near.yaml").write_text("version: 1\nnam: typo\nclusters: [{name: kept}, 3, {nam: x}]\n")
    assert offered(cwd, "plan near.yaml --cluster ") == ["kept"]
    for text in ("clusters: [", "clusters: 3\n", "- x\n", "\0", ""):
        (cwd / "near.yaml").write_text(text)
        assert offered(cwd, "plan near.yaml --cluster ") == []


def test_codes_with_their_titles(cwd: Path) -> None:
    found = items(cwd, "explain gby-r00")
    assert [each.value for each in found] == [code for code in EXPLANATIONS if code.startswith("GBY-R00")]
    assert {each.value: each.help for each in found} == {code: EXPLANATIONS[code].title for code in offered_codes(cwd)}


def test_scenarios_with_their_titles(cwd: Path) -> None:
    for line in ("sandbox scenarios session", "sandbox shell --scenario session"):
        (found,) = items(cwd, line)
        assert (found.value, found.help) == ("session-ends", "The AWS session ends during the apply")
    assert len(offered(cwd, "sandbox run --scenario ")) > 10
    assert [each.type for each in items(cwd, "sandbox run --scenario ./m")] == ["file"]


def offered_codes(cwd: Path) -> list[str]:
    return offered(cwd, "explain GBY-R00")


def test_commands_with_their_lines_and_options(cwd: Path) -> None:
    assert {each.value: each.help for each in items(cwd, "")} == {name: line for name, (_, line) in COMMANDS.items()}
    assert offered(cwd, "boot") == ["bootstrap"]
    assert "--help" in offered(cwd, "--")
    assert "--cluster" in offered(cwd, "bootstrap --")
    assert offered(cwd, "plan --format j") == ["json", "jsonl"]
