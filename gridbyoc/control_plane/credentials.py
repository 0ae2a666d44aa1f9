"""The control plane's credentials: from the environment, else from the file of the dialect's own client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.control_plane import parse
from gridbyoc.control_plane.failures import JsonObject
from gridbyoc.control_plane.http import NO_AUTHORIZATION, Authorization, Http, basic, basic_token
from gridbyoc.control_plane.model import Cleaner, Cluster, Registrar
from gridbyoc.control_plane.parse import MalformedError
from gridbyoc.control_plane.settings import (
    UserFile,
    credentials_path,
    read_user_file,
    remember_url,
    settings_path,
    update_user_file,
)
from gridbyoc.control_plane.wire import CLUSTERS, listing, pick
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    AuthenticationError,
    ClusterNotFoundError,
    ControlPlaneError,
    UnsupportedByDialectError,
)
from gridbyoc.stack.model import DialectName
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import Client, ClientFile, ClientVariables, facts_of

LOG_IN = "Log in with `gridbyoc login`, or set {id} and {key}."


@dataclass(frozen=True, slots=True)
class ApiCredentials:
    """A user id and an API key; ``source`` is where they came from, ``warnings`` are about that source.

    Without ``user_id`` the key is a token, sent as ``Bearer``, as lightning-sdk 2026.10.13 does.
    """

    user_id: str | None
    api_key: Secret
    source: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Username:
    """A user name and an API key; the control plane returns the user's id."""

    username: str
    api_key: Secret
    source: str


def resolve_credentials(dialect: DialectName, environ: Mapping[str, str], home: Path) -> ApiCredentials | Username:
    """The credentials. The environment wins over the file, as in the service's clients; half a pair is an error.

    Environment: ``GRID_USER_ID`` or ``GRID_USERNAME`` with ``GRID_API_KEY``; ``LIGHTNING_AUTH_TOKEN``, or
    ``LIGHTNING_API_KEY`` with or without ``LIGHTNING_USER_ID``. File: ``~/.grid/credentials.json``,
    ``~/.lightning/credentials.json`` or the path in ``LIGHTNING_CREDENTIAL_PATH`` (``gridbyoc/vendors``). Raises
    ``AuthenticationError``.
    """
    client = facts_of(dialect).client
    names = client.variables
    user_id, key, username, token = (
        environ.get(name or "", "").strip() for name in (names.user_id, names.api_key, names.username, names.token)
    )
    if token:
        return ApiCredentials(None, Secret(token), str(names.token))
    if key and user_id:
        return ApiCredentials(_plain(user_id, names.user_id), Secret(key), f"{names.user_id} and {names.api_key}")
    if key and username:
        return Username(username, Secret(key), f"{names.username} and {names.api_key}")
    if key and names.token:
        return ApiCredentials(None, Secret(key), names.api_key)
    if key:
        raise _half(names, missing=names.user_id, there=names.api_key)
    if user_id:
        raise _half(names, missing=names.api_key, there=names.user_id)
    return _from_file(client, credentials_path(dialect, home, environ))


def _half(names: ClientVariables, *, missing: str, there: str) -> AuthenticationError:
    or_name = f" (nor {names.username})" if names.username and missing == names.user_id else ""
    return AuthenticationError(
        f"The environment sets {there}, but not {missing}{or_name}.",
        fix=f"Set {missing}, too, or unset both to use the file that `gridbyoc login` wrote.",
        rerun=SAFE_NOTHING_DONE,
    )


def _from_file(client: Client, path: Path) -> ApiCredentials:
    found = read_user_file(path)
    problem = found.problem or _incomplete(client.credentials, found)
    if problem:
        what = "There are no credentials for the control plane." if found.missing else f"{path} cannot be used."
        error = AuthenticationError(
            what,
            why=f"{path}: {problem}.",
            fix=LOG_IN.format(id=client.variables.user_id, key=client.variables.api_key),
            rerun=SAFE_NOTHING_DONE,
        )
        error.none_given = found.missing
        raise error
    loose = loose_warning(path, found)
    names = client.credentials
    token, user_id, key = (_value(found, name) for name in (names.token, names.user_id, names.api_key))
    if token or not user_id:
        return ApiCredentials(None, Secret(token or key), str(path), loose)
    return ApiCredentials(_plain(user_id, str(path)), Secret(key), str(path), loose)


def _incomplete(names: ClientFile, found: UserFile) -> str:
    if _value(found, names.token):
        return ""
    needed = (names.api_key,) if names.token else (names.user_id, names.api_key)
    return next((f"{name} is missing in it" for name in needed if not _value(found, name)), "")


def _value(found: UserFile, name: str | None) -> str:
    """The text under ``name``; empty for anything else."""
    value = found.values.get(name) if name else None
    return value.strip() if isinstance(value, str) else ""


def loose_warning(path: Path, found: UserFile) -> tuple[str, ...]:
    """A warning if others than the owner may read the file."""
    if not found.readable_by_others:
        return ()
    return (f"Other users of this machine can read {path}; `chmod 600 {path}` keeps the API key private.",)


