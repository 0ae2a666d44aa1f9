"""The page as one HTML file: our own templates, all values escaped, no script, no network access."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, TypeVar, cast

import jinja2

from gridbyoc.control_plane.model import Cluster
from gridbyoc.operations.drift import Drift
from gridbyoc.operations.finding import NOT_CHECKED, WORST, tally
from gridbyoc.operations.page import Page, PastRun, Reading, RoleGrants
from gridbyoc.operations.status import CHANGING, Status
from gridbyoc.show.drift import no_drift
from gridbyoc.show.output import Output
from gridbyoc.show.page import tables
from gridbyoc.show.page.graph import narrow, wide
from gridbyoc.show.page.tables import Tile, cost_sentences, cut, daily, ended, redacted_value, shown
from gridbyoc.show.preflight import FindingBody, finding_json
from gridbyoc.show.run import duration
from gridbyoc.show.status import STATUS
from gridbyoc.show.verify import VERIFY
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import counted, enumerated, instant, minute

NOT_READ = "unknown"
LONGEST = 60
"""The most characters that a tile shows of a journal's text."""

StateWord = Literal[
    "running",
    "role up",
    "waiting",
    "under way",
    "incomplete",
    "failed",
    "not created",
    "destroyed",
    "released",
    "unknown",
    "not checked",
]
Sign = Literal["pass", "warn", "fail", "unknown", "wait", "none", ""]
COMING = ("queued", "pending", "configuring", "terminating")
"""Statuses of a cluster that is on its way."""


def tiles(page: Page) -> tuple[Tile, ...]:
    """The tiles: clusters, proof, drift, preflight, cost, last run."""
    return (_clusters(page), _proof(page), _drift(page), _preflight(page), _cost(page), _last_run(page))


def next_step(page: Page) -> str:
    """The next step: the status's, unless there is drift and the status suggests nothing."""
    status = page.status.value
    if page.status.left_out:
        return "Nothing was checked: `gridbyoc report` without --local reads the live role and the clusters."
    if status is None:
        return "Fix what could not be read, then create the page again."
    if page.drift.value and page.drift.value.differences and status.next_step.startswith("Nothing"):
        return "Check the drift: `gridbyoc bootstrap` restores what differs from the stack file."
    return status.next_step


def state_tile(page: Page) -> Tile:
    """The state of the whole stack in a word or two, and the reason: for a list of many stacks."""
    word, sign, why = _state(page)
    return Tile("State", word, sign, "clusters", why)


def _state(page: Page) -> tuple[StateWord, str, str]:
    """The state, its mark and the reason."""
    status = page.status.value
    if status is None:
        return ("not checked", "none", "") if page.status.left_out else ("unknown", "unknown", page.status.why)
    if status.holder:
        return "under way", "wait", status.holder
    if status.released:
        return "released", "none", f"since {status.released.since}"
    failed = [name for name, cluster in _own(page, status).items() if cluster.status == "failed"]
    if failed:
        return "failed", "fail", f"failed: {enumerated(failed)}"
    if status.admitted is False:
        return "failed", "fail", status.trust
    needed = [f"{side}: {why}" for side, why in status.unknown.items() if side in ("state", "role", "control plane")]
    if needed:
        return "unknown", "unknown", "; ".join(needed)
    if status.errored_state:
        return "incomplete", "warn", "Terraform could not save its state"
    return _without_role(page, status) if status.role_arn is None else _with_role(page, status)


def _own(page: Page, status: Status) -> dict[str, Cluster]:
    """The clusters with a name in the stack file."""
    names = {spec.name for spec in page.stack.clusters}
    return {cluster.name: cluster for cluster in status.clusters if cluster.name in names}


def _without_role(page: Page, status: Status) -> tuple[StateWord, str, str]:
    last, clusters = page.history[0] if page.history else None, _own(page, status)
    if last and last.verb == "destroy" and not last.code and not clusters:
        return "destroyed", "none", ""
    if clusters or (last and last.verb in CHANGING and last.code):
        return "incomplete", "warn", "there is no role"
    return "not created", "none", ""


def _with_role(page: Page, status: Status) -> tuple[StateWord, str, str]:
    """``running`` needs every cluster of the file, through a role of this stack: a name alone proves nothing."""
    own, arns = _own(page, status), {status.role_arn, *status.roles.values()}
    coming = [f"{name}: {cluster.status}" for name, cluster in own.items() if cluster.status in COMING]
    if coming:
        return "waiting", "wait", enumerated(coming)
    wrong = [f"{spec.name}: missing" for spec in page.stack.clusters if spec.name not in own]
    for name, cluster in own.items():
        wrong += [f"{name}: {cluster.status}"] if cluster.status != "running" else []
        wrong += [f"{name}: not through this stack's role"] if cluster.role_arn not in arns else []
    if wrong:
        return "incomplete", "warn", enumerated(wrong)
    return ("running", "pass", "") if own else ("role up", "pass", "no clusters in the stack file")


def _missing(reading: Reading[Any]) -> tuple[str, str]:
    return (NOT_CHECKED, "none") if reading.left_out else (NOT_READ, "unknown")


