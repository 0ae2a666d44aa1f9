"""Tags: the limits of IAM (https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html)."""

from __future__ import annotations

import unicodedata

from gridbyoc.stack.findings import Fault, Findings
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.words import show

_ALLOWED = "letters, digits, spaces and `_.:/=+-@`"


def tag_text_fault(text: str, longest: int) -> Fault | None:
    """The rule for keys (128 characters) and values (256)."""
    if len(text) > longest:
        return Fault(f"has {len(text)} characters; at most {longest} are allowed")
    wrong = sorted({char for char in text if not _allowed(char)})
    if wrong:
        return Fault(f"holds {', '.join(show(char) for char in wrong[:5])}", f"allowed: {_ALLOWED}")
    return Fault("begins with `aws:`, which AWS keeps for itself") if text.lower().startswith("aws:") else None


def _allowed(char: str) -> bool:
    return char in "_.:/=+-@" or unicodedata.category(char)[0] in "LZN"


def check_tags(findings: Findings, _context: Context) -> None:
    """Number, keys (which differ in more than case), values."""
    tags = findings.document.mapping("role", "tags")
    if len(tags) > 50:
        findings.problem(("role", "tags"), f"holds {len(tags)} tags; at most 50 are allowed")
    first: dict[str, str] = {}
    for key, value in tags.items():
        place = ("role", "tags", key)
        fault = tag_text_fault(key, 128) if key else Fault("a tag's key is empty")
        if fault:
            findings.problem(place, f"the key {fault.message}" if key else fault.message, fault.hint)
        if isinstance(value, str):
            findings.fault(place, tag_text_fault(value, 256))
        other = first.setdefault(key.lower(), key)
        if other != key:
            findings.problem(place, f"differs from {show(other)} in case only; IAM takes the two for the same")
