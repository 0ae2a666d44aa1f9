"""Render a stack into its work_dir without touching files that gridbyoc did not write."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath

from gridbyoc.render.module import File, called_module
from gridbyoc.render.root import NO_PREVIOUS_ROLE, VALUES, KnownPolicies, PreviousRole, root_files, root_values
from gridbyoc.stack.files import (
    file_error,
    json_object,
    make_private_dir,
    read_json,
    read_private,
    remove,
    write_all,
    write_atomic,
)
from gridbyoc.stack.model import LocalBackend, Role, S3Backend, Stack
from gridbyoc.stack.secret import Secret

MANIFEST = ".gridbyoc-rendered.json"
_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_READ_BY_TERRAFORM = (".tf", ".tf.json", ".tofu", ".tofu.json", ".auto.tfvars", ".auto.tfvars.json")
_NOT_OF_THE_MODULE = frozenset({"tags", "known_policies", "known_inline_policies", "vendor", "external_id_variable"})
"""The fields of ``Role`` that apply with any module, or that the stack file does not set."""
_INIT_READS = {"versions.tf", "backend.tf", "main.tf"}
_NOT_OURS = {"terraform.tfstate", "terraform.tfstate.backup", ".terraform.lock.hcl", ".terraform"}


@dataclass(frozen=True, slots=True)
class Rendered:
    """The result of ``render``: files written and removed (sorted paths in the work_dir), and warnings.

    ``digest`` (SHA-256) changes if something changes that ``terraform init`` depends on.
    """

    work_dir: Path
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    warnings: tuple[str, ...]
    digest: str


def render(
    stack: Stack,
    work_dir: Path,
    *,
    s3_native_lock: bool = True,
    previous_external_ids: Sequence[Secret] | None = None,
    previous_role: PreviousRole | None = None,
    account_id: str | None = None,
    known: KnownPolicies | None = None,
    imports: Mapping[str, str] | None = None,
) -> Rendered:
    """Write the root module of ``stack`` into ``work_dir``: only changed files, atomically, readable by the owner only.

    ``s3_native_lock``: the Terraform that will run can lock state in S3 without a table. ``previous_external_ids``:
    further external ids that the role continues to accept. ``previous_role``: a role that is being replaced and stays
    for now, or ``NO_PREVIOUS_ROLE``. ``account_id``: the only account in which the provider may work, if the stack file
    names none. ``known``: the known policies on an exclusive role. If one of these four is ``None``, it keeps the value
    of the last render. ``imports``: import ids by address, for the next apply to import into the state. State, lock
    file, ``.terraform``, journal and logs are never touched. Raises ``FileError``, and ``StackError`` for values that
    Terraform could not read.
    """
    module = called_module(stack)
    previous = standing_ids(work_dir) if previous_external_ids is None else previous_external_ids
    root = root_files(
        stack,
        module,
        s3_native_lock=s3_native_lock,
        previous=previous,
        previous_role=(_standing_role(work_dir) if previous_role is None else previous_role) or None,
        account_id=account_id or standing_account(work_dir),
        known=standing_known(stack, work_dir) if known is None else known,
        imports=imports,
    )
    files = root | dict(module.files)
    make_private_dir(work_dir)
    before = rendered_files(work_dir)
    _remember(work_dir, before | files.keys())
    removed = tuple(name for name in sorted(before - files.keys()) if _remove(work_dir, name))
    changed = _write(work_dir, files)
    _remember(work_dir, files.keys())
    warnings = (*module.warnings, *_stack_warnings(stack, s3_native_lock), *_strangers(work_dir, files))
    return Rendered(work_dir, changed, removed, warnings, _digest(files))


def standing_ids(work_dir: Path) -> tuple[Secret, ...]:
    """The previous external ids that the last render wrote; empty if there are none or they cannot be read."""
    found = read_json(work_dir / VALUES).get("previous_external_ids")
    return tuple(Secret(str(value)) for value in found) if isinstance(found, list) else ()


def _standing_role(work_dir: Path) -> PreviousRole:
    """The previous role of the last render, or ``NO_PREVIOUS_ROLE``."""
    found = read_json(work_dir / VALUES)
    name, path = found.get("previous_role_name"), found.get("previous_role_path")
    if not isinstance(name, str) or not isinstance(path, str):
        return NO_PREVIOUS_ROLE
    own = (found.get(f"previous_policy_{key}") for key in ("name", "path", "description"))
    return PreviousRole(name, path, *(value if isinstance(value, str) else None for value in own))


def standing_known(stack: Stack, work_dir: Path) -> KnownPolicies:
    """The known policies that the last render wrote and the stack file still lists."""
    found = read_json(work_dir / VALUES)
    attached, inline = found.get("known_policies"), found.get("known_inline_policies")
    return KnownPolicies(
        tuple(arn for arn in stack.role.known_policies if isinstance(attached, list) and arn in attached),
        tuple(name for name in stack.role.known_inline_policies if isinstance(inline, list) and name in inline),
    )


def values_differ(stack: Stack, work_dir: Path) -> bool:
    """Whether the values of ``stack`` differ from those of the last render; false if there was no render.

    Values of a role that is being replaced are ignored, because the stack file does not set them. If the stack file
    names no account, the last render's account counts.
    """
    written = read_json(work_dir / VALUES)
    asked = root_values(stack, standing_ids(work_dir), standing_account(work_dir), standing_known(stack, work_dir))
    kept = {
        name: value for name, value in written.items() if not name.startswith(("previous_role_", "previous_policy_"))
    }
    return bool(written) and kept != json.loads(json.dumps(asked))


def standing_account(work_dir: Path) -> str | None:
    """The account that the last render allowed the provider to work in; ``None`` if it named none."""
    found = read_json(work_dir / VALUES).get("account_id")
    return found if isinstance(found, str) and _ACCOUNT_ID.fullmatch(found) else None


def _write(work_dir: Path, files: Mapping[str, File]) -> tuple[str, ...]:
    """Write the files that differ and their directories; return their names, sorted."""
    by_directory: dict[PurePosixPath, dict[str, tuple[bytes, int]]] = {}
    for path, file in sorted((PurePosixPath(name), file) for name, file in files.items()):
        by_directory.setdefault(path.parent, {})[path.name] = (file.content, file.mode)
    above = {parent for directory in by_directory for parent in (directory, *directory.parents) if parent.name}
    for directory in sorted(above):
        make_private_dir(work_dir / directory)
    changed = (directory / name for directory, all_of_it in by_directory.items()
               for name in write_all(work_dir / directory, all_of_it))  # fmt: skip
    return tuple(sorted(path.as_posix() for path in changed))


def _remove(work_dir: Path, name: str) -> bool:
    """Remove a file that an earlier render wrote, and directories that become empty; return whether it existed.

    A directory in its place is not ours and stays.
    """
    path = work_dir / name
    try:
        if not remove(path):
            return False
    except (NotADirectoryError, IsADirectoryError):
        return False
    except OSError as error:
        raise file_error("Cannot remove", path, error) from None
    for parent in PurePosixPath(name).parents[:-1]:
        try:
            (work_dir / parent).rmdir()
        except OSError:
            break
    return True


def rendered_files(work_dir: Path) -> set[str]:
    """The files of earlier renders, as paths in the work_dir. A damaged list counts as empty, so nothing is removed."""
    try:
        found = json_object(read_private(work_dir / MANIFEST)) or {}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise file_error("Cannot read", work_dir / MANIFEST, error) from None
    names = found.get("files")
    return {name for name in names if _may_be_ours(name)} if isinstance(names, list) else set()


def _may_be_ours(name: object) -> bool:
    if not isinstance(name, str):
        return False
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and path.parts[0] not in _NOT_OURS


def _remember(work_dir: Path, names: Collection[str]) -> None:
    write_atomic(work_dir / MANIFEST, json.dumps({"files": sorted(names)}, indent=2) + "\n")


def _stack_warnings(stack: Stack, s3_native_lock: bool) -> Iterator[str]:
    backend = stack.terraform.backend
    if isinstance(backend, S3Backend) and not s3_native_lock and backend.dynamodb_table is None:
        yield (
            "The state in S3 is not locked: this Terraform is older than 1.10 and no dynamodb_table is set. "
            "Two runs at once can damage it."
        )
    unused = [each.name for each in fields(Role) if getattr(stack.role, each.name) != getattr(Role(), each.name)]
    used = _NOT_OF_THE_MODULE
    if stack.role.vendor is None:
        used |= {"trusted_account_id", "trusted_principals", "trusted_principals_without_external_id"}
    if stack.terraform.module and stack.terraform.module.takes_external_id:
        used |= {"external_id"}
    unused = [name for name in unused if name not in used]
    if stack.terraform.module and unused:
        yield (
            f"These settings of role have no effect on another module: {', '.join(unused)}. "
            "Set the module's inputs under terraform.module.inputs."
        )


def _strangers(work_dir: Path, files: Mapping[str, File]) -> Iterator[str]:
    for path in strange_files(work_dir, files.keys()):
        yield f"gridbyoc did not render {path}, but Terraform reads it. It was left unchanged."


def strange_files(work_dir: Path, ours: Collection[str] | None = None) -> Iterator[Path]:
    """Files that Terraform reads and no render wrote. ``ours``: the rendered files; default: the last render's list."""
    names = rendered_files(work_dir) if ours is None else ours
    found = (name for name in _below(work_dir) if name not in names and read_by_terraform(name))
    yield from sorted(work_dir / name for name in found)


