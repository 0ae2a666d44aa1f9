"""Rules of the stack file's ``role`` and ``aws``: names, ARNs, policies, principals, tags."""

from __future__ import annotations

import re
import unicodedata

from gridbyoc.stack.document import Fault
from gridbyoc.stack.findings import Findings
from gridbyoc.stack.regions import Arn, parse_arn
from gridbyoc.stack.rules.context import RuleContext
from gridbyoc.stack.words import Place, show

# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
_ROLE_CHARACTERS = "letters, digits and `_+=,.@-`"
_PATH = re.compile(r"/([\x21-\x7e]+/)?")
KEPT_WITH_MODULE = (
    "trusted_account_id",
    "trusted_principals",
    "trusted_principals_without_external_id",
    "tags",
    "known_policies",
    "known_inline_policies",
)
"""The keys of ``role`` that still apply with ``terraform.module``: the checks and the provider use them."""


def role_name_fault(name: str, longest: int) -> Fault | None:
    """The fault of a role name by IAM's rule (64 characters), or of a prefix (38, because 26 more are generated)."""
    if re.fullmatch(rf"[A-Za-z0-9_+=,.@-]{{1,{longest}}}", name):
        return None
    if len(name) > longest:
        return Fault(f"has {len(name)} characters; at most {longest} are allowed")
    return Fault(f"{show(name)} is not allowed", f"allowed: 1 to {longest} {_ROLE_CHARACTERS}")


def path_fault(path: str) -> Fault | None:
    """The fault of an IAM path. Required: ``/`` at both ends, at most 512 printable ASCII characters, no spaces."""
    if len(path) > 512:
        return Fault(f"has {len(path)} characters; at most 512 are allowed")
    if _PATH.fullmatch(path):
        return None
    better = "/" + path.strip("/ ") + "/"
    hint = f"write `{better}`" if _PATH.fullmatch(better) and path.strip("/ ") else "such as `/` or `/platform/`"
    return Fault(f"{show(path)} is not an IAM path: a path begins and ends with `/` and has no spaces", hint)


def partition_fault(partition: str, context: RuleContext) -> Fault | None:
    """The fault of an ARN that is not in the region's partition, where it cannot be used."""
    if context.partition in (None, partition):
        return None
    message = f"is in the partition `{partition}`, but the region is in `{context.partition}`"
    return Fault(message, f"its ARN must begin with `arn:{context.partition}:`")


def policy_arn_fault(text: str, context: RuleContext) -> Fault | None:
    """The fault of a policy's ARN. It must be in the region's partition, and AWS managed or in the stack's account."""
    form = f"such as `arn:{context.partition or 'aws'}:iam::{context.account_id or '123456789012'}:policy/boundary`"
    arn = parse_arn(text)
    if not arn:
        return Fault(f"{show(text)} is not an ARN", f"give a policy's ARN, {form}")
    well_formed = arn.service == "iam" and not arn.region and re.fullmatch(r"[0-9]{12}|aws", arn.account)
    if not well_formed or not re.fullmatch(r"policy/[\x21-\x29\x2b-\x7e]+", arn.resource):
        return Fault(f"{show(text)} is not the ARN of a policy", form)
    if context.account_id and arn.account not in ("aws", context.account_id):
        return Fault(f"is a policy of account {arn.account}, but the stack's account is {show(context.account_id)}")
    return partition_fault(arn.partition, context)


def check_role(findings: Findings, context: RuleContext) -> None:
    """Check name or prefix, paths, permissions boundary, session duration, rotation, and use with another module."""
    name, prefix = findings.document.text("role", "name"), findings.document.text("role", "name_prefix")
    if name is not None:
        findings.fault(("role", "name"), role_name_fault(name, 64))
    if prefix is not None:
        findings.fault(("role", "name_prefix"), role_name_fault(prefix, 38))
        if name is not None:
            findings.problem(("role", "name_prefix"), "cannot be used together with `name`", "keep one of the two")
    path = findings.document.text("role", "path")
    if path is not None:
        findings.fault(("role", "path"), path_fault(path))
    boundary = findings.document.text("role", "permissions_boundary")
    if boundary is not None:
        findings.fault(("role", "permissions_boundary"), policy_arn_fault(boundary, context))
    own_path = findings.document.text("role", "policy", "path")
    if own_path is not None:
        findings.fault(("role", "policy", "path"), path_fault(own_path))
    role = findings.document.mapping("role")
    if "max_session_hours" in role and "max_session_seconds" in role:
        message = "cannot be used together with `max_session_hours`"
        findings.problem(("role", "max_session_seconds"), message, "keep one of the two")
    _check_rotation(findings)
    _check_module(findings)


