"""The failure cards for what a command said: which there are, and what they say together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from gridbyoc.errors.cards import Card, card_for
from gridbyoc.terraform.events import Diagnostic

CommandLine = Callable[..., str]
ROLE_ADDRESS = "module.gridbyoc.aws_iam_role.this"
POLICY_ADDRESS = "module.gridbyoc.aws_iam_policy.this[0]"
_ROLE = re.compile(r"\bRole with name (\S+) already exists")
_POLICY = re.compile(r"\bA policy called (\S+) already exists")


def cards_for(errors: Iterable[Diagnostic], words: str, command: CommandLine, profile: str = "") -> tuple[Card, ...]:
    """A card for each diagnostic that one is about, each once; without diagnostics, for the last ``words``.

    ``command`` writes a command line for the work_dir; ``profile`` is the AWS profile of the run, empty for none.
    """
    known = {"init_command": command("init"), "migrate_command": command("init", "-migrate-state"), "profile": profile}
    texts = [(f"{error.summary} {error.detail}", error.address) for error in errors] or [(words, "")]
    found = [card_for(text, known={**known, **_import(text, address, command)}) for text, address in texts]
    return tuple(dict.fromkeys(card for card in found if card is not None))


def causes_of(cards: Iterable[Card]) -> str:
    """Why it failed, by the cards."""
    return " ".join(dict.fromkeys(card.cause for card in cards))


def fixes_of(cards: Iterable[Card]) -> str:
    """What to do about it, by the cards."""
    return " ".join(dict.fromkeys(card.fix for card in cards))


def _import(text: str, address: str, command: CommandLine) -> Mapping[str, str]:
    """The command that takes what exists already into the state, by the resource that could not be made."""
    line = " ".join(text.split())
    if role := _ROLE.search(line):
        return {"import_command": command("import", address or ROLE_ADDRESS, role[1])}
    if _POLICY.search(line):
        return {"import_command": command("import", address or POLICY_ADDRESS, "POLICY_ARN")}
    return {}
