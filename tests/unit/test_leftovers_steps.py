"""Which clusters are past, what is spared, and how the ledger is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.aws import Caller
from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.leftovers import HOLDS_DATA, DeletedCluster, DeletionPatience, Ledger, Leftover, Search, Unknown
from gridbyoc.control_plane.model import Phase
from gridbyoc.errors import UsageError
from gridbyoc.operations.events import Note, ResourceProgress
from gridbyoc.operations.journal import JOURNAL, Journal, parse_record
from gridbyoc.operations.leftovers import (
    FoundLeftovers,
    LeftoversRequest,
    delete_leftovers,
    find_leftovers,
    mark_data,
    parse_tag,
    parse_tags,
    past_clusters,
)
from gridbyoc.operations.run import Choices, Environment, Run
from gridbyoc.show.leftovers import LEFTOVERS, age, leftover_notes, leftover_rows, size, summary
from gridbyoc.stack.model import ClusterSpec, OwnPolicy, S3Backend, TerraformSettings
from tests.unit.fakes import MemoryRegistrar, Time, cluster, stack
from tests.unit.leftover_fakes import NOW, OWNED, FakeAws, refused

CALLER = Caller("123456789012", "arn:aws-cn:sts::123456789012:assumed-role/admin/me")
OLD = datetime(2026, 1, 1, tzinfo=timezone.utc)


def make_run(tmp_path: Path, *names: str, **fields: Any) -> tuple[Run, list[Any]]:
    events: list[Any] = []
    time = Time()
    outside = Environment({}, tmp_path, events.append, time.clock, time.sleep)
    journal = Journal(tmp_path / JOURNAL, lambda: NOW, "run-1")
    specs = tuple(ClusterSpec(name) for name in names)
    return Run(stack(*specs, **fields), tmp_path, outside, Choices(), journal), events


def find(
    run: Run, registrar: Any, aws: FakeAws | None = None, wanted: LeftoversRequest | None = None
) -> FoundLeftovers:
    session: Any = aws or FakeAws()
    return find_leftovers(run, session, CALLER, registrar, wanted)


def test_past_clusters_are_those_of_file_journal_and_caller(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path, "file", "live")
    run.journal.write("effect_started", step="register", action="create", cluster="journal")
    run.journal.write("effect_done", step="register", cluster="journal", id="id-7", bucket="noted")
    deleted = cluster("given", bucket_name="given-bucket", created_at=OLD)
    registrar = MemoryRegistrar({"live": cluster("live", bucket_name="live-bucket"), "x": cluster("journal2")})

    found = find(run, registrar, wanted=LeftoversRequest(clusters=(deleted,), names=("asked",)))

    assert found.search.place == AccountRegion("aws-cn", "123456789012", "us-east-1")
    assert found.live == ("live",)
    assert {one.name: (one.ids, one.bucket_names, one.created_at) for one in found.search.clusters} == {
        "file": ((), (), None),
        "asked": ((), (), None),
        "journal": (("id-7",), ("noted",), None),
        "given": (("id-given",), ("given-bucket",), OLD),
    }
    assert found.ledger.notes[0] == "The cluster live is not deleted: the resources that it uses are not leftovers."


def test_what_the_control_plane_remembers_of_a_deleted_cluster_is_used(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path)
    for ident in ("id-old", "id-gone"):
        run.journal.write("effect_done", step="register", cluster="old", id=ident)
    gone = replace(cluster("old", phase=Phase.DELETED, bucket_name="b-1", created_at=OLD), id="id-old")
    registrar = MemoryRegistrar({"old": gone})
    one = find(run, registrar).search.clusters[0]
    assert (one.ids, one.bucket_names, one.created_at) == (("id-old", "id-gone"), ("b-1",), None)


@pytest.mark.parametrize(
    "created, born",
    [((OLD.isoformat(),), OLD), ((OLD.isoformat(), None), None), (("2020-01-01T00:00:00",), None), (("x",), None)],
    ids=["known", "one of two is not known", "without a zone", "not a time"],
)
def test_the_journal_says_when_a_forgotten_cluster_was_made(
    tmp_path: Path, created: tuple[str | None, ...], born: datetime | None
) -> None:
    run, _ = make_run(tmp_path)
    for index, time in enumerate(created):
        run.journal.write("effect_done", effect="delete", cluster="old", id=f"id-{index}", bucket="b-1", created=time)
    assert find(run, MemoryRegistrar()).search.clusters[0].created_at == born


def test_buckets_and_roles_in_use_are_spared(tmp_path: Path) -> None:
    backend = TerraformSettings(S3Backend("state", "key", "us-east-1"))
    run, _ = make_run(tmp_path, "past", terraform=backend)
    live = cluster("live", role_arn="arn:live", bucket_name="live-bucket")
    spared = find(run, MemoryRegistrar({"live": live}), wanted=LeftoversRequest(roles=("arn:stack",))).search.spared
    assert {"arn:live", "arn:stack", "arn:aws-cn:s3:::state", "arn:aws-cn:s3:::live-bucket"} <= spared


def test_a_role_that_the_stack_file_names_is_spared_with_its_own_policy(tmp_path: Path) -> None:
    """An adopted role does not have the tag that tells what Terraform manages."""
    run, _ = make_run(tmp_path, "past")
    named = replace(run.stack.role, name="by-hand", path="/teams/", policy=OwnPolicy("own", "/"))
    run = replace(run, stack=replace(run.stack, role=named))
    spared = find(run, MemoryRegistrar()).search.spared
    assert spared == {
        "arn:aws-cn:iam::123456789012:role/teams/by-hand",
        "arn:aws-cn:iam::123456789012:policy/own",
    }


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.FAILED, Phase.PENDING])
def test_a_live_cluster_is_refused(tmp_path: Path, phase: Phase) -> None:
    run, _ = make_run(tmp_path)
    registrar = MemoryRegistrar({"live": cluster("live", phase=phase)})
    for name in ("live", "id-live"):
        with pytest.raises(UsageError, match="The cluster live is not deleted"):
            find(run, registrar, wanted=LeftoversRequest(names=(name,)))


def test_a_stack_without_a_past_has_nothing_left(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path, "live")
    aws = FakeAws()
    found = find(run, MemoryRegistrar({"live": cluster("live")}), aws)
    assert found.ledger.clear
    assert "No past cluster of this stack is known." in found.ledger.notes
    assert aws.calls == []


def volumes() -> tuple[FakeAws, list[Any]]:
    there = [
        {"VolumeId": f"vol-{n}", "Size": 1, "Tags": OWNED, "CreateTime": NOW - timedelta(days=n)} for n in (1, 2, 3)
    ]

    def remove(VolumeId: str) -> Any:  # noqa: N803 - AWS's name
        if VolumeId == "vol-3":
            return refused("UnauthorizedOperation", "not you")
        there[:] = [one for one in there if one["VolumeId"] != VolumeId]
        return {}

    def describe(**more: Any) -> Any:
        return {"Volumes": [one for one in there if one["VolumeId"] in more.get("VolumeIds", [one["VolumeId"]])]}

    return FakeAws({"ec2.describe_volumes": describe, "ec2.delete_volume": remove}), there


def test_a_deletion_is_recorded_before_and_after_and_looked_at_again(tmp_path: Path) -> None:
    run, events = make_run(tmp_path, "demo")
    aws, there = volumes()
    session: Any = aws
    found = find(run, MemoryRegistrar(), aws)
    marked = mark_data(found).ledger.leftovers
    assert [(one.kept, one.age) for one in marked] == [(HOLDS_DATA, timedelta(days=n)) for n in (1, 2, 3)]

    rest = delete_leftovers(run, session, MemoryRegistrar(), found, delete_data=True, patience=DeletionPatience())

    assert [(one.id, one.kept) for one in rest.leftovers] == [("vol-3", "UnauthorizedOperation: not you")]
    assert [one["VolumeId"] for one in there] == ["vol-3"]
    records = [json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines()]
    effects = [(one["type"], one["resource"][-5:]) for one in records if "resource" in one]
    assert [one for one in effects if one[0] == "effect_done"] == [("effect_done", "vol-1"), ("effect_done", "vol-2")]
    assert records[-1] | {"time": ""} == {
        "time": "", "run": "run-1", "type": "step_done", "step": "delete", "seconds": 0.0,
        "detail": "2 deleted, 1 left",
    }  # fmt: skip
    assert ResourceProgress("volume vol-1", "delete", "done", 0.0) in events
    assert Note("The volume vol-3 stays: UnauthorizedOperation: not you.", "warning") in events


def test_a_cluster_that_is_there_again_loses_nothing(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path, "demo")
    aws, _there = volumes()
    session: Any = aws
    found = find(run, MemoryRegistrar(), aws)
    again = MemoryRegistrar({"demo": cluster("demo")})
    with pytest.raises(UsageError, match="demo is not deleted"):
        delete_leftovers(run, session, again, found, delete_data=True, patience=DeletionPatience())
    assert aws.names("delete") == []


@given(st.lists(st.one_of(st.text(max_size=40), st.dictionaries(st.sampled_from(["cluster", "id", "bucket", "x"]),
       st.one_of(st.none(), st.integers(), st.text(max_size=5))).map(json.dumps))))  # fmt: skip
def test_any_journal_can_be_read(lines: list[str]) -> None:
    for one in past_clusters(map(parse_record, lines)):
        assert one.name
        assert all(isinstance(ident, str) and ident for ident in (*one.ids, *one.bucket_names))


def test_tags_on_the_command_line() -> None:
    assert parse_tags(("team=a=b", " owner ")) == ((("team", "a=b"),), ("owner",))
    assert parse_tag("team=a=b") == ("team", "a=b")
    assert parse_tag("kubernetes.io/cluster/x=owned") == ("kubernetes.io/cluster/x", "owned")
    for text in ("team", "team=", "=x", "kubernetes.io/cluster/x=shared"):
        with pytest.raises(UsageError):
            parse_tag(text)


def leftover(**fields: Any) -> Leftover:
    base = Leftover(
        "volume", "vol-1", "arn:v", "v", "demo", "tag x", OLD, timedelta(days=3), 3 * 1024**3, True, True, 13
    )
    return replace(base, **fields)


LEDGER = Ledger(
    (leftover(), leftover(kind="VPC", cluster="", age=None, size_bytes=None, costs_money=False, holds_data=False,
                          order=20, kept="busy", created_at=None)),
    (Unknown("role", "AccessDenied"),),
    ("a note",),
)  # fmt: skip


def test_the_table() -> None:
    columns, rows = leftover_rows(LEDGER)
    assert columns == ("order", "kind", "arn", "cluster", "age", "size", "costs", "data", "because")
    assert rows == [
        ("13", "volume", "arn:v", "demo", "3d", "3 GiB", "yes", "yes", "tag x"),
        ("20", "VPC", "arn:v", "?", "?", "?", "no", "no", "tag x; stays: busy"),
    ]
    assert leftover_notes(LEDGER) == ["warning: whether a role is left is unknown: AccessDenied", "a note"]


def test_the_json() -> None:
    search = Search(AccountRegion("aws", "1", "us-east-1"), (DeletedCluster("demo"),))
    shown = LEFTOVERS.document(FoundLeftovers(search, LEDGER, ("live",)), "ml")
    assert json.loads(json.dumps(shown)) == shown
    assert shown["clusters"] == ["demo"]
    assert (shown["clear"], shown["live"], shown["unknown"]) == (
        False,
        ["live"],
        [{"kind": "role", "why": "AccessDenied"}],
    )
    assert shown["leftovers"][0] | {"evidence": ""} == {
        "order": 13, "kind": "volume", "id": "vol-1", "arn": "arn:v", "name": "v", "cluster": "demo", "evidence": "",
        "created": "2026-01-01T00:00:00+00:00", "age_seconds": 259200, "size_bytes": 3221225472, "costs_money": True,
        "monthly_estimate_usd": None, "holds_data": True, "kept": "",
    }  # fmt: skip
    assert shown["leftovers"][1]["age_seconds"] is None


def test_one_sentence() -> None:
    assert summary(Ledger()) == "Nothing is left."
    assert summary(LEDGER) == "2 left over, 1 of them at a cost; could not be read: role."
    assert summary(Ledger(unknown=LEDGER.unknown)) == "Nothing was found; could not be read: role."


@pytest.mark.parametrize("minutes,text", [(-5, "0m"), (59, "59m"), (60, "1h"), (47 * 60, "47h"), (48 * 60, "2d")])
def test_ages(minutes: int, text: str) -> None:
    assert age(timedelta(minutes=minutes)) == text


@pytest.mark.parametrize("count,text", [(0, "0 B"), (1536, "1.5 KiB"), (20 * 1024**3, "20 GiB"), (None, "?")])
def test_sizes(count: int | None, text: str) -> None:
    assert size(count) == text
