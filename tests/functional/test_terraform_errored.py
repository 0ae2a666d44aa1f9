"""A state that Terraform cannot save: kept out of logs and messages, saved where there is room, with advice that works.

The full disk is a limit on the size of files (``ulimit -f``, in blocks of 512 bytes for dash, 1024 for bash), which
Terraform alone is under: it leaves its state and errored.tfstate torn, and prints the state.
"""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from gridbyoc.errors import TerraformError
from gridbyoc.terraform import Backend, Binary, Log, State, find_binary
from gridbyoc.terraform.state_recovery import ERRORED, UnsavedState, unsaved_state
from tests.functional.terraform_kit import CANARY, OUTPUTS, Recorder, drive, environment, make_runner, root, script

BIG = f'resource "terraform_data" "a" {{\n  input = "{"x" * 4000}"\n}}\n'
LIMITED = 'case "$*" in *apply*) ulimit -f 1;; esac; exec "{}" "$@"'


@pytest.fixture(params=["terraform", "embedded"])
def real(request: pytest.FixtureRequest) -> Binary:
    return find_binary(request.param, environment())


def limited(tmp_path: Path, real: Binary) -> Binary:
    """The same Terraform; what it writes while it applies ends after a block."""
    program = script(tmp_path / "limited", LIMITED.format('" "'.join(real.argv)))
    return Binary((str(program),), real.flavour, real.version, str(program))


def told(error: TerraformError, heard: Recorder, work_dir: Path) -> str:
    """All that a person or a log gets to see."""
    logs = "".join(path.read_text() for path in (work_dir / "logs").iterdir())
    return "".join([error.what, error.why, error.fix, error.rerun, *error.diagnostics, repr(heard.events), logs])


def elsewhere(tmp_path: Path) -> dict[str, str]:
    room = tmp_path / "room"
    room.mkdir(exist_ok=True)
    return environment(TMPDIR=str(room), HOME=str(room))


def test_a_printed_state_is_saved_and_can_be_pushed(tmp_path: Path, real: Binary) -> None:
    work_dir, heard = root(tmp_path / "w", BIG, OUTPUTS), Recorder()
    with pytest.raises(TerraformError, match="terraform apply failed: Failed to write state") as caught:
        make_runner(limited(tmp_path, real), work_dir, on_event=heard).apply()
    error, errored = caught.value, work_dir / ERRORED
    assert CANARY not in told(error, heard, work_dir)
    assert any(isinstance(each, Log) and "kept out of this log" in each.message for each in heard)
    assert "raw state data" not in "".join(error.diagnostics)
    state = json.loads(errored.read_text())
    assert state["outputs"]["external_id"]["value"] == CANARY
    assert stat.S_IMODE(errored.stat().st_mode) == 0o600
    assert "it is in errored.tfstate" in error.why
    assert "gridbyoc state push" in error.fix
    assert "only after errored.tfstate has been pushed" in error.rerun

    runner = make_runner(real, work_dir)
    with pytest.raises(TerraformError, match="could not save its state"):
        runner.plan()
    (work_dir / "terraform.tfstate").unlink()
    runner.push(Backend(), State(state))
    errored.unlink()
    assert not runner.plan().has_changes


def test_without_room_in_the_work_dir_it_goes_elsewhere(tmp_path: Path) -> None:
    real = find_binary("terraform", environment())
    work_dir, environ, heard = root(tmp_path / "w", BIG, OUTPUTS), elsewhere(tmp_path), Recorder()
    # Nobody can write the file where a directory is. It comes after our look for an earlier state.
    text = f'mkdir {ERRORED}; exec {limited(tmp_path, real).path} "$@"'
    blocked = Binary((str(script(tmp_path / "blocked", text)),), "terraform", real.version, "blocked")
    with pytest.raises(TerraformError) as caught:
        make_runner(blocked, work_dir, on_event=heard, environ=environ).apply()
    error = caught.value
    (saved,) = (tmp_path / "room").iterdir()
    assert json.loads(saved.read_text())["outputs"]["external_id"]["value"] == CANARY
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert CANARY not in told(error, heard, work_dir)
    assert f"it is in {saved}" in error.why
    assert f"`mv {saved} {work_dir / ERRORED}`, then `gridbyoc state push`" in error.fix

    # the next run finds it, where errored.tfstate is torn
    (work_dir / ERRORED).rmdir()
    (work_dir / ERRORED).write_text('{"version": 4,')
    with pytest.raises(TerraformError, match="could not save its state") as again:
        make_runner(real, work_dir, environ=environ).plan()
    assert f"mv {saved}" in again.value.fix
    shutil.move(saved, work_dir / ERRORED)
    assert unsaved_state(work_dir, environ) == UnsavedState(work_dir, work_dir / ERRORED)


def test_without_room_anywhere_the_message_does_not_say_that_it_is_somewhere(tmp_path: Path) -> None:
    """We are under the limit as well. Only what exists in AWS is left."""
    real = find_binary("terraform", environment())
    work_dir = root(tmp_path / "w", BIG, OUTPUTS)
    status, said = drive(real, work_dir, "apply", elsewhere(tmp_path), file_size=512).end()
    text = "".join(said.values()) + "".join(path.read_text() for path in (work_dir / "logs").iterdir())
    assert status == 1
    assert CANARY not in text
    assert "it is in errored.tfstate" not in text
    torn = [work_dir / ERRORED, work_dir / "terraform.tfstate"]
    assert all(path.exists() for path in torn)
    assert (
        "could not be saved anywhere. errored.tfstate and terraform.tfstate is no longer a readable state"
        in said["why"]
    )
    assert f"`rm {torn[0]} {torn[1]}`" in said["fix"]
    assert "`gridbyoc bootstrap`: it finds the role in AWS" in said["fix"]
    with pytest.raises(TerraformError) as again:
        make_runner(real, work_dir, environ=elsewhere(tmp_path)).plan()
    assert f"`rm {torn[0]} {torn[1]}`" in again.value.fix
