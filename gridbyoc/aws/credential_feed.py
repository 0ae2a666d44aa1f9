"""Give Terraform the credentials that boto3 resolved, so that both act as the same principal, and renew them.

boto3 and the AWS provider search for credentials in different orders: they prefer different ones of ``AWS_PROFILE`` and
``AWS_DEFAULT_PROFILE``, they read a profile with both SSO settings and an access key differently, and only boto3 can
read some sources (a console login). So Terraform gets the credentials that boto3 found:

- An access key in the environment, which both prefer, stays there.
- A role that the stack file names is served under a profile of our own, which the provider or the backend names.
- All other credentials go through a ``credential_process``. Each Terraform command gets a private directory with a
  configuration file. In it, every profile of the user's files keeps its name and settings, but gets its credentials
  from our helper, which asks this process over a Unix socket. No key is written to disk. The profile names in the root
  module and the backend stay the user's, so separate plan and apply jobs, and Terraform by hand in the work_dir, work
  with the user's own files.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from gridbyoc.aws.credential_source import AwsKeys, current_credentials
from gridbyoc.aws.identity import caller_identity
from gridbyoc.aws.profile_file import DEFAULT, ProfileSection, SharedFiles, profile_in, read_shared_files
from gridbyoc.aws.session import AwsSession
from gridbyoc.errors import SAFE_NOTHING_DONE, AccountMismatchError, FileError, GridbyocError

ACCESS_KEY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
NOT_READ_BY_BOTO3 = ("AWS_ACCESS_KEY", "AWS_SECRET_KEY")
"""Other variables for an access key, which only the provider's SDK reads."""
WEB_IDENTITY = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME")
CREDENTIAL_SETTINGS = frozenset(
    {
        "aws_access_key_id",
        "aws_account_id",
        "aws_secret_access_key",
        "aws_security_token",
        "aws_session_token",
        "credential_process",
        "credential_source",
        "duration_seconds",
        "external_id",
        "login_session",
        "mfa_serial",
        "role_arn",
        "role_session_name",
        "source_profile",
        "sso_account_id",
        "sso_account_name",
        "sso_region",
        "sso_registration_scopes",
        "sso_role_name",
        "sso_session",
        "sso_start_url",
        "web_identity_token_file",
    }
)
"""A profile's settings that define its credentials:
https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
"""
LONGEST_ADDRESS = 100
"""Bytes. The longest path of a Unix socket; macOS allows 103, Linux 107."""
HELPER = Path(__file__).with_name("credential_helper.py")

Variables = Mapping[str, str | None]
"""Environment variables to set; ``None``: to unset."""


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """The profiles to serve: ``profile`` is the stack's, ``backend`` the one that the backend names.

    ``provider`` is the profile of our own that the provider names if the stack file names a role for it.
    ``state_role``: ``backend`` is such a profile, too.
    """

    profile: str | None = None
    backend: str | None = None
    provider: str | None = None
    state_role: bool = False


