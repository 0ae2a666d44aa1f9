"""The clients' own files below the home directory: read tolerantly, written whole, other keys kept."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridbyoc.control_plane.http import base_url
from gridbyoc.errors import FileError
from gridbyoc.stack.files import make_private_dir, write_atomic
from gridbyoc.stack.model import DialectName

DEFAULT_URLS: Mapping[DialectName, str] = {"grid": "https://platform.grid.ai", "lightning": "https://lightning.ai"}
URL_VARIABLES: Mapping[DialectName, str] = {"grid": "GRID_URL", "lightning": "LIGHTNING_CLOUD_URL"}


@dataclass(frozen=True, slots=True)
class UserFile:
    """A JSON file of a client's: its object, or the problem with it in words (``missing`` is one of its own)."""

    values: Mapping[str, Any]
    problem: str = ""
    missing: bool = False
    readable_by_others: bool = False


def credentials_path(dialect: DialectName, home: Path) -> Path:
    """Where the dialect's own client keeps user id and key."""
    return home / (".grid" if dialect == "grid" else ".lightning") / "credentials.json"


def settings_path(home: Path) -> Path:
    """Where the guide's client keeps the default cluster (``context``) and the address (``grid_url``)."""
    return home / ".grid" / "settings.json"


def read_user_file(path: Path) -> UserFile:
    """The file's object. Nothing of its content gets into ``problem``: it may be a key in the wrong place."""
    try:
        content = path.read_bytes()
        loose = bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except FileNotFoundError:
        return UserFile({}, "there is no such file", missing=True)
    except OSError as error:
        return UserFile({}, f"it cannot be read ({error.strerror or type(error).__name__})")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return UserFile({}, "it is not valid JSON", readable_by_others=loose)
    if not isinstance(value, dict):
        return UserFile({}, "it is not a JSON object", readable_by_others=loose)
    return UserFile(value, readable_by_others=loose)


def update_user_file(path: Path, values: Mapping[str, Any]) -> None:
    """Set ``values`` in the file, keep its other keys; 0600 in a directory 0700. A corrupt file is written anew.

    Raises ``FileError``.
    """
    make_private_dir(path.parent)
    known = read_user_file(path)
    if known.problem.startswith("it cannot be read"):
        raise FileError(f"Could not change {path}: {known.problem}.", fix="Check its permissions, then run again.")
    write_atomic(path, json.dumps({**known.values, **values}, indent=2) + "\n", mode=0o600)


def resolve_url(
    dialect: DialectName, explicit: str | None, stack_url: str | None, environ: Mapping[str, str], home: Path
) -> str:
    """The control plane's base URL: flag, stack file, environment, the client's settings (grid), the dialect's own.

    Raises ``UsageError`` that names where a URL came from that cannot be used; ``FileError`` for settings that
    are needed and cannot be read.
    """
    variable = URL_VARIABLES[dialect]
    if explicit:
        return base_url(explicit, "--url")
    if stack_url:
        return base_url(stack_url, "control_plane.url of the stack file")
    if environ.get(variable):
        return base_url(environ[variable], f"the environment's {variable}")
    stored = _stored_url(home) if dialect == "grid" else None
    return base_url(stored, f"grid_url in {settings_path(home)}") if stored else DEFAULT_URLS[dialect]


def _stored_url(home: Path) -> str | None:
    path = settings_path(home)
    found = read_user_file(path)
    if found.problem and not found.missing:
        raise FileError(
            f"The address of the control plane cannot be taken from {path}: {found.problem}.",
            fix="Repair or remove the file, or give the address: --url, control_plane.url or GRID_URL.",
        )
    value = found.values.get("grid_url")
    return value if isinstance(value, str) and value else None
