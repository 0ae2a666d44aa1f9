"""What no two stacks of a fleet may share: each would take the other's for its own, and undo or destroy it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, StackError, UsageError
from gridbyoc.stack.load import load
from gridbyoc.stack.model import S3Backend, Stack
from gridbyoc.stack.overrides import OverrideError, parse_override
from gridbyoc.steps.fleet.model import Member

OWN_KEY = "give each stack file a terraform.backend.s3.key of its own"


def refuse_one_name(overrides: Sequence[str]) -> None:
    """Raise ``UsageError`` where ``--set`` names the stacks: all of them, alike."""
    for text in overrides:
        try:
            place = parse_override(text).place
        except OverrideError:
            continue  # each stack's own run says what is wrong
        if place == ("name",):
            raise UsageError(
                "A fleet's stacks cannot be named with --set.",
                why="All would have one name, and so one work_dir.",
                fix="Leave it out, or run the single verb for one stack file.",
                rerun=SAFE_NOTHING_DONE,
            )


@dataclass(slots=True)
class States:
    """Where the stacks that were looked at keep their state."""

    _seen: dict[tuple[str, str], Member] = field(default_factory=dict)

    def other(self, member: Member, stack: Stack) -> tuple[Member, str] | None:
        """The one looked at before that has the same state as ``member``, and where that lies."""
        backend = stack.terraform.backend
        if not isinstance(backend, S3Backend):
            return None
        other = self._seen.setdefault((backend.bucket, backend.key), member)
        return None if other is member else (other, f"s3://{backend.bucket}/{backend.key}")


def refuse_one_state(
    members: Sequence[Member], overrides: Sequence[str], environ: Mapping[str, str], home: Path
) -> None:
    """Raise ``UsageError`` where two stacks keep their state in one object, as a base that gives the key makes them.

    Reads every file in full; one that is not valid is left to its own run.
    """
    states = States()
    for member in members if len(members) > 1 else ():
        try:
            found = states.other(member, load(member.file, overrides=overrides, environ=environ, home=home))
        except StackError:
            continue
        if found is not None:
            raise UsageError(
                f"{found[0].shown} and {member.shown} have one state: {found[1]}.",
                why="Each would take the other's role and clusters for its own.",
                fix=f"{OWN_KEY.capitalize()}.",
                rerun=SAFE_NOTHING_DONE,
            )