def _clusters(page: Page) -> Tile:
    status, wanted = page.status.value, len(page.stack.clusters)
    if status is None or "control plane" in status.unknown:
        return Tile("Clusters", *_missing(page.status), "clusters", counted(wanted, "cluster") + " in the file")
    names = {spec.name for spec in page.stack.clusters}
    running = sum(cluster.status == "running" and cluster.name in names for cluster in status.clusters)
    failed = any(cluster.status == "failed" for cluster in status.clusters)
    sign = "fail" if failed else "pass" if running == wanted else "warn"
    return Tile("Clusters", f"{running} of {wanted} running", sign, "clusters")


def _proof(page: Page) -> Tile:
    if page.proof.value is None:
        return Tile("Proof of the grant", *_missing(page.proof), "proof")
    found = page.proof.value.findings
    return Tile("Proof of the grant", *_verdicts(each.verdict for each in found), "proof")


def _preflight(page: Page) -> Tile:
    if page.findings.value is None:
        return Tile("Preflight", *_missing(page.findings), "preflight")
    found = page.findings.value
    return Tile("Preflight", *_verdicts(each.verdict for each in found), "preflight")


def _verdicts(found: Iterable[str]) -> tuple[str, str]:
    verdicts = tuple(found)
    sign = next((word for word in WORST if word in verdicts), "none")
    return tally(verdicts, WORST) or "nothing was checked", sign


def _drift(page: Page) -> Tile:
    if page.drift.value is None:
        return Tile("Drift", *_missing(page.drift), "drift")
    count = len(page.drift.value.differences)
    if page.drift.value.unknown:
        words = f"{counted(count, 'difference')}, not all compared" if count else "not all compared"
        return Tile("Drift", words, "warn" if count else "unknown", "drift")
    if page.drift.value.unasked and not count:
        return Tile("Drift", "none of the role; control plane not asked", "unknown", "drift")
    return Tile("Drift", counted(count, "difference") if count else "none", "warn" if count else "pass", "drift")


def _cost(page: Page) -> Tile:
    dollars = _dollars(page)
    text = "not known" if dollars is None else f"about ${dollars} a day"
    return Tile("Standing cost", text, "", "cost", "while nothing runs on the clusters")


def _dollars(page: Page) -> int | None:
    """Dollars a day of the clusters in the file; ``None`` if the price of one is unknown."""
    dollars = [daily(spec, page.stack) for spec in page.stack.clusters]
    known = [each for each in dollars if each is not None]
    return sum(known) if len(known) == len(dollars) else None


def _last_run(page: Page) -> Tile:
    if not page.history:
        return Tile("Last run", "none yet", "none", "runs")
    last = page.history[0]
    word, sign = ended(last)
    return Tile("Last run", cut(f"{last.words}: {word}", LONGEST), sign, "runs", cut(instant(last.began), LONGEST))


GENERATOR, FLEET_GENERATOR = "gridbyoc report", "gridbyoc fleet report"
"""The file's ``meta name=generator``: a file with neither is not one of our pages."""

STYLES = "report/page.css"
LATEST = 3
"""The number of runs whose steps are shown."""


class _Compiled(jinja2.BytecodeCache):
    """The compiled templates, kept in memory: each page has its own environment, because of its secrets."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


def page_html(page: Page, templates: Path) -> str:
    """The page as text; ``templates`` is the directory of the templates. Contains none of ``page.secrets``."""
    environment = page_environment(templates, page.secrets)
    styles = environment.get_template(STYLES).render()
    return environment.get_template("report/page.html.j2").render(_content(page), style_hash=hash_source(styles))


def page_environment(templates: Path, secrets: Sequence[Secret]) -> jinja2.Environment:
    """The templates: they escape every value and show none of ``secrets``."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=shown(secrets),
        bytecode_cache=_COMPILED,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def is_page(text: str) -> bool:
    """Whether ``text`` is the beginning of one of our pages, a stack's or a fleet's."""
    return any(f'<meta name="generator" content="{name}">' in text[:1000] for name in (GENERATOR, FLEET_GENERATOR))


