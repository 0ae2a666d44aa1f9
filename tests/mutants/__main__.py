"""Break the code, run the tests that should notice: ``make mutants``, or ``python -m tests.mutants [-j 2] [TEXT…]``.

TEXT selects mutants by what stands in their titles. Every mutant runs in a copy of the checkout. The table says which
test noticed; the status is 1 where none did, and 2 where a mutant's text is gone or its tests fail without it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from tests.mutants.catalogue import MUTANTS
from tests.mutants.source import AnchorError, Mutant, mutated

ROOM = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".venv*", ".git", ".*_cache", ".hypothesis", ".coverage*", "dist", "build")
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=90")
NOTICED, PASSED = 1, 0
"""What pytest ends with: https://docs.pytest.org/en/stable/reference/exit-codes.html"""
LONGEST = 300.0
"""Seconds for one mutant."""


@dataclass(frozen=True)
class Result:
    """What came of one mutant: the test that noticed it (empty: it survived), or why that cannot be told."""

    mutant: Mutant
    killer: str
    seconds: float
    trouble: str = ""

    @property
    def row(self) -> str:
        """A line of the table."""
        verdict = self.trouble or (f"killed by {self.killer}" if self.killer else "SURVIVED")
        return f"{self.seconds:5.1f} s  {self.mutant.title}\n         {verdict}"


def main(arguments: Sequence[str]) -> int:
    """Run them; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("-j", type=int, default=2, metavar="N", dest="jobs", help="how many at once")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="only mutants whose title holds one of these")
    asked = parser.parse_args(arguments)
    faults = [fault for mutant in MUTANTS if (fault := _fault(mutant))]
    if faults:
        _say("These mutants do not fit the code any more:", *faults)
        return 2
    chosen = [each for each in MUTANTS if not asked.texts or any(text in each.title for text in asked.texts)]
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        return _run(chosen, Path(name), asked.jobs)


def _run(chosen: Sequence[Mutant], place: Path, jobs: int) -> int:
    began = time.monotonic()
    trees = [place / str(number) for number in range(jobs)]
    shutil.copytree(ROOM, trees[0], ignore=LEFT_OUT)
    tests = sorted({test for mutant in chosen for test in mutant.tests})
    if _pytest(trees[0], tests, "-n", str(jobs), write=True).returncode != PASSED:
        _say("The tests fail without any mutant.")
        return 2
    for tree in trees[1:]:
        shutil.copytree(trees[0], tree)
    _say(f"{len(chosen)} mutants; their tests pass without them ({time.monotonic() - began:.0f} s).")
    results = list(_results(chosen, trees))
    survivors = [each for each in results if not each.killer and not each.trouble]
    troubled = [each for each in results if each.trouble]
    if survivors or troubled:
        _say("", "Look at these:", *(each.row for each in (*survivors, *troubled)))
    killed = len(results) - len(survivors) - len(troubled)
    _say(
        "", f"{killed} killed, {len(survivors)} survived, {len(troubled)} in trouble; {time.monotonic() - began:.0f} s."
    )
    return 2 if troubled else 1 if survivors else 0


def _results(chosen: Sequence[Mutant], trees: Sequence[Path]) -> Iterator[Result]:
    free: Queue[Path] = Queue()
    for tree in trees:
        free.put(tree)

    def work(mutant: Mutant) -> Result:
        tree = free.get()
        try:
            result = _try(mutant, tree)
        finally:
            free.put(tree)
        return result

    with ThreadPoolExecutor(len(trees)) as pool:
        for number, result in enumerate(pool.map(work, chosen), 1):
            _say(f"{number:3} {result.row}")
            yield result


def _try(mutant: Mutant, tree: Path) -> Result:
    """The mutant in this tree; afterwards the file is as it was, its time too: what is compiled of it fits again."""
    file, began = tree / "gridbyoc" / mutant.file, time.monotonic()
    source, times = file.read_text(encoding="utf-8"), file.stat()
    try:
        file.write_text(mutated(source, mutant), encoding="utf-8")
        ran = _pytest(tree, mutant.tests, "-x", "--tb=no", "-rfE")
    except subprocess.TimeoutExpired:
        return Result(mutant, "", time.monotonic() - began, f"no end within {LONGEST:.0f} s")
    finally:
        file.write_text(source, encoding="utf-8")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    took = time.monotonic() - began
    if ran.returncode not in (NOTICED, PASSED):
        return Result(mutant, "", took, f"pytest ended with {ran.returncode}: {ran.stdout[-500:]}")
    found = re.search(r"^(?:FAILED|ERROR) tests/(.+?)(?: - .*)?$", ran.stdout, re.MULTILINE)
    return Result(mutant, "" if ran.returncode == PASSED else found[1] if found else "a time-out", took)


def _pytest(tree: Path, tests: Sequence[str], *options: str, write: bool = False) -> subprocess.CompletedProcess[str]:
    """In the tree, with its package ahead of the installed one. ``write``: keep what is compiled, and show the run."""
    environ = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, *PYTEST, *options, *(f"tests/{each}" for each in tests)]
    if write:
        return subprocess.run(command, cwd=tree, env=environ, text=True)
    environ["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.run(command, cwd=tree, env=environ, text=True, capture_output=True, timeout=LONGEST)


def _fault(mutant: Mutant) -> str:
    file = ROOM / "gridbyoc" / mutant.file
    try:
        mutated(file.read_text(encoding="utf-8"), mutant)
    except FileNotFoundError:
        return f"{mutant.title}: there is no such file"
    except AnchorError as error:
        return str(error)
    missing = [test for test in mutant.tests if not (ROOM / "tests" / test.partition("::")[0]).exists()]
    return f"{mutant.title}: there is no {', '.join(missing)}" if missing else ""


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
