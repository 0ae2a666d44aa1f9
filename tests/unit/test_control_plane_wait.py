"""Waiting, on a clock that only sleeping and hanging move."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.control_plane import wait_until
from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.control_plane.wait import LONGEST_PAUSE, Target
from gridbyoc.errors import (
    AuthenticationError,
    ClusterFailedError,
    ClusterNotFoundError,
    ControlPlaneError,
    ControlPlaneUnreachableError,
    ExitStatus,
    GridbyocError,
    InterruptedRunError,
    WaitTimedOutError,
)
from gridbyoc.operations.events import Event, Note
from gridbyoc.operations.wait import wait_limits, watch_cluster
from tests.unit.fakes import MemoryRegistrar, Time, cluster

ML = cluster("ml", phase=Phase.PENDING)
RUNNING, FAILED = replace(ML, phase=Phase.RUNNING), replace(ML, phase=Phase.FAILED, reason="no quota")
DELETED, TERMINATING = replace(ML, phase=Phase.DELETED), replace(ML, desired_state=Phase.DELETED)
MISSING = ClusterNotFoundError("not there", http_status=404)
DOWN = ControlPlaneUnreachableError("down")
BUSY = ControlPlaneError("busy", http_status=503)
Sight = Cluster | BaseException


@dataclass
class Plane(MemoryRegistrar):
    """Shows ``sights`` in turn, the last for ever; ``HANGS`` uses up all the time it is given."""

    time: Time = field(default_factory=Time)
    sights: list[Any] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)

    def get(self, cluster_id: str, *, within: float | None = None) -> Cluster:
        assert cluster_id == ML.id
        assert within is not None
        self.looks.append(self.time.now)
        sight = self.sights.pop(0) if len(self.sights) > 1 else self.sights[0]
        if sight == "hangs":
            self.time.now += within
            raise DOWN
        if isinstance(sight, BaseException):
            raise sight
        return sight


def wait(*sights: Sight | str, target: Target = "running", **options: Any) -> tuple[Cluster, Plane]:
    plane = Plane(sights=list(sights))
    settings: dict[str, Any] = {"timeout": 5400.0, "jitter": lambda: 0.5, **options}
    last = wait_until(plane, ML, target=target, clock=plane.time.clock, sleep=plane.time.sleep, **settings)
    return last, plane


def test_it_looks_at_once_and_then_in_growing_pauses() -> None:
    _, plane = wait(RUNNING)
    assert plane.looks == [0.0]
    _, plane = wait(*[ML] * 12, RUNNING)
    assert plane.time.naps[:3] == [5.0, 7.5, 11.25]
    assert plane.time.naps == sorted(plane.time.naps)
    assert plane.time.naps[-1] == LONGEST_PAUSE
    _, plane = wait(ML, ML, RUNNING, poll_interval=0.2)
    assert plane.time.naps == pytest.approx([0.2, 0.3])


def test_not_listed_yet_is_no_error_for_a_while() -> None:
    last, _ = wait(MISSING, MISSING, ML, RUNNING)
    assert last == RUNNING
    with pytest.raises(ClusterNotFoundError, match="does not know the cluster ml") as caught:
        wait(MISSING)
    assert "300 s" in caught.value.why
    last, _ = wait(ML, MISSING, RUNNING)
    assert last == RUNNING


def test_failed_ends_at_once_or_after_its_grace() -> None:
    with pytest.raises(ClusterFailedError, match="no quota") as caught:
        wait(ML, FAILED, RUNNING)
    assert caught.value.exit_status is ExitStatus.CLUSTER_FAILED
    last, _ = wait(ML, FAILED, FAILED, RUNNING, failed_grace=600.0)
    assert last == RUNNING
    with pytest.raises(ClusterFailedError):
        wait(ML, FAILED, failed_grace=600.0)
    # a grace begins anew once the cluster has left FAILED
    last, _ = wait(FAILED, FAILED, ML, FAILED, FAILED, RUNNING, failed_grace=20.0)
    assert last == RUNNING
    with pytest.raises(ClusterFailedError, match="gives no reason"):
        wait(replace(FAILED, reason=""))


def test_gone() -> None:
    for end in (MISSING, DELETED):
        last, _ = wait(TERMINATING, end, target="deleted")
        assert last.status in {"terminating", "deleted"}
    last, _ = wait(replace(FAILED, desired_state=Phase.DELETED), TERMINATING, MISSING, target="deleted")
    assert last == TERMINATING
    with pytest.raises(ClusterFailedError, match="could not be deleted"):
        wait(TERMINATING, FAILED, target="deleted")


def test_a_cluster_on_its_way_out_will_not_run() -> None:
    for sight in (TERMINATING, DELETED):
        with pytest.raises(ClusterFailedError, match="will not run"):
            wait(sight)


def test_trouble_passes_and_is_told() -> None:
    troubles: list[str] = []
    last, _ = wait(DOWN, BUSY, ML, BUSY, RUNNING, on_trouble=lambda error, _: troubles.append(error.what))
    assert last == RUNNING
    assert troubles == ["down", "busy", "busy"]


@pytest.mark.parametrize(
    "error", [AuthenticationError("no", http_status=401), ControlPlaneError("no", http_status=400)]
)
def test_what_will_not_pass_ends_it(error: ControlPlaneError) -> None:
    with pytest.raises(type(error)):
        wait(ML, error, RUNNING)


def test_an_interrupt_passes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        wait(ML, KeyboardInterrupt())


def test_the_time_is_over() -> None:
    with pytest.raises(WaitTimedOutError, match="not running after 100 s; last seen: pending") as caught:
        wait(ML, timeout=100.0)
    assert caught.value.exit_status is ExitStatus.TIMED_OUT
    assert "gridbyoc clusters wait ml" in caught.value.fix
    with pytest.raises(WaitTimedOutError, match="not deleted") as caught:
        wait(TERMINATING, DOWN, target="deleted", timeout=100.0)
    assert caught.value.why == "down"
    with pytest.raises(WaitTimedOutError, match="not listed"):
        wait(MISSING, timeout=10.0)


def test_no_time_at_all_is_one_look() -> None:
    assert wait(RUNNING, timeout=0.0)[0] == RUNNING
    with pytest.raises(WaitTimedOutError):
        wait(ML, timeout=0.0)


def test_progress_is_told_at_every_look() -> None:
    told: list[tuple[str, float]] = []
    wait(MISSING, ML, RUNNING, on_progress=lambda seen, at: told.append((seen.status if seen else "-", at)))
    assert told == [("-", 0.0), ("pending", 5.0), ("running", 12.5)]


SIGHTS = st.sampled_from([ML, RUNNING, FAILED, DELETED, TERMINATING, MISSING, DOWN, BUSY, "hangs"])


@given(
    st.lists(SIGHTS, min_size=1, max_size=30), st.sampled_from(["running", "deleted"]), st.floats(0, 2000),
    st.sampled_from([0.0, 30.0, 600.0]), st.floats(0, 120), st.floats(0, 0.999),
)  # fmt: skip
def test_whatever_is_seen_it_ends_in_time_and_for_a_reason(
    sights: list[Any], target: Target, timeout: float, grace: float, first: float, chance: float
) -> None:
    plane = Plane(sights=list(sights))
    error: GridbyocError | None = None
    try:
        wait_until(
            plane, ML, target=target, timeout=timeout, failed_grace=grace, poll_interval=first,
            clock=plane.time.clock, sleep=plane.time.sleep, jitter=lambda: chance,
        )  # fmt: skip
    except GridbyocError as raised:
        error = raised
    assert plane.time.now <= timeout + 1.001
    assert all(nap <= 66 for nap in plane.time.naps)
    last = sights[min(len(plane.looks), len(sights)) - 1]
    if error is None:
        assert last is RUNNING if target == "running" else last in (DELETED, MISSING)
    elif isinstance(error, ClusterFailedError):
        assert last in (FAILED, TERMINATING, DELETED)
    elif isinstance(error, WaitTimedOutError):
        assert plane.time.now >= timeout
    else:
        assert error is not MISSING
        assert last is MISSING
        assert target == "running"


@pytest.mark.parametrize("verb, ways_on", [("", "`gridbyoc clusters wait ml`."), ("destroy", "or `gridbyoc destroy`.")])
def test_an_interrupt_of_a_watch_says_how_to_go_on_and_trouble_is_shown(verb: str, ways_on: str) -> None:
    plane, events = Plane(sights=[BUSY, ML]), list[Event]()

    def interrupt(_seconds: float) -> None:
        if len(plane.looks) == 2:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="waiting for the cluster ml") as caught:
        watch_cluster(
            plane,
            ML,
            "running",
            wait_limits("grid", None, 1.0, None),
            emit=events.append,
            clock=plane.time.clock,
            sleep=interrupt,
            verb=verb,
        )
    assert caught.value.fix.endswith(ways_on)
    assert events[0] == Note("busy", "warning")
