"""Terraform's ``-json`` stream as typed events.

Each line becomes one event or none. An unknown type becomes a ``Log`` and unknown fields are ignored, as the format
requires: https://developer.hashicorp.com/terraform/internals/machine-readable-ui
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from gridbyoc.stack.files import json_object
from gridbyoc.stack.redaction import Redactor
from gridbyoc.stack.words import plain_text, printable
from gridbyoc.terraform.logs import RunLog
from gridbyoc.terraform.process import Stream


@dataclass(frozen=True, slots=True)
class Version:
    """The first line: the version of Terraform (or OpenTofu), and that of the format."""

    terraform: str
    ui: str = ""


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """A change of one resource. ``action`` is Terraform's term: create, update, replace, delete, …"""

    address: str
    action: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """A change in a plan."""

    change: ResourceChange


@dataclass(frozen=True, slots=True)
class ResourceDrift:
    """A resource was changed outside of Terraform."""

    change: ResourceChange


@dataclass(frozen=True, slots=True)
class ResourceEvent:
    """Progress of an action on a resource. ``action`` may also be ``refresh``; ``seconds`` is the time so far."""

    address: str
    action: str
    state: Literal["started", "progress", "done", "failed"]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A message of ``init`` about a provider; ``name`` as Terraform shows it, without the default registry's host.

    ``cached``: it comes from the plugin cache. ``signed``: its signature was checked, which only a registry provides.
    """

    name: str
    version: str
    state: Literal["installing", "installed"]
    cached: bool = False
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An error or a warning in Terraform's own words, with its resource and file."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""
    filename: str = ""
    line: int | None = None

    @property
    def place(self) -> str:
        """The resource and ``file:line``, if known; empty if neither is."""
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
    """The names of the outputs, without their possibly secret values. ``changed``: those that a plan would change."""

    names: tuple[str, ...]
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Log:
    """Any other line: a provisioner's output, a message of ``init``, an unknown type."""

    level: str
    message: str


TerraformEvent = (
    Version
    | PlannedChange
    | ResourceDrift
    | ResourceEvent
    | ProviderEvent
    | Diagnostic
    | ChangeSummary
    | OutputsEvent
    | Log
)
CleanText = Callable[[str], str]
_Object = Mapping[str, Any]


def parse_event(line: str | bytes, clean: CleanText = plain_text) -> TerraformEvent | None:
    """Read one line of the stream; ``None`` if it is not a JSON object. Never raises.

    Texts for people (message, summary, detail) lose their terminal control sequences; then ``clean`` removes secrets
    from them. Addresses and actions of changes stay unchanged, because decisions are made on them.
    """
    try:
        # Go writes UTF-8; invalid bytes must not end a run.
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
    """Whether a line contains a state (or its start) with plain secrets, printed because it could not be saved.

    https://github.com/hashicorp/terraform (internal/command/views/json_view.go, ``StateDump``)
    """
    return _DUMP.search(line) is not None


def parse_state_dump(line: str) -> dict[str, Any] | None:
    """The state in a line for which ``holds_state`` is true; ``None`` if the line is truncated."""
    state = (json_object(line) or {}).get("state")
    return state if isinstance(state, dict) and state else None


def parse_diagnostic(body: object, clean: CleanText = plain_text) -> Diagnostic:
    """Parse a diagnostic object of the stream or of ``validate -json``."""
    given = _object(body)
    where = _object(given.get("range"))
    line = _count(_object(where.get("start")).get("line"))
    # A plain Go error has all its lines in the summary.
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


def _version(message: _Object, _clean: CleanText) -> Version:
    return Version(_text(message.get("terraform")) or _text(message.get("tofu")), _text(message.get("ui")))


def _change(message: _Object) -> ResourceChange:
    change = _object(message.get("change"))
    address = _text(_object(change.get("resource")).get("addr"))
    return ResourceChange(address, _text(change.get("action")), _text(change.get("reason")))


def _planned(message: _Object, _clean: CleanText) -> PlannedChange:
    return PlannedChange(_change(message))


def _drift(message: _Object, _clean: CleanText) -> ResourceDrift:
    return ResourceDrift(_change(message))


def _resource(state: Literal["started", "progress", "done", "failed"]) -> Callable[[_Object, CleanText], ResourceEvent]:
    def read(message: _Object, _clean: CleanText) -> ResourceEvent:
        hook = _object(message.get("hook"))
        address = _text(_object(hook.get("resource")).get("addr"))
        return ResourceEvent(
            address, _text(hook.get("action")) or "refresh", state, _number(hook.get("elapsed_seconds"))
        )

    return read


def _diagnostic(message: _Object, clean: CleanText) -> Diagnostic:
    return parse_diagnostic(message.get("diagnostic"), clean)


