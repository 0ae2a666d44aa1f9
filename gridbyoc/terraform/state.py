"""Where the state lies, and the short ways to read it."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridbyoc.stack.files import json_object, read_json, read_private, write_atomic

RECORD = Path(".terraform") / "terraform.tfstate"
_OWNED = re.compile(r"\.gridbyoc-(\d+)-\w+")
_BLOCK = re.compile(r'^\s*backend\s+"(\w+)"\s*\{', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the state is kept; without a word of it, in a file of the work_dir. ``config`` is known after an init."""

    type: str = "local"
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def remote(self) -> bool:
        """The state does not lie in a file here."""
        return self.type != "local"

    def state_file(self, work_dir: Path) -> Path:
        """The file of a local state."""
        return work_dir / str(self.config.get("path") or "terraform.tfstate")


def backend_of(work_dir: Path) -> Backend:
    """The backend that the work_dir was initialised with, else the one that its ``.tf`` files ask for."""
    # https://developer.hashicorp.com/terraform/language/backend#initialize-the-backend
    backend = read_json(work_dir / RECORD).get("backend")
    if isinstance(backend, dict) and isinstance(backend.get("type"), str):
        config = backend.get("config")
        return Backend(backend["type"], config if isinstance(config, dict) else {})
    for path in sorted(work_dir.glob("*.tf")):
        with suppress(OSError):
            if match := _BLOCK.search(read_private(path).decode("utf-8", "replace")):
                return Backend(match[1])
    return Backend()


def has_resources(state: Mapping[str, Any]) -> bool:
    """A state with a resource in it; data sources do not count."""
    resources = state.get("resources")
    found = resources if isinstance(resources, list) else []
    return any(isinstance(item, dict) and item.get("mode") == "managed" and item.get("instances") for item in found)


def standing_role(work_dir: Path) -> bool:
    """Whether the local state of ``work_dir`` holds an IAM role; the file alone is read, no Terraform is started."""
    return bool(standing_roles(work_dir))


def standing_roles(work_dir: Path) -> frozenset[str]:
    """The ARNs of the IAM roles that the local state of ``work_dir`` holds, also of one that is being replaced."""
    resources = read_json(backend_of(work_dir).state_file(work_dir)).get("resources")
    found = [item for item in resources if isinstance(item, dict)] if isinstance(resources, list) else []
    roles = [item for item in found if item.get("mode") == "managed" and item.get("type") == "aws_iam_role"]
    instances = [instance for role in roles for instance in role.get("instances") or ()]
    arns = [(instance.get("attributes") or {}).get("arn") for instance in instances if isinstance(instance, dict)]
    return frozenset(arn for arn in arns if isinstance(arn, str))


@dataclass(frozen=True, slots=True)
class ModuleInState:
    """What the state has of a module: whether anything at all, its IAM role, and what that is granted.

    ``trust`` is the role's trust policy (it holds external ids), ``policies`` the documents of policies that the module
    made, ``attached`` the ARNs of every policy that it attached.
    """

    present: bool = False
    role_arn: str | None = None
    role_name: str | None = None
    trust: Mapping[str, Any] = field(default_factory=dict, repr=False)
    policies: tuple[Mapping[str, Any], ...] = ()
    attached: frozenset[str] = frozenset()


def module_in(state: Mapping[str, Any], address: str) -> ModuleInState:
    """The managed resources of the module ``address`` (``module.NAME``) in a state, as far as they matter here."""
    resources = state.get("resources")
    found = [item for item in resources if isinstance(item, dict)] if isinstance(resources, list) else []
    mine = [r for r in found if r.get("module") == address and r.get("mode") == "managed" and r.get("instances")]
    roles = _attributes(mine, "aws_iam_role")
    role = roles[0] if roles else {}
    attached = (each.get("policy_arn") for each in _attributes(mine, "aws_iam_role_policy_attachment"))
    return ModuleInState(
        bool(mine),
        role.get("arn"),
        role.get("name"),
        _document(role.get("assume_role_policy")),
        tuple(_document(each.get("policy")) for each in _attributes(mine, "aws_iam_policy")),
        frozenset(arn for arn in attached if isinstance(arn, str)),
    )


def _attributes(resources: list[dict[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    instances = [each for resource in resources if resource.get("type") == kind for each in resource["instances"]]
    return [each.get("attributes") or {} for each in instances if isinstance(each, dict)]


def _document(text: object) -> Mapping[str, Any]:
    """A policy document; empty where there is none that can be read."""
    return json_object(str(text)) or {}


@contextmanager
def bare_directory(work_dir: Path, backend: Backend) -> Iterator[Path]:
    """A directory that requires no provider, and for remote state has the same backend, already initialised.

    ``output`` is ten times faster here: in the work_dir it first hashes every provider (707 MB for AWS) against the
    lock file. The copied record is accepted because Terraform hashes the backend's values, not its text.
    """
    bare = _temporary(work_dir)
    try:
        if backend.remote:
            (bare / RECORD.parent).mkdir()
            write_atomic(bare / RECORD, read_private(work_dir / RECORD))
            write_atomic(bare / "backend.tf.json", _backend_json(backend))
        yield bare
    finally:
        shutil.rmtree(bare, ignore_errors=True)


@contextmanager
def blank_directory(work_dir: Path, backend: Backend) -> Iterator[Path]:
    """A directory with nothing but this backend in it, to be initialised: for a state that lies elsewhere."""
    blank = _temporary(work_dir)
    try:
        here = backend if backend.remote else Backend("local", {"path": str(backend.state_file(work_dir))})
        write_atomic(blank / "backend.tf.json", _backend_json(here))
        yield blank
    finally:
        shutil.rmtree(blank, ignore_errors=True)


def _temporary(work_dir: Path) -> Path:
    """A new directory that names us as its owner; those of owners that were killed go (they may hold a state)."""
    for left in work_dir.glob(".gridbyoc-*-*/"):
        match = _OWNED.fullmatch(left.name)
        if match and not _alive(int(match[1])):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f".gridbyoc-{os.getpid()}-", dir=work_dir))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True


def _backend_json(backend: Backend) -> str:
    """The block in Terraform's JSON syntax, where a text is a template unless its marks are doubled."""
    config = {name: _literal(value) for name, value in backend.config.items() if value is not None}
    return json.dumps({"terraform": {"backend": {backend.type: config}}})


def _literal(value: object) -> object:
    return value.replace("${", "$${").replace("%{", "%%{") if isinstance(value, str) else value
