"""The bundle as a file: a zip of two stored members, a plain header and a payload. It is never unpacked to disk.

The file may come from anybody. Only these two names are accepted, only stored (a stored member cannot be a zip bomb),
and only up to a size limit.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import io
import json
import os
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from gridbyoc.control_plane.model import Cluster, FieldChange, Grant
from gridbyoc.errors import SAFE_NOTHING_DONE, BundleError, BundleKeyError
from gridbyoc.operations.changes import Action, ClusterChange
from gridbyoc.operations.prepare import PreparedStack
from gridbyoc.operations.run import Run
from gridbyoc.operations.state_place import wanted_backend
from gridbyoc.stack.model import LocalBackend
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import PlanSummary, ResourceChange, State, place_words
from gridbyoc.terraform.events import in_order

KEY_VARIABLE = "GRIDBYOC_BUNDLE_KEY"
SHORTEST_KEY = 16
"""In characters. An attacker may copy a bundle and try keys for years."""

CIPHER, KDF = "AES-256-GCM", "scrypt"
# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#scrypt
N, R, P = 2**17, 8, 1
_MEMORY = 256 * 1024 * 1024
_SALT, _NONCE = 16, 12


class _Keys(NamedTuple):
    cipher: bytes
    check: str


def bundle_key(environ: Mapping[str, str]) -> Secret | None:
    """The key or passphrase in ``GRIDBYOC_BUNDLE_KEY``; ``None`` if not set; ``BundleKeyError`` if too short."""
    text = environ.get(KEY_VARIABLE, "").strip()
    if not text:
        return None
    if len(text) < SHORTEST_KEY:
        raise BundleKeyError(
            f"The key in {KEY_VARIABLE} is too short.",
            why=f"An attacker can copy a bundle and try keys: at least {SHORTEST_KEY} characters are needed.",
            fix="Make one with `openssl rand -base64 32`.",
            rerun=SAFE_NOTHING_DONE,
        )
    return Secret(text)


def new_lock(key: Secret) -> tuple[dict[str, Any], bytes]:
    """The header's encryption object, and the cipher's key.

    The object holds the parameters, a fresh salt and nonce, and a check value that reveals a wrong key.
    """
    salt = os.urandom(_SALT)
    keys = _derive(key, salt)
    lock = {
        "cipher": CIPHER,
        "kdf": KDF,
        "n": N,
        "r": R,
        "p": P,
        "salt": _text(salt),
        "nonce": _text(os.urandom(_NONCE)),
        "key_check": keys.check,
    }
    return lock, keys.cipher


def seal(payload: bytes, cipher: bytes, lock: Mapping[str, Any], header: bytes) -> bytes:
    """Encrypt ``payload`` with the key and the ``lock`` of ``new_lock``; ``header`` contains the ``lock``."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(cipher).encrypt(_bytes(lock, "nonce", _NONCE), payload, header)