def _plain(user_id: str, source: str) -> str:
    """Refuse an id with a colon or a control character, which would change the Authorization header's meaning."""
    if ":" in user_id or not user_id.isprintable():
        raise AuthenticationError(
            f"The user id from {source} is not valid.",
            fix="A user id has no colon and no line break; `gridbyoc login` stores the right one.",
            rerun=SAFE_NOTHING_DONE,
        )
    return user_id


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The result of a login: the account's id, its default cluster (``None`` if it has none), the files written."""

    user_id: str
    default_cluster_id: str | None
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class DefaultCluster:
    """The new default cluster; ``overridden_by`` is the environment's cluster id, if it differs."""

    cluster: Cluster
    file: Path
    overridden_by: str | None


def user_id_of(http: Http, username: str, api_key: Secret, clean: Cleaner) -> str:
    """The account's id: POST the name and key, then GET the account with the returned token.

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
        raise MalformedError("id is not a user's id")
    return user_id


class LazyLogin:
    """Supplies the ``Authorization``; only the first call exchanges the user's name for the id."""

    def __init__(self, http: Http, login: Username, clean: Cleaner) -> None:
        self._http = http
        self._login = login
        self._clean = clean
        self._known: Authorization | None = None

    def __call__(self) -> Authorization:
        """HTTP Basic with id and key."""
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
    """Log in and store the credentials in the dialect's own file and format (0600; other keys in it are kept).

    The address is stored there, too, or in the client's settings file; it becomes an address to which the key may be
    sent. The settings file also gets the account's default cluster, if it has one, as the guide's client does. Nothing
    is written unless the control plane accepts the credentials.
    """
    user_id = user_id_of(http, username, api_key, clean)
    facts = facts_of(dialect)
    query = facts.api.login_query
    found = http.call("GET", CLUSTERS, lambda raw: listing(raw, clean), query=query, auth=basic(user_id, api_key))
    path, names, settings = credentials_path(dialect, home, environ), facts.client.credentials, facts.client.settings
    values = {names.username: username, names.user_id: user_id, names.api_key: api_key.reveal()}
    kept = {name: value for name, value in values.items() if name is not None}
    if settings is None:
        remember_url(dialect, home, environ, http.url, kept)
        return LoggedIn(user_id, found.default_id, (path,))
    update_user_file(path, kept)
    context = {settings.cluster: found.default_id} if settings.cluster and found.default_id else {}
    return LoggedIn(user_id, found.default_id, (path, remember_url(dialect, home, environ, http.url, context)))


@dataclass(frozen=True, slots=True)
class ContextSetting:
    """Where the dialect's own client stores the default cluster's id; an environment ``variable`` wins over it."""

    file: Path
    key: str
    variable: str

    def overriding(self, environ: Mapping[str, str]) -> str | None:
        """The default cluster's id in the environment, if any."""
        return environ.get(self.variable) or None


def context_of(dialect: DialectName, home: Path) -> ContextSetting:
    """The setting of a dialect's client. Raises ``UnsupportedByDialectError`` if it has no default cluster."""
    client, file = facts_of(dialect).client, settings_path(dialect, home)
    if file is None or client.settings is None or client.settings.cluster is None or client.variables.cluster is None:
        raise UnsupportedByDialectError(
            "This control plane has no default cluster to set.",
            why="Only the grid client has a default cluster (context).",
            rerun=SAFE_NOTHING_DONE,
        )
    return ContextSetting(file, client.settings.cluster, client.variables.cluster)


def set_context(
    registrar: Registrar, context: ContextSetting, name: str, *, environ: Mapping[str, str]
) -> DefaultCluster:
    """Make a cluster the default one by writing its id to the client's own file (other keys in it are kept).

    Raises ``ClusterNotFoundError`` if there is no such cluster, ``ControlPlaneError`` if it is being deleted.
    """
    clusters = registrar.list()
    cluster = pick(clusters, name)
    if cluster is None:
        names = ", ".join(sorted(item.name for item in clusters)) or "none"
        raise ClusterNotFoundError(
            f"There is no cluster named {name}.", why=f"Existing clusters: {names}.", rerun=SAFE_NOTHING_DONE
        )
    if cluster.status == "terminating":
        raise ControlPlaneError(f"Cluster {name} is being deleted.", fix="Choose another.", rerun=SAFE_NOTHING_DONE)
    update_user_file(context.file, {context.key: cluster.id})
    winner = context.overriding(environ)
    return DefaultCluster(cluster, context.file, winner if winner != cluster.id else None)


def current_context(context: ContextSetting, environ: Mapping[str, str]) -> str | None:
    """The id of the default cluster: the environment's, else the one in the client's own file."""
    stored = read_user_file(context.file).values.get(context.key)
    return context.overriding(environ) or (stored if isinstance(stored, str) and stored else None)
