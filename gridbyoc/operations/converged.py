"""The converged fingerprint of a good run: a later run that finds the same ends without Terraform.

It only says that nothing has changed since Terraform last confirmed it. If anything differs, cannot be read, or is not
covered (another module, an old grant that is still accepted), the run uses Terraform.
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


RECORD = "converged.json"
FORMAT = 2
"""The record's format. Increase it when the record's fields or comparisons change; other formats are ignored.

The first format had no number, and was also written if the role had policies that the stack file does not list.
"""
UNCHANGED = {"add": 0, "change": 0, "destroy": 0}
_ROLE_ARN = re.compile(r"arn:[^:]+:iam::[0-9]{12}:role/.+")
STARTING = ("unspecified", "queued", "pending", "configuring")
"""The statuses of a cluster that is starting, which a run with ``--no-wait`` does not wait for."""
HALF_DONE = ("errored.tfstate", ".terraform.tfstate.lock.info")
"""Files that an interrupted Terraform leaves behind."""


@dataclass(frozen=True, slots=True)
class Converged:
    """The result of a good run as keyed digests. They prove equality and reveal nothing of the external id."""

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


def short_way(run: Run, options: BootstrapOptions) -> Report | None:
    """The result of ``unchanged`` if nothing was requested that needs Terraform."""
    return unchanged(run) if options.nothing_new and not run.choices.refresh else None


def unchanged(run: Run) -> Report | None:
    """The report of a run with nothing to do, or ``None`` if Terraform is needed. Terraform is not started.

    The rendered root is updated, as in a run with Terraform. The caller holds the stack's lock.
    """
    record = _read(run.work_dir / RECORD)
    if record is None or not _covered(run):
        return None
    with run.step("compare") as step:
        try:
            found = _compare(run, record)
        except GridbyocError as error:
            # The run with Terraform meets the error again and reports it in full.
            found = f"unknown: {error.what}"
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
    """Store the fingerprint of a completed run for the next one, if the run is covered.

    ``role`` is the live role as just read, ``None`` if its trust is not proven. No fingerprint is stored if it has
    policies that the stack file does not list, or if part of it could not be read.

    A read error is no failure of this run: the next run uses Terraform.
    """
    path = run.work_dir / RECORD
    with suppress(OSError):
        remove(path)
    old_grant = site.previous_role is not None or any(i != grant.external_id for i in standing_ids(run.work_dir))
    if old_grant or not _covered(run):
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
    preflight, key = site.preflight, secrets.token_bytes(32)
    state = _state(run)
    clusters = _ours(preflight.registrar.list(), report.role_arn)
    wanted = {spec.name: spec for spec in run.stack.clusters}
    if state is None or {cluster.name for cluster in clusters} != wanted.keys():
        return None
    moved = any(preflight.registrar.diff(cluster, wanted[cluster.name], grant) for cluster in clusters)
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
    """Whether all resources are known (our module, no foreign files beside it) and no Terraform was interrupted."""
    if run.stack.terraform.module is not None or any((run.own_work_dir / name).exists() for name in HALF_DONE):
        return False
    return not any(strange_files(run.work_dir))


def _compare(run: Run, record: Converged) -> tuple[tuple[Cluster, ...], RolePolicies] | str:
    """The stack's clusters and the role's policies if nothing has changed; otherwise what has, in a few words."""
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
    """The stack's clusters. If file and specs match the record, the clusters are what the file asks for."""
    ours = _ours(listed, record.role_arn)
    if _digest(record.key, _specs(ours)) != record.clusters:
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


def _inputs(run: Run) -> Iterator[list[str]]:
    """The local inputs of a run: each file that Terraform reads, our version, and the clusters in the stack file."""
    yield ["tool", __version__]
    yield ["clusters", repr(run.stack.clusters), repr(run.stack.control_plane), str(run.choices.url)]
    yield ["environment", *provider_settings(run.outside.environ)]
    for path in (*terraform_files(run.work_dir), run.work_dir / ".terraform.lock.hcl"):
        yield [str(path.relative_to(run.work_dir)), hashlib.sha256(_content(path)).hexdigest()]


def _state(run: Run) -> str | None:
    """An identifier of the state's content: a digest of what a plan reads of the file, or the S3 object's version.

    An apply that changes nothing still writes the file, with a new serial and its checks in another order.
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
    """A digest with the record's own key, so that precomputed digests do not reveal the value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _read(path: Path) -> Converged | None:
    """The record; ``None`` if missing, invalid or of another format."""
    try:
        found = read_json(path)
        record = Converged(**{**found, "key": bytes.fromhex(found["key"])})
    except (ValueError, TypeError, KeyError):
        return None
    texts = (record.account_id, record.role_arn, record.inputs, record.state, record.live, record.clusters)
    named = all(isinstance(text, str) for text in texts) and isinstance(record.role_name, str | None)
    named = named and type(record.format) is int and record.format == FORMAT
    return record if named and isinstance(record.native_lock, bool) and _ROLE_ARN.fullmatch(record.role_arn) else None
