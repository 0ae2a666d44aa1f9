"""Everything that a reviewer of a plan sees, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gridbyoc.aws.live_role import LiveDocument, read_managed
from gridbyoc.aws.policy import Policy, PolicyDocumentError, parse_policy
from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.changes import standing_cost
from gridbyoc.operations.plan import Plan
from gridbyoc.operations.prepare import PreparedStack
from gridbyoc.operations.protection import protection
from gridbyoc.operations.review.permissions import (
    NO_DOCUMENTS,
    Documents,
    Trusted,
    attached_arns,
    permission_changes,
    standing_trust,
)
from gridbyoc.operations.review.words import (
    SENSITIVE,
    Change,
    Name,
    RoleSentence,
    Sentence,
    actions_of,
    after_of,
    before_of,
    changed_outside,
    document_in,
    masked,
    names_external_id,
    resource_changes,
    secrets_in,
)
from gridbyoc.operations.run import Run
from gridbyoc.stack.defaults import trusted_account_of
from gridbyoc.stack.model import ClusterSpec, PerformanceProfile, Stack
from gridbyoc.stack.redaction import Redactor
from gridbyoc.stack.secret import Secret

UNKNOWN = "(known after apply)"
TRUST = "assume_role_policy"
"""An attribute that contains an external id; if it cannot be parsed, it is not shown."""


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """One attribute; ``None`` if absent. Texts may have several lines (a policy document)."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ResourceDetail:
    """The planned change of one resource: ``action`` is create, update, delete, replace, or forget."""

    address: str
    action: str
    reason: str = ""
    attributes: tuple[AttributeChange, ...] = ()


def resource_details(shown: Mapping[str, Any], redactor: Redactor) -> tuple[ResourceDetail, ...]:
    """Every resource that would change. ``redactor`` removes secrets that nobody marked as sensitive."""
    return tuple(_detail(change, redactor) for change in resource_changes(shown))


def output_details(shown: Mapping[str, Any], redactor: Redactor) -> dict[str, tuple[AttributeChange, ...]]:
    """The root module's outputs that would change, by name; each has one attribute, its ``value``."""
    found = shown.get("output_changes")
    changes = {name: each for name, each in found.items() if isinstance(each, dict)} if isinstance(found, dict) else {}
    return {name: tuple(_output(name, body, redactor)) for name, body in changes.items()}


def _output(name: str, body: Mapping[str, Any], redactor: Redactor) -> Iterator[AttributeChange]:
    before, after = body.get("before"), body.get("after")
    secret = names_external_id(name) or bool(body.get("before_sensitive")) or bool(body.get("after_sensitive"))
    old, new = (_shown("value", value, secret) for value in (before, after))
    new = UNKNOWN if body.get("after_unknown") and not secret else new
    if _plain(before) != _plain(after) or body.get("after_unknown"):
        yield AttributeChange("value", _clean_text(old, redactor), _clean_text(new, redactor))


def _detail(change: Change, redactor: Redactor) -> ResourceDetail:
    attributes = tuple(
        AttributeChange(redactor.clean(name), _clean_text(before, redactor), _clean_text(after, redactor))
        for name, before, after in _attributes(change)
    )
    address, reason = redactor.clean(str(change.get("address"))), str(change.get("action_reason") or "")
    return ResourceDetail(address, action_word(actions_of(change)), reason, attributes)


def action_word(actions: tuple[str, ...]) -> str:
    """``replace`` for a deletion and a creation, in either order."""
    return "replace" if set(actions) == {"delete", "create"} else actions[0]


def _clean_text(text: str | None, redactor: Redactor) -> str | None:
    return None if text is None else redactor.clean(text)


