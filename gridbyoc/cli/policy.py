"""``gridbyoc policy``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, default_stack_file, load_stack, pass_app, set_option, stack_file_argument
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.words import json_text

if TYPE_CHECKING:
    from gridbyoc.aws.permissions import Need, Part
    from gridbyoc.render.module import GithubTrust
    from gridbyoc.stack.model import AssumeRole, Stack

USES = (
    *("all", "plan", "bootstrap", "destroy", "destroy-with-state", "doctor", "quotas", "verify", "verify-role"),
    *("handoff", "leftovers", "state-init", "caller"),
)
PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-eusc")


@dataclass(frozen=True, slots=True)
class Jobs:
    """The options of ``--as github``."""

    repository: str | None
    branches: tuple[str, ...]
    environments: tuple[str, ...]
    new_provider: bool


@dataclass(frozen=True, slots=True)
class Needed:
    """An IAM policy, the purpose of each action, and the policy as Terraform if requested."""

    policy: dict[str, Any]
    needs: Sequence[Need]
    terraform: str | None


class NeedBody(TypedDict):
    """An action that must be allowed, and why."""

    action: str
    resource: str
    purpose: str
    phase: str


class PolicyBody(TypedDict):
    """The minimum permissions of a person or pipeline that runs gridbyoc, or of the role of ``aws.assume_role``.

    ``terraform``: with --as terraform, github or assumed-role.
    """

    policy: dict[str, Any]
    needs: list[NeedBody]
    terraform: str | None


def _policy_json(found: Needed) -> PolicyBody:
    return {
        "policy": found.policy,
        "needs": [
            {"action": need.action, "resource": need.resource, "purpose": need.purpose, "phase": need.phase}
            for need in found.needs
        ],
        "terraform": found.terraform,
    }


def _write(found: Needed, screen: Screen) -> None:
    screen.document(found.terraform or json_text(found.policy, indent=2))


POLICY = Output("policy", _policy_json, _write, stack="optional")


@command("policy")
@stack_file_argument(default=None)
@set_option
@click.option("--for", "uses", type=click.Choice(USES), multiple=True, help="For these commands only (default: all).")
@click.option(
    "--as",
    "written_as",
    type=click.Choice(["json", "terraform", "github", "assumed-role"]),
    default="json",
    show_default=True,
    help="An IAM policy; Terraform; Terraform with a role for GitHub Actions, or with the role of aws.assume_role.",
)
@click.option("--partition", type=click.Choice(PARTITIONS), help="The AWS partition (default: the region's).")
@click.option("--account-id", metavar="ID", help="The account (default: the stack's aws.account_id, else any).")
@click.option("--name", metavar="NAME", help="Name of policy and role in Terraform (default: gridbyoc-STACK).")
@click.option(
    "--repository",
    metavar="ORG/REPO",
    help="With --as github: the repository whose jobs may assume the role; ORG@ID/REPO@ID if tokens contain the ids.",
)
@click.option("--branch", "branches", multiple=True, help="With --as github: jobs on this branch.")
@click.option("--environment", "environments", multiple=True, help="With --as github: jobs in this environment.")
@click.option(
    "--principal",
    "principals",
    metavar="ARN",
    multiple=True,
    help="With --as assumed-role: the role, user or root of an account that assumes it; can be repeated.",
)
@click.option("--new-provider", is_flag=True, help="With --as github: the account has no provider for GitHub yet.")
@pass_app
def policy(
    app: App,
    stack_file: str | None,
    overrides: tuple[str, ...],
    uses: tuple[str, ...],
    written_as: str,
    partition: str | None,
    account_id: str | None,
    name: str | None,
    repository: str | None,
    branches: tuple[str, ...],
    environments: tuple[str, ...],
    principals: tuple[str, ...],
    new_provider: bool,
) -> None:
    """Print the minimum AWS permissions to run gridbyoc: for STACK_FILE, or for any stack with a generated role name.

    If the stack file has aws.assume_role, they are those of that role; --for caller (and --as github) prints those of
    the caller who assumes it: sts:AssumeRole, and the state in S3.

    Nothing is changed, and AWS is not asked. docs/permissions.md lists each action with its purpose.
    """
    from gridbyoc.aws.permissions import needs_of, phases_of, policy_document

    found = default_stack_file(app, stack_file)
    stack = load_stack(app, found, overrides) if found else None
    place = partition or _partition(stack)
    account = _account(account_id)
    wanted = _name(name, stack)
    role = stack.aws.assume_role if stack else None
    if role is None and (written_as == "assumed-role" or "caller" in uses):
        option = "--for caller" if "caller" in uses else "--as assumed-role"
        raise _usage(f"{option} needs a stack file with aws.assume_role.", "Give one, or omit the option.")
    part: Part = "all"
    if role is not None:
        part = "caller" if "caller" in uses or written_as == "github" else "role"
    if part == "caller" and written_as == "assumed-role":
        raise _usage("--as assumed-role is the role, --for caller who assumes it.", "Omit one of the two.")
    guard = stack.aws.account_id if stack else None
    principal = f"arn:{place}:iam::{account or guard or '*'}:role/{wanted}" if written_as == "github" else None
    if role is not None and part == "role":
        principal = role.role_arn
    phases = phases_of([use for use in uses if use != "caller"] or ("all",))
    needs = needs_of(stack, place, account, phases=phases, principal=principal, part=part)
    document = policy_document(needs)
    _advise_on_module(app, stack)
    if role is not None and part == "role":
        app.note(f"This is the policy of {role.role_arn}; --for caller prints that of the caller who assumes it.")
    text = None
    if written_as == "json":
        _advise_on_size(app, document)
    elif role is not None and written_as == "assumed-role":
        text = _assumed_role(document, role, principals, place)
    else:
        jobs = Jobs(repository, branches, environments, new_provider) if written_as == "github" else None
        text = _terraform(document, wanted, place, jobs)
    app.show(POLICY, Needed(document, needs, text), stack.name if stack else None)


def _assumed_role(document: dict[str, Any], role: AssumeRole, principals: Sequence[str], partition: str) -> str:
    """The role of ``aws.assume_role`` with its trust and its policy, for Terraform in the role's account."""
    from gridbyoc.aws.permissions import split_document
    from gridbyoc.render.module import AssumedRoleTrust, policy_hcl
    from gridbyoc.stack.rules.context import RuleContext
    from gridbyoc.stack.rules.role import principal_fault

    if not principals:
        raise _usage(
            "--as assumed-role needs --principal.",
            "Give the ARN of the role or user that runs gridbyoc; `aws sts get-caller-identity` shows who you are.",
        )
    for arn in principals:
        if fault := principal_fault(arn, RuleContext(Path(), Path(), partition)):
            raise _usage(f"--principal {fault.message}.", f"{fault.hint[:1].upper()}{fault.hint[1:]}.")
    path, _, name = role.role_arn.partition(":role/")[2].rpartition("/")
    external_id = role.external_id is not None
    trust = AssumedRoleTrust(
        name, f"/{path}/" if path else "/", tuple(dict.fromkeys(principals)), external_id, max(role.seconds, 3600)
    )
    return policy_hcl(split_document(document), name, assumed=trust).rstrip("\n")


