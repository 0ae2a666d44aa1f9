"""What was gathered as one JSON object; it holds no secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar, cast

from gridbyoc.show.page.tables import cost_sentences
from gridbyoc.show.page.words import without_secrets
from gridbyoc.show.preflight import finding_object
from gridbyoc.show.verify import verify_object
from gridbyoc.steps.page.model import Page, Reading
from gridbyoc.steps.report import cluster_object
from gridbyoc.steps.status import Status

T = TypeVar("T")


def page_object(page: Page) -> dict[str, Any]:
    """The page as JSON; a piece that could not be read is ``null``, and ``unread`` says why."""
    found = {
        "type": "page",
        "stack": page.stack.name,
        "region": page.stack.aws.region,
        "made": page.made.isoformat(timespec="seconds"),
        "version": page.version,
        "granted": asdict(page.granted),
        "status": _read(page.status, _status),
        "verify": _read(page.proof, verify_object),
        "drift": _read(page.drift, lambda found: [asdict(each) for each in found.differences]),
        "drift_unknown": _read(page.drift, lambda found: found.unknown),
        "preflight": _read(page.findings, lambda found: [finding_object(each) for each in found]),
        "standing_cost": cost_sentences(page.stack),
        "history": [asdict(run) for run in page.history],
        "unread": page.unread,
    }
    return cast(dict[str, Any], without_secrets(found, page.secrets))


def _read(reading: Reading[T], write: Callable[[T], Any]) -> Any:  # noqa: ANN401 - a piece's own JSON
    return None if reading.value is None else write(reading.value)


def _status(status: Status) -> dict[str, Any]:
    return {
        "role_arn": status.role_arn,
        "trust": status.trust,
        "holder": status.holder,
        "unknown": dict(status.unknown),
        "policies": status.policies.as_json() if status.policies else None,
        "clusters": [cluster_object(cluster) for cluster in status.clusters],
        "next": status.next_step,
    }
