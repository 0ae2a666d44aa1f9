"""Which actions are marked: creating principals, spending, deleting, reading data."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.operations.review.grants import MARKS, marks_of, overlap

PRINCIPALS, SPENDS, DELETES, READS = (mark.words for mark in MARKS)


@pytest.mark.parametrize(
    "action,marks",
    [
        ("iam:CreateUser", {PRINCIPALS}),
        ("IAM:createaccesskey", {PRINCIPALS}),
        ("iam:PassRole", {PRINCIPALS}),
        ("iam:DeleteUser", {DELETES}),
        ("iam:GetUser", set()),
        ("iam:*", {PRINCIPALS, DELETES}),
        ("sts:AssumeRole", {PRINCIPALS}),
        ("eks:CreateAccessEntry", {PRINCIPALS}),
        ("ec2:RunInstances", {SPENDS}),
        ("ec2:CreateTags", set()),
        ("ec2:DescribeInstances", set()),
        ("ec2:*", {SPENDS, DELETES, READS}),
        ("s3:GetObject", {READS}),
        ("s3:GetBucketLocation", set()),
        ("s3:Get*", {READS}),
        ("s3:DeleteBucket", {DELETES}),
        ("secretsmanager:GetSecretValue", {READS}),
        ("secretsmanager:ListSecrets", set()),
        ("unheard-of:CreateThing", {SPENDS}),
        ("unheard-of:*", {SPENDS, DELETES, READS}),
        ("unheard-of:ListThings", set()),
        ("*", {PRINCIPALS, SPENDS, DELETES, READS}),
        ("i?m:Create*", {PRINCIPALS, SPENDS}),
        ("*:Describe*", {READS}),  # ec2-instance-connect:*
    ],
)
def test_marks(action: str, marks: set[str]) -> None:
    assert set(marks_of((action,))) == marks


@pytest.mark.parametrize("but,marks", [(("iam:*",), {PRINCIPALS, SPENDS, DELETES, READS}), (("*",), set())])
def test_everything_but(but: tuple[str, ...], marks: set[str]) -> None:
    assert set(marks_of(but, everything_but=True)) == marks


WORDS = ["".join(letters) for length in range(9) for letters in product("ab", repeat=length)]
patterns = st.text(alphabet="ab*?", max_size=4)


@given(patterns, patterns)
def test_two_patterns_overlap_where_a_text_matches_both(one: str, other: str) -> None:
    first, second = (re.compile(each.replace("*", ".*").replace("?", ".")) for each in (one, other))
    assert overlap(one, other) is any(first.fullmatch(word) and second.fullmatch(word) for word in WORDS)
