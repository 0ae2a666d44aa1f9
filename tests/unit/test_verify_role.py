"""What ``verify --role`` says of roles that other tools and vendors made: the policies of their public guides first."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from gridbyoc.aws import Caller
from gridbyoc.aws.live_role import LiveDocument, LiveRole
from gridbyoc.aws.permissions import needs_of, phases_of
from gridbyoc.aws.policy import Actor, ask, evaluate, principal
from gridbyoc.cli.app import App
from gridbyoc.cli.verify import verify
from gridbyoc.errors import AccountMismatchError, UsageError
from gridbyoc.operations.finding import worst
from gridbyoc.operations.verify import Proof, guard_role
from gridbyoc.operations.verify_model import KINDS as PROOF_KINDS
from gridbyoc.operations.verify_model import policy_of
from gridbyoc.operations.verify_role import (
    QUESTIONS_ASKED,
    RoleProof,
    expected_principals,
    in_short,
    judged_role,
    role_attestation,
    write_role_attestation,
)
from gridbyoc.show.output import Screen
from gridbyoc.show.stackfile import output_schema
from gridbyoc.show.verify import VERIFY, VERIFY_ROLE, verify_role_json, verify_rows, verify_sarif, verify_summary
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import shared_external_id, shared_external_ids

ID = "canary-7f3a9c1e5b2d4860"
OLD = "canary-0a1f4c7e9b3d5826"
UUID = "a86f9468-ef8b-493a-af82-8fd0b896713d"
HOME = "123456789012"
ROLE = f"arn:aws:iam::{HOME}:role/vendor"
VENDOR = "808407022534"
ROOT = f"arn:aws:iam::{VENDOR}:root"
CROSS = f"arn:aws:iam::{VENDOR}:role/LangSmithCrossPlaneRole"
SN = ("arn:aws:iam::311022431024:role/cloud-manager", "arn:aws:iam::311022431024:role/cloud-support-general")
ESTUARY = "arn:aws:iam::770785070253:user/data-plane-ops"
CUBE = "arn:aws:iam::307491255751:root"
HASURA = "arn:aws:iam::760537944023:role/PulumiDDNCli"
EVE = "arn:aws:iam::666666666666:user/eve"
NOON = datetime(2026, 11, 2, 12, tzinfo=timezone.utc)
ANY_VERDICT = {"pass", "warn", "fail", "unknown"}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def admit(who: Any = CROSS, ids: Any = ID, operator: str = "StringEquals", **more: Any) -> dict[str, Any]:
    """An Allow; ``ids`` ``None``: without a condition."""
    condition = {} if ids is None else {"Condition": {operator: {"sts:ExternalId": ids}}}
    return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": who}, **condition, **more}


def deny(condition: Any = None, who: Any = "*") -> dict[str, Any]:
    more = {"Condition": condition} if condition else {}
    return {"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": who, **more}


def live(*trust: dict[str, Any], **fields: Any) -> LiveRole:
    policies = (LiveDocument("attached", "arn:aws:iam::aws:policy/AmazonEC2FullAccess", EC2, "v5"),)
    made = LiveRole(ROLE, LiveDocument("trust", "trust", document(*trust)), policies, max_session_seconds=3600)
    return replace(made, **fields)


EC2 = document({"Effect": "Allow", "Action": ["ec2:*", "autoscaling:*"], "Resource": "*"})


def proof(role: LiveRole, principals: tuple[str, ...] = (CROSS,), external_id: str | None = None) -> RoleProof:
    caller = Caller(HOME, f"arn:aws:iam::{HOME}:user/ada")
    return judged_role(role, caller, principals, Secret(external_id) if external_id else None, NOON)


def verdicts(found: RoleProof) -> dict[str, str]:
    """What does not pass."""
    return {finding.code: finding.verdict for finding in found.findings if finding.verdict != "pass"}


def codes(**found: str) -> dict[str, str]:
    """``fail="2 3"``: what does not pass, by verdict."""
    return {f"GBY-V{int(n):03}": verdict for verdict, numbers in found.items() for n in numbers.split()}


STREAMNATIVE_SIGN_IN = {
    "Effect": "Allow",
    "Action": "sts:AssumeRoleWithWebIdentity",
    "Principal": {"Federated": "accounts.google.com"},
    "Condition": {"StringEquals": {"accounts.google.com:aud": "108050666045451143798"}},
}
ONLY_A_DENY = [admit(ids=None), deny({"Null": {"sts:ExternalId": "true"}})]
EXACT_DENY = [admit(ids=None), deny({"StringNotEquals": {"sts:ExternalId": ID}})]
IN_A_ROW = {
    "a sound role with an id of one's own": ([admit()], (CROSS,), codes()),
    "LangSmith's role": ([admit(CROSS, UUID)], (CROSS,), codes()),
    "StreamNative's external_ids: true where the id is absent":
        ([admit(list(SN), ["o-1a2b3"], "ForAllValues:StringEquals")], SN, codes(fail="2 4 9", warn="14")),
    "StreamNative's empty default: no condition": ([admit(list(SN), None)], SN, codes(fail="2 3 4 9", unknown="14")),
    "StreamNative's organisation": ([admit(list(SN), "o-1a2b3")], SN, codes(warn="14")),
    "StreamNative's web identity beside it":
        ([admit(list(SN), UUID), STREAMNATIVE_SIGN_IN], SN, codes(fail="6", unknown="7", warn="12")),
    "Cube: one id for all, and a whole account": ([admit(CUBE, "cube-cloud-byoc")], (CUBE,), codes(warn="14")),
    "Hasura's default id": ([admit(HASURA, "hasura-cloud")], (HASURA,), codes(warn="14")),
    "Estuary's user with a UUID": ([admit(ESTUARY, UUID)], (ESTUARY,), codes(warn="13")),
    "CockroachDB: a user without an id":
        ([admit("arn:aws:iam::541263489771:user/ops", None)], ("arn:aws:iam::541263489771:user/ops",),
         codes(fail="2 3 4 9", warn="13", unknown="14")),
    "TiDB: a role without an id": ([admit(CROSS, None)], (CROSS,), codes(fail="2 3 4 9", unknown="14")),
    # --- who
    "everybody": ([admit("*", UUID)], (CROSS,), codes(fail="5 6 8")),
    "everybody, without an id": ([admit("*", None)], (CROSS,), codes(fail="2 3 4 5 6 7 8 9", unknown="14")),
    "a wildcard within a principal": ([admit(f"arn:aws:iam::{VENDOR}:role/*")], (CROSS,),
                                      codes(unknown="1 5", fail="6 8")),
    "a wildcard within the account that is expected":
        ([admit(f"arn:aws:iam::{VENDOR}:role/*")], (ROOT,), codes(unknown="1 5", fail="6 8")),
    "everybody of an account that a condition names":
        ([admit(), admit("*", Condition={"StringEquals": {
            "sts:ExternalId": ID, "aws:PrincipalAccount": "666666666666"}})], (CROSS,), codes(fail="5 6 8")),
    "somebody else beside it": ([admit([CROSS, EVE])], (CROSS,), codes(fail="6", warn="13")),
    "somebody else, without an id": ([admit(), admit(EVE, None)], (CROSS,), codes(fail="6 7", warn="13")),
    "a service beside it": ([admit(), {**admit(ids=None), "Principal": {"Service": "ec2.amazonaws.com"}}], (CROSS,),
                            codes(fail="6 7")),
    "an address as a provider, and a text that is no ARN":
        ([admit(), {**admit(ids=None), "Principal": {"Federated": "https://example.com"}}, admit("arn:root")], (CROSS,),
         codes(fail="6", unknown="5 7")),
    "a different statement in its place": ([admit(HASURA)], (CROSS,), codes(fail="1 6")),
    "its whole account, where one role is expected": ([admit(ROOT)], (CROSS,), codes(fail="6")),
    "its whole account by number": ([admit(VENDOR)], (CROSS,), codes(fail="6")),
    "its whole account, of which a condition leaves one role":
        ([admit(ROOT, Condition={"StringEquals": {"sts:ExternalId": ID}, "ArnEquals": {"aws:PrincipalArn": CROSS}})],
         (CROSS,), codes(unknown="6")),
    "the account that is expected": ([admit(ROOT)], (ROOT,), codes()),
    "the account that is expected, by number": ([admit(VENDOR)], (ROOT,), codes()),
    "one role of the account that is expected: maybe not the one that comes": ([admit()], (ROOT,), codes(unknown="1")),
    "one session of the role that is expected":
        ([admit([CROSS, f"arn:aws:sts::{VENDOR}:assumed-role/LangSmithCrossPlaneRole/s"])], (CROSS,), codes()),
    "a session of another role":
        ([admit([CROSS, f"arn:aws:sts::{VENDOR}:assumed-role/other/s"])], (CROSS,), codes(fail="6")),
    "one of two does not get in": ([admit()], (CROSS, HASURA), codes(fail="1")),
    "a deleted principal": ([admit([CROSS, "AROAIIAAAAAAAAAAAAAAA"])], (CROSS,), codes(warn="6")),
    "Allow NotPrincipal": ([admit(), {**admit(ids=None), "NotPrincipal": {"AWS": EVE}, "Principal": None}], (CROSS,),
                           codes(fail="6 10", unknown="2 3 4 5 7 9")),
    # --- which external id
    "StringLike *": ([admit(ids="*", operator="StringLike")], (CROSS,), codes(fail="3 8 9", unknown="4 14")),
    "StringLike with a wildcard at the end": ([admit(ids="canary-*", operator="StringLike")], (CROSS,),
                                              codes(fail="3 8", warn="9", unknown="14")),
    "StringLike without a wildcard": ([admit(operator="StringLike")], (CROSS,), codes(warn="9")),
    "IfExists": ([admit(operator="StringEqualsIfExists")], (CROSS,), codes(fail="2 9", unknown="4")),
    "ForAllValues IfExists": ([admit(operator="ForAllValues:StringEqualsIfExists")], (CROSS,), codes(fail="2 4 9")),
    "ForAnyValue IfExists: AWS's pages say two things": ([admit(operator="ForAnyValue:StringEqualsIfExists")], (CROSS,),
                                                         codes(unknown="2 4 9")),
    "ForAnyValue": ([admit(operator="ForAnyValue:StringEquals")], (CROSS,), codes(warn="9")),
    "in any case of letters": ([admit(ids=UUID, operator="StringEqualsIgnoreCase")], (CROSS,),
                               codes(fail="3", warn="9")),
    "StringNotEquals":
        ([admit(ids="something-else-9", operator="StringNotEquals")], (CROSS,), codes(fail="2 3 4 9", unknown="14")),
    "Null: absence is admitted": ([admit(ids="true", operator="Null")], (CROSS,), codes(fail="2 9", unknown="4 14")),
    "Null: any id": ([admit(ids="false", operator="Null")], (CROSS,), codes(fail="3 9", unknown="4 14")),
    "an empty id": ([admit(ids="")], (CROSS,), codes(fail="1 4", unknown="14")),
    "an empty id beside one's own": ([admit(ids=["", ID])], (CROSS,), codes(fail="4")),
    "one character, which STS does not take": ([admit(ids="x")], (CROSS,), codes(fail="1", unknown="14")),
    "no text at all": ([admit(ids=[])], (CROSS,), codes(fail="1", unknown="14")),
    "an empty condition": ([admit(ids=None, Condition={})], (CROSS,), codes(fail="2 3 4 9", unknown="14")),
    "the caller's account as the id":
        ([admit(ids="${aws:PrincipalAccount}")], (CROSS,), codes(fail="3 11", unknown="14")),
    "two ids": ([admit(ids=[ID, OLD])], (CROSS,), codes(warn="11")),
    "an operator that is not known": ([admit(operator="StringMatches")], (CROSS,), codes(unknown="1 2 3 4 9 14")),
    "the operator in another case": ([admit(operator="stringEquals")], (CROSS,), codes(unknown="1 2 3 4 9 14")),
    "an address, which is not known": ([admit(Condition={
        "StringEquals": {"sts:ExternalId": ID}, "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})], (CROSS,),
        codes(unknown="1")),
    # --- statements together
    "two statements, one of them open": ([admit(), admit(ids=None)], (CROSS,), codes(fail="2 3 4 9")),
    "two statements, the open one first": ([admit(ids=None), admit()], (CROSS,), codes(fail="2 3 4 9")),
    "an open statement for one of two": ([admit([CROSS, HASURA]), admit(HASURA, None)], (CROSS, HASURA),
                                         codes(fail="2 3 4 9")),
    "a Deny without an id keeps absence out, and takes any id":
        (ONLY_A_DENY, (CROSS,), codes(fail="3 9", unknown="4 14")),
    "a Deny of every id but one": (EXACT_DENY, (CROSS,), codes(warn="9", unknown="14")),
    "a Deny of everybody": ([admit(), deny()], (CROSS,), codes(fail="1")),
    "a Deny that may hit": ([admit(), deny({"Bool": {"aws:MultiFactorAuthPresent": "false"}})], (CROSS,),
                            codes(unknown="1")),
    "session tags": ([admit(Action=["sts:AssumeRole", "sts:TagSession"])], (CROSS,), codes(warn="12")),
    "a short id": ([admit(ids="acme1")], (CROSS,), codes(warn="14")),
    "the account as the id": ([admit(ids=f"{HOME}-{VENDOR}")], (CROSS,), codes(warn="14")),
    "the role's own name as the id": ([admit(ids="LangSmithCrossPlaneRole-1")], (CROSS,), codes(warn="14")),
}  # fmt: skip


@pytest.mark.parametrize("statements, principals, expected", IN_A_ROW.values(), ids=IN_A_ROW)
def test_a_trust_policy_without_an_id_in_hand(
    statements: list[dict[str, Any]], principals: tuple[str, ...], expected: dict[str, str]
) -> None:
    found = proof(live(*statements), principals)
    assert verdicts(found) == expected
    assert found.holds(strict=False) is ("fail" not in expected.values())
    assert found.holds(strict=True) is (not expected)
    for each in found.findings:
        assert each.verdict == "pass" or each.fix, each.code
        assert "stack" not in each.detail, each.detail
        assert "gridbyoc bootstrap" not in each.fix


@pytest.mark.parametrize(
    "statements, expected",
    [
        ([admit()], codes()),
        ([admit(ids=OLD)], codes(fail="1 3 11")),
        ([admit(operator="StringNotEquals")], codes(fail="1 2 3 4 9")),
        ([admit(ids=[ID, OLD])], codes(fail="3 11")),
        ([admit(), admit(ids=OLD)], codes(fail="3 11")),
        ([admit(operator="StringLike", ids="canary-*")], codes(fail="3 8", warn="9")),
        ([admit(operator="StringEqualsIgnoreCase")], codes(fail="3", warn="9")),
        ([admit(ids=None)], codes(fail="2 3 4 9")),
        ([admit(ids=["", ID])], codes(fail="4 11")),
        ([admit(ids="${aws:PrincipalAccount}")], codes(fail="1 3 11")),
        ([admit("*")], codes(fail="5 6 8")),
        ([admit("*", Condition={"StringLike": {"sts:ExternalId": "canary-*"},
                                "ForAnyValue:StringLike": {"sts:ExternalId": "*4860"}})],
         codes(fail="5 6 8", warn="9")),
        (EXACT_DENY, codes(warn="9")),
    ],
)  # fmt: skip
def test_with_an_id_in_hand_that_very_one_is_proven(statements: list[dict[str, Any]], expected: dict[str, str]) -> None:
    assert verdicts(proof(live(*statements), external_id=ID)) == expected


def test_findings_are_questions_that_explain_knows() -> None:
    found = proof(live(admit()))
    assert [each.code for each in found.findings] == [f"GBY-V{n:03}" for n in range(1, 15)]
    assert {each.code for each in found.findings} <= {question.code for question in PROOF_KINDS}
    assert len(QUESTIONS_ASKED) == 14


@pytest.mark.parametrize(
    "statements, principals, code, said",
    [
        ([admit(CUBE, "cube-cloud-byoc")], (CUBE,), "GBY-V014", "Cube gives it to all its customers (cube.dev/docs, "),
        ([admit(HASURA, "hasura-cloud")], (HASURA,), "GBY-V014", "Hasura gives it to all its customers (hasura/ddn"),
        ([admit(list(SN), "o-1a2b3c4d5e6f7g8h9i0j")], SN, "GBY-V014", "the form of an organisation's id"),
        ([admit(ids="acme1")], (CROSS,), "GBY-V014", "it can be guessed or is shared"),
        ([admit()], (ROOT,), "GBY-V001", f"{ROOT} may not get in: statement 1 of the trust policy may allow it"),
        ([admit(HASURA)], (CROSS,), "GBY-V001", f"{CROSS} does not get in: No statement allows it"),
        ([admit(ROOT)], (CROSS,), "GBY-V006", f"trusts the whole account {ROOT}, of which {CROSS} is expected"),
        ([admit([CROSS, EVE])], (CROSS,), "GBY-V006", f"trusts {EVE}, which no --principal names"),
        ([admit("*")], (CROSS,), "GBY-V006", "trusts *: everybody"),
        ([admit(), admit(EVE, None)], (CROSS,), "GBY-V007", f"admits {EVE} without an external id"),
        ([admit(ids=["", ID])], (CROSS,), "GBY-V004", "statement 1 of the trust policy lists an empty external id"),
        ([admit(ids=[ID, OLD])], (CROSS,), "GBY-V011", "list 2 external ids, each of which opens the role"),
        (
            [admit(), admit(ids=None)],
            (CROSS,),
            "GBY-V009",
            "statement 2 of the trust policy has no condition on sts:Ext",
        ),
        (
            EXACT_DENY,
            (CROSS,),
            "GBY-V009",
            "statement 1 of the trust policy has no condition on sts:ExternalId: only a",
        ),
    ],
)
def test_a_finding_says_what_it_is_about(
    statements: list[dict[str, Any]], principals: tuple[str, ...], code: str, said: str
) -> None:
    found = {each.code: each for each in proof(live(*statements), principals).findings}[code]
    assert said in found.detail
    assert found.verdict != "pass"
    if said.startswith(ROOT):
        assert found.fix == "Give the role or user itself as --principal."


def test_only_the_open_statement_is_blamed() -> None:
    found = {each.code: each for each in proof(live(admit(), admit(ids=None), admit(HASURA))).findings}
    assert found["GBY-V009"].statements == ("statement 2 of the trust policy",)
    assert found["GBY-V002"].statements == ("statement 2 of the trust policy",)


def test_everybody_is_nobody_to_name() -> None:
    for who, advice in (("*", False), (EVE, True)):
        found = {each.code: each for each in proof(live(admit(), admit(who))).findings}["GBY-V006"]
        assert ("--principal" in found.fix) is advice
        assert "let whoever made the role change it" in found.fix


OPERATORS = st.builds(
    lambda quantifier, base, exists: f"{quantifier}{base}{exists}",
    st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"]),
    st.sampled_from(
        ["StringEquals", "StringEquals", "StringLike", "StringNotEquals", "StringEqualsIgnoreCase", "Null"]
    ),
    st.sampled_from(["", "", "IfExists"]),
)
IDS = st.sampled_from([ID, OLD, "*", "canary-*", "", "true", "false", "${aws:PrincipalAccount}", VENDOR])
STATEMENTS = st.builds(
    lambda effect, who, condition: {"Effect": effect, "Action": "sts:AssumeRole", "Principal": {"AWS": who},
                                    "Condition": condition},
    st.sampled_from(["Allow", "Allow", "Deny"]),
    st.sampled_from([CROSS, ROOT, "*", EVE, VENDOR]),
    st.dictionaries(OPERATORS, st.dictionaries(st.just("sts:ExternalId"), IDS | st.lists(IDS, max_size=2)), max_size=2),
)  # fmt: skip
PEOPLE = [
    *(principal(arn) for arn in (CROSS, CROSS.replace("role/Lang", "role/Other"), EVE, HASURA)),
    Actor("service", "ec2.amazonaws.com"),
]


@settings(max_examples=80, deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=3), st.booleans())
def test_whom_a_policy_lets_in_it_does_not_call_sound(statements: list[dict[str, Any]], given_id: bool) -> None:
    """Where no finding fails or is unknown: nobody else gets in, nobody without an id, nobody with one that is not
    listed."""
    role = live(*statements)
    policy = policy_of(role.trust)
    right = [(ID,)] if given_id else [(ID,), (OLD,), (VENDOR,), ("true",), ("false",)]
    attacks = [(who, ids) for who in PEOPLE for ids in ((), ("",), ("x-1",), ("canary-x",), *right)]
    wrong = [
        (who, ids)
        for who, ids in attacks
        if (who.value != CROSS or ids not in right)
        and evaluate([policy], ask("sts:AssumeRole", actor=who, context={"sts:ExternalId": ids})).effect == "allowed"
    ]
    found = proof(role, (CROSS,), ID if given_id else None)
    if wrong:
        assert worst(each.verdict for each in found.findings) in ("fail", "unknown"), wrong


def test_principals_are_accounts_roles_and_users() -> None:
    gov = ROLE.replace("arn:aws:", "arn:aws-us-gov:")
    assert expected_principals(ROLE, [VENDOR, ROOT, CROSS, ESTUARY]) == (ROOT, CROSS, ESTUARY)
    assert expected_principals(gov, [VENDOR]) == (ROOT.replace("arn:aws:", "arn:aws-us-gov:"),)
    for wrong in ("*", "12345", f"{ROOT[:-4]}role/*", f"arn:aws:sts::{VENDOR}:assumed-role/a/b", "ec2.amazonaws.com",
                  f"arn:aws:iam::{VENDOR}:group/x", f"arn:aws:iam::{VENDOR}:role/"):  # fmt: skip
        with pytest.raises(UsageError) as caught:
            expected_principals(ROLE, [CROSS, wrong])
        assert wrong in caught.value.what
        assert "12 digits" in caught.value.fix
    with pytest.raises(UsageError, match="another partition"):
        expected_principals(gov, [ROOT])
    for wrong in ("vendor", f"arn:aws:iam::{HOME}:user/x", f"{ROLE}\n"):
        with pytest.raises(UsageError, match="is not the ARN of an IAM role"):
            expected_principals(wrong, [CROSS])


def test_a_role_of_another_account_or_partition_cannot_be_read() -> None:
    caller = Caller(HOME, f"arn:aws:iam::{HOME}:user/ada")
    guard_role(caller, ROLE)
    with pytest.raises(AccountMismatchError, match="the role is in 999999999999"):
        guard_role(caller, ROLE.replace(HOME, "999999999999"))
    with pytest.raises(AccountMismatchError, match="partition aws, the role is in aws-cn") as caught:
        guard_role(caller, ROLE.replace("arn:aws:", "arn:aws-cn:"))
    assert "partition aws-cn" in caught.value.fix


def test_what_a_role_may_do_in_short() -> None:
    def said(*statements: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        found = in_short(LiveDocument("inline", "x", document(*statements)))
        return found.allows, found.denies

    def one(action: Any, effect: str = "Allow", element: str = "Action") -> dict[str, Any]:
        return {"Effect": effect, element: action, "Resource": "*"}

    assert said(one("*")) == (("*",), ())
    assert said(one(["S3:*", "s3:GetObject", "ec2:RunInstances"])) == (("ec2 (1 action)", "s3:*"), ())
    assert said(one(["iam:PassRole", "iam:GetRole"]), one("iam:passrole")) == (("iam (2 actions)",), ())
    assert said(one("iam:*", element="NotAction")) == (("everything but iam:*",), ())
    assert said(one("*"), one("iam:*", "Deny")) == (("*",), ("iam:*",))
    unread = in_short(LiveDocument("attached", "arn", None, unread="the caller may not call iam:GetPolicy"))
    assert (unread.allows, unread.unread) == ((), "the caller may not call iam:GetPolicy")
    odd = in_short(LiveDocument("inline", "x", {"Version": "2012-10-17", "Statement": []}))
    assert "could not be understood" in odd.unread


def text_of(found: RoleProof) -> str:
    lines: list[str] = []

    class Page:
        def line(self, text: str = "") -> None:
            lines.append(text)

        def table(self, columns: Any, rows: Any) -> None:
            lines.extend(" | ".join(row) for row in (columns, *rows))

    page: Screen = Page()  # type: ignore[assignment]  # what the writer calls
    VERIFY_ROLE.text(found, page)
    return "\n".join(lines)


def test_the_proof_is_shown() -> None:
    good = proof(live(admit()))
    shown = text_of(good)
    assert verify_summary(good) == f"Proven: {ROLE}, 14 pass."
    assert "No external id was given: the findings say whether one is asked for, not which one." in shown
    assert "arn:aws:iam::aws:policy/AmazonEC2FullAccess | autoscaling:*, ec2:*" in shown
    assert "No external id was given" not in text_of(proof(live(admit()), external_id=ID))
    bare = text_of(proof(live(admit(), policies=())))
    assert "The role has no policy: it may do nothing." in bare
    hidden = text_of(proof(live(admit(), policies=(), unlisted_inline="the caller may not call iam:ListRolePolicies")))
    assert "Not every policy could be listed: the caller may not call iam:ListRolePolicies." in hidden
    assert "may do nothing" not in hidden
    limited = live(admit(), boundary=LiveDocument("boundary", "arn:aws:iam::1:policy/limits", EC2))
    assert "Its permissions boundary is arn:aws:iam::1:policy/limits" in text_of(proof(limited))
    deny_all = document({"Effect": "Deny", "Action": "iam:*", "Resource": "*"})
    narrow = live(admit(), policies=(LiveDocument("inline", "brake", deny_all),))
    assert "brake | nothing; denies iam:*" in text_of(proof(narrow))


def test_a_role_that_may_not_be_read_is_unknown_and_proves_nothing() -> None:
    said = "the caller may not call iam:GetRole"
    found = proof(live(trust=LiveDocument("trust", "trust", None, unread=said), policies=(), unread=said))
    assert {each.verdict for each in found.findings} == {"unknown"}
    assert not found.holds(strict=False)
    assert not found.holds(strict=True)


CANARIES: list[tuple[str, LiveRole]] = [
    ("sound", live(admit())),
    ("in a Sid", live(admit(), admit(EVE, None, Sid=ID))),
    ("in a policy's name", live(admit(), policies=(LiveDocument("inline", ID, EC2),))),
    ("a second statement beside it", live(admit(ids=[ID, OLD], Sid=OLD))),
    ("open", live(admit(operator="ForAllValues:StringEquals", Sid=ID))),
    ("a pattern", live(admit(ids=f"{ID}*", operator="StringLike"))),
    ("in a Deny", live(*EXACT_DENY)),
    (
        "in a boundary",
        live(
            admit(),
            boundary=LiveDocument("boundary", f"arn:aws:iam::1:policy/{ID}", document(admit(Sid=ID, Resource="*"))),
        ),
    ),
]


@pytest.mark.parametrize("external_id", [ID, None])
@pytest.mark.parametrize("role", [role for _, role in CANARIES], ids=[name for name, _ in CANARIES])
def test_no_output_holds_the_external_id(role: LiveRole, external_id: str | None, tmp_path: Path) -> None:
    found = proof(role, external_id=external_id)
    target = tmp_path / "proof.json"
    write_role_attestation(target, found)
    outputs = [
        text_of(found),
        str(verify_rows(found)),
        json.dumps(VERIFY_ROLE.document(found)),
        VERIFY_ROLE.others["sarif"](found, ""),
        target.read_text(),
        repr(found),
    ]
    assert all(len(text) > 500 for text in outputs)
    for text in outputs:
        assert ID not in text
        assert OLD not in text
    assert target.stat().st_mode & 0o777 == 0o600


def test_the_json_is_what_its_schema_says() -> None:
    schema = Draft202012Validator(json.loads(output_schema("verify_role") or "{}"))
    for role in (live(admit()), live(admit("*", None), policies=(), unlisted_attached="no")):
        made = json.loads(json.dumps(VERIFY_ROLE.document(proof(role))))
        schema.validate(made)
        assert made["type"] == "verify_role"
        assert "stack" not in made
        assert not schema.is_valid({**made, "verdict": "sound"})
    assert verify_role_json(proof(live(admit()), external_id=ID))["external_id_given"] is True


SARIF = Draft202012Validator(json.loads((Path(__file__).parent.parent / "data" / "sarif-2.1.0.json").read_text()))


def test_the_sarif_log() -> None:
    found = proof(live(admit(), admit(EVE, None, Sid="Door"), admit(ROOT, operator="stringEquals")))
    log = json.loads(VERIFY_ROLE.others["sarif"](found, ""))
    SARIF.validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [each.code for each in found.findings]
    assert all(rule["help"]["text"] and rule["help"]["markdown"] for rule in rules)
    assert not any("helpUri" in rule or "`" in rule["help"]["text"] for rule in rules)
    results = {each["ruleId"]: each for each in run["results"]}
    assert set(results) == set(verdicts(found))
    for code, verdict in verdicts(found).items():
        assert results[code]["level"] == ("error" if verdict == "fail" else "warning")
        assert results[code]["properties"]["verdict"] == verdict
        assert rules[results[code]["ruleIndex"]]["id"] == code
        (place,) = results[code]["locations"]
        assert place == {"logicalLocations": [{"name": "vendor", "fullyQualifiedName": ROLE, "kind": "resource"}]}
    assert set(verdicts(found).values()) == ANY_VERDICT - {"pass"}
    assert "statement 2 (Sid Door) of the trust policy" in results["GBY-V007"]["properties"]["statements"]
    assert EVE in results["GBY-V007"]["message"]["text"]
    prints = {each["partialFingerprints"]["gridbyocVerify/v1"] for each in run["results"]}
    assert len(prints) == len(results)
    placed = verify_sarif(found, {"GBY-V007": ("a b.yaml", 7), "GBY-V006": ("a b.yaml", None), "GBY-V013": ("", None)})
    SARIF.validate(placed)
    places = {each["ruleId"]: each["locations"][0].get("physicalLocation") for each in placed["runs"][0]["results"]}
    assert places["GBY-V007"] == {"artifactLocation": {"uri": "a%20b.yaml"}, "region": {"startLine": 7}}
    assert places["GBY-V006"] == {"artifactLocation": {"uri": "a%20b.yaml"}}
    assert places["GBY-V013"] is None
    assert VERIFY_ROLE.others["sarif"](proof(live(admit())), "").count('"ruleId"') == 0


def test_the_sarif_log_of_a_stack_with_several_roles_names_each() -> None:
    second = live(admit("*"), arn=f"{ROLE}-2")
    both = [
        replace(each, role=name)
        for name, role in (("first", live(admit())), ("second", second))
        for each in proof(role).findings
    ]
    caller = Caller(HOME, f"arn:aws:iam::{HOME}:user/ada")
    found = Proof("ml", live(admit()), caller, None, Secret(ID), tuple(both), NOON, further={"second": second})
    log = json.loads(VERIFY.others["sarif"](found, "ml"))
    SARIF.validate(log)
    (run,) = log["runs"]
    rules = [(rule["id"], rule["shortDescription"]["text"]) for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == 14
    assert rules[7] == ("GBY-V008", "wildcards")
    assert {each["locations"][0]["logicalLocations"][0]["name"] for each in run["results"]} == {"vendor-2"}
    assert all(rules[each["ruleIndex"]][0] == each["ruleId"] for each in run["results"])


def test_the_attestation_says_whom_the_role_was_expected_to_trust() -> None:
    made = role_attestation(proof(live(admit()), external_id=ID))
    assert made["type"] == "gridbyoc-attestation/1"
    assert (made["stack"], made["trusted_account_id"], made["principals"]) == (None, None, [CROSS])
    assert made["external_id_checked"] is True
    assert made["time"] == "2026-11-02T12:00:00+00:00"
    assert role_attestation(proof(live(admit())))["external_id_checked"] is False
    unread = live(trust=LiveDocument("trust", "trust", None, unread="no"))
    assert role_attestation(proof(unread, external_id=ID))["external_id_checked"] is False
    rotated = role_attestation(proof(live(admit(ids=OLD)), external_id=OLD))
    assert rotated["trust_policy"] == made["trust_policy"]
    wider = role_attestation(proof(live(admit(ROOT)), external_id=ID))
    assert wider["trust_policy"] != made["trust_policy"]
    in_sid = [role_attestation(proof(live(admit(ids=each, Sid=each))))["trust_policy"] for each in (ID, OLD)]
    assert in_sid[0] == in_sid[1]


def test_ids_that_vendors_share_are_data_with_a_source_and_a_date() -> None:
    text = (files("gridbyoc.vendors") / "shared_external_ids.yaml").read_text()
    data = YAML(typ="safe", pure=True).load(text)
    assert set(data) == {"shared", "known_names"}
    for each in (*data["shared"], *data["known_names"]):
        assert each["vendor"]
        assert each["source"]
        assert str(each["date"]).startswith("20")
    assert len(shared_external_ids()) == len(data["shared"]) + len(data["known_names"])
    cube = shared_external_id("cube-cloud-byoc")
    assert cube is not None
    assert (cube.own, str(cube.source)[-10:]) == (False, "2026-11-29")
    hasura = shared_external_id("hasura-cloud")
    assert hasura is not None
    assert hasura.own
    assert shared_external_id("o-1a2b3c4d5e6f7g8h9i0j") is not None
    for other in (UUID, ID, "cube-cloud-byoc-1", "xcube-cloud-byoc", "O-1A2B", "o-", "o-1a2b_", f"o-{'a1' * 17}"):
        assert shared_external_id(other) is None, other


def test_what_reading_any_role_needs_is_granted_where_it_is_asked_for_by_name() -> None:
    wanted = {(need.action, need.resource) for need in needs_of(None, "aws", HOME, phases=phases_of(["verify-role"]))}
    assert wanted == {
        *((f"iam:{action}", f"arn:aws:iam::{HOME}:role/*")
          for action in ("GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies")),
        *((f"iam:{action}", f"arn:aws:iam::{owner}:policy/*")
          for action in ("GetPolicy", "GetPolicyVersion") for owner in (HOME, "aws")),
    }  # fmt: skip
    assert "verify-role" not in phases_of(["all"])
    assert "verify-role" in phases_of(["all", "verify-role"])
    assert not any(need.phase == "verify-role" for need in needs_of(None))


def ran(directory: Path, *args: str, **environ: str) -> tuple[BaseException | None, str]:
    """The command with these arguments; AWS is never asked."""
    streams = [io.StringIO(environ.pop("stdin", "")), io.StringIO(), io.StringIO()]
    app = App(environ, directory, directory, *streams)
    result = CliRunner().invoke(verify, list(args), obj=app, standalone_mode=False, env={"GRIDBYOC_STACK": ""})
    return result.exception, "".join(each.getvalue() for each in streams[1:]) + str(result.exception)


WITH_ROLE = ("--role", ROLE, "--principal", CROSS)


@pytest.mark.parametrize(
    "args, what, fix",
    [
        ((*WITH_ROLE, "gridbyoc.yaml"), "STACK_FILE cannot go with --role", "Leave it out"),
        ((*WITH_ROLE, "-f", "gridbyoc.yaml"), "STACK_FILE cannot go with --role", "Leave it out"),
        ((*WITH_ROLE, "--set", "name=x"), "--set cannot go with --role", "Leave it out"),
        ((*WITH_ROLE, "--terraform-bin", "tofu"), "--terraform-bin cannot go with --role", "no Terraform"),
        (("--role", ROLE), "--role needs --principal", "--principal 123456789012"),
        (("--role", "vendor", "--principal", CROSS), "vendor is not the ARN of an IAM role", "aws iam get-role"),
        (("--role", ROLE, "--principal", "*"), "* is not an account, a role or a user", "12 digits"),
        (("--principal", CROSS), "--principal needs --role ARN", "Name the role"),
        (("--external-id-env", "X"), "--external-id-env needs --role ARN", "Name the role"),
        (("--external-id-file", "x"), "--external-id-file needs --role ARN", "Name the role"),
        (("--region", "eu-west-1"), "--region needs --role ARN", "Name the role"),
        ((*WITH_ROLE, "--external-id-env", "X", "--external-id-file", "x"), "cannot go together", ""),
        ((*WITH_ROLE, "--external-id-env", "EMPTY"), "names holds no external id: it is not set", "set it"),
        (
            (*WITH_ROLE, "--external-id-env", f"{ID}"),
            "--external-id-env is not the name of an environment variable",
            "name",
        ),
        ((*WITH_ROLE, "--external-id-env", "BAD"), "The external id that was given is not valid", "2 to 1224"),
        ((*WITH_ROLE, "--external-id-env", "SHORT"), "The external id that was given is not valid", "2 to 1224"),
        ((*WITH_ROLE, "--region", "eu-west-1a"), "--region `eu-west-1a` is a zone, not a region", "eu-west-1"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(args: tuple[str, ...], what: str, fix: str, tmp_path: Path) -> None:
    error, text = ran(tmp_path, *args, EMPTY="", BAD=f"{ID} *", SHORT="x")
    assert isinstance(error, UsageError), error
    assert what in error.what
    assert fix in error.fix
    assert error.exit_status == 2
    assert ID not in text
    assert ID not in error.fix


def test_a_file_of_the_external_id_that_holds_none(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "odd").write_text(f"{ID}\nand more\n")
    for name, what in (("empty", "it is empty"), ("odd", "The external id that was given is not valid")):
        error, text = ran(tmp_path, *WITH_ROLE, "--external-id-file", name)
        assert isinstance(error, UsageError)
        assert what in error.what
        assert ID not in text
    error, _ = ran(tmp_path, *WITH_ROLE, "--external-id-file", "-", stdin="x y")
    assert isinstance(error, UsageError)
