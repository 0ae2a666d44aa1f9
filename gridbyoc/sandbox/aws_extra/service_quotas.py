"""Service Quotas: read quotas, and request increases.

Format: https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_Operations.html (botocore
``service-quotas``). Codes and names are those of the project's data file (``gridbyoc.stack.service_quotas``).
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from gridbyoc.sandbox.aws_extra.call import AwsAnswerError, CallContext, Handler, page_of
from gridbyoc.stack.regions import partition_of
from gridbyoc.stack.service_quotas import QuotaCode, home_region, quota_codes

OPEN = ("PENDING", "CASE_OPENED")

_UNREAD_DEFAULTS = {"L-0DA4ABF3": 10.0}
"""Defaults for quotas whose data has none: moto's values."""

_ROOMY = {"vcpus": 2000.0, "L-CDE20ADC": 1000.0, "L-6B80B8FA": 1000.0, "L-F678F1CE": 50.0, "L-0263D0A3": 50.0,
          "L-FE5A380F": 50.0, "L-0DA4ABF3": 20.0}  # fmt: skip
"""The healthy account: room for the guide's recommendations (1,000 vCPUs per family group, 800 groups)."""


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """The quotas' settings. ``account`` is healthy or new; ``values`` and ``names`` are by ``service/code``.

    A request is open for ``seconds`` and then has the ``outcome``.
    """

    account: str = "healthy"
    values: Mapping[str, float] | None = None
    names: Mapping[str, str] | None = None
    seconds: float = 5.0
    outcome: str = "APPROVED"


@dataclass(frozen=True, slots=True)
class QuotaRequest:
    """One request for a higher value; ``created`` in seconds since the epoch."""

    id: str
    quota: QuotaCode
    account_id: str
    region: str
    desired: float
    created: float
    requester: str


