"""The frame of the preflight: side by side, under one deadline, only what is wanted, and only proof blocks."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.errors import AwsError, GridbyocError, TerraformNotFoundError, UsageError
from gridbyoc.operations.events import FindingMade
from gridbyoc.operations.finding import Finding, FindingKind
from gridbyoc.operations.preflight.catalogue import CHECKS, KINDS
from gridbyoc.operations.preflight.examine import blocks, examine, selection
from gridbyoc.operations.preflight.model import Check, Machine, PreflightContext, Shared, set_scene
from gridbyoc.show.preflight import PREFLIGHT, Examined, finding_json, preflight_markdown, preflight_rows
from gridbyoc.show.run import RUN, describe
from gridbyoc.show.view import plain
from tests.json_outputs import check_document

A = FindingKind("GBY-A901", "first", "alpha", "is looked at", "https://example.com/a")
B = FindingKind("GBY-B902", "second", "beta", "is looked at")
NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)


def absent() -> Any:
    raise TerraformNotFoundError("There is no terraform.", fix="Install one.")


def a_scene(**environ: str) -> PreflightContext:
    machine = Machine(environ, Path("/nowhere"), time.monotonic, lambda _seconds: None, lambda: NOW)
    return set_scene(None, machine, work_dir=Path("/nowhere"), find_binary=absent, connect=absent)


def check(*findings: Finding, kinds: tuple[FindingKind, ...] = (), error: GridbyocError | None = None) -> Check:
    def look(_scene: PreflightContext) -> Iterator[Finding]:
        yield from findings
        if error:
            raise error

    return Check(kinds or tuple(dict.fromkeys(f.kind for f in findings)), look)


def test_findings_come_in_the_order_of_their_codes_the_worst_first() -> None:
    first = check(Finding(B, "pass", "two"), Finding(B, "fail", "three", subject="z"))
    second = check(Finding(A, "warn", "one"))
    assert [f.detail for f in examine(a_scene(), (first, second))] == ["one", "three", "two"]


def test_what_a_check_could_not_tell_is_unknown_and_what_it_told_stays() -> None:
    error = AwsError("AWS did not answer.", why="Throttling.", fix="Wait.")
    found = examine(a_scene(), (check(Finding(A, "pass", "told"), kinds=(A, B), error=error),))
    assert [(f.code, f.verdict, f.detail, f.fix) for f in found] == [
        ("GBY-A901", "pass", "told", ""),
        ("GBY-B902", "unknown", "AWS did not answer. Throttling.", "Wait."),
    ]
    assert not blocks(found)
    assert blocks(found, strict=True)


def test_a_fault_of_a_checks_own_stops_no_run() -> None:
    def look(_scene: PreflightContext) -> Iterator[Finding]:
        yield Finding(A, "pass", "told")
        raise TypeError("int() argument must be a string: s3cret")

    found = examine(a_scene(), (Check((A, B), look),))
    assert [(f.code, f.verdict) for f in found] == [("GBY-A901", "pass"), ("GBY-B902", "unknown")]
    assert "TypeError" in found[1].detail
    assert "s3cret" not in repr(found)
    assert not blocks(found)


def test_one_that_does_not_end_is_unknown_and_holds_nobody_up() -> None:
    hang = threading.Event()
    slow = Check((A,), lambda _scene: [Finding(A, "pass", str(hang.wait(60)))])
    found = examine(a_scene(), (slow, check(Finding(B, "pass", "quick"))), deadline=0.2)
    hang.set()
    assert [(f.code, f.verdict) for f in found] == [("GBY-A901", "unknown"), ("GBY-B902", "pass")]
    assert "no answer within 0.2 s" in found[0].detail


def test_checks_run_side_by_side() -> None:
    met = threading.Barrier(2, timeout=10)

    def both(kind: FindingKind) -> Check:
        return Check((kind,), lambda _scene: [Finding(kind, "pass", f"met {met.wait() >= 0}")])

    assert [f.detail for f in examine(a_scene(), (both(A), both(B)))] == ["met True", "met True"]


def test_a_check_of_which_nothing_is_wanted_is_not_carried_out() -> None:
    asked: list[str] = []
    looked = Check((A,), lambda _scene: asked.append("a") or [])  # type: ignore[func-returns-value]
    assert examine(a_scene(), (looked,), wanted=selection((A, B), (), ("first",))) == ()
    assert asked == []


@pytest.mark.parametrize(
    ("only", "skip", "codes"),
    [
        ((), (), {"GBY-A901", "GBY-B902"}),
        (("gby-a901",), (), {"GBY-A901"}),
        (("GBY-A", "second"), (), {"GBY-A901", "GBY-B902"}),
        (("SECOND",), (), {"GBY-B902"}),
        ((), ("first",), {"GBY-B902"}),
        (("first", "second"), ("GBY-B",), {"GBY-A901"}),
    ],
)
def test_selection(only: tuple[str, ...], skip: tuple[str, ...], codes: set[str]) -> None:
    wanted = selection((A, B), only, skip)
    assert {kind.code for kind in (A, B) if wanted(kind.code)} == codes


@pytest.mark.parametrize("word", ["", "secnd", "firsts", "nothing-like-it"])
def test_a_word_that_selects_nothing_is_refused(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        selection((A, B), (word,), ())
    assert "second" in caught.value.fix or "first" in caught.value.fix


def test_a_shared_value_is_fetched_once_and_its_error_given_to_each() -> None:
    fetched: list[int] = []
    shared = Shared(lambda: fetched.append(1) or len(fetched))  # type: ignore[func-returns-value]
    assert [shared(), shared()] == [1, 1]
    failing = Shared(absent)
    errors = []
    for _ in range(2):
        with pytest.raises(TerraformNotFoundError) as caught:
            failing()
        errors.append(caught.value)
    assert errors[0] is errors[1]


def test_codes_are_unique_and_of_one_form_and_each_says_what_it_means() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    for kind in KINDS:
        assert kind.code[:4] == "GBY-"
        assert kind.code[4].isupper()
        assert len(kind.code) == 8
        assert kind.meaning.endswith(".")
        assert kind.link == "" or kind.link.startswith("https://")
    assert {k.code for c in CHECKS for k in c.kinds} == set(codes)


def test_without_terraform_the_tools_fail_with_what_to_do() -> None:
    found = examine(a_scene(), CHECKS, wanted=selection(KINDS, ("GBY-D001",), ()))
    assert [(f.code, f.verdict, f.fix) for f in found] == [("GBY-D001", "fail", "Install one.")]
    assert blocks(found)


def test_what_passes_needs_nothing_done_in_json_either() -> None:
    verdicts = ("pass", "warn")
    assert [finding_json(Finding(A, each, "x", fix="Do."))["fix"] for each in verdicts] == ["", "Do."]


def test_shown_as_rows_objects_and_markdown() -> None:
    bad = Finding(A, "fail", "5 | 3", "8", "Ask for `more`", "ec2:DescribeVpcs", "vpc", {"limit": 5})
    good = Finding(B, "pass", "fine", fix="nothing")
    columns, rows = preflight_rows((bad, good))
    assert columns == ("code", "check", "verdict", "found", "needed", "do")
    assert rows == [
        ("GBY-A901", "alpha: vpc", "fail", "5 | 3", "8", "Ask for `more`"),
        ("GBY-B902", "beta", "pass", "fine", "", ""),
    ]
    assert finding_json(bad)["facts"] == {"limit": 5}
    whole = PREFLIGHT.document(Examined((bad, good), "us-east-1", True))
    check_document(whole)
    assert (whole["type"], whole["region"], whole["blocked"], len(whole["findings"])) == (
        "preflight",
        "us-east-1",
        True,
        2,
    )
    lines = preflight_markdown((bad, good), region="us-east-1")
    assert lines[0] == "**Region us-east-1: 1 pass, 1 fail.**"
    assert (
        lines[4]
        == "| [GBY-A901](https://example.com/a) | alpha: vpc | fail | 5 \\| 3 (ec2:DescribeVpcs) | 8 | Ask for `more` |"
    )
    assert {line.replace("\\|", "").count("|") for line in lines[2:]} == {7}


def test_a_run_shows_what_is_worth_a_word() -> None:
    warning = FindingMade("GBY-A901", "alpha", "warn", "only 2 left", fix="Ask for more.")
    assert describe(warning) == "warning: alpha: only 2 left. Ask for more. (GBY-A901)"
    stream = io.StringIO()
    for verdict in ("pass", "unknown", "fail"):
        plain(RUN, stream)(FindingMade("GBY-A901", "alpha", verdict, "x"))
    assert stream.getvalue() == ""
