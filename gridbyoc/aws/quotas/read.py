"""Limits and use, read side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from gridbyoc.aws.quotas.counting import COUNTS
from gridbyoc.aws.quotas.limits import read_limit, reason
from gridbyoc.aws.quotas.machines import read_machines
from gridbyoc.aws.quotas.model import AccountQuotas, Limit, QuotaReading, Use
from gridbyoc.aws.readers import Readers
from gridbyoc.aws.session import AwsSession, domain_errors
from gridbyoc.errors import AwsError
from gridbyoc.stack.service_quotas import QuotaCode, quota_region

AT_ONCE = 8
"""Calls at a time: Service Quotas answers about ten a second and throttles what is more."""


def read_quotas(session: AwsSession, quotas: Sequence[QuotaCode], types: Iterable[str] = ()) -> AccountQuotas:
    """What ``quotas`` allow and how much is in use, for clusters in the session's region; the vCPUs of ``types``.

    Nothing is raised for what cannot be read: it is ``None`` in the answer, with the reason.
    """
    readers = Readers(AT_ONCE)
    machines = readers.submit(lambda: read_machines(session, types))
    calls = dict.fromkeys(quota.counted for quota in quotas if not quota.family_group)
    counting = {call: readers.submit(partial(_count, session, call)) for call in calls}
    limits = {quota: readers.submit(partial(read_limit, session, quota)) for quota in quotas}
    readings = {}
    for quota in quotas:
        grouped = bool(quota.family_group)
        use = machines.result().use(quota.code) if grouped else _use(counting[quota.counted].result(), quota)
        limit = _told(limits[quota].result(), use)
        readings[quota.code] = QuotaReading(quota, quota_region(quota, session.region), limit, use)
    return AccountQuotas(readings, machines.result().vcpus, machines.result().vcpus_why)


def _count(session: AwsSession, call: str) -> Mapping[str, Use] | AwsError:
    try:
        with domain_errors(f"{call} did not answer"):
            return COUNTS[call](session)
    except AwsError as error:
        return error


def _use(counted: Mapping[str, Use] | AwsError, quota: QuotaCode) -> Use:
    if isinstance(counted, AwsError):
        return Use(None, why=reason(counted))
    return counted[quota.code]


def _told(limit: Limit, use: Use) -> Limit:
    """The service's own word, where Service Quotas has none."""
    if limit.value is None and use.limit is not None:
        return Limit(use.limit, source="the call that counts")
    return limit
