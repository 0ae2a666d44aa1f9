"""What IAM's simulator answers, and what the preflight makes of it: allowed, denied by what, or not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gridbyoc.aws import Caller
from gridbyoc.aws.live_role import likely_boundaries
from gridbyoc.aws.permissions import Need, simulate
from gridbyoc.aws.permissions.simulate import ACTIONS_A_CALL
from gridbyoc.operations.finding import Finding
from gridbyoc.operations.preflight.examine import blocks
from gridbyoc.operations.preflight.model import PreflightContext, Shared
from gridbyoc.operations.preflight.permissions import CHECKS
from gridbyoc.stack.model import Role
from tests.unit.preflight_kit import refusal, results, scene_of
from tests.unit.render_stacks import REGISTRY, S3, stack

ACCOUNT = "123456789012"
Answering = Callable[[str, str], dict[str, Any]]


def allowed(_action: str, _resource: str) -> dict[str, Any]:
    return {"EvalDecision": "allowed"}


def only(action: str, **answer: Any) -> Answering:
    """That action is answered so, and all others are allowed."""
    return lambda asked, _resource: {"EvalDecision": "implicitDeny", **answer} if asked == action else allowed("", "")


@dataclass
class Iam:
    """A simulator with given answers, a page for every two results; ``policies`` are the account's own."""

    answering: Answering = allowed
    error: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    policies: Iterable[dict[str, Any]] | None = ()

    def get_paginator(self, operation: str) -> Any:
        if operation == "list_policies":
            return self.Policies(self.policies)
        assert operation == "simulate_principal_policy"
        return self

    @dataclass
    class Policies:
        found: Iterable[dict[str, Any]] | None

        def paginate(self, Scope: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - boto3's name
            assert Scope == "Local"
            if self.found is None:
                raise refusal("ListPolicies", "AccessDenied")
            for policy in self.found:
                yield {"Policies": [policy]}

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        self.asked.append(given)
        if self.error:
            raise refusal("SimulatePrincipalPolicy", self.error)
        (resource,) = given["ResourceArns"]
        found = [
            {"EvalActionName": action, "EvalResourceName": resource, **self.answering(action, resource)}
            for action in given["ActionNames"]
        ]
        for start in range(0, len(found), 2):
            yield {"EvaluationResults": found[start : start + 2]}

    def get_role(self, RoleName: str) -> Any:  # noqa: N803 - boto3's name
        raise refusal("GetRole", "AccessDenied")


class S3Client:
    """A bucket's policy, or the error in its place; a state in it, or the error of that."""

    def __init__(self, error: str = "", state: str = "") -> None:
        self.error = error
        self.state = state

    def head_object(self, Bucket: str, Key: str) -> Any:  # noqa: N803 - boto3's names
        if self.state:
            raise refusal("HeadObject", self.state)
        return {"ETag": f"{Bucket}/{Key}"}

    def get_bucket_policy(self, Bucket: str) -> Any:  # noqa: N803 - boto3's name
        if self.error:
            raise refusal("GetBucketPolicy", self.error)
        return {"Policy": "{}"}


def found(scene: PreflightContext) -> list[Finding]:
    return [finding for findings in results(scene, CHECKS).values() for finding in findings]


def as_caller(scene: PreflightContext, arn: str) -> PreflightContext:
    return replace(scene, caller=Shared(lambda: Caller(ACCOUNT, arn)))


def test_everything_allowed_is_one_line_with_the_numbers() -> None:
    iam = Iam()
    told = found(scene_of(stack(backend=S3), iam=iam))
    assert [(finding.code, finding.verdict) for finding in told] == [
        ("GBY-P001", "pass"),
        ("GBY-P002", "pass"),
        ("GBY-P003", "pass"),
    ]
    numbers = told[1].facts
    assert told[1].detail == f"{numbers['actions']} actions on {numbers['resources']} resources, all allowed"
    assert numbers["actions"] > 25


def test_the_request_is_asked_about_as_it_will_be_made() -> None:
    iam = Iam()
    found(scene_of(stack(backend=replace(S3, region="eu-west-1")), iam=iam))
    contexts = {
        (action, call["ResourceArns"][0]): {
            entry["ContextKeyName"]: (entry["ContextKeyValues"][0], entry["ContextKeyType"])
            for entry in call["ContextEntries"]
        }
        for call in iam.asked
        for action in call["ActionNames"]
    }
    role = f"arn:aws:iam::{ACCOUNT}:role/grid-cloud-20260101000000000000000001"
    attach = contexts[("iam:AttachRolePolicy", role)]
    assert attach["iam:PolicyARN"][0].startswith("arn:aws:iam::")
    assert "*" not in attach["iam:PolicyARN"][0]
    assert attach["aws:RequestedRegion"] == ("us-east-1", "string")
    assert attach["aws:SecureTransport"] == ("true", "boolean")
    state = contexts[("s3:GetObject", "arn:aws:s3:::acme-tf-state/gridbyoc/ml.tfstate")]
    assert state["aws:RequestedRegion"][0] == "eu-west-1"
    assert all("*" not in call["ResourceArns"][0].strip("*") for call in iam.asked)
    assert all(len(call["ActionNames"]) <= ACTIONS_A_CALL for call in iam.asked)


@pytest.mark.parametrize(
    ("answer", "verdict", "by", "words"),
    [
        ({}, "fail", "identity", "no policy of the caller allows it"),
        (
            {"EvalDecision": "explicitDeny", "MatchedStatements": [{"SourcePolicyId": "guard"}]},
            "fail",
            "explicit",
            "denies it explicitly: guard",
        ),
        (
            {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}},
            "fail",
            "boundary",
            "boundary",
        ),
        (
            # https://github.com/aws/aws-sdk/issues/102: of policies with conditions it says so of what AWS allows
            {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}},
            "warn",
            "scp",
            "simulator says that a service control policy",
        ),
        ({"MissingContextValues": ["aws:SourceIp"]}, "unknown", "", "right aws:SourceIp"),
        (
            {"ResourceSpecificResults": [{"MissingContextValues": ["aws:ViaAWSService"]}]},
            "unknown",
            "",
            "ViaAWSService",
        ),
    ],
)
def test_a_denial_says_what_denies_what_for_and_on_which_resource(
    answer: dict[str, Any], verdict: str, by: str, words: str
) -> None:
    scene = scene_of(stack(), iam=Iam(only("iam:CreateRole", **answer)))
    (finding,) = [finding for finding in found(scene) if finding.code in ("GBY-P002", "GBY-P004")]
    assert (finding.code == "GBY-P004") == (by == "scp")
    assert (finding.verdict, finding.subject, finding.facts["denied_by"]) == (verdict, "iam:CreateRole", by)
    assert words in finding.detail
    assert f"arn:aws:iam::{ACCOUNT}:role/grid-cloud-*" in finding.detail
    assert "aws_iam_role: create" in finding.needed
    assert blocks([finding]) == (verdict == "fail")


