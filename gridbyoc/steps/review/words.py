"""Sentences in which names of other people's making are kept apart, so that each renderer can show them safely."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gridbyoc.stack.words import visible

Change = Mapping[str, Any]
"""One of ``resource_changes`` in ``terraform show -json``."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name, pattern or ARN as it stands in the plan."""

    text: str


Sentence = tuple[str | Name, ...]


Verb = Literal["gains", "loses", "is now denied", "is no longer denied"]


@dataclass(frozen=True, slots=True)
class GrantChange:
    """What a role gains or loses in one service. ``conditions`` are their keys: a value may be an external id.

    With ``everything_but`` the actions are those that are left out (``NotAction``); so with ``all_resources_but``.
    ``marks`` are the words of ``marks.MARKS``.
    """

    verb: Verb
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
