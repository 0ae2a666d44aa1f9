"""What may be asked of a control plane: checked before anything is sent, by the rules of the stack file."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gridbyoc.errors import SAFE_NOTHING_DONE, UnsupportedByDialectError, UsageError
from gridbyoc.stack.findings import Fault
from gridbyoc.stack.instance_types import instance_type_fault
from gridbyoc.stack.model import ClusterSpec, DialectName
from gridbyoc.stack.regions import region_fault
from gridbyoc.stack.rules.clusters import cluster_name_fault
from gridbyoc.stack.secret import Secret

_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/(?:[\w+=,.@-]+/)*[\w+=,.@-]{1,64}", re.ASCII)
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (ExternalId)
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")


def check_cluster(spec: ClusterSpec, dialect: DialectName) -> None:
    """Raises ``UnsupportedByDialectError`` for a name or instance types that the control plane does not take."""
    check_name(spec.name, dialect)
    check_types(item.name for item in spec.instance_types)


def check_name(name: str, dialect: DialectName) -> None:
    """The dialect's name rule; a trailing line feed, which the service's own client lets pass, is refused as well."""
    fault = cluster_name_fault(name, dialect)
    if fault is not None:
        raise _unsupported([fault])


def check_types(names: Iterable[str]) -> None:
    """Instance types that are none, and Arm ones (the service's images are for amd64); all are named at once."""
    faults = [fault for name in names if (fault := instance_type_fault(name)) is not None]
    if faults:
        raise _unsupported(faults)


def _unsupported(faults: list[Fault]) -> UnsupportedByDialectError:
    return UnsupportedByDialectError(
        "; ".join(fault.message for fault in faults) + ".",
        fix="; ".join(fault.hint for fault in faults if fault.hint),
        rerun=SAFE_NOTHING_DONE,
    )


def check_grant(role_arn: str, external_id: Secret, region: str) -> None:
    """The forms of what a person hands over by hand; raises ``UsageError``. The external id is not repeated."""
    if not _ROLE_ARN.fullmatch(role_arn):
        raise _bad_form(
            f"{role_arn!r} is not the ARN of an IAM role.", "It looks like arn:aws:iam::123456789012:role/grid-cloud."
        )
    if not _EXTERNAL_ID.fullmatch(external_id.reveal()):
        raise _bad_form(
            "The external id is not one.", "It has 2 to 1224 characters: letters, digits and any of _+=,.@:/- ."
        )
    fault = region_fault(region)
    if fault is not None:
        raise _bad_form(f"{fault.message}.", fault.hint)


def check_unique(names: tuple[str, ...]) -> None:
    """Instance types as typed by a person, each once; raises ``UsageError``."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _bad_form(f"The instance type {twice} is named twice.", "Name it once.")


def _bad_form(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)
