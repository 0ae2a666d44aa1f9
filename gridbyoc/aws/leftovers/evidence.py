"""The evidence that a resource belongs to a cluster, and that against it. A similar name proves nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.leftovers.model import Key, Resource, Search
from gridbyoc.stack.defaults import STACK_TAG
from gridbyoc.vendors import VENDORS, facts_of


@dataclass(frozen=True, slots=True)
class OwnerTag:
    """A tag whose value is the name of the cluster for which the resource was created.

    ``eks``: it names an EKS cluster, which belongs to the control plane only if no other EKS cluster has that name.
    """

    key: str
    eks: bool
    source: str


CLUSTER_PREFIX = "kubernetes.io/cluster/"
"""``kubernetes.io/cluster/NAME`` = ``owned`` | ``shared``: only ``owned`` means that it is deleted with the cluster.

https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
"""

OWNER_TAGS = (
    OwnerTag("gridbyoc:cluster", False, "this tool's own: for what a person has found to be a cluster's"),
    *(OwnerTag(tag.key, False, str(tag.source)) for vendor in VENDORS for tag in facts_of(vendor).ownership_tags),
    OwnerTag(
        "eks:cluster-name",
        True,
        "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSServiceRoleForAmazonEKSNodegroup.html",
    ),
    OwnerTag("aws:eks:cluster-name", True, "https://docs.aws.amazon.com/eks/latest/userguide/sec-group-reqs.html"),
    OwnerTag(
        "elbv2.k8s.aws/cluster", True, "https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/3701"
    ),
    OwnerTag("cluster.k8s.amazonaws.com/name", True, "https://github.com/aws/amazon-vpc-cni-k8s#cluster_name"),
)


LOG_GROUPS = ("/aws/eks/{name}/cluster", *(
    f"/aws/containerinsights/{{name}}/{part}" for part in ("application", "dataplane", "host", "performance")
))  # fmt: skip
"""EKS's and Container Insights' names:
https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-view-metrics.html
"""

SLACK = timedelta(hours=1)
"""The allowed difference between the clocks of AWS and the control plane."""


@dataclass(frozen=True, slots=True)
class OwnershipProof:
    """The cluster that owns a resource, and the evidence. ``eks``: the only evidence is EKS's own tags or names."""

    cluster: str
    evidence: str
    eks: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A tag that names a cluster; ``owned`` is false for ``shared`` and for unknown values."""

    name: str
    tag: str
    owned: bool
    eks: bool


def claims(tags: Mapping[str, str], keys: Iterable[str] = ()) -> Iterator[Claim]:
    """Every cluster that the tags name. ``keys``: further tags that the user declares to hold a cluster's name."""
    for key, value in tags.items():
        if key.startswith(CLUSTER_PREFIX):
            yield Claim(key.removeprefix(CLUSTER_PREFIX), f"{key}={value}", value == "owned", True)
    for owner in OWNER_TAGS:
        if owner.key in tags:
            yield Claim(tags[owner.key], f"{owner.key}={tags[owner.key]}", True, owner.eks)
    for key in keys:
        if key in tags:
            yield Claim(tags[key], f"{key}={tags[key]}, given with --tag", True, eks=False)


@dataclass(frozen=True, slots=True)
class NameRule:
    """A proof by exact name; ``born`` is the cluster's creation, before which the resource cannot have been created."""

    proof: OwnershipProof
    born: datetime | None


@dataclass(frozen=True, slots=True)
class OwnershipRules:
    """Judges who owns a resource. ``identities``: names and ids → the cluster's name. ``keys`` are the search's.

    ``contested`` names also belong to an EKS cluster that is not ours, so EKS's tags prove nothing for them.
    ``parents`` are resources proven to be ours.
    """

    identities: Mapping[str, str]
    names: Mapping[Key, NameRule]
    tags: tuple[tuple[str, str], ...]
    spared: frozenset[str]
    keys: tuple[str, ...] = ()
    contested: frozenset[str] = frozenset()
    parents: Mapping[Key, OwnershipProof] = field(default_factory=lambda: MappingProxyType({}))

    def judge(self, resource: Resource) -> OwnershipProof | None:
        """The proof that it belongs to a deleted cluster, or ``None`` if it is foreign or not proven."""
        # Resources that Terraform manages have the stack's tag: `destroy` removes them; they are never leftovers.
        if resource.arn in self.spared or STACK_TAG in resource.tags:
            return None
        found = tuple(claims(resource.tags, self.keys))
        if any(not claim.owned or claim.name not in self.identities for claim in found):
            return None  # shared, or another cluster's as well
        return self._by_tag(found) or self._by_word(resource) or self._by_name(resource) or self._by_parent(resource)

    def _by_tag(self, found: tuple[Claim, ...]) -> OwnershipProof | None:
        for claim in sorted(found, key=lambda one: one.eks):
            if not (claim.eks and claim.name in self.contested):
                return OwnershipProof(self.identities[claim.name], f"tag {claim.tag}", claim.eks)
        return None

    def _by_word(self, resource: Resource) -> OwnershipProof | None:
        for key, value in self.tags:
            if resource.tags.get(key) == value:
                owners = sorted(set(self.identities.values()))
                return OwnershipProof(owners[0] if len(owners) == 1 else "", f"tag {key}={value}, given with --tag")
        return None

    def _by_name(self, resource: Resource) -> OwnershipProof | None:
        named = self.names.get(resource.key)
        if named is None or (named.proof.eks and named.proof.cluster in self._contested_clusters()):
            return None
        older = named.born is not None and resource.created_at is not None and resource.created_at < named.born - SLACK
        return None if older else named.proof

    def _by_parent(self, resource: Resource) -> OwnershipProof | None:
        for key in resource.parents:
            if key in self.parents:
                parent = self.parents[key]
                return OwnershipProof(parent.cluster, f"in the {key[0]} {key[1]} ({parent.evidence})", parent.eks)
        return None

    def _contested_clusters(self) -> set[str]:
        return {self.identities[name] for name in self.contested}


def judge_of(search: Search) -> OwnershipRules:
    """The ownership rules of a search, without contested names and parents."""
    identities = {ident: cluster.name for cluster in search.clusters for ident in (*cluster.ids, cluster.name)}
    return OwnershipRules(identities, _names(search), search.tags, search.spared, search.keys)


def tag_keys(search: Search) -> tuple[str, ...]:
    """Every tag key that can prove something in this search."""
    names = [f"{CLUSTER_PREFIX}{ident}" for ident in judge_of(search).identities]
    given = (*search.keys, *(key for key, _ in search.tags))
    return tuple(dict.fromkeys([*names, *(tag.key for tag in OWNER_TAGS), *given]))


def bucket_arn(place: AccountRegion, name: str) -> str:
    """The ARN of a bucket, which contains neither region nor account."""
    return place.s3(name)


def _names(search: Search) -> dict[Key, NameRule]:
    named: dict[Key, NameRule] = {}
    for cluster in search.clusters:
        for bucket in cluster.bucket_names:
            proof = OwnershipProof(cluster.name, "the cluster's bucket at the control plane")
            named["bucket", bucket] = NameRule(proof, cluster.created_at)
        for ident in (*cluster.ids, cluster.name):
            for pattern in LOG_GROUPS:
                proof = OwnershipProof(cluster.name, f"the log group's name for the EKS cluster {ident}", True)
                named["log group", pattern.format(name=ident)] = NameRule(proof, cluster.created_at)
    return named
