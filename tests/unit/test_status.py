"""Where a stack stands, and the next step: each situation has its own words, and a command that can be typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gridbyoc.control_plane.model import Phase
from gridbyoc.errors import ApprovalRequiredError
from gridbyoc.operations.journal import JOURNAL, Journal
from gridbyoc.operations.lock import hold
from gridbyoc.operations.private_copy import scratch_run
from gridbyoc.operations.run import Choices, Environment, Run
from gridbyoc.operations.status import Status, stack_status
from gridbyoc.stack.model import ClusterSpec, InstanceType, Role, Stack
from tests.unit.command_lines import named_in, values_of
from tests.unit.fakes import stack
from tests.unit.test_vendor_defaults import GRID, KEPT, LIGHTNING
from tests.unit.world import KilledError, World

SPEC = ClusterSpec("ml", (InstanceType("t2.medium"),))
STACK = stack(SPEC)
ROLE = "grid-cloud-1"


def look(world: World, asked: Stack = STACK) -> Status:
    """What ``gridbyoc status`` reads, on a copy of the work_dir as the command line makes one."""
    work_dir = world.work_dir(asked)
    outside = Environment(
        world.environ,
        world.directory,
        lambda _event: None,
        world.time.clock,
        world.time.sleep,
        world.now,
        services=world,
    )
    run = Run(asked, work_dir, outside, Choices(), Journal(work_dir / JOURNAL, world.now, "status"))
    with scratch_run(run) as reading:
        return stack_status(reading)


def role_name(world: World) -> str:
    (name,) = world.iam.roles
    return name


def up(world: World) -> None:
    world.bring_up(STACK)


def untrusted(world: World) -> None:
    up(world)
    role = world.iam.roles[role_name(world)]
    trust = json.loads(json.dumps(role["AssumeRolePolicyDocument"]).replace("302180240179", "111122223333"))
    role["AssumeRolePolicyDocument"] = trust


def role_deleted(world: World) -> None:
    up(world)
    world.iam.roles.clear()


def undeclared(world: World) -> None:
    up(world)
    world.iam.attach(role_name(world), "arn:aws:iam::aws:policy/AdministratorAccess")


def killed(world: World) -> None:
    world.dies_at = 12
    with pytest.raises(KilledError):
        world.bootstrap(STACK)
    world.dies_at = None


def cluster_failed(world: World) -> None:
    up(world)
    world.plane.story = ((0.0, Phase.FAILED, "no room"),)


def cluster_coming(world: World) -> None:
    up(world)
    world.plane.story = ((0.0, Phase.PENDING, ""),)


def unread(world: World) -> None:
    up(world)
    world.plane.answers["LIST"] = ["unreachable"] * 9


def destroyed(world: World) -> None:
    up(world)
    world.destroy(STACK)


def state_lost(world: World) -> None:
    up(world)
    (world.work_dir(STACK) / "terraform.tfstate").unlink()


def state_lost_of_a_bare_role(world: World) -> None:
    state_lost(world)
    world.plane.clusters.clear()


def destroyed_elsewhere(world: World) -> None:
    up(world)
    file = world.work_dir(STACK) / "terraform.tfstate"
    file.write_text(json.dumps({**json.loads(file.read_text()), "resources": [], "outputs": {}}))
    world.plane.clusters.clear()


def killed_in_destroy(world: World) -> None:
    state_lost_of_a_bare_role(world)
    journal = Journal(world.work_dir(STACK) / JOURNAL, world.now, "destroying")
    journal.write("run_started", verb="destroy")
    journal.write("effect_started", effect="destroy")


def state_unsaved(world: World) -> None:
    up(world)
    work_dir = world.work_dir(STACK)
    (work_dir / "terraform.tfstate").rename(work_dir / "errored.tfstate")


@pytest.mark.parametrize(
    ("before", "asked", "said"),
    [
        pytest.param(lambda _world: None, STACK, "has never been run from here", id="never run"),
        pytest.param(up, STACK, "Nothing: the stack is up. `gridbyoc drift` compares in detail.", id="up"),
        pytest.param(untrusted, STACK, "does not admit the control plane: `gridbyoc verify`", id="trust refused"),
        pytest.param(role_deleted, STACK, "was deleted outside of gridbyoc. Run `gridbyoc bootstrap`", id="role gone"),
        pytest.param(undeclared, STACK, "AdministratorAccess", id="undeclared policy"),
        pytest.param(killed, STACK, "was killed, or could not record its end. Run `gridbyoc bootstrap`", id="killed"),
        pytest.param(cluster_failed, STACK, "Fix the reason why ml failed", id="cluster failed"),
        pytest.param(state_unsaved, STACK, "`gridbyoc state push`", id="state not saved"),
        pytest.param(destroyed, STACK, "was destroyed. `gridbyoc bootstrap` creates it again", id="destroyed"),
        pytest.param(
            state_lost, STACK, "the cluster ml runs through arn:aws:iam::123456789012:role/", id="state lost"
        ),
        pytest.param(
            state_lost_of_a_bare_role, STACK, "the journal says that this stack made one", id="state lost, no cluster"
        ),
        pytest.param(destroyed_elsewhere, STACK, "The stack was destroyed", id="destroyed elsewhere"),
        pytest.param(killed_in_destroy, STACK, "Run `gridbyoc destroy`", id="killed in a destroy"),
        pytest.param(unread, STACK, "Not everything could be read (control plane): `gridbyoc doctor`", id="not read"),
        pytest.param(cluster_coming, STACK, "Wait: `gridbyoc clusters wait ml`", id="not running yet"),
        pytest.param(
            up, replace(STACK, clusters=(ClusterSpec("ml", (InstanceType("t3.large"),)),)), "(cluster ml). Run",
            id="a cluster is edited",
        ),
        pytest.param(
            up, replace(STACK, role=replace(STACK.role, max_session_hours=4)), "(role). Run", id="role edited"
        ),
        pytest.param(up, stack(SPEC, ClusterSpec("two")), "(cluster two). Run", id="a cluster more"),
    ],
)  # fmt: skip
def test_each_situation_has_its_own_next_step(
    world: World, before: Callable[[World], None], asked: Stack, said: str
) -> None:
    before(world)
    found = look(world, asked)
    assert said in (found.next_step if before is not undeclared else f"{found.next_step} {found.policies}")
    for line in named_in(found.next_step):
        assert values_of(line)


def test_a_run_that_holds_the_stack_is_waited_for(world: World) -> None:
    up(world)
    with hold(world.work_dir(STACK), verb="bootstrap", now=world.now, wait=0.0):
        found = look(world)
    assert found.holder
    assert found.next_step == "Wait for the run that is under way."


def test_a_run_that_has_not_ended_is_killed_only_where_nobody_holds_the_stack(world: World) -> None:
    killed(world)
    with hold(world.work_dir(STACK), verb="bootstrap", now=world.now, wait=0.0):
        held = look(world).last_run
    after = look(world).last_run
    assert held is not None
    assert after is not None
    assert (held.code, after.code) == ("under way", "killed")


def test_a_plan_that_was_refused_is_no_run_that_was_cut_off(world: World) -> None:
    up(world)
    with pytest.raises(ApprovalRequiredError):
        world.bootstrap(stack(SPEC, ClusterSpec("two")), yes=False, answer=False)
    assert "GBY-U002" in look(world).next_step


def test_the_command_names_the_file(world: World, tmp_path: Path) -> None:
    asked = replace(STACK, file=tmp_path / "a b.yaml")
    assert f"`gridbyoc plan '{tmp_path}/a b.yaml'`" in look(world, asked).next_step


@pytest.mark.parametrize(
    "before",
    [
        up,
        state_lost,
        untrusted,
        role_deleted,
        undeclared,
        killed,
        cluster_failed,
        cluster_coming,
        unread,
        destroyed,
        state_unsaved,
    ],
)
def test_each_command_takes_the_files_name(world: World, tmp_path: Path, before: Callable[[World], None]) -> None:
    before(world)
    asked = replace(STACK, file=tmp_path / "a b.yaml", work_root=world.work_dir(STACK).parent)
    lines = named_in(look(world, asked).next_step)
    assert lines
    for line in lines:
        assert values_of(line)["stack_file"] == str(asked.file)


def test_a_default_that_would_change_the_grant_is_named_with_the_lines_that_decide(world: World) -> None:
    """Not a trust policy to be put back: bootstrap refuses until the file says which of both it shall be."""
    world.bring_up(replace(STACK, role=KEPT))
    text = look(world, replace(STACK, role=Role(vendor="lightning"))).next_step
    assert f'trusted_account_id: "{GRID.trusted_account.account_id}"' in text
    assert f'trusted_account_id: "{LIGHTNING.trusted_account.account_id}"' in text
    assert text.endswith("Then look at `gridbyoc plan`.")
    assert "bootstrap" not in text


def test_a_trust_that_is_refused_is_no_side_that_is_unknown(world: World) -> None:
    untrusted(world)
    found = look(world)
    assert found.trust.startswith("refused: Account 302180240179 may not assume it")
    assert "role" not in found.unknown
    assert found.policies is not None
