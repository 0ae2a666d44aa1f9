"""Who else may assume the role."""

from __future__ import annotations

import re

from gridbyoc.stack.arns import Arn, parse_arn
from gridbyoc.stack.findings import Fault, Findings
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.rules.iam import partition_fault
from gridbyoc.stack.words import Place, show

_WITH, _WITHOUT = "trusted_principals", "trusted_principals_without_external_id"


def principal_fault(text: str, context: Context) -> Fault | None:
    """The ARN of an IAM role, an IAM user or an account's root, without wildcards."""
    partition = context.partition or "aws"
    allowed = f"allowed: the ARN of a role, a user or a root, such as `arn:{partition}:iam::123456789012:role/ci`"
    if "*" in text or "?" in text:
        return Fault(f"{show(text)} would admit anybody who fits: no wildcards here", allowed)
    if re.fullmatch(r"[0-9]{12}", text):
        return Fault(f"{show(text)} is an account id", f"write `arn:{partition}:iam::{text}:root`")
    arn = parse_arn(text)
    if not arn:
        return Fault(f"{show(text)} is not an ARN", allowed)
    if arn.service == "sts":
        return Fault(f"{show(text)} is the ARN of a session, not of a role", _role_of_session(arn) or allowed)
    well_formed = arn.service == "iam" and not arn.region and re.fullmatch(r"[0-9]{12}", arn.account)
    if not well_formed or not re.fullmatch(r"root|(role|user)/[\x21-\x7e]+", arn.resource):
        return Fault(f"{show(text)} is not the ARN of an IAM role, user or root", allowed)
    return partition_fault(arn.partition, context)


def _role_of_session(arn: Arn) -> str:
    match = re.fullmatch(r"assumed-role/([^/]+)/.+", arn.resource)
    return f"write `arn:{arn.partition}:iam::{arn.account}:role/{match[1]}`" if match else ""


def check_principals(findings: Findings, context: Context) -> None:
    """Each of both lists; and nobody twice."""
    first_at: dict[str, Place] = {}
    for key in (_WITH, _WITHOUT):
        for place, text in findings.document.texts("role", key):
            findings.fault(place, principal_fault(text, context))
            if text not in first_at:
                first_at[text] = place
            elif first_at[text][1] == key:
                findings.problem(place, f"{show(text)} stands here twice", "remove one of them")
            else:
                message = f"{show(text)} stands in `{_WITH}` as well, where it would need the external id"
                findings.problem(place, message, "keep one of the two")
