"""A Terraform whose status and output contradict each other: no effect follows, and no fingerprint is left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gridbyoc.errors import TerraformWrapperError
from gridbyoc.stack.model import PolicyStatement
from gridbyoc.terraform.process import ExitInfo
from tests.unit.memory_terraform import MemoryTerraform
from tests.unit.world import World, a_stack

STACK = a_stack()
NARROWER = a_stack(statements=(PolicyStatement(("eks:*",)),))


@dataclass
class Wrapper(MemoryTerraform):
    """Stands before a Terraform: statuses become others, lines with these words are lost."""

    behind: MemoryTerraform | None = None
    statuses: dict[int, int] | None = None
    lost: str = "\0"

    def __call__(self, command: Any, on_line: Any, **options: Any) -> ExitInfo:
        def heard(stream: Any, line: str) -> None:
            if self.lost not in line:
                on_line(stream, line)

        assert self.behind is not None
        ended = self.behind(command, heard, **options)
        return replace(ended, code=(self.statuses or {}).get(ended.code, ended.code))


def wrapped(world: World, **how: Any) -> Callable[[], None]:
    """Put a wrapper in; what takes it away again."""
    real = world.terraform
    world.terraform = Wrapper(real.configure, behind=real, **how)

    def undo() -> None:
        world.terraform = real

    return undo


@pytest.mark.parametrize(
    "how",
    [{"statuses": {2: 0}}, {"lost": "change_summary"}, {"lost": "planned_change"}, {"lost": '"version"'}],
    ids=str,
)
def test_a_plan_in_doubt_changes_nothing_and_proves_nothing(world: World, how: dict[str, Any]) -> None:
    world.bring_up(STACK)
    fingerprint = world.work_dir(STACK) / "converged.json"
    fingerprint.unlink()
    undo = wrapped(world, **how)
    with pytest.raises(TerraformWrapperError):
        world.bootstrap(NARROWER)
    assert world.effects == []
    assert not fingerprint.exists()
    assert not (world.work_dir(STACK) / "gridbyoc.tfplan").exists()
    undo()
    assert world.bootstrap(NARROWER).changed


def test_an_apply_in_doubt_registers_nothing_and_proves_nothing(world: World) -> None:
    undo = wrapped(world, lost='"operation": "apply"')
    with pytest.raises(TerraformWrapperError, match="did not report what it did"):
        world.bootstrap(STACK)
    assert not any(effect.startswith("POST") for effect in world.effects)
    assert not (world.work_dir(STACK) / "converged.json").exists()
    undo()
    world.bootstrap(STACK)
    assert "CreateRole" not in world.effects  # it is there already
    assert (world.work_dir(STACK) / "converged.json").exists()
