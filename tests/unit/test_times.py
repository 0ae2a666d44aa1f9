"""Times as a person reads them: to the minute, in UTC, and how long ago; nowhere as a machine keeps them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.operations.bundle.file import BUNDLE
from gridbyoc.operations.lock import HOLDER, hold, holder_of
from gridbyoc.operations.status import LastRun, Status
from gridbyoc.show.bundle import bundle_lines
from gridbyoc.show.clusters import cluster_rows
from gridbyoc.show.status import status_lines
from gridbyoc.stack.words import ago, instant, minute
from gridbyoc.terraform import LockInfo
from tests.unit.test_bundle_file import HEADER, PAYLOAD

NOW = datetime(2026, 11, 29, 22, 15, 42, 123456, tzinfo=timezone.utc)
SHOWN = "2026-11-29 22:15 UTC"
FOR_MACHINES = re.compile(r"\d{4}-\d\d-\d\dT|\d\d:\d\d:\d\d|\+00:00")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-61, "in the future"),
        (-5, "just now"),
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (3600, "1 hour ago"),
        (47 * 3600, "47 hours ago"),
        (48 * 3600, "2 days ago"),
        (400 * 86400, "400 days ago"),
    ],
)
def test_how_long_ago(seconds: int, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words


def test_a_time_is_shown_in_utc_to_the_minute() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-5)))
    assert minute(elsewhere) == minute(NOW) == minute(NOW.replace(tzinfo=None)) == SHOWN
    assert minute(NOW - timedelta(minutes=3), NOW) == "2026-11-29 22:12 UTC (3 minutes ago)"
    assert minute(None) == ""
    for text in ("2026-11-29T22:15:42.123+00:00", "2026-11-29T22:15:42Z", "2026-11-29T17:15:42-05:00"):
        assert instant(text) == SHOWN
    assert instant("yesterday") == "yesterday"


def status() -> Iterable[str]:
    last = LastRun("rotate", NOW.isoformat(timespec="milliseconds"), None, "apply", ())
    return status_lines(Status(last, None, None, "no role yet", (), {}, errored_state=False, next_step=""), NOW)


def table() -> Iterable[str]:
    return (text for row in cluster_rows([Cluster("c", "ml", Phase.RUNNING, created_at=NOW)])[1] for text in row)


def bundle() -> Iterable[str]:
    return bundle_lines(
        BUNDLE.read_header(BUNDLE.pack({**HEADER, "created": NOW.isoformat(timespec="seconds")}, PAYLOAD, None))
    )


def state_lock() -> Iterable[str]:
    return [str(LockInfo("id", "OperationTypeApply", "ada@box", created=NOW))]


@pytest.mark.parametrize("lines", [status, table, bundle, state_lock])
def test_no_text_shows_a_time_as_a_machine_keeps_it(lines: object) -> None:
    assert callable(lines)
    text = "\n".join(lines())
    assert SHOWN in text
    assert not FOR_MACHINES.search(text)


def test_who_holds_a_lock_is_kept_for_machines_and_shown_for_people(tmp_path: Path) -> None:
    with hold(tmp_path, verb="bootstrap", now=lambda: NOW, wait=0.0):
        kept, shown = json.loads((tmp_path / HOLDER).read_text()), holder_of(tmp_path)
    assert kept["since"] == "2026-11-29T22:15:42+00:00"
    assert shown is not None
    assert shown.endswith(f"holds it since {SHOWN}.")
