"""Terraform's ``-json`` stream as typed events.

One line in, one event (or nothing) out. Unknown types and unknown fields are kept as ``Log`` or left aside, as the
format asks of its readers: https://developer.hashicorp.com/terraform/internals/machine-readable-ui
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gridbyoc.stack.files import json_object
from gridbyoc.stack.words import plain_text, printable


@dataclass(frozen=True, slots=True)
class Version:
    """The first line: which Terraform (or OpenTofu) speaks, and the version of the format."""

    terraform: str
    ui: str = ""


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What a plan would do to one resource. ``action`` is Terraform's word: create, update, replace, delete, …"""

    address: str
    action: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """A plan holds this change."""

    change: ResourceChange


@dataclass(frozen=True, slots=True)
class ResourceDrift:
    """A resource was changed outside of Terraform."""

    change: ResourceChange


@dataclass(frozen=True, slots=True)
class ResourceEvent:
    """Work on a resource. ``action`` may also be ``refresh``; ``seconds`` is how long it has taken so far."""

    address: str
    action: str
    state: Literal["started", "progress", "done", "failed"]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An error or a warning in Terraform's own words, and where it comes from."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""
    filename: str = ""
    line: int | None = None

    @property
    def place(self) -> str:
        """The resource and ``file:line``, as far as they are known; empty when neither is."""
        file = f"{self.filename}:{self.line}" if self.filename and self.line else self.filename
        return ", ".join(part for part in (self.address, file) if part)

    def __str__(self) -> str:
        head = f"{self.severity.capitalize()}: {self.summary}"
        head = f"{head} ({self.place})" if self.place else head
        return f"{head}\n{self.detail}" if self.detail else head


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    """The counts of a plan (``operation`` ``plan``) or of what was done (``apply``, ``destroy``)."""

    add: int
    change: int
    destroy: int
    imported: int = 0
    operation: str = "plan"


@dataclass(frozen=True, slots=True)
class OutputsEvent:
    """The outputs, by name only: a value may be secret. ``changed`` are those that a plan would change."""

    names: tuple[str, ...]
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Log:
    """Any other line: a provisioner's output, a word from ``init``, a type that is not known here."""

    level: str
    message: str


TerraformEvent = (
    Version | PlannedChange | ResourceDrift | ResourceEvent | Diagnostic | ChangeSummary | OutputsEvent | Log
)
Clean = Callable[[str], str]
_Object = Mapping[str, Any]


def parse_event(line: str | bytes, clean: Clean = plain_text) -> TerraformEvent | None:
    """Read one line of the stream; ``None`` when it is no JSON object. Never raises.

    ``clean`` is applied to every text meant for people (message, summary, detail), to take secrets out, after what
    would steer a terminal; addresses and actions of changes stay as they are, so that a decision made on them cannot
    be swayed by it.
    """
    try:
        # Go writes UTF-8; bytes that are not must not end a run.
        text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    reader = _READERS.get(_text(message.get("type")))
    return (reader(message, clean) if reader else None) or _log(message, clean)


_DUMP = re.compile(r'"Emergency state dump"|"lineage":.*"serial":|"serial":.*"lineage":')


def holds_state(line: str) -> bool:
    """Whether a line holds a state, secrets in clear, or the beginning of one: what Terraform could save nowhere.

    https://github.com/hashicorp/terraform (internal/command/views/json_view.go, ``StateDump``)
    """
    return _DUMP.search(line) is not None


def parse_state_dump(line: str) -> dict[str, Any] | None:
    """The state in such a line; ``None`` where it is cut off."""
    state = (json_object(line) or {}).get("state")
    return state if isinstance(state, dict) and state else None


def parse_diagnostic(body: object, clean: Clean = plain_text) -> Diagnostic:
    """A diagnostic object, as the stream and ``validate -json`` both have it."""
    given = _object(body)
    where = _object(given.get("range"))
    line = _count(_object(where.get("start")).get("line"))
    # A plain Go error comes whole as the summary, many lines of it.
    summary, _, more = clean(plain_text(_text(given.get("summary")))).strip().partition("\n")
    detail = clean(plain_text(_text(given.get("detail"))))
    return Diagnostic(
        severity=_text(given.get("severity")) or "error",
        summary=summary.rstrip(),
        detail=f"{more.strip()}\n{detail.strip()}".strip(),
        address=printable(_text(given.get("address"))),
        filename=printable(_text(where.get("filename"))),
        line=line or None,
    )


def _version(message: _Object, _clean: Clean) -> Version:
    return Version(_text(message.get("terraform")) or _text(message.get("tofu")), _text(message.get("ui")))


def _change(message: _Object) -> ResourceChange:
    change = _object(message.get("change"))
    address = _text(_object(change.get("resource")).get("addr"))
    return ResourceChange(address, _text(change.get("action")), _text(change.get("reason")))


def _planned(message: _Object, _clean: Clean) -> PlannedChange:
    return PlannedChange(_change(message))


def _drift(message: _Object, _clean: Clean) -> ResourceDrift:
    return ResourceDrift(_change(message))


def _resource(state: Literal["started", "progress", "done", "failed"]) -> Callable[[_Object, Clean], ResourceEvent]:
    def read(message: _Object, _clean: Clean) -> ResourceEvent:
        hook = _object(message.get("hook"))
        address = _text(_object(hook.get("resource")).get("addr"))
        return ResourceEvent(
            address, _text(hook.get("action")) or "refresh", state, _number(hook.get("elapsed_seconds"))
        )

    return read


def _diagnostic(message: _Object, clean: Clean) -> Diagnostic:
    return parse_diagnostic(message.get("diagnostic"), clean)


def _summary(message: _Object, _clean: Clean) -> ChangeSummary:
    counts = _object(message.get("changes"))
    add, change, remove, imported = (_count(counts.get(key)) for key in ("add", "change", "remove", "import"))
    return ChangeSummary(add, change, remove, imported, _text(counts.get("operation")) or "plan")


def _outputs(message: _Object, _clean: Clean) -> OutputsEvent:
    outputs = _object(message.get("outputs"))
    changed = (name for name, value in outputs.items() if _object(value).get("action") not in (None, "noop"))
    return OutputsEvent(tuple(outputs), tuple(changed))


def _log(message: _Object, clean: Clean) -> Log | None:
    text = clean(plain_text(_text(message.get("@message")))).strip()
    return Log(_text(message.get("@level")) or "info", text) if text else None


_READERS: Mapping[str, Callable[[_Object, Clean], TerraformEvent]] = {
    "version": _version,
    "planned_change": _planned,
    "resource_drift": _drift,
    "apply_start": _resource("started"),
    "refresh_start": _resource("started"),
    "apply_progress": _resource("progress"),
    "apply_complete": _resource("done"),
    "refresh_complete": _resource("done"),
    "apply_errored": _resource("failed"),
    "diagnostic": _diagnostic,
    "change_summary": _summary,
    "outputs": _outputs,
}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(value: object) -> _Object:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, int | float) else 0.0
    except OverflowError:
        return 0.0


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
