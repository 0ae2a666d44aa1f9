"""Break the code, run the tests that should notice: ``make mutants``, or ``python -m tests.mutants [-j 2] [TEXT…]``.

TEXT selects mutants by what stands in their titles. Every mutant runs in a copy of the checkout. The table says which
test noticed; the status is 1 where none did, and 2 where a mutant's text is gone or its tests fail without it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import shutil
import signal
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
PYTEST = ("-q", "-p", "no:cacheprovider", "--timeout=90")
NOTICED, PASSED = 1, 0
"""What pytest ends with: https://docs.pytest.org/en/stable/reference/exit-codes.html"""
LONGEST = 300.0
"""Seconds for one mutant."""


class Tree:
    """A copy of the checkout, and the Python in it that forks its tests."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._environ = {**os.environ, "PYTHONPATH": str(place)}
        self._warm: subprocess.Popen[str] | None = None

    def check(self, tests: Sequence[str], jobs: int) -> bool:
        """Whether these tests pass; the run is shown, and what it compiles is kept."""
        command = [sys.executable, "-m", "pytest", *PYTEST, "-n", str(jobs), *_named(tests)]
        return subprocess.run(command, cwd=self.place, env=self._environ).returncode == PASSED

    def test(self, tests: Sequence[str]) -> tuple[int, str]:
        """pytest's exit status on these tests up to the first that fails, and what it printed; ``TimeoutError``."""
        if self._warm is None:
            self._warm = subprocess.Popen(
                [sys.executable, str(self.place / "tests" / "mutants" / "warm.py")],
                cwd=self.place,
                env={**self._environ, "PYTHONDONTWRITEBYTECODE": "1"},
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        asked, answered = self._warm.stdin, self._warm.stdout
        assert asked is not None
        assert answered is not None
        out = self.place / ".mutant-output"
        arguments = [*PYTEST, "-x", "--tb=no", "-rfE", *_named(tests)]
        asked.write(json.dumps({"arguments": arguments, "out": str(out)}) + "\n")
        asked.flush()
        if not select.select([answered], [], [], LONGEST)[0]:
            self.close()
            raise TimeoutError
        return int(answered.readline() or "-1"), out.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End the Python, and a test that is under way."""
        if self._warm is not None:
            os.killpg(self._warm.pid, signal.SIGKILL)
            self._warm.communicate()
            self._warm = None


@dataclass(frozen=True)
class Result:
    """The result of one mutant: the test that noticed it (empty: it survived), or why the result is unknown."""

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
    trees = [Tree(place / str(number)) for number in range(jobs)]
    shutil.copytree(ROOM, trees[0].place, ignore=LEFT_OUT)
    if not trees[0].check(_all_tests(chosen), jobs):
        _say("The tests fail without any mutant.")
        return 2
    for tree in trees[1:]:
        shutil.copytree(trees[0].place, tree.place)
    _say(f"{len(chosen)} mutants; their tests pass without them ({time.monotonic() - began:.0f} s).")
    try:
        results = list(_results(chosen, trees))
    finally:
        for tree in trees:
            tree.close()
    survivors = [each for each in results if not each.killer and not each.trouble]
    troubled = [each for each in results if each.trouble]
    if survivors or troubled:
        _say("", "Look at these:", *(each.row for each in (*survivors, *troubled)))
    killed = len(results) - len(survivors) - len(troubled)
    _say(
        "", f"{killed} killed, {len(survivors)} survived, {len(troubled)} in trouble; {time.monotonic() - began:.0f} s."
    )
    return 2 if troubled else 1 if survivors else 0


def _all_tests(chosen: Sequence[Mutant]) -> list[str]:
    """What their tests come to: a file that is named as a whole is not named by its parts as well."""
    named = {test for mutant in chosen for test in mutant.tests}
    return sorted(test for test in named if "::" not in test or test.partition("::")[0] not in named)


def _named(tests: Sequence[str]) -> list[str]:
    return [f"tests/{each}" for each in tests]


def _results(chosen: Sequence[Mutant], trees: Sequence[Tree]) -> Iterator[Result]:
    free: Queue[Tree] = Queue()
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


def _try(mutant: Mutant, tree: Tree) -> Result:
    """The mutant in this tree; afterwards the file is as it was, its time too: what is compiled of it fits again."""
    file, began = tree.place / "gridbyoc" / mutant.file, time.monotonic()
    source, times = file.read_text(encoding="utf-8"), file.stat()
    try:
        file.write_text(mutated(source, mutant), encoding="utf-8")
        status, said = tree.test(mutant.tests)
    except TimeoutError:
        return Result(mutant, "", time.monotonic() - began, f"no end within {LONGEST:.0f} s")
    finally:
        file.write_text(source, encoding="utf-8")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    took = time.monotonic() - began
    if status not in (NOTICED, PASSED):
        return Result(mutant, "", took, f"pytest ended with {status}: {said[-500:]}")
    found = re.search(r"^(?:FAILED|ERROR) tests/(.+?)(?: - .*)?$", said, re.MULTILINE)
    return Result(mutant, "" if status == PASSED else found[1] if found else "a time-out", took)


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
