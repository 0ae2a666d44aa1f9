"""The values that a shell completes: stack files, the clusters of a stack file, codes, scenarios, and other files.

A completion runs on each press of the tab key. It reads local files only, loads no AWS client and no command's file but
the completed command's own, and finds nothing rather than failing.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from gridbyoc.cli.app import App

DEEPEST, MOST_FILES, MOST_DIRECTORIES = 3, 200, 500
"""Limits of the search below a directory, so that it ends at once in a large tree as well."""
CODES = Path(__file__).parent / "codes.txt"
"""A line for each code that ``explain`` knows, with its title; ``docs/generate.py`` writes it."""
SCENARIOS = Path(__file__).parents[1] / "sandbox" / "scenario" / "shipped"
_TITLE = re.compile(r"^title: (.+)$", re.MULTILINE)


def complete_file(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Any file: the shell completes it."""
    return [CompletionItem(incomplete, type="file")]


def complete_stack_file(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The stack files below the current directory; any file if there is none of that beginning."""
    named = context.params.get(str(param.name))
    typed = set(named) if isinstance(named, tuple) else set()
    found = [CompletionItem(name) for name in stack_files(_cwd(context), incomplete) if name not in typed]
    return found or complete_file(context, param, incomplete)


def stack_files(cwd: Path, incomplete: str) -> Iterator[str]:
    """Paths of stack files that begin with ``incomplete``, the nearest first. Hidden files count only if typed."""
    from gridbyoc.stack.extends import StackFileIndex

    index, start = StackFileIndex(), incomplete.rpartition("/")[0]
    prefix = f"{start}/" if start or incomplete.startswith("/") else ""
    ahead, files, directories = deque([(prefix, 0)]), 0, 0
    while ahead and directories < MOST_DIRECTORIES:
        place, depth = ahead.popleft()
        directories += 1
        for name, is_directory in _entries(cwd / place):
            path = place + name
            if name.startswith(".") and not incomplete.startswith(path[: path.rindex(name) + 1]):
                continue
            if is_directory:
                if depth < DEEPEST and f"{path}/".startswith(incomplete[: len(path) + 1]):
                    ahead.append((f"{path}/", depth + 1))
            elif path.startswith(incomplete) and name.endswith((".yaml", ".yml")):
                files += 1
                if files > MOST_FILES:
                    return
                if index.scan(cwd / path).is_stack:
                    yield path


def _entries(directory: Path) -> list[tuple[str, bool]]:
    """The names in a directory, sorted, each with whether it is a directory itself; links to one are not followed."""
    try:
        with os.scandir(directory) as found:
            return sorted((each.name, each.is_dir(follow_symlinks=False)) for each in found)
    except OSError:
        return []


def complete_cluster(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The clusters of the line's stack file, or of the default one, that the line does not name already."""
    named = context.params.get(str(param.name))
    typed = set(named) if isinstance(named, tuple) else set()
    return [
        CompletionItem(name)
        for name in cluster_names(_cwd(context), _stack_file(context), _environ(context))
        if name.startswith(incomplete) and name not in typed
    ]


def cluster_names(cwd: Path, file: str, environ: dict[str, str]) -> list[str]:
    """The names of a stack file's clusters, with its bases; as many as can be read of a file that is not valid."""
    from gridbyoc.errors import GridbyocError
    from gridbyoc.stack.document import decode, read_document, read_source
    from gridbyoc.stack.extends import take_bases

    if file == "-":
        return []
    path = Path(os.path.normpath(cwd / file))
    try:
        document = read_document(decode(read_source(path, file), file), file)
        take_bases(document, path, path.parent, environ)
    except GridbyocError:
        return []
    clusters = document.data.get("clusters") if isinstance(document.data, dict) else None
    if not isinstance(clusters, list):
        return []
    names: list[Any] = [each.get("name") for each in clusters if isinstance(each, dict)]
    return [name for name in names if isinstance(name, str)]


def complete_code(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The codes that ``explain`` knows, with their titles."""
    lines = CODES.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(" ")[::2] for line in lines)
    return [CompletionItem(code, help=title) for code, title in pairs if code.startswith(incomplete.upper())]


def complete_scenario(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The scenarios that ship, with their titles; any file if there is none of that beginning."""
    files = sorted(file for file in SCENARIOS.glob("*.yaml") if file.stem.startswith(incomplete))
    titles = ((file.stem, _TITLE.search(file.read_text(encoding="utf-8"))) for file in files)
    found = [CompletionItem(name, help=title[1] if title else None) for name, title in titles]
    return found or complete_file(context, param, incomplete)


def _stack_file(context: click.Context) -> str:
    """As ``stack_argument`` and ``stack_option`` take it.

    If the last word is an option whose value is completed, click leaves the positional words before it in ``args``.
    """
    positional = [each.name for each in context.command.params if isinstance(each, click.Argument)]
    if positional == ["stack_file"] and context.args:
        return str(context.args[0])
    source = context.get_parameter_source("stack_file")
    if source is click.core.ParameterSource.COMMANDLINE:
        return str(context.params["stack_file"])
    return _environ(context).get("GRIDBYOC_STACK") or "gridbyoc.yaml"


def _cwd(context: click.Context) -> Path:
    return context.obj.cwd if isinstance(context.obj, App) else Path.cwd()


def _environ(context: click.Context) -> dict[str, str]:
    return dict(context.obj.environ if isinstance(context.obj, App) else os.environ)
