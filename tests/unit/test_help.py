"""The shipped help text, the manual and the command table say the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

import gridbyoc
from gridbyoc.cli.main import COMMANDS, cli
from gridbyoc.errors import ExitStatus

ROOT = Path(gridbyoc.__file__).parent.parent


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_generated_is_up_to_date() -> None:
    for path, text in generator().generated().items():
        assert path.read_text() == text, f"{path} is out of date: run `make docs`"
        assert len(text) > 300
    schemas = {path for path in generator().generated() if path.parent.name == "schemas"}
    assert set((ROOT / "gridbyoc" / "show" / "schemas").iterdir()) == schemas


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_helps(name: str) -> None:
    found = CliRunner().invoke(cli, [name, "--help"], prog_name="gridbyoc")
    assert found.exit_code == 0
    assert f"gridbyoc {name}" in found.output


def leaves(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        found = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        return [leaf for name, sub in found if sub for leaf in leaves(sub, f"{path} {name}".strip())]
    return [(path, command)]


def test_every_leaf_takes_the_common_options_and_documents_all() -> None:
    for path, command in leaves(cli, ""):
        assert {"--format", "--no-input", "--debug"} <= options_of(command), path
        assert command.help, path
        undocumented = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
        assert undocumented == [], path


@pytest.mark.parametrize("verb", ["up", "run"])
def test_switches_of_the_sandbox_that_only_tests_need_are_not_listed(verb: str) -> None:
    text = CliRunner().invoke(cli, ["sandbox", verb, "--help"]).output + (ROOT / "docs" / "sandbox.md").read_text()
    known = {name for param in dict(leaves(cli, ""))[f"sandbox {verb}"].params for name in param.opts}
    for name in ("--create-seconds", "--delete-seconds", "--quota-name", "--quota-seconds", "--quota-outcome"):
        assert name in known
        assert name not in text
    assert "--account" in text


def test_the_exit_statuses_are_documented() -> None:
    text = (ROOT / "docs" / "exit-status.md").read_text()
    for status in ExitStatus:
        assert f"| {int(status)} |" in text, status


def test_help_and_page_name_the_same_commands_that_only_read() -> None:
    table = [line for line in (ROOT / "docs" / "reading.md").read_text().splitlines() if line.startswith("| `")]
    on_the_page = {line.split("`")[1].split()[1] for line in table}
    in_help = {
        name
        for name in COMMANDS
        if "docs/reading.md" in CliRunner().invoke(cli, [name, "--help"], terminal_width=200).output
    }
    assert in_help == on_the_page


def options_of(command: click.Command) -> set[str]:
    return {option for param in command.params for option in param.opts}


WITHOUT_AWS = {"validate", "render", "policy", "context", "login", "register"}
"""Verbs that read a stack file and ask AWS nothing; those of ``clusters`` besides."""


def test_a_verb_that_reads_a_stack_file_takes_it_as_an_option_and_a_profile_for_aws() -> None:
    readers = [each for each in leaves(cli, "") if any(param.name == "stack_file" for param in each[1].params)]
    assert len(readers) > 20
    for path, command in readers:
        options = options_of(command)
        assert {"-f", "--stack"} <= options, path
        assert ("--profile" in options) is (path not in WITHOUT_AWS and not path.startswith("clusters ")), path


@pytest.mark.parametrize("typed,near", [("bootstap", "bootstrap"), ("fleet plam", "plan"), ("clusters lst", "list")])
def test_the_error_for_an_unknown_command_names_the_nearest(typed: str, near: str) -> None:
    found = CliRunner().invoke(cli, typed.split(), standalone_mode=False)
    assert isinstance(found.exception, click.UsageError)
    assert f"Did you mean '{near}'?" in found.exception.format_message()


def test_a_command_that_is_like_no_other_is_only_refused() -> None:
    found = CliRunner().invoke(cli, ["xyzzy"], standalone_mode=False)
    assert isinstance(found.exception, click.UsageError)
    assert "Did you mean" not in found.exception.format_message()
