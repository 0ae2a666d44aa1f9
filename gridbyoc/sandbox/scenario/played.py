"""The record of the requests that a scenario's steps struck."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PlayedLog:
    """The strikes, as JSON lines; both servers and Terraform's wrapper append to the file."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def add(self, step: int, request: str) -> None:
        """Append one strike."""
        with self._lock:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, json.dumps({"step": step, "request": request}).encode() + b"\n")
            finally:
                os.close(descriptor)

    def counts(self) -> dict[int, int]:
        """The number of strikes of each step that struck."""
        found: dict[int, int] = {}
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            step = int(json.loads(line)["step"])
            found[step] = found.get(step, 0) + 1
        return found
