"""The ledger's types: deleted clusters to search for, resources as AWS lists them, and proven leftovers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import wraps
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from botocore.exceptions import ClientError

from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.session import AwsSession, error_code

P = ParamSpec("P")
T = TypeVar("T")

GONE_WORDS = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")
"""AWS has a code for nearly every kind; every code that means "does not exist" contains one of these words."""


class Api:
    """Calls AWS by service and operation name. Answers are JSON-like values; botocore's errors pass through."""

    def __init__(self, session: AwsSession, region: str | None = None) -> None:
        self._session = session
        self._region = region

    def at(self, region: str | None) -> Api:
        """An ``Api`` for another region; ``None``: the session's own."""
        return Api(self._session, region)

    def call(self, service: str, operation: str, **arguments: object) -> dict[str, Any]:
        """Make one call, named in snake_case: ``call("ec2", "delete_vpc", VpcId=…)``."""
        answer: dict[str, Any] = getattr(self.client(service), operation)(**arguments)
        return answer

    def client(self, service: str) -> Any:  # noqa: ANN401 - a dozen services' clients, called by name
        """The session's client of a service."""
        return self._session.client(service, self._region)

    def pages(self, service: str, operation: str, key: str, **arguments: object) -> Iterator[Any]:
        """Every element of the list ``key``, over all pages; one call if the operation has no pages."""
        client = self.client(service)
        if not client.can_paginate(operation):
            yield from self.call(service, operation, **arguments).get(key) or ()
            return
        for page in client.get_paginator(operation).paginate(**arguments):
            yield from page.get(key) or ()


def is_gone(error: ClientError) -> bool:
    """Return whether the error means that the resource does not exist."""
    code = error_code(error)
    return code == "404" or any(word in code for word in GONE_WORDS)


def none_if_gone(look: Callable[P, T | None]) -> Callable[P, T | None]:
    """Make ``look`` return ``None`` if AWS answers that the resource does not exist."""

    @wraps(look)
    def looked(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return look(*args, **kwargs)
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    return looked


def tags_of(pairs: object) -> dict[str, str]:
    """A list of ``Key``/``Value`` (or lower-case) pairs, or a plain mapping, as a dict."""
    if isinstance(pairs, dict):
        return {str(key): str(value) for key, value in pairs.items()}
    found: dict[str, str] = {}
    for pair in pairs if isinstance(pairs, list) else []:
        found[str(pair.get("Key", pair.get("key")))] = str(pair.get("Value", pair.get("value")) or "")
    return found


Key = tuple[str, str]
"""``(kind, id)`` of a resource: unique in an account and region."""


@dataclass(frozen=True, slots=True)
class DeletedCluster:
    """A deleted cluster: its name, its ids and buckets at the control plane, and its first creation time."""

    name: str
    ids: tuple[str, ...] = ()
    bucket_names: tuple[str, ...] = ()
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What to search for. ``tags``: pairs that the user declares a proof; ``keys``: tags whose value is the cluster.

    ``spared`` ARNs are never leftovers.
    """

    place: AccountRegion
    clusters: tuple[DeletedCluster, ...]
    tags: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()
    spared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as AWS lists it, without a verdict about its owner.

    ``parents`` are the resources that contain it. ``busy``: it is being deleted. ``held``: why it cannot be deleted at
    present, or empty. ``size_bytes`` is ``None`` if unknown.
    """

    kind: str
    id: str
    arn: str
    name: str
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    parents: tuple[Key, ...] = ()
    created_at: datetime | None = None
    size_bytes: int | None = None
    costs_money: bool = False
    holds_data: bool = False
    busy: bool = False
    held: str = ""

    @property
    def key(self) -> Key:
        """Identifies the resource in its account and region."""
        return self.kind, self.id


@dataclass(frozen=True, slots=True)
class Leftover:
    """A resource that provably belongs to a deleted cluster.

    ``evidence`` is the proof. ``order`` is its position in the deletion order (equal within a kind). ``kept`` says why
    ``--delete`` does not (or did not) delete it, or is empty. ``monthly_estimate`` is in USD, ``None`` if unknown.
    """

    kind: str
    id: str
    arn: str
    name: str
    cluster: str
    evidence: str
    created_at: datetime | None
    age: timedelta | None
    size_bytes: int | None
    costs_money: bool
    holds_data: bool
    order: int
    monthly_estimate: float | None = None
    kept: str = ""

    @property
    def key(self) -> Key:
        """Identifies the resource in its account and region."""
        return self.kind, self.id


@dataclass(frozen=True, slots=True)
class Unknown:
    """A kind that could not be read, so that its leftovers are unknown."""

    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """All leftovers in deletion order, the kinds that could not be read, and notes for the user."""

    leftovers: tuple[Leftover, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def clear(self) -> bool:
        """Whether there are provably no leftovers."""
        return not self.leftovers and not self.unknown


@dataclass(frozen=True, slots=True)
class ScanScope:
    """The limits of a scan: tag keys to search for, proven parents, and candidates by name and by tagged ARN.

    ``tagged`` is the tagging service's answer, ARN → tags.
    """

    place: AccountRegion
    tag_keys: tuple[str, ...]
    names: frozenset[Key] = frozenset()
    parents: frozenset[Key] = frozenset()
    tagged: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, kind: str) -> tuple[str, ...]:
        """The ids of the proven parents of a kind, sorted."""
        return tuple(sorted(ident for name, ident in self.parents if name == kind))


class NotYetError(Exception):
    """A deletion is not possible yet; ``progress``: whether a part of it was done."""

    def __init__(self, reason: str, *, progress: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.progress = progress


Ours = Callable[[Key], bool]
"""Whether a resource belongs to the deleted clusters or no longer exists, so that a reference to it may be removed."""


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """How to find, look up and delete one kind of resource. All functions may raise botocore's errors.

    ``scan`` yields candidates, whether they are ours or not. ``look`` returns the current resource by id, ``None`` if
    it no longer exists. ``delete`` requests its deletion once; ``None`` if gridbyoc does not delete the kind.
    ``needs_tagging``: the kind is found through the tagging service.
    """

    name: str
    scan: Callable[[Api, ScanScope], Iterable[Resource]]
    look: Callable[[Api, AccountRegion, str], Resource | None]
    delete: Callable[[Api, Resource, Ours], None] | None
    needs_tagging: bool = False
