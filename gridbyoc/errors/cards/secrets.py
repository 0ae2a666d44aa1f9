"""What an error of AWS may quote and nobody should repeat."""

from __future__ import annotations

import re

_MASK = "[secret]"
# A signature that does not match is answered with the whole canonical request, session token included:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html
_SECRETS = re.compile(
    r"(?P<name>x-amz-security-token\s*[:=]\s*|(?:aws_)?session_?token\"?\s*[:=]\s*\"?|secret_?access_?key\"?\s*[:=]\s*\"?|"
    r"signature\s*=\s*|sts:externalid\"?\s*:\s*\[?\s*\"?|external_?id\"?\s*[:=]\s*\"?|<Token-0>)"
    r"(?P<value>[^\s\"'&,;<>\]\\]+)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"(?P<name>x-amz-security-token\s*[:=]\s*)[^\s\"'&,;<>\]\\]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """The text without session tokens, signatures and external ids, as far as their names stand beside them."""
    return _SECRETS.sub(lambda match: match["name"] + _MASK, text)


def without_session_token(text: str) -> str:
    """The text without the session token of a request that AWS quotes; all else stays, also inside JSON."""
    return _TOKEN.sub(lambda match: match["name"] + _MASK, text)