def _attributes(change: Change) -> Iterator[tuple[str, str | None, str | None]]:
    body: Mapping[str, Any] = change["change"]
    before, after = before_of(change), after_of(change)
    marks = (body.get("before_sensitive"), body.get("after_sensitive"))
    later = body.get("after_unknown")
    names = {*before, *after, *(later if isinstance(later, dict) else ())}
    for name in sorted(names):
        old = _shown(name, before.get(name), _mark(marks[0], name))
        new = UNKNOWN if _marked(_mark(later, name)) else _shown(name, after.get(name), _mark(marks[1], name))
        if SENSITIVE in (old, new):
            old, new = old and SENSITIVE, new and SENSITIVE
        elif old == new:
            # Equal once their external ids are masked.
            old = new = old and SENSITIVE
        if _plain(before.get(name)) != _plain(after.get(name)) or _marked(_mark(later, name)):
            yield name, old, new


def _plain(value: object) -> object:
    """A value for comparing: empty values equal absent ones, and the layout of a document does not count."""
    if value in ("", [], {}):
        return None
    found = document_in(value)
    return value if found is None else json.dumps(found)


def _mark(marks: object, name: str) -> object:
    """The sensitivity mark of one attribute; the whole object may have a single mark."""
    return marks.get(name) if isinstance(marks, dict) else marks


def _marked(mark: object) -> bool:
    """Whether anything in the value is marked: then all of it is hidden."""
    if isinstance(mark, dict):
        return any(map(_marked, mark.values()))
    return any(map(_marked, mark)) if isinstance(mark, list) else bool(mark)


def _shown(name: str, value: object, mark: object) -> str | None:
    """A value as text; documents on several lines, so that their differences are visible."""
    if _plain(value) is None:
        return None
    trust = name == TRUST and document_in(value) is None
    if _marked(mark) or names_external_id(name) or trust:
        return SENSITIVE
    if isinstance(value, str):
        found = document_in(value)
        return value if found is None else json.dumps(masked(found), ensure_ascii=False, indent=2)
    return json.dumps(masked(value), ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Review:
    """A plan with its details; ``before`` and ``after`` are the standing costs of the stack's clusters.

    ``permissions``: changes of the roles' permissions. ``trust``: who may assume them before and after. ``outside``:
    addresses of resources that were changed outside Terraform, and would be changed back. ``protected``: where the
    stack file protects the stack, if the plan would destroy something and is therefore refused.
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


def review_of(run: Run, site: PreparedStack, plan: Plan, warnings: Sequence[str] = ()) -> Review:
    """The review of a plan that was just made; reads the saved plan again if anything would change."""
    shown = site.runner.show(plan.saved) if plan.saved and plan.has_changes else {}
    found = review(run.stack, plan, shown, warnings, _documents(site, attached_arns(shown)))
    return replace(found, protected=protection(run) if plan.destroys else "")


def _documents(site: PreparedStack, arns: tuple[str, ...]) -> Documents:
    """The content of these managed policies; for one that cannot be read, the reason."""
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
    """The review of ``plan``; ``shown`` is its ``terraform show -json``, which holds secrets."""
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
    """The changes of the roles' permissions, without secrets."""
    found = permission_changes(shown, _trusted(stack), documents)
    return tuple(_clean(sentence, redactor) for sentence in found)


def _trusted(stack: Stack) -> tuple[Trusted, ...]:
    """The principals that the gridbyoc module lets in; empty for another module, which has its own rules."""
    role = stack.role
    if stack.terraform.module is not None:
        return ()
    account = trusted_account_of(role)
    with_id = (*((account,) if account else ()), *role.trusted_principals)
    without = role.trusted_principals_without_external_id
    return (*(Trusted(who, True) for who in with_id), *(Trusted(who, False) for who in without))


def _spec(cluster: Cluster) -> ClusterSpec:
    profile = cluster.performance_profile
    known: PerformanceProfile | None = "cost-saving" if profile == "cost-saving" else None
    return ClusterSpec(cluster.name, cluster.instance_types, known)


def redactor_of(stack: Stack, grant: Grant | None, kept_ids: Sequence[Secret], shown: Mapping[str, Any]) -> Redactor:
    """A redactor for everything secret of this stack."""
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
