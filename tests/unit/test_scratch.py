"""The copy of a work_dir that is read from while another run may hold the real one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from gridbyoc.errors import FileError
from gridbyoc.operations.events import Event, Note
from gridbyoc.operations.journal import JOURNAL, Journal
from gridbyoc.operations.private_copy import STATE, scratch_run
from gridbyoc.operations.run import Choices, Environment, Run
from tests.unit.fakes import Time, stack


def run_in(
    work_dir: Path, emit: Callable[[Event], None] = lambda _event: None, sleep: Callable[[float], None] | None = None
) -> Run:
    time = Time()
    outside = Environment({}, work_dir, emit, time.clock, sleep or time.sleep)
    journal = Journal(work_dir / JOURNAL, lambda: datetime(2026, 1, 1, tzinfo=timezone.utc), "run-1")
    return Run(stack(), work_dir, outside, Choices(), journal)


def test_what_terraform_reads_beside_the_rendered_files_is_copied(tmp_path: Path) -> None:
    """Without it a plan in the copy would destroy what it makes, and drift would say so."""
    (tmp_path / STATE).write_text(json.dumps({"serial": 1}))
    (tmp_path / "mine.tf").write_text("# mine\n")
    (tmp_path / "modules" / "more.tf").mkdir(parents=True)
    (tmp_path / "modules" / "more.tf" / "x.auto.tfvars").write_text("a = 1\n")
    (tmp_path / "notes.txt").write_text("no part of it\n")
    with scratch_run(run_in(tmp_path)) as copy:
        found = {path.relative_to(copy.work_dir).as_posix() for path in copy.work_dir.rglob("*") if path.is_file()}
        assert found == {STATE, "mine.tf", "modules/more.tf/x.auto.tfvars"}
        copy.journal.write("x")
    assert not copy.work_dir.exists()
    assert {path.name for path in tmp_path.iterdir()} == {STATE, "mine.tf", "modules", "notes.txt"}
    assert not list(tmp_path.glob(".reading-*"))


def test_providers_are_linked_to_and_no_link_is_followed(tmp_path: Path) -> None:
    """A package is 700 MB. A link in the place of ``.terraform`` may lead anywhere."""
    package = Path("providers") / "host" / "space" / "aws" / "5.0.0" / "linux_amd64"
    (tmp_path / ".terraform" / package).mkdir(parents=True)
    (tmp_path / ".terraform" / package / "provider").write_text("binary")
    (tmp_path / ".terraform" / "modules").symlink_to("elsewhere")
    with scratch_run(run_in(tmp_path)) as copy:
        made = copy.work_dir / ".terraform"
        assert (made / package).is_symlink()
        assert (made / package / "provider").read_text() == "binary"
        assert (made / "modules").is_symlink()
    assert (tmp_path / ".terraform" / package / "provider").exists()
    (tmp_path / ".terraform").rename(tmp_path / "moved")
    (tmp_path / ".terraform").symlink_to("moved")
    with scratch_run(run_in(tmp_path)) as copy:
        assert not (copy.work_dir / ".terraform").exists()


def test_a_state_that_is_never_whole_is_said_so(tmp_path: Path) -> None:
    (tmp_path / STATE).write_text('{"serial": 1')
    with pytest.raises(FileError, match="not a complete state"), scratch_run(run_in(tmp_path)):
        pass


@pytest.mark.parametrize("ends", [True, False])
def test_a_copy_that_cannot_be_removed_at_once_is_removed_later_or_named(tmp_path: Path, ends: bool) -> None:
    """A read that was given up at its deadline still writes while the copy is removed."""
    said: list[Event] = []
    place: list[Path] = []

    def sleep(_seconds: float) -> None:
        if ends:
            place[0].unlink(missing_ok=True)

    with scratch_run(run_in(tmp_path, said.append, sleep)) as copy:
        place.append(copy.work_dir)
        shutil.rmtree(copy.work_dir)
        copy.work_dir.write_text("")  # in the way: no directory can be removed here
    assert place[0].exists() is not ends
    assert [note.level for note in said if isinstance(note, Note)] == ([] if ends else ["warning"])
    assert ends or str(place[0]) in str(said)
    place[0].unlink(missing_ok=True)
