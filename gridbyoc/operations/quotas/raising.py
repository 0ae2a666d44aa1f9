"""Request quota increases from AWS: choose them, file the requests, and wait for decisions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from gridbyoc.aws import AwsSession
from gridbyoc.aws.quotas import Increase, open_request, read_limit, read_request, request_increase
from gridbyoc.errors import AwsCredentialsError, AwsError
from gridbyoc.operations.quotas.review import RECOMMENDED_VCPUS, QuotaRow
from gridbyoc.stack.clock import backoff

LONGEST_PAUSE = 60.0
GROWTH = 1.5

RequestResult = Literal["to file", "filed", "pending", "refused", "not adjustable"]


@dataclass(frozen=True, slots=True)
class PlannedIncrease:
    """A quota increase to ``desired``. ``request`` is AWS's record of it, ``why`` AWS's reason for refusing."""

    row: QuotaRow
    desired: int
    result: RequestResult = "to file"
    request: Increase | None = None
    why: str = ""


def asks(
    rows: Iterable[QuotaRow], *, codes: Collection[str] = (), recommended: bool = False
) -> tuple[PlannedIncrease, ...]:
    """The increases to request: every proven shortage, by as much as is needed.

    ``codes`` restricts them, and adds possible shortages of these quotas. ``recommended`` requests the guide's 1000
    vCPUs in every family group and market with less.
    """
    found = []
    for row in rows:
        desired = _desired(row, named=row.quota.code in codes, recommended=recommended)
        if desired is not None and (not codes or row.quota.code in codes):
            found.append(
                PlannedIncrease(row, desired, "not adjustable" if row.reading.limit.adjustable is False else "to file")
            )
    return tuple(found)


def _desired(row: QuotaRow, *, named: bool, recommended: bool) -> int | None:
    if row.limit is None:
        return None
    short = row.verdict == "fail" or (named and row.needed is not None and row.needed > row.limit)
    needed = row.needed or 0 if short else 0
    if recommended and row.quota.family_group:
        needed = max(needed, RECOMMENDED_VCPUS)
    return needed if needed > row.limit else None


def look_up(session: AwsSession, ask: PlannedIncrease) -> PlannedIncrease:
    """Add the open request for the same quota, if there is one; ``AwsError``."""
    if ask.result != "to file":
        return ask
    found = open_request(session, ask.row.quota)
    return ask if found is None else PlannedIncrease(ask.row, ask.desired, "pending", found)


def file(session: AwsSession, ask: PlannedIncrease) -> PlannedIncrease:
    """File the request, unless one is open. A refusal of AWS is in the result. Raises ``AwsCredentialsError``."""
    try:
        looked = look_up(session, ask)
        if looked.result != "to file":
            return looked
        made = request_increase(session, ask.row.quota, ask.desired)
        if made is None:  # somebody else filed one in between
            return PlannedIncrease(ask.row, ask.desired, "pending", open_request(session, ask.row.quota))
        return PlannedIncrease(ask.row, ask.desired, "filed", made)
    except AwsCredentialsError:
        raise
    except AwsError as error:
        return PlannedIncrease(ask.row, ask.desired, "refused", why=error.why or error.what)


@dataclass(frozen=True, slots=True)
class DecisionPatience:
    """How long to wait for AWS's decisions and the first pause between polls, in seconds, and the clock to use."""

    timeout: float
    poll_interval: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]


def follow(
    session: AwsSession,
    requests: Sequence[Increase],
    patience: DecisionPatience,
    *,
    on_progress: Callable[[Increase, float], None],
    on_trouble: Callable[[AwsError, float], None],
) -> tuple[Increase, ...]:
    """Poll the requests until AWS has decided each, or time is up. Returns them as last seen, in their order.

    A failing poll does not end it, unless the credentials fail (``AwsCredentialsError``).
    """
    began, seen = patience.clock(), list(requests)
    for pause in backoff(patience.poll_interval, GROWTH, LONGEST_PAUSE):
        for place, request in enumerate(seen):
            if request.open:
                seen[place] = _look(session, request, lambda error: on_trouble(error, patience.clock() - began))
            on_progress(seen[place], patience.clock() - began)
        left = patience.timeout - (patience.clock() - began)
        if left <= 0 or not any(request.open for request in seen):
            break
        patience.sleep(min(pause, left))
    return tuple(seen)


def _look(session: AwsSession, request: Increase, on_trouble: Callable[[AwsError], None]) -> Increase:
    try:
        return read_request(session, request)
    except AwsCredentialsError:
        raise
    except AwsError as error:
        on_trouble(error)
        return request


def granted(session: AwsSession, request: Increase) -> bool:
    """Whether the account has the requested value. A closed case does not say how it ended, so read the limit."""
    if request.status == "CASE_CLOSED":
        limit = read_limit(session, request.quota).value
        return limit is not None and limit >= request.desired
    return request.status == "APPROVED"