def hash_source(text: str) -> str:
    """The hash source of a page's policy: it allows only this style sheet or script (CSP level 2)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _content(page: Page) -> dict[str, Any]:
    stack, status = page.stack, page.status.value
    account = page.proof.value.role.account_id if page.proof.value else stack.aws.account_id
    known = status is not None and "control plane" not in status.unknown
    missing = tables.mark("missing", "warn") if known else tables.mark(*_missing(page.status))
    return {
        "page": page,
        "stack": stack,
        "generator": GENERATOR,
        "account": account or "not known",
        "made": minute(page.made),
        "tiles": tiles(page),
        "next_step": next_step(page),
        "status": status,
        "drawings": (wide(page.granted), narrow(page.granted)),
        "people": tables.people_table(page.granted),
        "policies": tables.policy_table(page.granted),
        "clusters": tables.cluster_table(stack, status.clusters if status else (), missing),
        "costs": tables.cost_sentences(stack),
        "runs": [_run(run) for run in page.history[:LATEST]],
        **_findings(page),
        "no_drift": no_drift(page.drift.value) if page.drift.value else "",
        "drift": tables.drift_table(page.drift.value) if page.drift.value and not page.drift.value.none else None,
        "history": tables.history_table(page.history),
        "earlier": max(len(page.history) - tables.MOST_RUNS, 0),
    }


def _findings(page: Page) -> dict[str, Any]:
    found = page.findings.value or ()
    proven = page.proof.value.findings if page.proof.value else ()
    open_checks = [each for each in found if each.verdict != "pass"]
    passed = [each for each in found if each.verdict == "pass"]
    open_proof = [each for each in proven if each.verdict != "pass"]
    held = [each for each in proven if each.verdict == "pass"]
    return {
        "checks_open": tables.findings_table("Checks that need attention", open_checks),
        "checks_passed": tables.passes_table(passed),
        "proof_open": tables.proof_table("Questions that need attention", open_proof, todo=True),
        "proof_held": tables.proof_table("Questions with a good answer", held, todo=False),
    }


def _run(run: PastRun) -> dict[str, Any]:
    word, sign = tables.ended(run)
    took = "" if run.seconds is None else duration(run.seconds)
    return {
        "verb": run.words, "began": instant(run.began), "took": took, "word": word, "sign": sign,
        "steps": tables.steps_table(run),
    }  # fmt: skip


T = TypeVar("T")
J = TypeVar("J")


class OverviewItem(TypedDict):
    """A piece in a few words; ``note`` says more, or why it is unknown. Without a verdict, ``mark`` is empty."""

    text: str
    mark: Sign
    note: str


class OverviewBody(TypedDict):
    """Each piece in a few words. ``state``: the stack as a whole."""

    state: OverviewItem
    clusters: OverviewItem
    drift: OverviewItem
    proof: OverviewItem
    preflight: OverviewItem
    cost: OverviewItem
    last_run: OverviewItem


class PageBody(TypedDict):
    """The page about a stack. A missing piece is ``null``: ``unread`` says why, ``left_out`` names those not asked for.

    ``account_id``: the live role's; ``declared_account_id``: the stack file's. ``dollars_a_day``: the standing cost of
    the clusters in the stack file, ``null`` if a price is unknown.
    """

    region: str
    account_id: str | None
    declared_account_id: str | None
    control_plane: str
    made: str
    version: str
    overview: OverviewBody
    granted: Annotated[dict[str, Any], RoleGrants]
    status: Annotated[dict[str, Any], STATUS] | None
    verify: Annotated[dict[str, Any], VERIFY] | None
    drift: list[Annotated[dict[str, Any], Drift]] | None
    drift_unknown: list[str] | None
    preflight: list[FindingBody] | None
    standing_cost: list[str]
    dollars_a_day: int | None
    history: list[Annotated[dict[str, Any], PastRun]]
    unread: dict[str, str]
    left_out: list[str]


def page_json(page: Page) -> PageBody:
    """The page, without secrets."""
    stack = page.stack.name
    found: PageBody = {
        "region": page.stack.aws.region,
        "account_id": page.proof.value.role.account_id if page.proof.value else None,
        "declared_account_id": page.stack.aws.account_id,
        "control_plane": page.stack.control_plane.type,
        "made": page.made.isoformat(timespec="seconds"),
        "version": page.version,
        "overview": _overview(page),
        "granted": asdict(page.granted),
        "status": _read(page.status, lambda found: STATUS.document(found, stack)),
        "verify": _read(page.proof, lambda found: VERIFY.document(found, stack)),
        "drift": _read(page.drift, lambda found: [asdict(each) for each in found.differences]),
        "drift_unknown": _read(page.drift, lambda found: found.unknown),
        "preflight": _read(page.findings, lambda found: [finding_json(each) for each in found]),
        "standing_cost": cost_sentences(page.stack),
        "dollars_a_day": _dollars(page),
        "history": [asdict(run) for run in page.history],
        "unread": page.unread,
        "left_out": list(page.left_out),
    }
    return cast(PageBody, redacted_value(found, page.secrets))


def _overview(page: Page) -> OverviewBody:
    clusters = "" if page.status.value is None else page.status.value.unknown.get("control plane", "")
    return {
        "state": _item(state_tile(page)),
        "clusters": _item(_clusters(page), page.status.why or clusters),
        "drift": _item(_drift(page), page.drift.why),
        "proof": _item(_proof(page), page.proof.why),
        "preflight": _item(_preflight(page), page.findings.why),
        "cost": _item(_cost(page)),
        "last_run": _item(_last_run(page)),
    }


def _item(tile: Tile, why: str = "") -> OverviewItem:
    return {
        "text": tile.text,
        "mark": cast(Sign, tile.mark),
        "note": why if tile.mark == "unknown" and why else tile.note,
    }


def _read(reading: Reading[T], write: Callable[[T], J]) -> J | None:
    return None if reading.value is None else write(reading.value)


def page_output(templates: Path) -> Output[Page]:
    """The page; its text format is HTML from ``templates``."""
    return Output("page", page_json, lambda page, screen: screen.document(page_html(page, templates).rstrip("\n")))


PAGE = page_output(Path())
