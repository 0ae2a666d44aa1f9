"""Sentences that keep foreign names separate, so that each renderer can show them safely."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import visible

Change = Mapping[str, Any]
"""An element of ``resource_changes`` in ``terraform show -json``."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name, pattern or ARN, unchanged from the plan."""

    text: str


Sentence = tuple[str | Name, ...]


GrantVerb = Literal["gains", "loses", "is now denied", "is no longer denied"]


@dataclass(frozen=True, slots=True)
class GrantChange:
    """What a role gains or loses in one service. ``conditions`` are keys only: a value may be an external id.

    With ``everything_but`` the actions are the excluded ones (``NotAction``); likewise ``all_resources_but``. ``marks``
    are the words of ``grants.MARKS``.
    """

    verb: GrantVerb
    service: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    everything_but: bool = False
    all_resources_but: bool = False
    marks: tuple[str, ...] = ()

    @property
    def widens(self) -> bool:
        """Whether the role may do more than before."""
        return self.verb in {"gains", "is no longer denied"}


@dataclass(frozen=True, slots=True)
class RoleSentence:
    """A sentence about a role (or about a policy without one), with its subject apart.

    ``grant`` if it concerns one service.

    ``alarming``: the reviewer's attention is needed.
    """

    subject: Sentence
    says: Sentence
    grant: GrantChange | None = None
    alarming: bool = False

    @property
    def whole(self) -> Sentence:
        """The complete sentence."""
        return (*self.subject, " ", *self.says)


def names(texts: Iterable[str]) -> Sentence:
    """The names, sorted and separated by commas."""
    found: list[str | Name] = []
    for text in sorted(texts):
        found += [", ", Name(text)] if found else [Name(text)]
    return tuple(found)


def plain_sentence(sentence: Sentence) -> str:
    """The sentence for a terminal: names in backticks, without control characters."""
    return "".join(part if isinstance(part, str) else f"`{visible(part.text)}`" for part in sentence)


def before_of(change: Change) -> Mapping[str, Any]:
    """The resource's current attributes; empty for a creation."""
    found = _body(change).get("before")
    return found if isinstance(found, dict) else {}


def after_of(change: Change) -> Mapping[str, Any]:
    """The planned attributes, as far as known; empty for a deletion."""
    found = _body(change).get("after")
    return found if isinstance(found, dict) else {}


def unknown(change: Change, attribute: str) -> bool:
    """Whether an attribute is known only after the apply."""
    found = _body(change).get("after_unknown")
    return isinstance(found, dict) and bool(found.get(attribute))


def unknowns(change: Change) -> frozenset[str]:
    """The attributes that are completely unknown until the apply."""
    found = _body(change).get("after_unknown")
    return frozenset(name for name, whole in found.items() if whole is True) if isinstance(found, dict) else frozenset()


def actions_of(change: Change) -> tuple[str, ...]:
    """Terraform's actions: ``("create",)``, ``("delete", "create")``, ``("no-op",)`` …"""
    found = _body(change).get("actions")
    return tuple(map(str, found)) if isinstance(found, list) else ()


def all_changes(shown: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every resource of a plan by address, including unchanged ones."""
    found = shown.get("resource_changes")
    changes = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return tuple(sorted(changes, key=lambda each: (str(each.get("address")), str(each.get("deposed") or ""))))


def resource_changes(shown: Mapping[str, Any]) -> tuple[Change, ...]:
    """The resources that would change, without reads."""
    return tuple(each for each in all_changes(shown) if actions_of(each) not in (("no-op",), ("read",), ()))


def drifted(shown: Mapping[str, Any]) -> tuple[Change, ...]:
    """The resources whose real attributes differ from the state: ``before`` is the state's, ``after`` was read."""
    found = shown.get("resource_drift")
    return tuple(each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()


def _body(change: Change) -> Mapping[str, Any]:
    found = change.get("change")
    return found if isinstance(found, dict) else {}


def changed_outside(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """Addresses of resources that were changed outside Terraform and would be changed back.

    Read from ``terraform show -json`` of a saved plan.

    Terraform also reports computed attributes as drift (a policy's attachment count, after each apply). Therefore only
    attributes that the plan sets count, and resources that no longer exist.
    """
    moved = {str(each.get("address")): each for each in drifted(shown)}
    planned = ((str(change.get("address")), change) for change in resource_changes(shown))
    return tuple(at for at, change in planned if at in moved and _undoes(moved[at], change))


def _undoes(drift: Change, planned: Change) -> bool:
    return "delete" in actions_of(drift) or bool(_moved(drift) & _moved(planned))


def _moved(change: Change) -> set[str]:
    before, after = before_of(change), after_of(change)
    moved = {name for name in {*before, *after} if _value(before.get(name)) != _value(after.get(name))}
    return moved - unknowns(change)


def _value(value: object) -> object:
    """A value for comparing: the apply records missing tags as ``null``, a refresh reads them as ``{}``."""
    return None if value in ("", [], {}) else value


SENSITIVE = "(sensitive)"
SHORTEST = 4
"""In characters. A shorter text looks like any word; it is masked only in the place of an external id."""
_NOT_A_LETTER = re.compile(r"[^a-z]")


def names_external_id(key: str) -> bool:
    """Whether a key names an external id: ``sts:ExternalId``, ``external_id``, ``previous_external_ids``."""
    return "externalid" in _NOT_A_LETTER.sub("", key.lower())


def masked(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """``value`` with every external id masked, including those in documents stored as text."""
    if isinstance(value, dict):
        return {key: SENSITIVE if names_external_id(key) else masked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    found = document_in(value)
    return value if found is None else json.dumps(masked(found), ensure_ascii=False)


def document_in(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON object or list in a text; ``None`` for any other value."""
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