def unseal(sealed: bytes, key: Secret | None, lock: Mapping[str, Any], header: bytes) -> bytes:
    """Decrypt. Raises ``BundleKeyError`` without the right key, ``BundleError`` if the bundle was tampered with."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if [lock.get(name) for name in ("cipher", "kdf", "n", "r", "p")] != [CIPHER, KDF, N, R, P]:
        raise BundleError(
            "The bundle is encrypted in a format that this version does not know.",
            fix="Use the version of gridbyoc that made it.",
            rerun=SAFE_NOTHING_DONE,
        )
    nonce, cipher = _bytes(lock, "nonce", _NONCE), _right_key(key, lock)
    try:
        return AESGCM(cipher).decrypt(nonce, sealed, header)
    except InvalidTag:
        raise BundleError(
            "The bundle was changed after it was made.",
            why="Its header or its encrypted part differs from what the key holder wrote.",
            fix="Do not apply it. Check who can write to the place that it came from, and plan again.",
            rerun=SAFE_NOTHING_DONE,
        ) from None


def _right_key(key: Secret | None, lock: Mapping[str, Any]) -> bytes:
    """The cipher's key. Raises ``BundleKeyError`` unless the bundle was made with ``key``."""
    salt = _bytes(lock, "salt", _SALT)
    if key is None:
        raise BundleKeyError(
            "The bundle is encrypted, but there is no key.",
            fix=f"Set {KEY_VARIABLE} to the key that it was made with.",
            rerun=SAFE_NOTHING_DONE,
        )
    keys = _derive(key, salt)
    if not hmac.compare_digest(keys.check.encode(), str(lock.get("key_check")).encode("utf-8", "replace")):
        raise BundleKeyError(
            f"The key in {KEY_VARIABLE} is not the key of this bundle.",
            why="Both jobs must have the same key (or the bundle's header was changed on the way).",
            fix="Give the apply job the key of the plan job, or plan again.",
            rerun=SAFE_NOTHING_DONE,
        )
    return keys.cipher


