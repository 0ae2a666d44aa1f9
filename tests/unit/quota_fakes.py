"""An AWS that answers what quotas are read with, by operation; a quota without an answer has none applied."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gridbyoc.aws import AwsSession
from tests.unit.leftover_fakes import refused
from tests.unit.memory_aws import Client, answered

NOT_APPLIED = refused("NoSuchResourceException", "The request failed because the specified resource does not exist.")


@dataclass
class QuotaAws:
    """``answers`` by ``service.operation``: a value, a function of the arguments, or an error to raise."""

    answers: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, float] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    region: str = "us-west-2"
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def session(self) -> AwsSession:
        """Itself, in a session's place."""
        found: Any = self
        return found

    def client(self, service: str, region: str | None = None) -> Any:
        return Client(partial(self.answer, service, region or self.region))

    def answer(self, service: str, region: str, operation: str, given: dict[str, Any]) -> Any:
        with self._lock:
            self.calls.append((f"{service}.{operation}", region, given))
        return answered(self._found(f"{service}.{operation}", given), given)

    def _found(self, name: str, given: dict[str, Any]) -> Any:
        if name in self.answers:
            return self.answers[name]
        code = given.get("QuotaCode", "")
        if name == "service-quotas.get_service_quota":
            return quota_answer(self.limits[code]) if code in self.limits else NOT_APPLIED
        if name == "service-quotas.get_aws_default_service_quota":
            return quota_answer(self.defaults[code]) if code in self.defaults else NOT_APPLIED
        return EMPTY[name]

    def named(self, operation: str) -> list[tuple[str, dict[str, Any]]]:
        """Region and arguments of every call of an operation."""
        return [(region, given) for name, region, given in self.calls if name == operation]


EMPTY: dict[str, Any] = {
    "sts.get_caller_identity": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ada"},
    "autoscaling.describe_account_limits": {
        "MaxNumberOfAutoScalingGroups": 500, "NumberOfAutoScalingGroups": 2,
        "MaxNumberOfLaunchConfigurations": 200, "NumberOfLaunchConfigurations": 0,
    },
    "iam.get_account_summary": {
        "SummaryMap": {
            "Roles": 7, "RolesQuota": 1000, "Policies": 3, "PoliciesQuota": 1500, "AttachedPoliciesPerRoleQuota": 10,
        }
    },
    "ec2.describe_vpcs": {"Vpcs": [{}]},
    "ec2.describe_addresses": {"Addresses": []},
    "ec2.describe_nat_gateways": {"NatGateways": []},
    "ec2.describe_instances": {"Reservations": []},
    "ec2.describe_instance_types": lambda **given: types_answer(given["Filters"][0]["Values"]),
    "s3.list_buckets": {"Buckets": [{}, {}]},
    "eks.list_clusters": {"clusters": ["one"]},
    "service-quotas.list_requested_service_quota_change_history_by_quota": {"RequestedQuotas": []},
    "service-quotas.list_requested_service_quota_change_history": {"RequestedQuotas": []},
}  # fmt: skip

VCPUS = {"t2.medium": 2, "t2.2xlarge": 8, "m5.large": 2, "g4dn.xlarge": 4, "g4dn.metal": 96, "p3.2xlarge": 8}


def types_answer(names: list[str]) -> dict[str, Any]:
    """Types that EC2 knows, and no others."""
    known = [name for name in names if name in VCPUS]
    return {"InstanceTypes": [{"InstanceType": name, "VCpuInfo": {"DefaultVCpus": VCPUS[name]}} for name in known]}


def quota_answer(value: Any) -> Any:
    """``GetServiceQuota``'s answer: of a number, of the fields given, or an error."""
    if isinstance(value, Exception):
        return value
    return {"Quota": value if isinstance(value, dict) else {"Value": float(value), "Adjustable": True}}


def machine(kind: str, **fields: Any) -> dict[str, Any]:
    """A running instance."""
    return {"InstanceType": kind, "Placement": {"Tenancy": "default"}, **fields}
