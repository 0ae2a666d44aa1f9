"""A planted external id is found in state, tfvars, the request and the control plane's store, and nowhere else."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from tests.e2e.conftest import Done, Tool, World, stack_text

CANARY = "canary-7f3a-external-id"
ALLOWED = {"terraform.tfstate", "terraform.tfstate.backup", "terraform.tfvars.json"}
STACK = stack_text("canary", role="{name: grid-canary, external_id_from: {env: EXTERNAL_ID}}")


def holding(directory: Path) -> set[str]:
    """The names of the files below ``directory`` that hold the canary."""
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path.name for path in files if "providers" not in path.parts and CANARY.encode() in path.read_bytes()}


class Watch:
    """Reads the command line of every process while inside, as any user of the machine could."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if CANARY in line:
                    self.seen.append(line)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


def run(tool: Tool, *args: str, status: int | None = 0, **env: str | None) -> Done:
    done = tool(*args, status=status, EXTERNAL_ID=CANARY, **env)
    assert CANARY not in done.text
    return done


def test_the_canary_stays_where_it_belongs(tool: Tool, world: World) -> None:
    tool.write(STACK)
    with Watch() as watch:
        run(tool, "validate")
        run(tool, "plan", "--debug")
        run(tool, "bootstrap", "--yes", "--debug", "--format", "jsonl")
        run(tool, "bootstrap", "--yes")
        run(tool, "outputs", "--format", "json")
        run(tool, "clusters", "list", "--format", "json")
        run(tool, "clusters", "get", "canary", "--format", "json")
        run(tool, "render", "--debug")
    assert watch.seen == []
    assert holding(tool.directory) == {"terraform.tfstate", "terraform.tfvars.json"}
    assert holding(Path(tool.env["HOME"])) == set()
    for path in (tool.directory / ".gridbyoc").rglob("*"):
        if "providers" not in path.parts and not path.is_symlink():
            by_terraform = path.name == ".terraform.lock.hcl" or ".terraform" in path.parts
            assert path.stat().st_mode & 0o077 == 0 or by_terraform, path
    cluster = world.cluster("canary")
    assert cluster is not None
    assert cluster["spec"]["driver"]["kubernetes"]["aws"]["externalId"] == CANARY
    assert CANARY not in world.sandbox.access_log.read_text()


def test_failures_do_not_show_it_either(tool: Tool) -> None:
    tool.write(STACK)
    run(tool, "bootstrap", "--yes", "--debug", status=1, GRID_API_KEY="wrong")
    run(tool, "bootstrap", "--yes", "--debug", status=1, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    run(tool, "plan", "--debug", "--url", "http://127.0.0.1:9", status=1)
    tool.write(STACK.replace("grid-canary", "grid-canary-b").replace("[t2.medium]", "[t9.medium]"))
    run(tool, "bootstrap", "--yes", "--debug", status=None)
    wrapper = 'case "$*" in *apply*) cat terraform.tfvars.json; exit 1;; *) exec terraform "$@";; esac\n'
    environment = tool.directory / "environment-of-terraform"
    broken = tool.write(f"#!/bin/sh\nenv >> {environment}\n{wrapper}", "broken")
    broken.chmod(0o755)
    tool.write(STACK)
    run(tool, "bootstrap", "--yes", "--debug", status=1, GRIDBYOC_TERRAFORM_BIN=str(broken))
    assert holding(tool.directory) <= ALLOWED
    assert "TF_IN_AUTOMATION=1" in environment.read_text()


def test_a_generated_id_does_not_leak_either(tool: Tool) -> None:
    tool.write(stack_text("generated"))
    shown = tool("bootstrap", "--yes", "--debug", "--format", "jsonl").text
    external_id = tool("outputs", "--reveal", "--name", "external_id").out.strip()
    assert external_id not in shown
    logs = list((tool.directory / ".gridbyoc" / "generated" / "logs").iterdir())
    assert logs
    assert all(external_id not in path.read_text() for path in logs)
    assert external_id not in tool("plan", "--debug").text
    work_dir = tool.directory / ".gridbyoc" / "generated"
    by_hand = subprocess.run(["terraform", "plan"], cwd=work_dir, env=tool.env, capture_output=True, text=True)
    assert external_id not in by_hand.stdout + by_hand.stderr
