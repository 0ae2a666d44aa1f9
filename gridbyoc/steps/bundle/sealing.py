"""Encryption of a bundle with a key from the environment: AES-256-GCM, the key made by scrypt.

What GCM authenticates beside the sealed part is the plain header: nobody without the key can change either.
docs/decisions/bundle-encryption.md says why it is this and not another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from gridbyoc.errors import SAFE_NOTHING_DONE, BundleError, BundleKeyError
from gridbyoc.stack.secret import Secret

KEY_VARIABLE = "GRIDBYOC_BUNDLE_KEY"
SHORTEST_KEY = 16
"""Characters. A bundle may be copied and guessed at for years."""

CIPHER, KDF = "AES-256-GCM", "scrypt"
# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#scrypt
N, R, P = 2**17, 8, 1
_MEMORY = 256 * 1024 * 1024
_SALT, _NONCE = 16, 12


class _Keys(NamedTuple):
    cipher: bytes
    check: str


def bundle_key(environ: Mapping[str, str]) -> Secret | None:
    """The key or passphrase in ``GRIDBYOC_BUNDLE_KEY``; ``None`` where it is not set; too short: ``BundleKeyError``."""
    text = environ.get(KEY_VARIABLE, "").strip()
    if not text:
        return None
    if len(text) < SHORTEST_KEY:
        raise BundleKeyError(
            f"The key in {KEY_VARIABLE} is too short.",
            why=f"A bundle can be copied and guessed at: at least {SHORTEST_KEY} characters are needed.",
            fix="Make one with `openssl rand -base64 32`.",
            rerun=SAFE_NOTHING_DONE,
        )
    return Secret(text)


def new_lock(key: Secret) -> dict[str, Any]:
    """What the header says of the encryption: the parameters, a fresh salt and nonce, and how to tell a wrong key."""
    salt = os.urandom(_SALT)
    return {
        "cipher": CIPHER,
        "kdf": KDF,
        "n": N,
        "r": R,
        "p": P,
        "salt": _text(salt),
        "nonce": _text(os.urandom(_NONCE)),
        "key_check": _derive(key, salt).check,
    }


def seal(payload: bytes, key: Secret, lock: Mapping[str, Any], header: bytes) -> bytes:
    """Encrypt ``payload`` under the ``lock`` that stands in ``header``."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(_derive(key, _bytes(lock, "salt", _SALT)).cipher).encrypt(
        _bytes(lock, "nonce", _NONCE), payload, header
    )


def unseal(sealed: bytes, key: Secret | None, lock: Mapping[str, Any], header: bytes) -> bytes:
    """Decrypt; ``BundleKeyError`` without the key or with another one, ``BundleError`` for what was tampered with."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if [lock.get(name) for name in ("cipher", "kdf", "n", "r", "p")] != [CIPHER, KDF, N, R, P]:
        raise BundleError(
            "The bundle is encrypted in a way that this version does not know.",
            fix="Use the version of gridbyoc that made it.",
            rerun=SAFE_NOTHING_DONE,
        )
    nonce, cipher = _bytes(lock, "nonce", _NONCE), _right_key(key, lock)
    try:
        return AESGCM(cipher).decrypt(nonce, sealed, header)
    except InvalidTag:
        raise BundleError(
            "The bundle was changed after it was made.",
            why="Its header or its encrypted part is not what the key holder wrote.",
            fix="Do not apply it. See who can write the place it came from, and plan again.",
            rerun=SAFE_NOTHING_DONE,
        ) from None


def _right_key(key: Secret | None, lock: Mapping[str, Any]) -> bytes:
    """The cipher's key, if ``key`` is the one that the bundle was made with."""
    salt = _bytes(lock, "salt", _SALT)
    if key is None:
        raise BundleKeyError(
            "The bundle is encrypted, and there is no key.",
            fix=f"Set {KEY_VARIABLE} to the key that it was made with.",
            rerun=SAFE_NOTHING_DONE,
        )
    keys = _derive(key, salt)
    if not hmac.compare_digest(keys.check.encode(), str(lock.get("key_check")).encode("utf-8", "replace")):
        raise BundleKeyError(
            f"The key in {KEY_VARIABLE} is not the one that the bundle was encrypted with.",
            why="Both jobs must have the same key (or the bundle's header was changed on the way).",
            fix="Give the apply job the key of the plan job, or plan again.",
            rerun=SAFE_NOTHING_DONE,
        )
    return keys.cipher


def _derive(key: Secret, salt: bytes) -> _Keys:
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
