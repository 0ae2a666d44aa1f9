"""Drift as lines of text, as Markdown, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, TypedDict

from gridbyoc.operations.drift import Drift, DriftFound
from gridbyoc.operations.review.words import plain_sentence
from gridbyoc.show.attributes import diff_lines, terminal_lines
from gridbyoc.show.markdown import code, fence, fitted, prose
from gridbyoc.show.output import Output, Screen
from gridbyoc.show.plan import role_sentence
from gridbyoc.stack.words import counted

NONE = "No drift: AWS, the live role and the control plane are as the stack file asks."
NONE_OF_THE_ROLE = "No drift of the role: AWS and the live role are as the stack file asks."
BY_RECORD = "Nothing has changed since the last good run, so Terraform was not started (--refresh starts it)."
LEFT_OUT = "*{count} more sections are left out. `gridbyoc drift` shows all of them.*"


def drift_rows(found: DriftFound) -> list[tuple[str, str, str]]:
    """A row for each difference: side, subject, and how it differs."""
    return [(each.side, each.subject, each.detail) for each in found.differences]


def drift_lines(found: DriftFound) -> list[str]:
    """The lines after the rows: attributes with both values, changes of the role's permissions, and unknowns."""
    lines: list[str] = []
    for each in found.differences:
        if each.attributes:
            lines += ["", f"{each.subject}, actual -> as the stack file asks:"]
            lines += [f"  {line}" for change in each.attributes for line in terminal_lines(change)]
    if found.permissions:
        lines += ["", "Changes of the role's permissions that bootstrap would make:"]
        lines += [f"  {plain_sentence(sentence.whole)}" for sentence in found.permissions]
    lines += [""] if lines and (found.unknown or found.remarks) else []
    lines += [no_drift(found), *([BY_RECORD] if found.by_record else [])] if found.none else []
    return [*lines, *(f"Unknown: {reason}." for reason in found.unknown), *found.remarks]


def no_drift(found: DriftFound) -> str:
    """The sentence for a comparison without differences: it names what was compared."""
    return NONE_OF_THE_ROLE if found.unasked else NONE


def drift_markdown(stack: str, found: DriftFound) -> str:
    """The text for a comment or an issue; it begins with a marker (``<!-- gridbyoc drift NAME -->``)."""
    count = counted(len(found.differences), "difference")
    head = (
        no_drift(found)
        if found.none
        else f"{count} from the stack file."
        if found.differences
        else "Not everything could be compared."
    )
    blocks = [f"<!-- gridbyoc drift {stack} -->\n### Drift of {code(stack)}", f"**{head}**"]
    blocks += [prose(BY_RECORD)] if found.by_record else []
    blocks += [_difference(each) for each in found.differences]
    blocks += _list(
        "Changes of the role's permissions that bootstrap would make", map(role_sentence, found.permissions)
    )
    blocks += _list("Unknown", map(prose, found.unknown))
    blocks += _list("Remarks", map(prose, found.remarks))
    return fitted(blocks, left_out=LEFT_OUT)


class DriftBody(TypedDict):
    """The differences between the stack file and reality.

    Of an attribute, ``before`` is the actual value and ``after`` what the stack file asks. ``permissions``: sentences
    on the role's permissions that ``bootstrap`` would change. ``unknown``: what could not be read. ``unasked``: why
    the control plane of a stack without clusters was not asked, otherwise empty. ``by_record``: nothing has moved since
    the record of the last good run, so Terraform was not started.
    """

    drift: list[Annotated[dict[str, Any], Drift]]
    permissions: list[str]
    unknown: list[str]
    remarks: list[str]
    unasked: str
    by_record: bool


def drift_json(found: DriftFound) -> DriftBody:
    """The differences, without secrets."""
    return {
        "drift": [asdict(each) for each in found.differences],
        "permissions": [plain_sentence(sentence.whole) for sentence in found.permissions],
        "unknown": found.unknown,
        "remarks": found.remarks,
        "unasked": found.unasked,
        "by_record": found.by_record,
    }


def _difference(each: Drift) -> str:
    line = f"- {each.side}: {code(each.subject)}: {prose(each.detail)}"
    lines = [line for change in each.attributes for line in diff_lines(change)]
    if not lines:
        return line
    block = "\n".join(f"  {row}" for row in fence(lines, "diff").splitlines())
    return f"{line}\n\n{block}"


def _list(title: str, items: Iterator[str]) -> list[str]:
    listed = "\n".join(f"- {item}" for item in items)
    return [f"**{title}**\n\n{listed}"] if listed else []


def _write(found: DriftFound, screen: Screen) -> None:
    if found.differences:
        screen.table(("side", "subject", "drift"), drift_rows(found))
    for line in drift_lines(found):
        screen.line(line)


DRIFT = Output("drift", drift_json, _write, others={"markdown": lambda found, stack: drift_markdown(stack, found)})
