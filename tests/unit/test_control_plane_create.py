"""Creating once, against a server that loses requests and answers in every order there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.control_plane.create import Calls, ClusterIdentity, create_once
from gridbyoc.control_plane.failures import LostAnswerError
from gridbyoc.control_plane.model import Cluster, Created, Phase
from gridbyoc.errors import (
    ClusterConflictError,
    ControlPlaneError,
    ControlPlaneUnreachableError,
    GridbyocError,
    UnclearAnswerError,
)
from tests.unit.fakes import ROLE, Time, cluster

Fate = Literal["answered", "kept unanswered", "kept 500", "lost", "refused connection", "429", "400", "late"]
FATES: list[Fate] = ["answered", "kept unanswered", "kept 500", "lost", "refused connection", "429", "400", "late"]
WANTED = ClusterIdentity("ml", ROLE)


@dataclass
class Server:
    """Holds clusters by name (unique, as the service does); ``fates`` rule the POSTs, ``looks`` the look-ups."""

    time: Time
    fates: list[Fate]
    looks: list[bool]
    there: list[Cluster] = field(default_factory=list)
    late: float | None = None
    made: int = 0

    def find(self, name: str) -> Cluster | None:
        if self.looks and not self.looks.pop(0):
            raise ControlPlaneUnreachableError("no look")
        if self.late is not None and self.time.now >= self.late:
            self.late = None
            self._make()
        return next((found for found in self.there if found.name == name), None)

    def _make(self) -> None:
        if not self.there:
            self.made += 1
            self.there.append(cluster("ml", phase=Phase.QUEUED))

    def post(self) -> Cluster:
        fate: Fate = self.fates.pop(0) if self.fates else "answered"
        if fate in {"answered", "kept unanswered", "kept 500"}:
            if self.there:
                raise ControlPlaneError("exists", http_status=409)
            self._make()
        if fate == "answered":
            return self.there[0]
        if fate == "late":
            self.late = self.time.now + 20.0
        raise {
            "kept unanswered": LostAnswerError("lost"),
            "late": LostAnswerError("lost"),
            "lost": LostAnswerError("lost"),
            "kept 500": ControlPlaneError("500", http_status=500),
            "refused connection": ControlPlaneUnreachableError("refused"),
            "429": ControlPlaneError("429", http_status=429),
            "400": ControlPlaneError("bad", http_status=400),
        }[fate]


def outcome(server: Server) -> Created | GridbyocError:
    try:
        return create_once(Calls(server.find, server.post), WANTED, server.time.sleep)
    except GridbyocError as error:
        return error


@given(st.lists(st.sampled_from(FATES), max_size=4), st.lists(st.booleans(), max_size=25))
def test_one_cluster_at_most_and_a_second_run_converges(fates: list[Fate], looks: list[bool]) -> None:
    time = Time()
    server = Server(time, fates, [True, *looks])
    first = outcome(server)
    assert server.made <= 1
    assert time.now <= 3 * 31
    if isinstance(first, Created):
        assert server.there == [first.cluster]
        assert not first.adopted
    elif server.made:
        # something was made and we do not have it: then we say so, and never that it is absent
        assert isinstance(first, UnclearAnswerError | ClusterConflictError) or "400" in fates
    server.looks.clear()
    server.fates.clear()
    second = outcome(server)
    assert isinstance(second, Created)
    assert server.made == 1


@given(st.sampled_from(FATES))
def test_what_is_there_is_adopted_without_a_request(fate: Fate) -> None:
    server = Server(Time(), [fate], [], [cluster("ml")])
    assert outcome(server) == Created(cluster("ml"), adopted=True)
    assert server.fates == [fate]


@pytest.mark.parametrize("status", [400, 409])
@pytest.mark.parametrize("role", [ROLE, "arn:aws:iam::999999999999:role/x"])
def test_what_another_run_made_meanwhile_is_adopted_if_it_is_ours(status: int, role: str) -> None:
    server = Server(Time(), [], [])

    def post() -> Cluster:
        server.there.append(cluster("ml", role_arn=role))
        raise ControlPlaneError("exists", http_status=status)

    server.post = post  # type: ignore[method-assign]  # between the look and the request another run was quicker
    found = outcome(server)
    if role == ROLE:
        assert found == Created(cluster("ml"), adopted=True)
    else:
        assert isinstance(found, ClusterConflictError)


def test_somebody_elses_and_a_terminating_one() -> None:
    for role in ("arn:aws:iam::999999999999:role/x", None):
        error = outcome(Server(Time(), [], [], [cluster("ml", role_arn=role)]))
        assert isinstance(error, ClusterConflictError)
    error = outcome(Server(Time(), [], [], [cluster("ml", desired_state=Phase.DELETED)]))
    assert isinstance(error, ControlPlaneError)
    assert "is being deleted" in error.what


def test_a_conflict_in_the_first_look_up_is_not_hidden() -> None:
    time = Time()
    server = Server(time, ["lost"], [])
    first = outcome(server)
    assert isinstance(first, Created)
    assert time.naps == [0.0, 1.0, 2.0, 4.0, 8.0, 15.0]
