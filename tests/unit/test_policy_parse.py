"""Policy documents read: what is refused, in which words, and what never shows."""

from __future__ import annotations

from typing import Any

import pytest

from gridbyoc.aws.policy import (
    ANONYMOUS,
    Actor,
    PolicyDocumentError,
    PrincipalEntry,
    ask,
    digest,
    evaluate,
    parse_policy,
    principal,
    redact,
    some_principal_of,
    unreadable,
)
from gridbyoc.aws.policy.conditions import operator_form
from gridbyoc.aws.policy.evaluate import entry_covers, principals_match
from gridbyoc.aws.policy.model import Principals
from gridbyoc.stack.secret import Secret

CANARY = "canary-external-id"
GOOD = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.parametrize(
    "document,said",
    [
        ("{", "The trust policy is not JSON."),
        ("[" * 100_000, "The trust policy is not JSON."),
        (b"\xff", "The trust policy is not JSON."),
        ("[]", "The trust policy is not a JSON object."),
        (None, "The trust policy is not a JSON object."),
        ({"Version": "2012-10-17"}, "The trust policy has no Statement, or one that is not an object."),
        ({"Statement": []}, "The trust policy has no Statement, or one that is not an object."),
        ({"Statement": ["Allow"]}, "The trust policy has no Statement, or one that is not an object."),
        ({"Statement": GOOD, "Version": "2030-01-01"}, "The trust policy has an unknown Version."),
        ({"Statement": GOOD, "Version": ["2012-10-17"]}, "The trust policy has an unknown Version."),
        ({"Statement": GOOD, "Comment": "x"}, "The trust policy has the unknown element comment."),
        ({"Statement": GOOD, "statement": GOOD}, "The trust policy has Statement twice."),
        ({"Statement": [GOOD, {**GOOD, "Effect": "allow"}]}, "Statement 2 of the trust policy must have the Effect"),
        ({"Statement": without("Effect")}, "Statement 1 of the trust policy must have the Effect"),
        ({"Statement": {**GOOD, "Sid": ["x"]}}, "Statement 1 of the trust policy must have the Effect"),
        ({"Statement": without("Action")}, "has neither Action nor NotAction."),
        ({"Statement": {**GOOD, "NotAction": "s3:*"}}, "has both Action and NotAction."),
        ({"Statement": {**GOOD, "Action": [7]}}, "has a value that is not text where IAM expects text."),
        ({"Statement": {**GOOD, "action": "sts:*"}}, "has Action twice."),
        ({"Statement": without("Principal")}, "has no Principal."),
        ({"Statement": {**GOOD, "NotPrincipal": "*"}}, "has both Principal and NotPrincipal."),
        ({"Statement": {**GOOD, "Principal": "123456789012"}}, "has a Principal that is neither * nor an object."),
        ({"Statement": {**GOOD, "Principal": {"AWS": 123456789012}}}, "has a value that is not text"),
        ({"Statement": {**GOOD, "Condition": "x"}}, "has a Condition that is not an object of objects."),
        ({"Statement": {**GOOD, "Condition": {"Bool": "x"}}}, "has a Condition that is not an object of objects."),
        ({"Statement": {**GOOD, "Condition": {"Bool": {"k": {}}}}}, "has a condition value that is neither text,"),
        ({"Statement": {**GOOD, "Condition": {"Bool": {"k": float("inf")}}}}, "has a condition value that is neither"),
        ('{"Statement": [], "Statement": []}', "The trust policy has an element twice in one object."),
    ],
)
def test_what_is_no_policy_is_refused_in_words(document: Any, said: str) -> None:
    with pytest.raises(PolicyDocumentError) as caught:
        parse_policy(document, name="the trust policy", kind="trust")
    assert said in caught.value.what
    assert caught.value.code == "GBY-A020"


def test_an_identity_policy_has_resources_and_no_principal() -> None:
    for statement, said in (
        ({"Effect": "Allow", "Action": "*"}, "has neither Resource nor NotResource."),
        ({**GOOD, "Resource": "*"}, "has a Principal."),
    ):
        with pytest.raises(PolicyDocumentError, match="inline policy x") as caught:
            parse_policy({"Statement": statement}, name="inline policy x", kind="identity")
        assert said in caught.value.what


def test_values_never_show() -> None:
    document = {"Statement": {**GOOD, "Condition": {"StringEquals": {"sts:ExternalId": [CANARY, 5, 1.5, True]}}}}
    policy = parse_policy(document, name="the trust policy", kind="trust")
    assert policy.statements[0].conditions[0].values == (CANARY, "5", "1.5", "true")
    request = ask("sts:AssumeRole", actor=ANONYMOUS, context={"sts:ExternalId": CANARY})
    shown = [repr(policy), repr(request), repr(evaluate([policy], request))]
    broken = {"Statement": {**document["Statement"], "Effect": CANARY}}
    with pytest.raises(PolicyDocumentError) as caught:
        parse_policy(broken, name="the trust policy", kind="trust")
    shown += [str(vars(caught.value)), repr(caught.value)]
    assert not any(CANARY in text for text in shown)


