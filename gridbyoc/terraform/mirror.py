"""A provider mirror: a directory of providers for machines that cannot reach a registry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, TerraformError
from gridbyoc.stack.files import write_atomic

CLI_CONFIG = "TF_CLI_CONFIG_FILE"
_VARIABLE = "GRIDBYOC_PROVIDER_MIRROR"
_FILE = ".gridbyoc.tfrc"


def check_mirror(asked: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The mirror to use: ``asked``, else ``GRIDBYOC_PROVIDER_MIRROR``, else ``None``. ``TerraformError`` if it is none.

    A mirror has Terraform's own layout, HOST/NAMESPACE/TYPE below it, as ``terraform providers mirror DIR`` makes it.
    """
    mirror = asked or (Path(environ[_VARIABLE]) if environ.get(_VARIABLE) else None)
    if mirror is None:
        return None
    mirror = mirror.expanduser().absolute()
    if not _providers(mirror):
        raise TerraformError(
            f"There is no provider mirror at {mirror}.",
            why="A mirror is a directory that holds HOST/NAMESPACE/TYPE directories, one for each provider."
            if mirror.is_dir()
            else "It is not a directory that can be read.",
            fix=f"Make one with `terraform providers mirror {mirror}`, or correct terraform.provider_mirror "
            f"or {_VARIABLE}.",
            rerun=SAFE_NOTHING_DONE,
        )
    return mirror


def write_cli_config(mirror: Path, work_dir: Path) -> Path:
    """Write the CLI configuration that takes the mirror's providers from it, and all others from where they live.

    Every provider in the mirror is named, since Terraform asks the first installation method that includes one and
    no other: https://developer.hashicorp.com/terraform/cli/config/config-file#explicit-installation-method-configuration
    """
    names = json.dumps(_providers(mirror))
    path = work_dir / _FILE
    text = (
        "provider_installation {\n"
        f"  filesystem_mirror {{\n    path    = {_quoted(str(mirror))}\n    include = {names}\n  }}\n"
        f"  direct {{\n    exclude = {names}\n  }}\n"
        "}\n"
    )
    write_atomic(path, text)
    return path


def _providers(mirror: Path) -> list[str]:
    with suppress(OSError):
        return sorted("/".join(path.parts[-3:]) for path in mirror.glob("*.*/*/*") if path.is_dir())
    return []


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
