"""A page about many stacks: the state of each, what was looked at, and that the page is safe to open."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridbyoc.cli.app import App
from gridbyoc.cli.main import cli
from gridbyoc.errors import FileError
from gridbyoc.operations.fleet.find import find_members
from gridbyoc.operations.fleet.model import Member, Result
from gridbyoc.operations.fleet.report import FleetPage, fleet_page, page_names
from gridbyoc.operations.fleet.run import FleetOptions, FleetReport, Surroundings, carry_out
from gridbyoc.operations.journal import JOURNAL, Journal
from gridbyoc.operations.lock import hold
from gridbyoc.operations.page import Page, PageOptions, gather
from gridbyoc.operations.private_copy import scratch_run
from gridbyoc.operations.run import Choices, Environment, Run
from gridbyoc.render import data_dir
from gridbyoc.show.markdown import one_line
from gridbyoc.show.page.fleet import FLEET_REPORT, MOST_MARKDOWN, fleet_html, fleet_report_markdown
from gridbyoc.show.page.html import PAGE, is_page, page_json, state_tile
from gridbyoc.stack.model import Stack
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform.process import ExitInfo, ProcessCommand
from tests.json_outputs import check_document
from tests.unit.fakes import stack
from tests.unit.page_kit import NOON, Read, read
from tests.unit.test_status import (
    STACK,
    cluster_coming,
    cluster_failed,
    destroyed,
    killed,
    role_deleted,
    state_unsaved,
    undeclared,
    unread,
    untrusted,
    up,
)
from tests.unit.world import World

TEMPLATES = data_dir("templates")
QUICK = PageOptions(checks=False, drift=False)


def page_of(world: World, asked: Stack = STACK, options: PageOptions = QUICK) -> Page:
    """The page of ``gridbyoc report``, from a copy of the work_dir as the command line makes one."""
    work_dir, time = world.work_dir(asked), world.time
    outside = Environment(
        world.environ, world.directory, lambda _event: None, time.clock, time.sleep, world.now, services=world
    )
    run = Run(asked, work_dir, outside, Choices(), Journal(work_dir / JOURNAL, world.now, "report"))
    with scratch_run(run) as reading:
        return gather(reading, options)


def through_another_role(world: World) -> None:
    up(world)
    ident, found = next(iter(world.plane.clusters.items()))
    world.plane.clusters[ident] = replace(found, role_arn=f"{found.role_arn}-of-others")


def forgotten(world: World) -> None:
    up(world)
    world.plane.clusters.clear()


@pytest.mark.parametrize(
    ("before", "asked", "state", "why"),
    [
        (lambda _world: None, STACK, "not created", ""),
        (up, STACK, "running", ""),
        (lambda world: world.bring_up(stack()), stack(), "role up", "no clusters in the stack file"),
        (undeclared, STACK, "running", ""),
        (untrusted, STACK, "failed", "refused: "),
        (role_deleted, STACK, "failed", "IAM does not know the role"),
        (killed, STACK, "incomplete", "there is no role"),
        (cluster_failed, STACK, "failed", "failed: ml"),
        (cluster_coming, STACK, "waiting", "ml: pending"),
        (forgotten, STACK, "incomplete", "ml: missing"),
        (through_another_role, STACK, "incomplete", "ml: not through this stack's role"),
        (unread, STACK, "unknown", "control plane: "),
        (state_unsaved, STACK, "incomplete", "Terraform could not save its state"),
        (destroyed, STACK, "destroyed", ""),
    ],
    ids=lambda each: each.__name__ if callable(each) else None,
)
def test_the_state_of_a_stack(
    tmp_path: Path, before: Callable[[World], object], asked: Stack, state: str, why: str
) -> None:
    world = World(tmp_path)
    before(world)
    tile = state_tile(page_of(world, asked))
    assert (tile.text, tile.note[: len(why)]) == (state, why)


def test_a_run_that_is_under_way_is_not_said_to_be_killed(tmp_path: Path) -> None:
    world = World(tmp_path)
    up(world)
    with hold(world.work_dir(STACK), verb="rotate", now=world.now, wait=0.0):
        journal = Journal(world.work_dir(STACK) / JOURNAL, world.now, "now")
        with journal.of_run("rotate", "1"):
            overview = page_json(page_of(world))["overview"]
    assert (overview["state"]["text"], overview["last_run"]["text"]) == ("under way", "rotate: under way")
    assert "rotate" in overview["state"]["note"]
    assert page_json(page_of(world))["overview"]["last_run"]["text"] == "rotate: done"


def test_what_was_left_out_is_not_checked_and_what_could_not_be_read_is_unknown(tmp_path: Path) -> None:
    world = World(tmp_path)
    unread(world)
    part = page_json(page_of(world))
    assert {part["overview"][piece]["text"] for piece in ("drift", "preflight")} == {"not checked"}  # type: ignore[literal-required]  # of the two
    assert part["left_out"] == ["drift", "preflight"]
    assert part["overview"]["clusters"]["text"] == "unknown"
    assert part["overview"]["clusters"]["mark"] == "unknown"
    assert part["overview"]["clusters"]["note"]
    asked = len(world.plane.calls)
    local = page_of(world, options=PageOptions(live=False))
    assert len(world.plane.calls) == asked
    found = page_json(local)
    texts = {name: each["text"] for name, each in found["overview"].items()}  # type: ignore[index]  # of each item
    assert texts == {
        "state": "not checked", "clusters": "not checked", "drift": "not checked", "proof": "not checked",
        "preflight": "not checked", "cost": "about $50 a day", "last_run": "bootstrap: done",
    }  # fmt: skip
    assert found["left_out"] == ["status", "verify", "drift", "preflight"]
    assert found["account_id"] is None
    text = read(page_text(local)).text
    assert "Could not be read" not in text
    assert "it was left out (--local)" in text


def page_text(page: Page) -> str:
    from gridbyoc.show.page.html import page_html

    return page_html(page, TEMPLATES)


class Fleet:
    """Stacks in memory, each in its directory; ``start`` is a stack's run of ``report`` without a process."""

    def __init__(self, top: Path, options: PageOptions = QUICK, **before: Callable[[World], object]) -> None:
        self.top, self.options, self.argv = top, options, list[tuple[str, ...]]()
        self.worlds = {name: World(top / name) for name in before}
        for name, prepare in before.items():
            (top / name).mkdir()
            (top / name / "stack.yaml").write_text(f"version: 1\nname: {name}\nclusters: [{{name: ml}}]\n")
            prepare(self.worlds[name])

    def start(self, command: ProcessCommand, on_line: Callable[[str, str], None], **_: object) -> ExitInfo:
        self.argv.append(tuple(command.argv))
        name = Path(command.argv[command.argv.index("report") + 1]).parent.name
        if name not in self.worlds:
            on_line("stdout", json.dumps({"type": "error", "code": "GBY-S001", "what": "It is <b>broken</b>."}))
            return ExitInfo(2, 1.0)
        on_line("stdout", json.dumps(PAGE.document(page_of(self.worlds[name], STACK, self.options), name)))
        return ExitInfo(0, 1.0)

    def page(self, **options: Any) -> FleetPage:
        members = find_members(["."], self.top)
        names = page_names(members)
        wanted = FleetOptions("report", own=lambda member: (f"--out={names[member]}",), terraform=False, **options)
        outside = Surroundings(self.top, self.top, {}, lambda _event: None, lambda: NOON, start=self.start)
        report = carry_out(members, wanted, outside)
        return fleet_page(report, {member: f"./pages/{name}" for member, name in names.items()}, NOON)


