"""The permissions that the tool and Terraform need, and the policy document that allows them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gridbyoc.aws.identity import Caller
from gridbyoc.aws.live_role import look_at_role
from gridbyoc.aws.policy.model import glob, read_pattern
from gridbyoc.aws.session import AwsSession

NeedPhase = Literal[
    "state",
    "plan",
    "apply",
    "destroy",
    "preflight",
    "quotas",
    "increase",
    "verify",
    "verify-role",
    "handoff",
    "resume",
    "fingerprint-read",
    "fingerprint-write",
    "leftovers",
    "cleanup",
    "bucket",
    "state-removal",
    "assume-role",
]

PHASES: dict[NeedPhase, str] = {
    "state": "every run that has its state in S3",
    "plan": "plan, and every other run that refreshes the state",
    "apply": "bootstrap, rotate: what Terraform makes and changes",
    "destroy": "destroy: what Terraform deletes",
    "preflight": "doctor, and the look before a plan or a bootstrap",
    "quotas": "doctor: what the account has room for, and what a region offers",
    "increase": "quotas: asking AWS for more",
    "verify": "verify: the live policies",
    "verify-role": "verify --role: any role of the account",
    "handoff": "handoff: that the role admits the control plane",
    "resume": "bootstrap: what a run left that was cut off, and whether anything has changed",
    "fingerprint-read": "drift, bootstrap: the fingerprint beside a state in S3",
    "fingerprint-write": "bootstrap, destroy, state migrate: writing the fingerprint beside a state in S3",
    "leftovers": "leftovers, destroy: finding resources that a deleted cluster left behind",
    "cleanup": "leftovers --delete, destroy: deleting it",
    "bucket": "state init: making the bucket of the state",
    "state-removal": "destroy --with-state: removing the state from S3",
    "assume-role": "every run of a stack with assume_role: the caller assumes the role",
}
"""A description of each phase, in the order of a stack's life."""

MANDATORY: frozenset[NeedPhase] = frozenset({"state", "plan", "apply", "destroy"})
"""Without these, plan, apply or destroy fails midway; without the others, something stays unknown or undone."""

NOT_OF_A_STACK: frozenset[NeedPhase] = frozenset({"verify-role", "assume-role"})
"""Phases about other roles than the stack's; a policy includes them only on explicit request."""

REQUESTED_REGION = "aws:RequestedRegion"

_TERRAFORM_SUFFIX = "20260101000000000000000001"
"""The 26 digits that Terraform appends to a name prefix."""


@dataclass(frozen=True, slots=True)
class Need:
    """One action on one resource. ``resource`` is an ARN with ``*`` for parts that are not known in advance.

    ``purpose`` says what needs it. ``condition`` is a context key and its value in the request: a policy can be limited
    to it, and a simulation needs it. ``unseen`` says why a normal run may never call the action, with the source.
    """

    action: str
    resource: str
    purpose: str
    phase: NeedPhase
    condition: tuple[str, str] | None = None
    unseen: str = ""

    @property
    def mandatory(self) -> bool:
        """Whether plan, apply or destroy needs it."""
        return self.phase in MANDATORY

    @property
    def example(self) -> str:
        """A concrete resource for IAM's simulator, which does not simulate patterns."""
        if self.resource == "*":
            return "*"
        return example_of(self.resource)


def literal(text: str) -> str:
    """``text`` escaped for a policy, without meaning as a wildcard or a variable.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
    """
    return re.sub(r"[*?]|\$(?=\{)", lambda match: f"${{{match[0]}}}", text)


def example_of(pattern: str) -> str:
    """A pattern's text as a request has it: what ``literal`` wrote is itself again, ``*`` is a generated name."""
    return re.sub(r"\$\{([*?$])\}|\*", lambda match: match[1] or _TERRAFORM_SUFFIX, pattern)


CallerKind = Literal["user", "role", "root", "federated user", "other"]


@dataclass(frozen=True, slots=True)
class SimulatedPrincipal:
    """The principal to simulate; ``arn`` is ``None`` if IAM cannot. ``why``: the reason, or an uncertainty."""

    kind: CallerKind
    arn: str | None
    why: str = ""


def principal_of(session: AwsSession, caller: Caller) -> SimulatedPrincipal:
    """The user or role behind ``sts:GetCallerIdentity``'s ARN; a role's path comes from ``iam:GetRole``.

    Raises ``AwsError`` if IAM cannot be reached.
    """
    what, _, rest = caller.arn.split(":", 5)[5].partition("/")
    if what == "root":
        return SimulatedPrincipal("root", None, "no policy of the account limits the root user")
    if what == "user":
        return SimulatedPrincipal("user", caller.arn)
    if what == "assumed-role":
        return _role(session, caller, rest.split("/", 1)[0])
    if what == "federated-user":
        return SimulatedPrincipal("federated user", None, "IAM does not simulate a federated user's session")
    return SimulatedPrincipal("other", None, f"IAM does not simulate {caller.arn}")


