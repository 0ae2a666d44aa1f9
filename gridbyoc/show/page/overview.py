"""The first lines of the page: how each part stands, in a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gridbyoc.show.page.cells import Tile
from gridbyoc.show.page.tables import daily, ended
from gridbyoc.show.page.words import cut
from gridbyoc.stack.words import counted, instant
from gridbyoc.steps.page.model import Page

NOT_READ = "could not be read"
LONGEST = 60
"""Characters in a tile, of what a journal says."""


def tiles(page: Page) -> tuple[Tile, ...]:
    """Clusters, proof, drift, preflight, cost, last run."""
    return (_clusters(page), _proof(page), _drift(page), _preflight(page), _cost(page), _last_run(page))


def next_step(page: Page) -> str:
    """What to do next: the status's word, unless the drift says more."""
    status = page.status.value
    if status is None:
        return "Mend what could not be read, then look again."
    if page.drift.value and page.drift.value.differences and status.next_step.startswith("Nothing"):
        return "Look at the drift: `gridbyoc bootstrap` puts back what differs from the stack file."
    return status.next_step


def _clusters(page: Page) -> Tile:
    status, wanted = page.status.value, len(page.stack.clusters)
    if status is None or "control plane" in status.unknown:
        return Tile("Clusters", NOT_READ, "unknown", "clusters", counted(wanted, "cluster") + " in the file")
    names = {spec.name for spec in page.stack.clusters}
    running = sum(cluster.status == "running" and cluster.name in names for cluster in status.clusters)
    failed = any(cluster.status == "failed" for cluster in status.clusters)
    sign = "fail" if failed else "pass" if running == wanted else "warn"
    return Tile("Clusters", f"{running} of {wanted} running", sign, "clusters")


def _proof(page: Page) -> Tile:
    if page.proof.value is None:
        return Tile("Proof of the grant", NOT_READ, "unknown", "proof")
    found = page.proof.value.findings
    return Tile("Proof of the grant", *_verdicts(each.verdict for each in found), "proof")


def _preflight(page: Page) -> Tile:
    if page.findings.value is None:
        return Tile("Preflight", "not read", "unknown", "preflight")
    found = page.findings.value
    return Tile("Preflight", *_verdicts(each.verdict for each in found), "preflight")


def _verdicts(found: Iterable[str]) -> tuple[str, str]:
    counts = Counter(found)
    words = [f"{counts[word]} {word}" for word in ("fail", "unknown", "warn", "pass") if counts[word]]
    sign = next((word for word in ("fail", "unknown", "warn", "pass") if counts[word]), "none")
    return ", ".join(words) or "nothing was looked at", sign


def _drift(page: Page) -> Tile:
    if page.drift.value is None:
        return Tile("Drift", NOT_READ, "unknown", "drift")
    count = len(page.drift.value.differences)
    if page.drift.value.unknown:
        words = f"{counted(count, 'difference')}, not all compared" if count else "not all compared"
        return Tile("Drift", words, "warn" if count else "unknown", "drift")
    return Tile("Drift", counted(count, "difference") if count else "none", "warn" if count else "pass", "drift")


def _cost(page: Page) -> Tile:
    dollars = [daily(spec, page.stack) for spec in page.stack.clusters]
    known = [each for each in dollars if each is not None]
    text = f"about ${sum(known)} a day" if known or not dollars else "not known"
    return Tile("Standing cost", text, "", "cost", "while nothing runs on the clusters")


def _last_run(page: Page) -> Tile:
    if not page.history:
        return Tile("Last run", "none yet", "none", "runs")
    last = page.history[0]
    word, sign = ended(last)
    return Tile("Last run", cut(f"{last.verb}: {word}", LONGEST), sign, "runs", cut(instant(last.began), LONGEST))
