"""Bootstrap some clusters of a stack only (``--cluster``): which ones, and the guard of all others.

A partial run compares, creates, changes and awaits the named clusters. It compares and deletes no other cluster. The
role belongs to every cluster that runs through it: a partial run creates it, and changes it only while no cluster but
the named ones uses it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gridbyoc.errors import SAFE_NOTHING_DONE, SharedRoleError
from gridbyoc.operations.register import spec_named
from gridbyoc.operations.run import Run
from gridbyoc.stack.model import Stack
from gridbyoc.stack.words import enumerated

if TYPE_CHECKING:
    from gridbyoc.operations.plan import Plan

PARTIAL = "partial"
"""The journal record of a partial run; ``clusters`` are the named ones, separated by spaces."""


def named_clusters(stack: Stack, names: Sequence[str]) -> tuple[str, ...]:
    """The named clusters, each once, in the stack file's order. Raises ``UsageError`` for a name that it lacks."""
    wanted = {spec_named(stack, name).name for name in names}
    return tuple(spec.name for spec in stack.clusters if spec.name in wanted)


def limited(run: Run, only: tuple[str, ...]) -> Run:
    """The run, limited to the clusters ``only`` and recorded as partial; unchanged if there is none."""
    if not only:
        return run
    run.journal.write(PARTIAL, clusters=" ".join(only))
    return replace(run, only=only)


def clusters_of_partial(records: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The clusters that a run was limited to, from its journal records; none of a run of the whole stack."""
    found = (str(record.get("clusters") or "") for record in records if record.get("type") == PARTIAL)
    return tuple(next(found, "").split())


def run_words(verb: str, only: Iterable[str]) -> str:
    """``bootstrap``, or ``bootstrap --cluster NAME`` for a partial run."""
    return " ".join((verb, *(f"--cluster {name}" for name in only)))


def refuse_touching_others(run: Run, plan: Plan, users: Collection[str]) -> None:
    """Raise ``SharedRoleError`` if a partial run would change the role while others of its ``users`` need it.

    Every change of Terraform counts: who may assume the role and what it may do concerns each cluster that uses it.
    """
    others = sorted(set(users) - set(run.only))
    changes = plan.terraform
    if not run.only or not others or changes is None or not changes.has_changes:
        return
    touched = [f"{each.address} ({each.action})" for each in changes.changes]
    touched += [f"the output {name}" for name in changes.outputs]
    raise SharedRoleError(
        f"This would change the role, which {enumerated(others)} {'uses' if len(others) == 1 else 'use'}, too.",
        why=f"Terraform would change {enumerated(touched) or 'values of the state'}. A run with --cluster changes the "
        "role only while no other cluster uses it.",
        fix="Look at `gridbyoc plan` without --cluster and apply it with `gridbyoc bootstrap`; or take the change of "
        "the role out of the stack file, and run this again.",
        rerun=SAFE_NOTHING_DONE,
    )