class CredentialFeed:
    """Supplies the AWS variables for each Terraform command of a run.

    Args:
        environ: the caller's environment, with absolute paths.
        home: the directory of the user's ``.aws``.
        asked: the profiles to serve.
        open_session: opens the run's session (``None``), or a profile's.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        home: Path,
        asked: FeedRequest,
        open_session: Callable[[str | None], AwsSession],
    ) -> None:
        self._environ = environ
        self._home = home
        self._asked = asked
        self._open_session = open_session
        self._failures: dict[str, GridbyocError] = {}

    @property
    def failure(self) -> GridbyocError | None:
        """Why the last command that asked for credentials got none; ``None`` if it got them or did not ask."""
        return next(iter(self._failures.values()), None)

    @contextmanager
    def offered(self, *, acting: bool) -> Iterator[Variables]:
        """The variables for a Terraform command; ``acting``: it reads or changes the account's resources.

        If ``acting``, the account is compared first. Raises ``AwsCredentialsError`` and ``AccountMismatchError``, and
        ``FileError`` if the socket cannot be created.
        """
        self._failures.clear()
        files = read_shared_files(self._environ, self._home)
        # The provider warns of a profile beside an access key in the environment, so a role is never beside one.
        roles = self._asked.provider is not None or self._asked.state_role
        own_key = not roles and self._asked.profile is None and bool(self._environ.get("AWS_ACCESS_KEY_ID"))
        profile = self._asked.profile or profile_in(self._environ)
        variables: dict[str, str | None] = dict.fromkeys(NOT_READ_BY_BOTO3)
        variables |= {"AWS_PROFILE": profile, "AWS_DEFAULT_PROFILE": None, "AWS_SECURITY_TOKEN": None}
        if bundle := _ca_bundle(self._environ, files.profiles.get(profile or DEFAULT, {})):
            variables["AWS_CA_BUNDLE"] = bundle
        if own_key:
            # In botocore's order (``credentials.EnvProvider``); the provider's SDK reads only the second name.
            token = self._environ.get("AWS_SECURITY_TOKEN") or self._environ.get("AWS_SESSION_TOKEN")
            variables["AWS_SESSION_TOKEN"] = token or None
            if self._asked.backend is None:
                yield variables
                return
        else:
            variables |= dict.fromkeys((*ACCESS_KEY, *WEB_IDENTITY))
            if acting:
                _same_account(self._open_session(self._asked.provider))
        more = filter(None, (self._asked.backend, self._asked.provider))
        names = list(dict.fromkeys([profile or DEFAULT, *files.profiles, *more]))
        main = None if own_key else names[0]
        with _served(lambda number: self._answer(names[number], main=main)) as address:
            _write_files(address.parent, address, files, names)
            variables["AWS_CONFIG_FILE"] = str(address.parent / "config")
            variables["AWS_SHARED_CREDENTIALS_FILE"] = str(address.parent / "empty")
            yield variables

    def _answer(self, name: str, *, main: str | None) -> str:
        try:
            session = self._open_session(None if name == main else name)
            acting = name == (self._asked.provider or main)
            found = _same_account(session) if acting else current_credentials(session)
            self._failures.pop(name, None)
            return f"credentials\n{_document(found)}"
        except GridbyocError as error:
            self._failures[name] = error
            return f"error\n{error.what} {error.why}\n"


def _same_account(session: AwsSession) -> AwsKeys:
    """The session's current credentials. Raises ``AccountMismatchError`` if a renewal changed the account."""
    found = current_credentials(session)
    caller = session.callers.get(found.access_key_id) or caller_identity(session)
    shown = next(iter(session.callers.values()))
    if caller.account_id != shown.account_id:
        raise AccountMismatchError(
            f"The AWS credentials now belong to account {caller.account_id}, but the run began in account "
            f"{shown.account_id}.",
            why=f"After a renewal they belong to {caller.arn}; before, they belonged to {shown.arn}.",
            fix=f"Use credentials of account {shown.account_id} (`gridbyoc credentials show`), then run again.",
            rerun=SAFE_NOTHING_DONE,
        )
    return found


def _ca_bundle(environ: Mapping[str, str], profile: ProfileSection) -> str | None:
    """The CA bundle that boto3 uses, in its order (``botocore.session.create_client``, ``endpoint``)."""
    own = profile.get("ca_bundle")
    named = environ.get("AWS_CA_BUNDLE") or (own.value if own else "") or environ.get("REQUESTS_CA_BUNDLE")
    return os.path.abspath(named) if named else None  # noqa: PTH100 - the user's path: do not resolve links


