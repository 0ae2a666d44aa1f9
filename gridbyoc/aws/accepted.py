"""The external ids that a live role's trust policy accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.stack.secret import Secret


def accepted_external_ids(session: AwsSession, role_arn: str) -> frozenset[Secret]:
    """Every external id that an Allow statement of the live trust policy names (``iam:GetRole``); none without a role.

    Raises ``AwsError``, also where the caller may not read the role.
    """
    name = role_arn.rsplit("/", 1)[-1]
    with domain_errors(f"The role {name} could not be read"):
        try:
            document: Any = session.iam().get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        except ClientError as error:
            if error_code(error) == "NoSuchEntity":
                return frozenset()
            raise
    return external_ids_in(document)


def external_ids_in(document: Any) -> frozenset[Secret]:  # noqa: ANN401 - an object or its text
    """Every external id that an Allow statement of a trust policy names, in the forms that botocore hands it over."""
    policy = json.loads(unquote(document)) if isinstance(document, str) else document
    statements = _listed(policy.get("Statement")) if isinstance(policy, dict) else []
    return frozenset(Secret(value) for each in statements if isinstance(each, dict) for value in _ids(each))


def _ids(statement: Mapping[str, Any]) -> Iterator[str]:
    if statement.get("Effect") == "Allow":
        equals = (statement.get("Condition") or {}).get("StringEquals") or {}
        yield from map(str, _listed(equals.get("sts:ExternalId")))


def _listed(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
