"""Who asks: Basic and Bearer headers, tokens of a login, and the access log, which holds none of them."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from gridbyoc.sandbox.api.failures import UNAUTHENTICATED, ApiError
from gridbyoc.sandbox.api.store import Store
from gridbyoc.stack.secret import Secret

TOKEN_SECONDS = 24 * 3600.0
_SECRET_PARAMETERS = {"token", "authtoken", "auth_token", "key", "apikey", "externalid", "external_id"}


class Doorkeeper:
    """Knows one user, their key, and the tokens given out in the last 24 hours."""

    def __init__(self, store: Store, clock: Callable[[], float], username: str, user_id: str, api_key: Secret) -> None:
        self._store = store
        self._clock = clock
        self.username = username
        self.user_id = user_id
        self._api_key = api_key

    def login(self, username: object, api_key: object) -> str:
        """A token for the right key. One client gives the user's id for the name."""
        known = username in (self.username, self.user_id)
        if not (known and isinstance(api_key, str) and self._is_key(api_key)):
            raise ApiError(UNAUTHENTICATED, "invalid username or API key")
        return self.new_token()

    def new_token(self) -> str:
        """A token for a user who is known already."""
        token = secrets.token_urlsafe(32)
        self._store.add_token(token, self._clock())
        return token

    def key(self) -> Secret:
        """The user's key, for the browser login."""
        return self._api_key

    def check(self, authorization: str) -> None:
        """A ``Basic id:key`` or ``Bearer`` header with a token or the key, or a token alone; ``ApiError`` 401."""
        scheme, _, value = authorization.strip().rpartition(" ")
        known = self._is_basic(value) if scheme.lower() == "basic" else self._is_token(value)
        known = known or (scheme.lower() == "bearer" and self._is_key(value))
        if not known:
            raise ApiError(UNAUTHENTICATED, "authentication failed: unknown user id, API key or token")

    def check_pair(self, user_id: str, api_key: str) -> None:
        """The two headers of the GraphQL clients; ``ApiError`` 401."""
        if user_id != self.user_id or not self._is_key(api_key):
            raise ApiError(UNAUTHENTICATED, "authentication failed: unknown user id or API key")

    def logout(self, authorization: str) -> None:
        """End a token's life."""
        self._store.drop_token(authorization.rpartition(" ")[2])

    def _is_basic(self, value: str) -> bool:
        try:
            user_id, _, key = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return user_id == self.user_id and self._is_key(key)

    def _is_token(self, value: str) -> bool:
        return bool(value) and self._store.has_token(value, self._clock() - TOKEN_SECONDS)

    def _is_key(self, value: str) -> bool:
        return hmac.compare_digest(value.encode(), self._api_key.reveal().encode())


class AccessLog:
    """One JSON object a line for each request: no header but the agent, no body, no secret from the query."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self, **entry: object) -> None:
        """Append a line."""
        if self._path:
            with self._lock, self._path.open("a") as file:
                file.write(json.dumps(entry) + "\n")


def shown_query(query: str) -> str:
    """A query string with the values of secret parameters taken out."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(name, "[secret]" if name.lower() in _SECRET_PARAMETERS else value) for name, value in pairs])
