"""The command lines that a text names: whether our own command line takes them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

import click

from gridbyoc.cli.main import cli

_NAMED = re.compile(r"`(gridbyoc [^`]+)`")


def named_in(text: str) -> list[str]:
    """Every ``gridbyoc ...`` between backticks."""
    return _NAMED.findall(text)


def values_of(line: str) -> dict[str, object]:
    """The parameters of a line as click reads them, without running it; ``click.UsageError`` if it does not."""
    program, *words = shlex.split(line, comments=True)
    assert program == "gridbyoc"
    return _values(cli, words)


def _values(command: click.Command, words: Sequence[str]) -> dict[str, object]:
    if isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words[0])
        if found:
            return _values(found, words[1:])
    assert not isinstance(command, click.Group) or command.invoke_without_command, words
    return dict(command.make_context("gridbyoc", list(words)).params)
