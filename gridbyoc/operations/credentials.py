"""Create an IAM user with the permissions that the tool needs, and keep its access key in an AWS profile."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.configloader import load_config

from gridbyoc.aws import AwsSession, Caller
from gridbyoc.aws.iam_user import (
    KEY,
    AccessKey,
    User,
    WantedPolicy,
    WantedUser,
    await_key,
    delete_policy,
    detach_policy,
    drop_keys,
    look_at_user,
    make_key,
    make_user,
    note_key,
    our_policies,
    policies_to_change,
    put_policies,
    remove_user,
    require_ours,
)
from gridbyoc.aws.permissions import Part, needs_of, phases_of, policy_document, split_document
from gridbyoc.aws.profile_file import (
    Profile,
    StoredProfile,
    credentials_file,
    drop_profile,
    put_profile,
    read_profile,
    require_writable,
)
from gridbyoc.aws.session import domain_errors
from gridbyoc.errors import SAFE_NOTHING_DONE, SAFE_RESUMES, ApprovalRequiredError, AwsError, FileError, UsageError
from gridbyoc.stack.defaults import STACK_TAG
from gridbyoc.stack.document import Fault
from gridbyoc.stack.model import Stack, no_values
from gridbyoc.stack.regions import partition_of
from gridbyoc.stack.rules.context import RuleContext
from gridbyoc.stack.rules.role import path_fault, policy_arn_fault, role_name_fault, tag_text_fault
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import minute

Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class UserRequest:
    """The user, its policies, and the profile ``profile`` in ``file`` that holds its access key.

    ``replaced``: ARNs of policies that an earlier call may have attached; those no longer wanted are removed.
    """

    user: WantedUser
    arn: str
    policies: tuple[WantedPolicy, ...]
    replaced: tuple[str, ...]
    profile: str
    file: Path


@dataclass(frozen=True, slots=True)
class UserReview:
    """The current situation: the user, the policies that differ from those wanted, and the stored profile."""

    user: User | None
    stale: tuple[str, ...]
    stored: StoredProfile | None
    wanted: UserRequest

    @property
    def key(self) -> AccessKey | None:
        """The user's access key in the profile, if the profile also has its secret."""
        if self.user is None or self.stored is None or self.stored.secret_access_key is None:
            return None
        return next((key for key in self.user.keys if key.id == self.stored.access_key_id), None)

    @property
    def lost(self) -> tuple[AccessKey, ...]:
        """The user's access keys if the profile holds none of them: their secrets are lost."""
        return self.user.keys if self.user is not None and self.key is None else ()

    @property
    def surplus(self) -> tuple[str, ...]:
        """Policies that an earlier call attached and that are no longer wanted."""
        kept = {policy.arn for policy in self.wanted.policies}
        attached = self.user.attached if self.user else ()
        return tuple(arn for arn in attached if arn in self.wanted.replaced and arn not in kept)

    @property
    def changes(self) -> tuple[str, ...]:
        """What would be done, one line each; empty if everything is as wanted."""
        wanted = self.wanted
        lines = [f"create the user {wanted.arn}"] if self.user is None else []
        if self.user is not None and wanted.user.boundary not in (None, self.user.boundary):
            lines.append(f"set its permissions boundary to {wanted.user.boundary}")
        if self.user is not None and not wanted.user.all_tags.items() <= self.user.tags.items():
            lines.append(f"tag it with {', '.join(f'{key}={value}' for key, value in wanted.user.all_tags.items())}")
        lines += [f"attach the policy {arn}" for arn in self.stale if ":iam::aws:" in arn]
        lines += [f"write and attach the policy {arn}" for arn in self.stale if ":iam::aws:" not in arn]
        lines += [f"remove the policy {arn}" for arn in self.surplus]
        lines += [f"delete the access key {key.id}, which was never used: its secret is lost" for key in self.lost]
        if self.key is None:
            lines.append(f"create an access key, and store it as the profile {wanted.profile} in {wanted.file}")
        return tuple(lines)