KEY = "iam:PermissionsBoundary"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"


@pytest.mark.parametrize("decision", ["implicitDeny", "explicitDeny"])
@pytest.mark.parametrize("missing", [[KEY], ["IAM:permissionsBoundary"]])
def test_a_rule_that_demands_a_boundary_fails_and_names_the_setting(decision: str, missing: list[str]) -> None:
    """The request of a stack without a boundary carries no such key: what is denied without it is denied."""
    answering = only("iam:CreateRole", EvalDecision=decision, MissingContextValues=missing)
    told = found(scene_of(stack(), iam=Iam(answering)))
    (finding,) = [finding for finding in told if finding.code == "GBY-P002"]
    assert (finding.verdict, finding.subject, finding.facts["denied_by"]) == ("fail", "iam:CreateRole", "no boundary")
    assert "the stack's role has no boundary" in finding.detail
    assert "role.permissions_boundary" in finding.fix
    assert finding.at == ("role", "permissions_boundary")


def test_a_stack_with_a_boundary_or_a_condition_on_more_than_that_proves_nothing() -> None:
    answering = only("iam:CreateRole", MissingContextValues=[KEY, "aws:SourceIp"])
    told = found(scene_of(stack(), iam=Iam(answering)))
    (finding,) = [finding for finding in told if finding.code == "GBY-P002"]
    assert (finding.verdict, "aws:SourceIp" in finding.detail, KEY in finding.detail) == ("unknown", True, False)
    bounded = stack(role=Role(permissions_boundary=BOUNDARY))
    told = found(scene_of(bounded, iam=Iam(only("iam:CreateRole", MissingContextValues=[]))))
    (finding,) = [finding for finding in told if finding.subject == "iam:CreateRole"]
    assert finding.facts["denied_by"] == "identity"


