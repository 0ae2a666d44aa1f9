"""Gather the content of a stack's page from AWS, the control plane and the work_dir. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event
from typing import Any, Generic, TypeVar

import gridbyoc
from gridbyoc.aws.live_role import LiveDocument, LiveRole
from gridbyoc.aws.policy import Policy, PrincipalEntry, Statement
from gridbyoc.aws.policy.evaluate import external_ids_in, id_conditions, may_assume
from gridbyoc.aws.policy.model import is_external_id
from gridbyoc.aws.trust import external_ids_written
from gridbyoc.errors import GridbyocError, InterruptedRunError
from gridbyoc.operations import events
from gridbyoc.operations.drift import DriftFound, find_drift
from gridbyoc.operations.finding import Finding, Verdict, worst
from gridbyoc.operations.journal import JOURNAL, read_journal
from gridbyoc.operations.lock import holder_of
from gridbyoc.operations.partial import clusters_of_partial, run_words
from gridbyoc.operations.preflight.catalogue import CHECKS
from gridbyoc.operations.preflight.examine import examine
from gridbyoc.operations.preflight.model import preflight_context
from gridbyoc.operations.prepare import read_state
from gridbyoc.operations.role_policies import RolePolicies, compare_policies
from gridbyoc.operations.run import Run
from gridbyoc.operations.status import UNDER_WAY, Status, stack_status
from gridbyoc.operations.verify import Proof, prove
from gridbyoc.operations.verify_model import RoleSubject, policy_of
from gridbyoc.operations.verify_trust import TrustCase, id_remark, trust_of
from gridbyoc.render import standing_ids
from gridbyoc.stack.background import Background
from gridbyoc.stack.defaults import managed_policies_of, session_seconds_of, statements_of, trusted_account_of
from gridbyoc.stack.model import Role, Stack
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import enumerated
from gridbyoc.terraform import Outputs, read_outputs

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A piece of the page: its ``value``, or ``None`` and ``why`` there is none.

    ``left_out``: an option left it out; otherwise it could not be read.
    """

    value: T | None
    why: str = ""
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """A principal in a trust policy. ``who``: its relation to the stack. ``terms``: the conditions it must meet."""

    name: str
    who: str
    terms: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class GrantedPolicy:
    """A policy of the role, or its boundary. ``name`` is an ARN or a name; ``allows`` summarizes its statements."""

    name: str
    kind: str
    allows: str
    verdict: Verdict = "pass"
    remark: str = ""

    @property
    def short(self) -> str:
        """The name without its path."""
        return self.name.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class RoleGrants:
    """The role's trust and policies. ``live``: read from AWS; otherwise as the stack file declares them."""

    role_name: str
    role_arn: str
    session_hours: float | None
    admitted: tuple[Admitted, ...]
    policies: tuple[GrantedPolicy, ...]
    boundary: GrantedPolicy | None
    live: bool


