"""A fleet's members, the result of each stack's run, and the events meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from gridbyoc.errors import ExitStatus
from gridbyoc.operations.events import ClusterProgress, ResourceProgress, StepStarted
from gridbyoc.operations.finding import WORST, tally
from gridbyoc.stack.files import home_of
from gridbyoc.stack.words import counted, escaped

Verb = Literal["validate", "plan", "bootstrap", "drift", "verify", "status", "report", "destroy"]
Outcome = Literal["done", "changes", "failed", "interrupted", "skipped", "not started"]
WRITING: frozenset[Verb] = frozenset({"bootstrap", "destroy"})
"""The verbs that make changes. A fleet remembers an interrupted run of these."""


@dataclass(frozen=True, slots=True)
class Member:
    """One stack of a fleet. ``label`` is unique in the fleet; ``shown`` is its file as a command-line argument.

    ``name`` is ``None`` if it could not be read: the stack's own run then reports the error.
    """

    label: str
    file: Path
    shown: str
    name: str | None
    sources: tuple[Path, ...] = ()
    modules: tuple[Path, ...] = ()
    work_root: Path | None = None

    @property
    def work_dir(self) -> Path | None:
        """The stack's work_dir, where its runs keep their journal."""
        return home_of(self.file.parent, self.work_root) / self.name if self.name else None


RESULTS: Mapping[Verb, str] = {
    "validate": "validate",
    "plan": "plan",
    "bootstrap": "report",
    "drift": "drift",
    "verify": "verify",
    "status": "status",
    "report": "page",
    "destroy": "destroyed",
}
"""For each verb, the ``type`` of the document that its run ends with."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a stack's run, without secrets. ``status`` is its exit status, ``None`` if it was never run.

    ``said``: its JSON documents and its last event of each kind, by their ``type``.
    """

    member: Member
    outcome: Outcome
    status: int | None = None
    seconds: float = 0.0
    detail: str = ""
    code: str | None = None
    said: Mapping[str, Any] = field(default_factory=dict)

    def document(self, verb: Verb) -> Mapping[str, Any] | None:
        """The run's error, otherwise its result; ``None`` if it was not run, or was killed."""
        return self.said.get("error") or self.said.get(RESULTS[verb])


@dataclass(frozen=True, slots=True)
class FleetStarted:
    """A fleet's run begins: how many stacks run in parallel, and which need not be run again."""

    type: ClassVar[str] = "fleet_started"

    verb: Verb
    members: tuple[Member, ...]
    jobs: int
    skipped: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberStarted:
    """A stack's run begins."""

    type: ClassVar[str] = "stack_started"

    member: Member


@dataclass(frozen=True, slots=True)
class MemberSaid:
    """An event or a result of a stack's run, unchanged."""

    member: Member
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MemberWaiting:
    """A stack's run ended before its clusters were ready. It holds no job until they are, and then runs again."""

    type: ClassVar[str] = "stack_waiting"

    member: Member
    clusters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemberFinished:
    """A stack's run ended, or will not start."""

    type: ClassVar[str] = "stack_finished"

    result: Result


@dataclass(frozen=True, slots=True)
class FleetNote:
    """A message for the user that belongs to no other event."""

    type: ClassVar[str] = "note"

    message: str


FleetEvent = FleetStarted | MemberStarted | MemberSaid | MemberWaiting | MemberFinished | FleetNote
EmitFleet = Callable[[FleetEvent], None]


def fleet_status(results: Iterable[Result], *, interrupted: bool = False) -> int:
    """The fleet's exit status.

    0 if all are done, 130 if the fleet was interrupted. Otherwise the failed stacks' exit status if they share one, 1
    if they do not. Pending changes (3) count if none failed.
    """
    if interrupted:
        return int(ExitStatus.INTERRUPTED)
    statuses = {int(result.status) for result in results if result.status}
    failed = statuses - {int(ExitStatus.CHANGES_PENDING)}
    if not failed:
        return int(ExitStatus.CHANGES_PENDING) if statuses else int(ExitStatus.DONE)
    (one, *others) = failed
    return int(ExitStatus.FAILED) if others else one


_SHORT = 80
Said = Mapping[str, Mapping[str, Any]]


def detail_of(verb: Verb, said: Said) -> str:
    """A one-line summary of a run's JSON documents, given by type; empty if they contain none."""
    if "error" in said:
        error = said["error"]
        problems = error.get("problems") or ()
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return f"{problem_words(problems[0])}{more}" if problems else str(error.get("what", ""))
    tellers = {
        "validate": _validated,
        "plan": _plan,
        "bootstrap": _report,
        "drift": _drift,
        "verify": _proof,
        "status": lambda said: str(said.get("status", {}).get("next", "")),
        "report": _page,
        "destroy": _destroyed,
    }
    return tellers[verb](said)


def words_of(result: Result) -> str:
    """The detail, preceded by the error's code if there is one."""
    return f"{result.code}: {result.detail}" if result.code else result.detail