@dataclass(frozen=True, slots=True)
class ReadyUser:
    """The user as it is now. ``changes`` lists what was done; empty if nothing was missing."""

    wanted: UserRequest
    changes: tuple[str, ...]


def create_user(
    session: AwsSession, wanted: UserRequest, *, approve: Callable[[UserReview], bool], sleep: Sleep
) -> ReadyUser:
    """Create what is missing: user, policies, access key, profile. The next call continues one that was killed.

    ``approve`` is called if anything is to be done; ``sleep`` takes seconds. A user, policy or profile of that name
    that is not ours is refused before anything is created (``AwsError``, ``FileError``). The secret goes from IAM into
    the file and nowhere else.
    """
    found = look(session, wanted)
    if found.changes and not approve(found):
        raise ApprovalRequiredError("The user was not approved.", rerun=SAFE_NOTHING_DONE)
    if found.key is None:
        require_writable(wanted.file, wanted.profile)
    user = found.user if not found.changes else make_user(session, wanted.user)
    if user is not None and found.changes:
        put_policies(session, user, wanted.policies, wanted.user.tag_list)
        for arn in found.surplus:
            detach_policy(session, user, arn)
            delete_policy(session, arn, user.name)
    key_id, secret = _key(session, found, user)
    if user is not None:
        note_key(session, user, key_id)
    await_key(session, key_id, secret, arn=wanted.arn, sleep=sleep)
    return ReadyUser(wanted, found.changes)


def look(session: AwsSession, wanted: UserRequest) -> UserReview:
    """Read the current situation; refuse a user or a profile that is not ours."""
    stored = read_profile(wanted.file, wanted.profile)
    user = look_at_user(session, wanted.user.name)
    require_ours(user, wanted.user.name)
    if user is not None and user.path != wanted.user.path:
        raise AwsError(
            f"The user {user.name} has the path {user.path}, not {wanted.user.path}.",
            fix=f"Give --path {user.path}, or delete it first: `gridbyoc credentials delete-user {user.name}`.",
            rerun=SAFE_NOTHING_DONE,
        )
    found = UserReview(user, policies_to_change(session, wanted.policies, user), stored, wanted)
    _require_our_profile(found)
    _require_no_used_key(found)
    return found


def _require_our_profile(found: UserReview) -> None:
    if found.stored is None or found.stored.owner == found.wanted.arn or found.key is not None:
        return
    raise FileError(
        f"The profile {found.wanted.profile} in {found.wanted.file} belongs to somebody else.",
        why=f"It belongs to {found.stored.owner}." if found.stored.owner else "It was not made by this command.",
        fix="Give another --profile-name.",
        rerun=SAFE_NOTHING_DONE,
    )


def _require_no_used_key(found: UserReview) -> None:
    """Refuse to create a second key if one was used: somebody has its secret."""
    name = found.wanted.user.name
    kept = found.user.tags.get(KEY) if found.user else None
    used = next((key for key in found.lost if key.last_used is not None or key.id == kept), None)
    if used is not None:
        when = f"was last used at {minute(used.last_used)}" if used.last_used else "was kept in another profile"
        raise AwsError(
            f"The user {name} has an access key that is not in the profile {found.wanted.profile}.",
            why=f"The key {used.id} {when}: somebody has its secret.",
            fix=f"Give the --profile-name or --credentials-file that holds it; or delete it "
            f"(`aws iam delete-access-key --user-name {name} --access-key-id {used.id}`) and run this again.",
            rerun=SAFE_NOTHING_DONE,
        )
    if found.key is not None and not found.key.active:
        command = f"aws iam update-access-key --user-name {name} --access-key-id {found.key.id} --status Active"
        raise AwsError(
            f"The access key of the profile {found.wanted.profile} is inactive.",
            why="Somebody deactivated it.",
            fix=f"Activate it again (`{command}`), or delete the user: `gridbyoc credentials delete-user {name}`.",
            rerun=SAFE_NOTHING_DONE,
        )


