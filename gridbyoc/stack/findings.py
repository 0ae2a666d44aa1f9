"""Problems and warnings that the rules find in a stack file."""

from __future__ import annotations

from dataclasses import dataclass, field

from gridbyoc.errors import Problem
from gridbyoc.stack.document import Document, Fault
from gridbyoc.stack.words import Place


@dataclass(slots=True)
class Findings:
    """Collects problems (the file is invalid) and warnings (the file stays valid)."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    _about_types: set[Problem] = field(default_factory=set)
    _places: set[Place] = field(default_factory=set)

    def problem(self, place: Place, message: str, hint: str = "") -> None:
        """Add a problem of the value at ``place``."""
        self._places.add(place)
        self.problems.append(self.document.problem(place, Fault(message, hint)))

    def fault(self, place: Place, fault: Fault | None) -> None:
        """Add ``fault`` as a problem; ``None`` adds nothing."""
        if fault:
            self.problem(place, fault.message, fault.hint)

    def type_fault(self, place: Place, fault: Fault | None) -> None:
        """Add the fault of an instance type that no cluster can run on; ``types_only`` recognizes it."""
        self.fault(place, fault)
        if fault:
            self._about_types.add(self.problems[-1])

    @property
    def types_only(self) -> bool:
        """Whether all problems are about instance types (``type_fault``)."""
        return self._about_types.issuperset(self.problems)

    def warning(self, place: Place, message: str, hint: str = "") -> None:
        """Add a warning about a valid value at ``place``."""
        self.warnings.append(self.document.problem(place, Fault(message, hint)))

    def known_at(self, place: Place) -> bool:
        """Whether there is already a problem at ``place`` or inside it."""
        return any(found[: len(place)] == place for found in self._places)


def in_order(problems: list[Problem], file: str) -> tuple[Problem, ...]:
    """The problems sorted by line, each once; those of ``file`` come before those of ``--set`` and of base files."""
    unique = list(dict.fromkeys(problems))
    return tuple(sorted(unique, key=lambda item: (item.file != file, item.file, item.line or 0)))