def test_a_policy_that_could_not_be_read_leaves_everything_open() -> None:
    closed = unreadable("policy p", "it could not be read (AccessDenied)")
    everything = parse_policy(
        {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}, name="all", kind="identity"
    )
    for policies in ([closed], [closed, everything]):
        decision = evaluate(policies, ask("s3:GetObject"))
        assert decision.effect == "unknown"
        assert decision.why == "policy p may deny it: it could not be read (AccessDenied)."
        assert str(decision.statement) == "policy p"


def test_operators_are_taken_apart() -> None:
    form = operator_form("ForAllValues:StringLikeIfExists")
    assert form is not None
    assert (form.base, form.quantifier, form.if_exists) == ("StringLike", "ForAllValues", True)
    for name in (
        "ForMost:StringLike",
        "stringLike",
        "forAllValues:StringLike",
        "StringLikeIfexists",
        "StringMatches",
        "",
    ):
        assert operator_form(name) is None


def test_principals_without_a_request_for_somebody_cannot_be_told() -> None:
    policy = parse_policy({"Statement": GOOD}, name="the trust policy", kind="trust")
    assert evaluate([policy], ask("sts:AssumeRole")).effect == "unknown"


@pytest.mark.parametrize(
    "actor,key,values",
    [
        (some_principal_of("1" * 12), "aws:PrincipalAccount", ("1" * 12,)),
        (some_principal_of("1" * 12), "aws:PrincipalArn", None),
        (principal("arn:aws:iam::1:user/a/bob"), "aws:username", ("bob",)),
        (principal("arn:aws:iam::1:user/a/bob"), "aws:PrincipalType", ("User",)),
        (principal("arn:aws:iam::1:role/a/r"), "aws:PrincipalArn", ("arn:aws:iam::1:role/a/r",)),
        (principal("arn:aws:iam::1:root"), "aws:PrincipalType", ("Account",)),
        (principal("arn:aws:sts::1:assumed-role/r/s"), "aws:PrincipalArn", None),
        (
            principal("arn:aws:sts::1:assumed-role/r/s", "arn:aws:iam::1:role/p/r"),
            "aws:PrincipalType",
            ("AssumedRole",),
        ),
        (principal("arn:aws:sts::1:federated-user/f"), "aws:PrincipalType", ("FederatedUser",)),
        (principal("arn:aws:iam::1:thing/x"), "aws:PrincipalType", None),
        (principal("arn:aws:iam::1:role/r"), "aws:username", ()),
        (Actor("service", "ec2.amazonaws.com"), "aws:PrincipalServiceName", ("ec2.amazonaws.com",)),
        (Actor("federated", "accounts.google.com"), "aws:PrincipalAccount", ()),
        (ANONYMOUS, "aws:PrincipalType", ("Anonymous",)),
        (ANONYMOUS, "aws:PrincipalAccount", ("anonymous",)),
        (ANONYMOUS, "aws:PrincipalArn", ()),
    ],
)
def test_what_aws_says_of_who_asks(actor: Actor, key: str, values: tuple[str, ...] | None) -> None:
    assert ask("s3:GetObject", actor=actor).values(key) == values


def test_what_not_principal_does_cannot_be_told() -> None:
    session = principal("arn:aws:sts::111122223333:assumed-role/r/s")
    for listed in ((), ("111122223333",), ("arn:aws:iam::111122223333:root", session.value), ("*",)):
        entries = tuple(PrincipalEntry("AWS", value) for value in listed)
        assert principals_match(Principals(entries, negated=True), session).holds is None


def test_a_root_user_is_meant_by_its_account_alone() -> None:
    root = principal("arn:aws:iam::111122223333:root")
    assert entry_covers(PrincipalEntry("AWS", "111122223333"), root).holds is True
    assert entry_covers(PrincipalEntry("AWS", "arn:aws:iam::111122223333:role/r"), root).holds is False
    assert str(PrincipalEntry("Service", "ec2.amazonaws.com")) == "Service ec2.amazonaws.com"


def test_digests_are_of_the_redacted_document() -> None:
    document = {"Condition": {"StringLike": {"STS:externalId": ["a", "b"]}}, "Sid": "a", "n": 1}
    assert redact(document, Secret("a")) == {
        "Condition": {"StringLike": {"STS:externalId": ["[secret]", "[secret]"]}}, "Sid": "[secret]", "n": 1
    }  # fmt: skip
    # printf %s '{"b":[1,"x"]}' | sha256sum
    assert digest({"b": [1, "x"]}) == "9145efd761548cb4303c49f4eccb8afbd6ef1fda5078521c0b814edb75ca5b96"
