"""A two-sided plan, as lines of text and as JSON."""

from __future__ import annotations

from typing import Any

from gridbyoc.steps.plan import Plan

SIGNS = {"create": "+", "update": "~", "delete": "-", "replace": "-/+", "read": "<=", "none": " "}


def plan_lines(plan: Plan) -> list[str]:
    """Terraform's changes, the control plane's, the standing cost, and a summary."""
    lines = ["", "AWS (Terraform):"]
    if plan.terraform is None:
        lines.append("  + a new role with its policy, attachments and external id")
    else:
        lines += [f"  {SIGNS.get(c.action, '~')} {c.address}" for c in plan.terraform.changes] or ["    no changes"]
    lines.append("Control plane:")
    for change in plan.clusters:
        lines.append(f"  {SIGNS[change.action]} cluster {change.name}" + (": no changes" * (change.action == "none")))
        lines += [f"      {f.field}: {f.before} -> {f.after}" for f in change.fields]
        given = plan.handed_on if change.spec and change.cluster else ()
        lines += [f"      {name}: is given the new one after the apply" for name in given]
    lines += [] if plan.clusters else ["    no clusters"]
    if plan.costs:
        lines += ["Standing cost:", *(f"  {cost}" for cost in plan.costs)]
    return [*lines, "", summary(plan)]


def summary(plan: Plan) -> str:
    """One sentence: how much would change on either side."""
    if not plan.has_changes:
        return "No changes: both sides are as the stack file asks."
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
    }