def cells(made: Read) -> list[str]:
    return [each.attributes["href"] for each in made.named("a")]


def test_a_page_about_stacks_of_each_kind(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, PageOptions(checks=False), fine=up, gone=lambda _world: None, lost=forgotten)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/stack.yaml").write_text("version: 1\nname: broken\nclusters: none\n")
    page = fleet.page(jobs=1)
    assert sorted(argv[-3] for argv in fleet.argv) == [
        f"--out={name}.html" for name in ("broken", "fine", "gone", "lost")
    ]
    assert page.report.status == 2
    states = {row.result.member.label: row.facts["state"].text for row in page.rows}
    assert states == {"broken": "unknown", "fine": "running", "gone": "not created", "lost": "incomplete"}
    assert {row.result.member.label: row.page for row in page.rows}["broken"] is None
    assert fleet.argv[0][-2:] == ("--format", "jsonl")
    # in memory, the policy lacks an action, and the proof says so
    assert [row.result.member.label for row in page.worst_first] == ["fine", "lost", "broken", "gone"]
    assert all(row.attention for row in page.rows)
    assert page.looked_at == ("state", "clusters", "drift", "proof")

    document = FLEET_REPORT.document(page)
    check_document(json.loads(json.dumps(document)))
    broken, fine = document["stacks"][:2]
    assert (broken["overview"], broken["code"], broken["status"]) == (None, "GBY-S001", 2)
    assert (fine["overview"]["drift"]["text"], fine["overview"]["preflight"]["text"]) == ("none", "not checked")
    assert (fine["last_run"]["verb"], fine["last_run"]["code"], fine["page"]) == ("bootstrap", "", "./pages/fine.html")
    assert (document["dollars_a_day"], document["without_price"]) == (150, 1)
    assert fine["account_id"] == "123456789012"

    html = fleet_html(page, TEMPLATES)
    made = read(html)
    words = " ".join(made.text.split())
    for expected in ("4 stacks", "4 of 4 need attention", "1 running", "1 without drift", "2 failing", "not created",
                     "GBY-S001: It is <b>broken</b>.", "about $150 a day",
                     "1 stack without a known price"):  # fmt: skip
        assert expected in words
    assert "not checked" not in words, "the preflight has no column if nobody asked for it"
    assert cells(made) == ["#content", *(f"./pages/{name}.html" for name in ("fine", "lost", "gone"))]
    assert is_page(html)
    assert fleet_html(page, TEMPLATES) == html


