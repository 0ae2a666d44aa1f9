"""The shards of a CI engine's matrix: which stacks to run, and how to spread them."""

from __future__ import annotations

import fnmatch
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.operations.fleet.find import balanced, durations, find_members, longest_first, shown_path
from gridbyoc.operations.fleet.model import Member
from gridbyoc.render.templates import data_dir
from gridbyoc.stack.scan import scan
from gridbyoc.stack.words import nearest, printable

_TIMEOUT = 60.0
LONGEST_ADVICE = 1000
# The repository's own settings must not let a pull request run a program, page or colour.
_SETTINGS = ("-c", "core.fsmonitor=false", "-c", "core.quotepath=off", "--no-pager", "--no-optional-locks")


@dataclass(frozen=True, slots=True)
class Shipped:
    """The directory of the gridbyoc module, and the templates of the root module."""

    module: Path
    templates: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """The repository's top directory (links resolved), its changed files, and the deleted stack files.

    ``shipped``: this program's modules and templates, which may also be in the repository.
    """

    top: Path
    paths: frozenset[str]
    deleted: tuple[str, ...]
    shipped: Shipped | None = None
    _real: dict[Path, str] = field(default_factory=dict)

    def touch(self, member: Member) -> bool:
        """Whether a file of the stack changed: its own, a base, or its module's. Links are followed."""
        if any(self._changed(path) for path in member.sources):
            return True
        return any(self._below(module) for module in member.modules) or self._program_changed(member)

    def _program_changed(self, member: Member) -> bool:
        """Whether the sources of every stack's rendering changed, in a repository that contains this program."""
        if self.shipped is None:
            return False
        ours = not member.modules and self._below(self.shipped.module)
        return ours or any(self._changed(path) for path in self.shipped.templates)

    def holds(self, file: Path) -> bool:
        """Whether a file lies in the repository."""
        return self._place(file).startswith(f"{self.top}/")

    def _place(self, path: Path) -> str:
        """The path with the links of its directory resolved."""
        if path.parent not in self._real:
            self._real[path.parent] = os.path.realpath(path.parent)
        return f"{self._real[path.parent]}/{path.name}"

    def _changed(self, path: Path) -> bool:
        """Whether the path, or the target if it is a link, changed."""
        here = self._place(path)
        places = (here, os.path.realpath(here)) if os.path.islink(here) else (here,)  # noqa: PTH114 - string functions are faster
        top = f"{self.top}/"
        return any(place.startswith(top) and self._listed(place[len(top) :]) for place in places)

    def _listed(self, path: str) -> bool:
        """Whether Git lists the path, or the directory of a submodule that contains it."""
        return path in self.paths or any(str(parent) in self.paths for parent in PurePosixPath(path).parents)

    def _below(self, directory: Path) -> bool:
        place = Path(os.path.realpath(directory))
        if not place.is_relative_to(self.top):
            return False
        inside = "" if place == self.top else place.relative_to(self.top).as_posix()
        return self._listed(inside) or any(path.startswith(f"{inside}/" if inside else "") for path in self.paths)


def changes_since(
    revision: str, cwd: Path, environ: Mapping[str, str], *, untracked: bool = False, shipped: Shipped | None = None
) -> Changes:
    """The changes in the working tree of ``cwd``'s repository since it diverged from ``revision``.

    They are relative to the merge base of ``revision`` and HEAD, so that other people's later changes there do not
    count; if there is none (a shallow clone), to ``revision`` itself. ``untracked`` includes files that Git does not
    track yet. Raises ``UsageError`` without Git, outside a repository, and if the revision does not exist.
    """
    git = _Git(cwd, environ)
    top = Path(os.path.realpath(git("rev-parse", "--show-toplevel").rstrip("\n")))
    base = git.commit(revision)
    diff = _names(git("diff", "--name-only", "--no-renames", "-z", base, "--", cwd=top))
    gone = _names(git("diff", "--name-only", "--no-renames", "--diff-filter=D", "-z", base, "--", cwd=top))
    fresh = _names(git("ls-files", "--others", "--exclude-standard", "-z", cwd=top)) if untracked else ()
    stacks = tuple(path for path in gone if path.endswith((".yaml", ".yml")) and not _hidden(path))
    return Changes(top, frozenset((*diff, *fresh)), git.stacks_among(base, stacks, top), shipped)


def _hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split("\0") if name)


