"""Text that came from a server, made fit to be shown: no control characters, no secrets, not too long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from urllib.parse import quote

from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import printable

REDACTED = "[secret]"
TEXT_LIMIT = 500


class Clean(Protocol):
    """Makes one text of the server's showable."""

    def __call__(self, text: str, *also: Secret) -> str:
        """``text`` without control characters and without the secrets known, ``also`` among them."""


class Cleaner:
    """A ``Clean`` that knows the secrets of one connection (the API key) and takes more for one text."""

    def __init__(self, *secrets: Secret, limit: int = TEXT_LIMIT) -> None:
        self._secrets = secrets
        self._limit = limit

    def learn(self, *secrets: Secret) -> None:
        """Redact these as well from now on."""
        self._secrets += secrets

    def __call__(self, text: str, *also: Secret) -> str:
        """Redacted before it is cut, so that no half of a secret is left at the end."""
        shown = redact(printable(text), (*self._secrets, *also))
        return shown if len(shown) <= self._limit else shown[: self._limit].rstrip() + " ..."


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """``text`` with every secret replaced, in the forms a server may echo it: plain, URL-quoted, JSON-escaped."""
    for value in sorted((secret.reveal() for secret in secrets), key=len, reverse=True):
        for form in (value, quote(value, safe=""), value.replace("/", "\\/")):
            if form:
                text = text.replace(form, REDACTED)
    return text
