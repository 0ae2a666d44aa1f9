"""One way from a result to its output.

An ``Output`` says what a command's result is called and how it is written in each format; ``App.show`` writes it. A new
command makes one of these and calls ``app.show(OUTPUT, result)``; it never asks for the format itself.

The body that ``json`` returns is a ``TypedDict``: its JSON Schema is written from that (``make docs``), ships in
``schemas/`` and is printed by ``gridbyoc schema --output NAME``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Literal, Protocol, TextIO, TypeVar

Format = Literal["text", "table", "json", "jsonl", "markdown", "sarif"]
"""``table`` is text; a command names those it takes (``@command(..., formats=...)``)."""
MACHINE: frozenset[Format] = frozenset({"json", "jsonl"})
"""The formats that write documents with a ``type``."""

R = TypeVar("R")


class Screen(Protocol):
    """What text is written on: stdout for the result, stderr for notes beside it."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment, for ``NO_COLOR`` and ``TERM``."""

    @property
    def stdout(self) -> TextIO:
        """The stream itself, for what draws."""

    def line(self, text: str = "") -> None:
        """One line of text that may hold names from elsewhere."""

    def document(self, text: str) -> None:
        """A text of ours, written as it is."""

    def note(self, text: str) -> None:
        """One line on stderr."""

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns and rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Output(Generic[R]):
    """How results of one kind are written.

    ``type`` is a constant that readers of the JSON rely on, and the name of the schema. ``json`` is the document
    without ``type`` and ``stack``. ``stack``: whether the document names the stack that it is about; ``optional`` is
    ``null`` where no stack file was given. ``others`` are formats besides text and JSON; they get the result and the
    stack's name.
    """

    type: str
    json: Callable[[R], Mapping[str, Any]]
    text: Callable[[R, Screen], None]
    stack: Literal["named", "optional", "none"] = "named"
    others: Mapping[Format, Callable[[R, str], str]] = field(default_factory=lambda: MappingProxyType({}))

    def document(self, result: R, stack: str | None = None) -> dict[str, Any]:
        """The JSON document, which holds no secret."""
        about = {} if self.stack == "none" else {"stack": stack}
        return {"type": self.type, **about, **self.json(result)}
