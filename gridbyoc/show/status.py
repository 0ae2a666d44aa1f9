"""A stack's status, as text and as JSON."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, TypedDict

from gridbyoc.control_plane.model import Cluster
from gridbyoc.operations.handoff.record import HandedOver
from gridbyoc.operations.partial import run_words
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
        verb = run_words(last.verb, last.only)
        lines = [f"last run  {verb} at {instant(last.began, now)}: {ended} (last step: {last.last_step})"]
        lines += [f"          started, may not be complete: {effect}" for effect in last.open_effects]
    lines += [f"lock      {found.holder}"] if found.holder else []
    lines += [f"released  since {found.released.since}: no run changes the stack"] if found.released else []
    lines += [f"role      {name}: {arn}" for name, arn in found.roles.items()] or [
        f"role      {found.role_arn or 'none'}"
    ]
    lines += [f"trust     {found.trust}"]
    lines += _policies(found.policies) if found.policies else []
    lines += _handoff(found, now)
    lines += [_cluster(cluster, found.unlisted) for cluster in found.clusters]
    none = f"cluster   unknown: {found.unasked}" if found.unasked else "cluster   none"
    lines += [] if found.clusters else [none]
    lines += [f"unknown   {side}: {reason}" for side, reason in found.unknown.items()]
    return [*lines, f"next      {found.next_step}"]


def _cluster(cluster: Cluster, unlisted: Collection[str]) -> str:
    reason = f" ({cluster.reason})" if cluster.reason else ""
    return f"cluster   {cluster.name}: {cluster.status}{reason}{', not in the stack file' * (cluster.name in unlisted)}"


def _handoff(found: Status, now: datetime) -> list[str]:
    """When the role was handed over, until when that is valid, and whether it has changed since."""
    done, to = found.handoff, f" to {found.vendor}" * bool(found.vendor)
    if done is None:
        unknown = "state" in found.unknown
        not_yet = "unknown" if unknown else f"not yet handed over{to}, as far as this work_dir's journal tells"
        return [f"handoff   {not_yet}"] if found.vendor else []
    until = ""
    if done.expires is not None:
        until = f", {'expired at' if done.expired(now) else 'valid until'} {instant(done.expires)}"
    stands = {
        "unchanged": "",
        "changed": "; role or external id has changed since: hand it over again",
        "unknown": "; whether it still stands is unknown",
    }
    return [f"handoff   handed over{to} at {instant(done.time, now)}{until}{stands[done.standing]}"]


def _policies(found: RolePolicies) -> list[str]:
    lines = [f"policy    {subject} {detail}" for subject, detail in found.differences()]
    lines += [f"policy    {name} is accepted by the stack file" for name in found.accepted]
    return lines or ([] if found.unknown else ["policies  as the stack file lists them"])


class StatusBody(TypedDict):
    """A stack's status.

    ``holder``: who holds its lock. ``released``: when and with which role it was released. ``unknown``: the sides that
    could not be read, with the reason. ``unlisted``: clusters through the role that are not in the stack file.
    ``handoff``: the newest one that the journal knows. ``vendor``: the vendor without an API that gets the role.
    ``next``: what to do.
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
    unlisted: list[str]
    handoff: Annotated[dict[str, Any], HandedOver] | None
    vendor: str | None
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
        "unlisted": list(found.unlisted),
        "handoff": asdict(found.handoff) if found.handoff else None,
        "vendor": found.vendor or None,
        "next": found.next_step,
    }


def status_output(now: datetime) -> Output[Status]:
    """A status; the text includes the age of the last run at ``now``."""

    def write(found: Status, screen: Screen) -> None:
        for line in status_lines(found, now):
            screen.line(line)

    return Output("status", status_json, write)


STATUS = status_output(datetime.min)
