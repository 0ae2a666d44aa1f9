"""``--set PATH=VALUE``."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbyoc.stack.model import InstanceType, S3Backend
from gridbyoc.stack.overrides import Override, OverrideError, parse_override
from gridbyoc.stack.words import place_text
from tests.unit.stack_helpers import CLUSTERS, HEAD, problems_of, stack_of

TEXT = HEAD + "aws: {profile: p}\nclusters:\n  - name: a\n    instance_types: [t2.medium]\n"


@pytest.mark.parametrize(
    "text, place, value",
    [
        ("name=x", ("name",), "x"),
        ("aws.region=eu-west-1", ("aws", "region"), "eu-west-1"),
        ("clusters[0].name=x=y", ("clusters", 0, "name"), "x=y"),
        ('role.tags["a.b=c"]=', ("role", "tags", "a.b=c"), ""),
        ("role.tags.cost-center=4 2", ("role", "tags", "cost-center"), "4 2"),
        ('a["\\u00e9\\""][10]=[1]', ("a", 'é"', 10), "[1]"),
    ],
)
def test_parse(text: str, place: tuple[str | int, ...], value: str) -> None:
    assert parse_override(text) == Override(place, value)


@pytest.mark.parametrize(
    "text",
    ["", "name", "=x", ".name=x", "name.=x", "a..b=x", "a[x]=y", "a[0=y", "[0]=x", "a b=c", 'a["\\x"]=1', "a]=1"],
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(OverrideError):
        parse_override(text)


keys = st.text(min_size=1, max_size=8)
places = st.tuples(keys).flatmap(lambda first: st.lists(keys | st.integers(0, 99)).map(lambda rest: (*first, *rest)))


@settings(deadline=None)
@given(places, st.text(st.characters(exclude_categories=["Cs"])))
def test_every_place_can_be_written(place: tuple[str | int, ...], value: str) -> None:
    written = "".join(f"[{part}]" if isinstance(part, int) else f"[{json.dumps(part)}]" for part in place[1:])
    assert parse_override(f"first{written}={value}") == Override(("first", *place[1:]), value)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_an_override_or_refused(text: str) -> None:
    try:
        assert parse_override(text).place
    except OverrideError as error:
        assert error.problem.file == "--set"  # noqa: PT017


def test_values_are_put_where_they_belong() -> None:
    stack = stack_of(
        TEXT,
        "name=other",
        "aws.region=eu-west-1",
        "aws.account_id=012345678901",
        "aws.profile=null",
        "role.tags.team=42",
        'role.tags["cost center"]="4"',
        "role.tags.empty=",
        "role.max_session_hours=3",
        "clusters[0].instance_types[1]={name: g5.xlarge, root_volume_size: 9}",
        'clusters[1]={"name": "b", "instance_types": ["t3.large"]}',
        "clusters[2].name=c",
        "terraform.backend.s3.bucket=abc",
        "terraform.backend.s3.key=k",
        "terraform.backend.s3.encrypt=true",
    )
    assert (stack.name, stack.aws.region, stack.aws.account_id) == ("other", "eu-west-1", "012345678901")
    assert stack.aws.profile is None
    assert stack.role.tags == {"team": "42", "cost center": "4", "empty": ""}
    assert stack.role.max_session_hours == 3
    assert stack.clusters[0].instance_types == (InstanceType("t2.medium"), InstanceType("g5.xlarge", 0, 9))
    assert [cluster.name for cluster in stack.clusters] == ["a", "b", "c"]
    assert stack.terraform.backend == S3Backend("abc", "k", "eu-west-1")


def test_text_is_taken_as_it_is() -> None:
    for value in ("@x", "a: b", "#1", "1.10", "null and void", "[", "{a: 1}", "~", "true", "x # y"):
        assert stack_of(TEXT, f"role.rotation={value}").role.rotation == value


def test_a_later_override_wins() -> None:
    assert stack_of(TEXT, "name=x", "name=y").name == "y"


def test_an_override_mends_the_file() -> None:
    assert stack_of("version: 1\nname: NO\n" + CLUSTERS, "name=yes").name == "yes"


@pytest.mark.parametrize(
    "override, path, words",
    [
        ("aws.regin=x", "aws.regin", "did you mean `region`?"),
        ("aws.region=us-west-2a", "aws.region", "write `us-west-2`"),
        ("clusters[0].nme=x", "clusters[0].nme", "did you mean `name`?"),
        ("clusters[3].name=x", "clusters[3]", "the list has 1 items: [1] would add one, [3] is out of range"),
        ("clusters[9]={}", "clusters[9]", "is out of range"),
        ("clusters.name=x", "clusters.name", "`clusters` is a list here"),
        ("aws[0]=x", "aws[0]", "`aws` is a mapping here"),
        ("name.x=1", "name.x", "`name` is a single value here"),
        ("clusters[0].instance_types[0].name=x", "clusters[0].instance_types[0].name", "is a single value here"),
        ("clusters[0]=null", "clusters[0]", "removes a key, not an item"),
        ("name=null", "", "`name` is missing"),
        ("role.max_session_hours=many", "role.max_session_hours", "must be a whole number"),
        ("role.max_session_hours={a", "role.max_session_hours", "the value is not valid YAML"),
        ("role.external_id=CANARY", "role.external_id", "external_id_from"),
        ("aws.access_key=CANARY", "aws.access_key", "a secret cannot be given with --set"),
        ("terraform.module.inputs.external_id=CANARY", "terraform.module.inputs.external_id", "a secret"),
        ("CANARY", "", "is not an override"),
    ],
)
def test_bad_overrides(override: str, path: str, words: str) -> None:
    found = problems_of(TEXT, override)
    line = 1 if override == "name=null" else None
    told = [(p.path, p.line) for p in found if words in f"{p.message} {p.hint}"]
    assert told == [(path, line)], [str(p) for p in found]
    if override != "CANARY":
        assert "CANARY" not in "".join(map(str, found))


def test_their_problems_name_their_origin_and_come_last() -> None:
    found = problems_of("version: 1\nname: X\n" + CLUSTERS, "aws.region=nowhere", "bad")
    assert [(p.file, p.line) for p in found] == [("<stdin>", 2), ("--set", None), ("--set", None)]


def test_what_an_override_replaces_is_no_longer_the_files() -> None:
    text = HEAD + "clusters:\n  - name: a\n    instance_types: [t4g.nano]\n"
    (problem,) = problems_of(text, "clusters=[{name: X}]")
    assert (problem.file, problem.line, problem.path) == ("--set", None, "clusters[0].name")


def test_a_tag_may_be_called_token() -> None:
    assert stack_of(TEXT, "role.tags.token=x").role.tags == {"token": "x"}


def test_overrides_of_a_file_that_is_no_mapping() -> None:
    assert "must be a mapping" in problems_of("- a\n", "name=x")[0].message


def test_places_in_words() -> None:
    assert place_text(("a", 0, "b-c", "d e", 'f"')) == 'a[0].b-c["d e"]["f\\""]'


def test_a_command_line_protects_no_stack_and_unprotects_none() -> None:
    for value in ("true", "false", "null"):
        (problem,) = problems_of(TEXT + "protect: true\n", f"protect={value}")
        assert (problem.file, problem.path) == ("--set", "protect")
