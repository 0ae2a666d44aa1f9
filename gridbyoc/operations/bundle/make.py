"""Write a plan and everything that it depends on into a bundle, and read it back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gridbyoc import __version__
from gridbyoc.errors import SAFE_NOTHING_DONE, BundleError, UsageError
from gridbyoc.operations.bundle.file import (
    BUNDLE,
    Basis,
    Bundle,
    MadeFrom,
    PlannedCluster,
    basis_of,
    summary_of_json,
)
from gridbyoc.operations.plan import Plan
from gridbyoc.operations.prepare import PreparedStack
from gridbyoc.operations.run import Run
from gridbyoc.render import file_digest, module_digest, root_digest
from gridbyoc.stack.extends import files_of
from gridbyoc.stack.files import read_private, require_place
from gridbyoc.stack.model import Stack
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import Binary, PlanSummary, provider_settings

LOCK_FILE = ".terraform.lock.hcl"


def check_bundleable(stack: Stack, out: Path) -> None:
    """Refuse a stack or an output path that no bundle can be made for, before anything is done.

    Refused are a stack without a file (another job could not find it), an output path that would replace one of the
    stack's files, and one that cannot be written.
    """
    files = files_of(stack)
    require_place(out)
    if any(out.resolve() == file.resolve() for file in files):
        raise UsageError(
            f"The bundle would replace {out.name}, which is one of the stack's files.",
            fix="Give --out another name, such as plan.bundle.",
            rerun=SAFE_NOTHING_DONE,
        )
    if not files:
        raise UsageError(
            "A bundle cannot be made from a stack file from standard input.",
            why="It names the stack's files, so that changes are noticed.",
            fix="Name the stack file.",
            rerun=SAFE_NOTHING_DONE,
        )


def make_bundle(run: Run, site: PreparedStack, plan: Plan, *, overrides: Sequence[str], key: Secret | None) -> bytes:
    """The bundle of a plan that was just made and is still saved; encrypted if there is a ``key``."""
    if plan.saved is None or plan.terraform is None:
        raise UsageError("There is no saved plan to put into a bundle.", rerun=SAFE_NOTHING_DONE)
    made = made_from(run.stack, run.work_dir, site.binary)
    header = {
        "stack": run.stack.name,
        "created": run.outside.now().isoformat(timespec="seconds"),
        "tool": made.tool,
        "terraform": {"flavour": made.flavour, "version": made.version},
        "digests": {"stack_files": made.stack_files, "module": made.module, "lock_file": made.lock_file},
        "summary": _summary(plan, plan.terraform),
        **({"only": list(plan.only)} if plan.only else {}),
    }
    payload = {
        "plan": base64.b64encode(read_private(plan.saved)).decode(),
        "lock_file": _read(run.work_dir / LOCK_FILE),
        "overrides": list(overrides),
        "root": root_digest(run.work_dir),
        "environment": environment_digest(run.outside.environ),
        "run": run.journal.run_id,
        "against": asdict(basis_of(run, site, plan.grant)),
        "terraform": _terraform(plan.terraform),
        "changes": [asdict(PlannedCluster.of(change)) for change in plan.clusters],
        "detaches": list(plan.detaches),
    }
    return BUNDLE.pack(header, payload, key)


def read_bundle(data: bytes, key: Secret | None) -> Bundle:
    """Read and check a bundle. Raises ``BundleError`` and ``BundleKeyError``."""
    header, payload = BUNDLE.unpack(data, key)
    try:
        plan = base64.b64decode(payload["plan"], validate=True)
    except (binascii.Error, ValueError):
        raise BundleError("The saved plan in the bundle is damaged.", fix="Plan again.") from None
    return Bundle(
        stack=header["stack"],
        created=header["created"],
        made=MadeFrom.of_header(header),
        plan=plan,
        lock_file=payload["lock_file"],
        overrides=tuple(payload["overrides"]),
        root=payload["root"],
        environment=payload["environment"],
        run=payload["run"],
        basis=Basis.of_json(payload["against"]),
        terraform=summary_of_json(payload["terraform"]),
        changes=tuple(map(PlannedCluster.of_json, payload["changes"])),
        detaches=tuple(payload.get("detaches", ())),
        only=tuple(header.get("only", ())),
    )


def made_from(stack: Stack, work_dir: Path, binary: Binary) -> MadeFrom:
    """The current versions and digests; the digest of a missing file is empty."""
    base = stack.file.parent if stack.file else work_dir
    files = {Path(os.path.relpath(path, base)).as_posix(): file_digest(path) for path in files_of(stack)}
    lock_file = work_dir / LOCK_FILE
    return MadeFrom(
        tool=__version__,
        flavour=binary.flavour,
        version=".".join(map(str, binary.version)),
        stack_files=files,
        module=module_digest(stack),
        lock_file=file_digest(lock_file) if lock_file.exists() else "",
    )


def environment_digest(environ: Mapping[str, str]) -> str:
    """SHA-256 of everything that Terraform's AWS provider reads from the environment, except credentials."""
    return hashlib.sha256(json.dumps(provider_settings(environ)).encode("utf-8", "surrogatepass")).hexdigest()


def _summary(plan: Plan, terraform: PlanSummary) -> dict[str, Any]:
    return {
        "has_changes": plan.has_changes,
        "terraform": {"add": terraform.add, "change": terraform.change, "destroy": terraform.destroy},
        "clusters": {
            word: sum(change.action == word for change in plan.clusters) for word in ("create", "update", "delete")
        },
        "destroys": list(plan.destroys),
    }


def _terraform(summary: PlanSummary) -> dict[str, Any]:
    kept = ("add", "change", "destroy", "has_changes", "changes", "outputs")
    found = asdict(summary)
    return {name: found[name] for name in kept}


def _read(path: Path) -> str | None:
    return read_private(path).decode() if path.exists() else None
