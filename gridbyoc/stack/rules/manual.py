"""Rules for a vendor without an API (``control_plane.type: manual``), which has no defaults for trust and grants."""

from __future__ import annotations

from gridbyoc.stack.document import Fault
from gridbyoc.stack.findings import Findings
from gridbyoc.stack.rules.context import RuleContext
from gridbyoc.stack.words import Place

LONGEST_NAME = 100
_FORM = "one line of up to 100 printable characters, such as `vendor: LangSmith`"


def vendor_fault(name: str) -> Fault | None:
    """The fault of a vendor's name that is not one printable line; the name is only shown to people."""
    if not name.strip():
        return Fault("is empty", _FORM)
    if len(name) > LONGEST_NAME:
        return Fault(f"has {len(name)} characters; at most {LONGEST_NAME} are allowed")
    return None if name.isprintable() else Fault("contains characters that cannot be printed, or a second line", _FORM)


def check_manual(findings: Findings, _context: RuleContext) -> None:
    """Check that name, trust and grants are set, and refuse keys that need an API."""
    document = findings.document
    name = document.at("control_plane", "vendor")
    if document.text("control_plane", "type") != "manual":
        if name is not None:
            advice = "remove it, or write `type: manual` for a vendor without an API"
            findings.problem(
                ("control_plane", "vendor"), "names a vendor without an API; this control plane has one", advice
            )
        return
    if name is None:
        findings.problem(("control_plane",), "`vendor` is missing", _FORM)
    elif isinstance(name, str):
        findings.fault(("control_plane", "vendor"), vendor_fault(name))
    for key in ("url", "ca_bundle", "org_id"):
        if document.at("control_plane", key) is not None:
            findings.problem(("control_plane", key), "a vendor without an API has no address to ask", "remove it")
    if document.at("clusters"):
        message = "a vendor without an API creates its clusters itself: gridbyoc cannot create, change or delete them"
        findings.problem(("clusters",), message, "remove `clusters`, or write `clusters: []`")
    _check_role(findings)


def _check_role(findings: Findings) -> None:
    role = findings.document.mapping("role")
    place: Place = ("role",) if role else ()
    if not role.get("trusted_account_id") and not role.get("trusted_principals"):
        message = "names nobody who may assume the role, and a vendor without an API has no default"
        advice = (
            "write `role.trusted_principals` (ARNs of the vendor's roles), or `role.trusted_account_id` for its whole "
            "account"
        )
        findings.problem(place, message, advice)
    granted = {"managed_policies", "statements"} & role.keys()
    if findings.document.at("terraform", "module") is None and not granted:
        message = "grants the role nothing, and a vendor without an API has no default"
        advice = "write `role.managed_policies`, `role.statements` or both, as the vendor's documentation asks"
        findings.problem(place, message, advice)
