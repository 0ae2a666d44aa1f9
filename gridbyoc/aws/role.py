"""The live role: does its trust policy admit the control plane with this external id?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from botocore.exceptions import ClientError

from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.errors import TrustError
from gridbyoc.stack.secret import Secret

DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


@dataclass(frozen=True, slots=True)
class Trust:
    """What was found: ``admitted``, or ``unknown`` where the caller may not read the role."""

    verdict: Literal["admitted", "unknown"]
    detail: str


def await_trust(
    session: AwsSession,
    role_arn: str,
    external_id: Secret,
    trusted_account_id: str,
    *,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
    timeout: float = 60.0,
) -> Trust:
    """Read the role (``iam:GetRole``) until its trust policy admits ``trusted_account_id`` with ``external_id``.

    A new role takes seconds to be visible everywhere, so it is asked again with growing pauses for ``timeout``
    seconds; then ``TrustError``. A caller that may not read the role gets ``unknown``: only proof blocks.
    """
    began = clock()
    pause = 0.5
    while True:
        trouble = _trouble(session, role_arn, external_id, trusted_account_id)
        if isinstance(trouble, Trust):
            return trouble
        if clock() - began + pause > timeout:
            raise TrustError(
                f"The role {role_arn} does not admit the control plane.",
                why=trouble,
                fix="Run `gridbyoc plan` to see what differs from the stack file, then `gridbyoc bootstrap`.",
            )
        sleep(pause)
        pause = min(pause * 2, 8.0)


def _trouble(session: AwsSession, role_arn: str, external_id: Secret, account_id: str) -> Trust | str:
    name = role_arn.rsplit("/", 1)[-1]
    with domain_errors(f"The role {name} could not be read"):
        try:
            role = session.iam().get_role(RoleName=name)["Role"]
        except ClientError as error:
            if error_code(error) == "NoSuchEntity":
                return "IAM does not know the role (yet)."
            if error_code(error) in DENIED_CODES:
                return Trust("unknown", "the caller may not read the role (iam:GetRole)")
            raise
    if role["Arn"] != role_arn:
        return f"IAM knows this name as {role['Arn']}."
    document: Any = role["AssumeRolePolicyDocument"]
    policy = json.loads(unquote(document)) if isinstance(document, str) else document
    if any(_admits(statement, external_id, account_id) for statement in _listed(policy.get("Statement"))):
        return Trust("admitted", f"account {account_id} may assume it with the external id")
    return f"No statement of its trust policy allows account {account_id} to assume it with the external id."


def _listed(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _admits(statement: Mapping[str, Any], external_id: Secret, account_id: str) -> bool:
    principal = statement.get("Principal")
    named = _listed(principal.get("AWS")) if isinstance(principal, Mapping) else []
    trusted = any(value == account_id or str(value).endswith(f"::{account_id}:root") for value in named)
    condition = statement.get("Condition") or {}
    ids = _listed((condition.get("StringEquals") or {}).get("sts:ExternalId"))
    actions = _listed(statement.get("Action"))
    return (
        statement.get("Effect") == "Allow" and "sts:AssumeRole" in actions and trusted and external_id.reveal() in ids
    )
