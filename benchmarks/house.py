"""Count files, lines, importers and repetitions of the source: `python benchmarks/house.py [CHECKOUT]`.

A number is no limit: it says where to look. Lines of code are lines that are not blank, an import, a comment or part of
a docstring. Repeated runs are six or more such lines that are equal except for their indentation.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

RUN = 6


def code_lines(text: str, tree: ast.Module) -> list[str]:
    """The lines of code, without indentation."""
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        text_alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if text_alone and isinstance(node.value.value, str):
            left_out |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and lines[token.start[0] - 1].strip().startswith("#"):
            left_out.add(token.start[0])
    return [line.strip() for number, line in enumerate(lines, 1) if line.strip() and number not in left_out]


def imported(tree: ast.Module) -> Iterator[str]:
    """The names of our modules that a module imports, and of the objects that it imports from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gridbyoc"):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("gridbyoc"))


def once_used_helpers(tree: ast.Module, text: str) -> int:
    """Private top-level functions that a module names only once besides their definition."""
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("_")]
    return sum(len(re.findall(rf"\b{re.escape(name)}\b", text)) == 2 for name in names)


def runs_twice(files: dict[str, list[str]]) -> int:
    """Runs of lines that occur at several places, each counted once with its whole length."""
    places: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for name, lines in files.items():
        for start in range(len(lines) - RUN + 1):
            places[tuple(lines[start : start + RUN])].append((name, start))
    twice = {place for found in places.values() if len(found) > 1 for place in found[1:]}
    return sum((name, start - 1) not in twice for name, start in twice)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=Path(__file__).parents[1])
    root: Path = parser.parse_args().directory / "gridbyoc"
    sources = {path.relative_to(root.parent).as_posix(): path.read_text() for path in sorted(root.rglob("*.py"))}
    trees = {name: ast.parse(text) for name, text in sources.items()}
    lines = {name: code_lines(text, trees[name]) for name, text in sources.items()}
    rooms: Counter[str] = Counter()
    for name, found in lines.items():
        parts = name.split("/")
        rooms[parts[1] if len(parts) > 2 else "(top)"] += len(found)
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in sources}
    importers: dict[str, set[str]] = defaultdict(set)
    for name, tree in trees.items():
        for found in {each for each in imported(tree) if each in modules}:
            if modules[found] != name:
                importers[found].add(name)
    single = sum(len(importers[module]) == 1 for module, name in modules.items() if not name.endswith("__init__.py"))
    private = [
        node for tree in trees.values() for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_")
    ]  # fmt: skip
    classes = Counter(node.name for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef))
    text = "\n".join(sources.values())
    cli = "\n".join(found for name, found in sources.items() if name.startswith("gridbyoc/cli/"))
    rows: list[tuple[str, object]] = [
        ("Python files", len(sources)),
        ("lines of code", sum(rooms.values())),
        *((f"  {room}", count) for room, count in sorted(rooms.items(), key=lambda item: -item[1])),
        ("modules with exactly one importer", single),
        ("private helpers used once in their file", sum(once_used_helpers(trees[n], t) for n, t in sources.items())),
        ("private helpers", len(private)),
        ("class names defined more than once", sum(count > 1 for count in classes.values())),
        ("functions called *_object", len(re.findall(r"def \w+_object\(", text))),
        ("`app.json` in cli", len(re.findall(r"\bapp\.json\b", cli))),
        ("sites that ask IAM for a role", len(re.findall(r"\.get_role\(", text))),
        ("sites that read YAML", len(re.findall(r"\bYAML\(|yaml\.(?:safe_)?load|\.compose\(", text))),
        (f"runs of {RUN} or more lines that stand twice", runs_twice(lines)),
    ]
    for title, value in rows:
        print(f"{title:45} {value:>7}")


if __name__ == "__main__":
    main()
