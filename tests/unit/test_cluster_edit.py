"""An edited spec over the spec as it was read, and the change in the stack file's own text."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.control_plane.edit import edited_spec, hidden_fields, spec_text
from gridbyoc.control_plane.model import Cleaner
from gridbyoc.control_plane.parse import cluster as parsed
from gridbyoc.errors import ControlPlaneError, FileError, UnsupportedByDialectError, UsageError
from gridbyoc.operations.clusters import (
    Draft,
    cost_after,
    file_change,
    open_draft,
    spec_after,
    spec_named,
    unchanged_since,
)
from gridbyoc.stack.edit import entry_text, type_data
from gridbyoc.stack.load import load
from gridbyoc.stack.model import ClusterSpec, InstanceType, Stack
from tests.unit.fakes import GRANT, ROLE, MemoryRegistrar, stack

CANARY = GRANT.external_id.reveal()
GRID: dict[str, Any] = {
    "clusterType": "CLUSTER_TYPE_BYOC",
    "costFactor": 1.5,
    "desiredState": "CLUSTER_STATE_RUNNING",
    "driver": {
        "kubernetes": {
            "aws": {
                "bucketName": "b",
                "externalId": CANARY,
                "futureAws": {"deep": [1, {"er": None}]},
                "instanceTypes": [
                    {"name": "t2.medium", "futureType": True},
                    {"name": "p2.xlarge", "rootVolumeSize": 200},
                ],
                "region": "us-east-1",
                "roleArn": ROLE,
            },
            "futureKubernetes": "x",
            "gridletResources": {"cpuLimits": "1", "futureLimits": "2"},
            "kubeconfig": {"kubeconfig": CANARY},
            "logService": {"password": "not for an editor"},
        }
    },
    "futureTop": {"a": {"b": "c"}},
    "performanceProfile": "CLUSTER_PERFORMANCE_PROFILE_DEFAULT",
    "userId": "user-1",
}
LIGHTNING: dict[str, Any] = {
    "availableAccelerators": ["t2.medium", "H100"],
    "awsV1": {"externalId": CANARY, "primaryRegion": "us-east-1", "regions": ["us-east-1"], "roleArn": ROLE, "new": 1},
    "driver": "AWS",
    "futureTop": [1],
    "overprovisioning": [
        {"instanceType": "t2.medium", "isSpot": True, "minimumCount": 1, "futureType": "spot"},
        {"instanceType": "t2.medium", "isSpot": False, "minimumCount": 2, "futureType": "on demand"},
    ],
}
AWS = ("driver", "kubernetes", "aws")


def edited(spec: dict[str, Any], *path: str | int, to: Any) -> str:
    """The text with one value set, by its snake_case path."""
    whole = json.loads(spec_text(spec))
    *parents, last = path
    place = whole
    for step in parents:
        place = place[step]
    place[last] = to
    return json.dumps(whole)


def with_value(spec: dict[str, Any], *path: str | int, to: Any) -> dict[str, Any]:
    """The spec itself with one value set."""
    whole = copy.deepcopy(spec)
    *parents, last = path
    place: Any = whole
    for step in parents:
        place = place[step]
    place[last] = to
    return whole


@pytest.mark.parametrize("spec", [GRID, LIGHTNING])
def test_unedited_it_is_the_spec_that_was_read(spec: dict[str, Any]) -> None:
    text = spec_text(spec)
    assert CANARY not in text
    assert "not for an editor" not in text
    assert "future" not in text
    back = edited_spec(text, spec)
    assert (back.body, back.changes) == (spec, ())
    assert edited_spec(json.dumps(json.loads(text), sort_keys=True), spec).body == spec


def test_what_is_not_shown_is_named_by_its_place() -> None:
    assert set(hidden_fields(GRID)) == {
        "futureTop", "driver.kubernetes.futureKubernetes", "driver.kubernetes.logService",
        "driver.kubernetes.aws.futureAws", "driver.kubernetes.aws.instanceTypes[].futureType",
        "driver.kubernetes.gridletResources.futureLimits",
    }  # fmt: skip
    assert set(hidden_fields(LIGHTNING)) == {"futureTop", "awsV1.new", "overprovisioning[].futureType"}


def test_what_is_not_known_survives_a_change_beside_it() -> None:
    kubernetes = ("driver", "kubernetes")
    text = edited(GRID, *kubernetes, "gridlet_resources", "cpu_limits", to="4")
    assert edited_spec(text, GRID).body == with_value(GRID, *kubernetes, "gridletResources", "cpuLimits", to="4")
    text = edited(GRID, *AWS, "instance_types", 0, "root_volume_size", to=50)
    back = edited_spec(text, GRID)
    assert back.body == with_value(GRID, *AWS, "instanceTypes", 0, "rootVolumeSize", to=50)
    where = "driver.kubernetes.aws.instance_types[t2.medium].root_volume_size"
    assert [(change.field, change.before, change.after) for change in back.changes] == [(where, "(absent)", "50")]


def test_list_items_are_told_apart_by_name_and_place_not_by_position() -> None:
    shown = json.loads(spec_text(GRID))["driver"]["kubernetes"]["aws"]["instance_types"]
    text = edited(GRID, *AWS, "instance_types", to=[{"name": "t3.large"}, shown[1], shown[0]])
    types = edited_spec(text, GRID).body["driver"]["kubernetes"]["aws"]["instanceTypes"]
    before = GRID["driver"]["kubernetes"]["aws"]["instanceTypes"]
    assert types == [{"name": "t3.large"}, before[1], before[0]]
    on_demand, spot = reversed(json.loads(spec_text(LIGHTNING))["overprovisioning"])
    back = edited_spec(edited(LIGHTNING, "overprovisioning", to=[{**on_demand, "minimum_count": 5}, spot]), LIGHTNING)
    assert [(item["futureType"], item["minimumCount"]) for item in back.body["overprovisioning"]] == [
        ("on demand", 5), ("spot", 1),
    ]  # fmt: skip
    assert len(back.changes) >= 1
    moved = edited(LIGHTNING, "overprovisioning", 1, "region", to="us-east-1")
    assert edited_spec(moved, LIGHTNING).body["overprovisioning"][1]["futureType"] == "on demand"


def test_the_same_in_another_order_is_no_change() -> None:
    shown = json.loads(spec_text(GRID))["driver"]["kubernetes"]["aws"]["instance_types"]
    assert edited_spec(edited(GRID, *AWS, "instance_types", to=shown[::-1]), GRID).changes == ()


def test_a_field_is_emptied_and_a_spelling_of_the_servers_is_kept() -> None:
    gone = edited_spec(edited(GRID, "cost_factor", to=None), GRID).body
    assert gone == {key: value for key, value in GRID.items() if key != "costFactor"}
    snaked = {**GRID, "pause_automation": False}
    assert edited_spec(edited(snaked, "pause_automation", to=True), snaked).body == {**GRID, "pause_automation": True}


@pytest.mark.parametrize(
    "spec, path, value, words",
    [
        (GRID, (*AWS, "role_arn"), ROLE + "-other", "role_arn cannot be changed"),
        (GRID, (*AWS, "role_arn"), None, "role_arn cannot be changed"),
        (GRID, (*AWS, "external_id"), "another", "external_id cannot be changed"),
        (GRID, (*AWS, "region"), "eu-west-1", "region cannot be changed"),
        (GRID, (*AWS, "bucket_name"), "c", "bucket_name cannot be changed"),
        (GRID, ("driver",), None, "driver.kubernetes.aws.bucket_name cannot be changed"),
        (GRID, ("desired_state",), "CLUSTER_STATE_DELETED", "desired_state cannot be changed"),
        (GRID, ("user_id",), "user-2", "user_id cannot be changed"),
        (LIGHTNING, ("aws_v1", "primary_region"), "eu-west-1", "primary_region cannot be changed"),
        (LIGHTNING, ("aws_v1", "regions"), ["eu-west-1"], r"regions\[us-east-1\] cannot be changed"),
        (LIGHTNING, ("aws_v1", "role_arn"), "x", "role_arn cannot be changed"),
        (LIGHTNING, ("driver",), "GCP", "driver cannot be changed"),
        (GRID, (*AWS, "instance_typs"), [], "instance_typs is not a field"),
        (GRID, (*AWS, "futureAws"), {}, "futureAws is not a field"),
        (GRID, (*AWS, "instance_types"), {}, "instance_types must be a list"),
        (GRID, (*AWS, "instance_types"), [None], r"instance_types\[0\] must be an object"),
        (GRID, (*AWS, "instance_types"), [{"root_volume_size": 5}], "has no name"),
        (GRID, (*AWS, "instance_types"), [{"name": "t2.large"}] * 2, "appears twice"),
        (GRID, (*AWS, "instance_types", 0, "root_volume_size"), -1, "root_volume_size must be 0 or more"),
        (GRID, (*AWS, "instance_types", 0, "root_volume_size"), "5", "must be a whole number"),
        (GRID, ("performance_profile",), "cost-saving", "performance_profile must be CLUSTER_PERFORMANCE_PROFILE_"),
    ],
)  # fmt: skip
def test_what_an_edit_may_not_change(spec: dict[str, Any], path: tuple[str, ...], value: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        edited_spec(edited(spec, *path, to=value), spec)
    assert "Nothing was created or changed" in caught.value.rerun
    assert CANARY not in f"{caught.value.what} {caught.value.why} {caught.value.fix}"


def test_role_and_external_id_are_bootstraps_and_rotates() -> None:
    with pytest.raises(UsageError) as caught:
        edited_spec(edited(GRID, *AWS, "external_id", to="another"), GRID)
    assert "gridbyoc bootstrap" in caught.value.fix
    assert "gridbyoc rotate" in caught.value.fix


def test_only_new_instance_types_keep_our_rules() -> None:
    assert edited_spec(edited(LIGHTNING, "pause_automation", to=True), LIGHTNING).body["pauseAutomation"] is True
    with pytest.raises(UnsupportedByDialectError, match=r"m7g\.large"):
        edited_spec(edited(LIGHTNING, "available_accelerators", to=["t2.medium", "m7g.large"]), LIGHTNING)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
PLACES: list[tuple[str | int, ...]] = [
    (), ("driver",), AWS[:2], AWS, (*AWS, "instanceTypes", 0), ("driver", "kubernetes", "gridletResources"),
]  # fmt: skip


@given(st.sampled_from(PLACES), JSON, st.integers(1, 900))
def test_whatever_else_a_spec_holds_comes_back(place: tuple[str | int, ...], planted: Any, size: int) -> None:
    before = with_value(GRID, *place, "zzFuture", to=planted)
    text = edited(before, *AWS, "instance_types", 0, "root_volume_size", to=size)
    assert edited_spec(text, before).body == with_value(before, *AWS, "instanceTypes", 0, "rootVolumeSize", to=size)


# What is read anew, and what it costs.


def live(spec: dict[str, Any], name: str = "ml") -> Any:
    raw = {"id": f"id-{name}", "name": name, "spec": spec, "status": {"phase": "CLUSTER_STATE_RUNNING"}}
    return parsed(raw, Cleaner())


def test_a_cluster_that_was_changed_meanwhile_is_not_overwritten() -> None:
    registrar = MemoryRegistrar({"ml": live(GRID)})
    draft = open_draft(registrar, "id-ml", "grid")
    assert unchanged_since(registrar, draft) == draft.cluster
    registrar.clusters["ml"] = live({**GRID, "costFactor": 2})
    with pytest.raises(ControlPlaneError, match="was changed at the control plane") as caught:
        unchanged_since(registrar, draft)
    assert "cost_factor" in caught.value.why
    registrar.clusters["ml"] = live({**GRID, "futureTop": {"a": {"b": "other"}}})
    with pytest.raises(ControlPlaneError) as caught:
        unchanged_since(registrar, draft)
    assert "future_top.a.b" in caught.value.why


@pytest.mark.parametrize(
    "spec, dialect, words",
    [
        (LIGHTNING, "grid", "other dialect"),
        (GRID, "lightning", "other dialect"),
        ({**GRID, "desiredState": "CLUSTER_STATE_DELETED"}, "grid", "is being deleted"),
        ({"clusterType": "CLUSTER_TYPE_GLOBAL"}, "grid", "it does not run in an AWS account of yours"),
    ],
)
def test_clusters_that_cannot_be_edited(spec: dict[str, Any], dialect: Any, words: str) -> None:
    with pytest.raises(ControlPlaneError, match=words):
        open_draft(MemoryRegistrar({"ml": live(spec)}), "id-ml", dialect)


def test_the_standing_cost_is_told_where_it_changes() -> None:
    draft = Draft(live(GRID), spec_text(GRID), ())
    saving = draft.edited(edited(GRID, "performance_profile", to="CLUSTER_PERFORMANCE_PROFILE_COST_SAVING"))
    assert "$10 a day" in (cost_after(draft.cluster, draft.after(saving), "grid") or "")
    assert cost_after(draft.cluster, draft.cluster, "grid") is None


def test_the_nearest_cluster_of_the_file_is_named() -> None:
    demo = stack(ClusterSpec("ml-prod"), ClusterSpec("ml-test"))
    assert spec_named(demo, "ml-test").name == "ml-test"
    with pytest.raises(UsageError, match="no cluster named 'ml-prd'") as caught:
        spec_named(demo, "ml-prd")
    assert "Did you mean `ml-prod`?" in caught.value.fix
    with pytest.raises(UsageError) as caught:
        spec_named(demo, "x")
    assert "`ml-prod` or `ml-test`" in caught.value.why


# The stack file.

FILE = """\
# the production stack
version: 1
name: demo   # as in the wiki
aws: {region: us-east-1}
clusters:
  - name: other
    instance_types: [t2.medium]
  - name: ml
    # only what the team asked for
    instance_types:
      - t2.medium   # small
      # the GPU ones
      - {name: g4dn.xlarge, overprovisioned_ondemand_count: 3}  # booked
      - name: p3.2xlarge
        root_volume_size: 200  # for the data set

