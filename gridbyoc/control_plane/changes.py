"""What an update would change, field by field and in words; shared by the dialects."""

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
    """Everything in which ``cluster`` is not as asked for. What the stack file does not say is left as it is."""
    profile = _profile_difference(cluster, spec) if has_profiles else ()
    return (*grant_differences(cluster, grant), *profile, *type_differences(cluster, spec))


def grant_differences(cluster: Cluster, grant: Grant | None) -> tuple[FieldChange, ...]:
    """Role, external id (never shown; unknown where the answer has none) and region."""
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
    """One change for each instance type added, removed or set otherwise; the order of the list means nothing."""
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
    """Whether ``old`` is as ``new`` asks; a root volume that the stack does not size may have any size."""
    sized = new.root_volume_size is None or new.root_volume_size == old.root_volume_size
    return sized and old.overprovisioned_ondemand_count == new.overprovisioned_ondemand_count


def type_words(item: InstanceType | None, kept: InstanceType | None = None) -> str:
    """An instance type's settings in words; ``kept`` lends the root volume where ``item`` leaves it open."""
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
    """What no update can do: move a cluster to another region, change one that is being deleted; ``refuse_change``."""
    refuse_change(cluster, dialect)
    if cluster.region is not None and cluster.region != grant.region:
        raise UnsupportedByDialectError(
            f"The region of cluster {cluster.name} cannot be changed from {cluster.region} to {grant.region}.",
            why="A cluster lives in one region for as long as it exists.",
            fix=f"Set aws.region back to {cluster.region}, or delete the cluster and create it anew.",
            rerun=SAFE_NOTHING_DONE,
        )


def refuse_change(cluster: Cluster, dialect: DialectName) -> None:
    """A cluster that no PUT of ours may change: being deleted, or with a spec in another form than the dialect's."""
    made_by = dialect_of(cluster.raw)
    if made_by != dialect:
        raise UnsupportedByDialectError(
            f"Cluster {cluster.name} was made through the other dialect of the control plane's API.",
            fix=f"Set control_plane.type to {made_by} to change it.",
            rerun=SAFE_NOTHING_DONE,
        )
    if cluster.status in {"terminating", "deleted"}:
        raise being_deleted(cluster)


def being_deleted(cluster: Cluster) -> ControlPlaneError:
    """The name is still taken by a cluster on its way out."""
    return ControlPlaneError(
        f"Cluster {cluster.name} ({cluster.id}) is being deleted.",
        why="Its name is free again once the deletion is complete.",
        fix="Wait until `gridbyoc clusters list` does not show it any more, then run this again.",
        rerun=SAFE_NOTHING_DONE,
    )


def set_field(target: MutableMapping[str, Any], name: str, value: object) -> None:
    """Set ``name`` in the spelling that ``target`` has it in; ``None`` takes it out."""
    key = present(target, name)
    if value is None:
        target.pop(key, None)
    else:
        target[key] = value


def sub_object(target: MutableMapping[str, Any], name: str) -> dict[str, Any]:
    """A copy of the object field ``name``, put in its place; made where it is missing."""
    found = target.get(present(target, name))
    copy = dict(found) if isinstance(found, Mapping) else {}
    set_field(target, name, copy)
    return copy
