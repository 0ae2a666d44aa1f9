"""The stack file as frozen dataclasses; ``load`` returns them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from gridbyoc.errors import SAFE_NOTHING_DONE, UnsupportedByDialectError
from gridbyoc.stack.files import home_of
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import DEFAULT_VENDOR, VendorType

PerformanceProfile = Literal["default", "cost-saving"]
DialectName = VendorType
"""A control plane whose API this tool speaks."""
ControlPlaneType = VendorType | Literal["manual"]
"""``manual``: a vendor without an API. A person sends it the role; what runs through the role cannot be queried."""


def no_values() -> Mapping[str, Any]:
    """An empty, read-only mapping."""
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AssumeRole:
    """A role that the tool assumes with the caller's credentials.

    ``external_id_variable`` is the environment variable that holds the external id, if any. ``duration`` is that of one
    session, in hours and minutes (``1h30m``).
    """

    role_arn: str
    external_id: Secret | None = None
    external_id_variable: str | None = None
    session_name: str = "gridbyoc"
    duration: str = "1h"

    @property
    def account_id(self) -> str:
        """The account of the role."""
        return self.role_arn.split(":")[4]

    @property
    def seconds(self) -> int:
        """The duration in seconds."""
        return duration_seconds(self.duration)


def duration_seconds(text: str) -> int:
    """``1h30m`` in seconds; 0 if it is not a duration."""
    found = re.fullmatch(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?", text)
    return int(found[1] or 0) * 3600 + int(found[2] or 0) * 60 if found else 0


@dataclass(frozen=True, slots=True)
class Aws:
    """Where the role is created. ``account_id`` is a guard: the tool refuses to run in any other account.

    ``default_tags``: whether the resources that Terraform creates get the tool's own tags. ``assume_role``: the role in
    that account with which the tool and Terraform's provider work; ``None``: they use the caller's own credentials.
    """

    region: str
    profile: str | None = None
    account_id: str | None = None
    default_tags: bool = True
    assume_role: AssumeRole | None = None

    @property
    def role_arn(self) -> str | None:
        """The ARN of the role to assume; ``None`` if the caller's own credentials are used."""
        return self.assume_role.role_arn if self.assume_role else None


@dataclass(frozen=True, slots=True)
class PolicyStatement:
    """One statement of the role's own policy, in IAM's terms."""

    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    effect: Literal["Allow", "Deny"] = "Allow"
    sid: str | None = None


