"""Good stack files, and where they come from."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from gridbyoc.errors import StackError
from gridbyoc.stack.document import read_document
from gridbyoc.stack.findings import Findings
from gridbyoc.stack.load import check_siblings, load, read
from gridbyoc.stack.model import (
    Aws,
    ClusterSpec,
    ControlPlane,
    InstanceType,
    LocalBackend,
    ModuleSource,
    PolicyStatement,
    Role,
    S3Backend,
    Stack,
    TerraformSettings,
)
from tests.unit.stack_helpers import CLUSTERS, HEAD, NOWHERE, loaded, problems_of, stack_of

WHOLE = """\
version: 1
name: ml-prod
aws: {region: us-west-2, profile: platform-admin, account_id: "012345678901"}
role:
  name: grid-ml-prod
  path: /platform/
  permissions_boundary: arn:aws:iam::012345678901:policy/boundary
  max_session_hours: 4
  trusted_account_id: "111111111111"
  rotation: "1"
  trusted_principals: [arn:aws:iam::012345678901:role/a/b]
  trusted_principals_without_external_id: [arn:aws:iam::012345678901:user/u]
  managed_policies: [AmazonS3FullAccess, job-function/ViewOnlyAccess, "arn:aws:iam::aws:policy/AmazonVPCFullAccess"]
  statements: [{sid: A, effect: Deny, actions: ["s3:*"], resources: ["arn:aws:s3:::x/*"]}, {actions: ["*"]}]
  tags: {team: ml, Größe: ""}
clusters:
  - name: ml-prod
    performance_profile: cost-saving
    instance_types: [t2.medium, {name: g4dn.xlarge, overprovisioned_ondemand_count: 3, root_volume_size: 200}]
  - name: "1"
control_plane: {type: grid, url: "https://grid.example.com/"}
terraform:
  backend: {s3: {bucket: acme-tf-state, key: a/b.tfstate, encrypt: true, profile: p}}
  aws_provider_version: ">= 5.0, < 7.0"
"""


def test_the_whole_file() -> None:
    assert stack_of(WHOLE) == Stack(
        name="ml-prod",
        aws=Aws("us-west-2", "platform-admin", "012345678901"),
        role=Role(
            name="grid-ml-prod",
            path="/platform/",
            permissions_boundary="arn:aws:iam::012345678901:policy/boundary",
            max_session_hours=4,
            trusted_account_id="111111111111",
            rotation="1",
            trusted_principals=("arn:aws:iam::012345678901:role/a/b",),
            trusted_principals_without_external_id=("arn:aws:iam::012345678901:user/u",),
            managed_policies=(
                "AmazonS3FullAccess",
                "job-function/ViewOnlyAccess",
                "arn:aws:iam::aws:policy/AmazonVPCFullAccess",
            ),
            statements=(
                PolicyStatement(("s3:*",), ("arn:aws:s3:::x/*",), "Deny", "A"),
                PolicyStatement(("*",)),
            ),
            tags={"team": "ml", "Größe": ""},
        ),
        clusters=(
            ClusterSpec("ml-prod", (InstanceType("t2.medium"), InstanceType("g4dn.xlarge", 3, 200)), "cost-saving"),
            ClusterSpec("1"),
        ),
        control_plane=ControlPlane("grid", "https://grid.example.com"),
        terraform=TerraformSettings(
            S3Backend("acme-tf-state", "a/b.tfstate", "us-west-2", "p", True), None, ">= 5.0, < 7.0"
        ),
    )


def test_the_least_file() -> None:
    stack = stack_of(HEAD + CLUSTERS)
    assert stack.aws == Aws("us-east-1")
    assert stack.role == Role()
    assert stack.clusters == (ClusterSpec("ml"),)
    assert stack.terraform.backend == LocalBackend()


def test_empty_lists_say_none_and_absent_ones_say_default() -> None:
    role = stack_of(HEAD + CLUSTERS + "role: {managed_policies: [], statements: []}\n").role
    assert (role.managed_policies, role.statements) == ((), ())
    assert stack_of(HEAD + CLUSTERS).role.managed_policies is None


def test_sections_that_are_left_empty_count_as_absent() -> None:
    empty = "aws:\nrole:\n  tags:\n  statements:\ncontrol_plane:\nterraform:\n  backend:\n  module:\n"
    assert stack_of(HEAD + CLUSTERS + empty) == stack_of(HEAD + CLUSTERS)
    assert stack_of(HEAD + CLUSTERS + "terraform: {backend: {local: }}\n").terraform.backend == LocalBackend()


def test_json_is_yaml() -> None:
    data = {"version": 1, "name": "ml", "clusters": [{"name": "ml", "instance_types": ["t2.medium"]}]}
    assert stack_of(json.dumps(data, indent="\t")).clusters[0].instance_types == (InstanceType("t2.medium"),)


def test_words_that_older_yaml_took_for_booleans_are_text() -> None:
    stack = stack_of("version: 1\nname: no\nrole: {tags: {on: yes, off: n, year: 2026-11-23}}\n" + CLUSTERS)
    assert stack.name == "no"
    assert stack.role.tags == {"on": "yes", "off": "n", "year": "2026-11-23"}


def test_a_yaml_1_1_directive_changes_nothing() -> None:
    assert stack_of("%YAML 1.1\n---\nversion: 1\nname: no\n" + CLUSTERS).name == "no"


def test_anchors_and_merges() -> None:
    text = """\
