"""Every error has its own stable code, a documented status and a readable message."""

from __future__ import annotations

import json

from gridbyoc import errors
from gridbyoc.errors import ExitStatus, GridbyocError, Problem, StackError, TerraformError
from gridbyoc.show.error import FailedCommand, error_json, error_lines


def kinds() -> list[type[GridbyocError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GridbyocError)]
    assert len(found) > 20
    return found


def test_codes_are_unique_and_well_formed() -> None:
    codes = [kind.code for kind in kinds()]
    assert len(codes) == len(set(codes))
    assert all(len(code) == 8 and code.startswith("GBY-") for code in codes)


def test_an_error_is_told_whole() -> None:
    for kind in kinds():
        error = kind("It broke.", why="Because.", fix="Mend it.")
        assert kind.exit_status in set(ExitStatus), kind
        assert error_lines(error)[0] == f"error[{kind.code}]: It broke."
        assert "  why: Because." in error_lines(error), kind
        assert "  do:  Mend it." in error_lines(error), kind
        assert "re-run is safe" in error_lines(error)[-1], kind
        assert json.loads(json.dumps(error_json(FailedCommand(error))))["exit_status"] == int(kind.exit_status), kind


def test_problems_and_diagnostics_are_listed() -> None:
    problem = Problem("s.yaml", 3, "aws.region", "is a zone", "write us-west-2")
    stack = StackError("Invalid.", problems=(problem, Problem("s.yaml", None, "", "is empty")))
    assert "  s.yaml:3: aws.region: is a zone (write us-west-2)" in error_lines(stack)
    assert "  s.yaml: is empty" in error_lines(stack)
    assert error_json(FailedCommand(stack))["problems"][0]["line"] == 3
    terraform = TerraformError("No.", diagnostics=("one\n  two",))
    assert error_lines(terraform)[1:3] == ["  one", "    two"]
    assert error_json(FailedCommand(terraform))["diagnostics"] == ["one\n  two"]