class _Git:
    """Runs Git without a shell, with a time-out and without prompts."""

    def __init__(self, cwd: Path, environ: Mapping[str, str]) -> None:
        self._cwd = cwd
        self._environ = {**environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}

    def __call__(self, *args: str, cwd: Path | None = None, stdin: bytes = b"") -> str:
        done = self._run(args, cwd or self._cwd, stdin)
        if done.returncode:
            said = [printable(line) for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
            why, *advice = said or [f"It ended with {done.returncode}."]
            # For example `git config --global --add safe.directory …` for a checkout of another user.
            raise _refused(f"`git {args[0]}` failed.", why, " ".join(advice)[:LONGEST_ADVICE])
        return os.fsdecode(done.stdout)

    def _run(self, args: Iterable[str], cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = ["git", *_SETTINGS, *args]
        try:
            return subprocess.run(
                command, cwd=cwd, env=self._environ, input=stdin, capture_output=True, timeout=_TIMEOUT, check=False
            )
        except FileNotFoundError:
            raise _refused(
                "There is no git.", "Git is needed to find the stacks that changed.", "Install git."
            ) from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _refused("git did not complete.", str(error)) from None

    def commit(self, revision: str) -> str:
        """The commit at which HEAD diverged from the revision."""
        asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        found = self._run(asked, self._cwd)
        if found.returncode:
            fix = "Name an existing commit, branch or tag; a shallow clone needs more history (`fetch-depth: 0`)."
            raise _refused(f"There is no revision {revision} in this repository.", "", fix)
        commit = found.stdout.decode().strip()
        parted = self._run(("merge-base", commit, "HEAD"), self._cwd)
        return parted.stdout.decode().split("\n")[0] if parted.returncode == 0 else commit

    def stacks_among(self, commit: str, paths: tuple[str, ...], top: Path) -> tuple[str, ...]:
        """The paths that were stack files in ``commit``."""
        if not paths:
            return ()
        asked = b"".join(f"{commit}:".encode() + os.fsencode(path) + b"\0" for path in paths)
        answer = self._run(("cat-file", "--batch", "-z"), top, asked)
        if answer.returncode:  # Git before 2.38 does not know -z
            asked = b"".join(f"{commit}:".encode() + os.fsencode(path) + b"\n" for path in paths if "\n" not in path)
            answer = self._run(("cat-file", "--batch"), top, asked)
        texts = _blobs(answer.stdout)
        return tuple(path for path, text in zip(paths, texts, strict=False) if scan(text).is_stack)


def _blobs(data: bytes) -> list[str]:
    """The contents in the output of ``git cat-file --batch``; empty for missing objects."""
    found, position = [], 0
    while position < len(data):
        end = data.index(b"\n", position)
        head = data[position:end].split(b" ")
        position = end + 1
        if head[-1] == b"missing":
            found.append("")
            continue
        size = int(head[-1])
        found.append(data[position : position + size].decode(errors="replace"))
        position += size + 1
    return found


def _refused(what: str, why: str, fix: str = "") -> UsageError:
    return UsageError(what, why=why, fix=fix, rerun=SAFE_NOTHING_DONE)


@dataclass(frozen=True, slots=True)
class Shard:
    """The stacks that one CI job runs; ``seconds`` is their measured or estimated duration."""

    name: str
    members: tuple[Member, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Since:
    """The ``revision`` to compare with. ``untracked``: files that Git does not track yet count as changed."""

    revision: str
    untracked: bool = False


@dataclass(frozen=True, slots=True)
class Matrix:
    """The shards, longest first.

    ``total`` stacks were found, ``deleted`` stack files were deleted since the revision.
    """

    shards: tuple[Shard, ...]
    total: int
    deleted: tuple[str, ...]

    @property
    def members(self) -> tuple[Member, ...]:
        """The stacks in all shards."""
        return tuple(member for shard in self.shards for member in shard.members)


def make_matrix(
    paths: Sequence[str],
    cwd: Path,
    environ: Mapping[str, str],
    *,
    since: Since | None = None,
    shards: int | None = None,
    verb: str = "bootstrap",
    only: str = "",
) -> Matrix:
    """Find the stacks, keep those that changed, and spread them over ``shards``; by default one stack each.

    ``only``: the name of the only stack to keep. Raises ``UsageError`` if the paths contain no stack, or none of that
    name, and if Git fails.
    """
    members = find_members(paths, cwd, environ=environ, may_be_none=since is not None)
    if only:
        members = _named(only, members)
    changes = _changes(since, cwd, environ) if since else None
    kept = [member for member in members if changes is None or changes.touch(member)]
    _refuse_elsewhere(changes, members)
    seconds = durations(kept, verb)
    ordered = longest_first(kept, seconds)
    if shards is None:
        made = tuple(Shard(member.label, (member,), seconds[member]) for member in ordered)
    else:
        spread = balanced([(member, seconds[member]) for member in ordered], shards)
        made = tuple(_numbered(index, len(spread), each, seconds) for index, each in enumerate(spread))
    return Matrix(made, len(members), _gone(changes, paths, cwd))


def _named(name: str, members: Sequence[Member]) -> tuple[Member, ...]:
    """The members of this name; several are refused by those who need to tell them apart."""
    found = tuple(member for member in members if member.name == name)
    if not found:
        close = nearest(name, [member.name for member in members if member.name])
        raise UsageError(
            f"There is no stack {printable(name[:80])!r}.",
            fix=f"Did you mean {close}?" if close else "Give the name that its stack file has.",
            rerun=SAFE_NOTHING_DONE,
        )
    return found


def _changes(since: Since, cwd: Path, environ: Mapping[str, str]) -> Changes:
    shipped = Shipped(data_dir("modules") / "gridbyoc", tuple(data_dir("templates").glob("*.tf.j2")))
    return changes_since(since.revision, cwd, environ, untracked=since.untracked, shipped=shipped)


def _numbered(index: int, count: int, members: tuple[Member, ...], seconds: Mapping[Member, float]) -> Shard:
    return Shard(f"{index + 1} of {count}", members, sum(seconds[member] for member in members))


def _refuse_elsewhere(changes: Changes | None, members: Sequence[Member]) -> None:
    """Refuse stacks of another repository: they would all count as unchanged."""
    if changes and members and not any(changes.holds(member.file) for member in members):
        raise UsageError(
            f"None of the stacks is in the Git repository {changes.top}.",
            fix="Run this in the repository that holds them, or without --since.",
            rerun=SAFE_NOTHING_DONE,
        )


def _gone(changes: Changes | None, paths: Sequence[str], cwd: Path) -> tuple[str, ...]:
    """Deleted stack files that ``paths`` would have found."""
    here = cwd.resolve()
    places = [os.path.normpath(here / path) for path in paths]
    gone = [changes.top / path for path in changes.deleted] if changes else []
    return tuple(shown_path(file, here) for file in gone if any(_leads(place, file) for place in places))


def _leads(place: str, file: Path) -> bool:
    return file.is_relative_to(place) or fnmatch.fnmatchcase(str(file), place)
