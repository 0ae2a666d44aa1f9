"""A bootstrap that is killed at any instant: the next one comes to one role and one cluster, and nobody is locked out.

A kill stands right before or right after each call that changes AWS, the control plane or the state. What the process
had written to the disk by then is there for the next run, and nothing that it would have done on its way out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gridbyoc.errors import GridbyocError
from gridbyoc.stack.model import PolicyStatement, Stack
from gridbyoc.stack.secret import Secret
from tests.unit.conftest import IN_MEMORY
from tests.unit.memory_plane import ANSWERS
from tests.unit.world import FAST, HUGE, LARGE, KilledError, World, a_stack, spec

ONE, UP = a_stack(), a_stack(spec(), spec("more"))


@dataclass(frozen=True)
class Kill:
    """A run that is killed: the stack before it, what is asked for; what may be made in all; the run after it."""

    name: str
    before: Stack | None
    stack: Stack
    roles: int
    clusters: int
    wishes: dict[str, Any] = field(default_factory=dict)
    then: dict[str, Any] = field(default_factory=dict)


KILLS = [
    Kill("fresh", None, UP, 1, 2),
    Kill("fresh, with a fixed name", None, a_stack(name="grid-fixed"), 1, 1),
    Kill("fresh, without a policy of its own", None, a_stack(statements=()), 1, 1),
    Kill("a rotation", UP, replace(UP, role=replace(UP.role, rotation="2026-11")), 1, 2),
    Kill("an id of the user's", UP, replace(UP, role=replace(UP.role, external_id=Secret("external-id-given"))), 1, 2),
    Kill("a new role, then a bootstrap", ONE, ONE, 2, 1, {"new_role": True}),
    # Where the run before had come to its end but for a word in its journal, the same command does it once more.
    Kill("a new role, then the same again", ONE, ONE, 3, 1, {"new_role": True}, {"new_role": True}),
    Kill("a cluster more and one changed", UP, a_stack(spec(kind=HUGE), spec("more"), spec("third")), 1, 3),
    Kill("a cluster less", UP, a_stack(spec()), 1, 2),
]


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.name)
def test_killed_at_every_instant(world: World, kill: Kill) -> None:
    if kill.before is not None:
        world.bring_up(kill.before)
    for one in world.killed_everywhere(lambda run: run.bootstrap(kill.stack, yes_destroy=True, **kill.wishes)):
        where = one.log[-1:]
        one.converge(kill.stack, yes_destroy=True, **kill.then)
        assert len(one.iam.policies) == (kill.stack.role.statements != ()), where
        assert one.locked_out == [], where
        assert one.made_roles <= kill.roles, where
        assert len(one.plane.clusters) == kill.clusters, where


# --- any order of edits, runs, refusals and kills

STACKS = st.builds(
    lambda kinds, rotation, external_id, statements: a_stack(
        *(spec(name, kind) for name, kind in sorted(kinds.items())),
        rotation=rotation,
        external_id=Secret(external_id) if external_id else None,
        statements=statements,
    ),
    st.dictionaries(st.sampled_from(["ml", "more", "third"]), st.sampled_from([LARGE, HUGE]), min_size=1),
    st.sampled_from([None, "2026-11", "2026-12"]),
    st.sampled_from([None, None, None, "external-id-given"]),
    st.sampled_from([None, (PolicyStatement(("eks:*",)),)]),
)
INSTANTS = st.none() | st.integers(1, 60)


class Runs(RuleBasedStateMachine):
    """One world. However it came to be as it is, the next run that is left alone comes to what the file says."""

    @initialize(stack=STACKS)
    def begin(self, stack: Stack) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="gridbyoc-", dir=IN_MEMORY)
        self.world = World(Path(self.directory.name))
        self.stack = stack

    @rule(stack=STACKS)
    def edit(self, stack: Stack) -> None:
        self.stack = stack

    @rule(method=st.sampled_from(["POST", "PUT", "DELETE", "LIST", "GET"]), answer=st.sampled_from(sorted(ANSWERS)))
    def expect(self, method: str, answer: str) -> None:
        self.world.plane.answers.setdefault(method, []).append(answer)

    @rule(operation=st.sampled_from(["CreateRole", "CreatePolicy", "AttachRolePolicy", "UpdateAssumeRolePolicy"]),
          half=st.booleans())  # fmt: skip
    def refuse(self, operation: str, half: bool) -> None:
        if half:
            self.world.module.cut.add(operation)
        else:
            self.world.module.refused[operation] = "api error Throttling"

    @rule(seconds=st.sampled_from([30.0, 3600.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.time.sleep(seconds)

    @rule(dies_at=INSTANTS, yes_destroy=st.booleans(), wait=st.booleans(), new_role=st.booleans(),
          rollback=st.booleans())  # fmt: skip
    def bootstrap(self, dies_at: int | None, yes_destroy: bool, wait: bool, new_role: bool, rollback: bool) -> None:
        options: dict[str, Any] = {"new_role": new_role, "rollback": rollback, "choices": replace(FAST, wait=wait)}
        self.carry_out(dies_at, lambda: self.world.bootstrap(self.stack, yes_destroy=yes_destroy, **options))

    @rule(dies_at=INSTANTS)
    def create_one(self, dies_at: int | None) -> None:
        self.carry_out(dies_at, lambda: self.world.create(self.stack, self.stack.clusters[0].name))

    @rule(dies_at=INSTANTS)
    def destroy(self, dies_at: int | None) -> None:
        self.carry_out(dies_at, lambda: self.world.destroy(self.stack))

    def carry_out(self, dies_at: int | None, do: Callable[[], object]) -> None:
        self.world.dies_at = dies_at
        with suppress(GridbyocError, KilledError):
            do()
        self.world.dies_at = None

    @invariant()
    def nobody_is_locked_out(self) -> None:
        assert self.world.locked_out == []

    @invariant()
    def no_more_is_made_than_the_file_names(self) -> None:
        names = [self.world.plane.clusters[ident].name for ident in self.world.plane.held()]
        live = [each for each in self.world.plane.live().values() if each.status != "terminating"]
        assert len(live) == len({each.name for each in live})
        assert set(names) <= {"ml", "more", "third"}
        assert len(self.world.iam.roles) <= 2

    def teardown(self) -> None:
        world = self.world
        world.dies_at = None
        world.plane.answers.clear()
        world.module.refused.clear()
        world.module.cut.clear()
        world.time.sleep(1e6)  # what was on its way out is gone
        world.converge(self.stack, yes_destroy=True)
        assert not world.bootstrap(self.stack).changed
        world.terraform.commands.clear()
        assert not world.bootstrap(self.stack).changed
        assert (world.effects, world.terraform.commands) == ([], [])
        self.directory.cleanup()


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=30, stateful_step_count=8, deadline=None)