@dataclass(frozen=True, slots=True)
class PastStep:
    """A step of a run. ``after`` are seconds since the run began.

    ``outcome`` is done, skipped, failed, killed or under way.
    """

    name: str
    outcome: str
    after: float
    seconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run in the journal. ``code`` is the code of its error; empty if it succeeded.

    If its end is not in the journal, ``seconds`` is ``None``, and ``code`` is ``killed`` or ``under way``.
    ``only``: the clusters that a partial run was limited to (``--cluster``).
    """

    ident: str
    verb: str
    began: str
    seconds: float | None
    code: str
    version: str
    steps: tuple[PastStep, ...]
    only: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The verb, with the clusters of a partial run."""
        return run_words(self.verb, self.only)

    @property
    def last_step(self) -> str:
        """The last step that the run started."""
        return self.steps[-1].name if self.steps else ""


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page at the time ``made`` (UTC). ``secrets`` are used for redaction only and never shown."""

    stack: Stack
    made: datetime
    version: str
    granted: RoleGrants
    status: Reading[Status]
    proof: Reading[Proof]
    drift: Reading[DriftFound]
    findings: Reading[tuple[Finding, ...]]
    history: tuple[PastRun, ...]
    secrets: tuple[Secret, ...]

    @property
    def _readings(self) -> dict[str, Reading[Any]]:
        return {"status": self.status, "verify": self.proof, "drift": self.drift, "preflight": self.findings}

    @property
    def unread(self) -> dict[str, str]:
        """The pieces that are missing, each with the reason."""
        return {name: each.why for name, each in self._readings.items() if each.value is None}

    @property
    def left_out(self) -> tuple[str, ...]:
        """The missing pieces that an option left out."""
        return tuple(name for name, each in self._readings.items() if each.left_out)


WITH_ID, WITHOUT_ID = "with the external id", "without an external id"
CONTROL_PLANE = "the control plane's account"


def live_grant(subject: RoleSubject) -> RoleGrants:
    """The grants of the live role."""
    role = subject.role
    trust = trust_of(subject)
    seconds = role.max_session_seconds
    boundary = None if role.boundary is None else _boundary(role.boundary, subject.declared)
    return RoleGrants(
        role.name,
        role.arn,
        None if seconds is None else seconds / 3600,
        tuple(dict.fromkeys(_admitted(trust))),
        tuple(_policies(role, subject)),
        boundary,
        live=True,
    )


def declared_grant(stack: Stack) -> RoleGrants:
    """The grants that the stack file declares, for a role that cannot be read."""
    role = stack.role
    account = trusted_account_of(role)
    admitted = [Admitted(account, CONTROL_PLANE, WITH_ID, "unknown")] if account else []
    admitted += [Admitted(arn, "declared in the stack file", WITH_ID, "unknown") for arn in role.trusted_principals]
    exempt = role.trusted_principals_without_external_id
    admitted += [Admitted(arn, "declared in the stack file", WITHOUT_ID, "unknown") for arn in exempt]
    names = managed_policies_of(role)
    allowed = [action for each in statements_of(role) if each.effect == "Allow" for action in each.actions]
    own = GrantedPolicy("the role's own policy", "own", enumerated(allowed, limit=3), "unknown")
    policies = [GrantedPolicy(name, "managed", "", "unknown") for name in names]
    limit = role.permissions_boundary
    return RoleGrants(
        role.name or "a generated name",
        "",
        session_seconds_of(role) / 3600,
        tuple(admitted),
        (*policies, own) if statements_of(role) else tuple(policies),
        GrantedPolicy(limit, "boundary", "", "unknown") if limit else None,
        live=False,
    )


def _admitted(trust: TrustCase) -> Iterator[Admitted]:
    for statement in trust.policy.statements:
        if statement.name.number == 0:
            if statement.effect == "Allow":
                yield Admitted("the trust policy could not be read", "", statement.strange, "unknown")
        elif may_assume(statement) and statement.principals is not None:
            for entry in statement.principals.entries:
                yield _principal(trust, statement, entry, negated=statement.principals.negated)


def _principal(trust: TrustCase, statement: Statement, entry: PrincipalEntry, *, negated: bool) -> Admitted:
    name, terms = trust.named(entry), _terms(statement)
    if statement.effect == "Deny":
        refused = f"refused {terms}".strip()
        return Admitted(f"all but {name}" if negated else name, "a Deny", refused, "unknown" if negated else "pass")
    if negated:
        return Admitted(f"all but {name}", "a NotPrincipal", terms, "fail")
    declared = entry.kind == "AWS" and name in trust.declared
    who = "declared in the stack file" if declared else "not in the stack file"
    who = CONTROL_PLANE if name == trust.control_plane else "everybody" if entry.value == "*" else who
    return Admitted(str(entry) if entry.kind != "AWS" else name, who, terms, _verdict(trust, statement, name, declared))


def _verdict(trust: TrustCase, statement: Statement, name: str, declared: bool) -> Verdict:
    if not declared:
        return "fail" if "*" in name else trust.subject.undeclared
    if name in trust.without_id and not id_conditions(statement):
        return "warn"
    remark = id_remark(trust, statement)
    ids = external_ids_in(statement) & trust.literal_ids
    further = [trust.further(text) for text in ids - {trust.subject.external_id.reveal()}]
    return worst([*further, remark.verdict] if remark else further)


def _terms(statement: Statement) -> str:
    """The conditions without their values: one value is the external id."""
    ids = external_ids_in(statement)
    with_id = f"with one of {len(ids)} external ids" if len(ids) > 1 else WITH_ID
    terms = with_id if id_conditions(statement) else WITHOUT_ID
    others = [condition.key for condition in statement.conditions if not is_external_id(condition.key)]
    terms = "" if statement.effect == "Deny" and terms == WITHOUT_ID else terms
    return f"{terms}, depending on {enumerated(others)}" if others else terms


def _policies(role: LiveRole, subject: RoleSubject) -> Iterator[GrantedPolicy]:
    compared = compare_policies(role, subject.declared, own_module=subject.own_module)
    for document in role.policies:
        yield _policy(document, *_judged(document, compared, subject))
    if role.unlisted:
        yield GrantedPolicy("policies that could not be listed", "unknown", role.unlisted, "unknown")


def _judged(document: LiveDocument, compared: RolePolicies, subject: RoleSubject) -> tuple[str, Verdict, str]:
    """The policy's kind, its verdict, and a remark."""
    undeclared, known = (
        (compared.inline, compared.known_inline) if document.kind == "inline" else (compared.attached, compared.known)
    )
    own = document.kind == "attached" and document.name == compared.own_arn
    kind = "own" if own else {"attached": "managed"}.get(document.kind, document.kind)
    if document.name in undeclared:
        return kind, subject.undeclared, "not in the stack file"
    if document.name in known:
        return kind, "pass", "known: the stack file accepts it and does not manage it"
    if own and compared.content:
        return kind, "fail", "; ".join(compared.content)
    return kind, "pass", f"version {document.version}" if document.version else ""


