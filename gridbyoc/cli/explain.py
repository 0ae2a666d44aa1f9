"""``gridbyoc explain``."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal, TypedDict, cast

import click
from click.shell_completion import get_completion_class

import gridbyoc
from gridbyoc import errors
from gridbyoc.aws.policy.parse import PolicyDocumentError
from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app
from gridbyoc.errors import SAFE_NOTHING_DONE, TerraformError, UsageError
from gridbyoc.errors.cards import CARDS, KnownFailure
from gridbyoc.operations.finding import FindingKind
from gridbyoc.operations.preflight.catalogue import KINDS
from gridbyoc.operations.verify_model import KINDS as PROOF_KINDS
from gridbyoc.show.output import Output, Screen


@command("explain")
@click.argument("code", required=False)
@pass_app
def explain(app: App, code: str | None) -> None:
    """Say what a code means (GBY-A118), why it occurs and what to do; without CODE, list every code.

    Codes are of failures, errors, and the checks of `doctor` and `verify`. docs/failures.md has every failure on one
    page.
    """

    if code is None:
        app.show(EXPLAINED_CODES, tuple(EXPLANATIONS.values()))
        return
    found = EXPLANATIONS.get(code.upper())
    if found is None:
        raise _unknown(code)
    app.show(EXPLANATION, found)


def _unknown(code: str) -> UsageError:
    from gridbyoc.stack.words import nearest

    close = nearest(code, EXPLANATIONS)
    return UsageError(
        f"There is no code {code[:80]!r}.",
        fix=(f"Did you mean {close}? " if close else "") + "`gridbyoc explain` lists them all.",
        rerun=SAFE_NOTHING_DONE,
    )


Kinds = Literal["failure", "error", "check"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The meaning of a code; ``cause``, ``fix``, ``rerun`` and ``link`` may be empty."""

    code: str
    kind: Kinds
    title: str
    cause: str = ""
    fix: str = ""
    rerun: str = ""
    exit_status: int | None = None
    link: str = ""

    def lines(self) -> list[str]:
        """The explanation for a person, in the format of an error."""
        lines = [f"{self.code}: {self.title}"]
        lines += [f"  why: {self.cause}"] if self.cause else []
        lines += [f"  do:  {self.fix}"] if self.fix else []
        lines += [f"  exit status: {self.exit_status}"] if self.exit_status is not None else []
        lines += [f"  more: {self.link}"] if self.link else []
        return [*lines, f"  {self.rerun}"] if self.rerun else lines


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


CHECK_REMEDY = (
    "`gridbyoc doctor --only {0.code}` checks only this and says what to do in this account. `--skip {0.code}` "
    "leaves it out of a run."
)
VERIFY_REMEDY = (
    "`gridbyoc verify` names the policy and its statement. `gridbyoc bootstrap` restores the role to what the stack "
    "file says; declare intended differences in the stack file. A role that no stack made (`--role`) must be "
    "changed by its owner."
)


def of_card(card: KnownFailure) -> Explanation:
    """A failure card, with words in capitals in place of names."""
    known = card.filled({})
    return Explanation(card.code, "failure", known.title, known.cause, known.fix, card.rerun)


def of_error(error: type[errors.GridbyocError]) -> Explanation:
    """A class of errors, described by its docstring."""
    meaning = " ".join((error.__doc__ or "").partition("\n\n")[0].split()).replace("``", "`")
    return Explanation(error.code, "error", meaning, fix=error.remedy, exit_status=int(error.exit_status))


def of_kind(kind: FindingKind) -> Explanation:
    """A check of the preflight."""
    meaning = " ".join(kind.meaning.split())
    return Explanation(kind.code, "check", kind.title, meaning, CHECK_REMEDY.format(kind), link=kind.link)


def of_question(kind: FindingKind) -> Explanation:
    """A finding of ``verify``."""
    meaning = f"Not `pass`: {kind.otherwise}."
    return Explanation(kind.code, "check", kind.meaning, meaning, VERIFY_REMEDY, link="docs/verify.md")


def _all() -> Iterator[Explanation]:
    yield from map(of_card, CARDS)
    for found in vars(errors).values():
        if isinstance(found, type) and issubclass(found, errors.GridbyocError):
            yield of_error(found)
    yield of_error(PolicyDocumentError)
    yield from map(of_kind, KINDS)
    yield from map(of_question, PROOF_KINDS)


EXPLANATIONS: Mapping[str, Explanation] = MappingProxyType(
    {one.code: one for one in sorted(_all(), key=lambda one: one.code)}
)
"""By code, in the order of the codes."""


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
