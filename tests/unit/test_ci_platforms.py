"""What GitHub and GitLab are given, in the forms that they document."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gridbyoc.cli.app import App
from gridbyoc.cli.bundle import apply
from gridbyoc.cli.plan import plan
from gridbyoc.cli.reporting import LEFT_OUT, Reporting, platform_of
from gridbyoc.cli.stackfile import validate
from gridbyoc.errors import FileError, GridbyocError, Problem, StackError, TerraformError, UsageError
from gridbyoc.operations.changes import ClusterChange
from gridbyoc.operations.events import FindingMade, Note
from gridbyoc.operations.plan import Plan
from gridbyoc.operations.review.review import review
from gridbyoc.show.ci import (
    CODE_QUALITY,
    SECTIONS,
    annotation,
    code_quality,
    finding_annotation,
    mask_command,
    output_lines,
    problem_annotation,
    rule_of,
    sarif,
    terraform_report,
)
from gridbyoc.stack.schema import schema_text
from gridbyoc.stack.words import plain_text
from gridbyoc.terraform import PlanSummary, ResourceChange
from tests.unit.fakes import Time, stack
from tests.unit.test_run_parts import make_run

ZONE = Problem("gridbyoc.yaml", 3, "aws.region", "is a zone", "write us-west-2")
MADE = Plan(
    PlanSummary(3, 2, 1, (ResourceChange("x.aws_iam_role.y", "delete"),), (), (), has_changes=True),
    (ClusterChange("create", "a"), ClusterChange("delete", "b")),
    (),
    None,
)


def app_in(directory: Path, **environ: str) -> App:
    streams = [io.StringIO() for _ in range(3)]
    return App({**environ}, directory, directory, *streams)


def unescaped(text: str, *, also: dict[str, str] | None = None) -> str:
    """As the runner reads it (actions/runner: ActionCommand.cs): every escape but %25, then that one."""
    for code, sign in {**(also or {}), "%0D": "\r", "%0A": "\n"}.items():
        text = text.replace(code, sign)
    return text.replace("%25", "%")


@given(st.text())
def test_a_message_is_one_line_and_comes_back(text: str) -> None:
    line = annotation("error", text)
    assert "\n" not in line
    assert "\r" not in line
    assert line.startswith("::error::")
    assert unescaped(line.removeprefix("::error::")) == plain_text(text)


@given(st.text(min_size=1), st.text(min_size=1), st.integers(1, 10**6))
def test_a_property_cannot_end_itself_or_the_command(file: str, title: str, line: int) -> None:
    command = annotation("warning", "m", file=file, line=line, title=title)
    head, message = command.removeprefix("::warning ").split("::")
    assert message == "m"
    pairs = dict(pair.split("=", 1) for pair in head.split(","))
    read = {name: unescaped(value, also={"%3A": ":", "%2C": ","}) for name, value in pairs.items()}
    assert read == {"file": plain_text(file), "line": str(line), "title": plain_text(title)}


def test_a_problem_at_its_line() -> None:
    text = problem_annotation("error", ZONE, "stacks/gridbyoc.yaml")
    assert text == (
        "::error file=stacks/gridbyoc.yaml,line=3,title=gridbyoc validate::aws.region: is a zone (write us-west-2)"
    )
    assert problem_annotation("error", ZONE, "").startswith("::error title=")
    assert mask_command("a%b\nc") == "::add-mask::a%25b%0Ac"


def outputs_of(text: str) -> dict[str, str]:
    """As the runner reads $GITHUB_OUTPUT."""
    found, lines = {}, text.split("\n")
    while lines and lines[0]:
        name, mark = lines.pop(0).split("<<", 1)
        end = lines.index(mark)
        found[name] = "\n".join(lines[:end])
        lines = lines[end + 1 :]
    return found


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text()))
def test_outputs_come_back_whatever_they_hold(values: dict[str, str]) -> None:
    assert outputs_of(output_lines(values)) == values


def test_a_delimiter_that_stands_in_the_value_is_not_taken() -> None:
    marks = iter(["x", "x", "y"])
    text = output_lines({"a": "gridbyoc_x\nb=c"}, delimiter=lambda: next(marks))
    assert outputs_of(text) == {"a": "gridbyoc_x\nb=c"}
    assert "<<gridbyoc_y" in text


def test_the_counts_of_gitlab_s_widget_cover_both_sides() -> None:
    assert terraform_report(MADE) == {"create": 4, "update": 2, "delete": 2}


def test_code_quality_and_sarif_of_one_problem() -> None:
    placed = [("error", ZONE, "stacks/a b.yaml"), ("warning", Problem("--set", None, "name", "is odd"), "")]
    one, two = code_quality(placed)
    assert one["location"] == {"path": "stacks/a b.yaml", "lines": {"begin": 3}}
    assert (one["severity"], two["severity"]) == ("blocker", "minor")
    assert one["fingerprint"] != two["fingerprint"]
    log = sarif(placed, version="0.1.0")
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["GBY-S001.aws", "GBY-S001.name.warning"]
    assert all(rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"])
    first, second = run["results"]
    assert rules[first["ruleIndex"]] == first["ruleId"]
    place = first["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "stacks/a%20b.yaml"}, "region": {"startLine": 3}}
    assert "region" not in second["locations"][0]["physicalLocation"]
    assert first["message"]["text"] == "aws.region: is a zone (write us-west-2)"


SARIF = Draft202012Validator(json.loads((Path(__file__).parent.parent / "data" / "sarif-2.1.0.json").read_text()))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["error", "warning"]),
            st.builds(Problem, st.text(), st.none() | st.integers(0, 9), st.text(), st.text(), st.text()),
            st.text(),
        ),
        max_size=3,
    )
)
def test_sarif_is_what_its_schema_says(problems: list[tuple[str, Problem, str]]) -> None:
    log = sarif([*problems, ("error", ZONE, "stacks/a b.yaml")], version="0.1.0")
    SARIF.validate(log)
    for broken in ({"level": "blocker"}, {"line": 3}, {"message": "is a zone"}):
        log["runs"][0]["results"] = [{**log["runs"][0]["results"][-1], **broken}]
        assert not SARIF.is_valid(log)


def test_a_file_s_name_that_is_no_text_is_a_uri_as_well() -> None:
    log = sarif([("error", ZONE, "stacks/\udcff.yaml")], version="1")
    (place,) = log["runs"][0]["results"][0]["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "stacks/%FF.yaml"


def test_rules_are_the_schema_s_sections_whatever_a_file_says() -> None:
    assert set(json.loads(schema_text())["properties"]) - {"extends"} <= set(SECTIONS)
    for path, rule in (("clusters[0].name", "clusters"), ("x y.z", "file"), ("", "file"), ("role", "role")):
        assert rule_of("error", Problem("f", 1, path, "m")) == f"GBY-S001.{rule}"


@pytest.mark.parametrize(
    "environ,chosen,platform",
    [
        ({}, "auto", "none"),
        ({"GITHUB_ACTIONS": "true"}, "auto", "github"),
        ({"GITHUB_ACTIONS": "false"}, "auto", "none"),
        ({"GITLAB_CI": "true"}, "auto", "gitlab"),
        ({"GITLAB_CI": "true"}, "none", "none"),
        ({}, "github", "github"),
    ],
)
def test_where_we_are(environ: dict[str, str], chosen: str, platform: str) -> None:
    assert platform_of(environ, chosen) == platform


def test_on_github_a_plan_goes_to_summary_and_outputs(tmp_path: Path) -> None:
    summary, outputs = tmp_path / "summary", tmp_path / "outputs"
    summary.write_text("before\n")
    app = app_in(tmp_path, GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(outputs))
    Reporting(app, "github", ("r.md", "r.json")).planned(review(stack(), MADE, {}), bundle="b.zip")
    assert summary.read_text().startswith("before\n<!-- gridbyoc plan demo -->")
    assert outputs_of(outputs.read_text()) == {
        "has_changes": "true", "adds": "4", "changes": "2", "destroys": "2",
        "destroyed": "x.aws_iam_role.y\ncluster b", "bundle": "b.zip",
    }  # fmt: skip
    assert (tmp_path / "r.md").read_text().startswith("<!-- gridbyoc plan demo -->")
    assert json.loads((tmp_path / "r.json").read_text())["stack"] == "demo"


def test_a_summary_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    app = app_in(tmp_path, GITHUB_STEP_SUMMARY=str(tmp_path), GITHUB_OUTPUT="")
    Reporting(app, "github").planned(review(stack(), MADE, {}))
    assert "GITHUB_STEP_SUMMARY cannot be written" in app.stderr.getvalue()  # type: ignore[attr-defined]  # a StringIO


MEBIBYTE = 1_048_576


@pytest.mark.parametrize("room", [0, 40, 200])
def test_a_summary_that_would_be_too_large_gets_a_line(tmp_path: Path, room: int) -> None:
    """GitHub drops what is larger as a whole, and what other commands of the step wrote with it."""
    summary = tmp_path / "summary"
    summary.write_text("x" * (MEBIBYTE - room))
    app = app_in(tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    Reporting(app, "github").planned(review(stack(), MADE, {}))
    added = summary.read_text().lstrip("x").strip()
    assert added == ("" if room < 200 else LEFT_OUT)
    assert summary.stat().st_size <= MEBIBYTE
    assert LEFT_OUT in app.stderr.getvalue()  # type: ignore[attr-defined]  # a StringIO


def test_a_summary_that_just_fits_is_written(tmp_path: Path) -> None:
    summary, whole = tmp_path / "summary", tmp_path / "whole"
    Reporting(app_in(tmp_path, GITHUB_STEP_SUMMARY=str(whole)), "github").planned(review(stack(), MADE, {}))
    for more in (0, 1):
        summary.write_text("x" * (MEBIBYTE - whole.stat().st_size + more))
        Reporting(app_in(tmp_path, GITHUB_STEP_SUMMARY=str(summary)), "github").planned(review(stack(), MADE, {}))
        assert ("gridbyoc plan demo" in summary.read_text()) is (more == 0)


def annotated(directory: Path, levels: list[str], **environ: str) -> list[str]:
    """What one command of a step prints for problems of these levels."""
    app = app_in(directory, **environ)
    reporting = Reporting(app, "github")
    with reporting.telling():
        reporting.problems([(level, replace(ZONE, message=f"is no. {n}")) for n, level in enumerate(levels)])
    return [line for line in app.stderr.getvalue().splitlines() if line]  # type: ignore[attr-defined]  # a StringIO


def test_at_most_ten_annotations_of_a_kind_and_the_rest_counted(tmp_path: Path) -> None:
    for count, words in ((9, "is no. 8"), (10, "is no. 9"), (11, "2 more"), (500, "491 more")):
        lines = annotated(tmp_path, ["error"] * count)
        assert len(lines) == min(count, 10)
        assert all(line.startswith("::error ") for line in lines)
        assert words in lines[-1]
    mixed = annotated(tmp_path, ["error", "warning"] * 12)
    assert [sum(line.startswith(f"::{level} ") for line in mixed) for level in ("error", "warning")] == [10, 10]
    assert sum("3 more" in line for line in mixed) == 2


def test_the_commands_of_one_step_share_its_ten(tmp_path: Path) -> None:
    step = {"RUNNER_TEMP": str(tmp_path), "GITHUB_STEP_SUMMARY": str(tmp_path / "step_summary_1")}
    assert len(annotated(tmp_path, ["error"] * 6, **step)) == 6
    second = annotated(tmp_path, ["error"] * 6 + ["warning"], **step)
    assert ["::error" in line for line in second] == [True] * 3 + [False, True]
    assert "3 more" in second[-1]
    (third,) = annotated(tmp_path, ["error"] * 4, **step)
    assert third.startswith("error: 4 more")
    other = {**step, "GITHUB_STEP_SUMMARY": str(tmp_path / "step_summary_2")}
    assert len(annotated(tmp_path, ["error"] * 9, **other)) == 9


def test_a_count_that_cannot_be_kept_stops_nothing(tmp_path: Path) -> None:
    step = {"RUNNER_TEMP": str(tmp_path / "gone"), "GITHUB_STEP_SUMMARY": str(tmp_path / "s")}
    assert len(annotated(tmp_path, ["error"] * 20, **step)) == 10


def test_on_gitlab_there_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "gridbyoc.yaml").write_text("")
    reporting = Reporting(app_in(tmp_path), "gitlab")
    reporting.planned(review(stack(), MADE, {}))
    reporting.problems([("error", ZONE)])
    assert json.loads((tmp_path / "gridbyoc-terraform-report.json").read_text())["create"] == 4
    (found,) = json.loads((tmp_path / "gridbyoc-code-quality.json").read_text())
    assert found["location"]["path"] == "gridbyoc.yaml"


@pytest.mark.parametrize(
    "error,expected",
    [
        (StackError("No.", problems=(ZONE,)), "::error file=gridbyoc.yaml,line=3,"),
        (
            TerraformError("No.", diagnostics=("one\ntwo",), why="Because."),
            "::error title=GBY-T001::No.%0Aone%0Atwo%0ABecause.",
        ),
        (UsageError("No."), "::error title=GBY-U001::No."),
    ],
)
def test_an_error_is_annotated_on_its_way_out(tmp_path: Path, error: GridbyocError, expected: str) -> None:
    (tmp_path / "gridbyoc.yaml").write_text("")
    app = app_in(tmp_path)

    def told(platform: Any) -> str:
        with pytest.raises(type(error)), Reporting(app, platform).telling():
            raise error
        text: str = app.stderr.getvalue()  # type: ignore[attr-defined]  # a StringIO
        return text

    assert told("none") == ""
    assert told("github").startswith(expected)


def test_a_file_is_named_from_the_repository_s_root(tmp_path: Path) -> None:
    inner = tmp_path / "stacks"
    inner.mkdir()
    (inner / "gridbyoc.yaml").write_text("")
    reporting = Reporting(app_in(inner, GITHUB_WORKSPACE=str(tmp_path)), "github")
    placed = reporting.placed([("error", ZONE), ("error", Problem("--set", None, "", "x"))])
    assert [path for _, _, path in placed] == ["stacks/gridbyoc.yaml", ""]


BAD = "version: 1\nname: bad\naws: {region: us-east-1a}\nclusters:\n  - {name: bad, instance_types: [t2.medium]}\n"


def validated(directory: Path, *args: str, **environ: str) -> tuple[str, str, Any]:
    (directory / "gridbyoc.yaml").write_text(BAD)
    app = app_in(directory, **environ)
    result = CliRunner().invoke(validate, list(args), obj=app, standalone_mode=False)
    return app.stdout.getvalue(), app.stderr.getvalue(), result  # type: ignore[attr-defined]  # StringIOs


def test_validate_writes_sarif_and_annotates_beside_it(tmp_path: Path) -> None:
    out, err, result = validated(tmp_path, "--format", "sarif", GITHUB_ACTIONS="true")
    (found,) = json.loads(out)["runs"][0]["results"]
    assert found["locations"][0]["physicalLocation"]["region"] == {"startLine": 3}
    assert err.startswith("::error file=gridbyoc.yaml,line=3,title=gridbyoc validate::aws.region: ")
    assert result.return_value == 2


def test_validate_in_text_annotates_each_problem_once(tmp_path: Path) -> None:
    _, err, result = validated(tmp_path, GITHUB_ACTIONS="true")
    assert err.count("::error") == 1
    assert isinstance(result.exception, StackError)
    _, err, _ = validated(tmp_path, "--ci", "none", GITHUB_ACTIONS="true")
    assert "::error" not in err
    validated(tmp_path, GITLAB_CI="true")
    assert len(json.loads((tmp_path / "gridbyoc-code-quality.json").read_text())) == 1


@pytest.mark.parametrize("name,words", [("no/x.md", "There is no directory"), ("made.md", "is a directory")])
def test_a_report_without_a_place_is_refused_before_anything_is_done(tmp_path: Path, name: str, words: str) -> None:
    """After an apply it would be too late: it went well, and would end as failed."""
    (tmp_path / "made.md").mkdir()
    for command, args in ((plan, ["--report", name]), (apply, ["x.bundle", "--report", name])):
        result = CliRunner().invoke(command, args, obj=app_in(tmp_path), standalone_mode=False)
        assert isinstance(result.exception, FileError)
        assert words in result.exception.what


def test_a_report_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(plan, ["--report", "x.pdf"], obj=app_in(tmp_path), standalone_mode=False)
    assert isinstance(result.exception, UsageError)
    assert ".md" in result.exception.fix


OLD = FindingMade("GBY-O005", "types: m4.large", "warn", "of an earlier generation", "", "Take m5.large.",
                  "clusters[0].instance_types[1]", "stacks/ml.yaml", 25)  # fmt: skip
GONE = replace(OLD, code="GBY-O003", check="types: p3.2xlarge", verdict="fail", line=24)


@pytest.mark.parametrize(("verdict", "level"), [("fail", "error"), ("warn", "warning"), ("unknown", "notice")])
def test_a_finding_is_annotated_at_its_line(verdict: Any, level: str) -> None:
    assert finding_annotation(replace(OLD, verdict=verdict), "stacks/ml.yaml") == (
        f"::{level} file=stacks/ml.yaml,line=25,title=GBY-O005::"
        "types: m4.large: of an earlier generation. Take m5.large."
    )


@pytest.mark.parametrize("platform", ["github", "gitlab", "none"])
def test_what_the_preflight_finds_in_the_stack_file_is_handed_on_at_once(tmp_path: Path, platform: Any) -> None:
    app = app_in(tmp_path)
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "ml.yaml").write_text("x")
    reporting = Reporting(app, platform)
    seen: list[object] = []
    run = make_run(tmp_path, [], Time())
    watched = reporting.watching(replace(run, outside=replace(run.outside, emit=seen.append)))
    events = (OLD, GONE, replace(OLD, verdict="pass"), replace(OLD, path="", file="", line=None), Note("x"))
    for event in events:
        watched.outside.emit(event)
    assert seen == list(events)
    lines = [line for line in app.stderr.getvalue().splitlines() if line]  # type: ignore[attr-defined]  # a StringIO
    shown = [finding_annotation(finding, "stacks/ml.yaml") for finding in (OLD, GONE)]
    assert lines == (shown if platform == "github" else [])
    report = tmp_path / CODE_QUALITY
    assert report.exists() == (platform == "gitlab")
    if platform == "gitlab":
        issues = json.loads(report.read_text())
        assert [(each["check_name"], each["severity"], each["location"]) for each in issues] == [
            ("GBY-O005", "minor", {"path": "stacks/ml.yaml", "lines": {"begin": 25}}),
            ("GBY-O003", "blocker", {"path": "stacks/ml.yaml", "lines": {"begin": 24}}),
        ]
        assert len({each["fingerprint"] for each in issues}) == 2
        reporting.planned(review(stack(), MADE, {}))
        assert json.loads(report.read_text()) == issues
