"""A mutant, and how a piece of source text is found and replaced in one function."""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """``old`` becomes ``new`` in ``function`` (``Class.method``, or a name that is assigned) of a file of the package.

    ``tests`` are those that must notice, as pytest names them, below ``tests/``.
    """

    file: str
    function: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def title(self) -> str:
        """Where it is and what it does, on one line."""
        change = " ".join(f"{self.old} → {self.new or '(nothing)'}".split())
        return f"{self.file} {self.function}: {change}"


class AnchorError(Exception):
    """The function is not there, or does not hold the piece of text exactly once."""


def mutated(source: str, mutant: Mutant) -> str:
    """The file's text with the change in it. ``AnchorError``: the code has moved on, and the mutant must follow."""
    lines = source.splitlines(keepends=True)
    first, last = _lines_of(source, mutant)
    part = "".join(lines[first:last])
    if part.count(mutant.old) != 1:
        raise AnchorError(f"{mutant.title}: the text is there {part.count(mutant.old)} times")
    changed = "".join([*lines[:first], part.replace(mutant.old, mutant.new), *lines[last:]])
    try:
        compile(changed, mutant.file, "exec")
    except SyntaxError as error:
        raise AnchorError(f"{mutant.title}: what comes of it is no Python ({error.msg})") from None
    return changed


def _lines_of(source: str, mutant: Mutant) -> tuple[int, int]:
    """The part of the file to look in: from its first line (counted from 0) to the one after its last."""
    nodes: list[ast.AST] = [ast.parse(source)]
    for name in mutant.function.split("."):
        nodes = [child for node in nodes for child in getattr(node, "body", []) if name in _names(child)]
    if len(nodes) != 1:
        raise AnchorError(f"{mutant.title}: there are {len(nodes)} such names")
    (node,) = nodes
    assert isinstance(node, ast.stmt)
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    return first - 1, node.end_lineno or first


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
