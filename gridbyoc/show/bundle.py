"""The plain header of a bundle, as lines and as JSON. It holds no secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.words import instant, visible


def bundle_lines(header: Mapping[str, Any]) -> list[str]:
    """The stack, the versions that made the bundle, its planned changes, and the digests of its sources."""
    terraform, clusters, digests = header["summary"]["terraform"], header["summary"]["clusters"], header["digests"]
    counts = ", ".join(f"{count} to {word}" for word, count in clusters.items())
    sealed = header["encryption"]
    lines = [
        f"stack      {header['stack']}",
        f"made       {instant(header['created'])} by gridbyoc {header['tool']}, "
        f"{header['terraform']['flavour']} {header['terraform']['version']}",
        f"AWS        {terraform['add']} to add, {terraform['change']} to change, {terraform['destroy']} to destroy",
        f"clusters   {counts}",
        *([f"partial    only {', '.join(header['only'])}"] if header.get("only") else []),
        f"encrypted  {sealed.get('cipher') if sealed else 'no: it holds secrets in plain text'}",
        *(f"destroys   {each}" for each in header["summary"]["destroys"]),
        *(f"sha256     {digest}  {name}" for name, digest in digests["stack_files"].items()),
        f"sha256     {digests['module']}  the module",
        f"sha256     {digests['lock_file'] or 'none'}  the provider lock file",
    ]
    return [visible(line) for line in lines]


class TerraformPlanned(TypedDict):
    """The number of resources that Terraform would add, change and destroy."""

    add: int
    change: int
    destroy: int


class BundleSummary(TypedDict):
    """The changes that a bundle would make; ``clusters`` counts them by action."""

    has_changes: bool
    terraform: TerraformPlanned
    clusters: dict[str, int]
    destroys: list[str]


class BundleDigests(TypedDict):
    """SHA-256 of the files that a bundle was made from, by name."""

    stack_files: dict[str, str]
    module: str
    lock_file: str


class BundleTerraform(TypedDict):
    """The Terraform binary that planned the bundle."""

    flavour: str
    version: str


class BundleBody(TypedDict):
    """The plain header of a bundle, without the parameters of its encryption. ``partial``: the plan is limited with
    ``--cluster``, to the clusters ``only``.
    """

    format: int
    created: str
    tool: str
    terraform: BundleTerraform
    digests: BundleDigests
    summary: BundleSummary
    encrypted: bool
    partial: bool
    only: list[str]


def bundle_json(header: Mapping[str, Any]) -> BundleBody:
    """The header, without the parameters of the encryption."""
    terraform, summary, digests = header["terraform"], header["summary"], header["digests"]
    counts = summary["terraform"]
    return {
        "format": header["format"],
        "created": header["created"],
        "tool": header["tool"],
        "terraform": {"flavour": terraform["flavour"], "version": terraform["version"]},
        "digests": {
            "stack_files": digests["stack_files"],
            "module": digests["module"],
            "lock_file": digests["lock_file"],
        },
        "summary": {
            "has_changes": summary["has_changes"],
            "terraform": {"add": counts["add"], "change": counts["change"], "destroy": counts["destroy"]},
            "clusters": summary["clusters"],
            "destroys": summary["destroys"],
        },
        "encrypted": header["encryption"] is not None,
        "partial": bool(header.get("only")),
        "only": header.get("only", []),
    }


def _write(header: Mapping[str, Any], screen: Screen) -> None:
    for line in bundle_lines(header):
        screen.line(line)


BUNDLE_HEADER = Output("bundle", bundle_json, _write)
