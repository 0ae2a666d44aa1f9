"""Which external ids a role goes on to accept: a cluster's record alone never widens the live trust policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from filelock import FileLock

from gridbyoc.aws import AwsSession, Caller, accepted_external_ids
from gridbyoc.aws.trust import accepted_in, external_ids_written
from gridbyoc.control_plane.model import Cluster, Grant, Phase
from gridbyoc.errors import AwsError, ControlPlaneError
from gridbyoc.operations.accepted_ids import Rotation, external_ids_to_accept, rotation_of
from gridbyoc.operations.journal import Journal
from gridbyoc.operations.lock import LOCK
from gridbyoc.operations.preflight.examine import Preflight
from gridbyoc.operations.prepare import PreparedStack
from gridbyoc.operations.run import Choices, Environment, Run
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import State
from tests.unit.fakes import ROLE, MemoryRegistrar, Time, cluster, stack
from tests.unit.preflight_kit import SESSION

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
    session = AwsSession(SESSION, "us-east-1", _clients={("iam", "us-east-1"): iam})
    caller = Caller("123456789012", "arn:aws:iam::123456789012:user/ada")
    preflight = Preflight(session, caller, MemoryRegistrar(), clusters)
    unused: Any = None
    site = PreparedStack(unused, unused, preflight, fresh=False, state=State(), previous_arn=previous)
    return tuple(
        value.reveal()
        for value in external_ids_to_accept(site, Grant(ROLE, Secret(external_id), "us-east-1"), clusters)
    )


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
    assert external_ids_to_accept(PreparedStack(unused, unused, unused, fresh=True, state=State()), None, ()) == ()


def allow(operator: str = "StringEquals", key: str = "sts:ExternalId", ids: Any = OWN, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "sts:AssumeRole", "Condition": {operator: {key: ids}}, **more}


@pytest.mark.parametrize(
    "statements, accepted",
    [
        (allow(), {OWN}),
        ([allow(ids=[OWN, OLD])], {OWN, OLD}),
        ([allow(), allow(ids=OLD)], {OWN, OLD}),
        ([allow(key="STS:externalid")], {OWN}),
        ([allow(Action=["sts:TagSession", "sts:Assume*"])], {OWN}),
        ([allow(Action="sts:TagSession")], set()),
        ([allow(Effect="Deny")], set()),
        ([allow("StringNotEquals")], set()),
        ([allow("StringLike", ids="own-*")], set()),
        # No text but an external id is one: whoever claims to hold it at the control plane does not widen the trust.
        ([allow(ids=["${aws:PrincipalAccount}", "*", "own-*", "x", ""])], set()),
        ([allow(ids=[{}, None, 5])], set()),
        ([{"Effect": "Allow", "Action": "sts:AssumeRole", "Condition": [OWN]}], set()),
        (["nonsense", None], set()),
    ],
)
def test_what_is_an_accepted_id(statements: Any, accepted: set[str]) -> None:
    document = {"Version": "2012-10-17", "Statement": statements}
    for form in (document, quote(json.dumps(document))):
        assert {value.reveal() for value in accepted_in(form)} == accepted


def test_every_id_that_is_written_is_hidden() -> None:
    statements = [
        allow("StringLike", "STS:externalid", [OLD, 5]),
        {"Effect": "Deny", "Condition": {"X": [{"sts:ExternalId": OWN}]}},
    ]
    assert external_ids_written({"Statement": statements}) == frozenset({Secret(OLD), Secret(OWN)})
    assert external_ids_written(None) == frozenset()


@pytest.mark.parametrize("document", [None, "{", "[]", []])
def test_a_trust_policy_that_is_no_object_accepts_nothing_and_stops_a_run(document: Any) -> None:
    class Broken(Iam):
        def get_role(self, RoleName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
            return {"Role": {"AssumeRolePolicyDocument": document}}

    assert accepted_in(document) == frozenset()
    session = AwsSession(SESSION, "us-east-1", _clients={("iam", "us-east-1"): Broken({})})
    with pytest.raises(AwsError) as caught:
        accepted_external_ids(session, ROLE)
    assert caught.value.what == "The external ids that the role grid-cloud-x accepts could not be read."
    assert caught.value.why == "Its trust policy is not a JSON object."


class Services:
    """A control plane in memory, and nothing else."""

    def __init__(self, registrar: Any) -> None:
        self._registrar = registrar

    def connect(self, *_: Any, **__: Any) -> Any:
        return self._registrar


def state_with(previous: str | None) -> State:
    role = {"module": "module.gridbyoc_previous", "mode": "managed", "type": "aws_iam_role"}
    attributes = {"arn": previous, "name": "grid-cloud-previous"}
    return State({"resources": [{**role, "instances": [{"attributes": attributes}]}] if previous else []})


def rotation(tmp_path: Path, registrar: Any, kept: list[str] | None = None, previous: str | None = None) -> Rotation:
    if kept is not None:
        (tmp_path / "terraform.tfvars.json").write_text(json.dumps({"previous_external_ids": kept}))
    time, services = Time(), Services(registrar)
    outside = Environment({}, tmp_path, lambda _: None, time.clock, time.sleep, services=services)  # type: ignore[arg-type]
    run = Run(stack(), tmp_path, outside, Choices(), Journal(tmp_path / "journal", utc_now, "a-run"))
    return rotation_of(run, state_with(previous), ROLE)


def test_a_rotation_is_read_from_the_clusters_of_the_role_and_from_the_last_render(tmp_path: Path) -> None:
    clusters = [
        holding(OLD), holding(OWN, "more"), holding(CLAIMED, "theirs", role_arn=THEIRS), holding(None, "shy"),
        holding(CLAIMED, "gone", phase=Phase.DELETED), holding(OWN, "slow", phase=Phase.CONFIGURING),
        holding(OWN, "far", phase=Phase.CONFIGURING, role_arn=THEIRS),
    ]  # fmt: skip
    registrar = MemoryRegistrar({each.name: each for each in clusters})
    found = rotation(tmp_path, registrar, [OLD])
    assert found == Rotation(frozenset({Secret(OLD), Secret(OWN)}), frozenset({Secret(OLD)}), ("shy",), ("slow",))
    assert OLD not in repr(found)


def test_a_role_that_is_being_replaced_is_one_of_the_stacks(tmp_path: Path) -> None:
    registrar = MemoryRegistrar({"ml": holding(OLD, role_arn=PREVIOUS)})
    assert rotation(tmp_path, registrar).held == frozenset()
    assert rotation(tmp_path, registrar, previous=PREVIOUS).held == frozenset({Secret(OLD)})


def test_a_control_plane_that_cannot_be_asked_says_why(tmp_path: Path) -> None:
    class Cut(MemoryRegistrar):
        def list(self) -> tuple[Cluster, ...]:
            raise ControlPlaneError("The control plane did not answer.", fix="", rerun="")

    found = rotation(tmp_path, Cut(), [OLD])
    assert found == Rotation(None, frozenset({Secret(OLD)}), unread="The control plane did not answer.")


def test_a_control_plane_that_nobody_has_a_key_for_is_not_asked(tmp_path: Path) -> None:
    found = rotation(tmp_path, MemoryRegistrar(unasked="there is no key"), [OLD])
    assert found == Rotation(None, frozenset({Secret(OLD)}), unread="there is no key")
    assert found.under_way(Secret(OLD)) is None


def test_another_run_on_the_stack_is_told(tmp_path: Path) -> None:
    with FileLock(tmp_path / LOCK, mode=0o600):
        found = rotation(tmp_path, MemoryRegistrar())
    assert found.holder.startswith(str(tmp_path / LOCK))
    assert found.under_way(Secret(OLD)) is None
    assert rotation(tmp_path, MemoryRegistrar()).holder == ""
