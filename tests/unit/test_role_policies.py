"""The live role's policies against the stack file: each difference is named by full ARN and by content."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gridbyoc.aws.live_role import NOT_ASKED, LiveDocument, LiveRole
from gridbyoc.operations.role_policies import RolePolicies, compare_policies
from gridbyoc.show.role_policies import policies_json
from gridbyoc.stack.defaults import own_policy_arn
from gridbyoc.stack.model import OwnPolicy, PolicyStatement, Role
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import facts_of

MANAGED_POLICIES = facts_of("grid").permissions.managed_policies
HOME = "123456789012"
ROLE = f"arn:aws:iam::{HOME}:role/team/grid"
OWN = f"arn:aws:iam::{HOME}:policy/team/grid"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
S3 = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
OTHER_S3 = f"arn:aws:iam::{HOME}:policy/AmazonS3FullAccess"
GUIDE = tuple(f"arn:aws:iam::aws:policy/{name}" for name in MANAGED_POLICIES)
STATEMENT: dict[str, Any] = {"Effect": "Allow", "Action": ["eks:*", "ecr:*", "events:*"], "Resource": ["*"]}
ALL: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements: Any, **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements), **more}


def attached(*arns: str) -> tuple[LiveDocument, ...]:
    return tuple(LiveDocument("attached", arn, None, unread=NOT_ASKED) for arn in arns)


def own(body: dict[str, Any] | None = None, arn: str = OWN, **more: Any) -> LiveDocument:
    return LiveDocument("attached", arn, document(STATEMENT) if body is None else body, "v1", **more)


def inline(name: str) -> LiveDocument:
    return LiveDocument("inline", name, document(ALL))


def role(*policies: LiveDocument, **fields: Any) -> LiveRole:
    """The role as the module makes it, or with these policies."""
    found = policies or (own(), *attached(*GUIDE))
    return replace(LiveRole(ROLE, LiveDocument("trust", "trust", document()), found), **fields)


def compared(live: LiveRole, **declared: Any) -> RolePolicies:
    return compare_policies(live, Role(**declared))


def test_the_modules_role_is_as_declared() -> None:
    found = compared(role())
    assert found.as_declared
    assert list(found.differences()) == []
    assert (found.undeclared, found.accepted, found.unknown) == ((), (), ())


@pytest.mark.parametrize(
    "live,undeclared,missing",
    [
        (role(own(), *attached(*GUIDE, ADMIN)), (ADMIN,), ()),
        (role(own(), *attached(*GUIDE), inline("x")), ("inline policy x",), ()),
        # named like a managed one: beside it, and in its place
        (role(own(), *attached(*GUIDE, OTHER_S3)), (OTHER_S3,), ()),
        (role(own(), *attached(*(arn for arn in GUIDE if arn != S3), OTHER_S3)), (OTHER_S3,), (S3,)),
        # the same name on another path, of AWS's own policies, too
        (role(own(), *attached(*(arn for arn in GUIDE if arn != S3), S3.replace("policy/", "policy/x/"))),
         (S3.replace("policy/", "policy/x/"),), (S3,)),
        # the role's name on another path, in another account, in another partition
        (role(own(), own(arn=f"arn:aws:iam::{HOME}:policy/grid"), *attached(*GUIDE)),
         (f"arn:aws:iam::{HOME}:policy/grid",), ()),
        (role(own(arn=OWN.replace("/team/", "/other/")), *attached(*GUIDE)),
         (OWN.replace("/team/", "/other/"),), (OWN,)),
        (role(own(arn=OWN.replace(HOME, "210987654321")), *attached(*GUIDE)),
         (OWN.replace(HOME, "210987654321"),), (OWN,)),
        (role(*attached(*GUIDE)), (), (OWN,)),
    ],
)  # fmt: skip
def test_what_is_attached_counts_by_its_whole_arn(
    live: LiveRole, undeclared: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    found = compared(live)
    assert (found.undeclared, found.missing) == (undeclared, missing)
    assert found.differs
    told = dict(found.differences())
    assert set(undeclared) | set(missing) == set(told)


def test_a_boundary_is_no_policy_of_the_role_and_differs_by_its_arn() -> None:
    limits = f"arn:aws:iam::{HOME}:policy/limits"
    live = role(boundary=LiveDocument("boundary", limits, None, unread=NOT_ASKED))
    assert compared(live, permissions_boundary=limits).as_declared
    assert compared(live).boundary == f"is {limits}; the stack file names none"
    other = limits.replace("policy/", "policy/x/")
    assert compared(live, permissions_boundary=other).boundary == f"is {limits}; the stack file names {other}"
    assert compared(role(), permissions_boundary=limits).boundary == f"is none; the stack file names {limits}"


SAME = (
    document({**STATEMENT, "Action": ["events:*", "ecr:*", "eks:*"], "Resource": "*"}),
    document({**STATEMENT, "Sid": ""}),
    document({**STATEMENT, "Condition": {}}),
    document({**STATEMENT, "Action": ["EKS:*", "ecr:*", "events:*", "ecr:*"]}),
    {"Version": "2012-10-17", "Statement": STATEMENT},
    document(STATEMENT, Id="anything"),
)


@pytest.mark.parametrize("body", SAME)
def test_iams_own_ways_of_writing_are_no_difference(body: dict[str, Any]) -> None:
    assert compared(role(own(body), *attached(*GUIDE))).as_declared


@pytest.mark.parametrize(
    "body,told",
    [
        (document(ALL), ("has a statement that the stack file does not: Allow * on *",
                         "lacks a statement of the stack file: Allow ecr:*, eks:*, events:* on *")),
        (document(STATEMENT, ALL), ("has a statement that the stack file does not: Allow * on *",)),
        (document({**STATEMENT, "Action": [*STATEMENT["Action"], "iam:*"]}),
         ("Allow ecr:*, eks:*, events:*, iam:* on *", "lacks")),
        (document({**STATEMENT, "Action": ["eks:*"]}), ("Allow eks:* on *", "lacks")),
        (document({**STATEMENT, "Resource": "arn:aws:eks:*:*:cluster/x"}), ("on arn:aws:eks:*:*:cluster/x", "lacks")),
        (document({**STATEMENT, "Effect": "Deny"}), ("Deny ecr:*", "lacks")),
        (document({**STATEMENT, "Sid": "Mine"}), ("(Sid Mine)", "lacks")),
        (document({**STATEMENT, "Condition": {"StringEquals": {"aws:x": "secret-value"}}}),
         ("under a condition on aws:x", "lacks")),
        (document({"Effect": "Allow", "NotAction": ["iam:*"], "NotResource": "arn:aws:s3:::x"}),
         ("Allow everything but iam:* on everything but arn:aws:s3:::x", "lacks")),
        (document(STATEMENT, Version="2008-10-17"), ("policy language 2008-10-17",)),
        ({"Statement": [STATEMENT]}, ("policy language 2008-10-17",)),
        ({"Version": "2012-10-17"}, ("no Effect nothing on nothing", "lacks")),
        (document("nonsense"), ("no Effect nothing on nothing", "lacks")),
    ],
)  # fmt: skip
def test_the_own_policy_counts_by_its_content(body: dict[str, Any], told: tuple[str, ...]) -> None:
    found = compared(role(own(body), *attached(*GUIDE)))
    assert len(found.content) == len(told)
    for words, clause in zip(told, found.content, strict=True):
        assert words in clause
        assert clause.startswith("version v1 ")
    assert "secret-value" not in str(found)
    assert [subject for subject, _ in found.differences()] == [OWN] * len(told)


def test_statements_of_the_stack_file() -> None:
    asked = (PolicyStatement(("eks:*",), ("*",), "Allow", "Clusters"), PolicyStatement(("iam:*",), effect="Deny"))
    body = document(
        {"Effect": "Deny", "Action": "iam:*", "Resource": "*"},
        {"Sid": "Clusters", "Effect": "Allow", "Action": "eks:*", "Resource": "*"},
    )
    assert compared(role(own(body), *attached(*GUIDE)), statements=asked).as_declared
    assert compared(role(), statements=asked).content
    # no statements: the module makes no policy, so that one of this name is somebody else's
    assert compared(role(*attached(*GUIDE)), statements=()).as_declared
    assert compared(role(), statements=()).attached == (OWN,)


@pytest.mark.parametrize("part", ["action", "resource", "sid"])
def test_of_a_statement_the_actions_alone_know_no_case(part: str) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html"""
    asked = (PolicyStatement(("s3:Get*",), ("arn:aws:s3:::Data/*",), "Allow", "Read"),)
    written = {"action": "s3:Get*", "resource": "arn:aws:s3:::Data/*", "sid": "Read"}
    written[part] = written[part].lower()
    statement = {"Sid": written["sid"], "Effect": "Allow", "Action": written["action"], "Resource": written["resource"]}
    found = compared(role(own(document(statement)), *attached(*GUIDE)), statements=asked)
    assert found.as_declared is (part == "action")


