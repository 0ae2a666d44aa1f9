"""The names, ARNs, regions and instance types that the control plane takes."""

from __future__ import annotations

import re
from functools import lru_cache

from gridbyoc.sandbox.api.failures import invalid

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ROLE_ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role/[A-Za-z0-9+=,.@_/-]{1,576}")
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")
_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]{0,31}\.[a-z0-9-]{1,31}")
_ACCELERATOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Arm families: a1, and those with a g among the letters after the generation (t4g, m7gd, im4gn, x2gd, hpc7g).
_ARM = re.compile(r"(a1|[a-z]+[0-9]+[a-z]*g[a-z]*)\.")


def check_name(name: object) -> str:
    """The cluster name, if it is one. A line feed at the end is refused as well: the clients let it pass."""
    if not isinstance(name, str) or not name:
        raise invalid("name is required")
    if not _NAME.fullmatch(name):
        raise invalid(
            f"name {name[:80]!r} is not valid: 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end"
        )
    return name


def check_role_arn(value: object, path: str) -> None:
    """An IAM role's ARN, in any partition."""
    if not isinstance(value, str) or not value:
        raise invalid(f"{path} is required: the ARN of the role that admits this control plane")
    if not _ROLE_ARN.fullmatch(value):
        raise invalid(f"{path} {value[:200]!r} is not the ARN of an IAM role")


def check_external_id(value: object, path: str) -> None:
    """IAM's own form. The value is not put into the message."""
    if not isinstance(value, str) or not value:
        raise invalid(f"{path} is required: the external id that the role's trust policy asks for")
    if not _EXTERNAL_ID.fullmatch(value):
        raise invalid(f"{path} is not valid: 2 to 1224 letters, digits and characters of _+=,.@:/-")


def check_region(value: object, path: str) -> None:
    """A region that botocore knows; a zone is named as such."""
    if not value or not isinstance(value, str):
        raise invalid(f"{path} is required")
    if value in known_regions():
        return
    if value[-1].isalpha() and value[:-1] in known_regions():
        raise invalid(f"{path} {value!r} is a zone; its region is {value[:-1]}")
    raise invalid(f"{path} {value[:80]!r} is not an AWS region")


def check_instance_type(value: object, path: str) -> None:
    """The form of an EC2 instance type, of an x86-64 family."""
    if not isinstance(value, str) or not _INSTANCE_TYPE.fullmatch(value):
        raise invalid(f"{path} {str(value)[:80]!r} is not an instance type; one looks like t3.large")
    _check_architecture(value, path)


def check_accelerator(value: object, path: str) -> None:
    """An accelerator of today's Lightning: an instance type, or a name of its own."""
    if not isinstance(value, str) or not _ACCELERATOR.fullmatch(value):
        raise invalid(f"{path} {str(value)[:80]!r} is not an instance type or accelerator")
    _check_architecture(value, path)


def _check_architecture(value: str, path: str) -> None:
    if _ARM.match(value):
        raise invalid(f"{path} {value[:80]!r} has an Arm processor; only x86-64 instance types are supported")


def account_of(role_arn: str) -> str:
    """The account in a role's ARN."""
    match = _ROLE_ARN.fullmatch(role_arn)
    return match["account"] if match else ""


@lru_cache(maxsize=1)
def known_regions() -> frozenset[str]:
    """Every region of every partition, from botocore's data."""
    import botocore.session

    session = botocore.session.Session()
    partitions = session.get_available_partitions()
    return frozenset(name for part in partitions for name in session.get_available_regions("ec2", part))
