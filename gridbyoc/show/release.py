"""The result of a release, as text and as JSON."""

from __future__ import annotations

from typing import TypedDict

from gridbyoc.operations.release import Left, Released
from gridbyoc.show.clusters import ClusterFields, cluster_json
from gridbyoc.show.output import Output, Screen


def left_lines(left: Left) -> list[str]:
    """Everything that stays, one line each."""
    lines = [f"role      {left.role_arn}", *(f"policy    {arn}" for arn in left.policies)]
    if left.clusters is None:
        lines.append(f"clusters  unknown: {left.unknown}")
    else:
        lines += [f"cluster   {each.name} ({each.status})" for each in left.clusters] or ["cluster   none"]
    return [*lines, f"state     {left.state} (the external id is in it)"]


def _by_hand_lines(left: Left) -> list[str]:
    account = left.role_arn.split(":")[4]
    shows = f"now: {left.pending}" if left.pending else "no changes now"
    return [
        f"by hand   {left.command('plan')}",
        f"          {left.flavour} {left.version}, with AWS credentials of account {account}; {shows}",
        f"          {left.command('output', '-raw', 'external_id')}",
        "          prints the external id",
    ]


class ByHandBody(TypedDict):
    """How to continue with Terraform by hand: commands ready to be typed.

    ``pending``: the changes that `plan` shows now; empty if there are none.
    """

    plan: str
    external_id: str
    flavour: str
    version: str
    pending: str


class LeftBody(TypedDict):
    """Everything that stays. ``clusters`` is ``null`` if the control plane could not be asked; ``unknown`` says why."""

    policies: list[str]
    clusters: list[ClusterFields] | None
    unknown: str
    state: str
    by_hand: ByHandBody


class ReleasedBody(TypedDict):
    """A released stack. ``left`` is ``null`` if it was already released. ``adopt``: the command that takes it back."""

    time: str
    role_arn: str
    adopt: str
    left: LeftBody | None


def released_json(done: Released) -> ReleasedBody:
    """The result of a release."""
    body = _left_json(done.left) if done.left else None
    return {"time": done.marker.time, "role_arn": done.marker.role_arn, "adopt": done.adopt, "left": body}


def _left_json(left: Left) -> LeftBody:
    return {
        "policies": list(left.policies),
        "clusters": None if left.clusters is None else [cluster_json(each) for each in left.clusters],
        "unknown": left.unknown,
        "state": left.state,
        "by_hand": {
            "plan": left.command("plan"),
            "external_id": left.command("output", "-raw", "external_id"),
            "flavour": left.flavour,
            "version": left.version,
            "pending": left.pending,
        },
    }


def _write_released(done: Released, screen: Screen) -> None:
    if done.left is None:
        screen.line(f"The stack has already been released, since {done.marker.since}.")
    else:
        screen.line("Released. Nothing was changed; this stays:")
        for line in (*left_lines(done.left), *_by_hand_lines(done.left)):
            screen.line(f"  {line}")
        screen.line(
            "Delete the stack file from its repository: gridbyoc in another clone does not know of this release"
        )
        screen.line("and would run the stack. Here it refuses.")
    screen.line(f"To take the stack back: `{done.adopt}`")


RELEASED = Output("released", released_json, _write_released)
