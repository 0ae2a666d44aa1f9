"""Format values, places, times and suggestions for messages, safely for a terminal."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from datetime import datetime, timezone

Place = tuple[str | int, ...]
"""The path of a value: keys and list positions from the top of the file."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LONGEST_SHOWN = 80


def place_text(place: Place) -> str:
    """A place as text: ``clusters[0].instance_types[2]``, ``role.tags["cost center"]``."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{show_raw(part)}]"
    return text


def show_raw(text: str) -> str:
    """A text in double quotes on one line, without terminal control sequences; truncated if it is long."""
    cut = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    quoted = json.dumps(cut, ensure_ascii=False)
    return escaped(quoted)


_SEQUENCE = re.compile(
    r"(\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, erasing
    r"|(\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(\x07|\x1b\\|\x9c)"  # OSC and others: links, clipboard
    r"|\x1b[ -/]*[0-~]"  # any other sequence that starts with ESC
)
"""Terminal control sequences: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html"""


def plain_text(text: str) -> str:
    """Foreign text, safe to show in a message: line feeds and tabs stay, terminal control sequences are removed.

    Other invisible characters (bidirectional overrides, zero-width characters, other controls) become spaces.
    """
    if text.isprintable():
        return text
    kept = _SEQUENCE.sub("", text.replace("\r\n", "\n"))
    return "".join(char if char.isprintable() or char in "\n\t" else " " for char in kept)


def printable(text: str) -> str:
    """``plain_text`` on one line; each run of white space becomes one space."""
    return re.sub(r"\s+", " ", plain_text(text)).strip()


def visible(text: str) -> str:
    """A value on one line for a review: invisible characters are marked (U+FFFD), not dropped."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def json_text(value: object, *, indent: int | None = None) -> str:
    """``value`` as UTF-8 JSON that is safe on a terminal: invisible characters are escaped; the value is unchanged."""
    return json_escaped(json.dumps(value, indent=indent, ensure_ascii=False))


def json_escaped(text: str) -> str:
    """The text with invisible characters except line feeds and tabs as JSON's ``\\u`` escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else json.dumps(char)[1:-1] for char in text)


def escaped(text: str) -> str:
    """The text with unprintable characters as ``\\u`` and ``\\U`` escapes, which YAML reads in double quotes."""
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def show(text: str) -> str:
    """A text in backticks if it is short printable ASCII, else in double quotes."""
    return (
        f"`{text}`"
        if re.fullmatch(r"[\x21-\x5f\x61-\x7e]([\x20-\x5f\x61-\x7e]{0,78}[\x21-\x5f\x61-\x7e])?", text)
        else show_raw(text)
    )


def counted(count: int, noun: str) -> str:
    """``1 cluster``, ``2 clusters``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def enumerated(things: Iterable[str], *, limit: int = 6) -> str:
    """``a, b and 3 more``; duplicates are dropped."""
    unique = list(dict.fromkeys(things))
    shown = ", ".join(unique[:limit])
    return f"{shown} and {len(unique) - limit} more" if len(unique) > limit else shown


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most similar to ``word``, or ``None`` if none is similar."""
    candidates = {item.lower().replace("_", "-"): item for item in known}
    close = difflib.get_close_matches(word[:200].lower().replace("_", "-"), candidates, n=1, cutoff=0.6)
    return candidates[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """``did you mean `x`?`` if a known word is similar, else ``otherwise``."""
    close = nearest(word, known)
    return f"did you mean `{close}`?" if close else otherwise


def listed(words: Iterable[str]) -> str:
    """Words in backticks: ```a`, `b` or `c```."""
    quoted = [f"`{word}`" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def minute(time: datetime | None, now: datetime | None = None) -> str:
    """A time for people: ``2026-11-25 21:31 UTC``; if ``now`` is given, followed by how long ago it was.

    A time without a zone counts as UTC. ``None`` gives an empty text.
    """
    if time is None:
        return ""
    zoned = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
    text = zoned.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return f"{text} ({ago(zoned, now)})" if now else text


def instant(text: str, now: datetime | None = None) -> str:
    """``minute`` of a time in ISO 8601, as in journals and bundles; any other text is returned unchanged."""
    try:
        return minute(datetime.fromisoformat(re.sub(r"Z$", "+00:00", text)), now)
    except (ValueError, OverflowError):
        return text


def ago(time: datetime, now: datetime) -> str:
    """``just now``, ``3 minutes ago``, ``5 hours ago``, ``12 days ago``; ``in the future`` if a clock is wrong."""
    minutes = (now - time).total_seconds() / 60
    if minutes <= -1:
        return "in the future"
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{counted(int(minutes), 'minute')} ago"
    if minutes < 48 * 60:
        return f"{counted(int(minutes // 60), 'hour')} ago"
    return f"{counted(int(minutes // 1440), 'day')} ago"
