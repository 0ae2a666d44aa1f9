"""Add a profile to the AWS credentials file or remove it, keeping every other byte; and read both AWS files."""

from __future__ import annotations

import configparser
import errno
import fcntl
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, FileError
from gridbyoc.stack.files import file_error, make_private_dir, write_atomic
from gridbyoc.stack.secret import Secret

OWNER = "# made by `gridbyoc credentials create-user` for "
"""The start of the line that marks our profile; the user's ARN follows."""
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
    """A profile in the file: ``owner`` is the ARN of the user for whom we created it, else ``None``."""

    access_key_id: str | None
    secret_access_key: Secret | None
    owner: str | None


def credentials_file(environ: Mapping[str, str], home: Path, given: Path | None = None) -> Path:
    """``given``, else what ``AWS_SHARED_CREDENTIALS_FILE`` names, else ``~/.aws/credentials``.

    Links are followed. Raises ``FileError`` for a link loop.
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
    """Whether other users of this machine may read the file; an existing file may have another mode than ours."""
    try:
        return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


def read_profile(path: Path, name: str) -> StoredProfile | None:
    """The profile; ``None`` if the file or the profile does not exist. Raises ``FileError`` if it is unreadable."""
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
    """Replace the profile of that name, or add it at the end. File 0600, a new directory 0700.

    If it raises ``FileError``, nothing was changed.
    """
    with _alone(path):
        content = _read(path)
        changed = with_profile(content, profile)
        _check(path, content, changed, profile.name)
        write_atomic(path, changed, mode=0o600)


def require_writable(path: Path, name: str) -> None:
    """Create the directory if it is missing, and check that the profile can be written. Raises ``FileError``."""
    with _alone(path):
        content = _read(path)
        _check(path, content, with_profile(content, Profile(name, "AKIA", Secret("tried"), "arn")), name)
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise file_error("Cannot write", path, error) from None


def drop_profile(path: Path, name: str) -> bool:
    """Remove the profile; return whether it existed. If it raises ``FileError``, nothing was changed."""
    if not path.exists():
        return False
    with _alone(path):
        content = _read(path)
        changed = without_profile(content, name)
        _check(path, content, changed, name)
        return write_atomic(path, changed, mode=0o600)


def with_profile(content: bytes, profile: Profile) -> bytes:
    """``content`` with the profile in it; keeps the file's line endings."""
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
    """``content`` without the profile, and without the empty line that ``with_profile`` put before it."""
    begin, stop = _place(content, name)
    if begin < stop == len(content):
        begin -= next((len(end) for end in (b"\r\n", b"\n") if content[:begin].endswith(b"\n" + end)), 0)
    return content[:begin] + content[stop:]


def _place(content: bytes, name: str) -> tuple[int, int]:
    """Where the section begins and ends; comments and empty lines before the next section belong to that one."""
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
    """Parse both as every AWS program does; raise ``FileError`` if anything but this profile has changed."""
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
    """Parse it as botocore does (configloader.raw_config_parse). The parser's messages quote lines: not shown."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(content.decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        line = getattr(error, "lineno", None)
        raise FileError(
            f"{path} is not a valid AWS credentials file" + (f" (line {line})." if line else "."),
            fix="Repair it, or name a different file with --credentials-file.",
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
    """Lock the directory, so that one gridbyoc at a time edits the file. A new directory is private."""
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


DEFAULT = "default"
PROFILE_VARIABLES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
"""In botocore's order (``configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES``); other SDKs read the second one first."""
_SECTION = re.compile(r"\[(.+)\]")
_OPTION = re.compile(r"(?P<name>[^\s:=#;][^:=]*?)\s*[:=]")
_BOM = "\ufeff"

ProfileSection = Mapping[str, "ProfileSetting"]


