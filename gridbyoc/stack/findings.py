"""What the rules found, in the order of the file."""

from __future__ import annotations

from dataclasses import dataclass, field

from gridbyoc.errors import Problem
from gridbyoc.stack.document import Document, Fault
from gridbyoc.stack.words import Place


@dataclass(slots=True)
class Findings:
    """Collects problems (the file is invalid) and warnings (it is valid, yet)."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    _about_types: set[Problem] = field(default_factory=set)
    _places: set[Place] = field(default_factory=set)

    def problem(self, place: Place, message: str, hint: str = "") -> None:
        """Something at ``place`` is wrong."""
        self._places.add(place)
        self.problems.append(self.document.problem(place, Fault(message, hint)))

    def fault(self, place: Place, fault: Fault | None) -> None:
        """The same, for a rule that judges one value; ``None`` is no fault."""
        if fault:
            self.problem(place, fault.message, fault.hint)

    def type_fault(self, place: Place, fault: Fault | None) -> None:
        """The same, for an instance type that no cluster can run on."""
        self.fault(place, fault)
        if fault:
            self._about_types.add(self.problems[-1])

    @property
    def types_only(self) -> bool:
        """Whether nothing is wrong but instance types (``type_fault``)."""
        return self._about_types.issuperset(self.problems)

    def warning(self, place: Place, message: str, hint: str = "") -> None:
        """Something at ``place`` works, and is worth a word."""
        self.warnings.append(self.document.problem(place, Fault(message, hint)))

    def known_at(self, place: Place) -> bool:
        """Whether a problem was found at ``place``, or in what it holds, already."""
        return any(found[: len(place)] == place for found in self._places)


def in_order(problems: list[Problem], file: str) -> tuple[Problem, ...]:
    """By line, those of the file before those of ``--set`` and of base files, each once."""
    unique = list(dict.fromkeys(problems))
    return tuple(sorted(unique, key=lambda item: (item.file != file, item.file, item.line or 0)))