@pytest.mark.parametrize("lifted", [True, False])
def test_an_scp_that_lets_a_bounded_role_through_demands_a_boundary(lifted: bool) -> None:
    class Organization(Iam):
        def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
            keys = {entry["ContextKeyName"] for entry in given["ContextEntries"]}
            yield from (Iam() if lifted and KEY in keys else super()).paginate(**given)

    denied = only("iam:CreateRole", OrganizationsDecisionDetail={"AllowedByOrganizations": False})
    told = found(scene_of(stack(), iam=Organization(denied)))
    (finding,) = [finding for finding in told if finding.subject == "iam:CreateRole"]
    assert (finding.code, finding.verdict) == (("GBY-P002", "fail") if lifted else ("GBY-P004", "warn"))
    assert "role.permissions_boundary" in finding.fix


def a_policy(name: str, **more: int) -> dict[str, Any]:
    return {"Arn": f"arn:aws:iam::{ACCOUNT}:policy/{name}", "PolicyName": name, **more}


OWN = [a_policy("data"), a_policy("team-Boundary"), a_policy("guard", PermissionsBoundaryUsageCount=3)]
BY_SCP = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}
BY_IDENTITY = {"EvalDecision": "explicitDeny", "MatchedStatements": [{"SourcePolicyId": "house"}]}


@dataclass
class HouseRule(Iam):
    """It denies a new role unless its boundary is one of ``accepted``; ``tried`` are those that it was asked about."""

    accepted: tuple[str, ...] = ()
    tried: list[str] = field(default_factory=list)

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        found = [
            one
            for entry in given["ContextEntries"]
            if entry["ContextKeyName"] == KEY
            for one in entry["ContextKeyValues"]
        ]
        self.tried += found
        good = {f"arn:aws:iam::{ACCOUNT}:policy/{name}" for name in self.accepted}
        yield from (Iam() if good & set(found) else super()).paginate(**given)


@pytest.mark.parametrize(
    ("of_the_stack", "answer"),
    [
        ("", BY_SCP),
        ("", {**BY_IDENTITY, "MissingContextValues": [KEY]}),
        ("", {"MissingContextValues": [KEY]}),
        ("other", BY_SCP),
        ("other", BY_IDENTITY),
        ("other", {}),
    ],
)
@pytest.mark.parametrize("accepted", [("guard",), ("guard", "data")])
def test_a_rule_that_demands_a_certain_boundary_fails_and_names_it(
    of_the_stack: str, answer: dict[str, Any], accepted: tuple[str, ...]
) -> None:
    iam = HouseRule(only("iam:CreateRole", **answer), policies=OWN, accepted=accepted)
    role = Role(permissions_boundary=f"arn:aws:iam::{ACCOUNT}:policy/{of_the_stack}") if of_the_stack else Role()
    told = found(scene_of(stack(role=role), iam=iam))
    (finding,) = [finding for finding in told if finding.subject == "iam:CreateRole"]
    assert (finding.code, finding.verdict) == ("GBY-P002", "fail")
    assert finding.facts["denied_by"] == ("other boundary" if of_the_stack else "no boundary")
    arns = [f"arn:aws:iam::{ACCOUNT}:policy/{name}" for name in accepted]
    assert finding.facts["boundaries"] == arns
    assert "Set role.permissions_boundary to " in finding.fix
    assert f"{', '.join(arns)}." in finding.fix
    assert of_the_stack in finding.detail
    assert finding.at == ("role", "permissions_boundary")
    assert blocks([finding])


@pytest.mark.parametrize(
    ("policies", "verdict"),
    [(OWN, "warn"), ([a_policy(f"p{number}") for number in range(50)], "warn"), (None, "unknown")],
)
def test_an_scp_that_no_boundary_lifts_proves_nothing(policies: list[dict[str, Any]] | None, verdict: str) -> None:
    iam = HouseRule(only("iam:CreateRole", **BY_SCP), policies=policies)
    told = found(scene_of(stack(), iam=iam))
    (finding,) = [finding for finding in told if finding.subject == "iam:CreateRole"]
    assert (finding.code, finding.verdict, finding.facts["denied_by"]) == ("GBY-P004", verdict, "scp")
    assert ("the caller may not call iam:ListPolicies" in finding.detail) == (policies is None)
    assert len(iam.tried) == 1 + min(len(policies or ()), 20)
    assert not blocks([finding])


