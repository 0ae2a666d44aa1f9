"""A disk that is full when Terraform saves its state, or when we write our own records: no state is lost, nothing
secret is shown, and what the message says works.

For Terraform the full disk is a limit on the size of files, which it alone comes under while it applies. For our
records it is a small file system, where root may mount one, and that limit to anybody else.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.sandbox.scenario.model import steps_of
from gridbyoc.sandbox.scenario.terraform import write_wrapper
from tests.e2e.conftest import Done, Tool, World, stack_text
from tests.e2e.fast_stack import EXTERNAL_ID, fast_stack, without_aws_provider
from tests.e2e.fault_proxy import shipped_steps
from tests.e2e.gates import until
from tests.e2e.scene import CREATE, LIST, Scene, faults_of, scene_of, show, side_by_side
from tests.functional.terraform_kit import script

LIMITED = 'case "$*" in *apply*) "{python}" "{fills}" $$ {when} & ;; esac; exec "{real}" "$@"'
FILLS = """
import pathlib, resource, sys, time
state = pathlib.Path("terraform.tfstate")
while not (state.exists() and sys.argv[2].encode() in state.read_bytes()):
    time.sleep(0.001)
resource.prlimit(int(sys.argv[1]), resource.RLIMIT_FSIZE, (512, 512))
"""


def on_a_full_disk(tool: Tool, *args: str, when: str = "") -> Done:
    """A run whose Terraform can save no more once the state holds the word ``when``; from its start without one."""
    real = shutil.which("terraform", path=tool.env["PATH"]) or ""
    if when:
        text = LIMITED.format(python=sys.executable, fills=tool.write(FILLS, "fills.py"), when=when, real=real)
        program = script(tool.directory / "limited", text)
    else:
        played = tool.directory.parent / "played"
        program = write_wrapper(steps_of(shipped_steps("state-disk-full")), [real], played, played / "log")
    done = tool("bootstrap", "--yes", *args, "--terraform-bin", str(program), status=1)
    assert "Failed to write state" in done.text
    return done


def holding(text: str, work_dir: Path) -> set[str]:
    return {path.name for path in work_dir.rglob("*") if path.is_file() and text.encode() in path.read_bytes()}


def test_the_state_that_terraform_printed_is_pushed(tool: Tool, world: World) -> None:
    """A module of its own: what it made is known to that state alone."""
    tool = without_aws_provider(tool)
    stack = fast_stack(tool, world, "full")
    done = on_a_full_disk(tool, str(stack.file))
    assert EXTERNAL_ID not in done.text
    assert "it is in errored.tfstate" in done.err
    assert holding(EXTERNAL_ID, stack.work_dir) == {"errored.tfstate", "terraform.tfstate", "main.tf"}
    assert "gridbyoc state push" in tool("bootstrap", "--yes", str(stack.file), status=1).err
    assert "gridbyoc state push" in tool("status", str(stack.file), status=None).text
    assert "now holds it" in tool("state", "push", str(stack.file)).out
    tool("bootstrap", "--yes", str(stack.file))
    assert stack.made == 1


def test_with_both_files_torn_the_role_is_found_in_aws(tool: Tool, world: World) -> None:
    tool.write(stack_text("torn", role="{name_prefix: grid-torn-}"))
    done = on_a_full_disk(tool, "--format", "json", when="aws_iam_role")
    work_dir = tool.directory / ".gridbyoc" / "torn"
    errored, state = work_dir / "errored.tfstate", work_dir / "terraform.tfstate"
    external_id = re.search(r'"triggers_replace": \{\s*"value": "(\w+)"', errored.read_text())
    assert external_id is not None
    assert external_id[1] not in done.text
    assert holding(external_id[1], work_dir) <= {"errored.tfstate", "terraform.tfstate"}
    for file in (errored, state):  # as if there had been no room for us either
        file.write_bytes(file.read_bytes()[:300])

    advice = []
    for verb in (("state", "push"), ("bootstrap", "--yes"), ("destroy", "--yes-destroy")):
        refused = tool(*verb, status=1)
        assert "could not be saved anywhere" in refused.err
        assert "it is in errored.tfstate" not in refused.err
        advice += re.findall(r"`(rm [^`]+)`", refused.err)
    assert advice == [f"rm {errored} {state}"] * 3
    subprocess.run(advice[0], shell=True, check=True)  # noqa: S602 - as a person would paste it
    done = tool("bootstrap", "--yes")
    assert "it is imported into the state" in done.err
    assert len(world.roles("grid-torn")) == 1
    assert "No drift" in tool("drift").out


def test_a_first_state_that_was_cut_off_is_set_aside(tool: Tool, world: World) -> None:
    """No errored.tfstate: both were killed in the middle of the write."""
    tool.write(stack_text("half", role="{name_prefix: grid-half-}"))
    on_a_full_disk(tool, when="aws_iam_role")
    work_dir = tool.directory / ".gridbyoc" / "half"
    (work_dir / "errored.tfstate").unlink()
    assert (work_dir / "terraform.tfstate").stat().st_size
    done = tool("bootstrap", "--yes")
    assert "set aside as terraform.tfstate.torn-" in done.err
    assert "it is imported into the state" in done.err
    assert len(world.roles("grid-half")) == 1


@dataclass(frozen=True)
class Moment:
    """When the disk becomes full: after a command of Terraform's, or after a request to the control plane."""

    at: str
    name: str
    turn: int = 1

    def __str__(self) -> str:
        return f"{self.name} {self.turn}"

    def reached(self, scene: Scene) -> tuple[Callable[[], bool], Callable[[], None]]:
        """Whether the run waits there, and what lets it go on."""
        if self.at == "plane":
            hold = scene.plane.hold(self.name, "after", self.turn)
            return hold.reached.is_set, hold.release
        scene.gates.close("after", self.name, self.turn)
        return lambda: scene.gates.reached() is not None, scene.gates.open


