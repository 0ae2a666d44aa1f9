"""``gridbyoc explain``."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal, TypedDict, cast

import click
from click.shell_completion import get_completion_class

import gridbyoc
from gridbyoc.cli.app import App
from gridbyoc.cli.completion import complete_code
from gridbyoc.cli.options import command, pass_app
from gridbyoc.errors import SAFE_NOTHING_DONE, TerraformError, UsageError
from gridbyoc.show.output import Output, Screen

if TYPE_CHECKING:
    from gridbyoc.cli.explanations import Explanation


@command("explain")
@click.argument("code", required=False, shell_complete=complete_code)
@pass_app
def explain(app: App, code: str | None) -> None:
    """Say what a code means (GBY-A118), why it occurs and what to do; without CODE, list every code.

    Codes are of failures, errors, and the checks of `doctor` and `verify`. docs/failures.md has every failure on one
    page.
    """

    from gridbyoc.cli.explanations import EXPLANATIONS  # here: it loads every check

    if code is None:
        app.show(EXPLAINED_CODES, tuple(EXPLANATIONS.values()))
        return
    found = EXPLANATIONS.get(code.upper())
    if found is None:
        raise _unknown(code, EXPLANATIONS)
    app.show(EXPLANATION, found)


def _unknown(code: str, known: Iterable[str]) -> UsageError:
    from gridbyoc.stack.words import nearest

    close = nearest(code, known)
    return UsageError(
        f"There is no code {code[:80]!r}.",
        fix=(f"Did you mean {close}? " if close else "") + "`gridbyoc explain` lists them all.",
        rerun=SAFE_NOTHING_DONE,
    )


Kinds = Literal["failure", "error", "check"]


class _ExplanationDetails(TypedDict, total=False):
    cause: str
    fix: str
    rerun: str
    link: str
    exit_status: int


class ExplanationBody(_ExplanationDetails):
    """The meaning of a code. Empty fields are omitted."""

    code: str
    kind: Kinds
    title: str


def _explanation_json(one: Explanation) -> ExplanationBody:
    return cast(ExplanationBody, {name: value for name, value in asdict(one).items() if value not in ("", None)})


def _write_explanation(one: Explanation, screen: Screen) -> None:
    for line in one.lines():
        screen.line(line)


EXPLANATION = Output("explanation", _explanation_json, _write_explanation, stack="none")


class ExplainedCodesBody(TypedDict):
    """Every code of failures, errors and checks."""

    codes: list[ExplanationBody]


def _codes_json(found: Sequence[Explanation]) -> ExplainedCodesBody:
    return {"codes": [_explanation_json(one) for one in found]}


def _write_codes(found: Sequence[Explanation], screen: Screen) -> None:
    screen.table(("code", "kind", "means"), [(one.code, one.kind, one.title) for one in found])


EXPLAINED_CODES = Output("explanations", _codes_json, _write_codes, stack="none")


class VersionBody(TypedDict):
    """The versions in use."""

    gridbyoc: str
    python: str
    terraform: str


def _version_json(versions: VersionBody) -> VersionBody:
    return versions


def _write_versions(versions: VersionBody, screen: Screen) -> None:
    for name, value in versions.items():
        screen.line(f"{name:<10} {value}")


VERSION = Output("version", _version_json, _write_versions, stack="none")


@command("version")
@pass_app
def version(app: App) -> None:
    """Show the versions of gridbyoc, Python and Terraform."""
    from gridbyoc.terraform import find_binary

    try:
        binary = find_binary(None, app.environ)
        terraform = f"{'.'.join(map(str, binary.version))} ({binary.flavour}, {binary.path})"
    except TerraformError as error:
        terraform = f"none: {error.what}"
    versions = VersionBody(gridbyoc=gridbyoc.__version__, python=platform.python_version(), terraform=terraform)
    app.show(VERSION, versions)


class CompletionBody(TypedDict):
    """A completion script."""

    shell: str
    script: str


def _completion_json(made: CompletionBody) -> CompletionBody:
    return made


COMPLETION = Output("completion", _completion_json, lambda made, screen: screen.document(made["script"]), stack="none")


@command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@pass_app
def completion(app: App, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash: gridbyoc completion bash > ~/.local/share/bash-completion/completions/gridbyoc
    zsh:  gridbyoc completion zsh > "${fpath[1]}/_gridbyoc"
    fish: gridbyoc completion fish > ~/.config/fish/completions/gridbyoc.fish
    """
    from gridbyoc.cli.main import cli

    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"There is no completion for {shell}.")
    script = found(cli, {}, "gridbyoc", "_GRIDBYOC_COMPLETE").source().rstrip("\n")
    app.show(COMPLETION, CompletionBody(shell=shell, script=script))
