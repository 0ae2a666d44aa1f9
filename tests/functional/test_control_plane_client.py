"""Both dialects against a control plane that holds clusters and fails when told to."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.control_plane import connect, context_of, current_context, log_in, set_context
from gridbyoc.control_plane.connect import Limits
from gridbyoc.control_plane.http import RetryPatience
from gridbyoc.control_plane.model import Grant, Phase, Registrar
from gridbyoc.control_plane.settings import credentials_path
from gridbyoc.errors import (
    AuthenticationError,
    ClusterConflictError,
    ClusterNotFoundError,
    ControlPlaneError,
    ControlPlaneUnreachableError,
    GridbyocError,
    UnclearAnswerError,
    UnsupportedByDialectError,
    UsageError,
)
from gridbyoc.stack.model import ClusterSpec, ControlPlane, DialectName, InstanceType
from gridbyoc.stack.secret import Secret
from tests.functional.fault_server import DROP, HTML, Reply, Server, serving
from tests.functional.plane import Plane

CANARY = "canary-external-id-42"
ROLE = "arn:aws:iam::123456789012:role/grid-cloud-x"
GRANT = Grant(ROLE, Secret(CANARY), "us-east-1")
SPEC = ClusterSpec("ml-prod", (InstanceType("t2.medium"), InstanceType("g4dn.xlarge", 3, 200)))
KEY = "key-canary-0123456789"
ENV = {"GRID_USER_ID": "user-1", "GRID_API_KEY": KEY, "LIGHTNING_USER_ID": "user-1", "LIGHTNING_API_KEY": KEY}
QUICK = Limits(connect=1.0, read=0.3, patience=RetryPatience(total=3.0, tries=2, first_pause=0.001))
DIALECTS: tuple[DialectName, ...] = ("grid", "lightning")


@dataclass
class World:
    """A client, the plane behind it, and what both sides did."""

    plane: Plane
    server: Server
    registrar: Registrar
    naps: list[float] = field(default_factory=list)

    def asked(self, method: str) -> list[Any]:
        return [request.json for request in self.server.requests if request.method == method]


@contextmanager
def world(home: Path, dialect: DialectName = "grid", *, org: str | None = None, **env: str) -> Iterator[World]:
    plane, naps = Plane(), []
    with serving(plane) as server:
        settings = ControlPlane(dialect, org_id=org)
        whole = {**ENV, **env}
        registrar = connect(settings, url=server.url, environ=whole, home=home, limits=QUICK, sleep=naps.append)
        yield World(plane, server, registrar, naps)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_life_of_a_cluster(dialect: DialectName, tmp_path: Path) -> None:
    with world(tmp_path, dialect) as w:
        registrar = w.registrar
        assert registrar.url == w.server.url
        assert registrar.find("ml-prod") is None
        created = registrar.create(SPEC, GRANT)
        assert not created.adopted
        cluster = registrar.get(created.cluster.id)
        assert cluster == created.cluster == registrar.find("ml-prod")
        assert (cluster.role_arn, cluster.external_id, cluster.region) == (ROLE, Secret(CANARY), "us-east-1")
        assert cluster.instance_types == SPEC.instance_types
        assert cluster.phase is Phase.PENDING
        assert cluster.created_at is not None
        assert registrar.diff(cluster, SPEC, GRANT) == ()

        again = registrar.create(SPEC, GRANT)
        assert again.adopted
        assert w.plane.posts == 1

        more = ClusterSpec("ml-prod", (*SPEC.instance_types, InstanceType("m5.large")))
        assert [change.field for change in registrar.diff(cluster, more, GRANT)] == ["instance_types[m5.large]"]
        updated = registrar.update(cluster, more, GRANT)
        assert updated.instance_types == more.instance_types
        registrar.update(cluster, more, GRANT)
        assert len(w.asked("PUT")) == 1

        registrar.delete(cluster.id)
        assert registrar.get(cluster.id).status == "terminating"
        with pytest.raises(ControlPlaneError, match="is being deleted"):
            registrar.create(SPEC, GRANT)
        w.plane.clusters.clear()
        registrar.delete(cluster.id)
        assert registrar.list() == ()


def test_grid_create_body_is_the_guides_own(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.registrar.create(ClusterSpec("my-cluster"), GRANT)
        (body,) = w.asked("POST")
    types = body["spec"]["driver"]["kubernetes"]["aws"].pop("instanceTypes")
    assert (len(types), types[0], types[-1]) == (27, {"name": "g2.8xlarge"}, {"name": "t3.2xlarge"})
    assert body == {
        "name": "my-cluster",
        "spec": {
            "clusterType": "CLUSTER_TYPE_BYOC",
            "driver": {"kubernetes": {"aws": {"externalId": CANARY, "region": "us-east-1", "roleArn": ROLE}}},
            "performanceProfile": "CLUSTER_PERFORMANCE_PROFILE_DEFAULT",
        },
    }


def test_lightning_create_body(tmp_path: Path) -> None:
    with world(tmp_path, "lightning", org="org-1") as w:
        w.registrar.create(SPEC, GRANT)
        w.registrar.delete("id-1", force=True)
        (body,) = w.asked("POST")
        asked = w.server.asked()
    assert body == {
        "name": "ml-prod",
        "orgId": "org-1",
        "spec": {
            "clusterType": "CLUSTER_TYPE_BYOC",
            "driver": "AWS",
            "awsV1": {"roleArn": ROLE, "externalId": CANARY, "primaryRegion": "us-east-1", "regions": ["us-east-1"]},
            "availableAccelerators": ["t2.medium", "g4dn.xlarge"],
            "overprovisioning": [
                {
                    "instanceType": "g4dn.xlarge",
                    "isSpot": False,
                    "minimumCount": 3,
                    "maximumCount": 3,
                    "region": "us-east-1",
                    "volumeSize": 200,
                }
            ],
        },
    }
    assert asked == [
        "GET /v1/core/clusters?orgId=org-1",
        "POST /v1/core/clusters",
        "DELETE /v1/core/clusters/id-1?force=True&orgId=org-1",
    ]


def test_grid_update_keeps_what_it_does_not_know(tmp_path: Path) -> None:
    aws = {"role_arn": ROLE, "externalId": "old", "region": "us-east-1", "bucketName": "b", "instanceTypes": [
        {"name": "t2.medium", "maxCpu": 7, "overprovisioned_ondemand_count": 2}, {"name": "p2.xlarge"}]}  # fmt: skip
    before = {"driver": {"kubernetes": {"aws": aws, "namespace": "n"}}, "costFactor": "1.5"}
    with world(tmp_path) as w:
        made = w.plane.add("ml-prod", before)
        cluster = w.registrar.get(made["id"])
        w.registrar.update(cluster, ClusterSpec("ml-prod", (InstanceType("t2.medium"),), "cost-saving"), GRANT)
        (put,) = w.asked("PUT")
    assert put["name"] == made["id"]
    assert put["spec"] == {
        "driver": {
            "kubernetes": {
                "aws": {
                    "role_arn": ROLE,
                    "externalId": CANARY,
                    "region": "us-east-1",
                    "bucketName": "b",
                    "instanceTypes": [{"name": "t2.medium", "maxCpu": 7}],
                },
                "namespace": "n",
            }
        },
        "costFactor": "1.5",
        "userId": "user-1",
        "desiredState": "CLUSTER_STATE_RUNNING",
        "performanceProfile": "CLUSTER_PERFORMANCE_PROFILE_COST_SAVING",
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_an_update_refuses(dialect: DialectName, tmp_path: Path) -> None:
    other: DialectName = "lightning" if dialect == "grid" else "grid"
    with world(tmp_path, dialect) as w:
        cluster = w.registrar.create(SPEC, GRANT).cluster
        elsewhere = Grant(ROLE, Secret(CANARY), "eu-west-1")
        assert [change.field for change in w.registrar.diff(cluster, SPEC, elsewhere)] == ["region"]
        with pytest.raises(UnsupportedByDialectError, match="region"):
            w.registrar.update(cluster, SPEC, elsewhere)
        stranger = connect(ControlPlane(other), url=w.server.url, environ=ENV, home=tmp_path, limits=QUICK)
        with pytest.raises(UnsupportedByDialectError, match="other dialect") as caught:
            stranger.update(cluster, SPEC, GRANT)
        assert dialect in caught.value.fix
        w.registrar.delete(cluster.id)
        with pytest.raises(ControlPlaneError, match="being deleted"):
            w.registrar.update(cluster, ClusterSpec("ml-prod", (InstanceType("t3.large"),)), GRANT)
        assert w.asked("PUT") == []


LOST = [DROP, HTML, Reply(cut="half"), Reply({}), Reply({}, 500), Reply({}, 503), Reply(delay=2.0), Reply({"id": 7})]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("reply", LOST)
def test_a_create_that_was_carried_out_but_not_answered_is_found_again(
    reply: Reply, dialect: DialectName, tmp_path: Path
) -> None:
    with world(tmp_path, dialect) as w:
        w.plane.faults.append(("POST", reply, True))
        created = w.registrar.create(SPEC, GRANT)
        assert not created.adopted
        assert len(w.plane.clusters) == w.plane.posts == 1


@pytest.mark.parametrize("reply", [DROP, Reply({}, 502), Reply({}, 429)])
def test_a_create_that_was_not_carried_out_is_sent_again(reply: Reply, tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.plane.faults.append(("POST", reply, False))
        assert not w.registrar.create(SPEC, GRANT).adopted
        assert len(w.plane.clusters) == w.plane.posts == 1
        assert sum(w.naps) == pytest.approx(1.0 if reply.status == 429 else 30.0)


def test_a_create_that_never_gets_an_answer_is_unclear(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.plane.faults += [("POST", DROP, False)] * 9
        with pytest.raises(UnclearAnswerError, match="It is unknown") as caught:
            w.registrar.create(SPEC, GRANT)
        assert w.server.asked().count("POST /v1/core/clusters") == 3
    assert "looks the name up first" in caught.value.fix


def test_a_create_after_which_nothing_can_be_looked_up_is_unclear(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.plane.faults += [("POST", DROP, True), *[("GET", Reply({}, 503), False)] * 40]
        w.plane.faults.insert(0, ("GET", Reply({"clusters": []}), False))
        with pytest.raises(UnclearAnswerError):
            w.registrar.create(SPEC, GRANT)
        assert w.plane.posts == 1
        w.plane.faults.clear()
        assert w.registrar.create(SPEC, GRANT).adopted


def test_a_lost_credential_in_the_middle_of_a_create_ends_it(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.plane.faults += [
            ("GET", Reply({"clusters": []}), False),
            ("POST", DROP, True),
            ("GET", Reply({}, 401), False),
        ]
        with pytest.raises(AuthenticationError):
            w.registrar.create(SPEC, GRANT)


def test_a_rate_limit_without_end_is_told_as_such(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.plane.faults += [("POST", Reply({"message": "too many"}, 429), False)] * 9
        with pytest.raises(ControlPlaneError, match="too many") as caught:
            w.registrar.create(SPEC, GRANT)
    assert not isinstance(caught.value, UnclearAnswerError)


def test_a_server_that_is_not_there_is_no_unclear_answer(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        registrar = w.registrar
    with pytest.raises(ControlPlaneUnreachableError, match="refused"):
        registrar.create(SPEC, GRANT)


@pytest.mark.parametrize("status", [400, 409])
def test_exists_already_is_adopted_or_a_conflict(status: int, tmp_path: Path) -> None:
    exists = Reply({"code": 6, "message": "cluster exists"}, status)
    with world(tmp_path) as w:
        # another run made it between our look and our POST
        w.plane.faults += [("GET", Reply({"clusters": []}), False), ("POST", exists, True)]
        assert w.registrar.create(SPEC, GRANT).adopted
        stolen = Grant(ROLE.replace("grid-cloud-x", "other"), Secret("xx"), "us-east-1")
        with pytest.raises(ClusterConflictError) as caught:
            w.registrar.create(SPEC, stolen)
        assert ROLE in caught.value.why
        assert stolen.role_arn in caught.value.why


def test_a_name_taken_by_a_cluster_that_is_not_shown(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.plane.faults.append(("POST", Reply({"message": "name in use"}, 409), False))
        with pytest.raises(ClusterConflictError, match="cannot see") as caught:
            w.registrar.create(SPEC, GRANT)
    assert "name in use" in caught.value.why


def test_a_refusal_for_good_is_not_sent_twice(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.plane.faults.append(("POST", Reply({"code": 3, "message": "region is closed", "details": []}, 400), False))
        with pytest.raises(ControlPlaneError, match="region is closed"):
            w.registrar.create(SPEC, GRANT)
        assert w.server.asked().count("POST /v1/core/clusters") == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["My", "-a", "a-", "", "a" * 64, "a\n", "ä", "a_b"])
def test_names_are_refused_before_any_call(name: str, dialect: DialectName, tmp_path: Path) -> None:
    with world(tmp_path, dialect) as w:
        with pytest.raises(UnsupportedByDialectError, match=r"cannot be a cluster's name|has 64 characters"):
            w.registrar.create(ClusterSpec(name), GRANT)
        assert w.server.requests == []


@pytest.mark.parametrize("dialect", ["grid", "lightning"])
def test_a_dot_in_a_name_is_refused_with_the_rule(tmp_path: Path, dialect: DialectName) -> None:
    with world(tmp_path, dialect) as w:
        with pytest.raises(UnsupportedByDialectError) as caught:
            w.registrar.create(ClusterSpec("a.b"), GRANT)
        assert w.server.requests == []
    assert "1 to 63 of a-z, 0-9 and `-`" in caught.value.fix


def test_what_a_dialect_cannot_carry_is_refused_before_any_call(tmp_path: Path) -> None:
    arm = ClusterSpec("a", tuple(InstanceType(name) for name in ("t4g.small", "g4dn.xlarge", "c7gn.large", "a1.metal")))
    with world(tmp_path, "lightning") as w:
        with pytest.raises(UnsupportedByDialectError, match=r"t4g\.small.*c7gn\.large.*a1\.metal"):
            w.registrar.check(arm)
        with pytest.raises(UnsupportedByDialectError, match="performance profile"):
            w.registrar.create(ClusterSpec("a", performance_profile="default"), GRANT)
        assert w.server.requests == []


def test_an_edited_body_is_what_is_sent_and_adopted(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        body = w.registrar.request(SPEC, GRANT)
        body["name"] = "renamed"
        assert w.registrar.create(SPEC, GRANT, body=body).cluster.name == "renamed"
        assert w.registrar.create(SPEC, GRANT, body=body).adopted
        del body["spec"]["driver"]["kubernetes"]["aws"]["externalId"]
        with pytest.raises(UsageError, match="is missing"):
            w.registrar.create(SPEC, GRANT, body=body)
        with pytest.raises(UsageError, match="not an object"):
            w.registrar.create(SPEC, GRANT, body={"name": "x", "spec": []})


def test_offers_account_and_default(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.plane.default = "id-9"
        cluster = w.registrar.create(SPEC, GRANT).cluster
        (offer,) = w.registrar.instance_types(cluster.id)
        assert (offer.name, offer.on_demand_hourly, offer.spot_hourly) == ("t3.large", 0.08, 0.03)
        assert w.registrar.cloud_account_id(cluster.id) == "302180240179"
        assert w.registrar.listing().default_id == "id-9"
    with world(tmp_path, "lightning") as w:
        cluster = w.registrar.create(SPEC, GRANT).cluster
        (offer,) = w.registrar.instance_types(cluster.id)
        assert (offer.name, offer.cpu, offer.on_demand_hourly, offer.spot_hourly) == ("g4dn.xlarge", "4", 0.5, 0.2)
        assert w.registrar.cloud_account_id(cluster.id) is None
        assert w.registrar.listing().default_id is None


@pytest.mark.parametrize("cluster_id", ["", ".", ".."])
def test_ids_that_would_leave_the_path(cluster_id: str, tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with pytest.raises(ClusterNotFoundError):
            w.registrar.get(cluster_id)
        with pytest.raises(ClusterNotFoundError):
            w.registrar.delete(cluster_id)
        with pytest.raises(ClusterNotFoundError):
            w.registrar.get("a/../b?c#d")
        assert w.server.asked() == ["GET /v1/core/clusters/a%2F..%2Fb%3Fc%23d"]


def test_the_canary_is_in_no_error_and_no_repr(tmp_path: Path) -> None:
    echo = {"message": f"role does not take {CANARY}", "details": [CANARY, {"message": f"{KEY} {CANARY}"}]}
    with world(tmp_path) as w:
        cluster = w.registrar.create(SPEC, GRANT).cluster
        w.plane.clusters["id-1"]["status"] = {"phase": "CLUSTER_STATE_FAILED", "reason": f"cannot assume with {CANARY}"}
        assert w.registrar.get("id-1").reason == "cannot assume with [secret]"
        more = ClusterSpec("new", (InstanceType("t3.large"),))
        shown = [
            repr(cluster),
            repr(w.registrar.get("id-1")),
            repr(w.registrar.diff(cluster, more, GRANT)),
            repr(GRANT),
        ]
        for status in (400, 401, 403, 404, 409, 500):
            w.plane.faults[:] = [("POST", Reply(echo, status), False)] * 3 + [("PUT", Reply(echo, status), False)] * 3
            for call in (lambda: w.registrar.create(more, GRANT), lambda: w.registrar.update(cluster, more, GRANT)):
                with pytest.raises(GridbyocError) as caught:
                    call()
                shown += traceback.format_exception(caught.value)
                shown += [repr(caught.value), str(vars(caught.value)), repr(caught.value.__context__)]
    text = "".join(shown)
    assert "[secret]" in text
    assert CANARY not in text
    assert KEY not in text


def test_login_keeps_id_and_key_as_the_guides_client_does(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".grid").mkdir(parents=True)
    (home / ".grid/settings.json").write_text('{"other": 1, "context": "old"}')
    plane = Plane(default="id-7")
    with serving(plane) as server:
        done = log_in(ControlPlane(), username="ada", api_key=Secret(KEY), environ={}, home=home, url=server.url + "/")
        assert done.user_id == "user-1"
        assert server.requests[0].json == {"apiKey": KEY, "username": "ada"}
        assert "Authorization" not in server.requests[0].headers
        assert server.requests[1].headers["Authorization"] == "Bearer token-1"
        assert server.requests[2].query[1:] == [
            ("clusterTypeIn", "CLUSTER_TYPE_GLOBAL"),
            ("clusterTypeIn", "CLUSTER_TYPE_BYOC"),
        ]
        path = credentials_path("grid", home)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert '"UserID": "user-1"' in path.read_text()
        assert '"other": 1' in (home / ".grid/settings.json").read_text()
        assert current_context(context_of("grid", home), {}) == "id-7"
        # nothing but the files is needed from here on
        registrar = connect(ControlPlane(), environ={}, home=home, limits=QUICK)
        assert registrar.url == server.url
        assert registrar.list() == ()


def test_login_with_a_wrong_key_writes_nothing(tmp_path: Path) -> None:
    with serving(Plane()) as server, pytest.raises(AuthenticationError) as caught:
        log_in(ControlPlane(), username="ada", api_key=Secret("wrong"), environ={}, home=tmp_path, url=server.url)
    assert "invalid API key" in caught.value.why
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("user", [Reply({}), Reply({"id": "a:b"}), Reply({"id": 3})])
def test_login_without_an_id_that_can_be_used(user: Reply, tmp_path: Path) -> None:
    plane = Plane(faults=[("GET", user, False)])
    with serving(plane) as server, pytest.raises(ControlPlaneUnreachableError, match="id is"):
        log_in(ControlPlane(), username="ada", api_key=Secret(KEY), environ={}, home=tmp_path, url=server.url)
    assert list(tmp_path.iterdir()) == []


def test_login_of_lightning(tmp_path: Path) -> None:
    with serving(Plane()) as server:
        log_in(
            ControlPlane("lightning"), username="ada", api_key=Secret(KEY), environ={}, home=tmp_path, url=server.url
        )
        for plane in (ControlPlane("lightning"), ControlPlane("lightning", server.url)):
            assert connect(plane, environ={}, home=tmp_path, limits=QUICK).list() == ()
        assert len(server.requests) == 5
    text = credentials_path("lightning", tmp_path).read_text()
    assert all(f'"{name}"' in text for name in ("username", "user_id", "api_key", "url"))
    assert not (tmp_path / ".grid").exists()


def test_a_user_name_in_the_environment_is_exchanged_at_the_first_call_once(tmp_path: Path) -> None:
    with serving(Plane()) as server:
        env = {"GRID_USERNAME": "ada", "GRID_API_KEY": KEY}
        registrar = connect(ControlPlane(), url=server.url, environ=env, home=tmp_path, limits=QUICK)
        assert server.requests == []
        registrar.list()
        registrar.list()
        assert [request.path for request in server.requests] == [
            "/v1/auth/login", "/v1/auth/user", "/v1/core/clusters", "/v1/core/clusters",
        ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_context(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with pytest.raises(ClusterNotFoundError, match="no cluster named ml-prod") as caught:
            set_context(w.registrar, context_of("grid", tmp_path), "ml-prod", environ={})
        assert "Existing clusters: none" in caught.value.why
        cluster = w.registrar.create(SPEC, GRANT).cluster
        done = set_context(w.registrar, context_of("grid", tmp_path), "ml-prod", environ={"GRID_CLUSTER_ID": "other"})
        assert (done.cluster.id, done.overridden_by) == (cluster.id, "other")
        assert current_context(context_of("grid", tmp_path), {}) == cluster.id
        assert current_context(context_of("grid", tmp_path), {"GRID_CLUSTER_ID": "other"}) == "other"
        w.registrar.delete(cluster.id)
        with pytest.raises(ControlPlaneError, match="being deleted"):
            set_context(w.registrar, context_of("grid", tmp_path), "ml-prod", environ={})
