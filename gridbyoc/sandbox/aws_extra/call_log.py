"""A log of the requests to the local AWS: one JSON object a line, without bodies, parameters and keys.

It is for finding out what Terraform really calls: ``action`` and ``resource`` are named as an IAM policy names them,
``agent`` is the client's own name.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from gridbyoc.sandbox.aws_extra.actions import action_of
from gridbyoc.sandbox.aws_extra.call import Call
from gridbyoc.sandbox.aws_extra.principals import Principal
from gridbyoc.sandbox.aws_extra.resources import resource_of
from gridbyoc.sandbox.settings import AWS_ACCOUNT_ID


class CallLog:
    """Appends to ``path``, which the parent has made; ``now`` gives seconds since the epoch."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()

    def __call__(self, call: Call, principal: Principal | None, status: int) -> None:
        """Write one line. ``principal`` is ``null`` where the key is nobody's or there is none."""
        entry = {
            "time": datetime.fromtimestamp(self._now(), timezone.utc).isoformat(timespec="milliseconds"),
            "service": call.service,
            "operation": call.operation,
            "action": action_of(call),
            "principal": principal.arn if principal else None,
            "resource": resource_of(call, principal.account_id if principal else AWS_ACCOUNT_ID),
            "region": call.region,
            "status": status,
            "agent": call.agent,
        }
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line)
