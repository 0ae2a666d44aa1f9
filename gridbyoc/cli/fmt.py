"""``gridbyoc fmt``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import DEFAULT_STACK, command, pass_app
from gridbyoc.errors import ExitStatus, StackError


@command("fmt")
@click.argument("files", nargs=-1, type=str)
@click.option("--check", is_flag=True, help="Write nothing; end with status 3 where a file would change.")
@pass_app
def fmt(app: App, files: tuple[str, ...], check: bool) -> int:
    """Lay out stack FILES (default: gridbyoc.yaml) in one way: indentation, blank lines, the end of the file.

    Comments, order, quotes and values stay as they are. Prints the names of the files that were (or would be) changed.
    """
    changed = tuple(_changed(app, files or (DEFAULT_STACK,), check=check))
    if app.json:
        app.object({"type": "fmt", "changed": list(changed)})
    else:
        for name in changed:
            app.line(name)
    return int(ExitStatus.CHANGES_PENDING) if check and changed else int(ExitStatus.DONE)


def _changed(app: App, files: tuple[str, ...], *, check: bool) -> Iterator[str]:
    """All are read before the first is written: one that cannot be laid out leaves the others as they are, too."""
    from gridbyoc.stack.files import write_atomic

    wanted = [(name, *_laid_out(app, name)) for name in files]
    for name, file, before, after in wanted:
        if before != after:
            if not check:
                write_atomic(file, after, mode=file.stat().st_mode & 0o777)
            yield name


def _laid_out(app: App, name: str) -> tuple[Path, str, str]:
    """The file (a link to it stays a link), its text, and its text as it should be."""
    from gridbyoc.stack.layout import laid_out
    from gridbyoc.stack.source import decode, read_source

    file = Path(app.cwd, name)
    before = decode(read_source(file, name), name)
    after = laid_out(before)
    if after is None:
        raise StackError(
            f"{name} cannot be laid out.",
            why="It is not valid YAML, no stack file, or a new layout would change what it says.",
            fix="`gridbyoc validate` says what is wrong with it.",
        )
    return file.resolve(), before, after
