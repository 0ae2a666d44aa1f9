"""The Authorization header, and what is secret about it."""

from __future__ import annotations

import base64

import requests
from requests.auth import AuthBase

from gridbyoc.stack.secret import Secret


class Authorization(AuthBase):
    """The Authorization header, or none at all: being an AuthBase it also keeps ``~/.netrc`` out."""

    def __init__(self, scheme: str = "", value: Secret | None = None) -> None:
        self._scheme = scheme
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header on ``request``."""
        if self._value is not None:
            request.headers["Authorization"] = f"{self._scheme} {self._value.reveal()}"
        return request

    def __repr__(self) -> str:
        return f"Authorization({self._scheme or 'none'})"


def basic(user_id: str, api_key: Secret) -> Authorization:
    """HTTP Basic of the user's id (not the name) and API key."""
    return Authorization("Basic", basic_token(user_id, api_key))


def basic_token(user_id: str, api_key: Secret) -> Secret:
    """What follows ``Basic`` in the header: as secret as the key."""
    return Secret(base64.b64encode(f"{user_id}:{api_key.reveal()}".encode()).decode("ascii"))


NO_AUTHORIZATION = Authorization()
