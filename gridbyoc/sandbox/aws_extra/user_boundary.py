"""Permissions boundaries of users.

Shape: https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPermissionsBoundary.html (botocore ``iam``).
moto keeps boundaries of roles only. Here a user's is kept on moto's own object, so that its GetUser shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbyoc.sandbox.aws_extra.answer import AwsError
from gridbyoc.sandbox.aws_extra.caller import Caller


def put_user_permissions_boundary(caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
    """Set it."""
    _set(caller, given["UserName"], given["PermissionsBoundary"])
    return {}


def delete_user_permissions_boundary(caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
    """Take it away."""
    user = _user(caller, given["UserName"])
    if not getattr(user, "permissions_boundary", None):
        raise AwsError("NoSuchEntity", f"The user with name {given['UserName']} has no permissions boundary.", 404)
    user.permissions_boundary = None
    return {}


def before_create_user(caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
    """No user is made with a boundary that there is not."""
    if arn := given.get("PermissionsBoundary"):
        _require(caller, arn)
    return {}


def after_create_user(caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
    """moto has made the user; the boundary that it overlooked is set."""
    if given.get("PermissionsBoundary"):
        _set(caller, given["UserName"], given["PermissionsBoundary"])
    return {}


def _set(caller: Caller, name: str, arn: str) -> None:
    user = _user(caller, name)
    _require(caller, arn)
    user.permissions_boundary = {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn}


def _require(caller: Caller, arn: str) -> None:
    if arn not in _iam(caller).managed_policies:
        raise AwsError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", 404)


def _user(caller: Caller, name: str) -> Any:  # noqa: ANN401 -- moto's object
    user = _iam(caller).users.get(name)
    if user is None:
        raise AwsError("NoSuchEntity", f"The user with name {name} cannot be found.", 404)
    return user


def _iam(caller: Caller) -> Any:  # noqa: ANN401 -- moto's backend
    from moto.iam.models import iam_backends
    from moto.utilities.utils import get_partition

    return iam_backends[caller.account_id][get_partition(caller.region)]
