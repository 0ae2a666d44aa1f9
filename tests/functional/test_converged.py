"""A run that finds everything as the last one left it ends without Terraform, and never where Terraform would act.

Every attribute of every resource is changed, one at a time, behind the tool's back and in the stack file. ``pytest -s``
prints the table.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from gridbyoc.operations.converged import unchanged
from gridbyoc.operations.events import Event, StepFinished
from gridbyoc.operations.fingerprint import FORMAT, RECORD
from gridbyoc.operations.journal import JOURNAL, Journal
from gridbyoc.operations.run import Choices, Environment, Run
from gridbyoc.sandbox import Sandbox, SandboxSettings
from gridbyoc.stack.model import InstanceType, ModuleSource, PolicyStatement, Stack
from gridbyoc.stack.secret import Secret
from tests.e2e import warm_python
from tests.unit.world import World

ROLE = "grid-converged"
ACCOUNT = "123456789012"
OWN = f"arn:aws:iam::{ACCOUNT}:policy/team/{ROLE}"
EXTRA = "arn:aws:iam::aws:policy/ReadOnlyAccess"
MANAGED = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
STACK = f"""version: 1
name: conv
aws: {{region: us-east-1}}
role:
  name: {ROLE}
  path: /team/
  permissions_boundary: arn:aws:iam::{ACCOUNT}:policy/boundary
  tags: {{team: ml}}
clusters:
  - {{name: conv, performance_profile: cost-saving, instance_types: [t2.medium]}}
"""


@dataclass
class Site:
    """A stack that a real bootstrap has brought up, and the looks at it."""

    box: Sandbox
    directory: Path

    @property
    def work_dir(self) -> Path:
        return self.directory / ".gridbyoc" / "conv"

    def iam(self) -> Any:
        return boto3.client("iam", endpoint_url=self.box.aws_url, region_name="us-east-1")

    def stack(self) -> Stack:
        from gridbyoc.stack.load import read

        loaded = read(
            str(self.directory / "gridbyoc.yaml"), environ={}, stdin=sys.stdin, cwd=self.directory, home=self.directory
        )
        return loaded.stack

    def look(self, stack: Stack | None = None, **choices: Any) -> tuple[bool, str]:
        """Whether a run would end without Terraform, and in the tool's words why not."""
        said: list[Event] = []
        environ = {**self.box.env, **choices.pop("environ", {})}
        outside = Environment(environ, self.directory, said.append, time.monotonic, time.sleep)
        journal = Journal(self.work_dir / JOURNAL, lambda: datetime.now(timezone.utc), "test")
        report = unchanged(Run(stack or self.stack(), self.work_dir, outside, Choices(**choices), journal))
        details = [e.detail for e in said if isinstance(e, StepFinished) and e.step == "compare"]
        return report is not None, details[-1] if details else "not compared"

    def bootstrap(self) -> None:
        environ = {**self.box.environ(os.environ), "HOME": str(self.directory)}
        done = warm_python.completed(("bootstrap", "--yes", "--poll-interval", "0.1s"), self.directory, environ)
        assert done.returncode == 0, done.stderr

    def settle(self) -> None:
        """Wait until everything is as it was: a cluster that was changed takes its time."""
        for _ in range(100):
            if self.look()[0]:
                return
            time.sleep(0.1)
        raise AssertionError(self.look())

    def plane(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        env = self.box.env
        answer = requests.request(
            method, f"{self.box.control_plane_url}/v1/core/clusters{path}", json=body, timeout=10,
            auth=(env["GRID_USER_ID"], env["GRID_API_KEY"]),
        )  # fmt: skip
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, provider_mirror: Path) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("converged")
    (directory / "gridbyoc.yaml").write_text(STACK)
    settings = SandboxSettings(create_seconds=1.5, delete_seconds=0)
    with warm_python.warm_sandbox(settings) as box, pytest.MonkeyPatch.context() as environment:
        for name, value in box.env.items():
            environment.setenv(name, value)  # botocore reads the process's own environment
        environment.setenv("GRIDBYOC_PROVIDER_MIRROR", str(provider_mirror))
        made = Site(box, directory)
        allow_all = json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        )
        for name in ("boundary", "other-boundary"):
            made.iam().create_policy(PolicyName=name, PolicyDocument=allow_all)
        made.bootstrap()
        yield made


