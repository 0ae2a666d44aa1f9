"""Where the AWS credentials come from and how long they last. Never the keys themselves."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridbyoc.aws.profile_file import profile_in
from gridbyoc.aws.session import AwsSession, retrieving
from gridbyoc.errors import SAFE_NOTHING_DONE, AwsCredentialsError
from gridbyoc.stack.files import json_object, read_regular
from gridbyoc.stack.secret import Secret

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

SOURCES: Mapping[str, str] = {
    "env": "environment",
    "explicit": "explicit",
    "shared-credentials-file": "credentials file",
    "config-file": "config file",
    "boto-config": "boto config file",
    "ec2-credentials-file": "EC2 credentials file",
    "assume-role": "assumed role",
    "assume-role-with-web-identity": "web identity",
    "sso": "SSO",
    "login": "console login",
    "custom-process": "process",
    "container-role": "container",
    "iam-role": "instance metadata",
}
"""botocore's name of a provider → ours.
https://docs.aws.amazon.com/boto3/latest/guide/credentials.html#configuring-credentials
"""
OF_A_PROFILE = frozenset(SOURCES) - {
    "env",
    "explicit",
    "boto-config",
    "ec2-credentials-file",
    "container-role",
    "iam-role",
}
"""The providers that read a profile of the AWS files (web identity: unless the environment names the role)."""
ONCE = frozenset({"env", "explicit", "shared-credentials-file", "config-file", "boto-config", "ec2-credentials-file"})
"""What stands there is all there is: nothing fetches new ones."""


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """``kind`` is one of ``SOURCES``' words, ``profile`` the AWS profile it was read from, where it was.

    ``expires`` (UTC) is when those in hand end; ``None``: never, or not known. ``renews``: boto3 and Terraform fetch
    new ones by themselves then. Of an SSO login that cannot be renewed it is the later end, of login or credentials.
    ``temporary``: they have a session token; without one they are an IAM user's or the root user's access key.
    ``overridden`` is a profile of the environment that its access key wins over; ``ignored`` an ``AWS_PROFILE`` that
    ``AWS_DEFAULT_PROFILE`` wins over (in boto3, and so in Terraform here; not in other tools).
    """

    kind: str
    profile: str | None
    expires: datetime | None
    renews: bool
    temporary: bool
    overridden: str | None = None
    ignored: str | None = None

    @property
    def text(self) -> str:
        """``SSO, profile platform``."""
        return f"{self.kind}, profile {self.profile}" if self.profile else self.kind


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """An access key as it is now; ``expires`` (UTC) is when it ends, ``None``: never, or not known."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None
    expires: datetime | None


def current_credentials(session: AwsSession) -> AwsKeys:
    """What ``session`` signs with now; renewed if they are about to end.

    Raises ``AwsCredentialsError``, and ``AwsError`` where nobody could be asked.
    """
    found, _, expires = _fetched(session)
    token = Secret(found.token) if found.token else None
    return AwsKeys(str(found.access_key), Secret(str(found.secret_key)), token, expires)


def _fetched(session: AwsSession) -> tuple[ReadOnlyCredentials, str, datetime | None]:
    """The credentials as they are now, botocore's name of the provider that gave them, and when they end."""
    with retrieving(session.core):
        found = session.credentials()
    if found is None:
        raise _none()
    method = str(found.method)
    with retrieving(session.core, method):
        while True:
            frozen = found.get_frozen_credentials()
            expires = getattr(found, "_expiry_time", None)
            # Another thread may have renewed them in between: then the end is not that of this key.
            if getattr(found, "_frozen_credentials", frozen) == frozen:
                return frozen, method, _utc(expires)


def credential_source(session: AwsSession, environ: Mapping[str, str], home: Path) -> CredentialSource:
    """Where ``session`` has its credentials from; fetches them where they have to be (a role, SSO, a process).

    ``environ`` and ``home`` are for what botocore does not tell: ``AWS_PROFILE``, the cached login of SSO. Raises
    ``AwsCredentialsError`` where there are none, or none can be fetched.
    """
    found, method, expires = _fetched(session)
    profile = _profile(session, method, environ)
    login = _login_ends(session, profile, home) if method == "sso" else None
    return CredentialSource(
        kind=SOURCES.get(method, method),
        profile=profile,
        expires=max(filter(None, (expires, login)), default=None),
        renews=method not in ONCE and login is None,
        temporary=bool(found.token),
        overridden=profile_in(environ) if method == "env" else None,
        ignored=_ignored(profile, environ),
    )


def _ignored(profile: str | None, environ: Mapping[str, str]) -> str | None:
    other = environ.get("AWS_PROFILE")
    return other if profile == environ.get("AWS_DEFAULT_PROFILE") and other not in (None, profile) else None


def _none() -> AwsCredentialsError:
    return AwsCredentialsError(
        "There are no AWS credentials.",
        why="Neither the environment nor a profile, a container or an instance has any.",
        fix="Log in: `aws sso login` (set up once with `aws configure sso`).",
        rerun=SAFE_NOTHING_DONE,
    )


def _profile(session: AwsSession, method: str, environ: Mapping[str, str]) -> str | None:
    if method not in OF_A_PROFILE:
        return None
    if method == "assume-role-with-web-identity" and environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return None
    return str(session.boto.profile_name)


def _utc(moment: object) -> datetime | None:
    return moment.astimezone(timezone.utc) if isinstance(moment, datetime) else None


def _login_ends(session: AwsSession, profile: str | None, home: Path) -> datetime | None:
    """When the SSO login is over; ``None`` where it renews itself, or is not to be found.

    The file is named by the SHA-1 of the sso-session's name, without one of the start URL (the CLI's own scheme):
    https://docs.aws.amazon.com/sdkref/latest/guide/understanding-sso.html
    """
    config: Mapping[str, Any] = session.boto._session.full_config
    settings = config.get("profiles", {}).get(profile or "default", {})
    name = str(settings.get("sso_session") or settings.get("sso_start_url") or "")
    path = home / ".aws" / "sso" / "cache" / f"{hashlib.sha1(name.encode()).hexdigest()}.json"  # noqa: S324 - a file's name
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        token = json_object(read_regular(path)) or {}
        if not token.get("refreshToken"):
            return _utc(datetime.fromisoformat(re.sub(r"(Z|UTC)$", "+00:00", str(token["expiresAt"]))))
    return None
