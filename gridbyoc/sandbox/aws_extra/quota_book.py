"""The account's quotas and the requests to raise them, as they stand at this moment.

Shape: https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_RequestedServiceQuotaChange.html
A request is PENDING, then CASE_OPENED, then APPROVED or DENIED; it moves with the clock.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gridbyoc.stack.service_quotas import QuotaCode, home_region, quota_codes

OPEN = ("PENDING", "CASE_OPENED")

_UNREAD_DEFAULTS = {"L-0DA4ABF3": 10.0}
"""Where the data leaves the default to be read, what the sandbox's account answers: moto's value."""

_ROOMY = {"vcpus": 2000.0, "L-CDE20ADC": 1000.0, "L-6B80B8FA": 1000.0, "L-F678F1CE": 50.0, "L-0263D0A3": 50.0,
          "L-FE5A380F": 50.0, "L-0DA4ABF3": 20.0}  # fmt: skip
"""The healthy account: room for what the service's guide asks for (1,000 vCPUs a family group, 800 groups)."""


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """``account`` is healthy or new; ``values`` and ``names`` are by ``service/code``.

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
    """``now`` gives seconds since the epoch. Safe to use from several threads."""

    def __init__(self, settings: QuotaSettings, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        self._requests: list[QuotaRequest] = []
        self._lock = threading.Lock()

    def quotas(self, service: str, region: str) -> list[QuotaCode]:
        """Those of a service that are kept in the region: the global services' are in one region only."""
        at_home = home_region(region) == region
        return [quota for quota in quota_codes() if quota.service == service and (at_home or quota.region != "home")]

    def name(self, quota: QuotaCode) -> str:
        """What the quota is called."""
        return (self._settings.names or {}).get(f"{quota.service}/{quota.code}", quota.name)

    def default(self, quota: QuotaCode) -> float:
        """AWS's own value."""
        given = quota.aws_default
        return _UNREAD_DEFAULTS.get(quota.code, 0.0) if given is None else float(given)

    def applied(self, quota: QuotaCode, account_id: str, region: str) -> float | None:
        """The account's own value; ``None`` where nobody has ever set one."""
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
        """What holds: the account's own value, or else the default."""
        applied = self.applied(quota, account_id, region)
        return self.default(quota) if applied is None else applied

    def requests(self, account_id: str, region: str) -> list[QuotaRequest]:
        """Those of an account in a region, oldest first."""
        with self._lock:
            return [each for each in self._requests if (each.account_id, each.region) == (account_id, region)]

    def ask(
        self, quota: QuotaCode, account_id: str, region: str, desired: float, requester: str
    ) -> QuotaRequest | None:
        """File a request; ``None`` where one for this quota is still open."""
        request = QuotaRequest(
            secrets.token_hex(16) + secrets.token_hex(4), quota, account_id, region, desired, self._now(), requester
        )
        if any(each.quota == quota and self.status(each)[0] in OPEN for each in self.requests(account_id, region)):
            return None
        with self._lock:
            self._requests.append(request)
        return request

    def status(self, request: QuotaRequest) -> tuple[str, float]:
        """The request's status, and since when it has it (seconds since the epoch)."""
        age, seconds = self._now() - request.created, self._settings.seconds
        if age >= seconds:
            return self._settings.outcome, request.created + seconds
        return ("CASE_OPENED", request.created + seconds / 2) if age >= seconds / 2 else ("PENDING", request.created)

    def _at_first(self, quota: QuotaCode) -> float | None:
        """The vCPU quotas are set for every account when it is made; the others only where the account is healthy."""
        if self._settings.account == "healthy":
            return _ROOMY.get("vcpus" if quota.family_group else quota.code)
        return self.default(quota) if quota.family_group else None