def _below(work_dir: Path) -> Iterator[str]:
    """The files of the work_dir and, recursively, of its modules, as relative paths; links are not followed."""
    yield from (path.name for path in work_dir.iterdir())
    for directory, inner, files in os.walk(work_dir / "modules"):
        prefix = Path(directory).relative_to(work_dir).as_posix()
        yield from (f"{prefix}/{name}" for name in (*inner, *files))


def read_by_terraform(name: str) -> bool:
    """Whether Terraform automatically reads a file with this path in the work_dir."""
    return name.endswith(_READ_BY_TERRAFORM) or name == "terraform.tfvars"


def declared_files(stack: Stack, account_id: str, known: KnownPolicies) -> dict[str, bytes]:
    """The content of the files that ``stack`` alone decides, by name: the same on every machine, in any work_dir.

    They are rendered as for a local state and without a profile: neither the place of the state nor the source of the
    credentials changes what a plan asks for. ``account_id``: as for ``render``, if the stack file names none.
    """
    local = replace(stack.terraform, backend=LocalBackend())
    stack = replace(stack, terraform=local, aws=replace(stack.aws, profile=None))
    module = called_module(stack)
    root = root_files(stack, module, s3_native_lock=False, account_id=account_id, known=known)
    files = root | dict(module.files)
    return {name: files[name].content for name in sorted(files) if not name.endswith(".md")}


