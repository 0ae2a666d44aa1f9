"""The trust policy put to the test: who gets in, with which external id."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from gridbyoc.aws.policy import (
    ANONYMOUS,
    Actor,
    Decision,
    Policy,
    PrincipalEntry,
    Statement,
    assume_request,
    evaluate,
    principal,
    some_principal_of,
)
from gridbyoc.aws.policy.principals import ACCOUNT
from gridbyoc.aws.policy.trust import ASSUME, external_ids_named, id_conditions
from gridbyoc.stack.external_id import EXTERNAL_ID_FORM
from gridbyoc.stack.role_defaults import trusted_account_of
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.verdict import Verdict
from gridbyoc.steps.verify_model import Subject, VerifyFinding, policy_of

ANOTHER_ID = "gridbyoc-verify.an-id-that-nobody-gave"
APPLY = "`gridbyoc bootstrap` puts the trust policy back to what the stack file says."


@dataclass(frozen=True, slots=True)
class TrustCase:
    """The trust policy beside what the stack file declares; ``with_id`` and ``without_id`` are root or other ARNs."""

    subject: Subject
    policy: Policy
    control_plane: str
    with_id: frozenset[str]
    without_id: frozenset[str]

    @property
    def declared(self) -> frozenset[str]:
        """Every principal that the stack file names, the control plane's account among them."""
        return self.with_id | self.without_id | {self.control_plane}

    def named(self, entry: PrincipalEntry) -> str:
        """An account id as its root ARN; any other name as it is."""
        return self.root(entry.value) if ACCOUNT.fullmatch(entry.value) else entry.value

    def root(self, account_id: str) -> str:
        """An account's root ARN in the role's partition."""
        return f"arn:{self.subject.role.partition}:iam::{account_id}:root"

    @property
    def stranger(self) -> str:
        """An account id that nothing in the policy names."""
        conditions = [each.values for statement in self.policy.statements for each in statement.conditions]
        named = f"{self.policy.statements} {self.declared} {conditions} {self.subject.role.arn}"
        return next(str(number) for number in range(999999999999, 0, -1) if str(number) not in named)

    def exempt(self, statement: Statement) -> bool:
        """An Allow for nobody but principals that the stack file lets in without an external id."""
        named = statement.principals
        return (
            statement.effect == "Allow"
            and named is not None
            and not named.negated
            and all(e.kind == "AWS" and self.named(e) in self.without_id - {self.control_plane} for e in named.entries)
        )

    def asked(self, actor: Actor, ids: Sequence[str], *, exemptions: bool = False, action: str = ASSUME) -> Decision:
        """What the policy answers ``actor`` with these external ids; the declared exemptions are looked at apart."""
        kept = self.policy.statements if exemptions else [s for s in self.policy.statements if not self.exempt(s)]
        request = assume_request(self.subject.role.arn, actor, ids, self.subject.now, action=action)
        return evaluate((replace(self.policy, statements=tuple(kept)),), request)

    def named_ids(self, actor: Actor) -> tuple[str, ...]:
        """The external ids that the policy itself names, as ``actor`` fills in its variables."""
        return external_ids_named(self.policy, assume_request(self.subject.role.arn, actor, (), self.subject.now))

    @property
    def literal_ids(self) -> frozenset[str]:
        """Every text that stands in a condition on the external id and is one, letter by letter."""
        conditions = [each for statement in self.policy.statements for each in id_conditions(statement)]
        return frozenset(text for each in conditions for text in each.values if EXTERNAL_ID_FORM.fullmatch(text))

    def further(self, external_id: str) -> Verdict:
        """How bad it is that this id is accepted besides the stack's own: it may belong to a rotation under way."""
        under_way = self.subject.rotation.under_way(Secret(external_id))
        return self.subject.undeclared if under_way is False else "unknown" if under_way is None else "warn"


def trust_of(subject: Subject) -> TrustCase:
    """Read the role's trust policy, and what the stack file says about it."""
    role = subject.declared
    control_plane = f"arn:{subject.role.partition}:iam::{trusted_account_of(role)}:root"
    return TrustCase(
        subject,
        policy_of(subject.role.trust),
        control_plane,
        frozenset(role.trusted_principals),
        frozenset(role.trusted_principals_without_external_id),
    )


def actor_of(arn: str) -> Actor:
    """Who a declared principal's ARN stands for: a root ARN for some principal of its account."""
    parts = arn.split(":")
    return some_principal_of(parts[4], parts[1]) if parts[-1] == "root" else principal(arn)


