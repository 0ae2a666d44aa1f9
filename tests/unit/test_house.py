"""The house: which room may import which, and who may print."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import cast

import gridbyoc

ROOT = Path(gridbyoc.__file__).parent
MAY_IMPORT = {
    "errors": set(),
    "vendors": {"errors"},
    "stack": {"vendors", "errors"},
    "render": {"stack", "vendors", "errors"},
    "terraform": {"stack", "vendors", "errors"},
    "aws": {"stack", "vendors", "errors"},
    "control_plane": {"stack", "vendors", "errors"},
    "operations": {"render", "terraform", "aws", "control_plane", "stack", "vendors", "errors"},
    "show": {"operations", "control_plane", "stack", "vendors", "errors"},
    "sandbox": {"stack", "vendors", "errors"},
    "cli": {
        "show",
        "sandbox",
        "operations",
        "render",
        "terraform",
        "aws",
        "control_plane",
        "stack",
        "vendors",
        "errors",
    },
    "__main__": {"cli"},
    "__init__": set(),
}

SERVERS = {"lifeline.py"}
"""Processes of their own, which write their own log."""


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def sources() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if "_data" not in path.parts]


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """The module, and all that is in it."""
    return list(ast.walk(ast.parse(path.read_text())))


def imported_rooms(path: Path) -> set[str]:
    names = []
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names += [
                f"{node.module}.{alias.name}" if node.module == "gridbyoc" else node.module for alias in node.names
            ]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("gridbyoc.")}


def test_imports_go_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {room}"
        for path in sources()
        for room in imported_rooms(path)
        if room != room_of(path) and room not in MAY_IMPORT[room_of(path)] | {"__version__"}
    ]
    assert wrong == []


def test_no_relative_imports() -> None:
    relative = [
        str(path) for path in sources() for node in nodes_of(path) if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_nothing_below_the_command_line_prints() -> None:
    prints = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        if room_of(path) not in {"cli", "__main__"} and path.name not in SERVERS
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert prints == []


def types_of(path: Path) -> set[str]:
    """The classes of a file, and what it calls a type; variables of types (``T``) are everywhere."""
    assigned = {
        target.id
        for node in cast(ast.Module, nodes_of(path)[0]).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and not target.id.isupper() and target.id[0].isupper()
    }
    return assigned | {node.name for node in nodes_of(path) if isinstance(node, ast.ClassDef)}


def test_the_name_of_a_type_means_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for path in sources():
        for name in types_of(path):
            places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_the_files_that_the_architecture_names_are_there() -> None:
    """Files of the package, and tests (``*`` stands for more than one)."""
    text = (ROOT.parent / "docs" / "architecture.md").read_text()
    named = re.findall(r"`([a-z_0-9]+/[a-z_0-9/*]+\.(?:py|json|yaml))`", text)
    assert len(named) > 30
    for name in named:
        top = ROOT.parent / "tests" if name.startswith(("unit/", "functional/", "e2e/")) else ROOT
        assert list(top.glob(name)), name
