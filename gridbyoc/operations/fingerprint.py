"""The converged fingerprint as a document, and where it is kept: in the work_dir, and beside a state in S3.

A run from a fresh checkout has an empty work_dir, so it reads the object ``KEY.converged.json`` beside the state.
Nothing in the document depends on a machine, a user or a path.

The object is not written under Terraform's lock, which only Terraform takes. The document names the content of the
state (lineage, outputs, resources), so it does not hold beside any other state. The write is conditional, so a slow run
does not overwrite the document of a later one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gridbyoc.aws import FINGERPRINT_SUFFIX, AwsSession, StoredObject, read_object, remove_object, write_object
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.events import Note
from gridbyoc.operations.run import Run
from gridbyoc.render import KnownPolicies
from gridbyoc.stack.files import json_object, read_json, remove, write_atomic
from gridbyoc.stack.model import S3Backend
from gridbyoc.terraform import Backend, State

RECORD = "converged.json"
FORMAT = 3
"""The document's format. Increase it when its fields or the comparisons change; other formats are ignored.

The first format had no number, and was also written if the role had policies that the stack file does not list. The
second depended on the work_dir.
"""
_ROLE_ARN = re.compile(r"arn:[^:]+:iam::[0-9]{12}:role/.+")
_DIGESTS = ("inputs", "providers", "state", "live", "clusters")


@dataclass(frozen=True, slots=True)
class Converged:
    """The result of a good run as keyed digests. They prove equality and reveal nothing of the external id.

    ``native_lock``: the state in S3 is locked by an object. ``known`` and ``known_inline``: the policies of others that
    an exclusive role keeps. ``key`` is the digests' own.
    """

    format: int
    account_id: str
    role_arn: str
    native_lock: bool
    known: tuple[str, ...]
    known_inline: tuple[str, ...]
    inputs: str
    providers: str
    state: str
    live: str
    clusters: str
    key: bytes = field(repr=False)

    @property
    def known_policies(self) -> KnownPolicies:
        """The policies of others that an exclusive role keeps."""
        return KnownPolicies(self.known, self.known_inline)

    def text(self) -> str:
        """The document, as it is kept."""
        return json.dumps({**asdict(self), "key": self.key.hex()}, indent=2) + "\n"


def keyed_digest(key: bytes, value: object) -> str:
    """A digest with the document's own key, so that precomputed digests do not reveal the value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def state_content(state: State) -> dict[str, Any]:
    """The part of a state that a plan reads.

    An apply that changes nothing still writes the file, with a new serial and its checks in another order.
    """
    return {name: state.document[name] for name in ("lineage", "outputs", "resources")}


def _parsed(found: dict[str, Any]) -> Converged | None:
    """The fingerprint; ``None`` if the document is invalid or of another format."""
    try:
        lists = {name: tuple(found[name]) for name in ("known", "known_inline")}
        record = Converged(**{**found, **lists, "key": bytes.fromhex(found["key"])})
    except (ValueError, TypeError, KeyError):
        return None
    texts = (record.account_id, record.role_arn, *(getattr(record, name) for name in _DIGESTS))
    named = all(isinstance(text, str) for text in (*texts, *record.known, *record.known_inline))
    named = named and type(record.format) is int and record.format == FORMAT
    return record if named and isinstance(record.native_lock, bool) and _ROLE_ARN.fullmatch(record.role_arn) else None


def _of(stored: StoredObject | None) -> Converged | None:
    return _parsed(json_object(stored.content) or {}) if stored else None


def kept_here(work_dir: Path) -> Converged | None:
    """The fingerprint in the work_dir; ``None`` if it is missing, invalid or of another format."""
    return _parsed(read_json(work_dir / RECORD))


def kept_beside_state(run: Run) -> Converged | None:
    """The fingerprint beside the stack's state in S3; ``None`` as above. Raises ``AwsError`` if it cannot be read."""
    backend = run.stack.terraform.backend
    return _of(_read(run, backend)) if isinstance(backend, S3Backend) else None


def forget_here(work_dir: Path) -> None:
    """Remove the fingerprint from the work_dir."""
    with suppress(OSError):
        remove(work_dir / RECORD)


def keep(run: Run, seal: Callable[[bytes], Converged]) -> None:
    """Keep the fingerprint that ``seal`` makes with a key, in the work_dir and beside a state in S3.

    Never fails: the run has done its work, and the next one uses Terraform. An object that says the same is not written
    again, so that a versioned bucket does not fill with copies.
    """
    record = seal(secrets.token_bytes(32))
    with suppress(GridbyocError):
        write_atomic(run.work_dir / RECORD, record.text())
    backend = run.stack.terraform.backend
    if not isinstance(backend, S3Backend):
        return
    try:
        stored = _read(run, backend)
        there = _of(stored)
        if there is None or seal(there.key) != there:
            write_object(_session(run, backend), backend, _key(backend), record.text(), replaces=stored)
    except GridbyocError as error:
        _tell(run, backend, error)


def forget_beside_state(run: Run) -> None:
    """Remove the fingerprint beside the stack's state in S3, if there is one.

    Never fails: one that stays does not hold, because the state, the role or the clusters differ.
    """
    backend = run.stack.terraform.backend
    if isinstance(backend, S3Backend):
        with suppress(GridbyocError):
            _remove(run, backend)


def move(run: Run, source: Backend, state: State) -> None:
    """Move the fingerprint after the state, which is ``state``, from ``source`` to the stack's place.

    Only the one of this state is kept. Never fails, as above.
    """
    backend, config = run.stack.terraform.backend, source.config
    bucket, key, region = (str(config.get(name) or "") for name in ("bucket", "key", "region"))
    old = S3Backend(bucket, key, region, config.get("profile"))
    if isinstance(backend, S3Backend) and old.profile == run.stack.state_profile(backend):
        old = replace(backend, bucket=bucket, key=key, region=region)  # with its role, if it has one
    try:
        stored = (kept_here(run.work_dir), _of(_read(run, old)) if source.type == "s3" else None)
        content = state_content(state.whole())
        record = next((each for each in stored if each and keyed_digest(each.key, content) == each.state), None)
        if record is not None:
            write_atomic(run.work_dir / RECORD, record.text())
        if record is not None and isinstance(backend, S3Backend):
            there = _read(run, backend)
            write_object(_session(run, backend), backend, _key(backend), record.text(), replaces=there)
        if source.type == "s3":
            _remove(run, old)
    except GridbyocError as error:
        _tell(run, backend if isinstance(backend, S3Backend) else old, error)


def _tell(run: Run, backend: S3Backend, error: GridbyocError) -> None:
    why = (error.why or error.what).partition(". ")[0].rstrip(".")  # without what it means for other commands
    text = (
        f"The converged fingerprint s3://{backend.bucket}/{_key(backend)} was not written: {why}. "
        "A run from a fresh checkout starts Terraform. `gridbyoc policy` prints the permissions."
    )
    run.outside.emit(Note(text))


def _read(run: Run, backend: S3Backend) -> StoredObject | None:
    return read_object(_session(run, backend), backend.bucket, _key(backend))


def _remove(run: Run, backend: S3Backend) -> None:
    """Remove the object if it is there: in a versioned bucket, each removal adds a delete marker."""
    if _read(run, backend) is not None:
        remove_object(_session(run, backend), backend.bucket, _key(backend))


def _session(run: Run, backend: S3Backend) -> AwsSession:
    return run.state_session(backend)


def _key(backend: S3Backend) -> str:
    return f"{backend.key}{FINGERPRINT_SUFFIX}"
