"""What has moved since a plan was made: a line for each thing, and none where nothing did."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.control_plane.model import Phase
from gridbyoc.operations.bundle.apply import TAKEN, made_moved, used_up
from gridbyoc.operations.bundle.file import Basis, ClusterMark, MadeFrom, StateMark, cluster_marks, moved
from tests.unit.fakes import ROLE, cluster

STATE = StateMark("s3://states/demo", "f1e2", 5)
BASIS = Basis("123456789012", "us-east-1", "https://one", STATE, (ClusterMark("id-a", "a", "0" * 64),))
MADE = MadeFrom("0.1.0", "terraform", "1.11.4", {"gridbyoc.yaml": "1", "../base.yaml": "2"}, "3", "4")


@pytest.mark.parametrize(
    "now,line",
    [
        ({"account_id": "2"}, "the AWS account is 2, but the plan was made in 123456789012"),
        ({"region": "eu-west-1"}, "the region is eu-west-1, but was us-east-1"),
        ({"control_plane": "https://two"}, "the control plane is https://two, but was https://one"),
        ({"state": replace(STATE, serial=7)}, "the state changed from serial 5 to 7"),
        ({"state": replace(STATE, lineage="a1")}, "the state is a different one: lineage a1, but was f1e2"),
        ({"state": StateMark(STATE.place, "", 0)}, "there is no state any more; there was one at serial 5"),
        ({"state": replace(STATE, place="local")}, "the state is in local, but was in s3://states/demo"),
        ({"clusters": ()}, "the cluster a (id-a) was deleted, or runs through another role"),
        ({"clusters": (ClusterMark("id-a", "a", "1" * 64),)}, "the cluster a (id-a) was changed"),
        ({"clusters": (*BASIS.clusters, ClusterMark("id-b", "b", ""))}, "the cluster b (id-b) is new"),
    ],
)
def test_a_line_for_each_difference(now: dict[str, Any], line: str) -> None:
    assert list(moved(BASIS, replace(BASIS, **now))) == [line]


def test_a_state_that_was_not_there() -> None:
    first = replace(BASIS, state=StateMark(STATE.place, "", 0))
    assert list(moved(first, BASIS)) == ["there is a state now, at serial 5; there was none"]


def test_a_cluster_that_was_made_again_is_two_differences() -> None:
    again = replace(BASIS, clusters=(ClusterMark("id-c", "a", "0" * 64),))
    assert len(list(moved(BASIS, again))) == 2


def journal(*runs: str) -> list[dict[str, Any]]:
    """``plan``; ``take`` up its bundle; an effect ``begun`` or ``done`` by the run that took it; a ``destroy``."""
    kinds: dict[str, dict[str, Any]] = {
        "plan": {"run": "planner", "type": "run_started"},
        "another plan": {"run": "other", "type": "run_started"},
        "take": {"run": "taker", "type": TAKEN, "bundle": "planner"},
        "begun": {"run": "taker", "type": "effect_started", "effect": "create"},
        "done": {"run": "taker", "type": "effect_done", "effect": "create"},
        "destroy": {"run": "later", "type": "effect_started", "effect": "destroy"},
        "bootstrap": {"run": "later", "type": "effect_done", "effect": "apply"},
    }
    return [{**kinds[kind], "time": "then"} for kind in runs]


ALREADY, DESTROYED = "this bundle was applied already (then)", "the stack was destroyed after the plan was made (then)"


@pytest.mark.parametrize(
    ("runs", "lines"),
    [
        ((), []),
        (("plan",), []),
        (("plan", "take"), []),
        (("plan", "take", "begun"), []),  # refused by a held lock: the same bundle may be tried again
        (("plan", "take", "begun", "done"), [ALREADY]),
        (("plan", "take", "begun", "done", "destroy"), [ALREADY, DESTROYED]),
        (("plan", "take", "begun", "destroy"), [DESTROYED]),
        (("plan", "destroy"), [DESTROYED]),
        (("destroy", "plan"), []),
        (("destroy",), []),
        (("plan", "bootstrap"), []),  # what it made is compared, state and clusters
        (("another plan", "bootstrap", "destroy", "plan", "take"), []),
    ],
)
def test_an_applied_bundle_is_remembered_beyond_the_destruction(runs: tuple[str, ...], lines: list[str]) -> None:
    assert list(used_up(journal(*runs), "planner")) == lines


texts = st.text(max_size=5)
marks = st.builds(ClusterMark, texts, texts, texts)
bases = st.builds(
    Basis, texts, texts, texts, st.builds(StateMark, texts, texts, st.integers(0)), st.tuples(marks, marks)
)


@given(bases)
def test_nothing_moves_by_being_written_down(basis: Basis) -> None:
    again = Basis.of_json(json.loads(json.dumps(asdict(basis))))
    assert again == basis
    same_id = basis.clusters[0].id == basis.clusters[1].id
    assert same_id or list(moved(basis, again)) == []


def test_only_clusters_that_matter_to_the_stack_are_marked() -> None:
    ours, named, foreign = cluster("a"), cluster("b", role_arn="other"), cluster("c", role_arn="other")
    found = cluster_marks((foreign, named, ours), {ROLE}, {"b"})
    assert [mark.name for mark in found] == ["a", "b"]


def test_a_field_that_is_not_known_here_changes_the_mark_and_a_phase_does_not() -> None:
    def mark(phase: Phase = Phase.RUNNING, desired: Phase = Phase.RUNNING, **spec: Any) -> ClusterMark:
        found = cluster("a", phase=phase, desired_state=desired, raw={"spec": spec, "status": {"phase": phase.value}})
        return cluster_marks((found,), {ROLE}, ())[0]

    assert mark(x=1, y=2) == mark(y=2, x=1)
    assert mark(x=1) == mark(Phase.PENDING, x=1)
    assert mark(x=1) != mark(x=1, strange={"later": True})
    assert mark(x=1) != mark(desired=Phase.DELETED, x=1)


@pytest.mark.parametrize(
    "now,line",
    [
        ({"tool": "0.2.0"}, "gridbyoc is 0.2.0, but was 0.1.0"),
        ({"version": "1.12.0"}, "Terraform is terraform 1.12.0, but was terraform 1.11.4"),
        ({"flavour": "tofu"}, "Terraform is tofu 1.11.4, but was terraform 1.11.4"),
        ({"module": "x"}, "the module was changed"),
        ({"lock_file": "x"}, "the provider lock file .terraform.lock.hcl was changed"),
        ({"stack_files": {"gridbyoc.yaml": "x", "../base.yaml": "2"}}, "the stack file gridbyoc.yaml was changed"),
        ({"stack_files": {"gridbyoc.yaml": "1", "../base.yaml": "x"}}, "the stack file ../base.yaml was changed"),
        ({"stack_files": {"gridbyoc.yaml": "1"}}, "the stack no longer uses ../base.yaml"),
        ({"stack_files": {**MADE.stack_files, "c": "5"}}, "the stack now also uses c"),
    ],
)
def test_what_a_checkout_brings_along(now: dict[str, Any], line: str) -> None:
    assert list(made_moved(MADE, replace(MADE, **now))) == [line]


def test_a_fresh_checkout_has_no_lock_file_yet() -> None:
    assert list(made_moved(MADE, replace(MADE, lock_file=""))) == []
