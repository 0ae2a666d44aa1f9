"""Read name, bases and module of a stack file quickly, for commands that read a thousand files.

Fully parsing a file takes two milliseconds or more. Most stack files are plain block YAML: this module parses only the
blocks of the keys it needs. Any other layout is parsed in full.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from gridbyoc.stack.document import Document, read_document, scalar
from gridbyoc.stack.rules.terraform import is_path

_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*):(?:[ \t]+(.*))?$")
_LIKE_A_KEY = re.compile(r"""^["']?([A-Za-z_][A-Za-z0-9_-]*)["']?[ \t]*:(?=\s|$)""", re.MULTILINE)
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_ITEM_OR_INNER = re.compile(r"[ \t]|-(?:[ \t]|$)")
_NOT_PLAIN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ufeff]")
_WORD = re.compile(r"[a-z]+:[ \t]+([A-Za-z0-9._/][A-Za-z0-9._/@+-]*)\s*")
"""A key with one unquoted word, as in most names and bases; it needs no parser."""
_MAY_NAME_A_SOURCE = re.compile(r"source|[\\*]")
_REFERENCE = re.compile(r"[&*]|<<")
"""An anchor, an alias or a merge; it may refer to another block."""


KEYS = frozenset({"version", "extends", "name", "protect", "aws", "role", "clusters", "control_plane", "terraform"})
"""The keys at the top of a stack file."""


def is_part(keys: Collection[str]) -> bool:
    """Whether at least half of these top-level keys are keys of a stack file.

    Otherwise it may be any file, and its content must not be shown. A file without keys has nothing to show.
    """
    return 2 * len(KEYS.intersection(keys)) >= len(keys)


@dataclass(frozen=True, slots=True)
class Scan:
    """Top-level keys, name, bases and module path of a stack file, as they are written."""

    keys: frozenset[str] = frozenset()
    name: str | None = None
    extends: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def is_stack(self) -> bool:
        """Whether it looks like a stack file, valid or not."""
        return "version" in self.keys and bool(self.keys & {"name", "clusters"})

    @property
    def whole(self) -> bool:
        """Whether the file can be a stack of its own, not only a base of others."""
        return {"version", "name", "clusters"} <= self.keys


def scan(text: str) -> Scan:
    """Scan a text; if it is not a mapping, it has no keys. Never raises."""
    found = by_lines(text.replace("\r\n", "\n"))
    return found if found is not None else in_full(text)


def in_full(text: str) -> Scan:
    """Scan any YAML by parsing it in full."""
    document = read_document(text, "")
    if document.broken:
        return guessed(text)
    if not isinstance(document.data, dict):
        return Scan()
    return _of(document, frozenset(document.data))


def _of(document: Document, keys: frozenset[str]) -> Scan:
    extends = document.at("extends")
    named = [extends] if isinstance(extends, str) else extends if isinstance(extends, list) else []
    source = document.text("terraform", "module", "source")
    return Scan(
        keys,
        document.text("name"),
        tuple(item for item in named if isinstance(item, str)),
        (source,) if source is not None and is_path(source) else (),
    )


def guessed(text: str) -> Scan:
    """Guess the keys of a text that is not valid YAML, so that a stack file with a syntax error is not skipped."""
    return Scan(frozenset(_LIKE_A_KEY.findall(text)))


def by_lines(text: str) -> Scan | None:
    """Split the text into top-level blocks and parse at most three of them; ``None`` if the layout is not plain."""
    if _NOT_PLAIN.search(text):
        return None
    blocks: dict[str, list[str]] = {}
    for line in text.split("\n"):
        code = _COMMENT.sub("", line).rstrip()
        if code == "---" and not blocks:
            continue
        if not _closed(code):
            return None
        if not code or code[0] in " \t-":
            if code and (not blocks or not _ITEM_OR_INNER.match(code)):
                return None
            if blocks:
                next(reversed(blocks.values())).append(line)
            continue
        match = _KEY.match(code)
        if match is None or match[1] in blocks:
            return None
        blocks[match[1]] = [line]
    return _of_blocks(blocks)


def _closed(code: str) -> bool:
    """Whether every bracket and quote that the line opens is closed on it, so that the next line starts afresh."""
    pairs = all(code.count(one) == code.count(other) for one, other in ("{}", "[]"))
    return pairs and not code.count('"') % 2 and not code.count("'") % 2


def _of_blocks(blocks: dict[str, list[str]]) -> Scan | None:
    texts = {key: "\n".join(blocks[key]) for key in ("name", "extends", "terraform") if key in blocks}
    words = {key: match[1] for key, text in texts.items() if (match := _WORD.fullmatch(_COMMENT.sub("", text)))}
    part = "\n".join(text for key, text in texts.items() if key not in words and _is_wanted(key, text))
    document = read_document(part, "") if part else Document("")
    if document.faults or _REFERENCE.search(part):
        return None
    document.data = {**(document.data or {}), **{key: scalar(word) for key, word in words.items()}}
    return _of(document, frozenset(blocks))


def _is_wanted(key: str, text: str) -> bool:
    """Whether the block must be parsed; ``terraform`` only if it may contain a module source."""
    return key != "terraform" or _MAY_NAME_A_SOURCE.search(text) is not None