def _document(found: AwsKeys) -> str:
    """https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html#feature-process-credentials-output"""
    fields: dict[str, str | int] = {
        "Version": 1,
        "AccessKeyId": found.access_key_id,
        "SecretAccessKey": found.secret_access_key.reveal(),
    }
    if found.session_token:
        fields["SessionToken"] = found.session_token.reveal()
    if found.expires:
        fields["Expiration"] = _rfc3339(found.expires)
    return json.dumps(fields)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write_files(directory: Path, address: Path, files: SharedFiles, names: list[str]) -> None:
    """Write this command's configuration: the user's profiles with a process in place of their credentials."""
    script = directory / "credentials.sh"
    argv = shlex.join((sys.executable or "python3", "-I", "-S", str(HELPER), str(address)))
    script.write_text(f'exec {argv} "$1"\n', encoding="utf-8")
    (directory / "empty").touch()
    sections = []
    for number, name in enumerate(names):
        own = {key: each.value for key, each in files.profiles.get(name, {}).items() if key not in CREDENTIAL_SETTINGS}
        if own.get("ca_bundle"):
            own["ca_bundle"] = os.path.abspath(own["ca_bundle"])  # noqa: PTH100 - as above
        own["credential_process"] = f"/bin/sh {shlex.quote(str(script))} {number}"
        sections.append(_section(_header("profile", name), own))
    for name, settings in files.services.items():
        sections.append(_section(_header("services", name), {key: each.value for key, each in settings.items()}))
    (directory / "config").write_text("\n".join(sections), encoding="utf-8")


def _header(kind: str, name: str) -> str:
    if name == DEFAULT and kind == "profile":
        return DEFAULT
    return f"{kind} {name}" if shlex.quote(name) == name else f'{kind} "{name}"'


def _section(header: str, settings: Mapping[str, str]) -> str:
    """A section as text. A setting of several lines is a group of settings, whose lines are indented."""
    lines = (f"{name} = {value}".replace("\n", "\n  ") for name, value in settings.items())
    return "\n".join([f"[{header}]", *lines, ""])


@contextmanager
def _served(answer: Callable[[int], str]) -> Iterator[Path]:
    """Serve a socket in a private directory that replies with ``answer(number)``; yield its address."""
    directory = _private_directory()
    try:
        address = directory / "s"
        with socket.socket(socket.AF_UNIX) as listening:
            try:
                listening.bind(str(address))
            except OSError as error:
                raise _no_socket(directory, error) from None
            listening.listen()
            over = threading.Event()
            threading.Thread(target=_serve, args=(listening, answer, over), daemon=True).start()
            try:
                yield address
            finally:
                over.set()
                _wake(address)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _private_directory() -> Path:
    """A new private directory whose path is short enough for a socket in it."""
    try:
        directory = Path(tempfile.mkdtemp(prefix="gridbyoc-"))
        if len(os.fsencode(directory / "s")) > LONGEST_ADDRESS:
            directory.rmdir()
            directory = Path(tempfile.mkdtemp(prefix="gridbyoc-", dir="/tmp"))
        return directory
    except OSError as error:
        raise _no_socket(Path(tempfile.gettempdir()), error) from None


def _no_socket(directory: Path, error: OSError) -> FileError:
    return FileError(
        f"A socket cannot be created in {directory}: {error.strerror or type(error).__name__}.",
        why="Terraform gets its AWS credentials through it.",
        fix="Set TMPDIR to a directory on a local disk with a short path, then run again.",
        rerun=SAFE_NOTHING_DONE,
    )


def _serve(listening: socket.socket, answer: Callable[[int], str], over: threading.Event) -> None:
    """Answer each connection in its own thread, because the backend's profile may be slower than the provider's."""
    with suppress(OSError):
        while not over.is_set():
            connection, _ = listening.accept()
            threading.Thread(target=_reply, args=(connection, answer), daemon=True).start()


def _reply(connection: socket.socket, answer: Callable[[int], str]) -> None:
    with suppress(OSError, ValueError, IndexError), connection, connection.makefile("r", encoding="ascii") as asked:
        connection.sendall(answer(int(asked.readline(9))).encode())


def _wake(address: Path) -> None:
    """Connect once, so that the server wakes up and checks whether it must end."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(address))
