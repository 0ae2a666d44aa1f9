"""The control plane: its address, and what one type has that the other has not."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from gridbyoc.stack.findings import Fault, Findings
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.words import show

_FORM = "such as `https://platform.grid.ai`"


def url_fault(url: str) -> Fault | None:
    """An http(s) address of a host; no user, password, query or fragment. An address with a user is never shown."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return Fault("is not an http(s) address" if "@" in url else f"{show(url)} is not an http(s) address", _FORM)
    if "@" in parts.netloc:
        return Fault("holds a user or password", "credentials come from `gridbyoc login` or the environment")
    if parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        return Fault("holds more than scheme, host and path", _FORM)
    return None


def is_clear_text(url: str) -> bool:
    """Whether keys would travel unencrypted over a network: http to anything but this machine."""
    parts = _split(url)
    if parts is None or parts.scheme != "http":
        return False
    host = parts.hostname or ""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost" and not host.endswith(".localhost")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port is None or parts.port > 0 else None
    except ValueError:
        return None


def check_control_plane(findings: Findings, context: Context) -> None:
    """Address, CA bundle, and settings that the type does not have."""
    url = findings.document.text("control_plane", "url")
    if url is not None:
        findings.fault(("control_plane", "url"), url_fault(url))
        if is_clear_text(url):
            findings.warning(("control_plane", "url"), "is http: the API key would travel unencrypted", "use https")
    bundle = findings.document.text("control_plane", "ca_bundle")
    if bundle is not None:
        findings.fault(("control_plane", "ca_bundle"), _bundle_fault(bundle, context))
    if findings.document.at("control_plane", "type") == "lightning":
        _check_lightning(findings)
    elif findings.document.at("control_plane", "org_id") is not None:
        message = "a control plane of type `grid` has no organizations"
        findings.problem(("control_plane", "org_id"), message, "remove it, or write `type: lightning`")


def _bundle_fault(text: str, context: Context) -> Fault | None:
    if not text.strip() or "\0" in text:
        return Fault("is not a path", "give a PEM file, or remove the key")
    if context.is_dir(text):
        return Fault(f"{show(str(context.path(text)))} is a directory", "give one PEM file")
    missing = Fault(f"there is no file {show(str(context.path(text)))}", "paths are relative to the stack file")
    return None if context.is_file(text) else missing


def _check_lightning(findings: Findings) -> None:
    clusters = findings.document.at("clusters")
    for index in range(len(clusters) if isinstance(clusters, list) else 0):
        place = ("clusters", index, "performance_profile")
        if findings.document.at(*place) is not None:
            findings.problem(place, "a control plane of type `lightning` has no performance profiles", "remove it")
