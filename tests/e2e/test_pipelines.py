"""`gridbyoc pipeline` as a command; what the pipelines do is tried in test_pipelines_ENGINE.py."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gridbyoc.render.pipelines import ENGINES
from tests.e2e.conftest import Tool, World
from tests.e2e.pipeline_scene import stack_of
from tests.e2e.shell_steps import of_all_options


def test_a_file_of_somebody_else_stays(tool: Tool, world: World) -> None:
    stack = stack_of(tool, world, "kept")
    here = replace(tool, directory=stack.directory)
    assert here("pipeline", "gitlab").out.startswith("Wrote .gitlab-ci.gridbyoc.yml.")
    assert "Nothing has changed" in here("pipeline", "gitlab").out
    assert "up to date" in here("pipeline", "gitlab", "--check").out
    differs = here("pipeline", "gitlab", "--check", "--branch", "trunk", status=3)
    assert "+    - if: " in differs.out
    target = stack.directory / ".gitlab-ci.gridbyoc.yml"
    target.write_text("stages: [mine]\n")
    assert "was not written by" in here("pipeline", "gitlab", status=2).err
    assert target.read_text() == "stages: [mine]\n"
    here("pipeline", "gitlab", "--force")
    assert here("pipeline", "gitlab", "--out", "-").out == target.read_text()
    assert target.stat().st_mode & 0o777 == 0o644
    (stack.directory / "elsewhere").mkdir()
    here("pipeline", "jenkins", "--out", "elsewhere")
    assert Path(stack.directory, "elsewhere", "Jenkinsfile.gridbyoc").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_manual_counts_the_shell_steps_that_there_are(engine: str) -> None:
    shells = of_all_options(engine, "one")
    steps, jobs = sum(len(shell.steps) for shell in shells), len({shell.job for shell in shells})
    manual = Path(__file__).parents[2] / "docs" / "pipelines.md"
    row = rf"^\| `{engine}` \| {steps} \| {jobs} (jobs|targets|stages|templates)\b"
    assert re.search(row, manual.read_text(), re.MULTILINE)
