"""Terraform's environment: the caller's, without variables that would change Terraform's commands unnoticed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Literal, Protocol

from gridbyoc.errors import SAFE_NOTHING_DONE, GridbyocError, TerraformError
from gridbyoc.stack.files import write_atomic
from gridbyoc.terraform.events import ProviderEvent

CLI_CONFIG = "TF_CLI_CONFIG_FILE"
_VARIABLE = "GRIDBYOC_PROVIDER_MIRROR"
CLI_CONFIG_FILE = ".gridbyoc.tfrc"
"""The CLI configuration for a provider mirror, in the work_dir."""


def check_mirror(asked: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The provider mirror to use: ``asked``, else ``GRIDBYOC_PROVIDER_MIRROR``, else ``None``.

    A mirror contains HOST/NAMESPACE/TYPE directories, as ``terraform providers mirror DIR`` creates them. Raises
    ``TerraformError`` if the directory does not.
    """
    mirror = asked or (Path(environ[_VARIABLE]) if environ.get(_VARIABLE) else None)
    if mirror is None:
        return None
    mirror = mirror.expanduser().absolute()
    if not _providers(mirror):
        raise TerraformError(
            f"There is no provider mirror at {mirror}.",
            why="A mirror is a directory that contains HOST/NAMESPACE/TYPE directories, one for each provider."
            if mirror.is_dir()
            else "It is not a readable directory.",
            fix=f"Create one with `terraform providers mirror {mirror}`, or correct terraform.provider_mirror "
            f"or {_VARIABLE}.",
            rerun=SAFE_NOTHING_DONE,
        )
    return mirror


def write_cli_config(mirror: Path, work_dir: Path) -> Path:
    """Write a CLI configuration that installs the mirror's providers from it, and others from their registries.

    It lists every provider in the mirror, because Terraform uses only the first installation method that includes a
    provider:
    https://developer.hashicorp.com/terraform/cli/config/config-file#explicit-installation-method-configuration
    """
    names = json.dumps(_providers(mirror))
    path = work_dir / CLI_CONFIG_FILE
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


_OWN_CONFIGURATION = (".terraformrc", ".tofurc", ".terraform.d/plugins", ".local/share/terraform/plugins")
_SHARED_PLUGINS = ("/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins")


ProviderSource = tuple[Literal["registry", "mirror", "cache", ""], str]
"""Where a provider comes from, and the registry's host or the mirror's directory."""


def provider_source(
    mirror: Path | None, event: ProviderEvent, registry: str, environ: Mapping[str, str]
) -> ProviderSource:
    """Where ``init`` takes a provider from, as far as this is known; otherwise empty.

    ``mirror`` is the run's own, ``registry`` the default registry's host. The user's own configuration of Terraform may
    name further mirrors: then only a checked signature shows that a registry was used.
    """
    if event.cached:
        return "cache", ""
    if mirror is not None and any(f"/{each}".endswith(f"/{event.name}") for each in _providers(mirror)):
        return "mirror", str(mirror)
    if mirror is None and not event.signed:
        own = [Path(environ.get("HOME") or "~").expanduser() / name for name in _OWN_CONFIGURATION]
        if environ.get(CLI_CONFIG) or any(path.exists() for path in (*own, *map(Path, _SHARED_PLUGINS))):
            return "", ""
    return "registry", event.name.split("/")[0] if event.name.count("/") == 2 else registry


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_DROPPED_PREFIXES = (
    "TF_CLI_ARGS",  # a stray TF_CLI_ARGS_apply=-destroy makes a plain apply destroy
    "TF_LOG",  # a log file may hold every secret, and TF_LOG alone fills stderr
    "TF_VAR_",  # values come only from the stack file
)
_DROPPED = frozenset(
    {
        "TF_DATA_DIR",  # .terraform must lie in the work_dir, where the next run looks for it
        "TF_FORCE_LOCAL_BACKEND",
        "TF_INPUT",
        "TF_REATTACH_PROVIDERS",  # a debugger's provider
        "TF_WORKSPACE",
        "TERRAFORM_CONFIG",  # the old name of TF_CLI_CONFIG_FILE
        # gridbyoc's own secrets: no provider and no module needs them, but each could read them
        "GRIDBYOC_BUNDLE_KEY",
        "GRIDBYOC_HANDOFF_KEY",
        "GRID_API_KEY",
        "LIGHTNING_API_KEY",
        "LIGHTNING_AUTH_TOKEN",
    }
)
_SET = {
    "CHECKPOINT_DISABLE": "1",
    "TF_IN_AUTOMATION": "1",
    "TF_INPUT": "0",
    "TF_WORKSPACE": "default",  # wins over a workspace that somebody selected in the work_dir
}
_GO_GC = "400"  # Go collects garbage less often, which saves a quarter of the CPU time


_PROVIDER_SETTINGS = re.compile("TF_AWS_.*|AWS_(?!EC2_METADATA_SERVICE_).*_ENDPOINT")


def provider_settings(environ: Mapping[str, str]) -> tuple[str, ...]:
    """``NAME=value`` of the variables that only Terraform and its AWS provider read, sorted.

    They set default tags and the endpoints of single services. If they change, the same configuration creates different
    resources, or creates them elsewhere, even if a saved plan is applied. The endpoint of EC2's instance metadata is
    left out: it is a source of credentials.
    https://github.com/hashicorp/terraform-provider-aws/blob/main/website/docs/index.html.markdown
    """
    return tuple(sorted(f"{name}={value}" for name, value in environ.items() if _PROVIDER_SETTINGS.fullmatch(name)))


class CredentialSupply(Protocol):
    """Where Terraform gets its AWS credentials."""

    @property
    def failure(self) -> GridbyocError | None:
        """Why the last command that asked for credentials got none; ``None`` if it got them or did not ask."""

    def offered(self, *, acting: bool) -> AbstractContextManager[Mapping[str, str | None]]:
        """Variables to set (``None``: to unset) for a command; ``acting``: the command uses the AWS account."""


class CallersOwn:
    """No extra variables: Terraform finds credentials in the caller's environment itself."""

    failure: GridbyocError | None = None

    def offered(self, *, acting: bool) -> AbstractContextManager[Mapping[str, str | None]]:
        """No variables."""
        return nullcontext({})


def child_environment(
    environ: Mapping[str, str], cli_config: Path | None = None, offered: Mapping[str, str | None] | None = None
) -> dict[str, str]:
    """``environ`` for a Terraform process: keeps credentials, proxies and the plugin cache, drops ``_DROPPED``.

    ``cli_config`` is the CLI configuration written for this run (``write_cli_config``); without one, the caller's
    TF_CLI_CONFIG_FILE stays if the file exists. ``offered`` are the variables that a ``CredentialSupply`` sets and
    unsets.
    """
    offered = offered or {}
    environ = {**environ, **{name: value for name, value in offered.items() if value is not None}}
    dropped = _DROPPED | {name for name, value in offered.items() if value is None}
    child = {
        name: value for name, value in environ.items() if name not in dropped and not name.startswith(_DROPPED_PREFIXES)
    }
    child.update(_SET)
    child.setdefault("GOGC", _GO_GC)
    if cli_config is not None:
        child[CLI_CONFIG] = str(cli_config)
    elif not Path(child.get(CLI_CONFIG, "")).is_file():
        child.pop(CLI_CONFIG, None)
    return child
