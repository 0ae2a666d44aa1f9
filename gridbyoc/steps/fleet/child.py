"""One stack's run as a process of its own: its command line, its words as they come, how it ended."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gridbyoc.errors import ExitStatus
from gridbyoc.steps.fleet.detail import detail_of
from gridbyoc.steps.fleet.model import Member, Outcome, Result, Verb

_LAST_WORDS = 5
_ONE_FOR_ALL = frozenset({"GITHUB_OUTPUT", "GITLAB_CI"})


def child_argv(verb: Verb, member: Member, options: Sequence[str]) -> tuple[str, ...]:
    """``gridbyoc VERB FILE OPTIONS --format json``, by this very Python."""
    # without -P, `-m` looks for the package in the current directory first
    safe = ("-P",) if sys.version_info >= (3, 11) else ()
    return (sys.executable, *safe, "-m", "gridbyoc", verb, member.shown, *options, "--format", "json")


def child_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without what has one place for a whole job: the last stack's word would stand there for all.

    That are GitHub's outputs, and GitLab's report files (which are written where GitLab says that it is there).
    """
    return {name: value for name, value in environ.items() if name not in _ONE_FOR_ALL}


class Listener:
    """Takes the lines of a run: JSON events at once, a document of several lines at the end, stderr for a crash."""

    def __init__(self) -> None:
        self._rest: list[str] = []
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._said: dict[str, Mapping[str, Any]] = {}

    def line(self, stream: str, line: str) -> Mapping[str, Any] | None:
        """An event that the line is, if it is one."""
        if stream == "stderr":
            self._words.append(line)
            return None
        event = _event(line)
        if event is None:
            self._rest.append(line)
        else:
            self._said[str(event["type"])] = event
        return event

    def documents(self) -> list[Any]:
        """What was written over several lines, such as a status."""
        return list(_documents("\n".join(self._rest)))

    def result(self, verb: Verb, member: Member, code: int, seconds: float, *, asked: bool) -> Result:
        """How it came out. ``code`` is minus the signal that ended it; ``asked``: it was asked to stop."""
        documents = self.documents()
        said = {**self._said, **({"document": {"document": documents[-1]}} if documents else {})}
        error = said.get("error", {})
        outcome: Outcome = "done" if code == 0 else "changes" if code == int(ExitStatus.CHANGES_PENDING) else "failed"
        status = int(ExitStatus.FAILED) if code < 0 else code
        if asked and outcome == "failed":
            outcome, status = "interrupted", int(ExitStatus.INTERRUPTED)
        detail = detail_of(verb, said) or (f"ended by signal {-code}" if code < 0 else "")
        if outcome == "failed" and not detail:
            detail = " ".join(word.strip() for word in self._words)[:300]
        named = error.get("code")
        return Result(member, outcome, status, seconds, detail, named if isinstance(named, str) else None, said)


def _event(line: str) -> Mapping[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else None


def _documents(text: str) -> Iterator[Any]:
    """Every JSON value in a text, up to one that is none."""
    decoder, position = json.JSONDecoder(), 0
    while (position := _behind_blanks(text, position)) < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return
        yield value


def _behind_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position