def _key(session: AwsSession, found: UserReview, user: User | None) -> tuple[str, Secret]:
    stored = found.stored
    if found.key is not None and stored is not None and stored.secret_access_key is not None:
        return found.key.id, stored.secret_access_key
    if user is None:
        raise AwsError("The user no longer exists.", fix="Run the same command again.", rerun=SAFE_RESUMES)
    drop_keys(session, user, [key.id for key in found.lost])
    key_id, secret = make_key(session, user)
    try:
        profile = Profile(found.wanted.profile, key_id, secret, found.wanted.arn)
        put_profile(found.wanted.file, profile)
    except FileError:
        drop_keys(session, user, [key_id])
        raise
    return key_id, secret


PREFIX = "gridbyoc-"
"""Prefix of the names of a user's policies and profile."""
MOST_POLICIES = 5
"""IAM allows 10 per user: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
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
class UserArguments:
    """The command-line arguments. ``uses`` are the commands that the user is for, as in ``phases_of``."""

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
        """The profile's name; ``gridbyoc-NAME`` if none was given."""
        return self.profile or PREFIX + self.name


def check(asked: UserArguments, region: str) -> None:
    """Check what the command line alone can show. Raises ``UsageError``."""
    _refuse("NAME", role_name_fault(asked.name, 64))
    _refuse("--profile-name", role_name_fault(asked.profile_name, 128))
    _refuse("--path", path_fault(asked.path))
    if asked.boundary is not None:
        context = RuleContext(Path(), Path(), partition_of(region))
        _refuse("--permissions-boundary", policy_arn_fault(asked.boundary, context))
    for key, value in asked.tags.items():
        _refuse("--tag", (tag_text_fault(key, 128) if key else Fault("a key is empty")) or tag_text_fault(value, 256))
        if key.lower().startswith("gridbyoc:"):
            _refuse("--tag", Fault(f"{key} is reserved for gridbyoc"))
    if len(asked.tags) > 47:
        _refuse("--tag", Fault(f"{len(asked.tags)} tags; IAM allows 50, and gridbyoc uses three of them"))


def user_arn(caller: Caller, name: str, path: str) -> str:
    """The ARN of a user of that name in the caller's account and partition."""
    return f"arn:{caller.partition}:iam::{caller.account_id}:user{path}{name}"


def policy_arns(caller: Caller, name: str, path: str) -> tuple[str, ...]:
    """The ARNs that the user's policies can have: the first one, and those for statements that do not fit into it."""
    start = f"arn:{caller.partition}:iam::{caller.account_id}:policy{path}{PREFIX}{name}"
    return (start, *(f"{start}-{number}" for number in range(2, MOST_POLICIES + 1)))


def wanted_of(
    asked: UserArguments, caller: Caller, stack: Stack | None, environ: Mapping[str, str], home: Path
) -> UserRequest:
    """The complete request. ``stack`` narrows the policies to what it needs. Raises ``FileError``, ``UsageError``."""
    tags = {STACK_TAG: stack.name} if stack else {}
    arn = user_arn(caller, asked.name, asked.path)
    own = policy_arns(caller, asked.name, asked.path)
    full = f"arn:{caller.partition}:iam::aws:policy/IAMFullAccess"
    if asked.full_access:
        policies: tuple[WantedPolicy, ...] = (WantedPolicy(full),)
    else:
        part: Part = "caller" if stack and stack.aws.assume_role else "all"
        account = caller.account_id
        needs = needs_of(stack, caller.partition, account, phases=phases_of(asked.uses), principal=arn, part=part)
        parts = zip(own, fitting(policy_document(needs)), strict=False)
        policies = tuple(WantedPolicy(own_arn, document, asked.name) for own_arn, document in parts)
    _require_free_config(asked.profile_name, environ, home)
    user = WantedUser(asked.name, asked.path, asked.boundary, {**tags, **asked.tags})
    return UserRequest(
        user, arn, policies, (*own, full), asked.profile_name, credentials_file(environ, home, asked.file)
    )


