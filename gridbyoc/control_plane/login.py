"""Logging in: a user name and an API key become a user id, kept where the dialect's own client keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.control_plane import parse
from gridbyoc.control_plane.authorization import NO_AUTHORIZATION, Authorization, basic, basic_token
from gridbyoc.control_plane.credentials import Username
from gridbyoc.control_plane.failures import JsonObject
from gridbyoc.control_plane.http import Http
from gridbyoc.control_plane.model import Cluster, Registrar
from gridbyoc.control_plane.parse import MalformedError
from gridbyoc.control_plane.settings import (
    credentials_path,
    read_user_file,
    remember_url,
    settings_path,
    update_user_file,
)
from gridbyoc.control_plane.wire import CLUSTERS, listing, pick
from gridbyoc.control_plane.words import Cleaner
from gridbyoc.errors import SAFE_NOTHING_DONE, ClusterNotFoundError, ControlPlaneError
from gridbyoc.stack.model import DialectName
from gridbyoc.stack.secret import Secret

CONTEXT_VARIABLE = "GRID_CLUSTER_ID"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What a login came to: the account's id, its default cluster (``None``: has none), the files written."""

    user_id: str
    default_cluster_id: str | None
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """The default cluster set; ``overridden_by`` is what ``GRID_CLUSTER_ID`` says, where it says something else."""

    cluster: Cluster
    file: Path
    overridden_by: str | None


def user_id_of(http: Http, username: str, api_key: Secret, clean: Cleaner) -> str:
    """POST the name and key, GET the account with the token that came back; the account's id.

    Raises ``AuthenticationError`` for a wrong name or key.
    """
    clean.learn(api_key)
    token = http.call(
        "POST",
        "/v1/auth/login",
        lambda raw: Secret(_needed(raw, "token")),
        body={"apiKey": api_key.reveal(), "username": username},
        auth=NO_AUTHORIZATION,
        secrets=(api_key,),
    )
    clean.learn(token)
    bearer = Authorization("Bearer", token)
    return http.call("GET", "/v1/auth/user", _user_id, auth=bearer, secrets=(api_key, token))


def _needed(raw: JsonObject, name: str) -> str:
    value = parse.text(raw, name)
    if not value:
        raise MalformedError(f"{name} is missing")
    return value


def _user_id(raw: JsonObject) -> str:
    user_id = _needed(raw, "id")
    if ":" in user_id or not user_id.isprintable():
        raise MalformedError("id is no user's id")
    return user_id


class LazyLogin:
    """An ``Authorization`` that is asked for at the first call: only then is the user's name exchanged for the id."""

    def __init__(self, http: Http, login: Username, clean: Cleaner) -> None:
        self._http = http
        self._login = login
        self._clean = clean
        self._known: Authorization | None = None

    def __call__(self) -> Authorization:
        """HTTP Basic of id and key."""
        if self._known is None:
            user_id = user_id_of(self._http, self._login.username, self._login.api_key, self._clean)
            self._clean.learn(basic_token(user_id, self._login.api_key))
            self._known = basic(user_id, self._login.api_key)
        return self._known


def login(
    dialect: DialectName,
    http: Http,
    clean: Cleaner,
    *,
    username: str,
    api_key: Secret,
    home: Path,
    environ: Mapping[str, str],
) -> LoggedIn:
    """Log in and keep the credentials in the dialect's own file and format (0600, its other keys kept).

    The address is kept beside them: the key may go there. For ``grid`` that is ``~/.grid/settings.json``, which also
    gets the default cluster where the account has one, as the guide's client does. Nothing is written unless the
    control plane accepts the credentials.
    """
    user_id = user_id_of(http, username, api_key, clean)
    auth = basic(user_id, api_key)
    found = http.call("GET", CLUSTERS, lambda raw: listing(raw, clean), query=LOGIN_QUERY[dialect], auth=auth)
    path = credentials_path(dialect, home, environ)
    if dialect == "lightning":
        kept = {"username": username, "user_id": user_id, "api_key": api_key.reveal()}
        remember_url(dialect, home, environ, http.url, kept)
        return LoggedIn(user_id, found.default_id, (path,))
    update_user_file(path, {"UserID": user_id, "APIKey": api_key.reveal()})
    context = {"context": found.default_id} if found.default_id else {}
    settings = remember_url(dialect, home, environ, http.url, context)
    return LoggedIn(user_id, found.default_id, (path, settings))


LOGIN_QUERY: Mapping[DialectName, tuple[tuple[str, str], ...]] = {
    "grid": (
        ("phaseNotIn", "CLUSTER_STATE_DELETED"),
        ("clusterTypeIn", "CLUSTER_TYPE_GLOBAL"),
        ("clusterTypeIn", "CLUSTER_TYPE_BYOC"),
    ),
    "lightning": (),
}
"""What the guide's client asks for while it logs in, recorded; today's API has no such filters."""


def set_context(registrar: Registrar, name: str, *, environ: Mapping[str, str], home: Path) -> Context:
    """Make the cluster of that name the default one: its id goes into ``~/.grid/settings.json`` (other keys kept).

    ``ClusterNotFoundError`` where there is none, ``ControlPlaneError`` where it is being deleted.
    """
    clusters = registrar.list()
    cluster = pick(clusters, name)
    if cluster is None:
        names = ", ".join(sorted(item.name for item in clusters)) or "none at all"
        raise ClusterNotFoundError(
            f"There is no cluster named {name}.", why=f"There is: {names}.", rerun=SAFE_NOTHING_DONE
        )
    if cluster.status == "terminating":
        raise ControlPlaneError(f"Cluster {name} is being deleted.", fix="Choose another.", rerun=SAFE_NOTHING_DONE)
    update_user_file(settings_path(home), {"context": cluster.id})
    winner = environ.get(CONTEXT_VARIABLE) or None
    return Context(cluster, settings_path(home), winner if winner != cluster.id else None)


def current_context(environ: Mapping[str, str], home: Path) -> str | None:
    """The id of the default cluster: ``GRID_CLUSTER_ID``, else what ``~/.grid/settings.json`` has."""
    stored = read_user_file(settings_path(home)).values.get("context")
    return environ.get(CONTEXT_VARIABLE) or (stored if isinstance(stored, str) and stored else None)
