"""``gridbyoc policy``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, default_stack_file, load_stack, pass_app, set_option, stack_file_argument
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.words import json_text

if TYPE_CHECKING:
    from gridbyoc.aws.permissions import Need
    from gridbyoc.render.module import GithubTrust
    from gridbyoc.stack.model import Stack

USES = (
    *("all", "plan", "bootstrap", "destroy", "destroy-with-state", "doctor", "quotas", "verify", "verify-role"),
    *("handoff", "leftovers", "state-init"),
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
    """The minimum permissions of a person or pipeline that runs gridbyoc.

    ``terraform``: with --as terraform or github.
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
    type=click.Choice(["json", "terraform", "github"]),
    default="json",
    show_default=True,
    help="An IAM policy, Terraform, or Terraform with a role for GitHub Actions.",
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
    new_provider: bool,
) -> None:
    """Print the minimum AWS permissions to run gridbyoc: for STACK_FILE, or for any stack with a generated role name.

    Nothing is changed, and AWS is not asked. docs/permissions.md lists each action with its purpose.
    """
    from gridbyoc.aws.permissions import needs_of, phases_of, policy_document

    found = default_stack_file(app, stack_file)
    stack = load_stack(app, found, overrides) if found else None
    place = partition or _partition(stack)
    account = _account(account_id)
    wanted = _name(name, stack)
    guard = stack.aws.account_id if stack else None
    principal = f"arn:{place}:iam::{account or guard or '*'}:role/{wanted}" if written_as == "github" else None
    needs = needs_of(stack, place, account, phases=phases_of(uses or ("all",)), principal=principal)
    document = policy_document(needs)
    _advise_on_module(app, stack)
    text = None
    if written_as == "json":
        _advise_on_size(app, document)
    else:
        jobs = Jobs(repository, branches, environments, new_provider) if written_as == "github" else None
        text = _terraform(document, wanted, place, jobs)
    app.show(POLICY, Needed(document, needs, text), stack.name if stack else None)


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
