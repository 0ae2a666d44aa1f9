"""A stack's status, as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, TypedDict

from gridbyoc.operations.release_marker import Marker
from gridbyoc.operations.role_policies import RolePolicies
from gridbyoc.operations.status import LastRun, Status
from gridbyoc.show.clusters import ClusterFields, cluster_json
from gridbyoc.show.output import Output, Screen
from gridbyoc.show.role_policies import PoliciesBody, policies_json
from gridbyoc.stack.words import instant


def status_lines(found: Status, now: datetime) -> list[str]:
    """A line for each fact, the next step last; ``now`` is needed for the age of the last run."""
    last = found.last_run
    lines = ["last run  none"]
    if last:
        ended = "done" if last.code is None else last.code
        lines = [f"last run  {last.verb} at {instant(last.began, now)}: {ended} (last step: {last.last_step})"]
        lines += [f"          started, may not be complete: {effect}" for effect in last.open_effects]
    lines += [f"lock      {found.holder}"] if found.holder else []
    lines += [f"released  since {found.released.since}: no run changes the stack"] if found.released else []
    lines += [f"role      {name}: {arn}" for name, arn in found.roles.items()] or [
        f"role      {found.role_arn or 'none'}"
    ]
    lines += [f"trust     {found.trust}"]
    lines += _policies(found.policies) if found.policies else []
    lines += [f"cluster   {c.name}: {c.status}" + (f" ({c.reason})" if c.reason else "") for c in found.clusters]
    none = f"cluster   unknown: {found.unasked}" if found.unasked else "cluster   none"
    lines += [] if found.clusters else [none]
    lines += [f"unknown   {side}: {reason}" for side, reason in found.unknown.items()]
    return [*lines, f"next      {found.next_step}"]


def _policies(found: RolePolicies) -> list[str]:
    lines = [f"policy    {subject} {detail}" for subject, detail in found.differences()]
    lines += [f"policy    {name} is accepted by the stack file" for name in found.accepted]
    return lines or ([] if found.unknown else ["policies  as the stack file lists them"])


class StatusBody(TypedDict):
    """A stack's status.

    ``holder``: who holds its lock. ``released``: when and with which role it was released. ``unknown``: the sides that
    could not be read, with the reason. ``next``: what to do.
    """

    last_run: Annotated[dict[str, Any], LastRun] | None
    role_arn: str | None
    roles: dict[str, str]
    trust: str
    holder: str | None
    released: Annotated[dict[str, Any], Marker] | None
    unknown: dict[str, str]
    policies: PoliciesBody | None
    clusters: list[ClusterFields]
    next: str


def status_json(found: Status) -> StatusBody:
    """The status's document."""
    return {
        "last_run": asdict(found.last_run) if found.last_run else None,
        "role_arn": found.role_arn,
        "roles": dict(found.roles),
        "trust": found.trust,
        "holder": found.holder,
        "released": asdict(found.released) if found.released else None,
        "unknown": dict(found.unknown) | ({"control plane": found.unasked} if found.unasked else {}),
        "policies": policies_json(found.policies),
        "clusters": [cluster_json(cluster) for cluster in found.clusters],
        "next": found.next_step,
    }


def status_output(now: datetime) -> Output[Status]:
    """A status; the text includes the age of the last run at ``now``."""

    def write(found: Status, screen: Screen) -> None:
        for line in status_lines(found, now):
            screen.line(line)

    return Output("status", status_json, write)


STATUS = status_output(datetime.min)
