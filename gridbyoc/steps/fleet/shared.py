"""What no two stacks of a fleet may share: each would take the other's for its own, and undo or destroy it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, StackError, UsageError
from gridbyoc.stack.load import load
from gridbyoc.stack.model import S3Backend
from gridbyoc.stack.overrides import OverrideError, parse_override
from gridbyoc.steps.fleet.model import Member


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


def refuse_one_state(
    members: Sequence[Member], overrides: Sequence[str], environ: Mapping[str, str], home: Path
) -> None:
    """Raise ``UsageError`` where two stacks keep their state in one object, as a base that gives the key makes them.

    Reads every file in full; one that is not valid is left to its own run.
    """
    seen: dict[tuple[str, str], Member] = {}
    for member in members if len(members) > 1 else ():
        try:
            backend = load(member.file, overrides=overrides, environ=environ, home=home).terraform.backend
        except StackError:
            continue
        if not isinstance(backend, S3Backend):
            continue
        other = seen.setdefault((backend.bucket, backend.key), member)
        if other is not member:
            raise UsageError(
                f"{other.shown} and {member.shown} have one state: s3://{backend.bucket}/{backend.key}.",
                why="Each would take the other's role and clusters for its own.",
                fix="Give each stack file a terraform.backend.s3.key of its own.",
                rerun=SAFE_NOTHING_DONE,
            )
