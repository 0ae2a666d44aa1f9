"""Everything that a reviewer of a plan is shown; nothing in it is secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gridbyoc.aws.live_role import LiveDocument, read_managed
from gridbyoc.aws.policy import Policy, PolicyDocumentError, parse_policy
from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.errors import GridbyocError
from gridbyoc.stack.model import ClusterSpec, PerformanceProfile, Stack
from gridbyoc.stack.role_defaults import trusted_account_of
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.cost import standing_cost
from gridbyoc.steps.plan import Plan
from gridbyoc.steps.prepare import Site
from gridbyoc.steps.protection import protection
from gridbyoc.steps.review.details import ResourceDetail, resource_details
from gridbyoc.steps.review.outside import changed_outside
from gridbyoc.steps.review.permissions import (
    NO_DOCUMENTS,
    Documents,
    Trusted,
    attached_arns,
    permission_changes,
    standing_trust,
)
from gridbyoc.steps.review.secrets import secrets_in
from gridbyoc.steps.review.words import Name, RoleSentence, Sentence
from gridbyoc.steps.run import Run
from gridbyoc.terraform.redaction import Redactor


@dataclass(frozen=True, slots=True)
class Review:
    """A plan with its details; ``before`` and ``after`` are the standing costs of the stack's clusters.

    ``permissions`` is what changes of the roles' rights; ``trust`` who may assume them before and after.
    ``outside``: the addresses of what was changed outside of Terraform, and would be changed back. ``protected``: where
    the stack file protects the stack, if the plan would destroy something; it is refused then.
    """

    stack: str
    plan: Plan
    resources: tuple[ResourceDetail, ...]
    permissions: tuple[RoleSentence, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    protected: str = ""
    trust: tuple[RoleSentence, ...] = ()


def review_of(run: Run, site: Site, plan: Plan, warnings: Sequence[str] = ()) -> Review:
    """The review of a plan that was just made; its saved plan is read once more where anything would change."""
    shown = site.runner.show(plan.saved) if plan.saved and plan.has_changes else {}
    found = review(run.stack, plan, shown, warnings, _documents(site, attached_arns(shown)))
    return replace(found, protected=protection(run) if plan.destroys else "")


def _documents(site: Site, arns: tuple[str, ...]) -> Documents:
    """What these managed policies say; a review does without those that cannot be read, and says so."""
    try:
        read = read_managed(site.preflight.session, arns)
    except GridbyocError as error:
        return dict.fromkeys(arns, error.what)
    return {each.name: _parsed(each) for each in read}


def _parsed(found: LiveDocument) -> Policy | str:
    if found.document is None:
        return found.unread
    try:
        return parse_policy(found.document, name=found.name, kind="identity")
    except PolicyDocumentError as error:
        return error.what


def review(
    stack: Stack,
    plan: Plan,
    shown: Mapping[str, Any],
    warnings: Sequence[str] = (),
    documents: Documents = NO_DOCUMENTS,
) -> Review:
    """The review of ``plan``; ``shown`` is ``terraform show -json`` of it, which holds secrets."""
    redactor = redactor_of(stack, plan.grant, plan.kept_ids, shown)
    dialect, trusted = stack.control_plane.type, _trusted(stack)
    there = (change.cluster for change in plan.clusters if change.cluster is not None)
    wanted = (change.spec for change in plan.clusters if change.spec is not None)
    return Review(
        stack=stack.name,
        plan=plan,
        resources=resource_details(shown, redactor),
        permissions=permission_sentences(stack, shown, redactor, documents),
        trust=tuple(_clean(each, redactor) for each in standing_trust(shown, trusted)),
        before=tuple(standing_cost(_spec(cluster), dialect) for cluster in there),
        after=tuple(standing_cost(spec, dialect) for spec in wanted),
        warnings=tuple(redactor.clean(text) for text in dict.fromkeys((*plan.warnings, *warnings))),
        outside=tuple(map(redactor.clean, changed_outside(shown))),
    )


def permission_sentences(
    stack: Stack, shown: Mapping[str, Any], redactor: Redactor, documents: Documents = NO_DOCUMENTS
) -> tuple[RoleSentence, ...]:
    """What changes of the roles' rights, without anything secret."""
    found = permission_changes(shown, _trusted(stack), documents)
    return tuple(_clean(sentence, redactor) for sentence in found)


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


def redactor_of(stack: Stack, grant: Grant | None, kept_ids: Sequence[Secret], shown: Mapping[str, Any]) -> Redactor:
    """Takes out of texts whatever of this stack is secret."""
    known = (stack.role.external_id, grant.external_id if grant else None, *kept_ids)
    return Redactor([*secrets_in(shown), *(each for each in known if each is not None)])


def _clean(sentence: RoleSentence, redactor: Redactor) -> RoleSentence:
    grant = sentence.grant
    if grant is not None:
        actions, resources = (tuple(map(redactor.clean, texts)) for texts in (grant.actions, grant.resources))
        grant = replace(grant, actions=actions, resources=resources)
    subject, says = (_without_secrets(part, redactor) for part in (sentence.subject, sentence.says))
    return replace(sentence, subject=subject, says=says, grant=grant)


def _without_secrets(sentence: Sentence, redactor: Redactor) -> Sentence:
    return tuple(part if isinstance(part, str) else Name(redactor.clean(part.text)) for part in sentence)