def test_managed_policies_by_name_and_by_arn() -> None:
    chosen = ("AmazonS3FullAccess", "job-function/Billing", OTHER_S3)
    arns = (S3, "arn:aws:iam::aws:policy/job-function/Billing", OTHER_S3)
    assert compared(role(own(), *attached(*arns)), managed_policies=chosen).as_declared
    assert compared(role(own(), *attached(*arns, GUIDE[0])), managed_policies=chosen).attached == (GUIDE[0],)
    gov = role(arn=ROLE.replace("arn:aws:", "arn:aws-us-gov:"))
    assert len(compared(gov).missing) == len(GUIDE) + 1


def test_known_policies_are_accepted_by_whole_arn_and_whole_name() -> None:
    audit = f"arn:aws:iam::{HOME}:policy/company/audit"
    live = role(own(), *attached(*GUIDE, audit), inline("guard"))
    found = compared(live, known_policies=(audit,), known_inline_policies=("guard",))
    assert found.as_declared
    assert found.accepted == (audit, "inline policy guard")
    near = compared(live, known_policies=(audit.replace("company/", ""), "audit"), known_inline_policies=("guar",))
    assert near.undeclared == (audit, "inline policy guard")
    absent = compared(role(), known_policies=(audit,), known_inline_policies=("guard",))
    assert absent.as_declared
    assert absent.accepted == ()