def fitting(document: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Split the document into as many policies as IAM's size limit requires; statements stay whole."""
    parts = split_document(document)
    if len(parts) > MOST_POLICIES:
        raise UsageError(
            f"The permissions of this stack need {len(parts)} policies.",
            why=f"This command attaches at most {MOST_POLICIES} policies to a user.",
            fix="Name fewer uses with --for, or fewer policies in the stack file.",
            rerun=SAFE_NOTHING_DONE,
        )
    return parts


def _refuse(option: str, fault: Fault | None) -> None:
    if fault is not None:
        raise UsageError(f"{option}: {fault.message}.", fix=fault.hint, rerun=SAFE_NOTHING_DONE)


def _require_free_config(profile: str, environ: Mapping[str, str], home: Path) -> None:
    """Refuse a name that the config file already uses for other credentials: they would override or mix with ours."""
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


@dataclass(frozen=True, slots=True)
class UserDeletion:
    """What exists of a user of ours. ``policies`` are ours and are deleted; others are detached and stay."""

    name: str
    user: User | None
    policies: tuple[str, ...]
    profile: str | None
    file: Path

    @property
    def lines(self) -> tuple[str, ...]:
        """What would be done, one line each."""
        lines: list[str] = []
        for key in self.user.keys if self.user else ():
            used = f"last used at {minute(key.last_used)}" if key.last_used else "never used"
            lines.append(f"delete the access key {key.id} ({used})")
        lines += [f"delete the policy {arn}" for arn in self.policies]
        for arn in self.user.attached if self.user else ():
            lines += [] if arn in self.policies else [f"detach the policy {arn}"]
        lines += [f"remove it from the group {group}" for group in self.user.groups] if self.user else []
        lines += [f"delete its inline policy {name}" for name in self.user.inline] if self.user else []
        lines += [f"delete the user {self.user.arn}"] if self.user else []
        lines += [f"remove the profile {self.profile} from {self.file}"] if self.profile else []
        return tuple(lines)


def delete_user(
    session: AwsSession,
    caller: Caller,
    asked: UserArguments,
    *,
    environ: Mapping[str, str],
    home: Path,
    approve: Callable[[UserDeletion], bool],
) -> UserDeletion:
    """Delete only what carries our tag; returns what existed. The next call continues one that was killed.

    Raises ``AwsError`` if the user is not ours.
    """
    doomed = find_doomed(session, caller, asked, credentials_file(environ, home, asked.file))
    if not doomed.lines:
        return doomed
    if not approve(doomed):
        raise ApprovalRequiredError("The deletion was not approved.", rerun=SAFE_NOTHING_DONE)
    user = doomed.user
    if user is not None:
        for arn in user.attached:
            detach_policy(session, user, arn)
    for arn in doomed.policies:
        delete_policy(session, arn, doomed.name)
    if user is not None:
        remove_user(session, user)
    if doomed.profile:
        drop_profile(doomed.file, doomed.profile)
    return doomed


def find_doomed(session: AwsSession, caller: Caller, asked: UserArguments, file: Path) -> UserDeletion:
    """The user, its policies (also those that an earlier run detached), and the profile if it is the user's."""
    user = look_at_user(session, asked.name)
    require_ours(user, asked.name)
    path = user.path if user else asked.path
    policies = our_policies(session, policy_arns(caller, asked.name, path), asked.name)
    stored = read_profile(file, asked.profile_name)
    owned = stored is not None and stored.owner == user_arn(caller, asked.name, path)
    known = stored is not None and user is not None and stored.access_key_id in {key.id for key in user.keys}
    return UserDeletion(asked.name, user, policies, asked.profile_name if owned or known else None, file)
