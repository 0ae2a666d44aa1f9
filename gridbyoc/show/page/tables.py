"""The page's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import markupsafe

from gridbyoc.control_plane.model import Cluster
from gridbyoc.operations.changes import dollars_a_day, standing_cost
from gridbyoc.operations.drift import Drift, DriftFound
from gridbyoc.operations.finding import Finding
from gridbyoc.operations.page import GrantedPolicy, PastRun, RoleGrants
from gridbyoc.show.attributes import terminal_lines
from gridbyoc.show.markdown import one_line
from gridbyoc.show.run import duration
from gridbyoc.stack.model import ClusterSpec, InstanceType, Stack
from gridbyoc.stack.redaction import redacted
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import instant, minute

ColumnKind = Literal["text", "number", "code", "label", "mark", "bar"]
MARKS = ("pass", "warn", "fail", "unknown", "wait", "none")
"""Marks. The page draws each as a sign of its own shape, beside a word."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell.

    A ``label`` is a code of ours, which stays on one line. ``mark`` is one of ``MARKS``, ``note`` a second
    line, ``bar`` the start and length in percent.
    """

    text: str
    kind: ColumnKind = "text"
    mark: str = ""
    note: str = ""
    href: str = ""
    bar: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    ``caption`` is for screen readers. The first cell of a row is its heading; ``numbers``: numeric columns.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tile:
    """One line of the overview: its name, text and mark, and the section (an id) with the details."""

    name: str
    text: str
    mark: str
    section: str
    note: str = ""


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, numbers: Sequence[int] = ()
) -> Table:
    """A table of these rows."""
    return Table(caption, tuple(columns), tuple(tuple(row) for row in rows), tuple(numbers))


def code(text: str, note: str = "") -> Cell:
    """A cell with a technical name."""
    return Cell(text, "code", note=note)


def mark(word: str, sign: str) -> Cell:
    """A cell with a mark and its word."""
    return Cell(word, "mark", mark=sign if sign in MARKS else "unknown")


PHASES = {"running": "pass", "failed": "fail", "offline": "warn", "terminating": "warn", "deleted": "none"}
OUTCOMES = {"done": "pass", "skipped": "none", "failed": "fail", "killed": "warn", "under way": "wait"}
MOST_RUNS = 40
"""The number of runs in the history; earlier ones are only counted."""


def people_table(granted: RoleGrants) -> Table:
    """The principals that the trust policy names."""
    rows = [(code(each.name), Cell(each.who), Cell(each.terms), _verdict(each.verdict)) for each in granted.admitted]
    return table("Who may assume the role", ("principal", "is", "gets in", "judged"), rows)


def policy_table(granted: RoleGrants) -> Table:
    """The role's policies, its boundary last."""
    limit = () if granted.boundary is None else (granted.boundary,)
    rows = [
        (code(each.short, _place(each)), Cell(each.kind), code(each.allows),
         Cell(each.remark), _verdict(each.verdict))
        for each in (*granted.policies, *limit)
    ]  # fmt: skip
    return table("What the role may do", ("policy", "kind", "allows", "remark", "judged"), rows)


def _place(policy: GrantedPolicy) -> str:
    """The whole ARN, unless the policy is AWS's own."""
    return "" if policy.name == policy.short or ":iam::aws:policy/" in policy.name else policy.name


def cluster_table(stack: Stack, clusters: Sequence[Cluster], missing: Cell) -> Table:
    """Every cluster of the file and of the control plane; ``missing``: the phase of one that was not found."""
    live = {cluster.name: cluster for cluster in clusters}
    wanted = {spec.name: spec for spec in stack.clusters}
    rows = [
        _cluster(name, wanted.get(name), live.get(name), stack, missing) for name in dict.fromkeys((*wanted, *live))
    ]
    columns = ("cluster", "phase", "profile", "instance types", "created", "a day, standing")
    return table("Clusters", columns, rows, numbers=(5,))


def _cluster(
    name: str, spec: ClusterSpec | None, live: Cluster | None, stack: Stack, missing: Cell
) -> tuple[Cell, ...]:
    phase = Cell(live.status, "mark", PHASES.get(live.status, "wait"), live.reason) if live else missing
    types = (spec.instance_types if spec else ()) or (live.instance_types if live else ())
    profile = (spec.performance_profile if spec else None) or (live.performance_profile if live else None)
    created = minute(live.created_at) if live and live.created_at else ""
    dollars = daily(spec, stack) if spec else None
    note = "" if spec else "not in the stack file"
    return (
        code(name, note or (f"id {live.id}" if live and live.id != name else "")),
        phase,
        Cell(profile or "default"),
        code(", ".join(map(_type, types)) or "the control plane's own choice"),
        Cell(created),
        Cell("" if dollars is None else f"about ${dollars}", "number"),
    )


def _type(kind: InstanceType) -> str:
    ready = f" ({kind.overprovisioned_ondemand_count} kept running)" if kind.overprovisioned_ondemand_count else ""
    return kind.name + ready


def daily(spec: ClusterSpec, stack: Stack) -> int | None:
    """Dollars a day while nothing runs on the cluster; ``None`` if unknown."""
    return dollars_a_day(spec, stack.control_plane.type)


def cost_sentences(stack: Stack) -> list[str]:
    """A sentence for each cluster, and one for their sum."""
    known = [dollars for spec in stack.clusters if (dollars := daily(spec, stack)) is not None]
    together = [f"together: about ${sum(known)} a day, about ${30 * sum(known):,} in 30 days"] if len(known) > 1 else []
    return [*(standing_cost(spec, stack.control_plane.type) for spec in stack.clusters), *together]


