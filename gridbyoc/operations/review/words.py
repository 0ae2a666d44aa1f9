"""Sentences in which names of other people's making are kept apart, so that each renderer can show them safely."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import visible

Change = Mapping[str, Any]
"""One of ``resource_changes`` in ``terraform show -json``."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name, pattern or ARN as it stands in the plan."""

    text: str


Sentence = tuple[str | Name, ...]


GrantVerb = Literal["gains", "loses", "is now denied", "is no longer denied"]


@dataclass(frozen=True, slots=True)
class GrantChange:
    """What a role gains or loses in one service. ``conditions`` are their keys: a value may be an external id.

    With ``everything_but`` the actions are those that are left out (``NotAction``); so with ``all_resources_but``.
    ``marks`` are the words of ``marks.MARKS``.
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
    """A sentence about a role (or a policy of none), its subject apart; ``grant`` where it is about one service.

    ``alarming``: a reviewer should stop at it.
    """

    subject: Sentence
    says: Sentence
    grant: GrantChange | None = None
    alarming: bool = False

    @property
    def whole(self) -> Sentence:
        """All of it."""
        return (*self.subject, " ", *self.says)


def names(texts: Iterable[str]) -> Sentence:
    """``a``, ``b`` and so on, in order."""
    found: list[str | Name] = []
    for text in sorted(texts):
        found += [", ", Name(text)] if found else [Name(text)]
    return tuple(found)


def plain_sentence(sentence: Sentence) -> str:
    """For a terminal: names in backticks, nothing in them that could steer it."""
    return "".join(part if isinstance(part, str) else f"`{visible(part.text)}`" for part in sentence)


def before_of(change: Change) -> Mapping[str, Any]:
    """The resource's attributes as they are; empty for a creation."""
    found = _body(change).get("before")
    return found if isinstance(found, dict) else {}


def after_of(change: Change) -> Mapping[str, Any]:
    """The attributes as they shall be, as far as they are known; empty for a deletion."""
    found = _body(change).get("after")
    return found if isinstance(found, dict) else {}


def unknown(change: Change, attribute: str) -> bool:
    """Whether an attribute is known after the apply only."""
    found = _body(change).get("after_unknown")
    return isinstance(found, dict) and bool(found.get(attribute))


def unknowns(change: Change) -> frozenset[str]:
    """The attributes that are known after the apply only, each as a whole."""
    found = _body(change).get("after_unknown")
    return frozenset(name for name, whole in found.items() if whole is True) if isinstance(found, dict) else frozenset()


def actions_of(change: Change) -> tuple[str, ...]:
    """Terraform's words: ``("create",)``, ``("delete", "create")``, ``("no-op",)`` …"""
    found = _body(change).get("actions")
    return tuple(map(str, found)) if isinstance(found, list) else ()


def all_changes(shown: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every resource of a plan by address, those that stay as they are too."""
    found = shown.get("resource_changes")
    changes = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return tuple(sorted(changes, key=lambda each: (str(each.get("address")), str(each.get("deposed") or ""))))


def resource_changes(shown: Mapping[str, Any]) -> tuple[Change, ...]:
    """What would happen to something; what stays as it is, and mere reads, are left out."""
    return tuple(each for each in all_changes(shown) if actions_of(each) not in (("no-op",), ("read",), ()))


def drifted(shown: Mapping[str, Any]) -> tuple[Change, ...]:
    """What is not in AWS as the state has it: ``before`` is the state's, ``after`` is what was read."""
    found = shown.get("resource_drift")
    return tuple(each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()


def _body(change: Change) -> Mapping[str, Any]:
    found = change.get("change")
    return found if isinstance(found, dict) else {}


def changed_outside(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses, from ``terraform show -json`` of a saved plan.

    Terraform also reports as drift what only it computes (a policy's count of attachments, after each apply). So an
    attribute counts that has moved and that the plan sets, or a resource that is gone.
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
    """Tags that are none are ``null`` in the state of the apply that made them, and ``{}`` when they are read."""
    return None if value in ("", [], {}) else value


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
