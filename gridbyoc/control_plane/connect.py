"""Connect to a stack's ``control_plane``: find address, credentials, CA bundle and proxies; return a ``Registrar``."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gridbyoc.control_plane.credentials import ApiCredentials, LazyLogin, LoggedIn, Username, login, resolve_credentials
from gridbyoc.control_plane.failures import HttpAnswer
from gridbyoc.control_plane.http import (
    Authorization,
    Exchange,
    Http,
    HttpRequest,
    Network,
    RetryPatience,
    Timing,
    basic,
    basic_token,
)
from gridbyoc.control_plane.model import Cleaner, Registrar, WithoutKey
from gridbyoc.control_plane.registrar import ClusterRegistrar, KeylessRegistrar
from gridbyoc.control_plane.settings import resolve_url
from gridbyoc.control_plane.without_api import VendorWithoutApi
from gridbyoc.errors import AuthenticationError, FileError
from gridbyoc.stack.loopback import is_loopback
from gridbyoc.stack.model import ControlPlane
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import facts_of

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
DEFAULT_PATIENCE = RetryPatience()
_JITTER = random.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Limits:
    """Time-outs in seconds: to connect, to read, and for one call with all its retries (``patience.total``)."""

    connect: float = 10.0
    read: float = 30.0
    patience: RetryPatience = DEFAULT_PATIENCE


DEFAULT_LIMITS = Limits()


def connect(
    control_plane: ControlPlane,
    *,
    environ: Mapping[str, str],
    home: Path,
    url: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = _JITTER,
    limits: Limits = DEFAULT_LIMITS,
    on_warning: Callable[[str], None] | None = None,
    without_key: WithoutKey = "refused",
) -> Registrar:
    """The ``Registrar`` of ``control_plane``. Sends nothing yet. ``url`` is the flag's and wins.

    ``without_key``: what to do if there are no credentials. ``refused``: raise ``AuthenticationError``. ``unknown``:
    the client lists no clusters and its ``unasked`` says why. ``nothing``: the user states that there are no clusters.
    In the last two cases every other call raises. For a vendor without an API, the client needs no key and lists no
    clusters. Raises ``UsageError`` (an unusable URL), ``UntrustedAddressError`` (only the stack file names the
    address), ``AuthenticationError`` (no credentials), ``FileError``. ``on_warning`` receives warnings: others can read
    the key, or it would be sent unencrypted.
    """
    if control_plane.type == "manual":
        return VendorWithoutApi(control_plane, told=without_key == "nothing")
    address = resolve_url(control_plane.type, url, control_plane.url, environ, home)
    facts = facts_of(control_plane.type)
    try:
        credentials = resolve_credentials(control_plane.type, environ, home)
    except AuthenticationError as error:
        if without_key == "refused" or not error.none_given:
            raise
        unsigned = _unsigned(address, control_plane, environ, limits, Timing(clock, sleep, jitter), error)
        why = "there is no key for the control plane" if without_key == "unknown" else ""
        return KeylessRegistrar(unsigned, facts, org_id=control_plane.org_id, unasked=why)
    for warning in _warnings(address, credentials):
        if on_warning is not None:
            on_warning(warning)
    clean = Cleaner(credentials.api_key)
    timing = Timing(clock, sleep, jitter)
    exchange = _exchange(address, _network(control_plane, address, environ, limits))

    def http(auth: Callable[[], Authorization]) -> Http:
        return Http(address, exchange, timing, auth=auth, clean=clean, patience=limits.patience)

    signed = http(_authorization(credentials, http(Authorization), clean))
    return ClusterRegistrar(signed, facts, org_id=control_plane.org_id)


def _unsigned(
    address: str,
    control_plane: ControlPlane,
    environ: Mapping[str, str],
    limits: Limits,
    timing: Timing,
    error: AuthenticationError,
) -> Http:
    """A connection without a key: each request raises ``error`` and sends nothing."""

    def refuse() -> Authorization:
        raise error

    exchange = _exchange(address, _network(control_plane, address, environ, limits))
    return Http(address, exchange, timing, auth=refuse, clean=Cleaner(), patience=limits.patience)


def log_in(
    control_plane: ControlPlane,
    *,
    username: str,
    api_key: Secret,
    environ: Mapping[str, str],
    home: Path,
    url: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    limits: Limits = DEFAULT_LIMITS,
) -> LoggedIn:
    """``login`` at the address that ``connect`` would use. Raises the same errors, and ``AuthenticationError``."""
    address = resolve_url(control_plane.api, url, control_plane.url, environ, home)
    clean = Cleaner(api_key)
    exchange = _exchange(address, _network(control_plane, address, environ, limits))
    http = Http(address, exchange, Timing(clock, sleep, _JITTER), clean=clean, patience=limits.patience)
    return login(control_plane.api, http, clean, username=username, api_key=api_key, home=home, environ=environ)


def _exchange(address: str, network: Network) -> Exchange:
    """An ``Exchange`` that opens its connection with the first call."""

    @cache
    def opened() -> Exchange:
        from gridbyoc.control_plane.transport import RequestsExchange

        return RequestsExchange(address, network)

    def send(call: HttpRequest, seconds: float) -> HttpAnswer:
        return opened()(call, seconds)

    return send


def _authorization(
    credentials: ApiCredentials | Username, unsigned: Http, clean: Cleaner
) -> Callable[[], Authorization]:
    if isinstance(credentials, Username):
        return LazyLogin(unsigned, credentials, clean)
    if credentials.user_id is None:
        fixed = Authorization("Bearer", credentials.api_key)
    else:
        clean.learn(basic_token(credentials.user_id, credentials.api_key))
        fixed = basic(credentials.user_id, credentials.api_key)
    return lambda: fixed


def _network(control_plane: ControlPlane, address: str, environ: Mapping[str, str], limits: Limits) -> Network:
    bundle = _ca_bundle(control_plane.ca_bundle, environ) if address.startswith("https:") else None
    return Network(limits.connect, limits.read, bundle, environ)


def _ca_bundle(stacks: Path | None, environ: Mapping[str, str]) -> str | None:
    """The stack's CA bundle, else the one in the environment variables of requests and curl."""
    named = [("control_plane.ca_bundle", str(stacks))] if stacks else []
    named += [(name, environ[name]) for name in CA_VARIABLES if environ.get(name)]
    if not named:
        return None
    source, path = named[0]
    if not Path(path).exists():
        raise FileError(f"The CA bundle {path} ({source}) does not exist.", fix="Correct the path, or remove it.")
    return path


def _warnings(address: str, credentials: ApiCredentials | Username) -> tuple[str, ...]:
    loose = credentials.warnings if isinstance(credentials, ApiCredentials) else ()
    if address.startswith("http:") and not is_loopback(address):
        return (*loose, f"{address} is not https: the API key is sent unencrypted.")
    return loose
