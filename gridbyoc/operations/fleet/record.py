"""Record a fleet's completed stacks, so that the next run after an interrupted one continues with the rest.

The record is in ``.gridbyoc/_fleet`` of the current directory (no stack's name begins with an underscore). A stack
counts as done for a day, if its files, the options, the environment's accounts and control planes, and this tool are
unchanged, and no later run of any kind changed it. A stack whose external id comes from elsewhere is always run again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from gridbyoc import __version__
from gridbyoc.operations.fleet.find import last_change, runs_of
from gridbyoc.operations.fleet.model import Member, Verb
from gridbyoc.stack.files import (
    file_error,
    home_of,
    make_private_dir,
    read_json,
    remove,
    touch_private,
    work_root_of,
    write_atomic,
)
from gridbyoc.stack.model import no_values
from gridbyoc.vendors import VENDORS, facts_of

DIRECTORY = "_fleet"
VALID = timedelta(days=1)
_MOST_FILES = 2000
_LOCK_SECONDS = 30.0


_OUTSIDE = "external_id_from"
_NAMES = ("AWS_CONFIG_FILE", "AWS_DEFAULT_PROFILE", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_SHARED_CREDENTIALS_FILE")
_PREFIXES = ("AWS_ENDPOINT_URL", "TF_AWS_")
_KEY_ID, _PASSING = "AWS_ACCESS_KEY_ID", "ASIA"
"""An access key with this prefix is temporary: it expires within hours, and the next run of the fleet has a new key.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids"""


def digest_of(member: Member, options: Sequence[str], environ: Mapping[str, str]) -> str:
    """A digest of a run's inputs: the stack's files, its module's, options, this tool's version, and the account."""
    head = [__version__, *options, *(f"{name}={environ[name]}" for name in sorted(environ) if _tells(name, environ))]
    digest = hashlib.sha256(json.dumps(head).encode())
    for path in (*member.sources, *(file for module in member.modules for file in _files(module))):
        digest.update(json.dumps(str(path)).encode())
        digest.update(_content(path))
    return digest.hexdigest()


def modules_digest(member: Member) -> str:
    """A digest of the files of a stack's local modules; empty if it has none."""
    digest = hashlib.sha256()
    for path in (file for module in member.modules for file in _files(module)):
        digest.update(json.dumps(str(path)).encode())
        digest.update(_content(path))
    return digest.hexdigest() if member.modules else ""


def _tells(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a variable selects an account or a control plane. None of them is a secret."""
    if name == _KEY_ID:
        return not environ[name].startswith(_PASSING)
    return name in _NAMES or name.startswith(_PREFIXES) or name in _of_control_planes()


@cache
def _of_control_planes() -> frozenset[str]:
    """The variables that hold a control plane's address or our identity there."""
    facts = [facts_of(vendor) for vendor in VENDORS]
    names = ((each.address.variable, each.client.variables.user_id, each.client.variables.username) for each in facts)
    return frozenset(name for row in names for name in row if name)


def _reads_elsewhere(member: Member, options: Sequence[str]) -> bool:
    """Whether the external id comes from the environment or a file: nothing derived from it may be stored."""
    return any(_OUTSIDE in option for option in options) or any(_OUTSIDE.encode() in _text(f) for f in member.sources)


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""


def _files(directory: Path) -> list[Path]:
    found: list[Path] = []
    for root, directories, names in os.walk(directory):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        found += [Path(root, name) for name in sorted(names) if not name.startswith(".")]
        if len(found) > _MOST_FILES:
            break
    return found[:_MOST_FILES]


def _content(path: Path) -> bytes:
    text = _text(path)
    return hashlib.sha256(text).digest() if text else b"-"


@dataclass(frozen=True, slots=True)
class FleetRecord:
    """The record of one verb in one directory; several fleets may write it concurrently."""

    cwd: Path
    verb: Verb
    now: Callable[[], datetime]
    environ: Mapping[str, str] = field(default_factory=no_values)

    @property
    def directory(self) -> Path:
        """The fleet's own, private directory."""
        return home_of(self.cwd, work_root_of(self.environ)) / DIRECTORY

    @property
    def file(self) -> Path:
        """The record's path."""
        return self.directory / f"{self.verb}.json"

    def require_writable(self) -> None:
        """Raise ``FileError`` if the record cannot be written: before the first run, not after it."""
        self._update(lambda entries: entries)

    def done(self, members: Sequence[Member], options: Sequence[str]) -> tuple[Member, ...]:
        """The members that need not be run again."""
        entries = self._read()
        return tuple(m for m in members if self._holds(entries.get(str(m.file)), m, options))

    def digest(self, member: Member, options: Sequence[str]) -> str:
        """A digest of what a stack's run depends on, as it is now."""
        return digest_of(member, options, self.environ)

    def add(self, member: Member, options: Sequence[str]) -> None:
        """Record that a stack's run succeeded. Raises ``FileError``."""
        if _reads_elsewhere(member, options):
            return
        change, digest = last_change(runs_of(member.work_dir)), self.digest(member, options)
        entry = {"digest": digest, "run": change, "at": self.now().isoformat(timespec="seconds")}
        self._update(lambda entries: entries | {str(member.file): entry})

    def clear(self, members: Iterable[Member]) -> None:
        """Forget these members: their fleet's run is complete, or all are to be run again. Raises ``FileError``."""
        files = {str(member.file) for member in members}
        if self.file.exists():
            self._update(lambda entries: {file: entry for file, entry in entries.items() if file not in files})

    def _holds(self, entry: object, member: Member, options: Sequence[str]) -> bool:
        if not isinstance(entry, dict) or entry.get("digest") != self.digest(member, options):
            return False
        try:
            age = self.now() - datetime.fromisoformat(str(entry.get("at")))
        except (ValueError, TypeError):
            return False
        return timedelta(0) <= age < VALID and entry.get("run") == last_change(runs_of(member.work_dir))

    def _read(self) -> dict[str, Any]:
        return read_json(self.file)

    def _update(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        make_private_dir(self.directory)
        try:
            touch_private(self.directory / f"{self.verb}.lock")
            with FileLock(self.directory / f"{self.verb}.lock", timeout=_LOCK_SECONDS, mode=0o600):
                entries = change(self._read())
                if entries:
                    write_atomic(self.file, json.dumps(entries) + "\n")
                else:
                    remove(self.file)
        except OSError as error:
            raise file_error("Cannot write", self.file, error) from None