def _check_rotation(findings: Findings) -> None:
    role = findings.document.mapping("role")
    if "rotation" in role and "external_id_from" in role:
        advice = "to rotate an external id of your own, change the value that `external_id_from` points to"
        findings.warning(("role", "rotation"), "has no effect together with `external_id_from`", advice)


def _check_module(findings: Findings) -> None:
    if findings.document.at("terraform", "module") is None:
        return
    module = findings.document.mapping("terraform", "module")
    brings_id = "external_id_input" in module or "external_id" not in (module.get("outputs") or {"external_id": ""})
    kept = (*KEPT_WITH_MODULE, "external_id_from") if brings_id else KEPT_WITH_MODULE
    for key in findings.document.mapping("role"):
        if key not in kept and not findings.known_at(("role", key)):
            advice = "remove it, and set the module's inputs under `terraform.module.inputs`"
            findings.problem(("role", key), "is a setting of the gridbyoc module; this stack has its own", advice)


_NAME = re.compile(r"([\x21-\x39\x3b-\x7e]+/)?[A-Za-z0-9_+=,.@-]{1,128}")
_INLINE_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}")
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html"""
ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
SUCCESSORS = {"AmazonGuardDutyFullAccess": "AmazonGuardDutyFullAccess_v2"}
"""AWS managed policies that can no longer be attached, and their replacements.