@dataclass(frozen=True, slots=True)
class ProfileSetting:
    """A value as it is written, which may be a secret, with its file and line."""

    value: str = field(repr=False)
    file: Path
    line: int

    @property
    def place(self) -> str:
        """``/home/ada/.aws/config:12``."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class FileFault:
    """Why botocore cannot read a file at all: ``what`` without the place, and the fix."""

    file: Path
    line: int
    what: str
    fix: str

    @property
    def place(self) -> str:
        """``/home/ada/.aws/config:12``."""
        return f"{self.file}:{self.line}" if self.line else str(self.file)


@dataclass(frozen=True, slots=True)
class SharedFiles:
    """Both files, merged: if both have a setting, that of ``credentials`` wins.

    ``headers`` is where each profile begins. ``unprefixed``: sections of ``config`` that are not profiles because
    ``[NAME]`` lacks the word ``profile``. A missing file counts as empty; ``faults`` are those of files that botocore
    refuses.
    """

    config: Path
    credentials: Path
    profiles: Mapping[str, ProfileSection]
    sso_sessions: Mapping[str, ProfileSection]
    services: Mapping[str, ProfileSection]
    headers: Mapping[str, ProfileSetting]
    unprefixed: Mapping[str, ProfileSetting]
    faults: tuple[FileFault, ...] = ()


def profile_in(environ: Mapping[str, str]) -> str | None:
    """The profile that the environment names for boto3; ``None`` if it names none."""
    return next((environ[name] for name in PROFILE_VARIABLES if name in environ), None)


def read_shared_files(environ: Mapping[str, str], home: Path) -> SharedFiles:
    """Read both files. Never raises: an unreadable file becomes a fault."""
    config = Path(environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config")
    credentials = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials")
    faults: list[FileFault] = []
    profiles: dict[str, dict[str, ProfileSetting]] = {}
    sessions: dict[str, dict[str, ProfileSetting]] = {}
    services: dict[str, dict[str, ProfileSetting]] = {}
    headers: dict[str, ProfileSetting] = {}
    unprefixed: dict[str, ProfileSetting] = {}
    kinds = {"profile": profiles, "sso-session": sessions, "services": services}
    for header, settings in _sections(config, faults):
        kind, name = _kind_and_name(header.value)
        if kind in kinds:
            kinds[kind].setdefault(name, {}).update(settings)
            headers.setdefault(name, header) if kind == "profile" else None
        elif name:
            unprefixed[name] = header
    for header, settings in _sections(credentials, faults):
        profiles.setdefault(header.value, {}).update(settings)
        headers.setdefault(header.value, header)
    return SharedFiles(config, credentials, profiles, sessions, services, headers, unprefixed, tuple(faults))


def _kind_and_name(header: str) -> tuple[str, str]:
    """Kind and name in a header: ``profile ops`` is the profile ``ops``; ``ops`` alone has no kind."""
    if header == DEFAULT:
        return "profile", DEFAULT
    try:
        words = shlex.split(header)
    except ValueError:
        return "", ""
    return (words[0], words[1]) if len(words) == 2 else ("", header if len(words) == 1 else "")


def _sections(file: Path, faults: list[FileFault]) -> Iterator[tuple[ProfileSetting, dict[str, ProfileSetting]]]:
    """Each section's header and its settings. A file that botocore refuses yields nothing and adds to ``faults``."""
    try:
        text = file.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return
    except OSError as error:
        fix = f"Make it readable for you: `chmod u+r {shlex.quote(str(file))}`."
        faults.append(FileFault(file, 0, f"cannot be read: {error.strerror or type(error).__name__}", fix))
        return
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        faults.append(FileFault(file, line, "holds bytes that are not UTF-8", "Save the file as UTF-8."))
        return
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        faults.append(_fault(file, text, error))
        return
    lines = _lines(text)
    for name in parser.sections():
        header = ProfileSetting(name, file, lines.get((name, ""), 0))
        options = {
            key: ProfileSetting(value, file, lines.get((name, key), header.line)) for key, value in parser.items(name)
        }
        yield header, options


def _fault(file: Path, text: str, error: configparser.Error) -> FileFault:
    """Explain the parser's error without the line's text, which may be a secret."""
    quoted = shlex.quote(str(file))
    if text.startswith(_BOM):
        what = "begins with a byte order mark (BOM), which boto3 and the AWS CLI refuse"
        return FileFault(file, 1, what, f"Take it away: `sed -i '1s/^\\xEF\\xBB\\xBF//' {quoted}`.")
    line = getattr(error, "lineno", 0) or 0
    if isinstance(error, configparser.DuplicateOptionError):
        what = f"[{error.section}] sets {error.option} a second time, which boto3 and the AWS CLI refuse"
        return FileFault(file, line, what, f'Delete one of them: `"${{EDITOR:-vi}}" +{line} {quoted}`.')
    if isinstance(error, configparser.DuplicateSectionError):
        what = f"[{error.section}] appears a second time, which boto3 and the AWS CLI refuse"
        return FileFault(file, line, what, f'Merge the two: `"${{EDITOR:-vi}}" +{line} {quoted}`.')
    if isinstance(error, configparser.MissingSectionHeaderError):
        what = "a setting comes before the first [section]"
    else:
        broken = getattr(error, "errors", ())
        line = broken[0][0] if broken else line
        what = "the line is neither a [section] nor a setting (NAME = VALUE)"
    return FileFault(file, line, what, f'Correct the line: `"${{EDITOR:-vi}}" +{line} {quoted}`.')


def _lines(text: str) -> dict[tuple[str, str], int]:
    """The line of each (section, setting); a section's header has an empty setting."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _SECTION.match(line):
            section = header[1]
            found.setdefault((section, ""), number)
        elif option := _OPTION.match(line):
            found.setdefault((section, option["name"].lower()), number)
    return found
