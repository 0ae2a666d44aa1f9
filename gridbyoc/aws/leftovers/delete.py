"""Delete leftovers kind by kind, in order. Each is proven again right before; time is limited; a re-run is safe."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from gridbyoc.aws.leftovers.find import BY_HAND, UNSURE, ScanContext, prove_again, survey
from gridbyoc.aws.leftovers.kinds import BY_NAME
from gridbyoc.aws.leftovers.model import Api, Key, Leftover, NotYetError, Resource, Search, is_gone
from gridbyoc.aws.session import CREDENTIAL_CODES, AwsSession, domain_errors, error_code
from gridbyoc.errors import AwsError
from gridbyoc.stack.clock import backoff

DeletionStage = Literal["started", "progress", "done", "failed"]
OnDeletion = Callable[[Leftover, DeletionStage, str, float], None]
"""Receives the leftover, the stage of its deletion, the reason, and the seconds spent on its kind."""

HOLDS_DATA = "it holds data: give --delete-data to delete it"
PROOF_GONE = "it no longer carries the proof that it is the cluster's: left alone"
RERUN = "A re-run is safe: it continues with what is left."

RETRY_WORDS = ("DependencyViolation", "InUse", "DeleteConflict", "OperationAborted", "IncorrectState", "Throttl",
               "RequestLimitExceeded", "TooManyRequests", "BucketNotEmpty", "ScalingActivityInProgress",
               "ConcurrentModification")  # fmt: skip
"""Codes of refusals that end by themselves or after another deletion; AWS has such a code for nearly every kind."""


@dataclass(frozen=True, slots=True)
class DeletionPatience:
    """Seconds: the first and the longest pause; per kind, how long to retry a refusal and to wait for a deletion."""

    pause: float = 1.0
    longest: float = 20.0
    refused: float = 300.0
    deleting: float = 1800.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not deleted yet. ``progress``: the deletion is in progress."""

    reason: str
    progress: bool


@dataclass(frozen=True, slots=True)
class Stays:
    """Will not be deleted in this run, for ``reason``."""

    reason: str


GONE = None
DeletionOutcome = Waiting | Stays | None


@dataclass(slots=True)
class Deletion:
    """One run over a ledger. ``reasons``: why each remaining resource was not deleted."""

    api: Api
    search: Search
    ground: ScanContext
    ours: frozenset[Key]
    delete_data: bool
    patience: DeletionPatience
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    on_event: OnDeletion
    reasons: dict[Key, str] = field(default_factory=dict)
    started: set[Key] = field(default_factory=set)
    stuck: bool = False

    def run_kind(self, leftovers: Iterable[Leftover]) -> None:
        """Delete everything of one kind, in rounds, until all are deleted or the time limit is reached."""
        pending = list(leftovers)
        began, pauses = self.clock(), backoff(self.patience.pause, 1.6, self.patience.longest)
        while pending:
            pause = next(pauses)
            pending, moving = self._round(pending, began)
            limit = self.patience.deleting if moving else self._refusal_limit()
            if not pending or self.clock() - began + pause > limit:
                break
            self.sleep(pause)
        for one in pending:
            self.stuck = True
            self.on_event(one, "failed", self.reasons[one.key], self.clock() - began)

    def _round(self, pending: list[Leftover], began: float) -> tuple[list[Leftover], bool]:
        """Try each once; return those to retry, and whether any of them is being deleted."""
        again, moving = [], False
        for one in pending:
            outcome = self._attempt(one)
            took = self.clock() - began
            if outcome is GONE:
                self.reasons.pop(one.key, None)
                self.on_event(one, "done", "", took)
                continue
            self.reasons[one.key] = outcome.reason
            if isinstance(outcome, Waiting):
                again.append(one)
                moving = moving or outcome.progress
                self.on_event(one, "progress", outcome.reason, took)
            else:
                self.stuck = self.stuck or outcome.reason != HOLDS_DATA
                self.on_event(one, "failed", outcome.reason, took)
        return again, moving

    def _refusal_limit(self) -> float:
        # If something stays, its dependencies cannot be deleted either, so a long wait is useless.
        return self.patience.refused / 10 if self.stuck else self.patience.refused

    def _attempt(self, leftover: Leftover) -> DeletionOutcome:
        what = f"Deleting the {leftover.kind} {leftover.id} failed"
        try:
            with domain_errors(what):
                try:
                    return self._try(leftover)
                except NotYetError as later:
                    return Waiting(later.reason, later.progress)
                except ClientError as error:
                    if error_code(error) in CREDENTIAL_CODES:
                        raise
                    return _refusal(error)
                except ResponseParserError:
                    return Waiting("AWS's answer could not be read", progress=False)
        except AwsError as error:
            error.rerun = RERUN
            raise

    def _try(self, leftover: Leftover) -> DeletionOutcome:
        resource, proof = prove_again(self.api, self.search, self.ground, leftover.key)
        if resource is None:
            return GONE
        if proof is None:
            return Stays(PROOF_GONE)
        delete = BY_NAME[leftover.kind].delete
        if delete is None:
            return Stays(BY_HAND)
        if proof.eks and not self.ground.sure_of_eks:
            return Stays(UNSURE)
        if resource.holds_data and not self.delete_data:
            return Stays(HOLDS_DATA)
        if resource.busy:
            return Waiting("its deletion is under way", progress=True)
        if resource.held:
            return Waiting(resource.held, progress=False)
        if leftover.key not in self.started:
            self.started.add(leftover.key)
            self.on_event(leftover, "started", "", 0.0)
        delete(self.api, resource, self._is_ours)
        return GONE if self._gone(resource) else Waiting("its deletion is under way", progress=True)

    def _gone(self, resource: Resource) -> bool:
        return BY_NAME[resource.kind].look(self.api, self.search.place, resource.id) is None

    def _is_ours(self, key: Key) -> bool:
        resource, proof = prove_again(self.api, self.search, self.ground, key)
        return resource is None or (proof is not None and key in self.ours)


def delete(
    session: AwsSession,
    search: Search,
    leftovers: tuple[Leftover, ...],
    *,
    delete_data: bool,
    patience: DeletionPatience,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    on_event: OnDeletion,
) -> tuple[Leftover, ...]:
    """Delete the shown leftovers in order; return those that remain, each with the reason in ``kept``.

    Deletes only resources in ``leftovers``, and only if they can be proven again. Resources with data stay unless
    ``delete_data``. After a refusal, the deletion continues with the other resources. ``clock`` is monotonic seconds.
    Raises ``AwsError`` if AWS cannot be reached or the credentials have expired.
    """
    api = Api(session)
    run = Deletion(
        api,
        search,
        survey(api, search),
        frozenset(one.key for one in leftovers),
        delete_data,
        patience,
        clock,
        sleep,
        on_event,
    )
    for _order, group in groupby(sorted(leftovers, key=lambda one: one.order), key=lambda one: one.order):
        run.run_kind(group)
    return tuple(replace(one, kept=run.reasons[one.key]) for one in leftovers if one.key in run.reasons)


def _refusal(error: ClientError) -> DeletionOutcome:
    code = error_code(error)
    text = f"{code}: {error.response.get('Error', {}).get('Message', '')}".rstrip(": ")
    if is_gone(error):
        return Waiting("AWS says that a part of it is gone already", progress=True)  # the next look tells
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    # A network interface in use has the code InvalidParameterValue; only the text shows it.
    if status >= 500 or "currently in use" in text or any(word in code for word in RETRY_WORDS):
        return Waiting(text, progress=False)
    return Stays(text)
