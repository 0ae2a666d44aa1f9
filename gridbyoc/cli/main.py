"""The command group: loads commands when they are called, and turns every error into a message."""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import click
from click.shell_completion import CompletionItem

import gridbyoc
from gridbyoc.cli.app import App, Held
from gridbyoc.cli.github_log import log_of
from gridbyoc.cli.options import Group
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    ExitStatus,
    FileError,
    GridbyocError,
    InterruptedRunError,
    UsageError,
)
from gridbyoc.stack.sandbox_mark import check_environment
from gridbyoc.stack.words import json_text, plain_text

EXPANDED_BY_BOTO3 = frozenset({"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"})
"""``botocore.configloader.raw_config_parse`` expands ``$NAME`` and ``~`` in these, whether or not a file exists."""
FILES = (
    *sorted(EXPANDED_BY_BOTO3),
    "AWS_CA_BUNDLE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_LOGIN_CACHE_DIRECTORY",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "CURL_CA_BUNDLE",
    "GIT_CONFIG_GLOBAL",
    "GIT_SSL_CAINFO",
    "NETRC",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "TF_CLI_CONFIG_FILE",
    "TF_PLUGIN_CACHE_DIR",
)
LISTS = ("AWS_DATA_PATH", "SSL_CERT_DIR")
"""Variables with several directories, separated by ``os.pathsep``."""
_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)


def absolute_paths(environ: Mapping[str, str], cwd: Path) -> dict[str, str]:
    """The variables that name a path that is not absolute, with the absolute path.

    ``~`` and ``$NAME`` are expanded as boto3 does; a name that boto3 takes literally stays if there is such a file.
    """
    found: dict[str, str] = {}
    for name in (*FILES, *LISTS):
        given = environ.get(name, "")
        parts = given.split(os.pathsep) if name in LISTS else [given]
        literally = name not in EXPANDED_BY_BOTO3
        made = os.pathsep.join(_absolute(part, environ, cwd, literally=literally) for part in parts)
        if made != given:
            found[name] = made
    return found


def _absolute(text: str, environ: Mapping[str, str], cwd: Path, *, literally: bool) -> str:
    if not text:
        return text
    as_given = os.path.join(cwd, text)  # noqa: PTH118 - a Path would drop a last "/." or "//", which must stay
    return as_given if literally and os.path.lexists(as_given) else os.path.join(cwd, _expanded(text, environ))  # noqa: PTH118


def _expanded(text: str, environ: Mapping[str, str]) -> str:
    """Like ``os.path.expandvars`` and ``expanduser``, but with ``environ``; an unset variable stays unchanged."""
    text = _VARIABLE.sub(lambda match: environ.get(match[1] or match[2] or "", match[0]), text)
    home = environ.get("HOME", "")
    if home and (text == "~" or text.startswith("~/")):
        return home.rstrip("/") + text[1:]
    return os.path.expanduser(text)  # noqa: PTH111 - a Path raises for an unknown user


COMMANDS = {
    "new": ("stackfile", "Write a commented starter stack file."),
    "validate": ("stackfile", "List every problem of a stack file."),
    "fmt": ("stackfile", "Format stack files."),
    "schema": ("stackfile", "Print the stack file's JSON Schema."),
    "render": ("plan", "Write the Terraform root module of a stack."),
    "plan": ("plan", "Show what bootstrap would change, on both sides."),
    "apply": ("bundle", "Apply a bundle that plan --out wrote."),
    "bundle": ("bundle", "Inspect a plan bundle, or a handoff."),
    "adopt": ("adopt", "Adopt an existing role into a stack."),
    "release": ("release", "Stop managing a stack; nothing changes."),
    "bootstrap": ("bootstrap", "From a stack file to a running cluster."),
    "status": ("status", "Show a stack's status, and what to do next."),
    "drift": ("drift", "Show where both sides differ from the stack file."),
    "report": ("report", "Write an HTML page about a stack."),
    "outputs": ("outputs", "Show role ARN, role name and external id."),
    "handoff": ("handoff", "Hand the role over to the person who registers clusters."),
    "register": ("clusters", "Create a cluster through a role you have."),
    "clusters": ("clusters", "List, get, create, edit and wait for clusters."),
    "login": ("account", "Log in to the control plane."),
    "credentials": ("credentials", "Show AWS credentials; create an IAM user."),
    "context": ("account", "Set the default cluster."),
    "rotate": ("rotate", "Give the stack a new external id."),
    "verify": ("verify", "Prove what the role grants."),
    "leftovers": ("leftovers", "Find and delete AWS resources that deleted clusters left behind."),
    "state": ("state", "The state's bucket, its lock, and moving it."),
    "destroy": ("destroy", "Delete a stack's clusters and its role."),
    "fleet": ("fleet", "Many stacks: plan, bootstrap, drift, report, destroy."),
    "pipeline": ("pipeline", "Write a pipeline for GitHub, GitLab, make, Jenkins or Argo."),
    "sandbox": ("sandbox", "A local AWS and a local control plane."),
    "policy": ("policy", "Print the AWS permissions that gridbyoc needs."),
    "doctor": ("doctor", "Check what a bootstrap needs."),
    "explain": ("explain", "Explain a code, and what to do about it."),
    "quotas": ("quotas", "Show limits, use and need; request more from AWS."),
    "completion": ("explain", "Print a shell completion script."),
    "version": ("explain", "Show versions."),
}
"""Each command with its file in this package and its line in ``--help`` (so that help loads none of them)."""


