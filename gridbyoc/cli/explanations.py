"""Every code with its meaning: failures, errors and checks. Loaded only to explain one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gridbyoc import errors
from gridbyoc.aws.policy.parse import PolicyDocumentError
from gridbyoc.cli.explain import Kinds
from gridbyoc.errors.cards import CARDS, KnownFailure
from gridbyoc.operations.finding import FindingKind
from gridbyoc.operations.preflight.catalogue import KINDS
from gridbyoc.operations.verify_model import KINDS as PROOF_KINDS


@dataclass(frozen=True, slots=True)
class Explanation:
    """The meaning of a code; ``cause``, ``fix``, ``rerun`` and ``link`` may be empty."""

    code: str
    kind: Kinds
    title: str
    cause: str = ""
    fix: str = ""
    rerun: str = ""
    exit_status: int | None = None
    link: str = ""

    def lines(self) -> list[str]:
        """The explanation for a person, in the format of an error."""
        lines = [f"{self.code}: {self.title}"]
        lines += [f"  why: {self.cause}"] if self.cause else []
        lines += [f"  do:  {self.fix}"] if self.fix else []
        lines += [f"  exit status: {self.exit_status}"] if self.exit_status is not None else []
        lines += [f"  more: {self.link}"] if self.link else []
        return [*lines, f"  {self.rerun}"] if self.rerun else lines


CHECK_REMEDY = (
    "`gridbyoc doctor --only {0.code}` checks only this and says what to do in this account. `--skip {0.code}` "
    "leaves it out of a run."
)
VERIFY_REMEDY = (
    "`gridbyoc verify` names the policy and its statement. `gridbyoc bootstrap` restores the role to what the stack "
    "file says; declare intended differences in the stack file. A role that no stack made (`--role`) must be "
    "changed by its owner."
)


def of_card(card: KnownFailure) -> Explanation:
    """A failure card, with words in capitals in place of names."""
    known = card.filled({})
    return Explanation(card.code, "failure", known.title, known.cause, known.fix, card.rerun)


def of_error(error: type[errors.GridbyocError]) -> Explanation:
    """A class of errors, described by its docstring."""
    meaning = " ".join((error.__doc__ or "").partition("\n\n")[0].split()).replace("``", "`")
    return Explanation(error.code, "error", meaning, fix=error.remedy, exit_status=int(error.exit_status))


def of_kind(kind: FindingKind) -> Explanation:
    """A check of the preflight."""
    meaning = " ".join(kind.meaning.split())
    return Explanation(kind.code, "check", kind.title, meaning, CHECK_REMEDY.format(kind), link=kind.link)


def of_question(kind: FindingKind) -> Explanation:
    """A finding of ``verify``."""
    meaning = f"Not `pass`: {kind.otherwise}."
    return Explanation(kind.code, "check", kind.meaning, meaning, VERIFY_REMEDY, link="docs/verify.md")


def _all() -> Iterator[Explanation]:
    yield from map(of_card, CARDS)
    for found in vars(errors).values():
        if isinstance(found, type) and issubclass(found, errors.GridbyocError):
            yield of_error(found)
    yield of_error(PolicyDocumentError)
    yield from map(of_kind, KINDS)
    yield from map(of_question, PROOF_KINDS)


EXPLANATIONS: Mapping[str, Explanation] = MappingProxyType(
    {one.code: one for one in sorted(_all(), key=lambda one: one.code)}
)
"""By code, in the order of the codes."""