version: 1
name: ml
clusters:
  - &first {name: a, performance_profile: default, instance_types: &types [t2.medium]}
  - {<<: *first, name: b}
  - {name: c, <<: [*first, {performance_profile: cost-saving}], instance_types: *types}
"""
    types = (InstanceType("t2.medium"),)
    assert stack_of(text).clusters == tuple(ClusterSpec(name, types, "default") for name in "abc")


def test_byte_order_mark_and_carriage_returns() -> None:
    assert stack_of("\ufeff" + (HEAD + CLUSTERS).replace("\n", "\r\n")).name == "ml"


def test_whole_floats_are_whole_numbers() -> None:
    text = HEAD + "clusters: [{name: ml, instance_types: [{name: t2.large, root_volume_size: 2e2}]}]\n"
    size = stack_of(text).clusters[0].instance_types[0].root_volume_size
    assert (size, type(size)) == (200, int)


def test_lightning_takes_organizations() -> None:
    stack = stack_of(HEAD + "clusters: [{name: ml-prod}]\ncontrol_plane: {type: lightning, org_id: o}\n")
    assert (stack.clusters[0].name, stack.control_plane.org_id) == ("ml-prod", "o")


def test_inputs_of_another_module_keep_their_types() -> None:
    text = "terraform: {module: {source: a/b/c, version: '1.0', inputs: {a: null, b: [1, 1.5, {c: yes}], d: .inf}}}\n"
    module = stack_of(HEAD + CLUSTERS + text).terraform.module
    assert module == ModuleSource("a/b/c", "1.0", {"a": None, "b": [1, 1.5, {"c": "yes"}], "d": ".inf"})


@pytest.mark.parametrize(
    "source, version",
    [
        ("gridai/gridbyoc/aws", "~> 0.1"),
        ("registry.example.com/a/b/c", "1.0.0"),
        ("a/b/c//modules/x", "= 1.0"),
        ("git::ssh://git@example.com/x.git?ref=v1", None),
        ("github.com/a/b", None),
        ("https://example.com/module.zip", None),
    ],
)
def test_module_sources(source: str, version: str | None) -> None:
    written = f"terraform: {{module: {{source: '{source}'" + (f", version: '{version}'}}}}" if version else "}}")
    assert stack_of(HEAD + CLUSTERS + written).terraform.module == ModuleSource(source, version)


def test_beside_another_module_tags_and_the_trusted_account_may_stand() -> None:
    text = (
        HEAD + CLUSTERS + 'role: {tags: {a: b}, trusted_account_id: "111111111111"}\nterraform: {module: {source: /}}\n'
    )
    assert stack_of(text).role.tags == {"a": "b"}


def test_an_old_provider_is_the_other_modules_affair() -> None:
    text = HEAD + CLUSTERS + 'terraform: {aws_provider_version: "~> 3.0", module: {source: /}}\n'
    assert stack_of(text).terraform.aws_provider_version == "~> 3.0"


@pytest.mark.parametrize("region, partition", [("cn-north-1", "aws-cn"), ("eusc-de-east-1", "aws-eusc")])
def test_other_partitions(region: str, partition: str) -> None:
    boundary = f"arn:{partition}:iam::123456789012:policy/x"
    text = f"aws: {{region: {region}}}\nrole: {{permissions_boundary: '{boundary}'}}\n"
    assert stack_of(HEAD + CLUSTERS + text).role.permissions_boundary == boundary


def test_paths_are_relative_to_the_stack_file(tmp_path: Path) -> None:
    for directory in ("stacks", "mirror", "home/module/inner"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "ca.pem").write_text("x")
    (tmp_path / "stacks/id").write_text("from-a-file\n")
    file = tmp_path / "stacks/a.yaml"
    text = HEAD + CLUSTERS + "control_plane: {ca_bundle: ../ca.pem}\nterraform:\n  provider_mirror: ../mirror\n"
    file.write_text(text + "  module: {source: ~/module//inner}\n")
    stack = load(Path("stacks/a.yaml"), environ={}, cwd=tmp_path, home=tmp_path / "home")
    assert stack.control_plane.ca_bundle == tmp_path / "ca.pem"
    assert stack.terraform.provider_mirror == tmp_path / "mirror"
    assert stack.terraform.module == ModuleSource(f"{tmp_path}/home/module//inner")
    assert stack.file == file
    assert stack.work_dir() == tmp_path / "stacks/.gridbyoc/ml"


def test_paths_on_standard_input_are_relative_to_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    text = HEAD + CLUSTERS + "terraform: {module: {source: ./m}}\n"
    stack = stack_of(text, cwd=tmp_path)
    assert stack.terraform.module == ModuleSource(str(tmp_path / "m"))
    assert stack.file is None


def test_standard_input_as_a_stream() -> None:
    stream = io.TextIOWrapper(io.BytesIO((HEAD + CLUSTERS).encode()), encoding="ascii")
    assert load("-", environ={}, stdin=stream).name == "ml"
    assert load("-", environ={}, stdin=io.StringIO(HEAD + CLUSTERS)).name == "ml"
    closed = io.StringIO()
    closed.close()
    for stdin, words in ((closed, "cannot be read"), (None, "is empty")):
        with pytest.raises(StackError) as caught:
            load("-", environ={}, stdin=stdin)
        assert words in str(caught.value.problems[0])


def test_missing_files_suggest_new(tmp_path: Path) -> None:
    for name, words in (("gridbyoc.yaml", "`gridbyoc new` writes"), ("a/b.yaml", "`gridbyoc new a/b.yaml` writes")):
        with pytest.raises(StackError) as caught:
            load(name, environ={}, cwd=tmp_path)
        (problem,) = caught.value.problems
        assert (problem.file, problem.line) == (name, None)
        assert words in problem.hint


@pytest.mark.parametrize(
    "name, words", [("dir", "is a directory"), ("file/x", "cannot be read"), ("a\0b", "not a path")]
)
def test_what_is_no_file(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError) as caught:
        load(name, environ={}, cwd=tmp_path)
    assert words in caught.value.problems[0].message


def test_a_pipe_is_a_file(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, (HEAD + CLUSTERS).encode())
    os.close(writing)
    try:
        assert load(f"/dev/fd/{reading}", environ={}, cwd=tmp_path).name == "ml"
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    "text, path, words",
    [
        ("control_plane: {url: 'http://grid.example.com'}", "control_plane.url", "unencrypted"),
        ("terraform: {backend: {s3: {bucket: abc, key: k, encrypt: false}}}", "terraform.backend.s3.encrypt", "state"),
        ("terraform: {backend: {s3: {bucket: abc, key: k, dynamodb_table: abc}}}", None, "deprecated"),
        ("role: {rotation: a, external_id_from: {file: id}}", "role.rotation", "no effect"),
    ],
)
def test_warnings(tmp_path: Path, text: str, path: str | None, words: str) -> None:
    (tmp_path / "id").write_text("an-external-id")
    (warning,) = loaded(HEAD + CLUSTERS + text, cwd=tmp_path).warnings
    assert words in warning.message
    assert path in (None, warning.path)
    assert warning.line == 4


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1", "https://grid.example.com"]
)
def test_no_warning_for_this_machine_and_for_https(url: str) -> None:
    assert loaded(HEAD + CLUSTERS + f"control_plane: {{url: '{url}'}}").warnings == ()


def test_a_sibling_of_the_same_name_is_worth_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD + CLUSTERS)
    (tmp_path / "b.yml").write_text('version: 1 # x\nname: "ml"\r\n')
    (tmp_path / "link.yaml").symlink_to("a.yaml")
    (tmp_path / "values.yaml").write_text("name: ml\n")
    (tmp_path / "other.yaml").write_text("version: 1\nname: other\n" + CLUSTERS)
    (tmp_path / "dir.yaml").mkdir()
    (tmp_path / "unreadable.yaml").symlink_to("/proc/self/mem")
    (warning,) = read("a.yaml", environ={}, cwd=tmp_path).warnings
    assert "`b.yml` has the same stack name: both would use the work_dir `.gridbyoc/ml`" in warning.message
    assert read("other.yaml", environ={}, cwd=tmp_path).warnings == ()


def test_siblings_that_have_one_name_from_a_base_are_worth_a_warning_and_the_base_is_none(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("version: 1\nname: ml\n")
    (tmp_path / "a.yaml").write_text("extends: base.yaml\n" + CLUSTERS)
    assert read("a.yaml", environ={}, cwd=tmp_path).warnings == ()
    (tmp_path / "b.yaml").write_text("extends: base.yaml\n" + CLUSTERS)
    (tmp_path / "c.yaml").write_text("extends: base.yaml\nname: c\n" + CLUSTERS)
    (warning,) = read("a.yaml", environ={}, cwd=tmp_path).warnings
    assert warning.message.startswith("`b.yaml` has the same stack name")
    assert read("c.yaml", environ={}, cwd=tmp_path).warnings == ()


def test_siblings_in_a_directory_that_is_gone() -> None:
    findings = Findings(read_document(HEAD, "x"))
    check_siblings(findings, NOWHERE / "a.yaml")
    assert findings.warnings == []


MRK = "mrk-" + "a" * 32
KEY_ID = "1234abcd-12ab-44cd-96ef-1234567890ab"


@pytest.mark.parametrize(
    "key",
    [
        *(f"arn:aws:kms:us-east-1:210987654321:{name}" for name in (f"key/{MRK}", f"key/{KEY_ID}", "alias/a/b_c-d")),
        "alias/state", MRK, KEY_ID,
    ],
)  # fmt: skip
def test_kms_keys(key: str) -> None:
    text = f"terraform: {{backend: {{s3: {{bucket: abc, key: k, kms_key_id: '{key}'}}}}}}\n"
    assert not problems_of(HEAD + CLUSTERS + text)
