"""The credentials file: one profile in and out, everything else byte for byte as it was."""

from __future__ import annotations

import configparser
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.aws.profile_file import (
    Profile,
    credentials_file,
    drop_profile,
    put_profile,
    read_profile,
    readable_by_others,
    require_writable,
    with_profile,
    without_profile,
)
from gridbyoc.errors import FileError
from gridbyoc.stack.secret import Secret

ARN = "arn:aws:iam::123456789012:user/ada"
ADA = Profile("gridbyoc-ada", "AKIAADA", Secret("canary-secret"), ARN)
FOREIGN = (
    "# my own comment\r\n\r\n",
    "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key=s3cr3t%/+=\n",
    "[default]\r\naws_access_key_id=a\r\n  # an indented comment\r\naws_secret_access_key=b\r\n\r\n",
    "[other]\nregion = eu-west-1\ns3 =\n  addressing_style = path\n  [gridbyoc-ada]\n; the end",
    "[gridbyoc-ada2]\naws_access_key_id: x\n\n\n",
    "[a b]\n# [gridbyoc-ada]\nname = [gridbyoc-ada]\n",
    "",
)
SECTIONS = st.lists(
    st.tuples(
        st.sampled_from(["default", "other", "gridbyoc-ada2", "a b", "profile x"]),
        st.lists(
            st.sampled_from(["aws_access_key_id = AKIA", "# a comment", "", "region=eu-west-1 ", ";x", "  ", "a: b"])
        ),
    ),
    unique_by=lambda section: section[0],
)


def text_of(sections: list[tuple[str, list[str]]], end: str, last: bool) -> bytes:
    lines = [line for name, body in sections for line in (f"[{name}]", *body)]
    return (end.join(lines) + (end if last and lines else "")).encode()


@given(SECTIONS, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_in_and_out_again_leaves_every_byte(sections: list[tuple[str, list[str]]], end: str, last: bool) -> None:
    content = text_of(sections, end, last)
    there = with_profile(content, ADA)
    assert there.startswith(content)
    assert with_profile(there, ADA) == there
    gone = without_profile(there, ADA.name)
    assert gone in (content, content + end.encode(), content + b"\n")


@given(SECTIONS, SECTIONS, st.sampled_from(["\n", "\r\n"]))
def test_between_others_it_is_replaced_in_its_place(
    before: list[tuple[str, list[str]]], after: list[tuple[str, list[str]]], end: str
) -> None:
    names = {name for name, _ in before}
    head, tail = text_of(before, end, True), text_of([each for each in after if each[0] not in names], end, True)
    old = text_of([(ADA.name, ["aws_access_key_id = OLD", "region = eu-west-1"])], end, True)
    changed = with_profile(head + old + tail, ADA)
    assert changed.startswith(head)
    assert changed.endswith(tail)
    assert b"OLD" not in changed
    assert without_profile(changed, ADA.name).replace(end.encode(), b"") == (head + tail).replace(end.encode(), b"")


@pytest.mark.parametrize("content", FOREIGN)
def test_what_others_wrote_stays(tmp_path: Path, content: str) -> None:
    path = tmp_path / "credentials"
    path.write_bytes(content.encode())
    put_profile(path, ADA)
    assert path.read_bytes().startswith(content.encode())
    found = read_profile(path, ADA.name)
    assert found is not None
    assert (found.access_key_id, found.secret_access_key, found.owner) == ("AKIAADA", Secret("canary-secret"), ARN)
    assert drop_profile(path, ADA.name)
    assert path.read_bytes().rstrip(b"\r\n") == content.encode().rstrip(b"\r\n")
    assert not drop_profile(path, ADA.name)


def test_a_new_file_is_private_and_so_is_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "home" / ".aws" / "credentials"
    put_profile(path, ADA)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["credentials"]


def test_a_directory_that_is_there_keeps_its_mode_and_the_file_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "credentials"
    path.write_text("[x]\na = b\n")
    path.chmod(0o644)
    assert readable_by_others(path)
    put_profile(path, ADA)
    assert not readable_by_others(path)
    assert not readable_by_others(tmp_path / "none")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_is_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles" / "aws", tmp_path / "link"
    real.parent.mkdir()
    link.symlink_to(real)
    found = credentials_file({"AWS_SHARED_CREDENTIALS_FILE": str(link)}, tmp_path)
    put_profile(found, ADA)
    assert link.is_symlink()
    assert b"gridbyoc-ada" in real.read_bytes()


def test_where_the_file_is(tmp_path: Path) -> None:
    assert credentials_file({}, tmp_path) == tmp_path / ".aws" / "credentials"
    assert credentials_file({"AWS_SHARED_CREDENTIALS_FILE": "~/x"}, tmp_path) == tmp_path / "x"
    assert credentials_file({"AWS_SHARED_CREDENTIALS_FILE": "/a"}, tmp_path, tmp_path / "b") == tmp_path / "b"


@pytest.mark.parametrize("content", [b"no section\n", b"[x]\n[x]\n", b"[x]\nkey without value\n", b"[x]\na = \xff\n"])
def test_a_file_that_aws_programs_cannot_read_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "credentials"
    path.write_bytes(content)
    with pytest.raises(FileError, match="not a valid AWS credentials file") as caught:
        put_profile(path, ADA)
    assert path.read_bytes() == content
    assert "key without value" not in f"{caught.value} {caught.value.why}"


def test_a_profile_written_in_an_odd_way_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    odd = b"[x]\na = b\n\n  [gridbyoc-ada]\n[y]\n [gridbyoc-ada]\naws_access_key_id = z\n"
    path.write_bytes(odd)
    with pytest.raises(FileError):
        put_profile(path, ADA)
    assert path.read_bytes() == odd


def test_the_secret_does_not_show() -> None:
    assert "canary" not in repr(ADA)


def test_several_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    names = [f"gridbyoc-{number}" for number in range(12)]
    threads = [
        threading.Thread(target=put_profile, args=(path, Profile(name, name, Secret(name), ARN))) for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    parser = configparser.RawConfigParser()
    parser.read(path)
    assert sorted(parser.sections()) == sorted(names)


def test_a_place_that_cannot_be_written_is_told_before(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(FileError):
        require_writable(blocker / "credentials", "x")
    require_writable(tmp_path / "new" / "credentials", "x")
    assert list((tmp_path / "new").iterdir()) == []
