"""Whose policies decide for a caller: the user, or the role behind a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import ClientError

from gridbyoc.aws.identity import Caller
from gridbyoc.aws.live_role import DENIED_CODES
from gridbyoc.aws.session import AwsSession, domain_errors, error_code

CallerKind = Literal["user", "role", "root", "federated user", "other"]


@dataclass(frozen=True, slots=True)
class Principal:
    """``arn`` is what IAM simulates, ``None`` where it cannot; ``why`` says why not, or what is uncertain about it."""

    kind: CallerKind
    arn: str | None
    why: str = ""


def principal_of(session: AwsSession, caller: Caller) -> Principal:
    """The user or role behind ``sts:GetCallerIdentity``'s ARN; a role's path comes from ``iam:GetRole``.

    Raises ``AwsError`` where IAM cannot be reached.
    """
    what, _, rest = caller.arn.split(":", 5)[5].partition("/")
    if what == "root":
        return Principal("root", None, "no policy of the account limits the root user")
    if what == "user":
        return Principal("user", caller.arn)
    if what == "assumed-role":
        return _role(session, caller, rest.split("/", 1)[0])
    if what == "federated-user":
        return Principal("federated user", None, "IAM does not simulate a federated user's session")
    return Principal("other", None, f"IAM does not simulate {caller.arn}")


def _role(session: AwsSession, caller: Caller, name: str) -> Principal:
    """A session's ARN lacks the role's path, and roles of IAM Identity Center have one.

    https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html
    """
    with domain_errors(f"The role {name} could not be read"):
        try:
            return Principal("role", session.iam().get_role(RoleName=name)["Role"]["Arn"])
        except ClientError as error:
            if error_code(error) not in DENIED_CODES | {"NoSuchEntity"}:
                raise
    guessed = f"arn:{caller.partition}:iam::{caller.account_id}:role/{name}"
    return Principal("role", guessed, f"the caller may not call iam:GetRole on {name}, so its path is not known")
