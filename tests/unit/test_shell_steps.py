"""The ledger of the pipelines' tests: what it must not let pass."""

from __future__ import annotations

import pytest

from tests.e2e.shell_steps import SHELLS, Ledger, Shell, of_all_options

ENGINES = sorted(SHELLS)


def all_run(engine: str) -> Ledger:
    ledger = Ledger(engine)
    for shell in of_all_options(engine, "one"):
        ledger.note(shell.job, shell.text, {line for _, line in shell.commands()})
    return ledger


@pytest.mark.parametrize("engine", ENGINES)
def test_all_must_have_run(engine: str) -> None:
    assert "shell steps in" in all_run(engine).check("one")
    with pytest.raises(AssertionError, match=" 0 ran"):
        Ledger(engine).check("one")


@pytest.mark.parametrize("engine", ENGINES)
def test_no_line_may_be_left_out(engine: str) -> None:
    for shell in of_all_options(engine, "one"):
        for _, line in shell.commands():
            ledger = all_run(engine)
            ledger.lines[shell.job, shell.text].discard(line)
            with pytest.raises(AssertionError, match=f"line {line}: "):
                ledger.check("one")


def test_what_is_in_no_file_does_not_count() -> None:
    ledger = all_run("make")
    ledger.note("gridbyoc-plan//%", "true", {1})
    with pytest.raises(AssertionError, match="in no file"):
        ledger.check("one")


def test_what_is_rendered_beside_the_known_must_run_as_well() -> None:
    ledger = all_run("make")
    ledger.read("gridbyoc-more:\n\techo more\n")
    with pytest.raises(AssertionError, match="gridbyoc-more, line 1: echo more"):
        ledger.check("one")


def test_a_program_within_a_script_is_one_command_and_a_step_begins_where_the_last_one_ended() -> None:
    shell = Shell(
        "job", ("one\n", "python3 - <<'PYTHON'\nx = 1\n\nPYTHON\nif two; then\n  # a note\n  three\nfi", "four")
    )
    numbered = shell.text.split("\n")
    found = [(step, numbered[line - 1].strip()) for step, line in shell.commands()]
    assert found == [(0, "one"), (1, "python3 - <<'PYTHON'"), (1, "if two; then"), (1, "three"), (2, "four")]


@pytest.mark.parametrize(
    "engine,text",
    [
        ("github", "jobs:\n  a:\n    steps: [{run: x}]\n    hidden: {run: y}\n"),
        ("gitlab", "default:\n  before_script: [x]\n  script: []\n.base:\n  script: [y]\n"),
        ("jenkins", "\n    stage('a') {\n      sh 'x'\n    }\n"),
        ("make", "rule:\n\techo x\nifdef a\n\techo y\nendif\n"),
    ],
)
def test_a_shell_in_a_place_that_is_not_known_is_no_secret(engine: str, text: str) -> None:
    with pytest.raises(AssertionError):
        SHELLS[engine](text)
