"""Check the caller's permissions for the run with IAM's simulator, before Terraform starts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from gridbyoc.aws import Caller
from gridbyoc.aws.live_role import likely_boundaries
from gridbyoc.aws.permissions import (
    PHASES,
    WITHOUT_BOUNDARY,
    Need,
    NeedPhase,
    SimulatedPrincipal,
    SimulationResult,
    makes_role_without_boundary,
    needs_of,
    principal_of,
    simulate,
)
from gridbyoc.aws.permissions.needs import BOUNDARY
from gridbyoc.aws.permissions.simulate import doubted
from gridbyoc.aws.state_bucket import state_version
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.finding import Finding, FindingKind, Verdict
from gridbyoc.operations.preflight.model import Check, PreflightContext, Shared
from gridbyoc.stack.background import Readers
from gridbyoc.stack.model import S3Backend
from gridbyoc.stack.regions import HOME_REGIONS
from gridbyoc.stack.words import Place

MAKES_ROLE = "iam:CreateRole"
SIDE_BY_SIDE = 4
NOT_LISTED = (
    "; whether it demands a certain permissions boundary on new roles is unknown: the caller may not call "
    "iam:ListPolicies"
)

Simulate = Callable[[Need, str], SimulationResult]
"""Simulates a need in a request with this ``iam:PermissionsBoundary``."""


def unnamed_boundary(caller: Caller) -> str:
    """A boundary that a policy accepts only if it accepts any boundary."""
    return f"arn:{caller.partition}:iam::{caller.account_id}:policy/boundary-that-no-rule-names"


def with_boundary_rules(
    answers: Sequence[SimulationResult], ask: Simulate, unnamed: str, own: Callable[[], tuple[str, ...] | None]
) -> tuple[SimulationResult, ...]:
    """The answers; a denied role creation that a boundary would allow says so, and names the boundaries that would.

    ``unnamed``: a boundary that no policy names. ``own``: ARNs of the account's policies, the likely ones first;
    ``None`` if IAM does not list them.
    """
    changed = {answer.need: _with_rule(answer, ask, unnamed, own) for answer in answers if _may_be_a_rule(answer)}
    return tuple(changed.get(answer.need, answer) for answer in answers)


def _may_be_a_rule(answer: SimulationResult) -> bool:
    """Whether a missing boundary may have caused the denial. The simulator says so for the caller's own policies."""
    new_role = answer.effect == "denied" and answer.need.action == MAKES_ROLE
    return new_role and (answer.need.condition is not None or answer.by in ("scp", "no boundary"))


def _with_rule(
    answer: SimulationResult, ask: Simulate, unnamed: str, own: Callable[[], tuple[str, ...] | None]
) -> SimulationResult:
    given = answer.need.condition[1] if answer.need.condition else ""
    new_role = replace(answer.need, condition=None)

    def lifts(boundary: str) -> bool:
        return ask(new_role, boundary).effect == "allowed"

    if not given and lifts(unnamed):
        return replace(answer, by="no boundary", why=WITHOUT_BOUNDARY)
    listed = own()
    tried = [arn for arn in listed or () if arn != given]
    lifting = Readers(SIDE_BY_SIDE).map(lifts, tried)
    accepted = tuple(arn for arn, lifted in zip(tried, lifting, strict=True) if lifted)
    if accepted and given:
        why = f"a policy demands another permissions boundary on new roles than the stack's, {given}"
        return replace(answer, by="other boundary", why=why, boundaries=accepted)
    if accepted:
        return replace(answer, by="no boundary", why=WITHOUT_BOUNDARY, boundaries=accepted)
    if answer.by == "scp" and listed is None:
        return replace(answer, effect="unknown", why=answer.why + NOT_LISTED)
    return answer


def verdict_on(scene: PreflightContext, denied: Iterable[SimulationResult]) -> Verdict:
    """``fail`` if the run certainly calls a denied action, ``warn`` if it may, ``unknown`` without denials.

    The simulator's results for service control policies prove nothing, and only warn: it ignores their conditions, or
    evaluates them with nothing known, and denies what AWS allows (https://github.com/aws/aws-sdk/issues/102).
    """
    denied = tuple(denied)
    proven = [answer.need for answer in denied if answer.by != "scp"]
    if not proven:
        return "warn" if denied else "unknown"
    stands = anything_stands(scene) if any(need.phase in ("plan", "apply") for need in proven) else None
    return "fail" if any(_called(need, stands, reads_only=scene.reads_only) for need in proven) else "warn"


