"""Build the ledger: every resource in the account and region that provably belongs to a deleted cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from gridbyoc.aws.leftovers.evidence import OwnershipProof, OwnershipRules, judge_of, tag_keys
from gridbyoc.aws.leftovers.kinds import BY_NAME, KINDS, ORDER, PARENTS
from gridbyoc.aws.leftovers.model import (
    Api,
    Key,
    Ledger,
    Leftover,
    Resource,
    ResourceKind,
    ScanScope,
    Search,
    Unknown,
    tags_of,
)
from gridbyoc.aws.session import AwsSession, domain_errors
from gridbyoc.errors import AwsCredentialsError, AwsError
from gridbyoc.stack.background import Readers
from gridbyoc.stack.regions import HOME_REGIONS

AT_ONCE = 8
"""Kinds to read in parallel: EC2 throttles by the second, and every client retries."""

UNSURE = "whether an EKS cluster of that name is in use could not be read"
BY_HAND = "gridbyoc does not delete this kind: delete it by hand"


@dataclass(frozen=True, slots=True)
class ScanContext:
    """The facts for judging resources: ownership rules with proven parents, and parent kinds that are unknown."""

    judge: OwnershipRules
    scope: ScanScope
    parents: tuple[Resource, ...]
    unknown: tuple[Unknown, ...]
    notes: tuple[str, ...]

    @property
    def sure_of_eks(self) -> bool:
        """Whether the live EKS clusters are known. Otherwise EKS's own tags do not justify a deletion."""
        return not any(one.kind == "EKS cluster" for one in self.unknown)


def find(session: AwsSession, search: Search, now: Callable[[], datetime]) -> Ledger:
    """Scan every kind without changing anything. A kind that cannot be read is ``unknown``, never "none".

    Raises ``AwsCredentialsError``; all other refusals are in the ledger.
    """
    api = Api(session)
    ground = survey(api, search)
    rest = tuple(kind for kind in KINDS if kind not in PARENTS)
    found, failed = _scan_all(api, rest, ground.scope)
    at = now()
    entries = [entry for one in (*ground.parents, *found) if (entry := _entry(ground, one, at))]
    entries.sort(key=lambda one: (one.order, one.cluster, one.id))
    unknown = sorted({one.kind: one for one in (*ground.unknown, *failed)}.values(), key=lambda one: ORDER[one.kind])
    return Ledger(tuple(entries), tuple(unknown), ground.notes)


def survey(api: Api, search: Search) -> ScanContext:
    """Read the facts that prove other resources: tagged ARNs, EKS clusters, VPCs."""
    judge = judge_of(search)
    tagged, unknown = _tagged(api, search)
    scope = ScanScope(search.place, tag_keys(search), frozenset(judge.names), tagged=tagged)
    found, failed = _scan_all(api, PARENTS, scope)
    contested = contested_names(judge, found)
    judge = replace(judge, contested=contested)
    proven = {one.key: proof for one in found if (proof := judge.judge(one))}
    judge = replace(judge, parents=proven)
    scope = replace(scope, parents=frozenset(proven))
    notes = tuple(_contested_note(name) for name in sorted(contested))
    return ScanContext(judge, scope, tuple(one for one in found if one.key in proven), (*unknown, *failed), notes)


def contested_names(judge: OwnershipRules, found: Iterable[Resource]) -> frozenset[str]:
    """Our names that an EKS cluster has which is not proven to be ours."""
    clusters = (one for one in found if one.kind == "EKS cluster" and one.id in judge.identities)
    return frozenset(one.id for one in clusters if judge.judge(one) is None)


def _contested_note(name: str) -> str:
    return (
        f"The EKS cluster {name} has no tag that proves it belongs to the control plane, so resources that EKS tagged "
        f"for it are left alone. If it does belong, tag it gridbyoc:cluster={name}, or give one of its tags with --tag."
    )


