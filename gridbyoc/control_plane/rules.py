"""What a cluster may be called and run on: the rules the service's own client checks before it sends anything."""

from __future__ import annotations

import re

from gridbyoc.errors import SAFE_NOTHING_DONE, UnsupportedByDialectError, UsageError
from gridbyoc.stack.model import ClusterSpec
from gridbyoc.stack.secret import Secret

NAME_RULE = "1 to 63 of a-z, 0-9 and hyphens, with no hyphen at either end"
_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/(?:[\w+=,.@-]+/)*[\w+=,.@-]{1,64}", re.ASCII)
# Graviton families carry a g right after the generation (m6g, c7gn, x2gd, im4gn); a1 came before that rule.
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
_ARM = re.compile(r"(a1|[a-z]+[0-9]+g[a-z]*)\..*")


def check_cluster(spec: ClusterSpec) -> None:
    """Raises ``UnsupportedByDialectError`` for a name or instance types that the control plane cannot take."""
    check_name(spec.name)
    check_types(tuple(item.name for item in spec.instance_types))


def check_name(name: str) -> None:
    """The name rule; a trailing line feed, which the service's own client lets pass, is refused as well."""
    if not _NAME.fullmatch(name):
        raise UnsupportedByDialectError(
            f"{name!r} cannot be a cluster's name.",
            why=f"The rule of the control plane: {NAME_RULE}.",
            fix="Choose another name.",
            rerun=SAFE_NOTHING_DONE,
        )


def check_types(names: tuple[str, ...]) -> None:
    """Arm instance types are refused: the service runs amd64 images only. All of them are named at once."""
    arm = [name for name in names if _ARM.fullmatch(name)]
    if arm:
        raise UnsupportedByDialectError(
            f"The control plane runs no Arm instance types: {', '.join(arm)}.",
            why="Its images are for amd64 alone.",
            fix="Choose types of an Intel or AMD family.",
            rerun=SAFE_NOTHING_DONE,
        )


def check_grant(role_arn: str, external_id: Secret, region: str) -> None:
    """The forms of what a person hands over by hand; raises ``UsageError``. The external id is not repeated."""
    if not _ROLE_ARN.fullmatch(role_arn):
        raise _bad_form(
            f"{role_arn!r} is not the ARN of an IAM role.", "It looks like arn:aws:iam::123456789012:role/grid-cloud."
        )
    # https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (ExternalId)
    if not re.fullmatch(r"[\w+=,.@:/-]{2,1224}", external_id.reveal(), re.ASCII):
        raise _bad_form(
            "The external id is not one.", "It has 2 to 1224 characters: letters, digits and any of _+=,.@:/- ."
        )
    zone = re.fullmatch(r"([a-z]{2}(?:-[a-z]+)+-\d)([a-z])", region)
    if zone:
        raise _bad_form(f"{region} is an availability zone, not a region.", f"Its region is {zone[1]}.")
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", region):
        raise _bad_form(f"{region!r} is not an AWS region.", "It looks like us-east-1.")


def check_type_forms(names: tuple[str, ...]) -> None:
    """Instance types as typed by a person: FAMILY.SIZE each, none twice; raises ``UsageError``."""
    for name in names:
        if not re.fullmatch(r"[a-z0-9-]+\.[a-z0-9-]+", name):
            raise _bad_form(f"{name!r} is not an EC2 instance type.", "It looks like g4dn.xlarge.")
        if names.count(name) > 1:
            raise _bad_form(f"The instance type {name} is named twice.", "Name it once.")


def _bad_form(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)
