"""Check the role's policies: they exist, can be attached, and are few and short enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

from gridbyoc.aws.live_role import ManagedPolicy, managed_policies, policies_per_role
from gridbyoc.aws.permissions.model import MANAGED_POLICY_LIMIT, policy_size
from gridbyoc.operations.finding import Finding, FindingKind, Verdict
from gridbyoc.operations.preflight.model import Check, PreflightContext
from gridbyoc.stack.defaults import managed_policies_of, statements_of
from gridbyoc.stack.model import PolicyStatement, Role
from gridbyoc.stack.regions import partition_of
from gridbyoc.stack.rules.role import SUCCESSORS
from gridbyoc.stack.words import Place, nearest
from gridbyoc.vendors import VENDORS, facts_of

GROUP = "policies"
MANAGED = FindingKind(
    "GBY-M001",
    GROUP,
    "managed policies",
    "Each managed policy of the role exists and can be attached. Fails if IAM does not know it, and "
    "if AWS has deprecated it, with its replacement; only warns for the latter if the role may exist "
    "already: it stays attached.",
    "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/about-managed-policy-reference.html",
)
BOUNDARY = FindingKind(
    "GBY-M002",
    GROUP,
    "permissions boundary",
    "The policy that `role.permissions_boundary` names exists. Fails if IAM does not know it.",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
)
COUNT = FindingKind(
    "GBY-M003",
    GROUP,
    "number of policies",
    "The role's managed policies and its own are no more than the account allows on one role. Fails if they are.",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html",
)
SIZE = FindingKind(
    "GBY-M004",
    GROUP,
    "size of the own policy",
    "The policy made of `role.statements` has at most 6,144 characters, not counting white space. Fails if it has "
    "more.",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length",
)
READ = "iam:GetPolicy"
MISSPELT = 0.95
"""The minimum similarity of names: that of AmazonSESFullAccess and AmazonSQSFullAccess is 0.947."""


def role_of(scene: PreflightContext) -> Role | None:
    """The role whose policies are known; ``None`` without a stack file, or if another module creates it."""
    stack = scene.stack
    return stack.role if stack and stack.terraform.module is None else None


def policy_arns(role: Role, partition: str) -> tuple[str, ...]:
    """The managed policies that are attached to the role, each once.

    The stack file's, otherwise the module's default.
    """
    names = managed_policies_of(role)
    own = f"arn:{partition}:iam::aws:policy/"
    return tuple(dict.fromkeys(name if name.startswith("arn:") else own + name for name in names))


def _arns(scene: PreflightContext, role: Role) -> tuple[str, ...]:
    return policy_arns(role, partition_of(scene.region) or scene.caller().partition)


def _managed(scene: PreflightContext) -> Iterator[Finding]:
    role = role_of(scene)
    if role is None:
        return
    arns = _arns(scene, role)
    found = managed_policies(scene.session(), arns)
    retired = [policy for policy in found if not policy.unread and not policy.attachable]
    told = [_gone(policy, MANAGED, "fail" if scene.has_role is False else "warn") for policy in retired]
    told += [_gone(policy, MANAGED) for policy in found if not policy.exists]
    told += [_unread(policy, MANAGED) for policy in found if policy.unread]
    yield from (replace(each, at=_place(role, each.subject)) for each in told)
    if all(policy.exists and policy.attachable and not policy.unread for policy in found):
        read = f"all {len(found)} exist and can be attached" if found else "none are requested"
        yield Finding(MANAGED, "pass", read, source=READ, facts={"arns": list(arns)})


def _boundary(scene: PreflightContext) -> Iterator[Finding]:
    role = role_of(scene)
    if role is None:
        return
    if role.permissions_boundary is None:
        yield Finding(BOUNDARY, "pass", "none is requested")
        return
    (policy,) = managed_policies(scene.session(), (role.permissions_boundary,))
    if policy.unread or not policy.exists:
        told = _unread(policy, BOUNDARY) if policy.unread else _gone(policy, BOUNDARY)
        yield replace(told, at=("role", "permissions_boundary"))
    else:
        yield Finding(BOUNDARY, "pass", f"{policy.arn} exists", source=READ)


def _place(role: Role, name: str) -> Place:
    """The place of a managed policy in the stack file; the whole list if the module's default applies."""
    named = [each.rsplit("/", 1)[-1] for each in role.managed_policies or ()]
    return ("role", "managed_policies", *([named.index(name)] if name in named else []))


