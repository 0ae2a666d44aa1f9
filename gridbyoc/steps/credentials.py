"""An IAM user that may do what the tool needs, and its access key in an AWS profile: the guide's first two steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.aws import AwsSession
from gridbyoc.aws.access_key import await_key, drop_keys, make_key
from gridbyoc.aws.iam_user import KEY, AccessKey, User, WantedUser, look_at_user, make_user, note_key, require_ours
from gridbyoc.aws.profile_file import Profile, StoredProfile, put_profile, read_profile, require_writable
from gridbyoc.aws.user_policies import WantedPolicy, delete_policy, detach_policy, policies_to_change, put_policies
from gridbyoc.errors import SAFE_NOTHING_DONE, SAFE_RESUMES, ApprovalRequiredError, AwsError, FileError
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import minute

Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The user, its policies, and the profile ``profile`` in ``file`` that holds its access key.

    ``replaced`` are the ARNs of policies that an earlier call may have attached, and that go where they are not wanted.
    """

    user: WantedUser
    arn: str
    policies: tuple[WantedPolicy, ...]
    replaced: tuple[str, ...]
    profile: str
    file: Path


@dataclass(frozen=True, slots=True)
class Found:
    """How it stands: the user, the policies that are not as wanted, the profile of that name."""

    user: User | None
    stale: tuple[str, ...]
    stored: StoredProfile | None
    wanted: Wanted

    @property
    def key(self) -> AccessKey | None:
        """The user's key that the profile holds, with its secret."""
        if self.user is None or self.stored is None or self.stored.secret_access_key is None:
            return None
        return next((key for key in self.user.keys if key.id == self.stored.access_key_id), None)

    @property
    def lost(self) -> tuple[AccessKey, ...]:
        """The user's keys whose secrets are not in the profile, where it holds none of them."""
        return self.user.keys if self.user is not None and self.key is None else ()

    @property
    def surplus(self) -> tuple[str, ...]:
        """Policies that an earlier call attached and that are not wanted any more."""
        kept = {policy.arn for policy in self.wanted.policies}
        attached = self.user.attached if self.user else ()
        return tuple(arn for arn in attached if arn in self.wanted.replaced and arn not in kept)

    @property
    def changes(self) -> tuple[str, ...]:
        """What would be done, a line each; nothing where all is as wanted."""
        wanted = self.wanted
        lines = [f"make the user {wanted.arn}"] if self.user is None else []
        if self.user is not None and wanted.user.boundary not in (None, self.user.boundary):
            lines.append(f"set its permissions boundary to {wanted.user.boundary}")
        if self.user is not None and not wanted.user.all_tags.items() <= self.user.tags.items():
            lines.append(f"tag it with {', '.join(f'{key}={value}' for key, value in wanted.user.all_tags.items())}")
        lines += [f"attach the policy {arn}" for arn in self.stale if ":iam::aws:" in arn]
        lines += [f"write and attach the policy {arn}" for arn in self.stale if ":iam::aws:" not in arn]
        lines += [f"take away the policy {arn}" for arn in self.surplus]
        lines += [f"delete the access key {key.id}, which was never used: its secret is lost" for key in self.lost]
        if self.key is None:
            lines.append(f"make an access key, and keep it as the profile {wanted.profile} in {wanted.file}")
        return tuple(lines)


@dataclass(frozen=True, slots=True)
class Ready:
    """The user as it is now, and what was done for it (nothing: it was there already)."""

    wanted: Wanted
    changes: tuple[str, ...]


def create_user(session: AwsSession, wanted: Wanted, *, approve: Callable[[Found], bool], sleep: Sleep) -> Ready:
    """Make what is missing: user, policies, access key, profile. Killed anywhere, the next call goes on.

    ``approve`` is asked where anything is to be done; ``sleep`` takes seconds. A user, a policy or a profile of that
    name that is not ours is refused before anything is made (``AwsError``, ``FileError``). The secret goes from IAM
    into the file and nowhere else.
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
    return Ready(wanted, found.changes)


def look(session: AwsSession, wanted: Wanted) -> Found:
    """How it stands; refuses what is not ours."""
    stored = read_profile(wanted.file, wanted.profile)
    user = look_at_user(session, wanted.user.name)
    require_ours(user, wanted.user.name)
    if user is not None and user.path != wanted.user.path:
        raise AwsError(
            f"The user {user.name} has the path {user.path}, not {wanted.user.path}.",
            fix=f"Give --path {user.path}, or delete it first: `gridbyoc credentials delete-user {user.name}`.",
            rerun=SAFE_NOTHING_DONE,
        )
    found = Found(user, policies_to_change(session, wanted.policies, user), stored, wanted)
    _require_our_profile(found)
    _require_no_used_key(found)
    return found


def _require_our_profile(found: Found) -> None:
    if found.stored is None or found.stored.owner == found.wanted.arn or found.key is not None:
        return
    raise FileError(
        f"The profile {found.wanted.profile} in {found.wanted.file} is somebody else's.",
        why=f"It is of {found.stored.owner}." if found.stored.owner else "It was not made by this command.",
        fix="Give another --profile-name.",
        rerun=SAFE_NOTHING_DONE,
    )


def _require_no_used_key(found: Found) -> None:
    """A key that was used has its secret somewhere, and a second one would only be one more to lose."""
    name = found.wanted.user.name
    kept = found.user.tags.get(KEY) if found.user else None
    used = next((key for key in found.lost if key.last_used is not None or key.id == kept), None)
    if used is not None:
        when = f"was last used at {minute(used.last_used)}" if used.last_used else "was kept in another profile"
        raise AwsError(
            f"The user {name} has an access key that is not in the profile {found.wanted.profile}.",
            why=f"The key {used.id} {when}: somebody has its secret.",
            fix=f"Give the --profile-name or --credentials-file that it was kept in; or take it away "
            f"(`aws iam delete-access-key --user-name {name} --access-key-id {used.id}`) and run this again.",
            rerun=SAFE_NOTHING_DONE,
        )
    if found.key is not None and not found.key.active:
        command = f"aws iam update-access-key --user-name {name} --access-key-id {found.key.id} --status Active"
        raise AwsError(
            f"The access key of the profile {found.wanted.profile} is inactive.",
            why="Somebody has switched it off.",
            fix=f"Switch it on again (`{command}`), or delete the user: `gridbyoc credentials delete-user {name}`.",
            rerun=SAFE_NOTHING_DONE,
        )


def _key(session: AwsSession, found: Found, user: User | None) -> tuple[str, Secret]:
    stored = found.stored
    if found.key is not None and stored is not None and stored.secret_access_key is not None:
        return found.key.id, stored.secret_access_key
    if user is None:
        raise AwsError("The user is gone.", fix="Run the same command again.", rerun=SAFE_RESUMES)
    drop_keys(session, user, [key.id for key in found.lost])
    key_id, secret = make_key(session, user)
    try:
        profile = Profile(found.wanted.profile, key_id, secret, found.wanted.arn)
        put_profile(found.wanted.file, profile)
    except FileError:
        drop_keys(session, user, [key_id])
        raise
    return key_id, secret
