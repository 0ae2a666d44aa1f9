"""A work_dir that came with somebody else's repository: no link in it is followed, and no pipe holds a run up."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from gridbyoc.errors import ExitStatus, FileError, ForeignFileError, StateMovedError, UsageError
from gridbyoc.operations.fleet.find import runs_of
from gridbyoc.operations.journal import JOURNAL, Journal, read_journal
from gridbyoc.operations.local_files import check_work_dir, refuse_state_left_behind, remove_local_files
from gridbyoc.operations.lock import HOLDER, LOCK, hold
from gridbyoc.render import render
from gridbyoc.stack.files import (
    home_of,
    json_object,
    make_private_dir,
    open_private,
    read_json,
    read_private,
    read_regular,
    remove,
    remove_tree,
    shared_by_another,
    touch_private,
    work_root_of,
    write_atomic,
)
from gridbyoc.stack.redaction import Redactor
from gridbyoc.terraform.logs import Logs
from tests.unit.fakes import stack

DEEP = "[" * 100_000


def noon() -> datetime:
    return datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    """A work_dir in a checkout."""
    made = tmp_path / "checkout" / ".gridbyoc" / "demo"
    make_private_dir(made)
    return made


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Somebody's directory outside of the checkout, with a file in it that any of our names may stand for."""
    directory = tmp_path / "victim"
    directory.mkdir(mode=0o755)
    for name in ("file", "one.log", "terraform.tfstate"):
        (directory / name).write_text("precious\n")
    return directory


def untouched(victim: Path) -> bool:
    """Whether all of it is as it was: names, contents and modes."""
    files = {path.name: path.read_text() for path in victim.iterdir()}
    plain = stat.S_IMODE(victim.stat().st_mode) == 0o755 and stat.S_IMODE((victim / "file").stat().st_mode) == 0o644
    return plain and files == dict.fromkeys(("file", "one.log", "terraform.tfstate"), "precious\n")


OPENERS: list[tuple[str, Callable[[Path], object]]] = [
    ("read", read_private),
    ("json", read_json),
    ("write", lambda path: open_private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)),
    ("append", lambda path: open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)),
    ("touch", touch_private),
    ("journal", lambda path: Journal(path, noon, "r1").write("x")),
    ("past runs", read_journal),
]


@pytest.mark.parametrize("opener", [each for _, each in OPENERS], ids=[name for name, _ in OPENERS])
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "device", "work_dir", "home"])
def test_nothing_that_leads_elsewhere_is_opened(
    work_dir: Path, victim: Path, kind: str, opener: Callable[[Path], object]
) -> None:
    path = work_dir / JOURNAL
    if kind == "link":
        path.symlink_to(victim / "file")
    elif kind == "dangling link":
        path.symlink_to(victim / "new")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        place = work_dir if kind == "work_dir" else work_dir.parent
        place.rename(victim.parent / "moved")
        place.symlink_to(victim if kind == "work_dir" else victim.parent)
        path = place / "file" if kind == "work_dir" else place / "victim" / "file"
    with pytest.raises(ForeignFileError) as caught:
        opener(path)
    error = caught.value
    assert error.exit_status is ExitStatus.PREFLIGHT_BLOCKED
    assert "`rm " in error.fix
    assert ("GRIDBYOC_WORK_ROOT" in error.fix) is (kind != "pipe")
    assert untouched(victim)


@pytest.mark.parametrize("opener", [each for _, each in OPENERS[2:6]], ids=[name for name, _ in OPENERS[2:6]])
def test_a_file_with_a_second_name_is_not_written_in_place(
    work_dir: Path, victim: Path, opener: Callable[[Path], object]
) -> None:
    (work_dir / JOURNAL).hardlink_to(victim / "file")
    with pytest.raises(ForeignFileError, match="second name") as caught:
        opener(work_dir / JOURNAL)
    assert "cp -p" in caught.value.fix
    assert untouched(victim)
    assert read_private(work_dir / JOURNAL) == b"precious\n"


def test_a_file_that_is_replaced_leaves_its_second_name_alone(work_dir: Path, victim: Path) -> None:
    (work_dir / "main.tf").hardlink_to(victim / "file")
    assert write_atomic(work_dir / "main.tf", "precious\n")
    assert stat.S_IMODE((work_dir / "main.tf").stat().st_mode) == 0o600
    assert untouched(victim)


@pytest.mark.parametrize("name", ["work_dir", "home"])
@pytest.mark.parametrize(
    "act",
    [
        make_private_dir,
        lambda place: write_atomic(place / "file", "ours"),
        lambda place: remove(place / "file"),
        lambda place: remove_tree(place / "inner"),
        lambda place: render(stack(), place),
    ],
    ids=["make", "write", "remove", "remove tree", "render"],
)
def test_no_directory_is_made_closed_or_emptied_behind_a_link(
    work_dir: Path, victim: Path, name: str, act: Callable[[Path], object]
) -> None:
    place = work_dir if name == "work_dir" else work_dir.parent
    place.rename(victim.parent / "moved")
    place.symlink_to(victim)
    with pytest.raises(ForeignFileError, match="symbolic link"):
        act(work_dir)
    assert untouched(victim)


