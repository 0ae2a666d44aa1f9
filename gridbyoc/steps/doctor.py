"""The checks of ``gridbyoc doctor``: tools and credentials."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gridbyoc.aws import caller_identity, guard_account, open_session
from gridbyoc.control_plane import connect
from gridbyoc.errors import GridbyocError
from gridbyoc.stack.model import ControlPlane, Stack
from gridbyoc.terraform import check_mirror, find_binary


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result: a stable code, what was read, and what to do about it."""

    code: str
    check: str
    verdict: Literal["pass", "warn", "fail", "unknown"]
    detail: str
    fix: str = ""


def examine(
    stack: Stack | None, *, environ: Mapping[str, str], home: Path, terraform_bin: str | None, url: str | None
) -> tuple[Finding, ...]:
    """Run every check; a check that cannot be carried out is a finding, never an exception."""
    checks: tuple[tuple[str, str, Callable[[], str]], ...] = (
        ("GBY-D001", "terraform", lambda: _terraform(environ, terraform_bin)),
        ("GBY-D002", "provider mirror", lambda: _mirror(stack, environ)),
        ("GBY-D003", "AWS credentials", lambda: _aws(stack, environ)),
        ("GBY-D004", "control plane", lambda: _control_plane(stack, environ, home, url)),
    )
    return tuple(_finding(*check) for check in checks)


def _finding(code: str, check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(code, check, "pass", look())
    except GridbyocError as error:
        return Finding(code, check, "fail", f"{error.what} {error.why}".strip(), error.fix)


def _terraform(environ: Mapping[str, str], explicit: str | None) -> str:
    binary = find_binary(explicit, environ)
    return f"{binary.flavour} {'.'.join(map(str, binary.version))} at {binary.path}"


def _mirror(stack: Stack | None, environ: Mapping[str, str]) -> str:
    mirror = check_mirror(stack.terraform.provider_mirror if stack else None, environ)
    return f"providers come from {mirror}" if mirror else "none asked for: Terraform downloads its providers"


def _aws(stack: Stack | None, environ: Mapping[str, str]) -> str:
    region = stack.aws.region if stack else environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION", "us-east-1")
    caller = caller_identity(open_session(region, stack.aws.profile if stack else None))
    guard_account(caller, stack.aws.account_id if stack else None)
    return f"account {caller.account_id} as {caller.arn}"


def _control_plane(stack: Stack | None, environ: Mapping[str, str], home: Path, url: str | None) -> str:
    plane = stack.control_plane if stack else ControlPlane()
    registrar = connect(plane, environ=environ, home=home, url=url, sleep=time.sleep, clock=time.monotonic)
    return f"{registrar.url} knows us, {len(registrar.list())} clusters"
