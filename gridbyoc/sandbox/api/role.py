"""Inspect a role through the AWS API: its existence, its trust policy, its policies."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gridbyoc.sandbox.api.spec import RoleGrant, account_of
from gridbyoc.sandbox.settings import AWS_ACCOUNT_ID
from gridbyoc.vendors import Permissions, facts_of

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


_ANOTHER_ID = "gridbyoc-sandbox.an-id-that-nobody-gave"


def trust_problem(document: dict[str, Any], account_id: str, external_id: str) -> str:
    """The problem with the trust policy, without the external id; empty if there is none."""
    if _admits(document, account_id, None):
        return (
            f"its trust policy admits AWS account {account_id} without any external id, so that others could have the "
            "service use this role; add the condition StringEquals sts:ExternalId"
        )
    if _admits(document, account_id, _ANOTHER_ID):
        return f"its trust policy admits AWS account {account_id} with any external id; name the one that was given"
    if _admits(document, account_id, external_id):
        return ""
    if not any(_is_for(statement, account_id) for statement in statements_of(document)):
        return (
            f"its trust policy does not let AWS account {account_id} assume it (sts:AssumeRole); "
            f"add arn:aws:iam::{account_id}:root as a principal, with the external id as the condition"
        )
    return (
        f"its trust policy does not admit AWS account {account_id} with the external id that this cluster was given; "
        "register the external id that the role's trust policy names, or add this one to the policy"
    )


def statements_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """A policy's statements; a single statement may be given without a list."""
    found = as_list(document.get("Statement"))
    return [statement for statement in found if isinstance(statement, dict)]


