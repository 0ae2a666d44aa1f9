"""Adopt an existing role, and the clusters that run through it, into a stack. Nothing in AWS is changed.

Terraform imports the role, its own policy and every attachment in one apply. The plan of that apply is refused if it
does anything except import resources and record the external id in the state. docs/decisions/ explains how the id gets
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gridbyoc.aws import AwsSession
from gridbyoc.aws.identity import Caller, caller_identity
from gridbyoc.aws.live_role import LiveRole, read_live_role
from gridbyoc.aws.session import domain_errors
from gridbyoc.control_plane.model import Cluster, Grant, Phase, Registrar
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError, NotAdoptableError
from gridbyoc.operations.adoptable import AdoptionRequest, Reason, TrustTerms, adoptable_role, spec_of, stack_text
from gridbyoc.operations.changes import cluster_changes
from gridbyoc.operations.import_orphans import POLICY
from gridbyoc.operations.lock import SAVED_PLAN
from gridbyoc.operations.plan import OWN_ATTACHMENT, ROLE
from gridbyoc.operations.prepare import MODULE, PreparedStack, prepare, rerender
from gridbyoc.operations.role_policies import declared_arns
from gridbyoc.operations.run import Run
from gridbyoc.stack.defaults import own_policy_arn, statements_of
from gridbyoc.stack.files import remove
from gridbyoc.stack.model import Role
from gridbyoc.vendors import VendorType

_IN_STATE_ONLY = frozenset({f"{MODULE}.terraform_data.this", f"{MODULE}.terraform_data.rotation"})
"""The resources that an adoption creates: they only record the external id in the state."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What would be adopted. ``imports`` maps addresses to import ids, without the resources already in the state."""

    role_arn: str
    trust: TrustTerms
    imports: Mapping[str, str]
    clusters: tuple[Cluster, ...]


@dataclass(frozen=True, slots=True)
class AdoptionProposal:
    """A role that can be adopted: its trust, and a stack file that describes it."""

    trust: TrustTerms
    stack_text: str


def look(session: AwsSession, asked: AdoptionRequest, connect: Callable[[VendorType], Registrar]) -> AdoptionProposal:
    """Read and judge the role and the clusters that run through it. Nothing is written.

    ``connect`` opens the control plane whose account the role trusts. Raises ``NotAdoptableError`` with every reason,
    ``TrustError`` if the role does not exist, ``AwsError`` or ``ControlPlaneError`` if AWS or the control plane cannot
    be read.
    """
    _refuse_other_account(caller_identity(session), asked.role_arn)
    role = read_live_role(session, asked.role_arn, every_document=False)
    found = adoptable_role(role, asked, _shared(session, role))
    clusters = clusters_through(connect(found.vendor).list(), asked.role_arn)
    reasons = (*found.reasons, *cluster_reasons(clusters, found.trust, asked.region))
    if found.trust is None or reasons:
        raise NotAdoptableError(
            f"The role {asked.role_arn} cannot be adopted as it is.",
            findings=tuple(f"{reason.what} {reason.fix}" for reason in reasons),
        )
    text = stack_text(found, found.trust, asked, tuple(map(spec_of, clusters)))
    return AdoptionProposal(found.trust, text)


def _refuse_other_account(caller: Caller, role_arn: str) -> None:
    partition, account = role_arn.split(":")[1], role_arn.split(":")[4]
    if (partition, account) != (caller.partition, caller.account_id):
        raise NotAdoptableError(
            f"The role is in account {account} ({partition}), the AWS credentials belong to account "
            f"{caller.account_id} ({caller.partition}).",
            why=f"The caller is {caller.arn}.",
            fix=f"Use credentials of account {account}.",
        )


def _shared(session: AwsSession, role: LiveRole) -> frozenset[str]:
    """The role's customer managed policies that are also attached elsewhere (``iam:GetPolicy``, AttachmentCount)."""
    iam = session.iam()
    own = [each for each in role.policies if each.kind == "attached" and each.document is not None]
    with domain_errors("The role's policies could not be read"):
        counts = {each.name: iam.get_policy(PolicyArn=each.name)["Policy"].get("AttachmentCount") for each in own}
    return frozenset(arn for arn, count in counts.items() if count != 1)


def clusters_through(clusters: Iterable[Cluster], role_arn: str) -> tuple[Cluster, ...]:
    """The clusters that run through the role and are not being deleted."""
    live = (each for each in clusters if each.phase is not Phase.DELETED and each.status != "terminating")
    return tuple(each for each in live if each.role_arn == role_arn)


def cluster_reasons(clusters: tuple[Cluster, ...], trust: TrustTerms | None, region: str) -> Iterator[Reason]:
    """Why clusters could not stay unchanged under a stack with this role."""
    for cluster in clusters:
        if cluster.external_id is None:
            fix = (
                "Ask the control plane's operator; a role can be adopted once its clusters are known to present its id."
            )
            what = f"The control plane does not show which external id the cluster {cluster.name} presents."
            yield Reason(what, fix)
        elif trust is not None and cluster.external_id != trust.external_id:
            fix = "Give the cluster the role's external id (`gridbyoc clusters edit`), or give the role the cluster's."
            yield Reason(f"The cluster {cluster.name} presents an external id that differs from the role's.", fix)
        if cluster.region not in (None, region):
            fix = f"Give --region {cluster.region}; clusters in other regions need a stack of their own."
            yield Reason(f"The cluster {cluster.name} runs in {cluster.region}, the stack in {region}.", fix)


