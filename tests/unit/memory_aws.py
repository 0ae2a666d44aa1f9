"""An AWS account in memory: IAM as far as the gridbyoc module and its readers go, STS, and nothing else in it.

A service that is not here answers every reading with nothing, so that a search for leftovers finds none;
``answers`` holds what it says otherwise (``ec2.describe_volumes``: a value, a function or an error).
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, cast

import boto3
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from gridbyoc.aws import AwsSession
from gridbyoc.aws.credential_source import STACK_ROLE
from gridbyoc.aws.session import AssumedSession
from gridbyoc.stack.model import AssumeRole

ACCOUNT = "123456789012"
CALLER = f"arn:aws:iam::{ACCOUNT}:user/ada"
MANAGED = "arn:aws:iam::aws:policy/"
FINGERPRINT = "fingerprint beside the state: "
"""How the log tells of it."""
WRITES = ("create_", "delete_", "update_", "attach_", "detach_", "put_", "tag_")


def refusal(code: str, operation: str, message: str = "") -> ClientError:
    """An error as AWS sends it."""
    return ClientError({"Error": {"Code": code, "Message": message or f"{operation}: {code}"}}, operation)


def answered(answer: Any, arguments: dict[str, Any]) -> Any:
    """What a call returns: the answer itself, or what a function makes of the arguments; an error is raised."""
    found = answer(**arguments) if callable(answer) else answer
    if isinstance(found, Exception):
        raise found
    return found


@dataclass
class Iam:
    """Roles by name, policies by ARN. ``now`` dates them; a new role is seen ``delay`` seconds after its creation.

    ``managed``: the actions that a policy of AWS allows, by its name; ``x:*`` if it is not listed.
    """

    now: Callable[[], datetime]
    happens: Callable[[str], None] = lambda _what: None
    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    managed: dict[str, str | list[str]] = field(default_factory=dict)
    delay: float = 0.0
    made: int = 0
    made_roles: int = 0

    # --- what is written

    def create_role(self, name: str, arn: str, **fields: Any) -> dict[str, Any]:
        if name in self.roles:
            raise refusal("EntityAlreadyExists", "CreateRole")
        self.made += 1
        self.made_roles += 1
        self.roles[name] = {
            "RoleName": name, "Arn": arn, "RoleId": f"AROA{self.made:016d}", "CreateDate": self.now(), "Attached": [],
            "Inline": {}, **fields,
        }  # fmt: skip
        return self.roles[name]

    def create_policy(self, arn: str, **fields: Any) -> dict[str, Any]:
        if arn in self.policies:
            raise refusal("EntityAlreadyExists", "CreatePolicy")
        self.made += 1
        self.policies[arn] = {"Arn": arn, "PolicyId": f"ANPA{self.made:016d}", "DefaultVersionId": "v1", **fields}
        return self.policies[arn]

    def attach(self, role: str, arn: str) -> None:
        if arn not in self._role(role, "AttachRolePolicy")["Attached"]:
            self.roles[role]["Attached"].append(arn)

    def detach(self, role: str, arn: str) -> None:
        if role in self.roles and arn in self.roles[role]["Attached"]:
            self.roles[role]["Attached"].remove(arn)

    # --- what boto3's client is asked

    def get_role(self, *, RoleName: str) -> dict[str, Any]:  # noqa: N803 - AWS's names, here and below
        role = self._role(RoleName, "GetRole")
        if (self.now() - role["CreateDate"]).total_seconds() < self.delay:
            raise refusal("NoSuchEntity", "GetRole")
        return {"Role": self._shown(role)}

    def list_roles(self, *, PathPrefix: str = "/") -> dict[str, Any]:  # noqa: N803
        found = [self._shown(role) for role in self.roles.values() if role["Path"].startswith(PathPrefix)]
        return {"Roles": found}

    def list_role_tags(self, *, RoleName: str) -> dict[str, Any]:  # noqa: N803
        return {"Tags": self._role(RoleName, "ListRoleTags")["Tags"]}

    def list_attached_role_policies(self, *, RoleName: str) -> dict[str, Any]:  # noqa: N803
        found = self._role(RoleName, "ListAttachedRolePolicies")["Attached"]
        return {"AttachedPolicies": [{"PolicyArn": arn, "PolicyName": arn.rsplit("/", 1)[-1]} for arn in found]}

    def list_role_policies(self, *, RoleName: str) -> dict[str, Any]:  # noqa: N803
        return {"PolicyNames": list(self._role(RoleName, "ListRolePolicies")["Inline"])}

    def get_role_policy(self, *, RoleName: str, PolicyName: str) -> dict[str, Any]:  # noqa: N803
        return {"PolicyDocument": self._role(RoleName, "GetRolePolicy")["Inline"][PolicyName]}

    def get_policy(self, *, PolicyArn: str) -> dict[str, Any]:  # noqa: N803
        return {"Policy": copy.deepcopy(self._policy(PolicyArn, "GetPolicy"))}

    def get_policy_version(self, *, PolicyArn: str, VersionId: str) -> dict[str, Any]:  # noqa: N803
        document = self._policy(PolicyArn, "GetPolicyVersion")["Document"]
        return {"PolicyVersion": {"VersionId": VersionId, "Document": copy.deepcopy(document)}}

    def list_entities_for_policy(self, *, PolicyArn: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        found = [name for name, role in self.roles.items() if PolicyArn in role["Attached"]]
        return {"PolicyRoles": [{"RoleName": name} for name in found]}

    # --- for the tests

    def accepted(self, arn: str) -> set[str]:
        """The external ids with which the control plane may assume the role of this ARN; none without the role."""
        role = next((role for role in self.roles.values() if role["Arn"] == arn), None)
        statements = role["AssumeRolePolicyDocument"]["Statement"] if role else []
        conditions = [each["Condition"]["StringEquals"] for each in statements if "Condition" in each]
        return {ident for each in conditions for ident in each["sts:ExternalId"]}

    def _shown(self, role: dict[str, Any]) -> dict[str, Any]:
        return copy.deepcopy({name: value for name, value in role.items() if name not in {"Attached", "Inline"}})

    def _role(self, name: str, operation: str) -> dict[str, Any]:
        if operation in self.refused:
            raise refusal(self.refused[operation], operation)
        if name not in self.roles:
            raise refusal("NoSuchEntity", operation)
        return self.roles[name]

    def _policy(self, arn: str, operation: str) -> dict[str, Any]:
        if operation in self.refused:
            raise refusal(self.refused[operation], operation)
        if arn.startswith(MANAGED):
            allowed = {"Effect": "Allow", "Action": self.managed.get(arn.removeprefix(MANAGED), "x:*"), "Resource": "*"}
            document = {"Version": "2012-10-17", "Statement": [allowed]}
            return {
                "Arn": arn,
                "PolicyId": arn,
                "Path": "/",
                "DefaultVersionId": "v1",
                "Document": document,
                "Tags": [],
            }
        if arn not in self.policies:
            raise refusal("NoSuchEntity", operation)
        return self.policies[arn]


@dataclass
class MemoryAws:
    """The account. ``calls`` are the operations so far; ``on_call`` is done once, before the call of that name.

    ``account`` is what STS says.
    """

    iam: Iam
    objects: dict[tuple[str, str], str] = field(default_factory=dict)
    happens: Callable[[str], None] = lambda _what: None
    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    on_call: dict[str, Callable[[], object]] = field(default_factory=dict)
    account: str = ACCOUNT
    assumed: list[AssumeRole] = field(default_factory=list)

    def session(self, region: str, _profile: str | None = None) -> AwsSession:
        """A session whose clients are of this account."""
        return AwsSession(cast(boto3.session.Session, self), region)

    def assume_role(self, caller: AwsSession, role: AssumeRole) -> AwsSession:
        """A session of the role, in the role's account; ``assumed`` has the roles in order."""
        self.assumed.append(role)
        within = AssumedAws(self, role)
        return AwsSession(
            cast(boto3.session.Session, within), caller.region, assumed=AssumedSession(role.role_arn, caller)
        )

    def get_credentials(self) -> Credentials:
        """As boto3's session has them from the environment."""
        return Credentials("AKIAMEMORY", "secret", method="env")

    def client(self, service: str, **_: Any) -> Any:
        """What boto3's session has of that name."""
        return Client(partial(self.answer, service))

    def answer(self, service: str, operation: str, arguments: dict[str, Any], via: str = "") -> Any:
        """One call; ``via`` begins its name in ``calls``."""
        name = f"{service}.{operation}"
        self.calls.append(via + name)
        if name in self.on_call:
            self.on_call.pop(name)()
        if operation.startswith(WRITES):
            beside = str(arguments.get("Key")).endswith(".converged.json") and "VersionId" not in arguments
            self.happens(f"{FINGERPRINT}{operation}" if beside else name)
        if service == "sts":
            return {"Account": self.account, "Arn": CALLER}
        if name in self.answers:
            return answered(self.answers[name], arguments)
        if name.startswith("s3.") and operation in Objects.OPERATIONS:
            return getattr(Objects(self.objects), operation)(**arguments)
        if service == "iam" and hasattr(self.iam, operation):
            return getattr(self.iam, operation)(**arguments)
        return answered(self.answers.get(name, {}), arguments)


