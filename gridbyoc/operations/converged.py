"""The converged fingerprint of a good run: a later run that finds the same ends without Terraform.

It only says that nothing has changed since Terraform last confirmed it. If anything differs, cannot be read, or is not
covered (another module, an old grant that is still accepted), the run uses Terraform.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridbyoc import __version__
from gridbyoc.aws import read_object
from gridbyoc.aws.live_role import LiveRole, read_live_role
from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.changes import Action
from gridbyoc.operations.events import Note
from gridbyoc.operations.fingerprint import (
    FORMAT,
    Converged,
    forget_beside_state,
    forget_here,
    keep,
    kept_beside_state,
    kept_here,
    keyed_digest,
    state_content,
)
from gridbyoc.operations.report import Report
from gridbyoc.operations.role_policies import RolePolicies, compare_policies, normal_form
from gridbyoc.operations.run import Run
from gridbyoc.operations.state_place import is_in_place
from gridbyoc.operations.vendor_handover import handover_of
from gridbyoc.render import KnownPolicies, declared_files, render, standing_ids, standing_known, strange_files
from gridbyoc.stack.background import Background
from gridbyoc.stack.files import file_error, json_object, read_private
from gridbyoc.stack.model import Role, S3Backend
from gridbyoc.terraform import Backend, Outputs, State, provider_settings, read_outputs

if TYPE_CHECKING:
    from gridbyoc.operations.options import BootstrapOptions
    from gridbyoc.operations.prepare import PreparedStack

MODULE = "module.gridbyoc"
ROLE = {
    "arn": "Arn",
    "unique_id": "RoleId",
    "path": "Path",
    "description": "Description",
    "max_session_duration": "MaxSessionDuration",
    "tags_all": "tags",
}
POLICY = {"arn": "Arn", "policy_id": "PolicyId", "path": "Path", "description": "Description", "tags_all": "tags"}
"""The provider's attribute: IAM's name for it."""
EXCLUSIVE = ("aws_iam_role_policies_exclusive", "aws_iam_role_policy_attachments_exclusive")
"""The resources that the rendered root adds for an exclusive role: lists of what the role may have."""
KNOWN = {
    (MODULE, kind)
    for kind in (
        "aws_iam_role",
        "aws_iam_policy",
        "aws_iam_role_policy_attachment",
        "aws_partition",
        "terraform_data",
    )
} | {("", kind) for kind in EXCLUSIVE}
"""The resource types of the gridbyoc module; its ``terraform_data`` exist in the state only."""


def facts_of(role: LiveRole) -> dict[str, Any] | None:
    """Everything that Terraform would read of a role and its policies, as JSON data.

    ``None`` if part could not be read.

    Equal for equal roles. Contains the external id. AWS managed policies count by ARN only: their content is not the
    stack's.
    """
    if role.unknown:
        return None
    attached = [each for each in role.policies if each.kind == "attached"]
    return {
        "role": {**role.attributes, "trust": role.trust.document},
        "attached": sorted(each.name for each in attached),
        "inline": {each.name: each.document for each in role.policies if each.kind == "inline"},
        "policies": [
            {**each.attributes, "document": each.document}
            for each in sorted(attached, key=lambda each: each.name)
            if each.name.split(":")[4] == role.account_id
        ],
    }


def stands_as_in_state(facts: Mapping[str, Any], state: State, declared: Role) -> bool:
    """Whether the live role, own policy and attachments match the state, attribute by attribute.

    The state is what Terraform last saw; somebody may have changed the role since. The role may also have policies that
    the stack file accepts (``declared``), but no others.
    """
    if not state.kinds <= KNOWN:
        return False  # this module does not compare it
    roles = state.of("aws_iam_role", MODULE)
    policies = {each["arn"]: each for each in state.of("aws_iam_policy", MODULE)}
    attached = {str(each["policy_arn"]) for each in state.of("aws_iam_role_policy_attachment", MODULE)}
    live = {each["Arn"]: each for each in facts["policies"]}
    return (
        len(roles) == 1
        and _same_role(facts["role"], roles[0])
        and attached <= set(facts["attached"]) <= attached | set(declared.known_policies)
        and set(facts["inline"]) <= set(declared.known_inline_policies)
        and policies.keys() <= live.keys()
        and all(_same_policy(live[arn], policy) for arn, policy in policies.items())
    )


def _same_role(live: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    boundary = (live["PermissionsBoundary"] or {}).get("PermissionsBoundaryArn")
    return (
        _same(live, kept, ROLE)
        and (boundary or "") == (kept["permissions_boundary"] or "")
        and normal_form(live["trust"]) == normal_form(json_object(kept["assume_role_policy"]))
    )


def _same_policy(live: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    return _same(live, kept, POLICY) and normal_form(live["document"]) == normal_form(json_object(kept["policy"]))


def _same(live: Mapping[str, Any], kept: Mapping[str, Any], names: Mapping[str, str]) -> bool:
    return all((live[there] or None) == (kept[here] or None) for here, there in names.items())


UNCHANGED = {"add": 0, "change": 0, "destroy": 0}
STARTING = ("unspecified", "queued", "pending", "configuring")
"""The statuses of a cluster that is starting, which a run with ``--no-wait`` does not wait for."""
HALF_DONE = ("errored.tfstate", ".terraform.tfstate.lock.info")
"""Files that an interrupted Terraform leaves behind."""
_PROVIDER = re.compile(r'^provider "([^"]+)" \{\s+version\s*=\s*"([^"]+)"', re.MULTILINE)


def short_way(run: Run, options: BootstrapOptions) -> Report | None:
    """The result of ``unchanged`` if nothing was requested that needs Terraform."""
    report = unchanged(run) if options.nothing_new and not run.choices.refresh else None
    return report.limited(run.only, run.left_out) if report else None


@dataclass(frozen=True, slots=True)
class _Basis:
    """A fingerprint and the state beside which it was found. ``shared``: it comes from the bucket of the state."""

    record: Converged
    state: State | None
    shared: bool = False


def unchanged(run: Run) -> Report | None:
    """The report of a run with nothing to do, or ``None`` if Terraform is needed. Terraform is not started.

    The rendered root is updated, as in a run with Terraform. The caller holds the stack's lock.
    """
    if not _covered(run):
        return None
    try:
        basis = _basis(run)
    except GridbyocError:
        return None  # the run with Terraform meets the error again and reports it in full
    if basis is None:
        return None
    with run.step("compare") as step:
        try:
            found = _compare(run, basis)
        except GridbyocError as error:
            found = f"unknown: {error.what}"  # as above
        step.detail = found if isinstance(found, str) else "nothing has moved since the last run"
    if isinstance(found, str):
        return None
    outputs, clusters, policies = found
    actions: dict[str, Action] = {cluster.name: "none" for cluster in clusters}
    seconds = {str(name): took for name, took in run.seconds.items()}
    role, account_id = (outputs.role_arn, outputs.role_name), basis.record.account_id
    unasked = run.registrar().unasked
    handover = handover_of(run.stack, account_id, {"role": outputs.role_arn})
    return Report(
        run.stack.name, account_id, *role, False, UNCHANGED, clusters, actions, seconds, policies, unasked, handover,
    )  # fmt: skip


def _basis(run: Run) -> _Basis | None:
    """The fingerprint to compare with; ``None`` if there is none.

    The work_dir's own counts if it is of the current state. Otherwise another machine may have run since, and left a
    newer one beside a state in S3.
    """
    here = kept_here(run.work_dir)
    if not isinstance(run.stack.terraform.backend, S3Backend):
        return _Basis(here, _state(run)) if here else None
    run.account()  # no remote state is touched with another account's credentials
    there = Background(partial(kept_beside_state, run)) if here is None else None
    state = _state(run)
    if here is not None and _is_of(here, state):
        return _Basis(here, state)
    shared = there.result() if there else kept_beside_state(run)
    if shared is not None:
        return _Basis(shared, state, shared=True)
    return _Basis(here, state) if here else None


def _is_of(record: Converged, state: State | None) -> bool:
    return state is not None and keyed_digest(record.key, state_content(state)) == record.state


def remember_converged(
    run: Run,
    site: PreparedStack,
    grant: Grant,
    report: Report,
    role: LiveRole | None,
) -> None:
    """Store the fingerprint of a completed run for the next one, if the run is covered; otherwise remove the old one.

    ``role`` is the live role as just read, ``None`` if its trust is not proven. No fingerprint is stored if it has
    policies that the stack file does not list, or if part of it could not be read.

    A read error is no failure of this run: the next run uses Terraform. A partial run stores none: it has not looked at
    the other clusters. The last fingerprint stays, because it is compared with everything that exists.
    """
    if run.only:
        return
    forget_here(run.work_dir)
    old_grant = site.previous_role is not None or any(i != grant.external_id for i in standing_ids(run.work_dir))
    facts = facts_of(role) if role and compare_policies(role, run.stack.role).as_declared else None
    seal = None
    if facts is not None and not old_grant and _covered(run):
        with suppress(GridbyocError):
            seal = _fingerprint(run, site, grant, report, facts)
    if seal is None:
        forget_beside_state(run)
    else:
        keep(run, seal)


def _fingerprint(
    run: Run,
    site: PreparedStack,
    grant: Grant,
    report: Report,
    live: Mapping[str, Any],
) -> Callable[[bytes], Converged] | None:
    """Makes the fingerprint with a key.

    ``None`` unless the live role still matches state and stack file: someone may have changed it while we waited.
    """
    preflight, state = site.preflight, _state(run)
    clusters = _ours(preflight.registrar.list(), report.role_arn)
    wanted = {spec.name: spec for spec in run.stack.clusters}
    if state is None or {cluster.name for cluster in clusters} != wanted.keys():
        return None
    outputs = read_outputs(state.outputs)
    if (outputs.role_arn, outputs.external_id) != (grant.role_arn, grant.external_id):
        return None
    moved = any(preflight.registrar.diff(cluster, wanted[cluster.name], grant) for cluster in clusters)
    if moved or not stands_as_in_state(live, state, run.stack.role):
        return None
    if not _is_as_asked(run, site, state):
        return None
    known = standing_known(run.stack, run.work_dir)
    inputs = list(_inputs(run, report.account_id, known))
    providers, content, specs = _providers(run.work_dir), state_content(state), _specs(clusters)
    return lambda key: Converged(
        format=FORMAT,
        account_id=report.account_id,
        role_arn=report.role_arn,
        native_lock=site.binary.s3_native_lock,
        known=known.attached,
        known_inline=known.inline,
        inputs=keyed_digest(key, inputs),
        providers=keyed_digest(key, providers),
        state=keyed_digest(key, content),
        live=keyed_digest(key, live),
        clusters=keyed_digest(key, specs),
        key=key,
    )


def _is_as_asked(run: Run, site: PreparedStack, state: State) -> bool:
    """Whether the state is what this run's stack file asks for.

    An apply that changes an existing role may leave a difference that only the next plan shows: the role was changed
    meanwhile, or AWS changed more than was asked. While a run waits for its clusters, nobody holds Terraform's lock, so
    another run may have applied another stack file to a state in S3. Terraform increases the serial with each write:
    the state is as asked if it is as it was before the plan, or if the first apply made it. Otherwise a plan proves it.
    """
    began = site.state
    if (state.lineage, state.serial) == (began.lineage, began.serial):
        return state.same_content(began)
    only_write = site.fresh or state.serial == began.serial + 1
    if not began.has_resources and began.lineage in ("", state.lineage) and only_write:
        return True
    with run.step("compare") as step:
        planned = site.runner.plan(lock=False)
        now = _state(run)
        still = now is not None and (now.serial, state_content(now)) == (state.serial, state_content(state))
        if not still:
            step.detail = "another run has written the state meanwhile"
        else:
            step.detail = "Terraform plans further changes" if planned.has_changes else "Terraform plans nothing more"
    return still and not planned.has_changes


def _covered(run: Run) -> bool:
    """Whether all resources are known (our module, no foreign files beside it), the state is where the stack file says,
    and no Terraform was interrupted.
    """
    if run.stack.terraform.module is not None or any((run.own_work_dir / name).exists() for name in HALF_DONE):
        return False
    return is_in_place(run) and not any(strange_files(run.work_dir))


def _compare(run: Run, basis: _Basis) -> tuple[Outputs, tuple[Cluster, ...], RolePolicies] | str:
    """The module's outputs, the stack's clusters and the role's policies if nothing has changed.

    Otherwise what has, in a few words.
    """
    record = basis.record
    declared = KnownPolicies(
        tuple(arn for arn in run.stack.role.known_policies if arn in record.known),
        tuple(name for name in run.stack.role.known_inline_policies if name in record.known_inline),
    )
    rendered = render(
        run.stack, run.work_dir, s3_native_lock=record.native_lock, account_id=record.account_id, known=declared
    )
    for warning in rendered.warnings:
        run.outside.emit(Note(warning, "warning"))
    inputs = list(_inputs(run, record.account_id, declared))
    if keyed_digest(record.key, inputs) != record.inputs or not _same_providers(run.work_dir, basis):
        return "the stack file, the module or the tool has changed"
    session = run.open_session()
    account = Background(run.account)
    live = Background(lambda: read_live_role(session, record.role_arn, every_document=False))
    registrar = run.registrar()
    for spec in run.stack.clusters:
        registrar.check(spec)
    listed = registrar.list()
    _, caller = account.result()
    if caller.account_id != record.account_id:
        return "the credentials belong to another account"
    state = basis.state
    if state is None or not _is_of(record, state):
        return "the state has changed"
    outputs = read_outputs(state.outputs)
    role = live.result()
    facts = facts_of(role)
    if facts is None:
        return "the role or its policies could not be read"
    if keyed_digest(record.key, facts) != record.live:
        return "the role or its policies have changed"
    policies = compare_policies(role, run.stack.role)
    if not policies.as_declared:
        return "the role has policies that the stack file does not list"
    # Whoever may write the fingerprint in the bucket, but not the state, must not be able to hide a changed role.
    if not stands_as_in_state(facts, state, run.stack.role):
        return "the role or its policies are not as in the state"
    clusters = _same_clusters(run, record, listed)
    return clusters if isinstance(clusters, str) else (outputs, clusters, policies)


def _same_clusters(run: Run, record: Converged, listed: tuple[Cluster, ...]) -> tuple[Cluster, ...] | str:
    """The stack's clusters. If file and specs match the record, the clusters are what the file asks for."""
    ours = _ours(listed, record.role_arn)
    if keyed_digest(record.key, _specs(ours)) != record.clusters:
        return "a cluster has changed"
    if any(c.status not in (("running",) if run.choices.wait else ("running", *STARTING)) for c in ours):
        return "a cluster does not run"
    by_name = {cluster.name: cluster for cluster in ours}
    return tuple(by_name[spec.name] for spec in run.stack.clusters)


