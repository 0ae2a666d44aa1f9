"""The files of the services' own clients in the home directory, the control plane's address, and input checks."""

from __future__ import annotations

import json
import re
import shlex
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from gridbyoc.control_plane.http import base_url
from gridbyoc.errors import SAFE_NOTHING_DONE, FileError, UnsupportedByDialectError, UntrustedAddressError, UsageError
from gridbyoc.stack.document import Fault
from gridbyoc.stack.files import make_private_dir, write_atomic
from gridbyoc.stack.model import ClusterSpec, DialectName
from gridbyoc.stack.regions import region_fault
from gridbyoc.stack.rules import cluster_name_fault
from gridbyoc.stack.sandbox_mark import check_address
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.service_quotas import instance_type_fault
from gridbyoc.vendors import facts_of


@dataclass(frozen=True, slots=True)
class UserFile:
    """A client's JSON file: its object, or the problem as text (``missing``: the file does not exist)."""

    values: Mapping[str, Any]
    problem: str = ""
    missing: bool = False
    readable_by_others: bool = False


def credentials_path(dialect: DialectName, home: Path, environ: Mapping[str, str] = MappingProxyType({})) -> Path:
    """The file in which the dialect's own client stores user id and key."""
    client = facts_of(dialect).client
    named = environ.get(client.variables.credentials_file or "")
    return Path(named).expanduser() if named else home / client.credentials.file


def settings_path(dialect: DialectName, home: Path) -> Path | None:
    """The file in which the dialect's own client stores default cluster and address; ``None`` if it has none."""
    settings = facts_of(dialect).client.settings
    return home / settings.file if settings else None


def read_user_file(path: Path) -> UserFile:
    """Read the file. ``problem`` contains none of its content, which may be a misplaced key."""
    try:
        content = path.read_bytes()
        loose = bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except FileNotFoundError:
        return UserFile({}, "there is no such file", missing=True)
    except OSError as error:
        return UserFile({}, f"it cannot be read ({error.strerror or type(error).__name__})")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return UserFile({}, "it is not valid JSON", readable_by_others=loose)
    if not isinstance(value, dict):
        return UserFile({}, "it is not a JSON object", readable_by_others=loose)
    return UserFile(value, readable_by_others=loose)


def update_user_file(path: Path, values: Mapping[str, Any]) -> None:
    """Set ``values`` in the file and keep its other keys; mode 0600 in a directory 0700. A corrupt file is replaced.

    Raises ``FileError``.
    """
    make_private_dir(path.parent)
    known = read_user_file(path)
    if known.problem.startswith("it cannot be read"):
        raise FileError(f"Could not change {path}: {known.problem}.", fix="Check its permissions, then run again.")
    write_atomic(path, json.dumps({**known.values, **values}, indent=2) + "\n", mode=0o600)


_STACKS = "control_plane.url of the stack file"


def resolve_url(
    dialect: DialectName, explicit: str | None, stack_url: str | None, environ: Mapping[str, str], home: Path
) -> str:
    """The control plane's base URL. The first of: flag, stack file, environment, last login, the dialect's default.

    The stack file may be someone else's, and the key is sent to this address. So the stack file's address must also be
    one of the others; else this raises ``UntrustedAddressError``. Raises ``UsageError`` for an unusable URL, naming its
    source, ``FileError`` for a required file that cannot be read, and ``OutsideSandboxError``.
    """
    if stack_url and not explicit:
        wanted = base_url(stack_url, _STACKS)
        if without_default_port(wanted) not in _named_by_the_user(dialect, environ, home):
            raise _untrusted(dialect, wanted, environ)
        check_address(wanted, environ)
        return wanted
    return own_address(dialect, explicit, environ, home)


def address_in(
    dialect: DialectName, explicit: str | None, stack_url: str | None, environ: Mapping[str, str], home: Path
) -> str:
    """The address to show, without the check of who names it: nothing is sent there."""
    if stack_url and not explicit:
        return base_url(stack_url, _STACKS)
    return own_address(dialect, explicit, environ, home)


def own_address(dialect: DialectName, explicit: str | None, environ: Mapping[str, str], home: Path) -> str:
    """The address from this machine: flag, environment, last login, or the dialect's default.

    Raises ``OutsideSandboxError`` if the environment is a sandbox's and the address leads elsewhere.
    """
    address = facts_of(dialect).address
    if explicit:
        found = base_url(explicit, "--url")
    elif environ.get(address.variable):
        found = base_url(environ[address.variable], f"the environment's {address.variable}")
    else:
        path, name = _stored_at(dialect, home, environ)
        stored = _stored_url(dialect, home, environ)
        found = base_url(stored, f"{name} in {path}") if stored else address.url
    check_address(found, environ)
    return found


def same_address(one: str, other: str) -> bool:
    """Whether scheme, host, port and path are the same; false for an unusable address."""
    try:
        return without_default_port(base_url(one, "")) == without_default_port(base_url(other, ""))
    except UsageError:
        return False


