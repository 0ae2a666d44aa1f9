"""The findings of the proof: what each says of a role that is right, and of one that somebody has edited."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.aws import Caller
from gridbyoc.aws.live_role import LiveDocument, LiveRole
from gridbyoc.show.verify import verify_object, verify_rows, verify_summary
from gridbyoc.stack.model import Role
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import enumerated
from gridbyoc.steps.attestation import attestation, write_attestation
from gridbyoc.steps.verdict import worst
from gridbyoc.steps.verify import Proof, verify
from gridbyoc.steps.verify_model import VerifyFinding
from gridbyoc.vendors import facts_of

MANAGED_POLICIES = facts_of("grid").permissions.managed_policies
GRID_ACCOUNT_ID = facts_of("grid").trusted_account.account_id

ID = "canary-external-id"
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


def findings(live: LiveRole, declared: Role | None = None, **more: Any) -> dict[str, VerifyFinding]:
    found = verify(live, Secret(ID), declared or Role(), region="us-east-1", now=NOON, **more)
    assert not any(ID in repr(finding) for finding in found)
    return {finding.code: finding for finding in found}


def verdicts(live: LiveRole, declared: Role | None = None, **more: Any) -> dict[str, str]:
    """What does not pass."""
    found = findings(live, declared, **more)
    return {code: finding.verdict for code, finding in found.items() if finding.verdict != "pass"}


def test_the_modules_role_passes_whole() -> None:
    found = findings(role())
    assert set(found) == {*(f"GBY-V{n:03}" for n in range(1, 13)), *(f"GBY-V{n:03}" for n in range(20, 28))}
    assert {finding.verdict for finding in found.values()} == {"pass"}
    assert list(found) == sorted(found)
    assert "statement 1 of the trust policy allows it" in found["GBY-V001"].detail
    assert found["GBY-V026"].detail == "a session may last 12 h"


def test_every_partition() -> None:
    arn = ROLE.replace("arn:aws:", "arn:aws-cn:")
    trust = document(admit(ROOT.replace("arn:aws:", "arn:aws-cn:")))
    policies = tuple(replace(each, name=each.name.replace("arn:aws:", "arn:aws-cn:")) for each in (OWN_POLICY, *GUIDE))
    assert verdicts(role(arn=arn, trust=LiveDocument("trust", "trust", trust), policies=policies)) == {}
    other = verdicts(role(arn=arn))
    assert (other["GBY-V001"], other["GBY-V020"], other["GBY-V025"]) == ("fail", "fail", "fail")


@pytest.mark.parametrize(
    "trust,expected,named,said",
    [
        ([admit(ids=None)], {"GBY-V002", "GBY-V003", "GBY-V004", "GBY-V009"}, "GBY-V002", "without an external id"),
        ([admit(ids="another-id")], {"GBY-V001"}, None, ""),
        ([admit(f"arn:aws:iam::{HOME}:root")], {"GBY-V001", "GBY-V006"}, "GBY-V006", "does not declare"),
        ([admit(), admit("666666666666", Sid="Backdoor")], {"GBY-V006"}, "GBY-V006", "trusts 666666666666, which"),
        (
            [admit(), admit("arn:aws:iam::666666666666:user/eve", None, Sid="Backdoor")],
            {"GBY-V006", "GBY-V007", "GBY-V009"},
            "GBY-V007",
            "admits arn:aws:iam::666666666666:user/eve without an external id",
        ),
        ([admit("*")], {"GBY-V005", "GBY-V008"}, "GBY-V008", "trusts *: everybody"),
        ([admit(), admit("*", None)], {f"GBY-V00{n}" for n in (2, 3, 4, 5, 8, 9)}, "GBY-V005", "a stranger"),
        ([admit(), {**admit(ids=None), "Principal": {"Service": "ec2.amazonaws.com"}}], {"GBY-V006", "GBY-V009"},
         "GBY-V006", "trusts Service ec2.amazonaws.com"),
        ([admit(ids=None, Condition={"StringLike": {"sts:ExternalId": "canary-*"}})],
         {"GBY-V003", "GBY-V008"}, "GBY-V008", "looks like a pattern"),
        ([admit(ids=None, Condition={"StringEqualsIfExists": {"sts:ExternalId": ID}})], {"GBY-V002", "GBY-V009"},
         "GBY-V009", "asks for the external id with StringEqualsIfExists"),
        ([admit(ids=None, Condition={"ForAllValues:StringEquals": {"sts:ExternalId": ID}})],
         {"GBY-V002", "GBY-V004", "GBY-V009"}, "GBY-V002", "is admitted"),
        ([admit(ids=None, Condition={"Null": {"sts:ExternalId": "false"}})], {"GBY-V003", "GBY-V009"},
         "GBY-V009", "asks for the external id with Null"),
        ([admit(ids=None, Condition={"StringEqualsIgnoreCase": {"sts:ExternalId": ID}})], {"GBY-V003"},
         "GBY-V003", "with another external id"),
        ([admit(), {**admit(), "Effect": "Deny", "Sid": "Lockdown"}], {"GBY-V001"}, "GBY-V001", "(Sid Lockdown)"),
        ([admit(), {"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": ROOT}}],
         {"GBY-V009", "GBY-V010"}, "GBY-V010", "uses NotPrincipal"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_trust_policy_fails_and_names_the_statement(
    trust: list[dict[str, Any]], expected: set[str], named: str | None, said: str
) -> None:
    found = findings(role(*trust))
    assert {code for code, finding in found.items() if finding.verdict == "fail"} == expected
    if named:
        assert said in found[named].detail
        assert found[named].statements
        assert found[named].fix
        number = len(trust)
        assert f"statement {number}" in " ".join(found[named].statements)


def test_an_edit_out_of_band_names_the_sid() -> None:
    found = findings(role(admit(), admit("arn:aws:iam::666666666666:root", Sid="Backdoor")))
    assert found["GBY-V006"].statements == ("statement 2 (Sid Backdoor) of the trust policy",)


def test_what_is_worth_a_word_is_a_warning() -> None:
    assert verdicts(role(admit(), admit("AROAIIAAAAAAAAAAAAAAA"))) == {"GBY-V006": "warn"}
    assert verdicts(role(admit([ROOT, ROOT.replace("root", "role/one")]))) == {"GBY-V006": "warn"}
    assert verdicts(role(admit(Action=["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]))) == {}
    assert verdicts(role(admit(Action="sts:*"))) == {"GBY-V012": "warn"}
    assert verdicts(role(admit(ids=[ID, "old"]))) == {"GBY-V011": "warn"}
    like = admit(ids=None, Condition={"StringLike": {"sts:ExternalId": ID}})
    assert verdicts(role(like)) == {"GBY-V009": "warn"}
    denied = {"Effect": "Deny", "NotAction": "sts:AssumeRole", "Principal": "*"}
    assert verdicts(role(admit(), denied)) == {"GBY-V010": "warn"}
    tagging = {"Effect": "Allow", "Action": "sts:TagSession", "Principal": {"AWS": ROOT}}
    assert verdicts(role(admit(), tagging)) == {}


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
    everybody = Role(trusted_principals_without_external_id=(ROOT,))
    assert verdicts(role(admit(), admit(ROOT, None)), everybody)["GBY-V002"] == "fail"


def test_what_cannot_be_told_is_unknown() -> None:
    address = admit(Condition={"StringEquals": {"sts:ExternalId": ID}, "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})
    assert verdicts(role(address)) == {"GBY-V001": "unknown"}
    organisation = {**admit(ids=None, Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}), "Principal": "*"}
    found = verdicts(role(admit(), organisation))
    assert found["GBY-V005"] == "unknown"
    assert found["GBY-V008"] == "fail"
    one = role(admit(), admit(CI, None, Condition={"Bool": {"aws:ViaAWSService": "true"}}))
    assert verdicts(one)["GBY-V007"] == "unknown"
    over = admit(Condition={"StringEquals": {"sts:ExternalId": ID}, "DateLessThan": {"aws:CurrentTime": "2026-01-01"}})
    assert verdicts(role(over)) == {"GBY-V001": "fail"}


@pytest.mark.parametrize("document", [None, {"Statement": "nonsense"}])
def test_a_trust_policy_that_is_not_read_proves_nothing(document: dict[str, Any] | None) -> None:
    trust = LiveDocument("trust", "trust", document, unread="" if document else "the caller may not call iam:GetRole")
    found = findings(role(trust=trust))
    assert {found[f"GBY-V{n:03}"].verdict for n in range(1, 13)} == {"unknown"}
    assert "could not be " in found["GBY-V001"].detail


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
    found = verify(live, Secret(external_id), Role(), region="us-east-1", now=NOON)
    return Proof("ml-prod", live, caller, GRID_ACCOUNT_ID, Secret(external_id), found, NOON)


def test_the_external_id_is_hidden_even_in_a_sid() -> None:
    live = role(admit(), admit("666666666666", Sid=ID))
    made = proof(live)
    shown = repr(made) + json.dumps(attestation(made)) + str(verify_rows(made)) + json.dumps(verify_object(made))
    assert ID not in shown
    assert "Sid [secret]" in shown
    short = proof(role(admit(ids="ok")), "ok")
    assert short.verdict == "pass"


def test_the_proof_is_shown() -> None:
    good = proof(role())
    columns, rows = verify_rows(good)
    assert columns == ("code", "check", "verdict", "found")
    assert rows[0][:3] == ("GBY-V001", "control plane admitted", "pass")
    assert verify_summary(good) == f"Proven: {ROLE}, 20 pass."
    assert good.holds(strict=True)
    warned = proof(role(max_session_seconds=3600))
    assert verify_summary(warned).startswith("Proven, with remarks: ")
    assert warned.holds(strict=False)
    assert not warned.holds(strict=True)
    bad = proof(role(admit(ids=None)))
    assert verify_summary(bad) == f"The proof fails: {ROLE}, 16 pass, 4 fail."
    assert "bootstrap" in {row[0]: row[3] for row in verify_rows(bad)[1]}["GBY-V002"]
    assert not bad.holds(strict=False)
    assert verify_object(bad)["verdict"] == "fail"
    unsure = proof(role(max_session_seconds=None))
    assert verify_summary(unsure).startswith("Not all could be proven: ")
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
    assert len(filed["findings"]) == 20
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
