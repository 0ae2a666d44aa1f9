"""Create a cluster exactly once, even if the answer is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from gridbyoc.control_plane.changes import being_deleted
from gridbyoc.control_plane.failures import LostAnswerError
from gridbyoc.control_plane.http import is_transient
from gridbyoc.control_plane.model import Cluster, Created
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    SAFE_RESUMES,
    ClusterConflictError,
    ControlPlaneError,
    ControlPlaneUnreachableError,
    UnclearAnswerError,
)
from gridbyoc.stack.secret import Secret

LOOKS_AFTER_LOST_ANSWER = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses in seconds before each lookup: a server may still process a request whose answer was lost."""
POSTS = 3
THROTTLED_POSTS = 8
"""How often a create may be refused with 429: many stacks may register at the same time. The pauses add up to 75 s."""
LONGEST_PAUSE = 15.0


@dataclass(frozen=True, slots=True)
class Calls:
    """The two calls that creating needs: find a cluster by name, and send the create request."""

    find: Callable[[str], Cluster | None]
    post: Callable[[], Cluster]


@dataclass(frozen=True, slots=True)
class ClusterIdentity:
    """The name and role by which a cluster is recognized as ours."""

    name: str
    role_arn: str
    secrets: tuple[Secret, ...] = ()


def create_once(api: Calls, wanted: ClusterIdentity, sleep: Callable[[float], None]) -> Created:
    """Look the name up, send the request, and after an unclear answer look it up again before another request.

    Raises ``ClusterConflictError`` (the name belongs to another role's cluster), ``ControlPlaneError`` (refused, or a
    cluster with that name is being deleted), ``UnclearAnswerError`` (a re-run will clear it up).
    """
    existing = _ours(api.find(wanted.name), wanted)
    if existing is not None:
        return Created(existing, adopted=True)
    lost: ControlPlaneError | None = None
    throttled = unclear = 0
    while unclear < POSTS and throttled < THROTTLED_POSTS:
        outcome = _post(api, wanted, first=lost is None)
        if isinstance(outcome, Created):
            return outcome
        lost = outcome if lost is None or _may_have_arrived(outcome) else lost
        if outcome.http_status == HTTPStatus.TOO_MANY_REQUESTS:
            # It was not processed. A look now would use up the request that the server would let through next.
            sleep(min(2.0**throttled, LONGEST_PAUSE))
            throttled += 1
            continue
        unclear += 1
        found = _look(api, wanted, outcome, sleep)
        if found is not None:
            return Created(found, adopted=False)
    raise _given_up(lost, wanted)


def _post(api: Calls, wanted: ClusterIdentity, *, first: bool) -> Created | ControlPlaneError:
    """The cluster, or the error after which it is unclear whether there is one; a final refusal is raised."""
    try:
        return Created(api.post(), adopted=False)
    except ControlPlaneError as error:
        failure = error
    if is_transient(failure):
        return failure
    if failure.http_status not in {400, 409}:
        raise failure
    # Both may mean that another run has just created it; servers differ in which one they send.
    existing = _ours(api.find(wanted.name), wanted)
    if existing is not None:
        return Created(existing, adopted=first)
    raise _name_taken(wanted, failure) if failure.http_status == 409 else failure


def _look(
    api: Calls, wanted: ClusterIdentity, failure: ControlPlaneError, sleep: Callable[[float], None]
) -> Cluster | None:
    """Our cluster, or ``None`` if there is certainly none. Raises ``UnclearAnswerError`` if no lookup succeeded."""
    pauses = LOOKS_AFTER_LOST_ANSWER if _may_have_arrived(failure) else LOOKS_AFTER_LOST_ANSWER[1:2]
    clear = False
    for seen in _looks(api, wanted, pauses, sleep):
        if isinstance(seen, Cluster):
            return seen
        clear = seen is None
    if not clear:
        raise _given_up(failure, wanted)
    return None


def _looks(
    api: Calls, wanted: ClusterIdentity, pauses: tuple[float, ...], sleep: Callable[[float], None]
) -> Iterator[Cluster | ControlPlaneError | None]:
    for pause in pauses:
        sleep(pause)
        try:
            seen = api.find(wanted.name)
        except ControlPlaneError as error:
            if not is_transient(error):
                raise
            yield error
        else:
            yield _ours(seen, wanted)


def _may_have_arrived(failure: ControlPlaneError) -> bool:
    """Whether the request may have been processed. After a refused connection, 408 or 429 it was not."""
    if failure.http_status in {408, 429}:
        return False
    return isinstance(failure, LostAnswerError) or not isinstance(failure, ControlPlaneUnreachableError)


def _ours(cluster: Cluster | None, wanted: ClusterIdentity) -> Cluster | None:
    """``cluster`` if it may be adopted; ``None`` if the name is free. Raises if another cluster has the name."""
    if cluster is None:
        return None
    if cluster.role_arn != wanted.role_arn:
        role = cluster.role_arn or "a role that the control plane does not show"
        raise ClusterConflictError(
            f"A cluster that uses another role already has the name {cluster.name}.",
            why=f"That cluster ({cluster.id}) uses {role}; this stack's role is {wanted.role_arn}.",
            fix="Choose another name, or inspect that cluster with `gridbyoc clusters get`.",
            rerun=SAFE_NOTHING_DONE,
        )
    if cluster.status == "terminating":
        raise being_deleted(cluster)
    return cluster


def _name_taken(wanted: ClusterIdentity, failure: ControlPlaneError) -> ClusterConflictError:
    return ClusterConflictError(
        f"The control plane says that the name {wanted.name} is taken, but this account cannot see that cluster.",
        http_status=failure.http_status,
        why=failure.what,
        fix="Choose another name.",
        rerun=SAFE_NOTHING_DONE,
    )


def _given_up(failure: ControlPlaneError | None, wanted: ClusterIdentity) -> ControlPlaneError:
    if failure is not None and not _may_have_arrived(failure):
        return failure
    return UnclearAnswerError(
        f"It is unknown whether cluster {wanted.name} was created.",
        http_status=failure.http_status if failure else 0,
        why=failure.what if failure else "",
        fix="Run this again when the control plane answers; gridbyoc looks the name up first.",
        rerun=SAFE_RESUMES,
    )
