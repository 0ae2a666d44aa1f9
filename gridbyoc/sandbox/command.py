"""A command in the sandbox's environment: found, run in our process group, and its status handed on."""

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
    """Run it to its end; its status, or 128+N where signal N ended it. Raises ``CommandNotStartedError``.

    It stays in our process group, in the terminal's foreground, so that Ctrl-C reaches it from the terminal itself; we
    outlive it. A SIGTERM, and a SIGINT where there is no terminal, are passed on. A SIGINT that we were started to
    ignore (``nohup``, a script's ``&``) stays ignored, by the command too.
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
    """``environ`` in which ``gridbyoc`` is found, this very one, also where no virtual environment is active.

    Links to our commands go into ``directory``, ahead on PATH; the rest of that environment's programs stays hidden:
    ``python`` is to be the caller's.
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
        fix="Give a program that is on PATH, or the path of one.",
    )


@contextmanager
def _passing_on_signals() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """SIGINT and SIGTERM go to the process that is given, and do not end us before it.

    One that comes while it is being started waits for it: the command may run before we know of it.
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

    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in heard}
    try:
        yield pass_on_to
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def in_foreground() -> bool:
    """Whether our process group has a terminal's foreground: its Ctrl-C has reached the whole group already."""
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
