"""A stack with gates around Terraform and a proxy in front of either service, and what must hold once it is up."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from tests.e2e.conftest import Done, Tool, World
from tests.e2e.fast_stack import fast_stack
from tests.e2e.fault_proxy import Proxy, proxy_of
from tests.e2e.gates import Gates, Held, Stop

LIST = "control-plane:ListClusters"
CREATE = "control-plane:CreateCluster"
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Scene:
    """One stack, called ``name``, whose tool reaches both services through proxies of its own."""

    name: str
    tool: Tool
    world: World
    gates: Gates
    aws: Proxy
    plane: Proxy
    witness: Path | None = None

    @property
    def work_dir(self) -> Path:
        return self.tool.directory / ".gridbyoc" / self.name

    @property
    def stack_file(self) -> Path:
        return self.tool.directory / "gridbyoc.yaml"

    def run(self, *args: str, status: int | None = None) -> Done:
        return self.tool(*args, status=status)

    def held(self, stop: Stop) -> Held:
        return Held(stop, self.gates, self.aws, self.plane)

    def state(self) -> dict[str, Any]:
        """The local state; nothing where there is none, or an empty file. Terraform may be writing it, in place."""
        file = self.work_dir / "terraform.tfstate"
        until = time.monotonic() + 2
        while True:
            text = file.read_text() if file.exists() else ""
            try:
                found: dict[str, Any] = json.loads(text) if text else {}
            except json.JSONDecodeError:
                assert time.monotonic() < until, text
                time.sleep(0.05)
            else:
                return found

    def resources(self) -> int:
        """How many resources the state holds."""
        return sum(len(each["instances"]) for each in self.state().get("resources", []) if each["mode"] == "managed")

    def left(self) -> str:
        """What is there of the stack right now, on both sides, in a few words."""
        cluster = self.world.cluster(self.name)
        phase = cluster["status"]["phase"].removeprefix("CLUSTER_STATE_").lower() if cluster else "no cluster"
        return f"{self.resources()} in state, {phase}"


@contextmanager
def scene_of(tool: Tool, world: World, name: str, *, fast: bool = False, **env: str) -> Iterator[Scene]:
    """A scene in a directory of its own. ``fast``: a fast stack is written, and runs without the AWS provider."""
    directory = tool.directory / name
    directory.mkdir()
    gates = Gates(directory / "gates", light=fast)
    with proxy_of(world.sandbox.aws_url, "aws") as aws, proxy_of(world.sandbox.control_plane_url, "plane") as plane:
        services = {"AWS_ENDPOINT_URL": aws.url, "GRID_URL": plane.url, "GRIDBYOC_TERRAFORM_BIN": str(gates.program)}
        own = replace(tool, directory=directory, env={**tool.env, **services, **env})
        witness = fast_stack(own, world, name, place=".", role=f"role-{name}").witness if fast else None
        yield Scene(name, own, world, gates, aws, plane, witness)


def faults_of(scene: Scene, *, roles: str | None = None) -> list[str]:
    """What is not as it must be once the stack is up: one role, one set of attachments, one cluster, no lock left,
    outputs, live role and the control plane's record agree. ``roles`` is how the names of its roles begin.
    """
    found = []
    outputs = {name: each["value"] for name, each in scene.state().get("outputs", {}).items()}
    clusters = [each for each in scene.world.clusters() if each["name"] == scene.name]
    if len(clusters) != 1:
        return [f"{len(clusters)} clusters"]
    aws = clusters[0]["spec"]["driver"]["kubernetes"]["aws"]
    if clusters[0]["status"]["phase"] != "CLUSTER_STATE_RUNNING":
        found.append(f"the cluster is {clusters[0]['status']}")
    if (aws["roleArn"], aws["externalId"]) != (outputs.get("role_arn"), outputs.get("external_id")):
        found.append("outputs and the cluster's record differ")
    if accepted(scene.world.iam(), str(outputs.get("role_arn"))) != [outputs.get("external_id")]:
        found.append("the live role does not accept the external id of the outputs, and no other")
    if scene.witness and scene.witness.read_text() != "made\n":
        found.append("the resource was made more than once")
    return found + _locks(scene) + (_role_faults(scene, roles) if roles else [])


def _locks(scene: Scene) -> list[str]:
    locks = [scene.work_dir / ".terraform.tfstate.lock.info", scene.work_dir / "run.lock.json"]
    return [f"{path.name} is left" for path in locks if path.exists()]


def _role_faults(scene: Scene, prefix: str) -> list[str]:
    found = []
    names = [role["RoleName"] for role in scene.world.roles(prefix)]
    if len(names) != 1:
        found.append(f"{len(names)} roles")
    for name in names:
        if len(scene.world.attached(name)) != 10:
            found.append(f"{len(scene.world.attached(name))} policies attached to {name}")
    policies = scene.world.iam().list_policies(Scope="Local", MaxItems=1000)["Policies"]
    if len([each for each in policies if each["PolicyName"].startswith(prefix)]) != 1:
        found.append("not exactly one policy of its own")
    if scene.resources() != 14:
        found.append(f"{scene.resources()} resources in the state")
    return found


def accepted(iam: Any, role_arn: str) -> list[str]:
    """The external ids that the live role accepts."""
    document = iam.get_role(RoleName=role_arn.rsplit("/", 1)[-1])["Role"]["AssumeRolePolicyDocument"]
    found = document["Statement"]
    condition = (found if isinstance(found, dict) else found[0])["Condition"]["StringEquals"]["sts:ExternalId"]
    return [condition] if isinstance(condition, str) else list(condition)


def side_by_side(work: Callable[[T], R], items: Iterable[T], workers: int = 3) -> list[R]:
    """Do it for all of them, some at a time: most of a run is waiting."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, items))


def show(title: str, rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table (pytest shows it with -s)."""
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    sys.stdout.write("\n".join(["", title, *lines, ""]))


def seconds_since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"
