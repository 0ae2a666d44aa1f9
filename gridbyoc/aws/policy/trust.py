"""What a trust policy is asked: may this one assume the role, in these circumstances?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from gridbyoc.aws.policy.conditions import operator_form
from gridbyoc.aws.policy.evaluate import action_matches
from gridbyoc.aws.policy.model import Condition, Policy, Statement
from gridbyoc.aws.policy.operators import OPERATORS
from gridbyoc.aws.policy.patterns import ANY, ONE, Lookup, Pattern, read_pattern, text_of
from gridbyoc.aws.policy.request import Actor, Request, ask

ASSUME = "sts:AssumeRole"
FEDERATED = ("sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity")
"""How a provider's users assume a role; no external id goes with these."""

EXTERNAL_ID = "sts:ExternalId"


def assume_request(
    role_arn: str,
    actor: Actor,
    external_ids: Sequence[str] = (),
    now: datetime | None = None,
    *,
    action: str = ASSUME,
) -> Request:
    """``actor`` assumes the role with that external id (none where ``external_ids`` is empty).

    What else a statement may look at (addresses, organisations, tags) is not known here and makes the answer unknown;
    the time is where ``now`` is given, and that the call comes over TLS.
    """
    context: dict[str, str | Sequence[str]] = {EXTERNAL_ID: external_ids, "aws:SecureTransport": "true"}
    if now is not None:
        context |= {"aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "aws:EpochTime": str(int(now.timestamp()))}
    return ask(action, actor=actor, resource=role_arn, context=context, others_unknown=True)


def may_assume(statement: Statement) -> bool:
    """Whether it is, or may be, about assuming the role (not, say, about tagging a session alone)."""
    return action_matches(statement.actions, ASSUME).holds is not False


def id_conditions(statement: Statement) -> tuple[Condition, ...]:
    """Its conditions on the external id."""
    return tuple(each for each in statement.conditions if each.key.lower() == EXTERNAL_ID.lower())


def id_patterns(condition: Condition, lookup: Lookup | None) -> tuple[Pattern, ...]:
    """The texts of a condition, as its operator reads them; ``lookup`` fills in variables (``None``: none there)."""
    form = operator_form(condition.operator)
    known = OPERATORS.get(form.base) if form else None
    wildcards, variables = known is not None and known.wildcards, known is not None and known.variables
    texts = condition.values
    return tuple(read_pattern(each, wildcards=wildcards, lookup=lookup if variables else None) for each in texts)


def external_ids_named(policy: Policy, request: Request) -> tuple[str, ...]:
    """External ids that the policy itself names, each once: its texts, with variables filled in as ``request`` does.

    A wildcard becomes a letter, and ``*`` nothing at all as well.
    """
    return tuple(dict.fromkeys(_named(policy, request.values if policy.has_variables else None)))


def _named(policy: Policy, lookup: Lookup | None) -> Iterator[str]:
    for condition in (each for statement in policy.statements for each in id_conditions(statement)):
        for pattern in id_patterns(condition, lookup):
            tokens = pattern.tokens or ()
            yield from (text_of([{ANY: fill, ONE: "x"}.get(each, each) for each in tokens]) for fill in ("x", ""))
