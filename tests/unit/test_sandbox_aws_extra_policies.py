"""The sandbox's evaluator of IAM policies, its simulator, and what it does to requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.aws.policy import ask as request_of_the_product
from gridbyoc.aws.policy import evaluate as evaluate_as_the_product_does
from gridbyoc.aws.policy import parse_policy
from gridbyoc.sandbox.aws_extra.policy import (
    ALLOWED,
    EXPLICIT,
    IMPLICIT,
    AccessRequest,
    AttachedPolicy,
    Powers,
    decide,
    evaluate,
)
from tests.unit.aws_kit import ACCOUNT, LocalAws, allow, deny, policy

ROLE = f"arn:aws:iam::{ACCOUNT}:role/grid-x"
ADMINISTRATOR = f"arn:aws:sts::{ACCOUNT}:user/moto"
TRUST = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}})


def decided(*statements: dict[str, Any], action: str = "iam:GetRole", resource: str = ROLE, **context: str) -> str:
    keys = {key.replace("__", ":").lower(): [value] for key, value in context.items()}
    return evaluate([of(*statements)], AccessRequest(action, resource, keys)).decision


def of(*statements: dict[str, Any]) -> AttachedPolicy:
    return AttachedPolicy("p", "user", json.loads(policy(*statements)))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (allow("iam:GetRole"), ALLOWED),
        (allow("IAM:getrole"), ALLOWED),
        (allow("iam:*"), ALLOWED),
        (allow("iam:Get?ole"), ALLOWED),
        (allow("*"), ALLOWED),
        (allow("iam:GetRolePolicy"), IMPLICIT),
        (allow("iam.GetRole"), IMPLICIT),
        (allow("iam:Get"), IMPLICIT),
        (allow("iam:GetRole", resource=ROLE), ALLOWED),
        (allow("iam:GetRole", resource=[f"arn:aws:iam::{ACCOUNT}:role/y", "arn:aws:iam::*:role/grid-*"]), ALLOWED),
        (allow("iam:GetRole", resource=ROLE.upper()), IMPLICIT),
        (allow("iam:GetRole", resource="arn:aws:iam::*:user/*"), IMPLICIT),
        ({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, ALLOWED),
        ({"Effect": "Allow", "NotAction": ["iam:Get*"], "Resource": "*"}, IMPLICIT),
        ({"Effect": "Allow", "Action": "iam:*", "NotResource": "arn:aws:iam::*:user/*"}, ALLOWED),
        ({"Effect": "Allow", "Action": "iam:*", "NotResource": [ROLE]}, IMPLICIT),
        (deny("iam:*"), EXPLICIT),
        (deny("iam:GetUser"), IMPLICIT),
    ],
)
def test_what_a_statement_speaks_of(statement: dict[str, Any], expected: str) -> None:
    assert decided(statement) == expected


@pytest.mark.parametrize(
    ("condition", "holds", "missing"),
    [
        ({"StringEquals": {"aws:username": "ada"}}, True, []),
        ({"StringEquals": {"AWS:UserName": ["bob", "ada"]}}, True, []),
        ({"StringEquals": {"aws:username": "Ada"}}, False, []),
        ({"StringEqualsIgnoreCase": {"aws:username": "Ada"}}, True, []),
        ({"StringNotEquals": {"aws:username": "ada"}}, False, []),
        ({"StringNotEquals": {"aws:username": ["bob", "eve"]}}, True, []),
        ({"StringLike": {"aws:username": "a*"}}, True, []),
        ({"StringNotLike": {"aws:username": "a*"}}, False, []),
        ({"ArnLike": {"aws:principalarn": "arn:aws:iam::*:user/ada"}}, True, []),
        ({"StringEquals": {"iam:PassedToService": "eks.amazonaws.com"}}, False, ["iam:PassedToService"]),
        ({"StringEqualsIfExists": {"iam:PassedToService": "eks.amazonaws.com"}}, True, ["iam:PassedToService"]),
        ({"StringNotEquals": {"iam:PassedToService": "eks.amazonaws.com"}}, True, ["iam:PassedToService"]),
        ({"Null": {"iam:PassedToService": "true"}}, True, []),
        ({"Null": {"aws:username": True}}, False, []),
        ({"ForAllValues:StringEquals": {"aws:tagkeys": ["team", "env"]}}, True, []),
        ({"ForAllValues:StringEquals": {"aws:tagkeys": ["team"]}}, False, []),
        ({"ForAnyValue:StringEquals": {"aws:tagkeys": ["team"]}}, True, []),
        ({"ForAnyValue:StringEquals": {"aws:tagkeys": ["owner"]}}, False, []),
        ({"Bool": {"aws:securetransport": "false"}}, True, []),
        ({"NumericLessThan": {"aws:multifactorauthage": "3600"}}, False, ["aws:multifactorauthage"]),
        ({"StringEquals": {"aws:username": "ada"}, "StringLike": {"aws:tagkeys": "x*"}}, False, []),
    ],
)
def test_conditions(condition: dict[str, Any], holds: bool, missing: list[str]) -> None:
    context = {
        "aws:username": ["ada"],
        "aws:principalarn": [f"arn:aws:iam::{ACCOUNT}:user/ada"],
        "aws:tagkeys": ["team", "env"],
        "aws:securetransport": ["false"],
    }
    outcome = evaluate([of(allow("*", Condition=condition))], AccessRequest("iam:GetRole", ROLE, context))
    assert outcome.decision == (ALLOWED if holds else IMPLICIT)
    assert list(outcome.missing) == missing


def test_a_variable_stands_for_its_value_and_for_nothing_where_it_has_none() -> None:
    own = allow("iam:*", resource="arn:aws:iam::*:user/${aws:username}")
    user = f"arn:aws:iam::{ACCOUNT}:user/ada"
    assert decided(own, action="iam:GetUser", resource=user, aws__username="ada") == ALLOWED
    assert decided(own, action="iam:GetUser", resource=user, aws__username="bob") == IMPLICIT
    assert decided(own, action="iam:GetUser", resource=user) == IMPLICIT


@pytest.mark.parametrize(
    ("own", "limit", "expected"),
    [
        ([allow("*")], [allow("iam:*")], ALLOWED),
        ([allow("*")], [allow("s3:*")], IMPLICIT),
        ([allow("*")], [], IMPLICIT),
        ([], [allow("*")], IMPLICIT),
        ([allow("*")], [allow("*"), deny("iam:GetRole")], EXPLICIT),
        ([allow("*"), deny("iam:*")], [allow("*")], EXPLICIT),
    ],
)
def test_a_boundary_allows_nothing_by_itself(own: list[Any], limit: list[Any], expected: str) -> None:
    powers = Powers((of(*own),), (of(*limit),))
    assert decide(powers, AccessRequest("iam:GetRole", ROLE, {})).decision == expected


ACTIONS = st.sampled_from(["iam:GetRole", "iam:CreateRole", "s3:GetObject", "iam:*", "*", "s3:Get*", "IAM:getrole"])
RESOURCES = st.sampled_from(["*", ROLE, "arn:aws:iam::*:role/*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/k"])
STATEMENTS = st.builds(
    lambda effect, action_element, actions, resource_element, resources: {
        "Effect": effect, action_element: actions, resource_element: resources,
    },
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["Action", "Action", "NotAction"]),
    st.lists(ACTIONS, min_size=1, max_size=2),
    st.sampled_from(["Resource", "Resource", "NotResource"]),
    st.lists(RESOURCES, min_size=1, max_size=2),
)  # fmt: skip
REQUESTS = st.builds(
    lambda action, resource: AccessRequest(action, resource, {}),
    st.sampled_from(["iam:GetRole", "s3:GetObject", "ec2:RunInstances"]),
    st.sampled_from([ROLE, "arn:aws:s3:::b/k", "*"]),
)


@given(st.lists(STATEMENTS, max_size=4), REQUESTS)
def test_a_denial_wins_and_an_allowance_takes_nothing_away(statements: list[Any], request: AccessRequest) -> None:
    before = evaluate([of(*statements)], request).decision
    assert evaluate([of(*statements), of(deny("*"))], request).decision == EXPLICIT
    after = evaluate([of(*statements), of(allow("*"))], request).decision
    assert after == (EXPLICIT if before == EXPLICIT else ALLOWED)


@given(st.lists(STATEMENTS, min_size=1, max_size=4), REQUESTS)
def test_it_agrees_with_the_evaluator_that_the_product_has(statements: list[Any], request: AccessRequest) -> None:
    theirs = evaluate_as_the_product_does(
        [parse_policy(policy(*statements), name="p", kind="identity")],
        request_of_the_product(request.action, resource=request.resource),
    )
    assert (evaluate([of(*statements)], request).decision == ALLOWED) == (theirs.effect == "allowed")


def simulated(aws: LocalAws, arn: str, *actions: str, **given: Any) -> dict[str, Any]:
    answer = aws.client("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=list(actions), **given)
    return {result["EvalActionName"]: result for result in answer["EvaluationResults"]}


def test_a_users_own_policies_and_its_groups_count() -> None:
    aws = LocalAws()
    aws.user("ada", allow("iam:Get*"))
    iam = aws.client("iam")
    iam.create_group(GroupName="g")
    iam.put_group_policy(
        GroupName="g", PolicyName="gp", PolicyDocument=policy(allow("s3:GetObject"), deny("iam:GetUser"))
    )
    iam.add_user_to_group(GroupName="g", UserName="ada")
    found = simulated(
        aws, f"arn:aws:iam::{ACCOUNT}:user/ada", "iam:GetRole", "iam:GetUser", "s3:GetObject", "s3:PutObject"
    )
    assert [each["EvalDecision"] for each in found.values()] == [ALLOWED, EXPLICIT, ALLOWED, IMPLICIT]
    assert found["s3:GetObject"]["MatchedStatements"] == [{"SourcePolicyId": "gp", "SourcePolicyType": "group"}]


def test_a_role_is_held_to_its_boundary_and_attached_policies_count() -> None:
    aws = LocalAws()
    iam = aws.client("iam")
    arns = {
        name: iam.create_policy(PolicyName=name, PolicyDocument=policy(allow(action)))["Policy"]["Arn"]
        for name, action in (("limit", "iam:*"), ("own", "*"))
    }
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=arns["limit"])["Role"]
    iam.attach_role_policy(RoleName="r", PolicyArn=arns["own"])
    found = simulated(aws, role["Arn"], "iam:GetRole", "s3:GetObject")
    assert [each["EvalDecision"] for each in found.values()] == [ALLOWED, IMPLICIT]
    assert [each["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for each in found.values()] == [
        True, False,
    ]  # fmt: skip


def test_the_context_of_a_simulation_is_what_it_brings() -> None:
    aws = LocalAws()
    aws.user("ada", allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "eks.amazonaws.com"}}))
    arn = f"arn:aws:iam::{ACCOUNT}:user/ada"
    without = simulated(aws, arn, "iam:PassRole")["iam:PassRole"]
    assert (without["EvalDecision"], without["MissingContextValues"]) == (IMPLICIT, ["iam:PassedToService"])
    entry = {"ContextKeyName": "iam:PassedToService", "ContextKeyValues": ["eks.amazonaws.com"],
             "ContextKeyType": "string"}  # fmt: skip
    assert simulated(aws, arn, "iam:PassRole", ContextEntries=[entry])["iam:PassRole"]["EvalDecision"] == ALLOWED


def test_the_administrator_may_do_everything_but_what_the_organization_denies() -> None:
    found = simulated(LocalAws(denied_by_scp=["iam:Create*"]), ADMINISTRATOR, "iam:CreateRole", "eks:CreateCluster")
    assert [each["EvalDecision"] for each in found.values()] == [EXPLICIT, ALLOWED]
    assert [each["OrganizationsDecisionDetail"]["AllowedByOrganizations"] for each in found.values()] == [False, True]
    assert "OrganizationsDecisionDetail" not in simulated(LocalAws(), ADMINISTRATOR, "iam:CreateRole")["iam:CreateRole"]


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (f"arn:aws:iam::{ACCOUNT}:user/nobody", "NoSuchEntity"),
        (f"arn:aws:iam::{ACCOUNT}:role/nobody", "NoSuchEntity"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/r/session", "InvalidInput"),
        ("arn:aws:iam::aws:policy/ReadOnlyAccess", "InvalidInput"),
    ],
)
def test_only_what_holds_policies_can_be_simulated(arn: str, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        simulated(LocalAws(), arn, "iam:GetRole")
    assert caught.value.response["Error"]["Code"] == code


def test_simulations_come_in_pages_one_result_for_each_action_and_resource() -> None:
    aws = LocalAws()
    pages = aws.client("iam").get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[policy(allow("iam:*", resource=ROLE))], ActionNames=["iam:GetRole", "iam:GetUser"],
        ResourceArns=[ROLE, "*"], PaginationConfig={"PageSize": 3},
    )  # fmt: skip
    sizes, results = [], []
    for page in pages:
        sizes.append(len(page["EvaluationResults"]))
        results += [
            (each["EvalActionName"], each["EvalResourceName"], each["EvalDecision"])
            for each in page["EvaluationResults"]
        ]
    assert sizes == [3, 1]
    assert results == [
        ("iam:GetRole", ROLE, ALLOWED), ("iam:GetRole", "*", IMPLICIT),
        ("iam:GetUser", ROLE, ALLOWED), ("iam:GetUser", "*", IMPLICIT),
    ]  # fmt: skip


def refused(ask: Callable[..., Any], **given: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        ask(**given)
    error = caught.value.response["Error"]
    said = error.get("Message") or error.get("message") or ""
    return str(error["Code"]), str(said), int(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])


USER = f"User: arn:aws:iam::{ACCOUNT}:user/ada is not authorized to perform: "


@pytest.mark.parametrize(
    ("service", "operation", "given", "code", "said", "status"),
    [
        ("iam", "create_role", {"RoleName": "y", "AssumeRolePolicyDocument": TRUST}, "AccessDenied",
         "iam:CreateRole on resource: role y because no identity-based policy allows the iam:CreateRole action", 403),
        ("iam", "delete_role", {"RoleName": "y"}, "AccessDenied",
         "iam:DeleteRole on resource: role y with an explicit deny in an identity-based policy", 403),
        ("iam", "delete_user", {"UserName": "x"}, "AccessDenied",
         "iam:DeleteUser on resource: user x with an explicit deny in a service control policy", 403),
        ("s3", "put_object", {"Bucket": "b", "Key": "k", "Body": b"x"}, "AccessDenied",
         "s3:PutObject on resource: arn:aws:s3:::b/k because no identity-based policy allows the s3:PutObject action",
         403),
        ("s3", "list_objects_v2", {"Bucket": "b"}, "AccessDenied",
         "s3:ListBucket on resource: arn:aws:s3:::b because no identity-based policy allows the s3:ListBucket action",
         403),
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation",
         "ec2:DescribeVpcs because no identity-based policy allows the ec2:DescribeVpcs action", 403),
        ("eks", "describe_cluster", {"name": "c"}, "AccessDeniedException",
         f"eks:DescribeCluster on resource: arn:aws:eks:us-east-1:{ACCOUNT}:cluster/c because no identity-based policy "
         "allows the eks:DescribeCluster action", 403),
        ("service-quotas", "list_services", {}, "AccessDeniedException",
         "servicequotas:ListServices on resource: * because no identity-based policy allows the "
         "servicequotas:ListServices action", 400),
    ],
)  # fmt: skip
def test_a_refusal_is_worded_as_awss(
    service: str, operation: str, given: dict[str, Any], code: str, said: str, status: int
) -> None:
    aws = LocalAws(enforce_iam=True, denied_by_scp=["iam:DeleteUser"])
    key = aws.user("ada", deny("iam:DeleteRole"), allow("iam:DeleteUser", "iam:GetRole"))
    before = "You are not authorized to perform this operation. " if service == "ec2" else ""
    assert refused(getattr(aws.client(service, key), operation), **given) == (code, before + USER + said, status)


def test_what_is_allowed_goes_through_and_who_one_is_can_always_be_asked() -> None:
    aws = LocalAws(enforce_iam=True)
    key = aws.user("ada", allow("iam:CreateRole", resource=f"arn:aws:iam::{ACCOUNT}:role/grid-*"), deny("sts:*"))
    iam = aws.client("iam", key)
    assert iam.create_role(RoleName="grid-x", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"] == ROLE
    assert refused(iam.create_role, RoleName="other", AssumeRolePolicyDocument=TRUST)[0] == "AccessDenied"
    assert aws.client("sts", key).get_caller_identity()["Arn"].endswith(":user/ada")


def test_a_users_boundary_is_kept_shown_and_held_to() -> None:
    aws = LocalAws(enforce_iam=True)
    arn = aws.client("iam").create_policy(PolicyName="limit", PolicyDocument=policy(allow("iam:*")))["Policy"]["Arn"]
    key = aws.user("ada", allow("*"), PermissionsBoundary=arn)
    shown = aws.client("iam").get_user(UserName="ada")["User"]["PermissionsBoundary"]
    assert shown["PermissionsBoundaryArn"] == arn
    aws.client("iam", key).list_roles()
    said = refused(aws.client("s3", key).list_buckets)[1]
    assert said.endswith("because no permissions boundary allows the s3:ListAllMyBuckets action")
    aws.client("iam").delete_user_permissions_boundary(UserName="ada")
    aws.client("s3", key).list_buckets()


def test_no_user_is_made_with_a_boundary_that_there_is_not() -> None:
    iam = LocalAws().client("iam")
    code, said, *_ = refused(iam.create_user, UserName="ada", PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/none")
    assert (code, said.startswith("Scope ARN: ")) == ("NoSuchEntity", True)
    assert iam.list_users()["Users"] == []


def test_tags_and_passed_roles_need_actions_of_their_own() -> None:
    aws = LocalAws(enforce_iam=True)
    key = aws.user("ada", allow("iam:CreateRole", "eks:CreateCluster"))
    tagged = {"RoleName": "y", "AssumeRolePolicyDocument": TRUST, "Tags": [{"Key": "team", "Value": "ml"}]}
    assert "iam:TagRole on resource: role y" in refused(aws.client("iam", key).create_role, **tagged)[1]
    cluster = {"name": "c", "roleArn": ROLE, "resourcesVpcConfig": {}}
    assert f"iam:PassRole on resource: {ROLE}" in refused(aws.client("eks", key).create_cluster, **cluster)[1]


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [("iam", "list_roles", "InvalidClientTokenId", 403), ("sts", "get_caller_identity", "InvalidClientTokenId", 403),
     ("ec2", "describe_vpcs", "AuthFailure", 401), ("s3", "list_buckets", "InvalidAccessKeyId", 403),
     ("service-quotas", "list_services", "UnrecognizedClientException", 400)],
)  # fmt: skip
def test_a_key_that_is_nobodys(service: str, operation: str, code: str, status: int) -> None:
    found = refused(getattr(LocalAws(enforce_iam=True).client(service, "AKIAIOSFODNN7EXAMPLE"), operation))
    assert (found[0], found[2]) == (code, status)


def test_a_key_that_is_switched_off_is_nobodys() -> None:
    aws = LocalAws(enforce_iam=True)
    key = aws.user("ada", allow("*"))
    aws.client("iam").update_access_key(UserName="ada", AccessKeyId=key, Status="Inactive")
    assert refused(aws.client("iam", key).list_roles)[0] == "InvalidClientTokenId"


def test_an_assumed_role_has_its_roles_powers() -> None:
    aws = LocalAws(enforce_iam=True)
    iam = aws.client("iam")
    iam.create_role(RoleName="grid-x", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="grid-x", PolicyName="p", PolicyDocument=policy(allow("iam:ListRoles")))
    key = aws.user("ada", allow("sts:AssumeRole", resource=ROLE))
    assert refused(aws.client("iam", key).list_roles)[0] == "AccessDenied"
    keys = aws.client("sts", key).assume_role(RoleArn=ROLE, RoleSessionName="session")["Credentials"]
    as_role = aws.client("iam", keys["AccessKeyId"], token=keys["SessionToken"])
    as_role.list_roles()
    assert f"User: arn:aws:sts::{ACCOUNT}:assumed-role/grid-x/session is not" in refused(as_role.list_users)[1]


def test_the_log_names_actions_and_resources_and_holds_no_parameter(tmp_path: Path) -> None:
    log = tmp_path / "aws.log"
    aws = LocalAws(enforce_iam=True, aws_log=str(log))
    key = aws.user("ada", allow("iam:GetRole"))
    refused(aws.client("iam", key).create_role, RoleName="y", AssumeRolePolicyDocument=TRUST, Description="canary-4711")
    refused(aws.client("s3", key).head_object, Bucket="b", Key="k/x")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["action"], line["resource"], line["status"]) for line in lines[-2:]] == [
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/y", 403),
        ("s3:GetObject", "arn:aws:s3:::b/k/x", 403),
    ]
    assert {line["principal"] for line in lines} == {
        f"arn:aws:sts::{ACCOUNT}:user/moto",
        f"arn:aws:iam::{ACCOUNT}:user/ada",
    }
    assert all("Boto3" in line["agent"] for line in lines)
    assert not any(secret in log.read_text() for secret in ("canary-4711", key, "sts:AssumeRole"))
