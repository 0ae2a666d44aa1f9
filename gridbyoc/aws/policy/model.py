"""A policy document, read: what its statements say, without judging anything."""

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
    """One operator on one key, as written. Values stay out of the repr: an external id is among them.

    ``exact`` is ``False`` where one is a JSON number with a fraction or an exponent, whose text is lost in parsing.
    """

    operator: str
    key: str
    values: tuple[str, ...] = field(repr=False)
    exact: bool = True


@dataclass(frozen=True, slots=True)
class PrincipalEntry:
    """One name in ``Principal`` or ``NotPrincipal``; ``*`` alone is kept as an ``AWS`` one.

    The value of an ``Unknown`` one begins with its kind as it is written.
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
    """Where a statement stands: its policy, its number (from 1) and its ``Sid`` where it has one."""

    policy: str
    number: int
    sid: str | None = None

    def __str__(self) -> str:
        if self.number == 0:
            return self.policy
        return f"statement {self.number}{f' (Sid {self.sid})' if self.sid else ''} of {self.policy}"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. ``strange`` names an element that is not known here: it can then never be told to match."""

    name: StatementName
    effect: Effect
    actions: Selection
    principals: Principals | None = None
    resources: Selection | None = None
    conditions: tuple[Condition, ...] = ()
    strange: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A document's statements; ``name`` is what people call it (``the trust policy``, ``inline policy x``)."""

    name: str
    statements: tuple[Statement, ...]
    version: str = CURRENT

    @property
    def has_variables(self) -> bool:
        """Whether ``${...}`` is a variable in it; before 2012-10-17 it was plain text."""
        return self.version == CURRENT


@dataclass(frozen=True, slots=True)
class Decision:
    """What a request comes to. ``statement`` decided it (``None``: nothing allows it); ``why`` says so in words."""

    effect: Literal["allowed", "denied", "unknown"]
    statement: StatementName | None
    why: str


def unreadable(name: str, why: str) -> Policy:
    """A policy that is there and could not be read: it may allow anything, and it may deny anything."""
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
"""A pattern's wildcards; every other token is a single character, so that a value's own ``*`` stays one."""

VARIABLE = re.compile(r"\$\{(\$|[^{}$]*)\}")
NAME = r"[^,'\s:]+:[^,']*[^,'\s]"
VARIABLE_BODY = re.compile(rf"({NAME})(?:, '([^']*)')?")
"""A key, and a default after a comma and one space: no other form is documented."""

Lookup = Callable[[str], "tuple[str, ...] | None"]
"""A context key's values: empty where the request has none, ``None`` where that cannot be told."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """``tokens`` is ``None`` where a variable has no value: such a text matches nothing.

    ``unknown`` says that it cannot be told what the text stands for: a value that is not known here, or a form of
    variable that AWS does not document. ``early_variable``: one stands before an ARN's last part.
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
    """Its value; ``False`` where it has none, ``None`` where that cannot be told."""
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
    """Whether the whole text matches: ``ANY`` is any characters or none, ``ONE`` is one. Linear times linear."""
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
    """The tokens as text again, with their wildcards as they are written."""
    return "".join({ANY: "*", ONE: "?"}.get(token, token) for token in tokens)


def split_arn(text: str) -> tuple[str, ...] | None:
    """An ARN's six parts (the last may hold colons), or ``None`` for any other text."""
    parts = tuple(text.split(":", 5))
    return parts if len(parts) == 6 and parts[0] == "arn" else None


def split_tokens(tokens: Sequence[str]) -> list[list[str]]:
    """A pattern of an ARN by its six parts (fewer where it has fewer); the last may hold colons."""
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
    """Who asks. ``value`` is an ARN, a service's or provider's name, or a canonical id.

    ``account`` stands for some principal of the account whose root ARN it holds, which one is not known. A role
    session's ARN lacks the role's path; ``role_arn`` gives it where it is known.
    """

    kind: ActorKind
    value: str
    role_arn: str | None = None


ANONYMOUS = Actor("anonymous", "*")
"""A request that nobody signed."""


def some_principal_of(account_id: str, partition: str = "aws") -> Actor:
    """Some user or role of an account, nobody knows which."""
    return Actor("account", f"arn:{partition}:iam::{account_id}:root")


def principal(arn: str, role_arn: str | None = None) -> Actor:
    """The user, role, session or root user of that ARN."""
    return Actor("principal", arn, role_arn)


def actor_of(arn: str) -> Actor:
    """Who the ARN in a trust policy stands for: an account's root for some principal of its account."""
    parts = arn.split(":")
    return some_principal_of(parts[4], parts[1]) if parts[-1] == "root" else principal(arn)


def _nothing() -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Request:
    """A request. ``resource`` ``None``: any resource that a statement may name. Made with ``ask``.

    ``context`` is by lower-case key; an empty tuple says that the request has no such key. ``others_unknown`` says of
    every key not listed that it cannot be told (otherwise the request has none). Values stay out of the repr.
    """

    action: str
    actor: Actor | None = None
    resource: str | None = None
    context: Mapping[str, tuple[str, ...]] = field(default_factory=_nothing, repr=False)
    others_unknown: bool = False

    def values(self, key: str) -> tuple[str, ...] | None:
        """A context key's values: empty where there is none, ``None`` where that cannot be told."""
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
    """A ``Request``; a context value may be one text or several, keys in any spelling."""
    given = {
        key.lower(): (values,) if isinstance(values, str) else tuple(values) for key, values in (context or {}).items()
    }
    return Request(action, actor, resource, MappingProxyType(given), others_unknown)


def _facts(actor: Actor) -> Facts:
    """What AWS itself puts into the context about who asks.

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
    """A copy with every value of ``sts:ExternalId``, and every other text that is ``external_id``, as ``[secret]``.

    A digest of a document that holds a short external id could be guessed back; of this copy it cannot.
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
    """JSON with sorted keys and no white space: what ``jq -cS`` prints, without its line's end."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(document: object, external_id: Secret | None = None) -> str:
    """SHA-256, in hex, of the redacted document's canonical form in UTF-8."""
    return hashlib.sha256(canonical(redact(document, external_id)).encode("utf-8", "surrogatepass")).hexdigest()
