"""Does ``Principal`` mean whoever asks?

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import re

from gridbyoc.aws.policy.match import NO, YES, Match, some
from gridbyoc.aws.policy.model import PrincipalEntry, Principals
from gridbyoc.aws.policy.patterns import split_arn
from gridbyoc.aws.policy.request import Actor

ACCOUNT = re.compile(r"[0-9]{12}")
UNIQUE_ID = re.compile(r"A[A-Z0-9]{15,}")
"""What IAM shows in the place of a user or role that was deleted; it means nobody any more."""

PRINCIPAL_ARN = re.compile(
    r"arn:[a-z0-9-]+:(?:iam::[0-9]{12}:(?:root|user/.+|role/.+)"
    r"|sts::[0-9]{12}:(?:assumed-role/[^/]+/[^/]+|federated-user/.+))"
)
"""The forms of an AWS principal's ARN."""

KINDS = {"service": "Service", "federated": "Federated", "canonical": "CanonicalUser"}


def principals_match(principals: Principals, actor: Actor) -> Match:
    """``Principal``: any entry means the actor. What ``NotPrincipal`` does cannot be told.

    AWS says that role trust policies do not support it. Where it is supported, a Deny may hit a principal that it
    lists, too: unless account, role and session are listed, or if the principal has a permissions boundary.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
    """
    if principals.negated:
        return Match(None, "it uses NotPrincipal, which AWS does not support in a trust policy")
    return some(entry_covers(entry, actor) for entry in principals.entries)


def entry_covers(entry: PrincipalEntry, actor: Actor) -> Match:
    """Whether one entry means the actor. A root ARN, like an account id, means every principal of the account."""
    if entry.kind == "Unknown":
        return Match(None, f"its kind of principal ({entry}) is not known here")
    if entry.kind == "AWS" and entry.value == "*":
        return YES
    named = split_arn(entry.value)
    mine = split_arn(actor.value) if actor.kind in ("account", "principal") else None
    if named and mine and ACCOUNT.fullmatch(named[4]) and named[4] != mine[4]:
        return NO
    if "*" in entry.value or "?" in entry.value:
        return Match(None, f"IAM takes no wildcard within a principal such as {entry}")
    if entry.kind != "AWS" or mine is None:
        return Match(KINDS.get(actor.kind) == entry.kind and entry.value == actor.value)
    if ACCOUNT.fullmatch(entry.value):
        return Match(mine[4] == entry.value)
    if UNIQUE_ID.fullmatch(entry.value):
        return NO
    if named is None or not PRINCIPAL_ARN.fullmatch(entry.value):
        return Match(None, "a principal of it has a form that IAM does not document")
    return _same_account(entry, named, actor, mine)


def _same_account(entry: PrincipalEntry, named: tuple[str, ...], actor: Actor, mine: tuple[str, ...]) -> Match:
    if named[1] != mine[1]:  # another partition
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
