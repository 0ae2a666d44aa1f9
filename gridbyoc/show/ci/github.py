"""GitHub Actions: workflow commands, job outputs.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from gridbyoc.errors import Problem
from gridbyoc.show.ci.rules import finding_text
from gridbyoc.stack.words import plain_text
from gridbyoc.steps.events import FindingMade


def mask_command(value: str) -> str:
    """The command that hides ``value`` in the job's log from here on. It shows the value itself to the runner."""
    return f"::add-mask::{_data(value)}"


def annotation(level: str, message: str, *, file: str = "", line: int | None = None, title: str = "") -> str:
    """An annotation: ``level`` is error, warning or notice."""
    given = {"file": file, "line": str(line) if line and file else "", "title": title}
    properties = ",".join(f"{name}={_property(value)}" for name, value in given.items() if value)
    return f"::{level}{' ' if properties else ''}{properties}::{_shown(message)}"


def problem_annotation(level: str, problem: Problem, path: str) -> str:
    """A stack problem at its line; ``path`` is the file from the repository's root, empty where it is in none."""
    where = f"{problem.path}: " if problem.path else ""
    hint = f" ({problem.hint})" if problem.hint else ""
    return annotation(level, f"{where}{problem.message}{hint}", file=path, line=problem.line, title="gridbyoc validate")


def level_of(finding: FindingMade) -> str:
    """The level of a finding's annotation."""
    return {"fail": "error", "warn": "warning"}.get(finding.verdict, "notice")


def finding_annotation(finding: FindingMade, path: str) -> str:
    """A preflight finding at the line of the stack file that it is about; ``path`` as for a problem."""
    return annotation(level_of(finding), finding_text(finding), file=path, line=finding.line, title=finding.code)


def output_lines(values: Mapping[str, str], *, delimiter: Callable[[], str] = lambda: uuid.uuid4().hex) -> str:
    """Job outputs for ``$GITHUB_OUTPUT``, in the form whose end no value can fake: a delimiter made anew each time."""
    text = ""
    for name, value in values.items():
        mark = f"gridbyoc_{delimiter()}"
        while mark in value:
            mark = f"gridbyoc_{delimiter()}"
        text += f"{name}<<{mark}\n{value}\n{mark}\n"
    return text


def _shown(text: str) -> str:
    """What a person reads: nothing in it steers a terminal, or reorders the text on a page."""
    return _data(plain_text(text))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _shown(text).replace(":", "%3A").replace(",", "%2C")
