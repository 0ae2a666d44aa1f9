"""The module that the root calls: ours, copied in; a local one, copied in; or one that ``terraform init`` fetches."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.errors import FileError
from gridbyoc.render.data import data_dir
from gridbyoc.stack.files import file_error
from gridbyoc.stack.model import ModuleSource, Stack

OURS = "modules/gridbyoc"
LOCAL = "modules/custom"
MOST_FILES = 1000
_LEFT_OUT = (".tfvars", ".tfvars.json", ".tfstate", ".tfstate.backup")


@dataclass(frozen=True, slots=True)
class File:
    """What a file in the work_dir shall hold."""

    content: bytes
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class CalledModule:
    """``source`` and ``version`` as the root module writes them; ``files`` by their path in the work_dir."""

    source: str
    version: str | None
    files: Mapping[str, File]
    warnings: tuple[str, ...] = ()


def called_module(stack: Stack) -> CalledModule:
    """The module that this stack uses, with every file to copy. Raises ``FileError`` for a path without a module."""
    named = stack.terraform.module
    if named is None:
        return _ours()
    if named.source.startswith(("/", "./", "../", "~/")) or named.source in (".", ".."):
        return _local(named, stack.file.parent if stack.file else Path.cwd())
    return CalledModule(named.source, named.version, {})


def _ours() -> CalledModule:
    directory = data_dir("modules") / "gridbyoc"
    paths = [*sorted(directory.glob("*.tf")), directory / "README.md"]
    return CalledModule(f"./{OURS}", None, {f"{OURS}/{path.name}": _file(path) for path in paths})


def _local(named: ModuleSource, beside: Path) -> CalledModule:
    """As in Terraform's own addresses, what stands before ``//`` is copied and what stands after it is called."""
    base, _, inner = named.source.partition("//")
    top = beside / Path(base).expanduser()
    called = top / inner
    if not _has_configuration(called):
        raise FileError(
            f"There is no Terraform module in {called}.",
            why="The stack's terraform.module.source names this directory, and it holds no .tf file.",
            fix="Correct terraform.module.source in the stack file; a relative path starts at the stack file.",
        )
    files: dict[str, File] = {}
    warnings = [] if named.version is None else ["terraform.module.version has no effect: the source is a path."]
    for path in _walk(top):
        if path.is_symlink():
            warnings.append(f"{path} is a symbolic link and was not copied into the work_dir.")
        else:
            files[f"{LOCAL}/{path.relative_to(top).as_posix()}"] = _file(path)
        if len(files) > MOST_FILES:
            raise FileError(
                f"{top} holds more than {MOST_FILES} files.",
                why="The whole directory is copied into the work_dir.",
                fix="Name the directory that holds nothing but the module.",
            )
    source = f"./{LOCAL}/{inner}" if inner else f"./{LOCAL}"
    return CalledModule(source.rstrip("/"), None, files, tuple(warnings))


def _has_configuration(directory: Path) -> bool:
    return any(path.name.endswith((".tf", ".tf.json", ".tofu")) for path in _listed(directory))


def _walk(directory: Path) -> Iterator[Path]:
    """Every file below, without hidden directories (``.terraform``, ``.git``, our own), state and values."""
    for path in _listed(directory):
        if path.name.startswith(".") or path.name.endswith(_LEFT_OUT):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        elif path.is_symlink() or path.is_file():
            yield path


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir()) if directory.is_dir() else []
    except OSError as error:
        raise file_error("Cannot read", directory, error) from None


def _file(path: Path) -> File:
    try:
        return File(path.read_bytes(), 0o700 if path.stat().st_mode & stat.S_IXUSR else 0o600)
    except OSError as error:
        raise file_error("Cannot read", path, error) from None
