"""A command's environment, and the only writer of its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from gridbyoc.cli.github_log import GithubLog
from gridbyoc.errors import ApprovalRequiredError
from gridbyoc.stack.words import json_text, plain_text

if TYPE_CHECKING:
    from gridbyoc.show.output import Format, Output
    from gridbyoc.show.view import View, Views

E = TypeVar("E")
R = TypeVar("R")


@dataclass(slots=True)
class Held:
    """The document of ``--format json``: kept until the command ends, because an error includes it."""

    document: Mapping[str, Any] | None = None
    written: bool = False


@dataclass(frozen=True, slots=True)
class App:
    """The environment of one command. Commands receive it with ``@pass_app`` and print only through it.

    ``interactive``: whether the user can be asked (stdin and stderr are terminals and ``--no-input`` was not given).
    ``profile`` is ``--profile``.
    """

    environ: Mapping[str, str]
    home: Path
    cwd: Path
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    format: Format = "text"
    debug: bool = False
    interactive: bool = False
    profile: str | None = None
    held: Held = field(default_factory=Held)

    def show(self, output: Output[R], result: R, stack: str | None = None) -> None:
        """Write a command's result in the requested format.

        With ``--format json`` it is the only document on stdout, written at the end (``deliver``); with ``jsonl`` it is
        a line after those of the events.
        """
        if self.format == "json":
            self.held.document = output.document(result, stack)
        elif self.format == "jsonl":
            self.document(json_text(output.document(result, stack)))
        elif self.format in output.others:
            self.document(output.others[self.format](result, stack or "").rstrip("\n"))
        else:
            output.text(result, self)

    def deliver(self) -> None:
        """Write the document of ``--format json`` on one line, unless there is none or it was written."""
        document, self.held.document = self.held.document, None
        if document is not None:
            self.document(json_text(document))
            self.held.written = True

    def view(self, views: Views[E]) -> View[E]:
        """The view that shows events as they happen.

        JSON lines on stdout with ``jsonl``, otherwise progress on stderr.
        """
        import time

        from gridbyoc.show.view import view_of

        as_lines = self.format == "jsonl"
        return view_of(views, as_lines, self.stdout, self.stderr, environ=self.environ, clock=time.monotonic)

    @property
    def drawn(self) -> bool:
        """Whether the result is text for a person."""
        return self.format in ("text", "table")

    def line(self, text: str = "") -> None:
        """A line of the command's result on stdout; control characters in foreign text are removed.

        On a terminal, it breaks between words.
        """
        self.document(self._fitted(text, self.stdout))

    def _fitted(self, text: str, stream: TextIO) -> str:
        from gridbyoc.show.layout import for_stream

        return for_stream(text, stream, self.environ) if stream.isatty() else plain_text(text)

    def document(self, text: str) -> None:
        """A text of our own, unchanged, on stdout: a page, a pipeline, a script."""
        self.stdout.write(text + "\n")
        self.stdout.flush()

    def note(self, text: str) -> None:
        """A line beside the result (progress, warning, advice), on stderr; fitted as a line of the result."""
        self.stderr.write(self._fitted(text, self.stderr) + "\n")
        self.stderr.flush()

    def command(self, text: str) -> None:
        """A line on stderr that the CI platform should read as a command."""
        write = self.stderr.command if isinstance(self.stderr, GithubLog) else self.stderr.write
        write(text + "\n")
        self.stderr.flush()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table on stdout: drawn by rich on a terminal, otherwise aligned plain text."""
        from gridbyoc.show.layout import write_table

        write_table(self.stdout, columns, rows, environ=self.environ)

    def note_table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table beside the result, on stderr: what a question is about."""
        from gridbyoc.show.layout import plain_table, write_table

        if self.stderr.isatty():
            write_table(self.stderr, columns, rows, environ=self.environ)
            return
        for line in plain_table(columns, rows).splitlines():
            self.note(f"  {line}")

    def confirm(self, question: str, *, flag: str) -> bool:
        """Ask yes or no (no by default). Without a terminal: ``ApprovalRequiredError`` naming ``flag``."""
        self._require_terminal(flag)
        return self.prompt(f"{question} [y/N]").strip().lower() in {"y", "yes"}

    def confirm_name(self, question: str, name: str, *, flag: str) -> bool:
        """Ask for ``name`` to be typed; any other answer means no. Without a terminal: as ``confirm``."""
        self._require_terminal(flag)
        return self.prompt(f"{question} Type {name} to confirm").strip() == name

    def _require_terminal(self, flag: str) -> None:
        if not self.interactive:
            raise ApprovalRequiredError(
                "This needs an approval, and there is no terminal to ask on.",
                fix=f"Check what is shown above, then run again with {flag}.",
                rerun="Nothing was created or changed; a re-run is safe.",
            )

    def prompt(self, question: str, *, default: str = "", hidden: bool = False) -> str:
        """Ask for a text (``hidden``: without echo). Without a terminal: ``ApprovalRequiredError``.

        Text that was typed before the question appeared does not answer it.
        """
        import click

        if not self.interactive:
            raise ApprovalRequiredError(
                f"There is no terminal to ask on: {question}", fix="Give it as an option or in the environment."
            )
        _drop_typed_ahead(self.stdin)
        answer: str = click.prompt(question, default=default, hide_input=hidden, show_default=bool(default), err=True)
        return answer


def _drop_typed_ahead(stream: TextIO) -> None:
    import termios

    with suppress(OSError, ValueError, termios.error):  # a test's stream, or a terminal that was closed
        termios.tcflush(stream.fileno(), termios.TCIFLUSH)
