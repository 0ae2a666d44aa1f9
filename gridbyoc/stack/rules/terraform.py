"""Terraform's own settings: versions, mirror, another module."""

from __future__ import annotations

import re

from gridbyoc.stack.findings import Fault, Findings
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.words import Place, show

_TERM = re.compile(r"\s*(=|!=|>=|<=|~>|>|<)?\s*([0-9]+)(\.[0-9]+){0,2}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?\s*")
# https://developer.hashicorp.com/terraform/language/modules/sources
_REGISTRY = re.compile(r"([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/[a-z0-9]+(//[^?]+)?")
_REMOTE = re.compile(r"(git|hg|s3|gcs)::|https?://|git@|(github\.com|bitbucket\.org)/")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_META = ("source", "version", "providers", "count", "for_each", "depends_on", "lifecycle", "locals")
_MODULE: Place = ("terraform", "module")
EXCLUSIVE_SINCE = (5, 72)
"""The AWS provider that has both ``aws_iam_role_policies_exclusive`` (5.68) and ``…_policy_attachments_exclusive``."""


def constraint_fault(text: str) -> Fault | None:
    """A version constraint of Terraform: ``~> 5.100``, ``>= 5.0, < 7.0``."""
    if all(_TERM.fullmatch(term) for term in text.split(",")):
        return None
    return Fault(f"{show(text)} is not a version constraint", "such as `~> 5.100` or `>= 5.0, < 7.0`")


def is_path(source: str) -> bool:
    """Whether a module source is a path: Terraform wants such to begin with ``./``, ``../`` or ``/``."""
    return source.startswith(("./", "../", "/", "~/")) or source in (".", "..")


def is_registry(source: str) -> bool:
    """Whether a module source is a registry address: ``[HOST/]NAMESPACE/NAME/PROVIDER[//SUBDIR]``."""
    return not is_path(source) and not _REMOTE.match(source) and bool(_REGISTRY.fullmatch(source))


def source_fault(source: str, context: Context) -> Fault | None:
    """A registry address, an existing directory, or a remote address that Terraform understands."""
    if "\0" in source or not source.isprintable():
        return Fault("holds characters that cannot be printed")
    if is_path(source):
        base, _, inner = source.partition("//")
        whole = f"{base}/{inner}" if inner else source
        return None if context.is_dir(whole) else _no_directory(whole, context)
    if _REMOTE.match(source):
        secret = re.search(r"://[^/]*:[^/]*@|https?://[^/]*@", source)
        return Fault("holds a user or password", "give Terraform its credentials apart") if secret else None
    if is_registry(source):
        return None
    hint = "give a registry address (`namespace/name/provider`), or a path that begins with `./` or `../`"
    return Fault(f"{show(source)} is not a module source", hint)


def _no_directory(text: str, context: Context) -> Fault:
    return Fault(f"there is no directory {show(str(context.path(text)))}", "paths are relative to the stack file")


def check_terraform(findings: Findings, context: Context) -> None:
    """Provider version, mirror, module."""
    version = findings.document.text("terraform", "aws_provider_version")
    if version is not None:
        findings.fault(("terraform", "aws_provider_version"), constraint_fault(version) or _too_old(findings, version))
    mirror = findings.document.text("terraform", "provider_mirror")
    if mirror is not None and not context.is_dir(mirror):
        findings.fault(("terraform", "provider_mirror"), _no_directory(mirror, context))
    _check_source(findings, context)
    _check_inputs(findings)


def _too_old(findings: Findings, text: str) -> Fault | None:
    """The gridbyoc module needs provider 5.0, ``role.exclusive`` 5.72; a constraint below would fail in init."""
    if findings.document.at(*_MODULE) is not None:
        return None
    exclusive = findings.document.at("role", "exclusive") is True
    what, floor = ("`role.exclusive`", EXCLUSIVE_SINCE) if exclusive else ("the gridbyoc module", (5, 0))
    for match in filter(None, map(_TERM.fullmatch, text.split(","))):
        if not _reaches(match[1] or "=", [int(part) for part in re.findall(r"[0-9]+", match[0].split("-")[0])], floor):
            needs = f"it needs {floor[0]}.{floor[1]} or newer"
            return Fault(f"{show(text)} admits no version that {what} can use", needs)
    return None


def _reaches(operator: str, version: list[int], floor: tuple[int, int]) -> bool:
    """Whether one term of a constraint leaves room for a version that is ``floor`` or newer."""
    major, minor = version[0], version[1] if len(version) > 1 else 0
    if operator == "~>":
        # the last number given may grow: https://developer.hashicorp.com/terraform/language/expressions/version-constraints
        return (major, minor) >= floor if len(version) == 3 else major >= floor[0]
    if operator == "<":
        return (*version, 0, 0)[:3] > (*floor, 0)
    return operator in ("!=", ">=", ">") or (major, minor) >= floor


def _check_source(findings: Findings, context: Context) -> None:
    source, version = findings.document.text(*_MODULE, "source"), findings.document.at(*_MODULE, "version")
    if isinstance(version, str):
        findings.fault((*_MODULE, "version"), constraint_fault(version))
    if source is None:
        return
    findings.fault((*_MODULE, "source"), source_fault(source, context))
    if is_registry(source) and version is None:
        findings.problem(_MODULE, "a registry address needs a `version`", "such as `version: ~> 1.0`")
    elif version is not None and not is_registry(source) and not findings.known_at((*_MODULE, "source")):
        findings.problem((*_MODULE, "version"), "only registry addresses have versions", "remove it")


def _check_inputs(findings: Findings) -> None:
    for key in findings.document.mapping(*_MODULE, "inputs"):
        place = (*_MODULE, "inputs", key)
        if key == "external_id":
            findings.problem(place, "an external id never stands in the stack file", "let the module generate it")
        elif key in _META:
            findings.problem(place, f"`{key}` is a word of Terraform's own and no input of a module")
        elif not _IDENTIFIER.fullmatch(key):
            findings.problem(place, f"{show(key)} is not a Terraform identifier", "letters, digits, `_` and `-`")
