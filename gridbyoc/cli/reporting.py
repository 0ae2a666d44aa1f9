"""A pipeline's outputs besides the result: report files, the platform's summary, outputs and annotations."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import click

from gridbyoc.cli.app import App
from gridbyoc.errors import SAFE_NOTHING_DONE, GridbyocError, Problem, StackError, TerraformError, UsageError

if TYPE_CHECKING:
    from gridbyoc.operations.events import Event, FindingMade
    from gridbyoc.operations.report import Report
    from gridbyoc.operations.review.review import Review
    from gridbyoc.operations.run import Run


def placed_finding(event: Event) -> FindingMade | None:
    """A preflight finding that does not pass and belongs to a place in the stack file."""
    from gridbyoc.operations.events import FindingMade

    return event if isinstance(event, FindingMade) and event.path and event.verdict != "pass" else None


def warning_of(event: Event) -> str:
    """An event's warning on one line; empty for other events."""
    from gridbyoc.operations.events import FindingMade, Note

    if isinstance(event, Note):
        return event.message if event.level == "warning" else ""
    if isinstance(event, FindingMade) and event.verdict != "pass":
        return f"{event.code} {event.check}: {event.verdict}: {event.read}. {event.fix}".strip()
    return ""


def plan_outputs(found: Review, bundle: str) -> dict[str, str]:
    """The outputs of a GitHub job; ``bundle`` is the file, empty if none was written."""
    plan, counts = found.plan, found.plan.terraform
    actions = [change.action for change in plan.clusters]
    return {
        "has_changes": truth(plan.has_changes),
        "adds": str((counts.add if counts else 0) + actions.count("create")),
        "changes": str((counts.change if counts else 0) + actions.count("update")),
        "destroys": str(len(plan.destroys)),
        "destroyed": "\n".join(plan.destroys),
        "bundle": bundle,
    }


def truth(value: bool) -> str:
    """A boolean in a workflow's expressions."""
    return "true" if value else "false"


F = TypeVar("F", bound=Callable[..., Any])
Platform = Literal["github", "gitlab", "none"]
KINDS = (".md", ".markdown", ".json")
"""The extensions of report files."""
MOST_ANNOTATIONS = 10
"""Per level and step: https://github.com/actions/toolkit/blob/main/docs/problem-matchers.md#limitations"""
LARGEST_SUMMARY = 1024 * 1024
"""The most bytes of a step's summary:
https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits"""
LEFT_OUT = "A report of gridbyoc is left out: the step's summary would be larger than 1 MiB. The log has it."


