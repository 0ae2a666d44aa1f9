"""Facts of each control plane: one YAML file each, with the source and the date of every fact.

Only these files hold the defaults of the stack file, module inputs, the needs that ``verify`` tests, the tags that
prove ownership, costs and wait limits.

``shared_external_ids.yaml`` is about other vendors as well: external ids that do not tell a vendor's customers apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

VendorType = Literal["grid", "lightning"]
VENDORS: Final[tuple[VendorType, ...]] = ("grid", "lightning")
DEFAULT_VENDOR: Final[VendorType] = "grid"
"""The vendor of a stack file that names none. The Terraform module's defaults are this vendor's as well."""


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a fact; ``date`` is the day, month or year of the source, not when it was read."""

    text: str
    date: str

    def __str__(self) -> str:
        return f"{self.text}, {self.date}"


@dataclass(frozen=True, slots=True)
class Address:
    """The service's base URL, and the environment variable that overrides it in the service's client."""

    url: str
    variable: str
    source: Source


@dataclass(frozen=True, slots=True)
class ClientVariables:
    """The environment variables that the service's own client reads; ``None`` if it has no such variable.

    A ``token`` wins over the API key. A client with a ``token`` variable also accepts a key without a user id.
    ``credentials_file`` is the path of another credentials file, ``cluster`` the default cluster.
    """

    user_id: str
    api_key: str
    username: str | None = None
    token: str | None = None
    credentials_file: str | None = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A JSON file of the service's own client in the home directory, and its keys; ``None`` if it has no such key."""

    file: str
    user_id: str | None = None
    api_key: str | None = None
    username: str | None = None
    token: str | None = None
    address: str | None = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """The configuration of the service's own client. ``settings`` is the file with address and default cluster.

    ``settings`` ``None``: the address is in the credentials file, and there is no default cluster.
    """

    variables: ClientVariables
    credentials: ClientFile
    settings: ClientFile | None
    source: Source


Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ClusterApi:
    """The cluster API: its form of ``spec``, and the parameters of its requests.

    ``update_by``: what an update sends as the cluster's name. ``instance_types`` and ``cloud_account`` are appended to
    a cluster's path; ``None`` if the API does not return them. ``organizations``: requests may name an organization.
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
    """The AWS account that assumes the role. ``check`` says where to verify it if the source may be out of date."""

    account_id: str
    check: str | None
    source: Source


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the vendor's guide grants the role: names of AWS managed policies, and each statement's actions on ``*``."""

    managed_policies: tuple[str, ...]
    statements: tuple[tuple[str, ...], ...]
    source: Source


@dataclass(frozen=True, slots=True)
class ActionNeeded:
    """An action that the control plane needs. ``policy`` allows it; ``None``: the role's own policy does.

    ``resource`` is an example ARN without ``arn:PARTITION:``, with placeholders ``{region}`` and ``{account}``; ``*``
    is for actions without resources. ``context`` holds the request's condition keys.
    """

    action: str
    policy: str | None = None
    resource: str = "*"
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OwnershipTag:
    """A tag whose value is the name of the cluster for which the control plane created the resource."""

    key: str
    source: Source


@dataclass(frozen=True, slots=True)
class ClusterDuration:
    """How long creating a cluster takes: the guide's words, the wait limit, and how long FAILED may last (seconds)."""

    usual: str
    wait_limit_minutes: int
    failed_grace_seconds: float
    source: Source


@dataclass(frozen=True, slots=True)
class VendorFacts:
    """The facts of one control plane.

    ``dollars_a_day``: standing cost by performance profile; empty if it has no profiles. ``default_instance_types``
    apply if the stack file names none; empty if the control plane chooses. ``zone``: the letter of the zone in which
    it runs workloads, if a source names it.
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


@dataclass(frozen=True, slots=True)
class SharedExternalId:
    """An external id that does not tell a vendor's customers apart, and why. ``form`` is for the whole text.

    ``own``: the source says that a customer may choose another id.
    """

    form: re.Pattern[str]
    why: str
    own: bool
    source: Source


@cache
def shared_external_ids() -> tuple[SharedExternalId, ...]:
    """Those of ``shared_external_ids.yaml`` (read once)."""
    data = next(_documents("shared_external_ids"))
    shared = (
        SharedExternalId(
            re.compile(re.escape(each["id"])),
            f"{each['vendor']} gives it to all its customers",
            each["own"],
            _source(each),
        )
        for each in data["shared"]
    )
    names = (
        SharedExternalId(re.compile(each["form"]), f"it has the form of {each['what']}", each["own"], _source(each))
        for each in data["known_names"]
    )
    return (*shared, *names)


def shared_external_id(text: str) -> SharedExternalId | None:
    """What is known of ``text`` as an external id that several customers of a vendor have, or can know."""
    return next((each for each in shared_external_ids() if each.form.fullmatch(text)), None)


def wait_limit(vendor: VendorType) -> float:
    """The default limit of waiting for a cluster, in seconds."""
    return facts_of(vendor).duration.wait_limit_minutes * 60.0


@cache
def needs_of(vendor: VendorType) -> tuple[ActionNeeded, ...]:
    """The actions that the control plane needs, one or two per policy, from the second document of the file."""
    _facts, needs = _documents(vendor)
    return tuple(_need(each) for each in needs)


def _documents(name: str) -> Iterator[Any]:
    """Yield one document at a time: every run needs the facts, only ``verify`` the needs, and parsing YAML is slow."""
    from importlib.resources import files  # both imported late: a wrong command line needs no facts

    from ruamel.yaml import YAML

    text = (files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
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
