"""An external id of the user's own: from an environment variable or a file, never from the stack file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gridbyoc.stack.findings import Findings
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import Place, show

# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html; ASCII, as AWS reads \w
_FORM = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")
_PLACE: Place = ("role", "external_id_from")
_ALLOWED = "an external id has 2 to 1224 letters, digits and `_+=,.@:/-`"


def read_external_id(findings: Findings, context: Context, environ: Mapping[str, str]) -> Secret | None:
    """The external id that ``role.external_id_from`` points to, without the line feed at its end.

    ``None`` where the stack has none, or with a problem where it cannot be had. No problem shows any of it.
    """
    variable, file = findings.document.text(*_PLACE, "env"), findings.document.text(*_PLACE, "file")
    if findings.known_at(_PLACE) or (variable is None and file is None):
        return None
    place: Place = (*_PLACE, "env" if variable is not None else "file")
    found = (
        _from_env(findings, variable, environ) if variable is not None else _from_file(findings, file or "", context)
    )
    if found is None:
        return None
    text = found.reveal().removesuffix("\n").removesuffix("\r")
    if not _FORM.fullmatch(text):
        findings.problem(place, _fault(text), _ALLOWED)
        return None
    return Secret(text)


def _fault(text: str) -> str:
    """What is wrong, without a character of the value."""
    if not text:
        return "points to an empty value"
    if text != text.strip():
        return "points to a value with white space around it"
    return "points to a value that is no external id" + (f": it has {len(text)} characters" if len(text) > 1224 else "")


def _from_env(findings: Findings, name: str, environ: Mapping[str, str]) -> Secret | None:
    place = (*_PLACE, "env")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        # it may be the value itself, so it is not repeated
        findings.problem(place, "is not the name of an environment variable", "give the name, not the value")
        return None
    if name not in environ:
        findings.problem(place, f"the environment variable {show(name)} is not set", "set it, or remove the key")
        return None
    return Secret(environ[name])


def _from_file(findings: Findings, name: str, context: Context) -> Secret | None:
    place = (*_PLACE, "file")
    shown = show(str(context.path(name)))
    if context.is_dir(name):
        findings.problem(place, f"{shown} is a directory", "give a file that holds the external id and nothing else")
        return None
    try:
        with context.path(name).open("rb") as stream:
            return Secret(stream.read(8192).decode("ascii"))
    except UnicodeError:
        findings.problem(place, "points to a value that is no external id", _ALLOWED)
    except ValueError:
        findings.problem(place, "is not a path", "paths are relative to the stack file")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        findings.problem(place, f"cannot read {shown}: {reason}", "paths are relative to the stack file")
    return None
