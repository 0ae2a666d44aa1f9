"""A quick look at a stack file: its name, what it extends, its module; for those who must look at a thousand.

A full read costs a millisecond or more a file. Most stack files are plain block YAML, of which a few lines say all that
is wanted here; whatever is written in another way is read in full, so that both ways find the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from gridbyoc.stack.document import read_document
from gridbyoc.stack.rules.terraform import is_path

_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*):(?:[ \t]+(.*))?$")
_LIKE_A_KEY = re.compile(r"""^["']?([A-Za-z_][A-Za-z0-9_-]*)["']?[ \t]*:(?=\s|$)""", re.MULTILINE)
_WORD = re.compile(r"""([A-Za-z0-9._/][A-Za-z0-9._/@+=-]*)|"([A-Za-z0-9._/@+= -]+)"|'([A-Za-z0-9._/@+= -]+)'""")
_SOURCE = re.compile(r"""["']?\bsource["']?[ \t]*:(?:[ \t]+([^\s,}#]+|"[^"\\]*"|'[^']*'))?""")
_SHARED_OR_FOLDED = re.compile(r"[&!\\]|[:-][ \t]+[|>]")
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.*)$")
_ITEM_OR_INNER = re.compile(r"[ \t]|-(?:[ \t]|$)")
_UNLIKE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ufeff]")
_NO_TEXT = re.compile(r"[-+.0-9e]+|null|true|false|~", re.IGNORECASE)


KEYS = frozenset({"version", "extends", "name", "protect", "aws", "role", "clusters", "control_plane", "terraform"})
"""The keys at the top of a stack file."""


def is_part(keys: Collection[str]) -> bool:
    """Whether a mapping with these keys at its top may be a part of a stack file: half of them are known.

    What is none may be anybody's file, and nothing of it is shown. One without keys has nothing to show.
    """
    return 2 * len(KEYS.intersection(keys)) >= len(keys)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a look finds: the keys at the top, the name, the bases and the module's path as they are written."""

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
        """Whether it could stand alone as a stack, and not only serve as others' base."""
        return {"version", "name", "clusters"} <= self.keys


def scan(text: str) -> Scan:
    """Look at a text; one that is no mapping has no keys. Raises nothing."""
    found = by_lines(text.replace("\r\n", "\n"))
    return found if found is not None else in_full(text)


def in_full(text: str) -> Scan:
    """By a full read, of any YAML."""
    document = read_document(text, "")
    if document.broken:
        return guessed(text)
    if not isinstance(document.data, dict):
        return Scan()
    extends = document.at("extends")
    named = [extends] if isinstance(extends, str) else extends if isinstance(extends, list) else []
    source = document.text("terraform", "module", "source")
    return Scan(
        frozenset(document.data),
        document.text("name"),
        tuple(item for item in named if isinstance(item, str)),
        (source,) if source is not None and is_path(source) else (),
    )


def guessed(text: str) -> Scan:
    """Of what is no YAML, its keys as somebody sees them: a stack file with a slip in it must not be passed over."""
    return Scan(frozenset(_LIKE_A_KEY.findall(text)))


def by_lines(text: str) -> Scan | None:
    """By its lines; ``None`` where they are not plain enough to be sure."""
    if _UNLIKE.search(text):
        return None
    blocks: dict[str, tuple[str, list[str]]] = {}
    for line in text.split("\n"):
        code = _COMMENT.sub("", line).rstrip()
        if not code or (code == "---" and not blocks):
            continue
        if not _closed(code):
            return None
        if code[0] in " \t-":
            if not blocks or not _ITEM_OR_INNER.match(code):
                return None
            next(reversed(blocks.values()))[1].append(code)
            continue
        match = _KEY.match(code)
        if match is None or match[1] in blocks:
            return None
        blocks[match[1]] = (match[2] or "", [])
    return _of_blocks(blocks)


def _closed(code: str) -> bool:
    """Whether nothing that is opened on the line is left open: what follows could stand anywhere."""
    pairs = all(code.count(one) == code.count(other) for one, other in ("{}", "[]"))
    return pairs and not code.count('"') % 2 and not code.count("'") % 2


def _of_blocks(blocks: dict[str, tuple[str, list[str]]]) -> Scan | None:
    name, extends, modules = None, _listed(blocks.get("extends")), _modules(blocks.get("terraform"))
    if "name" in blocks:
        name = _single(blocks["name"])
        if name is None or _NO_TEXT.fullmatch(blocks["name"][0]):
            return None
    if extends is None or modules is None:
        return None
    return Scan(frozenset(blocks), name, extends, modules)


def _word(text: str) -> str | None:
    match = _WORD.fullmatch(text.strip())
    return next(filter(None, match.groups()), None) if match else None


def _single(block: tuple[str, list[str]]) -> str | None:
    return None if block[1] else _word(block[0])


def _listed(block: tuple[str, list[str]] | None) -> tuple[str, ...] | None:
    """A word, a list in brackets, or an item a line."""
    if block is None:
        return ()
    value, lines = block
    if not value and lines:
        matches = [_ITEM.match(line) for line in lines]
        items = [match[1] if match else "" for match in matches]
    elif value.startswith("[") and not lines:
        items = value[1:-1].split(",") if value.endswith("]") else [""]
    else:
        items = [value] if not lines else [""]
    words = [_word(item) for item in items]
    kept = tuple(word for word in words if word is not None and not _NO_TEXT.fullmatch(word))
    return kept if len(kept) == len(items) else None


def _modules(block: tuple[str, list[str]] | None) -> tuple[str, ...] | None:
    """Every path that is called ``source`` below ``terraform``: one is the module's, another would do no harm."""
    if block is None:
        return ()
    text = "\n".join((block[0], *block[1]))
    if "*" in text or "<<" in text or ("source" in text and _SHARED_OR_FOLDED.search(text)):
        return None
    found = [match[1] for match in _SOURCE.finditer(text)]
    if len(found) != text.count("source"):
        return None
    words = [_word(value or "") for value in found]
    return None if None in words else tuple(word for word in words if word is not None and is_path(word))
