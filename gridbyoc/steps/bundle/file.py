"""The bundle as a file: a zip of two stored members, a plain header and a payload. Never unpacked to the disk.

What is read may come from anybody: only these two names, only stored (a stored member cannot be a bomb), only so large.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any, NoReturn

from gridbyoc.errors import SAFE_NOTHING_DONE, BundleError, BundleKeyError
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.bundle.sealing import KEY_VARIABLE, new_lock, seal, unseal
from gridbyoc.steps.bundle.shapes import FORMAT, HEADER, KIND, PAYLOAD

HEADER_NAME, PAYLOAD_NAME = "bundle.json", "payload"
LARGEST_HEADER = 1024 * 1024
LARGEST = 256 * 1024 * 1024
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def pack(header: Mapping[str, Any], payload: Mapping[str, Any], key: Secret | None) -> bytes:
    """The file's bytes. ``header`` stays readable for anybody; ``payload`` is encrypted where there is a ``key``."""
    lock = new_lock(key) if key else None
    plain = json.dumps(payload, ensure_ascii=False, sort_keys=True).encode()
    full = {"kind": KIND, "format": FORMAT, **header, "encryption": lock}
    if lock is None:
        full["payload_sha256"] = hashlib.sha256(plain).hexdigest()
    head = json.dumps(full, ensure_ascii=False, indent=2, sort_keys=True).encode()
    sealed = seal(plain, key, lock, head) if key and lock else plain
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in ((HEADER_NAME, head), (PAYLOAD_NAME, sealed)):
            archive.writestr(zipfile.ZipInfo(name, _EARLIEST), content)
    return stream.getvalue()


def read_header(data: bytes) -> dict[str, Any]:
    """The plain header; ``BundleError`` for anything that is not one of ours."""
    return _header(_members(data)[0])


def unpack(data: bytes, key: Secret | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload, both of the right shape. Raises ``BundleError`` and ``BundleKeyError``."""
    head, sealed = _members(data)
    header = _header(head)
    lock = header["encryption"]
    if lock is None and key is not None:
        # Whoever can write where bundles lie could put one of their own making in the place of an encrypted one.
        raise BundleKeyError(
            "The bundle is not encrypted, and there is a key.",
            why=f"Where {KEY_VARIABLE} is set, only what its holder made is applied: this bundle may be anybody's.",
            fix=f"Plan again with the key; or, if it is known where this bundle comes from, unset {KEY_VARIABLE}.",
            rerun=SAFE_NOTHING_DONE,
        )
    if lock is not None:
        plain = unseal(sealed, key, lock, head)
    elif hashlib.sha256(sealed).hexdigest() == header.get("payload_sha256"):
        plain = sealed
    else:
        _refuse("its payload is not the one that its header speaks of")
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
                _refuse("a member of it is compressed or larger than the file")
            if infos[0].file_size > LARGEST_HEADER:
                _refuse("its header is too large")
            return archive.read(infos[0]), archive.read(infos[1])
    # zipfile raises whatever its parts do for a file that was cut or bent: https://docs.python.org/3/library/zipfile.html
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError, EOFError, KeyError) as error:
        _refuse(f"it cannot be read as one ({type(error).__name__})")


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
        # The place alone: the value may be a secret, or anything at all.
        place = "/".join(str(step)[:40] for step in error.absolute_path)
        _refuse(f"its {part} has something wrong at /{place} ({error.validator})")
    return found


def _refuse(why: str) -> NoReturn:
    raise BundleError(
        "The file is not a bundle that can be used.",
        why=f"{why[0].upper()}{why[1:]}.",
        fix="Was it cut off on the way, or is it another file? Make one with `gridbyoc plan --out FILE`.",
        rerun=SAFE_NOTHING_DONE,
    ) from None
