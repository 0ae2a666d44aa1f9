"""What the account of the local AWS is told about its quotas: ``SERVICE/CODE=VALUE`` and ``SERVICE/CODE=NAME``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.stack.service_quotas import quota_codes

ACCOUNTS = ("healthy", "new")
OUTCOMES = ("approved", "denied")


def read_quotas(texts: Iterable[str]) -> dict[str, float]:
    """``("ec2/L-1216C47A=64",)`` as a mapping. Raises ``UsageError`` for what is none, and for an unknown quota."""
    return {key: _number(key, text) for key, text in _pairs(texts, "a quota", "ec2/L-1216C47A=64")}


def read_quota_names(texts: Iterable[str]) -> dict[str, str]:
    """``("ec2/L-1216C47A=Another name",)`` as a mapping. Raises ``UsageError`` as ``read_quotas`` does."""
    return dict(_pairs(texts, "a quota's name", "ec2/L-1216C47A=Another name"))


def check_quotas(keys: Mapping[str, object]) -> None:
    """Raise ``UsageError`` for a ``SERVICE/CODE`` that no quota has."""
    known = {f"{quota.service}/{quota.code}" for quota in quota_codes()}
    for key in keys:
        if key not in known:
            near = [each for each in sorted(known) if each.endswith(key.rpartition("/")[2])] or sorted(known)
            raise refused(f"There is no quota {key!r} in the sandbox.", f"Name one of: {', '.join(near)}.")


def refused(what: str, fix: str) -> UsageError:
    """The error for a setting that cannot be taken."""
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)


def _pairs(texts: Iterable[str], what: str, example: str) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    for key, _, value in pairs:
        if not key.strip() or not value.strip():
            raise refused(f"{key!r} is not {what} with a value.", f"Write it like {example}.")
    found = {key.strip(): value.strip() for key, _, value in pairs}
    check_quotas(found)
    return list(found.items())


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not math.isfinite(value) or value < 0:
        raise refused(f"The value of {key} must be a number from 0, not {text!r}.", "Write it like ec2/L-1216C47A=64.")
    return value