class QuotaBook:
    """The account's quotas and requests. ``now`` gives seconds since the epoch. Thread-safe."""

    def __init__(self, settings: QuotaSettings, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        self._requests: list[QuotaRequest] = []
        self._lock = threading.Lock()

    def quotas(self, service: str, region: str) -> list[QuotaCode]:
        """A service's quotas in the region: those of global services exist in one region only."""
        at_home = home_region(region) == region
        return [quota for quota in quota_codes() if quota.service == service and (at_home or quota.region != "home")]

    def name(self, quota: QuotaCode) -> str:
        """The quota's name."""
        return (self._settings.names or {}).get(f"{quota.service}/{quota.code}", quota.name)

    def default(self, quota: QuotaCode) -> float:
        """AWS's default value."""
        given = quota.aws_default
        return _UNREAD_DEFAULTS.get(quota.code, 0.0) if given is None else float(given)

    def applied(self, quota: QuotaCode, account_id: str, region: str) -> float | None:
        """The account's own value; ``None`` if it was never set."""
        raised = [
            request.desired
            for request in self.requests(account_id, region)
            if request.quota == quota and self.status(request)[0] == "APPROVED"
        ]
        if raised:
            return raised[-1]
        given = (self._settings.values or {}).get(f"{quota.service}/{quota.code}")
        return self._at_first(quota) if given is None else given

    def value(self, quota: QuotaCode, account_id: str, region: str) -> float:
        """The effective value: the account's own, otherwise the default."""
        applied = self.applied(quota, account_id, region)
        return self.default(quota) if applied is None else applied

    def requests(self, account_id: str, region: str) -> list[QuotaRequest]:
        """An account's requests in a region, oldest first."""
        with self._lock:
            return [each for each in self._requests if (each.account_id, each.region) == (account_id, region)]

    def ask(
        self, quota: QuotaCode, account_id: str, region: str, desired: float, requester: str
    ) -> QuotaRequest | None:
        """File a request; ``None`` if one for this quota is still open."""
        request = QuotaRequest(
            secrets.token_hex(16) + secrets.token_hex(4), quota, account_id, region, desired, self._now(), requester
        )
        if any(each.quota == quota and self.status(each)[0] in OPEN for each in self.requests(account_id, region)):
            return None
        with self._lock:
            self._requests.append(request)
        return request

    def status(self, request: QuotaRequest) -> tuple[str, float]:
        """The request's status, and when it began (seconds since the epoch)."""
        age, seconds = self._now() - request.created, self._settings.seconds
        if age >= seconds:
            return self._settings.outcome, request.created + seconds
        return ("CASE_OPENED", request.created + seconds / 2) if age >= seconds / 2 else ("PENDING", request.created)

    def _at_first(self, quota: QuotaCode) -> float | None:
        """The initial value. vCPU quotas are set in every new account; the others only in the healthy one."""
        if self._settings.account == "healthy":
            return _ROOMY.get("vcpus" if quota.family_group else quota.code)
        return self.default(quota) if quota.family_group else None


_SERVICES = {
    "autoscaling": "Amazon EC2 Auto Scaling",
    "ec2": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "eks": "Amazon Elastic Kubernetes Service (Amazon EKS)",
    "iam": "AWS Identity and Access Management (IAM)",
    "s3": "Amazon Simple Storage Service (Amazon S3)",
    "vpc": "Amazon Virtual Private Cloud (Amazon VPC)",
}


class ServiceQuotas:
    """The operations, on the account's book of quotas."""

    def __init__(self, book: QuotaBook) -> None:
        self._book = book

    def operations(self) -> Mapping[str, Handler]:
        """The operations by botocore's name."""
        return {
            "GetServiceQuota": self.get_service_quota,
            "GetAWSDefaultServiceQuota": self.get_default,
            "ListServiceQuotas": self.list_service_quotas,
            "ListAWSDefaultServiceQuotas": self.list_defaults,
            "ListServices": self.list_services,
            "RequestServiceQuotaIncrease": self.request_increase,
            "GetRequestedServiceQuotaChange": self.get_request,
            "ListRequestedServiceQuotaChangeHistory": self.list_requests,
            "ListRequestedServiceQuotaChangeHistoryByQuota": self.list_requests,
        }

    def get_service_quota(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """The applied value; ``NoSuchResourceException`` if the account has none of its own."""
        quota = self._find(caller, given)
        if self._book.applied(quota, caller.account_id, caller.region) is None:
            raise _no_such()
        return {"Quota": self._applied(quota, caller)}

    def get_default(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """AWS's default value."""
        return {"Quota": self._default(self._find(caller, given), caller)}

    def list_service_quotas(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """The quotas with an applied value; others are omitted, as in AWS."""
        quotas = [
            self._applied(quota, caller)
            for quota in self._of_service(caller, given)
            if self._book.applied(quota, caller.account_id, caller.region) is not None
        ]
        return page_of("Quotas", quotas, given)

    def list_defaults(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """AWS's default values of a service."""
        return page_of("Quotas", [self._default(quota, caller) for quota in self._of_service(caller, given)], given)

    def list_services(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """The services that have quotas here."""
        services = [{"ServiceCode": code, "ServiceName": name} for code, name in _SERVICES.items()]
        return page_of("Services", services, given)

    def request_increase(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """File a request: only for more than the current value, and one at a time."""
        quota = self._find(caller, given)
        desired = float(given["DesiredValue"])
        if desired <= self._book.value(quota, caller.account_id, caller.region):
            raise AwsAnswerError(
                "IllegalArgumentException", "You must provide a quota value greater than the current quota value."
            )
        requester = json.dumps({"accountId": caller.account_id, "callerArn": caller.arn})
        request = self._book.ask(quota, caller.account_id, caller.region, desired, requester)
        if request is None:
            raise AwsAnswerError(
                "ResourceAlreadyExistsException", "Only one open service quota increase request is allowed per quota."
            )
        return {"RequestedQuota": self._change(request)}

    def get_request(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """One request by its id."""
        for request in self._book.requests(caller.account_id, caller.region):
            if request.id == given.get("RequestId"):
                return {"RequestedQuota": self._change(request)}
        raise _no_such()

    def list_requests(self, caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
        """The account's requests, newest first; filtered by service, quota, or status."""
        if "QuotaCode" in given:
            self._find(caller, given)
        changes = [self._change(each) for each in reversed(self._book.requests(caller.account_id, caller.region))]
        wanted = {name: given[name] for name in ("ServiceCode", "QuotaCode", "Status") if given.get(name)}
        chosen = [change for change in changes if all(change[name] == value for name, value in wanted.items())]
        return page_of("RequestedQuotas", chosen, given)

    def _of_service(self, caller: CallContext, given: Mapping[str, Any]) -> list[QuotaCode]:
        service = given.get("ServiceCode", "")
        if service not in {quota.service for quota in quota_codes()}:
            raise _no_such()
        code = given.get("QuotaCode")
        return [quota for quota in self._book.quotas(service, caller.region) if code in (None, quota.code)]

    def _find(self, caller: CallContext, given: Mapping[str, Any]) -> QuotaCode:
        found = self._of_service(caller, given)
        if len(found) != 1:
            raise _no_such()
        return found[0]

    def _applied(self, quota: QuotaCode, caller: CallContext) -> dict[str, Any]:
        value = self._book.value(quota, caller.account_id, caller.region)
        return self._described(quota, caller.account_id, caller.region) | {
            "Value": value,
            "QuotaAppliedAtLevel": "ACCOUNT",
        }

    def _default(self, quota: QuotaCode, caller: CallContext) -> dict[str, Any]:
        return self._described(quota, "", caller.region) | {"Value": self._book.default(quota)}

    def _described(self, quota: QuotaCode, account_id: str, region: str) -> dict[str, Any]:
        described = {**self._identity(quota, account_id, region), "Adjustable": True}
        if quota.family_group:
            described["UsageMetric"] = _usage_metric(quota)
        return described

    def _identity(self, quota: QuotaCode, account_id: str, region: str) -> dict[str, Any]:
        is_global = quota.region == "home"
        place = "" if is_global else region
        service = f"arn:{partition_of(region) or 'aws'}:servicequotas:{place}:{account_id}"
        return {
            "ServiceCode": quota.service,
            "ServiceName": _SERVICES.get(quota.service, quota.service),
            "QuotaArn": f"{service}:{quota.service}/{quota.code}",
            "QuotaCode": quota.code,
            "QuotaName": self._book.name(quota),
            "Unit": "None",
            "GlobalQuota": is_global,
        }

    def _change(self, request: QuotaRequest) -> dict[str, Any]:
        status, since = self._book.status(request)
        change = self._identity(request.quota, request.account_id, request.region) | {
            "Id": request.id,
            "DesiredValue": request.desired,
            "Status": status,
            "Created": _time(request.created),
            "LastUpdated": _time(since),
            "Requester": request.requester,
            "QuotaRequestedAtLevel": "ACCOUNT",
        }
        # AWS Support opens a case later; until then there is no case number.
        return change if status == "PENDING" else change | {"CaseId": str(int(request.id[:12], 16))}


def _usage_metric(quota: QuotaCode) -> dict[str, Any]:
    market = "OnDemand" if quota.market == "on-demand" else "Spot"
    return {
        "MetricNamespace": "AWS/Usage",
        "MetricName": "ResourceCount",
        "MetricDimensions": {
            "Class": f"{quota.family_group}/{market}", "Resource": "vCPU", "Service": "EC2", "Type": "Resource",
        },
        "MetricStatisticRecommendation": "Maximum",
    }  # fmt: skip


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _no_such() -> AwsAnswerError:
    return AwsAnswerError(
        "NoSuchResourceException", "The request failed because the specified resource does not exist."
    )