def test_what_iam_does_not_answer_about_a_boundary_lifts_nothing() -> None:
    class Busy(HouseRule):
        def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
            if any(entry["ContextKeyName"] == KEY for entry in given["ContextEntries"]):
                raise refusal("SimulatePrincipalPolicy", "Throttling")
            yield from super().paginate(**given)

    told = found(scene_of(stack(), iam=Busy(only("iam:CreateRole", **BY_SCP), policies=OWN)))
    (finding,) = [finding for finding in told if finding.subject == "iam:CreateRole"]
    assert (finding.code, finding.verdict, finding.facts["boundaries"]) == ("GBY-P004", "warn", [])


def test_the_likeliest_boundaries_are_tried_first() -> None:
    iam = HouseRule(policies=OWN)
    names = [arn.rpartition("/")[2] for arn in likely_boundaries(scene_of(stack(), iam=iam).session()) or ()]
    assert names == ["guard", "team-Boundary", "data"]


@pytest.mark.parametrize(
    "answer",
    [
        {"EvalDecision": "explicitDeny"},
        {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}},
    ],
)
def test_what_is_denied_without_mfa_proves_nothing_of_a_session(answer: dict[str, Any]) -> None:
    class WithMfa(Iam):
        def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
            keys = {entry["ContextKeyName"] for entry in given["ContextEntries"]}
            mfa = "aws:MultiFactorAuthPresent" in keys
            yield from (Iam() if mfa else super()).paginate(**given)

    told = found(scene_of(stack(), iam=WithMfa(only("iam:CreateRole", **answer))))
    (finding,) = [finding for finding in told if finding.code == "GBY-P002"]
    assert (finding.verdict, finding.subject) == ("unknown", "iam:CreateRole")
    assert "unless the session was made with MFA" in finding.detail


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling", "NoSuchEntity", "ServiceFailure"])
def test_what_iam_does_not_tell_is_unknown_once_and_blocks_nothing(code: str) -> None:
    told = found(scene_of(stack(), iam=Iam(error=code)))
    assert [(finding.code, finding.verdict) for finding in told] == [("GBY-P001", "unknown")]
    assert ("may not call" in told[0].detail) == (code == "AccessDenied")


def test_where_a_part_is_not_told_the_rest_is_judged_and_nothing_is_called_complete() -> None:
    class Busy(Iam):
        def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
            if "iam:CreatePolicy" in given["ActionNames"]:
                raise refusal("SimulatePrincipalPolicy", "Throttling")
            yield from super().paginate(**given)

    told = found(scene_of(stack(), iam=Busy(only("iam:CreateRole"))))
    assert {(finding.code, finding.verdict, finding.subject) for finding in told} == {
        ("GBY-P001", "unknown", ""),
        ("GBY-P002", "fail", "iam:CreateRole"),
    }


def test_an_error_that_nobody_expects_makes_every_kind_unknown() -> None:
    told = found(scene_of(stack(), iam=Iam(error="Surprise")))
    assert {(finding.code, finding.verdict) for finding in told} == {
        ("GBY-P001", "unknown"),
        ("GBY-P002", "unknown"),
        ("GBY-P003", "unknown"),
        ("GBY-P004", "unknown"),
    }


@pytest.mark.parametrize(
    ("error", "verdict"), [("NoSuchBucketPolicy", "fail"), ("", "unknown"), ("AccessDenied", "unknown")]
)
def test_a_bucket_with_a_policy_of_its_own_leaves_room_for_doubt(error: str, verdict: str) -> None:
    iam = Iam(only("s3:ListBucket"))
    scene = scene_of(stack(backend=S3), iam=iam, s3=S3Client(error))
    (finding,) = [finding for finding in found(scene) if finding.code == "GBY-P002"]
    assert (finding.verdict, finding.subject) == (verdict, "s3:ListBucket")
    assert ("own policy" in finding.detail or "bucket's policy" in finding.detail) == (verdict == "unknown")


def _of(told: list[Finding], action: str) -> str:
    return next(finding.verdict for finding in told if finding.subject == action)


@pytest.mark.parametrize("action", ["iam:DeleteRole", "iam:UntagRole", "iam:RemoveRoleFromInstanceProfile"])
def test_what_a_bootstrap_may_never_call_does_not_stop_it(action: str) -> None:
    assert _of(found(scene_of(stack(), iam=Iam(only(action)))), action) == "warn"