def _scan_all(api: Api, kinds: tuple[ResourceKind, ...], scope: ScanScope) -> tuple[list[Resource], list[Unknown]]:
    results = Readers(AT_ONCE).map(lambda kind: _scan(api, kind, scope), kinds)
    found = [one for result in results if not isinstance(result, Unknown) for one in result]
    return found, [result for result in results if isinstance(result, Unknown)]


def _scan(api: Api, kind: ResourceKind, scope: ScanScope) -> list[Resource] | Unknown:
    found: list[Resource] = []
    try:
        with domain_errors(f"Reading every {kind.name} failed"):
            found.extend(kind.scan(api, scope))
    except AwsCredentialsError:
        raise
    except AwsError as error:
        read = f"{error.why or error.what}".rstrip(".")
        return Unknown(kind.name, f"{read} (after {len(found)} of them had been read)" if found else read)
    return found


def _tagged(api: Api, search: Search) -> tuple[Mapping[str, Mapping[str, str]], tuple[Unknown, ...]]:
    """Search by tag keys in the search's region, and for IAM in the partition's home region.

    The tagging service does not know roles or Auto Scaling groups, and still returns recently deleted resources:
    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html
    """
    found: dict[str, Mapping[str, str]] = {}
    home = HOME_REGIONS.get(search.place.partition, search.place.region)
    places: list[tuple[Api, tuple[str, ...]]] = [(api, ())]
    places += [(api.at(home), ("iam",))] if home != search.place.region else []
    searches = [(place, key, types) for key in tag_keys(search) for place, types in places]
    done = 0
    try:
        with domain_errors("Searching by tag failed"):
            for place, key, types in searches:
                found |= _tagged_with(place, key, types)
                done += 1
    except AwsCredentialsError:
        raise
    except AwsError as error:
        read = f"{error.why or error.what}".rstrip(".")
        why = f"searching by tag failed: {read} (after {done} of {len(searches)} searches)"
        return {}, tuple(Unknown(kind.name, why) for kind in KINDS if kind.needs_tagging)
    return found, ()


def _tagged_with(api: Api, key: str, types: tuple[str, ...] = ()) -> dict[str, Mapping[str, str]]:
    filters = {"TagFilters": [{"Key": key}], **({"ResourceTypeFilters": list(types)} if types else {})}
    pages = api.pages("resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", **filters)
    return {str(one["ResourceARN"]): tags_of(one.get("Tags")) for one in pages}


def _entry(ground: ScanContext, resource: Resource, at: datetime) -> Leftover | None:
    proof = ground.judge.judge(resource)
    if proof is None:
        return None
    made = resource.created_at
    return Leftover(
        resource.kind,
        resource.id,
        resource.arn,
        resource.name,
        proof.cluster,
        proof.evidence,
        made,
        at - made if made else None,
        resource.size_bytes,
        resource.costs_money,
        resource.holds_data,
        ORDER[resource.kind],
        kept=_kept(ground, resource, proof),
    )


def _kept(ground: ScanContext, resource: Resource, proof: OwnershipProof) -> str:
    if BY_NAME[resource.kind].delete is None:
        return BY_HAND
    return UNSURE if proof.eks and not ground.sure_of_eks else ""


def prove_again(
    api: Api, search: Search, ground: ScanContext, leftover: Key
) -> tuple[Resource | None, OwnershipProof | None]:
    """Look up the resource and its parents again, and judge it by their current state."""
    resource = BY_NAME[leftover[0]].look(api, search.place, leftover[1])
    if resource is None:
        return None, None
    judge = replace(ground.judge, parents={})
    parents: dict[Key, OwnershipProof] = {}
    for key in resource.parents:
        parent = BY_NAME[key[0]].look(api, search.place, key[1]) if key in ground.judge.parents else None
        proof = judge.judge(parent) if parent else None
        if proof:
            parents[key] = proof
    return resource, replace(judge, parents=parents).judge(resource)
