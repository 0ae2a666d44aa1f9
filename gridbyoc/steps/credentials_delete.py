"""The end of a user that `create-user` made: keys, policies, user, profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.aws import AwsSession, Caller
from gridbyoc.aws.iam_user import User, look_at_user, remove_user, require_ours
from gridbyoc.aws.profile_file import credentials_file, drop_profile, read_profile
from gridbyoc.aws.user_policies import delete_policy, detach_policy, our_policies
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError
from gridbyoc.stack.words import minute
from gridbyoc.steps.credentials_wanted import Asked, policy_arns, user_arn


@dataclass(frozen=True, slots=True)
class Doomed:
    """What is there of a user of ours. ``policies`` are ours and go; others' are detached from it and stay."""

    name: str
    user: User | None
    policies: tuple[str, ...]
    profile: str | None
    file: Path

    @property
    def lines(self) -> tuple[str, ...]:
        """What would be done, a line each."""
        lines: list[str] = []
        for key in self.user.keys if self.user else ():
            used = f"last used at {minute(key.last_used)}" if key.last_used else "never used"
            lines.append(f"delete the access key {key.id} ({used})")
        lines += [f"delete the policy {arn}" for arn in self.policies]
        for arn in self.user.attached if self.user else ():
            lines += [] if arn in self.policies else [f"detach the policy {arn}"]
        lines += [f"take it out of the group {group}" for group in self.user.groups] if self.user else []
        lines += [f"delete its inline policy {name}" for name in self.user.inline] if self.user else []
        lines += [f"delete the user {self.user.arn}"] if self.user else []
        lines += [f"take the profile {self.profile} out of {self.file}"] if self.profile else []
        return tuple(lines)


def delete_user(
    session: AwsSession,
    caller: Caller,
    asked: Asked,
    *,
    environ: Mapping[str, str],
    home: Path,
    approve: Callable[[Doomed], bool],
) -> Doomed:
    """Delete what carries our tag, and nothing else; what was there. Killed anywhere, the next call goes on.

    Raises ``AwsError`` for a user that is not ours.
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


def find_doomed(session: AwsSession, caller: Caller, asked: Asked, file: Path) -> Doomed:
    """The user, its policies (also those that an earlier run detached already), and the profile that is its own."""
    user = look_at_user(session, asked.name)
    require_ours(user, asked.name)
    path = user.path if user else asked.path
    policies = our_policies(session, policy_arns(caller, asked.name, path), asked.name)
    stored = read_profile(file, asked.profile_name)
    owned = stored is not None and stored.owner == user_arn(caller, asked.name, path)
    known = stored is not None and user is not None and stored.access_key_id in {key.id for key in user.keys}
    return Doomed(asked.name, user, policies, asked.profile_name if owned or known else None, file)
