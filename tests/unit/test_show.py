"""Each renderer of the event stream, and the tables."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from gridbyoc.operations.changes import ClusterChange
from gridbyoc.operations.events import (
    Asking,
    ClusterProgress,
    Event,
    Note,
    ProviderProgress,
    ResourceProgress,
    StepFinished,
    StepStarted,
    WaitExpected,
)
from gridbyoc.operations.plan import Plan
from gridbyoc.operations.report import Report
from gridbyoc.operations.review.review import review
from gridbyoc.operations.role_policies import RolePolicies
from gridbyoc.show.layout import plain_table, write_table
from gridbyoc.show.live import Live, RunBoard
from gridbyoc.show.plan import plan_json, plan_lines, summary
from gridbyoc.show.report import report_json, report_lines, report_markdown
from gridbyoc.show.run import RUN, duration
from gridbyoc.show.view import Lines, plain, view_of
from tests.unit.fakes import ROLE, Time, cluster, stack

STORY: tuple[Event, ...] = (
    StepStarted("apply"),
    ResourceProgress("aws_iam_role.this", "create", "started"),
    ResourceProgress("aws_iam_role.this", "create", "progress", 10.0),
    ResourceProgress("aws_iam_role.this", "create", "done", 1.0),
    StepFinished("apply", 3.21, "done", "12 added"),
    StepStarted("wait"),
    ClusterProgress("a", "pending", "", 1.0),
    ClusterProgress("a", "pending", "", 6.0),
    ClusterProgress("a", "failed", "no such role", 9.0),
    Note("take care", "warning"),
    Asking(),
    Asking(over=True),
    Note("by the way"),
    StepFinished("wait", 9.0, "failed", "GBY-C008"),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "seconds,text", [(0.04, "0.0s"), (3.21, "3.2s"), (12.9, "12s"), (185, "3m05s"), (3725, "1h02m")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plain_lines_say_each_thing_once() -> None:
    stream = io.StringIO()
    with plain(RUN, stream) as show:
        for event in STORY:
            show(event)
    assert stream.getvalue().splitlines() == [
        "  aws_iam_role.this: create at work for 10s",
        "  aws_iam_role.this: create done after 1.0s",
        "apply: done in 3.2s: 12 added",
        "  cluster a: pending [1.0s]",
        "  cluster a: failed (no such role) [9.0s]",
        "warning: take care",
        "by the way",
        "wait: failed in 9.0s: GBY-C008",
    ]


def test_plain_lines_say_how_much_is_done_and_come_less_often_with_time() -> None:
    stream = io.StringIO()
    with plain(RUN, stream) as show:
        show(ProviderProgress("hashicorp/aws", "5.100.0", "installing", "registry", "registry.terraform.io"))
        show(ProviderProgress("hashicorp/aws", "5.100.0", "installed", "registry", "registry.terraform.io"))
        show(ProviderProgress("hashicorp/null", "3.2.1", "installing", "mirror", "/mirror"))
        for seconds in range(10, 200, 10):
            show(ResourceProgress("aws_x.y", "create", "progress", float(seconds), 6, 14))
        show(ResourceProgress("aws_x.y", "create", "done", 200.0, 7, 14))
        show(WaitExpected("grid", "20 to 50 minutes"))
        for seconds in range(0, 700, 60):
            show(ClusterProgress("a", "pending", "", float(seconds), 600.0 + seconds))
    assert stream.getvalue().splitlines() == [
        "  downloads hashicorp/aws 5.100.0 from registry.terraform.io",
        *(f"  aws_x.y: create at work for {time} (6 of 14)" for time in ("10s", "30s", "1m00s", "2m00s", "3m00s")),
        "  aws_x.y: create done after 3m20s (7 of 14)",
        "  a cluster of grid usually takes 20 to 50 minutes",
        *(f"  cluster a: pending [{time}]" for time in ("10m00s", "15m00s", "20m00s")),
    ]


def drawn(board: RunBoard, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(board.drawn())
    return [line.rstrip() for line in stream.getvalue().splitlines()]


ATTACHMENT = 'module.gridbyoc.aws_iam_role_policy_attachment.managed["AmazonS3FullAccess"]'


@pytest.mark.parametrize(
    "width,apply,wait",
    [
        (120, f"apply     12s  7 of 14  create  {ATTACHMENT}",
         "3 clusters of grid took 31 min to 44 min on this machine"),
        (60, 'apply     12s  7 of 14  create  …ged["AmazonS3FullAccess"]',
         "3 clusters of grid took 31 min to 44 min on this machine"),
        (20, "apply     12s  7 …", "3 clusters of gri…"),
    ],
)  # fmt: skip
def test_the_live_view_shows_the_work_in_one_line_each(width: int, apply: str, wait: str) -> None:
    time = Time()
    board = RunBoard(time.clock)
    for event in (
        StepStarted("apply"),
        ResourceProgress(ATTACHMENT, "create", "started", 0.0, 6, 14),
        ResourceProgress("aws_iam_policy.this", "create", "started", 0.0, 6, 14),
        ResourceProgress("aws_iam_role.this", "create", "done", 1.0, 7, 14),
    ):
        assert list(board.take(event)) == []
    time.now += 12
    (line,) = drawn(board, width)
    assert line[2:] == apply
    list(board.take(StepFinished("apply", 12.0)))
    list(board.take(StepStarted("wait")))
    list(board.take(WaitExpected("grid", "20 to 50 minutes", 3, 1860.0, 1900.0, 2640.0)))
    list(board.take(ClusterProgress("ml", "pending", "", 30.0, 630.0)))
    time.now += 65
    lines = drawn(board, width)
    assert lines[2].strip() == wait
    assert all(len(line) <= width for line in lines)
    if width > 20:
        assert [line.split() for line in lines[:2]] == [[lines[0][0], "wait", "1m05s"], ["ml", "11m35s", "pending"]]
    list(board.take(ClusterProgress("ml", "running", "", 95.0, 695.0)))
    time.now += 600
    assert "11m35s" in "".join(drawn(board, 60))


def test_the_live_view_names_the_provider_that_init_installs() -> None:
    board = RunBoard(Time().clock)
    list(board.take(StepStarted("init")))
    list(board.take(ProviderProgress("hashicorp/aws", "5.100.0", "installing", "mirror", "/mirror")))
    assert drawn(board, 80)[0][2:] == "init    0.0s  hashicorp/aws 5.100.0 from the mirror /mirror"


def test_a_finished_step_breaks_between_words_on_a_narrow_terminal() -> None:
    stream = Terminal()
    with Live(stream, RunBoard(Time().clock), environ={"NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "60"}) as show:
        show(StepFinished("trust", 0.1, "done", f"the control plane may assume {ROLE} with the external id, as asked"))
        show(Note(f"The role {ROLE}-{'x' * 60} stays.", "warning"))
    text = stream.getvalue()
    assert f"{ROLE}-{'x' * 60} stays" in text or f"{ROLE}-{'x' * 60}\n" in text
    assert "                     with the external id" in text or ROLE in text


def test_json_lines_are_one_object_an_event() -> None:
    stream = io.StringIO()
    with view_of(RUN, True, stream, io.StringIO(), environ={}, clock=Time().clock) as show:
        for event in STORY:
            show(event)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == len(STORY) - 2
    assert lines[0] == {"type": "step_started", "step": "apply", "detail": ""}
    assert lines[8] == {
        "type": "cluster_progress", "name": "a", "status": "failed", "reason": "no such role", "seconds": 9.0,
        "age": None,
    }  # fmt: skip


def test_the_live_view_is_for_terminals_that_can_draw() -> None:
    clock = Time().clock
    assert isinstance(view_of(RUN, False, io.StringIO(), Terminal(), environ={}, clock=clock), Live)
    assert isinstance(view_of(RUN, False, io.StringIO(), Terminal(), environ={"TERM": "dumb"}, clock=clock), Lines)
    assert isinstance(view_of(RUN, False, io.StringIO(), io.StringIO(), environ={}, clock=clock), Lines)


@pytest.mark.parametrize("environ,coloured", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_the_live_view_keeps_finished_steps_and_honours_no_color(environ: dict, coloured: bool) -> None:
    stream = Terminal()
    with Live(stream, RunBoard(Time().clock), environ={**environ, "TERM": "xterm"}) as show:
        for event in STORY:
            show(event)
    text = stream.getvalue()
    assert "12 added" in text
    assert "take care" in text
    assert ("\x1b[32m" in text) is coloured


def test_plain_tables_align_and_trail_nothing() -> None:
    text = plain_table(("id", "name"), [("1", "long name"), ("22", "x")])
    assert text.splitlines() == ["id  name", "1   long name", "22  x"]
    assert plain_table(("id", "name"), []) == "id  name"


@pytest.mark.parametrize("environ,coloured", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_table_has_colours_on_a_terminal_only(environ: dict, coloured: bool) -> None:
    on, off = Terminal(), io.StringIO()
    for stream in (on, off):
        write_table(stream, ("name", "status"), [("a", "running")], environ={**environ, "TERM": "xterm"})
    assert ("\x1b[32m" in on.getvalue()) is coloured
    assert off.getvalue() == "name  status\na     running\n"


def test_a_plan_shows_both_sides() -> None:
    plan = Plan(None, (ClusterChange("create", "a"), ClusterChange("delete", "b")), ("a: $10",), None)
    lines = plan_lines(review(stack(), plan, {}))
    assert "  + a new role with its policy, attachments and external id" in lines
    assert "  + cluster a" in lines
    assert "  - cluster b" in lines
    assert lines[-1] == "Plan: AWS a new role; clusters 1 to create, 0 to update, 1 to delete."
    assert plan_json(review(stack(), plan, {}))["destroys"] == ["cluster b"]


NOTHING = {"add": 0, "change": 0, "destroy": 0}


def test_a_report_says_when_nothing_changed() -> None:
    kept = Report(
        "demo",
        "1",
        ROLE,
        "grid",
        False,
        {"add": 0, "change": 0, "destroy": 0},
        (cluster("a"),),
        {"a": "none"},
        {"init": 0.5},
    )
    lines = report_lines(kept)
    assert lines[-1].startswith("Nothing changed")
    assert f"role      {ROLE}" in lines
    assert report_json(kept)["clusters"][0]["status"] == "running"
    made = Report("demo", "1", ROLE, "grid", True, {"add": 3}, (cluster("a"),), {"a": "create"}, {"init": 0.5})
    assert "IAM role  resources: 3 added" in report_lines(made)
    assert "clusters  a: created" in report_lines(made)


STRAY = RolePolicies(ROLE, attached=("arn:aws:iam::aws:policy/AdministratorAccess",), known=("arn:known",))


def test_a_report_names_what_the_stack_file_does_not_list() -> None:
    kept = Report("demo", "1", ROLE, "grid", False, NOTHING, (), {}, {"init": 0.5}, STRAY)
    text = "\n".join(report_lines(kept))
    assert "Nothing was changed, but not everything is as the stack file says:\nThe role has policies that the" in text
    assert "accepted  arn:known, which the stack file does not manage" in text
    assert "Nothing changed" not in text
    assert "AdministratorAccess" in "\n".join(report_lines(replace(kept, changed=True)))
    markdown = report_markdown(kept, kept.remarks)
    assert markdown.count("AdministratorAccess") == 1
    assert "Nothing changed" not in markdown
    assert report_json(kept)["policies"]["undeclared"]["attached"] == list(STRAY.attached)
    listed = replace(kept, policies=RolePolicies(ROLE, known=("arn:known",)))
    assert report_lines(listed)[-1].startswith("Nothing changed: both sides")


def test_the_summary_of_no_changes() -> None:
    from gridbyoc.terraform import PlanSummary

    plan = Plan(PlanSummary(0, 0, 0, (), (), (), has_changes=False), (ClusterChange("none", "a"),), (), None)
    assert summary(plan) == "No changes: both sides are as the stack file asks."
    lines = plan_lines(review(stack(), plan, {}))
    assert "    no changes" in lines
    assert "    cluster a: no changes" in lines
    stray = replace(plan, policies=STRAY)
    lines = plan_lines(review(stack(), stray, {}))
    assert "both sides" not in lines[-1]
    assert lines[lines.index("Different from the stack file, and not changed by this plan:") + 1].startswith(
        "  The role has policies that"
    )
    assert plan_json(review(stack(), stray, {}))["policies"]["as_declared"] is False
    assert review(stack(), stray, {}, ["x"]).warnings == (*stray.warnings, "x")
