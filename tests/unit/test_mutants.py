"""Mutants are found in their function, and a piece of text that is gone or not alone is told."""

from __future__ import annotations

import pytest

from tests.mutants.source import AnchorError, Mutant, mutated

SOURCE = '''"""A file."""

LIMIT = {"a", "b"}


def other(one: str) -> bool:
    return one == "a"


class Guard:
    """A class."""

    kinds: tuple[str, ...] = ("a",)

    @property
    def same(self) -> bool:
        if self.kinds == ("a",):
            return True
        return one == "a" and one == "a"
'''


def mutant(function: str, old: str, new: str = "False") -> Mutant:
    return Mutant("guard.py", function, old, new, ())


@pytest.mark.parametrize(
    "function,old,line",
    [
        ("other", 'one == "a"', "    return False"),
        ("Guard.same", 'self.kinds == ("a",)', "        if False:"),
        ("LIMIT", '"b"', 'LIMIT = {"a", False}'),
        ("Guard.kinds", '("a",)', "    kinds: tuple[str, ...] = False"),
    ],
)
def test_the_text_is_replaced_in_that_function_alone(function: str, old: str, line: str) -> None:
    before, after = SOURCE.splitlines(), mutated(SOURCE, mutant(function, old)).splitlines()
    assert [new for new, was in zip(after, before, strict=True) if new != was] == [line]


@pytest.mark.parametrize(
    "function,old,new,why",
    [
        ("other", 'one == "c"', "False", "the text is there 0 times"),
        ("Guard.same", 'one == "a"', "False", "the text is there 2 times"),
        ("gone", "a", "b", "there are 0 such names"),
        ("Guard.gone", "a", "b", "there are 0 such names"),
        ("other", "return", "if", "is no Python"),
    ],
)
def test_a_mutant_that_does_not_fit_is_told(function: str, old: str, new: str, why: str) -> None:
    with pytest.raises(AnchorError, match=why):
        mutated(SOURCE, mutant(function, old, new))
