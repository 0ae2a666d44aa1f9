"""Facts of each control plane: one YAML file each, with the source and the date of every fact.

Defaults of the stack file, module inputs, the needs that ``verify`` puts to the test, the tags that prove ownership,
costs and wait limits are read here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

VendorType = Literal["grid", "lightning"]
VENDORS: Final[tuple[VendorType, ...]] = ("grid", "lightning")
DEFAULT_VENDOR: Final[VendorType] = "grid"
"""Of a stack file that names none; the defaults of the Terraform module are this one's as well."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact comes from; ``date`` is the day, month or year of the source, not of the reading."""

    text: str
    date: str

    def __str__(self) -> str:
        return f"{self.text}, {self.date}"


@dataclass(frozen=True, slots=True)
class Address:
    """The service's own base URL, and the environment variable with which its client takes another one."""

    url: str
    variable: str
    source: Source


@dataclass(frozen=True, slots=True)
class ClientVariables:
    """The variables that the service's own client reads; ``None``: it has none for it.

    A ``token`` wins over the key; then a key needs no user id, either. ``credentials_file`` names another file of
    credentials, ``cluster`` the default cluster.
    """

    user_id: str
    api_key: str
    username: str | None = None
    token: str | None = None
    credentials_file: str | None = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A JSON file of the service's own client, below the home directory, and its keys; ``None``: it has none for it."""

    file: str
    user_id: str | None = None
    api_key: str | None = None
    username: str | None = None
    token: str | None = None
    address: str | None = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """What the service's own client goes by. ``settings``: where it keeps address and default cluster; ``None``: the
    address lies beside the credentials, and there is no default cluster.
    """

    variables: ClientVariables
    credentials: ClientFile
    settings: ClientFile | None
    source: Source


Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ClusterApi:
    """The cluster API: its form of ``spec``, and what its requests name.

    ``update_by``: what an update sends as the name. ``instance_types`` and ``cloud_account`` follow a cluster's path;
    ``None``: the API does not tell. ``organizations``: requests may name one.
    """

    spec: Literal["kubernetes", "direct"]
    update_by: Literal["id", "name"]
    organizations: bool
    list_query: Query
    login_query: Query
    instance_types: str
    cloud_account: str | None
    source: Source


@dataclass(frozen=True, slots=True)
class TrustedAccount:
    """The AWS account that assumes the role. ``check`` says where to look it up, if the source may be out of date."""

    account_id: str
    check: str | None
    source: Source


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the vendor's guide grants the role: names of AWS's policies; the actions of each statement, on ``*``."""

    managed_policies: tuple[str, ...]
    statements: tuple[tuple[str, ...], ...]
    source: Source


@dataclass(frozen=True, slots=True)
class ActionNeeded:
    """An action that the control plane needs. ``policy`` would allow it; ``None``: the role's own policy.

    ``resource`` is an example: what follows ``arn:PARTITION:``, with ``{region}`` and ``{account}`` to be put in; ``*``
    is for actions that know no resource. ``context`` is what the request carries besides.
    """

    action: str
    policy: str | None = None
    resource: str = "*"
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OwnershipTag:
    """A tag whose value is the name of the cluster that the control plane made the resource for."""

    key: str
    source: Source


@dataclass(frozen=True, slots=True)
class ClusterDuration:
    """How long a cluster takes: the guide's words; the limit of a wait; how long FAILED may last (seconds)."""

    usual: str
    wait_limit_minutes: int
    failed_grace_seconds: float
    source: Source


@dataclass(frozen=True, slots=True)
class VendorFacts:
    """What is known of one control plane. ``dollars_a_day``: standing cost by performance profile; empty: no profiles.

    ``default_instance_types``: what a cluster gets whose stack file names none; empty: the control plane chooses.
    ``zone``: the letter of the zone in which it places its work, where a source tells.
    """

    type: VendorType
    title: str
    address: Address
    client: Client
    api: ClusterApi
    trusted_account: TrustedAccount
    permissions: Permissions
    zone: str | None
    session_hours: int
    ownership_tags: tuple[OwnershipTag, ...]
    dollars_a_day: Mapping[str, int]
    duration: ClusterDuration
    default_instance_types: tuple[str, ...]

    @property
    def has_profiles(self) -> bool:
        """Whether a cluster has a performance profile."""
        return bool(self.dollars_a_day)


@cache
def facts_of(vendor: VendorType) -> VendorFacts:
    """The facts of ``vendor``, from the first document of its file in this package (read once)."""
    data = next(_documents(vendor))
    address, account, permissions, duration = (
        data[name] for name in ("address", "trusted_account", "permissions", "duration")
    )
    return VendorFacts(
        type=vendor,
        title=data["title"],
        address=Address(address["url"], address["variable"], _source(address)),
        client=_client(data["client"]),
        api=_api(data["api"]),
        trusted_account=TrustedAccount(account["account_id"], account.get("check"), _source(account)),
        permissions=Permissions(
            tuple(permissions["managed_policies"]),
            tuple(tuple(statement["actions"]) for statement in permissions["statements"]),
            _source(permissions),
        ),
        zone=data.get("zone", {}).get("letter"),
        session_hours=data["session"]["hours"],
        ownership_tags=tuple(OwnershipTag(each["key"], _source(each)) for each in data["ownership_tags"]),
        dollars_a_day=data["cost"]["dollars_a_day"],
        duration=ClusterDuration(
            duration["usual"], duration["wait_limit_minutes"], duration["failed_grace_seconds"], _source(duration)
        ),
        default_instance_types=tuple(data["default_instance_types"]["names"]),
    )


def wait_limit(vendor: VendorType) -> float:
    """Seconds after which waiting for a cluster ends, where nobody chose another limit."""
    return facts_of(vendor).duration.wait_limit_minutes * 60.0


@cache
def needs_of(vendor: VendorType) -> tuple[ActionNeeded, ...]:
    """What the control plane needs the role for: an action or two of each policy. The second document of the file."""
    _facts, needs = _documents(vendor)
    return tuple(_need(each) for each in needs)


def _documents(vendor: VendorType) -> Iterator[Any]:
    """One document at a time: every run needs the facts, only ``verify`` the needs, and YAML takes its time."""
    from importlib.resources import files  # both here: a command line that is wrong needs no facts

    from ruamel.yaml import YAML

    text = (files(__name__) / f"{vendor}.yaml").read_text(encoding="utf-8")
    yield from YAML(typ="safe", pure=True).load_all(text)


def _client(data: Mapping[str, Any]) -> Client:
    settings = data.get("settings")
    return Client(
        ClientVariables(**data["variables"]),
        ClientFile(**data["credentials"]),
        ClientFile(**settings) if settings else None,
        _source(data),
    )


def _api(data: Mapping[str, Any]) -> ClusterApi:
    return ClusterApi(
        spec=data["spec"],
        update_by=data["update_by"],
        organizations=data["organizations"],
        list_query=tuple((name, value) for name, value in data["list_query"]),
        login_query=tuple((name, value) for name, value in data["login_query"]),
        instance_types=data["instance_types"],
        cloud_account=data.get("cloud_account"),
        source=_source(data),
    )


def _source(fact: Mapping[str, Any]) -> Source:
    return Source(fact["source"], str(fact["date"]))


def _need(each: Mapping[str, Any]) -> ActionNeeded:
    context = tuple((key, value) for key, value in each.get("context", {}).items())
    return ActionNeeded(each["action"], each.get("policy"), each.get("resource", "*"), context)
