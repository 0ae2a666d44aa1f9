"""Known failures: their cause and fix, and the patterns of text that identify them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from gridbyoc.errors import GridbyocError

AFTER_FIX = "A re-run is safe, but fails in the same way until this is fixed."
LATER = "A re-run is safe, and may be enough."

UNSAID: Mapping[str, str] = {
    "account": "another account",
    "action": "the action",
    "bucket": "BUCKET",
    "host": "the host",
    "by_policy": "",
    "import_command": "terraform import ADDRESS ID",
    "init_command": "terraform init",
    "key": "KEY_ID",
    "migrate_command": "terraform init -migrate-state",
    "name": "NAME",
    "named_quota": "",
    "partition": "aws",
    "platform": "OS_ARCH",
    "policy": "POLICY_ARN",
    "principal": "the caller",
    "profile": "PROFILE",
    "provider": "the provider",
    "quota": "that AWS names",
    "region": "REGION",
    "resource": "the resource",
    "right_region": "the bucket's region",
    "unlock_command": "terraform force-unlock LOCK_ID",
    "version": "its name is in the message",
}
"""The text for each placeholder if a message does not state the fact; the documentation uses it, too."""


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """One known failure. ``cause``, ``fix`` and ``title`` may hold placeholders such as ``{action}`` (see ``UNSAID``).

    ``patterns`` are regular expressions, searched in the text with each run of white space replaced by one space. One
    match is enough. Their named groups fill the placeholders.
    """

    code: str
    title: str
    cause: str
    fix: str
    patterns: tuple[str, ...]
    rerun: str = AFTER_FIX

    def filled(self, facts: Mapping[str, str]) -> KnownFailure:
        """The known failure with its placeholders replaced by ``facts``, or by ``UNSAID`` if a fact is missing."""
        known = {**UNSAID, **_parts(facts), **{name: value for name, value in facts.items() if value}}
        return replace(
            self,
            title=self.title.format_map(known),
            cause=self.cause.format_map(known),
            fix=self.fix.format_map(known),
        )

    def read(self, text: str) -> Mapping[str, str] | None:
        """The facts in a text that matches this failure; ``None`` if it does not match."""
        for pattern in self.patterns:
            match = _compiled(pattern).search(text)
            if match:
                return {name: value for name, value in match.groupdict().items() if value}
        return None


def _parts(facts: Mapping[str, str]) -> Mapping[str, str]:
    """The facts shown in parentheses, without those that the message does not state."""
    asked = {"by_policy": facts.get("policy"), "named_quota": facts.get("quota")}
    return {name: f" ({value})" for name, value in asked.items() if value}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


# IAM's common form: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
_REFUSED = re.compile(
    r"(?:User: )?(?P<principal>arn:[^\s,]{1,400}) is not authorized to perform: (?P<action>[\w-]{1,64}:[\w*]{1,128})"
    r"(?: on resource: \"?(?P<resource>arn:[^\s,\"]{1,400}|\*|[^\s,.\"]{1,200}(?: [^\s,.\"]{1,200})?)\"?)?"
    r"(?=[\s,.\"]|$)"
)
# The AWS SDK for Go v2, in Terraform, OpenTofu and the provider: `operation error IAM: CreateRole, https …`.
_OPERATION = re.compile(r"operation error (?P<service>[A-Za-z0-9 ]{1,40}): (?P<operation>[A-Za-z0-9]{1,80})\b")
_SIMPLE: Mapping[str, re.Pattern[str]] = {
    "policy": re.compile(r"\bpolicy:? (?P<policy>arn:[\w-]+:[^\s,;)\"]{1,400})", re.IGNORECASE),
    "bucket": re.compile(r"S3 [Bb]ucket \(?\"?(?P<bucket>[a-z0-9][a-z0-9.-]{1,62})\"?\)?"),
    "region": re.compile(r"\b(?P<region>[a-z]{2}(?:-[a-z]+){1,2}-\d)(?=[.\s\"',:)]|$)"),
    "host": re.compile(r"https?://(?P<host>[\w.-]{1,253}(?::\d{1,5})?)"),
    "provider": re.compile(r"\b(?P<provider>[\w-]{1,60}/aws)\b"),
}
_PREFIXES = {"IAM": "iam", "STS": "sts", "S3": "s3", "EC2": "ec2", "EKS": "eks", "KMS": "kms", "DynamoDB": "dynamodb"}
# Operations whose IAM action has another name:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
_ACTIONS = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
}


def facts_in(text: str) -> dict[str, str]:
    """The facts in a text with single spaces; only values that have the form of a name, an ARN or an action."""
    found = {name: match[name] for name, pattern in _SIMPLE.items() if (match := pattern.search(text))}
    operation = _OPERATION.search(text)
    if operation and operation["service"] in _PREFIXES:
        action = f"{_PREFIXES[operation['service']]}:{operation['operation']}"
        found["action"] = _ACTIONS.get(action, action)
    refused = _REFUSED.search(text)
    if refused:
        found |= {name: value.rstrip(".:") for name, value in refused.groupdict().items() if value}
    return found


E = TypeVar("E", bound=GridbyocError)


def with_known_failure(error: E, card: KnownFailure | None, *, keep: bool = False) -> E:
    """``error`` with the known failure's code, cause and fix; unchanged without one. Its exit status does not change.

    The cause is appended to ``why``. With ``keep``, a ``why`` and a ``fix`` that are not empty stay unchanged.
    """
    if card is None:
        return error
    error.code = card.code
    if not (keep and error.why):
        error.why = f"{_sentence(error.why)} {card.cause}".strip()
    if not (keep and error.fix):
        error.fix = card.fix
    return error


def _sentence(text: str) -> str:
    words = text.rstrip()
    return words if not words or words.endswith((".", "!", "?")) else f"{words}."
