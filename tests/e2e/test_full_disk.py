"""A disk that is full when Terraform saves its state: nothing secret is shown, and what the message says works.

The full disk is a limit on the size of files, which Terraform alone comes under while it applies.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.attached_provider import AttachedProvider
from tests.e2e.conftest import Done, Tool, World, stack_text
from tests.e2e.fast_stack import EXTERNAL_ID, fast_stack, without_aws_provider
from tests.functional.terraform_kit import script

LIMITED = 'case "$*" in *apply*) "{python}" "{fills}" $$ {when} & ;; esac; exec "{real}" "$@"'
FILLS = """
import pathlib, resource, sys
state = pathlib.Path("terraform.tfstate")
while sys.argv[2] and not (state.exists() and sys.argv[2].encode() in state.read_bytes()):
    pass
resource.prlimit(int(sys.argv[1]), resource.RLIMIT_FSIZE, (512, 512))
"""


def on_a_full_disk(tool: Tool, *args: str, when: str = '""') -> Done:
    """A run whose Terraform can save no more once the state holds the word ``when``; at once without one."""
    fills = tool.write(FILLS, "fills.py")
    real = shutil.which("terraform", path=tool.env["PATH"])
    program = script(
        tool.directory / "limited", LIMITED.format(python=sys.executable, fills=fills, when=when, real=real)
    )
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
    assert "holds it now" in tool("state", "push", str(stack.file)).out
    tool("bootstrap", "--yes", str(stack.file))
    assert stack.made == 1


def test_with_both_files_torn_the_role_is_found_in_aws(
    tool: Tool, world: World, aws_provider: AttachedProvider
) -> None:
    tool = aws_provider.attach(tool)
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
    assert "it is taken into the state" in done.err
    assert len(world.roles("grid-torn")) == 1
    assert "No drift" in tool("drift").out


def test_a_first_state_that_was_cut_off_is_set_aside(tool: Tool, world: World, aws_provider: AttachedProvider) -> None:
    """No errored.tfstate: both were killed in the middle of the write."""
    tool = aws_provider.attach(tool)
    tool.write(stack_text("half", role="{name_prefix: grid-half-}"))
    on_a_full_disk(tool, when="aws_iam_role")
    work_dir = tool.directory / ".gridbyoc" / "half"
    (work_dir / "errored.tfstate").unlink()
    assert (work_dir / "terraform.tfstate").stat().st_size
    done = tool("bootstrap", "--yes")
    assert "set aside as terraform.tfstate.torn-" in done.err
    assert "it is taken into the state" in done.err
    assert len(world.roles("grid-half")) == 1
