"""``gridbyoc credentials``."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, default_stack_file, group, load_stack, pass_app, stack_option
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError, UsageError
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.words import minute

if TYPE_CHECKING:
    from gridbyoc.aws import AwsSession, Caller
    from gridbyoc.aws.credential_source import CredentialSource
    from gridbyoc.operations.credentials import UserArguments, UserDeletion, UserReview
    from gridbyoc.stack.model import Stack


USES = ("all", "plan", "bootstrap", "destroy", "doctor", "verify", "leftovers", "state-init")


@group("credentials")
def credentials() -> None:
    """AWS credentials: show those in use, and create an IAM user for people who need one."""


_profile_option = click.option(
    "--profile", metavar="NAME", help="The AWS profile to use (default: the stack's, else boto3's own chain)."
)
_profile_name_option = click.option(
    "--profile-name", metavar="NAME", help="The profile that holds the access key (default: gridbyoc-NAME)."
)
_file_option = click.option(
    "--credentials-file",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file that stores it (default: $AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials).",
)


@command("show")
@stack_option
@_profile_option
@pass_app
def show(app: App, stack_file: str | None, profile: str | None) -> None:
    """Show which AWS credentials are used: source, account, principal, and expiry. Never the keys."""
    from gridbyoc.aws import caller_identity
    from gridbyoc.aws.assumed_role import assume_role
    from gridbyoc.aws.credential_source import credential_source

    session, stack = _session(app, stack_file, profile)
    assumed_by = None
    if stack and stack.aws.assume_role:
        assumed_by = caller_identity(session)
        session = assume_role(session, stack.aws.assume_role)
    caller = caller_identity(session)
    source = credential_source(session, app.environ, app.home)
    app.show(CREDENTIALS, InUse(source, caller, utc_now(), assumed_by))
    if stack and stack.aws.account_id not in (None, caller.account_id):
        app.note(f"warning: The stack is for account {stack.aws.account_id}: no run accepts these credentials.")
    if source.ignored:
        app.note(
            f"warning: AWS_PROFILE={source.ignored} has no effect: AWS_DEFAULT_PROFILE={source.profile} wins in "
            "boto3, and therefore in gridbyoc and its Terraform; other tools read AWS_PROFILE first. Unset one."
        )
    if source.overridden:
        app.note(
            f"warning: AWS_PROFILE={source.overridden} has no effect: the access key in the environment overrides it. "
            f"Use --profile {source.overridden}, aws.profile in the stack file, or "
            f"`{without_keys(app.environ)}AWS_PROFILE={source.overridden} ...`."
        )


@command("create-user")
@click.argument("name")
@stack_option
@_profile_option
@_profile_name_option
@_file_option
@click.option("--path", default="/", show_default=True, metavar="PATH", help="The IAM path of the user and its policy.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A further tag; may be repeated.")
@click.option("--permissions-boundary", "boundary", metavar="ARN", help="A policy that bounds what the user may do.")
@click.option("--for", "uses", multiple=True, type=click.Choice(USES), help="Grant only what these commands need.")
@click.option("--iam-full-access", is_flag=True, help="Attach IAMFullAccess, as the service's guide does, instead.")
@click.option("--yes", "-y", is_flag=True, help="Approve what is created.")
@pass_app
def create_user(
    app: App, /, name: str, stack_file: str | None, profile: str | None, yes: bool, **options: object
) -> None:
    """Create the IAM user NAME with just the permissions that gridbyoc needs.

    Its access key is stored as an AWS profile. The secret goes into the credentials file and is shown nowhere. What
    exists already stays; if the command is killed, run it again. With a stack file the permissions are limited to that
    stack's. Short-term credentials are better if you can have them: `aws configure sso`, or a role.
    """
    from gridbyoc.aws.profile_file import readable_by_others
    from gridbyoc.operations.credentials import create_user as create
    from gridbyoc.operations.credentials import wanted_of

    asked = _asked(name, options)
    session, stack, caller = _account(app, stack_file, profile, asked)
    wanted = wanted_of(asked, caller, stack, app.environ, app.home)
    ready = create(session, wanted, approve=lambda found: _approve(app, found, yes=yes), sleep=time.sleep)
    if readable_by_others(wanted.file):
        app.note(f"warning: {wanted.file} can be read by others: `chmod 600 {shlex.quote(str(wanted.file))}`.")
    use = use_lines(wanted.profile, wanted.file, app.environ, app.home)
    user: UserBody = {
        "name": name,
        "arn": wanted.arn,
        "account_id": caller.account_id,
        "policies": [policy.arn for policy in wanted.policies],
        "profile": wanted.profile,
        "credentials_file": str(wanted.file),
        "changes": list(ready.changes),
        "use": list(use),
    }
    app.show(USER, user)
    if app.environ.get("AWS_ACCESS_KEY_ID"):
        app.note("AWS_ACCESS_KEY_ID in the environment overrides AWS_PROFILE; aws.profile and --profile override both.")


@command("delete-user")
@click.argument("name")
@stack_option
@_profile_option
@_profile_name_option
@_file_option
@click.option(
    "--path", default="/", show_default=True, metavar="PATH", help="The IAM path, if the user no longer exists."
)
@click.option("--yes-destroy", is_flag=True, help="Approve the deletion.")
@pass_app
def delete_user(
    app: App, /, name: str, stack_file: str | None, profile: str | None, yes_destroy: bool, **options: object
) -> None:
    """Delete the IAM user NAME that create-user created: its keys, its policy, and its profile.

    Only what carries gridbyoc's tag is touched. If the command is killed, run it again.
    """
    from gridbyoc.operations.credentials import delete_user as delete

    asked = _asked(name, options)
    session, _, caller = _account(app, stack_file, profile, asked)

    def approve(doomed: UserDeletion) -> bool:
        _tell(app, "This would be done, for good:", doomed.lines)
        return yes_destroy or app.confirm("Delete this?", flag="--yes-destroy")

    doomed = delete(session, caller, asked, environ=app.environ, home=app.home, approve=approve)
    app.show(DELETED_USER, DeletedUserBody(name=name, account_id=caller.account_id, changes=list(doomed.lines)))


def _session(app: App, stack_file: str | None, profile: str | None, new: str = "") -> tuple[AwsSession, Stack | None]:
    """A session in the stack's region with ``profile``, otherwise the stack's profile unless it is the new one."""
    from gridbyoc.aws import open_session
    from gridbyoc.aws.identity import own_region
    from gridbyoc.stack.defaults import REGION

    found = default_stack_file(app, stack_file)
    stack = load_stack(app, found) if found else None
    region = stack.aws.region if stack else own_region(app.environ, profile) or REGION
    own = stack.aws.profile if stack and stack.aws.profile != new else None
    return open_session(region, profile or own), stack


def _account(
    app: App, stack_file: str | None, profile: str | None, asked: UserArguments
) -> tuple[AwsSession, Stack | None, Caller]:
    from gridbyoc.aws import caller_identity, guard_account
    from gridbyoc.operations.credentials import check

    session, stack = _session(app, stack_file, profile, asked.profile_name)
    check(asked, session.region)
    caller = caller_identity(session)
    if stack and stack.aws.assume_role is None:  # with a role, the user is one who assumes it, in any account
        guard_account(caller, stack.aws.account_id)
    return session, stack, caller


def _asked(name: str, options: Mapping[str, Any]) -> UserArguments:
    from gridbyoc.operations.credentials import UserArguments

    uses, full_access = options.get("uses", ()), options.get("iam_full_access", False)
    if uses and full_access:
        raise UsageError("--for and --iam-full-access cannot go together.", rerun=SAFE_NOTHING_DONE)
    tags = [tag.partition("=") for tag in options.get("tags", ())]
    wrong = next((key for key, separator, _ in tags if not separator), None)
    if wrong is not None:
        raise UsageError(f"--tag {wrong}: the = is missing.", fix="Write KEY=VALUE.", rerun=SAFE_NOTHING_DONE)
    return UserArguments(
        name,
        path=options["path"],
        tags={key: value for key, _, value in tags},
        boundary=options.get("boundary"),
        profile=options["profile_name"],
        file=options["file"].absolute() if options["file"] else None,
        full_access=full_access,
        uses=uses or ("all",),
    )


def _approve(app: App, found: UserReview, *, yes: bool) -> bool:

    for line in RECOMMENDATION if found.user is None else ():
        app.note(line)
    _tell(app, "This would be done:", found.changes)
    if not yes and not app.interactive:
        raise ApprovalRequiredError(
            "Creating a user needs an approval, but there is no terminal to ask on.",
            fix="Run again with --yes, or use short-term credentials instead.",
            rerun=SAFE_NOTHING_DONE,
        )
    return yes or app.confirm("Create this user?", flag="--yes")


def _tell(app: App, title: str, lines: tuple[str, ...]) -> None:
    app.note(title)
    for line in lines:
        app.note(f"  - {line}")


for _command in (show, create_user, delete_user):
    credentials.add_command(_command)


RECOMMENDATION = (
    "A user's access key lasts until somebody deletes it, and so does a leaked one. AWS recommends instead:",
    "  for people:     `aws configure sso`, then `aws sso login`",
    "  with a role:    `aws configure set role_arn ROLE_ARN --profile gridbyoc` (and source_profile likewise)",
    "  in a pipeline:  `gridbyoc policy --as github --repository ORG/REPO --branch main > role.tf` (a role by OIDC)",
)
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True, slots=True)
class InUse:
    """The credentials in use, their principal, and the current time for ``source_lines``.

    ``assumed_by``: the caller who assumes the role of the stack file, whose session ``caller`` is.
    """

    source: CredentialSource
    caller: Caller
    now: datetime
    assumed_by: Caller | None = None


class AssumedBody(TypedDict):
    """A role that was assumed; ``caller_arn`` assumed it."""

    role_arn: str
    caller_arn: str
    caller_account_id: str


class CredentialsBody(TypedDict):
    """The credentials in use, without the keys. ``expires`` (UTC): ``null`` for never or unknown.

    ``assumed``: the role of the stack file (``aws.assume_role``), and who assumes it; ``null`` if it names none.
    """

    source: str
    profile: str | None
    account_id: str
    arn: str
    partition: str
    temporary: bool
    expires: str | None
    renews: bool
    assumed: AssumedBody | None


def _credentials_json(found: InUse) -> CredentialsBody:
    source, caller, by = found.source, found.caller, found.assumed_by
    assumed: AssumedBody | None = None
    if by and source.role:
        assumed = {"role_arn": source.role, "caller_arn": by.arn, "caller_account_id": by.account_id}
    return {
        "source": source.kind,
        "profile": source.profile,
        "account_id": caller.account_id,
        "arn": caller.arn,
        "partition": caller.partition,
        "temporary": source.temporary,
        "expires": source.expires.isoformat() if source.expires else None,
        "renews": source.renews,
        "assumed": assumed,
    }


def _write_credentials(found: InUse, screen: Screen) -> None:
    for line in source_lines(found):
        screen.line(line)


CREDENTIALS = Output("credentials", _credentials_json, _write_credentials, stack="none")


class UserBody(TypedDict):
    """An IAM user that is ready to use.

    ``profile`` holds its access key; ``use`` says how to use it. ``changes``: what was created.
    """

    name: str
    arn: str
    account_id: str
    policies: list[str]
    profile: str
    credentials_file: str
    changes: list[str]
    use: list[str]


def _user_json(user: UserBody) -> UserBody:
    return user


def _write_user(user: UserBody, screen: Screen) -> None:
    done = "is ready" if user["changes"] else "was ready already; nothing was changed"
    screen.line(f"The user {user['arn']} {done}. Its access key works.")
    screen.line(f"Use the profile {user['profile']} (in {user['credentials_file']}):")
    for line in user["use"]:
        screen.line(f"  {line}")


USER = Output("user", _user_json, _write_user, stack="none")


class DeletedUserBody(TypedDict):
    """An IAM user that was deleted; ``changes``: what was deleted."""

    name: str
    account_id: str
    changes: list[str]


def _deleted_user_json(user: DeletedUserBody) -> DeletedUserBody:
    return user


def _write_deleted_user(user: DeletedUserBody, screen: Screen) -> None:
    name = user["name"]
    screen.line(
        f"The user {name} was deleted." if user["changes"] else f"Nothing to delete: gridbyoc created no user {name}."
    )


DELETED_USER = Output("deleted_user", _deleted_user_json, _write_deleted_user, stack="none")


def source_lines(found: InUse) -> Iterator[str]:
    """The credentials in use, for people."""
    source, caller = found.source, found.caller
    yield f"source     {replace(source, role=None).text}"
    if found.assumed_by:
        yield f"caller     {found.assumed_by.arn}"
        yield f"role       {source.role}"
    yield f"account    {caller.account_id}" + (f" ({caller.partition})" if caller.partition != "aws" else "")
    yield f"principal  {caller.arn}"
    yield f"expires    {_expiry(source, found.now)}"


def _expiry(source: CredentialSource, now: datetime) -> str:
    renewed = ", then renewed automatically" if source.renews else ""
    if source.expires is None:
        never = "never: a long-lived access key (AWS recommends short-term credentials, `aws configure sso`)"
        return "unknown: temporary credentials" + renewed if source.temporary or source.renews else never
    minutes = int((source.expires - now).total_seconds() // 60)
    return f"{minute(source.expires)}, in {minutes} min{renewed}"


def without_keys(environ: Mapping[str, str]) -> str:
    """``env -u ...`` for the keys in the environment, which override AWS_PROFILE."""
    names = [f"-u {name}" for name in KEYS if environ.get(name)]
    return f"env {' '.join(names)} " if environ.get(KEYS[0]) else ""


def use_lines(profile: str, file: Path, environ: Mapping[str, str], home: Path) -> tuple[str, ...]:
    """How to use the new profile here: in the stack file, or for one command.

    ``file`` is named if AWS programs would look elsewhere.
    """
    from gridbyoc.aws.profile_file import credentials_file

    elsewhere = credentials_file(environ, home) != file
    place = f"AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(file))} " if elsewhere else ""
    in_file = f"aws: {{profile: {profile}}} in the stack file" + (f", with {place.strip()}" if elsewhere else "")
    return (in_file, f"{without_keys(environ)}{place}AWS_PROFILE={profile} gridbyoc bootstrap")