@dataclass(frozen=True, slots=True)
class OwnPolicy:
    """Name, path, description and tags of the role's own policy.

    ``None`` means the role's name, path or tags, or the module's description.
    """

    name: str | None = None
    path: str | None = None
    description: str | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """The IAM role. For ``None`` or an empty value the module's default applies.

    ``external_id`` overrides the generated one; ``external_id_variable`` is the environment variable that holds it, if
    any. ``known_policies`` (whole ARNs) and ``known_inline_policies`` (names) are accepted on the role and never
    managed. ``exclusive``: Terraform removes every other policy from the role.

    ``vendor`` is the stack's control plane. Its facts are the defaults for the trusted account, the managed policies
    and the statements (``gridbyoc.stack.defaults``). ``None``: a vendor without an API, which has no facts and so no
    such defaults.
    """

    name: str | None = None
    name_prefix: str | None = None
    path: str | None = None
    description: str | None = None
    permissions_boundary: str | None = None
    max_session_hours: int | None = None
    max_session_seconds: int | None = None
    force_detach_policies: bool = True
    trusted_account_id: str | None = None
    external_id: Secret | None = None
    external_id_variable: str | None = None
    rotation: str | None = None
    trusted_principals: tuple[str, ...] = ()
    trusted_principals_without_external_id: tuple[str, ...] = ()
    managed_policies: tuple[str, ...] | None = None
    known_policies: tuple[str, ...] = ()
    known_inline_policies: tuple[str, ...] = ()
    exclusive: bool = False
    statements: tuple[PolicyStatement, ...] | None = None
    policy: OwnPolicy = OwnPolicy()
    tags: Mapping[str, str] = field(default_factory=no_values)
    vendor: VendorType | None = DEFAULT_VENDOR


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An EC2 instance type of a cluster; ``root_volume_size`` in GiB, ``None`` means the control plane's default."""

    name: str
    overprovisioned_ondemand_count: int = 0
    root_volume_size: int | None = None


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """A cluster as the stack file declares it. ``performance_profile`` is ``None`` if the file does not set it."""

    name: str
    instance_types: tuple[InstanceType, ...] = ()
    performance_profile: PerformanceProfile | None = None


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The control plane's type and address. ``url`` ``None``: the environment's address, else the type's default.

    The API key is sent to ``url`` only if the user has configured that address, too. ``vendor``: the name of a vendor
    without an API (type ``manual``), one printable line.
    """

    type: ControlPlaneType = DEFAULT_VENDOR
    url: str | None = None
    ca_bundle: Path | None = None
    org_id: str | None = None
    vendor: str = ""

    @property
    def api(self) -> DialectName:
        """The API that requests speak. Raises ``UnsupportedByDialectError`` for a vendor without one."""
        if self.type == "manual":
            raise self.without_api()
        return self.type

    def without_api(self) -> UnsupportedByDialectError:
        """The error for an operation that needs the API of a vendor without one."""
        return UnsupportedByDialectError(
            f"This needs a control plane with an API: {self.no_api}.",
            why="The stack file says `control_plane.type: manual`.",
            fix=f"Ask {self.vendor}, which does this itself.",
            rerun=SAFE_NOTHING_DONE,
        )

    @property
    def no_api(self) -> str:
        """Why gridbyoc cannot query a vendor of type ``manual``, as a clause."""
        return f"{self.vendor} has no API to query"


@dataclass(frozen=True, slots=True)
class LocalBackend:
    """State in the work_dir."""


@dataclass(frozen=True, slots=True)
class S3Backend:
    """State in S3; the settings have Terraform's names.

    ``assume_role``: the role that reads and writes the state; ``None``: the caller's own credentials do.
    """

    bucket: str
    key: str
    region: str
    profile: str | None = None
    encrypt: bool = True
    kms_key_id: str | None = None
    dynamodb_table: str | None = None
    assume_role: AssumeRole | None = None


@dataclass(frozen=True, slots=True)
class ModuleOutputs:
    """The names of the outputs of a module that replaces the gridbyoc module.

    ``external_id`` ``None``: the module has no such output, and the stack supplies the id. ``roles``: the output of
    each role by the role's name if the module creates several; then ``role_arn`` is the first of them.
    """

    role_arn: str = "role_arn"
    external_id: str | None = "external_id"
    roles: Mapping[str, str] = field(default_factory=no_values)


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module that replaces the gridbyoc module: registry address and version, or a path; its inputs and outputs.

    ``external_id_input``: the input for an external id that the stack supplies.
    """

    source: str
    version: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=no_values)
    outputs: ModuleOutputs = ModuleOutputs()
    external_id_input: str | None = None

    @property
    def takes_external_id(self) -> bool:
        """Whether it uses an external id of the stack: as an input, or because the module has no such output."""
        return self.external_id_input is not None or self.outputs.external_id is None


@dataclass(frozen=True, slots=True)
class TerraformSettings:
    """How Terraform is run for this stack."""

    backend: LocalBackend | S3Backend = field(default_factory=LocalBackend)
    provider_mirror: Path | None = None
    aws_provider_version: str | None = None
    module: ModuleSource | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """A valid stack file. ``file`` is ``None`` for standard input; all paths are absolute.

    ``protect``: nothing of the stack may be destroyed or replaced. ``work_root`` is the root of all work_dirs;
    ``None``: they lie beside the stack file.
    """

    name: str
    aws: Aws
    role: Role
    clusters: tuple[ClusterSpec, ...]
    control_plane: ControlPlane
    terraform: TerraformSettings
    file: Path | None = None
    protect: bool = False
    work_root: Path | None = None

    def work_dir(self, base: Path | None = None) -> Path:
        """``.gridbyoc/<name>`` beside the stack file (or below ``base``, or the current directory for stdin).

        With ``work_root``, it lies below that directory, under its whole path.
        """
        beside = base or (self.file.parent if self.file else Path.cwd())
        return home_of(beside, self.work_root) / self.name

    @property
    def provider_profile(self) -> str | None:
        """The AWS profile that Terraform's provider names.

        For an assumed role it is a name of our own, whose credentials each run supplies.
        """
        return f"gridbyoc-assumed-{self.name}" if self.aws.assume_role else self.aws.profile

    def state_profile(self, backend: S3Backend) -> str | None:
        """The AWS profile that a backend names; for an assumed role as ``provider_profile``."""
        return f"gridbyoc-state-{self.name}" if backend.assume_role else backend.profile or self.aws.profile

    @property
    def state_is_apart(self) -> bool:
        """Whether the state in S3 is read with other credentials than the stack's resources."""
        backend = self.terraform.backend
        if not isinstance(backend, S3Backend):
            return False
        role_arn = backend.assume_role.role_arn if backend.assume_role else None
        return backend.profile not in (None, self.aws.profile) or role_arn != self.aws.role_arn

    @property
    def secret_variables(self) -> frozenset[str]:
        """The environment variables that hold external ids."""
        backend = self.terraform.backend
        state_role = backend.assume_role if isinstance(backend, S3Backend) else None
        roles = (self.role, self.aws.assume_role, state_role)
        return frozenset(role.external_id_variable for role in roles if role and role.external_id_variable)
