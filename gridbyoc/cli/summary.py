"""A valid stack in a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gridbyoc.stack.model import ClusterSpec, Stack


def summary(stack: Stack, name: str, cwd: Path) -> Iterator[str]:
    """What ``validate`` says of a valid file."""
    guard = f", account {stack.aws.account_id} only" if stack.aws.account_id else ""
    profile = f", profile {stack.aws.profile}" if stack.aws.profile else ""
    yield f"{'Standard input' if name == '-' else name} is valid."
    yield f"  stack          {stack.name}"
    yield f"  region         {stack.aws.region}{profile}{guard}"
    yield f"  role           {_role(stack)}"
    if stack.protect:
        yield "  protected      nothing of it is destroyed or replaced"
    for cluster in stack.clusters:
        yield f"  cluster        {_cluster(cluster)}"
    yield f"  control plane  {', '.join(filter(None, (stack.control_plane.type, stack.control_plane.url)))}"
    yield f"  state          {_state(stack, cwd)}"


def _role(stack: Stack) -> str:
    if stack.terraform.module:
        return f"made by the module {stack.terraform.module.source}"
    return stack.role.name or f"a generated name{f' after {stack.role.name_prefix}' if stack.role.name_prefix else ''}"


def _cluster(cluster: ClusterSpec) -> str:
    types = [
        item.name + (f" ({item.overprovisioned_ondemand_count} kept ready)" * bool(item.overprovisioned_ondemand_count))
        for item in cluster.instance_types
    ]
    profile = f" ({cluster.performance_profile})" if cluster.performance_profile else ""
    return f"{cluster.name}{profile}: {', '.join(types) or 'the instance types of the control plane'}"


def _state(stack: Stack, cwd: Path) -> str:
    from gridbyoc.stack.model import S3Backend

    backend = stack.terraform.backend
    if isinstance(backend, S3Backend):
        return f"s3://{backend.bucket}/{backend.key} ({backend.region})"
    work_dir = stack.work_dir() if stack.file else stack.work_dir(cwd)
    return f"local, in {work_dir.relative_to(cwd) if work_dir.is_relative_to(cwd) else work_dir}"