def anything_stands(scene: PreflightContext) -> bool | None:
    """Whether the stack was created before; ``None`` if unknown.

    A state in S3 is looked up (``s3:HeadObject``), unless other credentials read it.
    """
    backend = scene.stack.terraform.backend if scene.stack else None
    if not isinstance(backend, S3Backend):
        return scene.has_role
    if scene.state_session is None and other_credentials(scene):
        return None
    try:
        return state_version((scene.state_session or scene.session)(), backend.bucket, backend.key) is not None
    except GridbyocError:
        return None


def other_credentials(scene: PreflightContext) -> bool:
    """Whether the state is read with other credentials than those being checked: another profile, or another role."""
    return scene.stack is not None and scene.stack.state_is_apart


def of_the_state(need: Need) -> bool:
    """Whether a need of plan, apply or destroy concerns the state: all their other needs are IAM's."""
    return need.mandatory and not need.action.startswith("iam:")


def _called(need: Need, stands: bool | None, *, reads_only: bool) -> bool:
    """Whether the run certainly calls it. An existing role is read, a missing one is created and read.

    Roles are deleted only if replaced.
    """
    if need.phase == "apply":
        return stands is False and not reads_only and (of_the_state(need) or ": create" in need.purpose)
    if need.phase == "plan":
        return not need.unseen and (stands is True or not reads_only)
    return need.phase == "state"


_SIMULATOR = "https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html"

SIMULATION = FindingKind(
    "GBY-P001",
    "permissions",
    "simulation",
    """IAM says what the caller may do (`iam:SimulatePrincipalPolicy`, and `iam:GetRole` for a session's role). Unknown
    if the caller may not ask, if IAM is too busy, and for federated users; the run then continues.""",
    _SIMULATOR,
)
ALLOWED = FindingKind(
    "GBY-P002",
    "permissions",
    "permission",
    """The caller may call the actions that plan, apply and destroy of this stack and its state need. Fails for
    each action that is proven to be denied and that the run ahead is certain to call: no policy allows it, a policy
    denies it, the caller's boundary does not allow it, or a rule demands a permissions boundary on new roles that
    `role.permissions_boundary` does not name. Warns for actions that the run calls only if something must be created,
    changed or deleted: before a `plan`, for a role that may exist already, and for everything that only a destroy
    needs. Unknown if a condition or a resource's own policy may decide otherwise.""",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
)
LOOKING = FindingKind(
    "GBY-P003",
    "permissions",
    "permission to look",
    """The actions that only doctor, verify, resuming and leftovers need are allowed. Warns if not: a bootstrap works,
    but something will be unknown, or not be cleaned up.""",
    _SIMULATOR,
)
ORGANIZATION = FindingKind(
    "GBY-P004",
    "permissions",
    "organization",
    """No service control policy (SCP) of the organization denies what plan, apply and destroy of this stack call. Warns
    for each action that the simulator reports as denied, and never fails: with conditions in SCPs, it also reports
    actions that AWS allows (https://github.com/aws/aws-sdk/issues/102, https://github.com/aws/aws-cli/issues/10525).""",
    "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html",
)


CALL = "iam:SimulatePrincipalPolicy"
WITH_MFA = {"aws:MultiFactorAuthPresent": "true"}
SELDOM = (
    "bucket", "increase", "state-removal", "verify-role", "handoff", "fingerprint-read", "fingerprint-write",
    "assume-role",
)  # fmt: skip
"""``state init``, quota requests, ``destroy --with-state``, ``verify --role``, ``handoff``: they report denials.

Without the permissions for the fingerprint in S3, which an older policy does not have, a run only takes longer.
"""
LOOKED_AT: tuple[NeedPhase, ...] = tuple(phase for phase in PHASES if phase not in SELDOM)
SHOWN = 5
"""The number of actions that a line names; ``facts`` have all of them."""
_ASK = "Allow the caller iam:SimulatePrincipalPolicy on itself; `gridbyoc policy` prints a policy that does."
_ADD = "Add it to the caller's policy: `gridbyoc policy` prints one that allows what is needed."
_FIXES = {
    "boundary": "Ask for it to be added to the caller's permissions boundary, or use another caller.",
    "explicit": "Ask for a change of the statement that denies it, or use another caller.",
    "no boundary": "Name the boundary that the rule demands in role.permissions_boundary (the ARN of a policy); the "
    "account's administrators know which one.",
    "scp": "Ask the administrators of the organization's service control policies (SCPs) for an exception, or use "
    "another account. It does not block: the simulator cannot evaluate the conditions of an SCP, so AWS may still "
    "allow it.",
}


