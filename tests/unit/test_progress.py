"""What a run says while it works: changes done of those planned, providers, how long clusters took before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gridbyoc.control_plane.model import Phase
from gridbyoc.operations.cluster_times import LONGEST, expected_wait, expected_words
from gridbyoc.operations.events import ClusterProgress, Event, ProviderProgress, ResourceProgress, WaitExpected
from gridbyoc.operations.prepare import terraform_progress
from gridbyoc.terraform import PlannedChange, ProviderEvent, ResourceChange, ResourceEvent, Version
from tests.unit.world import NOON, World, a_stack, phases, spec

STACK = a_stack(spec())


def counts(events: list[Event]) -> list[tuple[int, int | None]]:
    """``finished`` and ``total`` after each finished change."""
    changes = ("create", "update", "delete")
    found = [each for each in events if isinstance(each, ResourceProgress) and each.action in changes]
    return [(each.finished, each.total) for each in found if each.state == "done"]


def test_every_apply_counts_to_its_own_end(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.bootstrap(STACK)
    made = counts(world.events)
    assert made == [(number + 1, len(made)) for number in range(len(made))]
    world.events.clear()
    # a new name replaces the role: a saved plan, in which each replacement is two changes
    world.bootstrap(replace(STACK, role=replace(STACK.role, name="grid-other")), yes_destroy=True)
    replaced = counts(world.events)
    assert replaced == [(number + 1, len(replaced)) for number in range(len(replaced))]
    assert len(replaced) >= 2
    world.events.clear()
    world.destroy(STACK)
    destroyed = counts(world.events)
    assert destroyed == [(number + 1, len(made)) for number in range(len(made))]


def test_a_resumed_apply_counts_what_is_left(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.bootstrap(STACK)
    whole = len(counts(world.events))
    again = World(tmp_path / "again")
    (tmp_path / "again").mkdir()
    again.terraform.faults.interrupt["apply"] = "module.gridbyoc.aws_iam_role.this"
    with pytest.raises(Exception, match="nterrupted"):
        again.bootstrap(STACK)
    before = counts(again.events)
    assert before
    assert all(total == whole for _, total in before)
    again.terraform.faults.interrupt.clear()
    again.events.clear()
    again.bootstrap(STACK)
    assert counts(again.events)[-1] == (whole - len(before), whole - len(before))


def test_reading_importing_and_forgetting_are_no_changes() -> None:
    said: list[Event] = []
    listen = terraform_progress(said.append, lambda _event: ("mirror", "/mirror"))
    listen(Version("1.11.4"))
    for action in ("noop", "import", "read", "forget", "remove", "move", "create", "replace"):
        listen(PlannedChange(ResourceChange(f"a.{action}", action)))
    listen(ResourceEvent("a.read", "read", "done"))
    listen(ResourceEvent("a.replace", "delete", "started"))
    listen(ResourceEvent("a.replace", "delete", "done"))
    listen(ResourceEvent("a.create", "create", "failed"))
    listen(ResourceEvent("a.replace", "create", "done"))
    assert [(each.finished, each.total) for each in said if isinstance(each, ResourceProgress)] == [
        (0, 3), (0, 3), (1, 3), (1, 3), (2, 3),
    ]  # fmt: skip
    said.clear()
    listen(Version("1.11.4"))
    listen(ResourceEvent("a.b", "refresh", "done"))
    # a stream that does not announce its changes has no total
    listen(ResourceEvent("a.b", "create", "done"))
    assert said == [ResourceProgress("a.b", "refresh", "done"), ResourceProgress("a.b", "create", "done", 0.0, 1, None)]
    listen(ProviderEvent("hashicorp/aws", "5.100.0", "installing"))
    assert said[-1] == ProviderProgress("hashicorp/aws", "5.100.0", "installing", "mirror", "/mirror")


def test_a_wait_says_how_long_it_took_before(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.plane.noon = NOON
    world.plane.story = phases((0.0, Phase.PENDING), (1500.0, Phase.RUNNING))
    world.bootstrap(STACK)
    expected = [each for each in world.events if isinstance(each, WaitExpected)]
    assert expected == [WaitExpected("grid", "20 to 50 minutes")]
    aged = [each.age for each in world.events if isinstance(each, ClusterProgress)]
    assert aged[-1] is not None
    assert aged[-1] >= 1500
    world.events.clear()
    world.bootstrap(a_stack(spec(), spec("more")))
    (expected,) = (each for each in world.events if isinstance(each, WaitExpected))
    assert (expected.count, expected.shortest) == (1, expected.longest)
    assert expected.longest == pytest.approx(aged[-1])
    assert expected_words(expected) == f"1 cluster of grid took {aged[-1] / 60:.0f} min on this machine"


def test_a_cluster_that_ran_already_when_it_was_looked_at_says_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.plane.noon = NOON
    both = a_stack(spec(), spec("more"))
    world.bootstrap(both)  # they start together, and the second is waited for when the first one runs
    assert [each["cluster"] for each in world.journal(both) if each["type"] == "cluster_running"] == ["ml"]
    found = [each for each in world.events if isinstance(each, ClusterProgress)]
    assert all((each.age is None) is (each.name == "more") for each in found)
    world.events.clear()
    world.destroy(both)  # an age says nothing about how long a deletion takes
    assert {each.age for each in world.events if isinstance(each, ClusterProgress)} == {None}


def test_only_times_that_can_be_true_count(tmp_path: Path) -> None:
    def journal(stack: str, *records: object) -> None:
        (tmp_path / stack).mkdir(mode=0o700)
        path = tmp_path / stack / "journal.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records) + '{"type": "cluster_running", "sec')
        path.chmod(0o600)

    good = {"type": "cluster_running", "control_plane": "grid", "time": "2026-11-29T10:00:00+00:00"}
    journal("a", {**good, "seconds": 1800.0}, {**good, "seconds": -1}, {**good, "seconds": "9"}, ["cluster_running"])
    journal("b", {**good, "seconds": 2700.0}, {**good, "seconds": LONGEST + 1}, {**good, "seconds": float("nan")})
    journal("c", {**good, "seconds": 60.0, "control_plane": "lightning"}, {**good, "seconds": 2000})
    journal("elsewhere", {**good, "seconds": 5.0})
    root = tmp_path / "root"
    root.mkdir()
    for stack in "abc":
        (tmp_path / stack).rename(root / stack)
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    assert expected_wait("grid", root) == WaitExpected("grid", "20 to 50 minutes", 3, 1800.0, 2000.0, 2700.0)
    assert expected_wait("lightning", tmp_path / "missing") == WaitExpected("lightning", "an hour or more")
    assert expected_words(expected_wait("grid", root)) == ("3 clusters of grid took 30 min to 45 min on this machine")
