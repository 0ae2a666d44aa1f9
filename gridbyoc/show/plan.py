"""A plan of both sides, as lines of text, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import Annotated, Any, TypedDict

from gridbyoc.control_plane.model import FieldChange
from gridbyoc.operations.changes import Action, ClusterChange
from gridbyoc.operations.plan import Plan
from gridbyoc.operations.review.review import ResourceDetail, Review
from gridbyoc.operations.review.words import GrantChange, GrantVerb, RoleSentence, plain_sentence
from gridbyoc.show.attributes import diff_lines, terminal_lines
from gridbyoc.show.markdown import code, details, fence, fitted, prose
from gridbyoc.show.output import Output, Screen
from gridbyoc.show.report import limits
from gridbyoc.show.role_policies import PoliciesBody, policies_json
from gridbyoc.stack.words import enumerated

SIGNS = {"create": "+", "update": "~", "delete": "-", "replace": "-/+", "read": "<=", "none": " "}


def plan_lines(review: Review, *, brief: bool = False) -> list[str]:
    """The plan to approve: permissions, clusters, cost, each resource with its attributes, and a summary.

    ``brief`` omits the resources.
    """
    plan = review.plan
    sections = [
        _section("Destroys:", [f"- {name}" for name in plan.destroys]),
        _section("Different from the stack file, and not changed by this plan:", list(plan.warnings)),
        list(_permissions(review)),
        _section("Control plane:", list(_clusters(plan)) or ["no clusters"]),
        _section("Standing cost:", list(_costs(review))),
        _section("Changed outside Terraform:", list(review.outside)),
        [] if brief else _resources(review),
    ]
    partial = [f"Partial: {limits(plan)}."] if plan.only else []
    return [*chain.from_iterable(sections), "", summary(plan), *partial, *refused(review)]


def refused(review: Review) -> list[str]:
    """A line if the stack is protected and refuses this plan; otherwise none."""
    place = review.protected
    return [f"The stack is protected ({place}): bootstrap and apply refuse this plan."] if place else []


def _permissions(review: Review) -> Iterator[str]:
    """The sentences, grouped by role; ``!`` marks those that need the reviewer's attention."""
    found = (*review.trust, *review.permissions)
    for subject in dict.fromkeys(each.subject for each in found):
        yield from ("", f"{plain_sentence(subject)}:")
        for each in found:
            if each.subject == subject:
                yield f" {'!' if each.alarming else ' '} {plain_sentence(each.says)}"


def _section(title: str, items: list[str]) -> list[str]:
    return ["", title, *(f"  {item}" for item in items)] if items else []


def _clusters(plan: Plan) -> Iterator[str]:
    for change in plan.clusters:
        yield f"{SIGNS[change.action]} cluster {change.name}" + (": no changes" * (change.action == "none"))
        yield from (f"    {f.field}: {f.before} -> {f.after}" for f in change.fields)
        given = plan.handed_on if change.spec and change.cluster else ()
        yield from (f"    {name}: receives the new value after the apply" for name in given)


def _costs(review: Review) -> Iterator[str]:
    if review.before == review.after:
        yield from (f"unchanged: {cost}" for cost in review.after)
        return
    yield from (f"before: {cost}" for cost in review.before or ("no cluster",))
    yield from (f"after:  {cost}" for cost in review.after or ("no cluster",))


def _resources(review: Review) -> list[str]:
    lines = ["", "AWS (Terraform):"]
    if review.plan.terraform is None:
        return [*lines, "  + a new role with its policy, attachments and external id"]
    for detail in review.resources:
        reason = f" ({detail.reason.replace('_', ' ')})" if detail.reason else ""
        lines.append(f"  {SIGNS.get(detail.action, '~')} {detail.address}{reason}")
        created = detail.action == "create"
        lines += [f"      {line}" for each in detail.attributes for line in terminal_lines(each, created=created)]
    return lines if review.resources else [*lines, "    no changes"]