@pytest.mark.parametrize(
    ("action", "has_role", "bootstrap", "plan"),
    [
        ("iam:CreateRole", False, "fail", "warn"),
        ("iam:TagRole", False, "fail", "warn"),
        ("iam:CreateRole", True, "warn", "warn"),  # a cluster is added by somebody who may only read IAM
        ("iam:GetRole", True, "fail", "fail"),
        ("iam:GetRole", False, "fail", "warn"),  # a plan of what is not there reads nothing
        ("iam:GetRolePolicy", True, "warn", "warn"),
    ],
)
def test_a_role_that_stands_is_read_and_one_that_does_not_is_made(
    action: str, has_role: bool, bootstrap: str, plan: str
) -> None:
    scene = replace(scene_of(stack(), iam=Iam(only(action))), has_role=has_role)
    assert _of(found(scene), action) == bootstrap
    assert _of(found(replace(scene, reads_only=True)), action) == plan


@pytest.mark.parametrize(
    ("head", "verdict"), [("404", "fail"), ("", "warn"), ("403", "warn")], ids=["no state", "a state", "not told"]
)
@pytest.mark.parametrize("action", ["iam:CreateRole", "s3:PutObject"])
def test_with_remote_state_only_its_absence_proves_that_the_role_is_made(action: str, head: str, verdict: str) -> None:
    def answering(asked: str, resource: str) -> dict[str, Any]:
        lock = resource.endswith(".tflock")  # which every run writes
        return allowed("", "") if lock else only(action)(asked, resource)

    scene = scene_of(stack(backend=S3), iam=Iam(answering), s3=S3Client("NoSuchBucketPolicy", head))
    assert _of(found(scene), action) == verdict
    assert _of(found(replace(scene, reads_only=True)), action) == "warn"


def test_a_state_that_is_read_with_another_profile_is_not_the_callers_business() -> None:
    iam = Iam(only("s3:ListBucket"))
    told = found(scene_of(stack(backend=replace(S3, profile="state-account")), iam=iam))
    assert [(finding.code, finding.verdict) for finding in told if finding.code == "GBY-P002"] == [("GBY-P002", "pass")]
    assert not any("tfstate" in call["ResourceArns"][0] for call in iam.asked)


def test_a_keys_own_policy_is_never_proof_against_it() -> None:
    scene = scene_of(stack(backend=replace(S3, kms_key_id="1234")), iam=Iam(only("kms:Decrypt")))
    (finding,) = [finding for finding in found(scene) if finding.code == "GBY-P002"]
    assert (finding.verdict, finding.subject) == ("unknown", "kms:Decrypt")


def test_root_and_federated_users_are_not_simulated() -> None:
    iam = Iam()
    root = found(as_caller(scene_of(stack(), iam=iam), f"arn:aws:iam::{ACCOUNT}:root"))
    federated = found(as_caller(scene_of(stack(), iam=iam), f"arn:aws:sts::{ACCOUNT}:federated-user/ada"))
    assert [(finding.code, finding.verdict) for finding in root] == [("GBY-P001", "pass")]
    assert [(finding.code, finding.verdict) for finding in federated] == [("GBY-P001", "unknown")]
    assert iam.asked == []


def test_a_role_whose_path_may_not_be_read_is_guessed_and_said_so() -> None:
    iam = Iam()
    told = found(as_caller(scene_of(stack(), iam=iam), f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ada"))
    assert {call["PolicySourceArn"] for call in iam.asked} == {f"arn:aws:iam::{ACCOUNT}:role/deploy"}
    assert "its path is not known" in told[0].detail


def test_another_module_is_told_to_be_unknown() -> None:
    told = found(scene_of(stack(module=REGISTRY, backend=S3), iam=Iam()))
    (finding,) = [finding for finding in told if finding.code == "GBY-P002"]
    assert f"the needs of the module {REGISTRY.source} are unknown" in finding.detail


def test_more_actions_than_a_call_takes_are_asked_for_in_several() -> None:
    iam = Iam()
    many = [Need(f"ec2:Describe{number}", "*", "x", "quotas") for number in range(ACTIONS_A_CALL + 5)]
    answers = simulate(scene_of(stack(), iam=iam).session(), f"arn:aws:iam::{ACCOUNT}:user/x", many)
    assert [answer.need for answer in answers] == many
    assert {answer.effect for answer in answers} == {"allowed"}
    assert [len(call["ActionNames"]) for call in iam.asked] == [ACTIONS_A_CALL, 5]


def test_an_action_that_the_simulator_leaves_out_is_not_taken_for_allowed() -> None:
    class Forgetful(Iam):
        def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
            for page in super().paginate(**given):
                yield {"EvaluationResults": [one for one in page["EvaluationResults"] if "Tag" not in str(one)]}

    (finding, *_) = found(scene_of(stack(), iam=Forgetful()))
    assert (finding.code, finding.verdict) == ("GBY-P001", "unknown")