def _summary(message: _Object, _clean: CleanText) -> ChangeSummary:
    counts = _object(message.get("changes"))
    add, change, remove, imported = (_count(counts.get(key)) for key in ("add", "change", "remove", "import"))
    return ChangeSummary(add, change, remove, imported, _text(counts.get("operation")) or "plan")


def _outputs(message: _Object, _clean: CleanText) -> OutputsEvent:
    outputs = _object(message.get("outputs"))
    changed = (name for name, value in outputs.items() if _object(value).get("action") not in (None, "noop"))
    return OutputsEvent(tuple(outputs), tuple(changed))


def _log(message: _Object, clean: CleanText) -> ProviderEvent | Log | None:
    text = clean(plain_text(_text(message.get("@message")))).strip()
    return provider_event(text) or Log(_text(message.get("@level")) or "info", text) if text else None


_PROVIDER = re.compile(
    r"(?:- )?(?P<verb>Installing|Installed|Using)(?: provider version:)? (?P<name>[\w.-]+(?:/[\w.-]+){1,2})"
    r" v(?P<version>\d[\w.+-]*?)(?:\.\.\.| \((?P<proof>.+)\)|(?P<cache> from the shared cache directory))?"
)


def provider_event(text: str) -> ProviderEvent | None:
    """The message of ``init`` in a line, which is the same with and without ``-json``, and in OpenTofu.

    https://github.com/hashicorp/terraform (internal/command/init.go, ``views/init.go``)
    """
    found = _PROVIDER.fullmatch(text)
    if found is None or (found["verb"] == "Using" and not found["cache"]):
        return None
    state: Literal["installing", "installed"] = "installing" if found["verb"] == "Installing" else "installed"
    signed = re.match(r"(self-)?signed\b", found["proof"] or "") is not None
    return ProviderEvent(found["name"], found["version"], state, bool(found["cache"]), signed)


