"""Release: the marker is all that it writes; every verb that takes the lock refuses; adopt takes the stack back."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gridbyoc.cli.app import App
from gridbyoc.cli.main import cli
from gridbyoc.errors import ApprovalRequiredError, ForeignFileError, OutputMissingError, ReleasedStackError
from gridbyoc.operations.release import Left, Released, holds_released_role, release, take_back
from gridbyoc.operations.release_marker import ALLOWED, MARKER, Marker, read_marker, refuse_released
from gridbyoc.show.release import RELEASED
from gridbyoc.show.status import status_lines
from gridbyoc.stack.model import S3Backend, Stack, TerraformSettings
from tests.unit.test_status import look
from tests.unit.world import NOON, World, a_stack, spec

UP = a_stack(spec())
IN_S3 = replace(UP, terraform=TerraformSettings(S3Backend("acme-state", "demo.tfstate", "us-east-1")))
OLD = "arn:aws:iam::123456789012:role/grid-old"


def role_of(world: World) -> str:
    (role,) = world.iam.roles.values()
    return str(role["Arn"])


def released(world: World, stack: Stack = UP, *, yes: bool = True) -> tuple[Released, list[Left]]:
    asked: list[Left] = []

    def approve(left: Left) -> bool:
        asked.append(left)
        return yes

    with world.run(stack, "release") as run:
        return release(run, approve), asked


def files_of(world: World, stack: Stack) -> dict[str, bytes]:
    """The work_dir without what every run writes."""
    work_dir = world.work_dir(stack)
    passing = {"journal.jsonl", "run.lock", "run.lock.json"}
    found = (path for path in sorted(work_dir.rglob("*")) if path.is_file() and path.name not in passing)
    return {str(path.relative_to(work_dir)): path.read_bytes() for path in found if path.parent.name != "logs"}


def test_without_a_key_the_clusters_are_unknown(world: World) -> None:
    alone = replace(UP, clusters=())
    world.bring_up(alone)
    world.plane.unasked = "there is no key"
    _, (left,) = released(world, alone)
    assert (left.clusters, left.unknown) == (None, "there is no key")


@pytest.mark.parametrize("stack", [UP, IN_S3])
def test_nothing_but_the_marker_is_written(world: World, stack: Stack) -> None:
    world.bring_up(stack)
    files, objects = files_of(world, stack), dict(world.objects)
    found, (left,) = released(world, stack)
    assert world.effects == []
    assert world.objects == objects
    after = files_of(world, stack)
    marker = json.loads(after.pop(MARKER))
    assert after == files
    arn = role_of(world)
    assert marker == {"format": 1, "time": found.marker.time, "stack": "demo", "role_arn": arn}
    assert (world.work_dir(stack) / MARKER).stat().st_mode & 0o777 == 0o600
    assert left.role_arn == arn
    assert set(left.policies) == set(world.iam.roles[arn.rpartition("/")[2]]["Attached"])
    assert [each.name for each in left.clusters or ()] == ["ml"]
    assert (left.pending, left.version) == ("", "1.11.4")
    assert ["-lock=false" in words for words in world.terraform.commands if "plan" in words][-1]
    assert [record["type"] for record in world.journal(stack)][-2:] == ["released", "run_ended"]
    where = "s3://acme-state/demo.tfstate" if stack is IN_S3 else str(world.work_dir(stack) / "terraform.tfstate")
    assert left.state == where


def test_without_a_yes_nothing_is_written(world: World) -> None:
    world.bring_up(UP)
    with pytest.raises(ApprovalRequiredError):
        released(world, yes=False)
    assert read_marker(world.work_dir(UP)) is None


def test_without_a_role_there_is_nothing_to_release(world: World) -> None:
    with pytest.raises(OutputMissingError, match="nothing to release"):
        released(world)
    world.bootstrap(UP)
    world.destroy(UP)
    with pytest.raises(OutputMissingError, match="nothing to release"):
        released(world)
    assert read_marker(world.work_dir(UP)) is None


def test_a_control_plane_that_cannot_be_asked_is_unknown_and_no_obstacle(world: World) -> None:
    world.bring_up(UP)
    world.plane.answers["LIST"] = ["unreachable"]
    found, (left,) = released(world)
    assert left.clusters is None
    assert left.unknown
    assert found.marker.role_arn == role_of(world)


def test_what_terraform_would_change_is_told(world: World) -> None:
    world.bring_up(UP)
    world.iam.detach(next(iter(world.iam.roles)), "arn:aws:iam::aws:policy/AmazonS3FullAccess")
    _, (left,) = released(world)
    assert left.pending == "1 to add"
    assert world.effects == []


def test_a_second_release_says_so_and_changes_nothing(world: World) -> None:
    world.bring_up(UP)
    first, _ = released(world)
    before = (world.work_dir(UP) / MARKER).read_bytes()
    world.time.sleep(60)
    again, asked = released(world, yes=False)
    assert (again.left, asked, again.marker) == (None, [], first.marker)
    assert (world.work_dir(UP) / MARKER).read_bytes() == before


def test_taken_back_it_is_as_before(world: World) -> None:
    world.bring_up(UP)
    released(world)
    with world.run(UP, "adopt") as run:
        assert not holds_released_role(run, OLD)
        assert holds_released_role(run, role_of(world))
        take_back(run)
    assert read_marker(world.work_dir(UP)) is None
    assert [record["type"] for record in world.journal(UP)][-2] == "taken_back"
    assert not world.bootstrap(UP).changed


def test_a_role_that_the_state_lost_meanwhile_is_adopted_as_any_other(world: World) -> None:
    world.bring_up(UP)
    released(world)
    (world.work_dir(UP) / "terraform.tfstate").unlink()
    with world.run(UP, "adopt") as run:
        assert not holds_released_role(run, role_of(world))


def test_status_names_the_line_that_takes_it_back(world: World) -> None:
    world.bring_up(UP)
    found, _ = released(world)
    said = look(world, UP)
    assert said.released == found.marker
    assert said.next_step == f"The stack was released: `gridbyoc adopt {role_of(world)}` takes it back."
    assert "released  since 2026-11-23" in "\n".join(status_lines(said, NOON))


@pytest.mark.parametrize(
    "text, named",
    [
        ("", "an unknown time"),
        ("{}", "an unknown time"),
        ('{"format": 2, "time": "2030-01-02T03:04:05+00:00", "role_arn": "x"}', "2030-01-02 03:04 UTC"),
        ('{"time": "\\u001b[2J", "role_arn": "arn:\\u001b[2J"}', "an unknown time"),
        ('{"time": 5, "role_arn": 6}', "an unknown time"),
    ],
)
def test_a_marker_that_cannot_be_read_is_one_for_all_that(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(ReleasedStackError, match=named) as caught:
        refuse_released(UP, tmp_path)
    assert "gridbyoc adopt ROLE_ARN" in caught.value.fix
    assert "\x1b" not in repr(caught.value.__dict__)


def test_a_marker_that_leads_elsewhere_is_not_followed(world: World) -> None:
    world.bring_up(UP)
    (world.work_dir(UP) / MARKER).symlink_to(world.directory / "nowhere")
    with pytest.raises(ForeignFileError):
        refuse_released(UP, world.work_dir(UP))


# --- the command line

TEXT = (
    "version: 1\nname: demo\naws: {region: us-east-1}\ncontrol_plane: {type: grid}\n"
    "clusters:\n  - {name: ml, instance_types: [t2.medium]}\n"
    "terraform: {backend: {s3: {bucket: acme-state, key: k, region: us-east-1}}}\n"
)
REFUSING = (
    "bootstrap --yes", "plan", "render", "destroy --yes-destroy --with-state --yes-with-state", "rotate --yes",
    "rotate --role --yes", "state init --yes", "state migrate --yes", "state push", "state unlock",
    "leftovers --delete", "clusters create ml",
)  # fmt: skip


def directory_with_marker(tmp_path: Path) -> Path:
    (tmp_path / "gridbyoc.yaml").write_text(TEXT)
    work_dir = tmp_path / ".gridbyoc" / "demo"
    work_dir.mkdir(parents=True)
    (work_dir / MARKER).write_text(json.dumps({"format": 1, "time": "2026-01-02T03:04:05+00:00", "role_arn": OLD}))
    return work_dir


def app_in(directory: Path, out: io.StringIO) -> App:
    return App(
        environ={}, home=directory, cwd=directory, stdin=io.StringIO(), stdout=out, stderr=out, interactive=False
    )  # fmt: skip


def found_command(line: str) -> tuple[click.Command, list[str]]:
    """The command that a line names, without the group whose callback looks for a terminal."""
    command: click.Command = cli
    rest = line.split()
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest.pop(0))
        assert found is not None
        command = found
    return command, rest


@pytest.mark.parametrize("line", REFUSING)
def test_every_verb_that_takes_the_lock_refuses(tmp_path: Path, line: str) -> None:
    work_dir = directory_with_marker(tmp_path)
    command, rest = found_command(line)
    found = CliRunner().invoke(command, rest, obj=app_in(tmp_path, io.StringIO()), standalone_mode=False)
    assert isinstance(found.exception, ReleasedStackError), found.exception
    assert (found.exception.code, int(found.exception.exit_status)) == ("GBY-R006", 4)
    assert "2026-01-02 03:04 UTC" in found.exception.what
    assert f"`gridbyoc adopt {OLD} {tmp_path / 'gridbyoc.yaml'}` takes the stack back" in found.exception.fix
    assert {path.name for path in work_dir.iterdir()} == {MARKER, "run.lock"}


def test_the_two_verbs_that_are_let_through() -> None:
    assert {"adopt", "release"} == ALLOWED


LEFT = Left(
    OLD, ("arn:aws:iam::aws:policy/A",), None, "No key.", "s3://b/k", "cd '/a b'", "TF_CLI_CONFIG_FILE=x ",
    "terraform", "terraform", "1.11.4", "1 to change",
)  # fmt: skip


def told(found: Released, tmp_path: Path) -> str:
    out = io.StringIO()
    app_in(tmp_path, out).show(RELEASED, found, "demo")
    return out.getvalue()


def test_what_is_left_is_told(tmp_path: Path) -> None:
    marker = Marker("2026-01-02T03:04:05+00:00", OLD)
    text = told(Released(marker, f"gridbyoc adopt {OLD} gridbyoc.yaml", LEFT), tmp_path)
    for words in (
        f"role      {OLD}",
        "policy    arn:aws:iam::aws:policy/A",
        "clusters  unknown: No key.",
        "state     s3://b/k (the external id is in it)",
        "cd '/a b' && TF_CLI_CONFIG_FILE=x terraform plan",
        "terraform 1.11.4, with AWS credentials of account 123456789012; now: 1 to change",
        "terraform output -raw external_id",
        "Delete the stack file",
        f"`gridbyoc adopt {OLD} gridbyoc.yaml`",
    ):
        assert words in text
    document = RELEASED.document(Released(marker, "x", LEFT), "demo")
    assert (document["type"], document["stack"], document["adopt"]) == ("released", "demo", "x")
    assert (document["left"]["clusters"], document["left"]["unknown"]) == (None, "No key.")
    again = told(Released(marker, "gridbyoc adopt", None), tmp_path)
    assert "has already been released, since 2026-01-02 03:04 UTC" in again
    assert RELEASED.document(Released(marker, "x"), "demo")["left"] is None
