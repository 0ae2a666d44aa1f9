"""Who we are to the control plane: the environment, else the file that the dialect's own client keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.control_plane.settings import UserFile, credentials_path, read_user_file
from gridbyoc.errors import SAFE_NOTHING_DONE, AuthenticationError
from gridbyoc.stack.model import DialectName
from gridbyoc.stack.secret import Secret

LOG_IN = "Log in with `gridbyoc login`, or set {id} and {key}."


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user id and an API key; ``source`` says where they came from, ``warnings`` what is wrong with that place.

    Without ``user_id`` the key is a token, sent as ``Bearer``, as lightning-sdk 2026.10.13 does.
    """

    user_id: str | None
    api_key: Secret
    source: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Username:
    """A user name and an API key: the id is asked for at the control plane."""

    username: str
    api_key: Secret
    source: str


@dataclass(frozen=True, slots=True)
class _Names:
    """The names that a dialect's client uses in the environment and in its file.

    ``bearer`` and ``file_bearer``: a token that wins over the key. Then a key needs no id, either.
    """

    id: str
    key: str
    file_id: str
    file_key: str
    username: str | None = None
    bearer: str | None = None
    file_bearer: str | None = None


NAMES: Mapping[DialectName, _Names] = {
    "grid": _Names("GRID_USER_ID", "GRID_API_KEY", "UserID", "APIKey", username="GRID_USERNAME"),
    "lightning": _Names(
        "LIGHTNING_USER_ID",
        "LIGHTNING_API_KEY",
        "user_id",
        "api_key",
        bearer="LIGHTNING_AUTH_TOKEN",
        file_bearer="auth_token",
    ),
}


def resolve_credentials(dialect: DialectName, environ: Mapping[str, str], home: Path) -> Credentials | Username:
    """The environment wins over the file, as in the service's clients; half an environment is an error.

    ``GRID_USER_ID`` or ``GRID_USERNAME`` with ``GRID_API_KEY``; ``LIGHTNING_AUTH_TOKEN``, or ``LIGHTNING_API_KEY`` with
    or without ``LIGHTNING_USER_ID``; ``~/.grid/credentials.json``, ``~/.lightning/credentials.json`` or what
    ``LIGHTNING_CREDENTIAL_PATH`` names. Raises ``AuthenticationError``.
    """
    names = NAMES[dialect]
    user_id, key = (environ.get(name, "").strip() for name in (names.id, names.key))
    username = environ.get(names.username, "").strip() if names.username else ""
    token = environ.get(names.bearer, "").strip() if names.bearer else ""
    if token:
        return Credentials(None, Secret(token), str(names.bearer))
    if key and user_id:
        return Credentials(_plain(user_id, names.id), Secret(key), f"{names.id} and {names.key}")
    if key and username:
        return Username(username, Secret(key), f"{names.username} and {names.key}")
    if key and names.bearer:
        return Credentials(None, Secret(key), names.key)
    if key or user_id:
        raise _half(names, missing=names.id if key else names.key, there=names.key if key else names.id)
    return _from_file(names, credentials_path(dialect, home, environ))


def _half(names: _Names, *, missing: str, there: str) -> AuthenticationError:
    or_name = f" (nor {names.username})" if names.username and missing == names.id else ""
    return AuthenticationError(
        f"The environment sets {there}, but not {missing}{or_name}.",
        fix=f"Set both, or neither: then the file that `gridbyoc login` wrote is used. {missing} is missing.",
        rerun=SAFE_NOTHING_DONE,
    )


def _from_file(names: _Names, path: Path) -> Credentials:
    found = read_user_file(path)
    problem = found.problem or _incomplete(names, found)
    if problem:
        what = "There are no credentials for the control plane." if found.missing else f"{path} cannot be used."
        raise AuthenticationError(
            what,
            why=f"{path}: {problem}.",
            fix=LOG_IN.format(id=names.id, key=names.key),
            rerun=SAFE_NOTHING_DONE,
        )
    loose = loose_warning(path, found)
    token, user_id, key = (_value(found, name) for name in (names.file_bearer, names.file_id, names.file_key))
    if token or not user_id:
        return Credentials(None, Secret(token or key), str(path), loose)
    return Credentials(_plain(user_id, str(path)), Secret(key), str(path), loose)


def _incomplete(names: _Names, found: UserFile) -> str:
    if _value(found, names.file_bearer):
        return ""
    needed = (names.file_key,) if names.file_bearer else (names.file_id, names.file_key)
    return next((f"{name} is missing in it" for name in needed if not _value(found, name)), "")


def _value(found: UserFile, name: str | None) -> str:
    """The text under ``name``; empty for anything else."""
    value = found.values.get(name) if name else None
    return value.strip() if isinstance(value, str) else ""


def loose_warning(path: Path, found: UserFile) -> tuple[str, ...]:
    """A warning if others than the owner may read the file."""
    if not found.readable_by_others:
        return ()
    return (f"{path} can be read by other users of this machine; `chmod 600 {path}` keeps the API key to yourself.",)


def _plain(user_id: str, source: str) -> str:
    """An id with a colon or a control character would change the meaning of the Authorization header."""
    if ":" in user_id or not user_id.isprintable():
        raise AuthenticationError(
            f"The user id from {source} is not one.",
            fix="It has no colon and no line break; `gridbyoc login` stores the right one.",
            rerun=SAFE_NOTHING_DONE,
        )
    return user_id
