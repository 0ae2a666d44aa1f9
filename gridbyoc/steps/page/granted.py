"""Who may assume the role, on what terms, and what it may do: in a few words each."""

from __future__ import annotations

from collections.abc import Iterator

from gridbyoc.aws.live_role import LiveDocument, LiveRole
from gridbyoc.aws.policy import Policy, PrincipalEntry, Statement
from gridbyoc.aws.policy.trust import id_conditions, may_assume
from gridbyoc.stack.model import Role, Stack
from gridbyoc.stack.role_defaults import managed_policies_of, statements_of, trusted_account_of
from gridbyoc.stack.words import enumerated
from gridbyoc.steps.page.model import Admitted, Granted, GrantedPolicy
from gridbyoc.steps.role_policies import RolePolicies, compare_policies, own_policy_arn
from gridbyoc.steps.verdict import Verdict, worst
from gridbyoc.steps.verify_model import Subject, policy_of
from gridbyoc.steps.verify_principals import id_remark
from gridbyoc.steps.verify_trust import TrustCase, trust_of
from gridbyoc.vendors import facts_of

WITH_ID, WITHOUT_ID = "with the external id", "without an external id"
CONTROL_PLANE = "the control plane's account"
EXTERNAL_ID = "sts:externalid"


def live_grant(subject: Subject) -> Granted:
    """What AWS has now."""
    role = subject.role
    trust = trust_of(subject)
    seconds = role.max_session_seconds
    boundary = None if role.boundary is None else _boundary(role.boundary, subject.declared)
    return Granted(
        role.name,
        role.arn,
        None if seconds is None else seconds / 3600,
        tuple(dict.fromkeys(_admitted(trust))),
        tuple(_policies(role, subject)),
        boundary,
        live=True,
    )


def declared_grant(stack: Stack) -> Granted:
    """What the stack file asks for, where the role itself cannot be read."""
    role = stack.role
    admitted = [Admitted(trusted_account_of(role), CONTROL_PLANE, WITH_ID, "unknown")]
    admitted += [Admitted(arn, "declared in the stack file", WITH_ID, "unknown") for arn in role.trusted_principals]
    exempt = role.trusted_principals_without_external_id
    admitted += [Admitted(arn, "declared in the stack file", WITHOUT_ID, "unknown") for arn in exempt]
    names = managed_policies_of(role)
    allowed = [action for each in statements_of(role) if each.effect == "Allow" for action in each.actions]
    own = GrantedPolicy("the role's own policy", "own", enumerated(allowed, limit=3), "unknown")
    policies = [GrantedPolicy(name, "managed", "", "unknown") for name in names]
    limit = role.permissions_boundary
    return Granted(
        role.name or "a generated name",
        "",
        float(role.max_session_hours or facts_of(role.vendor).session_hours),
        tuple(admitted),
        (*policies, own) if statements_of(role) else tuple(policies),
        GrantedPolicy(limit, "boundary", "", "unknown") if limit else None,
        live=False,
    )


def _admitted(trust: TrustCase) -> Iterator[Admitted]:
    for statement in trust.policy.statements:
        if statement.name.number == 0:
            if statement.effect == "Allow":
                yield Admitted("the trust policy could not be read", "", statement.strange, "unknown")
        elif may_assume(statement) and statement.principals is not None:
            for entry in statement.principals.entries:
                yield _principal(trust, statement, entry, negated=statement.principals.negated)


def _principal(trust: TrustCase, statement: Statement, entry: PrincipalEntry, *, negated: bool) -> Admitted:
    name, terms = trust.named(entry), _terms(statement)
    if statement.effect == "Deny":
        refused = f"refused {terms}".strip()
        return Admitted(f"all but {name}" if negated else name, "a Deny", refused, "unknown" if negated else "pass")
    if negated:
        return Admitted(f"all but {name}", "a NotPrincipal", terms, "fail")
    declared = entry.kind == "AWS" and name in trust.declared
    who = "declared in the stack file" if declared else "not in the stack file"
    who = CONTROL_PLANE if name == trust.control_plane else "everybody" if entry.value == "*" else who
    return Admitted(str(entry) if entry.kind != "AWS" else name, who, terms, _verdict(trust, statement, name, declared))


