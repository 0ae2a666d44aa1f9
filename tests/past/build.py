"""Build ``tests/data/past``: stacks as the revision b86028e (0.1.0) made them, with that revision's own code.

``.venv/bin/python -m tests.past.build`` in a clone with history; it takes a minute, and what it writes is committed.
Every run makes other ids and secrets. They open a sandbox and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3

from tests.past import BUCKET, BUNDLE_KEY, BY_HAND, DATA, STACKS

REVISION = "b86028e"
ROOM = Path(__file__).parents[2]
HOME = "/home/ada/stacks"
MIRROR = "/srv/terraform/providers"
"""Where a person may have had stacks and providers: stands for the directories of the machine that built them."""

ROLE = """
role:
  name_prefix: grid-past-s3-
  path: /platform/
  permissions_boundary: arn:aws:iam::123456789012:policy/past-boundary
  max_session_hours: 4
  trusted_principals: ["arn:aws:iam::123456789012:role/past-operator"]
  tags: {team: ml, cost-center: "4711"}
"""
FILES = {
    "past-base.yaml": "aws: {region: us-east-1}\n",
    "past-local.yaml": """# The role of the first cluster.
version: 1
name: past-local
extends: [./past-base.yaml]
role: {name: grid-past-local}
clusters:
  - name: past-local
    performance_profile: cost-saving
    instance_types: [t2.medium]
""",
    "past-s3.yaml": f"""version: 1
name: past-s3
aws: {{region: us-east-1, account_id: "123456789012"}}
{ROLE.strip()}
clusters:
  - name: past-s3-a
    performance_profile: cost-saving
    instance_types: [t2.medium, {{name: g4dn.xlarge, overprovisioned_ondemand_count: 1}}]
  - name: past-s3-b
    instance_types: [t3.large]
terraform:
  backend: {{s3: {{bucket: {BUCKET}, key: gridbyoc/past-s3.tfstate, region: us-east-1}}}}
""",
    "past-granted.yaml": """version: 1
name: past-granted
aws: {region: us-east-1}
role: {name: grid-past-granted}
clusters:
  - name: past-granted
    instance_types: [t2.medium]
""",
    "past-rotating.yaml": """version: 1
name: past-rotating
aws: {region: us-east-1}
role: {name: grid-past-rotating}
clusters:
  - name: past-rotating
    instance_types: [t2.medium]
""",
    "past-replacing.yaml": """version: 1
name: past-replacing
aws: {region: us-east-1}
role: {name: grid-past-replacing-a}
clusters:
  - name: past-replacing
    instance_types: [t2.medium]
""",
}
# A terraform after whose apply the tool is killed: the role accepts a new external id, the cluster holds the old one.
KILLS = '#!/bin/sh\n"{terraform}" "$@"\nstatus=$?\ncase " $* " in *" apply "*) kill -9 $PPID;; esac\nexit $status\n'


def main() -> None:
    """Check out the revision, and run the second half of this file in a sandbox of that revision."""
    with tempfile.TemporaryDirectory(prefix="past-") as name:
        place = Path(name)
        tree, stacks, plane = place / "tree", place / "stacks", place / "plane"
        _git("worktree", "add", "--quiet", "--detach", str(tree), REVISION)
        try:
            stacks.mkdir()
            sandbox = ["sandbox", "run", "--create-seconds", "0.5", "--state", str(plane), "--"]
            environ = {**os.environ, "PYTHONPATH": str(tree), "GRIDBYOC_BUNDLE_KEY": BUNDLE_KEY}
            environ |= {"GRIDBYOC_POLL_INTERVAL": "0.2s", "GRIDBYOC_SKIP_PREFLIGHT": "1"}
            # From here: `python -m` looks into its directory first, and the revision has tests of its own.
            second = ["env", "-C", str(ROOM), sys.executable, "-m", "tests.past.build", str(stacks)]
            subprocess.run([sys.executable, "-m", "gridbyoc", *sandbox, *second], cwd=tree, env=environ, check=True)
        finally:
            _git("worktree", "remove", "--force", str(tree))
        _keep(stacks, plane / "control-plane.sqlite")


def inside(stacks: Path) -> None:
    """In the sandbox: make the stacks, and write down what AWS holds then."""
    for name, text in FILES.items():
        (stacks / name).write_text(text)
    _before_all()
    for stack in STACKS:
        _old(stacks, "bootstrap", f"{stack}.yaml", "--yes")
    for stack in ("past-local", "past-s3"):
        change = ("--set", "clusters[0].performance_profile=default", "--set", "role.max_session_hours=2")
        _old(stacks, "plan", f"{stack}.yaml", "--out", f"{stack}.bundle", *change)
    _grant(stacks)
    _rotate(stacks)
    _replace(stacks)
    (stacks / "aws.json").write_text(json.dumps(_aws(), indent=1, sort_keys=True) + "\n")


def _before_all() -> None:
    iam, s3 = _client("iam"), _client("s3")
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.create_policy(PolicyName="past-boundary", PolicyDocument=_document(allow))
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
    iam.create_role(RoleName="past-operator", AssumeRolePolicyDocument=_document(trust))
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})


def _grant(stacks: Path) -> None:
    """A policy that no stack file lists, attached by hand; the fingerprint is written beside it."""
    _client("iam").attach_role_policy(RoleName="grid-past-granted", PolicyArn=f"arn:aws:iam::aws:policy/{BY_HAND}")
    _old(stacks, "bootstrap", "past-granted.yaml", "--yes", "--refresh")


def _rotate(stacks: Path) -> None:
    """Begin a rotation of the external id, and be killed between the apply and the control plane's update."""
    program = stacks / "kills"
    program.write_text(KILLS.format(terraform=shutil.which("terraform")))
    program.chmod(0o755)
    status = _old(stacks, "rotate", "past-rotating.yaml", "--yes", status=None, GRIDBYOC_TERRAFORM_BIN=str(program))
    program.unlink()
    if status != -9:
        raise SystemExit(f"the rotation ended with {status} and was not killed")


