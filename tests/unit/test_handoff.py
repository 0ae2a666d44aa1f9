"""Two people: the first makes the role and hands it over, the second registers a cluster, and the first knows it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gridbyoc.cli.app import App
from gridbyoc.cli.handoff import show_page
from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import (
    ClusterConflictError,
    ControlPlaneError,
    FileError,
    HandoffMismatchError,
    OutputMissingError,
    TrustError,
    UsageError,
)
from gridbyoc.operations.drift import find_drift
from gridbyoc.operations.events import Event, Note
from gridbyoc.operations.handoff.file import Handoff, open_handoff
from gridbyoc.operations.handoff.make import (
    check_out,
    check_revealable,
    check_validity,
    make_handoff,
    show_handoff,
    write_handoff,
)
from gridbyoc.operations.handoff.register import check_stack, plane_of_handoff, register_handed_over
from gridbyoc.operations.status import Status
from gridbyoc.show.handoff import HANDOFF_PAGE
from gridbyoc.show.status import STATUS, status_json, status_lines
from gridbyoc.stack.model import ClusterSpec, ControlPlane, InstanceType, Stack
from tests.json_outputs import check_document
from tests.unit.test_handoff_file import KEY, MADE, WEEK, sealed
from tests.unit.test_manual_vendor import ACME
from tests.unit.test_status import look
from tests.unit.world import SECRET_MARK, World, a_stack, spec

UP = a_stack()
ALONE = replace(UP, clusters=())
OTHER_ROLE = "arn:aws:iam::123456789012:role/of-somebody-else"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def made(world: World, stack: Stack = ALONE) -> Handoff:
    """What the file would hold, without the file: its encryption takes half a second."""
    with world.run(stack, "handoff") as run:
        return make_handoff(run, WEEK)


def hand_over(world: World, stack: Stack = ALONE, out: str = "x.handoff") -> Handoff:
    """``gridbyoc handoff --out``; as the second person opens it."""
    with world.run(stack, "handoff") as run:
        write_handoff(run, make_handoff(run, WEEK), KEY, world.directory / out)
    return open_handoff((world.directory / out).read_bytes(), KEY, world.now())


def take(world: World, handoff: Handoff, asked: ClusterSpec | None = None) -> tuple[Cluster, list[Event]]:
    """What the second person does."""
    events: list[Event] = []
    created = register_handed_over(handoff, world.plane, asked or spec(), events.append)
    assert SECRET_MARK not in repr(events)
    return created.cluster, events


@contextmanager
def untouched(world: World) -> Iterator[None]:
    """Neither a file nor a record of a handoff comes of it."""
    yield
    assert not list(world.directory.glob("*.handoff"))
    assert not any(record.get("effect") == "handoff" for record in world.journal(ALONE))


def test_what_is_handed_over_is_what_stands(world: World) -> None:
    role = world.converge(ALONE).role_arn
    found = hand_over(world)
    (accepted,) = world.iam.accepted(role)
    assert (found.role_arn, found.external_id.reveal()) == (role, accepted)
    assert (found.stack, found.region, found.account_id) == ("demo", "us-east-1", role.split(":")[4])
    assert (found.control_plane, found.url) == ("grid", "https://platform.grid.ai")
    assert found.expires - found.created == WEEK
    assert found.by.startswith("arn:aws:")
    file = world.directory / "x.handoff"
    assert file.stat().st_mode & 0o777 == 0o600
    assert accepted.encode() not in file.read_bytes()
    (done,) = [r for r in world.journal(ALONE) if r.get("effect") == "handoff" and r["type"] == "effect_done"]
    assert (done["role"], done["how"], done["expires"]) == (role, "file", found.expires.isoformat())
    assert done["trust"] == found.trust
    assert not any(line.startswith(("Create", "Put", "Update", "POST")) for line in world.log)


@pytest.mark.parametrize(
    ("environ", "url", "stacks", "expected"),
    [
        ({"GRID_URL": "https://env.test/"}, None, None, "https://env.test"),
        ({"GRID_URL": "https://env.test"}, None, "https://file.test", "https://file.test"),
        ({"GRID_URL": "https://env.test"}, "https://flag.test", "https://file.test", "https://flag.test"),
    ],
)
def test_the_address_is_the_one_that_the_first_person_uses(
    world: World, environ: dict[str, str], url: str | None, stacks: str | None, expected: str
) -> None:
    """No key is sent there, so that nobody has to name it twice."""
    world.converge(ALONE)
    world.environ |= environ
    stack = replace(ALONE, control_plane=replace(ALONE.control_plane, url=stacks))
    with world.run(stack, "handoff") as run:
        found = make_handoff(replace(run, choices=replace(run.choices, url=url)), WEEK)
    assert found.url == expected


def test_a_stack_that_is_not_up_is_not_handed_over(world: World) -> None:
    with untouched(world), pytest.raises(OutputMissingError, match="nothing to hand over") as caught:
        hand_over(world)
    assert "gridbyoc bootstrap" in caught.value.fix
    world.converge(ALONE)
    world.destroy(ALONE)
    with untouched(world), pytest.raises(OutputMissingError):
        hand_over(world)


def test_a_role_whose_trust_is_not_proven_is_not_handed_over(world: World) -> None:
    world.converge(ALONE)
    (role,) = world.iam.roles.values()
    world.iam.refused["GetRole"] = "AccessDenied"
    with untouched(world), pytest.raises(TrustError, match="is not proven") as caught:
        hand_over(world)
    assert "policy --for handoff" in caught.value.fix
    world.iam.refused.clear()
    before = role["AssumeRolePolicyDocument"]
    text = json.dumps(before).replace("302180240179", "111122223333")
    role["AssumeRolePolicyDocument"] = json.loads(text)
    with untouched(world), pytest.raises(TrustError, match="does not admit"):
        hand_over(world)
    world.iam.roles.clear()
    with untouched(world), pytest.raises(TrustError, match="does not admit"):
        hand_over(world)


def test_a_state_that_was_not_saved_is_not_handed_over(world: World) -> None:
    world.converge(ALONE)
    work_dir = world.work_dir(ALONE)
    (work_dir / "errored.tfstate").write_bytes((work_dir / "terraform.tfstate").read_bytes())
    with untouched(world), pytest.raises(Exception, match="errored"):
        hand_over(world)


@pytest.mark.parametrize(("seconds", "valid"), [(1, True), (365 * 86400, True), (0.9, False), (365 * 86400 + 1, False)])
def test_how_long_it_may_be_valid(seconds: float, valid: bool) -> None:
    if valid:
        assert check_validity(seconds) == timedelta(seconds=seconds)
        return
    with pytest.raises(UsageError, match="at least 1s"):
        check_validity(seconds)


def test_a_file_of_somebody_elses_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "x"
    stack = replace(ALONE, name="ml-prod", file=tmp_path / "gridbyoc.yaml")
    check_out(stack, out)
    out.write_bytes(sealed())
    check_out(stack, out)
    with pytest.raises(FileError, match="another stack"):
        check_out(replace(stack, name="demo"), out)
    for content in (b"", b"thesis", sealed()[:-30]):
        out.write_bytes(content)
        with pytest.raises(FileError, match="is not a handoff"):
            check_out(stack, out)
        assert out.read_bytes() == content
    out.write_bytes(sealed())
    link = tmp_path / "link"
    for target in (out, tmp_path / "nothing"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with pytest.raises(FileError, match="is a link"):
            check_out(stack, link)
    for place in (tmp_path, tmp_path / "no" / "x"):
        with pytest.raises(FileError, match="directory"):
            check_out(stack, place)


def test_a_file_that_appears_meanwhile_stays(world: World) -> None:
    world.converge(ALONE)
    out = world.directory / "x.handoff"
    with world.run(ALONE, "handoff") as run:
        made = make_handoff(run, WEEK)
        out.write_text("thesis")
        with pytest.raises(FileError, match="not overwritten"):
            write_handoff(run, made, KEY, out)
    assert out.read_text() == "thesis"


# --- the second person


def test_the_second_person_registers_and_the_first_knows_it(world: World) -> None:
    role = world.converge(ALONE).role_arn
    cluster, events = take(world, made(world))
    assert cluster.role_arn == role
    said = [event.message for event in events if isinstance(event, Note)]
    assert f"Stack demo: role {role}, region us-east-1" in said[0]
    assert "was created" in said[-1]
    world.time.sleep(600)
    found = look(world, UP)
    assert [each.status for each in found.clusters] == ["running"]
    assert found.unlisted == ()
    assert "Nothing: the stack is up" in found.next_step
    with world.run(UP, "drift") as run:
        assert find_drift(run).none
    assert not world.bootstrap(UP).changed
    assert [call for call in world.plane.calls if not call.startswith("GET")] == []


@pytest.mark.parametrize("key", [True, False])
def test_a_cluster_that_the_file_does_not_list_is_named_as_such(world: World, key: bool) -> None:
    """For a stack without clusters as well, once there is a key; without one nothing is known."""
    world.converge(ALONE)
    take(world, made(world))
    world.time.sleep(600)
    world.plane.unasked = "" if key else "there is no key"
    if not key:
        world.plane.clusters.clear()  # what a client without a key lists
    found = look(world, ALONE)
    text = "\n".join(status_lines(found, world.now()))
    with world.run(ALONE, "drift") as run:
        drift = find_drift(run)
    if not key:
        assert "cluster   unknown: there is no key" in text
        assert drift.unasked == "there is no key"
        return
    assert found.unlisted == ("ml",)
    assert status_json(found)["unlisted"] == ["ml"]
    assert "cluster   ml: running, not in the stack file" in text
    assert "Add it to `clusters`" in found.next_step
    assert "would delete it" in found.next_step
    (difference,) = drift.differences
    assert (difference.side, difference.subject) == ("control plane", "cluster ml")
    assert difference.detail.startswith("uses the role but is not in the stack file")


def test_another_spec_than_the_files_is_drift_by_field(world: World) -> None:
    world.converge(ALONE)
    take(world, made(world), ClusterSpec("ml", (InstanceType("t3.large"),)))
    with world.run(UP, "drift") as run:
        (difference,) = find_drift(run).differences
    assert difference.detail == "differs"
    assert {each.name for each in difference.attributes} == {"instance_types[t3.large]", "instance_types[m5.large]"}


def test_run_again_it_goes_on_with_the_same_cluster(world: World) -> None:
    world.converge(ALONE)
    handoff = made(world)
    first, _ = take(world, handoff)
    again, events = take(world, handoff)
    assert again.id == first.id
    assert "is used as it is" in repr(events)
    assert world.plane.calls.count("POST ml") == 1


@pytest.mark.parametrize("answer", ["lost", "kept, then lost", "503"])
def test_after_an_unclear_answer_it_is_looked_up_before_it_is_tried_again(world: World, answer: str) -> None:
    world.converge(ALONE)
    handoff = made(world)
    world.plane.answers["POST"] = [answer]
    take(world, handoff)
    assert len(world.plane.live()) == 1
    assert world.plane.calls.count("POST ml") == (1 if answer == "kept, then lost" else 2)


def test_the_name_of_a_cluster_of_another_role_is_refused(world: World) -> None:
    world.converge(ALONE)
    handoff = made(world)
    world.plane.put(Cluster("theirs", "ml", Phase.RUNNING, role_arn=OTHER_ROLE))
    with pytest.raises(ClusterConflictError, match="another role") as caught:
        take(world, handoff)
    assert OTHER_ROLE in caught.value.why
    assert handoff.role_arn in caught.value.why
    assert not any(call.startswith("POST") for call in world.plane.calls)
    world.plane.put(replace(world.plane.clusters["theirs"], role_arn=handoff.role_arn, desired_state=Phase.DELETED))
    with pytest.raises(ControlPlaneError, match="is being deleted"):
        take(world, handoff)


def test_a_handoff_with_a_role_that_is_none_is_refused(world: World) -> None:
    for bent in (replace(MADE, role_arn="arn:x"), replace(MADE, region="us-west-2a")):
        with pytest.raises(UsageError):
            register_handed_over(bent, world.plane, spec(), lambda _event: None)
    assert world.plane.calls == []


def test_an_edited_request_keeps_the_role(world: World) -> None:
    world.converge(ALONE)
    handoff = made(world)

    def edit(body: object) -> dict[str, object]:
        text = json.dumps(body).replace(handoff.role_arn, OTHER_ROLE)
        changed: dict[str, object] = json.loads(text)
        return changed

    with pytest.raises(HandoffMismatchError, match="another role"):
        register_handed_over(handoff, world.plane, spec(), lambda _event: None, edit=edit)
    assert not any(call.startswith("POST") for call in world.plane.calls)
    register_handed_over(handoff, world.plane, spec(), lambda _event: None, edit=lambda body: body)
    assert set(world.plane.live()) == {"ml"}


# --- whose key goes where


@pytest.mark.parametrize(
    ("environ", "url", "there", "taken"),
    [
        ({"GRID_URL": "https://plane.test"}, None, "https://plane.test", True),
        ({"GRID_URL": "https://plane.test:443/"}, None, "https://plane.test", True),
        ({}, "https://plane.test", "https://plane.test", True),
        ({}, None, "https://platform.grid.ai", True),
        ({}, None, "https://plane.test", False),
        ({"GRID_URL": "https://other.test"}, None, "https://plane.test", False),
        ({"GRID_URL": "https://plane.test"}, "https://other.test", "https://plane.test", False),
        ({"GRID_URL": "https://plane.test"}, None, "https://plane.test/x", False),
        ({"GRID_URL": "https://plane.test"}, None, "http://plane.test", False),
        ({"GRID_URL": "https://plane.test"}, None, "https://platform.grid.ai", False),
        ({"GRID_URL": "https://plane.test"}, None, "no address", False),
    ],
)
def test_the_key_goes_where_this_machine_says_and_the_file_must_agree(
    tmp_path: Path, environ: dict[str, str], url: str | None, there: str, taken: bool
) -> None:
    handoff = replace(MADE, url=there)
    if taken:
        plane = plane_of_handoff(handoff, None, url, environ, tmp_path)
        assert (plane.type, plane.url) == ("grid", None)
        return
    with pytest.raises(HandoffMismatchError, match="another control plane") as caught:
        plane_of_handoff(handoff, None, url, environ, tmp_path)
    assert caught.value.exit_status == 4
    assert "GRID_URL" in caught.value.fix


def test_where_the_last_login_was_counts_as_this_machines_word(tmp_path: Path) -> None:
    (tmp_path / ".grid").mkdir()
    (tmp_path / ".grid" / "settings.json").write_text('{"grid_url": "https://plane.test"}')
    assert plane_of_handoff(MADE, None, None, {}, tmp_path).type == "grid"


def test_another_api_and_one_that_is_not_known_are_refused(tmp_path: Path) -> None:
    environ = {"GRID_URL": "https://plane.test", "LIGHTNING_CLOUD_URL": "https://plane.test"}
    with pytest.raises(HandoffMismatchError, match="--control-plane names lightning"):
        plane_of_handoff(MADE, "lightning", None, environ, tmp_path)
    later = replace(MADE, control_plane="lightning", org_id="org-1")
    assert plane_of_handoff(later, "lightning", None, environ, tmp_path).org_id == "org-1"
    with pytest.raises(HandoffMismatchError, match="'next-year'"):
        plane_of_handoff(replace(MADE, control_plane="next-year"), None, None, environ, tmp_path)


def test_the_handoff_of_another_stack_is_refused_where_one_is_named() -> None:
    check_stack(MADE, None, None)
    check_stack(MADE, "ml-prod", replace(ALONE, name="ml-prod"))
    with pytest.raises(HandoffMismatchError, match="--expect-stack names demo") as caught:
        check_stack(MADE, "demo", None)
    assert MADE.role_arn in caught.value.why
    with pytest.raises(HandoffMismatchError, match="the stack file names demo"):
        check_stack(MADE, "ml-prod", ALONE)
    moved = replace(ALONE, name="ml-prod", control_plane=ControlPlane("lightning"))
    with pytest.raises(HandoffMismatchError, match="for the control plane grid, but the stack file names lightning"):
        check_stack(MADE, None, moved)


# --- what the first person sees


def shown(found: Status, now: datetime) -> str:
    return next((line for line in status_lines(found, now) if line.startswith("handoff")), "")


def test_status_says_when_it_was_handed_over_and_whether_it_still_stands(world: World) -> None:
    world.converge(ALONE)
    found = look(world, ALONE)
    assert found.handoff is None
    assert shown(found, world.now()) == ""
    hand_over(world)
    found = look(world, ALONE)
    assert found.handoff is not None
    assert found.handoff.standing == "unchanged"
    text = shown(found, world.now())
    assert text.startswith("handoff   handed over at 2026-11-23 ")
    assert text.endswith(f"valid until {(world.now() + WEEK):%Y-%m-%d %H:%M} UTC")
    assert "expired at" in shown(found, world.now() + WEEK + timedelta(seconds=1))
    body = status_json(found)["handoff"]
    assert body is not None
    assert body["standing"] == "unchanged"
    world.iam.refused["GetRole"] = "AccessDenied"
    assert "whether it still stands is unknown" in shown(look(world, ALONE), world.now())


def test_status_says_that_what_was_handed_over_has_changed(world: World) -> None:
    fixed = replace(ALONE, role=replace(ALONE.role, name="grid-fixed"))
    role = world.converge(fixed).role_arn
    hand_over(world, fixed)
    rotated = replace(fixed, role=replace(fixed.role, rotation="2"))
    assert world.bootstrap(rotated).role_arn == role
    changed = "role or external id has changed since"
    assert changed in shown(look(world, rotated), world.now())
    hand_over(world, rotated)
    assert changed not in shown(look(world, rotated), world.now())
    world.destroy(rotated)
    assert changed in shown(look(world, rotated), world.now())
    assert world.converge(rotated).role_arn == role
    assert changed in shown(look(world, rotated), world.now())


def test_status_says_so_where_the_role_no_longer_admits_what_was_handed_over(world: World) -> None:
    world.converge(ALONE)
    with world.run(ALONE, "handoff") as run:
        show_handoff(run, make_handoff(run, WEEK), lambda _handoff: None)
    assert "changed" not in shown(look(world, ALONE), world.now())
    (role,) = world.iam.roles.values()
    trust = json.dumps(role["AssumeRolePolicyDocument"]).replace("302180240179", "111122223333")
    role["AssumeRolePolicyDocument"] = json.loads(trust)
    assert "has changed since" in shown(look(world, ALONE), world.now())


def test_a_handoff_that_was_cut_off_is_not_told_as_done(world: World) -> None:
    world.converge(ALONE)
    with world.run(ALONE, "handoff") as run:
        run.journal.write("effect_started", effect="handoff", role="x")
    found = look(world, ALONE)
    assert found.handoff is None
    assert found.last_run is not None
    assert found.last_run.open_effects == ("handoff",)


# --- a vendor without an API


def test_a_vendor_without_an_api_gets_a_page_and_status_tells_the_three_states(world: World) -> None:
    world.bootstrap(ACME)
    found = look(world, ACME)
    assert shown(found, world.now()) == (
        "handoff   not yet handed over to Acme AI, as far as this work_dir's journal tells"
    )
    assert found.next_step.startswith("The role is up. Hand it over to Acme AI: `gridbyoc handoff --reveal`")
    shown_to_somebody: list[Handoff] = []
    with world.run(ACME, "handoff") as run:
        show_handoff(run, make_handoff(run, WEEK), shown_to_somebody.append)
    (handoff,) = shown_to_somebody
    (accepted,) = world.iam.accepted(handoff.role_arn)
    assert (handoff.control_plane, handoff.url, handoff.vendor) == ("manual", "", "Acme AI")
    page = HANDOFF_PAGE.document(handoff, "demo")
    assert page["external_id"] == accepted
    check_document(page)
    found = look(world, ACME)
    assert shown(found, world.now()).startswith("handoff   handed over to Acme AI at 2026-11-23 ")
    assert "valid" not in shown(found, world.now())
    assert found.next_step.startswith("Nothing")
    check_document(json.loads(json.dumps(STATUS.document(found, "demo"))))
    world.bootstrap(replace(ACME, role=replace(ACME.role, rotation="2")))
    found = look(world, replace(ACME, role=replace(ACME.role, rotation="2")))
    assert "role or external id has changed since" in shown(found, world.now())
    assert "Hand it over to Acme AI" in found.next_step


@pytest.mark.parametrize("there", [True, False])
def test_a_github_job_masks_the_external_id_before_it_is_printed(there: bool) -> None:
    streams = io.StringIO(), io.StringIO()
    environ = {"GITHUB_ACTIONS": "true"} if there else {}
    show_page(App(environ, Path("/"), Path("/"), io.StringIO(), *streams), MADE)
    out, err = (stream.getvalue() for stream in streams)
    external_id = MADE.external_id.reveal()
    assert f"external id  {external_id}" in out
    assert err == (f"::add-mask::{external_id}\n" if there else "")


def test_a_page_that_was_not_shown_is_not_handed_over(world: World) -> None:
    world.bootstrap(ACME)

    def breaks(_handoff: Handoff) -> None:
        raise FileError("The pipe is gone.")

    with world.run(ACME, "handoff") as run, pytest.raises(FileError):
        show_handoff(run, make_handoff(run, WEEK), breaks)
    assert look(world, ACME).handoff is None


def test_the_file_for_a_vendor_without_an_api_registers_nothing(world: World) -> None:
    world.bootstrap(ACME)
    handoff = hand_over(world, ACME)
    with pytest.raises(HandoffMismatchError, match="is for Acme AI, which has no API") as caught:
        plane_of_handoff(handoff, None, None, {}, world.directory)
    assert "bundle show --reveal" in caught.value.fix


def test_the_page_is_for_a_vendor_without_an_api_alone() -> None:
    check_revealable(ACME)
    with pytest.raises(UsageError, match="for a vendor without an API") as caught:
        check_revealable(UP)
    assert "--out" in caught.value.fix
