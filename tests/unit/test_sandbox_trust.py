"""Which trust policies admit the control plane, and only with the external id."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.sandbox.api.role import matches, missing_policies, trust_problem
from gridbyoc.vendors import facts_of

ACCOUNT = "302180240179"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ID = "canary-4711"
WITH_ID = {"StringEquals": {"sts:ExternalId": ID}}


def statement(condition: Any = None, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ROOT}}
    if condition is not None:
        made["Condition"] = condition
    return made | changes


def problem(*statements: Any) -> str:
    return trust_problem({"Version": "2012-10-17", "Statement": list(statements)}, ACCOUNT, ID)


@pytest.mark.parametrize(
    "good",
    [
        statement(WITH_ID),
        statement(WITH_ID, Principal={"AWS": ACCOUNT}),
        statement(WITH_ID, Principal={"AWS": ["arn:aws:iam::111111111111:root", ROOT]}),
        statement(WITH_ID, Principal={"AWS": f"arn:aws-us-gov:iam::{ACCOUNT}:root"}),
        statement(WITH_ID, Principal="*"),
        statement(WITH_ID, Principal={"AWS": "*"}),
        statement(WITH_ID, Action=["sts:TagSession", "sts:AssumeRole"]),
        statement(WITH_ID, Action="sts:*"),
        statement({"StringEquals": {"sts:ExternalId": ["the-last-one", ID]}}),
        statement({"StringEquals": {"STS:externalid": ID}}),
        statement({"StringLike": {"sts:ExternalId": "canary-*"}}),
        statement({"StringEqualsIgnoreCase": {"sts:ExternalId": ID.upper()}}),
        statement({"ForAnyValue:StringEquals": {"sts:ExternalId": ID}}),
        statement(WITH_ID | {"Null": {"sts:ExternalId": "false"}}),
    ],
)
def test_what_admits_the_control_plane_with_the_id_alone(good: dict[str, Any]) -> None:
    assert problem(good) == ""
    assert trust_problem({"Statement": good}, ACCOUNT, ID) == ""


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (statement(), "without any external id"),
        (statement({}), "without any external id"),
        (statement({"StringEqualsIfExists": {"sts:ExternalId": ID}}), "without any external id"),
        (statement({"ForAllValues:StringEquals": {"sts:ExternalId": ID}}), "without any external id"),
        (statement({"StringNotEquals": {"sts:ExternalId": "another"}}), "without any external id"),
        (statement({"Null": {"sts:ExternalId": "true"}}), "without any external id"),
        (statement({"StringLike": {"sts:ExternalId": "*"}}), "with any external id"),
        (statement({"Null": {"sts:ExternalId": "false"}}), "with any external id"),
        (
            statement({"StringEquals": {"sts:ExternalId": "another"}}),
            "with the external id that this cluster was given",
        ),
        (statement(WITH_ID | {"StringEquals": {"sts:ExternalId": ID, "aws:PrincipalOrgID": "o"}}), "given"),
        (statement(WITH_ID | {"Bool": {"aws:MultiFactorAuthPresent": "true"}}), "given"),
        (statement({"NumericEquals": {"sts:ExternalId": ID}}), "given"),
        (statement(WITH_ID, Principal={"AWS": "111111111111"}), "does not let AWS account"),
        (statement(WITH_ID, Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/x"}), "does not let AWS account"),
        (statement(WITH_ID, Principal={"Service": "ec2.amazonaws.com"}), "does not let AWS account"),
        (statement(WITH_ID, Principal=None), "does not let AWS account"),
        (statement(WITH_ID, Action="sts:AssumeRoleWithWebIdentity"), "does not let AWS account"),
        (statement(WITH_ID, Effect="Deny"), "given"),
        ("text", "does not let AWS account"),
    ],
)
def test_what_does_not(bad: Any, said: str) -> None:
    found = problem(bad)
    assert said in found
    assert ID not in found


def test_one_open_statement_beside_a_good_one_is_told() -> None:
    assert "without any external id" in problem(statement(WITH_ID), statement())


def test_a_denial_wins() -> None:
    assert "given" in problem(statement(WITH_ID), statement(WITH_ID, Effect="Deny"))
    without_id = statement({"Null": {"sts:ExternalId": "true"}}, Effect="Deny")
    assert problem(statement(WITH_ID), without_id) == ""


def test_principals_of_others_without_the_id_are_their_affair() -> None:
    assert problem(statement(WITH_ID), statement(Principal={"AWS": "arn:aws:iam::111111111111:root"})) == ""


@given(st.text(max_size=20))
def test_a_pattern_without_wildcards_matches_itself_alone(text: str) -> None:
    plain = text.replace("*", "").replace("?", "")
    assert matches(plain, plain)
    assert not matches(plain, plain + "x")
    assert matches(plain + "*", plain + "anything\n")
    assert matches(plain + "?", plain + "x")


NINE = list(facts_of("grid").permissions.managed_policies)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_nine_policies_are_known_by_name_in_any_partition(partition: str) -> None:
    assert len(NINE) == 9
    assert missing_policies([f"arn:{partition}:iam::aws:policy/{name}" for name in NINE], NINE) == []
    assert missing_policies([f"arn:{partition}:iam::123456789012:policy/{name}" for name in NINE], NINE) == NINE


def test_a_role_may_hold_the_guardduty_policy_of_before_2025() -> None:
    older = [name.removesuffix("_v2") for name in NINE]
    assert "AmazonGuardDutyFullAccess" in older
    assert missing_policies([f"arn:aws:iam::aws:policy/{name}" for name in older], NINE) == []
    assert missing_policies([], NINE) == NINE
