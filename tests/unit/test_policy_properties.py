"""What must hold of every policy: Deny wins, an Allow never takes away, a boundary intersects, nothing crashes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbyoc.aws.policy import (
    Policy,
    PolicyDocumentError,
    Request,
    ask,
    assume_request,
    digest,
    evaluate,
    evaluate_identity,
    parse_policy,
    principal,
    some_principal_of,
)
from gridbyoc.aws.policy.model import ANY, ONE, glob, read_pattern
from gridbyoc.stack.secret import Secret

ACTIONS = st.sampled_from(
    ["s3:GetObject", "s3:*", "*", "S3:get*", "ec2:RunInstances", "ec2:?unInstances", "iam:*", "*:*", "s?:*"]
)
RESOURCES = st.sampled_from(
    [
        "*",
        "arn:aws:s3:::a/*",
        "arn:aws:s3:::${aws:username}/*",
        "arn:aws:s3:::a/b",
        "arn:aws:ec2:*",
        "arn:aws:s3",
        "arn:aws:s3:*a/b",
        "arn:aws:s3:::${app:a}",
    ]
)
OPERATORS = st.builds(
    lambda quantifier, base, exists: f"{quantifier}{base}{exists}",
    st.sampled_from(["", "ForAllValues:", "ForAnyValue:", "ForNone:"]),
    st.sampled_from(
        [
            "StringEquals",
            "StringNotEquals",
            "StringLike",
            "StringNotLike",
            "StringNotEqualsIgnoreCase",
            "ArnLike",
            "Bool",
            "Null",
            "NumericLessThan",
            "DateGreaterThan",
            "IpAddress",
            "NotIpAddress",
            "BinaryEquals",
            "Odd",
            "stringEquals",
            "ArnEquals",
            "NumericEquals",
            "DateEquals",
        ]
    ),
    st.sampled_from(["", "IfExists"]),
)
TEXTS = st.sampled_from(
    [
        "a",
        "b",
        "A",
        "*",
        "a?",
        "true",
        "True",
        "10",
        "1e3",
        "2026-01-01",
        "2026",
        "10.0.0.1",
        "arn:aws:s3:::a/b",
        "arn:*:*:*:*:*",
        "${aws:username}",
        "${app:a, 'x'}",
        "${app:a,'x'}",
        "${app:a",
        "",
    ]
)
CONDITIONS = st.dictionaries(
    OPERATORS,
    st.dictionaries(st.sampled_from(["app:a", "app:b", "aws:username"]), st.lists(TEXTS, max_size=3)),
    max_size=2,
)


def one_or_many(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return strategy | st.lists(strategy, min_size=1, max_size=3)


STATEMENTS = st.builds(
    lambda effect, action, resource, condition, sid: {
        "Effect": effect,
        **action,
        **resource,
        "Condition": condition,
        **({"Sid": sid} if sid else {}),
    },
    st.sampled_from(["Allow", "Deny"]),
    one_or_many(ACTIONS).map(lambda v: {"Action": v}) | one_or_many(ACTIONS).map(lambda v: {"NotAction": v}),
    one_or_many(RESOURCES).map(lambda v: {"Resource": v}) | one_or_many(RESOURCES).map(lambda v: {"NotResource": v}),
    CONDITIONS,
    st.sampled_from(["", "Some"]),
)
DOCUMENTS = st.builds(
    lambda version, statements: {"Version": version, "Statement": statements},
    st.sampled_from(["2012-10-17", "2008-10-17"]),
    st.lists(STATEMENTS, min_size=1, max_size=4),
)
POLICIES = DOCUMENTS.map(lambda document: parse_policy(document, name="p", kind="identity"))
REQUESTS = st.builds(
    lambda action, resource, context, unknown: ask(
        action,
        actor=principal("arn:aws:iam::123456789012:user/a"),
        resource=resource,
        context=context,
        others_unknown=unknown,
    ),
    st.sampled_from(["s3:GetObject", "ec2:RunInstances", "iam:CreateRole"]),
    st.sampled_from(["arn:aws:s3:::a/b", "arn:aws:ec2:r:1:instance/i", None]),
    st.dictionaries(st.sampled_from(["app:a", "app:b"]), st.lists(TEXTS, max_size=2), max_size=2),
    st.booleans(),
)
DENY_ALL = parse_policy({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}, name="deny", kind="identity")


@given(st.lists(POLICIES, max_size=3), REQUESTS)
def test_an_explicit_deny_always_wins(policies: list[Policy], request: Request) -> None:
    for order in ([*policies, DENY_ALL], [DENY_ALL, *policies]):
        decision = evaluate(order, request)
        assert decision.effect == "denied"
        assert decision.statement is not None


@given(st.lists(POLICIES, max_size=3), STATEMENTS, REQUESTS)
def test_adding_an_allow_takes_nothing_away(policies: list[Policy], added: dict[str, Any], request: Request) -> None:
    more = parse_policy({"Statement": {**added, "Effect": "Allow"}}, name="more", kind="identity")
    before, after = evaluate(policies, request), evaluate([*policies, more], request)
    if before.effect == "allowed":
        assert after.effect == "allowed"
    if before.effect == "unknown":
        assert after.effect != "denied"


@given(st.lists(POLICIES, max_size=3), STATEMENTS, REQUESTS)
def test_adding_a_deny_gives_nothing(policies: list[Policy], added: dict[str, Any], request: Request) -> None:
    more = parse_policy({"Statement": {**added, "Effect": "Deny"}}, name="more", kind="identity")
    before, after = evaluate(policies, request), evaluate([*policies, more], request)
    if before.effect == "denied":
        assert after.effect == "denied"
    if after.effect == "allowed":
        assert before.effect == "allowed"


@given(st.lists(POLICIES, max_size=3), POLICIES, REQUESTS)
def test_a_boundary_intersects(policies: list[Policy], boundary: Policy, request: Request) -> None:
    own, limit = evaluate(policies, request).effect, evaluate([boundary], request).effect
    both = evaluate_identity(policies, request, boundary).effect
    assert (both == "allowed") == (own == limit == "allowed")
    assert (both == "denied") == ("denied" in (own, limit))


@given(st.lists(POLICIES, max_size=3), REQUESTS)
def test_the_order_of_policies_does_not_matter(policies: list[Policy], request: Request) -> None:
    assert evaluate(policies, request).effect == evaluate(policies[::-1], request).effect


@given(POLICIES, REQUESTS)
def test_what_is_not_known_is_never_more_than_what_is(policy: Policy, request: Request) -> None:
    """Where keys are unknown and the answer is known all the same, it is the one for absent keys, too."""
    open_request = Request(request.action, request.actor, request.resource, request.context, others_unknown=True)
    closed = Request(request.action, request.actor, request.resource, request.context, others_unknown=False)
    guessed = evaluate([policy], open_request).effect
    if guessed != "unknown":
        assert evaluate([policy], closed).effect in (guessed, "unknown")


@given(DOCUMENTS, REQUESTS)
def test_another_spelling_gives_nothing(document: dict[str, Any], request: Request) -> None:
    """What IAM makes of an element in another case is not known: no statement decides by it."""
    spelled = {**document, "Statement": [_respelled(statement) for statement in document["Statement"]]}
    policy = parse_policy(spelled, name="p", kind="identity")
    assert evaluate([policy], request).effect in ("unknown", "denied")
    as_it_should_be = evaluate([parse_policy(document, name="p", kind="identity")], request)
    if evaluate([policy], request).effect == "denied":
        assert as_it_should_be.effect == "denied"


def _respelled(statement: dict[str, Any]) -> dict[str, Any]:
    return {name.lower() if name == "Effect" else name: value for name, value in statement.items()}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        "Version",
        "Statement",
        "Effect",
        "Action",
        "NotAction",
        "Principal",
        "NotPrincipal",
        "Resource",
        "Condition",
        "Sid",
        "effect",
    ]
)
VALUES = st.sampled_from(
    ["Allow", "Deny", "*", "2012-10-17", "sts:AssumeRole", {"AWS": "*"}, {"StringLike": {"k": "v"}}]
)
NEARLY = st.dictionaries(KEYS, VALUES | JSON, max_size=6)


def read_or_refused(document: Any, kind: Any) -> Policy | str:
    """The policy, or the words in which it is refused; whatever else is raised fails the test."""
    try:
        return parse_policy(document, name="the trust policy", kind=kind)
    except PolicyDocumentError as error:
        return error.what


@settings(max_examples=300)
@given(
    JSON
    | NEARLY
    | st.builds(lambda s: {"Version": "2012-10-17", "Statement": s}, NEARLY | st.lists(NEARLY, max_size=2))
)
def test_any_json_is_read_or_refused_in_words(document: Any) -> None:
    request = ask("sts:AssumeRole", actor=some_principal_of("123456789012"), resource="arn:aws:iam::1:role/x")
    for kind in ("trust", "identity"):
        for form in (document, json.dumps(document)):
            policy = read_or_refused(form, kind)
            if isinstance(policy, Policy):
                assert evaluate([policy], request).effect in {"allowed", "denied", "unknown"}
            else:
                assert policy.endswith(".")
    assert len(digest(document)) == 64


@given(st.text(max_size=30))
def test_any_text_is_refused_in_words(text: str) -> None:
    said = read_or_refused(text, "trust")
    assert isinstance(said, str)
    assert said.startswith("The trust policy ")


@given(st.text("ab*?", max_size=8), st.text("ab*?", max_size=8))
def test_wildcards_match_as_their_definition_says(pattern: str, text: str) -> None:
    def slow(tokens: tuple[str, ...], rest: str) -> bool:
        if not tokens:
            return not rest
        if tokens[0] == ANY:
            return any(slow(tokens[1:], rest[at:]) for at in range(len(rest) + 1))
        return bool(rest) and tokens[0] in (ONE, rest[0]) and slow(tokens[1:], rest[1:])

    tokens = read_pattern(pattern).tokens
    assert tokens is not None
    assert glob(tokens, text) == slow(tokens, text)


def test_many_wildcards_do_not_take_for_ever() -> None:
    tokens = read_pattern("*a" * 200 + "b").tokens
    assert tokens is not None
    assert not glob(tokens, "a" * 5000)


@given(st.text("abcdefgh0123456789", min_size=2, max_size=12), st.booleans())
def test_a_digest_says_nothing_about_the_external_id(external_id: str, as_list: bool) -> None:
    def document(value: str) -> dict[str, Any]:
        held: Any = [value] if as_list else value
        return {"Statement": {"Condition": {"StringEquals": {"STS:ExternalID": held}}, "Extra": value}}

    assert digest(document(external_id), Secret(external_id)) == digest(document("another"), Secret("another"))
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})


@pytest.mark.parametrize("named", ["arn:aws:iam::111111111111:root", "111111111111"])
@pytest.mark.parametrize("other", ["222222222222", "111111111110"])
def test_an_account_lets_in_its_own_principals_alone(named: str, other: str) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": named}},
    }
    policy = parse_policy(document, name="the trust policy", kind="trust")
    role = "arn:aws:iam::123456789012:role/x"
    for account, effect in (("111111111111", "allowed"), (other, "denied")):
        for actor in (some_principal_of(account, "aws"), principal(f"arn:aws:iam::{account}:role/ci")):
            assert evaluate((policy,), assume_request(role, actor, ())).effect == effect, (actor, effect)