def test_the_policy_admits_only_the_pages_own_style_and_script(tmp_path: Path) -> None:
    html = fleet_html(Fleet(tmp_path, PageOptions(live=False), one=up).page(), TEMPLATES)
    made = read(html)
    assert made.named("link", "img", "iframe", "object", "embed", "form") == []
    assert not [name for each in made.elements for name in each.attributes if name.startswith("on") or name == "style"]
    (policy,) = (each.attributes["content"] for each in made.named("meta") if "http-equiv" in each.attributes)
    digests = []
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert not re.search(r"url\(|@import|fetch|XMLHttp|import\(|eval|innerHTML|https?:", text)
        digests.append("sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())
    assert policy == (
        f"default-src 'none'; style-src '{digests[0]}'; script-src '{digests[1]}'; base-uri 'none'; form-action 'none'"
    )
    words = " ".join(made.text.split())
    assert "nothing, only stack files and journals were read" in words
    assert "Nothing was checked." in words
    assert "attention" not in words.replace("those that need attention", "").replace("Sort by attention", "")
    assert "proven" not in words
    assert "running" not in words.replace("nothing", "")


def hostile(text: str, mark: str = "warn") -> FleetPage:
    """A page on which ``text`` is wherever somebody else's text can be."""
    overview = {
        piece: {"text": text, "mark": mark, "note": text}
        for piece in ("state", "clusters", "drift", "proof", "preflight", "cost", "last_run")
    }
    document = {
        "overview": overview, "history": [{"verb": text, "began": text, "code": text}], "account_id": text,
        "declared_account_id": None, "made": text, "region": text, "control_plane": text, "dollars_a_day": None,
    }  # fmt: skip
    member = Member(text, Path("x"), text, None)
    result = Result(member, "done", 0, said={"page": document})
    failed = Result(replace(member, shown="y"), "failed", 1, detail=text)
    report = FleetReport("report", 1, 1.0, (result, failed), interrupted=False)
    return fleet_page(report, {member: "./pages/x.html"}, NOON, (Secret("a-secret-value"),))


@given(
    st.text(st.characters(), max_size=40) | st.sampled_from(["</script><script>", "</style>", '"><img src=x>', "'-->"])
)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_text_changes_the_structure_of_the_page(text: str) -> None:
    def shape(page: FleetPage) -> set[tuple[str, tuple[str, ...]]]:
        return {(each.tag, tuple(each.attributes)) for each in read(fleet_html(page, TEMPLATES)).elements}

    assert shape(hostile(text)) <= shape(hostile("plain"))
    table = fleet_report_markdown(hostile(f"a{text}|b\n| c"), "").splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table if line.startswith("|")} == {10}


