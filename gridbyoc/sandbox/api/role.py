"""The look at a role through the AWS API: is it there, whom does it trust, what is attached to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gridbyoc.sandbox.api.names import account_of
from gridbyoc.sandbox.api.spec import RoleGrant
from gridbyoc.sandbox.api.trust import as_list, statements_of, trust_problem
from gridbyoc.sandbox.settings import AWS_ACCOUNT_ID
from gridbyoc.vendors import Permissions, facts_of

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

_OLDER_NAMES = {"AmazonGuardDutyFullAccess_v2": "AmazonGuardDutyFullAccess"}
"""A role that was made before August 2025 may still hold the policy that nobody can attach today."""

_MANAGED_ARN = re.compile(r"arn:aws[a-z-]*:iam::aws:policy/(?:.*/)?(?P<name>[^/]+)")


def missing_policies(arns: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Which of the ``wanted`` policies of AWS's are not among a role's attached ones."""
    managed = {match["name"] for arn in arns if (match := _MANAGED_ARN.fullmatch(arn))}
    return [name for name in wanted if not managed.intersection((name, _OLDER_NAMES.get(name)))]


class RoleInspector:
    """Looks at roles in the AWS at ``endpoint_url``, as the control plane's account would after assuming them.

    ``trusted_account_id`` ``None``: each vendor's own account.
    """

    def __init__(self, endpoint_url: str, trusted_account_id: str | None) -> None:
        self._endpoint_url = endpoint_url
        self._trusted_account_id = trusted_account_id
        self._own: IAMClient | None = None

    def __call__(self, grant: RoleGrant) -> str:
        """What is wrong with the role, each thing with what to do about it; empty if nothing is."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._verdict(grant)
        except (BotoCoreError, ClientError) as error:
            kind = type(error).__name__
            return f"role {grant.role_arn} could not be looked at ({kind}); update the cluster to try again"

    def _verdict(self, grant: RoleGrant) -> str:
        name = grant.role_arn.rsplit("/", 1)[-1]
        iam = self._iam(grant.role_arn)
        try:
            role = iam.get_role(RoleName=name)["Role"]
        except iam.exceptions.NoSuchEntityException:
            role = None
        if role is None or role["Arn"] != grant.role_arn:
            return (
                f"role {grant.role_arn} does not exist; create it, or update the cluster with the ARN of one that does"
            )
        trust: Any = role["AssumeRolePolicyDocument"]
        problems = [
            trust_problem(trust, self._account_of(grant), grant.external_id.reveal()),
            *self._policy_problems(iam, name, facts_of(grant.vendor).permissions),
        ]
        said = "; ".join(filter(None, problems))
        return f"role {grant.role_arn}: {said}. Then update the cluster: the role is looked at again." if said else ""

    def _account_of(self, grant: RoleGrant) -> str:
        return self._trusted_account_id or facts_of(grant.vendor).trusted_account.account_id

    def _policy_problems(self, iam: IAMClient, name: str, guide: Permissions) -> list[str]:
        pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
        arns = [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]
        missing = missing_policies(arns, guide.managed_policies)
        # What the guide grants by name counts by name; every other document is read.
        read = [arn for arn in arns if not (guide.managed_policies and _MANAGED_ARN.fullmatch(arn))]
        allowed = _allowed_actions(_documents(iam, name, read))
        wanted = (action for actions in guide.statements for action in actions)
        lacking = [action for action in wanted if not allowed.intersection((action.lower(), "*"))]
        problems = [f"managed policies not attached: {', '.join(missing)}; attach them"] if missing else []
        if lacking:
            problems.append(f"no policy of its own allows {', '.join(lacking)} on every resource; add one that does")
        return problems

    def _iam(self, role_arn: str) -> IAMClient:
        import boto3
        from botocore.config import Config

        own = account_of(role_arn) == AWS_ACCOUNT_ID
        if own and self._own:  # made once: a client reads a megabyte of models
            return self._own
        ours = Config(user_agent_extra="gridbyoc-sandbox")  # so that the log of AWS calls tells them from others'
        session = boto3.Session("test", "test", region_name="us-east-1")
        if own:
            self._own = session.client("iam", endpoint_url=self._endpoint_url, config=ours)
            return self._own
        # moto shows another account's roles to whoever has assumed one there
        sts = session.client("sts", endpoint_url=self._endpoint_url, config=ours)
        keys = sts.assume_role(RoleArn=role_arn, RoleSessionName="sandbox")["Credentials"]
        assumed = boto3.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="us-east-1"
        )
        iam: IAMClient = assumed.client("iam", endpoint_url=self._endpoint_url, config=ours)
        return iam


def _documents(iam: IAMClient, name: str, arns: list[str]) -> list[Any]:
    """The role's inline policies, and the attached ones at ``arns``."""
    documents: list[Any] = []
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=name):
        for policy in page["PolicyNames"]:
            documents.append(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
    for arn in arns:
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=version)
        documents.append(found["PolicyVersion"]["Document"])
    return documents


def _allowed_actions(documents: list[Any]) -> set[str]:
    """What is allowed on every resource and without a condition, less what is denied so."""
    allowed: set[str] = set()
    denied: set[str] = set()
    for statement in (each for document in documents for each in statements_of(document)):
        if "*" in as_list(statement.get("Resource")) and not statement.get("Condition"):
            actions = {str(action).lower() for action in as_list(statement.get("Action"))}
            (allowed if statement.get("Effect") == "Allow" else denied).update(actions)
    return set() if "*" in denied else allowed - denied
