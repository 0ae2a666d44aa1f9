"""AWS's two shared files, ``config`` and ``credentials``, as botocore reads them, with the line of every setting.

botocore itself tells neither file nor line, and refuses a whole file for one line that it cannot read.
Format: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
"""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT = "default"
PROFILE_VARIABLES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
"""In botocore's order (``configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES``); other SDKs read the second one first."""
_HEADER = re.compile(r"\[(.+)\]")
_OPTION = re.compile(r"(?P<name>[^\s:=#;][^:=]*?)\s*[:=]")
_BOM = "\ufeff"

Profile = Mapping[str, "Setting"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A value as it is written, which may be a secret, and where it stands."""

    value: str = field(repr=False)
    file: Path
    line: int

    @property
    def place(self) -> str:
        """``/home/ada/.aws/config:12``."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class FileFault:
    """Why botocore cannot read a file at all: ``what`` without the place, and what to do about it."""

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
    """Both files, merged: where both have a setting, that of ``credentials`` counts.

    ``headers`` is where each profile begins. ``unprefixed``: sections of ``config`` that are no profiles because
    ``[NAME]`` lacks the word ``profile``. A file that is not there is an empty one; ``faults`` are those of files that
    botocore refuses.
    """

    config: Path
    credentials: Path
    profiles: Mapping[str, Profile]
    sso_sessions: Mapping[str, Profile]
    services: Mapping[str, Profile]
    headers: Mapping[str, Setting]
    unprefixed: Mapping[str, Setting]
    faults: tuple[FileFault, ...] = ()


def profile_in(environ: Mapping[str, str]) -> str | None:
    """The profile that the environment names for boto3; ``None`` if it names none."""
    return next((environ[name] for name in PROFILE_VARIABLES if name in environ), None)


def read_shared_files(environ: Mapping[str, str], home: Path) -> SharedFiles:
    """Read both files. Never raises: what cannot be read is a fault."""
    config = Path(environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config")
    credentials = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials")
    faults: list[FileFault] = []
    profiles: dict[str, dict[str, Setting]] = {}
    sessions: dict[str, dict[str, Setting]] = {}
    services: dict[str, dict[str, Setting]] = {}
    headers: dict[str, Setting] = {}
    unprefixed: dict[str, Setting] = {}
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
    """``profile ops`` is the profile ``ops``; ``ops`` alone is no profile, and may be one that lacks the word."""
    if header == DEFAULT:
        return "profile", DEFAULT
    try:
        words = shlex.split(header)
    except ValueError:
        return "", ""
    return (words[0], words[1]) if len(words) == 2 else ("", header if len(words) == 1 else "")


def _sections(file: Path, faults: list[FileFault]) -> Iterator[tuple[Setting, dict[str, Setting]]]:
    """Each section's header and its settings; nothing of a file that botocore refuses, which goes into ``faults``."""
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
        header = Setting(name, file, lines.get((name, ""), 0))
        options = {key: Setting(value, file, lines.get((name, key), header.line)) for key, value in parser.items(name)}
        yield header, options


def _fault(file: Path, text: str, error: configparser.Error) -> FileFault:
    """In words without the line's text, which may be a secret."""
    quoted = shlex.quote(str(file))
    if text.startswith(_BOM):
        what = "begins with a byte order mark (BOM), which boto3 and the AWS CLI refuse"
        return FileFault(file, 1, what, f"Take it away: `sed -i '1s/^\\xEF\\xBB\\xBF//' {quoted}`.")
    line = getattr(error, "lineno", 0) or 0
    if isinstance(error, configparser.DuplicateOptionError):
        what = f"[{error.section}] sets {error.option} a second time, which boto3 and the AWS CLI refuse"
        return FileFault(file, line, what, f'Delete one of them: `"${{EDITOR:-vi}}" +{line} {quoted}`.')
    if isinstance(error, configparser.DuplicateSectionError):
        what = f"[{error.section}] stands there a second time, which boto3 and the AWS CLI refuse"
        return FileFault(file, line, what, f'Put both into one: `"${{EDITOR:-vi}}" +{line} {quoted}`.')
    if isinstance(error, configparser.MissingSectionHeaderError):
        what = "a setting stands before the first [section]"
    else:
        broken = getattr(error, "errors", ())
        line = broken[0][0] if broken else line
        what = "the line is neither a [section] nor a setting (NAME = VALUE)"
    return FileFault(file, line, what, f'Correct the line: `"${{EDITOR:-vi}}" +{line} {quoted}`.')


def _lines(text: str) -> dict[tuple[str, str], int]:
    """The line of each (section, setting); of a section's header under an empty setting."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = header[1]
            found.setdefault((section, ""), number)
        elif option := _OPTION.match(line):
            found.setdefault((section, option["name"].lower()), number)
    return found
