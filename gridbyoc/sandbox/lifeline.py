"""The child's side of a sandbox server: read the settings, serve, and end with the parent.

The parent holds the write end of our standard input. However the parent ends, even by kill -9, the kernel closes that
end, and this process stops: no server outlives its sandbox.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from werkzeug.serving import BaseWSGIServer


def read_config() -> dict[str, Any]:
    """The settings that the parent sends as one line of JSON; they contain a key, so they are not in argv."""
    config: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    return config


def serve(server: BaseWSGIServer, config: dict[str, Any], told: Callable[[dict[str, Any]], object] = bool) -> NoReturn:
    """Report the port to the parent and serve until it ends; ``told`` gets its later messages.

    Ends the process directly: freeing moto's data would take a second, in which the parent waits.
    """
    threading.Thread(target=_listen, args=(server, told), daemon=True).start()
    report = os.dup(1)
    os.dup2(2, 1)  # library output goes to the log: nobody reads the pipe after the report
    os.write(report, json.dumps({"port": server.port}).encode() + b"\n")
    os.close(report)
    server.serve_forever(poll_interval=0.05)
    if scratch := config.get("scratch"):
        # A killed parent cannot clean up; after any other end, nothing is left to remove.
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stderr.flush()
    os._exit(0)


def in_background(work: Callable[[], object]) -> None:
    """Run ``work`` in the background: it warms something up, and a failure shows where the result is needed."""

    def run() -> None:
        try:
            work()
        except Exception as error:
            print(f"warming up failed: {error}", file=sys.stderr)  # noqa: T201 -- a server's own log

    threading.Thread(target=run, daemon=True).start()


def _listen(server: BaseWSGIServer, told: Callable[[dict[str, Any]], object]) -> None:
    while line := sys.stdin.buffer.readline():
        told(json.loads(line))
    server.shutdown()
