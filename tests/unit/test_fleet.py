"""What a fleet decides: which stacks, in which order, how many at once, what is left, and how it came out."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gridbyoc.errors import FileError, UsageError
from gridbyoc.operations.fleet.find import (
    balanced,
    durations,
    find_members,
    last_change,
    longest_first,
    recent_seconds,
    refuse_unreadable,
)
from gridbyoc.operations.fleet.model import (
    FleetEvent,
    FleetNote,
    FleetStarted,
    Member,
    MemberFinished,
    MemberSaid,
    MemberStarted,
    Result,
    fleet_status,
    problem_words,
)
from gridbyoc.operations.fleet.providers import PER_STACK, RESERVE, available_memory, default_jobs
from gridbyoc.operations.fleet.record import FleetRecord
from gridbyoc.operations.fleet.run import (
    FleetOptions,
    FleetReport,
    Listener,
    Surroundings,
    carry_out,
    child_argv,
    child_environ,
    remembering,
)
from gridbyoc.show.fleet import (
    FLEET_RUN,
    advice_lines,
    fleet_json,
    fleet_rows,
    fleet_summary,
)
from gridbyoc.show.live import FleetBoard, Live
from gridbyoc.show.view import plain, view_of
from tests.json_outputs import check_outputs

STACK = "version: 1\nname: {}\nclusters: [{{name: x}}]\n"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def put(top: Path, path: str, text: str = "") -> Path:
    file = top / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text or STACK.format(file.stem))
    return file


def found(top: Path, *paths: str) -> list[tuple[str, str]]:
    return [(member.label, member.shown) for member in find_members(paths or (".",), top)]


def test_stacks_are_found_below_a_directory_and_nothing_else_is(tmp_path: Path) -> None:
    for path in (
        "a.yaml",
        "deep/b.yml",
        ".hidden/c.yaml",
        ".gridbyoc/d.yaml",
        "x/.terraform/e.yaml",
        ".f.yaml",
        "g.txt",
    ):
        put(tmp_path, path)
    put(tmp_path, "compose.yaml", "version: 1\nservices: {}\n")
    put(tmp_path, "list.yaml", "- version\n- name\n")
    (tmp_path / "linked").symlink_to(tmp_path / "deep")
    assert found(tmp_path) == [("a", "a.yaml"), ("b", "deep/b.yml")]
    assert found(tmp_path / "deep", "..") == [("a", f"{tmp_path}/a.yaml"), ("b", "b.yml")]


@pytest.mark.parametrize(
    "text",
    [
        b"version: 1\nname: b\nclusters: [{name: b}\n",
        b"version: 1\nname: b\n  x: y\nclusters: []\n",
        b"version: 1\r\nname: b\t\r\n\t- x\r\n",
        b"version: 1\nname: \xff\nclusters: []\n",
        b"version: 1\nname: b\nclusters: []\n#" + b"x" * 1024 * 1024,
    ],
)
def test_a_broken_stack_file_is_found_and_fails(tmp_path: Path, text: bytes) -> None:
    """Passed over, it would let a pipeline succeed that has lost a stack."""
    put(tmp_path, "a.yaml")
    put(tmp_path, "no-stack.yaml", "version: [\nservices: {}\n")
    (tmp_path / "b.yaml").write_bytes(text)
    assert [path for _, path in found(tmp_path)] == ["a.yaml", "b.yaml"]
    assert (tmp_path / "b.yaml").name in dict(found(tmp_path, "*.yaml")).values()
    assert validated(tmp_path)[1].counts() == {"done": 1, "failed": 1}


def test_a_stack_that_cannot_be_read_or_whose_base_is_gone_is_found_and_fails(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml")
    put(tmp_path, "b.yaml", "extends: gone.yaml\nname: b\nclusters: [{name: b}]\n")
    put(tmp_path, "lint.yaml", "extends: gone.yaml\nrules: {}\n")
    (tmp_path / "c.yaml").symlink_to("/proc/self/mem")
    assert [path for _, path in found(tmp_path)] == ["a.yaml", "b.yaml", "c.yaml"]
    assert [path for _, path in found(tmp_path, "*.yaml")] == ["a.yaml", "b.yaml", "c.yaml"]
    assert validated(tmp_path)[1].counts() == {"done": 1, "failed": 2}
    with pytest.raises(UsageError, match="The directory x cannot be read: Permission denied"):
        refuse_unreadable(PermissionError(13, "Permission denied", "x"))


def test_bases_are_no_stacks_unless_they_could_be(tmp_path: Path) -> None:
    put(tmp_path, "base.yaml", "version: 1\nclusters: [{name: x}]\n")
    put(tmp_path, "prod.yaml", "version: 1\nextends: base.yaml\nname: prod\n")
    put(tmp_path, "staging.yaml", "version: 1\nextends: prod.yaml\nname: staging\n")
    put(tmp_path, "half.yaml", "version: 1\nextends: base.yaml\nclusters: []\n")
    wanted = [("half.yaml", "half.yaml"), ("prod", "prod.yaml"), ("staging", "staging.yaml")]
    assert found(tmp_path) == wanted
    assert found(tmp_path, "*.yaml") == wanted
    assert found(tmp_path, "base.yaml", "half.yaml", "prod.yaml", "staging.yaml") == wanted
    assert found(tmp_path, "base.yaml") == [("base.yaml", "base.yaml")]  # named alone, its own run says what is wrong


def test_names_and_paths_given_twice(tmp_path: Path) -> None:
    for path in ("a/one.yaml", "b/one.yaml", "-c/two.yaml"):
        put(tmp_path, path)
    (tmp_path / "again").symlink_to(tmp_path / "a")
    wanted = [("two", "./-c/two.yaml"), ("a/one.yaml", "a/one.yaml"), ("b/one.yaml", "b/one.yaml")]
    assert found(tmp_path, ".", "a/one.yaml", "again/one.yaml", "**/one.yaml") == wanted


def test_no_name_steers_a_terminal_or_the_log_of_a_pipeline(tmp_path: Path) -> None:
    """A line that begins with `::` is a command to GitHub's runner, and a pull request calls its files as it likes."""
    put(tmp_path, "a\n::add-mask::x.yaml", 'version: 1\nname: "b\\n::debug::"\nclusters: []\n')
    put(tmp_path, "c\x1b[2J.yaml", "version: 1\nclusters: []\n")
    members = find_members(["."], tmp_path)
    assert [member.label for member in members] == ["b\\u000a::debug::", "c\\u001b[2J.yaml"]
    rows = fleet_rows(FleetReport("plan", 1, 1.0, tuple(Result(m, "done", 0) for m in members), interrupted=False))[1]
    assert all(cell.isprintable() for row in rows for cell in row)
    assert problem_words({"file": "a\n::x", "line": 1, "message": "is wrong"}) == "a\\u000a::x:1: is wrong"


