"""The schema: it says what the dataclasses say, what the manual says, and what the examples do."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from gridbyoc.stack import model
from gridbyoc.stack.load import read
from gridbyoc.stack.schema import resolved, schema, schema_text, schemas_at, takes_text

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
ACCOUNTS = sorted((ROOT / "examples" / "accounts").glob("*.yaml"))
ENVIRON = {
    "GRID_EXTERNAL_ID": "example-external-id",
    "CUBE_EXTERNAL_ID": "cube-cloud-byoc",
    "PRODUCTION_EXTERNAL_ID": "yx8Kq2Vw7Zc4Tn6L",
}

# dataclass → where its mapping stands; what the two do not share
PAIRS: list[tuple[type, tuple[str | int, ...], set[str], set[str]]] = [
    (model.Stack, (), {"file", "work_root"}, {"version", "extends"}),
    (model.Aws, ("aws",), set(), set()),
    (
        model.AssumeRole,
        ("aws", "assume_role"),
        {"external_id", "external_id_variable"},
        {"external_id_from"},
    ),
    (model.Role, ("role",), {"external_id", "external_id_variable", "vendor"}, {"external_id_from"}),
    (model.PolicyStatement, ("role", "statements", 0), set(), set()),
    (model.ClusterSpec, ("clusters", 0), set(), set()),
    (model.InstanceType, ("clusters", 0, "instance_types", 0), set(), set()),
    (model.ControlPlane, ("control_plane",), set(), set()),
    (model.TerraformSettings, ("terraform",), set(), set()),
    (model.LocalBackend, ("terraform", "backend", "local"), set(), set()),
    (model.S3Backend, ("terraform", "backend", "s3"), set(), set()),
    (model.ModuleSource, ("terraform", "module"), set(), set()),
]
IDS = [pair[0].__name__ for pair in PAIRS]


def mapping_at(place: tuple[str | int, ...]) -> dict[str, Any]:
    (found,) = (node for node in schemas_at(place) if node.get("type") == "object")
    return found


@pytest.mark.parametrize("kind, place, only_here, only_there", PAIRS, ids=IDS)
def test_same_fields(kind: type, place: tuple[str | int, ...], only_here: set[str], only_there: set[str]) -> None:
    fields = {field.name for field in dataclasses.fields(kind)}
    assert fields - only_here == set(mapping_at(place)["properties"]) - only_there


@pytest.mark.parametrize("kind, place, only_here, only_there", PAIRS, ids=IDS)
def test_same_defaults_and_words(
    kind: type, place: tuple[str | int, ...], only_here: set[str], only_there: set[str]
) -> None:
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner = resolved(mapping_at(place)["properties"].get(field.name, {}))
        if "default" in inner and field.default is not dataclasses.MISSING:
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            assert inner["default"] == default, field.name
        if "enum" in inner:
            allowed = {item for arm in (hints[field.name], *get_args(hints[field.name])) for item in get_args(arm)}
            assert set(inner["enum"]) == {item for item in allowed if isinstance(item, str)}, field.name


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        yield from (inner for value in node.values() for inner in nodes(value))
    elif isinstance(node, list):
        yield from (inner for value in node for inner in nodes(value))


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(schema_text()))
    assert schema()["$id"]
    assert schema_text().endswith("}\n")


def test_objects_are_closed_but_for_the_maps() -> None:
    open_ones = [
        node["title"] for node in nodes(schema()) if node.get("type") == "object" and node["additionalProperties"]
    ]
    assert sorted(open_ones) == ["Inputs of the module", "Several roles", "Tags"]


def test_everything_has_a_title() -> None:
    described = {key: value for key, value in schema().items() if key not in ("if", "else")}
    for node in nodes(described):
        for name, inner in node.get("properties", {}).items():
            if isinstance(inner, dict) and node is not schema()["$defs"]:
                assert "title" in resolved(inner), name


def test_its_own_examples_are_valid() -> None:
    for node in nodes(schema()):
        if "type" in node and "examples" in node:
            validator = Draft202012Validator({**node, "$defs": schema()["$defs"]})
            for example in node["examples"]:
                validator.validate(example)


def test_text_places() -> None:
    assert takes_text(("role", "tags", "any thing"))
    assert takes_text(("aws", "account_id"))
    assert not takes_text(("clusters", 0, "instance_types", 0))
    assert not takes_text(("no", "such", 0))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_examples_are_valid(file: Path) -> None:
    loaded = read(file, environ=ENVIRON)
    shared = [str(each) for each in loaded.warnings]
    assert all("an external id that is not a secret" in each and "Cube" in each for each in shared)
    assert len(shared) == (file.stem == "17-shared-external-id")
    assert file.stem.partition("-")[2] == loaded.stack.name
    Draft202012Validator(schema()).validate(YAML(typ="safe", pure=True).load(file.read_text()))


def test_the_accounts_of_the_example_have_a_role_and_a_state_each() -> None:
    stacks = [read(file, environ=ENVIRON) for file in ACCOUNTS if file.stem != "base"]
    assert len(stacks) == 3
    assert [each.warnings for each in stacks] == [(), (), ()]
    found = [each.stack for each in stacks]
    assert {stack.aws.account_id for stack in found} == {"111111111111", "222222222222", "333333333333"}
    for stack in found:
        assert stack.aws.assume_role is not None
        assert stack.aws.assume_role.account_id == stack.aws.account_id
        assert stack.aws.assume_role.session_name == "platform-pipeline"
        assert stack.state_is_apart
    assert len({stack.terraform.backend for stack in found}) == 3


def test_examples_are_numbered_without_a_gap() -> None:
    assert [int(file.name[:2]) for file in EXAMPLES] == list(range(1, len(EXAMPLES) + 1))
    index = (ROOT / "examples/README.md").read_text()
    assert re.findall(r"\(([0-9][^)]*)\)", index) == [file.name for file in EXAMPLES]


def test_examples_survive_a_round_trip() -> None:
    for file in EXAMPLES:
        assert YAML().load(file.read_text())["version"] == 1


def test_the_manual_names_every_key() -> None:
    manual = (ROOT / "docs/stack-file.md").read_text()
    keys = {key for node in nodes(schema()) for key in node.get("properties", {}) if key not in ("env", "file")}
    missing = {key for key in keys if not re.search(rf"[`.{{ ]{key}[`.:\[]", manual)}
    assert missing == set()