def as_list(value: object) -> list[Any]:
    """A value as a list: IAM allows a single value in place of a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def matches(pattern: str, text: str) -> bool:
    """Match with IAM's wildcards: ``*`` for any characters, ``?`` for one."""
    return _compiled(pattern).fullmatch(text) is not None


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = [{"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern]
    return re.compile("".join(parts), re.DOTALL)


def _admits(document: dict[str, Any], account_id: str, external_id: str | None) -> bool:
    applying = [
        statement.get("Effect")
        for statement in statements_of(document)
        if _is_for(statement, account_id) and _conditions_hold(statement.get("Condition"), external_id)
    ]
    return "Allow" in applying and "Deny" not in applying


def _is_for(statement: dict[str, Any], account_id: str) -> bool:
    """Whether the statement is about that account assuming the role (trust policies do not use ``NotPrincipal``)."""
    actions = [action.lower() for action in as_list(statement.get("Action")) if isinstance(action, str)]
    if not any(matches(action, "sts:assumerole") for action in actions):
        return False
    principal = statement.get("Principal")
    named = as_list(principal.get("AWS")) if isinstance(principal, dict) else as_list(principal)
    root = re.compile(rf"arn:aws[a-z-]*:iam::{re.escape(account_id)}:root")
    return any(name in ("*", account_id) or root.fullmatch(str(name)) for name in named)


def _conditions_hold(condition: object, external_id: str | None) -> bool:
    """Whether all conditions hold for a caller with this external id (``None``: without one) and nothing else known."""
    if not isinstance(condition, dict):
        return True
    return all(
        _holds(operator, key, [str(value) for value in as_list(wanted)], external_id)
        for operator, keys in condition.items()
        for key, wanted in (keys.items() if isinstance(keys, dict) else ())
    )


def _holds(operator: str, key: str, wanted: list[str], external_id: str | None) -> bool:
    """Whether one condition holds.

    Conditions on other keys than sts:ExternalId are unknown here and count as not met.
    """
    if key.lower() != "sts:externalid":
        return False
    qualifier, _, name = operator.lower().rpartition(":")
    if name == "null":
        return any((value.lower() == "true") == (external_id is None) for value in wanted)
    negated = "not" in name
    if external_id is None:
        return negated or name.endswith("ifexists") or qualifier == "forallvalues"
    name = name.removesuffix("ifexists").replace("not", "")
    tests = {
        "stringequals": lambda value: value == external_id,
        "stringequalsignorecase": lambda value: value.lower() == external_id.lower(),
        "stringlike": lambda value: matches(value, external_id),
    }
    return name in tests and any(map(tests[name], wanted)) != negated


_OLDER_NAMES = {"AmazonGuardDutyFullAccess_v2": "AmazonGuardDutyFullAccess"}
"""A role that was created before August 2025 may still have the old policy, which can no longer be attached."""

_MANAGED_ARN = re.compile(r"arn:aws[a-z-]*:iam::aws:policy/(?:.*/)?(?P<name>[^/]+)")


def missing_policies(arns: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """The ``wanted`` AWS managed policies that are not attached to the role."""
    managed = {match["name"] for arn in arns if (match := _MANAGED_ARN.fullmatch(arn))}
    return [name for name in wanted if not managed.intersection((name, _OLDER_NAMES.get(name)))]


class RoleInspector:
    """Inspects roles in the AWS at ``endpoint_url``, as the control plane's account would after assuming them.

    ``trusted_account_id`` ``None``: each vendor's own account.
    """

    def __init__(self, endpoint_url: str, trusted_account_id: str | None) -> None:
        self._endpoint_url = endpoint_url
        self._trusted_account_id = trusted_account_id
        self._own: IAMClient | None = None

    def __call__(self, grant: RoleGrant) -> str:
        """The problems with the role, each with a remedy; empty if there are none."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._verdict(grant)
        except (BotoCoreError, ClientError) as error:
            kind = type(error).__name__
            return f"role {grant.role_arn} could not be inspected ({kind}); update the cluster to try again"

    def _verdict(self, grant: RoleGrant) -> str:
        name = grant.role_arn.rsplit("/", 1)[-1]
        iam = self._iam(grant.role_arn)
        try:
            role = iam.get_role(RoleName=name)["Role"]
        except iam.exceptions.NoSuchEntityException:
            role = None
        if role is None or role["Arn"] != grant.role_arn:
            return f"role {grant.role_arn} does not exist; create it, or update the cluster with an existing role's ARN"
        trust: Any = role["AssumeRolePolicyDocument"]
        problems = [
            trust_problem(trust, self._account_of(grant), grant.external_id.reveal()),
            *self._policy_problems(iam, name, facts_of(grant.vendor).permissions),
        ]
        said = "; ".join(filter(None, problems))
        return f"role {grant.role_arn}: {said}. Then update the cluster: the role is inspected again." if said else ""

    def _account_of(self, grant: RoleGrant) -> str:
        return self._trusted_account_id or facts_of(grant.vendor).trusted_account.account_id

    def _policy_problems(self, iam: IAMClient, name: str, guide: Permissions) -> list[str]:
        pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
        arns = [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]
        missing = missing_policies(arns, guide.managed_policies)
        # Policies that the guide names count by name; every other document is read.
        read = [arn for arn in arns if not (guide.managed_policies and _MANAGED_ARN.fullmatch(arn))]
        allowed = _allowed_actions(_documents(iam, name, read))
        wanted = (action for actions in guide.statements for action in actions)
        lacking = [action for action in wanted if not allowed.intersection((action.lower(), "*"))]
        problems = [f"managed policies not attached: {', '.join(missing)}; attach them"] if missing else []
        if lacking:
            problems.append(
                f"none of its other policies allows {', '.join(lacking)} on every resource; add one that does"
            )
        return problems

    def _iam(self, role_arn: str) -> IAMClient:
        import boto3
        from botocore.config import Config

        own = account_of(role_arn) == AWS_ACCOUNT_ID
        if own and self._own:  # created once: a client reads a megabyte of models
            return self._own
        ours = Config(user_agent_extra="gridbyoc-sandbox")  # distinguishes these calls in the log of AWS calls
        session = boto3.Session("test", "test", region_name="us-east-1")
        if own:
            self._own = session.client("iam", endpoint_url=self._endpoint_url, config=ours)
            return self._own
        iam: IAMClient = session.client("iam", endpoint_url=self._endpoint_url, config=ours)
        # moto's own way to another account: https://docs.getmoto.org/en/latest/docs/multi_account.html
        account = {"x-moto-account-id": account_of(role_arn)}
        iam.meta.events.register("before-call", lambda params, **_: params["headers"].update(account))
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
    """The actions allowed on every resource without a condition, minus those denied in the same way."""
    allowed: set[str] = set()
    denied: set[str] = set()
    for statement in (each for document in documents for each in statements_of(document)):
        if "*" in as_list(statement.get("Resource")) and not statement.get("Condition"):
            actions = {str(action).lower() for action in as_list(statement.get("Action"))}
            (allowed if statement.get("Effect") == "Allow" else denied).update(actions)
    return set() if "*" in denied else allowed - denied
