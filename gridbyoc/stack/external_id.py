"""Read a user's own external id from an environment variable or a file, never from the stack file.

Also judge whether any external id can be guessed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from gridbyoc.stack.extends import Bounds
from gridbyoc.stack.files import read_regular
from gridbyoc.stack.findings import Findings
from gridbyoc.stack.rules.context import RuleContext
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import Place, show

# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html; ASCII, as AWS reads \w
EXTERNAL_ID_FORM = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW(OR)?D|PASSPHRASE|CREDENTIAL|PRIVATE|COOKIE|API_?KEY|ACCESS_?KEY|CONNECTION_?STRING"
    r"|(^|_)(KEY|KEYS|PASS|PWD|PAT|JWT|AUTH|DSN|URL|URI)$"
)
"""Names of variables that hold other secrets. URLs are included because an address may hold a password."""
_OURS = re.compile(r"EXTERNAL_?ID")
OWN: Place = ("role", "external_id_from")
"""The source of the external id that the control plane gets."""
TO_ASSUME: tuple[Place, ...] = (
    ("aws", "assume_role", "external_id_from"),
    ("terraform", "backend", "s3", "assume_role", "external_id_from"),
)
"""The sources of external ids of roles that the tool assumes."""
LEAST = 16
"""Characters. A shorter external id can be guessed, and so can one that is shorter without its names and words."""

_WORDS = (
    "customer", "external", "production", "changeme", "company", "cluster", "default", "example", "gridbyoc",
    "lightning", "password", "secret", "staging", "access", "account", "grid", "byoc", "prod", "role", "test", "trust",
)  # fmt: skip
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = frozenset(
    pair
    for row in _ROWS
    for one, other in pairwise(row)
    for pair in (one + other, other + one, one + one, other + other)
)
_ALLOWED = "an external id has 2 to 1224 letters, digits and `_+=,.@:/-`"


def read_external_id(
    findings: Findings, context: RuleContext, environ: Mapping[str, str], source: Place = OWN
) -> Secret | None:
    """The external id that the mapping at ``source`` points to, without its final line feed.

    ``None`` if the stack has none, or, with a problem, if it cannot be read. No problem shows any part of it.
    """
    variable, file = findings.document.text(*source, "env"), findings.document.text(*source, "file")
    if findings.known_at(source) or (variable is None and file is None):
        return None
    place: Place = (*source, "env" if variable is not None else "file")
    found = (
        _from_env(findings, place, variable, environ)
        if variable is not None
        else _from_file(findings, place, file or "", context, environ)
    )
    if found is None:
        return None
    text = found.reveal().removesuffix("\n").removesuffix("\r")
    if not EXTERNAL_ID_FORM.fullmatch(text):
        findings.problem(place, _fault(text), _ALLOWED)
        return None
    return Secret(text)


def _fault(text: str) -> str:
    """The problem's message; it contains no character of the value."""
    if not text:
        return "points to an empty value"
    if text != text.strip():
        return "points to a value with white space around it"
    reason = f": it has {len(text)} characters" if len(text) > 1224 else ""
    return f"points to a value that is not an external id{reason}"


def _from_env(findings: Findings, place: Place, name: str, environ: Mapping[str, str]) -> Secret | None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        # do not repeat it: it may be the external id itself
        findings.problem(place, "is not the name of an environment variable", "give the name, not the value")
        return None
    if _may_hold_another_secret(name):
        message = f"{show(name)} looks like the name of another secret: gridbyoc does not read it"
        own = f'export GRID_EXTERNAL_ID="${name}"'
        findings.problem(place, message, f"if it does hold the external id: `{own}`, and write GRID_EXTERNAL_ID here")
        return None
    if name not in environ:
        findings.problem(place, f"the environment variable {show(name)} is not set", "set it, or remove the key")
        return None
    return Secret(environ[name])


def _may_hold_another_secret(name: str) -> bool:
    """Judge a variable by its name: a foreign stack file must not pass a key or token off as the external id.

    gridbyoc sends the external id to the control plane and writes it to the role's trust policy.
    """
    return _SECRET.search(name.upper()) is not None and _OURS.search(name.upper()) is None


def _may_be_another_file(path: Path, base: Path, environ: Mapping[str, str]) -> bool:
    """Judge a file, links followed: the stack file may be somebody else's, and the role in that person's account.

    AWS records the external id of a request in the role's account, so it must not be a token of the user.
    """
    named = re.search(r"external[-_.]?id", Path(os.path.realpath(path)).name, re.IGNORECASE)
    return named is None and not Bounds.of(base, environ).hold(path)


def _from_file(
    findings: Findings, place: Place, name: str, context: RuleContext, environ: Mapping[str, str]
) -> Secret | None:
    shown = show(str(context.path(name)))
    if context.is_dir(name):
        findings.problem(place, f"{shown} is a directory", "give a file that holds only the external id")
        return None
    if place[:-1] in TO_ASSUME and _may_be_another_file(context.path(name), context.base, environ):
        message = f"{shown} is outside the repository, and its name does not contain `external-id`"
        advice = "gridbyoc sends its content to the account of the role: name the file so"
        findings.problem(place, message, advice)
        return None
    try:
        return Secret(read_regular(context.path(name), 8192).decode("ascii"))
    except UnicodeError:
        findings.problem(place, "points to a value that is not an external id", _ALLOWED)
    except ValueError:
        findings.problem(place, "is not a path", "paths are relative to the stack file")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        findings.problem(place, f"cannot read {shown}: {reason}", "paths are relative to the stack file")
    return None


def can_be_guessed(external_id: Secret, names: Iterable[str] = ()) -> bool:
    """Whether it is short, or consists of ``names`` that others know, of words, or of a pattern (``1234…``, ``abab…``).

    An external id that several customers of a vendor share is usually a name or a word.
    """
    text = external_id.reveal().lower()
    kept = "".join(filter(str.isalnum, text))
    if len(text) < LEAST or len({*kept}) < 6:
        return True
    without = text
    for name in sorted(
        {each.lower() for each in (*names, *_WORDS) if len(each) >= 4}, key=lambda each: (-len(each), each)
    ):
        without = without.replace(name, "")
    if without != text and sum(map(str.isalnum, without)) < LEAST:
        return True
    period = (kept + kept).find(kept, 1)
    neighbours = sum(one + other in _NEIGHBOURS for one, other in pairwise(kept))
    return period < min(LEAST, len(kept)) or neighbours > 0.6 * (len(kept) - 1) or _is_words(text)


def _is_words(text: str) -> bool:
    """Whether the text is a few words: no digit, and every run of letters is pronounceable."""
    parts = re.findall(r"[a-z]+", text)
    spoken = all(
        re.search(r"[aeiouy]", part) and not re.search(r"[^aeiouy]{5}", part) for part in parts if len(part) > 2
    )
    return len(parts) < 5 and spoken and not re.search(r"[0-9]", text)
