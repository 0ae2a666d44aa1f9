"""The Terraform in memory, which whole runs are tested with, against the real one: one story, told by both.

Every line of the story is what the Runner returned or raised, so that the tests of the operations hear the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gridbyoc.errors import TerraformError
from gridbyoc.terraform import Binary, Runner, find_binary
from gridbyoc.terraform.events import ResourceEvent, TerraformEvent
from gridbyoc.terraform.process import RunCommand, run
from tests.functional.terraform_kit import environment
from tests.unit.memory_terraform import (
    Attributes,
    Configuration,
    Look,
    MemoryTerraform,
    Output,
    Provider,
    ProviderError,
    Resource,
)
from tests.unit.world import BINARY

ROOT = """
terraform {
  backend "local" {}
}
variable "input" { type = string }
variable "script" { type = string }

resource "terraform_data" "first" {
  input = var.input
}
resource "terraform_data" "second" {
  triggers_replace = terraform_data.first.output
  provisioner "local-exec" {
    command = var.script
  }
}
resource "terraform_data" "third" {
  lifecycle {
    replace_triggered_by = [terraform_data.second]
  }
}
output "role_arn" {
  value      = "arn:aws:iam::123456789012:role/grid"
  depends_on = [terraform_data.second]
}
output "external_id" {
  value     = terraform_data.first.output
  sensitive = true
}
"""
MODULE = """
module "more" {
  source = "./more"
}
"""
FIRST, SECOND, THIRD, MORE = (
    "terraform_data.first", "terraform_data.second", "terraform_data.third", "module.more.terraform_data.more[0]",
)  # fmt: skip


@dataclass
class Twin:
    """``ROOT`` and ``MODULE`` for the Terraform in memory."""

    made: int = 0

    def __call__(self, root: Mapping[str, str]) -> Configuration:
        values = json.loads(root["terraform.tfvars.json"])

        def create(asked: Attributes) -> Attributes:
            self.made += 1
            return {"id": str(self.made), "output": asked.get("input"), **asked}

        def provisioned(asked: Attributes) -> Attributes:
            found = create(asked)
            if values["script"] == "false":
                raise ProviderError("local-exec provisioner error", made=found)
            return found

        def update(before: Attributes, asked: Attributes) -> Attributes:
            return {**before, **asked, "output": asked.get("input")}

        plain = Provider(create, dict, update, lambda _found: None, ("id",))
        first = replace(plain, computed=("id", "output"), recomputed=("output",))
        second = Provider(provisioned, dict, update, lambda _found: None, ("id",))

        def output(look: Look) -> Any:
            return look(FIRST, "output")

        resources = [
            Resource("", "terraform_data", "first", first, lambda _look: {"input": values["input"]}),
            Resource("", "terraform_data", "second", second, lambda look: {"triggers_replace": output(look)},
                     forces=frozenset({"triggers_replace"}), needs=(FIRST,)),
            Resource("", "terraform_data", "third", plain, lambda _look: {}, triggered_by=(SECOND,), needs=(SECOND,)),
        ]  # fmt: skip
        if 'module "more"' in root["main.tf"]:
            resources.append(Resource("module.more", "terraform_data", "more", plain, lambda _look: {}, key=0))
        arn = "arn:aws:iam::123456789012:role/grid"
        outputs = {
            "role_arn": Output(lambda _look: arn, (SECOND,)),
            "external_id": Output(output, (FIRST,), sensitive=True),
        }
        return Configuration(tuple(resources), outputs)


@dataclass
class Teller:
    """One Terraform in one directory; ``told`` is what it came to, in words that both must use."""

    directory: Path
    binary: Binary
    run_command: RunCommand
    lock: Callable[[], Any]
    told: list[Any] = field(default_factory=list)
    events: list[TerraformEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner = Runner(
            self.binary, self.directory, environ=environment(), on_event=self.events.append,
            lock_timeout="0s", run_command=self.run_command,
        )  # fmt: skip

    def write(self, *, value: str = "a", script: str = "true", module: bool = False) -> None:
        (self.directory / "main.tf").write_text(ROOT + (MODULE if module else ""))
        (self.directory / "terraform.tfvars.json").write_text(json.dumps({"input": value, "script": script}))
        (self.directory / "more").mkdir(exist_ok=True)
        (self.directory / "more" / "main.tf").write_text('resource "terraform_data" "more" {\n  count = 1\n}\n')

    def tell(self, what: str, do: Callable[[], Any]) -> None:
        self.events.clear()
        try:
            found = do()
        except TerraformError as error:
            heads = sorted(line.split("\n")[0].partition(" (")[0] for line in error.diagnostics)
            found = (type(error).__name__, heads, getattr(error, "lock_id", None) and "lock id")
        work = sorted((e.address, e.action, e.state) for e in self.events if isinstance(e, ResourceEvent)
                      and e.action != "refresh")  # fmt: skip
        self.told.append((what, found, work, self.state()))

    def plan(self, **options: Any) -> Any:
        found = self.runner.plan(**options)
        changes = sorted((each.address, each.action, each.reason) for each in found.changes)
        return (found.add, found.change, found.destroy), changes, sorted(found.outputs), found.has_changes

    def show(self, plan: Path) -> Any:
        """The plan's changes, as far as a review reads them and chance has no part in it."""
        found = []
        for each in self.runner.show(plan)["resource_changes"]:
            change = each["change"]
            known = [(change[side] or {}).get("input") for side in ("before", "after")]
            unknown = sorted(name for name, value in change["after_unknown"].items() if value is True)
            place = (each["address"], each.get("module_address"), each["mode"], each["type"], each["name"])
            found.append((place, change["actions"], known, unknown, each.get("action_reason")))
        return sorted(found, key=str)

    def apply(self, plan: Path | None = None) -> Any:
        found = self.runner.apply(plan)
        return found.add, found.change, found.destroy

    def destroy(self, *targets: str) -> Any:
        found = self.runner.destroy(targets)
        return found.add, found.change, found.destroy

    def outputs(self) -> Any:
        found = self.runner.output()
        return found.role_arn, found.external_id.reveal()

    def state(self) -> Any:
        """What of the state does not hang on chance."""
        found = self.runner.state().document
        instances = [
            (resource.get("module"), resource["type"], resource["name"], instance.get("index_key"),
             instance.get("status"), sorted(instance.get("dependencies") or ()))
            for resource in found.get("resources", [])
            for instance in resource["instances"]
        ]  # fmt: skip
        return sorted(map(str, instances)), found.get("outputs"), found.get("version")