def _role(session: AwsSession, caller: Caller, name: str) -> SimulatedPrincipal:
    """The role of a session. A session's ARN lacks the role's path, and IAM Identity Center's roles have one.

    https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html
    """
    look = look_at_role(session, name)
    if look.role:
        return SimulatedPrincipal("role", look.role["Arn"])
    guessed = f"arn:{caller.partition}:iam::{caller.account_id}:role/{name}"
    return SimulatedPrincipal(
        "role", guessed, f"the caller may not call iam:GetRole on {name}, so its path is not known"
    )


MANAGED_POLICY_LIMIT = 6144
"""Characters of a managed policy, white space not counted:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length"""

_Group = tuple[str, str]
"""A resource and the context key of a condition (or nothing)."""


def policy_document(needs: Iterable[Need]) -> dict[str, Any]:
    """A least-privilege policy: statements by resource, sorted, each with a ``Sid``.

    An action that a wider statement already allows is not repeated.
    """
    grouped = _grouped(_without_covered(tuple(dict.fromkeys(needs))))
    by_actions: dict[tuple[tuple[str, ...], str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (resource, key), (actions, values) in grouped.items():
        by_actions[(tuple(sorted(actions)), key, tuple(sorted(values)))].append(resource)
    statements = [_statement(*which, sorted(resources)) for which, resources in by_actions.items()]
    statements.sort(key=lambda each: (each["Resource"] == ["*"], each["Resource"], each["Action"]))
    return {"Version": "2012-10-17", "Statement": _with_sids(statements)}


def policy_size(document: Mapping[str, Any]) -> int:
    """The document's characters as IAM counts them, without white space."""
    return len(json.dumps(document, separators=(",", ":")))


def split_document(document: Mapping[str, Any], limit: int = MANAGED_POLICY_LIMIT) -> tuple[dict[str, Any], ...]:
    """Split the document into few parts of at most ``limit`` characters; the statements keep their order.

    A single statement that is larger is not split.
    """
    parts: list[list[Any]] = [[]]
    for statement in document["Statement"]:
        if parts[-1] and policy_size({**document, "Statement": [*parts[-1], statement]}) > limit:
            parts.append([])
        parts[-1].append(statement)
    return tuple({**document, "Statement": part} for part in parts)


def _without_covered(needs: tuple[Need, ...]) -> list[Need]:
    wide: dict[str, list[Need]] = defaultdict(list)
    for need in needs:
        if "*" in need.resource and need.condition is None:
            wide[need.action].append(need)
    return [need for need in needs if not any(_covers(other, need) for other in wide[need.action])]


def _covers(wide: Need, need: Need) -> bool:
    if (wide.resource, wide.condition) == (need.resource, need.condition):
        return False
    tokens = read_pattern(wide.resource).tokens
    return tokens is not None and glob(tokens, need.resource)


def _grouped(needs: Iterable[Need]) -> dict[_Group, tuple[frozenset[str], frozenset[str]]]:
    """Actions by resource and condition; needs that differ only in the condition's value share one statement."""
    values: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for need in needs:
        key, value = need.condition or ("", "")
        values[(need.resource, key, need.action)] |= {value} if key else set()
    found: dict[_Group, tuple[frozenset[str], frozenset[str]]] = {}
    for (resource, key, action), allowed in values.items():
        actions, before = found.get((resource, key), (frozenset(), frozenset()))
        found[(resource, key)] = (actions | {action}, before | allowed)
    return found


def _statement(actions: tuple[str, ...], key: str, values: tuple[str, ...], resources: list[str]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": "", "Effect": "Allow", "Action": list(actions), "Resource": resources}
    if key:
        # ArnLike: the name of the role's own policy may be generated.
        operator = "StringEquals" if key == REQUESTED_REGION else "ArnLike"
        statement["Condition"] = {operator: {key: list(values)}}
    return statement


def _with_sids(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each statement a unique ``Sid`` of letters and digits that describes it."""
    taken: set[str] = set()
    for statement in statements:
        name = _about(statement)
        sid = next(s for s in (name, *(f"{name}{number}" for number in range(2, 1000))) if s not in taken)
        taken.add(sid)
        statement["Sid"] = sid
    return statements


def _about(statement: Mapping[str, Any]) -> str:
    resource = str(statement["Resource"][0])
    if resource == "*":
        return "Anywhere"
    service, rest = resource.split(":", 5)[2], resource.split(":", 5)[-1]
    if service == "s3":
        kind = "Object" if "/" in rest else "Bucket"
    else:
        kind = rest.split("/")[0].split(":")[0].replace("-", " ").title().replace(" ", "")
    keys = "".join(key.split(":")[-1] for condition in statement.get("Condition", {}).values() for key in condition)
    words = f"{service.title()}{kind}{'With' + keys if keys else ''}"
    return "".join(character for character in words if character.isalnum())
