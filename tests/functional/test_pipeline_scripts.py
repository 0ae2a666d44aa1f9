"""The Python programs in GitHub's workflow, run as its jobs run them: many stacks, GitHub's limits, hostile results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.forge import TOKEN, Forge, running_forge
from tests.unit.test_pipelines import ONE, loaded, rendered

STEPS = {
    step["name"]: step
    for job in loaded(rendered("github", ONE))[0]["jobs"].values()
    for step in job["steps"]
    if "python3 -I" in step.get("run", "")
}


class Reports:
    """The working directory of a job, with the artifacts of the jobs before."""

    def __init__(self, cwd: Path, *names: str) -> None:
        self.cwd = cwd
        self.names = names

    def put(self, name: str, *, destroys: int = 0, changes: bool = True, report: str = "the report") -> None:
        place = self.cwd / "reports" / f"plan-{name}"
        place.mkdir(parents=True)
        listed = [f"cluster {number}" for number in range(destroys)]
        (place / "plan.json").write_text(json.dumps({"has_changes": changes, "destroys": listed}))
        (place / "plan.md").write_text(report)

    def run(self, step: str, **env: str) -> None:
        given = {"STACKS": json.dumps({"include": [{"name": name} for name in self.names]}), **env}
        script = STEPS[step]["run"]
        subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script.replace("python3", sys.executable, 1)],
            cwd=self.cwd, env={"PATH": os.environ["PATH"], **given}, check=True, timeout=60,
        )  # fmt: skip


def commented(forge: Forge, reports: Reports) -> str:
    env = {"GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": "acme/platform", "GITHUB_TOKEN": TOKEN}
    mark = STEPS["Comment"]["env"]["REPORT_MARK"]
    own = {"PULL_REQUEST": "5", "RUN_URL": "https://forge.example/run", "REPORT_KIND": "comment", "REPORT_MARK": mark}
    reports.run("Comment", **env, **own)
    (comment,) = forge.comments
    assert comment["body"].startswith(f"{mark}\n")
    assert len(comment["body"].encode()) <= 65_536
    return str(comment["body"])


def test_one_comment_holds_every_stack_and_stays_within_github_s_limit(tmp_path: Path) -> None:
    names = [f"a-stack-with-the-longest-name-that-a-stack-file-allows-{number:08}" for number in range(256)]
    reports = Reports(tmp_path, *names)
    for name in names[:-2]:
        reports.put(name, report=f"{name}: {'é' * 1000}\n", destroys=int(name == names[3]))
    reports.put(names[-2], changes=False, report="nothing")
    with running_forge() as forge:
        text = commented(forge, reports)
        assert "**256 stacks: 254 with changes, 1 without a plan**" in text
        assert all(name in text for name in names)
        shown = text.count("<details>")
        assert 5 < shown < 60
        assert text.count("</details>") == text.count("ééé" * 300) == shown
        assert "Too long for this page: " in text
        assert f"- destroy something: {names[3]} (1)" in text
        assert f"- no changes: {names[-2]}" in text
        # the same comment is kept up to date
        commented(forge, Reports(tmp_path, *names[:2]))
        assert "**2 stacks: 2 with changes, 0 without a plan**" in forge.comments[0]["body"]


def test_without_changes_there_is_no_comment_until_there_was_one(tmp_path: Path) -> None:
    reports = Reports(tmp_path, "one", "two")
    reports.put("one", changes=False)
    reports.put("two", changes=False)
    with running_forge() as forge:
        with pytest.raises(ValueError, match="not enough values"):
            commented(forge, reports)
        assert forge.calls == ["GET /repos/acme/platform/issues/5/comments"]


def test_changes_are_sorted_by_what_they_destroy_and_a_missing_plan_is_not_applied(tmp_path: Path) -> None:
    reports = Reports(tmp_path, "adds", "destroys", "same", "failed")
    reports.put("adds")
    reports.put("destroys", destroys=2)
    reports.put("same", changes=False)
    # an artifact of no stack of this run
    reports.put("stranger")
    output = tmp_path / "output"
    reports.run("Sort the stacks", GITHUB_OUTPUT=str(output))
    assert output.read_text().splitlines() == [
        'apply={"include": [{"name": "adds"}]}', "applies=1",
        'destroy={"include": [{"name": "destroys"}]}', "destroys=1",
    ]  # fmt: skip
