"""A quota's row in words: what was read, what is needed, what to do; and its numbers."""

from __future__ import annotations

from gridbyoc.aws.quotas import Increase
from gridbyoc.stack.words import minute
from gridbyoc.steps.quotas.review import QuotaRow, whole

NO_QUOTA = "Look for it among EC2's quotas in the console of Service Quotas."


def no_quota_words(instance_type: str, market: str) -> str:
    """That nothing can be said about a type."""
    return f"AWS names no {market} quota that {instance_type} counts against"


def read_words(row: QuotaRow) -> str:
    """``limit 5 vCPUs, 0 in use``; what could not be read says so, and why."""
    limit = f"limit {row.amount(row.limit)}" if row.limit is not None else "limit not known"
    use = f"{row.in_use} in use" if row.in_use is not None else "use not known"
    return f"{limit}, {use}" + (f". {row.why}" if row.why else "")


def needed_words(row: QuotaRow) -> str:
    """``8 vCPUs (g4dn.xlarge 4, 1 g4dn.xlarge kept running)``, and the guide's advice where it is more."""
    if not row.need.headroom:
        return "nothing more"
    at_least = "at least " if row.needed is None or row.need.unsure else ""
    amount = row.amount(row.need.headroom) + " free" if row.needed is None else row.amount(row.needed)
    advice = ""
    if row.recommended and row.recommended > max(row.needed or 0, row.limit or 0):
        advice = f"; the guide recommends {row.recommended}"
    return f"{at_least}{amount} ({row.need.words}){advice}"


def fix_words(row: QuotaRow) -> str:
    """What to do about a shortage, with both commands; that a request is open already, if one is."""
    if row.verdict == "unknown":
        return (
            row.need.advice
            or "Allow the call, or run again where it was throttled; `gridbyoc quotas` shows the numbers."
        )
    if row.pending is not None:
        return pending_words(row.pending, row.needed)
    if row.needed is None or row.limit is None or row.needed <= row.limit or not row.need.headroom:
        return "" if row.verdict == "pass" else f"Look at {row.console} whether it still counts the same."
    if row.reading.limit.adjustable is False:
        return f"AWS does not raise this quota ({row.console}): free some of it, or take another account or region."
    return f"`gridbyoc quotas request --code {row.quota.code}`, or `{aws_command(row, row.needed)}`; {row.console}"


def aws_command(row: QuotaRow, desired: int) -> str:
    """The AWS CLI's command that asks for ``desired``."""
    return (
        f"aws service-quotas request-service-quota-increase --service-code {row.quota.service} "
        f"--quota-code {row.quota.code} --desired-value {desired} --region {row.region}"
    )


def pending_words(request: Increase, needed: int | None) -> str:
    """An open request, and whether it is enough."""
    case = f", case {request.case_id}" if request.case_id else ""
    since = f" since {minute(request.created)}" if request.created else ""
    words = f"A request for {whole(request.desired)} is open{since} ({request.status}{case})"
    if needed is not None and request.desired < needed:
        return f"{words}, which is not enough: once it is decided, ask again with `gridbyoc quotas request`."
    return f"{words}; `gridbyoc quotas status` shows it."


def quota_facts(row: QuotaRow) -> dict[str, object]:
    """The numbers of a row, for JSON."""
    return {
        "service": row.quota.service,
        "quota_code": row.quota.code,
        "quota_name": row.reading.limit.name or row.quota.name,
        "region": row.region,
        "limit": row.limit,
        "in_use": row.in_use,
        "headroom": row.need.headroom,
        "needed": row.needed,
        "recommended": row.recommended,
        "adjustable": row.reading.limit.adjustable,
        "pending": row.pending.id if row.pending else None,
        "console": row.console,
    }
