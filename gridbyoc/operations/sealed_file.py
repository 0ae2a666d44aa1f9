"""A file that carries secrets from one job or person to another.

It is a zip of two stored members, a plain header and an encrypted payload, and is never unpacked to disk.

The file may come from anybody. Only these two names are accepted, only stored (a stored member cannot be a zip bomb),
and only up to a size limit. Plan bundles and handoffs are such files; each is a ``SealedFormat``.
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
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from gridbyoc.errors import SAFE_NOTHING_DONE, GridbyocError, WrongFileKindError
from gridbyoc.stack.secret import Secret

SHORTEST_KEY = 16
"""In characters. An attacker may copy the file and try keys for years."""
FORMAT = 1
"""Increased if an older reader would misread a newer file."""

CIPHER, KDF = "AES-256-GCM", "scrypt"
# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#scrypt
N, R, P = 2**17, 8, 1
_MEMORY = 256 * 1024 * 1024
_SALT, _NONCE = 16, 12

PAYLOAD_NAME = "payload"
LARGEST_HEADER = 1024 * 1024
LARGEST = 256 * 1024 * 1024
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_USES = {
    "bundle": "a plan bundle, written by `gridbyoc plan --out`: `gridbyoc apply FILE` applies it",
    "handoff": "a handoff, written by `gridbyoc handoff --out`: `gridbyoc register --handoff FILE NAME` reads it",
}
"""By noun: what the file is, and the command that reads it."""

Shape = dict[str, Any]
TEXT: Shape = {"type": "string"}
COUNT: Shape = {"type": "integer", "minimum": 0}
DIGEST: Shape = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def object_of(_optional: Shape | None = None, **properties: Shape) -> Shape:
    """An object schema that requires ``properties`` and allows further ones."""
    return {"type": "object", "properties": {**properties, **(_optional or {})}, "required": list(properties)}


def list_of(items: Shape) -> Shape:
    """An array schema."""
    return {"type": "array", "items": items, "maxItems": 100_000}


def or_null(schema: Shape) -> Shape:
    """The same schema, or ``null``."""
    return {"anyOf": [schema, {"type": "null"}]}


class _Keys(NamedTuple):
    cipher: bytes
    check: str


@dataclass(frozen=True, slots=True)
class SealedFormat:
    """One kind of sealed file: its noun, the variable of its key, its errors, and the schemas of both parts.

    ``again``, ``make``, ``distrust`` and ``same_key`` are remedies for messages: how to get another file, in two or
    three words and as a sentence; what to do about an altered file; what to do about a wrong key. ``always_encrypted``:
    refuse unencrypted files.
    """

    noun: str
    key_variable: str
    file_error: type[GridbyocError]
    key_error: type[GridbyocError]
    again: str
    make: str
    distrust: str
    same_key: str
    header: Shape = field(repr=False)
    payload: Shape = field(repr=False)
    always_encrypted: bool = True

    @property
    def header_name(self) -> str:
        """The name of the plain member."""
        return f"{self.noun}.json"

    def key_in(self, environ: Mapping[str, str]) -> Secret | None:
        """The key or passphrase in the environment.

        ``None`` if not set; ``key_error`` if too short, or if its bytes are not UTF-8.
        """
        text = environ.get(self.key_variable, "").strip()
        if not text:
            return None
        if any("\ud800" <= each <= "\udfff" for each in text):
            raise self.key_error(
                f"The key in {self.key_variable} is not text in UTF-8.",
                fix="Make one with `openssl rand -base64 32`.",
                rerun=SAFE_NOTHING_DONE,
            )
        if len(text) < SHORTEST_KEY:
            raise self.key_error(
                f"The key in {self.key_variable} is too short.",
                why=f"An attacker can copy a {self.noun} and try keys: at least {SHORTEST_KEY} characters are needed.",
                fix="Make one with `openssl rand -base64 32`.",
                rerun=SAFE_NOTHING_DONE,
            )
        return Secret(text)

    def pack(self, header: Mapping[str, Any], payload: Mapping[str, Any], key: Secret | None) -> bytes:
        """The file's bytes. Anybody can read ``header``; ``payload`` is encrypted if a ``key`` is given."""
        lock, cipher = _new_lock(key) if key else (None, b"")
        plain = json.dumps(payload, ensure_ascii=False, sort_keys=True).encode()
        full = {"kind": f"gridbyoc-{self.noun}", "format": FORMAT, **header, "encryption": lock}
        if lock is None:
            full["payload_sha256"] = hashlib.sha256(plain).hexdigest()
        head = json.dumps(full, ensure_ascii=False, indent=2, sort_keys=True).encode()
        sealed = self._seal(plain, cipher, lock, head) if lock else plain
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, content in ((self.header_name, head), (PAYLOAD_NAME, sealed)):
                archive.writestr(zipfile.ZipInfo(name, _EARLIEST), content)
        return stream.getvalue()

    def read_header(self, data: bytes) -> dict[str, Any]:
        """The plain header; ``file_error`` if the data is not such a file."""
        return self._header(self._members(data)[0])

    def unpack(self, data: bytes, key: Secret | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and payload, validated.

        Raises ``file_error``, ``key_error`` and ``WrongFileKindError``.
        """
        head, sealed = self._members(data)
        header = self._header(head)
        lock = header["encryption"]
        if lock is None and self.always_encrypted:
            self._refuse("its payload is not encrypted, so anybody may have made it")
        if lock is None and key is not None:
            # Somebody with write access to the storage could replace an encrypted file with an unencrypted one.
            raise self.key_error(
                f"The {self.noun} is not encrypted, although there is a key.",
                why=f"If {self.key_variable} is set, only {self.noun}s of its holder are applied: anybody may have "
                "made this one.",
                fix=f"{self.again.capitalize()} with the key; or, if you trust this {self.noun}'s origin, unset "
                f"{self.key_variable}.",
                rerun=SAFE_NOTHING_DONE,
            )
        if lock is not None:
            plain = self._unseal(sealed, key, lock, head)
        elif hashlib.sha256(sealed).hexdigest() == header.get("payload_sha256"):
            plain = sealed
        else:
            self._refuse("its payload does not match its header")
        return header, self._shaped(self._object(plain, "payload"), self.payload, "payload")

    def _seal(self, payload: bytes, cipher: bytes, lock: Mapping[str, Any], header: bytes) -> bytes:
        """Encrypt with the cipher key and the nonce in ``lock`` (see ``_new_lock``), which ``header`` holds too."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(cipher).encrypt(self._bytes(lock, "nonce", _NONCE), payload, header)

    def _unseal(self, sealed: bytes, key: Secret | None, lock: Mapping[str, Any], header: bytes) -> bytes:
        """Decrypt. Raises ``key_error`` without the right key, ``file_error`` if the file was tampered with."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if [lock.get(name) for name in ("cipher", "kdf", "n", "r", "p")] != [CIPHER, KDF, N, R, P]:
            raise self.file_error(
                f"The {self.noun} is encrypted in a format that this version does not know.",
                fix="Use the version of gridbyoc that made it.",
                rerun=SAFE_NOTHING_DONE,
            )
        nonce, cipher = self._bytes(lock, "nonce", _NONCE), self._right_key(key, lock)
        try:
            return AESGCM(cipher).decrypt(nonce, sealed, header)
        except InvalidTag:
            raise self.file_error(
                f"The {self.noun} was changed after it was made.",
                why="Its header or its encrypted part differs from what the key holder wrote.",
                fix=self.distrust,
                rerun=SAFE_NOTHING_DONE,
            ) from None

    def _right_key(self, key: Secret | None, lock: Mapping[str, Any]) -> bytes:
        """The cipher's key. Raises ``key_error`` unless the file was made with ``key``."""
        salt = self._bytes(lock, "salt", _SALT)
        if key is None:
            raise self.key_error(
                f"The {self.noun} is encrypted, but there is no key.",
                fix=f"Set {self.key_variable} to the key that it was made with.",
                rerun=SAFE_NOTHING_DONE,
            )
        keys = _derive(key, salt)
        if not hmac.compare_digest(keys.check.encode(), str(lock.get("key_check")).encode("utf-8", "replace")):
            raise self.key_error(
                f"The key in {self.key_variable} is not the key of this {self.noun}.",
                why=f"Both sides must have the same key (or the {self.noun}'s header was changed on the way).",
                fix=self.same_key,
                rerun=SAFE_NOTHING_DONE,
            )
        return keys.cipher

    def _bytes(self, lock: Mapping[str, Any], name: str, length: int) -> bytes:
        try:
            found = base64.b64decode(str(lock.get(name)), validate=True)
        except (binascii.Error, ValueError):
            found = b""
        if len(found) != length:
            raise self.file_error(
                f"The {self.noun}'s header is damaged.", fix=f"{self.again.capitalize()}.", rerun=SAFE_NOTHING_DONE
            )
        return found

    def _members(self, data: bytes) -> tuple[bytes, bytes]:
        if len(data) > LARGEST:
            self._refuse(f"it is larger than {LARGEST // 1024**2} MiB")
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                infos = archive.infolist()
                names = [info.filename for info in infos]
                self._refuse_other_kind(names)
                if names != [self.header_name, PAYLOAD_NAME]:
                    self._refuse(f"it must hold exactly {self.header_name} and {PAYLOAD_NAME}")
                if any(info.compress_type != zipfile.ZIP_STORED or info.file_size > len(data) for info in infos):
                    self._refuse("a member is compressed or larger than the file")
                if infos[0].file_size > LARGEST_HEADER:
                    self._refuse("its header is too large")
                return archive.read(infos[0]), archive.read(infos[1])
        # zipfile raises various exceptions for a damaged file:
        # https://docs.python.org/3/library/zipfile.html
        except (
            zipfile.BadZipFile,
            OSError,
            ValueError,
            RuntimeError,
            NotImplementedError,
            EOFError,
            KeyError,
        ) as error:
            self._refuse(f"it cannot be read as a {self.noun} ({type(error).__name__})")

    def _refuse_other_kind(self, names: list[str]) -> None:
        other = next((noun for noun in _USES if noun != self.noun and names == [f"{noun}.json", PAYLOAD_NAME]), None)
        if other is not None:
            raise WrongFileKindError(
                f"The file is not a {self.noun}: it is a {other}.",
                why=f"It is {_USES[other]}.",
                fix=self.make,
                rerun=SAFE_NOTHING_DONE,
            )

    def _header(self, head: bytes) -> dict[str, Any]:
        found = self._object(head, "header")
        if found.get("kind") != f"gridbyoc-{self.noun}":
            self._refuse(f"its header is not that of a {self.noun}")
        if found.get("format") != FORMAT:
            made_by = json.dumps(found.get("format"))[:40]
            raise self.file_error(
                f"The {self.noun} has format {made_by}; this version of gridbyoc reads {FORMAT}.",
                fix=f"Use the version that made it, or {self.again}.",
                rerun=SAFE_NOTHING_DONE,
            )
        return self._shaped(found, self.header, "header")

    def _object(self, text: bytes, part: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self._refuse(f"its {part} is not a JSON object")
        return found

    def _shaped(self, found: dict[str, Any], schema: Mapping[str, Any], part: str) -> dict[str, Any]:
        from jsonschema import Draft202012Validator

        error = next(iter(Draft202012Validator(schema).iter_errors(found)), None)
        if error is not None:
            # Report only the place: the value may be a secret.
            place = "/".join(str(step)[:40] for step in error.absolute_path)
            self._refuse(f"its {part} is invalid at /{place} ({error.validator})")
        return found

    def _refuse(self, why: str) -> NoReturn:
        raise self.file_error(
            f"The file is not a {self.noun} that can be used.",
            why=f"{why[0].upper()}{why[1:]}.",
            fix=f"It may be incomplete, or another file. {self.make}",
            rerun=SAFE_NOTHING_DONE,
        ) from None


def _new_lock(key: Secret) -> tuple[dict[str, Any], bytes]:
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


@lru_cache(maxsize=4)
def _derive(key: Secret, salt: bytes) -> _Keys:
    """Slow by design, hence cached. The key itself is in the process's environment anyway."""
    made = hashlib.scrypt(key.reveal().encode(), salt=salt, n=N, r=R, p=P, maxmem=_MEMORY, dklen=48)
    return _Keys(made[:32], made[32:].hex())


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def noun_of(data: bytes) -> str:
    """The kind of the file by the names of its members: ``bundle``, ``handoff``, or "" for any other file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError, EOFError, KeyError):
        return ""
    return next((noun for noun in _USES if names == [f"{noun}.json", PAYLOAD_NAME]), "")