@pytest.mark.parametrize("path", ["gone.yaml", "*.yml", "gone/", "x" * 300])
def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path, path: str) -> None:
    put(tmp_path, "a.yaml")
    with pytest.raises(UsageError, match="There is no file"):
        find_members([path], tmp_path)


def test_two_stacks_that_share_a_work_dir_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", STACK.format("same"))
    put(tmp_path, "b.yaml", "version: 1\nextends: base.yaml\nclusters: [{name: x}]\n")
    put(tmp_path, "base.yaml", "name: same\n")
    with pytest.raises(UsageError, match=r"a\.yaml and b\.yaml are both named same"):
        find_members(["."], tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no stack file in empty"):
        find_members(["empty"], tmp_path)
    assert find_members(["empty"], tmp_path, may_be_none=True) == ()


@pytest.mark.parametrize(
    "verb, count, cores, free, jobs",
    [
        ("plan", 9, 4, 16, 4),
        ("bootstrap", 9, 4, 16, 8),
        ("bootstrap", 3, 4, 16, 3),
        ("plan", 9, 4, 2, 2),
        ("plan", 9, 4, 0, 1),
        ("validate", 9, 4, 0, 4),
        ("drift", 9, 4, None, 4),
        ("plan", 0, 4, 16, 1),
    ],
)
def test_jobs_by_cores_and_memory(verb: Any, count: int, cores: int, free: int | None, jobs: int) -> None:
    available = None if free is None else RESERVE + free * PER_STACK
    assert default_jobs(verb, count, cores=cores, available=available) == jobs


def test_free_memory_is_the_machines_or_the_containers(tmp_path: Path) -> None:
    meminfo = put(tmp_path, "meminfo", "MemTotal: 9 kB\nMemAvailable:    4 kB\n")
    assert available_memory(meminfo, tmp_path) == 4096
    put(tmp_path, "memory.max", "3000\n")
    put(tmp_path, "memory.current", "1000\n")
    assert available_memory(meminfo, tmp_path) == 2000
    put(tmp_path, "memory.max", "max\n")
    assert available_memory(meminfo, tmp_path) == 4096
    assert available_memory(tmp_path / "none", tmp_path) is None


def run_records(run: str, verb: str, seconds: float, code: str | None = None) -> list[dict[str, Any]]:
    times = [(NOW + timedelta(seconds=at)).isoformat(timespec="milliseconds") for at in (0, seconds)]
    return [
        {"time": times[0], "run": run, "type": "run_started", "verb": verb},
        {"time": times[1], "run": run, "type": "run_ended", "verb": verb, "code": code},
    ]


def test_durations_come_from_the_last_runs_that_went_well() -> None:
    """The longest of five: one that found nothing to do is over in a second, and says nothing of the next."""
    records = [
        *run_records("0", "bootstrap", 900),
        *(record for run in "abcd" for record in run_records(run, "bootstrap", 1)),
        *run_records("1", "bootstrap", 9),
        *run_records("2", "bootstrap", 5, "GBY-T001"),
        *run_records("3", "plan", 1),
    ]
    assert (
        recent_seconds(records, "bootstrap"),
        recent_seconds(records, "plan"),
        recent_seconds(records, "destroy"),
    ) == (
        9,
        1,
        None,
    )
    assert (last_change(records), last_change(())) == ("2", None)
    assert last_change(run_records("4", "destroy", 9)[1:]) == "4", "its begin is too far back in the journal"
    assert recent_seconds([{"type": "run_ended", "verb": "plan"}, {"time": 3, "verb": "plan"}], "plan") is None


def member(top: Path, name: str, records: list[dict[str, Any]] | None = None) -> Member:
    file = put(top, f"{name}/stack.yaml", STACK.format(name))
    if records is not None:
        put(
            top, f"{name}/.gridbyoc/{name}/journal.jsonl", "".join(json.dumps(each) + "\n" for each in records) + "torn"
        )
    return Member(name, file, f"{name}/stack.yaml", name, (file,))


def test_the_longest_is_first_and_the_unknown_counts_as_the_median(tmp_path: Path) -> None:
    took = {"a": 1.0, "b": None, "c": 7.0, "d": 3.0}
    members = [member(tmp_path, k, None if s is None else run_records("1", "plan", s)) for k, s in took.items()]
    seconds = durations(members, "plan")
    assert seconds[members[1]] == 3.0
    assert [each.label for each in longest_first(members, seconds)] == ["c", "b", "d", "a"]
    assert set(durations(members[1:2], "plan").values()) == {1.0}


@given(st.lists(st.floats(0.1, 100), max_size=30), st.integers(1, 8))
def test_shards_hold_all_once_and_none_is_far_too_long(seconds: list[float], count: int) -> None:
    shards = balanced(list(enumerate(seconds)), count)
    assert sorted(item for shard in shards for item in shard) == list(range(len(seconds)))
    assert all(shards)
    assert len(shards) == min(count, len(seconds))
    if seconds:
        longest = max(sum(seconds[item] for item in shard) for shard in shards)
        assert longest <= sum(seconds) / count + max(seconds) + 1e-6


def test_a_record_holds_while_nothing_changed(tmp_path: Path) -> None:
    clock = [NOW]
    record = FleetRecord(tmp_path, "bootstrap", lambda: clock[0])
    one, two = member(tmp_path, "one", run_records("1", "bootstrap", 1)), member(tmp_path, "two")
    record.add(one, ("--yes",))
    assert record.done((one, two), ("--yes",)) == (one,)
    assert record.done((one,), ("--yes", "--no-wait")) == ()
    assert FleetRecord(tmp_path, "destroy", lambda: NOW).done((one,), ("--yes",)) == ()
    clock[0] = NOW + timedelta(days=1)
    assert record.done((one,), ("--yes",)) == ()
    clock[0] = NOW + timedelta(hours=1)
    member(tmp_path, "one", [*run_records("1", "bootstrap", 1), *run_records("2", "plan", 1)])
    assert record.done((one,), ("--yes",)) == (one,)
    member(tmp_path, "one", [*run_records("1", "bootstrap", 1), *run_records("2", "destroy", 1)])
    assert record.done((one,), ("--yes",)) == ()


def test_a_record_sees_the_stacks_files_and_is_private(tmp_path: Path) -> None:
    record = FleetRecord(tmp_path, "bootstrap", lambda: NOW)
    put(tmp_path, "mod/main.tf", "# 1")
    base = put(tmp_path, "base.yaml", "role: {}")
    plain = member(tmp_path, "one")
    one = Member(plain.label, plain.file, plain.shown, plain.name, (plain.file, base), (tmp_path / "mod",))
    for path, text in (("mod/main.tf", "# 2"), ("base.yaml", "role: {path: /x/}"), ("one/stack.yaml", "version: 2")):
        record.add(one, ())
        assert record.done((one,), ()) == (one,)
        put(tmp_path, path, text)
        assert record.done((one,), ()) == ()
    assert (record.file.stat().st_mode & 0o777, record.directory.stat().st_mode & 0o777) == (0o600, 0o700)
    record.clear((one,))
    assert not record.file.exists()
    record.clear((one,))
    for damaged in ("[torn", "[]", "[" * 200_000, '{"x": 1}'):
        record.directory.joinpath("bootstrap.json").write_text(damaged)
        assert record.done((one,), ()) == ()


def test_a_record_of_another_account_or_control_plane_is_none(tmp_path: Path) -> None:
    one = member(tmp_path, "one")

    def done(**environ: str) -> bool:
        return FleetRecord(tmp_path, "bootstrap", lambda: NOW, environ).done((one,), ()) == (one,)

    base = {"AWS_PROFILE": "staging", "AWS_ACCESS_KEY_ID": "ASIA1", "GRID_API_KEY": "k", "PATH": "/x"}
    FleetRecord(tmp_path, "bootstrap", lambda: NOW, base).add(one, ())
    assert done(**base)
    assert done(**base | {"AWS_ACCESS_KEY_ID": "ASIA2", "GRID_API_KEY": "l", "PATH": "/y"})
    for name, value in {
        "AWS_PROFILE": "prod", "AWS_ACCESS_KEY_ID": "AKIA1", "AWS_ENDPOINT_URL": "http://x", "GRID_URL": "http://y",
        "AWS_ROLE_ARN": "arn:z", "TF_AWS_DEFAULT_TAGS_A": "b", "LIGHTNING_USER_ID": "u",
    }.items():  # fmt: skip
        assert not done(**base | {name: value}), name


def test_a_stack_whose_external_id_comes_from_elsewhere_is_never_taken_for_done(tmp_path: Path) -> None:
    record, one = FleetRecord(tmp_path, "bootstrap", lambda: NOW), member(tmp_path, "one")
    record.add(one, ("--set=role.external_id_from.env=X",))
    one.file.write_text(one.file.read_text() + "role: {external_id_from: {env: X}}\n")
    record.add(one, ())
    assert not record.file.exists()


def test_a_stack_whose_file_changed_during_its_run_is_run_again(tmp_path: Path) -> None:
    record, said = FleetRecord(tmp_path, "bootstrap", lambda: NOW), list[FleetEvent]()
    one, two = member(tmp_path, "one"), member(tmp_path, "two")
    remember = remembering(record, (), said.append, {each: record.digest(each, ()) for each in (one, two)})
    put(tmp_path, "one/stack.yaml", "version: 1\nname: one\nclusters: [{name: more}]\n")
    for each in (one, two):
        remember(Result(each, "done", 0))
    assert record.done((one, two), ()) == (two,)


def test_where_nothing_can_be_noted_nothing_begins_and_nothing_is_broken_off(tmp_path: Path) -> None:
    one = member(tmp_path, "one", run_records("1", "bootstrap", 1))
    (tmp_path / ".gridbyoc").write_text("in the way")
    said: list[FleetEvent] = []
    with pytest.raises(FileError, match="Cannot create the directory"):
        carry_out([one], FleetOptions("bootstrap"), Surroundings(tmp_path, tmp_path, {}, said.append, lambda: NOW))
    assert said == []
    record = FleetRecord(tmp_path, "bootstrap", lambda: NOW)
    remembering(record, (), said.append, {one: record.digest(one, ())})(Result(one, "done", 0))
    (note,) = said
    assert isinstance(note, FleetNote)
    assert "one is done, but this could not be recorded: Cannot create the directory" in note.message


@pytest.mark.parametrize(
    "statuses, status",
    [
        ([], 0),
        ([0, 0], 0),
        ([0, None], 0),
        ([0, 3], 3),
        ([3, 4], 4),
        ([4, 4, 0], 4),
        ([4, 5], 1),
        ([1, 3], 1),
        ([2], 2),
    ],
)
def test_the_status_of_a_fleet(tmp_path: Path, statuses: list[int | None], status: int) -> None:
    results = [Result(member(tmp_path, f"s{i}"), "done", each) for i, each in enumerate(statuses)]
    assert fleet_status(results) == status
    assert fleet_status(results, interrupted=True) == 130


def test_pending_changes_are_no_status_where_nobody_asks(tmp_path: Path) -> None:
    results = (Result(member(tmp_path, "one"), "changes", 3),)
    assert FleetReport("plan", 1, 1.0, results, interrupted=False).status == 3
    assert FleetReport("plan", 1, 1.0, results, interrupted=False, pending=False).status == 0


def heard(tmp_path: Path, verb: Any, lines: str, code: int = 0, *, err: str = "", asked: bool = False) -> Result:
    listener = Listener()
    for line in lines.splitlines():
        listener.line("stdout", line)
    for line in err.splitlines():
        listener.line("stderr", line)
    return listener.result(verb, member(tmp_path, "one"), code, 1.0, asked=asked)


ERROR = {"type": "error", "code": "GBY-T001", "what": "Terraform said no."}
PLAN = {
    "type": "plan",
    "has_changes": True,
    "terraform": {"add": 2, "change": 0, "destroy": 1},
    "clusters": [{"name": "c", "action": "create"}, {"name": "d", "action": "none"}],
}
POLICIES = {"undeclared": {"attached": ["arn:a"], "inline": ["i"]}, "unknown": ["x: denied"]}
PROBLEMS = [{"level": "error", "file": "f", "line": 3, "path": "a.b", "message": "is wrong"}, {}]


@pytest.mark.parametrize(
    "verb, said, code, outcome, detail",
    [
        ("plan", PLAN, 3, "changes", "2 to add, 1 to destroy; create cluster c"),
        ("plan", {"type": "plan", "has_changes": False}, 0, "done", "no changes"),
        ("plan", {**PLAN, "terraform": {"add": None}, "clusters": []}, 3, "changes", "a new role"),
        (
            "bootstrap",
            {"type": "report", "changed": False, "clusters": [{"name": "c", "status": "running"}]},
            0,
            "done",
            "nothing changed; c: running",
        ),
        ("bootstrap", ERROR, 1, "failed", "Terraform said no."),
        ("bootstrap", {**ERROR, "problems": PROBLEMS}, 2, "failed", "f:3: a.b: is wrong (and 1 more)"),
        (
            "drift",
            {"type": "drift", "drift": [{"side": "AWS", "subject": "r", "detail": "d"}]},
            3,
            "changes",
            "1 drifted: AWS: r",
        ),
        ("drift", {"type": "drift", "drift": []}, 0, "done", "no drift"),
        (
            "drift",
            {"type": "drift", "drift": [], "unasked": "no key"},
            0,
            "done",
            "no drift of the role; the control plane's clusters are unknown: no key",
        ),
        ("drift", {"type": "drift", "drift": [], "unknown": ["x: denied"]}, 4, "failed", "not known: x: denied"),
        (
            "drift",
            {"type": "drift", "drift": [{"side": "role", "subject": "r"}], "unknown": ["x: denied"]},
            3,
            "changes",
            "1 drifted: role: r; not known: x: denied",
        ),
        (
            "bootstrap",
            {"type": "report", "changed": False, "clusters": [], "policies": POLICIES},
            0,
            "done",
            "nothing changed; not in the stack file: arn:a, i; not known: x: denied",
        ),
        (
            "plan",
            {"type": "plan", "has_changes": False, "policies": POLICIES},
            0,
            "done",
            "not in the stack file: arn:a, i; not known: x: denied; no changes",
        ),
        (
            "destroy",
            {"type": "destroyed", "clusters": ["c"], "resources": 9, "left": {"leftovers": [1]}},
            7,
            "failed",
            "1 cluster, 9 resources gone; 1 left over",
        ),
        ("verify", {"type": "verify", "findings": [{"code": "V1", "verdict": "pass"}]}, 0, "done", "proven"),
        (
            "verify",
            {
                "type": "verify",
                "findings": [
                    {"code": f"V{n}", "verdict": word} for n, word in enumerate(("pass", "fail", "warn", "fail"))
                ],
            },
            4,
            "failed",
            "2 fail, 1 warn: V1, V3",
        ),
        ("verify", {"type": "verify", "findings": [{"code": "V1", "verdict": "unknown"}]}, 0, "done", "1 unknown"),
        ("validate", {"type": "validate", "problems": []}, 0, "done", "valid"),
        ("validate", {"type": "validate", "problems": PROBLEMS}, 2, "failed", "error: f:3: a.b: is wrong (and 1 more)"),
        ("status", {"type": "status", "last_run": None, "next": "Nothing."}, 0, "done", "Nothing."),
        ("bootstrap", {"type": "report"}, 0, "done", ""),
    ],
)
def test_what_a_run_says_in_a_few_words(
    tmp_path: Path, verb: Any, said: Any, code: int, outcome: str, detail: str
) -> None:
    event = json.dumps({"type": "step_started", "step": "init", "detail": ""})
    result = heard(tmp_path, verb, f"{event}\nnoise\n{json.dumps(said)}", code)
    assert (result.outcome, result.detail, result.status) == (outcome, detail or result.detail, code)
    assert result.code == said.get("code")
    assert result.document(verb) == said


def test_what_is_nested_without_end_breaks_off_no_fleet(tmp_path: Path) -> None:
    """The words of a run are read in the one thread that watches all of them."""
    nested = "[" * 200_000
    assert heard(tmp_path, "plan", f'{{"type":{nested}\n{nested}\n{{"type": "plan"}}').said == {
        "plan": {"type": "plan"}
    }


def test_a_run_that_ends_without_a_word(tmp_path: Path) -> None:
    assert heard(tmp_path, "plan", "", -9).detail == "ended by signal 9"
    assert heard(tmp_path, "plan", "", -9).status == 1
    assert (
        heard(tmp_path, "plan", '{"type": 3}\n{"type"', 1, err="a\nModuleNotFoundError: x").detail
        == "a ModuleNotFoundError: x"
    )
    stopped = heard(tmp_path, "plan", "", -2, asked=True)
    assert (stopped.outcome, stopped.status) == ("interrupted", 130)
    assert heard(tmp_path, "plan", json.dumps({**PLAN, "has_changes": False}), 0, asked=True).outcome == "done"


def test_the_command_line_of_a_run(tmp_path: Path) -> None:
    argv = child_argv("plan", member(tmp_path, "one"), ("--exit-code",))
    assert argv[-5:] == ("plan", "one/stack.yaml", "--exit-code", "--format", "jsonl")


PENDING = {"type": "cluster_progress", "name": "c", "status": "pending", "reason": "", "seconds": 0.0, "age": None}


def events(one: Member, two: Member) -> list[FleetEvent]:
    return [
        FleetStarted("bootstrap", (one, two), 2, (two,)),
        FleetNote("1 done already"),
        MemberFinished(Result(two, "skipped", 0)),
        MemberStarted(one),
        MemberSaid(one, {"type": "step_started", "step": "init", "detail": ""}),
        MemberSaid(
            one,
            {
                "type": "resource_progress",
                "address": "a.b",
                "action": "create",
                "state": "started",
                "seconds": 0.0,
                "finished": 0,
                "total": 2,
            },
        ),
        MemberSaid(one, PENDING),
        MemberSaid(one, PENDING),
        MemberSaid(one, {"type": "note", "level": "warning", "message": "mind"}),
        MemberFinished(Result(one, "failed", 1, 2.0, "no", "GBY-T001", {"error": ERROR})),
    ]


def test_plain_lines_begin_with_the_stack(tmp_path: Path) -> None:
    stream = io.StringIO()
    with plain(FLEET_RUN, stream) as view:
        for event in events(member(tmp_path, "one"), member(tmp_path, "two")):
            view(event)
    assert stream.getvalue().splitlines() == [
        "bootstrap: 1 stack, 1 at once",
        "1 done already",
        "one: started",
        "one: init",
        "one: cluster c: pending",
        "one: warning: mind",
        "one: failed in 2.0s: GBY-T001: no",
    ]


def test_json_lines_carry_the_stack(tmp_path: Path) -> None:
    stream = io.StringIO()
    with view_of(FLEET_RUN, True, stream, io.StringIO(), environ={}, clock=lambda: 0.0) as view:
        for event in events(member(tmp_path, "one"), member(tmp_path, "two")):
            view(event)
    found = [json.loads(line) for line in check_outputs(("--format=jsonl",), stream.getvalue()).splitlines()]
    assert [each["type"] for each in found[:4]] == ["fleet_started", "note", "stack_finished", "stack_started"]
    assert {(each["stack"], each["file"]) for each in found[3:]} == {("one", "one/stack.yaml")}


def test_the_live_table_shows_what_runs_and_what_waits(tmp_path: Path) -> None:
    stream = io.StringIO()
    board = FleetBoard(lambda: 0.0)
    view = Live(stream, board, environ={"NO_COLOR": "1"})
    one, two = member(tmp_path, "one"), member(tmp_path, "two")
    for event in events(one, two)[:-1]:
        view(event)
    drawn = io.StringIO()
    Console(file=drawn, width=80).print(board.drawn())
    assert "cluster c: pending" in drawn.getvalue()
    assert "1 of 2: 1 skipped" in drawn.getvalue()
    view(events(one, two)[-1])
    assert "✘ one" in stream.getvalue()
    with view:
        pass


def test_the_summary(tmp_path: Path) -> None:
    one = Result(member(tmp_path, "one"), "failed", 4, 61.0, "no", "GBY-A003")
    report = FleetReport("plan", 2, 75.0, (one, Result(member(tmp_path, "two"), "not started")), interrupted=False)
    assert report.status == 4
    assert fleet_rows(report)[1] == [
        ("one", "one/stack.yaml", "failed", "1m01s", "GBY-A003: no"),
        ("two", "two/stack.yaml", "not started", "-", ""),
    ]
    assert fleet_summary(report) == "plan of 2 stacks in 1m15s: 1 failed, 1 not started."
    assert fleet_json(report)["counts"] == {"failed": 1, "not started": 1}


def test_what_failed_is_told_in_full(tmp_path: Path) -> None:
    error = {
        **ERROR,
        "diagnostics": ["a\nb"],
        "why": "It said so.",
        "fix": "Mend it.",
        "rerun": "Safe.",
        "problems": [],
    }
    broken = {**ERROR, "code": "GBY-S001", "problems": [{**PROBLEMS[0], "hint": "write b"}]}
    results = (
        Result(member(tmp_path, "one"), "failed", 1, said={"error": error}),
        Result(member(tmp_path, "two"), "failed", 2, said={"error": broken}),
        Result(member(tmp_path, "three"), "failed", 2, said={"validate": {"problems": PROBLEMS[:1]}}),
        Result(member(tmp_path, "four"), "done", 0, said={"validate": {"problems": PROBLEMS[:1]}}),
    )
    assert advice_lines(FleetReport("plan", 1, 1.0, results, interrupted=False)) == [
        "one: error[GBY-T001]: Terraform said no.",
        "  a",
        "  b",
        "  why: It said so.",
        "  do:  Mend it.",
        "       Safe.",
        "two: error[GBY-S001]: Terraform said no.",
        "  f:3: a.b: is wrong (write b)",
        "three: f:3: a.b: is wrong",
    ]


def validated(top: Path, **given: Any) -> tuple[list[str], FleetReport]:
    shown: list[FleetEvent] = []
    outside = Surroundings(top, top, {}, shown.append, lambda: NOW, lambda: 0.0)
    report = carry_out(find_members(["."], top), FleetOptions("validate", **given), outside)
    return [event.result.member.label for event in shown if isinstance(event, MemberFinished)], report


def test_validate_reads_every_file_in_this_process(tmp_path: Path) -> None:
    for name in ("a", "c"):
        put(tmp_path, f"{name}.yaml")
    put(tmp_path, "b.yaml", "version: 1\nname: b\nclusters: [{}]\naws: {region: x}\n")
    shown, report = validated(tmp_path)
    assert (shown, report.status, report.counts()) == (["a", "b", "c"], 2, {"done": 2, "failed": 1})
    failed = report.results[1]
    assert failed.detail == "error: b.yaml:3: clusters[0]: `name` is missing (and 1 more)"
    assert {problem["level"] for problem in failed.said["validate"]["problems"]} == {"error"}
    assert validated(tmp_path, fail_fast=True)[1].counts() == {"done": 1, "failed": 1, "not started": 1}
    assert validated(tmp_path, overrides=("aws.region=eu-west-1", "clusters=[{name: x}]"))[1].status == 0
    assert not (tmp_path / ".gridbyoc").exists()


def test_stacks_cannot_all_be_given_one_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path, f"{name}.yaml")
    with pytest.raises(UsageError, match="cannot be named with --set"):
        validated(tmp_path, overrides=("name=one",))
    assert validated(tmp_path, overrides=("clusters[0].name=one",))[1].status == 0


