"""Takes secrets out of text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import quote

from gridbyoc.errors.cards import without_session_token
from gridbyoc.stack.secret import Secret

_MASK = "[secret]"


class Redactor:
    """Replaces every known secret by ``[secret]``, also where it stands JSON-escaped or percent-encoded."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        self.learn(secrets)

    def learn(self, secrets: Iterable[Secret]) -> bool:
        """Know these too; true when one of them is new. An empty one is no secret."""
        before = set(self._forms)
        known = before.union(*(_forms(secret.reveal()) for secret in secrets))
        # Longest first: a secret may be part of another one.
        self._forms = tuple(sorted(known, key=lambda form: (-len(form), form)))
        return known != before

    def clean(self, text: str) -> str:
        """The text without any of them, and without a session token that AWS quotes."""
        for form in self._forms:
            text = text.replace(form, _MASK)
        return without_session_token(text)


def _forms(value: str) -> set[str]:
    if not value:
        return set()
    escaped = json.dumps(value, ensure_ascii=False)[1:-1]
    by_go = escaped
    for sign in "<>&":
        by_go = by_go.replace(sign, f"\\u{ord(sign):04x}")  # encoding/json escapes these for the sake of HTML
    return {value, escaped, by_go, quote(value), quote(value, safe="")}
