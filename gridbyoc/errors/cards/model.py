"""A failure card: what a known failure means, what to do about it, and the texts that it is known by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

AFTER_FIX = "A re-run is safe, and ends the same way until this is put right."
LATER = "A re-run is safe, and may be all that it takes."

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
"""What stands in the place of a fact that a message does not tell, and in the documentation."""


@dataclass(frozen=True, slots=True)
class Card:
    """One known failure. ``cause``, ``fix`` and ``title`` may hold placeholders such as ``{action}`` (see ``UNSAID``).

    ``signs`` are regular expressions, searched in the text with its white space made single blanks; their named
    groups fill the placeholders. One that matches is enough.
    """

    code: str
    title: str
    cause: str
    fix: str
    signs: tuple[str, ...]
    rerun: str = AFTER_FIX

    def filled(self, facts: Mapping[str, str]) -> Card:
        """The card with its placeholders replaced by ``facts``, and by what ``UNSAID`` has where they say nothing."""
        known = {**UNSAID, **_parts(facts), **{name: value for name, value in facts.items() if value}}
        return replace(
            self,
            title=self.title.format_map(known),
            cause=self.cause.format_map(known),
            fix=self.fix.format_map(known),
        )

    def read(self, text: str) -> Mapping[str, str] | None:
        """The facts of a text that this card is about; ``None`` where it is about something else."""
        for sign in self.signs:
            match = _compiled(sign).search(text)
            if match:
                return {name: value for name, value in match.groupdict().items() if value}
        return None


def _parts(facts: Mapping[str, str]) -> Mapping[str, str]:
    """The facts that stand in brackets, and are left out where a message does not tell them."""
    asked = {"by_policy": facts.get("policy"), "named_quota": facts.get("quota")}
    return {name: f" ({value})" for name, value in asked.items() if value}


@cache
def _compiled(sign: str) -> re.Pattern[str]:
    return re.compile(sign)
