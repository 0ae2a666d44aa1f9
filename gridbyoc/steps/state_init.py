"""The bucket for a stack's state: proposed, looked at, made; the stack file is pointed at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gridbyoc.aws import (
    AwsSession,
    Setting,
    StateBucket,
    caller_identity,
    guard_account,
    look_at_bucket,
    make_bucket,
    reached_over_tls,
)
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError, UsageError
from gridbyoc.stack.files import read_json
from gridbyoc.stack.findings import Fault
from gridbyoc.stack.model import S3Backend
from gridbyoc.stack.regions import region_fault
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.rules.state import bucket_fault, key_fault, kms_key_fault
from gridbyoc.steps.run import Run
from gridbyoc.steps.state_file import backend_changes, point_at
from gridbyoc.terraform import Backend, same_place, snapshot_of, standing_places


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says of the bucket; ``None``: the stack file's, else a proposal."""

    bucket: str | None = None
    key: str | None = None
    region: str | None = None
    kms_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be done. ``settings`` is ``None`` where the bucket is to be made."""

    bucket: StateBucket
    backend: S3Backend
    settings: tuple[Setting, ...] | None
    points_already: bool

    @property
    def nothing_to_do(self) -> bool:
        """All of it is as it should be."""
        in_order = self.settings is not None and all(setting.in_order for setting in self.settings)
        return in_order and self.points_already


@dataclass(frozen=True, slots=True)
class Ready:
    """What was done: ``made`` the bucket, each setting as it was, and what is left for the user to do."""

    proposal: Proposal
    made: bool
    settings: tuple[Setting, ...]
    pointed: bool
    state_left_in: str | None


def init_state(run: Run, asked: Asked, approve: Callable[[Proposal], bool]) -> Ready:
    """Make the bucket what it must be and point the stack at it; nothing that is in order is touched.

    Raises ``UsageError`` for names that no bucket can have, ``AccountMismatchError``, ``AwsError``.
    """
    backend, session, bucket = _wanted(run, asked)
    settings = look_at_bucket(session, bucket)
    proposal = Proposal(bucket, backend, settings, not backend_changes(run.stack.terraform.backend, backend))
    if settings is not None and proposal.nothing_to_do:
        return Ready(proposal, False, settings, False, _left(run, backend))
    with run.asking():
        approved = approve(proposal)
    if not approved:
        raise ApprovalRequiredError("The bucket was not approved.", rerun=SAFE_NOTHING_DONE)
    with run.effect("state_bucket", bucket=bucket.name, region=bucket.region):
        done = make_bucket(session, bucket)
    return Ready(proposal, settings is None, done, point_at(run.stack, backend), _left(run, backend))


def _wanted(run: Run, asked: Asked) -> tuple[S3Backend, AwsSession, StateBucket]:
    stack = run.stack
    found = stack.terraform.backend
    old = found if isinstance(found, S3Backend) else S3Backend("", "", "")
    region = asked.region or old.region or stack.aws.region
    _check("--region", region_fault(region))
    session = run.outside.services.open_session(region, old.profile or stack.aws.profile)
    caller = caller_identity(session)
    guard_account(caller, stack.aws.account_id)
    name = asked.bucket or old.bucket or f"gridbyoc-state-{caller.account_id}-{region}"
    key = asked.key or old.key or f"gridbyoc/{stack.name}.tfstate"
    kms_key_id = asked.kms_key_id or old.kms_key_id
    _check("--bucket", bucket_fault(name))
    _check("--key", key_fault(key))
    if kms_key_id:
        _check("--kms-key-id", kms_key_fault(kms_key_id, Context(Path(), Path(), caller.partition)))
    backend = replace(old, bucket=name, key=key, region=region, kms_key_id=kms_key_id)
    over_tls = reached_over_tls(session)
    return backend, session, StateBucket(name, region, caller.account_id, caller.partition, kms_key_id, over_tls)


def _check(option: str, fault: Fault | None) -> None:
    if fault is not None:
        raise UsageError(f"{option}: {fault.message}.", fix=fault.hint, rerun=SAFE_NOTHING_DONE)


def _left(run: Run, backend: S3Backend) -> str | None:
    """Where a state still lies that is to be moved to the bucket."""
    wanted = Backend("s3", {"bucket": backend.bucket, "key": backend.key})
    for place in standing_places(run.work_dir):
        if same_place(place, wanted):
            return None
        if place.remote:
            return f"s3://{place.config.get('bucket')}/{place.config.get('key')}"
        if not snapshot_of(read_json(place.state_file(run.work_dir))).empty:
            return str(place.state_file(run.work_dir))
    return None
