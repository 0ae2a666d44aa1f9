"""Run a command in the sandbox's environment: find it, run it in our process group, and return its status."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from gridbyoc.errors import CommandNotStartedError

OUR_COMMANDS = ("gridbyoc", "gridbyoc-terraform")


def run_command(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command to its end; returns its status, or 128+N if signal N ended it. Raises ``CommandNotStartedError``.

    It stays in our process group, in the terminal's foreground, so that the terminal's Ctrl-C reaches it directly; this
    process outlives it. SIGTERM and SIGHUP are forwarded, and so is SIGINT without a terminal. If this process was
    started with SIGINT or SIGHUP ignored (``nohup``, a script's ``&``), the command ignores it too.
    """
    program = shutil.which(command[0], path=environ.get("PATH", os.defpath))
    if program is None:
        raise _not_started(command[0], 127, "There is no such program.")
    with _passing_on_signals() as pass_on_to:
        try:
            process = subprocess.Popen(command, executable=program, env=dict(environ))
        except OSError as error:
            raise _not_started(command[0], 126, error.strerror or "It cannot be run.") from None
        pass_on_to(process)
        status = process.wait()
    return 128 - status if status < 0 else status


def with_our_commands(environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """``environ`` with this ``gridbyoc`` on PATH, even if no virtual environment is active.

    Links to our commands go into ``directory``, first on PATH. The other programs of our environment stay hidden:
    ``python`` must be the caller's.
    """
    directory.mkdir(exist_ok=True)
    scripts = Path(sysconfig.get_path("scripts"))
    for name in OUR_COMMANDS:
        source = scripts / name
        if source.exists():
            (directory / name).symlink_to(source)
    path = environ.get("PATH", os.defpath)
    return dict(environ) | {"PATH": f"{directory}{os.pathsep}{path}"}


def _not_started(program: str, shell_status: int, why: str) -> CommandNotStartedError:
    return CommandNotStartedError(
        f"The command {program!r} could not be started.",
        shell_status=shell_status,
        why=why,
        fix="Give a program on PATH, or a program's path.",
    )


@contextmanager
def _passing_on_signals() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Forward SIGINT, SIGTERM and SIGHUP to the given process; they do not end this process before it.

    A signal that arrives while the process starts is forwarded later: the command may run before we know it.
    """
    child: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and in_foreground():
            return
        if not child:
            early.append(number)
        for process in child:
            process.send_signal(number)

    def pass_on_to(process: subprocess.Popen[bytes]) -> None:
        child.append(process)
        for number in early:
            process.send_signal(number)

    forwarded = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heard = [number for number in forwarded if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in heard}
    try:
        yield pass_on_to
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def in_foreground() -> bool:
    """Whether our process group is in a terminal's foreground.

    The terminal's Ctrl-C has then reached the whole group.
    """
    try:
        descriptor = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(descriptor)
