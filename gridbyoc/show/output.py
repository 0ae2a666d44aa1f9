"""Write a result in the requested format.

An ``Output`` defines the type of a command's result and how it is written in each format; ``App.show`` writes it. A new
command defines an ``Output`` and calls ``app.show(OUTPUT, result)``; it never asks for the format itself.

The body that ``json`` returns is a ``TypedDict``. Its JSON Schema is generated from that (``make docs``), ships in
``schemas/``, and is printed by ``gridbyoc schema --output NAME``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Literal, Protocol, TextIO, TypeVar

Format = Literal["text", "table", "json", "jsonl", "markdown", "sarif"]
"""``table`` is text; a command lists its formats (``@command(..., formats=...)``)."""
MACHINE: frozenset[Format] = frozenset({"json", "jsonl"})
"""The formats that write documents with a ``type``."""

R = TypeVar("R")


class Screen(Protocol):
    """The target of text: stdout for the result, stderr for notes."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment, for ``NO_COLOR`` and ``TERM``."""

    @property
    def stdout(self) -> TextIO:
        """The stream itself, for drawing."""

    def line(self, text: str = "") -> None:
        """Write one line of text, which may contain foreign names."""

    def document(self, text: str) -> None:
        """Write a text of our own unchanged."""

    def note(self, text: str) -> None:
        """Write one line to stderr."""

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table."""


@dataclass(frozen=True, slots=True, eq=False)
class Output(Generic[R]):
    """How results of one kind are written.

    ``type`` is a constant that readers of the JSON rely on, and the schema's name. ``json`` is the document without
    ``type`` and ``stack``. ``stack``: whether the document names its stack; ``optional`` is ``null`` if no stack file
    was given. ``others`` are formats besides text and JSON; their functions get the result and the stack's name.
    """

    type: str
    json: Callable[[R], Mapping[str, Any]]
    text: Callable[[R, Screen], None]
    stack: Literal["named", "optional", "none"] = "named"
    others: Mapping[Format, Callable[[R, str], str]] = field(default_factory=lambda: MappingProxyType({}))

    def document(self, result: R, stack: str | None = None) -> dict[str, Any]:
        """The JSON document; it contains no secret."""
        about = {} if self.stack == "none" else {"stack": stack}
        return {"type": self.type, **about, **self.json(result)}
