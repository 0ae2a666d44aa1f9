"""Lists in pages: ``NextToken`` and ``MaxResults`` as the JSON services have them.

Shape: https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gridbyoc.sandbox.aws_extra.answer import AwsError


def page_of(name: str, items: Sequence[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The page that ``given`` asks for, under ``name``, with a token where more follows."""
    size = int(given.get("MaxResults") or 100)
    start = position(given.get("NextToken"), "InvalidPaginationTokenException", "Invalid input was provided.")
    page: dict[str, Any] = {name: list(items[start : start + size])}
    return page | {"NextToken": str(start + size)} if start + size < len(items) else page


def position(token: str | None, code: str, message: str) -> int:
    """Where the page begins that a token asks for; raises ``AwsError`` for a token that is none of ours."""
    if not token:
        return 0
    if not token.isascii() or not token.isdigit():
        raise AwsError(code, message)
    return int(token)