def _named_by_the_user(dialect: DialectName, environ: Mapping[str, str], home: Path) -> set[str]:
    """The addresses to which the key may be sent: the environment's, the last login's and the dialect's default."""
    address = facts_of(dialect).address
    path, name = _stored_at(dialect, home, environ)
    found = {address.url}
    for text in (environ.get(address.variable), read_user_file(path).values.get(name)):
        if isinstance(text, str) and text:
            with suppress(UsageError):  # an unusable address allows nothing
                found.add(without_default_port(base_url(text, "")))
    return found


def without_default_port(url: str) -> str:
    """The URL without its scheme's default port: ``https://host:443/path`` becomes ``https://host/path``."""
    parts = urlsplit(url)
    port = {"https": 443, "http": 80}[parts.scheme]
    return urlunsplit(parts._replace(netloc=parts.netloc.removesuffix(f":{port}")))


def _untrusted(dialect: DialectName, url: str, environ: Mapping[str, str]) -> UntrustedAddressError:
    address = facts_of(dialect).address
    another = f'{address.variable} has another address: `--url "${address.variable}"` uses that one. '
    return UntrustedAddressError(
        f"The stack file would send the API key to {url}, but only the stack file names that address.",
        why=f"A stack file may be someone else's. The key is sent only to {address.url}, to `--url`, to "
        f"{address.variable}, and to the address of the last `gridbyoc login`.",
        fix=f"If you trust the address: `export {address.variable}={shlex.quote(url)}`. "
        f"{another if environ.get(address.variable) else ''}"
        f"In a pipeline, set {address.variable} in a protected setting of the engine (docs/pipelines.md).",
        rerun=SAFE_NOTHING_DONE,
    )


def _stored_at(dialect: DialectName, home: Path, environ: Mapping[str, str]) -> tuple[Path, str]:
    """The file and the key under which ``gridbyoc login`` stores the address."""
    client = facts_of(dialect).client
    settings = settings_path(dialect, home)
    name = (client.settings or client.credentials).address
    return settings or credentials_path(dialect, home, environ), str(name)


def _stored_url(dialect: DialectName, home: Path, environ: Mapping[str, str]) -> str | None:
    path, name = _stored_at(dialect, home, environ)
    found = read_user_file(path)
    # An unreadable credentials file is reported when the credentials are read; the environment may supply them.
    if found.problem and not found.missing and path == settings_path(dialect, home):
        raise FileError(
            f"The address of the control plane cannot be read from {path}: {found.problem}.",
            fix="Repair or remove the file, or set the address: --url, control_plane.url or "
            f"{facts_of(dialect).address.variable}.",
        )
    value = found.values.get(name)
    return value if isinstance(value, str) and value else None


def remember_url(
    dialect: DialectName, home: Path, environ: Mapping[str, str], url: str, also: Mapping[str, Any]
) -> Path:
    """Store the address where ``resolve_url`` looks for it, with other values of the same file; return the file."""
    path, name = _stored_at(dialect, home, environ)
    update_user_file(path, {**also, name: url})
    return path


_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/(?:[\w+=,.@-]+/)*[\w+=,.@-]{1,64}", re.ASCII)
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (ExternalId)
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")


def check_cluster(spec: ClusterSpec, dialect: DialectName) -> None:
    """Raise ``UnsupportedByDialectError`` for a name or instance types that the control plane does not accept."""
    check_name(spec.name, dialect)
    check_types(item.name for item in spec.instance_types)


def check_name(name: str, dialect: DialectName) -> None:
    """Check the dialect's name rule. A trailing line feed, which the service's own client accepts, is refused, too."""
    fault = cluster_name_fault(name, dialect)
    if fault is not None:
        raise _unsupported([fault])


def check_types(names: Iterable[str]) -> None:
    """Refuse invalid and Arm instance types (the service's images are for amd64), all in one error."""
    faults = [fault for name in names if (fault := instance_type_fault(name)) is not None]
    if faults:
        raise _unsupported(faults)


def _unsupported(faults: list[Fault]) -> UnsupportedByDialectError:
    return UnsupportedByDialectError(
        "; ".join(fault.message for fault in faults) + ".",
        fix="; ".join(fault.hint for fault in faults if fault.hint),
        rerun=SAFE_NOTHING_DONE,
    )


def check_grant(role_arn: str, external_id: Secret, region: str) -> None:
    """Check values that a person enters. Raises ``UsageError``, which does not repeat the external id."""
    if not _ROLE_ARN.fullmatch(role_arn):
        raise _bad_form(
            f"{role_arn!r} is not the ARN of an IAM role.",
            "It has the form arn:aws:iam::123456789012:role/grid-cloud.",
        )
    if not _EXTERNAL_ID.fullmatch(external_id.reveal()):
        raise _bad_form(
            "The external id is not valid.", "It has 2 to 1224 characters: letters, digits and any of _+=,.@:/- ."
        )
    fault = region_fault(region)
    if fault is not None:
        raise _bad_form(f"{fault.message}.", fault.hint)


def check_unique(names: tuple[str, ...]) -> None:
    """Raise ``UsageError`` if a person entered an instance type twice."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _bad_form(f"The instance type {twice} appears twice.", "Give it once.")


def _bad_form(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)