def steps_table(run: PastRun) -> Table:
    """A run's steps on a time line."""
    whole = max([run.seconds or 0.0, *(step.after + step.seconds for step in run.steps), 0.001])
    rows = [
        (
            Cell(step.name),
            Cell("", "bar", mark=OUTCOMES.get(step.outcome, "unknown"), bar=_bar(step.after, step.seconds, whole)),
            Cell(duration(step.seconds), "number"),
            Cell(step.outcome, "mark", OUTCOMES.get(step.outcome, "unknown")),
            Cell(step.detail),
        )
        for step in run.steps
    ]
    columns = ("step", f"when, of {duration(whole)}", "took", "outcome", "result")
    return table(f"Steps of {run.words}, {instant(run.began)}", columns, rows, numbers=(2,))


def _bar(after: float, seconds: float, whole: float) -> tuple[float, float]:
    """Start and length in percent; long enough to be visible."""
    length = max(100 * seconds / whole, 0.8)
    return round(min(100 * after / whole, 100 - length), 2), round(length, 2)


def findings_table(caption: str, findings: Iterable[Finding]) -> Table:
    """Preflight findings that need an action."""
    rows = [
        (
            Cell(each.code, "label", href=each.kind.link),
            Cell(each.title),
            _verdict(each.verdict),
            Cell(each.detail, note=f"needed: {each.needed}" if each.needed else ""),
            Cell(each.fix),
        )
        for each in findings
    ]
    return table(caption, ("code", "check", "verdict", "found", "do"), rows)


def passes_table(findings: Iterable[Finding]) -> Table:
    """Preflight findings that pass."""
    rows = [
        (
            Cell(each.code, "label", href=each.kind.link),
            Cell(each.title),
            Cell("pass", "mark", "pass"),
            Cell(each.detail),
        )
        for each in findings
    ]
    return table("Checks that pass", ("code", "check", "verdict", "found"), rows)


def proof_table(caption: str, findings: Iterable[Finding], *, todo: bool) -> Table:
    """Findings of the proof; with ``todo``, what to do about each."""
    rows = [
        (
            Cell(each.code, "label"),
            Cell(each.title),
            _verdict(each.verdict),
            Cell(each.detail),
            *((Cell(each.fix),) if todo else ()),
        )
        for each in findings
    ]
    return table(caption, ("code", "question", "verdict", "found", *(("do",) if todo else ())), rows)


def drift_table(found: DriftFound) -> Table:
    """The differences, and what could not be compared."""
    rows = [
        (Cell(each.side), code(each.subject), Cell(each.detail, note=_attributes(each))) for each in found.differences
    ]
    rows += [(Cell("role"), mark("not known", "unknown"), Cell(reason)) for reason in found.unknown]
    return table("What differs from the stack file", ("side", "of what", "how"), rows)


def _attributes(drift: Drift) -> str:
    lines = (line for change in drift.attributes for line in terminal_lines(change))
    return one_line("; ".join(lines))


def history_table(runs: Sequence[PastRun]) -> Table:
    """The newest runs."""
    rows = [
        (
            Cell(instant(run.began)),
            Cell(run.words),
            mark(*ended(run)),
            Cell("" if run.seconds is None else duration(run.seconds), "number"),
            Cell(run.last_step),
            Cell(run.version),
        )
        for run in runs[:MOST_RUNS]
    ]
    return table("Runs", ("began", "verb", "outcome", "took", "last step", "gridbyoc"), rows, numbers=(3,))


def ended(run: PastRun) -> tuple[str, str]:
    """How a run ended: a word and a sign."""
    if not run.code:
        return "done", "pass"
    return (run.code, OUTCOMES[run.code]) if run.code in ("killed", "under way") else (f"failed: {run.code}", "fail")


def _verdict(verdict: str) -> Cell:
    return mark("not known" if verdict == "unknown" else verdict, verdict)


T = TypeVar("T")
LONGEST = 2000
"""The most characters of one text; the rest is only counted."""


def shown(secrets: Sequence[Secret]) -> Callable[[object], object]:
    """A filter for every printed value, before it is escaped: redacts and shortens it, except for our own markup."""

    def visible(value: object) -> object:
        if isinstance(value, markupsafe.Markup) or not isinstance(value, str):
            return value
        return one_line(redacted(value, secrets), longest=LONGEST)

    return visible


def redacted_value(value: object, secrets: Sequence[Secret]) -> object:
    """A JSON value with keys and values redacted, in full length; unencodable characters become question marks."""
    if isinstance(value, str):
        return redacted(value, secrets).encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {redacted(str(key), secrets): redacted_value(each, secrets) for key, each in value.items()}
    return [redacted_value(each, secrets) for each in value] if isinstance(value, (list, tuple)) else value


def shortened(text: str, longest: int) -> str:
    """At most ``longest`` characters: an ARN first loses its beginning, then its middle."""
    line = one_line(text, longest=LONGEST)
    if len(line) <= longest:
        return line
    parts = line.split(":", 4)
    if len(parts) == 5 and parts[0] == "arn":
        line = parts[4]
    if len(line) <= longest:
        return line
    tail = (longest - 1) * 2 // 3
    return f"{line[: longest - 1 - tail]}…{line[-tail:]}"


def cut(text: str, longest: int) -> str:
    """The first ``longest`` characters."""
    line = one_line(text, longest=LONGEST)
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip(' ,')}…"
