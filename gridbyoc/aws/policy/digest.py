"""A document's digest, taken after the external ids have been put out of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from gridbyoc.stack.secret import Secret

REDACTED = "[secret]"
EXTERNAL_ID = "sts:externalid"


def redact(document: object, external_id: Secret | None = None) -> object:
    """A copy with every value of ``sts:ExternalId``, and every other text that is ``external_id``, as ``[secret]``.

    A digest of a document that holds a short external id could be guessed back; of this copy it cannot.
    """
    if isinstance(document, Mapping):
        return {
            _text(str(key), external_id): _values(value)
            if str(key).lower() == EXTERNAL_ID
            else redact(value, external_id)
            for key, value in document.items()
        }
    if isinstance(document, (list, tuple)):
        return [redact(value, external_id) for value in document]
    return _text(document, external_id) if isinstance(document, str) else document


def _values(value: object) -> object:
    return [REDACTED for _ in value] if isinstance(value, (list, tuple)) else REDACTED


def _text(text: str, external_id: Secret | None) -> str:
    return REDACTED if external_id is not None and external_id.reveal() == text else text


def canonical(document: object) -> str:
    """JSON with sorted keys and no white space: what ``jq -cS`` prints, without its line's end."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(document: object, external_id: Secret | None = None) -> str:
    """SHA-256, in hex, of the redacted document's canonical form in UTF-8."""
    return hashlib.sha256(canonical(redact(document, external_id)).encode("utf-8", "surrogatepass")).hexdigest()
