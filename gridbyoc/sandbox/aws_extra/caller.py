"""What a handler is given beside the parameters: who calls, from which account, in which region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Caller:
    """``arn`` is empty where the key belongs to nobody."""

    account_id: str
    region: str
    arn: str


Handler = Callable[[Caller, Mapping[str, Any]], dict[str, Any]]
