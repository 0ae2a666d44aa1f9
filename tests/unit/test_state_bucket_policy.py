"""The statement that denies requests without TLS: recognised, added beside others, never in their place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.aws.state_bucket import SID, policy_with_tls, requires_tls
from gridbyoc.errors import AwsError

ARN = "arn:aws:s3:::b"
GOOD = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": [ARN, f"{ARN}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def policy(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": ["*"]}},
        {"Action": ["s3:*"]},
        {"Action": "*"},
        {"Resource": "*"},
        {"Condition": {"Bool": {"AWS:securetransport": ["false"]}}},
        {"Condition": {"Bool": {"aws:SecureTransport": False}}},
    ],
    ids=str,
)
def test_what_denies_everybody_is_recognised(change: dict[str, Any]) -> None:
    assert requires_tls(policy(GOOD | change), "b", "aws")
    assert requires_tls(json.dumps({"Statement": GOOD | change}), "b", "aws")


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "arn:aws:iam::1:root"}},
        {"Action": "s3:GetObject"},
        {"Resource": [f"{ARN}/*"]},
        {"Resource": ["arn:aws:s3:::other", "arn:aws:s3:::other/*"]},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "false"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:x": "y"}}},
        {"Condition": {}},
    ],
    ids=str,
)
def test_what_denies_less_is_not(change: dict[str, Any]) -> None:
    assert not requires_tls(policy(GOOD | change), "b", "aws")


def test_no_policy_denies_nothing() -> None:
    assert not requires_tls(None, "b", "aws")
    made = json.loads(policy_with_tls(None, "b", "aws-us-gov"))
    assert made["Version"] == "2012-10-17"
    assert made["Statement"][0]["Resource"] == ["arn:aws-us-gov:s3:::b", "arn:aws-us-gov:s3:::b/*"]


NAMES = st.sampled_from([SID, f"{SID}2", "Other", None])


@given(st.lists(st.fixed_dictionaries({"Sid": NAMES, "Effect": st.sampled_from(["Allow", "Deny"])})))
def test_other_statements_stay_and_ids_stay_unique(others: list[dict[str, Any]]) -> None:
    before = json.dumps({"Id": "mine", "Version": "2008-10-17", "Statement": others})
    made = json.loads(policy_with_tls(before, "b", "aws"))
    assert made["Statement"][:-1] == others
    assert made["Statement"][-1]["Sid"] not in {other["Sid"] for other in others}
    assert (made["Id"], made["Version"]) == ("mine", "2008-10-17")
    assert requires_tls(json.dumps(made), "b", "aws")


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_what_is_no_policy_is_said(text: str) -> None:
    with pytest.raises(AwsError, match="not a JSON object"):
        requires_tls(text, "b", "aws")
