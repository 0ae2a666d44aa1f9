"""Find the stacks of a fleet in paths, order them by duration, and validate them."""

from __future__ import annotations

import glob
import os
import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from gridbyoc.errors import SAFE_NOTHING_DONE, ExitStatus, Problem, StackError, UsageError
from gridbyoc.operations.fleet.model import EmitFleet, Member, MemberFinished, Outcome, Result, detail_of
from gridbyoc.operations.journal import JOURNAL, newest_lines, parse_record
from gridbyoc.stack.extends import StackFileIndex, StackFileInfo
from gridbyoc.stack.files import work_root_of
from gridbyoc.stack.load import Loaded, load, read
from gridbyoc.stack.model import S3Backend, Stack, no_values
from gridbyoc.stack.overrides import OverrideError, parse_override
from gridbyoc.stack.words import escaped, place_text
from gridbyoc.terraform.process import Interrupts

SUFFIXES = (".yaml", ".yml")
NOTHING_SET: Mapping[str, str] = no_values()


def find_members(
    paths: Sequence[str], cwd: Path, *, environ: Mapping[str, str] = NOTHING_SET, may_be_none: bool = False
) -> tuple[Member, ...]:
    """The stacks in ``paths`` (files, directories, globs; relative to ``cwd``), sorted by path, each once.

    In a directory, every ``*.yaml`` and ``*.yml`` below it that looks like a stack file counts. Hidden directories
    (including ``.gridbyoc``) and links to directories are skipped. A file that others extend and that is no complete
    stack is left out. ``environ`` says where work_dirs are. Raises ``UsageError`` if a path does not exist, if two
    stacks share a work_dir, and if there is no stack at all (unless ``may_be_none``).
    """
    gallery = StackFileIndex()
    glances = [gallery.glance(file) for file in _files(paths, cwd, gallery)]
    bases = {base for glance in glances for base in glance.sources[1:]}
    kept = [glance for glance in glances if glance.file not in bases or {"name", "clusters"} <= glance.keys]
    if not kept and not may_be_none:
        raise _usage(
            f"There is no stack file in {', '.join(paths)}.", "A stack file has `version`, `name`, `clusters`."
        )
    members = _members(kept, cwd, work_root_of(environ))
    _refuse_shared(members)
    return members


def _files(paths: Sequence[str], cwd: Path, gallery: StackFileIndex) -> list[Path]:
    found: dict[tuple[str, str], Path] = {}
    real = _RealDirectories()
    for file in (file for path in paths for file in _expanded(path, cwd, gallery)):
        found.setdefault((real(file.parent), file.name), file)
    return sorted(found.values())


def _expanded(path: str, cwd: Path, gallery: StackFileIndex) -> Iterator[Path]:
    place = Path(os.path.normpath(cwd / path))
    if os.path.isdir(place):  # noqa: PTH112 - Path.is_dir raises for over-long names
        yield from _below(place, gallery)
    elif os.path.exists(place):  # noqa: PTH110 - as above
        yield place
    else:
        matches = sorted(glob.glob(path, root_dir=cwd, recursive=True)) if glob.has_magic(path) else []  # noqa: PTH207 - may be absolute
        if not matches:
            raise _usage(f"There is no file {path}.", "Name existing stack files, directories or globs.")
        for match in matches:
            yield from _matched(Path(os.path.normpath(cwd / match)), gallery)


def _matched(place: Path, gallery: StackFileIndex) -> Iterator[Path]:
    if place.is_dir():
        yield from _below(place, gallery)
    elif place.name.endswith(SUFFIXES) and ("version" in gallery.glance(place).keys or _is_stack(place, gallery)):
        yield place


def _below(directory: Path, gallery: StackFileIndex) -> Iterator[Path]:
    for root, directories, names in os.walk(directory, onerror=refuse_unreadable):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for name in names:
            file = Path(root, name)
            if name.endswith(SUFFIXES) and not name.startswith(".") and _is_stack(file, gallery):
                yield file


def refuse_unreadable(error: OSError) -> None:
    """Raise ``UsageError`` for a directory that cannot be listed: its stacks would be missed."""
    if isinstance(error, FileNotFoundError):  # removed a moment ago
        return
    what = f"The directory {error.filename} cannot be read: {error.strerror}."
    raise _usage(what, "Change its permissions, or name the stack files.") from None


def _is_stack(file: Path, gallery: StackFileIndex) -> bool:
    """Whether the file looks like a stack. A base may be missing: the stack's own run reports that."""
    if gallery.scan(file).is_stack:
        return True
    return bool(gallery.scan(file).extends) and bool(gallery.glance(file).keys & {"version", "name", "clusters"})


