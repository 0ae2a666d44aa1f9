"""Which codes are wanted: ``--only`` and ``--skip``, each a code, the beginning of one, or a group's word."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.stack.words import nearest
from gridbyoc.steps.preflight.model import Kind


def selection(kinds: Sequence[Kind], only: Sequence[str], skip: Sequence[str]) -> Callable[[str], bool]:
    """Whether a code is among ``only`` (all, where it is empty) and not among ``skip``.

    A word is a code (``GBY-Q001``), what several begin with (``GBY-Q``), or a group (``quotas``), in any case of
    letters. Raises ``UsageError`` for a word that selects nothing.
    """
    chosen = _codes(kinds, only) if only else {kind.code for kind in kinds}
    left_out = _codes(kinds, skip)
    return lambda code: code in chosen and code not in left_out


def _codes(kinds: Sequence[Kind], words: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for word in words:
        meant = {k.code for k in kinds if k.group == word.lower() or k.code.startswith(word.upper())}
        if not meant or not word:
            raise _unknown(kinds, word)
        found |= meant
    return found


def _unknown(kinds: Sequence[Kind], word: str) -> UsageError:
    groups = list(dict.fromkeys(kind.group for kind in kinds))
    close = nearest(word, [*groups, *(kind.code for kind in kinds)])
    return UsageError(
        f"There is no check {word!r}.",
        fix=f"Did you mean {close}?"
        if close
        else f"Give a code such as {kinds[0].code}, or one of {', '.join(groups)}.",
        rerun=SAFE_NOTHING_DONE,
    )