def _boundary(document: LiveDocument, declared: Role) -> GrantedPolicy:
    named = document.name == declared.permissions_boundary
    version = f"version {document.version}" if document.version else ""
    return _policy(document, "boundary", "pass" if named else "warn", version if named else "not in the stack file")


def _policy(document: LiveDocument, kind: str, verdict: Verdict, remark: str) -> GrantedPolicy:
    policy = policy_of(document)
    unread = next((each.strange for each in policy.statements if each.name.number == 0), "")
    if unread:
        return GrantedPolicy(
            document.name, kind, unread, worst((verdict, "unknown")), "" if verdict == "pass" else remark
        )
    return GrantedPolicy(document.name, kind, _allows(policy), verdict, remark)


def _allows(policy: Policy) -> str:
    """The action patterns, such as ``ec2:*, s3:* and 3 more; denies ...``, without their resources and conditions."""
    parts = []
    for effect, verb in (("Allow", ""), ("Deny", "denies ")):
        statements = [each for each in policy.statements if each.effect == effect]
        patterns = [text for each in statements if not each.actions.negated for text in each.actions.patterns]
        patterns += [f"all but {enumerated(each.actions.patterns)}" for each in statements if each.actions.negated]
        if patterns:
            said = "everything" if "*" in patterns else enumerated(patterns, limit=3)
            parts.append(verb + said)
    return "; ".join(parts) or "nothing"


KILLED = "killed"
Record = Mapping[str, Any]


def past_runs(records: Iterable[Record], *, under_way: bool = False) -> tuple[PastRun, ...]:
    """Every run that recorded its start, newest first. Fields of a damaged journal become text or are left out.

    ``under_way``: a run holds the stack's lock, so the newest one is not taken for killed.
    """
    of_run: dict[str, list[Record]] = {}
    for record in records:
        of_run.setdefault(str(record.get("run")), []).append(record)
    begun = [ident for ident, mine in of_run.items() if any(each.get("type") == "run_started" for each in mine)]
    open_words = dict.fromkeys(begun, KILLED) | (dict.fromkeys(begun[-1:], UNDER_WAY) if under_way else {})
    return tuple(_run(ident, of_run[ident], word) for ident, word in reversed(open_words.items()))


