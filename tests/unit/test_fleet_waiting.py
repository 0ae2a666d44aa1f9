"""A fleet's wait: the rules of one stack's wait, for the clusters of many, from one list."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import (
    AuthenticationError,
    ClusterFailedError,
    ClusterNotFoundError,
    ControlPlaneUnreachableError,
    GridbyocError,
    StackError,
    WaitTimedOutError,
)
from gridbyoc.operations.fleet.model import FleetEvent, Member, MemberWaiting, Result, Verb
from gridbyoc.operations.fleet.run import FleetWait, StackInputs, Work, joined, run_members
from gridbyoc.operations.fleet.waiting import AwaitedCluster, ClusterSeen, PlaneWait, WaitEnded, awaited_clusters
from gridbyoc.operations.wait import WaitLimits
from gridbyoc.stack.model import ControlPlane, Role
from gridbyoc.terraform.process import ExitInfo, Interrupts, ProcessCommand
from tests.unit.fakes import MemoryRegistrar, Time, cluster, stack

LIMITS = WaitLimits(timeout=600.0, poll_interval=5.0, failed_grace=30.0)
DOWN = ControlPlaneUnreachableError("down")


def member(name: str) -> Member:
    return Member(name, Path(f"/{name}.yaml"), f"{name}.yaml", name)


def at(name: str, phase: Phase) -> Cluster:
    return replace(cluster(name), id=name, phase=phase, reason="no quota" if phase is Phase.FAILED else "")


class Wait:
    """Two stacks, ``a`` and ``b``, that wait for a cluster each; ``steps`` are lists or errors, with the time."""

    def __init__(self, target: str = "running", limits: WaitLimits = LIMITS) -> None:
        self.time = Time()
        self.plane = PlaneWait(MemoryRegistrar(), self.time.clock)
        for name in ("a", "b"):
            self.plane.add(member(name), awaited_clusters({"awaits": [{"id": name, "name": name, "target": target}]}),
                           limits)  # fmt: skip
        self.shown: list[tuple[str, str]] = []
        self.ended: dict[str, GridbyocError | None] = {}

    def take(self, answer: tuple[Cluster, ...] | GridbyocError, after: float = 0.0) -> None:
        self.time.now += after
        for event in self.plane.take(answer):
            if isinstance(event, ClusterSeen):
                self.shown.append((event.progress.name, event.progress.status))
            else:
                assert isinstance(event, WaitEnded)
                self.ended[event.member.label] = event.error


def test_each_stack_ends_when_its_own_clusters_are_there_and_each_status_is_told_once() -> None:
    wait = Wait()
    wait.take((at("a", Phase.PENDING), at("b", Phase.PENDING), at("other", Phase.FAILED)))
    wait.take((at("a", Phase.PENDING), at("b", Phase.RUNNING)), after=5)
    assert wait.ended == {"b": None}
    assert [one.label for one in wait.plane.members] == ["a"]
    wait.take((at("a", Phase.RUNNING), at("b", Phase.FAILED)), after=5)
    assert wait.ended == {"b": None, "a": None}
    assert wait.shown == [("a", "pending"), ("b", "pending"), ("b", "running"), ("a", "running")]


def test_a_deletion_is_over_when_the_cluster_is_listed_no_more() -> None:
    wait = Wait("deleted")
    wait.take((at("a", Phase.RUNNING), replace(at("b", Phase.RUNNING), desired_state=Phase.DELETED)))
    assert wait.ended == {}
    wait.take((at("a", Phase.RUNNING),), after=5)
    assert wait.ended == {"b": None}
    assert ("b", "gone") in wait.shown


def test_a_cluster_that_fails_ends_its_own_stack_after_the_grace() -> None:
    wait = Wait()
    failed = (at("a", Phase.FAILED), at("b", Phase.PENDING))
    wait.take(failed)
    wait.take(failed, after=29)
    assert wait.ended == {}
    wait.take(failed, after=2)
    assert [type(error) for error in wait.ended.values()] == [ClusterFailedError]
    assert list(wait.ended) == ["a"]
    assert "no quota" in str(wait.ended["a"])


@pytest.mark.parametrize(
    "answer, after, kind, name",
    [
        ((), 0, None, ""),
        ((at("a", Phase.PENDING),), 301, ClusterNotFoundError, "b"),
        ((replace(at("a", Phase.RUNNING), desired_state=Phase.DELETED), at("b", Phase.PENDING)), 5, ClusterFailedError,
         "a"),
    ],
    ids=["not listed yet", "never listed", "being deleted"],
)  # fmt: skip
def test_what_will_not_run_ends_its_stack(
    answer: tuple[Cluster, ...], after: float, kind: type[GridbyocError] | None, name: str
) -> None:
    wait = Wait()
    wait.take(())
    wait.take(answer, after=after)
    assert {label: type(error) for label, error in wait.ended.items()} == ({name: kind} if kind else {})


def test_the_time_is_each_stacks_own_and_holds_while_the_control_plane_is_down() -> None:
    wait = Wait()
    wait.take(DOWN, after=599)
    assert wait.ended == {}
    wait.plane.add(member("c"), (AwaitedCluster("c", "c", "running"),), LIMITS)
    wait.take(DOWN, after=1)
    assert {label: type(error) for label, error in wait.ended.items()} == {
        "a": WaitTimedOutError, "b": WaitTimedOutError,
    }  # fmt: skip
    assert [one.label for one in wait.plane.members] == ["c"]


def test_a_key_that_is_refused_ends_the_wait_of_all() -> None:
    wait = Wait()
    refused = AuthenticationError("The key is refused.")
    wait.take(refused)
    assert wait.ended == {"a": refused, "b": refused}


@pytest.mark.parametrize("stacks, count, pause", [(1, 1, 5.0), (1, 300, 30.0), (300, 1, 30.0), (10_000, 1, 60.0)])
def test_the_clusters_of_many_are_listed_less_often(stacks: int, count: int, pause: float) -> None:
    plane = PlaneWait(MemoryRegistrar(), Time().clock, stacks)
    plane.add(member("a"), [AwaitedCluster(str(one), "x", "running") for one in range(count)], LIMITS)
    assert plane.pause() == pause


def test_pauses_grow_with_the_wait_of_the_stack_that_joined_last() -> None:
    time = Time()
    plane = PlaneWait(MemoryRegistrar(), time.clock)
    plane.add(member("a"), (AwaitedCluster("a", "a", "running"),), LIMITS)
    pauses = []
    for now in (20.0, 100.0, 3600.0):
        time.now = now
        pauses.append(plane.pause())
    assert pauses == [5.0, 15.0, 60.0]
    plane.add(member("b"), (AwaitedCluster("b", "b", "running"),), LIMITS)
    assert plane.pause() == 5.0


def test_the_result_of_both_parts_says_what_both_did() -> None:
    made = {"type": "report", "changed": True, "resources": {"add": 14, "change": 0, "destroy": 0},
            "clusters": [{"name": "a", "status": "pending", "action": "create"}], "seconds": {"apply": 3.0},
            "policies": None}  # fmt: skip
    over = {**made, "changed": False, "resources": {"add": 0, "change": 1, "destroy": 0}, "seconds": {"compare": 0.5},
            "clusters": [{"name": "a", "status": "running", "action": "none"}]}  # fmt: skip
    first = Result(member("a"), "done", 0, said={"report": made})
    both = joined("bootstrap", first, Result(member("a"), "done", 0, 40.0, "nothing changed", said={"report": over}))
    report = both.said["report"]
    assert report["changed"]
    assert report["resources"] == {"add": 14, "change": 1, "destroy": 0}
    assert report["clusters"] == [{"name": "a", "status": "running", "action": "create"}]
    assert report["seconds"] == {"compare": 0.5, "apply": 3.0}
    assert (both.detail, both.seconds) == ("a: running", 40.0)
    failed = Result(member("a"), "failed", 1, said={"error": {"what": "no"}})
    assert joined("bootstrap", first, failed) == failed


def test_a_destroy_in_two_parts_names_the_clusters_that_the_first_deleted() -> None:
    asked = {"clusters": [], "resources": 0, "awaits": [{"id": "1", "name": "a", "target": "deleted"}]}
    gone = {"clusters": [], "resources": 12, "awaits": [], "left": {"leftovers": []}}
    first = Result(member("a"), "done", 0, said={"destroyed": asked})
    both = joined("destroy", first, Result(member("a"), "done", 0, detail="0 clusters", said={"destroyed": gone}))
    assert both.said["destroyed"] == {**gone, "clusters": ["a"]}
    assert both.detail == "1 cluster, 12 resources gone"


ASKED = {"type": "destroyed", "clusters": [], "resources": 0, "unfinished": True,
         "awaits": [{"id": "a", "name": "a", "target": "deleted"}]}  # fmt: skip
GONE = {"type": "destroyed", "clusters": [], "resources": 12, "unfinished": False, "awaits": [], "left": {}}
UP = {"type": "report", "changed": True, "resources": {"add": 1, "change": 0, "destroy": 0}, "clusters": [],
      "seconds": {}, "policies": None}  # fmt: skip
MADE = {"bootstrap": UP, "destroy": GONE}
OWN = "https://own.example"


def named(name: str, module: str = "", **fields: Any) -> StackInputs:
    return StackInputs(replace(stack(**fields), name=name), module)


class Destroying:
    """A fleet that destroys stacks; ``reads`` are the contents of their files, one for each time that one is read."""

    def __init__(self, *reads: StackInputs | GridbyocError) -> None:
        self.reads = list(reads)
        self.runs: list[bool] = []
        self.connected: list[str | None] = []

    def read(self, _member: Member) -> StackInputs:
        found = self.reads.pop(0) if len(self.reads) > 1 else self.reads[0]
        if isinstance(found, GridbyocError):
            raise found
        return found

    def start(self, command: ProcessCommand, on_line: Callable[[str, str], None], **_: object) -> ExitInfo:
        first = "--no-wait" in command.argv
        assert first is ("--finish" not in command.argv)
        self.runs.append(first)
        on_line("stdout", json.dumps(ASKED if first else GONE))
        return ExitInfo(0, 1.0)

    def connect(self, plane: ControlPlane) -> MemoryRegistrar:
        self.connected.append(plane.url)
        return MemoryRegistrar()

    def results(self, *names: str) -> tuple[Result, ...]:
        limits = replace(LIMITS, poll_interval=0.1)
        waiting = FleetWait(self.connect, lambda _plane: limits, lambda plane: replace(plane, url=plane.url or OWN))
        work = Work("destroy", ("--yes-destroy",), Path("/"), lambda _member: {}, 1, waiting=waiting, read=self.read,
                    start=self.start)  # fmt: skip
        return run_members(work, [member(name) for name in names], lambda _event: None, Interrupts())

    def result(self) -> Result:
        (found,) = self.results("a")
        return found


def test_a_stack_whose_file_stays_is_destroyed_in_two_parts() -> None:
    fleet = Destroying(named("a"))
    result = fleet.result()
    assert (result.outcome, fleet.runs) == ("done", [True, False])
    assert result.said["destroyed"]["clusters"] == ["a"]


@pytest.mark.parametrize(
    "reads, runs",
    [
        ((named("a"), named("b")), [True]),
        ((named("a"), named("a", role=Role(name="other"))), [True]),
        ((named("a", "1"), named("a", "2")), [True]),
        ((named("a"), StackError("no")), [True]),
        ((named("b"),), []),
        ((StackError("no"),), [True]),
    ],
    ids=["another stack", "another role", "another module", "not valid any more", "another stack before it began",
         "never valid"],
)  # fmt: skip
def test_what_nobody_approved_is_not_destroyed(
    reads: tuple[StackInputs | GridbyocError, ...], runs: list[bool]
) -> None:
    fleet = Destroying(*reads)
    result = fleet.result()
    assert (result.outcome, result.status, result.code) == ("failed", 9, "GBY-T008")
    assert fleet.runs == runs


def test_one_address_is_listed_once_for_all_whoever_names_it() -> None:
    urls = {"a": None, "b": OWN, "c": "https://other.example"}

    class Several(Destroying):
        def read(self, member: Member) -> StackInputs:
            return named(member.label, control_plane=ControlPlane(url=urls[member.label]))

    fleet = Several()
    assert [result.outcome for result in fleet.results(*urls)] == ["done"] * 3
    assert fleet.connected == [None, "https://other.example"]


What = Literal["an interrupt", "a failure", "a failure with --fail-fast"]


class Stopped(MemoryRegistrar):
    """A fleet of ``a``, ``b`` and ``c`` with one job; ``what`` happens to ``a`` in a phase of its run."""

    def __init__(self, verb: Verb, phase: int, what: What) -> None:
        super().__init__()
        self.verb, self.phase, self.what = verb, phase, what
        self.interrupts = Interrupts()
        self.all_wait = threading.Event()
        self.waiting = 0

    def start(
        self, command: ProcessCommand, on_line: Callable[[str, str], None], *, interrupts: Interrupts
    ) -> ExitInfo:
        label, first = Path(command.argv[command.argv.index(self.verb) + 1]).stem, "--no-wait" in command.argv
        if label == "a" and self.phase == (1 if first else 3):
            if self.what != "an interrupt":
                return ExitInfo(1, 1.0)
            self.interrupts.request()
            while not interrupts.requested:
                time.sleep(0.001)
            return ExitInfo(130, 1.0)
        awaits = [{"id": label, "name": label, "target": "running"}] if first else []
        on_line("stdout", json.dumps({**MADE[self.verb], "awaits": awaits, "unfinished": first}))
        return ExitInfo(0, 1.0)

    def list(self) -> tuple[Cluster, ...]:
        self.all_wait.wait(10 if self.phase > 1 else 0)
        if self.phase == 2 and self.what == "an interrupt":
            self.interrupts.request()
            return tuple(at(label, Phase.PENDING) for label in "abc")
        phase = Phase.FAILED if self.phase == 2 else Phase.RUNNING
        return (at("a", phase), at("b", Phase.RUNNING), at("c", Phase.RUNNING))

    def emit(self, event: FleetEvent) -> None:
        self.waiting += isinstance(event, MemberWaiting)
        if self.waiting == 3:
            self.all_wait.set()

    def outcomes(self) -> dict[str, tuple[str, str]]:
        limits = WaitLimits(timeout=60.0, poll_interval=0.02, failed_grace=0.0)
        waiting = FleetWait(lambda _plane: self, lambda _plane: limits)
        work = Work(self.verb, (), Path("/"), lambda _member: {}, 1, self.what.endswith("fast"), waiting=waiting,
                    read=lambda member: named(member.label), start=self.start)  # fmt: skip
        found = run_members(work, [member(name) for name in "abc"], self.emit, self.interrupts)
        return {result.member.label: (result.outcome, result.detail) for result in found}


UNDER_WAY = {"bootstrap": "its clusters are on their way", "destroy": "its clusters are being deleted"}


@pytest.mark.parametrize("verb", ["bootstrap", "destroy"])
@pytest.mark.parametrize("phase", [1, 2, 3])
@pytest.mark.parametrize("what", ["an interrupt", "a failure", "a failure with --fail-fast"])
def test_a_stop_in_each_phase(verb: Verb, phase: int, what: What) -> None:
    """An interrupt leaves each stack where it is. A failure is its own stack's; the others end, if they have begun."""
    found = Stopped(verb, phase, what).outcomes()
    others = {found["b"], found["c"]}
    if what != "an interrupt":
        begun = phase > 1 or what == "a failure"
        assert found["a"][0] == "failed"
        assert {outcome for outcome, _ in others} == {"done" if begun else "not started"}
        return
    assert found["a"][0] == "interrupted"
    told = f"{UNDER_WAY[verb]}; the control plane continues by itself"
    rest = "its clusters are as they should be; the rest of its run had not begun"
    assert others == {{1: ("not started", ""), 2: ("interrupted", told), 3: ("interrupted", rest)}[phase]}


HUGE_STACK = 2**46
"""Bytes; no thread can have that much, so none begins."""


@pytest.mark.parametrize("begins", [False, True], ids=["for the run", "for the wait"])
def test_a_machine_without_threads_to_spare_ends_the_run_and_does_not_hang(begins: bool) -> None:
    before = threading.stack_size()

    class Crowded(Destroying):
        def start(self, command: ProcessCommand, on_line: Callable[[str, str], None], **more: object) -> ExitInfo:
            threading.stack_size(HUGE_STACK)
            return super().start(command, on_line, **more)

    fleet = Crowded(named("a"))
    threading.stack_size(before if begins else HUGE_STACK)
    try:
        result = fleet.result()
    finally:
        threading.stack_size(before)
    assert (result.outcome, fleet.runs) == ("failed", [True] if begins else [])
    assert ("cannot be asked" if begins else "cannot be started") in result.detail
