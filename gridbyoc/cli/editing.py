"""Edit a text in the user's editor; for ``--edit-before-creation``, check the request and show the changes."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridbyoc.cli.app import App
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError, FileError, UsageError
from gridbyoc.stack.files import write_atomic


def edit_request(app: App, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """``body`` as the user leaves it. The external id is masked in the file, which only its owner can read.

    Raises ``UsageError`` if the result cannot be sent, or the editor failed; nothing was sent then.
    """
    from gridbyoc.control_plane.edit import from_text, to_text

    before = to_text(body)
    after = edited_text(app, before, otherwise="leave --edit-before-creation out")
    if after == before:
        app.note("The request is unchanged.")
        return body
    edited = from_text(after, body)
    for change in edited.changes:
        app.note(f"  ~ {change.field}: {change.before} -> {change.after}")
    return edited.body


def edited_text(app: App, text: str, *, otherwise: str) -> str:
    """``text`` after editing with $VISUAL, $EDITOR or vi, in a file that only its owner can read.

    ``otherwise`` is the advice without a terminal. Raises ``UsageError`` if the editor failed.
    """
    with tempfile.TemporaryDirectory(prefix="gridbyoc-") as directory:
        path = Path(directory, "request.json")
        write_atomic(path, text)
        _run_editor(app, path, otherwise)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeError):
            reason = "the editor left no text in UTF-8"
    raise FileError(f"The edited request cannot be read: {reason}.", rerun=SAFE_NOTHING_DONE)


def _run_editor(app: App, path: Path, otherwise: str) -> None:
    line = app.environ.get("VISUAL") or app.environ.get("EDITOR")
    if not line and not app.interactive:
        raise ApprovalRequiredError(
            "There is no terminal to edit the request on.",
            fix=f"Set EDITOR to a program that edits without a terminal, or {otherwise}.",
            rerun=SAFE_NOTHING_DONE,
        )
    try:
        argv = [*shlex.split(line or "vi"), os.fspath(path)]
        status = subprocess.run(argv, env=dict(app.environ), check=False).returncode
    except (OSError, ValueError) as error:
        status, reason = -1, getattr(error, "strerror", None) or "its command line cannot be read"
    else:
        reason = f"it ended with status {status}"
    if status != 0:
        raise UsageError(
            f"The editor ({line or 'vi'}) failed: {reason}.",
            fix="Set VISUAL or EDITOR to an editor that works.",
            rerun=SAFE_NOTHING_DONE,
        )