def terraform_files(work_dir: Path) -> tuple[Path, ...]:
    """All configuration files that Terraform reads in the work_dir: those of the last render, and strange files."""
    ours = rendered_files(work_dir)
    return tuple(sorted({*(work_dir / name for name in ours), *strange_files(work_dir, ours)}))


def _digest(files: Mapping[str, File]) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        if name in _INIT_READS or (name.startswith("modules/") and not name.endswith(".md")):
            for part in (name.encode(), files[name].content):
                digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def module_digest(stack: Stack) -> str:
    """SHA-256 of the module that the root calls: address, version, and every copied file.

    For a module that ``terraform init`` fetches: only address and version. Raises ``FileError``.
    """
    module = called_module(stack)
    files = [(name, file.content) for name, file in sorted(module.files.items()) if not name.endswith(".md")]
    return _digest_of_parts([("source", module.source.encode()), ("version", (module.version or "").encode()), *files])


def root_digest(work_dir: Path) -> str:
    """SHA-256 of all files of a rendered root that Terraform reads. Keep it safe: the files contain secrets."""
    try:
        files = [(path.relative_to(work_dir).as_posix(), path) for path in terraform_files(work_dir)]
        return _digest_of_parts((name, read_private(path)) for name, path in files)
    except OSError as error:
        raise file_error("Cannot read", work_dir, error) from None


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises ``FileError`` if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise file_error("Cannot read", path, error) from None


def _digest_of_parts(parts: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in parts:
        for part in (name.encode(), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