@dataclass(frozen=True, slots=True)
class Reporting:
    """The targets of a command's reports. ``files``: Markdown or JSON, by extension; the other fields collect."""

    app: App
    platform: Platform
    files: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    findings: list[FindingMade] = field(default_factory=list)
    annotated: dict[str, int] = field(default_factory=dict)
    held: dict[str, list[str]] = field(default_factory=dict)

    def watching(self, run: Run) -> Run:
        """The same run.

        Its warnings and preflight findings are collected here, and annotated if they belong to a line.
        """
        emit = run.outside.emit

        def listen(event: Event) -> None:
            if text := warning_of(event):
                self.warnings.append(text)
            emit(event)
            if (found := placed_finding(event)) is not None:
                self.findings.append(found)
                self._annotate(found)

        return replace(run, outside=replace(run.outside, emit=listen))

    def planned(self, found: Review, *, bundle: str = "", brief: bool = False) -> None:
        """Write a plan's review to report files and to the platform. ``brief``: without resources."""
        from gridbyoc.show import ci
        from gridbyoc.show.plan import PLAN, review_markdown

        text = review_markdown(found, brief=brief)
        self._hand_on(text, PLAN.document(found, found.stack))
        if self.platform == "github":
            self._github(text, plan_outputs(found, bundle))
        elif self.platform == "gitlab":
            self._write(ci.TERRAFORM_REPORT, json.dumps(ci.terraform_report(found.plan)))
            self._code_quality()

    def applied(self, report: Report) -> None:
        """Write a completed run's report to report files and to the platform."""
        from gridbyoc.show.report import REPORT, report_markdown

        text = report_markdown(report, self.warnings)
        self._hand_on(text, REPORT.document(report, report.stack))
        if self.platform == "github":
            self._github(text, {"changed": truth(report.changed), "role_arn": report.role_arn})

    def problems(self, found: Sequence[tuple[str, Problem]]) -> None:
        """Report a stack file's problems, each with its level: as annotations, or as a Code Quality report."""
        from gridbyoc.show import ci

        placed = self.placed(found)
        if self.platform == "github":
            for level, problem, path in placed:
                self._command(level, ci.problem_annotation(level, problem, path))
        elif self.platform == "gitlab":
            self._write(ci.CODE_QUALITY, json.dumps(ci.code_quality(placed), indent=2))

    def placed(self, found: Sequence[tuple[str, Problem]]) -> list[tuple[str, Problem, str]]:
        """The problems with each file's path relative to the repository's root; empty if it is no file there."""
        return [(level, problem, self.in_repository(problem.file)) for level, problem in found]

    def _annotate(self, finding: FindingMade) -> None:
        from gridbyoc.show import ci

        if self.platform == "github":
            text = ci.finding_annotation(finding, self.in_repository(finding.file))
            self._command(ci.level_of(finding), text)
        elif self.platform == "gitlab":
            self._code_quality()

    def _code_quality(self) -> None:
        from gridbyoc.show import ci

        issues = ci.finding_issues([(each, self.in_repository(each.file)) for each in self.findings])
        self._write(ci.CODE_QUALITY, json.dumps(issues, indent=2))

    @contextmanager
    def telling(self) -> Iterator[None]:
        """While inside, an error is also annotated before it propagates."""
        from gridbyoc.show import ci

        try:
            yield
        except StackError as error:
            self.problems([("error", problem) for problem in error.problems])
            raise
        except GridbyocError as error:
            if self.platform == "github":
                told = error.diagnostics if isinstance(error, TerraformError) else ()
                text = "\n".join(filter(None, (error.what, *told, error.why, error.fix)))
                self._command("error", ci.annotation("error", text, title=error.code))
            raise
        finally:
            self._count_the_rest()

    def _command(self, level: str, text: str) -> None:
        """Annotate at once while the step has room for the level; the last place is reserved."""
        shown = self._shown()
        if self.held.get(level) or shown.get(level, 0) >= MOST_ANNOTATIONS - 1:
            self.held.setdefault(level, []).append(text)
            return
        self.app.command(text)
        self._remember({**shown, level: shown.get(level, 0) + 1})

    def _count_the_rest(self) -> None:
        """Write the annotations that were held.

        The only one, or their number. GitHub drops those that exceed the limit.
        """
        from gridbyoc.show import ci

        for level, held in self.held.items():
            shown = self._shown()
            words = f"{len(held)} more like this: GitHub shows {MOST_ANNOTATIONS} of a kind and step. The log has all."
            if shown.get(level, 0) < MOST_ANNOTATIONS:
                self.app.command(held[0] if len(held) == 1 else ci.annotation(level, words, title="gridbyoc"))
                self._remember({**shown, level: MOST_ANNOTATIONS})
            else:
                self.app.note(f"{level}: {words}")
        self.held.clear()

    def _shown(self) -> dict[str, int]:
        """How many of each level this step has: a step may run several commands, each in its own process."""
        from gridbyoc.stack.files import read_json

        file = self._count_file()
        found = (read_json(file) if file else {}) or self.annotated
        return {level: count for level, count in found.items() if isinstance(count, int)}

    def _remember(self, shown: Mapping[str, int]) -> None:
        from gridbyoc.stack.files import write_atomic

        self.annotated.update(shown)
        if file := self._count_file():
            with suppress(GridbyocError):
                write_atomic(file, json.dumps(shown))

    def _count_file(self) -> Path | None:
        """The file that counts annotations: each step has its own summary file, whose name identifies it."""
        temp, step = self.app.environ.get("RUNNER_TEMP"), self.app.environ.get("GITHUB_STEP_SUMMARY")
        return Path(temp, f"gridbyoc-annotations-{Path(step).name}.json") if temp and step else None

    def _hand_on(self, text: str, value: Mapping[str, Any]) -> None:
        for name in self.files:
            as_json = name.endswith(".json")
            self._write(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n" if as_json else text)

    def _github(self, text: str, outputs: Mapping[str, str]) -> None:
        from gridbyoc.show.ci import output_lines

        self._append("GITHUB_STEP_SUMMARY", text + "\n")
        self._append("GITHUB_OUTPUT", output_lines(outputs))

    def _append(self, variable: str, text: str) -> None:
        """Append to the file that GitHub names; a job has done its work even if its summary cannot be written.

        GitHub accepts 1 MiB, and drops a larger summary completely: one line then replaces this command's.
        """
        name = self.app.environ.get(variable)
        if not name:
            return
        data = text.encode("utf-8", "replace")
        try:
            with Path(name).open("ab") as stream:
                room = LARGEST_SUMMARY - stream.tell()
                if variable == "GITHUB_STEP_SUMMARY" and len(data) > room:
                    self.app.note(f"warning: {LEFT_OUT}")
                    line = f"\n{LEFT_OUT}\n".encode()
                    data = line if len(line) <= room else b""
                stream.write(data)
        except OSError as error:
            self.app.note(f"warning: ${variable} cannot be written: {error.strerror}.")

    def _write(self, name: str, text: str) -> None:
        from gridbyoc.stack.files import write_atomic

        write_atomic(Path(self.app.cwd, name), text.encode("utf-8", "replace"), mode=0o644)

    def in_repository(self, file: str) -> str:
        """A file's path relative to the repository's root; empty if it is no file there."""
        environ = self.app.environ
        root = environ.get("GITHUB_WORKSPACE") or environ.get("CI_PROJECT_DIR") or str(self.app.cwd)
        path = Path(os.path.normpath(self.app.cwd / file))
        if not path.is_file():
            return ""
        real, base = path.resolve(), Path(root).resolve()
        return real.relative_to(base).as_posix() if real.is_relative_to(base) else file


def ci_option(function: F) -> F:
    """``--ci``: the command gets ``reporting``; its errors are annotated."""

    @functools.wraps(function)
    def reported(*args: Any, ci: str, reports: tuple[str, ...] = (), **options: Any) -> Any:  # noqa: ANN401
        app: App = click.get_current_context().obj
        reporting = Reporting(app, platform_of(app.environ, ci), _checked(app, reports))
        with reporting.telling():
            return function(*args, reporting=reporting, **options)

    option = click.option(
        "--ci",
        type=click.Choice(["auto", "github", "gitlab", "none"]),
        default="auto",
        show_default=True,
        help="The platform whose summaries, outputs and annotations to write.",
    )
    return cast(F, option(reported))


def report_options(function: F) -> F:
    """``--ci`` and ``--report FILE`` (repeatable): the command gets both as ``reporting``."""
    option = click.option(
        "--report",
        "reports",
        multiple=True,
        metavar="FILE",
        help="Write the report to FILE as well (.md: Markdown for a pull request, .json); may be repeated.",
    )
    return option(ci_option(function))


def platform_of(environ: Mapping[str, str], chosen: str) -> Platform:
    """``chosen``; for ``auto`` the current platform: both set a variable in every job's environment."""
    if chosen != "auto":
        return cast(Platform, chosen)
    if environ.get("GITHUB_ACTIONS") == "true":
        return "github"
    return "gitlab" if environ.get("GITLAB_CI") == "true" else "none"


def _checked(app: App, reports: tuple[str, ...]) -> tuple[str, ...]:
    """Check the report files before anything is done: after an apply it would be too late."""
    from gridbyoc.stack.files import require_place

    for name in reports:
        if not name.endswith(KINDS):
            raise UsageError(
                f"The report {name} has an unknown extension.",
                fix=f"Use one of {', '.join(KINDS)}.",
                rerun=SAFE_NOTHING_DONE,
            )
        require_place(Path(app.cwd, name))
    return reports