def summary(plan: Plan) -> str:
    """One sentence: the number of changes on either side."""
    if not plan.has_changes:
        more = "the role differs, or may differ, from the stack file; see above."
        sides = f"the role and {enumerated(plan.only)}" if plan.only else "both sides"
        return f"No changes: {more if plan.warnings else f'{sides} are as the stack file asks.'}"
    role = (
        f"{plan.terraform.add} to add, {plan.terraform.change} to change, {plan.terraform.destroy} to destroy"
        if plan.terraform
        else "a new role"
    )
    counts = {word: sum(c.action == word for c in plan.clusters) for word in ("create", "update", "delete")}
    return f"Plan: AWS {role}; clusters " + ", ".join(f"{count} to {word}" for word, count in counts.items()) + "."


class ResourceAction(TypedDict):
    """The planned change of one resource."""

    address: str
    action: str


class TerraformCounts(TypedDict):
    """Terraform's half of a plan; ``null`` if a fresh role is created without a plan."""

    add: int | None
    change: int | None
    destroy: int | None
    changes: list[ResourceAction]


class ClusterChangeBody(TypedDict):
    """The changes that one cluster needs."""

    name: str
    action: Action
    fields: list[Annotated[dict[str, Any], FieldChange]]


class StandingCost(TypedDict):
    """A sentence for each cluster, now and after the change."""

    before: list[str]
    after: list[str]


class GrantBody(TypedDict):
    """What a role gains or loses in one service. ``everything_but``: ``actions`` are the excluded ones."""

    role: str
    verb: GrantVerb
    service: str
    actions: list[str]
    resources: list[str]
    conditions: list[str]
    everything_but: bool
    all_resources_but: bool
    marks: list[str]


class PlanBody(TypedDict):
    """What bootstrap would change on both sides, with the sentences of the text.

    ``destroys``: resource addresses and clusters. ``changed_outside``: resources that were changed outside Terraform.
    ``protected``: where the stack file protects the stack. ``partial``: the plan is limited with ``--cluster``;
    ``left_out`` are the stack file's other clusters, which it does not compare.
    """

    has_changes: bool
    terraform: TerraformCounts
    clusters: list[ClusterChangeBody]
    destroys: list[str]
    costs: list[str]
    policies: PoliciesBody | None
    resources: list[Annotated[dict[str, Any], ResourceDetail]]
    permissions: list[str]
    grants: list[GrantBody]
    trust: list[str]
    standing_cost: StandingCost
    handed_on: list[str]
    warnings: list[str]
    changed_outside: list[str]
    protected: str | None
    partial: bool
    left_out: list[str]


def plan_json(review: Review) -> PlanBody:
    """The plan with everything that terminal and comment show; it contains no secret."""
    plan = review.plan
    terraform = plan.terraform
    return {
        "has_changes": plan.has_changes,
        "terraform": {
            "add": terraform.add if terraform else None,
            "change": terraform.change if terraform else None,
            "destroy": terraform.destroy if terraform else None,
            "changes": [{"address": c.address, "action": c.action} for c in (terraform.changes if terraform else ())],
        },
        "clusters": [
            {
                "name": change.name,
                "action": change.action,
                "fields": [{"field": f.field, "before": f.before, "after": f.after} for f in change.fields],
            }
            for change in plan.clusters
        ],
        "destroys": list(plan.destroys),
        "costs": list(plan.costs),
        "policies": policies_json(plan.policies),
        "resources": [asdict(detail) for detail in review.resources],
        "permissions": [plain_sentence(each.whole) for each in review.permissions],
        "grants": [_grant(plain_sentence(each.subject), each.grant) for each in review.permissions if each.grant],
        "trust": [plain_sentence(each.whole) for each in review.trust],
        "standing_cost": {"before": list(review.before), "after": list(review.after)},
        "handed_on": list(plan.handed_on),
        "warnings": list(review.warnings),
        "changed_outside": list(review.outside),
        "protected": review.protected or None,
        "partial": bool(plan.only),
        "left_out": list(plan.left_out),
    }