@pytest.mark.parametrize("name", [LOCK, HOLDER])
def test_the_lock_truncates_nothing(work_dir: Path, victim: Path, name: str) -> None:
    (work_dir / name).symlink_to(victim / "file")
    with pytest.raises(ForeignFileError, match=name), hold(work_dir, verb="plan", now=noon):
        pytest.fail("held")
    assert untouched(victim)


def test_logs_are_not_pruned_behind_a_link(work_dir: Path, victim: Path) -> None:
    (work_dir / "logs").symlink_to(victim)
    with pytest.raises(ForeignFileError, match="logs is a symbolic link"):
        Logs(work_dir / "logs", Redactor(()), noon).open("plan", ("terraform", "plan"))
    assert untouched(victim)


def test_an_old_log_is_scrubbed_only_in_its_place(work_dir: Path, victim: Path) -> None:
    redactor = Redactor(())
    logs = Logs(work_dir / "logs", redactor, noon)
    logs.open("plan", ("terraform", "plan")).line("precious")
    (log,) = (work_dir / "logs").iterdir()
    log.unlink()
    log.symlink_to(victim / "file")
    with pytest.raises(ForeignFileError):
        logs.scrub()
    assert untouched(victim)


PLACES = [
    "run.lock", "run.lock.json", "journal.jsonl", "converged.json", "gridbyoc.tfplan", "terraform.tfstate",
    "terraform.tfstate.backup", "errored.tfstate", ".terraform.lock.hcl", ".terraform", "logs", "logs/x.log", "modules",
    "modules/gridbyoc", "modules/gridbyoc/main.tf", "main.tf", "terraform.tfvars.json", ".gridbyoc-rendered.json",
    ".gridbyoc-init.json", ".gridbyoc-state.json", ".gridbyoc.tfrc", "mine.tf", "mine.auto.tfvars",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_work_dir_is_looked_through_before_terraform_opens_what_is_in_it(
    work_dir: Path, victim: Path, place: str
) -> None:
    render(stack(), work_dir)
    check_work_dir(work_dir)
    path = work_dir / place
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.rename(victim.parent / "aside")
    path.symlink_to(victim if place in {"logs", "modules", ".terraform"} else victim / "file")
    with pytest.raises(ForeignFileError, match=f"{re.escape(place)} is a symbolic link"):
        check_work_dir(work_dir)
    assert untouched(victim)


def test_terraforms_own_links_and_other_peoples_files_are_let_be(work_dir: Path, victim: Path) -> None:
    render(stack(), work_dir)
    (work_dir / ".terraform" / "providers").mkdir(parents=True)
    (work_dir / ".terraform" / "providers" / "aws").symlink_to(victim)
    (work_dir / "notes").symlink_to(victim)
    os.mkfifo(work_dir / "pipe")
    check_work_dir(work_dir)


@pytest.mark.parametrize(
    ("place", "refused"), [("terraform.tfstate", True), ("journal.jsonl", True), ("main.tf", False)]
)
def test_a_second_name_counts_where_a_file_is_written_in_place(
    work_dir: Path, victim: Path, place: str, refused: bool
) -> None:
    (work_dir / place).hardlink_to(victim / "file")
    if refused:
        with pytest.raises(ForeignFileError, match="second name"):
            check_work_dir(work_dir)
    else:
        check_work_dir(work_dir)


def test_whose_directory_is_refused(tmp_path: Path) -> None:
    for mode, refused in ((0o700, False), (0o755, False), (0o775, True), (0o757, True), (0o1777, True)):
        tmp_path.chmod(mode)
        status = tmp_path.stat()
        assert not shared_by_another(status, status.st_uid)
        assert shared_by_another(status, status.st_uid + 1) is refused
    tmp_path.chmod(0o700)


def test_what_somebody_put_into_a_work_dir_stays_and_is_named(work_dir: Path, victim: Path) -> None:
    render(stack(), work_dir)
    journal = work_dir / JOURNAL
    Journal(journal, noon, "r1").write("x")
    Logs(work_dir / "logs", Redactor(()), noon).open("plan", ("terraform",)).close()
    ours = ["terraform.tfstate", "terraform.tfstate.backup", "terraform.tfstate.migrated-20260102T120000Z", "crash.log",
            ".terraform.lock.hcl", "converged.json", "gridbyoc.tfplan", "terraform.tfstate.ab12cd3_",
            ".gridbyoc-init.json", ".gridbyoc-0123456789ab.tmp"]  # fmt: skip
    for name in ours:
        (work_dir / name).write_text("{}")
    for name in (".terraform/providers", ".gridbyoc-7-abc", ".reading-abc"):
        (work_dir / name).mkdir(parents=True)
        (work_dir / name / "link").symlink_to(victim)
    theirs = ["notes.md", "run.sh", "mine.tf", "modules/gridbyoc/notes.md", "logs/why.txt", "terraform.tfstate.mine"]
    for name in theirs:
        (work_dir / name).write_text("theirs\n")
    (work_dir / "kept").symlink_to(victim)
    (work_dir / "terraform.tfstate.d" / "other").mkdir(parents=True)
    stays = remove_local_files(work_dir, {JOURNAL})
    named = sorted(path.relative_to(work_dir).as_posix() for path in stays)
    assert named == sorted([*theirs, "kept", "terraform.tfstate.d"])
    assert {path.name for path in work_dir.iterdir()} == {
        JOURNAL, "notes.md", "run.sh", "mine.tf", "modules", "logs", "terraform.tfstate.mine", "kept",
        "terraform.tfstate.d",
    }  # fmt: skip
    assert untouched(victim)


@pytest.mark.parametrize("name", ["logs", ".terraform", "modules"])
def test_what_a_link_leads_to_is_not_removed(work_dir: Path, victim: Path, name: str) -> None:
    """Where one has come into the work_dir after it was looked through."""
    (work_dir / name).symlink_to(victim)
    assert [path.name for path in remove_local_files(work_dir, {JOURNAL})] == (["modules"] if name == "modules" else [])
    assert untouched(victim)


def test_records_that_are_nested_too_deeply_are_damaged(work_dir: Path) -> None:
    for text in (DEEP, '{"a":' * 100_000, "[]", "1", '{"a": 1'):
        assert json_object(text) is None
        write_atomic(work_dir / JOURNAL, f'{text}\n{{"type": "run_started", "run": "r"}}\n')
        assert [record["run"] for record in read_journal(work_dir / JOURNAL)] == ["r"]
        assert [record["run"] for record in runs_of(work_dir)] == ["r"]
        for name in (HOLDER, ".gridbyoc-rendered.json", "terraform.tfvars.json"):
            write_atomic(work_dir / name, text)
        render(stack(), work_dir)


def test_a_fleet_leaves_a_hostile_journal_to_the_stacks_own_run(work_dir: Path, victim: Path) -> None:
    (work_dir / JOURNAL).symlink_to(victim / "file")
    assert runs_of(work_dir) == ()


def test_a_regular_file_is_read_through_links_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    assert read_regular(tmp_path / "link", 2) == b"te"
    for name in ("pipe", "/dev/zero"):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular(tmp_path / name)


def test_work_dirs_lie_where_the_user_says(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (tmp_path / "link").symlink_to(checkout)
    assert work_root_of({}) is work_root_of({"GRIDBYOC_WORK_ROOT": ""}) is None
    root = work_root_of({"GRIDBYOC_WORK_ROOT": f"{tmp_path}/x/../root/"})
    assert root == tmp_path / "root"
    assert home_of(checkout, None) == checkout / ".gridbyoc"
    assert home_of(checkout, root) == home_of(tmp_path / "link", root) == Path(f"{root}{checkout}/.gridbyoc")
    for text in ("work", "~/work", "./work", "/a\0b"):
        with pytest.raises(UsageError, match="absolute") as caught:
            work_root_of({"GRIDBYOC_WORK_ROOT": text})
        assert "export GRIDBYOC_WORK_ROOT=" in caught.value.fix


def test_a_state_beside_the_stack_file_is_not_left_behind(work_dir: Path, tmp_path: Path) -> None:
    elsewhere = home_of(tmp_path / "checkout", tmp_path / "root") / "demo"
    refuse_state_left_behind(work_dir, elsewhere)
    (work_dir / "terraform.tfstate").write_text('{"version": 4}')
    refuse_state_left_behind(work_dir, work_dir)
    with pytest.raises(StateMovedError) as caught:
        refuse_state_left_behind(work_dir, elsewhere)
    assert f"mkdir -p {elsewhere.parent} && mv {work_dir} {elsewhere}" in caught.value.fix
    elsewhere.parent.mkdir(parents=True)
    work_dir.rename(elsewhere)
    refuse_state_left_behind(work_dir, elsewhere)


def test_a_directory_that_may_be_passed_through_need_not_be_readable(tmp_path: Path) -> None:
    """Root reads everything, so that this tells something to others alone."""
    closed = tmp_path / "closed"
    make_private_dir(closed / ".gridbyoc" / "demo")
    closed.chmod(0o311)
    write_atomic(closed / ".gridbyoc" / "demo" / "file", "text")
    assert read_private(closed / ".gridbyoc" / "demo" / "file") == b"text"
    closed.chmod(0o700)


def test_an_error_names_the_whole_path(work_dir: Path) -> None:
    (work_dir / "file" / "inside").mkdir(parents=True)
    with pytest.raises(FileError) as caught:
        write_atomic(work_dir / "file", "text")
    assert str(work_dir / "file") in caught.value.why
    with pytest.raises(FileNotFoundError) as missing:
        read_private(work_dir / "gone" / "file")
    assert missing.value.filename == str(work_dir / "gone")
