"""A two-sided plan, as lines of text and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import Any

from gridbyoc.show.attributes import terminal_lines
from gridbyoc.steps.plan import Plan
from gridbyoc.steps.review.review import Review
from gridbyoc.steps.review.words import plain_sentence

SIGNS = {"create": "+", "update": "~", "delete": "-", "replace": "-/+", "read": "<=", "none": " "}


def plan_lines(review: Review, *, brief: bool = False, width: int | None = None) -> list[str]:
    """What a yes is given to: permissions, clusters, cost, then each resource with its attributes, and a summary.

    ``brief`` leaves the resources out. Sentences are wrapped to ``width`` columns; ``None``: one line each.
    """
    plan = review.plan
    sections = [
        _section("Destroys:", [f"- {name}" for name in plan.destroys], width),
        _section("Not as the stack file says, and left so:", list(plan.warnings), width),
        list(_permissions(review, width)),
        _section("Control plane:", list(_clusters(plan)) or ["no clusters"], width),
        _section("Standing cost:", list(_costs(review)), width),
        _section("Changed outside of Terraform:", list(review.outside), width),
        [] if brief else _resources(review),
    ]
    last = [summary(plan), *refused(review)]
    return [*chain.from_iterable(sections), "", *(line for text in last for line in wrapped(text, width, ""))]


def refused(review: Review) -> list[str]:
    """A line for a plan that a protected stack refuses; else none."""
    place = review.protected
    return [f"The stack is protected ({place}): bootstrap and apply refuse this plan."] if place else []


def _permissions(review: Review, width: int | None) -> Iterator[str]:
    """The sentences below the role that they are about; ``!`` where a reviewer should stop."""
    found = (*review.trust, *review.permissions)
    for subject in dict.fromkeys(each.subject for each in found):
        yield from ("", f"{plain_sentence(subject)}:")
        for each in found:
            if each.subject == subject:
                yield from wrapped(f"{'!' if each.alarming else ' '} {plain_sentence(each.says)}", width, " ")


def _section(title: str, items: list[str], width: int | None) -> list[str]:
    return ["", title, *(line for item in items for line in wrapped(item, width, "  "))] if items else []


def wrapped(text: str, width: int | None, indent: str) -> list[str]:
    """``text`` behind ``indent``, in lines of at most ``width`` columns; names are never broken."""
    if width is None:
        return [indent + text]
    hanging = f"{indent}    " if indent else ""
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )


def _clusters(plan: Plan) -> Iterator[str]:
    for change in plan.clusters:
        yield f"{SIGNS[change.action]} cluster {change.name}" + (": no changes" * (change.action == "none"))
        yield from (f"    {f.field}: {f.before} -> {f.after}" for f in change.fields)
        given = plan.handed_on if change.spec and change.cluster else ()
        yield from (f"    {name}: is given the new one after the apply" for name in given)


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
    """One sentence: how much would change on either side."""
    if not plan.has_changes:
        more = "the role is not, or not known to be, as the stack file says; see above."
        return f"No changes: {more if plan.warnings else 'both sides are as the stack file asks.'}"
    role = (
        f"{plan.terraform.add} to add, {plan.terraform.change} to change, {plan.terraform.destroy} to destroy"
        if plan.terraform
        else "a new role"
    )
    counts = {word: sum(c.action == word for c in plan.clusters) for word in ("create", "update", "delete")}
    return f"Plan: AWS {role}; clusters " + ", ".join(f"{count} to {word}" for word, count in counts.items()) + "."


def plan_object(plan: Plan) -> dict[str, Any]:
    """The plan as the last object of ``--format json``; it holds no secret."""
    terraform = plan.terraform
    return {
        "type": "plan",
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
        "policies": plan.policies.as_json() if plan.policies else None,
    }


def review_object(review: Review) -> dict[str, Any]:
    """The plan's object with everything that the terminal and the comment say beside it."""
    return plan_object(review.plan) | {
        "stack": review.stack,
        "resources": [asdict(detail) for detail in review.resources],
        "permissions": [plain_sentence(each.whole) for each in review.permissions],
        "grants": [
            {"role": plain_sentence(each.subject)} | asdict(each.grant) for each in review.permissions if each.grant
        ],
        "trust": [plain_sentence(each.whole) for each in review.trust],
        "standing_cost": {"before": list(review.before), "after": list(review.after)},
        "handed_on": list(review.plan.handed_on),
        "warnings": list(review.warnings),
        "changed_outside": list(review.outside),
        "protected": review.protected or None,
    }
