"""From a name to the user, the policies and the profile that are wanted."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.configloader import load_config

from gridbyoc.aws import Caller
from gridbyoc.aws.iam_user import STACK, WantedUser
from gridbyoc.aws.permissions import needs_of, phases_of, policy_document, split_document
from gridbyoc.aws.profile_file import credentials_file
from gridbyoc.aws.session import domain_errors
from gridbyoc.aws.user_policies import WantedPolicy
from gridbyoc.errors import SAFE_NOTHING_DONE, FileError, UsageError
from gridbyoc.stack.findings import Fault
from gridbyoc.stack.model import Stack, no_values
from gridbyoc.stack.regions import partition_of
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.rules.iam import path_fault, policy_arn_fault, role_name_fault
from gridbyoc.stack.rules.tags import tag_text_fault
from gridbyoc.steps.credentials import Wanted

PREFIX = "gridbyoc-"
"""How the policies and the profile of a user are named."""
MOST_POLICIES = 5
"""A user can have 10: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
_SOURCES = (
    "aws_access_key_id",
    "credential_process",
    "login_session",
    "role_arn",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says. ``uses`` are commands that the user is for, as in ``phases_of``."""

    name: str
    path: str = "/"
    tags: Mapping[str, str] = field(default_factory=no_values)
    boundary: str | None = None
    profile: str | None = None
    file: Path | None = None
    full_access: bool = False
    uses: Collection[str] = ("all",)

    @property
    def profile_name(self) -> str:
        """The profile's name: ``gridbyoc-NAME`` where none was given."""
        return self.profile or PREFIX + self.name


def check(asked: Asked, region: str) -> None:
    """What can be told from the command line alone; ``UsageError``."""
    _refuse("NAME", role_name_fault(asked.name, 64))
    _refuse("--profile-name", role_name_fault(asked.profile_name, 128))
    _refuse("--path", path_fault(asked.path))
    if asked.boundary is not None:
        context = Context(Path(), Path(), partition_of(region))
        _refuse("--permissions-boundary", policy_arn_fault(asked.boundary, context))
    for key, value in asked.tags.items():
        _refuse("--tag", (tag_text_fault(key, 128) if key else Fault("a key is empty")) or tag_text_fault(value, 256))
        if key.lower().startswith("gridbyoc:"):
            _refuse("--tag", Fault(f"{key} is a tag of gridbyoc's own"))
    if len(asked.tags) > 47:
        _refuse("--tag", Fault(f"{len(asked.tags)} tags; IAM takes 50, three of them are gridbyoc's"))


def user_arn(caller: Caller, name: str, path: str) -> str:
    """The ARN that a user of that name has in the caller's account and partition."""
    return f"arn:{caller.partition}:iam::{caller.account_id}:user{path}{name}"


def policy_arns(caller: Caller, name: str, path: str) -> tuple[str, ...]:
    """The ARNs that the user's policies can have: the first, and those for what does not fit into it."""
    start = f"arn:{caller.partition}:iam::{caller.account_id}:policy{path}{PREFIX}{name}"
    return (start, *(f"{start}-{number}" for number in range(2, MOST_POLICIES + 1)))


def wanted_of(asked: Asked, caller: Caller, stack: Stack | None, environ: Mapping[str, str], home: Path) -> Wanted:
    """Everything that is wanted; ``stack`` narrows the policy to what it needs. ``FileError``, ``UsageError``."""
    tags = {STACK: stack.name} if stack else {}
    arn = user_arn(caller, asked.name, asked.path)
    own = policy_arns(caller, asked.name, asked.path)
    full = f"arn:{caller.partition}:iam::aws:policy/IAMFullAccess"
    if asked.full_access:
        policies: tuple[WantedPolicy, ...] = (WantedPolicy(full),)
    else:
        needs = needs_of(stack, caller.partition, caller.account_id, phases=phases_of(asked.uses), principal=arn)
        parts = zip(own, fitting(policy_document(needs)), strict=False)
        policies = tuple(WantedPolicy(own_arn, document, asked.name) for own_arn, document in parts)
    _require_free_config(asked.profile_name, environ, home)
    user = WantedUser(asked.name, asked.path, asked.boundary, {**tags, **asked.tags})
    return Wanted(user, arn, policies, (*own, full), asked.profile_name, credentials_file(environ, home, asked.file))


def fitting(document: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The document, in as many as IAM's limit of one makes of it; no statement is torn."""
    parts = split_document(document)
    if len(parts) > MOST_POLICIES:
        raise UsageError(
            f"The permissions of this stack need {len(parts)} policies.",
            why=f"A user gets {MOST_POLICIES} at most from here.",
            fix="Name fewer uses with --for, or fewer policies in the stack file.",
            rerun=SAFE_NOTHING_DONE,
        )
    return parts


def _refuse(option: str, fault: Fault | None) -> None:
    if fault is not None:
        raise UsageError(f"{option}: {fault.message}.", fix=fault.hint, rerun=SAFE_NOTHING_DONE)


def _require_free_config(profile: str, environ: Mapping[str, str], home: Path) -> None:
    """A profile of that name in the config file would win over, or mix with, the one to be written."""
    named = environ.get("AWS_CONFIG_FILE")
    path = Path(os.path.expandvars(named)).expanduser() if named else home / ".aws" / "config"
    if not path.is_file():
        return
    with domain_errors(f"{path} could not be read"):
        settings = load_config(str(path))["profiles"].get(profile, {})
    taken = next((name for name in _SOURCES if name in settings), None)
    if taken:
        raise FileError(
            f"The profile {profile} exists in {path}.",
            why=f"It has {taken}, which is another source of credentials.",
            fix="Give another --profile-name.",
            rerun=SAFE_NOTHING_DONE,
        )
