"""Does ``Principal`` mean whoever asks?

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import re

from gridbyoc.aws.policy.match import NO, YES, Match, every, some
from gridbyoc.aws.policy.model import PrincipalEntry, Principals
from gridbyoc.aws.policy.patterns import split_arn
from gridbyoc.aws.policy.request import Actor

ACCOUNT = re.compile(r"[0-9]{12}")
UNIQUE_ID = re.compile(r"A[A-Z0-9]{15,}")
"""What IAM shows in the place of a user or role that was deleted; it means nobody any more."""

KINDS = {"service": "Service", "federated": "Federated", "canonical": "CanonicalUser"}


def principals_match(principals: Principals, actor: Actor) -> Match:
    """``Principal``: any entry means the actor. ``NotPrincipal``: it is not exempted."""
    if principals.negated:
        return _not_exempted(principals, actor)
    return some(entry_covers(entry, actor) for entry in principals.entries)


def entry_covers(entry: PrincipalEntry, actor: Actor) -> Match:
    """Whether one entry means the actor. A root ARN, like an account id, means every principal of the account."""
    if entry.kind == "Unknown":
        return Match(None, f"its kind of principal ({entry}) is not known here")
    if entry.value == "*" and entry.kind == "AWS":
        return YES
    mine = split_arn(actor.value) if actor.kind in ("account", "principal") else None
    if entry.kind != "AWS" or mine is None:
        return Match(KINDS.get(actor.kind) == entry.kind and entry.value == actor.value)
    if ACCOUNT.fullmatch(entry.value):
        return Match(mine[4] == entry.value)
    named = split_arn(entry.value)
    if named is None:
        return NO if UNIQUE_ID.fullmatch(entry.value) else Match(None, "a principal is neither *, account id nor ARN")
    if "*" in entry.value or "?" in entry.value:
        return Match(None, f"IAM takes no wildcard within a principal such as {entry.value}")
    return _same_account(entry, named, actor, mine)


def _same_account(entry: PrincipalEntry, named: tuple[str, ...], actor: Actor, mine: tuple[str, ...]) -> Match:
    if (named[1], named[4]) != (mine[1], mine[4]):
        return NO
    if named[5] == "root" or entry.value == actor.value:
        return YES
    if actor.kind == "account":
        return Match(None, f"{entry.value} is one principal of the account, maybe not the one that asks")
    if _session_role(named) is not None and _session_role(named) == _role_of(mine):
        return Match(None, f"{entry.value} is one session of the role, maybe not the one that asks")
    return Match(_role_of(named) is not None and _role_of(named) == _session_role(mine))


def _role_of(parts: tuple[str, ...]) -> str | None:
    """A role ARN's role name: unique in its account whatever the path."""
    what, _, rest = parts[5].partition("/")
    return rest.rsplit("/", 1)[-1] if parts[2] == "iam" and what == "role" else None


def _session_role(parts: tuple[str, ...]) -> str | None:
    """The name of the role that a session belongs to."""
    what, _, rest = parts[5].partition("/")
    return rest.split("/", 1)[0] if parts[2] == "sts" and what == "assumed-role" else None


def _not_exempted(principals: Principals, actor: Actor) -> Match:
    """AWS may look at the account, the role and the session one after the other: all must be listed to be exempt.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
    """
    chain = [some(_listed(entry, link) for entry in principals.entries) for link in _chain(actor)]
    if every(chain).holds:
        return NO
    if some(chain).holds is False:
        return YES
    return Match(None, "NotPrincipal lists a part only of account, role and session of who asks")


def _listed(entry: PrincipalEntry, link: str) -> Match:
    if entry.value in ("*", link):
        return YES
    parts = split_arn(link)
    account = parts is not None and parts[5] == "root" and entry.value == parts[4]
    return Match(account)


def _chain(actor: Actor) -> tuple[str, ...]:
    parts = split_arn(actor.value)
    if parts is None or actor.kind not in ("account", "principal"):
        return (actor.value,)
    root = f"arn:{parts[1]}:iam::{parts[4]}:root"
    if actor.kind == "account":
        return (root, "some principal of it")
    role = _session_role(parts)
    behind = (actor.role_arn or f"arn:{parts[1]}:iam::{parts[4]}:role/{role}",) if role else ()
    return tuple(dict.fromkeys((root, *behind, actor.value)))