class _RealDirectories:
    """Directories with their links resolved, each only once: even a thousand files are in few directories."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def __call__(self, directory: Path) -> str:
        if directory not in self._known:
            self._known[directory] = os.path.realpath(directory)
        return self._known[directory]


def _members(glances: Sequence[StackFileInfo], cwd: Path, work_root: Path | None) -> tuple[Member, ...]:
    names = Counter(glance.name for glance in glances)
    made = []
    for glance in glances:
        shown = shown_path(glance.file, cwd)
        label = glance.name if glance.name and names[glance.name] == 1 else shown
        made.append(Member(escaped(label), glance.file, shown, glance.name, glance.sources, glance.modules, work_root))
    return tuple(made)


def shown_path(file: Path, cwd: Path) -> str:
    """The path as an argument for a command run in ``cwd``: relative if it is below, and never like an option."""
    text = str(file.relative_to(cwd)) if file.is_relative_to(cwd) else str(file)
    return f"./{text}" if text.startswith("-") else text


def _refuse_shared(members: Iterable[Member]) -> None:
    real, seen = _RealDirectories(), dict[tuple[str, str], Member]()
    for member in members:
        if member.name is None:
            continue
        other = seen.setdefault((real(member.file.parent), member.name), member)
        if other is not member:
            what = f"{other.shown} and {member.shown} are both named {member.name}."
            raise _usage(what, "Give each stack of a directory its own name: they would share a work_dir.")


def _usage(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)


T = TypeVar("T")
RECENT = 5
"""The number of previous runs that are considered."""
_READS = frozenset({"plan", "render"})
"""Verbs that hold the lock and appear in the journal, but change nothing outside the work_dir."""


def runs_of(work_dir: Path | None) -> tuple[dict[str, Any], ...]:
    """The starts and ends of the newest runs in a stack's journal (its last 256 KiB), oldest first."""
    if work_dir is None:
        return ()
    records = (parse_record(line) for line in newest_lines(work_dir / JOURNAL) if b'"run_' in line)
    return tuple(record for record in records if record.get("type") in {"run_started", "run_ended"})


def recent_seconds(records: Iterable[Mapping[str, Any]], verb: str) -> float | None:
    """The longest of the last successful runs of ``verb``; ``None`` if there is none.

    The last run alone says little: a run that finds nothing to do ends within a second.
    """
    began: dict[object, datetime] = {}
    found: deque[float] = deque(maxlen=RECENT)
    for record in records:
        when = _time(record)
        if when is None or record.get("verb") != verb:
            continue
        if record.get("type") == "run_started":
            began[record.get("run")] = when
        elif record.get("code") is None and record.get("run") in began:
            found.append(max(0.0, (when - began[record.get("run")]).total_seconds()))
    return max(found, default=None)


def last_change(records: Iterable[Mapping[str, Any]]) -> str | None:
    """The id of the newest run that may have changed something outside.

    Of a long run, only the end may be in the records.
    """
    changes = [each for each in records if each.get("verb") not in _READS]
    return str(changes[-1].get("run")) if changes else None


def _time(record: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(record.get("time")))
    except ValueError:
        return None


def durations(members: Sequence[Member], verb: str) -> dict[Member, float]:
    """Seconds that ``verb`` takes for each member; the median of the others if a member's is unknown."""
    known = {member: recent_seconds(runs_of(member.work_dir), verb) for member in members}
    told = [seconds for seconds in known.values() if seconds is not None]
    median = statistics.median(told) if told else 1.0
    return {member: median if seconds is None else seconds for member, seconds in known.items()}


def longest_first(members: Sequence[Member], seconds: Mapping[Member, float]) -> tuple[Member, ...]:
    """The members by duration, longest first; equal ones stay in order."""
    return tuple(sorted(members, key=lambda member: -seconds[member]))


def balanced(items: Sequence[tuple[T, float]], shards: int) -> tuple[tuple[T, ...], ...]:
    """Spread items (each with its duration) over shards of about the same length; no shard is empty.

    Longest first, each to the shard with the least so far (LPT), which is at most 4/3 of the optimum:
    https://doi.org/10.1137/0117039.
    """
    count = max(1, min(shards, len(items)))
    filled: list[list[T]] = [[] for _ in range(count)]
    loads = [0.0] * count
    for item, takes in sorted(items, key=lambda pair: -pair[1]):
        least = min(range(count), key=lambda index: (loads[index], len(filled[index])))
        filled[least].append(item)
        loads[least] += takes
    return tuple(map(tuple, filled)) if items else ()