def _permissions(scene: PreflightContext) -> Iterator[Finding]:
    caller = scene.caller()
    principal = principal_of(scene.session(), caller)
    if principal.arn is None:
        yield _not_simulated(principal)
        return
    needs = needs_of(
        scene.stack,
        caller.partition,
        caller.account_id,
        phases=LOOKED_AT,
        principal=principal.arn.replace(":sts:", ":iam:", 1),
        native_lock=_native_lock(scene),
        part="role" if scene.stack and scene.stack.aws.assume_role else "all",
    )
    if other_credentials(scene):
        needs = tuple(need for need in needs if not of_the_state(need))
    arn, session = principal.arn, scene.session()

    def ask(some: Sequence[Need], **more: str) -> tuple[SimulationResult, ...]:
        return simulate(session, arn, some, lambda need: {**_context(scene, need, caller.partition), **more})

    answers = _unless_with_mfa(ask(needs), lambda some: ask(some, **WITH_MFA))
    answers = with_boundary_rules(
        answers,
        lambda need, boundary: ask([need], **{BOUNDARY: boundary})[0],
        unnamed_boundary(caller),
        Shared(lambda: likely_boundaries(session)),
    )
    yield from judged(scene, principal, doubted(session, answers, _state_region(scene)))


def _unless_with_mfa(
    answers: Sequence[SimulationResult], ask: Callable[[Sequence[Need]], Sequence[SimulationResult]]
) -> tuple[SimulationResult, ...]:
    """Treat a denial that MFA would lift as unknown: no API says whether a session has MFA.

    The usual condition (``BoolIfExists``) denies if the simulation does not say it.
    https://github.com/aws-containers/amazon-ecs-exec-checker/issues/68
    """
    denied = [answer.need for answer in answers if answer.effect == "denied" and answer.by in ("explicit", "boundary")]
    lifted = {answer.need for answer in (ask(denied) if denied else ()) if answer.effect != "denied"}
    why = ", unless the session was made with MFA, which is unknown here"
    return tuple(
        replace(answer, effect="unknown", why=answer.why + why) if answer.need in lifted else answer
        for answer in answers
    )


def judged(
    scene: PreflightContext, principal: SimulatedPrincipal, answers: Sequence[SimulationResult]
) -> Iterator[Finding]:
    """The findings that follow from the simulator's answers."""
    told = [answer for answer in answers if not answer.untold]
    yield _simulation(principal, [answer for answer in answers if answer.untold], len(answers))
    mandatory = [answer for answer in told if answer.need.mandatory]
    advisory = [answer for answer in told if not answer.need.mandatory]
    complete = len(told) == len(answers)
    yield from _denied_actions(scene, mandatory) if _any(mandatory) else _all_allowed(scene, mandatory, complete)
    yield from _not_seen_phases(scene, advisory) if _any(advisory) else _all_seen(advisory, complete)


def _simulation(principal: SimulatedPrincipal, untold: Sequence[SimulationResult], asked: int) -> Finding:
    if untold:
        reasons = "; ".join(_unique(answer.why for answer in untold))
        read = f"{reasons} ({len(untold)} of {asked} questions)" + (f"; {principal.why}" if principal.why else "")
        return Finding(SIMULATION, "unknown", read, "an answer", _ASK, CALL)
    note = f" ({principal.why})" if principal.why else ""
    return Finding(SIMULATION, "pass", f"asked for the {principal.kind} {principal.arn}{note}", source=CALL)


def _not_simulated(principal: SimulatedPrincipal) -> Finding:
    if principal.kind == "root":
        return Finding(SIMULATION, "pass", f"not needed: {principal.why}")
    return Finding(SIMULATION, "unknown", principal.why, "a user or a role", "Use an IAM role, or a user.", CALL)


def _any(answers: Iterable[SimulationResult]) -> bool:
    return any(answer.effect != "allowed" for answer in answers)


def _denied_actions(scene: PreflightContext, answers: Sequence[SimulationResult]) -> Iterator[Finding]:
    """A finding for each action that is or may be denied."""
    by_action: dict[str, list[SimulationResult]] = defaultdict(list)
    for answer in answers:
        if answer.effect != "allowed":
            by_action[answer.need.action].append(answer)
    return (_denied(scene, action, found) for action, found in sorted(by_action.items()))


