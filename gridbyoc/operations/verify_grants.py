"""The role's permissions tested: whether they allow what the control plane needs, and what limits them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from gridbyoc.aws.policy import Decision, Policy, Request, ask, evaluate, principal
from gridbyoc.operations.finding import Finding, FindingKind
from gridbyoc.operations.role_policies import RolePolicies, compare_policies, declared_arns
from gridbyoc.operations.verify_model import (
    ATTACHED,
    BOUNDARY,
    DECLARED_BOUNDARY,
    DENIALS,
    FURTHER_POLICIES,
    NEEDED,
    OWN_POLICY,
    SESSION,
    RoleSubject,
    policy_of,
)
from gridbyoc.stack.defaults import own_policy_arn, session_seconds_of, statements_of
from gridbyoc.stack.words import enumerated
from gridbyoc.vendors import ActionNeeded, needs_of

OWN = "the role's own policy"


def need_request(need: ActionNeeded, subject: RoleSubject, *, anywhere: bool = False) -> Request:
    """The request as the role would make it in the stack's region; ``anywhere``: on any resource that is allowed.

    Other context that a policy may check (tags, networks, organisations) is unknown.
    """
    role = subject.role
    resource = need.resource.format(region=subject.region, account=role.account_id)
    context = {
        "aws:RequestedRegion": subject.region,
        "aws:SecureTransport": "true",
        "aws:CurrentTime": subject.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **dict(need.context),
    }
    return ask(
        need.action,
        actor=principal(role.arn),
        resource=None if anywhere else "*" if resource == "*" else f"arn:{role.partition}:{resource}",
        context=context,
        others_unknown=True,
    )


APPLY = "`gridbyoc bootstrap` restores the role to what the stack file says."


OF_MODULE = (
    "Another module decides what its role may do. Look at these policies, and accept them in role.known_policies or "
    "role.known_inline_policies."
)
"""The fix for policies of a role that another module makes."""


@dataclass(frozen=True, slots=True)
class Grants:
    """The decision on each need, by the role's policies alone and by its boundary alone.

    ``compared``: the role's policies compared with those of the stack file.
    """

    subject: RoleSubject
    compared: RolePolicies
    own: tuple[tuple[ActionNeeded, Decision], ...]
    boundary: tuple[tuple[ActionNeeded, Decision], ...]


def grants_of(subject: RoleSubject) -> Grants:
    """Evaluate every need against the policies and against the boundary."""
    policies = tuple(policy_of(document) for document in subject.role.policies)
    limit = () if subject.role.boundary is None else (policy_of(subject.role.boundary),)
    decide = partial(_decide, subject)
    needs = needs_of(subject.declared.vendor) if subject.declared.vendor else ()
    return Grants(
        subject,
        compare_policies(subject.role, subject.declared, own_module=subject.own_module),
        tuple((need, decide(need, policies)) for need in needs),
        tuple((need, decide(need, limit)) for need in needs if limit),
    )


def _decide(subject: RoleSubject, need: ActionNeeded, policies: tuple[Policy, ...]) -> Decision:
    """Decide on one need.

    If no statement allows it on the example resource, one may still allow it on the resources that are used.
    """
    decision = evaluate(policies, need_request(need, subject))
    if decision.effect != "denied" or decision.statement is not None:
        return decision
    elsewhere = evaluate(policies, need_request(need, subject, anywhere=True))
    if elsewhere.effect == "denied":
        return elsewhere if elsewhere.statement is None else decision
    return Decision("unknown", elsewhere.statement, f"{elsewhere.statement} allows it on certain resources only.")


def needs(grants: Grants) -> Finding:
    """The role's policies allow what the control plane needs."""
    missing = [(n, d) for n, d in grants.own if d.effect == "denied" and d.statement is None]
    unlisted = grants.subject.role.unlisted
    if missing and unlisted:
        detail = f"not every policy could be listed ({unlisted}); the listed ones do not allow {_actions(missing)}"
        return Finding(NEEDED, "unknown", detail, fix="Run it with permission to list them.")
    if missing:
        policies = enumerated((need.policy or OWN for need, _ in missing), limit=10)
        detail = f"no policy of the role allows {_actions(missing)}; {policies} would"
        return Finding(NEEDED, "fail", detail, fix=f"Attach what is missing. {APPLY}")
    unsure = [(n, d) for n, d in grants.own if d.effect == "unknown"]
    good = f"all {len(grants.own)} tested actions are allowed"
    return _or_unknown(NEEDED, unsure, good)