def test_what_could_not_be_read_is_unknown_and_not_missing() -> None:
    said = "the caller may not call it"
    found = compared(role(unlisted_attached=said, policies=()))
    assert found.unknown == (f"the attached policies: {said}",)
    assert not found.differs
    assert not found.as_declared
    assert compared(role(unlisted_inline=said)).unknown == (f"the inline policies: {said}",)
    assert compared(role(unread=said)).unknown == (f"the permissions boundary: {said}",)
    hidden = replace(own(), document=None, unread=said)
    assert compared(role(hidden, *attached(*GUIDE))).unknown == (f"the content of the role's own policy: {said}",)
    both = compared(role(own(), *attached(*GUIDE, ADMIN), unlisted_inline=said))
    assert both.differs
    assert both.unknown


def test_another_modules_own_policy_and_boundary_are_not_compared() -> None:
    live = role(own(document(ALL)), *attached(*GUIDE, ADMIN), boundary=LiveDocument("boundary", "b", None))
    found = compare_policies(live, Role(), own_module=False)
    assert (found.undeclared, found.content, found.boundary) == ((ADMIN,), (), "")
    assert compare_policies(role(*attached(*GUIDE)), Role(), own_module=False).as_declared


def test_the_external_id_is_hidden_in_names() -> None:
    value = "canary-external-id"
    live = role(own(document({**ALL, "Sid": value})), *attached(*GUIDE, f"arn:aws:iam::{HOME}:policy/{value}"))
    live = replace(live, policies=(*live.policies, inline(value), inline("x")), unlisted_inline=value)
    found = compared(live, known_inline_policies=(value,), permissions_boundary=value).hiding(Secret(value))
    assert value not in str(found)
    assert value not in str(policies_json(found))
    assert found.inline == ("x",)
    assert found.accepted == ("inline policy [secret]",)
    assert policies_json(found)["undeclared"]["inline"] == ["x"]
    assert compared(live).hiding(Secret("x")).inline == (value, "x")


def test_the_own_policys_arn_follows_the_roles_and_the_stack_file() -> None:
    assert own_policy_arn(ROLE, Role()) == OWN
    assert own_policy_arn("arn:aws-cn:iam::1:role/a:role/b", Role()) == "arn:aws-cn:iam::1:policy/a:role/b"
    assert own_policy_arn(ROLE, Role(policy=OwnPolicy(name="own"))) == f"arn:aws:iam::{HOME}:policy/team/own"
    assert own_policy_arn(ROLE, Role(policy=OwnPolicy("own", "/"))) == f"arn:aws:iam::{HOME}:policy/own"
    assert own_policy_arn(f"arn:aws:iam::{HOME}:role/grid", Role()) == f"arn:aws:iam::{HOME}:policy/grid"


def test_an_own_policy_with_a_name_of_its_own_is_the_own_policy() -> None:
    arn, named = f"arn:aws:iam::{HOME}:policy/by-hand", OwnPolicy("by-hand", "/")
    live = role(own(arn=arn), *attached(*GUIDE))
    assert compared(live, policy=named).as_declared
    assert compared(live).undeclared == (arn,)
    edited = compared(role(own(document(ALL), arn), *attached(*GUIDE)), policy=named)
    assert {subject for subject, _ in edited.differences()} == {arn}
