"""A bootstrap that is killed at any instant: the next one comes to one role and one cluster, and nobody is locked out.

A kill stands right before or right after each call that changes AWS, the control plane or the state. What the process
had written to the disk by then is there for the next run, and nothing that it would have done on its way out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.stack.model import Stack
from gridbyoc.stack.secret import Secret
from tests.unit.world import HUGE, KilledError, World, a_stack, spec

UP = a_stack(spec(), spec("more"))


@dataclass(frozen=True)
class Kill:
    """A run that is killed: the stack as it was before, what is asked for; what may be made in all; the run after it."""

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
    Kill("a new role, then a bootstrap", UP, UP, 2, 2, {"new_role": True}),
    # Where the run before had come to its end but for a word in its journal, the same command does it once more.
    Kill("a new role, then the same again", UP, UP, 3, 2, {"new_role": True}, {"new_role": True}),
    Kill("a cluster more and one changed", UP, a_stack(spec(kind=HUGE), spec("more"), spec("third")), 1, 3),
    Kill("a cluster less", UP, a_stack(spec()), 1, 2),
]


def instants(world: World, kill: Kill) -> int:
    """How many there are at which the run can be killed."""
    world.bootstrap(kill.stack, yes_destroy=True, **kill.wishes)
    return world.instants


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.name)
def test_killed_at_every_instant(world: World, memory_path: Path, kill: Kill) -> None:
    if kill.before is not None:
        world.bootstrap(kill.before)
    places = (memory_path / str(number) for number in itertools.count())
    for instant in range(1, 1 + instants(world.fork(next(places)), kill)):
        one = world.fork(next(places))
        one.dies_at = instant
        with pytest.raises(KilledError):
            one.bootstrap(kill.stack, yes_destroy=True, **kill.wishes)
        where = one.log[-1:]
        one.dies_at = None
        one.converge(kill.stack, yes_destroy=True, **kill.then)
        assert len(one.iam.policies) == (kill.stack.role.statements != ()), where
        assert one.locked_out == [], where
        assert one.made_roles <= kill.roles, where
        assert len(one.plane.clusters) == kill.clusters, where
