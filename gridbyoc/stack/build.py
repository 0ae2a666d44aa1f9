"""Valid data → the frozen dataclasses."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

from gridbyoc.stack.model import (
    Aws,
    ClusterSpec,
    ControlPlane,
    InstanceType,
    LocalBackend,
    ModuleSource,
    PolicyStatement,
    Role,
    S3Backend,
    Stack,
    TerraformSettings,
)
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.rules.terraform import is_path
from gridbyoc.stack.secret import Secret

Data = dict[str, Any]
_LISTS = {
    "trusted_principals",
    "trusted_principals_without_external_id",
    "managed_policies",
    "known_policies",
    "known_inline_policies",
}
"""The keys of ``role`` that are lists of text."""


def build_stack(
    data: Data, context: Context, external_id: Secret | None, file: Path | None, work_root: Path | None = None
) -> Stack:
    """The stack of a file that has no problems; ``data`` is complete (``with_defaults``)."""
    return Stack(
        name=data["name"],
        aws=Aws(**data["aws"]),
        role=_role(data.get("role", {}), external_id, data.get("control_plane", {})),
        clusters=tuple(_cluster(item) for item in data["clusters"]),
        control_plane=_control_plane(data.get("control_plane", {}), context),
        terraform=_terraform(data["terraform"], context),
        file=file,
        protect=data.get("protect", False),
        work_root=work_root,
    )


def _role(data: Data, external_id: Secret | None, control_plane: Data) -> Role:
    fields = {key: value for key, value in data.items() if key != "external_id_from"}
    for key in _LISTS & fields.keys():
        fields[key] = tuple(fields[key])
    if "statements" in fields:
        fields["statements"] = tuple(_statement(item) for item in fields["statements"])
    if "max_session_hours" in fields:
        fields["max_session_hours"] = int(fields["max_session_hours"])
    if "tags" in fields:
        fields["tags"] = MappingProxyType(dict(fields["tags"]))
    variable = data.get("external_id_from", {}).get("env")
    vendor = control_plane.get("type", "grid")
    return Role(external_id=external_id, external_id_variable=variable, vendor=vendor, **fields)


def _statement(data: Data) -> PolicyStatement:
    fields: Data = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    return PolicyStatement(**fields)


def _cluster(data: Data) -> ClusterSpec:
    types = tuple(_instance_type(item) for item in data.get("instance_types", ()))
    return ClusterSpec(**{**data, "instance_types": types})


def _instance_type(item: str | Data) -> InstanceType:
    if isinstance(item, str):
        return InstanceType(item)
    # JSON Schema takes 3.0 for a whole number, too
    fields: Data = {key: value if key == "name" else int(value) for key, value in item.items()}
    return InstanceType(**fields)


def _control_plane(data: Data, context: Context) -> ControlPlane:
    fields = dict(data)
    if "url" in fields:
        fields["url"] = fields["url"].rstrip("/")
    if "ca_bundle" in fields:
        fields["ca_bundle"] = context.path(fields["ca_bundle"])
    return ControlPlane(**fields)


def _terraform(data: Data, context: Context) -> TerraformSettings:
    fields = dict(data)
    s3 = fields.pop("backend", {}).get("s3")
    if "provider_mirror" in fields:
        fields["provider_mirror"] = context.path(fields["provider_mirror"])
    if "module" in fields:
        fields["module"] = _module(fields["module"], context)
    return TerraformSettings(backend=S3Backend(**s3) if s3 else LocalBackend(), **fields)


def _module(data: Data, context: Context) -> ModuleSource:
    source = data["source"]
    if is_path(source):
        # what stands before `//` is the package, what stands after it the module in it
        base, _, inner = source.partition("//")
        source = f"{context.path(base)}//{inner}" if inner else str(context.path(source))
    return ModuleSource(source, data.get("version"), MappingProxyType(dict(data.get("inputs", {}))))
