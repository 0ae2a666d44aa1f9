"""Everything that a reviewer of a plan is shown; nothing in it is secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gridbyoc.control_plane.model import Cluster
from gridbyoc.stack.model import ClusterSpec, PerformanceProfile, Stack
from gridbyoc.stack.role_defaults import trusted_account_of
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.cost import standing_cost
from gridbyoc.steps.plan import Plan
from gridbyoc.steps.prepare import Site
from gridbyoc.steps.protection import protection
from gridbyoc.steps.review.details import ResourceDetail, resource_details
from gridbyoc.steps.review.outside import changed_outside
from gridbyoc.steps.review.permissions import Trusted, permission_changes, trusted_ids
from gridbyoc.steps.review.words import Name, Sentence
from gridbyoc.steps.run import Run
from gridbyoc.terraform.redaction import Redactor

SHORTEST = 4
"""A shorter text is no secret that could be told from a word."""


@dataclass(frozen=True, slots=True)
class Review:
    """A plan with its details; ``before`` and ``after`` are the standing costs of the stack's clusters.

    ``outside``: the addresses of what was changed outside of Terraform, and would be changed back. ``protected``: where
    the stack file protects the stack, if the plan would destroy something; it is refused then.
    """

    stack: str
    plan: Plan
    resources: tuple[ResourceDetail, ...]
    permissions: tuple[Sentence, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    protected: str = ""


def review_of(run: Run, site: Site, plan: Plan, warnings: Sequence[str] = ()) -> Review:
    """The review of a plan that was just made; its saved plan is read once more where anything would change."""
    shown = site.runner.show(plan.saved) if plan.saved and plan.has_changes else {}
    protected = protection(run) if plan.destroys else ""
    return replace(review(run.stack, plan, shown, warnings), protected=protected)


def review(stack: Stack, plan: Plan, shown: Mapping[str, Any], warnings: Sequence[str] = ()) -> Review:
    """The review of ``plan``; ``shown`` is ``terraform show -json`` of it, which holds secrets."""
    redactor = Redactor(_secrets(stack, plan, shown))
    dialect = stack.control_plane.type
    there = (change.cluster for change in plan.clusters if change.cluster is not None)
    wanted = (change.spec for change in plan.clusters if change.spec is not None)
    return Review(
        stack=stack.name,
        plan=plan,
        resources=resource_details(shown, redactor),
        permissions=tuple(_clean(sentence, redactor) for sentence in permission_changes(shown, _trusted(stack))),
        before=tuple(standing_cost(_spec(cluster), dialect) for cluster in there),
        after=tuple(standing_cost(spec, dialect) for spec in wanted),
        warnings=tuple(redactor.clean(text) for text in warnings),
        outside=tuple(map(redactor.clean, changed_outside(shown))),
    )


def _trusted(stack: Stack) -> tuple[Trusted, ...]:
    """Whom the gridbyoc module lets in, by its own rules; another module has its own."""
    role = stack.role
    if stack.terraform.module is not None:
        return ()
    with_id = (trusted_account_of(role), *role.trusted_principals)
    without = role.trusted_principals_without_external_id
    return (*(Trusted(who, True) for who in with_id), *(Trusted(who, False) for who in without))


def _spec(cluster: Cluster) -> ClusterSpec:
    profile = cluster.performance_profile
    known: PerformanceProfile | None = "cost-saving" if profile == "cost-saving" else None
    return ClusterSpec(cluster.name, cluster.instance_types, known)


def _secrets(stack: Stack, plan: Plan, shown: Mapping[str, Any]) -> list[Secret]:
    found = {text for text in _sensitive_outputs(shown) if len(text) >= SHORTEST}
    found |= {text for text in trusted_ids(shown) if len(text) >= SHORTEST}
    known = (stack.role.external_id, plan.grant.external_id if plan.grant else None, *plan.kept_ids)
    return [*map(Secret, sorted(found)), *(each for each in known if each is not None)]


def _sensitive_outputs(shown: Mapping[str, Any]) -> list[str]:
    outputs = shown.get("output_changes")
    texts = []
    for name, change in outputs.items() if isinstance(outputs, dict) else ():
        for side in ("before", "after"):
            value = change.get(side)
            if isinstance(value, str) and (name == "external_id" or change.get(f"{side}_sensitive")):
                texts.append(value)
    return texts


def _clean(sentence: Sentence, redactor: Redactor) -> Sentence:
    return tuple(part if isinstance(part, str) else Name(redactor.clean(part.text)) for part in sentence)
