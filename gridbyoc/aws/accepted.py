"""The external ids that a live role's trust policy accepts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from gridbyoc.aws.live_role import decoded
from gridbyoc.aws.policy.evaluate import action_matches
from gridbyoc.aws.policy.model import Selection
from gridbyoc.aws.policy.trust import ASSUME, EXTERNAL_ID
from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.errors import SAFE_NOTHING_DONE, AwsError
from gridbyoc.stack.external_id import EXTERNAL_ID_FORM
from gridbyoc.stack.secret import Secret


def accepted_external_ids(session: AwsSession, role_arn: str) -> frozenset[Secret]:
    """Every external id that the live trust policy accepts (``iam:GetRole``); none without a role.

    Raises ``AwsError``, also where the caller may not read the role, or its trust policy is not a JSON object.
    """
    name = role_arn.rsplit("/", 1)[-1]
    with domain_errors(f"The role {name} could not be read"):
        try:
            document: Any = session.iam().get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        except ClientError as error:
            if error_code(error) == "NoSuchEntity":
                return frozenset()
            raise
    try:
        return frozenset(_accepted(decoded(document)))
    except ValueError:
        raise AwsError(
            f"Which external ids the role {name} accepts could not be read.",
            why="Its trust policy is not a JSON object.",
            fix="Look at it in the IAM console, and put it right.",
            rerun=SAFE_NOTHING_DONE,
        ) from None


def external_ids_in(document: object) -> frozenset[Secret]:
    """Every external id that a trust policy accepts, in the forms that botocore hands it over; none of anything else.

    Accepted is what an Allow of ``sts:AssumeRole`` asks for with ``StringEquals``, letter by letter: a policy variable
    or a wildcard is no external id, whoever says that a cluster holds it.
    """
    try:
        return frozenset(_accepted(decoded(document)))
    except ValueError:
        return frozenset()


def external_ids_written(document: object) -> frozenset[Secret]:
    """Every text that stands under ``sts:ExternalId`` anywhere in a document, accepted or not: for hiding it."""
    if isinstance(document, Mapping):
        own = (
            each
            for key, values in document.items()
            if str(key).lower() == EXTERNAL_ID.lower()
            for each in _listed(values)
        )
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
            if str(key).lower() == EXTERNAL_ID.lower():
                texts = (str(each) for each in _listed(values) if isinstance(each, (str, int)))
                yield from (Secret(each) for each in texts if EXTERNAL_ID_FORM.fullmatch(each))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