class Main(Group):
    """The top-level group: has the commands' one-line help, and loads a command's file when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of a stack's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the command's file; an unknown name gives ``None``."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"gridbyoc.cli.{COMMANDS[cmd_name][0]}")
        found: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the commands from the table above."""
        found = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "terminal_width": 80}
)
@click.version_option(gridbyoc.__version__, prog_name="gridbyoc")
def cli() -> None:
    """Bring your own cloud, declared: one stack file and one command take a team from "we have an AWS account" to
    "our cluster is running in it".

    \b
    Exit status: 0 done, 1 failed, 2 wrong usage or invalid stack file, 3 changes pending,
    4 preflight blocks, 5 cluster failed, 6 timed out waiting, 7 leftovers found,
    8 locked by another run, 9 what was planned has moved, 130 interrupted.
    """


def _outside(cwd: Path, held: Held) -> App:
    """The real environment. Its paths become absolute, also in ``os.environ``, which boto3 reads."""
    os.environ.update(absolute_paths(os.environ, cwd))
    return App(
        environ=dict(os.environ),
        home=_home(),
        cwd=cwd,
        stdin=sys.stdin,
        stdout=log_of(sys.stdout, os.environ),
        stderr=log_of(sys.stderr, os.environ),
        interactive=sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty(),
        held=held,
    )


def _home() -> Path:
    try:
        return Path(os.environ.get("HOME") or Path.home())
    except RuntimeError:
        # the user of a container is in no passwd: nothing is stored for it
        return Path("/")


def _cwd() -> Path:
    try:
        return Path.cwd()
    except OSError:
        raise FileError(
            "The current directory no longer exists, or may not be read.",
            fix="Change to an existing directory, then run again.",
            rerun=SAFE_NOTHING_DONE,
        ) from None


def _terminate(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit status; every exception becomes a message and a status."""
    debug = "--debug" in args or bool(os.environ.get("GRIDBYOC_DEBUG"))
    held = Held()
    machine = _format_in(args)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        check_environment(os.environ)
        app = _outside(_cwd(), held)
        result = cli.main(args=list(args), prog_name="gridbyoc", standalone_mode=False, obj=app)
        sys.stdout.flush()
        return int(result) if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        return _tell_usage(error, machine, held)
    except BrokenPipeError:
        # the reader has closed (`| head`): nobody to tell, and the flush at exit must not complain either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except SystemExit as stop:
        # click's own exit if the reader of its output has closed
        return stop.code if isinstance(stop.code, int) else int(ExitStatus.FAILED)
    except BaseException as error:
        return _tell(_in_words(error), error, machine, held, debug=debug)


def _format_in(args: Sequence[str]) -> str:
    """``json`` or ``jsonl`` if the command line requests it, even if click could not parse it; otherwise empty."""
    asked = ""
    for place, word in enumerate(args):
        if word == "--":
            break
        if word == "--format":
            asked = args[place + 1] if place + 1 < len(args) else ""
        elif word.startswith("--format="):
            asked = word.removeprefix("--format=")
    return asked if asked in ("json", "jsonl") else ""


def _in_words(error: BaseException) -> GridbyocError:
    if isinstance(error, GridbyocError):
        return error
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return InterruptedRunError("Interrupted.", rerun="A re-run is safe: it continues from what exists.")
    if isinstance(error, OSError):
        return FileError(
            f"The operating system refused: {error.strerror or type(error).__name__}"
            + (f": {error.filename}" if error.filename else ""),
            fix="Check free space and permissions, then run again.",
        )
    if isinstance(error, UnicodeEncodeError):
        return FileError(
            f"A text contains a character that {error.encoding} lacks.",
            fix="Choose an encoding that has it: `export PYTHONIOENCODING=utf-8`, or `export LC_ALL=C.UTF-8`.",
        )
    if isinstance(error, UnicodeError):
        return FileError("A text is not valid UTF-8.", fix="Save the file as UTF-8, then run again.")
    if isinstance(error, RecursionError):
        return FileError(
            "A document that was read is nested too deeply.",
            why="It is damaged, or was crafted to look like a record, a state or a policy.",
            fix="`--debug` shows which file was read; move it away, or restore a copy of it.",
        )
    return GridbyocError(
        f"Internal error in gridbyoc ({type(error).__name__}).",
        fix="Run again with --debug and report what it prints.",
        rerun="A re-run is safe: it continues from what exists.",
    )


def _tell_usage(error: click.ClickException, machine: str, held: Held) -> int:
    if machine:
        _write_document(UsageError(error.format_message(), rerun=SAFE_NOTHING_DONE), machine, held)
    with suppress(OSError):
        error.show(file=sys.stderr)
    return int(ExitStatus.USAGE)


def _write_document(error: GridbyocError, machine: str, held: Held) -> None:
    """Write the document of ``json``, or the last line of ``jsonl``.

    If stdout fails (a full disk), stderr still reports.
    """
    from gridbyoc.show.error import ERROR, FailedCommand

    if machine == "json" and held.written:  # the document was written already; the status and stderr report the error
        return
    with suppress(OSError):
        out = log_of(sys.stdout, os.environ)
        print(json_text(ERROR.document(FailedCommand(error, held.document))), flush=True, file=out)


def _tell(error: GridbyocError, cause: BaseException, machine: str, held: Held, *, debug: bool) -> int:
    from gridbyoc.show.error import error_lines
    from gridbyoc.show.layout import for_stream

    if machine:
        _write_document(error, machine, held)
    try:
        err = log_of(sys.stderr, os.environ)
        print(for_stream("\n".join(error_lines(error)), err, os.environ), file=err)
        if debug:
            print(plain_text("".join(traceback.format_exception(cause))), end="", file=err)
    except OSError:
        return int(error.exit_status)
    return int(error.exit_status)
