"""The stacks of a rendered pipeline: the facts that its jobs need of each, and the stacks that it must refuse."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.operations.fleet.find import States, one_state
from gridbyoc.operations.fleet.model import Member
from gridbyoc.render.pipelines import PipelineStack, check_path, check_stacks
from gridbyoc.stack.load import load
from gridbyoc.stack.model import S3Backend, Stack
from gridbyoc.vendors import facts_of

__all__ = ["ENVIRONMENTS", "PipelineStack", "pipeline_stacks"]

ENVIRONMENTS = "GRIDBYOC_ENVIRONMENTS"
"""A JSON object: stacks' names, each with its environment. It comes from the CI engine's own settings, so that a stack
file cannot choose the environment, and with it the role and the people who approve."""


def pipeline_stacks(
    members: Sequence[Member],
    cwd: Path,
    environ: Mapping[str, str],
    home: Path,
    *,
    environment: str = "",
    in_jobs: bool = True,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[PipelineStack, ...]:
    """Each member as its jobs see it. Jobs select settings by a stack's name, so every name must be unique.

    Raises ``StackError`` for an invalid stack file, ``UsageError`` for names that are too similar, for a path that a
    job's script would not read as one word, for stacks with the same state, and for a local state: each job starts on
    an empty machine, and would create another role. ``in_jobs`` ``False``: everything runs on one machine that keeps
    its files, so that a local state will do. ``environment`` is for stacks that the variable ``ENVIRONMENTS`` does not
    name. ``warn`` is called with each warning.
    """
    environments = _environments(environ)
    states = States()
    found = []
    for member in members:
        check_path(member.shown)
        stack = load(member.shown, environ=environ, cwd=cwd, home=home)
        if in_jobs:
            _check_for_jobs(member, stack, warn)
        if (other := states.other(member, stack)) is not None:
            raise one_state(other, member)
        found.append(replace(_described(member, stack), environment=environments.get(stack.name, environment)))
    check_stacks(found)
    return tuple(found)


def _environments(environ: Mapping[str, str]) -> dict[str, str]:
    text = environ.get(ENVIRONMENTS) or "{}"
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise UsageError(
            f"{ENVIRONMENTS} is no JSON object of names.",
            why="It maps stacks to environments.",
            fix='Set it to an object such as {"ml-prod": "production", "ml-dev": "development"}.',
            rerun=SAFE_NOTHING_DONE,
        )
    return found


def _check_for_jobs(member: Member, stack: Stack, warn: Callable[[str], None]) -> None:
    """Jobs start on a machine without the last job's files and without profiles."""
    if not isinstance(stack.terraform.backend, S3Backend):
        typed = shlex.quote(member.shown)
        raise UsageError(
            f"The state of the stack {stack.name} is local.",
            why="Each job would start without it, and create another role.",
            fix=f"Move it to S3: `gridbyoc state init {typed}`, then `gridbyoc state migrate {typed}`.",
            rerun=SAFE_NOTHING_DONE,
        )
    if stack.aws.profile:
        warn(f"warning: {member.shown} names the AWS profile {stack.aws.profile}, which the jobs do not have.")


def _described(member: Member, stack: Stack) -> PipelineStack:
    plane = stack.control_plane
    if plane.type == "manual":
        return PipelineStack(stack.name, member.shown, stack.aws.region, None, own_address=False)
    own_address = plane.url is not None and plane.url != facts_of(plane.type).address.url
    return PipelineStack(stack.name, member.shown, stack.aws.region, plane.type, own_address)
