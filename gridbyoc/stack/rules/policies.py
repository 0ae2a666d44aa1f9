"""What the role may do: managed policies and statements of its own policy."""

from __future__ import annotations

import re

from gridbyoc.stack.arns import parse_arn
from gridbyoc.stack.findings import Fault, Findings
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.rules.iam import partition_fault, policy_arn_fault
from gridbyoc.stack.words import Place, show

_NAME = re.compile(r"([\x21-\x39\x3b-\x7e]+/)?[A-Za-z0-9_+=,.@-]{1,128}")
_INLINE_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}")
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html"""
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
SUCCESSORS = {"AmazonGuardDutyFullAccess": "AmazonGuardDutyFullAccess_v2"}
"""AWS managed policies that cannot be attached any more, and what took their place.

https://docs.aws.amazon.com/guardduty/latest/ug/security-iam-awsmanpol.html
"""


def managed_policy_fault(text: str, context: Context) -> Fault | None:
    """The name of an AWS managed policy (with its path, if it has one), or the ARN of any policy."""
    name = text.rpartition("/")[2]
    if name in SUCCESSORS and (not text.startswith("arn:") or ":iam::aws:" in text):
        better = text[: -len(name)] + SUCCESSORS[name]
        return Fault(f"`{name}` is deprecated by AWS: it cannot be attached to a role any more", f"write `{better}`")
    if text.startswith("arn:"):
        return policy_arn_fault(text, context)
    if _NAME.fullmatch(text):
        return None
    return Fault(f"{show(text)} is not a policy", "give the name of an AWS managed policy, or a policy's ARN")


def resource_fault(text: str, context: Context) -> Fault | None:
    """``*`` or an ARN, which may hold wildcards."""
    if text == "*":
        return None
    arn = parse_arn(text)
    if not arn:
        return Fault(f"{show(text)} is not a resource", "give an ARN (it may hold `*`), or `*`")
    literal = not re.search(r"[*?$]", arn.partition)
    return partition_fault(arn.partition, context) if literal else None


def check_policies(findings: Findings, context: Context) -> None:
    """The lists of policies, and the statements."""
    _check_managed(findings, context)
    _check_known(findings, context)
    statements = findings.document.at("role", "statements")
    sids: set[str] = set()
    for index in range(len(statements) if isinstance(statements, list) else 0):
        place: Place = ("role", "statements", index)
        _check_statement(findings, place, context)
        sid = findings.document.text(*place, "sid")
        if sid is None:
            continue
        if not re.fullmatch(r"[A-Za-z0-9]+", sid):
            findings.problem((*place, "sid"), f"{show(sid)} is not a statement id", "letters and digits only")
        if sid in sids:
            findings.problem((*place, "sid"), f"{show(sid)} stands here twice", "statement ids are unique")
        sids.add(sid)


def _check_managed(findings: Findings, context: Context) -> None:
    place: Place = ("role", "managed_policies")
    listed = findings.document.at(*place)
    if isinstance(listed, list) and len(listed) > 20:
        findings.problem(place, f"holds {len(listed)} policies; a role takes at most 20")
    seen: set[str] = set()
    for item, text in findings.document.texts(*place):
        findings.fault(item, managed_policy_fault(text, context))
        arn = _arn(text, context)
        if arn in seen:
            findings.problem(item, f"{show(text)} stands here twice", "remove one of them")
        seen.add(arn)


def _arn(text: str, context: Context) -> str:
    return text if text.startswith("arn:") else f"arn:{context.partition or 'aws'}:iam::aws:policy/{text}"


def _check_known(findings: Findings, context: Context) -> None:
    """A policy that is attached beside the stack's is named by its whole ARN: a name alone may be anybody's."""
    place: Place = ("role", "known_policies")
    managed = {_arn(text, context) for _, text in findings.document.texts("role", "managed_policies")}
    _check_twice(findings, place)
    for item, text in findings.document.texts(*place):
        findings.fault(item, policy_arn_fault(text, context))
        if text in managed:
            advice = "keep it in one of the two: there it is attached, here only accepted"
            findings.problem(item, f"{show(text)} stands in `role.managed_policies` as well", advice)
    inline: Place = ("role", "known_inline_policies")
    _check_twice(findings, inline)
    for item, text in findings.document.texts(*inline):
        if not _INLINE_NAME.fullmatch(text):
            advice = "1 to 128 letters, digits and `_+=,.@-`"
            findings.problem(item, f"{show(text)} is not the name of an inline policy", advice)


def _check_twice(findings: Findings, place: Place) -> None:
    seen: set[str] = set()
    for item, text in findings.document.texts(*place):
        if text in seen:
            findings.problem(item, f"{show(text)} stands here twice", "remove one of them")
        seen.add(text)


def _check_statement(findings: Findings, place: Place, context: Context) -> None:
    for item, text in findings.document.texts(*place, "actions"):
        if not _ACTION.fullmatch(text):
            findings.problem(item, f"{show(text)} is not an action", "written service:Action, such as `eks:*`")
    for item, text in findings.document.texts(*place, "resources"):
        findings.fault(item, resource_fault(text, context))