def test_two_stacks_that_share_a_state_are_refused(tmp_path: Path) -> None:
    """A base that gives the key is enough: each run would take the other's role for its own."""
    bucket = "terraform: {backend: {s3: {bucket: acme, region: us-east-1, key: %s}}}\n"
    put(tmp_path, "base.yaml", bucket % "shared.tfstate")
    for name in ("a", "b"):
        put(tmp_path, f"{name}.yaml", STACK.format(name) + "extends: base.yaml\n")
    put(tmp_path, "broken.yaml", "version: 1\nname: x\nclusters: []\nextends: base.yaml\n")
    outside = Surroundings(tmp_path, tmp_path, {}, lambda _event: None, lambda: NOW)
    with pytest.raises(UsageError, match=r"a.yaml and b.yaml have the same state: s3://acme/shared.tfstate"):
        carry_out(find_members(["."], tmp_path), FleetOptions("plan"), outside)
    (_, two, _) = validated(tmp_path)[1].results
    assert two.status == 2
    assert two.detail == (
        "error: base.yaml:1: terraform.backend.s3.key: a.yaml has the same state: s3://acme/shared.tfstate"
    )
    put(tmp_path, "b.yaml", STACK.format("b") + "extends: base.yaml\n" + bucket % "b.tfstate")
    assert validated(tmp_path)[1].counts() == {"done": 2, "failed": 1}


def test_what_has_one_place_in_a_job_is_no_stack_s() -> None:
    job = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": "/o",
        "GITHUB_STEP_SUMMARY": "/s",
        "GITLAB_CI": "true",
        "HOME": "/",
    }
    assert child_environ(job) == {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "/s", "HOME": "/"}
