"""Everything that has a code: failure cards, errors, and the kinds of findings of the preflight and of `verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from gridbyoc import errors
from gridbyoc.aws.policy.parse import PolicyDocumentError
from gridbyoc.errors.cards import CARDS, Card
from gridbyoc.steps.preflight.catalogue import KINDS
from gridbyoc.steps.preflight.model import Kind
from gridbyoc.steps.verify_catalogue import QUESTIONS, Question


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code stands for; ``cause``, ``fix``, ``rerun`` and ``link`` are empty where there is nothing to say."""

    code: str
    kind: Literal["failure", "error", "check"]
    title: str
    cause: str = ""
    fix: str = ""
    rerun: str = ""
    exit_status: int | None = None
    link: str = ""

    def fields(self) -> Mapping[str, str | int]:
        """As a JSON object, without what is empty."""
        named = {name: getattr(self, name) for name in ("code", "kind", "title", "cause", "fix", "rerun", "link")}
        status = {} if self.exit_status is None else {"exit_status": self.exit_status}
        return {name: value for name, value in {**named, **status}.items() if value != ""}

    def lines(self) -> list[str]:
        """For a person: the form of an error's words."""
        lines = [f"{self.code}: {self.title}"]
        lines += [f"  why: {self.cause}"] if self.cause else []
        lines += [f"  do:  {self.fix}"] if self.fix else []
        lines += [f"  exit status: {self.exit_status}"] if self.exit_status is not None else []
        lines += [f"  more: {self.link}"] if self.link else []
        return [*lines, f"  {self.rerun}"] if self.rerun else lines


CHECK_REMEDY = (
    "`gridbyoc doctor --only {0.code}` looks at it alone and names what to do in this account. `--skip {0.code}` "
    "leaves it out of a run."
)
VERIFY_REMEDY = (
    "`gridbyoc verify` names the policy and its statement. `gridbyoc bootstrap` puts the role back to what the stack "
    "file says; what is meant to be there is declared in the stack file."
)


def of_card(card: Card) -> Explanation:
    """A failure card, with words in capitals where a message would tell the names."""
    known = card.filled({})
    return Explanation(card.code, "failure", known.title, known.cause, known.fix, card.rerun)


def of_error(error: type[errors.GridbyocError]) -> Explanation:
    """A class of errors, by its docstring."""
    meaning = " ".join((error.__doc__ or "").partition("\n\n")[0].split()).replace("``", "`")
    return Explanation(error.code, "error", meaning, fix=error.remedy, exit_status=int(error.exit_status))


def of_kind(kind: Kind) -> Explanation:
    """A check of the preflight."""
    meaning = " ".join(kind.meaning.split())
    return Explanation(kind.code, "check", kind.title, meaning, CHECK_REMEDY.format(kind), link=kind.link)


def of_question(question: Question) -> Explanation:
    """A finding of ``verify``."""
    meaning = f"Not `pass`: {question.otherwise}."
    return Explanation(question.code, "check", question.asked, meaning, VERIFY_REMEDY, link="docs/verify.md")


def _all() -> Iterator[Explanation]:
    yield from map(of_card, CARDS)
    for found in vars(errors).values():
        if isinstance(found, type) and issubclass(found, errors.GridbyocError):
            yield of_error(found)
    yield of_error(PolicyDocumentError)
    yield from map(of_kind, KINDS)
    yield from map(of_question, QUESTIONS)


EXPLANATIONS: Mapping[str, Explanation] = MappingProxyType(
    {one.code: one for one in sorted(_all(), key=lambda one: one.code)}
)
"""By code, in the order of the codes."""
