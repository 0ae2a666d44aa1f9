"""One profile in the AWS credentials file: put in and taken out, everything else kept byte for byte."""

from __future__ import annotations

import configparser
import errno
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, FileError
from gridbyoc.stack.files import file_error, make_private_dir, write_atomic
from gridbyoc.stack.secret import Secret

OWNER = "# made by `gridbyoc credentials create-user` for "
"""What follows is the ARN of the user: a profile with this line is ours."""
_HEADER = re.compile(rb"\[(.+)\]")


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile with an access key of ``owner``, a user's ARN."""

    name: str
    access_key_id: str
    secret_access_key: Secret
    owner: str


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A profile as it stands: ``owner`` is the user that it was made for by us, else ``None``."""

    access_key_id: str | None
    secret_access_key: Secret | None
    owner: str | None


def credentials_file(environ: Mapping[str, str], home: Path, given: Path | None = None) -> Path:
    """``given``, else what ``AWS_SHARED_CREDENTIALS_FILE`` names, else ``~/.aws/credentials``.

    A link is followed: what it leads to is the file; ``FileError`` where that goes round in a circle.
    https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
    """
    named = environ.get("AWS_SHARED_CREDENTIALS_FILE")
    path = given or (Path(os.path.expandvars(named)) if named else home / ".aws" / "credentials")
    parts = path.parts
    named_path = home.joinpath(*parts[1:]) if parts[:1] == ("~",) else path
    try:
        return named_path.resolve()
    except (OSError, RuntimeError):  # a RuntimeError until Python 3.13
        raise file_error("Cannot follow", named_path, OSError(errno.ELOOP, os.strerror(errno.ELOOP))) from None


def readable_by_others(path: Path) -> bool:
    """Whether somebody else on this machine may read the file: it was there before, with another mode than ours."""
    try:
        return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


def read_profile(path: Path, name: str) -> StoredProfile | None:
    """The profile; ``None`` where the file, or the profile in it, is not there. ``FileError``: it cannot be read."""
    content = _read(path)
    values = _parsed(content, path).get(name)
    if values is None:
        return None
    begin, end = _place(content, name)
    owner = next((ln for ln in content[begin:end].decode(errors="replace").splitlines() if ln.startswith(OWNER)), "")
    secret = values.get("aws_secret_access_key")
    return StoredProfile(
        values.get("aws_access_key_id"),
        Secret(secret) if secret else None,
        owner.removeprefix(OWNER).strip() or None,
    )


def put_profile(path: Path, profile: Profile) -> None:
    """Write the profile, in the place of one of that name, else at the end. File 0600, a new directory 0700.

    Raises ``FileError``, and then nothing was changed.
    """
    with _alone(path):
        content = _read(path)
        changed = with_profile(content, profile)
        _check(path, content, changed, profile.name)
        write_atomic(path, changed, mode=0o600)


def require_writable(path: Path, name: str) -> None:
    """Make the directory where there is none, and see that the profile can be written into the file; ``FileError``."""
    with _alone(path):
        content = _read(path)
        _check(path, content, with_profile(content, Profile(name, "AKIA", Secret("tried"), "arn")), name)
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise file_error("Cannot write", path, error) from None


def drop_profile(path: Path, name: str) -> bool:
    """Take the profile out; whether there was one. Raises ``FileError``, and then nothing was changed."""
    if not path.exists():
        return False
    with _alone(path):
        content = _read(path)
        changed = without_profile(content, name)
        _check(path, content, changed, name)
        return write_atomic(path, changed, mode=0o600)


def with_profile(content: bytes, profile: Profile) -> bytes:
    """``content`` with the profile in it, in the line ends that it has."""
    end = b"\r\n" if b"\r\n" in content else b"\n"
    lines = (
        f"[{profile.name}]",
        f"{OWNER}{profile.owner}",
        f"aws_access_key_id = {profile.access_key_id}",
        f"aws_secret_access_key = {profile.secret_access_key.reveal()}",
    )
    section = b"".join(line.encode() + end for line in lines)
    begin, stop = _place(content, profile.name)
    if begin < stop:
        return content[:begin] + section + content[stop:]
    gap = b"" if not content else end if content.endswith(b"\n") else end + end
    return content + gap + section


def without_profile(content: bytes, name: str) -> bytes:
    """``content`` without the profile, and without the empty line that was put before it at the end."""
    begin, stop = _place(content, name)
    if begin < stop == len(content):
        begin -= next((len(end) for end in (b"\r\n", b"\n") if content[:begin].endswith(b"\n" + end)), 0)
    return content[:begin] + content[stop:]


def _place(content: bytes, name: str) -> tuple[int, int]:
    """Where the section begins and ends; comments and empty lines before the next one are that one's."""
    begin = stop = position = len(content) if not content else 0
    inside = False
    for line in content.splitlines(keepends=True):
        after, text = position + len(line), line.strip()
        header = _HEADER.match(line)
        if header:
            if inside:
                break
            inside = header[1] == name.encode()
            begin = position if inside else begin
        if inside and text and (header or text.startswith(OWNER.encode().strip()) or text[:1] not in b"#;"):
            stop = after
        position = after
    return (begin, stop) if inside else (len(content), len(content))


def _check(path: Path, before: bytes, after: bytes, name: str) -> None:
    """Both are read as every AWS program reads them: nothing but this profile may have changed."""
    old, new = _parsed(before, path), _parsed(after, path)
    old.pop(name, None)
    new.pop(name, None)
    if old != new:
        raise FileError(
            f"The profile {name} in {path} is written in a way that cannot be changed without touching others.",
            fix="Edit the file by hand, or use another --profile-name or --credentials-file.",
            rerun=SAFE_NOTHING_DONE,
        )


def _parsed(content: bytes, path: Path) -> dict[str, dict[str, str]]:
    """As botocore reads it (configloader.raw_config_parse). The parser's words quote lines, so they are not shown."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(content.decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        line = getattr(error, "lineno", None)
        raise FileError(
            f"{path} is not a valid AWS credentials file" + (f" (line {line})." if line else "."),
            fix="Repair it, or give another one with --credentials-file.",
            rerun=SAFE_NOTHING_DONE,
        ) from None
    return {"": dict(parser.defaults())} | {name: dict(parser.items(name)) for name in parser.sections()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise file_error("Cannot read", path, error) from None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One of us at a time: a lock on the directory, which leaves nothing behind. A new directory is private."""
    if not path.parent.is_dir():
        make_private_dir(path.parent)
    try:
        descriptor = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise file_error("Cannot read", path.parent, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
