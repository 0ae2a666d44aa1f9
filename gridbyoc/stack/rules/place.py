"""The stack's name, and where it is: region, account."""

from __future__ import annotations

import re

from gridbyoc.stack.findings import Fault, Findings
from gridbyoc.stack.regions import region_fault
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.words import Place, show

STACK_NAME_RULE = "1 to 63 of a-z, 0-9, `.`, `_` and `-`, beginning and ending with a letter or digit"
_STACK_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_ACCOUNT_ID = re.compile(r"[0-9]{12}")


def stack_name_fault(name: str) -> Fault | None:
    """The name is a directory's name as well: safe on every file system."""
    if _STACK_NAME.fullmatch(name):
        return None
    return Fault(f"{show(name)} cannot be a stack's name", f"allowed: {STACK_NAME_RULE}")


def account_id_fault(text: str) -> Fault | None:
    """12 digits."""
    if _ACCOUNT_ID.fullmatch(text):
        return None
    joined = re.sub(r"[\s-]", "", text)
    hint = f'write "{joined}"' if _ACCOUNT_ID.fullmatch(joined) else "an account id has 12 digits"
    return Fault(f"{show(text)} is not an AWS account id", hint)


def check_stack_name(findings: Findings, _context: Context) -> None:
    """The name rule."""
    name = findings.document.text("name")
    if name is not None:
        findings.fault(("name",), stack_name_fault(name))


def check_aws(findings: Findings, _context: Context) -> None:
    """Region, profile, account ids (the control plane's, too)."""
    region = findings.document.text("aws", "region")
    if region is not None:
        findings.fault(("aws", "region"), region_fault(region))
    places: tuple[Place, ...] = (("aws", "account_id"), ("role", "trusted_account_id"))
    for place in places:
        account_id = findings.document.text(*place)
        if account_id is not None:
            findings.fault(place, account_id_fault(account_id))
    for place in (("aws", "profile"), ("terraform", "backend", "s3", "profile")):
        profile = findings.document.text(*place)
        if profile is not None and (not profile.strip() or not profile.isprintable()):
            findings.problem(place, "is not a profile's name", "name a profile of ~/.aws/config, or remove the key")