# where it is registered
control_plane: {type: grid}
"""
T2, G4, P3 = InstanceType("t2.medium"), InstanceType("g4dn.xlarge", 3), InstanceType("p3.2xlarge", 0, 200)


def read(text: str) -> Stack:
    return load("-", stdin=text, environ={}, cwd=Path("/"))


def spec(*types: InstanceType, profile: Any = None) -> ClusterSpec:
    return ClusterSpec("ml", types, profile)


def test_saying_the_same_changes_nothing() -> None:
    assert entry_text(FILE, 1, spec(T2, G4, P3)) == FILE


@pytest.mark.parametrize(
    "wanted, old, new",
    [
        (spec(T2, G4, P3, profile="default"), "  - name: ml\n", "  - name: ml\n    performance_profile: default\n"),
        (spec(InstanceType("t2.medium", 1), G4, P3), "- t2.medium   # small",
         "- {name: t2.medium, overprovisioned_ondemand_count: 1}   # small"),
        (spec(T2, InstanceType("g4dn.xlarge", 4), P3), "overprovisioned_ondemand_count: 3",
         "overprovisioned_ondemand_count: 4"),
        (spec(T2, InstanceType("g4dn.xlarge"), P3), "{name: g4dn.xlarge, overprovisioned_ondemand_count: 3}",
         "g4dn.xlarge"),
        (spec(T2, G4, InstanceType("p3.2xlarge", 0, 300)), "root_volume_size: 200", "root_volume_size: 300"),
        (spec(T2, G4, InstanceType("p3.2xlarge", 2, 200)), "# for the data set\n",
         "# for the data set\n        overprovisioned_ondemand_count: 2\n"),
        (spec(T2, G4, InstanceType("p3.2xlarge", 2)), "        root_volume_size: 200  # for the data set\n",
         "        overprovisioned_ondemand_count: 2\n"),
        (spec(T2, G4, InstanceType("p3.2xlarge")), "name: p3.2xlarge\n        root_volume_size: 200", "p3.2xlarge"),
        (spec(G4, P3), "      - t2.medium   # small\n", ""),
        (spec(T2, G4), "      - name: p3.2xlarge\n        root_volume_size: 200  # for the data set\n", ""),
        (spec(T2, G4, P3, InstanceType("m5.large"), InstanceType("m5.xlarge", 1)), "# for the data set\n",
         "# for the data set\n      - m5.large\n      - {name: m5.xlarge, overprovisioned_ondemand_count: 1}\n"),
        (spec(InstanceType("m5.large")), FILE[FILE.index("- t2.medium  "):FILE.index("  # for the data set")],
         "[m5.large]"),
    ],
)  # fmt: skip
def test_only_what_is_changed_changes(wanted: ClusterSpec, old: str, new: str) -> None:
    changed = entry_text(FILE, 1, wanted)
    assert changed == FILE.replace(old, new)
    assert read(changed).clusters == (read(FILE).clusters[0], wanted)


def test_taking_the_list_out_and_putting_one_in() -> None:
    without = entry_text(FILE, 1, spec())
    assert read(without).clusters[1] == spec()
    assert "# where it is registered" in without
    again = entry_text(without, 1, spec(T2, G4, profile="cost-saving"))
    assert again.count("\n    performance_profile: cost-saving\n    instance_types:\n      - t2.medium\n") == 1
    assert read(again).clusters[1] == spec(T2, G4, profile="cost-saving")
    row = "version: 1\nname: a\nclusters: [{name: ml}]  # one\n"
    changed = entry_text(row, 0, spec(T2, profile="default"))
    assert changed == row.replace("{name: ml}", "{name: ml, performance_profile: default, instance_types: [t2.medium]}")
    assert entry_text(changed, 0, spec()) == row


def test_line_ends_and_a_missing_last_one_are_kept() -> None:
    windows = FILE.replace("\n", "\r\n")
    changed = entry_text(windows, 1, spec(T2, G4, P3, InstanceType("m5.large")))
    assert changed == windows.replace("data set\r\n", "data set\r\n      - m5.large\r\n")
    cut = "version: 1\nname: a\nclusters:\n  - name: ml"
    assert entry_text(cut, 0, spec(profile="default")) == cut + "\n    performance_profile: default"


@pytest.mark.parametrize("text", ["a: 1\n", "clusters: [x]\n", "clusters: {}\n", "[]\n"])
def test_a_text_without_the_entry_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a mapping"):
        entry_text(text, 0, spec(T2))


NAMES = ["t2.medium", "t2.large", "g4dn.xlarge", "p3.2xlarge", "m5.large"]
TYPES = st.lists(
    st.builds(InstanceType, st.sampled_from(NAMES), st.integers(0, 3), st.none() | st.integers(1, 500)),
    unique_by=lambda item: item.name, max_size=5,
)  # fmt: skip
PROFILE = st.sampled_from([None, "default", "cost-saving"])


def written(types: list[InstanceType], profile: str | None, style: str) -> str:
    """A stack file with one cluster before ``ml``, in one of the ways that people write them."""
    items = [json.dumps(item).replace('"', "") for item in type_data(types)]
    head = "version: 1\nname: a\nclusters:\n  # first\n  - {name: one, instance_types: [t2.nano]}\n"
    if style == "row":
        pairs = ["name: ml", *([f"performance_profile: {profile}"] if profile else [])]
        pairs += [f"instance_types: [{', '.join(items)}]"] if items else []
        return head + f"  - {{{', '.join(pairs)}}}  # second\n"
    text = head + "  # second\n  - name: ml  # its name\n"
    text += f"    performance_profile: {profile}  # cheap\n" if profile else ""
    if items and style == "list":
        text += f"    instance_types: [{', '.join(items)}]  # all\n"
    elif items:
        text += "    instance_types:  # all\n" + "".join(
            f"      # {n}\n      - {i}  # it\n" for n, i in enumerate(items)
        )
    return text + "# end\naws: {region: us-east-1}\n"


@given(TYPES, PROFILE, TYPES, PROFILE, st.sampled_from(["row", "list", "block"]))
def test_whatever_is_asked_for_is_what_the_file_says_then(
    types: list[InstanceType], profile: Any, wanted: list[InstanceType], other: Any, style: str
) -> None:
    text = written(types, profile, style)
    asked = spec(*wanted, profile=other)
    changed = entry_text(text, 1, asked)
    before, after = read(text), read(changed)
    assert {item.name: item for item in after.clusters[1].instance_types} == {item.name: item for item in wanted}
    assert after.clusters[1].performance_profile == other
    assert replace(after, clusters=before.clusters) == before
    for comment in ("# first", "# second", *(["# its name", "# end"] if style != "row" else [])):
        assert comment in changed


def test_the_edits_change_and_nothing_else_goes_into_the_file() -> None:
    before = live(GRID)
    types = (InstanceType("t2.medium"), InstanceType("p2.xlarge", 0, 200))
    assert before.instance_types == types
    told = spec(InstanceType("p2.xlarge"), InstanceType("m5.large"))

    def after(*types: InstanceType) -> ClusterSpec:
        return spec_after(told, before, replace(before, instance_types=types))

    assert after(*types) == told
    assert after(types[0], InstanceType("p2.xlarge", 2, 200)).instance_types == (
        InstanceType("p2.xlarge", 2), InstanceType("m5.large"),
    )  # fmt: skip
    assert after(types[0], InstanceType("p2.xlarge", 0, 300)).instance_types[0].root_volume_size == 300
    assert after(*types, InstanceType("t3.large", 1)).instance_types[-1] == InstanceType("t3.large", 1)
    assert after(types[0]).instance_types == (InstanceType("m5.large"),)
    assert spec_after(spec(), before, replace(before, instance_types=types[:1])).instance_types == types[:1]
    assert spec_after(told, before, replace(before, performance_profile=None)).performance_profile is None


def test_a_file_change_is_checked_by_loading_it_again(tmp_path: Path) -> None:
    file = tmp_path / "gridbyoc.yaml"
    file.write_text(FILE)
    before = live(GRID)
    after = replace(before, instance_types=(*before.instance_types, InstanceType("m5.large")))
    demo = replace(read(FILE), file=file)
    after_more = replace(after, instance_types=(*after.instance_types, InstanceType("t3.large")))
    change = file_change(demo, file, before, after, read)
    assert change.changes
    assert change.after == FILE.replace("data set\n", "data set\n      - m5.large\n")
    change.check()
    change.write()
    assert file.read_text() == change.after
    with pytest.raises(FileError, match="was changed while"):
        change.check()
    assert not file_change(replace(read(change.after), file=file), file, before, before, read).changes
    with pytest.raises(FileError, match="was changed while"):
        file_change(replace(demo, name="not-what-the-text-says"), file, before, after, read)
    now = file.read_text()
    with pytest.raises(UsageError, match="cannot be written") as caught:
        file_change(replace(read(now), file=file), file, before, after_more, lambda text: read(now))
    assert "t3.large" in caught.value.fix
    file.unlink()
    with pytest.raises(FileError, match="Cannot read"):
        change.check()
    with pytest.raises(FileError, match="was changed, but") as caught_file:
        change.write()
    assert "m5.large" in caught_file.value.fix


def test_an_entry_that_others_share_is_given_its_own(tmp_path: Path) -> None:
    text = (
        "version: 1\nname: demo\nclusters:\n- name: other\n  instance_types: &types [t2.medium]  # both\n"
        "- {name: ml, instance_types: *types}\n"
    )
    file = tmp_path / "shared.yaml"
    file.write_text(text)
    before = live(GRID)
    after = replace(before, instance_types=(*before.instance_types, InstanceType("m5.large")))
    change = file_change(replace(read(text), file=file), file, before, after, read)
    assert [len(item.instance_types) for item in read(change.after).clusters] == [1, 2]
    assert "# both" in change.after