def _replace(stacks: Path) -> None:
    """Make a new role beside the old one, whose destruction is not approved: both stand."""
    file = stacks / "past-replacing.yaml"
    file.write_text(file.read_text().replace("grid-past-replacing-a", "grid-past-replacing-b"))
    _old(stacks, "rotate", "past-replacing.yaml", "--role", "--yes")


def _old(stacks: Path, *args: str, status: int | None = 0, **env: str) -> int:
    """Run a command of the old revision (PYTHONPATH begins with it)."""
    ran = subprocess.run([sys.executable, "-m", "gridbyoc", *args], cwd=stacks, env={**os.environ, **env})
    if status is not None and ran.returncode != status:
        raise SystemExit(f"{args}: {ran.returncode}")
    return ran.returncode


def _aws() -> dict[str, Any]:
    """Roles, customer policies and the bucket, with every id and date that AWS would give out."""
    iam = _client("iam")
    roles = [_role(iam, each["RoleName"]) for each in iam.list_roles()["Roles"] if "past" in each["RoleName"]]
    policies = [_policy(iam, each["Arn"]) for each in iam.list_policies(Scope="Local")["Policies"]]
    return {"roles": roles, "policies": policies, "bucket": _bucket()}


def _role(iam: Any, name: str) -> dict[str, Any]:
    role = iam.get_role(RoleName=name)["Role"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return {
        "name": name,
        "id": role["RoleId"],
        "path": role["Path"],
        "created": role["CreateDate"].isoformat(),
        "description": role.get("Description", ""),
        "max_session": role["MaxSessionDuration"],
        "boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "trust": role["AssumeRolePolicyDocument"],
        "tags": role.get("Tags", []),
        "attached": [each["PolicyArn"] for each in attached],
    }


def _policy(iam: Any, arn: str) -> dict[str, Any]:
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    if len(versions) != 1:
        raise SystemExit(f"{arn} has more than one version: what opens it makes one")
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    return {
        "name": policy["PolicyName"],
        "id": policy["PolicyId"],
        "path": policy["Path"],
        "created": policy["CreateDate"].isoformat(),
        "description": policy.get("Description", ""),
        "document": version["Document"],
        "tags": policy.get("Tags", []),
    }


def _bucket() -> dict[str, Any]:
    s3 = _client("s3")
    objects = []
    for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        found = s3.get_object(Bucket=BUCKET, Key=each["Key"])
        objects.append({"key": each["Key"], "version": found["VersionId"], "body": found["Body"].read().decode()})
    return {"name": BUCKET, "objects": objects}


def _client(service: str) -> Any:
    return boto3.client(service)


def _document(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _keep(stacks: Path, database: Path) -> None:
    """Put it all where it is committed, without a path of this machine."""
    shutil.rmtree(DATA / "stacks", ignore_errors=True)
    (DATA / "aws.json").write_bytes((stacks / "aws.json").read_bytes())
    with closing(sqlite3.connect(database)) as db:
        (DATA / "control-plane.sql").write_text("\n".join(db.iterdump()) + "\n")
    for path in _kept(stacks):
        target = DATA / "stacks" / path.relative_to(stacks)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_without_this_machine(path.read_bytes(), stacks))


def _kept(stacks: Path) -> Iterator[Path]:
    """Not the provider, which another machine has elsewhere, nor the file that has Git ignore a work_dir; of one stack
    alone Terraform's logs, which are long.
    """
    for path in sorted(stacks.rglob("*")):
        parts = path.relative_to(stacks).parts
        left_out = path.name in {"aws.json", ".gitignore"} or "providers" in parts
        long = "logs" in parts and "past-local" not in parts
        if path.is_file() and not path.is_symlink() and not left_out and not long:
            yield path


def _without_this_machine(content: bytes, stacks: Path) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content  # a saved plan or an encrypted bundle: neither holds a path
    words = {str(stacks): HOME, _mirror(): MIRROR, f'"host": "{os.uname().nodename}"': '"host": "laptop"'}
    for ours, theirs in words.items():
        text = text.replace(ours, theirs) if ours else text
    return text.encode()


def _mirror() -> str:
    return os.environ.get("GRIDBYOC_PROVIDER_MIRROR", "")


def _git(*args: str) -> None:
    subprocess.run(["git", "-C", str(ROOM), *args], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        inside(Path(sys.argv[1]))
    else:
        main()
