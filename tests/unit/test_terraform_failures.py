"""What a command said, and the error that becomes of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.errors import (
    ExitStatus,
    GridbyocError,
    StateLockedError,
    TerraformError,
    TerraformInterruptedError,
    TerraformTimeoutError,
)
from gridbyoc.stack.redaction import Redactor
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import Diagnostic, Log, TerraformEvent
from gridbyoc.terraform.events import Transcript, diagnostics_in, plan_summary
from gridbyoc.terraform.failures import Failure, failed
from gridbyoc.terraform.logs import Logs
from gridbyoc.terraform.process import Cause, ExitInfo
from gridbyoc.terraform.state_recovery import UnsavedState

LOCK_DETAIL = """Error message: resource temporarily unavailable
Lock Info:
  ID:        d00e686f-6802-4adc-008d-a442765d8db2
  Path:      terraform.tfstate
  Operation: OperationTypeApply
  Who:       ada@host
  Version:   1.11.4
  Created:   2026-01-01 14:26:37.091247197 +0000 UTC
  Info:

Terraform acquires a state lock to protect the state from being written
by multiple users at the same time."""


def failure(verb: str = "apply", code: int = 1, **more: Any) -> Failure:
    ended = ExitInfo(
        code, 1.0, more.pop("cause", Cause.EXIT), more.pop("killed", False), more.pop("second_interrupt", False)
    )
    given_values: dict[str, Any] = {
        "errors": (), "text": (), "log": Path("/w/logs/x.log"), "remote_state": False, "unsaved": None,
        "grace": 60.0, "timeout": 600.0, "command": lambda *words: shlex.join(("terraform", "-chdir=/w", *words)),
    } | more  # fmt: skip
    return Failure(verb=verb, ended=ended, **given_values)


def words(error: GridbyocError) -> str:
    return " ".join((error.what, error.why, error.fix, error.rerun))


def test_the_reason_stands_first_with_its_place() -> None:
    first = Diagnostic("error", "Bad thing.", "because", "aws_iam_role.this", "main.tf", 7)
    error = failed(failure(errors=(first, Diagnostic("error", "Other"))))
    assert type(error) is TerraformError
    assert error.what == "terraform apply failed: Bad thing (aws_iam_role.this, main.tf:7), and 1 more."
    assert error.diagnostics == (str(first), "Error: Other")
    assert "/w/logs/x.log" in error.fix
    assert "continues" in error.rerun
    assert "Nothing was created" in failed(failure("plan", errors=(first,))).rerun


def test_a_command_without_diagnostics_shows_its_last_words() -> None:
    error = failed(failure(code=2, text=("", "panic: oh")))
    assert "exit status 2" in error.what
    assert error.why == "panic: oh"


@pytest.mark.parametrize(
    "code, name", [(-9, "SIGKILL, as when memory runs out"), (-11, "SIGSEGV"), (-250, "signal 250")]
)
def test_death_by_a_signal_is_said(code: int, name: str) -> None:
    error = failed(failure(code=code, remote_state=True))
    assert name in error.what
    assert "lock" in error.why
    assert "force-unlock" in error.fix
    assert "force-unlock" not in failed(failure("plan", code=code, remote_state=True)).fix


@pytest.mark.parametrize(
    "summary, detail, fix",
    [
        ("Saved plan is stale", "", "makes a new plan"),
        ("Saved plan does not match the given state", "", "makes a new plan"),
        ("No valid credential sources found", "", "AWS credentials"),
        ("Failed to get existing workspaces", "NoSuchBucket: x", "Create the S3 bucket"),
        ("Failed to query available provider packages", "", "GRIDBYOC_PROVIDER_MIRROR"),
        ('Backend initialization required, please run "terraform init"', "Reason: Initial", "-chdir=/w init`"),
        ("Backend configuration changed", "", "`gridbyoc state migrate`"),
        ("Backend initialization required", "Reason: Unsetting the\npreviously set backend", "-migrate-state"),
    ],
)  # fmt: skip
def test_known_reasons_come_with_what_to_do(summary: str, detail: str, fix: str) -> None:
    assert fix in failed(failure(errors=(Diagnostic("error", summary, detail),))).fix


def test_a_held_lock_names_its_holder_and_the_way_out() -> None:
    locked = Diagnostic("error", "Error acquiring the state lock", LOCK_DETAIL)
    error = failed(failure(errors=(locked,), remote_state=True))
    assert isinstance(error, StateLockedError)
    assert error.exit_status is ExitStatus.LOCKED
    assert error.lock_id == "d00e686f-6802-4adc-008d-a442765d8db2"
    assert "who ada@host" in error.what
    assert f"terraform -chdir=/w force-unlock {error.lock_id}" in error.fix
    local = failed(failure(errors=(locked,)))
    assert "force-unlock" not in local.fix  # Terraform cannot: "Local state cannot be unlocked by another process"


def test_a_lock_without_a_description_is_still_a_lock() -> None:
    error = failed(failure(errors=(Diagnostic("error", "Error acquiring the state lock", "no such table"),)))
    assert isinstance(error, StateLockedError)
    assert error.lock_id == ""
    assert error.why == "no such table"


def test_a_clean_interrupt_says_that_all_is_saved() -> None:
    error = failed(failure(cause=Cause.INTERRUPT))
    assert isinstance(error, TerraformInterruptedError)
    assert not error.killed
    assert error.exit_status is ExitStatus.INTERRUPTED
    assert "stopped cleanly" in error.what
    assert "state is saved" in error.why
    assert "had just finished" in failed(failure(code=0, cause=Cause.INTERRUPT)).what


def test_an_interrupt_of_a_plan_changed_nothing() -> None:
    error = failed(failure("plan", cause=Cause.INTERRUPT, killed=True))
    assert isinstance(error, TerraformInterruptedError)
    assert error.killed
    assert "Nothing was created" in error.rerun


@pytest.mark.parametrize("second_interrupt, why", [(True, "second interrupt"), (False, "did not end within 60 s")])
def test_a_kill_says_what_may_be_left(second_interrupt: bool, why: str) -> None:
    error = failed(failure(cause=Cause.INTERRUPT, killed=True, second_interrupt=second_interrupt, remote_state=True))
    assert isinstance(error, TerraformInterruptedError)
    assert error.killed
    assert why in error.what
    assert "lock" in error.why
    assert "not in the state" in error.why
    assert "terraform -chdir=/w force-unlock LOCK_ID" in error.fix
    local = failed(failure(cause=Cause.INTERRUPT, killed=True, second_interrupt=second_interrupt))
    assert "lock of the remote state" not in local.why


def test_a_time_out_says_how_long_and_where_to_look() -> None:
    error = failed(failure(cause=Cause.TIMEOUT))
    assert isinstance(error, TerraformTimeoutError)
    assert "within 600 s, so it was stopped" in error.what
    assert "/w/logs/x.log" in error.fix
    killed = failed(failure(cause=Cause.TIMEOUT, killed=True, remote_state=True))
    assert "killed" in killed.what
    assert "force-unlock" in killed.fix


@pytest.mark.parametrize("how", [{}, {"cause": Cause.INTERRUPT}, {"cause": Cause.INTERRUPT, "killed": True},
                                 {"cause": Cause.TIMEOUT}])  # fmt: skip
def test_a_state_that_could_not_be_saved_is_never_forgotten(how: dict[str, Any]) -> None:
    error = failed(failure(unsaved=UnsavedState(Path("/w"), Path("/w/errored.tfstate")), **how))
    assert "terraform -chdir=/w state push errored.tfstate" in error.fix
    assert "errored.tfstate" in error.why
    assert "only after errored.tfstate has been pushed" in error.rerun


# --- transcripts ---


@pytest.fixture
def transcript(tmp_path: Path) -> Callable[..., Transcript]:
    def make(on_event: Callable[[TerraformEvent], None] = lambda _: None, *, document: bool = False) -> Transcript:
        redactor = Redactor([Secret("hush")])
        logs = Logs(tmp_path / "logs", redactor, lambda: datetime(2026, 1, 1, tzinfo=timezone.utc))
        return Transcript(logs.open("plan", ("terraform",)), redactor, on_event, document=document)

    return make


def logged(tmp_path: Path) -> str:
    return "".join(path.read_text() for path in (tmp_path / "logs").iterdir())


HUMAN = """
╷
│ Error: Invalid thing
│
│   with aws_iam_role.this,
│   on main.tf line 3, in resource "aws_iam_role" "this":
│    3:   x = hush
│
│ It is hush.
╵
Warning: Old
""".splitlines()


def test_text_for_people_is_read_where_there_is_no_json(transcript: Callable[..., Transcript], tmp_path: Path) -> None:
    said = transcript()
    for line in HUMAN:
        said.line("stderr", line)
    (error,) = said.errors()
    assert (error.summary, error.address, error.filename, error.line) == (
        "Invalid thing", "aws_iam_role.this", "main.tf", 3,
    )  # fmt: skip
    assert error.detail.endswith("It is [secret].")
    assert "hush" not in "\n".join(said.text) + logged(tmp_path)
    assert "stderr: │ Error: Invalid thing" in logged(tmp_path)


def test_events_go_to_the_listener_as_they_come(transcript: Callable[..., Transcript]) -> None:
    seen: list[TerraformEvent] = []
    said = transcript(seen.append)
    said.line("stdout", '{"type":"log","@message":"hush"}')
    assert seen == [Log("info", "[secret]")]
    said.line("stdout", "plain hush")
    assert seen[1:] == [Log("info", "plain [secret]")]
    said.line("stdout", "")
    assert len(seen) == 2


def test_a_listener_that_raised_is_not_called_again(transcript: Callable[..., Transcript], tmp_path: Path) -> None:
    calls: list[TerraformEvent] = []

    def listener(event: TerraformEvent) -> None:
        calls.append(event)
        raise ValueError

    said = transcript(listener)
    with pytest.raises(ValueError):
        said.line("stdout", "one")
    said.line("stdout", "two")
    assert len(calls) == 1
    assert "two" in logged(tmp_path)


def test_a_document_is_kept_and_not_logged(transcript: Callable[..., Transcript], tmp_path: Path) -> None:
    seen: list[TerraformEvent] = []
    said = transcript(seen.append, document=True)
    said.line("stdout", '{"value": "unknown so far"}')
    said.end("exit status 0")
    assert said.stdout == '{"value": "unknown so far"}'
    assert seen == []
    assert "unknown so far" not in logged(tmp_path)
    assert "# 27 characters on stdout, not logged\n# exit status 0\n" in logged(tmp_path)


@pytest.mark.parametrize("text", ["no json", "[]", '{"diagnostics": 1}', '{"diagnostics": []}'])
def test_a_document_without_diagnostics(transcript: Callable[..., Transcript], text: str) -> None:
    said = transcript(document=True)
    said.line("stdout", text)
    assert said.in_document() == ()


def test_a_document_with_diagnostics(transcript: Callable[..., Transcript]) -> None:
    said = transcript(document=True)
    items = [{"severity": "warning", "summary": "w"}, {"severity": "error", "summary": "hush"}]
    said.line("stdout", json.dumps({"diagnostics": items}))
    assert said.errors() == (Diagnostic("error", "[secret]"),)
    assert said.in_document()[0] == Diagnostic("warning", "w")


@given(st.lists(st.text() | st.sampled_from(["Error: x", "Warning: y", "  on a line 3", "  with b,", ""])))
def test_any_text_can_be_searched_for_diagnostics(lines: list[str]) -> None:
    for found in diagnostics_in(lines):
        assert found.severity in ("error", "warning")


def test_two_plans_of_one_stack_come_in_one_order(transcript: Callable[..., Transcript]) -> None:
    """Terraform reports changes in the order in which its workers come to them."""

    def line(kind: str, address: str, action: str) -> str:
        return json.dumps({"type": kind, "change": {"resource": {"addr": address}, "action": action}})

    found = []
    for addresses in (("b", "a", 'c["y"]', 'c["x"]'), ('c["x"]', 'c["y"]', "a", "b")):
        said = transcript()
        for kind in ("planned_change", "resource_drift"):
            for address in addresses:
                said.line("stdout", line(kind, address, "update"))
        outputs = {name: {"action": "update"} for name in addresses}
        said.line("stdout", json.dumps({"type": "outputs", "outputs": outputs}))
        found.append(plan_summary(said, has_changes=True))
    assert found[0] == found[1]
    assert [change.address for change in found[0].changes] == ["a", "b", 'c["x"]', 'c["y"]']