def instances(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every resource instance of a state by its address, as far as it is not left to chance."""
    chance = {"id", "unique_id", "policy_id", "create_date", "triggers_replace"}
    found = {}
    for resource in state["resources"]:
        for each in resource["instances"]:
            place = f"{resource.get('module')}.{resource['type']}.{resource['name']}[{each.get('index_key')}]"
            kept = {name: value for name, value in each["attributes"].items() if name not in chance}
            if "assume_role_policy" in kept:
                kept["assume_role_policy"] = re.sub(r'"sts:ExternalId":\[[^]]+\]', "", kept["assume_role_policy"])
            # A data source is read anew by every command; what depends on it alone, does not.
            needs = [need for need in each.get("dependencies", ()) if ".data." not in need]
            found[place] = {**kept, "dependencies": sorted(needs)}
    return found


def test_the_module_in_memory_leaves_the_state_that_a_real_apply_leaves(site: Site, tmp_path: Path) -> None:
    memory = World(tmp_path)
    memory.bootstrap(site.stack())
    real = json.loads((site.work_dir / "terraform.tfstate").read_text())
    theirs = instances({"resources": [each for each in real["resources"] if each["mode"] == "managed"]})
    mine = instances(json.loads((memory.work_dir(site.stack()) / "terraform.tfstate").read_text()))
    assert mine.keys() == theirs.keys()
    for place, kept in mine.items():
        assert kept == {name: theirs[place].get(name) for name in kept}, place
    assert real["outputs"].keys() == {"role_arn", "role_name", "external_id"}


Change = Callable[[Any], None]


def trust(edit: Callable[[dict[str, Any]], None]) -> Change:
    def change(iam: Any) -> None:
        document = iam.get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"]
        edit(document["Statement"][0] if isinstance(document["Statement"], list) else document["Statement"])
        iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(document))

    return change


def new_version(iam: Any) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "eks:*", "Resource": "*"}]}
    iam.create_policy_version(PolicyArn=OWN, PolicyDocument=json.dumps(document), SetAsDefault=True)


def inline(iam: Any) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=ROLE, PolicyName="extra", PolicyDocument=json.dumps(document))


def other_boundary(iam: Any) -> None:
    iam.put_role_permissions_boundary(
        RoleName=ROLE, PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/other-boundary"
    )


BOUNDARY_BACK = {"RoleName": ROLE, "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/boundary"}
TAG = {"Key": "team", "Value": "ml"}
OUT_OF_BAND: dict[str, tuple[Change, Change]] = {
    "role description": (
        lambda iam: iam.update_role(RoleName=ROLE, Description="x", MaxSessionDuration=43200),
        lambda iam: iam.update_role(RoleName=ROLE, Description=DESCRIPTION, MaxSessionDuration=43200),
    ),
    "role max_session_duration": (
        lambda iam: iam.update_role(RoleName=ROLE, Description=DESCRIPTION, MaxSessionDuration=3600),
        lambda iam: iam.update_role(RoleName=ROLE, Description=DESCRIPTION, MaxSessionDuration=43200),
    ),
    "role permissions_boundary": (other_boundary, lambda iam: iam.put_role_permissions_boundary(**BOUNDARY_BACK)),
    "role permissions_boundary taken away": (
        lambda iam: iam.delete_role_permissions_boundary(RoleName=ROLE),
        lambda iam: iam.put_role_permissions_boundary(**BOUNDARY_BACK),
    ),
    "role tag value": (
        lambda iam: iam.tag_role(RoleName=ROLE, Tags=[{"Key": "team", "Value": "x"}]),
        lambda iam: iam.tag_role(RoleName=ROLE, Tags=[TAG]),
    ),
    "role tag added": (
        lambda iam: iam.tag_role(RoleName=ROLE, Tags=[{"Key": "new", "Value": "x"}]),
        lambda iam: iam.untag_role(RoleName=ROLE, TagKeys=["new"]),
    ),
    "role tag removed": (
        lambda iam: iam.untag_role(RoleName=ROLE, TagKeys=["team"]),
        lambda iam: iam.tag_role(RoleName=ROLE, Tags=[TAG]),
    ),
    "trust effect": (
        trust(lambda s: s.update(Effect="Deny")),
        trust(lambda s: s.update(Effect="Allow")),
    ),
    "trust principal": (
        trust(lambda s: s.update(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})),
        trust(lambda s: s.update(Principal={"AWS": ["arn:aws:iam::302180240179:root"]})),
    ),
    "trust action": (
        trust(lambda s: s.update(Action=["sts:AssumeRole", "sts:TagSession"])),
        trust(lambda s: s.update(Action="sts:AssumeRole")),
    ),
    "inline policy": (inline, lambda iam: iam.delete_role_policy(RoleName=ROLE, PolicyName="extra")),
    "attachment removed": (
        lambda iam: iam.detach_role_policy(RoleName=ROLE, PolicyArn=MANAGED),
        lambda iam: iam.attach_role_policy(RoleName=ROLE, PolicyArn=MANAGED),
    ),
    "attachment of its own policy removed": (
        lambda iam: iam.detach_role_policy(RoleName=ROLE, PolicyArn=OWN),
        lambda iam: iam.attach_role_policy(RoleName=ROLE, PolicyArn=OWN),
    ),
    "attachment added": (
        lambda iam: iam.attach_role_policy(RoleName=ROLE, PolicyArn=EXTRA),
        lambda iam: iam.detach_role_policy(RoleName=ROLE, PolicyArn=EXTRA),
    ),
    "policy document": (
        new_version,
        lambda iam: (
            iam.set_default_policy_version(PolicyArn=OWN, VersionId="v1"),
            iam.delete_policy_version(PolicyArn=OWN, VersionId="v2"),
        ),
    ),
    "policy tag value": (
        lambda iam: iam.tag_policy(PolicyArn=OWN, Tags=[{"Key": "team", "Value": "x"}]),
        lambda iam: iam.tag_policy(PolicyArn=OWN, Tags=[TAG]),
    ),
    "policy tag removed": (
        lambda iam: iam.untag_policy(PolicyArn=OWN, TagKeys=["team"]),
        lambda iam: iam.tag_policy(PolicyArn=OWN, Tags=[TAG]),
    ),
}
DESCRIPTION = "Lets the control plane in account 302180240179 run clusters in this account."
ALLOW_EKS = PolicyStatement(("eks:*",))
IN_THE_FILE: dict[str, dict[str, Any]] = {
    "role.name": {"name": "other"},
    "role.name_prefix": {"name": None, "name_prefix": "other-"},
    "role.path": {"path": "/x/"},
    "role.permissions_boundary": {"permissions_boundary": None},
    "role.max_session_hours": {"max_session_hours": 3},
    "role.trusted_account_id": {"trusted_account_id": "111111111111"},
    "role.external_id_from": {"external_id": Secret("another-id")},
    "role.rotation": {"rotation": "2"},
    "role.trusted_principals": {"trusted_principals": (f"arn:aws:iam::{ACCOUNT}:role/x",)},
    "role.trusted_principals_without_external_id": {
        "trusted_principals_without_external_id": (f"arn:aws:iam::{ACCOUNT}:role/x",)
    },
    "role.managed_policies": {"managed_policies": ("AmazonS3FullAccess",)},
    "role.statements": {"statements": (ALLOW_EKS,)},
    "role.tags": {"tags": {"team": "x"}},
}


def show(kind: str, tried: list[str]) -> None:
    sys.stdout.write(f"\n{kind}: {len(tried)} tried, {len(tried)} noticed\n" + "".join(f"  {name}\n" for name in tried))


def test_after_a_good_run_nothing_has_moved(site: Site) -> None:
    assert site.look() == (True, "nothing has moved since the last run")
    assert json.loads((site.work_dir / RECORD).read_text())["format"] == FORMAT
    record = (site.work_dir / RECORD).read_text()
    state = json.loads((site.work_dir / "terraform.tfstate").read_text())
    assert state["outputs"]["external_id"]["value"] not in record
    assert oct((site.work_dir / RECORD).stat().st_mode)[-3:] == "600"


def test_every_attribute_that_is_changed_behind_our_back_is_noticed(site: Site) -> None:
    for name, (change, back) in OUT_OF_BAND.items():
        change(site.iam())
        assert site.look() == (False, "the role or its policies have changed"), name
        back(site.iam())
        assert site.look()[0], f"{name}: put back, it is as it was"
    show("behind our back", list(OUT_OF_BAND))


def test_every_attribute_that_is_changed_in_the_file_is_noticed(site: Site) -> None:
    stack = site.stack()
    cluster = stack.clusters[0]
    types = (*cluster.instance_types, InstanceType("t3.large"))
    stacks = {name: replace(stack, role=replace(stack.role, **fields)) for name, fields in IN_THE_FILE.items()} | {
        "name": replace(stack, name="other"),
        "aws.region": replace(stack, aws=replace(stack.aws, region="us-west-2")),
        "aws.account_id": replace(stack, aws=replace(stack.aws, account_id="111111111111")),
        "clusters added": replace(stack, clusters=(cluster, replace(cluster, name="more"))),
        "clusters.name": replace(stack, clusters=(replace(cluster, name="other"),)),
        "clusters.instance_types": replace(stack, clusters=(replace(cluster, instance_types=types),)),
        "clusters.performance_profile": replace(stack, clusters=(replace(cluster, performance_profile="default"),)),
        "terraform.aws_provider_version": replace(
            stack, terraform=replace(stack.terraform, aws_provider_version="5.100.0")
        ),
        "terraform.module": replace(stack, terraform=replace(stack.terraform, module=ModuleSource("x/y/z", "1.0.0"))),
    }
    for name, changed in stacks.items():
        assert not site.look(changed)[0], name
    assert site.look()[0]
    show("in the stack file", list(stacks))


def test_the_machine_s_side_is_noticed(site: Site) -> None:
    tried = []
    state = json.loads((site.work_dir / "terraform.tfstate").read_bytes())
    state["resources"][0]["instances"][0]["status"] = "tainted"
    edits = {
        ".terraform.lock.hcl": b"# edited\n",
        "terraform.tfstate": json.dumps(state).encode(),
        "terraform.tfstate, torn": b'{"version": 4, "lin',
    }
    for name, edited in edits.items():
        path = site.work_dir / name.partition(",")[0]
        before = path.read_bytes()
        path.write_bytes(edited)
        assert not site.look()[0], name
        path.write_bytes(before)
        tried.append(name)
    for name in ("errored.tfstate", ".terraform.tfstate.lock.info", "mine_override.tf", "more.auto.tfvars"):
        (site.work_dir / name).write_text("{}" if name.endswith("state") else "")
        assert not site.look()[0], name
        (site.work_dir / name).unlink()
        tried.append(name)
    for variable in ("TF_AWS_DEFAULT_TAGS_x", "AWS_S3_ENDPOINT", "AWS_IAM_ENDPOINT"):
        assert not site.look(environ={variable: "y"})[0], variable
    assert not site.look(url="http://127.0.0.1:9")[0]
    record = site.work_dir / RECORD
    kept = record.read_bytes()
    odd: list[dict[str, Any]] = [{"format": None}, {"format": 2}, {"format": 4}, {"format": "3"}, {"format": True}]
    odd += [
        {"role_arn": 5},
        {"role_arn": "x"},
        {"known": 1},
        {"known_inline": [1]},
        {"native_lock": "no"},
        {"live": None},
    ]
    first = {name: value for name, value in json.loads(kept).items() if name != "format"}
    damages = [json.dumps(first).encode()]
    damages += [json.dumps({**json.loads(kept), **fields}).encode() for fields in odd]
    for damaged in (b"", b"{}", b"[]", b"[" * 100_000, kept[:-20], *damages):
        record.write_bytes(damaged)
        assert not site.look()[0]
    record.write_bytes(kept)
    assert site.look()[0]
    show("on this machine", [*tried, "default tags of the environment", "--url", "a damaged record"])


def test_every_field_of_a_cluster_that_is_changed_is_noticed(site: Site) -> None:
    found = site.plane("GET", "/conv")
    tried = []
    for path in (("performanceProfile",), ("driver", "kubernetes", "aws", "externalId"),
                 ("driver", "kubernetes", "aws", "instanceTypes"), ("pauseAutomation",)):  # fmt: skip
        spec = json.loads(json.dumps(found["spec"]))
        holder = spec
        for key in path[:-1]:
            holder = holder[key]
        new: dict[str, Any] = {
            "performanceProfile": "CLUSTER_PERFORMANCE_PROFILE_DEFAULT", "externalId": "x" * 32,
            "instanceTypes": [{"name": "t3.large"}], "pauseAutomation": True,
        }  # fmt: skip
        holder[path[-1]] = new[path[-1]]
        site.plane("PUT", "/conv", {"name": found["id"], "spec": spec})
        assert not site.look()[0], path
        site.plane("PUT", "/conv", {"name": found["id"], "spec": found["spec"]})
        site.settle()
        tried.append(".".join(path))
    other = json.loads(json.dumps(found["spec"]))
    site.plane("POST", "", {"name": "stranger", "spec": other})
    assert not site.look()[0], "a cluster more that runs through the role"
    site.plane("DELETE", "/stranger")
    site.settle()
    show("on the control plane", [*tried, "a cluster more through this role"])


def test_an_apply_by_hand_that_changes_nothing_moves_nothing(site: Site) -> None:
    path = site.work_dir / "terraform.tfstate"
    before = path.read_bytes()
    state = json.loads(before)
    path.write_text(json.dumps({**state, "serial": state["serial"] + 1, "check_results": []}))
    assert site.look()[0]
    path.write_bytes(before)


def test_a_record_of_another_form_is_none(site: Site) -> None:
    record = site.work_dir / RECORD
    kept = json.loads(record.read_text())
    record.write_text(json.dumps({**kept, "more": 1}))
    assert site.look() == (False, "not compared")
    record.write_text(json.dumps(kept))
    assert site.look()[0]


def test_a_stack_with_files_of_somebody_s_own_always_takes_the_long_way(site: Site) -> None:
    """What they make is not known here, so that nobody would see it change."""
    for name in ("mine.tf", "mine.auto.tfvars.json", "modules/gridbyoc/mine.tf.json"):
        (site.work_dir / name).write_text("{}")
        assert site.look() == (False, "not compared"), name
        (site.work_dir / name).unlink()
    assert site.look()[0]
