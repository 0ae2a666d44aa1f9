"""What the plain header of a bundle says, as lines and as JSON. It holds no secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbyoc.stack.words import instant, visible


def bundle_lines(header: Mapping[str, Any]) -> list[str]:
    """What it is of, what made it, what it would do, and the digests of what it was made from."""
    terraform, clusters, digests = header["summary"]["terraform"], header["summary"]["clusters"], header["digests"]
    counts = ", ".join(f"{count} to {word}" for word, count in clusters.items())
    sealed = header["encryption"]
    lines = [
        f"stack      {header['stack']}",
        f"made       {instant(header['created'])} by gridbyoc {header['tool']}, "
        f"{header['terraform']['flavour']} {header['terraform']['version']}",
        f"AWS        {terraform['add']} to add, {terraform['change']} to change, {terraform['destroy']} to destroy",
        f"clusters   {counts}",
        f"encrypted  {sealed.get('cipher') if sealed else 'no: it holds secrets in clear'}",
        *(f"destroys   {each}" for each in header["summary"]["destroys"]),
        *(f"sha256     {digest}  {name}" for name, digest in digests["stack_files"].items()),
        f"sha256     {digests['module']}  the module",
        f"sha256     {digests['lock_file'] or 'none'}  the provider lock file",
    ]
    return [visible(line) for line in lines]


def bundle_object(header: Mapping[str, Any]) -> dict[str, Any]:
    """The header as the object of ``--format json``, without the parameters of the encryption."""
    left_out = {"kind", "payload_sha256", "encryption"}
    kept = {name: value for name, value in header.items() if name not in left_out}
    return {"type": "bundle", **kept, "encrypted": header["encryption"] is not None}