def _run(ident: str, records: Sequence[Record], open_word: str) -> PastRun:
    begin = next(record for record in records if record.get("type") == "run_started")
    end = next((record for record in records if record.get("type") == "run_ended"), None)
    code = open_word if end is None else str(end.get("code") or "")
    return PastRun(
        ident,
        str(begin.get("verb")),
        str(begin.get("time")),
        None if end is None else _between(begin, end),
        code,
        str(begin.get("version") or ""),
        tuple(_steps(begin, records, open_word if end is None else KILLED)),
        clusters_of_partial(records),
    )


def _steps(begin: Record, records: Sequence[Record], open_word: str) -> list[PastStep]:
    steps: list[PastStep] = []
    open_at: dict[str, int] = {}
    for record in records:
        kind, name = str(record.get("type")), str(record.get("step"))
        if kind == "step_started":
            open_at[name] = len(steps)
            steps.append(PastStep(name, open_word, _between(begin, record), 0.0, ""))
        elif kind.startswith("step_") and name in open_at:
            place = open_at.pop(name)
            steps[place] = _ended(steps[place], kind.removeprefix("step_"), record)
    return steps


def _ended(step: PastStep, outcome: str, record: Record) -> PastStep:
    seconds = record.get("seconds")
    took = float(seconds) if isinstance(seconds, (int, float)) and 0 <= seconds < 1e9 else 0.0
    said = str(record.get("code") or record.get("detail") or "")
    return PastStep(step.name, outcome, step.after, took, said)


def _between(first: Record, second: Record) -> float:
    try:
        gap = datetime.fromisoformat(str(second.get("time"))) - datetime.fromisoformat(str(first.get("time")))
    except (ValueError, TypeError):
        return 0.0
    return max(gap.total_seconds(), 0.0)


DEADLINE = 120.0
"""Seconds for the whole page. Terraform's plan, which drift needs, takes longest."""

PATIENCE = 10.0
"""Seconds to wait for Terraform to stop, after the deadline or Ctrl-C."""

SECRET_NAMES = ("SECRET", "TOKEN", "API_KEY", "PASSWORD", "EXTERNAL_ID", "ACCESS_KEY")
"""If the name of an environment variable contains one of these, its value must not be shown."""


@dataclass(frozen=True, slots=True)
class PageOptions:
    """The options of the page; ``deadline`` is in seconds for everything together.

    ``live``: whether AWS, the control plane and Terraform are asked; otherwise only the stack file and the journal are
    read. ``drift``, ``checks``: whether Terraform plans and whether the preflight runs.
    """

    checks: bool = True
    deadline: float = DEADLINE
    drift: bool = True
    live: bool = True


def gather(run: Run, wanted: PageOptions) -> Page:
    """Read everything and change nothing. A piece that cannot be read is on the page with the reason.

    Raises no error of its own: a stack without an apply, unreachable services and a damaged journal also make a page.
    """
    if not wanted.live:
        nothing = _left_out("--local")
        return _page(run, nothing, nothing, nothing, nothing, nothing)
    quiet = replace(run, outside=replace(run.outside, emit=_say_nothing))
    clock, ends = run.outside.clock, run.outside.clock() + wanted.deadline
    with ExitStack() as leaving:
        outputs = Background(lambda: read_outputs(read_state(quiet).outputs))
        status = Background(lambda: _after(outputs, lambda: stack_status(quiet)))
        proof = Background(lambda: _after(outputs, lambda: prove(quiet, now=run.outside.now)))
        drift = _drifting(quiet, leaving) if wanted.drift else None
        findings = Background(lambda: _findings(quiet, wanted))

        def read(work: Background[T]) -> Reading[T]:
            return reading(work, max(ends - clock(), 0.0), wanted.deadline)

        return _page(
            run,
            read(outputs),
            read(status),
            read(proof),
            read(drift) if drift else _left_out("--no-drift"),
            read(findings) if wanted.checks else _left_out("--no-checks"),
        )


