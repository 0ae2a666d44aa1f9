"""A review of a plan as the Markdown of a pull request's comment."""

from __future__ import annotations

from gridbyoc.show.attributes import diff_lines
from gridbyoc.show.markdown import code, details, fence, fitted, prose
from gridbyoc.show.plan import SIGNS, refused, summary
from gridbyoc.steps.changes import ClusterChange
from gridbyoc.steps.review.details import ResourceDetail
from gridbyoc.steps.review.review import Review
from gridbyoc.steps.review.words import RoleSentence

MOST_LINES = 400
LEFT_OUT = "*{count} more sections are left out: a comment has a limit. `gridbyoc plan` shows all of them.*"


def review_markdown(review: Review, *, brief: bool = False) -> str:
    """The comment: it begins with a mark (``<!-- gridbyoc plan NAME -->``) by which an older one can be found.

    ``brief``: without the resources and their attributes.
    """
    blocks = [f"<!-- gridbyoc plan {review.stack} -->\n### Plan of {code(review.stack)}", f"**{summary(review.plan)}**"]
    blocks += [f"**{prose(line)}**" for line in refused(review)]
    blocks += _warnings(review)
    if review.plan.destroys:
        blocks += _list("Destroys", [code(name) for name in review.plan.destroys])
    blocks += _list("Changed outside of Terraform", [code(address) for address in review.outside])
    blocks += _list("Permissions", [role_sentence(each) for each in (*review.trust, *review.permissions)])
    blocks += _list("Control plane", [_cluster(change, review.plan.handed_on) for change in review.plan.clusters])
    blocks += _costs(review)
    if review.resources and not brief:
        blocks += ["**AWS**", *map(_resource, review.resources)]
    return fitted(blocks, left_out=LEFT_OUT)


def _list(title: str, items: list[str], most: int = 100) -> list[str]:
    """A title and a list, a block for every so many items, so that a long one is cut and not dropped."""
    parts = ["\n".join(f"- {item}" for item in items[start : start + most]) for start in range(0, len(items), most)]
    return [f"**{title}**\n\n{parts[0]}", *parts[1:]] if parts else []


def _warnings(review: Review) -> list[str]:
    return _list("Warnings", [prose(text) for text in review.warnings])


def role_sentence(sentence: RoleSentence) -> str:
    """A sentence in Markdown, its names as code, with a sign where a reviewer should stop."""
    sign = "\u26a0 " if sentence.alarming else ""
    return sign + "".join(part if isinstance(part, str) else code(part.text) for part in sentence.whole)


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
    lines = [line for each in detail.attributes for line in diff_lines(each)]
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"… {len(lines) - MOST_LINES} more lines"]
    body = fence(lines, "diff") if lines else "No attribute that can be shown changes."
    reason = f" ({detail.reason.replace('_', ' ')})" if detail.reason else ""
    return details(f"{SIGNS.get(detail.action, '~')} {detail.address}: {detail.action}{reason}", body)