def _terraform(document: dict[str, Any], name: str, partition: str, jobs: Jobs | None) -> str:
    from gridbyoc.aws.permissions import split_document
    from gridbyoc.render.module import policy_hcl

    return policy_hcl(split_document(document), name, _trust(jobs, partition) if jobs else None).rstrip("\n")


def _trust(jobs: Jobs, partition: str) -> GithubTrust:
    from gridbyoc.render.module import github_trust

    if not jobs.repository:
        raise _usage(
            "--as github needs --repository.",
            "Give --repository ORG/REPO, or ORG@ID/REPO@ID for a repository created since 15 July 2026.",
        )
    return github_trust(
        jobs.repository, jobs.branches, jobs.environments, partition=partition, new_provider=jobs.new_provider
    )


def _advise_on_size(app: App, document: dict[str, Any]) -> None:
    from gridbyoc.aws.permissions import MANAGED_POLICY_LIMIT, policy_size

    size = policy_size(document)
    if size > MANAGED_POLICY_LIMIT:
        app.note(
            f"warning: The policy has {size} characters; IAM allows {MANAGED_POLICY_LIMIT} in a managed policy. Make "
            f"two, such as --for bootstrap and --for destroy, and attach both; --as terraform does so automatically."
        )


def _advise_on_module(app: App, stack: Stack | None) -> None:
    if stack and stack.terraform.module:
        app.note(
            f"warning: The resources of the module {stack.terraform.module.source} are unknown, and not in the policy."
        )


def _partition(stack: Stack | None) -> str:
    from gridbyoc.stack.regions import partition_of

    return (partition_of(stack.aws.region) if stack else None) or "aws"


def _account(account_id: str | None) -> str | None:
    if account_id is not None and not (len(account_id) == 12 and account_id.isascii() and account_id.isdigit()):
        raise _usage(f"--account-id {account_id!r} is not an AWS account id.", "Give its 12 digits.")
    return account_id


def _name(name: str | None, stack: Stack | None) -> str:
    from gridbyoc.stack.rules.role import role_name_fault

    wanted = name or (f"gridbyoc-{stack.name}"[:60] if stack else "gridbyoc")
    fault = role_name_fault(wanted, 64)
    if fault:
        raise _usage(f"--name {fault.message}.", "Give 1 to 64 letters, digits and `_+=,.@-`.")
    return wanted


def _usage(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)
