"""A Python that has loaded what every test needs, and forks one pytest for each line of its input.

It is started as a file, in a tree, and loads nothing of the package or of its tests: each fork gets those of the tree
as they are then. That saves half of the time of a short test. A line is JSON: pytest's ``arguments``, and the file
that takes what it prints; the answer is a line with pytest's exit status.
"""

from __future__ import annotations

import json
import os
import sys

# for their imports alone: the slow ones of the tests and of the package
import boto3  # noqa: F401
import hypothesis.strategies  # noqa: F401
import jinja2  # noqa: F401
import jsonschema  # noqa: F401
import pytest
import requests  # noqa: F401
import rich.console  # noqa: F401


def main() -> None:
    """Serve until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _test(asked["arguments"], asked["out"])
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _test(arguments: list[str], out: str) -> None:
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    status = 3  # pytest's own for an internal error
    try:
        status = int(pytest.main(arguments))
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