def explicit_denials(grants: Grants) -> Finding:
    """No statement of the role's policies denies what the control plane needs."""
    denied = [(n, d) for n, d in grants.own if d.effect == "denied" and d.statement is not None]
    if denied:
        detail = f"{_actions(denied)} denied: {denied[0][1].why}"
        return Finding(DENIALS, "fail", detail, fix=f"Remove the Deny. {APPLY}", statements=_statements(denied))
    unread = [document for document in grants.subject.role.policies if document.document is None]
    if unread or grants.subject.role.unlisted:
        why = grants.subject.role.unlisted or f"{unread[0].title}: {unread[0].unread}"
        detail = f"not every policy could be read ({why}); one of them may deny something"
        return Finding(DENIALS, "unknown", detail, fix="Run it with permission to read them.")
    return Finding(DENIALS, "pass", "no policy of the role denies a needed action")


def boundary(grants: Grants) -> Finding:
    """The permissions boundary leaves room for what the control plane needs."""
    subject = grants.subject
    if subject.role.unread:
        detail = f"whether it has one could not be read: {subject.role.unread}"
        return Finding(BOUNDARY, "unknown", detail, fix="Run it with permission to read the role.")
    if subject.role.boundary is None:
        return Finding(BOUNDARY, "pass", "the role has no permissions boundary")
    denied = [(need, decision) for need, decision in grants.boundary if decision.effect == "denied"]
    if denied:
        detail = f"{subject.role.boundary.name} forbids {_actions(denied)}: {denied[0][1].why}"
        fix = "Widen the boundary, or agree with its owners on another boundary for this role."
        return Finding(BOUNDARY, "fail", detail, fix=fix, statements=_statements(denied))
    unsure = [(need, decision) for need, decision in grants.boundary if decision.effect == "unknown"]
    return _or_unknown(BOUNDARY, unsure, f"{subject.role.boundary.name} allows every tested action")


def declared_boundary(grants: Grants) -> Finding:
    """The boundary is the one that the stack file names."""
    subject = grants.subject
    if subject.role.unread:
        return Finding(DECLARED_BOUNDARY, "unknown", f"not read: {subject.role.unread}")
    live = subject.role.boundary.name if subject.role.boundary else None
    wanted = subject.declared.permissions_boundary
    if live == wanted:
        detail = f"as the stack file says: {live or 'none'}"
        return Finding(DECLARED_BOUNDARY, "pass", detail)
    detail = f"the role has {live or 'no boundary'}, the stack file {f'names {wanted}' if wanted else 'names none'}"
    return Finding(DECLARED_BOUNDARY, subject.undeclared if wanted else "warn", detail, fix=APPLY)


def attached(grants: Grants) -> Finding:
    """Every policy that the stack file or the guide lists, and the role's own policy, is attached.

    Compared by the whole ARN.
    """
    subject = grants.subject
    missing = grants.compared.missing
    if subject.role.unlisted_attached:
        detail = f"not listed: {subject.role.unlisted_attached}"
        return Finding(ATTACHED, "unknown", detail, fix="Run it with permission to list them.")
    if missing:
        detail = f"not attached: {enumerated(missing, limit=20)}"
        return Finding(ATTACHED, subject.undeclared, detail, fix=APPLY)
    count = len(declared_arns(subject.declared, subject.role.partition))
    return Finding(ATTACHED, "pass", f"all {count} managed policies are attached")


