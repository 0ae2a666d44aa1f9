"""What the ledger is made of: past clusters to search for, raw resources, and what is proven to be left over."""

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
"""AWS has a code of its own for nearly every kind; all that say "it is not there" hold one of these."""


class Api:
    """Calls by service and operation. Answers are plain JSON-like values; botocore's errors pass through."""

    def __init__(self, session: AwsSession, region: str | None = None) -> None:
        self._session = session
        self._region = region

    def at(self, region: str | None) -> Api:
        """The same in another region; ``None``: the session's own."""
        return Api(self._session, region)

    def call(self, service: str, operation: str, **arguments: object) -> dict[str, Any]:
        """One call, in snake_case: ``call("ec2", "delete_vpc", VpcId=…)``."""
        answer: dict[str, Any] = getattr(self.client(service), operation)(**arguments)
        return answer

    def client(self, service: str) -> Any:  # noqa: ANN401 - a dozen services' clients, called by name
        """The session's client of a service."""
        return self._session.client(service, self._region)

    def pages(self, service: str, operation: str, key: str, **arguments: object) -> Iterator[Any]:
        """Every element of the list ``key``, over all pages; one call where the operation has no pages."""
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
    """``look``, that returns ``None`` where AWS answers that the resource does not exist."""

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
"""A resource's kind and id."""


@dataclass(frozen=True, slots=True)
class DeletedCluster:
    """A cluster that is gone: its name, its ids at the control plane, its bucket there, when it was first created."""

    name: str
    ids: tuple[str, ...] = ()
    bucket_names: tuple[str, ...] = ()
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for. ``tags`` are pairs that prove by the user's word, ``keys`` tags whose value names the cluster.

    ``spared`` ARNs are never a leftover.
    """

    place: AccountRegion
    clusters: tuple[DeletedCluster, ...]
    tags: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()
    spared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as AWS has it, before anything is said about whose it is.

    ``parents`` are the resources it lies in. ``busy``: its deletion is under way. ``held``: why it cannot be deleted
    as long as that lasts, or empty. ``size_bytes`` is ``None`` where it is not known.
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
        """Kind and id."""
        return self.kind, self.id


@dataclass(frozen=True, slots=True)
class Leftover:
    """A resource that is provably a past cluster's.

    ``evidence`` says what proves it; ``order`` is its place in the order of deletion (equal within a kind); ``kept``
    says why ``--delete`` does not (or did not) delete it, or is empty. ``monthly_estimate`` is USD, ``None`` unknown.
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
        """Kind and id."""
        return self.kind, self.id


@dataclass(frozen=True, slots=True)
class Unknown:
    """A kind that could not be read: whether there is one left is not known."""

    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything that is left, in the order of deletion; what could not be read; what is worth a line."""

    leftovers: tuple[Leftover, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def clear(self) -> bool:
        """Whether it is proven that nothing is left."""
        return not self.leftovers and not self.unknown


@dataclass(frozen=True, slots=True)
class ScanScope:
    """What narrows a scan: tag keys to ask for, parents that are ours, names and tagged ARNs that are candidates.

    ``tagged`` is what the tagging service answered, ARN → tags.
    """

    place: AccountRegion
    tag_keys: tuple[str, ...]
    names: frozenset[Key] = frozenset()
    parents: frozenset[Key] = frozenset()
    tagged: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, kind: str) -> tuple[str, ...]:
        """The ids of our parents of that kind, sorted."""
        return tuple(sorted(ident for name, ident in self.parents if name == kind))


class NotYetError(Exception):
    """A deletion that cannot be carried out now; ``progress`` is whether something was done towards it."""

    def __init__(self, reason: str, *, progress: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.progress = progress


Ours = Callable[[Key], bool]
"""Whether a resource is the clusters' (or gone), so that a tie to it may be cut."""


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """How one kind of resource is found, looked up again, and deleted.

    ``scan`` yields candidates, ours or not. ``look`` gives one by id as it is now, ``None`` when it is gone. ``delete``
    asks for its deletion, once; ``None`` where this tool does not delete the kind. All may raise botocore's errors.
    ``needs_tagging``: found through the tagging service.
    """

    name: str
    scan: Callable[[Api, ScanScope], Iterable[Resource]]
    look: Callable[[Api, AccountRegion, str], Resource | None]
    delete: Callable[[Api, Resource, Ours], None] | None
    needs_tagging: bool = False
