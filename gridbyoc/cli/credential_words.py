"""What ``gridbyoc credentials`` says."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridbyoc.stack.words import minute

if TYPE_CHECKING:
    from gridbyoc.aws import Caller
    from gridbyoc.aws.credential_source import CredentialSource

RECOMMENDATION = (
    "A user's access key lasts until somebody deletes it, and so does a leaked one. AWS recommends instead:",
    "  for people:     `aws configure sso`, then `aws sso login`",
    "  with a role:    `aws configure set role_arn ROLE_ARN --profile gridbyoc` (and source_profile likewise)",
    "  in a pipeline:  `gridbyoc policy --as github --repository ORG/REPO --branch main > role.tf` (a role by OIDC)",
)
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def source_object(source: CredentialSource, caller: Caller) -> dict[str, Any]:
    """The credentials in use as JSON; no keys."""
    return {
        "type": "credentials",
        "source": source.kind,
        "profile": source.profile,
        "account_id": caller.account_id,
        "arn": caller.arn,
        "partition": caller.partition,
        "temporary": source.temporary,
        "expires": source.expires.isoformat() if source.expires else None,
        "renews": source.renews,
    }


def source_lines(source: CredentialSource, caller: Caller, now: datetime) -> Iterator[str]:
    """The same for people."""
    yield f"source     {source.text}"
    yield f"account    {caller.account_id}" + (f" ({caller.partition})" if caller.partition != "aws" else "")
    yield f"principal  {caller.arn}"
    yield f"expires    {_expiry(source, now)}"


def _expiry(source: CredentialSource, now: datetime) -> str:
    renewed = ", then renewed by itself" if source.renews else ""
    if source.expires is None:
        never = "never: a long-lived access key (AWS recommends short-term credentials, `aws configure sso`)"
        return "not known: temporary credentials" + renewed if source.temporary or source.renews else never
    minutes = int((source.expires - now).total_seconds() // 60)
    return f"{minute(source.expires)}, in {minutes} min{renewed}"


def without_keys(environ: Mapping[str, str]) -> str:
    """``env -u ...`` for the keys that the environment has; they win over AWS_PROFILE."""
    names = [f"-u {name}" for name in KEYS if environ.get(name)]
    return f"env {' '.join(names)} " if environ.get(KEYS[0]) else ""


def use_lines(profile: str, file: Path, environ: Mapping[str, str], home: Path) -> tuple[str, ...]:
    """How the new profile is used from here: in the stack file, or in front of one command.

    ``file`` is named where AWS programs would look elsewhere.
    """
    from gridbyoc.aws.profile_file import credentials_file

    elsewhere = credentials_file(environ, home) != file
    place = f"AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(file))} " if elsewhere else ""
    in_file = f"aws: {{profile: {profile}}} in the stack file" + (f", with {place.strip()}" if elsewhere else "")
    return (in_file, f"{without_keys(environ)}{place}AWS_PROFILE={profile} gridbyoc bootstrap")