@dataclass
class Objects:
    """What S3 says of objects, by bucket and key. An object's ETag is that of its content."""

    OPERATIONS: ClassVar[tuple[str, ...]] = ("head_object", "get_object", "put_object", "delete_object")
    contents: dict[tuple[str, str], str]

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - AWS's names, here and below
        if (Bucket, Key) not in self.contents:
            raise refusal("404", "HeadObject")
        return {"ETag": self._etag(Bucket, Key)}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        if (Bucket, Key) not in self.contents:
            raise refusal("NoSuchKey", "GetObject")
        return {"Body": io.BytesIO(self.contents[Bucket, Key].encode()), "ETag": self._etag(Bucket, Key)}

    def put_object(self, **asked: Any) -> dict[str, Any]:
        place = asked["Bucket"], asked["Key"]
        there = self._etag(*place) if place in self.contents else ""
        if asked.get("IfMatch", "") != there or bool(there) == ("IfNoneMatch" in asked):
            raise refusal("PreconditionFailed", "PutObject")
        self.contents[place] = asked["Body"].decode()
        return {}

    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        self.contents.pop((Bucket, Key), None)
        return {}

    def _etag(self, bucket: str, key: str) -> str:
        return f'"{hash(self.contents[bucket, key])}"'


@dataclass
class AssumedAws:
    """boto3's session of an assumed role: STS tells the role's account, all else is ``outer``'s."""

    outer: MemoryAws
    role: AssumeRole

    def get_credentials(self) -> Credentials:
        """Of the role's session."""
        return Credentials("ASIAMEMORY", "secret", "token", method=STACK_ROLE)

    def client(self, service: str, **_: Any) -> Any:
        """What boto3's session has of that name."""
        return Client(partial(self.answer, service))

    def answer(self, service: str, operation: str, arguments: dict[str, Any]) -> Any:
        """One call; its name in ``calls`` begins with the role's account."""
        if service == "sts":
            self.outer.calls.append(f"{self.role.account_id}:sts.{operation}")
            name = self.role.role_arn.rpartition("/")[2]
            arn = f"arn:aws:sts::{self.role.account_id}:assumed-role/{name}/{self.role.session_name}"
            return {"Account": self.role.account_id, "Arn": arn}
        return self.outer.answer(service, operation, arguments, via=f"{self.role.account_id}:")


@dataclass
class Client:
    """A service's client: ``answer`` is given each operation and its arguments. A list is an answer in pages."""

    answer: Callable[[str, dict[str, Any]], Any]

    def can_paginate(self, _operation: str) -> bool:
        return False

    def get_paginator(self, operation: str) -> _Pages:
        return _Pages(partial(self.answer, operation))

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **arguments: self.answer(operation, arguments)


@dataclass
class _Pages:
    answer: Callable[[dict[str, Any]], Any]

    def paginate(self, **arguments: Any) -> Iterator[Any]:
        found = self.answer(arguments)
        yield from found if isinstance(found, list) else [found]