def progress_of(data: Mapping[str, Any]) -> str | None:
    """The current activity of a run according to an event; ``None`` if the event does not change it."""
    kind = data.get("type")
    if kind == StepStarted.type:
        return str(data.get("step", ""))
    if kind == ClusterProgress.type:
        return f"cluster {data.get('name')}: {data.get('status')}"
    if (
        kind == ResourceProgress.type
        and data.get("state") == "started"
        and data.get("action") not in {"refresh", "read"}
    ):
        count = f" ({data.get('finished')} of {data['total']})" if data.get("total") else ""
        return f"{data.get('address')}: {data.get('action')}{count}"
    return None


def problem_words(problem: Mapping[str, Any], *, hints: bool = False) -> str:
    """``file:line: path: message``; with ``hints`` also the suggested correction."""
    where = ":".join(escaped(str(problem[key])) for key in ("file", "line") if problem.get(key))
    text = ": ".join(str(part) for part in (where, problem.get("path"), problem.get("message")) if part)
    return f"{text} ({problem['hint']})" if hints and problem.get("hint") else text


def _validated(said: Said) -> str:
    problems = said.get("validate", {}).get("problems")
    if not isinstance(problems, list):
        return ""
    if not problems:
        return "valid"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0].get('level', '')}: {problem_words(problems[0])}{more}"


def _plan(said: Said) -> str:
    plan = said.get("plan", {})
    if not plan:
        return ""
    policies = _policies(plan.get("policies"))
    if not plan.get("has_changes"):
        return "; ".join((*policies, "no changes"))
    terraform, clusters = plan.get("terraform") or {}, plan.get("clusters") or ()
    counts = [f"{terraform[key]} to {key}" for key in ("add", "change", "destroy") if terraform.get(key)]
    if terraform.get("add") is None:
        counts = ["a new role"]
    acts = [f"{each.get('action')} cluster {each.get('name')}" for each in clusters if each.get("action") != "none"]
    return "; ".join(filter(None, (*policies, ", ".join(counts), ", ".join(acts))))


def _report(said: Said) -> str:
    report = said.get("report", {})
    clusters = ", ".join(f"{each.get('name')}: {each.get('status')}" for each in report.get("clusters") or ())
    if not report:
        return ""
    unchanged = "" if report.get("changed") else "nothing changed"
    return "; ".join(filter(None, (unchanged, *_policies(report.get("policies")), clusters)))


def _policies(found: object) -> list[str]:
    """The role's policies that the stack file does not list, and those that are unknown."""
    if not isinstance(found, Mapping):
        return []
    undeclared = found.get("undeclared") or {}
    names = [*(undeclared.get("attached") or ()), *(undeclared.get("inline") or ())]
    listed = [f"not in the stack file: {', '.join(map(str, names))}"] if names else []
    return [*listed, *(f"not known: {reason}" for reason in found.get("unknown") or ())]


def _drift(said: Said) -> str:
    drift, unknown = said.get("drift", {}).get("drift"), said.get("drift", {}).get("unknown") or ()
    if not isinstance(drift, list):
        return ""
    first = f": {drift[0].get('side')}: {drift[0].get('subject')}{_attribute(drift[0])}" if drift else ""
    words = [f"{len(drift)} drifted{first}"] if drift else []
    unasked = said.get("drift", {}).get("unasked")
    none = f"no drift of the role; the control plane's clusters are unknown: {unasked}" if unasked else "no drift"
    return "; ".join([*words, *(f"not known: {reason}" for reason in unknown)]) or none


def _attribute(drift: Mapping[str, Any]) -> str:
    """The first attribute that differs, with both values; only its name if the values are long."""
    for each in drift.get("attributes") or ():
        before, after = (each.get(side) or "(none)" for side in ("before", "after"))
        values = f": {before} -> {after}"
        short = len(values) < _SHORT and "\n" not in values
        return f": {each.get('name')}{values if short else ''}"
    return ""


def _proof(said: Said) -> str:
    """The findings that do not pass, counted, and the codes of those that fail."""
    findings = said.get("verify", {}).get("findings")
    if not isinstance(findings, list):
        return ""
    verdicts = [str(each.get("verdict")) for each in findings]
    failed = ", ".join(str(each.get("code")) for each in findings if each.get("verdict") == "fail")
    return tally(verdicts, WORST[:-1]) + (f": {failed}" if failed else "") or "proven"


def _page(said: Said) -> str:
    """The state, the drift and the proof."""
    overview = said.get("page", {}).get("overview") or {}
    words = [f"{name}: {overview[name].get('text')}" for name in ("drift", "proof") if name in overview]
    return "; ".join([str(overview["state"].get("text")), *words]) if "state" in overview else ""


def _destroyed(said: Said) -> str:
    gone = said.get("destroyed", {})
    if not gone:
        return ""
    left = gone.get("left") or {}
    words = (
        f"{counted(len(gone.get('clusters') or ()), 'cluster')}, {counted(gone.get('resources', 0), 'resource')} gone"
    )
    count = len(left.get("leftovers") or ())
    return f"{words}; {count} left over" if count else words
