"""A state that could not be saved: what counts as one, where it is kept, and who gets to see it."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.errors import TerraformError
from gridbyoc.stack.redaction import Redactor
from gridbyoc.terraform import Binary, Runner
from gridbyoc.terraform.events import Transcript
from gridbyoc.terraform.logs import Logs
from gridbyoc.terraform.process import ExitInfo, ProcessCommand
from gridbyoc.terraform.state_recovery import ERRORED, UnsavedState, refuse_errored, rescue, rescued, unsaved_state

STATE = {"version": 4, "serial": 1, "lineage": "a", "outputs": {}, "resources": []}


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (json.dumps(STATE), True),
        ('{"encrypted_data": "x", "meta": {}}', True),  # OpenTofu's
        ("", False),
        (json.dumps(STATE)[:-2], False),
        ("{}", False),
        ('{"version": 4, "resources": []}', False),
        ("[]", False),
        ("\0\0\0", False),
    ],
)
def test_a_state_is_one_only_if_it_parses(tmp_path: Path, text: str, whole: bool) -> None:
    (tmp_path / ERRORED).write_text(text)
    place = tmp_path / ERRORED
    expected = UnsavedState(tmp_path, place) if whole else UnsavedState(tmp_path, None, (place,))
    assert unsaved_state(tmp_path, {"TMPDIR": str(tmp_path)}) == expected


@pytest.mark.parametrize(("copy", "torn"), [('{"resources": [{"mode": "managed", "instances": [1]}]}', False),
                                            ('{"resources": []}', True), (None, True)])  # fmt: skip
def test_a_torn_local_state_is_named_unless_its_copy_is_put_back(tmp_path: Path, copy: str | None, torn: bool) -> None:
    (tmp_path / ERRORED).touch()
    (tmp_path / "terraform.tfstate").write_text("{")
    if copy:
        (tmp_path / "terraform.tfstate.backup").write_text(copy)
    found = unsaved_state(tmp_path, {})
    assert found is not None
    assert ((tmp_path / "terraform.tfstate") in found.torn) is torn


def test_only_our_own_whole_files_of_this_work_dir_are_found_elsewhere(tmp_path: Path) -> None:
    environ = room(tmp_path)
    (tmp_path / "w" / ERRORED).mkdir(parents=True)
    saved = rescue(STATE, tmp_path / "w", environ).place
    assert saved is not None
    assert [*rescued(tmp_path / "w", environ)] == [saved]
    assert [*rescued(tmp_path / "other", environ)] == []
    link = saved.with_name(saved.name.replace(".tfstate", "-b.tfstate"))
    link.symlink_to(saved)
    assert [*rescued(tmp_path / "w", environ)] == [saved]
    saved.write_text("{")
    assert [*rescued(tmp_path / "w", environ)] == []


def room(tmp_path: Path) -> dict[str, str]:
    """An environment whose temporary directory is a new one."""
    (tmp_path / "room").mkdir()
    return {"TMPDIR": str(tmp_path / "room"), "HOME": str(tmp_path / "room")}


def test_it_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    environ = room(tmp_path)
    (tmp_path / "w").mkdir()
    assert rescue(STATE, tmp_path / "w", environ) == UnsavedState(tmp_path / "w", tmp_path / "w" / ERRORED)
    assert stat.S_IMODE((tmp_path / "w" / ERRORED).stat().st_mode) == 0o600
    (tmp_path / "w" / ERRORED).unlink()
    (tmp_path / "w" / ERRORED).mkdir()
    found = rescue(STATE, tmp_path / "w", environ)
    assert found.place is not None
    assert found.place.parent == tmp_path / "room"
    assert stat.S_IMODE(found.place.stat().st_mode) == 0o600


def test_what_was_written_is_read_again_before_it_is_called_a_state(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    assert rescue({"version": 4}, tmp_path / "w", room(tmp_path)).place is None


def test_the_words_name_the_place_and_say_no_more_than_is_known(tmp_path: Path) -> None:
    errored, saved = tmp_path / ERRORED, tmp_path / "saved.tfstate"
    assert UnsavedState(tmp_path, errored).where.endswith("it is in errored.tfstate.")
    assert f"it is in {saved}, which contains the external id (mode 0600)" in UnsavedState(tmp_path, saved).where
    nowhere = UnsavedState(tmp_path, None, (errored,))
    assert "could not be saved anywhere. errored.tfstate is no longer a readable state" in nowhere.where
    assert f"`rm {errored}`" in nowhere.fix()


def test_nothing_goes_on_beside_it(tmp_path: Path) -> None:
    refuse_errored(tmp_path, {}, "by hand")
    (tmp_path / ERRORED).write_text(json.dumps(STATE))
    with pytest.raises(TerraformError, match="could not save its state") as caught:
        refuse_errored(tmp_path, {}, "by hand")
    assert "`by hand`" in caught.value.fix


def test_a_printed_state_gets_into_no_log_and_no_event(tmp_path: Path) -> None:
    heard: list[object] = []
    states: list[Mapping[str, Any]] = []
    redactor = Redactor(())
    logs = Logs(tmp_path / "logs", redactor, lambda: datetime(2026, 1, 2, tzinfo=timezone.utc))
    transcript = Transcript(logs.open("apply", ("terraform",)), redactor, heard.append, on_state=states.append)
    state = {**STATE, "outputs": {"external_id": {"value": "a-secret-value"}}}
    transcript.line("stdout", json.dumps({"@message": "Emergency state dump", "state": state}))
    transcript.line("stderr", json.dumps(state))
    transcript.end("exit status 1")
    (log,) = (tmp_path / "logs").iterdir()
    assert "a-secret-value" not in log.read_text() + repr(heard) + "".join(transcript.text)
    assert log.read_text().count("kept out of this log") == 2
    assert states == [state]


def test_what_a_printed_state_holds_is_a_secret_of_the_whole_run_and_its_place_is_named(tmp_path: Path) -> None:
    """There is no room in the work_dir while it is printed; a line that follows says the external id once more."""
    work_dir, environ, secret = tmp_path / "w", room(tmp_path), "a-secret-value"
    work_dir.mkdir()
    outputs = {"external_id": {"value": secret, "type": "string", "sensitive": True}}
    heard: list[object] = []

    def terraform(_command: ProcessCommand, on_line: Any, **_: Any) -> ExitInfo:
        (work_dir / ERRORED).mkdir()
        on_line("stdout", json.dumps({"@message": "Emergency state dump", "state": {**STATE, "outputs": outputs}}))
        (work_dir / ERRORED).rmdir()
        error = {"severity": "error", "summary": f"it was {secret}", "detail": ""}
        on_line("stdout", json.dumps({"type": "diagnostic", "@message": "Error", "diagnostic": error}))
        return ExitInfo(1, 0.0)

    binary = Binary(("terraform",), "terraform", (1, 11, 4), "terraform")
    runner = Runner(binary, work_dir, environ=environ, on_event=heard.append, run_command=terraform)
    with pytest.raises(TerraformError) as caught:
        runner.apply()
    (saved,) = (tmp_path / "room").iterdir()
    assert f"it is in {saved}" in caught.value.why
    logs = "".join(path.read_text() for path in (work_dir / "logs").iterdir())
    assert "it was" in logs
    assert secret not in f"{logs}{heard!r}{vars(caught.value)}"