def story(teller: Teller) -> list[Any]:
    """Everything that an operation may ask of a Runner."""
    saved, runner, tell = teller.directory / "saved.tfplan", teller.runner, teller.tell
    teller.write()
    tell("plan before init", teller.plan)
    tell("init", lambda: runner.init(digest="one"))
    tell("is another init needed", lambda: (runner.init_needed("one"), runner.init_needed("two")))
    tell("outputs before the first apply", teller.outputs)
    tell("plan", lambda: teller.plan(out=saved))
    tell("show the plan", lambda: teller.show(saved))
    teller.write(value="not planned")
    tell("apply the saved plan", lambda: teller.apply(saved))
    teller.write()
    tell("apply it again", lambda: teller.apply(saved))
    tell("outputs", teller.outputs)
    serial = runner.state().serial
    tell("nothing to plan", lambda: teller.plan(out=saved))
    tell("nothing to apply", lambda: (teller.apply(saved), runner.state().serial == serial))
    teller.write(value="b", script="false")
    tell("plan a change", lambda: teller.plan(out=saved))
    tell("show the change", lambda: teller.show(saved))
    tell("an apply fails half-way", teller.apply)
    tell("plan after it", teller.plan)
    teller.write(value="b")
    tell("apply after it", teller.apply)
    teller.write(value="b", module=True)
    tell("plan with a module that is not installed", teller.plan)
    tell("init again", lambda: runner.init(digest="two"))
    tell("apply the module", teller.apply)
    tell("move", lambda: runner.move("module.more", "module.moved"))
    tell("plan after the move", lambda: teller.plan(out=saved))
    tell("show the plan after the move", lambda: teller.show(saved))
    tell("move what is not there", lambda: runner.move("module.more", "module.moved"))
    tell("move back", lambda: runner.move("module.moved", "module.more"))
    tell("import what is there", lambda: runner.import_(FIRST, "x"))
    with teller.lock():
        tell("plan under another's lock", teller.plan)
        tell("apply under another's lock", teller.apply)
        tell("plan without the lock", lambda: teller.plan(lock=False))
    tell("plan to destroy a part", lambda: teller.plan(destroy=True, targets=[SECOND]))
    tell("destroy a part", lambda: teller.destroy(THIRD, "module.more"))
    tell("plan after it", teller.plan)
    tell("destroy", teller.destroy)
    tell("destroy again", teller.destroy)
    teller.write(script="false")
    tell("the first apply fails half-way", teller.apply)
    tell("outputs after it", teller.outputs)
    tell("import what the configuration has not", lambda: runner.import_("terraform_data.fourth", "x"))
    return teller.told


HOLD = """
import fcntl, sys
with open(sys.argv[1], "r+") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def real_lock(state: Path) -> Iterator[None]:
    """As a Terraform in another process (ours would drop the lock whenever it reads the file), with its note."""
    note = {"ID": "1f0ee4bc-0000-0000-0000-000000000001", "Operation": "OperationTypeApply", "Who": "ada@laptop",
            "Version": "1.11.4", "Created": "2026-01-02T12:00:00Z", "Path": "terraform.tfstate"}  # fmt: skip
    (state.parent / ".terraform.tfstate.lock.info").write_text(json.dumps(note))
    argv = [sys.executable, "-c", HOLD, str(state)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.communicate("")


def test_both_tell_the_same_story(tmp_path: Path) -> None:
    memory = MemoryTerraform(Twin())

    @contextmanager
    def memory_lock() -> Iterator[None]:
        memory.faults.holder = "ada@laptop"
        yield
        memory.faults.holder = ""

    (tmp_path / "memory").mkdir()
    (tmp_path / "real").mkdir()
    in_memory = story(Teller(tmp_path / "memory", BINARY, memory, memory_lock))
    found = find_binary(None, os.environ)
    real = story(Teller(tmp_path / "real", found, run, lambda: real_lock(tmp_path / "real" / "terraform.tfstate")))
    for mine, theirs in zip(in_memory, real, strict=True):
        assert mine == theirs
    assert len(real) == 36
