"""An error as lines for a person, and as the JSON document of a failed command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from gridbyoc.errors import GridbyocError, PreflightBlockedError, StackError, TerraformError
from gridbyoc.show.output import Output, Screen


@dataclass(frozen=True, slots=True)
class FailedCommand:
    """An error, and the command's result up to then; ``None`` if there is none."""

    error: GridbyocError
    result: Mapping[str, Any] | None = None


class ProblemBody(TypedDict):
    """One problem of a stack file. ``path`` is the key's path, such as ``aws.region``."""

    file: str
    line: int | None
    path: str
    message: str
    hint: str


class _ErrorDetails(TypedDict, total=False):
    problems: list[ProblemBody]
    findings: list[str]
    diagnostics: list[str]
    result: dict[str, Any]


class ErrorBody(_ErrorDetails):
    """Why a command failed: ``code`` is stable, ``fix`` is what to do, ``rerun`` whether to run it again is safe.

    ``result`` is the document of what was done before the failure.
    """

    code: str
    exit_status: int
    what: str
    why: str
    fix: str
    rerun: str


def error_json(failure: FailedCommand) -> ErrorBody:
    """The document without its type."""
    error = failure.error
    body: ErrorBody = {
        "code": error.code,
        "exit_status": int(error.exit_status),
        "what": error.what,
        "why": error.why,
        "fix": error.fix,
        "rerun": error.rerun,
    }
    if isinstance(error, StackError):
        body["problems"] = [
            {"file": p.file, "line": p.line, "path": p.path, "message": p.message, "hint": p.hint}
            for p in error.problems
        ]
    if isinstance(error, PreflightBlockedError):
        body["findings"] = list(error.findings)
    if isinstance(error, TerraformError):
        body["diagnostics"] = list(error.diagnostics)
    if failure.result is not None:
        body["result"] = dict(failure.result)
    return body


def error_lines(error: GridbyocError) -> list[str]:
    """An error as lines for a person: what happened, details, why, what to do, whether a re-run is safe."""
    problems = error.problems if isinstance(error, StackError) else ()
    lines = [f"error[{error.code}]: {error.what}", *(f"  {problem}" for problem in problems)]
    if isinstance(error, PreflightBlockedError):
        lines += [f"  {finding}" for finding in error.findings]
    if isinstance(error, TerraformError):
        lines += [f"  {line}" for text in error.diagnostics for line in text.splitlines()]
    lines += [f"  why: {error.why}"] if error.why else []
    lines += [f"  do:  {error.fix}"] if error.fix else []
    return [*lines, f"  {error.rerun}"] if error.rerun else lines


def _write(failure: FailedCommand, screen: Screen) -> None:
    for line in error_lines(failure.error):
        screen.line(line)


ERROR = Output("error", error_json, _write, stack="none")
