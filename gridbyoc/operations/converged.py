"""The converged fingerprint: what a good run left behind, so that a run that finds the same is done without Terraform.

It can only say that nothing has moved since Terraform itself last said so. Whatever differs, cannot be read, or is not
covered (another module, an old grant that is still accepted) takes the long way.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridbyoc import __version__
from gridbyoc.aws.live_role import LiveRole, read_live_role
from gridbyoc.aws.state_bucket import state_version
from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.changes import Action
from gridbyoc.operations.events import Note
from gridbyoc.operations.report import Report
from gridbyoc.operations.role_policies import RolePolicies, compare_policies, normal_form
from gridbyoc.operations.run import Run
from gridbyoc.operations.vendor_handover import handover_of
from gridbyoc.render import render, standing_ids, strange_files, terraform_files
from gridbyoc.stack.background import Background
from gridbyoc.stack.files import file_error, json_object, read_json, read_private, remove, write_atomic
from gridbyoc.stack.model import Role, S3Backend
from gridbyoc.terraform import Backend, State, provider_settings

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
"""Attribute of the provider → what IAM calls it."""
EXCLUSIVE = ("aws_iam_role_policies_exclusive", "aws_iam_role_policy_attachments_exclusive")
"""What the rendered root holds beside the module for an exclusive role: lists of what the role may have."""
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
"""What the gridbyoc module is made of; its ``terraform_data`` lie in the state alone."""


def facts_of(role: LiveRole) -> dict[str, Any] | None:
    """All that Terraform would read of a role and its policies, JSON-able; ``None`` where not all of it could be read.

    The same for the same role; it holds the external id. AWS's own policies count by their ARN, for what they say is
    not the stack's.
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
    """Whether role, own policy and attachments are live what they are in the state, attribute by attribute.

    The state is what Terraform saw when it last looked; somebody may have changed the role since. Beside what Terraform
    made, the role may have policies that the stack file accepts (``declared``), and no others.
    """
    if not state.kinds <= KNOWN:
        return False  # nobody here looks at it
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


RECORD = "converged.json"
FORMAT = 2
"""Of the record. It goes up with everything that a record claims or is held against; any other one is not believed.

The first had no number, and was also written beside policies that the stack file does not list.
"""
UNCHANGED = {"add": 0, "change": 0, "destroy": 0}
_ROLE_ARN = re.compile(r"arn:[^:]+:iam::[0-9]{12}:role/.+")
HALF_DONE = ("errored.tfstate", ".terraform.tfstate.lock.info")
"""What a Terraform that was cut off leaves behind."""


@dataclass(frozen=True, slots=True)
class Converged:
    """What stood after a good run, as keyed digests: they prove sameness and tell nothing of the external id."""

    format: int
    account_id: str
    role_arn: str
    role_name: str | None
    native_lock: bool
    inputs: str
    state: str
    live: str
    clusters: str
    key: bytes = field(repr=False)


def short_way(run: Run, wishes: BootstrapOptions) -> Report | None:
    """``unchanged``, where nothing is asked for that needs Terraform."""
    return unchanged(run) if wishes.nothing_new and not run.choices.refresh else None


def unchanged(run: Run) -> Report | None:
    """The report of a run that has nothing to do, or ``None``: take the long way. Terraform is not started.

    The rendered root is brought up to date, as the long way would. The caller holds the stack's lock.
    """
    record = _read(run.work_dir / RECORD)
    if record is None or not _covered(run):
        return None
    with run.step("compare") as step:
        try:
            found = _compare(run, record)
        except GridbyocError as error:
            # The long way meets it again, and says it in full.
            found = f"cannot be told: {error.what}"
        step.detail = found if isinstance(found, str) else "nothing has moved since the last run"
    if isinstance(found, str):
        return None
    clusters, policies = found
    actions: dict[str, Action] = {cluster.name: "none" for cluster in clusters}
    seconds = {str(name): took for name, took in run.seconds.items()}
    role = (record.role_arn, record.role_name)
    unasked = run.registrar().unasked
    handover = handover_of(run.stack, record.account_id, {"role": record.role_arn})
    return Report(
        run.stack.name, record.account_id, *role, False, UNCHANGED, clusters, actions, seconds, policies, unasked,
        handover,
    )  # fmt: skip


def remember_converged(run: Run, site: PreparedStack, grant: Grant, report: Report, role: LiveRole | None) -> None:
    """Keep the fingerprint of a run that came to its end, for the next one; without one where it is not covered.

    ``role`` is the live role as it was read just now; beside policies that the stack file does not list, and where
    not all could be read, no fingerprint is kept.

    What cannot be read now is no failure of the run: the next one takes the long way.
    """
    path = run.work_dir / RECORD
    with suppress(OSError):
        remove(path)
    old_grant = site.previous_role is not None or any(i != grant.external_id for i in standing_ids(run.work_dir))
    if old_grant or not _covered(run) or any(c.status != "running" for c in report.clusters):
        return
    facts = facts_of(role) if role and compare_policies(role, run.stack.role).as_declared else None
    if facts is None:
        return
    with suppress(GridbyocError):
        record = _fingerprint(run, site, grant, report, facts)
        if record is not None:
            write_atomic(path, json.dumps({**asdict(record), "key": record.key.hex()}, indent=2) + "\n")