def _gone(policy: ManagedPolicy, kind: FindingKind, verdict: Verdict = "fail") -> Finding:
    """A finding for a policy that does not exist, or can no longer be attached."""
    read = "it can no longer be attached" if policy.exists else "IAM does not know it"
    mine = ":iam::aws:" not in policy.arn
    close = None if mine else _instead_of(policy.name)
    fix = f"Create {policy.arn} first, or correct the stack file." if mine else "Correct role.managed_policies."
    if close:
        fix = f"Write {close} in role.managed_policies."
    elif policy.name in _guides_policies() and not mine:
        fix = "This partition does not have it: list role.managed_policies without it."
    facts = {"arn": policy.arn, "alternative": close}
    return Finding(kind, verdict, read, "a policy that can be attached", fix, READ, subject=policy.name, facts=facts)


def _instead_of(name: str) -> str | None:
    """The successor, or the likely intended name. Names that differ in one letter belong to other services of AWS."""
    if name in SUCCESSORS or name in _guides_policies():
        return SUCCESSORS.get(name)
    close = nearest(name, _guides_policies())
    return close if close and SequenceMatcher(None, name.lower(), close.lower()).ratio() > MISSPELT else None


def _guides_policies() -> tuple[str, ...]:
    """The names of the AWS managed policies that the control planes' guides attach."""
    return tuple(name for vendor in VENDORS for name in facts_of(vendor).permissions.managed_policies)


def _unread(policy: ManagedPolicy, kind: FindingKind) -> Finding:
    fix = f"Allow {READ}, or check {policy.arn} yourself."
    return Finding(kind, "unknown", policy.unread, fix=fix, source=READ, subject=policy.name)


def _count(scene: PreflightContext) -> Iterator[Finding]:
    role = role_of(scene)
    if role is None:
        return
    own = int(bool(statements_of(role)))
    count = len(_arns(scene, role)) + own
    limit = policies_per_role(scene.session())
    read, source = f"{count} ({count - own} managed and {own or 'no'} own)", "iam:GetAccountSummary"
    facts = {"count": count, "limit": limit}
    if limit is None:
        yield Finding(COUNT, "unknown", f"{read}; IAM does not say how many are allowed", source=source, facts=facts)
        return
    fix = "`gridbyoc quotas request --code L-0DA4ABF3` requests more; or combine statements in fewer policies."
    yield Finding(COUNT, "pass" if count <= limit else "fail", read, f"at most {limit}", fix, source, facts=facts)


def _size(scene: PreflightContext) -> Iterator[Finding]:
    role = role_of(scene)
    if role is None:
        return
    statements = statements_of(role)
    if not statements:
        yield Finding(SIZE, "pass", "the role has no policy of its own")
        return
    size = policy_size(own_policy(statements))
    needed, facts = f"at most {MANAGED_POLICY_LIMIT:,} characters", {"size": size, "limit": MANAGED_POLICY_LIMIT}
    fix = "Use wildcards for actions and resources, or name a policy of your own in role.managed_policies."
    verdict: Verdict = "pass" if size <= MANAGED_POLICY_LIMIT else "fail"
    yield Finding(SIZE, verdict, f"{size:,} characters", needed, fix, facts=facts)


def own_policy(statements: Sequence[PolicyStatement]) -> dict[str, Any]:
    """The policy document that the module makes from statements (modules/gridbyoc/main.tf)."""
    made = [
        {
            **({"Sid": each.sid} if each.sid else {}),
            "Effect": each.effect,
            "Action": list(each.actions),
            "Resource": list(each.resources),
        }
        for each in statements
    ]
    return {"Version": "2012-10-17", "Statement": made}


CHECKS = (Check((MANAGED,), _managed), Check((BOUNDARY,), _boundary), Check((COUNT,), _count), Check((SIZE,), _size))
