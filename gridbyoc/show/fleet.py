"""Output of a fleet's run: its events, its report, and the matrix for a CI engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.operations.events import ClusterProgress, Note, StepStarted
from gridbyoc.operations.fleet.matrix import Matrix, Shard
from gridbyoc.operations.fleet.model import (
    FleetEvent,
    FleetNote,
    FleetStarted,
    MemberFinished,
    MemberSaid,
    MemberStarted,
    MemberWaiting,
    Outcome,
    Result,
    Verb,
    problem_words,
    progress_of,
    words_of,
)
from gridbyoc.operations.fleet.run import FleetReport
from gridbyoc.operations.review.review import AttributeChange
from gridbyoc.show.attributes import terminal_lines
from gridbyoc.show.output import Output, Screen
from gridbyoc.show.run import duration
from gridbyoc.show.view import Views
from gridbyoc.stack.words import counted, escaped, json_text, visible

if TYPE_CHECKING:
    from gridbyoc.operations.fleet.pipeline_stacks import PipelineStack
    from gridbyoc.show.live import FleetBoard

_ADVICE = (("why:", "why"), ("do: ", "fix"), ("    ", "rerun"))
COLUMNS = ("stack", "file", "outcome", "took", "detail")


def fleet_rows(report: FleetReport) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows of the summary table."""
    return COLUMNS, [
        (r.member.label, escaped(r.member.shown), r.outcome, duration(r.seconds) if r.seconds else "-", words_of(r))
        for r in report.results
    ]


def advice_lines(report: FleetReport) -> list[str]:
    """For each failed stack, its complete error: every problem, why, what to do, whether a re-run is safe.

    For each stack with drift, the differences.
    """
    lines: list[str] = []
    for result in report.results:
        error, problems = result.said.get("error"), result.said.get("validate", {}).get("problems")
        if error:
            lines.append(f"{result.member.label}: error[{error.get('code')}]: {error.get('what')}")
            lines += [f"  {problem_words(problem, hints=True)}" for problem in error.get("problems") or ()]
            lines += [f"  {line}" for text in error.get("diagnostics") or () for line in str(text).splitlines()]
            lines += [f"  {word} {error[key]}" for word, key in _ADVICE if error.get(key)]
        elif "drift" in result.said:
            lines += _drift_lines(result.member.label, result.said["drift"])
        elif result.outcome == "failed" and problems:
            lines += [f"{result.member.label}: {problem_words(problem, hints=True)}" for problem in problems]
    return lines


def _drift_lines(label: str, said: Mapping[str, Any]) -> Iterator[str]:
    """The differences, from the JSON document of the stack's run."""
    for each in said.get("drift") or ():
        yield visible(f"{label}: {each.get('side')}: {each.get('subject')}: {each.get('detail')}")
        for change in each.get("attributes") or ():
            known = AttributeChange(str(change.get("name")), change.get("before"), change.get("after"))
            yield from (f"  {line}" for line in terminal_lines(known))
    for sentence in said.get("permissions") or ():
        yield visible(f"{label}: bootstrap would change: {sentence}")


def fleet_summary(report: FleetReport) -> str:
    """One sentence: the number of stacks per outcome, and the duration."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts().items())
    return f"{report.verb} of {counted(len(report.results), 'stack')} in {duration(report.seconds)}: {counts}."


class FleetWords:
    """The lines of text for a fleet: a stack begins, reaches its next step, ends. Each line begins with the stack."""

    def __init__(self) -> None:
        self._at: dict[str, str] = {}
        self._quiet = False

    def __call__(self, event: FleetEvent) -> Iterator[str]:
        """The event's line, if it has one."""
        if isinstance(event, FleetStarted):
            left = len(event.members) - len(event.skipped)
            self._quiet = event.verb == "validate"  # may be thousands at once: the table names them all
            yield f"{event.verb}: {counted(left, 'stack')}, {min(event.jobs, max(left, 1))} at once"
        elif isinstance(event, FleetNote):
            yield event.message
        elif isinstance(event, MemberStarted):
            yield f"{event.member.label}: started"
        elif isinstance(event, MemberSaid):
            yield from self._said(event)
        elif isinstance(event, MemberWaiting):
            yield f"{event.member.label}: waits for {', '.join(event.clusters)}"
        elif event.result.outcome != "skipped" and not self._quiet:
            words, took = words_of(event.result), duration(event.result.seconds)
            yield f"{event.result.member.label}: {event.result.outcome} in {took}{f': {words}' if words else ''}"

    def _said(self, event: MemberSaid) -> Iterator[str]:
        label, now = event.member.label, progress_of(event.data)
        steps = event.data.get("type") in {StepStarted.type, ClusterProgress.type}
        if now and steps and self._at.get(label) != now:
            self._at[label] = now
            yield f"{label}: {now}"
        elif event.data.get("type") == Note.type and event.data.get("level") == "warning":
            yield f"{label}: warning: {event.data.get('message')}"