https://docs.aws.amazon.com/guardduty/latest/ug/security-iam-awsmanpol.html
"""


def managed_policy_fault(text: str, context: RuleContext) -> Fault | None:
    """The fault of a policy that is neither a name of an AWS managed policy (with its path, if any) nor an ARN."""
    name = text.rpartition("/")[2]
    if name in SUCCESSORS and (not text.startswith("arn:") or ":iam::aws:" in text):
        better = text[: -len(name)] + SUCCESSORS[name]
        return Fault(f"`{name}` is deprecated by AWS: it can no longer be attached to a role", f"write `{better}`")
    if text.startswith("arn:"):
        return policy_arn_fault(text, context)
    if _NAME.fullmatch(text):
        return None
    return Fault(f"{show(text)} is not a policy", "give the name of an AWS managed policy, or a policy's ARN")


def resource_fault(text: str, context: RuleContext) -> Fault | None:
    """The fault of a resource that is neither ``*`` nor an ARN (which may contain wildcards)."""
    if text == "*":
        return None
    arn = parse_arn(text)
    if not arn:
        return Fault(f"{show(text)} is not a resource", "give an ARN (it may contain `*`), or `*`")
    literal = not re.search(r"[*?$]", arn.partition)
    return partition_fault(arn.partition, context) if literal else None


def check_policies(findings: Findings, context: RuleContext) -> None:
    """Check the lists of policies, and the statements."""
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
            findings.problem((*place, "sid"), f"{show(sid)} appears twice", "statement ids are unique")
        sids.add(sid)


def _check_managed(findings: Findings, context: RuleContext) -> None:
    place: Place = ("role", "managed_policies")
    listed = findings.document.at(*place)
    if isinstance(listed, list) and len(listed) > 20:
        findings.problem(place, f"holds {len(listed)} policies; a role takes at most 20")
    seen: set[str] = set()
    for item, text in findings.document.texts(*place):
        findings.fault(item, managed_policy_fault(text, context))
        arn = _arn(text, context)
        if arn in seen:
            findings.problem(item, f"{show(text)} appears twice", "remove one of them")
        seen.add(arn)


def _arn(text: str, context: RuleContext) -> str:
    return text if text.startswith("arn:") else f"arn:{context.partition or 'aws'}:iam::aws:policy/{text}"


def _check_known(findings: Findings, context: RuleContext) -> None:
    """Check known policies. Managed ones need a whole ARN, because a name alone can belong to several policies."""
    place: Place = ("role", "known_policies")
    managed = {_arn(text, context) for _, text in findings.document.texts("role", "managed_policies")}
    _check_twice(findings, place)
    for item, text in findings.document.texts(*place):
        findings.fault(item, policy_arn_fault(text, context))
        if text in managed:
            advice = "keep it in one of the two: there Terraform attaches it, here it is only accepted"
            findings.problem(item, f"{show(text)} is in `role.managed_policies` as well", advice)
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
            findings.problem(item, f"{show(text)} appears twice", "remove one of them")
        seen.add(text)


def _check_statement(findings: Findings, place: Place, context: RuleContext) -> None:
    for item, text in findings.document.texts(*place, "actions"):
        if not ACTION.fullmatch(text):
            findings.problem(item, f"{show(text)} is not an action", "written service:Action, such as `eks:*`")
    for item, text in findings.document.texts(*place, "resources"):
        findings.fault(item, resource_fault(text, context))


_WITH, _WITHOUT = "trusted_principals", "trusted_principals_without_external_id"


def principal_fault(text: str, context: RuleContext) -> Fault | None:
    """The fault of a principal that is not the ARN of an IAM role, user or account root, or that has wildcards."""
    partition = context.partition or "aws"
    allowed = f"allowed: the ARN of a role, a user or a root, such as `arn:{partition}:iam::123456789012:role/ci`"
    if "*" in text or "?" in text:
        return Fault(f"{show(text)} would trust every principal that matches: no wildcards here", allowed)
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


def check_principals(findings: Findings, context: RuleContext) -> None:
    """Check the principals of both lists, and that each appears only once."""
    first_at: dict[str, Place] = {}
    for key in (_WITH, _WITHOUT):
        for place, text in findings.document.texts("role", key):
            findings.fault(place, principal_fault(text, context))
            if text not in first_at:
                first_at[text] = place
            elif first_at[text][1] == key:
                findings.problem(place, f"{show(text)} appears twice", "remove one of them")
            else:
                message = f"{show(text)} is in `{_WITH}` as well, where it would need the external id"
                findings.problem(place, message, "keep one of the two")


_ALLOWED = "letters, digits, spaces and `_.:/=+-@`"


def tag_text_fault(text: str, longest: int) -> Fault | None:
    """The fault of a tag's key (at most 128 characters) or value (256)."""
    if len(text) > longest:
        return Fault(f"has {len(text)} characters; at most {longest} are allowed")
    wrong = sorted({char for char in text if not _allowed(char)})
    if wrong:
        return Fault(f"contains {', '.join(show(char) for char in wrong[:5])}", f"allowed: {_ALLOWED}")
    return Fault("begins with `aws:`, which AWS reserves") if text.lower().startswith("aws:") else None


def _allowed(char: str) -> bool:
    return char in "_.:/=+-@" or unicodedata.category(char)[0] in "LZN"


def check_tags(findings: Findings, _context: RuleContext) -> None:
    """Check the tags of the role and of its own policy: number, keys (also equal but for case) and values."""
    _check_tags(findings, ("role", "tags"))
    _check_tags(findings, ("role", "policy", "tags"))


def _check_tags(findings: Findings, tags_at: Place) -> None:
    tags = findings.document.mapping(*tags_at)
    if len(tags) > 50:
        findings.problem(tags_at, f"holds {len(tags)} tags; at most 50 are allowed")
    first: dict[str, str] = {}
    for key, value in tags.items():
        place = (*tags_at, key)
        fault = tag_text_fault(key, 128) if key else Fault("a tag's key is empty")
        if fault:
            findings.problem(place, f"the key {fault.message}" if key else fault.message, fault.hint)
        if isinstance(value, str):
            findings.fault(place, tag_text_fault(value, 256))
        other = first.setdefault(key.lower(), key)
        if other != key:
            findings.problem(place, f"differs from {show(other)} only in case; IAM treats the two as the same key")
