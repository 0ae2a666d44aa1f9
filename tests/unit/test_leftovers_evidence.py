"""What proves that a resource is a cluster's: tags, exact names, places; never a likeness."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.leftovers import DeletedCluster, Search
from gridbyoc.aws.leftovers.evidence import OWNER_TAGS, OwnershipRules, claims, judge_of, tag_keys
from gridbyoc.aws.leftovers.model import Resource

PLACE = AccountRegion("aws", "123456789012", "us-east-1")
BORN = datetime(2026, 11, 1, tzinfo=timezone.utc)


def judge(**fields: object) -> OwnershipRules:
    clusters = (DeletedCluster("demo", ("id-1",), ("demo-bucket",)), DeletedCluster("ml"))
    search = replace(Search(PLACE, clusters), **fields)  # type: ignore[arg-type]
    return judge_of(search)


def resource(kind: str = "volume", ident: str = "vol-1", **fields: object) -> Resource:
    base = Resource(kind, ident, PLACE.regional("ec2", f"{kind}/{ident}"), ident)
    return replace(base, **fields)  # type: ignore[arg-type]


PROVEN = [
    {"kubernetes.io/cluster/demo": "owned"},
    {"kubernetes.io/cluster/id-1": "owned"},
    {"kubernetes.io/cluster/demo": "owned", "kubernetes.io/cluster/ml": "owned"},
    *({tag.key: "demo"} for tag in OWNER_TAGS),
    *({tag.key: "id-1", "Name": "anything"} for tag in OWNER_TAGS),
]


@pytest.mark.parametrize("tags", PROVEN, ids=str)
def test_these_tags_prove(tags: dict[str, str]) -> None:
    proof = judge().judge(resource(tags=tags))
    assert proof is not None
    assert proof.cluster == "demo"
    assert proof.evidence.startswith("tag ")


FOREIGN = [
    {},
    {"Name": "demo"},
    {"demo": "owned"},
    {"kubernetes.io/cluster/demo": "shared"},
    {"kubernetes.io/cluster/demo": "Owned"},
    {"kubernetes.io/cluster/demo": ""},
    {"kubernetes.io/cluster/demo-2": "owned"},
    {"kubernetes.io/cluster/": "owned"},
    {"kubernetes.io/cluster/demo": "owned", "kubernetes.io/cluster/other": "owned"},
    {"kubernetes.io/cluster/demo": "owned", "kubernetes.io/cluster/other": "shared"},
    {"kubernetes.io/cluster/demo": "owned", "eks:cluster-name": "other"},
    {"eks:cluster-name": "demo", "kubernetes.io/cluster/demo": "shared"},
    {"eks:cluster-name": "Demo"},
    {"lightning/cluster": "demo "},
    {"alpha.eksctl.io/cluster-name": "demo"},
    {"k8s.io/cluster-autoscaler/demo": "owned"},
    {"KubernetesCluster": "demo"},
    {"lightning/cluster": "demo", "gridbyoc:stack": "ml-prod"},
]


@pytest.mark.parametrize("tags", FOREIGN, ids=str)
def test_these_tags_do_not(tags: dict[str, str]) -> None:
    own = {("VPC", "vpc-1"): judge().judge(resource(tags={"lightning/cluster": "demo"}))}
    assert judge().judge(resource(tags=tags)) is None
    assert judge(tags=(("Name", "demo-x"),)).judge(resource(tags=tags)) is None
    if set(tags) - {"Name", "demo", "alpha.eksctl.io/cluster-name", "k8s.io/cluster-autoscaler/demo",
                    "KubernetesCluster"}:  # fmt: skip
        # What a tag says against it outweighs where it lies.
        inside = resource(tags=tags, parents=(("VPC", "vpc-1"),))
        assert replace(judge(), parents=own).judge(inside) is None  # type: ignore[arg-type]


def test_a_place_proves_when_it_is_proven_itself() -> None:
    vpc = resource("VPC", "vpc-1", tags={"lightning/cluster": "ml"})
    proof = judge().judge(vpc)
    assert proof
    placed = replace(judge(), parents={vpc.key: proof})
    inside = placed.judge(resource(parents=(vpc.key,)))
    assert inside
    assert (inside.cluster, inside.evidence) == ("ml", "in the VPC vpc-1 (tag lightning/cluster=ml)")
    assert placed.judge(resource(parents=(("VPC", "vpc-2"),))) is None


def test_names_prove_only_when_exact_and_not_older_than_the_cluster() -> None:
    bucket = resource("bucket", "demo-bucket", created_at=BORN)
    assert judge().judge(bucket)
    assert judge().judge(resource("bucket", "demo-bucket-2")) is None
    assert judge().judge(resource("queue", "demo-bucket")) is None
    assert judge().judge(resource("log group", "/aws/eks/id-1/cluster"))
    assert judge().judge(resource("log group", "/aws/eks/id-1/clusters")) is None
    for age, proven in ((timedelta(minutes=30), True), (timedelta(hours=2), False)):
        clusters = (DeletedCluster("demo", (), ("demo-bucket",), BORN + age),)
        assert bool(judge_of(Search(PLACE, clusters)).judge(bucket)) is proven


def test_eks_tags_and_names_prove_nothing_for_a_contested_name() -> None:
    contested = replace(judge(), contested=frozenset({"demo"}))
    assert contested.judge(resource(tags={"eks:cluster-name": "demo"})) is None
    assert contested.judge(resource("log group", "/aws/eks/demo/cluster")) is None
    assert contested.judge(resource(tags={"lightning/cluster": "demo"}))
    assert contested.judge(resource(tags={"eks:cluster-name": "ml"}))
    assert contested.judge(resource("bucket", "demo-bucket"))


def test_a_key_that_the_user_names_proves_by_its_value_and_is_told_as_theirs() -> None:
    said = replace(judge(), keys=("owner",))
    proof = said.judge(resource(tags={"owner": "demo"}))
    assert proof
    assert (proof.cluster, proof.evidence) == ("demo", "tag owner=demo, given with --tag")
    assert said.judge(resource(tags={"owner": "somebody"})) is None
    assert said.judge(resource(tags={"owner": "somebody", "lightning/cluster": "demo"})) is None
    assert judge().judge(resource(tags={"owner": "demo"})) is None


@pytest.mark.parametrize("key", ["grid.ai/cluster", "grid-cluster", "lightning.ai/cluster"])
def test_a_tag_without_a_source_proves_nothing(key: str) -> None:
    assert judge().judge(resource(tags={key: "demo"})) is None


def test_the_users_word_proves_for_what_nobody_else_claims() -> None:
    said = judge(tags=(("team", "grid"),))
    proof = said.judge(resource(tags={"team": "grid"}))
    assert proof
    assert (proof.cluster, proof.evidence) == ("", "tag team=grid, given with --tag")
    assert said.judge(resource(tags={"team": "grid", "eks:cluster-name": "other"})) is None
    one = judge_of(Search(PLACE, (DeletedCluster("demo"),), (("team", "grid"),)))
    assert one.judge(resource(tags={"team": "grid"})).cluster == "demo"  # type: ignore[union-attr]


def test_what_is_spared_is_never_ours() -> None:
    ours = resource(tags={"lightning/cluster": "demo"})
    assert judge(spared=frozenset({ours.arn})).judge(ours) is None


def test_every_tag_that_can_prove_is_asked_for() -> None:
    search = Search(PLACE, (DeletedCluster("demo", ("id-1",)),), (("team", "grid"),))
    keys = tag_keys(search)
    assert {"kubernetes.io/cluster/demo", "kubernetes.io/cluster/id-1", "team"} <= set(keys)
    assert {tag.key for tag in OWNER_TAGS} <= set(keys)
    assert all(tag.source for tag in OWNER_TAGS)


KEYS = st.sampled_from(
    ["kubernetes.io/cluster/demo", "kubernetes.io/cluster/other", "Name", "team", "gridbyoc:stack"]
    + [tag.key for tag in OWNER_TAGS]
)
TAGS = st.dictionaries(KEYS, st.sampled_from(["owned", "shared", "demo", "id-1", "ml", "other", "demo-2", ""]))


@given(TAGS, st.sampled_from(["demo-bucket", "demo-bucket2", "/aws/eks/demo/cluster", "vol-1"]), st.booleans())
def test_without_evidence_nothing_is_ours(tags: dict[str, str], ident: str, contested: bool) -> None:
    one = resource("bucket", ident, tags=tags)
    names = frozenset({"demo"}) if contested else frozenset()
    proof = replace(judge(), contested=names).judge(one)
    named = [claim for claim in claims(tags) if claim.owned and claim.name in {"demo", "id-1", "ml"}]
    against = [claim for claim in claims(tags) if not claim.owned or claim.name not in {"demo", "id-1", "ml"}]
    if proof is not None:
        assert named or ident == "demo-bucket"
        assert not against
        assert "gridbyoc:stack" not in tags
    elif named and not contested:
        assert against or "gridbyoc:stack" in tags


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_tag_that_names_no_cluster_is_no_evidence(key: str, value: str) -> None:
    known = {tag.key for tag in OWNER_TAGS} | {"kubernetes.io/cluster/demo", "kubernetes.io/cluster/ml"}
    if key not in known:
        assert judge().judge(resource(tags={key: value})) is None