def fleet_line(event: FleetEvent) -> Mapping[str, Any]:
    """An event of a fleet as a line of ``--format jsonl``."""
    if isinstance(event, FleetStarted):
        return started_line(event)
    if isinstance(event, FleetNote):
        return {"type": event.type, "message": event.message, "level": "info"}
    if isinstance(event, MemberStarted):
        return stack_started_line(event)
    if isinstance(event, MemberSaid):
        return {**event.data, "stack": event.member.label, "file": event.member.shown}
    if isinstance(event, MemberWaiting):
        return stack_waiting_line(event)
    return stack_finished_line(event)


class FleetStartedLine(TypedDict):
    """A fleet's run begins: its verb, the number of stacks that run in parallel, and their names."""

    type: Literal["fleet_started"]
    verb: Verb
    jobs: int
    stacks: list[str]


def started_line(event: FleetStarted) -> FleetStartedLine:
    """The fleet's first line."""
    names = [member.label for member in event.members]
    return {"type": "fleet_started", "verb": event.verb, "jobs": event.jobs, "stacks": names}


class StackStartedLine(TypedDict):
    """A stack's run begins."""

    type: Literal["stack_started"]
    stack: str
    file: str


def stack_started_line(event: MemberStarted) -> StackStartedLine:
    """A stack's first line."""
    return {"type": "stack_started", "stack": event.member.label, "file": event.member.shown}


class StackWaitingLine(TypedDict):
    """A stack's run ended with ``clusters`` on their way. The fleet waits for them, then runs the stack again."""

    type: Literal["stack_waiting"]
    stack: str
    file: str
    clusters: list[str]


def stack_waiting_line(event: MemberWaiting) -> StackWaitingLine:
    """A line between the two parts of a stack's run."""
    member = event.member
    return {"type": "stack_waiting", "stack": member.label, "file": member.shown, "clusters": list(event.clusters)}


class StackResult(TypedDict):
    """The result of a stack's run.

    ``status`` is its exit status, ``null`` if it was not run; ``code`` is its error's.
    """

    stack: str
    file: str
    outcome: Outcome
    status: int | None
    seconds: float
    detail: str
    code: str | None


class _StackDocument(TypedDict, total=False):
    document: dict[str, Any]


class StackFinishedLine(StackResult, _StackDocument):
    """A stack's run ended. ``document``: the result of ``validate``, ``verify`` or ``status``."""

    type: Literal["stack_finished"]


WITH_DOCUMENT = ("validate", "verify", "status")


def stack_finished_line(event: MemberFinished) -> StackFinishedLine:
    """A stack's last line."""
    document = next((event.result.said[name] for name in WITH_DOCUMENT if name in event.result.said), None)
    told: _StackDocument = {} if document is None else {"document": dict(document)}
    return {"type": "stack_finished", **result_json(event.result), **told}


def result_json(result: Result) -> StackResult:
    """One stack's result."""
    return {
        "stack": result.member.label,
        "file": result.member.shown,
        "outcome": result.outcome,
        "status": result.status,
        "seconds": round(result.seconds, 3),
        "detail": result.detail,
        "code": result.code,
    }


class FleetStack(StackResult):
    """The result of a stack's run.

    ``document`` is what it wrote: its result or its error, ``null`` if it was killed or not run.
    """

    document: dict[str, Any] | None