def _verdict(trust: TrustCase, statement: Statement, name: str, declared: bool) -> Verdict:
    if not declared:
        return "fail" if "*" in name else trust.subject.undeclared
    if name in trust.without_id and not _asks_for_id(statement):
        return "warn"
    remark = id_remark(trust, statement)
    ids = {text for each in id_conditions(statement) for text in each.values} & trust.literal_ids
    further = [trust.further(text) for text in ids - {trust.subject.external_id.reveal()}]
    return worst([*further, remark.verdict] if remark else further)


def _asks_for_id(statement: Statement) -> bool:
    return any(condition.key.lower() == EXTERNAL_ID for condition in statement.conditions)


def _terms(statement: Statement) -> str:
    """The conditions without their values: the external id is one."""
    ids = {v for c in statement.conditions if c.key.lower() == EXTERNAL_ID for v in c.values}
    with_id = f"with one of {len(ids)} external ids" if len(ids) > 1 else WITH_ID
    terms = with_id if _asks_for_id(statement) else WITHOUT_ID
    others = [condition.key for condition in statement.conditions if condition.key.lower() != EXTERNAL_ID]
    terms = "" if statement.effect == "Deny" and terms == WITHOUT_ID else terms
    return f"{terms}, depending on {enumerated(others)}" if others else terms


def _policies(role: LiveRole, subject: Subject) -> Iterator[GrantedPolicy]:
    compared = compare_policies(role, subject.declared, own_module=subject.own_module)
    for document in role.policies:
        yield _policy(document, *_judged(document, compared, subject))
    if role.unlisted:
        yield GrantedPolicy("policies that could not be listed", "unknown", role.unlisted, "unknown")


def _judged(document: LiveDocument, compared: RolePolicies, subject: Subject) -> tuple[str, Verdict, str]:
    """Which kind of policy it is, how it is judged, and a remark."""
    undeclared, known = (
        (compared.inline, compared.known_inline) if document.kind == "inline" else (compared.attached, compared.known)
    )
    own = document.kind == "attached" and document.name == own_policy_arn(compared.role_arn)
    kind = "own" if own else {"attached": "managed"}.get(document.kind, document.kind)
    if document.name in undeclared:
        return kind, subject.undeclared, "not in the stack file"
    if document.name in known:
        return kind, "pass", "known: the stack file accepts it and does not manage it"
    if own and compared.content:
        return kind, "fail", "; ".join(compared.content)
    return kind, "pass", f"version {document.version}" if document.version else ""


def _boundary(document: LiveDocument, declared: Role) -> GrantedPolicy:
    named = document.name == declared.permissions_boundary
    version = f"version {document.version}" if document.version else ""
    return _policy(document, "boundary", "pass" if named else "warn", version if named else "not in the stack file")


def _policy(document: LiveDocument, kind: str, verdict: Verdict, remark: str) -> GrantedPolicy:
    policy = policy_of(document)
    unread = next((each.strange for each in policy.statements if each.name.number == 0), "")
    if unread:
        return GrantedPolicy(
            document.name, kind, unread, worst((verdict, "unknown")), "" if verdict == "pass" else remark
        )
    return GrantedPolicy(document.name, kind, _allows(policy), verdict, remark)


def _allows(policy: Policy) -> str:
    """``ec2:*, s3:* and 3 more; denies ...``: the patterns, without what they are limited to."""
    parts = []
    for effect, verb in (("Allow", ""), ("Deny", "denies ")):
        statements = [each for each in policy.statements if each.effect == effect]
        patterns = [text for each in statements if not each.actions.negated for text in each.actions.patterns]
        patterns += [f"all but {enumerated(each.actions.patterns)}" for each in statements if each.actions.negated]
        if patterns:
            said = "everything" if "*" in patterns else enumerated(patterns, limit=3)
            parts.append(verb + said)
    return "; ".join(parts) or "nothing"
