"""Run by a test: one verb of the Runner; every event on a line, and at the end the error."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from gridbyoc.errors import TerraformError
from gridbyoc.terraform import Binary, Runner, TerraformEvent


def listen(event: TerraformEvent) -> None:
    sys.stdout.write(f"{event}\n")
    sys.stdout.flush()


def main() -> int:
    asked = json.loads(sys.argv[1])
    found = asked["binary"]
    binary = Binary(tuple(found["argv"]), found["flavour"], tuple(found["version"]), found["path"])
    _, most = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if asked["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["file_size"], most))
    runner = Runner(binary, Path(asked["work_dir"]), environ=os.environ, on_event=listen, **asked["options"])
    try:
        told = {"done": str(getattr(runner, asked["verb"])())}
        status = 0
    except TerraformError as error:
        told = {"error": type(error).__name__, "what": error.what, "why": error.why, "fix": error.fix}
        told |= {"rerun": error.rerun, "killed": str(getattr(error, "killed", None))}
        status = int(error.exit_status)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    sys.stdout.write(json.dumps(told) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
