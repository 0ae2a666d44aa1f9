"""A parsed policy document, the request to evaluate, and the patterns of IAM's policy language."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from gridbyoc.stack.secret import MASK, Secret

Effect = Literal["Allow", "Deny"]
PrincipalKind = Literal["AWS", "Service", "Federated", "CanonicalUser", "Unknown"]
CURRENT = "2012-10-17"


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key, as written. Values stay out of the repr: they may include an external id.

    ``exact`` is ``False`` if a value is a JSON number with a fraction or an exponent, whose text parsing loses.
    """

    operator: str
    key: str
    values: tuple[str, ...] = field(repr=False)
    exact: bool = True


@dataclass(frozen=True, slots=True)
class PrincipalEntry:
    """One name in ``Principal`` or ``NotPrincipal``; a lone ``*`` has the kind ``AWS``.

    The value of kind ``Unknown`` starts with the kind as it is written.
    """

    kind: PrincipalKind
    value: str

    def __str__(self) -> str:
        return self.value if self.kind in ("AWS", "Unknown") else f"{self.kind} {self.value}"


@dataclass(frozen=True, slots=True)
class Principals:
    """``Principal``, or (``negated``) ``NotPrincipal``."""

    entries: tuple[PrincipalEntry, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """``Action`` or ``Resource``, or (``negated``) ``NotAction`` or ``NotResource``: patterns with ``*`` and ``?``."""

    patterns: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class StatementName:
    """A statement's policy, its number (from 1) and its ``Sid``, if it has one."""

    policy: str
    number: int
    sid: str | None = None

    def __str__(self) -> str:
        if self.number == 0:
            return self.policy
        return f"statement {self.number}{f' (Sid {self.sid})' if self.sid else ''} of {self.policy}"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. ``strange`` names an unknown element; then it is never certain that the statement matches."""

    name: StatementName
    effect: Effect
    actions: Selection
    principals: Principals | None = None
    resources: Selection | None = None
    conditions: tuple[Condition, ...] = ()
    strange: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A document's statements; ``name`` is its name in messages (``the trust policy``, ``inline policy x``)."""

    name: str
    statements: tuple[Statement, ...]
    version: str = CURRENT

    @property
    def has_variables(self) -> bool:
        """Whether ``${...}`` is a variable; before version 2012-10-17 it was plain text."""
        return self.version == CURRENT


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about a request. ``statement`` decided it (``None``: nothing allows it); ``why`` explains it."""

    effect: Literal["allowed", "denied", "unknown"]
    statement: StatementName | None
    why: str


def unreadable(name: str, why: str) -> Policy:
    """A policy that exists but could not be read, so it may allow or deny anything."""
    place = StatementName(name, 0)
    everything = Selection(("*",))
    return Policy(
        name,
        (
            Statement(place, "Deny", everything, strange=why),
            Statement(place, "Allow", everything, strange=why),
        ),
    )


ANY = "any"
ONE = "one"
"""A pattern's wildcards. Every other token is a single character, so a variable's value may contain a literal ``*``."""

VARIABLE = re.compile(r"\$\{(\$|[^{}$]*)\}")
NAME = r"[^,'\s:]+:[^,']*[^,'\s]"
VARIABLE_BODY = re.compile(rf"({NAME})(?:, '([^']*)')?")
"""A key, and optionally a default after a comma and one space; no other form is documented."""

Lookup = Callable[[str], "tuple[str, ...] | None"]
"""Returns a context key's values: empty if the request does not have the key, ``None`` if that is unknown."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern. ``tokens`` is ``None`` if a variable has no value; then the pattern matches nothing.

    ``unknown``: the pattern's meaning is unknown, because a value is unknown or AWS does not document the variable's
    form. ``early_variable``: a variable comes before an ARN's last part.
    """

    tokens: tuple[str, ...] | None
    unknown: bool = False
    early_variable: bool = False


def read_pattern(text: str, *, wildcards: bool = True, lookup: Lookup | None = None) -> Pattern:
    """Split a policy's text into tokens. ``lookup`` ``None``: no variables (the old version of the language)."""
    if lookup is None:
        return Pattern(tuple(_plain(text, wildcards)))
    tokens: list[str] = []
    end, void, early = 0, False, False
    for found in VARIABLE.finditer(text):
        before = text[end : found.start()]
        value = _variable(found[1], lookup)
        if value is None or "${" in before:
            return Pattern(None, unknown=True)
        void = void or value is False
        early = early or text.count(":", 0, found.start()) < 5
        tokens += [*_plain(before, wildcards), *(value or "")]
        end = found.end()
    if "${" in text[end:]:
        return Pattern(None, unknown=True)
    return Pattern(None if void else (*tokens, *_plain(text[end:], wildcards)), early_variable=early)


def _variable(body: str, lookup: Lookup) -> str | Literal[False] | None:
    """The variable's value; ``False`` if it has none, ``None`` if that is unknown."""
    if body in ("*", "?", "$"):
        return body
    read = VARIABLE_BODY.fullmatch(body)
    values = lookup(read[1]) if read else None
    if read is None or values is None or len(values) > 1 or values == ("",):
        return None
    return values[0] if values else False if read[2] is None else read[2]


def _plain(text: str, wildcards: bool) -> list[str]:
    return [{"*": ANY, "?": ONE}.get(char, char) if wildcards else char for char in text]


def glob(tokens: Sequence[str], text: str) -> bool:
    """Whether the whole text matches: ``ANY`` matches any characters or none, ``ONE`` exactly one. Quadratic time."""
    at = place = 0
    star, mark = -1, 0
    while at < len(text):
        if place < len(tokens) and tokens[place] == ANY:
            star, mark = place, at
            place += 1
        elif place < len(tokens) and tokens[place] in (ONE, text[at]):
            place += 1
            at += 1
        elif star >= 0:
            mark += 1
            place, at = star + 1, mark
        else:
            return False
    return all(token == ANY for token in tokens[place:])


def text_of(tokens: Sequence[str]) -> str:
    """The tokens as text, with ``*`` and ``?`` for wildcards."""
    return "".join({ANY: "*", ONE: "?"}.get(token, token) for token in tokens)


def split_arn(text: str) -> tuple[str, ...] | None:
    """An ARN's six parts (the last may contain colons), or ``None`` for any other text."""
    parts = tuple(text.split(":", 5))
    return parts if len(parts) == 6 and parts[0] == "arn" else None


def split_tokens(tokens: Sequence[str]) -> list[list[str]]:
    """The up to six parts of an ARN pattern; the last may contain colons."""
    parts: list[list[str]] = [[]]
    for each in tokens:
        if each == ":" and len(parts) < 6:
            parts.append([])
        else:
            parts[-1].append(each)
    return parts


ActorKind = Literal["account", "principal", "service", "federated", "canonical", "anonymous"]
Facts = Mapping[str, "tuple[str, ...] | None"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a request. ``value`` is an ARN, a service's or provider's name, or a canonical id.

    Kind ``account``: an unknown principal of the account; ``value`` is the account's root ARN. A role session's ARN
    lacks the role's path; ``role_arn`` is the role's whole ARN, if known.
    """

    kind: ActorKind
    value: str
    role_arn: str | None = None


ANONYMOUS = Actor("anonymous", "*")
"""The actor of an unsigned request."""


def some_principal_of(account_id: str, partition: str = "aws") -> Actor:
    """An unknown user or role of an account."""
    return Actor("account", f"arn:{partition}:iam::{account_id}:root")


def principal(arn: str, role_arn: str | None = None) -> Actor:
    """The user, role, session or root user with an ARN."""
    return Actor("principal", arn, role_arn)


def actor_of(arn: str) -> Actor:
    """The actor for an ARN in a trust policy; an account's root means some principal of that account."""
    parts = arn.split(":")
    return some_principal_of(parts[4], parts[1]) if parts[-1] == "root" else principal(arn)


def _nothing() -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Request:
    """A request, created with ``ask``. ``resource`` ``None``: any resource that a statement may name.

    ``context`` has lower-case keys; an empty tuple means that the request does not have the key. ``others_unknown``:
    all other keys are unknown; otherwise the request does not have them. Values stay out of the repr.
    """

    action: str
    actor: Actor | None = None
    resource: str | None = None
    context: Mapping[str, tuple[str, ...]] = field(default_factory=_nothing, repr=False)
    others_unknown: bool = False

    def values(self, key: str) -> tuple[str, ...] | None:
        """A context key's values: empty if the request does not have the key, ``None`` if that is unknown."""
        low = key.lower()
        if low in self.context:
            return self.context[low]
        facts = _facts(self.actor) if self.actor else {}
        if low in facts:
            return facts[low]
        return None if self.others_unknown else ()


def ask(
    action: str,
    *,
    actor: Actor | None = None,
    resource: str | None = None,
    context: Mapping[str, str | Sequence[str]] | None = None,
    others_unknown: bool = False,
) -> Request:
    """Create a ``Request``; a context value may be one text or several, keys in any case."""
    given = {
        key.lower(): (values,) if isinstance(values, str) else tuple(values) for key, values in (context or {}).items()
    }
    return Request(action, actor, resource, MappingProxyType(given), others_unknown)


def _facts(actor: Actor) -> Facts:
    """The context keys that AWS itself sets for an actor.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    if actor.kind == "service":
        return {"aws:principalisawsservice": ("true",), "aws:principalservicename": (actor.value,)}
    parts = split_arn(actor.value)
    if actor.kind == "anonymous":
        signed = ("aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:username")
        known = {"aws:principaltype": ("Anonymous",), "aws:principalaccount": ("anonymous",)}
        return {**known, **dict.fromkeys(signed, ())}
    if parts is None or actor.kind not in ("account", "principal"):
        return {}
    common: dict[str, tuple[str, ...] | None] = {
        "aws:principalaccount": (parts[4],),
        "aws:principalisawsservice": ("false",),
    }
    if actor.kind == "account":
        unknown = ("aws:principalarn", "aws:principaltype", "aws:userid", "aws:username")
        return {**common, **dict.fromkeys(unknown, None)}
    return {**common, **_identity_facts(actor, parts)}


def _identity_facts(actor: Actor, parts: tuple[str, ...]) -> Facts:
    what, _, rest = parts[5].partition("/")
    if what == "user":
        return {
            "aws:principalarn": (actor.value,),
            "aws:principaltype": ("User",),
            "aws:username": (rest.rsplit("/", 1)[-1],),
            "aws:userid": None,
        }
    if what == "assumed-role":
        arn = (actor.role_arn,) if actor.role_arn else None
        return {"aws:principalarn": arn, "aws:principaltype": ("AssumedRole",), "aws:userid": None}
    kinds = {"root": "Account", "role": "AssumedRole", "federated-user": "FederatedUser"}
    kind = kinds.get(what)
    return {
        "aws:principalarn": (actor.value,),
        "aws:principaltype": (kind,) if kind else None,
        "aws:userid": (parts[4],) if what == "root" else None,
    }


EXTERNAL_ID = "sts:ExternalId"


def is_external_id(key: str) -> bool:
    """Return whether a condition key is ``sts:ExternalId``, in any case."""
    return key.lower() == EXTERNAL_ID.lower()


def redact(document: object, external_id: Secret | None = None) -> object:
    """A copy with ``[secret]`` for every value of ``sts:ExternalId`` and every other text equal to ``external_id``.

    From a digest of the original, a short external id could be guessed; from a digest of this copy it cannot.
    """
    if isinstance(document, Mapping):
        return {
            _text(str(key), external_id): _values(value) if is_external_id(str(key)) else redact(value, external_id)
            for key, value in document.items()
        }
    if isinstance(document, (list, tuple)):
        return [redact(value, external_id) for value in document]
    return _text(document, external_id) if isinstance(document, str) else document


def _values(value: object) -> object:
    return [MASK for _ in value] if isinstance(value, (list, tuple)) else MASK


def _text(text: str, external_id: Secret | None) -> str:
    return MASK if external_id is not None and external_id.reveal() == text else text


def canonical(document: object) -> str:
    """JSON with sorted keys and without white space, as ``jq -cS`` prints it, but without the line feed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(document: object, external_id: Secret | None = None) -> str:
    """SHA-256 in hex of the redacted document's canonical form in UTF-8."""
    return hashlib.sha256(canonical(redact(document, external_id)).encode("utf-8", "surrogatepass")).hexdigest()
