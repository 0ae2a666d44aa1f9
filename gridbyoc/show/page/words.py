"""Text as a page shows it: nothing unseen, nothing endless, no secret; times and spans in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import markupsafe

from gridbyoc.show.markdown import one_line
from gridbyoc.stack.secret import Secret

T = TypeVar("T")
LONGEST = 2000
"""Characters of one text; the rest is counted."""


def redacted(text: str, secrets: Sequence[Secret]) -> str:
    """Without the secrets; one that is too short would be part of ordinary words, and is left."""
    for secret in sorted(secrets, key=lambda each: len(each.reveal()), reverse=True):
        text = secret.hidden_in(text)
    return text


def shown(secrets: Sequence[Secret]) -> Callable[[object], object]:
    """What every printed value goes through before it is escaped: markup of our own templates stays as it is."""

    def visible(value: object) -> object:
        if isinstance(value, markupsafe.Markup) or not isinstance(value, str):
            return value
        return one_line(redacted(value, secrets), longest=LONGEST)

    return visible


def without_secrets(value: object, secrets: Sequence[Secret]) -> object:
    """The same of a JSON value, keys and all, in full length; what UTF-8 cannot carry becomes a question mark."""
    if isinstance(value, str):
        return redacted(value, secrets).encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {redacted(str(key), secrets): without_secrets(each, secrets) for key, each in value.items()}
    return [without_secrets(each, secrets) for each in value] if isinstance(value, (list, tuple)) else value


def shortened(text: str, longest: int) -> str:
    """At most ``longest`` characters: an ARN without its first parts, then without its middle."""
    line = one_line(text, longest=LONGEST)
    if len(line) <= longest:
        return line
    parts = line.split(":", 4)
    if len(parts) == 5 and parts[0] == "arn":
        line = parts[4]
    if len(line) <= longest:
        return line
    tail = (longest - 1) * 2 // 3
    return f"{line[: longest - 1 - tail]}…{line[-tail:]}"


def cut(text: str, longest: int) -> str:
    """At most ``longest`` characters, the first ones."""
    line = one_line(text, longest=LONGEST)
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip(' ,')}…"