def undeclared(grants: Grants) -> Finding:
    """Policies that the stack file neither lists nor accepts."""
    subject, compared = grants.subject, grants.compared
    if compared.undeclared:
        detail = f"besides what the stack file lists, the role has {enumerated(compared.undeclared, limit=20)}"
        fix = compared.remedy if subject.own_module else OF_MODULE
        return Finding(FURTHER_POLICIES, subject.undeclared, detail, fix=fix)
    if subject.role.unlisted:
        detail = f"not listed: {subject.role.unlisted}"
        return Finding(FURTHER_POLICIES, "unknown", detail, fix="Run it with permission to list them.")
    known = enumerated(compared.accepted, limit=20)
    further = f"; the stack file accepts {known}" if known else ""
    detail = f"the role has no policy besides those of the stack file{further}"
    return Finding(FURTHER_POLICIES, "pass", detail)


def own_policy(grants: Grants) -> Finding:
    """The default version of the role's own policy contains the stack file's statements.

    Checked for the gridbyoc module only: the stack file does not say what another module's policies contain.
    """
    subject, compared = grants.subject, grants.compared
    arn = own_policy_arn(subject.role.arn, subject.declared)
    if compared.content:
        detail = f"{arn}: {'; '.join(compared.content)}"
        return Finding(OWN_POLICY, "fail", detail, fix=APPLY)
    if not statements_of(subject.declared):
        return Finding(OWN_POLICY, "pass", "the stack file asks for none")
    live = next((each for each in subject.role.policies if (each.kind, each.name) == ("attached", arn)), None)
    if live is None:
        unlisted = subject.role.unlisted_attached
        detail = f"not listed: {unlisted}" if unlisted else f"{arn} is not attached"
        return Finding(OWN_POLICY, "unknown" if unlisted else "fail", detail, fix="" if unlisted else APPLY)
    if live.document is None:
        fix = "Run it with permission to read it."
        return Finding(OWN_POLICY, "unknown", f"{arn} could not be read: {live.unread}", fix=fix)
    version = f"its version {live.version}" if live.version else "it"
    return Finding(OWN_POLICY, "pass", f"{version} says what the stack file says")


def session_length(grants: Grants) -> Finding:
    """How long a session of the role may last."""
    seconds = grants.subject.role.max_session_seconds
    wanted = session_seconds_of(grants.subject.declared)
    if seconds is None:
        return Finding(SESSION, "unknown", "it could not be read")
    said = f"a session may last {seconds / 3600:g} h"
    if seconds == wanted:
        return Finding(SESSION, "pass", said)
    return Finding(SESSION, "warn", f"{said}, the stack file says {wanted / 3600:g} h", fix=APPLY)


def _or_unknown(kind: FindingKind, unsure: list[tuple[ActionNeeded, Decision]], good: str) -> Finding:
    if not unsure:
        return Finding(kind, "pass", good)
    detail = f"whether {_actions(unsure)} is allowed is unknown: {unsure[0][1].why}"
    return Finding(kind, "unknown", detail, fix="Look at that statement yourself.", statements=_statements(unsure))


def _actions(found: Iterable[tuple[ActionNeeded, Decision]]) -> str:
    return enumerated(need.action for need, _ in found)


def _statements(found: Iterable[tuple[ActionNeeded, Decision]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(decision.statement) for _, decision in found if decision.statement))


GRANTS: tuple[Callable[[Grants], Finding], ...] = (
    attached,
    needs,
    explicit_denials,
    boundary,
    declared_boundary,
    undeclared,
    session_length,
    own_policy,
)
"""In the order of their codes."""
NEEDS = (needs, explicit_denials, boundary)
"""The checks that need to know what the control plane needs, which is unknown for a vendor without an API."""
UNSAID = (attached, declared_boundary, session_length)
"""Checks not made if another module makes the role for a vendor without an API.

Nothing declares what they compare with.
"""
