"""The findings of the proof: what each says of a role that is right, and of one that somebody has edited."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbyoc.aws import Caller
from gridbyoc.aws.live_role import LiveDocument, LiveRole
from gridbyoc.aws.policy import Actor, ask, evaluate, principal
from gridbyoc.operations.accepted_ids import Rotation
from gridbyoc.operations.finding import Finding, worst
from gridbyoc.operations.verify import Proof, attestation, verify, write_attestation
from gridbyoc.operations.verify_model import KINDS as PROOF_KINDS
from gridbyoc.operations.verify_model import RoleSubject, policy_of
from gridbyoc.show.verify import verify_json, verify_rows, verify_summary
from gridbyoc.stack.model import Role
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import enumerated
from gridbyoc.vendors import facts_of

MANAGED_POLICIES = facts_of("grid").permissions.managed_policies
GRID_ACCOUNT_ID = facts_of("grid").trusted_account.account_id

ID = "canary-7f3a9c1e5b2d4860"
OLD = "canary-0a1f4c7e9b3d5826"
HOME = "123456789012"
ROLE = f"arn:aws:iam::{HOME}:role/grid-cloud-x"
ROOT = f"arn:aws:iam::{GRID_ACCOUNT_ID}:root"
CI = f"arn:aws:iam::{HOME}:role/ci"
AUDIT = f"arn:aws:iam::{HOME}:role/audit"
NOON = datetime(2026, 11, 2, 12, tzinfo=timezone.utc)
ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
OWN = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["eks:*", "ecr:*", "events:*"], "Resource": ["*"]}],
}
SERVICES = {
    "AmazonEC2FullAccess": ["ec2:*", "elasticloadbalancing:*", "autoscaling:*", "cloudwatch:*"],
    "AmazonGuardDutyFullAccess_v2": ["guardduty:*"],
    "AmazonRoute53ResolverFullAccess": ["route53resolver:*"],
    "AmazonS3FullAccess": ["s3:*"],
    "AmazonSNSFullAccess": ["sns:*"],
    "AmazonSQSFullAccess": ["sqs:*"],
    "AmazonVPCFullAccess": ["ec2:*Vpc*", "ec2:*NatGateway*"],
    "CloudWatchLogsFullAccess": ["logs:*"],
    "IAMFullAccess": ["iam:*"],
}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def admit(principals: Any = ROOT, ids: Any = ID, **more: Any) -> dict[str, Any]:
    """An Allow as the module writes it; ``ids`` ``None``: without a condition."""
    condition = {} if ids is None else {"Condition": {"StringEquals": {"sts:ExternalId": ids}}}
    return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": principals}, **condition, **more}


def attached(name: str, body: dict[str, Any] | None = None, **more: Any) -> LiveDocument:
    statement = {"Effect": "Allow", "Action": SERVICES.get(name, ["sts:GetCallerIdentity"]), "Resource": "*"}
    arn = f"arn:aws:iam::aws:policy/{name}"
    return LiveDocument("attached", arn, document(statement) if body is None else body, "v3", **more)


GUIDE = tuple(attached(name) for name in MANAGED_POLICIES)
OWN_POLICY = LiveDocument("attached", f"arn:aws:iam::{HOME}:policy/grid-cloud-x", OWN, "v1")


def role(*trust: dict[str, Any], **fields: Any) -> LiveRole:
    """The role as the module makes it, with these statements in its trust policy."""
    live = LiveRole(
        arn=ROLE,
        trust=LiveDocument("trust", "trust", document(*(trust or (admit(),)))),
        policies=(OWN_POLICY, *GUIDE),
        max_session_seconds=43200,
    )
    return replace(live, **fields)


def inline(*statements: dict[str, Any]) -> LiveDocument:
    return LiveDocument("inline", "extra", document(*statements))


def boundary(body: dict[str, Any] | None, **more: Any) -> LiveDocument:
    return LiveDocument("boundary", f"arn:aws:iam::{HOME}:policy/limits", body, "v2", **more)


def findings(live: LiveRole, declared: Role | None = None, **more: Any) -> dict[str, Finding]:
    external_id = more.pop("external_id", ID)
    found = verify(RoleSubject(live, Secret(external_id), declared or Role(), "us-east-1", NOON, **more))
    assert not any(external_id in repr(finding) or OLD in repr(finding) for finding in found)
    return {finding.code: finding for finding in found}


def verdicts(live: LiveRole, declared: Role | None = None, **more: Any) -> dict[str, str]:
    """What does not pass."""
    found = findings(live, declared, **more)
    return {code: finding.verdict for code, finding in found.items() if finding.verdict != "pass"}


def test_the_modules_role_passes_whole() -> None:
    found = findings(role())
    assert set(found) == {*(f"GBY-V{n:03}" for n in range(1, 15)), *(f"GBY-V{n:03}" for n in range(20, 28))}
    assert {finding.verdict for finding in found.values()} == {"pass"}
    assert list(found) == sorted(found) == [question.code for question in PROOF_KINDS]
    assert "statement 1 of the trust policy allows it" in found["GBY-V001"].detail
    assert found["GBY-V026"].detail == "a session may last 12 h"


def test_every_partition() -> None:
    arn = ROLE.replace("arn:aws:", "arn:aws-cn:")
    trust = document(admit(ROOT.replace("arn:aws:", "arn:aws-cn:")))
    policies = tuple(replace(each, name=each.name.replace("arn:aws:", "arn:aws-cn:")) for each in (OWN_POLICY, *GUIDE))
    assert verdicts(role(arn=arn, trust=LiveDocument("trust", "trust", trust), policies=policies)) == {}
    other = verdicts(role(arn=arn))
    assert (other["GBY-V001"], other["GBY-V020"], other["GBY-V025"]) == ("fail", "fail", "fail")


def asks(operator: str, ids: Any = ID, principals: Any = ROOT, **more: Any) -> dict[str, Any]:
    """An Allow that asks for the external id with this operator."""
    return admit(principals, None, Condition={operator: {"sts:ExternalId": ids}}, **more)


def deny(who: dict[str, Any], condition: Any = None, action: str = "sts:AssumeRole") -> dict[str, Any]:
    more = {"Condition": condition} if condition else {}
    return {"Effect": "Deny", "Action": action, **who, **more}


def of_kind(kind: str, value: str, ids: Any = None, **more: Any) -> dict[str, Any]:
    """An Allow for a principal of another kind than AWS."""
    return {**admit(ids=ids, **more), "Principal": {kind: value}}


def codes(**found: str) -> dict[str, str]:
    """``fail="2 3"``: what does not pass, by verdict."""
    return {f"GBY-V{int(n):03}": verdict for verdict, numbers in found.items() for n in numbers.split()}


EVE = "arn:aws:iam::666666666666:user/eve"
GRID_ROLE = ROOT.replace("root", "role/runner")
OIDC = "arn:aws:iam::123456789012:oidc-provider/example.com"
SAML = "arn:aws:iam::123456789012:saml-provider/corp"
WEB = {"Action": "sts:AssumeRoleWithWebIdentity"}
SINCE = {"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}
TRUSTS: list[tuple[str, list[dict[str, Any]], dict[str, str]]] = [
    # --- no external id, or another way to ask for it
    ("no condition", [admit(ids=None)], codes(fail="2 3 4 9")),
    ("an empty condition", [admit(ids=None, Condition={})], codes(fail="2 3 4 9")),
    ("no condition beside the right statement", [admit(), admit(ids=None)], codes(fail="2 3 4 9")),
    ("a condition on something else", [admit(ids=None, Condition=SINCE)], codes(fail="2 3 4 9")),
    ("ForAllValues: true where the id is absent", [asks("ForAllValues:StringEquals")], codes(fail="2 4 9")),
    ("ForAllValues and Null together are as narrow",
     [admit(ids=None, Condition={
         "ForAllValues:StringEquals": {"sts:ExternalId": ID}, "Null": {"sts:ExternalId": False}})],
     codes(unknown="4", warn="9")),
    ("ForAnyValue is as narrow", [asks("ForAnyValue:StringEquals")], codes(warn="9")),
    ("ForAnyValue IfExists", [asks("ForAnyValue:StringEqualsIfExists")], codes(unknown="2 4 9")),
    ("ForAllValues IfExists", [asks("ForAllValues:StringEqualsIfExists")], codes(fail="2 4 9")),
    ("IfExists", [asks("StringEqualsIfExists")], codes(fail="2 9", unknown="4")),
    ("IfExists beside StringEquals",
     [admit(Condition={"StringEquals": {"sts:ExternalId": ID}, "StringLikeIfExists": {"sts:ExternalId": ID}})], {}),
    ("Null: any id", [asks("Null", "false")], codes(fail="3 9", unknown="4")),
    ("Null: no id", [asks("Null", "true")], codes(fail="1 2 9", unknown="4")),
    ("StringNotEquals", [asks("StringNotEquals", "something-else")], codes(fail="2 3 4 9")),
    ("StringNotEquals of the id itself", [asks("StringNotEquals")], codes(fail="1 2 3 4 9")),
    ("StringEqualsIgnoreCase", [asks("StringEqualsIgnoreCase")], codes(fail="3", warn="9")),
    ("StringLike without a wildcard", [asks("StringLike")], codes(warn="9")),
    ("StringLike with a wildcard at the end", [asks("StringLike", "canary-*")], codes(fail="3 8", warn="9")),
    ("StringLike with ?", [asks("StringLike", f"{ID[:-2]}??")], codes(fail="3 8", warn="9")),
    ("StringLike *", [asks("StringLike", "*")], codes(fail="3 8 9", unknown="4")),
    ("StringLike * beside StringEquals: both must hold",
     [admit(Condition={"StringEquals": {"sts:ExternalId": ID}, "StringLike": {"sts:ExternalId": "*"}})],
     codes(fail="8")),
    ("BinaryEquals", [asks("BinaryEquals", "Y2FuYXJ5")], codes(fail="1 3", warn="9")),
    ("NumericGreaterThan", [asks("NumericGreaterThan", 0)], codes(unknown="1 3 4 9")),
    ("ArnLike", [asks("ArnLike", "arn:*:*:*:*:*")], codes(unknown="1 4 9", fail="3 8")),
    ("an operator that is not known", [asks("StringMatches")], codes(unknown="1 2 3 4 9")),
    ("the operator in another case", [asks("stringEquals")], codes(unknown="1 2 3 4 9")),
    ("the key in another case", [admit(ids=None, Condition={"StringEquals": {"STS:externalID": ID}})], {}),
    ("no text at all", [asks("StringEquals", [])], codes(fail="1")),
    ("a Deny of others in the place of a condition",
     [admit(ids=None), deny({"Principal": "*"}, {"StringNotEquals": {"sts:ExternalId": ID}})],
     codes(fail="9")),
    # --- further external ids
    ("another id in its place", [admit(ids=OLD)], codes(fail="1 3 11")),
    ("a further id", [admit(ids=[ID, "1234"])], codes(fail="3 11")),
    ("a second statement with another id", [admit(), admit(ids=OLD)], codes(fail="3 11")),
    ("a second statement for somebody else", [admit(), admit(EVE, OLD)], codes(fail="6 11", warn="13")),
    ("the caller's account as an id", [admit(ids="${aws:PrincipalAccount}")], codes(fail="1 3 11")),
    ("the caller's account as a further id", [admit(ids=[ID, "${aws:PrincipalAccount}"])], codes(fail="3 11")),
    ("a variable with a default", [admit(ids=[ID, "${aws:PrincipalTag/x, 'guest'}"])],
     codes(unknown="1 3 4", fail="11")),
    ("whatever id comes", [admit(ids="${sts:ExternalId}")], codes(fail="3 11", unknown="4")),
    ("a variable that is not closed", [admit(ids=[ID, "${aws:PrincipalAccount"])], codes(unknown="1 3 4 11")),
    ("a default without its space", [admit(ids=[ID, "${aws:PrincipalTag/x,'guest'}"])], codes(unknown="1 3 4 11")),
    ("a further id with StringLike", [asks("StringLike", [ID, OLD])], codes(fail="3 11", warn="9")),
    # --- who
    ("another account", [admit(f"arn:aws:iam::{HOME}:root")], codes(fail="1 6")),
    ("another account beside it, by number", [admit(), admit("666666666666")], codes(fail="6")),
    ("a stranger's user without an id", [admit(), admit(EVE, None)], codes(fail="6 7 9", warn="13")),
    ("everybody with the id", [admit("*")], codes(fail="5 6 8")),
    ("everybody, written *", [{**admit(), "Principal": "*"}], codes(fail="5 6 8")),
    ("everybody without an id", [admit(), admit("*", None)], codes(fail="2 3 4 5 6 7 8 9")),
    ("everybody with another id: an id that the policy itself names", [admit(), admit("*", OLD)],
     codes(fail="3 5 6 8 11")),
    ("everybody of an account that a condition names",
     [admit(), {**admit(), "Principal": "*", "Condition": {"StringEquals": {
         "sts:ExternalId": ID, "aws:PrincipalAccount": "666666666666"}}}], codes(fail="5 6 8")),
    ("everybody of the control plane's account, by a condition",
     [{**admit(), "Principal": "*", "Condition": {"StringEquals": {
         "sts:ExternalId": ID, "aws:PrincipalAccount": GRID_ACCOUNT_ID}}}], codes(fail="6 8")),
    ("everybody whose role has that name",
     [admit(), {**admit(), "Principal": "*", "Condition": {
         "StringEquals": {"sts:ExternalId": ID}, "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/runner"}}}],
     codes(fail="6 8", unknown="5")),
    ("everybody of an organisation", [admit(), {**admit(ids=None), "Principal": "*", "Condition": {
        "StringEquals": {"aws:PrincipalOrgID": "o-1"}}}], codes(fail="6 8 9", unknown="2 3 4 5 7")),
    ("every service", [admit(), of_kind("Service", "*")], codes(fail="6 8 9", unknown="2 3 4 5 7")),
    ("a service", [admit(), of_kind("Service", "ec2.amazonaws.com")], codes(fail="6 7 9")),
    ("a service that asks for the id", [admit(), of_kind("Service", "ec2.amazonaws.com", ID)], codes(fail="6")),
    ("a provider's users", [admit(), of_kind("Federated", OIDC, **WEB)], codes(fail="6 7", warn="12")),
    ("a provider's users under a condition",
     [admit(), of_kind("Federated", OIDC, **WEB, Condition={"StringEquals": {"example.com:aud": "x"}})],
     codes(fail="6", unknown="7", warn="12")),
    ("SAML's users by a wildcard", [admit(), of_kind("Federated", SAML, Action="sts:Assume*")],
     codes(fail="6 7 9", warn="12")),
    ("a canonical user", [admit(), of_kind("CanonicalUser", "79a59d")], codes(fail="6 7 9")),
    ("a kind that is not known", [admit(), of_kind("Robot", "r2")], codes(fail="6 9", unknown="2 3 4 5 7")),
    ("a principal of a form that is not known", [admit(f"arn:aws:iam::{GRID_ACCOUNT_ID}:group/all")],
     codes(unknown="1", warn="6")),
    ("a wildcard within a principal", [admit(), admit(f"arn:aws:iam::{GRID_ACCOUNT_ID}:role/*")],
     codes(fail="8", warn="6", unknown="5")),
    ("a principal that was deleted", [admit(), admit("AROAIIAAAAAAAAAAAAAAA")], codes(warn="6")),
    ("one role of the control plane's account", [admit(GRID_ROLE)], codes(warn="6", unknown="1")),
    ("one role of the control plane's account, without an id", [admit(), admit(GRID_ROLE, None)],
     codes(warn="6", fail="7 9", unknown="2 3 4")),
    ("one session of the control plane's account",
     [admit([ROOT, f"arn:aws:sts::{GRID_ACCOUNT_ID}:assumed-role/runner/s"])], codes(warn="6")),
    ("one user of the control plane's account", [admit([ROOT, ROOT.replace("root", "user/ops")])], codes(warn="6 13")),
    ("a federated user's session",
     [admit([ROOT, f"arn:aws:sts::{GRID_ACCOUNT_ID}:federated-user/ops"])], codes(warn="6 13")),
    ("another partition's account", [admit(), admit(ROOT.replace("aws", "aws-cn"))], codes(fail="6")),
    # --- NotPrincipal, NotAction, Deny
    ("Allow NotPrincipal", [admit(), {**deny({"NotPrincipal": {"AWS": ROOT}}), "Effect": "Allow"}],
     codes(fail="6 9 10", unknown="2 3 4 5 7")),
    ("Allow NotPrincipal with the id", [{**admit(), "NotPrincipal": {"AWS": EVE}, "Principal": None}],
     codes(fail="6 10", unknown="1 5 7")),
    ("Deny NotPrincipal that names one role of the control plane's account",
     [admit(), deny({"NotPrincipal": {"AWS": GRID_ROLE}})], codes(unknown="1", warn="10")),
    ("Deny NotPrincipal that names the account", [admit(), deny({"NotPrincipal": {"AWS": ROOT}})],
     codes(unknown="1", warn="10")),
    ("everybody, and a Deny NotPrincipal that would keep strangers out",
     [admit("*"), deny({"NotPrincipal": {"AWS": ROOT}})], codes(unknown="1 5", fail="6 8", warn="10")),
    ("a Deny of all", [admit(), {**admit(), "Effect": "Deny"}], codes(fail="1")),
    ("a Deny of another statement's actions", [admit(), deny({"Principal": "*"}, action="sts:TagSession")], {}),
    ("a Deny under a condition that is not known",
     [admit(), deny({"Principal": "*"}, {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})], codes(unknown="1")),
    ("a Deny NotAction", [admit(), {"Effect": "Deny", "NotAction": "sts:AssumeRole", "Principal": "*"}],
     codes(warn="10")),
    ("an Allow NotAction", [{**admit(), "Action": None, "NotAction": "s3:*"}], codes(fail="10")),
    # --- actions
    ("session tags", [admit(Action=["sts:AssumeRole", "sts:TagSession"])], codes(warn="12")),
    ("a source identity", [admit(Action=["sts:AssumeRole", "STS:setsourceidentity"])], codes(warn="12")),
    ("session tags, a statement of their own", [admit(), admit(ids=None, Action="sts:TagSession")], codes(warn="12")),
    ("all of STS", [admit(Action="sts:*")], codes(warn="12")),
    ("all of everything", [admit(Action="*")], codes(warn="12")),
    ("a wildcard in the name", [admit(Action="sts:Assume*")], codes(warn="12")),
    ("the action in another case", [admit(Action="STS:assumerole")], {}),
    ("a wildcard for the service", [admit(Action="s?s:AssumeRole")], codes(unknown="1", warn="12")),
    ("a wildcard for the service, without an id", [admit(), admit(ids=None, Action="*:*")],
     codes(unknown="2 3 4", fail="9", warn="12")),
    # --- what is not a statement as IAM's grammar has it
    ("an element in another case", [{**{k: v for k, v in admit().items() if k != "Effect"}, "effect": "Allow"}],
     codes(unknown="1")),
    ("an element that is not known", [admit(Until="2030")], codes(unknown="1")),
    ("a resource", [admit(Resource=ROLE)], codes(unknown="1")),
    ("an address, which is not known", [admit(Condition={
        "StringEquals": {"sts:ExternalId": ID}, "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})], codes(unknown="1")),
    ("a time that is over", [admit(Condition={
        "StringEquals": {"sts:ExternalId": ID}, "DateLessThan": {"aws:CurrentTime": "2026-01-01"}})], codes(fail="1")),
]  # fmt: skip


@pytest.mark.parametrize("statements, expected", [row[1:] for row in TRUSTS], ids=[row[0] for row in TRUSTS])
def test_the_trust_policy(statements: list[dict[str, Any]], expected: dict[str, str]) -> None:
    found = findings(role(*statements))
    assert {code: each.verdict for code, each in found.items() if each.verdict != "pass"} == expected
    for each in found.values():
        if each.verdict in ("fail", "warn") and not (each.code == "GBY-V001" and "No statement" in each.detail):
            assert each.fix, each.code
            assert each.statements, each.code


IDS = st.sampled_from(
    [ID, OLD, "*", "canary-*", "?", "", "true", "false", GRID_ACCOUNT_ID, "arn:aws:iam::*:role/*", "ml",
     "${aws:PrincipalAccount}", "${sts:ExternalId}", "${aws:PrincipalTag/team, 'ml'}", "${aws:PrincipalArn", 5]
)  # fmt: skip
OPERATORS = st.builds(
    lambda quantifier, base, exists: f"{quantifier}{base}{exists}",
    st.sampled_from(["", "", "", "ForAllValues:", "ForAnyValue:"]),
    st.sampled_from(["StringEquals", "StringEquals", "StringNotEquals", "StringLike", "StringEqualsIgnoreCase", "Null",
                     "ArnLike", "ArnNotEquals", "NumericEquals", "stringequals"]),
    st.sampled_from(["", "", "IfExists"]),
)  # fmt: skip
KEYS = st.sampled_from(
    ["sts:ExternalId", "sts:ExternalId", "STS:externalid", "aws:PrincipalAccount", "aws:PrincipalArn",
     "aws:PrincipalTag/team"]
)  # fmt: skip
PRINCIPALS = st.sampled_from(
    [ROOT, GRID_ACCOUNT_ID, GRID_ROLE, EVE, EVE.replace("user/eve", "root"), "*", f"arn:aws:iam::{HOME}:root"]
).map(lambda value: {"Principal": {"AWS": value}}) | st.sampled_from(
    [{"Principal": "*"}, {"NotPrincipal": {"AWS": ROOT}}, {"Principal": {"Service": "ec2.amazonaws.com"}},
     {"Principal": {"Service": "*"}}, {"Principal": {"aws": ROOT}}]
)  # fmt: skip
STATEMENTS = st.builds(
    lambda effect, who, what, condition: {"Effect": effect, **who, **what, "Condition": condition},
    st.sampled_from(["Allow", "Allow", "Deny"]),
    PRINCIPALS,
    st.sampled_from([{"Action": a} for a in ("sts:AssumeRole", "STS:assume*", "*", "s?s:*", "sts:TagSession")]
                    + [{"NotAction": "s3:*"}]),
    st.dictionaries(OPERATORS, st.dictionaries(KEYS, IDS | st.lists(IDS, max_size=2), max_size=2), max_size=2),
)  # fmt: skip
ATTACKERS = [
    *(principal(ROOT.replace("root", what)) for what in ("role/runner", "user/ops", "root")),
    principal(f"arn:aws:sts::{GRID_ACCOUNT_ID}:assumed-role/runner/s", GRID_ROLE),
    *(principal(EVE.replace("user/eve", what)) for what in ("role/runner", "user/eve", "root")),
    Actor("service", "ec2.amazonaws.com"),
]
TRIED = [(), ("",), (OLD,), ("x-1",), ("canary-x",), (GRID_ACCOUNT_ID,), ("666666666666",), ("5",), ("ml",), ("*",)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(STATEMENTS, min_size=1, max_size=2), st.booleans(), st.sampled_from([{}, {"aws:PrincipalTag/team": "ml"}])
)
def test_whom_a_policy_lets_in_it_does_not_prove(
    statements: list[dict[str, Any]], beside: bool, tags: dict[str, str]
) -> None:
    """Nobody but the control plane with its own id gets in where every finding on the trust policy passes or warns."""
    live = role(*([admit()] if beside else []), *statements)
    policy = policy_of(live.trust)
    attacks = [
        (who, ids) for who in ATTACKERS for ids in [*TRIED, (ID,)] if ids != (ID,) or GRID_ACCOUNT_ID not in who.value
    ]
    admitted = [
        attack
        for attack in attacks
        if evaluate(
            [policy], ask("sts:AssumeRole", actor=attack[0], context={"sts:ExternalId": attack[1], **tags})
        ).effect
        == "allowed"
    ]
    if admitted:
        found = [finding.verdict for finding in findings(live).values() if finding.code < "GBY-V020"]
        assert worst(found) in ("fail", "unknown"), admitted


@pytest.mark.parametrize(
    "statements, code, said",
    [
        ([admit(ids=None)], "GBY-V002", "without an external id is admitted: statement 1 of the trust policy allows"),
        ([admit(), admit("*", OLD)], "GBY-V005", "a stranger is admitted: statement 2"),
        ([admit(), admit("666666666666", Sid="Door")], "GBY-V006", "(Sid Door) of the trust policy trusts 6666"),
        ([admit("*")], "GBY-V006", "trusts *: everybody, whom the stack file does not declare"),
        ([admit(), admit(EVE, None)], "GBY-V007", f"admits {EVE} without an external id"),
        ([asks("StringLike", "canary-*")], "GBY-V008", "matches a pattern (StringLike)"),
        ([asks("ForAllValues:StringEquals")], "GBY-V009", "with ForAllValues:StringEquals, which an absent or"),
        ([asks("stringEquals")], "GBY-V009", "it is unknown whether an absent or another id meets that"),
        ([admit(ids=[ID, "1234"])], "GBY-V011", "accepts 1 external id besides the stack's, not for a rotation"),
        ([admit(ids="${aws:PrincipalAccount}")], "GBY-V011", "accepts the value of a policy variable"),
        ([admit(Action=["sts:AssumeRole", "sts:TagSession"])], "GBY-V012",
         "allows sts:TagSession: whoever assumes the role may pass session tags, which override the role's own tags"),
        ([admit(Action=["sts:AssumeRole", "sts:SetSourceIdentity"])], "GBY-V012", "may set a source identity, which"),
        ([admit(EVE)], "GBY-V013", f"trusts {EVE}, an IAM user: its access keys may be long-lived"),
        ([admit(), {**admit(), "Effect": "Deny", "Sid": "Lockdown"}], "GBY-V001", "(Sid Lockdown)"),
        ([admit(), deny({"NotPrincipal": {"AWS": GRID_ROLE}})], "GBY-V001", "NotPrincipal, which AWS does not support"),
    ],
)  # fmt: skip
def test_a_finding_says_what_it_is_about(statements: list[dict[str, Any]], code: str, said: str) -> None:
    found = findings(role(*statements))[code]
    assert said in found.detail


def test_another_module_may_name_principals_and_ids_that_the_stack_file_does_not() -> None:
    live = role(admit([ROOT, CI], [ID, OLD]), of_kind("Federated", OIDC, **WEB))
    found = verdicts(live, own_module=False)
    assert found == codes(warn="6 7 11 12")
    assert ", which the stack file does not declare" in findings(live, own_module=False)["GBY-V011"].detail
    assert verdicts(role(admit("*")), own_module=False)["GBY-V006"] == "fail"
    assert verdicts(role(admit(ids="${aws:PrincipalAccount}")), own_module=False)["GBY-V011"] == "fail"


HELD, KEPT = frozenset({Secret(OLD)}), frozenset({Secret(OLD)})
NONE: frozenset[Secret] = frozenset()


@pytest.mark.parametrize(
    "rotation, third, eleventh, said",
    [
        (Rotation(HELD, KEPT), "pass", "warn", "a rotation is under way"),
        (Rotation(HELD, NONE), "pass", "unknown", "a cluster holds it, and the last render of this work_dir does not"),
        (Rotation(NONE, KEPT), "fail", "fail", "the last render keeps it, no cluster of the stack holds it any more"),
        (Rotation(NONE, NONE), "fail", "fail", "no cluster of the stack holds it, and no render keeps it"),
        (Rotation(NONE, KEPT, changing=("ml",)), "pass", "unknown", "holds it any more, and ml does not run yet"),
        (Rotation(NONE, NONE, holder="`rotate` holds it."), "pass", "unknown", "to remove it: `rotate` holds it"),
        (Rotation(NONE, NONE, changing=("ml",)), "fail", "fail", "no cluster of the stack holds it, and no render"),
        (Rotation(NONE, KEPT, hidden=("ml",)), "pass", "unknown", "does not show which id ml holds"),
        (Rotation(NONE, NONE, hidden=("ml",)), "fail", "fail", "does not show which id ml holds"),
        (Rotation(None, KEPT, unread="No key."), "pass", "unknown", "which ids its clusters hold: No key"),
        (Rotation(None, NONE, unread="No key."), "fail", "fail", "which ids its clusters hold: No key"),
    ],
)  # fmt: skip
def test_a_further_id_needs_a_rotation_that_both_sides_show(
    rotation: Rotation, third: str, eleventh: str, said: str
) -> None:
    for live in (role(admit(ids=[ID, OLD])), role(admit(), admit(ids=OLD))):
        found = findings(live, rotation=rotation)
        assert (found["GBY-V003"].verdict, found["GBY-V011"].verdict) == (third, eleventh)
        assert said in found["GBY-V011"].detail
        assert ("those of GBY-V011 apart" in found["GBY-V003"].detail) is (third == "pass")
        assert Rotation(HELD, KEPT).under_way(Secret("1234")) is False
    if not rotation.holder:
        beside = findings(role(admit(ids=[ID, OLD, "1234"])), rotation=rotation)
        assert (beside["GBY-V003"].verdict, beside["GBY-V011"].verdict) == ("fail", "fail")


@pytest.mark.parametrize(
    "external_id",
    [
        "short-7f3a9c1e",
        "cube-cloud-byoc",
        "hasura-cloud",
        "cube-cloud-external-id",
        "correct-horse-battery",
        HOME,
        f"{HOME}-{GRID_ACCOUNT_ID}",
        f"grid-cloud-x-{GRID_ACCOUNT_ID}",
        "acme-analytics-2026",
        "acme-analytics-acme-analytics",
        "a" * 32,
        "ab" * 16,
        "k3j9x7k3j9x7k3j9x7",
        "1234567890123456",
        "abcdefghijklmnopqrstuvwxyz",
        "qwertyuiopasdfgh",
        "00000000-0000-0000-0000-000000000000",
        "12345678-1234-1234-1234-123456789012",
        "--------------------",
    ],
)
def test_an_external_id_that_can_be_guessed_is_a_warning(external_id: str) -> None:
    live = role(admit(ids=external_id))
    found = findings(live, external_id=external_id, names=("acme-analytics",))
    assert {code for code, each in found.items() if each.verdict != "pass"} == {"GBY-V014"}
    assert found["GBY-V014"].verdict == "warn"
    whole = proof(live, external_id)
    assert whole.holds(strict=False)
    assert not whole.holds(strict=True) or external_id.startswith("acme")


@pytest.mark.parametrize(
    "external_id",
    [
        "00b5cb6073b3475fa91ea0488b18138f",
        "a86f9468-ef8b-493a-af82-8fd0b896713d",
        "437jbNuhZX5QfgS1",
        "acme-analytics-437jbNuhZX5QfgS1",
        "Kq0HdAI1K9QopyoLMXtl0g==",
        "correct-horse-battery-staple-zebra",
    ],
)
def test_an_external_id_made_by_chance_is_none(external_id: str) -> None:
    found = findings(role(admit(ids=external_id)), external_id=external_id, names=("acme-analytics",))
    assert found["GBY-V014"].verdict == "pass"


def test_an_edit_out_of_band_names_the_sid() -> None:
    found = findings(role(admit(), admit("arn:aws:iam::666666666666:root", Sid="Backdoor")))
    assert found["GBY-V006"].statements == ("statement 2 (Sid Backdoor) of the trust policy",)


def test_declared_principals() -> None:
    both = Role(trusted_principals=(CI,), trusted_principals_without_external_id=(AUDIT,))
    live = role(admit([ROOT, CI]), admit(AUDIT, None))
    assert verdicts(live, both) == {"GBY-V007": "warn"}
    assert "as the stack file declares" in findings(live, both)["GBY-V007"].detail
    assert verdicts(live) == {"GBY-V006": "fail", "GBY-V007": "fail", "GBY-V009": "fail"}
    assert verdicts(live, own_module=False)["GBY-V006"] == "warn"
    swapped = role(admit(), admit(CI, None))
    assert verdicts(swapped, both) == {"GBY-V002": "fail", "GBY-V003": "fail", "GBY-V004": "fail",
                                       "GBY-V007": "fail", "GBY-V009": "fail"}  # fmt: skip
    all_but_them = role(admit(), {**admit(ids=None), "Principal": None, "NotPrincipal": {"AWS": AUDIT}})
    assert verdicts(all_but_them, both)["GBY-V002"] == "unknown"
    everybody = Role(trusted_principals_without_external_id=(ROOT,))
    assert verdicts(role(admit(), admit(ROOT, None)), everybody)["GBY-V002"] == "fail"


def test_a_principal_that_may_come_without_an_id_cannot_be_told() -> None:
    one = role(admit(), admit(CI, None, Condition={"Bool": {"aws:ViaAWSService": "true"}}))
    assert verdicts(one)["GBY-V007"] == "unknown"


@pytest.mark.parametrize(
    "body, why",
    [
        (None, "it could not be read (the caller may not call iam:GetRole)"),
        (
            {"Statement": "nonsense"},
            "it could not be understood (The trust policy has no Statement, or one that is not",
        ),
        (document({"Effect": "Allow"}), "(Statement 1 of the trust policy has neither Action nor NotAction.)"),
        (document(admit(Condition=[ID])), "(Statement 1 of the trust policy has a Condition that is not an object"),
        ({**document(admit()), "Version": "2030-01-01"}, "(The trust policy has an unknown Version.)"),
    ],
)
def test_a_trust_policy_that_is_not_read_proves_nothing_and_says_why(body: dict[str, Any] | None, why: str) -> None:
    trust = LiveDocument("trust", "trust", body, unread="" if body else "the caller may not call iam:GetRole")
    found = findings(role(trust=trust))
    assert {found[f"GBY-V{n:03}"].verdict for n in range(1, 14)} == {"unknown"}
    assert all(why in found[f"GBY-V{n:03}"].detail for n in range(1, 14))
    assert attestation(proof(role(trust=trust)))["external_id_checked"] is False


def test_needed_actions_that_are_missing_name_the_policy() -> None:
    live = role(policies=tuple(policy for policy in (OWN_POLICY, *GUIDE) if "SQS" not in policy.name))
    found = findings(live)
    assert found["GBY-V020"].verdict == "fail"
    assert found["GBY-V020"].detail == "not attached: arn:aws:iam::aws:policy/AmazonSQSFullAccess"
    assert found["GBY-V021"].detail == "no policy of the role allows sqs:CreateQueue; AmazonSQSFullAccess would"
    administrator = role(policies=(OWN_POLICY, attached("AdministratorAccess", ALL)))
    found = findings(administrator, Role(managed_policies=("arn:aws:iam::aws:policy/AdministratorAccess",)))
    assert {finding.verdict for finding in found.values()} == {"pass"}
    assert verdicts(role(policies=GUIDE))["GBY-V021"] == "fail"


def test_an_explicit_deny_is_named() -> None:
    deny = {"Effect": "Deny", "Action": "ec2:Run*", "Resource": "*", "Sid": "NoMachines"}
    found = findings(role(policies=(OWN_POLICY, *GUIDE, inline(deny))))
    assert found["GBY-V022"].verdict == "fail"
    assert found["GBY-V022"].statements == ("statement 1 (Sid NoMachines) of inline policy extra",)
    assert found["GBY-V022"].detail.startswith("ec2:RunInstances denied: ")
    assert found["GBY-V021"].verdict == "pass"
    assert found["GBY-V025"].verdict == "fail"
    known = Role(known_inline_policies=("extra",))
    elsewhere = {**deny, "Resource": "arn:aws:ec2:*:*:instance/i-audit"}
    assert verdicts(role(policies=(OWN_POLICY, *GUIDE, inline(elsewhere))), known) == {}
    region = {**deny, "Condition": {"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}}
    assert verdicts(role(policies=(OWN_POLICY, *GUIDE, inline(region))), known) == {}
    tagged = {**deny, "Condition": {"StringEquals": {"aws:ResourceTag/owner": "audit"}}}
    assert verdicts(role(policies=(OWN_POLICY, *GUIDE, inline(tagged))))["GBY-V021"] == "unknown"


def test_an_allow_for_certain_resources_cannot_be_told() -> None:
    narrow = attached(
        "AmazonS3FullAccess", document({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::g*-x"})
    )
    live = role(policies=(OWN_POLICY, *(p for p in GUIDE if "S3" not in p.name), narrow))
    found = findings(live)
    assert found["GBY-V021"].verdict == "unknown"
    assert "s3:CreateBucket, s3:PutObject" in found["GBY-V021"].detail
    assert "on certain resources only" in found["GBY-V021"].detail
    denied = inline({"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::other"})
    assert verdicts(replace(live, policies=(*live.policies, denied)))["GBY-V021"] == "fail"


def test_a_boundary_that_forbids_what_is_needed() -> None:
    arn = f"arn:aws:iam::{HOME}:policy/limits"
    declared = Role(permissions_boundary=arn)
    assert verdicts(role(boundary=boundary(ALL)), declared) == {}
    narrow = document({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})
    found = findings(role(boundary=boundary(narrow)), declared)
    assert found["GBY-V023"].verdict == "fail"
    assert "iam:CreateRole" in found["GBY-V023"].detail
    assert {code for code, each in found.items() if each.verdict != "pass"} == {"GBY-V023"}
    lock = document(*ALL["Statement"], {"Effect": "Deny", "Action": "eks:*", "Resource": "*", "Sid": "NoEks"})
    found = findings(role(boundary=boundary(lock)), declared)
    assert found["GBY-V023"].statements == ("statement 2 (Sid NoEks) of the boundary limits",)
    unread = boundary(None, unread="the caller may not call iam:GetPolicy")
    assert verdicts(role(boundary=unread), declared) == {"GBY-V023": "unknown"}
    assert verdicts(role(boundary=boundary(ALL))) == {"GBY-V024": "warn"}
    assert verdicts(role(), declared) == {"GBY-V024": "fail"}
    assert verdicts(role(), declared, own_module=False) == {"GBY-V024": "warn"}


COUNTERFEIT = replace(attached("AmazonS3FullAccess", ALL), name=f"arn:aws:iam::{HOME}:policy/AmazonS3FullAccess")


@pytest.mark.parametrize(
    "policies,expected,said",
    [
        ((OWN_POLICY, *GUIDE, attached("AdministratorAccess", ALL)), {"GBY-V025"}, "policy/AdministratorAccess"),
        ((OWN_POLICY, *GUIDE, inline(*ALL["Statement"])), {"GBY-V025"}, "inline policy extra"),
        ((OWN_POLICY, *GUIDE, COUNTERFEIT), {"GBY-V025"}, COUNTERFEIT.name),
        ((OWN_POLICY, *(p for p in GUIDE if "S3" not in p.name), COUNTERFEIT), {"GBY-V020", "GBY-V025"},
         COUNTERFEIT.name),
        ((OWN_POLICY, *GUIDE, replace(OWN_POLICY, name=OWN_POLICY.name.replace("policy/", "policy/x/"))),
         {"GBY-V025"}, "policy/x/grid-cloud-x"),
        ((replace(OWN_POLICY, document=ALL, version="v2"), *GUIDE), {"GBY-V027"}, "version v2 has a statement that"),
        (GUIDE, {"GBY-V020", "GBY-V021", "GBY-V027"}, f"not attached: {OWN_POLICY.name}"),
    ],
)  # fmt: skip
def test_policies_count_by_identity_and_content(
    policies: tuple[LiveDocument, ...], expected: set[str], said: str
) -> None:
    found = findings(role(policies=policies))
    assert {code for code, each in found.items() if each.verdict != "pass"} == expected
    assert {found[code].verdict for code in expected} == {"fail"}
    assert any(said in each.detail for each in found.values())
    assert all(found[code].fix for code in expected)


def test_what_others_attach_is_accepted_where_the_stack_file_says_so() -> None:
    live = role(policies=(OWN_POLICY, *GUIDE, attached("AdministratorAccess", ALL), inline(*ALL["Statement"])))
    known = Role(known_policies=("arn:aws:iam::aws:policy/AdministratorAccess",), known_inline_policies=("extra",))
    found = findings(live, known)
    assert {each.verdict for each in found.values()} == {"pass"}
    assert found["GBY-V025"].detail.endswith("AdministratorAccess, inline policy extra")
    assert verdicts(live, replace(known, known_inline_policies=()))["GBY-V025"] == "fail"


def test_another_modules_role() -> None:
    live = role(policies=(replace(OWN_POLICY, document=ALL), *GUIDE, attached("AdministratorAccess", ALL)))
    assert verdicts(live, own_module=False) == {"GBY-V025": "warn"}
    assert "GBY-V027" not in findings(live, own_module=False)


def test_what_may_not_be_read_is_unknown() -> None:
    said = "the caller may not call iam:ListAttachedRolePolicies"
    found = verdicts(role(policies=(), unlisted_attached=said))
    assert found == {f"GBY-V0{n}": "unknown" for n in (20, 21, 22, 25, 27)}
    assert verdicts(role(unlisted_inline=said)) == {"GBY-V022": "unknown", "GBY-V025": "unknown"}
    unread = replace(OWN_POLICY, document=None, unread="the caller may not call iam:GetPolicyVersion")
    assert verdicts(role(policies=(unread, *GUIDE)))["GBY-V027"] == "unknown"
    hidden = attached("IAMFullAccess", None, unread="the caller may not call iam:GetPolicyVersion")
    hidden = replace(hidden, document=None)
    live = role(policies=(OWN_POLICY, *(p for p in GUIDE if "IAM" not in p.name), hidden))
    assert verdicts(live) == {"GBY-V021": "unknown", "GBY-V022": "unknown"}
    nothing = role(trust=LiveDocument("trust", "trust", None, unread="no"), max_session_seconds=None, unread="no")
    found = verdicts(nothing)
    assert {found[f"GBY-V0{n}"] for n in (23, 24, 26)} == {"unknown"}


def test_session_length() -> None:
    assert verdicts(role(max_session_seconds=3600)) == {"GBY-V026": "warn"}
    assert verdicts(role(max_session_seconds=3600), Role(max_session_hours=1)) == {}


def proof(live: LiveRole, external_id: str = ID) -> Proof:
    caller = Caller(HOME, f"arn:aws:iam::{HOME}:user/ada")
    found = verify(RoleSubject(live, Secret(external_id), Role(), "us-east-1", NOON))
    return Proof("ml-prod", live, caller, GRID_ACCOUNT_ID, Secret(external_id), found, NOON)


def test_the_external_id_is_hidden_even_in_a_sid() -> None:
    live = role(admit(), admit("666666666666", Sid=ID))
    made = proof(live)
    shown = repr(made) + json.dumps(attestation(made)) + str(verify_rows(made)) + json.dumps(verify_json(made))
    assert ID not in shown
    assert "Sid [secret]" in shown
    short = proof(role(admit(ids="ok")), "ok")
    assert {each.code for each in short.findings if each.verdict != "pass"} == {"GBY-V014"}


def test_the_proof_is_shown() -> None:
    good = proof(role())
    columns, rows = verify_rows(good)
    assert columns == ("code", "check", "verdict", "found")
    assert rows[0][:3] == ("GBY-V001", "control plane admitted", "pass")
    assert verify_summary(good) == f"Proven: {ROLE}, 22 pass."
    assert good.holds(strict=True)
    warned = proof(role(max_session_seconds=3600))
    assert verify_summary(warned).startswith("Proven, with remarks: ")
    assert warned.holds(strict=False)
    assert not warned.holds(strict=True)
    bad = proof(role(admit(ids=None)))
    assert verify_summary(bad) == f"The proof fails: {ROLE}, 18 pass, 4 fail."
    assert "bootstrap" in {row[0]: row[3] for row in verify_rows(bad)[1]}["GBY-V002"]
    assert not bad.holds(strict=False)
    assert verify_json(bad)["verdict"] == "fail"
    unsure = proof(role(max_session_seconds=None))
    assert verify_summary(unsure).startswith("Not everything could be proven: ")
    assert unsure.holds(strict=False)


def test_the_attestation(tmp_path: Path) -> None:
    target = tmp_path / "proof.json"
    write_attestation(target, proof(role(boundary=boundary(ALL))))
    assert target.stat().st_mode & 0o777 == 0o600
    text = target.read_text()
    assert ID not in text
    filed = json.loads(text)
    assert filed["type"] == "gridbyoc-attestation/1"
    assert filed["time"] == "2026-11-02T12:00:00+00:00"
    assert (filed["account_id"], filed["partition"], filed["role_arn"]) == (HOME, "aws", ROLE)
    assert filed["caller_arn"].endswith("user/ada")
    assert filed["tool"]["version"]
    assert filed["external_id_checked"] is True
    assert [policy["name"] for policy in filed["policies"]] == [policy.name for policy in (OWN_POLICY, *GUIDE)]
    assert filed["policies"][0]["version"] == "v1"
    assert filed["permissions_boundary"]["kind"] == "boundary"
    assert len(filed["findings"]) == 22
    rotated = attestation(proof(role(admit(ids="another-external-id")), "another-external-id"))
    assert rotated["trust_policy"] == filed["trust_policy"]
    widened = copy.deepcopy(admit())
    widened["Principal"]["AWS"] = "*"
    assert attestation(proof(role(widened)))["trust_policy"] != filed["trust_policy"]
    unread = attestation(proof(role(trust=LiveDocument("trust", "trust", None, unread="no"))))
    assert unread["external_id_checked"] is False
    assert unread["trust_policy"] == {"kind": "trust", "sha256": None, "unread": "no"}


def test_words() -> None:
    assert worst([]) == "pass"
    assert worst(["warn", "unknown"]) == "unknown"
    assert enumerated(["a", "a", "b"]) == "a, b"
    assert enumerated("abcdefgh", limit=3) == "a, b, c and 5 more"