def adopt(run: Run, role_arn: str, trust: TrustTerms, approve: Callable[[Adoption], bool]) -> Adoption:
    """Import the role into the stack's state, and nothing else. The caller holds the stack's lock.

    Continues a run that was killed: resources already in the state are not imported again. Raises ``NotAdoptableError``
    if the plan would do more than import, ``ApprovalRequiredError`` if not approved.
    """
    site = prepare(run)
    clusters = clusters_through(site.preflight.clusters, role_arn)
    _refuse_cluster_changes(run, site, role_arn, trust, clusters)
    adoption = Adoption(role_arn, trust, _imports(run, site, role_arn), clusters)
    if not adoption.imports:
        return adoption
    saved = run.work_dir / SAVED_PLAN
    rerender(run, site, imports=adoption.imports)
    try:
        with run.step("plan") as step:
            plan = site.runner.plan(out=saved, variables={"adopted_external_id": trust.external_id})
            refuse_more_than_imports(site.runner.show(saved), role_arn, adoption.imports)
            step.detail = f"{plan.imported} to import, nothing to change"
        with run.asking():
            approved = approve(adoption)
        if not approved:
            raise ApprovalRequiredError("The adoption was not approved.", rerun=SAFE_NOTHING_DONE)
        with run.step("apply") as step, run.effect("adopt", role=role_arn):
            done = site.runner.apply(saved)
            step.detail = f"{done.imported} imported"
    finally:
        remove(saved)
        rerender(run, site)
    return adoption


def _imports(run: Run, site: PreparedStack, role_arn: str) -> dict[str, str]:
    """The resources to import; ``NotAdoptableError`` if the state holds something else."""
    standing = site.standing.role_arn
    held = frozenset(each.address for each in site.state.instances if each.mode == "managed")
    wanted = imports_of(run.stack.role, role_arn)
    strangers = sorted(held - wanted.keys() - _IN_STATE_ONLY)
    if standing not in (None, role_arn) or strangers:
        raise NotAdoptableError(
            f"The state of the stack {run.stack.name} is not empty: {role_arn} cannot be imported into it.",
            why=f"It holds {', '.join(strangers) or standing}.",
            fix="Give the adopted role a stack of its own: another name, and another key in S3.",
        )
    return {address: ident for address, ident in wanted.items() if address not in held}


def imports_of(role: Role, role_arn: str) -> dict[str, str]:
    """The import id of each resource of the module (https://registry.terraform.io/providers/hashicorp/aws)."""
    partition, name = role_arn.split(":")[1], role_arn.rpartition("/")[2]
    found = {ROLE: name}
    if statements_of(role):
        own = own_policy_arn(role_arn, role)
        found |= {POLICY: own, OWN_ATTACHMENT: f"{name}/{own}"}
    prefix = f"arn:{partition}:iam::aws:policy/"
    for arn in declared_arns(role, partition):
        key = arn.removeprefix(prefix)
        found[f'{MODULE}.aws_iam_role_policy_attachment.managed["{key}"]'] = f"{name}/{arn}"
    return found


def refuse_more_than_imports(shown: Mapping[str, Any], role_arn: str, imports: Mapping[str, str]) -> None:
    """Refuse a plan that changes, replaces or destroys anything.

    Creating two values in the state and importing is allowed.

    ``shown`` is the saved plan. Each of ``imports`` must be in it, with its address and import id. Terraform also
    reports an update if an attribute only becomes sensitive: before and after are then equal, and the apply calls no
    API.
    """
    changes = shown.get("resource_changes") or ()
    more = [words for change in changes if (words := _beyond_import(change))]
    planned = {str(each.get("address")): (each["change"].get("importing") or {}).get("id") for each in changes}
    more += [f"{address}: is not imported" for address, ident in imports.items() if planned.get(address) != ident]
    if more:
        raise NotAdoptableError(
            f"The stack file does not describe {role_arn} exactly: Terraform would change it.",
            findings=tuple(more),
            why="An adoption changes nothing in AWS.",
            fix="Correct the stack file where it differs, or remove it: `gridbyoc adopt` writes one anew.",
        )


def _beyond_import(resource: Mapping[str, Any]) -> str:
    """What a planned change does beyond importing; empty if nothing. Names only: values may be secret."""
    address, change = str(resource.get("address")), resource.get("change") or {}
    actions = list(change.get("actions") or ())
    if actions in (["no-op"], ["read"]) or (address in _IN_STATE_ONLY and actions == ["create"]):
        return ""
    before, after, unknown = (change.get(key) or {} for key in ("before", "after", "after_unknown"))
    names = sorted(name for name in {*after, *unknown} if unknown.get(name) or before.get(name) != after.get(name))
    if actions == ["update"] and not names:
        return ""
    return f"{address}: {' and '.join(actions)}" + (f" ({', '.join(names)})" if names and before else "")


def _refuse_cluster_changes(
    run: Run, site: PreparedStack, role_arn: str, trust: TrustTerms, clusters: tuple[Cluster, ...]
) -> None:
    grant = Grant(role_arn, trust.external_id, run.stack.aws.region)
    changes = cluster_changes(site.preflight.registrar, run.stack, clusters, grant)
    differing = [change for change in changes if change.action != "none"]
    if differing:
        words = (
            f"cluster {change.name}: {change.action}"
            + "".join(f"; {each.field}: {each.before} -> {each.after}" for each in change.fields)
            for change in differing
        )
        raise NotAdoptableError(
            "The stack file does not match the clusters at the control plane.",
            findings=tuple(words),
            why="An adoption changes nothing at the control plane either.",
            fix="Correct the stack file where it differs, or remove it: `gridbyoc adopt` writes one anew.",
        )
