"""Rendered pipelines before other people's eyes: zizmor, the engines' own schemas, and make itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hera.workflows import models

from gridbyoc.render.pipelines import ENGINES, PipelineSettings, render_child, render_pipeline
from tests.unit.test_pipelines import EVENTS, ONE, ROOT, SETTINGS, loaded

PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def files(tmp_path: Path) -> dict[str, list[str]]:
    """Each engine's file for each of the settings."""
    made: dict[str, list[str]] = {}
    for engine in ENGINES.values():
        for name, settings in SETTINGS.items():
            path = tmp_path / name / engine.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render_pipeline(engine, settings))
            made.setdefault(engine.name, []).append(str(path))
    for event in EVENTS:
        path = tmp_path / f"{event}.yml"
        path.write_text(render_child(SETTINGS["two"], event))
        made["gitlab"].append(str(path))
    return made


def run(program: str, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    found = PROGRAMS / program
    command = [str(found) if found.exists() else program, *args]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GRIDBYOC", "MAKE", "GITHUB"))}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60)


def test_zizmor_finds_nothing(files: dict[str, list[str]]) -> None:
    done = run("zizmor", "--offline", "--persona", "pedantic", "--no-progress", *files["github"])
    assert done.returncode == 0, done.stdout
    assert "No findings to report" in done.stdout + done.stderr
    assert "suppressed" not in done.stdout + done.stderr
    # and it would have
    worse = Path(files["github"][0])
    worse.write_text(re.sub(r"actions/checkout@\w+ # ", "actions/checkout@", worse.read_text(), count=1))
    assert run("zizmor", "--offline", "--no-progress", str(worse)).returncode != 0


@pytest.mark.parametrize("engine,schema", [("github", "vendor.github-workflows"), ("gitlab", "vendor.gitlab-ci")])
def test_the_engine_s_schema_holds(files: dict[str, list[str]], engine: str, schema: str) -> None:
    done = run("check-jsonschema", "--builtin-schema", schema, *files[engine])
    assert done.returncode == 0, done.stdout
    worse = Path(files[engine][0])
    worse.write_text(worse.read_text() + "\nwrong:\n  script: 1\n")
    assert run("check-jsonschema", "--builtin-schema", schema, str(worse)).returncode == 1


@pytest.mark.parametrize("settings", [ONE, SETTINGS["two"]])
def test_argo_s_models_know_every_field(settings: PipelineSettings) -> None:
    """Hera's models are generated from Argo's own OpenAPI description; a field that they do not know would be lost."""
    for document in loaded(render_pipeline(ENGINES["argo"], settings)):
        model = getattr(models, document["kind"])
        made = model.model_validate(document).model_dump(mode="json", by_alias=True, exclude_none=True)
        assert made == document
        document["spec"]["wrong"] = 1
        assert model.model_validate(document).model_dump(mode="json", by_alias=True, exclude_none=True) != document


def test_make_reads_it_and_the_includer_s_names_stay(tmp_path: Path) -> None:
    (tmp_path / "gridbyoc.mk").write_text(render_pipeline(ENGINES["make"], ONE))
    own = "plan:\n\t@echo own plan\nSTACK = mine\ninclude gridbyoc.mk\napply: plan\n\t@echo $(STACK)\n"
    (tmp_path / "Makefile").write_text(own)
    assert run("make", cwd=tmp_path).stdout == "own plan\n"
    assert run("make", "apply", cwd=tmp_path).stdout == "own plan\nmine\n"
    shown = {
        target: run("make", "-n", f"gridbyoc-{target}", cwd=tmp_path).stdout.splitlines()
        for target in ("validate", "plan", "apply", "drift", "verify")
    }
    assert shown == {
        "validate": ["gridbyoc validate 'stacks/ml.yaml'"],
        "plan": ["gridbyoc plan 'stacks/ml.yaml' --out 'stacks/ml.yaml.bundle' "],
        "apply": ["gridbyoc apply 'stacks/ml.yaml.bundle' 'stacks/ml.yaml' --yes", "rm -f 'stacks/ml.yaml.bundle'"],
        "drift": ["gridbyoc drift 'stacks/ml.yaml'"],
        "verify": ["gridbyoc verify 'stacks/ml.yaml'"],
    }
    destroy = run("make", "-n", "gridbyoc-destroy", "GRIDBYOC_CONFIRM=stacks/ml.yaml", cwd=tmp_path)
    assert destroy.stdout.split() == ["gridbyoc", "destroy", "'stacks/ml.yaml'", "--yes-destroy"]
    assert run("make", "-n", "gridbyoc-destroy", "GRIDBYOC_CONFIRM=other.yaml", cwd=tmp_path).returncode == 2
    own_flags = run(
        "make", "-n", "gridbyoc-plan", "GRIDBYOC=uvx gridbyoc", "GRIDBYOC_STACKS=a.yaml b.yaml", cwd=tmp_path
    )
    assert [line.split()[3] for line in own_flags.stdout.splitlines()] == ["'a.yaml'", "'b.yaml'"]


def test_the_hooks_and_the_reports_are_sound() -> None:
    for name in ("github_report.py", "github_sort.py", "gitlab_report.py", "plan_page.py"):
        source = ROOT / "templates" / "pipelines" / name
        compile(source.read_text(), name, "exec")
        assert "EOF" not in source.read_text()
        assert "\nPYTHON\n" not in source.read_text()