def test_nothing_was_looked_at_if_the_others_could_not_be_read() -> None:
    """An unknown piece of a stack whose run failed is no reading."""
    page = hostile("not checked", mark="none")
    assert [row.read for row in page.rows] == [True, False]
    assert page.looked_at == ()


def test_a_page_that_could_not_be_written_has_no_link() -> None:
    document = hostile("x").rows[0].result
    rows = fleet_page(
        FleetReport("report", 1, 1.0, (replace(document, outcome="failed", status=1),), interrupted=False),
        {document.member: "./pages/x.html"},
        NOON,
    ).rows
    assert [(row.read, row.page, row.facts["state"].text) for row in rows] == [(True, None, "x")]


def test_a_secret_of_the_environment_shows_nowhere() -> None:
    page = hostile("with a-secret-value inside")
    facts = [fact for row in page.rows for fact in row.facts.values()]
    assert all("[secret]" in f"{fact.text} {fact.note}" for fact in facts)
    assert not any("a-secret-value" in f"{fact.text} {fact.note} {fact.mark}" for fact in facts)


def test_a_mark_that_is_not_known_is_unknown() -> None:
    (row, _) = hostile("x", mark="passed").rows
    assert {fact.mark for fact in row.facts.values()} == {"unknown"}
    assert row.attention


def test_markdown_fits_into_a_jobs_summary() -> None:
    one = hostile("x" * 200)
    many = replace(one, rows=one.rows * 500)
    text = fleet_report_markdown(many, "")
    assert 900_000 < len(text.encode()) <= MOST_MARKDOWN
    assert re.search(r"\n\n\*\d+ more lines are left out\.", text)
    assert "left out" not in fleet_report_markdown(one, "")


def test_the_table_says_what_was_looked_at_and_where_an_account_is_from() -> None:
    page = hostile("x", mark="pass")
    (row, _) = page.rows
    declared = replace(row, account_id=None, declared_account_id="123456789012")
    slow = replace(page.report, seconds=360.0)
    text = fleet_report_markdown(replace(page, rows=(declared,), report=slow), "")
    assert "As of 2026-11-02 11:54 to 2026-11-02 12:00 UTC." in text
    assert "2026-11-02 11:54 to 2026-11-02 12:00 UTC" in fleet_html(replace(page, report=slow), TEMPLATES)
    assert "### 1 stack\n\nBy what was looked at, no stack needs attention." in text
    assert "Looked at: state, clusters, drift, proof, preflight." in text
    assert "| 123456789012 (in the stack file) |" in text
    assert "| unknown | unknown |" in fleet_report_markdown(page, ""), "of the stack whose run failed"


def test_each_stack_has_its_own_file() -> None:
    labels = ["a", "b-1", "A", "a/b.yaml", "a-b.yaml", "B-1", "../../x", "é", "é ", one_line("x" * 300), "-", ""]
    members = [Member(label, Path("f"), f"{number}{label}", None) for number, label in enumerate(labels)]
    names = page_names(members)
    assert (names[members[0]], names[members[1]]) == ("a.html", "b-1.html")
    assert len({name.casefold() for name in names.values()}) == len(labels)
    assert all(re.fullmatch(r"[a-z0-9._-]{1,120}\.html", name) for name in names.values())


def invoke(top: Path, *args: str) -> tuple[Any, str]:
    out, err = io.StringIO(), io.StringIO()
    app = App({}, top, top, io.StringIO(), out, err)
    result = CliRunner().invoke(cli, ["fleet", "report", *args], obj=app, standalone_mode=False)
    return result.exception, out.getvalue() + err.getvalue()


def test_nothing_is_run_if_the_page_could_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "stack.yaml").write_text("version: 1\nname: one\nclusters: []\n")
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    (tmp_path / "x-stacks").symlink_to(tmp_path)
    for out, said in (
        ("mine.html", "is not a report of gridbyoc"),
        ("x.html", "is a link"),
        ("no/x.html", "no directory"),
    ):
        error, text = invoke(tmp_path, "--out", out)
        assert isinstance(error, FileError), (error, text)
        assert said in error.what
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.html", "stack.yaml", "x-stacks"]
