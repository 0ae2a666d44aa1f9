"""The changes that an update would make, field by field and as text; shared by the dialects."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from gridbyoc.control_plane.model import Cluster, FieldChange, Grant
from gridbyoc.control_plane.parse import dialect_of, present
from gridbyoc.errors import SAFE_NOTHING_DONE, ControlPlaneError, UnsupportedByDialectError
from gridbyoc.stack.model import ClusterSpec, DialectName, InstanceType
from gridbyoc.stack.secret import MASK

ABSENT = "(absent)"


def differences(
    cluster: Cluster, spec: ClusterSpec, grant: Grant | None, *, has_profiles: bool = True
) -> tuple[FieldChange, ...]:
    """Every difference between ``cluster`` and ``spec`` and ``grant``. Fields that the stack file omits are ignored."""
    profile = _profile_difference(cluster, spec) if has_profiles else ()
    return (*grant_differences(cluster, grant), *profile, *type_differences(cluster, spec))


def grant_differences(cluster: Cluster, grant: Grant | None) -> tuple[FieldChange, ...]:
    """The differences in role, external id (never shown; ignored if the response has none) and region."""
    if grant is None:
        return ()
    found = []
    if cluster.role_arn != grant.role_arn:
        found.append(FieldChange("role_arn", cluster.role_arn or ABSENT, grant.role_arn))
    if cluster.external_id is not None and cluster.external_id != grant.external_id:
        found.append(FieldChange("external_id", MASK, MASK))
    if cluster.region is not None and cluster.region != grant.region:
        found.append(FieldChange("region", cluster.region, grant.region))
    return tuple(found)


def _profile_difference(cluster: Cluster, spec: ClusterSpec) -> tuple[FieldChange, ...]:
    asked = spec.performance_profile
    if asked is None or asked == cluster.performance_profile:
        return ()
    return (FieldChange("performance_profile", cluster.performance_profile or ABSENT, asked),)


def type_differences(cluster: Cluster, spec: ClusterSpec) -> tuple[FieldChange, ...]:
    """One change for each instance type that is added, removed or changed; the order of the list is ignored."""
    if not spec.instance_types:
        return ()
    before = {item.name: item for item in cluster.instance_types}
    after = {item.name: item for item in spec.instance_types}
    found = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old is None or new is None or not same_type(old, new):
            found.append(FieldChange(f"instance_types[{name}]", type_words(old), type_words(new, old)))
    return tuple(found)


def same_type(old: InstanceType, new: InstanceType) -> bool:
    """Whether ``old`` matches ``new``; if ``new`` sets no root volume size, any size matches."""
    sized = new.root_volume_size is None or new.root_volume_size == old.root_volume_size
    return sized and old.overprovisioned_ondemand_count == new.overprovisioned_ondemand_count


def type_words(item: InstanceType | None, kept: InstanceType | None = None) -> str:
    """An instance type's settings as text; if ``item`` sets no root volume size, ``kept`` supplies it."""
    if item is None:
        return ABSENT
    size = item.root_volume_size or (kept.root_volume_size if kept else None)
    words = ["offered"]
    if item.overprovisioned_ondemand_count:
        words.append(f"{item.overprovisioned_ondemand_count} on demand kept ready")
    if size:
        words.append(f"root volume {size} GiB")
    return ", ".join(words)


def refuse_impossible(cluster: Cluster, grant: Grant, dialect: DialectName) -> None:
    """Refuse updates that are impossible: a change of region, and those that ``refuse_change`` refuses."""
    refuse_change(cluster, dialect)
    if cluster.region is not None and cluster.region != grant.region:
        raise UnsupportedByDialectError(
            f"The region of cluster {cluster.name} cannot be changed from {cluster.region} to {grant.region}.",
            why="The region of a cluster cannot change.",
            fix=f"Set aws.region back to {cluster.region}, or delete the cluster and create it again.",
            rerun=SAFE_NOTHING_DONE,
        )


def refuse_change(cluster: Cluster, dialect: DialectName) -> None:
    """Refuse to change a cluster that is being deleted, or whose spec has another dialect's form."""
    made_by = dialect_of(cluster.raw)
    if made_by != dialect:
        raise UnsupportedByDialectError(
            f"Cluster {cluster.name} was created through the other dialect of the control plane's API.",
            fix=f"Set control_plane.type to {made_by} to change it.",
            rerun=SAFE_NOTHING_DONE,
        )
    if cluster.status in {"terminating", "deleted"}:
        raise being_deleted(cluster)


def being_deleted(cluster: Cluster) -> ControlPlaneError:
    """The error for a name that a cluster under deletion still has."""
    return ControlPlaneError(
        f"Cluster {cluster.name} ({cluster.id}) is being deleted.",
        why="Its name is free again after the deletion has completed.",
        fix="Wait until `gridbyoc clusters list` no longer shows it, then run this again.",
        rerun=SAFE_NOTHING_DONE,
    )


def set_field(target: MutableMapping[str, Any], name: str, value: object) -> None:
    """Set ``name`` in the spelling that ``target`` uses; ``None`` removes it."""
    key = present(target, name)
    if value is None:
        target.pop(key, None)
    else:
        target[key] = value


def sub_object(target: MutableMapping[str, Any], name: str) -> dict[str, Any]:
    """Replace the object field ``name`` with a copy, or an empty object if it is missing; return it."""
    found = target.get(present(target, name))
    copy = dict(found) if isinstance(found, Mapping) else {}
    set_field(target, name, copy)
    return copy