def _ours(listed: tuple[Cluster, ...], role_arn: str) -> tuple[Cluster, ...]:
    ours = (cluster for cluster in listed if cluster.role_arn == role_arn)
    return tuple(sorted(ours, key=lambda cluster: cluster.id))


def _specs(clusters: tuple[Cluster, ...]) -> list[Any]:
    return [[cluster.id, cluster.name, cluster.raw.get("spec")] for cluster in clusters]


def _inputs(run: Run, account_id: str, known: KnownPolicies) -> Iterator[list[str]]:
    """The inputs of a run: the files that the stack file decides, our version, and the clusters in the stack file.

    They are the same on every machine: the path of the control plane's CA bundle is left out.
    """
    yield ["tool", __version__]
    yield ["clusters", repr(run.stack.clusters), repr(replace(run.stack.control_plane, ca_bundle=None))]
    yield ["url", str(run.choices.url)]
    yield ["environment", *provider_settings(run.outside.environ)]
    for name, content in declared_files(run.stack, account_id, known).items():
        yield [name, hashlib.sha256(content).hexdigest()]


def _same_providers(work_dir: Path, basis: _Basis) -> bool:
    """Whether the lock file selects the fingerprint's provider versions. A fresh checkout has no lock file."""
    found, record = _providers(work_dir), basis.record
    return (basis.shared and not found) or keyed_digest(record.key, found) == record.providers


def _providers(work_dir: Path) -> list[tuple[str, str]]:
    """Name and version of each provider in the lock file. Its checksums depend on the machine's platform."""
    return sorted(_PROVIDER.findall(_content(work_dir / ".terraform.lock.hcl").decode(errors="replace")))


def _state(run: Run) -> State | None:
    """The stack's state, read without Terraform; ``None`` if there is none, or if it is encrypted (OpenTofu)."""
    backend = run.stack.terraform.backend
    if isinstance(backend, S3Backend):
        stored = read_object(run.state_session(backend), backend.bucket, backend.key)
        content = stored.content if stored else b""
    else:
        content = _content(Backend().state_file(run.work_dir))
    found = json_object(content) or {}
    return State(found) if {"lineage", "outputs", "resources"} <= found.keys() else None


def _content(path: Path) -> bytes:
    try:
        return read_private(path)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise file_error("Cannot read", path, error) from None