def _fingerprint(
    run: Run, site: PreparedStack, grant: Grant, report: Report, live: Mapping[str, Any]
) -> Converged | None:
    """``None`` unless the live role still matches state and stack file: someone may have changed it while we waited."""
    flight, key = site.preflight, secrets.token_bytes(32)
    state = _state(run)
    clusters = _ours(flight.registrar.list(), report.role_arn)
    wanted = {spec.name: spec for spec in run.stack.clusters}
    if state is None or {cluster.name for cluster in clusters} != wanted.keys():
        return None
    moved = any(flight.registrar.diff(cluster, wanted[cluster.name], grant) for cluster in clusters)
    if moved or not stands_as_in_state(live, site.runner.state(), run.stack.role):
        return None
    return Converged(
        format=FORMAT,
        account_id=report.account_id,
        role_arn=report.role_arn,
        role_name=report.role_name,
        native_lock=site.binary.s3_native_lock,
        inputs=_digest(key, list(_inputs(run))),
        state=_digest(key, state),
        live=_digest(key, live),
        clusters=_digest(key, _specs(clusters)),
        key=key,
    )


def _covered(run: Run) -> bool:
    """The module is ours and nobody put files beside it, so that all resources are known; and nothing is half done."""
    if run.stack.terraform.module is not None or any((run.work_dir / name).exists() for name in HALF_DONE):
        return False
    return not any(strange_files(run.work_dir))


def _compare(run: Run, record: Converged) -> tuple[tuple[Cluster, ...], RolePolicies] | str:
    """The stack's clusters and the role's policies where everything is the same, else what is not, in a few words."""
    rendered = render(run.stack, run.work_dir, s3_native_lock=record.native_lock, account_id=record.account_id)
    for warning in rendered.warnings:
        run.outside.emit(Note(warning, "warning"))
    if _digest(record.key, list(_inputs(run))) != record.inputs:
        return "the stack file, the module or the tool has changed"
    session = run.open_session()
    account = Background(run.account)
    live = Background(lambda: read_live_role(session, record.role_arn, every_document=False))
    state = Background(lambda: _state(run))
    registrar = run.registrar()
    for spec in run.stack.clusters:
        registrar.check(spec)
    listed = registrar.list()
    _, caller = account.result()
    if caller.account_id != record.account_id:
        return "the credentials belong to another account"
    if _digest(record.key, state.result()) != record.state:
        return "the state has changed"
    role = live.result()
    facts = facts_of(role)
    if facts is None:
        return "the role or its policies could not be read"
    if _digest(record.key, facts) != record.live:
        return "the role or its policies have changed"
    policies = compare_policies(role, run.stack.role)
    if not policies.as_declared:
        return "the role has policies that the stack file does not list"
    clusters = _same_clusters(run, record, listed)
    return clusters if isinstance(clusters, str) else (clusters, policies)


def _same_clusters(run: Run, record: Converged, listed: tuple[Cluster, ...]) -> tuple[Cluster, ...] | str:
    """The stack's clusters; they are as the file asks while their specs are the record's, for the file is, too."""
    ours = _ours(listed, record.role_arn)
    if _digest(record.key, _specs(ours)) != record.clusters or any(c.status != "running" for c in ours):
        return "a cluster has changed"
    by_name = {cluster.name: cluster for cluster in ours}
    return tuple(by_name[spec.name] for spec in run.stack.clusters)


def _ours(listed: tuple[Cluster, ...], role_arn: str) -> tuple[Cluster, ...]:
    ours = (cluster for cluster in listed if cluster.role_arn == role_arn)
    return tuple(sorted(ours, key=lambda cluster: cluster.id))


def _specs(clusters: tuple[Cluster, ...]) -> list[Any]:
    return [[cluster.id, cluster.name, cluster.raw.get("spec")] for cluster in clusters]


def _inputs(run: Run) -> Iterator[list[str]]:
    """What a run works from on this machine: each file that Terraform reads, our version, the clusters as asked for."""
    yield ["tool", __version__]
    yield ["clusters", repr(run.stack.clusters), repr(run.stack.control_plane), str(run.choices.url)]
    yield ["environment", *provider_settings(run.outside.environ)]
    for path in (*terraform_files(run.work_dir), run.work_dir / ".terraform.lock.hcl"):
        yield [str(path.relative_to(run.work_dir)), hashlib.sha256(_content(path)).hexdigest()]


def _state(run: Run) -> str | None:
    """What tells one state from another: what a plan would read of the file, or which version of the object there is.

    An apply that changes nothing writes the file all the same, with a new serial and its checks in another order.
    """
    backend = run.stack.terraform.backend
    if not isinstance(backend, S3Backend):
        found = json_object(_content(Backend().state_file(run.work_dir))) or {}
        if not {"lineage", "outputs", "resources"} <= found.keys():
            return None
        state = {name: found[name] for name in ("lineage", "outputs", "resources")}
        return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
    return state_version(run.open_session(backend.region, backend.profile), backend.bucket, backend.key)


def _content(path: Path) -> bytes:
    try:
        return read_private(path)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise file_error("Cannot read", path, error) from None


def _digest(key: bytes, value: object) -> str:
    """With a key for each record: no table of digests made beforehand tells what was digested."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _read(path: Path) -> Converged | None:
    """The record; ``None`` where there is none, or one of another format."""
    try:
        found = read_json(path)
        record = Converged(**{**found, "key": bytes.fromhex(found["key"])})
    except (ValueError, TypeError, KeyError):
        return None
    texts = (record.account_id, record.role_arn, record.inputs, record.state, record.live, record.clusters)
    named = all(isinstance(text, str) for text in texts) and isinstance(record.role_name, str | None)
    named = named and type(record.format) is int and record.format == FORMAT
    return record if named and isinstance(record.native_lock, bool) and _ROLE_ARN.fullmatch(record.role_arn) else None
