"""Pages that are run as they stand: each command in order, in one shell, and its output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gridbyoc.stack.sandbox_mark import SANDBOX_MARK
from tests.e2e import warm_python
from tests.e2e.conftest import Tool

DOCS = Path(__file__).parents[2] / "docs"
PROMPT = "(sandbox) $ "
LEFT_OUT = "…"
"""As a line: any number of lines. At the end of a line: any text."""
END = "end of this output"
PLACEHOLDERS = (
    (r"(grid-cloud|byoc)-[0-9a-f]{26}", r"\1-ID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\dZ| UTC)", "TIME"),
    (r"\((just now|\d+ \w+ ago)\)", "(AGO)"),
    (r"(done|skipped) in [\d.]+ ?(m?s|min)( \d+ ?s)?", r"\1 in DURATION"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
)


@dataclass(frozen=True)
class Command:
    """A command of the page and the lines below it."""

    text: str
    output: tuple[str, ...]


def commands_of(page: str) -> list[Command]:
    """The commands that the page's console blocks run in the sandbox."""
    found: list[Command] = []
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        for part in re.split(r"^(?=\(sandbox\) \$ |\$ )", block, flags=re.MULTILINE):
            command, _, output = part.partition("\n")
            if command.startswith(PROMPT):
                found.append(Command(command.removeprefix(PROMPT), tuple(output.splitlines())))
    return found


def normal(line: str) -> str:
    """The line with a placeholder for each value that differs from run to run."""
    for pattern, name in PLACEHOLDERS:
        line = re.sub(pattern, name, line)
    return line.rstrip()


def says_the_same(expected: tuple[str, ...], shown: list[str]) -> bool:
    """Whether the page's lines match the command's."""
    parts = []
    for line in map(normal, expected):
        if line == LEFT_OUT:
            parts.append(r"(?:.*\n)*?")
        else:
            known, dots, _ = line.partition(LEFT_OUT)
            parts.append(re.escape(known) + (r".*\n" if dots else r"\n"))
    return re.fullmatch("".join(parts), "".join(f"{normal(line)}\n" for line in shown)) is not None


def run_all(commands: list[Command], directory: Path, env: dict[str, str]) -> list[list[str]]:
    """The output of each command, all of them typed into one shell."""
    script = "".join(f"{command.text}\necho '{END}'\n" for command in commands)
    ran = subprocess.run(
        ["sh", "-c", script], cwd=directory, env=env, text=True, timeout=170,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return [part.splitlines() for part in ran.stdout.split(f"{END}\n")]


@pytest.mark.parametrize("page", ["tutorial.md", "two-people.md"])
def test_the_page_says_what_happens(tool: Tool, page: str) -> None:
    program = tool.directory.parent / "bin" / "gridbyoc"
    program.parent.mkdir()
    warm_python.write_program(program)
    path = os.pathsep.join((str(program.parent), str(Path(sys.executable).parent), tool.env["PATH"]))
    commands = commands_of((DOCS / page).read_text())
    assert len(commands) > 15
    assert commands.pop().text == "exit"
    env = {**tool.env, "PATH": path, "GRIDBYOC_SKIP_PREFLIGHT": "", SANDBOX_MARK: str(tool.directory.parent)}
    outputs = run_all(commands, tool.directory, env)
    assert len(outputs) == len(commands) + 1
    different = [
        "\n".join((f"{PROMPT}{command.text}", "the page:", *command.output, "the run:", *output))
        for command, output in zip(commands, outputs, strict=False)
        if not says_the_same(command.output, output)
    ]
    assert not different, f"docs/{page} says something else than what happens:\n\n" + "\n\n".join(different)


@pytest.mark.parametrize(
    "expected,shown,same",
    [
        (("a", "…", "c"), ["a", "b", "b", "c"], True),
        (("a", "…", "c"), ["a", "b"], False),
        (("a",), ["a", "b"], False),
        (("…",), [], True),
        (("plan: done in 1.2s: 14 to add",), ["plan: done in 12s: 14 to add"], True),
        (("plan: done in 1.2s: 14 to add",), ["plan: done in 1.2s: 13 to add"], False),
        (("gets 9 policies: …",), ["gets 9 policies: a, b"], True),
        (("gets 9 policies: …",), ["gets 8 policies: a, b"], False),
        (("role/grid-cloud-20261130055645777100000001",), ["role/grid-cloud-20261201000000000000000002"], True),
    ],
)
def test_what_counts_as_the_same(expected: tuple[str, ...], shown: list[str], same: bool) -> None:
    assert says_the_same(expected, shown) is same
