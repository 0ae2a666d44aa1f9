"""The one question that a trust policy answers: may this one assume the role, in these circumstances?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gridbyoc.aws.policy.evaluate import action_matches
from gridbyoc.aws.policy.model import Statement
from gridbyoc.aws.policy.request import Actor, Request, ask

ASSUME = "sts:AssumeRole"
EXTERNAL_ID = "sts:ExternalId"


def assume_request(
    role_arn: str, actor: Actor, external_ids: Sequence[str] = (), now: datetime | None = None
) -> Request:
    """``actor`` assumes the role with that external id (none where ``external_ids`` is empty).

    What else a statement may look at (addresses, organisations, tags) is not known here and makes the answer unknown;
    the time is where ``now`` is given, and that the call comes over TLS.
    """
    context: dict[str, str | Sequence[str]] = {EXTERNAL_ID: external_ids, "aws:SecureTransport": "true"}
    if now is not None:
        context |= {"aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "aws:EpochTime": str(int(now.timestamp()))}
    return ask(ASSUME, actor=actor, resource=role_arn, context=context, others_unknown=True)


def may_assume(statement: Statement) -> bool:
    """Whether it is, or may be, about assuming the role (not, say, about tagging a session alone)."""
    return action_matches(statement.actions, ASSUME).holds is not False
