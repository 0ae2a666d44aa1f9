"""Rules for a stack file's values, beyond the JSON Schema. Every rule runs, whatever the others find.

A rule takes the ``Findings`` (which hold the document) and the ``RuleContext``. It checks only values of the right
type; the schema reports wrong types.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from gridbyoc.stack.document import Fault
from gridbyoc.stack.findings import Findings
from gridbyoc.stack.loopback import is_loopback
from gridbyoc.stack.rules.context import RuleContext
from gridbyoc.stack.rules.manual import check_manual
from gridbyoc.stack.rules.role import check_policies, check_principals, check_role, check_tags
from gridbyoc.stack.rules.terraform import (
    check_assumed_roles,
    check_aws,
    check_backend,
    check_stack_name,
    check_terraform,
)
from gridbyoc.stack.service_quotas import instance_type_fault
from gridbyoc.stack.words import Place, show
from gridbyoc.vendors import DEFAULT_VENDOR, VENDORS, facts_of

NAME_RULE = "1 to 63 of a-z, 0-9 and `-`, with no `-` at either end"
"""The rule of every control plane; their own clients check it before they send a name."""
_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def cluster_name_fault(name: str, dialect: str) -> Fault | None:
    """The fault of a cluster name; ``dialect`` is only for the message."""
    if _NAME.fullmatch(name):
        return None
    if len(name) > 63:
        return Fault(f"has {len(name)} characters; at most 63 are allowed")
    better = re.sub(r"[_. ]", "-", name.strip().lower()).strip("-")
    suggestion = f"; for instance `{better}`" if _NAME.fullmatch(better) else ""
    message = f"{show(name)} cannot be a cluster's name on a control plane of type `{dialect}`"
    return Fault(message, f"allowed: {NAME_RULE}{suggestion}")


def check_clusters(findings: Findings, _context: RuleContext) -> None:
    """Check that cluster names are valid and unique, and instance types valid and unique in each cluster."""
    clusters = findings.document.at("clusters")
    dialect = findings.document.text("control_plane", "type") or DEFAULT_VENDOR
    first: dict[str, int] = {}
    for index in range(len(clusters) if isinstance(clusters, list) else 0):
        name = findings.document.text("clusters", index, "name")
        if name is not None:
            place: Place = ("clusters", index, "name")
            findings.fault(place, cluster_name_fault(name, dialect))
            other = first.setdefault(name, index)
            if other != index:
                findings.problem(place, f"{show(name)} is the name of clusters[{other}] as well", "names are unique")
        _check_types(findings, index)


def _check_types(findings: Findings, cluster: int) -> None:
    place: Place = ("clusters", cluster, "instance_types")
    types = findings.document.at(*place)
    seen: set[str] = set()
    for index, item in enumerate(types if isinstance(types, list) else []):
        name = item.get("name") if isinstance(item, dict) else item
        if not isinstance(name, str):
            continue
        where: Place = (*place, index, "name") if isinstance(item, dict) else (*place, index)
        findings.type_fault(where, instance_type_fault(name))
        if name in seen:
            findings.problem(where, f"{show(name)} appears twice", "remove one of them")
        seen.add(name)


_FORM = "such as `https://platform.grid.ai`"


def url_fault(url: str) -> Fault | None:
    """The fault of an address. Required: http(s) and a host, without user, password, query or fragment.

    An address with a user is never shown.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return Fault("is not an http(s) address" if "@" in url else f"{show(url)} is not an http(s) address", _FORM)
    if "@" in parts.netloc:
        return Fault("contains a user or password", "credentials come from `gridbyoc login` or the environment")
    if parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        return Fault("contains more than scheme, host and path", _FORM)
    return None


def is_clear_text(url: str) -> bool:
    """Whether keys would cross a network unencrypted: http to any host but this machine."""
    parts = _split(url)
    if parts is None or parts.scheme != "http":
        return False
    return not is_loopback(url) and not (parts.hostname or "").endswith(".localhost")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port is None or parts.port > 0 else None
    except ValueError:
        return None


def check_control_plane(findings: Findings, context: RuleContext) -> None:
    """Check address and CA bundle; refuse settings that the control plane's type does not have."""
    url = findings.document.text("control_plane", "url")
    if url is not None:
        findings.fault(("control_plane", "url"), url_fault(url))
        if is_clear_text(url):
            findings.warning(("control_plane", "url"), "is http: the API key would travel unencrypted", "use https")
    bundle = findings.document.text("control_plane", "ca_bundle")
    if bundle is not None:
        findings.fault(("control_plane", "ca_bundle"), _bundle_fault(bundle, context))
    named = findings.document.at("control_plane", "type")
    if named == "manual":
        return  # check_manual refuses what needs an API
    facts = facts_of(named if named in VENDORS else DEFAULT_VENDOR)
    if not facts.has_profiles:
        _refuse_profiles(findings, facts.type)
    if not facts.api.organizations and findings.document.at("control_plane", "org_id") is not None:
        message = f"a control plane of type `{facts.type}` has no organizations"
        others = " or ".join(f"`type: {each}`" for each in VENDORS if facts_of(each).api.organizations)
        findings.problem(("control_plane", "org_id"), message, f"remove it, or write {others}")


def _bundle_fault(text: str, context: RuleContext) -> Fault | None:
    if not text.strip() or "\0" in text:
        return Fault("is not a path", "give a PEM file, or remove the key")
    if context.is_dir(text):
        return Fault(f"{show(str(context.path(text)))} is a directory", "give one PEM file")
    missing = Fault(f"there is no file {show(str(context.path(text)))}", "paths are relative to the stack file")
    return None if context.is_file(text) else missing


def _refuse_profiles(findings: Findings, dialect: str) -> None:
    clusters = findings.document.at("clusters")
    for index in range(len(clusters) if isinstance(clusters, list) else 0):
        place = ("clusters", index, "performance_profile")
        if findings.document.at(*place) is not None:
            findings.problem(place, f"a control plane of type `{dialect}` has no performance profiles", "remove it")


RULES = (
    check_stack_name,
    check_aws,
    check_assumed_roles,
    check_role,
    check_principals,
    check_policies,
    check_tags,
    check_clusters,
    check_control_plane,
    check_manual,
    check_backend,
    check_terraform,
)


def check_rules(findings: Findings, context: RuleContext) -> None:
    """Run every rule in ``RULES``."""
    for rule in RULES:
        rule(findings, context)
