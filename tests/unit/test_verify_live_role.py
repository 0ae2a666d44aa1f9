"""The live role read through IAM, by a client that answers from memory: what may be missing, what may be denied."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from gridbyoc.aws import await_trust
from gridbyoc.aws.live_role import NOT_ASKED, read_live_role
from gridbyoc.errors import AwsError, TrustError
from gridbyoc.stack.secret import Secret
from tests.unit.fakes import Time

ID = Secret("canary-external-id")
HOME = "123456789012"
GRID = "302180240179"
ROLE = f"arn:aws:iam::{HOME}:role/team/grid"
LIMITS = f"arn:aws:iam::{HOME}:policy/limits"
TRUST = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": GRID},
        "Condition": {"StringEquals": {"sts:ExternalId": ID.reveal()}},
    },
}
ALL = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


def refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


@dataclass
class MemoryIam:
    """IAM as far as a role is read. ``refused`` maps an operation to the code it answers (once per listed one)."""

    trust: Any = field(default_factory=lambda: TRUST)
    refused: dict[str, str] = field(default_factory=dict)
    arn: str = ROLE
    boundary: str | None = None
    missing_for: int = 0
    calls: list[str] = field(default_factory=list)

    def _called(self, operation: str) -> None:
        self.calls.append(operation)
        if operation in self.refused:
            raise refusal(self.refused[operation], operation)

    def get_role(self, RoleName: str) -> dict[str, Any]:  # noqa: N803 - boto3's own names
        self._called("GetRole")
        if len(self.calls) <= self.missing_for:
            raise refusal("NoSuchEntity", "GetRole")
        role = {"Arn": self.arn, "AssumeRolePolicyDocument": self.trust, "MaxSessionDuration": 3600}
        limits = {"PermissionsBoundary": {"PermissionsBoundaryArn": self.boundary}} if self.boundary else {}
        return {"Role": {**role, **limits}}

    def get_paginator(self, name: str) -> Any:
        return Pages(self, name)

    def get_policy(self, PolicyArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's own names
        self._called("GetPolicy")
        return {"Policy": {"DefaultVersionId": "v7"}}

    def get_policy_version(self, PolicyArn: str, VersionId: str) -> dict[str, Any]:  # noqa: N803 - boto3's own names
        self._called("GetPolicyVersion")
        return {"PolicyVersion": {"Document": quote(json.dumps(ALL))}}

    def get_role_policy(self, RoleName: str, PolicyName: str) -> dict[str, Any]:  # noqa: N803 - boto3's own names
        self._called("GetRolePolicy")
        return {"PolicyDocument": ALL}


@dataclass
class Pages:
    """Two pages of each list."""

    iam: MemoryIam
    name: str

    def paginate(self, RoleName: str) -> list[Mapping[str, Any]]:  # noqa: N803 - boto3's own names
        if self.name == "list_role_policies":
            self.iam._called("ListRolePolicies")
            return [{"PolicyNames": ["one"]}, {"PolicyNames": []}]
        self.iam._called("ListAttachedRolePolicies")
        return [
            {"AttachedPolicies": [{"PolicyArn": f"arn:aws:iam::aws:policy/{name}"}]} for name in ("First", "Second")
        ]


@dataclass
class MemorySession:
    """A session whose IAM is in memory."""

    client: Any

    def iam(self) -> Any:
        return self.client


def read(iam: Any) -> Any:
    return read_live_role(MemorySession(iam), ROLE)  # type: ignore[arg-type]


def test_everything_is_read() -> None:
    live = read(MemoryIam(boundary=LIMITS))
    assert (live.name, live.partition, live.account_id, live.max_session_seconds) == ("grid", "aws", HOME, 3600)
    assert [(p.kind, p.title, p.version) for p in live.policies] == [
        ("attached", "policy First", "v7"),
        ("attached", "policy Second", "v7"),
        ("inline", "inline policy one", None),
    ]
    assert all(policy.document == ALL for policy in live.policies)
    assert live.boundary.title == "the boundary limits"
    assert live.trust.document == TRUST
    assert live.trust.title == "the trust policy"
    assert (live.unlisted, live.unread) == ("", "")
    assert ID.reveal() not in repr(live)


def test_where_only_arns_count_aws_s_own_documents_and_the_boundary_are_not_read() -> None:
    iam = MemoryIam(boundary=LIMITS)
    live = read_live_role(MemorySession(iam), ROLE, every_document=False)  # type: ignore[arg-type]
    assert [(each.name, each.document, each.unread) for each in (*live.policies[:2], live.boundary) if each] == [
        ("arn:aws:iam::aws:policy/First", None, NOT_ASKED),
        ("arn:aws:iam::aws:policy/Second", None, NOT_ASKED),
        (LIMITS, None, NOT_ASKED),
    ]
    assert live.unknown == ()
    assert not {"GetPolicy", "GetPolicyVersion"} & set(iam.calls)


def test_a_missing_role_and_another_one_of_its_name() -> None:
    with pytest.raises(TrustError, match="does not exist") as caught:
        read(MemoryIam(refused={"GetRole": "NoSuchEntity"}))
    assert "IAM knows no role grid" in caught.value.why
    with pytest.raises(TrustError) as caught:
        read(MemoryIam(arn=ROLE.replace("team/", "")))
    assert "IAM knows the name grid as" in caught.value.why


def test_what_is_denied_is_marked() -> None:
    live = read(MemoryIam(refused={"GetRole": "AccessDenied"}))
    assert live.trust.document is None
    assert live.trust.unread == live.unread == "the caller may not call iam:GetRole"
    assert len(live.policies) == 3
    live = read(MemoryIam(refused={"ListRolePolicies": "AccessDeniedException"}))
    assert live.unlisted_inline == live.unlisted == "the caller may not call iam:ListRolePolicies"
    assert live.unknown == ("its inline policies: the caller may not call iam:ListRolePolicies",)
    assert len(live.policies) == 2
    live = read(MemoryIam(refused={"GetPolicyVersion": "NoSuchEntity", "GetRolePolicy": "Throttling"}, boundary=LIMITS))
    assert [p.unread for p in (*live.policies, live.boundary)] == [
        "iam:GetPolicyVersion answered NoSuchEntity",
        "iam:GetPolicyVersion answered NoSuchEntity",
        "iam:GetRolePolicy answered Throttling",
        "iam:GetPolicyVersion answered NoSuchEntity",
    ]
    assert read(MemoryIam(trust="[]")).trust.unread == "its document is not a JSON object"


@pytest.mark.parametrize("operation", ["GetRole", "ListAttachedRolePolicies", "GetPolicy", "GetRolePolicy"])
def test_other_refusals_are_told(operation: str) -> None:
    with pytest.raises(AwsError, match="could not be read") as caught:
        read(MemoryIam(refused={operation: "MalformedQueryString"}))
    assert "MalformedQueryString" in caught.value.why


def test_no_network_is_told() -> None:
    class Cut(MemoryIam):
        def get_policy(self, PolicyArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's own names
            raise EndpointConnectionError(endpoint_url="https://iam.amazonaws.com")

    with pytest.raises(AwsError, match="AWS could not be reached"):
        read(Cut())


def awaited(iam: MemoryIam, time: Time, **more: Any) -> Any:
    session: Any = MemorySession(iam)
    return await_trust(session, ROLE, ID, [f"arn:aws:iam::{GRID}:root"], sleep=time.sleep, clock=time.clock, **more)


def test_trust_is_awaited() -> None:
    time = Time()
    found = awaited(MemoryIam(missing_for=3), time)
    assert found.verdict == "admitted"
    assert time.naps == [0.5, 1.0, 2.0]
    assert awaited(MemoryIam(trust=quote(json.dumps(TRUST))), Time()).verdict == "admitted"


@pytest.mark.parametrize(
    "trust,why",
    [
        ({**TRUST, "Statement": {**TRUST["Statement"], "Effect": "Deny"}}, "statement 1 of the trust policy denies it"),
        ({**TRUST, "Statement": {**TRUST["Statement"], "Principal": {"AWS": HOME}}}, "another principal is meant"),
        ({**TRUST, "Statement": {**TRUST["Statement"], "Condition": {"StringEquals": {"sts:ExternalId": "x1"}}}},
         "its condition StringEquals on sts:ExternalId is not met"),
        ({"Statement": []}, "has no Statement"),
        ("[]", "not a JSON object"),
    ],
)  # fmt: skip
def test_a_role_that_does_not_admit_it_ends_the_wait(trust: Any, why: str) -> None:
    time = Time()
    with pytest.raises(TrustError, match="does not admit the control plane") as caught:
        awaited(MemoryIam(trust=trust), time, timeout=10.0)
    assert why in caught.value.why
    assert ID.reveal() not in caught.value.why
    assert 6 < time.now <= 10


def test_another_role_of_its_name_and_none_at_all() -> None:
    with pytest.raises(TrustError) as caught:
        awaited(MemoryIam(arn="arn:aws:iam::1:role/grid"), Time(), timeout=1.0)
    assert caught.value.why == "IAM knows this name as arn:aws:iam::1:role/grid."
    with pytest.raises(TrustError) as caught:
        awaited(MemoryIam(missing_for=99), Time(), timeout=1.0)
    assert caught.value.why == "IAM does not know the role (yet)."


def test_only_proof_blocks() -> None:
    time = Time()
    assert awaited(MemoryIam(refused={"GetRole": "AccessDenied"}), time).verdict == "unknown"
    address = {"StringEquals": {"sts:ExternalId": ID.reveal()}, "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    found = awaited(MemoryIam(trust={**TRUST, "Statement": {**TRUST["Statement"], "Condition": address}}), time)
    assert found.verdict == "unknown"
    assert "it depends on aws:SourceIp" in found.detail
    assert time.naps == []
    with pytest.raises(AwsError, match="could not be read"):
        awaited(MemoryIam(refused={"GetRole": "ServiceFailure"}), time)
