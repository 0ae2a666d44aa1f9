"""Files that are private and never half written."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from gridbyoc.errors import FileError
from gridbyoc.stack.files import file_error, make_private_dir, write_atomic


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_write_atomic_writes_what_differs_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_atomic(path, "grün\n")
    assert path.read_bytes() == "grün\n".encode()
    assert mode(path) == 0o600
    os.utime(path, (1, 1))
    assert not write_atomic(path, "grün\n".encode())
    assert path.stat().st_mtime == 1
    assert write_atomic(path, b"other", mode=0o700)
    assert mode(path) == 0o700
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_write_atomic_closes_a_file_that_was_open(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("same")
    path.chmod(0o644)
    assert not write_atomic(path, "same")
    assert mode(path) == 0o600


def test_write_atomic_replaces_a_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("same")
    (tmp_path / "file").symlink_to(elsewhere)
    assert write_atomic(tmp_path / "file", "same")
    assert not (tmp_path / "file").is_symlink()
    write_atomic(tmp_path / "file", "new")
    assert elsewhere.read_text() == "same"


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file" / "inside").mkdir(parents=True)
    with pytest.raises(FileError, match="Cannot write"):
        write_atomic(tmp_path / "file", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_disk_without_room_leaves_the_old_file_whole(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(FileError) as caught:
            write_atomic(tmp_path / "file", "new" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "space" in caught.value.fix
    assert (tmp_path / "file").read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_text_from_the_file_system_is_written_byte_for_byte(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", os.fsdecode(b"/caf\xe9"))
    assert (tmp_path / "file").read_bytes() == b"/caf\xe9"


def test_make_private_dir_makes_and_closes(tmp_path: Path) -> None:
    make_private_dir(tmp_path / "a" / "b")
    assert mode(tmp_path / "a" / "b") == 0o700
    (tmp_path / "a" / "b").chmod(0o755)
    make_private_dir(tmp_path / "a" / "b")
    assert mode(tmp_path / "a" / "b") == 0o700


def test_the_home_of_all_stacks_is_private_and_kept_out_of_git(tmp_path: Path) -> None:
    make_private_dir(tmp_path / ".gridbyoc" / "ml")
    assert mode(tmp_path / ".gridbyoc") == mode(tmp_path / ".gridbyoc" / "ml") == 0o700
    assert (tmp_path / ".gridbyoc" / ".gitignore").read_text() == "*\n"


def test_a_file_in_the_way_of_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FileError) as caught:
            make_private_dir(path)
        assert str(tmp_path / "file") in caught.value.why
        assert "away: it is a file where a directory is needed" in caught.value.fix


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.EROFS, "permission to use"),
        (errno.EACCES, "permission to use"),
        (errno.ENOTDIR, "away: it is a file"),
        (errno.EIO, "Check "),
    ],
)
def test_an_error_says_what_why_and_what_to_do(number: int, fix: str) -> None:
    error = file_error("Cannot write", Path("dir/file"), OSError(number, os.strerror(number)))
    assert error.what == "Cannot write dir/file."
    assert os.strerror(number) in error.why
    assert fix in error.fix
    assert error.rerun


def test_an_error_without_words_still_says_something() -> None:
    assert file_error("Cannot write", Path("file"), TimeoutError()).why == "TimeoutError (file)."
