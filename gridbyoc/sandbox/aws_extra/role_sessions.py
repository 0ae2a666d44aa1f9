"""``sts:AssumeRole``, which moto grants to everyone: the role must exist, and its trust policy must admit the caller.

Format: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html

Member accounts belong to an organization whose management account is the sandbox's own. Each has the role that AWS
Organizations creates:
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta, timezone
from typing import Any

from gridbyoc.sandbox.api.role import as_list, matches, statements_of
from gridbyoc.sandbox.aws_extra.call import AwsAnswerError, AwsCall, CallContext
from gridbyoc.sandbox.aws_extra.policy import judge, read_document
from gridbyoc.sandbox.aws_extra.principals import administrator, entity_arn
from gridbyoc.sandbox.settings import AWS_ACCOUNT_ID

MEMBERS_ROLE = "OrganizationAccountAccessRole"
_HOUR = 3600
_EXPIRED = "The security token included in the request is expired"


def make_member(account_id: str) -> None:
    """Create the role with which the management account administers a member account."""
    from moto.iam.models import iam_backends

    iam = iam_backends[account_id]["aws"]
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{AWS_ACCOUNT_ID}:root"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(MEMBERS_ROLE, document, "/", None, "", [], str(_HOUR))
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(MEMBERS_ROLE, "AdministratorAccess", json.dumps(everything))


class RoleSessions:
    """Creates sessions of roles. ``seconds``: how long each lasts; ``None``: as long as was asked for."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds

    def assume_role(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """The keys of a new session. Raises ``AwsAnswerError`` as AWS refuses it."""
        from moto.sts.models import sts_backends
        from moto.utilities.utils import get_partition

        arn, duration = str(given.get("RoleArn")), int(given.get("DurationSeconds") or _HOUR)
        role, identity = _role(arn, caller.region), _identity(caller)
        if role is None or not admits(read_document(role.assume_role_policy_document), identity, _context(given)):
            # AWS says the same of a role that does not exist
            said = f"User: {caller.arn or identity} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            raise AwsAnswerError("AccessDenied", said, 403)
        if duration > int(role.max_session_duration or _HOUR):
            said = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            raise AwsAnswerError("ValidationError", said)
        if duration > _HOUR and ":assumed-role/" in caller.arn:
            said = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
            raise AwsAnswerError("ValidationError", said)
        session = sts_backends[caller.account_id][get_partition(caller.region)].assume_role(
            region_name=caller.region,
            role_session_name=str(given.get("RoleSessionName")),
            role_arn=arn,
            policy=str(given.get("Policy") or ""),
            duration=duration,
            external_id=str(given.get("ExternalId") or ""),
        )
        if self._seconds is not None:
            session.expiration += timedelta(seconds=self._seconds - duration)
        return {
            "Credentials": {
                "AccessKeyId": session.access_key_id,
                "SecretAccessKey": session.secret_access_key,
                "SessionToken": session.session_token,
                "Expiration": session.expiration.replace(tzinfo=timezone.utc),
            },
            "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
            "PackedPolicySize": 6,
        }


def refuse_ended(call: AwsCall) -> None:
    """Raise ``AwsAnswerError`` if the key belongs to a session that has ended; moto accepts it for ever."""
    from moto.core.utils import utcnow
    from moto.iam.models import get_account_id_from
    from moto.sts.models import sts_backends
    from moto.utilities.utils import get_partition

    account = sts_backends[get_account_id_from(call.access_key)][get_partition(call.region)]
    session = account.get_assumed_role_from_access_key(call.access_key)
    if session is None or session.expiration > utcnow():
        return
    if call.protocol == "ec2":
        raise AwsAnswerError("RequestExpired", "Request has expired.")
    if call.protocol in ("json", "rest-json"):
        raise AwsAnswerError("ExpiredTokenException", f"{_EXPIRED}.")
    raise AwsAnswerError("ExpiredToken", _EXPIRED, 400 if call.service == "s3" else 403)


def admits(document: Mapping[str, Any], identity: str, context: Mapping[str, list[str]]) -> bool:
    """Whether a trust policy lets the user or role ``identity`` assume its role; an explicit deny wins."""
    effects = {
        str(statement.get("Effect"))
        for statement in statements_of(dict(document))
        if any(matches(str(each).lower(), "sts:assumerole") for each in as_list(statement.get("Action")))
        and _names(statement.get("Principal"), identity)
        and judge(statement.get("Condition"), context).holds
    }
    return effects == {"Allow"}


def _names(principal: object, identity: str) -> bool:
    account = identity.split(":")[4]
    named = as_list(principal.get("AWS")) if isinstance(principal, dict) else as_list(principal)
    root = identity.rpartition(":")[0] + ":root"
    return any(each in ("*", account, root, identity) for each in named)


def _identity(caller: CallContext) -> str:
    """The IAM ARN of the user or role behind a caller: a session's ARN lacks the path of its role."""
    arn = caller.arn or administrator().arn
    head, _, rest = arn.partition(":assumed-role/")
    if rest:
        name = rest.split("/")[0]
        known = entity_arn(caller.account_id, "role", name, caller.region)
        return known or f"{head.replace(':sts:', ':iam:')}:role/{name}"
    return arn.replace(":sts:", ":iam:")


def _context(given: Mapping[str, Any]) -> dict[str, list[str]]:
    keys = {"sts:externalid": "ExternalId", "sts:rolesessionname": "RoleSessionName"}
    return {key: [str(given[name])] for key, name in keys.items() if given.get(name)}


def _role(arn: str, region: str) -> Any:  # noqa: ANN401 -- moto's object
    """The role with this ARN, in whatever account; ``None`` if there is none."""
    from moto.iam.models import iam_backends
    from moto.utilities.utils import get_partition

    parts = arn.split(":")
    if len(parts) < 6 or parts[4] not in iam_backends:
        return None
    roles = list(iam_backends[parts[4]][get_partition(region)].roles.values())
    return next((role for role in roles if role.arn == arn), None)
