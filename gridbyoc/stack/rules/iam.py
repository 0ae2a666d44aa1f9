"""The role: name, path, boundary, session; and what stands no more in the file where another module makes it."""

from __future__ import annotations

import re

from gridbyoc.stack.arns import parse_arn
from gridbyoc.stack.findings import Fault, Findings
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.words import show

# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
_ROLE_CHARACTERS = "letters, digits and `_+=,.@-`"
_PATH = re.compile(r"/([\x21-\x7e]+/)?")
KEPT_WITH_MODULE = ("trusted_account_id", "tags", "known_policies", "known_inline_policies")
"""The keys of ``role`` that mean something beside ``terraform.module``: checks and the provider use them."""


def role_name_fault(name: str, longest: int) -> Fault | None:
    """The rule of IAM for names of roles (64 characters) and for a prefix (38: 26 more are generated)."""
    if re.fullmatch(rf"[A-Za-z0-9_+=,.@-]{{1,{longest}}}", name):
        return None
    if len(name) > longest:
        return Fault(f"has {len(name)} characters; at most {longest} are allowed")
    return Fault(f"{show(name)} is not allowed", f"allowed: 1 to {longest} {_ROLE_CHARACTERS}")


def path_fault(path: str) -> Fault | None:
    """Begins and ends with ``/``, at most 512 printable ASCII characters, no spaces."""
    if len(path) > 512:
        return Fault(f"has {len(path)} characters; at most 512 are allowed")
    if _PATH.fullmatch(path):
        return None
    better = "/" + path.strip("/ ") + "/"
    hint = f"write `{better}`" if _PATH.fullmatch(better) and path.strip("/ ") else "such as `/` or `/platform/`"
    return Fault(f"{show(path)} is not an IAM path: it begins and ends with `/` and holds no spaces", hint)


def partition_fault(partition: str, context: Context) -> Fault | None:
    """An ARN of another partition than the region's cannot be used there."""
    if context.partition in (None, partition):
        return None
    message = f"is in the partition `{partition}`, the region is in `{context.partition}`"
    return Fault(message, f"its ARN begins with `arn:{context.partition}:`")


def policy_arn_fault(text: str, context: Context) -> Fault | None:
    """An ARN of a policy, in the region's partition, AWS's own or in the stack's account."""
    form = f"such as `arn:{context.partition or 'aws'}:iam::{context.account_id or '123456789012'}:policy/boundary`"
    arn = parse_arn(text)
    if not arn:
        return Fault(f"{show(text)} is not an ARN", f"give a policy's ARN, {form}")
    well_formed = arn.service == "iam" and not arn.region and re.fullmatch(r"[0-9]{12}|aws", arn.account)
    if not well_formed or not re.fullmatch(r"policy/[\x21-\x29\x2b-\x7e]+", arn.resource):
        return Fault(f"{show(text)} is not the ARN of a policy", form)
    if context.account_id and arn.account not in ("aws", context.account_id):
        return Fault(f"is a policy of account {arn.account}, the stack's account is {show(context.account_id)}")
    return partition_fault(arn.partition, context)


def check_role(findings: Findings, context: Context) -> None:
    """Name or prefix, path, boundary."""
    name, prefix = findings.document.text("role", "name"), findings.document.text("role", "name_prefix")
    if name is not None:
        findings.fault(("role", "name"), role_name_fault(name, 64))
    if prefix is not None:
        findings.fault(("role", "name_prefix"), role_name_fault(prefix, 38))
        if name is not None:
            findings.problem(("role", "name_prefix"), "stands beside `name`", "keep one of the two")
    path = findings.document.text("role", "path")
    if path is not None:
        findings.fault(("role", "path"), path_fault(path))
    boundary = findings.document.text("role", "permissions_boundary")
    if boundary is not None:
        findings.fault(("role", "permissions_boundary"), policy_arn_fault(boundary, context))
    _check_rotation(findings)
    _check_module(findings)


def _check_rotation(findings: Findings) -> None:
    role = findings.document.mapping("role")
    if "rotation" in role and "external_id_from" in role:
        advice = "to rotate an external id of your own, change what `external_id_from` points to"
        findings.warning(("role", "rotation"), "has no effect beside `external_id_from`", advice)


def _check_module(findings: Findings) -> None:
    if findings.document.at("terraform", "module") is None:
        return
    for key in findings.document.mapping("role"):
        if key not in KEPT_WITH_MODULE and not findings.known_at(("role", key)):
            advice = "remove it, and give the module what it takes under `terraform.module.inputs`"
            findings.problem(("role", key), "is a setting of the gridbyoc module; this stack uses another one", advice)
