"""Which external ids a role goes on to accept: a cluster's record alone never widens the live trust policy."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from gridbyoc.aws import AwsSession, Caller
from gridbyoc.control_plane.model import Cluster, Grant, Phase
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.overlap import ids_to_keep
from gridbyoc.steps.preflight.flight import Preflight
from gridbyoc.steps.prepare import Site
from tests.unit.fakes import ROLE, MemoryRegistrar, cluster

PREVIOUS = "arn:aws:iam::123456789012:role/grid-cloud-previous"
THEIRS = "arn:aws:iam::123456789012:role/somebody-else"
OWN, OLD, CLAIMED = "own-0123456789abcdef", "old-0123456789abcdef", "claimed-0123456789abcdef"


class Iam:
    """IAM with these trust policies: role name to accepted external ids. Counts its reads."""

    def __init__(self, accepted: dict[str, list[str]]) -> None:
        self._accepted = accepted
        self.reads = 0

    def get_role(self, RoleName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        self.reads += 1
        condition = {"StringEquals": {"sts:ExternalId": self._accepted[RoleName]}}
        allow = {"Effect": "Allow", "Action": "sts:AssumeRole", "Condition": condition}
        return {"Role": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [allow]}}}


def kept(iam: Iam, *clusters: Cluster, previous: str | None = None, external_id: str = OWN) -> tuple[str, ...]:
    """The ids to keep for a stack whose state holds ``external_id``."""
    session = AwsSession(boto3.session.Session(), "us-east-1", _clients={("iam", "us-east-1"): iam})
    caller = Caller("123456789012", "arn:aws:iam::123456789012:user/ada")
    preflight = Preflight(session, caller, MemoryRegistrar(), clusters)
    unused: Any = None
    site = Site(unused, unused, preflight, fresh=False, previous_arn=previous)
    return tuple(value.reveal() for value in ids_to_keep(site, Grant(ROLE, Secret(external_id), "us-east-1")))


def holding(external_id: str | None, name: str = "ml", **fields: Any) -> Cluster:
    return cluster(name, external_id=Secret(external_id) if external_id else None, **fields)


@pytest.mark.parametrize(
    "live, clusters, expected",
    [
        # An id of the record that the role does not accept is not taken up, whoever wrote the record.
        ([OWN], [holding(CLAIMED)], (OWN,)),
        ([OWN, OLD], [holding(CLAIMED)], (OWN,)),
        ([OWN, OLD], [holding(OLD), holding(CLAIMED, "more")], (OWN, OLD)),
        # A rotation under way: the id that a cluster still holds stays accepted.
        ([OLD], [holding(OLD)], (OWN, OLD)),
        ([OWN, OLD], [holding(OLD), holding(OWN, "more")], (OWN, OLD)),
        # No live cluster holds an old id any more.
        ([OWN, OLD], [holding(OWN)], (OWN,)),
        ([OWN, OLD], [], ()),
        ([OWN, OLD], [holding(OLD, phase=Phase.DELETED)], ()),
        ([OWN, OLD], [holding(OLD, role_arn=THEIRS)], ()),
        # A cluster that hides its id may hold any accepted one, and none that is not.
        ([OWN, OLD], [holding(None)], (OWN, OLD)),
        ([OWN, OLD], [holding(None), holding(CLAIMED, "more")], (OWN, OLD)),
    ],
)
def test_only_an_accepted_id_stays_accepted(
    live: list[str], clusters: list[Cluster], expected: tuple[str, ...]
) -> None:
    assert kept(Iam({"grid-cloud-x": live}), *clusters) == expected


def test_a_role_that_is_being_replaced_counts_with_its_own_ids() -> None:
    iam = Iam({"grid-cloud-x": [OWN], "grid-cloud-previous": [OLD]})
    found = kept(iam, holding(OLD, role_arn=PREVIOUS), holding(CLAIMED, "more", role_arn=PREVIOUS), previous=PREVIOUS)
    assert found == (OWN, OLD)


def test_the_live_role_is_not_read_where_every_cluster_holds_the_states_own_id() -> None:
    iam = Iam({"grid-cloud-x": [OWN, OLD]})
    assert kept(iam, holding(OWN), holding(OWN, "more")) == (OWN,)
    assert iam.reads == 0


def test_nothing_is_kept_before_there_is_a_role() -> None:
    unused: Any = None
    assert ids_to_keep(Site(unused, unused, unused, fresh=True), None) == ()