class FleetBody(TypedDict):
    """The result of a fleet's run. ``status`` is the exit status; ``counts``: the number of stacks per outcome."""

    verb: Verb
    status: int
    interrupted: bool
    jobs: int
    seconds: float
    counts: dict[str, int]
    stacks: list[FleetStack]


def fleet_json(report: FleetReport) -> FleetBody:
    """The report."""
    return {
        "verb": report.verb,
        "status": report.status,
        "interrupted": report.interrupted,
        "jobs": report.jobs,
        "seconds": round(report.seconds, 3),
        "counts": report.counts(),
        "stacks": [{**result_json(each), "document": _document(each, report.verb)} for each in report.results],
    }


def _document(result: Result, verb: Verb) -> dict[str, Any] | None:
    found = result.document(verb)
    return None if found is None else dict(found)


def _write_fleet(report: FleetReport, screen: Screen) -> None:
    screen.table(*fleet_rows(report))
    for line in advice_lines(report):
        screen.note(line)
    screen.line(fleet_summary(report))


FLEET = Output("fleet", fleet_json, _write_fleet, stack="none")


def _board(clock: Callable[[], float]) -> FleetBoard:
    from gridbyoc.show.live import FleetBoard

    return FleetBoard(clock)


FLEET_RUN: Views[FleetEvent] = Views(fleet_line, FleetWords, _board)


Engine = Literal["github", "gitlab", "argo", "shell", "json"]
MOST_JOBS = {"github": 256, "gitlab": 200}
"""Jobs in one matrix: https://docs.github.com/en/actions/reference/limits,
https://docs.gitlab.com/ci/yaml/#parallelmatrix"""

_PLAIN = re.compile(r"[A-Za-z0-9._/@+=,:-]+")


def matrix_text(matrix: Matrix, engine: Engine, verb: str) -> str:
    """The matrix for ``engine``, without a final line feed.

    Raises ``UsageError`` for more jobs than the engine allows, and for a path that a shell would not read as one word.
    """
    if engine == "json":
        return json_text(MATRIX.document(matrix), indent=2)
    _check(matrix, engine)
    return {"github": _github, "gitlab": _gitlab, "argo": _argo}[engine](matrix, verb)


class MatrixStack(TypedDict):
    """A stack's name and file."""

    name: str
    stack: str


class MatrixShard(TypedDict):
    """The stacks that one job runs, and its expected duration."""

    name: str
    seconds: float
    stacks: list[MatrixStack]


class MatrixBody(TypedDict):
    """The shards of a matrix, longest first; ``total`` stacks were found, ``stacks`` of them are in the shards."""

    total: int
    stacks: int
    deleted: list[str]
    shards: list[MatrixShard]


def matrix_json(matrix: Matrix) -> MatrixBody:
    """The matrix, independent of an engine."""
    return {
        "total": matrix.total,
        "stacks": sum(len(shard.members) for shard in matrix.shards),
        "deleted": list(matrix.deleted),
        "shards": [
            {
                "name": shard.name,
                "seconds": round(shard.seconds, 3),
                "stacks": [{"name": each.label, "stack": each.shown} for each in shard.members],
            }
            for shard in matrix.shards
        ],
    }


def matrix_output(engine: Engine, verb: str) -> Output[Matrix]:
    """A matrix; its text is in the format that ``engine`` reads."""

    def write(matrix: Matrix, screen: Screen) -> None:
        screen.document(matrix_text(matrix, engine, verb))

    return Output("matrix", matrix_json, write, stack="none")


MATRIX = matrix_output("json", "")


class PipelineStackJson(TypedDict):
    """A stack as the jobs of a pipeline see it. ``audience`` is of the job's token.

    ``control_plane`` is empty if the vendor has no API: the jobs then need no key. ``environment`` is from
    ``GRIDBYOC_ENVIRONMENTS`` or ``--environment``.
    """

    name: str
    file: str
    region: str
    audience: str
    control_plane: str
    environment: str


class PipelineStacksBody(TypedDict):
    """The stacks that a pipeline's jobs run."""

    stacks: list[PipelineStackJson]


def stack_json(stack: PipelineStack) -> PipelineStackJson:
    """One stack. Each value is one word for a shell, and has no character that an engine interprets."""
    return {
        "name": stack.name,
        "file": stack.file,
        "region": stack.region,
        "audience": stack.audience,
        "control_plane": stack.control_plane or "",
        "environment": stack.environment,
    }


