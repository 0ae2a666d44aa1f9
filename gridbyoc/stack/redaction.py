"""Remove secrets from text: known secrets by their value, others by the name beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

from gridbyoc.stack.secret import MASK, Secret


class Redactor:
    """Replaces every known secret with ``[secret]``, also if it is JSON-escaped or percent-encoded.

    It replaces short secrets, too. Use it for text of Terraform and of services, and ``redacted`` for our own text.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        self.learn(secrets)

    def learn(self, secrets: Iterable[Secret]) -> bool:
        """Add secrets; return whether one of them is new. Empty secrets are ignored."""
        before = set(self._forms)
        known = before.union(*(_forms(secret.reveal()) for secret in secrets))
        # Longest first: a secret may be part of another secret.
        self._forms = tuple(sorted(known, key=lambda form: (-len(form), form)))
        return known != before

    def clean(self, text: str) -> str:
        """The text without the known secrets and without a session token that AWS quotes."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return without_session_token(text)


def _forms(value: str) -> set[str]:
    if not value:
        return set()
    escaped = json.dumps(value, ensure_ascii=False)[1:-1]
    by_go = escaped
    for sign in "<>&":
        by_go = by_go.replace(sign, f"\\u{ord(sign):04x}")  # Go's encoding/json escapes these for use in HTML
    return {value, escaped, by_go, value.replace("/", "\\/"), quote(value), quote(value, safe="")}


def redacted(text: str, secrets: Iterable[Secret]) -> str:
    """The text without the secrets. Secrets that are too short stay: they could be part of ordinary words."""
    for secret in sorted(secrets, key=lambda each: len(each.reveal()), reverse=True):
        text = secret.hidden_in(text)
    return text


# For a signature mismatch, AWS returns the whole canonical request, session token included:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html
_SECRETS = re.compile(
    r"(?P<name>x-amz-security-token\s*[:=]\s*|(?:aws_)?session_?token\"?\s*[:=]\s*\"?|secret_?access_?key\"?\s*[:=]\s*\"?|"
    r"signature\s*=\s*|sts:externalid\"?\s*:\s*\[?\s*\"?|external_?id\"?\s*[:=]\s*\"?|<Token-0>)"
    r"(?P<value>[^\s\"'&,;<>\]\\]+)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"(?P<name>x-amz-security-token\s*[:=]\s*)[^\s\"'&,;<>\]\\]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """The text without those session tokens, signatures and external ids that follow their names."""
    return _SECRETS.sub(lambda match: match["name"] + MASK, text)


def without_session_token(text: str) -> str:
    """The text without the session token of a request that AWS quotes; everything else stays, and JSON stays valid."""
    return _TOKEN.sub(lambda match: match["name"] + MASK, text)
