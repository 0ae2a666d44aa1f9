"""External ids in a plan: found and masked wherever they stand, marked as sensitive or not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gridbyoc.stack.secret import Secret
from gridbyoc.steps.review.words import after_of, all_changes, before_of, drifted

SENSITIVE = "(sensitive)"
SHORTEST = 4
"""Characters. A shorter text cannot be told from a word; it is masked only where it stands as an external id."""
_NOT_A_LETTER = re.compile(r"[^a-z]")


def names_external_id(key: str) -> bool:
    """Whether a key is one of an external id: ``sts:ExternalId``, ``external_id``, ``previous_external_ids``."""
    return "externalid" in _NOT_A_LETTER.sub("", key.lower())


def masked(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """``value`` with every external id in it masked, also in documents that stand in it as text."""
    if isinstance(value, dict):
        return {key: SENSITIVE if names_external_id(key) else masked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    found = document_in(value)
    return value if found is None else json.dumps(masked(found), ensure_ascii=False)


def document_in(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON object or list that a text holds; ``None`` for any other value."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def secrets_in(shown: Mapping[str, Any]) -> list[Secret]:
    """Sensitive outputs, and every external id of any resource, from ``terraform show -json`` of a saved plan."""
    changes = (*all_changes(shown), *drifted(shown))
    texts = {text for change in changes for side in (before_of, after_of) for text in _ids(side(change))}
    texts |= set(_sensitive_outputs(shown))
    return [Secret(text) for text in sorted(texts) if len(text) >= SHORTEST]


def _ids(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner) if names_external_id(str(key)) else _ids(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _ids(inner)
    elif (found := document_in(value)) is not None:
        yield from _ids(found)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _sensitive_outputs(shown: Mapping[str, Any]) -> Iterator[str]:
    outputs = shown.get("output_changes")
    for name, change in outputs.items() if isinstance(outputs, dict) else ():
        for side in ("before", "after"):
            value = change.get(side) if isinstance(change, dict) else None
            if isinstance(value, str) and (names_external_id(name) or change.get(f"{side}_sensitive")):
                yield value