@lru_cache(maxsize=4)
def _derive(key: Secret, salt: bytes) -> _Keys:
    """Slow by design, so cached. The key itself is in the process's environment anyway."""
    made = hashlib.scrypt(key.reveal().encode(), salt=salt, n=N, r=R, p=P, maxmem=_MEMORY, dklen=48)
    return _Keys(made[:32], made[32:].hex())


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(lock: Mapping[str, Any], name: str, length: int) -> bytes:
    try:
        found = base64.b64decode(str(lock.get(name)), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != length:
        raise BundleError("The bundle's header is damaged.", fix="Plan again.", rerun=SAFE_NOTHING_DONE)
    return found


KIND = "gridbyoc-bundle"
FORMAT = 1
"""Increased if an older reader would misread a newer bundle."""

_Schema = dict[str, Any]
TEXT: _Schema = {"type": "string"}
COUNT: _Schema = {"type": "integer", "minimum": 0}
DIGEST: _Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _object_of(_optional: _Schema | None = None, **properties: _Schema) -> _Schema:
    """An object with all of these properties; further ones are allowed."""
    return {"type": "object", "properties": {**properties, **(_optional or {})}, "required": list(properties)}


def _list(items: _Schema) -> _Schema:
    return {"type": "array", "items": items, "maxItems": 100_000}


def _or_null(schema: _Schema) -> _Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_COUNTS = _object_of(add=COUNT, change=COUNT, destroy=COUNT)
HEADER = _object_of(
    stack=TEXT,
    created=TEXT,
    tool=TEXT,
    terraform=_object_of(flavour=TEXT, version=TEXT),
    digests=_object_of(stack_files={"type": "object", "additionalProperties": DIGEST}, module=DIGEST, lock_file=TEXT),
    summary=_object_of(
        has_changes={"type": "boolean"},
        terraform=_COUNTS,
        clusters=_object_of(create=COUNT, update=COUNT, delete=COUNT),
        destroys=_list(TEXT),
    ),
    encryption=_or_null({"type": "object"}),
)
_RESOURCE = _object_of(address=TEXT, action=TEXT, reason=TEXT)
_FIELD = _object_of(field=TEXT, before=TEXT, after=TEXT)
PAYLOAD = _object_of(
    _optional={"detaches": _list(TEXT)},  # not in a bundle of an earlier version
    plan=TEXT,
    lock_file=_or_null(TEXT),
    overrides=_list(TEXT),
    root=DIGEST,
    environment=DIGEST,
    run=TEXT,
    against=_object_of(
        account_id=TEXT,
        region=TEXT,
        control_plane=TEXT,
        state=_object_of(place=TEXT, lineage=TEXT, serial=COUNT),
        clusters=_list(_object_of(id=TEXT, name=TEXT, spec=DIGEST)),
    ),
    terraform=_object_of(
        **_COUNTS["properties"],
        has_changes={"type": "boolean"},
        changes=_list(_RESOURCE),
        outputs=_list(TEXT),
    ),
    changes=_list(
        _object_of(
            action={"enum": ["create", "update", "delete", "none"]},
            name=TEXT,
            cluster=_or_null(TEXT),
            fields=_list(_FIELD),
        )
    ),
)


HEADER_NAME, PAYLOAD_NAME = "bundle.json", "payload"
LARGEST_HEADER = 1024 * 1024
LARGEST = 256 * 1024 * 1024
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def pack(header: Mapping[str, Any], payload: Mapping[str, Any], key: Secret | None) -> bytes:
    """The file's bytes. Anybody can read ``header``; ``payload`` is encrypted if there is a ``key``."""
    lock, cipher = new_lock(key) if key else (None, b"")
    plain = json.dumps(payload, ensure_ascii=False, sort_keys=True).encode()
    full = {"kind": KIND, "format": FORMAT, **header, "encryption": lock}
    if lock is None:
        full["payload_sha256"] = hashlib.sha256(plain).hexdigest()
    head = json.dumps(full, ensure_ascii=False, indent=2, sort_keys=True).encode()
    sealed = seal(plain, cipher, lock, head) if lock else plain
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in ((HEADER_NAME, head), (PAYLOAD_NAME, sealed)):
            archive.writestr(zipfile.ZipInfo(name, _EARLIEST), content)
    return stream.getvalue()


def read_header(data: bytes) -> dict[str, Any]:
    """The plain header; ``BundleError`` if the data is not a bundle."""
    return _header(_members(data)[0])


def unpack(data: bytes, key: Secret | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload, with their structure checked. Raises ``BundleError`` and ``BundleKeyError``."""
    head, sealed = _members(data)
    header = _header(head)
    lock = header["encryption"]
    if lock is None and key is not None:
        # Anybody who can write where bundles are kept could replace an encrypted bundle with an unencrypted one.
        raise BundleKeyError(
            "The bundle is not encrypted, although there is a key.",
            why=f"If {KEY_VARIABLE} is set, only bundles of its holder are applied: anybody may have made this one.",
            fix=f"Plan again with the key; or, if you trust this bundle's origin, unset {KEY_VARIABLE}.",
            rerun=SAFE_NOTHING_DONE,
        )
    if lock is not None:
        plain = unseal(sealed, key, lock, head)
    elif hashlib.sha256(sealed).hexdigest() == header.get("payload_sha256"):
        plain = sealed
    else:
        _refuse("its payload does not match its header")
    return header, _shaped(_object(plain, "payload"), PAYLOAD, "payload")


def _members(data: bytes) -> tuple[bytes, bytes]:
    if len(data) > LARGEST:
        _refuse(f"it is larger than {LARGEST // 1024**2} MiB")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if [info.filename for info in infos] != [HEADER_NAME, PAYLOAD_NAME]:
                _refuse(f"it must hold {HEADER_NAME} and {PAYLOAD_NAME}, and nothing else")
            if any(info.compress_type != zipfile.ZIP_STORED or info.file_size > len(data) for info in infos):
                _refuse("a member is compressed or larger than the file")
            if infos[0].file_size > LARGEST_HEADER:
                _refuse("its header is too large")
            return archive.read(infos[0]), archive.read(infos[1])
    # zipfile raises various exceptions for a damaged file: https://docs.python.org/3/library/zipfile.html
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError, EOFError, KeyError) as error:
        _refuse(f"it cannot be read as a bundle ({type(error).__name__})")


def _header(head: bytes) -> dict[str, Any]:
    found = _object(head, "header")
    if found.get("kind") != KIND:
        _refuse("its header is not that of a bundle")
    if found.get("format") != FORMAT:
        raise BundleError(
            f"The bundle has format {json.dumps(found.get('format'))[:40]}; this version of gridbyoc reads {FORMAT}.",
            fix="Apply it with the version that made it, or plan again.",
            rerun=SAFE_NOTHING_DONE,
        )
    return _shaped(found, HEADER, "header")


def _object(text: bytes, part: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        _refuse(f"its {part} is not a JSON object")
    return found


def _shaped(found: dict[str, Any], schema: Mapping[str, Any], part: str) -> dict[str, Any]:
    from jsonschema import Draft202012Validator

    error = next(iter(Draft202012Validator(schema).iter_errors(found)), None)
    if error is not None:
        # Only the place: the value may be a secret, or anything at all.
        place = "/".join(str(step)[:40] for step in error.absolute_path)
        _refuse(f"its {part} is invalid at /{place} ({error.validator})")
    return found


def _refuse(why: str) -> NoReturn:
    raise BundleError(
        "The file is not a bundle that can be used.",
        why=f"{why[0].upper()}{why[1:]}.",
        fix="It may have been cut off on the way, or be another file. Make one with `gridbyoc plan --out FILE`.",
        rerun=SAFE_NOTHING_DONE,
    ) from None


LOCAL = "local"


@dataclass(frozen=True, slots=True)
class StateMark:
    """The place and identity of the state; ``lineage`` is empty if there is no state yet."""

    place: str
    lineage: str
    serial: int


@dataclass(frozen=True, slots=True)
class ClusterMark:
    """A cluster as it was read. ``spec`` is a SHA-256 of its whole spec, including fields unknown to this version."""

    id: str
    name: str
    spec: str


@dataclass(frozen=True, slots=True)
class Basis:
    """Everything outside the stack file that a plan depends on."""

    account_id: str
    region: str
    control_plane: str
    state: StateMark
    clusters: tuple[ClusterMark, ...]

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Basis:
        """Convert the object that ``asdict`` makes (its structure has been checked)."""
        state = StateMark(*(found["state"][name] for name in ("place", "lineage", "serial")))
        clusters = tuple(ClusterMark(each["id"], each["name"], each["spec"]) for each in found["clusters"])
        return cls(found["account_id"], found["region"], found["control_plane"], state, clusters)


def basis_of(run: Run, site: PreparedStack, grant: Grant | None) -> Basis:
    """The current basis: the state that the run has read, and the clusters that the preflight has seen."""
    state = State() if site.fresh else site.state
    flight = site.preflight
    names = {spec.name for spec in run.stack.clusters}
    marks = cluster_marks(flight.clusters, site.roles(grant), names)
    where = StateMark(_place(run, site), state.lineage, state.serial)
    return Basis(flight.caller.account_id, run.stack.aws.region, flight.registrar.url, where, marks)


def cluster_marks(
    clusters: Iterable[Cluster], our_roles: Collection[str], names: Collection[str]
) -> tuple[ClusterMark, ...]:
    """The live clusters that concern a stack: those of its roles, and those whose names it asks for."""
    ours = (cluster for cluster in clusters if cluster.role_arn in our_roles or cluster.name in names)
    return tuple(ClusterMark(c.id, c.name, _spec_digest(c)) for c in sorted(ours, key=lambda each: each.id))


def moved(then: Basis, now: Basis) -> Iterator[str]:
    """One line per difference, in order of importance."""
    yield from other_account(then.account_id, now.account_id)
    if then.region != now.region:
        yield f"the region is {now.region}, but was {then.region}"
    if then.control_plane != now.control_plane:
        yield f"the control plane is {now.control_plane}, but was {then.control_plane}"
    yield from _state_moved(then.state, now.state)
    yield from _clusters_moved(then.clusters, now.clusters)


def other_account(then: str, now: str) -> Iterator[str]:
    """A line if the account differs; also used on its own, before the rest can be compared."""
    if then != now:
        yield f"the AWS account is {now}, but the plan was made in {then}"


def _state_moved(then: StateMark, now: StateMark) -> Iterator[str]:
    if then.place != now.place:
        yield f"the state is in {now.place}, but was in {then.place}"
    elif not then.lineage and now.lineage:
        yield f"there is a state now, at serial {now.serial}; there was none"
    elif then.lineage and not now.lineage:
        yield f"there is no state any more; there was one at serial {then.serial}"
    elif then.lineage != now.lineage:
        yield f"the state is a different one: lineage {now.lineage}, but was {then.lineage}"
    elif then.serial != now.serial:
        yield f"the state changed from serial {then.serial} to {now.serial}"


def _clusters_moved(then: tuple[ClusterMark, ...], now: tuple[ClusterMark, ...]) -> Iterator[str]:
    before, after = {mark.id: mark for mark in then}, {mark.id: mark for mark in now}
    for mark in then:
        if mark.id not in after:
            yield f"the cluster {mark.name} ({mark.id}) was deleted, or runs through another role"
        elif after[mark.id] != mark:
            yield f"the cluster {mark.name} ({mark.id}) was changed"
    for mark in now:
        if mark.id not in before:
            yield f"the cluster {mark.name} ({mark.id}) is new"


def _place(run: Run, site: PreparedStack) -> str:
    backend = run.stack.terraform.backend
    if isinstance(backend, LocalBackend):
        return LOCAL
    wanted = wanted_backend(run.stack, backend, native_lock=site.binary.s3_native_lock)
    return place_words(wanted, run.work_dir)


def _spec_digest(cluster: Cluster) -> str:
    spec = cluster.raw.get("spec", {})
    text = json.dumps([cluster.desired_state.value, spec], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """The versions that made the plan, and digests of all files in the checkout that it depends on."""

    tool: str
    flavour: str
    version: str
    stack_files: Mapping[str, str]
    module: str
    lock_file: str

    @classmethod
    def of_header(cls, header: Mapping[str, Any]) -> MadeFrom:
        """Convert a header whose structure has been checked."""
        digests, terraform = header["digests"], header["terraform"]
        files, module, lock_file = (digests[name] for name in ("stack_files", "module", "lock_file"))
        return cls(header["tool"], terraform["flavour"], terraform["version"], files, module, lock_file)


@dataclass(frozen=True, slots=True)
class PlannedCluster:
    """One planned control plane change; ``cluster`` is the id of the cluster that it concerns."""

    action: Action
    name: str
    cluster: str | None = None
    fields: tuple[FieldChange, ...] = ()

    @classmethod
    def of(cls, change: ClusterChange) -> PlannedCluster:
        """The serializable part of a change."""
        return cls(change.action, change.name, change.cluster.id if change.cluster else None, change.fields)

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> PlannedCluster:
        """Convert an object whose structure has been checked."""
        fields = tuple(FieldChange(each["field"], each["before"], each["after"]) for each in found["fields"])
        return cls(found["action"], found["name"], found["cluster"], fields)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle, read. ``plan`` is Terraform's saved plan: it holds secrets in plain text; ``overrides`` may, too."""

    stack: str
    created: str
    made: MadeFrom
    plan: bytes = field(repr=False)
    lock_file: str | None
    overrides: tuple[str, ...] = field(repr=False)
    root: str
    environment: str
    run: str
    basis: Basis
    terraform: PlanSummary
    changes: tuple[PlannedCluster, ...]
    detaches: tuple[str, ...] = ()


def summary_of_json(found: Mapping[str, Any]) -> PlanSummary:
    """Terraform's half of the plan, from an object whose structure has been checked."""
    changes = in_order(ResourceChange(each["address"], each["action"], each["reason"]) for each in found["changes"])
    return PlanSummary(
        add=found["add"],
        change=found["change"],
        destroy=found["destroy"],
        changes=changes,
        drift=(),
        outputs=tuple(found["outputs"]),
        has_changes=found["has_changes"],
    )