def _left_out(option: str) -> Reading[Any]:
    return Reading(None, f"it was left out ({option})", left_out=True)


def _page(
    run: Run,
    outputs: Reading[Outputs],
    status: Reading[Status],
    proven: Reading[Proof],
    drift: Reading[DriftFound],
    findings: Reading[tuple[Finding, ...]],
) -> Page:
    holder = holder_of(run.own_work_dir)  # before the journal, in which the end of this run would be missing otherwise
    return Page(
        run.stack,
        run.outside.now(),
        gridbyoc.__version__,
        _granted(run, proven),
        status,
        proven,
        drift,
        findings,
        past_runs(read_journal(run.work_dir / JOURNAL), under_way=holder is not None),
        _secrets(run, proven, outputs),
    )


def reading(work: Background[T], seconds: float, deadline: float) -> Reading[T]:
    """The result of background work within ``seconds``; ``deadline`` is only named in the message."""
    if not work.ended(seconds):
        return Reading(None, f"no answer within {deadline:g} s")
    try:
        return Reading(work.result())
    except GridbyocError as error:
        return Reading(None, f"{error.what} {error.why}".strip())
    except Exception as error:  # a fault in one piece must not cost the others
        return Reading(None, f"internal error in gridbyoc ({type(error).__name__})")


def _say_nothing(_event: events.Event) -> None:
    """Ignore events: steps run in parallel here, and their progress would be unreadable."""


def _after(outputs: Background[Outputs], look: Callable[[], T]) -> T:
    """Call ``look`` after the outputs were read, so that Terraform initialises remote state only once.

    If reading the outputs failed, ``look`` reports its own error.
    """
    with suppress(GridbyocError):
        outputs.result()
    return look()


def _drift(run: Run, stop: Event) -> DriftFound:
    def listen(_event: events.Event) -> None:
        # To stop Terraform, raise in the handler of one of its events.
        if stop.is_set():
            raise InterruptedRunError("Nobody waits for this plan any more.")

    return find_drift(replace(run, outside=replace(run.outside, emit=listen)))


def _drifting(run: Run, leaving: ExitStack) -> Background[DriftFound]:
    stop = Event()
    drift = Background(lambda: _drift(run, stop))
    leaving.callback(_end, drift, stop)
    return drift


def _end(drift: Background[DriftFound], stop: Event) -> None:
    """Stop the plan and its Terraform before their copy of the work_dir is removed."""
    stop.set()
    drift.ended(PATIENCE)


def _findings(run: Run, wanted: PageOptions) -> tuple[Finding, ...]:
    if not wanted.checks:
        return ()
    return examine(preflight_context(run, find_binary=run.find_binary, connect=run.registrar, reads_only=True), CHECKS)


def _granted(run: Run, proven: Reading[Proof]) -> RoleGrants:
    proof = proven.value
    if proof is None:
        return declared_grant(run.stack)
    stack = run.stack
    own_module = stack.terraform.module is None
    subject = RoleSubject(proof.role, proof.external_id, stack.role, stack.aws.region, proof.time, own_module)
    return live_grant(replace(subject, rotation=proof.rotation))


def _secrets(run: Run, proven: Reading[Proof], outputs: Reading[Outputs]) -> tuple[Secret, ...]:
    """Every external id known locally or in the live trust policy, and the keys in the environment."""
    proof, override = proven.value, run.stack.role.external_id
    found = [*((override,) if override else ()), *standing_ids(run.work_dir), *environ_secrets(run.outside.environ)]
    found += [outputs.value.external_id] if outputs.value else []
    if proof is not None:
        found += [proof.external_id]
        found += [each for role in proof.roles for each in external_ids_written(role.trust.document)]
    return tuple(dict.fromkeys(found))


def environ_secrets(environ: Mapping[str, str]) -> Iterator[Secret]:
    """The values of variables whose names say that they are secret."""
    for name, value in environ.items():
        if value and any(word in name.upper() for word in SECRET_NAMES) and not name.endswith("_FILE"):
            yield Secret(value)
