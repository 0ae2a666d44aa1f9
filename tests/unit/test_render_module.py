"""The module's documents and the root that passes its variables on agree with the module."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gridbyoc.errors import FileError
from gridbyoc.render import data_dir
from tests.past import DATA

MODULE = data_dir("modules") / "gridbyoc"
README = (MODULE / "README.md").read_text()


def blocks(kind: str, module: Path = MODULE) -> dict[str, str]:
    text = (module / f"{kind}s.tf").read_text()
    return dict(re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}$', text, re.DOTALL | re.MULTILINE))


def table(title: str) -> dict[str, list[str]]:
    section = README.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in rows}


def attribute(body: str, name: str) -> str:
    match = re.search(rf"^  {name} *= (.*)$", body, re.MULTILINE)
    assert match, f"{name} is missing in {body}"
    return match[1].strip('"')


def test_the_readme_names_every_variable_with_its_type_default_and_description() -> None:
    rows = table("Inputs")
    assert list(rows) == list(blocks("variable"))
    for name, body in blocks("variable").items():
        type_, default, description = rows[name]
        assert attribute(body, "type").startswith(type_.strip("`").rstrip(")")), name
        assert description == attribute(body, "description"), name
        if default.startswith("`") and "," not in default:
            assert default.strip("`").strip('"') == attribute(body, "default"), name


def test_the_readme_names_every_output() -> None:
    rows = table("Outputs")
    assert list(rows) == list(blocks("output")) == ["role_arn", "role_name", "external_id", "policy_arns"]
    for name, body in blocks("output").items():
        assert rows[name] == ["yes" if "sensitive" in body else "no", attribute(body, "description")]


def test_the_readme_names_the_default_policies() -> None:
    default = re.search(r"default = \[\n(.*?)\]", blocks("variable")["managed_policies"], re.DOTALL)
    assert default
    names = re.findall(r'"(\w+)"', default[1])
    assert len(names) == 9
    assert all(f"`{name}`" in README for name in names)


def test_every_variable_is_typed_described_and_validated() -> None:
    for name, body in blocks("variable").items():
        assert attribute(body, "type"), name
        assert attribute(body, "description"), name
        assert attribute(body, "type") == "bool" or "  validation {" in body, name
        assert attribute(body, "default") == "null" or attribute(body, "nullable") == "false", name


def test_every_variable_is_tried_by_the_modules_own_tests() -> None:
    tests = {path.name.split(".")[0]: path.read_text() for path in (MODULE / "tests").glob("*.tftest.hcl")}
    for name, body in blocks("variable").items():
        tried = attribute(body, "type") == "bool" or f"    var.{name}," in tests["validation"]
        assert tried, f"no wrong {name} is tried"
        values = re.findall(rf"^  +{name} += (.*)$", tests["defaults"] + tests["variables"], re.MULTILINE)
        assert "null" in values, f"{name} is not tried with null"
        assert set(values) != {"null"}, f"no right {name} is tried"


def test_the_root_passes_every_variable_on() -> None:
    templates = data_dir("templates")
    main = (templates / "main.tf.j2").read_text()
    listed = re.findall(r'"(\w+)"', main.split("{% set arguments = [")[1].split("]")[0])
    assert ["role_name", *listed] == list(blocks("variable"))
    assert main.count("role_name = var.role_name\n") == 1
    text = (templates / "variables.tf.j2").read_text()
    for name, body in blocks("variable").items():
        declared = text.split(f'variable "{name}" {{')[1].split("\n}")[0]
        assert "default = null" in declared, name
        assert ("sensitive = true" in declared) == (re.search("sensitive += true", body) is not None), name


def test_no_name_of_a_partition_and_no_endpoint_is_written_down() -> None:
    for path in [MODULE / "main.tf", *data_dir("templates").glob("*.tf.j2")]:
        assert "arn:aws" not in path.read_text()
        assert "endpoints" not in path.read_text()


def test_data_dir_prefers_what_the_wheel_brought(tmp_path: Path) -> None:
    package = tmp_path / "gridbyoc"
    (tmp_path / "modules").mkdir()
    assert data_dir("modules", package) == tmp_path / "modules"
    (package / "_data" / "modules").mkdir(parents=True)
    assert data_dir("modules", package) == package / "_data" / "modules"
    with pytest.raises(FileError, match="templates of this program is missing"):
        data_dir("templates", package)


PAST = DATA / "stacks" / ".gridbyoc" / "past-local"


def test_every_input_of_the_module_of_0_1_0_is_still_there_and_asks_for_no_more() -> None:
    then, now = blocks("variable", PAST / "modules" / "gridbyoc"), blocks("variable")
    for name, body in then.items():
        assert set(type_lines(body)) <= set(type_lines(now[name])), name
    required = {name for name, body in now.items() if not re.search(r"^  default *=", body, re.MULTILINE)}
    assert required <= {name for name, body in then.items() if not re.search(r"^  default *=", body, re.MULTILINE)}


def test_every_output_of_the_module_of_0_1_0_is_still_there_and_as_secret() -> None:
    now = blocks("output")
    for name, body in blocks("output", PAST / "modules" / "gridbyoc").items():
        assert ("sensitive" in body) <= ("sensitive" in now[name]), name


def test_every_address_in_a_state_of_0_1_0_is_still_one_of_the_module() -> None:
    """Else there is a ``moved`` block for it: without one, Terraform destroys the resource and makes another."""
    text = "".join(path.read_text() for path in MODULE.glob("*.tf"))
    kept = json.loads((PAST / "terraform.tfstate").read_text())["resources"]
    managed = [each for each in kept if each["mode"] == "managed"]
    assert len(managed) == 6
    for each in managed:
        keys = [instance.get("index_key") for instance in each["instances"]]
        repeated = {int: "count", str: "for_each", type(None): None}[type(keys[0])]
        body = re.search(rf'^resource "{each["type"]}" "{each["name"]}" {{\n(.*?)^}}$', text, re.DOTALL | re.MULTILINE)
        moved = re.search(rf"from += {each['type']}\.{each['name']}\b", text)
        assert moved or (body and repeated_by(body[1]) == repeated), each["name"]


def repeated_by(body: str) -> str | None:
    found = re.search(r"^  (count|for_each) *=", body, re.MULTILINE)
    return found[1] if found else None


def type_lines(body: str) -> list[str]:
    """The lines of a variable's type; an object may get further attributes, which are optional."""
    found = re.search(r"^  type *= (\S.*?)(?=^  \w|\Z)", body, re.DOTALL | re.MULTILINE)
    assert found, body
    return [re.sub(r"\s+", " ", line).strip() for line in found[1].splitlines() if line.strip()]
