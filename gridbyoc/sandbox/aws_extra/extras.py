"""All responses of this layer, assembled from the sandbox's settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gridbyoc.sandbox.aws_extra.call import (
    AwsAnswerError,
    CallContext,
    Handler,
    chosen_by,
    describe_availability_zones,
    describe_regions,
    page_of,
    position,
)
from gridbyoc.sandbox.aws_extra.layer import CallLog, Extras
from gridbyoc.sandbox.aws_extra.policy import (
    ALLOWED,
    AccessDecision,
    AccessRequest,
    AttachedPolicy,
    Powers,
    decide,
    read_document,
)
from gridbyoc.sandbox.aws_extra.principals import principal_of_arn
from gridbyoc.sandbox.aws_extra.role_sessions import RoleSessions
from gridbyoc.sandbox.aws_extra.service_quotas import QuotaBook, QuotaSettings, ServiceQuotas
from gridbyoc.stack.service_quotas import home_region, quota_by_code

_IN_SUMMARY = {
    "RolesQuota": "L-FE177D64",
    "PoliciesQuota": "L-E95E4862",
    "AttachedPoliciesPerRoleQuota": "L-0DA4ABF3",
}


class AccountLimits:
    """Account limits, from the account's book of quotas."""

    def __init__(self, book: QuotaBook) -> None:
        self._book = book

    def describe_account_limits(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """Auto Scaling groups and launch configurations: the limits, and the current numbers."""
        from moto.autoscaling.models import autoscaling_backends

        backend = autoscaling_backends[caller.account_id][caller.region]
        return {
            "MaxNumberOfAutoScalingGroups": self._value("L-CDE20ADC", caller, caller.region),
            "MaxNumberOfLaunchConfigurations": self._value("L-6B80B8FA", caller, caller.region),
            "NumberOfAutoScalingGroups": len(backend.autoscaling_groups),
            "NumberOfLaunchConfigurations": len(backend.launch_configurations),
        }

    def get_account_summary(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """moto's summary with our quotas."""
        from moto.iam.models import iam_backends
        from moto.utilities.utils import get_partition

        summary = iam_backends[caller.account_id][get_partition(caller.region)].get_account_summary().summary_map
        home = home_region(caller.region)
        quotas = {name: self._value(code, caller, home) for name, code in _IN_SUMMARY.items()}
        return {"SummaryMap": {**summary, **quotas}}

    def _value(self, code: str, caller: CallContext, region: str) -> int:
        return int(self._book.value(quota_by_code(code), caller.account_id, region))


_OFFERING_FILTERS = {"location": "Location", "instance-type": "InstanceType"}


def describe_instance_types(caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
    """The region's types, or the named ones. An unknown name is an error, as in EC2."""
    from moto.ec2.models import ec2_backends
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    names = set(given.get("InstanceTypes") or [])
    offered = {each["InstanceType"] for each in _offerings(caller.region, "region")}
    if unknown := sorted(names - offered):
        raise AwsAnswerError(
            "InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
        )
    filters = {each["Name"]: each.get("Values") or [] for each in given.get("Filters") or []}
    found = ec2_backends[caller.account_id][caller.region].describe_instance_types(None, filters or None)
    chosen = sorted({each["InstanceType"] for each in found} & (names or offered))
    return page_of("InstanceTypes", [INSTANCE_TYPES[name] for name in chosen], given)


def describe_instance_type_offerings(caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
    """The places where types are offered: the region, its zones, or its zones by id. Filters accept wildcards."""
    offerings = _offerings(caller.region, str(given.get("LocationType") or "region"))
    chosen = chosen_by(offerings, given.get("Filters"), _OFFERING_FILTERS)
    return page_of("InstanceTypeOfferings", chosen, {"MaxResults": 1000, **given})


def _offerings(region: str, location_type: str) -> list[dict[str, Any]]:
    from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

    if location_type not in INSTANCE_TYPE_OFFERINGS:
        raise AwsAnswerError("InvalidParameterValue", f"Invalid value '{location_type}' for LocationType")
    known: list[dict[str, Any]] | None = INSTANCE_TYPE_OFFERINGS[location_type].get(region)
    if known is not None:
        return known
    return [{"InstanceType": name, "Location": region, "LocationType": location_type} for name in INSTANCE_TYPES]


class Simulator:
    """IAM's policy simulator. ``denied_by_scp``: patterns of actions that the organization denies."""

    def __init__(self, denied_by_scp: Sequence[str]) -> None:
        self._denied_by_scp = tuple(denied_by_scp)

    def operations(self) -> Mapping[str, Handler]:
        """The operations by botocore's name."""
        return {"SimulatePrincipalPolicy": self.principal, "SimulateCustomPolicy": self.custom}

    def principal(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """What a user, group or role may do, with further policies."""
        source = principal_of_arn(given["PolicySourceArn"], caller.region)
        boundary = _given(given, "PermissionsBoundaryPolicyInputList")
        powers = Powers(
            source.powers.policies + _given(given, "PolicyInputList"), boundary or source.powers.boundary,
            source.powers.administrator,
        )  # fmt: skip
        return self._results(powers, given, source.context)

    def custom(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """What the given policies allow."""
        boundary = _given(given, "PermissionsBoundaryPolicyInputList")
        return self._results(Powers(_given(given, "PolicyInputList"), boundary or None), given, {})

    def _results(self, powers: Powers, given: Mapping[str, Any], context: Mapping[str, list[str]]) -> dict[str, Any]:
        context = {**context, **_entries(given)}
        requests = [
            AccessRequest(action, resource, context)
            for action in given["ActionNames"]
            for resource in given.get("ResourceArns") or ["*"]
        ]
        size = int(given.get("MaxItems") or 100)
        start = position(given.get("Marker"), "InvalidInput", "Invalid Marker.")
        page = [_result(decide(powers, each, self._denied_by_scp), each) for each in requests[start : start + size]]
        more = start + size < len(requests)
        return {"EvaluationResults": page, "IsTruncated": more} | ({"Marker": str(start + size)} if more else {})


def _result(decision: AccessDecision, request: AccessRequest) -> dict[str, Any]:
    matched = [{"SourcePolicyId": policy.name, "SourcePolicyType": policy.kind} for policy in decision.identity.matched]
    missing = [*decision.identity.missing, *(decision.by_boundary.missing if decision.by_boundary else ())]
    details: dict[str, Any] = {"MatchedStatements": matched, "MissingContextValues": list(dict.fromkeys(missing))}
    if decision.by_boundary:
        allowed = decision.by_boundary.decision == ALLOWED
        details["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
    specific = {"EvalResourceName": request.resource, "EvalResourceDecision": decision.decision, **details}
    if decision.by_organization is not None:
        details["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": decision.by_organization}
    names = {"EvalActionName": request.action, "EvalResourceName": request.resource, "EvalDecision": decision.decision}
    return names | details | {"ResourceSpecificResults": [specific]}


def _entries(given: Mapping[str, Any]) -> dict[str, list[str]]:
    return {
        str(entry["ContextKeyName"]).lower(): [str(value) for value in entry.get("ContextKeyValues", [])]
        for entry in given.get("ContextEntries") or []
        if entry.get("ContextKeyName")
    }


def _given(given: Mapping[str, Any], name: str) -> tuple[AttachedPolicy, ...]:
    policies = []
    for number, text in enumerate(given.get(name) or [], 1):
        try:
            policies.append(AttachedPolicy(f"{name}.{number}", "none", read_document(text)))
        except ValueError:
            raise AwsAnswerError(
                "InvalidInput", f"The policy {name}.{number} is not in the valid JSON format."
            ) from None
    return tuple(policies)


def put_user_permissions_boundary(caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
    """Set the boundary."""
    _set(caller, given["UserName"], given["PermissionsBoundary"])
    return {}


def delete_user_permissions_boundary(caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the boundary."""
    user = _user(caller, given["UserName"])
    if not getattr(user, "permissions_boundary", None):
        raise AwsAnswerError(
            "NoSuchEntity", f"The user with name {given['UserName']} has no permissions boundary.", 404
        )
    user.permissions_boundary = None
    return {}


def before_create_user(caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
    """Reject a new user if its boundary does not exist."""
    if arn := given.get("PermissionsBoundary"):
        _require(caller, arn)
    return {}


def after_create_user(caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
    """Set the boundary that moto ignored when it created the user."""
    if given.get("PermissionsBoundary"):
        _set(caller, given["UserName"], given["PermissionsBoundary"])
    return {}


def _set(caller: CallContext, name: str, arn: str) -> None:
    user = _user(caller, name)
    _require(caller, arn)
    user.permissions_boundary = {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn}


def _require(caller: CallContext, arn: str) -> None:
    if arn not in _iam(caller).managed_policies:
        raise AwsAnswerError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", 404)


def _user(caller: CallContext, name: str) -> Any:  # noqa: ANN401 -- moto's object
    user = _iam(caller).users.get(name)
    if user is None:
        raise AwsAnswerError("NoSuchEntity", f"The user with name {name} cannot be found.", 404)
    return user


def _iam(caller: CallContext) -> Any:  # noqa: ANN401 -- moto's backend
    from moto.iam.models import iam_backends
    from moto.utilities.utils import get_partition

    return iam_backends[caller.account_id][get_partition(caller.region)]


def get_resources(caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
    """moto's tagged resources; in IAM's region, the last page also has the account's IAM policies."""
    from moto.resourcegroupstaggingapi.models import resourcegroupstaggingapi_backends

    types, arns = given.get("ResourceTypeFilters") or [], given.get("ResourceARNList") or []
    token, found = resourcegroupstaggingapi_backends[caller.account_id][caller.region].get_resources(
        pagination_token=given.get("PaginationToken") or None,
        resources_per_page=int(given.get("ResourcesPerPage") or 50),
        tags_per_page=int(given.get("TagsPerPage") or 100),
        tag_filters=given.get("TagFilters") or [],
        resource_type_filters=types,
        resource_arn_list=arns,
    )
    listed = [
        {"ResourceARN": one.arn, "Tags": [{"Key": key, "Value": value} for key, value in one.tags.items()]}
        for one in found
    ]
    if not token and caller.region == home_region(caller.region):
        wanted = not types or any(each in {"iam", "iam:policy"} for each in types)
        listed += [
            {"ResourceARN": policy.arn, "Tags": policy.get_tags()}
            for policy in (_iam(caller).managed_policies.values() if wanted else ())
            if ":iam::aws:" not in policy.arn
            and (not arns or policy.arn in arns)
            and _has_tags(policy.get_tags(), given)
        ]
    return {"PaginationToken": token or "", "ResourceTagMappingList": listed}


def _has_tags(tags: Sequence[Mapping[str, str]], given: Mapping[str, Any]) -> bool:
    """Whether a resource has a tag for each filter."""
    values = {each["Key"]: each["Value"] for each in tags}
    filters = given.get("TagFilters") or []
    return all(
        each["Key"] in values and (not each.get("Values") or values[each["Key"]] in each["Values"]) for each in filters
    )


def make_extras(config: Mapping[str, Any], now: Callable[[], float] = time.time) -> Extras:
    """``config`` is the parent's form of the sandbox's settings; ``now`` gives seconds since the epoch."""
    denied = tuple(config.get("denied_by_scp", ()))
    log = config.get("aws_log")
    return Extras(
        _operations(
            QuotaBook(QuotaSettings(**config.get("quotas", {})), now),
            Simulator(denied),
            RoleSessions(config.get("session_seconds")),
        ),
        {("iam", "CreateUser"): after_create_user},
        {("iam", "CreateUser"): before_create_user},
        enforce_iam=bool(config.get("enforce_iam")),
        denied_by_scp=denied,
        sessions_end=config.get("session_seconds") is not None,
        log=CallLog(Path(log), now) if log else None,
    )


def _operations(book: QuotaBook, simulator: Simulator, sessions: RoleSessions) -> dict[tuple[str, str], Handler]:
    limits = AccountLimits(book)
    services: dict[str, Mapping[str, Handler]] = {
        "servicequotas": ServiceQuotas(book).operations(),
        "iam": {
            **simulator.operations(),
            "GetAccountSummary": limits.get_account_summary,
            "PutUserPermissionsBoundary": put_user_permissions_boundary,
            "DeleteUserPermissionsBoundary": delete_user_permissions_boundary,
        },
        "sts": {"AssumeRole": sessions.assume_role},
        "tagging": {"GetResources": get_resources},
        "autoscaling": {"DescribeAccountLimits": limits.describe_account_limits},
        "ec2": {
            "DescribeRegions": describe_regions,
            "DescribeAvailabilityZones": describe_availability_zones,
            "DescribeInstanceTypes": describe_instance_types,
            "DescribeInstanceTypeOfferings": describe_instance_type_offerings,
        },
    }
    return {(service, name): handler for service, named in services.items() for name, handler in named.items()}