def admission(trust: TrustCase) -> VerifyFinding:
    """The control plane gets in with the external id."""
    account = trusted_account_of(trust.subject.declared)
    decision = trust.asked(actor_of(trust.control_plane), (trust.subject.external_id.reveal(),))
    verdicts: dict[str, Verdict] = {"allowed": "pass", "denied": "fail", "unknown": "unknown"}
    said = {"allowed": f"account {account} may assume the role with the external id: {decision.why}"}
    return VerifyFinding(
        "GBY-V001",
        "control plane admitted",
        verdicts[decision.effect],
        said.get(decision.effect, f"account {account} with the external id: {decision.why}"),
        "" if decision.effect == "allowed" else APPLY,
        _names((decision,)),
    )


def without_id(trust: TrustCase) -> VerifyFinding:
    """Nobody who needs the external id gets in without one."""
    return _refused(trust, "GBY-V002", "no external id", "without an external id", lambda _: [()])


def another_id(trust: TrustCase) -> VerifyFinding:
    """Nor with another one: a stranger's, one that the policy names, a longer, a shorter, in another case, a wildcard.

    Further ids that a rotation keeps, or may keep, are told by GBY-V011.
    """
    own = trust.subject.external_id.reveal()
    others = [ANOTHER_ID, f"{own}x", f"x{own}", own[:-1], own[1:], own.swapcase(), "*", "?" * len(own)]
    apart = {each for each in trust.literal_ids - {own} if trust.further(each) != "fail"}

    def guesses(actor: Actor) -> list[tuple[str, ...]]:
        tried = dict.fromkeys([*others, *trust.named_ids(actor)])
        return [(other,) for other in tried if other not in {"", own, *apart}]

    found = _refused(trust, "GBY-V003", "another external id", "with another external id", guesses)
    return (
        replace(found, detail=f"{found.detail}, those of GBY-V011 apart")
        if apart and found.verdict == "pass"
        else found
    )


def empty_id(trust: TrustCase) -> VerifyFinding:
    """Nor with an empty one."""
    return _refused(trust, "GBY-V004", "empty external id", "with an empty external id", lambda _: [("",)])


def strangers(trust: TrustCase) -> VerifyFinding:
    """Nobody else's account gets in: not with the right external id, not with any that the policy names.

    The accounts are one that the policy does not name, and those that it names in a condition.
    """
    partition, own = trust.subject.role.partition, trust.subject.external_id.reveal()
    people = [ANONYMOUS]
    for account in (trust.stranger, *_accounts_in_conditions(trust)):
        somebody = (principal(f"arn:{partition}:iam::{account}:{what}") for what in ("role/a", "user/a", "root"))
        people += [*somebody, some_principal_of(account, partition)]
    answers = [
        trust.asked(actor, each) for actor in people for each in ((own,), (), *((i,) for i in trust.named_ids(actor)))
    ]
    found = _all_denied("GBY-V005", "another account", "a stranger", answers)
    tried = ": without an external id, with the stack's, and with each that the policy names"
    return replace(found, detail=found.detail + tried) if found.verdict == "pass" else found


def _refused(
    trust: TrustCase, code: str, check: str, said: str, ids: Callable[[Actor], Iterable[tuple[str, ...]]]
) -> VerifyFinding:
    wanted = [actor_of(arn) for arn in (trust.control_plane, *sorted(trust.with_id - trust.without_id))]
    answers = [trust.asked(actor, each) for actor in wanted for each in ids(actor)]
    return _all_denied(code, check, f"whoever comes {said}", answers)


def _all_denied(code: str, check: str, who: str, answers: Sequence[Decision]) -> VerifyFinding:
    allowed = [answer for answer in answers if answer.effect == "allowed"]
    unsure = [answer for answer in answers if answer.effect == "unknown"]
    if allowed:
        return VerifyFinding(code, check, "fail", f"{who} is admitted: {allowed[0].why}", APPLY, _names(allowed))
    if unsure:
        detail = f"it cannot be told whether {who} is refused: {unsure[0].why}"
        return VerifyFinding(code, check, "unknown", detail, "Look at that statement yourself.", _names(unsure))
    return VerifyFinding(code, check, "pass", f"{who} is refused")


def _names(decisions: Iterable[Decision]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(decision.statement) for decision in decisions if decision.statement))


def _accounts_in_conditions(trust: TrustCase) -> list[str]:
    """Accounts that only a condition names: strangers, too. Those that a Principal names are told by GBY-V006."""
    statements = trust.policy.statements
    entries = [entry.value for each in statements if each.principals for entry in each.principals.entries]
    known = {trust.subject.role.account_id, *re.findall(r"[0-9]{12}", f"{entries} {trust.declared}")}
    conditions = [
        each for statement in statements for each in statement.conditions if each not in id_conditions(statement)
    ]
    found = [account for each in conditions for value in each.values for account in re.findall(r"\b[0-9]{12}\b", value)]
    return [account for account in dict.fromkeys(found) if account not in known]


ADMISSIONS: tuple[Callable[[TrustCase], VerifyFinding], ...] = (admission, without_id, another_id, empty_id, strangers)
"""The questions, in the order of their codes."""