def check_stack_count(count: int, engine: Engine) -> None:
    """``UsageError`` for more stacks than the engine's matrix may have jobs."""
    if count > MOST_JOBS.get(engine, count):
        raise UsageError(
            f"{count} stacks are more than {engine} allows in one matrix ({MOST_JOBS[engine]}).",
            fix="Write two pipelines, each for a part of the paths: `gridbyoc pipeline github PATH --out FILE`.",
            rerun=SAFE_NOTHING_DONE,
        )


def stacks_text(stacks: Sequence[PipelineStack], engine: Engine) -> str:
    """The stacks for ``engine``, without a final line feed."""
    found = [stack_json(stack) for stack in stacks]
    if engine == "github":
        return f"matrix={_compact({'include': found})}\ncount={len(found)}"
    if engine == "argo":
        return _compact(found)
    if engine == "shell":
        return "\n".join(f"{s.name} {s.file} {s.region} {s.control_plane or '-'}" for s in stacks)
    return json_text(PIPELINE_STACKS.document(stacks), indent=2)


def stacks_json(stacks: Sequence[PipelineStack]) -> PipelineStacksBody:
    """The stacks, independent of an engine."""
    return {"stacks": [stack_json(stack) for stack in stacks]}


def stacks_output(engine: Engine) -> Output[Sequence[PipelineStack]]:
    """The stacks of a pipeline; their text is in the format that ``engine`` reads."""

    def write(stacks: Sequence[PipelineStack], screen: Screen) -> None:
        screen.document(stacks_text(stacks, engine))

    return Output("pipeline_stacks", stacks_json, write, stack="none")


PIPELINE_STACKS = stacks_output("json")


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _check(matrix: Matrix, engine: Engine) -> None:
    most = MOST_JOBS.get(engine)
    if most is not None and len(matrix.shards) > most:
        raise UsageError(
            f"{len(matrix.shards)} jobs are more than {engine} allows in one matrix ({most}).",
            fix="Spread the stacks with --shards N.",
            rerun=SAFE_NOTHING_DONE,
        )
    odd = [member.shown for shard in matrix.shards for member in shard.members if not _PLAIN.fullmatch(member.shown)]
    if odd:
        raise UsageError(
            f"The path {odd[0]!r} cannot be passed to a job's script.",
            why="It contains a character that a shell would interpret.",
            fix="Rename it, or use --for json and quote it yourself.",
            rerun=SAFE_NOTHING_DONE,
        )


def _entry(shard: Shard) -> dict[str, str]:
    return {"name": shard.name, "stack": " ".join(member.shown for member in shard.members)}


def _github(matrix: Matrix, _verb: str) -> str:
    """Two lines for ``$GITHUB_OUTPUT``: the matrix, and its number of jobs (GitHub rejects an empty matrix)."""
    include = json.dumps({"include": [_entry(shard) for shard in matrix.shards]}, separators=(",", ":"))
    return f"matrix={include}\ncount={len(matrix.shards)}"


def _argo(matrix: Matrix, _verb: str) -> str:
    """A list for ``withParam``."""
    return json.dumps([_entry(shard) for shard in matrix.shards], separators=(",", ":"))


def _gitlab(matrix: Matrix, verb: str) -> str:
    """A child pipeline with one job. If no stack is left, the job does nothing: GitLab rejects an empty pipeline."""
    flags = {"bootstrap": " --yes", "destroy": " --yes-destroy"}.get(verb, "")
    lines = ["# Written by `gridbyoc fleet matrix --for gitlab`: the child pipeline's jobs."]
    if not matrix.shards:
        return "\n".join([*lines, "gridbyoc:", "  script:", '    - echo "No stack has changed."'])
    lines += ["gridbyoc:", "  script:", f"    - gridbyoc fleet {verb}{flags} $STACK", "  parallel:", "    matrix:"]
    for shard in matrix.shards:
        entry = _entry(shard)
        lines += [f"      - NAME: {json.dumps(entry['name'])}", f"        STACK: {json.dumps(entry['stack'])}"]
    return "\n".join(lines)
