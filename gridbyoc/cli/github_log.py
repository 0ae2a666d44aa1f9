"""Output in a GitHub Actions job: the runner reads it, so foreign text must not become a command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TextIO, cast

_COMMAND = re.compile(r"(\A|[\r\n])(\s*):(?=:)")
_OLD_COMMAND = "##["
"""Recognized anywhere in a line: https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs"""


class GithubLog:
    """A stream in which ``::command::`` and ``##[command]`` in text are harmless; ``command`` writes a real one.

    Otherwise an AWS error, a tag's value or a cluster's name could mask words, set outputs or end the masking.
    """

    def __init__(self, stream: TextIO) -> None:
        """``stream`` is stdout or stderr; it provides everything except ``write``."""
        self._stream = stream
        self._begun = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write ``text`` with its commands defused; JSON keeps its meaning."""
        before = "|" if self._begun else ""
        plain = _COMMAND.sub(r"\1\2: ", before + text).replace(_OLD_COMMAND, "##\\u005b")
        last = re.split(r"[\r\n]", before + text)[-1]
        self._begun = bool(last.strip())
        self._stream.write(plain[len(before) :])
        return len(text)

    def command(self, text: str) -> int:
        """Write a line that the runner should read."""
        return self._stream.write(text)


def log_of(stream: TextIO, environ: Mapping[str, str]) -> TextIO:
    """The stream for a GitHub runner, or ``stream`` itself elsewhere."""
    return cast(TextIO, GithubLog(stream)) if environ.get("GITHUB_ACTIONS") == "true" else stream