def _denied(scene: PreflightContext, action: str, found: Sequence[SimulationResult]) -> Finding:
    denied = [answer for answer in found if answer.effect == "denied"]
    first = min(denied or found, key=lambda answer: answer.by == "scp")  # proven denials first
    resources = _unique(answer.need.resource for answer in denied or found)
    purposes = _unique(answer.need.purpose for answer in denied or found)
    facts = {
        "action": action,
        "resources": list(resources),
        "needed_by": list(purposes),
        "phases": list(_unique(answer.need.phase for answer in found)),
        "denied_by": first.by,
        "policies": list(first.policies),
        "boundaries": list(first.boundaries),
    }
    kind = ORGANIZATION if first.by == "scp" else ALLOWED
    read = f"{first.why} (on {', '.join(resources)})"
    fix = _FIXES.get(first.by) or _add(scene)
    if first.boundaries:
        one = "the boundary" if len(first.boundaries) == 1 else "one of the boundaries"
        fix = f"Set role.permissions_boundary to {one} that the rule accepts: {', '.join(first.boundaries[:SHOWN])}."
    if first.by == "scp" and makes_role_without_boundary(first.need):
        fix += " If the SCP demands a permissions boundary on new roles, name it in role.permissions_boundary."
    needed = f"for {'; '.join(purposes)}"
    at: Place | None = ("role", "permissions_boundary") if first.by in ("no boundary", "other boundary") else None
    return Finding(kind, verdict_on(scene, denied), read, needed, fix, CALL, subject=action, facts=facts, at=at)


def _add(scene: PreflightContext) -> str:
    """The fix for a permission that is missing: which policy to extend."""
    role_arn = scene.stack.aws.role_arn if scene.stack else None
    if role_arn is None:
        return _ADD
    return f"Add it to the policy of {role_arn}: `gridbyoc policy --as assumed-role` prints one that suffices."


def _not_seen_phases(scene: PreflightContext, answers: Sequence[SimulationResult]) -> Iterator[Finding]:
    """A finding for each part of the tool that would not see or do something."""
    by_phase: dict[NeedPhase, list[SimulationResult]] = defaultdict(list)
    for answer in answers:
        if answer.effect != "allowed":
            by_phase[answer.need.phase].append(answer)
    return (_not_seen(scene, phase, found) for phase, found in by_phase.items())


def _not_seen(scene: PreflightContext, phase: NeedPhase, found: Sequence[SimulationResult]) -> Finding:
    denied = [answer for answer in found if answer.effect == "denied"]
    actions = _unique(answer.need.action for answer in denied or found)
    reasons = "; ".join(_unique(answer.why for answer in denied or found))
    facts = {"phase": phase, "actions": list(actions), "reasons": reasons}
    more = f" and {len(actions) - SHOWN} more" if len(actions) > SHOWN else ""
    read = f"{reasons}: {', '.join(actions[:SHOWN])}{more}"
    return Finding(
        LOOKING,
        "warn" if denied else "unknown",
        read,
        f"for {PHASES[phase]}",
        _add(scene),
        CALL,
        subject=phase,
        facts=facts,
    )


def _all_allowed(scene: PreflightContext, answers: Sequence[SimulationResult], complete: bool) -> Iterator[Finding]:
    """One finding for all actions; none if IAM did not answer for some."""
    if answers and complete:
        module = scene.stack.terraform.module if scene.stack else None
        known = f"; the needs of the module {module.source} are unknown" if module else ""
        yield Finding(ALLOWED, "pass", f"{_some(answers)}, all allowed{known}", source=CALL, facts=_counts(answers))


def _all_seen(answers: Sequence[SimulationResult], complete: bool) -> Iterator[Finding]:
    if answers and complete:
        yield Finding(LOOKING, "pass", f"{_some(answers)}, all allowed", source=CALL, facts=_counts(answers))


def _some(answers: Sequence[SimulationResult]) -> str:
    counts = _counts(answers)
    return f"{counts['actions']} actions on {counts['resources']} resources"


def _counts(answers: Sequence[SimulationResult]) -> Mapping[str, int]:
    needs = [answer.need for answer in answers]
    return {"actions": len({need.action for need in needs}), "resources": len({need.resource for need in needs})}


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _context(scene: PreflightContext, need: Need, partition: str) -> Mapping[str, str]:
    """The condition keys of every request, as far as known beforehand. IAM is asked in its partition's first region.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    region = HOME_REGIONS.get(partition, scene.region) if need.action.startswith("iam:") else scene.region
    if need.phase == "state":
        region = _state_region(scene)
    return {"aws:RequestedRegion": region, "aws:SecureTransport": "true"}


def _state_region(scene: PreflightContext) -> str:
    backend = scene.stack.terraform.backend if scene.stack else None
    return backend.region if isinstance(backend, S3Backend) else scene.region


def _native_lock(scene: PreflightContext) -> bool:
    try:
        return scene.binary().s3_native_lock
    except GridbyocError:
        return True


CHECKS = (Check((SIMULATION, ALLOWED, LOOKING, ORGANIZATION), _permissions),)
