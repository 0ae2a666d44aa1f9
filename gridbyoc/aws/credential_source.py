"""Where the AWS credentials come from and how long they last; also the current keys, for Terraform."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
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
    "gridbyoc-stack-role": "role of the stack file",
}
"""botocore's name of a provider → ours.
https://docs.aws.amazon.com/boto3/latest/guide/credentials.html#configuring-credentials
"""
STACK_ROLE = "gridbyoc-stack-role"
"""Our own name for the credentials of ``aws.assume_role``."""
OF_A_PROFILE = frozenset(SOURCES) - {
    STACK_ROLE,
    "env",
    "explicit",
    "boto-config",
    "ec2-credentials-file",
    "container-role",
    "iam-role",
}
"""The providers that read a profile of the AWS files (web identity: unless the environment names the role)."""
ONCE = frozenset({"env", "explicit", "shared-credentials-file", "config-file", "boto-config", "ec2-credentials-file"})
"""Static providers: nothing renews their credentials."""


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """The source of credentials: ``kind`` is a value of ``SOURCES``, ``profile`` the AWS profile, if there is one.

    ``expires`` (UTC): when the current credentials expire; ``None``: never, or unknown. For an SSO login that cannot be
    renewed, it is the later of the ends of login and credentials. ``renews``: boto3 and Terraform renew them by
    themselves. ``temporary``: they have a session token; otherwise they are an access key of an IAM user or the root
    user. ``overridden``: a profile in the environment that loses to the environment's access key. ``ignored``: an
    ``AWS_PROFILE`` that loses to ``AWS_DEFAULT_PROFILE`` (in boto3, and so in Terraform here; not in other tools).
    ``role``: the role that the stack file has these credentials assume. Its sessions are renewed as long as the
    credentials last, so the expiry is that of the credentials, or of the session if those do not expire.
    """

    kind: str
    profile: str | None
    expires: datetime | None
    renews: bool
    temporary: bool
    overridden: str | None = None
    ignored: str | None = None
    role: str | None = None

    @property
    def text(self) -> str:
        """``SSO, profile platform``, and the role that they assume."""
        own = f"{self.kind}, profile {self.profile}" if self.profile else self.kind
        return f"{own}, which assumes {self.role}" if self.role else own


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """The current access key; ``expires`` (UTC) is when it expires, ``None``: never, or unknown."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None
    expires: datetime | None


def current_credentials(session: AwsSession) -> AwsKeys:
    """The credentials with which ``session`` signs now; renewed if they are about to expire.

    Raises ``AwsCredentialsError``, and ``AwsError`` if the source cannot be reached.
    """
    found, _, expires = _fetched(session)
    token = Secret(found.token) if found.token else None
    return AwsKeys(str(found.access_key), Secret(str(found.secret_key)), token, expires)


def _fetched(session: AwsSession) -> tuple[ReadOnlyCredentials, str, datetime | None]:
    """The current credentials, botocore's name of their provider, and when they expire."""
    with retrieving(session.core):
        found = session.credentials()
    if found is None:
        raise _none()
    method = str(found.method)
    with retrieving(session.core, method):
        while True:
            frozen = found.get_frozen_credentials()
            expires = getattr(found, "_expiry_time", None)
            # If another thread has renewed them in between, the expiry belongs to another key: read again.
            if getattr(found, "_frozen_credentials", frozen) == frozen:
                return frozen, method, _utc(expires)


def credential_source(session: AwsSession, environ: Mapping[str, str], home: Path) -> CredentialSource:
    """The source of the session's credentials; fetches them if necessary (a role, SSO, a process).

    ``environ`` and ``home`` supply what botocore does not: ``AWS_PROFILE`` and the cached SSO login. Raises
    ``AwsCredentialsError`` if there are none, or none can be fetched.
    """
    if session.assumed:
        own = credential_source(session.assumed.caller, environ, home)
        _, _, ends = _fetched(session)
        renews = own.renews or own.expires is None
        expires = ends if renews else own.expires
        return replace(own, role=session.assumed.role_arn, expires=expires, renews=renews, temporary=True)
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
    """When the SSO login expires; ``None`` if it renews itself or cannot be found.

    The file's name is the SHA-1 of the sso-session's name, or of the start URL without one (the CLI's scheme):
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
