"""The external ids that a role's trust policy accepts, and whether the control plane may assume the role."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gridbyoc.aws.live_role import decoded, find_role, look_at_role
from gridbyoc.aws.policy import actor_of, assume_request, evaluate, parse_policy
from gridbyoc.aws.policy.evaluate import ASSUME, action_matches
from gridbyoc.aws.policy.model import Selection, is_external_id
from gridbyoc.aws.policy.parse import PolicyDocumentError
from gridbyoc.aws.session import AwsSession, domain_errors
from gridbyoc.errors import SAFE_NOTHING_DONE, AwsError, TrustError
from gridbyoc.stack.clock import backoff
from gridbyoc.stack.external_id import EXTERNAL_ID_FORM
from gridbyoc.stack.secret import Secret


def accepted_external_ids(session: AwsSession, role_arn: str) -> frozenset[Secret]:
    """Every external id that the live trust policy accepts (``iam:GetRole``); empty without a role.

    Raises ``AwsError``, also if the caller may not read the role, or its trust policy is not a JSON object.
    """
    name = role_arn.rsplit("/", 1)[-1]
    with domain_errors(f"The role {name} could not be read"):
        role = find_role(session.iam(), name)
    if role is None:
        return frozenset()
    try:
        return frozenset(_accepted(decoded(role["AssumeRolePolicyDocument"])))
    except ValueError:
        raise AwsError(
            f"The external ids that the role {name} accepts could not be read.",
            why="Its trust policy is not a JSON object.",
            fix="Correct it in the IAM console.",
            rerun=SAFE_NOTHING_DONE,
        ) from None


def accepted_in(document: object) -> frozenset[Secret]:
    """Every external id that a trust policy from botocore accepts; empty for anything else.

    An accepted id is a literal value of ``StringEquals`` in an Allow of ``sts:AssumeRole``. A policy variable or a
    wildcard is never an external id, even if a cluster is said to have it.
    """
    try:
        return frozenset(_accepted(decoded(document)))
    except ValueError:
        return frozenset()


def external_ids_written(document: object) -> frozenset[Secret]:
    """Every text under ``sts:ExternalId`` anywhere in a document, accepted or not, to hide it."""
    if isinstance(document, Mapping):
        own = (each for key, values in document.items() if is_external_id(str(key)) for each in _listed(values))
        inner = (each for value in document.values() for each in external_ids_written(value))
        return frozenset((*(Secret(each) for each in own if isinstance(each, str)), *inner))
    return (
        frozenset(each for value in document for each in external_ids_written(value))
        if isinstance(document, list)
        else frozenset()
    )


def _accepted(policy: Mapping[str, Any]) -> Iterator[Secret]:
    for statement in _listed(policy.get("Statement")):
        if not isinstance(statement, Mapping) or statement.get("Effect") != "Allow":
            continue
        actions = Selection(tuple(map(str, _listed(statement.get("Action")))))
        if action_matches(actions, ASSUME).holds is False:
            continue
        equals = _object(_object(statement.get("Condition")).get("StringEquals"))
        for key, values in equals.items():
            if is_external_id(str(key)):
                texts = (str(each) for each in _listed(values) if isinstance(each, (str, int)))
                yield from (Secret(each) for each in texts if EXTERNAL_ID_FORM.fullmatch(each))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True, slots=True)
class Trust:
    """The result: ``admitted``, or ``unknown`` if the caller may not read the role or the policy is inconclusive.

    ``policy``: the judged trust policy, which contains the external id; ``None`` if it could not be read.
    """

    verdict: Literal["admitted", "unknown"]
    detail: str
    policy: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)


def await_trust(
    session: AwsSession,
    role_arn: str,
    external_id: Secret,
    principals: Sequence[str],
    *,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
    timeout: float = 60.0,
) -> Trust:
    """Read the role (``iam:GetRole``) until each of ``principals`` may assume it with ``external_id``.

    ``principals`` are ARNs; an account's root means some principal of that account.

    A new role takes seconds to become visible everywhere, so the role is read again with growing pauses for ``timeout``
    seconds; then ``TrustError`` is raised. The result is ``unknown`` if the caller may not read the role, or the policy
    depends on unknown facts (an address, an organization): only a proven denial raises.
    """
    began = clock()
    pauses = backoff(0.5, 2.0, 8.0)
    while True:
        trouble = _trouble(session, role_arn, external_id, principals)
        if isinstance(trouble, Trust):
            return trouble
        pause = next(pauses)
        if clock() - began + pause > timeout:
            raise TrustError(
                f"The role {role_arn} does not admit the control plane.",
                why=trouble,
                fix="Run `gridbyoc plan` to see what differs from the stack file, then `gridbyoc bootstrap`.",
            )
        sleep(pause)


def role_is_gone(session: AwsSession, role_arn: str) -> bool:
    """Whether IAM no longer has a role of that name (``iam:GetRole``); false if the caller may not read it.

    Raises ``AwsError`` if AWS cannot be reached.
    """
    look = look_at_role(session, role_arn.rsplit("/", 1)[-1])
    return look.role is None and not look.refused


def _trouble(session: AwsSession, role_arn: str, external_id: Secret, principals: Sequence[str]) -> Trust | str:
    look = look_at_role(session, role_arn.rsplit("/", 1)[-1])
    if look.refused:
        return Trust("unknown", "the caller may not read the role (iam:GetRole)")
    role = look.role
    if role is None:
        return "IAM does not know the role (yet)."
    if role["Arn"] != role_arn:
        return f"IAM knows this name as {role['Arn']}."
    return _judged(role["AssumeRolePolicyDocument"], role_arn, external_id, principals)


def _judged(document: object, role_arn: str, external_id: Secret, principals: Sequence[str]) -> Trust | str:
    """Judge every principal: a denial of one decides first, then an unknown one; each must be proven itself."""
    try:
        read = decoded(document)
        policy = parse_policy(read, name="the trust policy", kind="trust")
    except ValueError:
        return "Its trust policy is not a JSON object."
    except PolicyDocumentError as error:
        return error.what
    ids = (external_id.reveal(),)
    asked = [(arn, evaluate((policy,), assume_request(role_arn, actor_of(arn), ids))) for arn in principals]
    for arn, decision in asked:
        if decision.effect == "denied":
            who = principal_words(arn).replace("account ", "Account ")
            return f"{who} may not assume it with the external id. {decision.why}"
    unsure = [decision for _, decision in asked if decision.effect == "unknown"]
    if unsure or not asked:
        return Trust(
            "unknown", unsure[0].why if unsure else "no principal is named that must be able to assume it", read
        )
    return Trust("admitted", f"{listed_principals(principals)} may assume it with the external id", read)


def principal_words(arn: str) -> str:
    """``account ID`` for an account's root, else the ARN."""
    return f"account {arn.split(':')[4]}" if arn.endswith(":root") else arn


def listed_principals(principals: Sequence[str]) -> str:
    """All principals, joined: ``a, b and c``."""
    words = [principal_words(arn) for arn in principals]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