OWN_KEY = "give each stack file its own terraform.backend.s3.key"


def refuse_one_name(overrides: Sequence[str]) -> None:
    """Raise ``UsageError`` if ``--set`` sets the name: every stack would have the same one."""
    for text in overrides:
        try:
            place = parse_override(text).place
        except OverrideError:
            continue  # each stack's own run says what is wrong
        if place == ("name",):
            raise UsageError(
                "A fleet's stacks cannot be named with --set.",
                why="All would have the same name, and so the same work_dir.",
                fix="Leave it out, or run the single verb for one stack file.",
                rerun=SAFE_NOTHING_DONE,
            )


@dataclass(slots=True)
class States:
    """Where the stacks seen so far keep their state."""

    _seen: dict[tuple[str, str], Member] = field(default_factory=dict)

    def other(self, member: Member, stack: Stack) -> tuple[Member, str] | None:
        """A member seen before that has the same state as ``member``, and the state's address."""
        backend = stack.terraform.backend
        if not isinstance(backend, S3Backend):
            return None
        other = self._seen.setdefault((backend.bucket, backend.key), member)
        return None if other is member else (other, f"s3://{backend.bucket}/{backend.key}")


def refuse_one_state(
    members: Sequence[Member], overrides: Sequence[str], environ: Mapping[str, str], home: Path
) -> None:
    """Raise ``UsageError`` if two stacks keep their state in the same object, for example because a base sets the key.

    Reads every file in full; a file that is not valid is left to its own run.
    """
    states = States()
    for member in members if len(members) > 1 else ():
        try:
            found = states.other(member, load(member.file, overrides=overrides, environ=environ, home=home))
        except StackError:
            continue
        if found is not None:
            raise one_state(found, member)


def one_state(found: tuple[Member, str], member: Member) -> UsageError:
    """The error for two stacks with the same state; ``found`` is the first of them, and the state's address."""
    return UsageError(
        f"{found[0].shown} and {member.shown} have the same state: {found[1]}.",
        why="Each would treat the other's role and clusters as its own.",
        fix=f"{OWN_KEY.capitalize()}.",
        rerun=SAFE_NOTHING_DONE,
    )


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The settings for reading each stack file; see ``stack.load.read``."""

    overrides: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: Path
    home: Path
    clock: Callable[[], float]


def validate_members(
    members: Sequence[Member], reading: ReadOptions, emit: EmitFleet, interrupts: Interrupts, *, fail_fast: bool = False
) -> tuple[Result, ...]:
    """A result for every member, in order, with the document that ``gridbyoc validate --format json`` writes."""
    results: list[Result] = []
    waiting, states = deque(members), States()
    with interrupts.listening():
        while waiting and not interrupts.asked and not (fail_fast and results and results[-1].outcome == "failed"):
            results.append(_validated(waiting.popleft(), reading, states))
            emit(MemberFinished(results[-1]))
    for member in waiting:
        results.append(Result(member, "not started"))
        emit(MemberFinished(results[-1]))
    return tuple(results)


def _validated(member: Member, reading: ReadOptions, states: States) -> Result:
    began = reading.clock()
    name: str | None
    try:
        loaded = read(
            member.shown, overrides=reading.overrides, environ=reading.environ, cwd=reading.cwd, home=reading.home
        )
        shared = list(_objects(_shared(member, loaded, states), "error"))
        problems = [*shared, *_objects(loaded.warnings, "warning")]
        status = ExitStatus.USAGE if shared else ExitStatus.DONE
        name = None if shared else loaded.stack.name
    except StackError as error:
        status, name, problems = ExitStatus.USAGE, None, list(_objects(error.problems, "error"))
    document = {"type": "validate", "stack": name, "file": member.shown, "valid": not status, "problems": problems}
    said = {"validate": document}
    outcome: Outcome = "failed" if status else "done"
    return Result(member, outcome, int(status), reading.clock() - began, detail_of("validate", said), None, said)


def _shared(member: Member, loaded: Loaded, states: States) -> list[Problem]:
    found = states.other(member, loaded.stack)
    if found is None:
        return []
    place = ("terraform", "backend", "s3", "key")
    file, line = loaded.origin(place)
    return [Problem(file, line, place_text(place), f"{found[0].shown} has the same state: {found[1]}", OWN_KEY)]


def _objects(problems: Sequence[Problem], level: str) -> Iterator[dict[str, Any]]:
    for problem in problems:
        yield {"level": level, **asdict(problem)}
