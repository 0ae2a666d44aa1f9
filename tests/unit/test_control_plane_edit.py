"""The request as a text to edit, and back."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.control_plane.edit import from_text, to_text
from gridbyoc.control_plane.parse import snake
from gridbyoc.control_plane.registrar import ClusterRegistrar
from gridbyoc.errors import GridbyocError, UnsupportedByDialectError, UsageError
from gridbyoc.stack.model import ClusterSpec, InstanceType
from gridbyoc.vendors import facts_of
from tests.unit.fakes import GRANT
from tests.unit.test_control_plane_answers import CLUSTERISH, http

SPEC = ClusterSpec("ml-prod", (InstanceType("t2.medium"), InstanceType("g4dn.xlarge", 3)))
GRID = ClusterRegistrar(http(None)[0], facts_of("grid")).request(SPEC, GRANT)
LIGHTNING = ClusterRegistrar(http(None)[0], facts_of("lightning"), org_id="org-1").request(SPEC, GRANT)
CANARY = GRANT.external_id.reveal()


def edited(body: dict[str, Any], *path: str | int, to: Any) -> str:
    """The text with one value set, by its snake_case path."""
    whole = json.loads(to_text(body))
    *parents, last = path
    place = whole
    for step in parents:
        place = place[step]
    place[last] = to
    return json.dumps(whole)


AWS = ("spec", "driver", "kubernetes", "aws")


@pytest.mark.parametrize("body", [GRID, LIGHTNING])
def test_unedited_it_comes_back_as_it_was(body: dict[str, Any]) -> None:
    text = to_text(body)
    assert CANARY not in text
    assert '"external_id": "[secret]"' in text
    assert '"overprovisioned_ondemand_count": null' in text or '"minimum_count": 3' in text
    back = from_text(text, body)
    assert back.body == body
    assert back.changes == ()
    assert CANARY not in repr(back)


def test_what_was_changed_is_told_field_by_field() -> None:
    types = [{"name": "t2.medium", "root_volume_size": 50}, {"name": "m5.large"}]
    back = from_text(edited(GRID, *AWS, "instance_types", to=types), GRID)
    aws = back.body["spec"]["driver"]["kubernetes"]["aws"]
    assert aws["instanceTypes"] == [{"name": "t2.medium", "rootVolumeSize": 50}, {"name": "m5.large"}]
    where = "spec.driver.kubernetes.aws.instance_types"
    assert {(change.field, change.before, change.after) for change in back.changes} == {
        (f"{where}[t2.medium].root_volume_size", "(absent)", "50"),
        (f"{where}[g4dn.xlarge].name", "g4dn.xlarge", "(absent)"),
        (f"{where}[g4dn.xlarge].overprovisioned_ondemand_count", "3", "(absent)"),
        (f"{where}[m5.large].name", "(absent)", "m5.large"),
    }


def test_snake_case_of_an_unset_field_reaches_the_wire_in_the_apis_spelling() -> None:
    back = from_text(edited(GRID, *AWS[:3], "gridlet_resources", to={"cpu_limits": "500m"}), GRID)
    assert back.body["spec"]["driver"]["kubernetes"]["gridletResources"] == {"cpuLimits": "500m"}
    back = from_text(edited(GRID, *AWS[:3], "gridletResources", to={"cpuLimits": "500m"}), GRID)
    assert back.changes[0].field == "spec.driver.kubernetes.gridlet_resources.cpu_limits"


def test_a_new_external_id_is_taken_and_not_shown() -> None:
    back = from_text(edited(GRID, *AWS, "external_id", to="another-canary"), GRID)
    assert back.body["spec"]["driver"]["kubernetes"]["aws"]["externalId"] == "another-canary"
    assert [(change.before, change.after) for change in back.changes] == [("[secret]", "[secret]")]
    assert "another-canary" not in repr(back)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "not JSON"),
        ("{", "line 1, column 2"),
        ("[]", "not a JSON object"),
        ('{"name": "a", "name": "b"}', "name appears twice"),
        ('{"name": NaN}', "NaN is not a JSON value"),
        ('{"name": ' + "9" * 5000 + "}", "too long"),
        ("[" * 100_000, "nested too deeply"),
        (edited(GRID, *AWS, "instance_typs", to=[]), "spec.driver.kubernetes.aws.instance_typs is not a field"),
        (edited(GRID, *AWS, "roleArn", to="x"), "in two spellings"),
        (edited(GRID, *AWS, "region", to=7), "region must be a text"),
        (edited(GRID, *AWS, "fsx_enabled", to="yes"), "fsx_enabled must be true or false"),
        (edited(GRID, *AWS, "x_multi_az_count", to=True), "x_multi_az_count must be a whole number"),
        (edited(GRID, *AWS, "x_multi_az_count", to=1.5), "x_multi_az_count must be a whole number"),
        (edited(GRID, *AWS, "instance_types", to={}), "instance_types must be a list"),
        (edited(GRID, *AWS, "instance_types", to=["t3.large"]), r"instance_types\[0\] must be an object"),
        (edited(GRID, *AWS, "instance_types", 0, "nam", to="x"), r"instance_types\[0\].nam is not a field"),
        (edited(GRID, *AWS, "role_arn", to=None), "is missing"),
        (edited(GRID, *AWS, "external_id", to=None), "is missing"),
    ],
)
def test_what_cannot_be_sent(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        from_text(text, GRID)
    assert caught.value.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_the_nearest_known_field_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        from_text(edited(GRID, *AWS, "instance_typs", to=[]), GRID)
    assert "Did you mean instance_types?" in caught.value.fix
    with pytest.raises(UsageError) as caught:
        from_text(edited(LIGHTNING, "spec", "performance_profile", to="x"), LIGHTNING)
    assert "performance_profile is not a field" in caught.value.what


def test_the_rules_hold_for_an_edited_request_too() -> None:
    with pytest.raises(UnsupportedByDialectError, match="name"):
        from_text(edited(GRID, "name", to="a.b"), GRID)
    with pytest.raises(UnsupportedByDialectError, match=r"m6g\.large"):
        from_text(edited(GRID, *AWS, "instance_types", to=[{"name": "m6g.large"}]), GRID)
    with pytest.raises(UnsupportedByDialectError, match=r"t4g\.nano"):
        from_text(edited(LIGHTNING, "spec", "available_accelerators", to=["t4g.nano"]), LIGHTNING)


@given(CLUSTERISH, st.sampled_from([(), ("spec",), AWS[:2], AWS, (*AWS, "instance_types"), (*AWS, "az_skip_ids")]))
def test_whatever_is_typed_is_a_request_or_an_error_of_ours(value: Any, path: tuple[str, ...]) -> None:
    text = edited(GRID, *path, to=value) if path else json.dumps(value)
    try:
        back = from_text(text, GRID)
    except GridbyocError:
        return
    assert from_text(to_text(back.body), back.body).body == back.body


@given(st.text(max_size=60))
def test_whatever_text_is_left_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(UsageError):
        from_text(text, GRID)


def test_every_field_comes_back_from_its_snake_case_name() -> None:
    assert snake("bucketKmsKey") == "bucket_kms_key"
    assert json.loads(to_text(LIGHTNING))["spec"]["aws_v1"]["regions"] == ["us-east-1"]
