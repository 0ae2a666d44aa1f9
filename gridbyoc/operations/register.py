"""Create one cluster through an existing role, without asking AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gridbyoc.control_plane.model import Created, Grant, Registrar
from gridbyoc.control_plane.settings import check_grant
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.operations.events import Emit, Note
from gridbyoc.stack.model import ClusterSpec, Stack
from gridbyoc.stack.words import did_you_mean, listed

EditRequest = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Takes the body of a create request, returns the body as the user edited it."""


def spec_named(stack: Stack, name: str) -> ClusterSpec:
    """The stack's cluster of that name. Raises ``UsageError``, with the most similar name."""
    found = next((spec for spec in stack.clusters if spec.name == name), None)
    if found is not None:
        return found
    names = [spec.name for spec in stack.clusters]
    near = did_you_mean(name, names)
    lists = listed(names) if names else "none"
    raise UsageError(
        f"The stack {stack.name} has no cluster named {name!r}.",
        why=f"{stack.file or 'The stack file'} lists {lists}.",
        fix=f"{near[0].upper()}{near[1:]}" if near else "Add it to the stack file.",
        rerun=SAFE_NOTHING_DONE,
    )


def register_cluster(
    registrar: Registrar, spec: ClusterSpec, grant: Grant, emit: Emit, *, edit: EditRequest | None = None
) -> Created:
    """Create the cluster, or adopt the one of that name if it uses the same role.

    Raises ``UsageError`` for a request that cannot be sent, ``UnsupportedByDialectError``, and what ``create_once``
    raises.
    """
    check_grant(grant.role_arn, grant.external_id, grant.region)
    registrar.check(spec)
    body = edit(registrar.request(spec, grant)) if edit else None
    created = registrar.create(spec, grant, body=body)
    for line in _lines(registrar, created, spec, grant, edited=body is not None):
        emit(Note(line))
    return created


def _lines(registrar: Registrar, created: Created, spec: ClusterSpec, grant: Grant, *, edited: bool) -> Iterator[str]:
    if not created.adopted:
        yield f"The cluster {created.cluster.name} ({created.cluster.id}) was created."
        return
    yield f"The cluster {created.cluster.name} existed already with this role: it is used as it is."
    for change in () if edited else registrar.diff(created.cluster, spec, grant):
        yield f"It differs from the request: {change.field}: {change.before} -> {change.after}."
