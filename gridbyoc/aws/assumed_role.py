"""Assume the role that a stack file names, and renew its session before it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from gridbyoc.aws.credential_source import STACK_ROLE, current_credentials
from gridbyoc.aws.session import BUSY, CREDENTIAL_CODES, AssumedSession, AwsSession, domain_errors, error_code
from gridbyoc.aws.session import open_session as open_by_chain
from gridbyoc.errors import SAFE_NOTHING_DONE, AwsCredentialsError
from gridbyoc.errors.cards import AWS_CARDS, card_for, with_known_failure
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.redaction import without_secrets

if TYPE_CHECKING:
    from gridbyoc.stack.model import AssumeRole, Aws


def stack_session(aws: Aws, open_session: Callable[[str, str | None], AwsSession] = open_by_chain) -> AwsSession:
    """The session in the stack's account: the caller's own, or one of the role that the stack file names."""
    caller = open_session(aws.region, aws.profile)
    return assume_role(caller, aws.assume_role) if aws.assume_role else caller


def assume_role(caller: AwsSession, role: AssumeRole, clock: Callable[[], float] = time.monotonic) -> AwsSession:
    """A session of ``role``, assumed with the caller's credentials at the first call, and again before it ends.

    Its clients have the settings of the caller's profile. They raise ``AwsCredentialsError`` if AWS refuses the role.
    """
    core = caller.core
    session = open_by_chain(caller.region, core.instance_variables().get("profile") if core else None)
    # The only way to give a botocore session credentials that are renewed: its public method takes fixed keys.
    made: Any = session.core
    made._credentials = _renewed(caller, role, clock)
    return replace(session, assumed=AssumedSession(role.role_arn, caller))


SAME_REFUSAL = 30.0
"""Seconds for which a refusal is not asked again: a doctor would ask forty times, and AWS records each."""


def _renewed(caller: AwsSession, role: AssumeRole, clock: Callable[[], float]) -> Any:  # noqa: ANN401 - of botocore, untyped
    from botocore.credentials import DeferredRefreshableCredentials

    refused: list[tuple[float, AwsCredentialsError]] = []

    def fetch() -> dict[str, str]:
        if refused and clock() - refused[-1][0] < SAME_REFUSAL:
            raise refused[-1][1]
        try:
            given = _assumed(caller, role)
        except AwsCredentialsError as error:
            refused.append((clock(), error))
            raise
        ends: datetime = given["Expiration"]
        # botocore's own margins, 15 and 10 minutes, are as long as the shortest session: every call would renew it.
        left = (ends - utc_now()).total_seconds()
        found._advisory_refresh_timeout = min(900.0, left / 4)
        found._mandatory_refresh_timeout = min(600.0, left / 6)
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": ends.isoformat(),
        }

    found: Any = DeferredRefreshableCredentials(fetch, STACK_ROLE)
    return found


def _assumed(caller: AwsSession, role: AssumeRole) -> dict[str, Any]:
    """``sts:AssumeRole``. Raises ``AwsCredentialsError`` if AWS refuses it, ``AwsError`` if it cannot be reached."""
    what = f"The role {role.role_arn} cannot be assumed"
    current_credentials(caller)  # an error of the caller's own credentials says so in its own words
    arguments: dict[str, Any] = {
        "RoleArn": role.role_arn,
        "RoleSessionName": role.session_name,
        "DurationSeconds": role.seconds,
    }
    if role.external_id:
        arguments["ExternalId"] = role.external_id.reveal()
    with domain_errors(what):
        try:
            answer: dict[str, Any] = dict(caller.sts().assume_role(**arguments))
        except ClientError as error:
            code = error_code(error)
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in BUSY | CREDENTIAL_CODES or status >= 500:
                raise
            said = str(error.response.get("Error", {}).get("Message", "")) or code
            if role.external_id:
                said = role.external_id.hidden_in(said)
            why = without_secrets(f"{code}: {said}")
            found = AwsCredentialsError(f"{what}.", why=why, fix=_fix(code, role), rerun=SAFE_NOTHING_DONE)
            raise with_known_failure(found, card_for(why, AWS_CARDS), keep=True) from None
        return dict(answer["Credentials"])


def _fix(code: str, role: AssumeRole) -> str:
    if code != "AccessDenied":
        return "Correct assume_role in the stack file as AWS says (a role that assumes a second role gets at most 1h)."
    given = " with the external id that assume_role.external_id_from gives" if role.external_id else ""
    missing = "" if role.external_id else " If it demands an external id, set assume_role.external_id_from."
    return (
        f"The role must exist, its trust policy must admit this caller{given}, and the caller's policy must allow "
        f"sts:AssumeRole on it: `gridbyoc policy --as assumed-role` and `gridbyoc policy --for caller` print both."
        f"{missing}"
    )