def _grant(role: str, grant: GrantChange) -> GrantBody:
    return {
        "role": role,
        "verb": grant.verb,
        "service": grant.service,
        "actions": list(grant.actions),
        "resources": list(grant.resources),
        "conditions": list(grant.conditions),
        "everything_but": grant.everything_but,
        "all_resources_but": grant.all_resources_but,
        "marks": list(grant.marks),
    }


def plan_output(*, brief: bool) -> Output[Review]:
    """A plan. ``brief``: text and Markdown only have the sentences."""

    def write(review: Review, screen: Screen) -> None:
        for line in plan_lines(review, brief=brief):
            screen.line(line)

    def markdown(review: Review, _stack: str) -> str:
        return review_markdown(review, brief=brief)

    return Output("plan", plan_json, write, others={"markdown": markdown})


PLAN = plan_output(brief=False)


MOST_LINES = 400
LEFT_OUT = "*{count} more sections are left out: a comment has a limit. `gridbyoc plan` shows all of them.*"


def review_markdown(review: Review, *, brief: bool = False) -> str:
    """The comment; it begins with a marker (``<!-- gridbyoc plan NAME -->``) by which an older comment can be found.

    ``brief``: without the resources and their attributes.
    """
    blocks = [f"<!-- gridbyoc plan {review.stack} -->\n### Plan of {code(review.stack)}", f"**{summary(review.plan)}**"]
    blocks += [f"**Partial:** {prose(limits(review.plan))}"] if review.plan.only else []
    blocks += [f"**{prose(line)}**" for line in refused(review)]
    blocks += _list("Warnings", [prose(text) for text in review.warnings])
    if review.plan.destroys:
        blocks += _list("Destroys", [code(name) for name in review.plan.destroys])
    blocks += _list("Changed outside Terraform", [code(address) for address in review.outside])
    blocks += _list("Permissions", [role_sentence(each) for each in (*review.trust, *review.permissions)])
    blocks += _list("Control plane", [_cluster(change, review.plan.handed_on) for change in review.plan.clusters])
    blocks += _cost_section(review)
    if review.resources and not brief:
        blocks += ["**AWS**", *map(_resource, review.resources)]
    return fitted(blocks, left_out=LEFT_OUT)


def _list(title: str, items: list[str], most: int = 100) -> list[str]:
    """A title and a list, split into blocks of ``most`` items, so that a long list is cut and not dropped."""
    parts = ["\n".join(f"- {item}" for item in items[start : start + most]) for start in range(0, len(items), most)]
    return [f"**{title}**\n\n{parts[0]}", *parts[1:]] if parts else []


def role_sentence(sentence: RoleSentence) -> str:
    """A sentence in Markdown with names as code, and a sign if it needs the reviewer's attention."""
    sign = "\u26a0 " if sentence.alarming else ""
    return sign + "".join(part if isinstance(part, str) else code(part.text) for part in sentence.whole)


def _cluster(change: ClusterChange, handed_on: tuple[str, ...]) -> str:
    words = {"create": "is created", "update": "is changed", "delete": "is deleted", "none": "is unchanged"}
    lines = [f"The cluster {code(change.name)} {words[change.action]}"]
    lines += [f"  - {code(each.field)}: {code(each.before)} → {code(each.after)}" for each in change.fields]
    given = handed_on if change.spec and change.cluster else ()
    lines += [f"  - {code(name)}: it receives the new value after the apply" for name in given]
    return "\n".join(lines)


def _cost_section(review: Review) -> list[str]:
    if review.before == review.after:
        return []
    lines = [f"- before: {prose(cost)}" for cost in review.before or ("no cluster",)]
    lines += [f"- after: {prose(cost)}" for cost in review.after or ("no cluster",)]
    return ["**Standing cost**\n\n" + "\n".join(lines)]


def _resource(detail: ResourceDetail) -> str:
    lines = [line for each in detail.attributes for line in diff_lines(each)]
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"… {len(lines) - MOST_LINES} more lines"]
    body = fence(lines, "diff") if lines else "No attribute that can be shown changes."
    reason = f" ({detail.reason.replace('_', ' ')})" if detail.reason else ""
    return details(f"{SIGNS.get(detail.action, '~')} {detail.address}: {detail.action}{reason}", body)
