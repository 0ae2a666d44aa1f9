"""What becomes of Terraform when we are killed with no chance to say goodbye (SIGKILL, out of memory).

Left alone, Terraform would die of SIGPIPE at its next line of output, in the middle of an apply: resources made but
not in the state, a remote lock that stays. So a tiny shell waits at the end of a pipe that only we hold open. When we
are gone it asks Terraform to stop (SIGINT, once) and reads on what Terraform still has to say. What is left of its
process group after that is killed: a Terraform that was killed, too, leaves its providers running.

Why not PR_SET_PDEATHSIG: it needs ``preexec_fn``, which is unsafe with threads, follows the thread and not the
process, works on Linux alone, and does nothing about the broken pipe.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

# Its fds: 0 is our lifeline, 1 and 2 are the *reading* ends of Terraform's stdout and stderr.
_SCRIPT = """
trap '' HUP INT TERM
read -r word && exit 0
kill -INT "$1"
cat <&1 >/dev/null 2>/dev/null &
cat <&2 >/dev/null 2>/dev/null
wait
kill -KILL "-$1" 2>/dev/null
"""


class Leash:
    """Holds one child; ``release()`` when it has ended."""

    def __init__(self, pid: int, stdout: int, stderr: int) -> None:
        reading, self._lifeline = os.pipe()
        self._watcher: subprocess.Popen[bytes] | None = None
        try:
            # A machine without /bin/sh runs Terraform without a leash.
            with suppress(OSError):
                self._watcher = subprocess.Popen(
                    ["/bin/sh", "-c", _SCRIPT, "gridbyoc-leash", str(pid)],
                    stdin=reading,
                    stdout=stdout,
                    stderr=stderr,
                    env={"PATH": os.defpath},
                    start_new_session=True,
                )
        finally:
            os.close(reading)

    def release(self) -> None:
        """The child has ended: send the watcher home."""
        with suppress(OSError):
            os.write(self._lifeline, b"done\n")
        os.close(self._lifeline)
        if self._watcher is not None:
            self._watcher.wait()
