"""Who asks for what, in which circumstances: the other half of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from gridbyoc.aws.policy.patterns import split_arn

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
