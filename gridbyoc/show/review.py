"""A review of a plan as the text of a pull request's comment, and as JSON."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from gridbyoc.show.markdown import code, details, fence, fitted, prose
from gridbyoc.show.plan import SIGNS, plan_object, summary
from gridbyoc.steps.changes import ClusterChange
from gridbyoc.steps.review.details import AttributeChange, ResourceDetail
from gridbyoc.steps.review.review import Review
from gridbyoc.steps.review.words import Sentence, plain_sentence

LONGEST_VALUE = 4000
MOST_LINES = 400
LEFT_OUT = "*{count} more sections are left out: a comment has a limit. `gridbyoc plan` shows all of them.*"


def review_markdown(review: Review) -> str:
    """The comment: it begins with a mark (``<!-- gridbyoc plan NAME -->``) by which an older one can be found."""
    blocks = [f"<!-- gridbyoc plan {review.stack} -->\n### Plan of {code(review.stack)}", f"**{summary(review.plan)}**"]
    blocks += _warnings(review)
    if review.plan.destroys:
        blocks += _list("Destroys", [code(name) for name in review.plan.destroys])
    blocks += _list("Changed outside of Terraform", [code(address) for address in review.outside])
    blocks += _list("Permissions", [_sentence(each) for each in review.permissions])
    blocks += _list("Control plane", [_cluster(change, review.plan.handed_on) for change in review.plan.clusters])
    blocks += _costs(review)
    blocks += ["**AWS**"] if review.resources else []
    blocks += [_resource(detail) for detail in review.resources]
    return fitted(blocks, left_out=LEFT_OUT)


def review_object(review: Review) -> dict[str, Any]:
    """The plan's object with everything that the comment says beside it."""
    return plan_object(review.plan) | {
        "stack": review.stack,
        "resources": [asdict(detail) for detail in review.resources],
        "permissions": [plain_sentence(sentence) for sentence in review.permissions],
        "standing_cost": {"before": list(review.before), "after": list(review.after)},
        "handed_on": list(review.plan.handed_on),
        "warnings": list(review.warnings),
        "changed_outside": list(review.outside),
    }


def _list(title: str, items: list[str], most: int = 100) -> list[str]:
    """A title and a list, a block for every so many items, so that a long one is cut and not dropped."""
    parts = ["\n".join(f"- {item}" for item in items[start : start + most]) for start in range(0, len(items), most)]
    return [f"**{title}**\n\n{parts[0]}", *parts[1:]] if parts else []


def _warnings(review: Review) -> list[str]:
    return _list("Warnings", [prose(text) for text in review.warnings])


def _sentence(sentence: Sentence) -> str:
    return "".join(part if isinstance(part, str) else code(part.text) for part in sentence)


def _cluster(change: ClusterChange, handed_on: tuple[str, ...]) -> str:
    words = {"create": "is created", "update": "is changed", "delete": "is deleted", "none": "stays as it is"}
    lines = [f"The cluster {code(change.name)} {words[change.action]}"]
    lines += [f"  - {code(each.field)}: {code(each.before)} → {code(each.after)}" for each in change.fields]
    given = handed_on if change.spec and change.cluster else ()
    lines += [f"  - {code(name)}: it is given the new one after the apply" for name in given]
    return "\n".join(lines)


def _costs(review: Review) -> list[str]:
    if review.before == review.after:
        return []
    lines = [f"- before: {prose(cost)}" for cost in review.before or ("no cluster",)]
    lines += [f"- after: {prose(cost)}" for cost in review.after or ("no cluster",)]
    return ["**Standing cost**\n\n" + "\n".join(lines)]


def _resource(detail: ResourceDetail) -> str:
    lines = [line for each in detail.attributes for line in _attribute(each)]
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"… {len(lines) - MOST_LINES} more lines"]
    body = fence(lines, "diff") if lines else "No attribute that can be shown changes."
    reason = f" ({detail.reason.replace('_', ' ')})" if detail.reason else ""
    return details(f"{SIGNS.get(detail.action, '~')} {detail.address}: {detail.action}{reason}", body)


def _attribute(change: AttributeChange) -> Iterator[str]:
    before, after = _value(change.before), _value(change.after)
    if len(before) > 1 and len(after) > 1:
        yield f"  {change.name}:"
        marked = difflib.unified_diff(before, after, n=2, lineterm="")
        yield from (line for line in marked if not line.startswith(("---", "+++", "@@")))
        return
    for sign, value in (("-", before), ("+", after)):
        for number, line in enumerate(value):
            yield f"{sign} {change.name}: {line}" if number == 0 else f"{sign}   {line}"


def _value(text: str | None) -> list[str]:
    if text is None:
        return []
    more = len(text) - LONGEST_VALUE
    return (text if more <= 0 else f"{text[:LONGEST_VALUE]}… ({more} more characters)").split("\n")