MOMENTS = (
    Moment("terraform", "apply"),
    Moment("plane", CREATE),
    Moment("plane", LIST, 2),
)
PAGE = 4096
"""A small file system gives a file a whole page: what still fits there is written, however full the disk is."""


class SmallDisk:
    """A file system of 2 MB in the place of the ``.gridbyoc`` directory."""

    WHY = "No space left on device"

    def __init__(self, place: Path) -> None:
        self._place = place
        place.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "small", str(place)], check=True)

    def fill(self, _pid: int) -> None:
        for journal in self._place.glob("*/journal.jsonl"):
            with journal.open("ab") as stream:
                stream.write(b"\n" * (-journal.stat().st_size % PAGE))
        with (self._place / "ballast").open("ab", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(PAGE))

    def free(self) -> None:
        (self._place / "ballast").unlink()

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self._place)], check=True)


class SizeLimit:
    """The run may write to no place of a file beyond its first byte."""

    WHY = "File too large"

    def __init__(self, _place: Path) -> None:
        pass

    def fill(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, 1))

    def free(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_journal_that_takes_no_more_ends_the_run_and_loses_nothing(tool: Tool, world: World) -> None:
    disk: type[SmallDisk | SizeLimit] = SmallDisk if os.geteuid() == 0 else SizeLimit

    def a_life(moment: Moment) -> tuple[str, ...]:
        name = f"{disk.__name__.lower()}-{MOMENTS.index(moment)}"
        with scene_of(tool, world, name, fast=True) as scene:
            place = disk(scene.tool.directory / ".gridbyoc")
            try:
                reached, go_on = moment.reached(scene)
                run = scene.tool.start("bootstrap", "--yes")
                until(lambda: reached() or run.poll() is not None, str(moment))
                place.fill(run.pid)
                go_on()
                text = "".join(run.communicate(timeout=60))
                status = scene.run("status").out
                refused = scene.run("plan").err
                place.free()
                again = scene.run("bootstrap", "--yes")
                faults = faults_of(scene) + ([] if again.status == 0 else [again.text])
            finally:
                place.close()
        if disk is SmallDisk:  # the limit is on the run before
            assert f"error[GBY-F001]: The journal {scene.work_dir}/journal.jsonl could not be written." in refused
        assert "Traceback" not in text
        assert EXTERNAL_ID not in text + status
        why = " ".join(text.partition("error[")[2].split())
        assert f"journal {scene.work_dir}/journal.jsonl could not be written. why: {disk.WHY} do: Make room" in why
        assert "A re-run is safe: it continues from what exists." in why
        return str(moment), str(run.returncode), status.split("\n", 1)[0].partition("): ")[2], "; ".join(faults)

    lines = side_by_side(a_life, MOMENTS)
    show(f"the disk is full ({disk.WHY}) after", [("what", "status", "last run", "faults of the re-run"), *lines])
    assert {line[1] for line in lines} == {"1"}
    assert [line for line in lines if line[3]] == []