_READERS: Mapping[str, Callable[[_Object, CleanText], TerraformEvent]] = {
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


OnEvent = Callable[[TerraformEvent], None]
OnState = Callable[[Mapping[str, Any]], None]
_KEPT = (Version, ProviderEvent, Diagnostic, ChangeSummary, OutputsEvent, PlannedChange, ResourceDrift)
_HEAD = re.compile(r"^\s*(Error|Warning): (.+)$")
_PLACE = re.compile(r"^\s*on (.+?) line (\d+)")
_WITH = re.compile(r"^\s*with (.+?),$")
_FRAME = re.compile("^[╷│╵] ?")
_TEXT_KEPT = 400  # lines
T = TypeVar("T")


class Transcript:
    """Receives every line of one command.

    With ``document``, standard output is one JSON text that may hold secrets: it is kept as ``stdout``, and neither
    logged nor passed on. Otherwise each line is an event; any other line becomes a ``Log``. A state that Terraform
    prints because it could not save it goes only to ``on_state``.
    """

    def __init__(
        self,
        log: RunLog,
        redactor: Redactor,
        on_event: OnEvent,
        *,
        document: bool = False,
        on_state: OnState = lambda _state: None,
    ) -> None:
        self._log = log
        self._redactor = redactor
        self._on_event: OnEvent | None = on_event
        self._document = document
        self._on_state = on_state
        self.printed_state = False
        self._kept: list[TerraformEvent] = []
        self._stdout: list[str] = []
        self._text: deque[str] = deque(maxlen=_TEXT_KEPT)

    @property
    def stdout(self) -> str:
        """The document; may hold secrets."""
        return "\n".join(self._stdout)

    @property
    def text(self) -> tuple[str, ...]:
        """The lines that are not events, such as a crash or a usage message, without secrets."""
        return tuple(self._text)

    def line(self, stream: Stream, text: str) -> None:
        """Receive one line. A listener that raises is not called again."""
        if self._document and stream == "stdout":
            self._stdout.append(text)
            return
        if holds_state(text):
            self._take_state(text)
            return
        self._log.line(text if stream == "stdout" else f"stderr: {text}")
        event = parse_event(text, self._clean) or self._words(text)
        if isinstance(event, _KEPT):
            self._kept.append(event)
        if event is not None:
            self._tell(event)

    def _take_state(self, text: str) -> None:
        self.printed_state = True
        self.note("Terraform could not save its state and printed it; it is kept out of this log.")
        state = parse_state_dump(text)
        if state is not None:
            self._on_state(state)

    def note(self, text: str) -> None:
        """Add a message of our own: a line in the log, and a warning for the listener."""
        self._log.line(f"# {text}")
        self._tell(Log("warn", text))

    def end(self, words: str) -> None:
        """Write the last line of the log and close it."""
        if self._stdout:
            self._log.line(f"# {sum(map(len, self._stdout))} characters on stdout, not logged")
        self._log.line(f"# {words}")
        self._log.close()

    def kept(self, kind: type[T]) -> tuple[T, ...]:
        """The events of a class, in order."""
        return tuple(event for event in self._kept if isinstance(event, kind))

    def errors(self) -> tuple[Diagnostic, ...]:
        """Every error in the stream, in plain text and in the document, each once."""
        found = [event for event in self.kept(Diagnostic) if event.severity == "error"]
        found += [event for event in diagnostics_in(list(self._text)) if event.severity == "error"]
        found += [event for event in self.in_document() if event.severity == "error"]
        return tuple(dict.fromkeys(found))

    def document(self) -> dict[str, Any] | None:
        """The JSON object on standard output, empty if nothing was printed; ``None`` for anything else."""
        return json_object(self.stdout.strip() or "{}")

    def in_document(self) -> tuple[Diagnostic, ...]:
        """The diagnostics in the document (``validate -json``); empty if it has none."""
        found = (self.document() or {}).get("diagnostics")
        return tuple(parse_diagnostic(item, self._clean) for item in found) if isinstance(found, list) else ()

    def _tell(self, event: TerraformEvent) -> None:
        if self._on_event is not None:
            listener, self._on_event = self._on_event, None
            listener(event)
            self._on_event = listener

    def _clean(self, text: str) -> str:
        return self._redactor.clean(text)

    def _words(self, text: str) -> ProviderEvent | Log | None:
        words = self._clean(_FRAME.sub("", plain_text(text))).rstrip()
        self._text.append(words)
        return provider_event(words.strip()) or Log("info", words.strip()) if words.strip() else None


def diagnostics_in(lines: list[str]) -> tuple[Diagnostic, ...]:
    """The errors and warnings in Terraform's text for people: ``Error: …``, then place and detail."""
    found: list[Diagnostic] = []
    start: int | None = None
    for number, line in enumerate([*lines, "Error: end"]):
        if _HEAD.match(line):
            if start is not None:
                found.append(_logged_diagnostic(lines[start:number]))
            start = number
    return tuple(found)


def _logged_diagnostic(block: list[str]) -> Diagnostic:
    head = _HEAD.match(block[0])
    severity, summary = (head[1].lower(), head[2]) if head else ("error", block[0])
    place = next((match for match in map(_PLACE.match, block) if match), None)
    address = next((match[1] for match in map(_WITH.match, block) if match), "")
    detail = "\n".join(line for line in block[1:] if not _PLACE.match(line) and not _WITH.match(line)).strip()
    return Diagnostic(severity, summary, detail, address, place[1] if place else "", int(place[2]) if place else None)


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """A plan: its counts, changes, drift, and the outputs that would change.

    Changes are sorted by address and outputs by name, because Terraform reports them in the order in which its workers
    finish. ``has_changes`` is Terraform's own verdict (``-detailed-exitcode``); it is also true if only outputs change.
    """

    add: int
    change: int
    destroy: int
    changes: tuple[ResourceChange, ...]
    drift: tuple[ResourceChange, ...]
    outputs: tuple[str, ...]
    has_changes: bool
    imported: int = 0


@dataclass(frozen=True, slots=True)
class ApplySummary:
    """The counts of an apply or a destroy."""

    add: int
    change: int
    destroy: int
    imported: int = 0

    def __str__(self) -> str:
        return f"{self.add} added, {self.change} changed, {self.destroy} destroyed"


NOTHING_DONE = ApplySummary(0, 0, 0)
"""The summary of an apply that changed nothing."""
_NOTHING = ChangeSummary(0, 0, 0)


def in_order(changes: Iterable[ResourceChange]) -> tuple[ResourceChange, ...]:
    """The changes sorted by address, then action: a deposed object has the same address as the current one."""
    return tuple(sorted(changes, key=lambda change: (change.address, change.action, change.reason)))


def plan_summary(said: Transcript, *, has_changes: bool) -> PlanSummary:
    """The summary of a plan's transcript."""
    counts = next(iter(reversed(said.kept(ChangeSummary))), _NOTHING)
    outputs = next(iter(reversed(said.kept(OutputsEvent))), OutputsEvent(()))
    return PlanSummary(
        add=counts.add,
        change=counts.change,
        destroy=counts.destroy,
        changes=in_order(event.change for event in said.kept(PlannedChange)),
        drift=in_order(event.change for event in said.kept(ResourceDrift)),
        outputs=tuple(sorted(outputs.changed)),
        has_changes=has_changes,
        imported=counts.imported,
    )


def apply_summary(said: Transcript) -> ApplySummary:
    """The summary of an apply's transcript; the counts of its plan are ignored."""
    done = [event for event in said.kept(ChangeSummary) if event.operation != "plan"]
    counts = done[-1] if done else _NOTHING
    return ApplySummary(counts.add, counts.change, counts.destroy, counts.imported)
