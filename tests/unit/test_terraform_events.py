"""The event stream: known lines, unknown lines, and lines that are no events at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.terraform import (
    ChangeSummary,
    Diagnostic,
    Log,
    OutputsEvent,
    PlannedChange,
    ProviderEvent,
    ResourceChange,
    ResourceDrift,
    ResourceEvent,
    Version,
    parse_event,
)
from gridbyoc.terraform.events import provider_event


def event(**message: Any) -> Any:
    return parse_event(json.dumps({"@level": "info", "@message": "words", **message}))


def hook(**more: Any) -> dict[str, Any]:
    return {"resource": {"addr": 'module.a.aws_iam_role.this["x"]'}, "action": "create", **more}


ADDRESS = 'module.a.aws_iam_role.this["x"]'


@pytest.mark.parametrize(
    "message, expected",
    [
        ({"type": "version", "terraform": "1.11.4", "ui": "1.2"}, Version("1.11.4", "1.2")),
        ({"type": "version", "tofu": "1.8.0", "ui": "1.2"}, Version("1.8.0", "1.2")),
        ({"type": "apply_start", "hook": hook()}, ResourceEvent(ADDRESS, "create", "started")),
        (
            {"type": "apply_progress", "hook": hook(elapsed_seconds=10)},
            ResourceEvent(ADDRESS, "create", "progress", 10),
        ),
        ({"type": "apply_complete", "hook": hook(elapsed_seconds=2)}, ResourceEvent(ADDRESS, "create", "done", 2)),
        ({"type": "apply_errored", "hook": hook(elapsed_seconds=3)}, ResourceEvent(ADDRESS, "create", "failed", 3)),
        ({"type": "refresh_start", "hook": {"resource": {"addr": "a.b"}}}, ResourceEvent("a.b", "refresh", "started")),
        ({"type": "refresh_complete", "hook": {"resource": {"addr": "a.b"}}}, ResourceEvent("a.b", "refresh", "done")),
        (
            {"type": "change_summary", "changes": {"add": 1, "change": 2, "remove": 3, "operation": "apply"}},
            ChangeSummary(1, 2, 3, 0, "apply"),
        ),
        (
            {"type": "outputs", "outputs": {"a": {"action": "create", "value": "x"}, "b": {"action": "noop"}}},
            OutputsEvent(("a", "b"), ("a",)),
        ),
        ({"type": "provision_progress", "hook": {}}, Log("info", "words")),
        ({"type": "invented_in_2031", "anything": [1]}, Log("info", "words")),
        ({}, Log("info", "words")),
    ],
)
def test_known_and_unknown_types(message: dict[str, Any], expected: object) -> None:
    assert event(**message) == expected


@pytest.mark.parametrize("kind, wanted", [("planned_change", PlannedChange), ("resource_drift", ResourceDrift)])
def test_changes(kind: str, wanted: Any) -> None:
    change = {"resource": {"addr": "a.b"}, "action": "replace", "reason": "tainted", "new_field": 1}
    assert event(type=kind, change=change) == wanted(ResourceChange("a.b", "replace", "tainted"))


def test_a_diagnostic_names_the_resource_and_the_file() -> None:
    found = event(
        type="diagnostic",
        diagnostic={
            "severity": "error",
            "summary": "Bad thing",
            "detail": "because",
            "address": "aws_iam_role.this",
            "range": {"filename": "main.tf", "start": {"line": 7, "column": 3}},
        },
    )
    assert found == Diagnostic("error", "Bad thing", "because", "aws_iam_role.this", "main.tf", 7)
    assert str(found) == "Error: Bad thing (aws_iam_role.this, main.tf:7)\nbecause"


def test_a_plain_go_error_is_split_into_its_first_line_and_the_rest() -> None:
    found = event(
        type="diagnostic", diagnostic={"severity": "error", "summary": "No bucket.\n\nMake it.\n", "detail": ""}
    )
    assert (found.summary, found.detail, found.place) == ("No bucket.", "Make it.", "")
    assert str(found) == "Error: No bucket.\nMake it."


def test_a_place_without_a_line_is_the_file_alone() -> None:
    assert Diagnostic("warning", "x", filename="a.tf").place == "a.tf"


def test_colours_are_taken_out() -> None:
    assert event(**{"@message": "\x1b[0m\x1b[32mgood\x1b[0m"}) == Log("info", "good")


def test_only_texts_for_people_are_cleaned() -> None:
    line = json.dumps({"type": "planned_change", "change": {"resource": {"addr": "create.x"}, "action": "create"}})
    assert parse_event(line, lambda text: text.replace("create", "?")) == PlannedChange(
        ResourceChange("create.x", "create")
    )
    line = json.dumps({"type": "diagnostic", "diagnostic": {"summary": "hush 1", "detail": "hush 2"}})
    found = parse_event(line, lambda text: text.replace("hush", "?"))
    assert found == Diagnostic("error", "? 1", "? 2")


@pytest.mark.parametrize(
    "line", ["", "Terraform has been initialized!", "[1]", "null", "{", '"text"', b"\xff\xfe", "{}"]
)
def test_what_is_no_event_is_none(line: str | bytes) -> None:
    assert parse_event(line) is None


def test_deep_nesting_and_huge_numbers_do_not_raise() -> None:
    assert parse_event("[" * 100_000) is None
    assert parse_event('{"type":"apply_complete","hook":{"elapsed_seconds":1e999}}') is not None
    assert parse_event('{"type":"apply_complete","hook":{"elapsed_seconds":' + "9" * 400 + "}}") == ResourceEvent(
        "", "refresh", "done", 0.0
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
TYPES = st.sampled_from(
    ["version", "planned_change", "resource_drift", "apply_start", "apply_progress", "apply_complete", "apply_errored",
     "refresh_start", "refresh_complete", "diagnostic", "change_summary", "outputs", "log", "?"]
)  # fmt: skip
KEYS = ["terraform", "ui", "change", "hook", "diagnostic", "changes", "outputs", "@message", "@level"]


@given(st.binary() | st.text())
def test_any_line_is_an_event_or_none(line: bytes | str) -> None:
    parse_event(line)


@given(TYPES | JSON, st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_object_is_an_event_or_none(kind: Any, rest: dict[str, Any]) -> None:
    found = parse_event(json.dumps({"type": kind, **rest}))
    assert found is None or hash(found) is not None


@given(
    st.sampled_from(["apply_start", "planned_change", "diagnostic", "change_summary", "outputs"]),
    st.dictionaries(
        st.sampled_from(
            ["resource", "action", "addr", "range", "start", "summary", "add", "remove", "elapsed_seconds"]
        ),
        JSON,
    ),
)
def test_known_types_with_strange_insides(kind: str, inside: dict[str, Any]) -> None:
    body = {"hook": inside, "change": inside, "diagnostic": inside, "changes": inside, "outputs": inside}
    assert parse_event(json.dumps({"type": kind, **body})) is not None


@pytest.mark.parametrize(
    "line, expected",
    [
        # Terraform with -json, then without
        ("Installing provider version: hashicorp/aws v5.100.0...",
         ProviderEvent("hashicorp/aws", "5.100.0", "installing")),
        ("Installed provider version: hashicorp/aws v5.100.0 (signed by HashiCorp)",
         ProviderEvent("hashicorp/aws", "5.100.0", "installed", signed=True)),
        ("Installed provider version: hashicorp/aws v5.100.0 (unauthenticated)",
         ProviderEvent("hashicorp/aws", "5.100.0", "installed")),
        ("- Installing hashicorp/aws v6.0.0-beta1...", ProviderEvent("hashicorp/aws", "6.0.0-beta1", "installing")),
        ("- Using hashicorp/aws v5.100.0 from the shared cache directory",
         ProviderEvent("hashicorp/aws", "5.100.0", "installed", cached=True)),
        # OpenTofu
        ("- Installed hashicorp/aws v5.100.0 (signed, key ID 0C0AF313E5FD9F80)",
         ProviderEvent("hashicorp/aws", "5.100.0", "installed", signed=True)),
        ("- Installed example.com/a/b v1.0.0 (self-signed, key ID 34365D9472D7468F)",
         ProviderEvent("example.com/a/b", "1.0.0", "installed", signed=True)),
        ("- Using previously-installed hashicorp/aws v5.100.0", None),
        ("- Reusing previous version of hashicorp/aws from the dependency lock file", None),
        ("Installed with care", None),
    ],
)  # fmt: skip
def test_what_init_installs(line: str, expected: ProviderEvent | None) -> None:
    assert provider_event(line) == expected
    found = parse_event(json.dumps({"@level": "info", "@message": line, "type": "log"}))
    assert found == (expected or Log("info", line))
