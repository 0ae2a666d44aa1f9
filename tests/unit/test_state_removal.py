"""``destroy --with-state``: the state goes from S3 with all its versions, last of all, and nobody else's does."""

from __future__ import annotations

import copy
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.aws import StateObjects
from gridbyoc.errors import (
    ApprovalRequiredError,
    AwsError,
    GridbyocError,
    StateConflictError,
    StateLockedError,
)
from gridbyoc.operations.destroy import Destroyed, destroy
from gridbyoc.operations.prepare import prepare
from gridbyoc.operations.state_removal import remove_state
from gridbyoc.stack.model import S3Backend, TerraformSettings
from tests.unit.memory_aws import refusal
from tests.unit.test_status import look
from tests.unit.world import KilledError, World, a_stack, spec

BUCKET, KEY, TABLE = "acme-state", "demo.tfstate", "locks"
STACK = replace(a_stack(spec()), terraform=TerraformSettings(S3Backend(BUCKET, KEY, "us-east-1", dynamodb_table=TABLE)))
DIGEST = f"{BUCKET}/{KEY}-md5"
FINGERPRINT = f"{KEY}.converged.json"
OTHERS = (f"{KEY}2", f"{KEY}.tflock2", f"{FINGERPRINT}2", "another.tfstate")


class Versioned(dict[tuple[str, str], str]):
    """Objects of which every version is kept, newest last: id and content, ``None`` for a delete marker.

    ``order`` are the versions that were removed, in their order. ``refused`` are errors by version id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, list[tuple[str, str | None]]] = {}
        self.items_in_table = {DIGEST, "acme-state/another-md5"}
        self.order: list[str] = []
        self.refused: dict[str, Exception] = {}
        self.made = 0

    def __repr__(self) -> str:
        return repr((self.kept, sorted(self.items_in_table)))

    def __deepcopy__(self, memo: dict[int, Any]) -> Versioned:
        twin = memo[id(self)] = Versioned()
        dict.update(twin, self)
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    def __setitem__(self, place: tuple[str, str], content: str) -> None:
        super().__setitem__(place, content)
        self._add(place[1], content)

    def _add(self, key: str, content: str | None) -> None:
        self.made += 1
        self.kept.setdefault(key, []).append((f"v{self.made}", content))

    def hide(self, key: str) -> None:
        """Delete it as the console does: a marker."""
        self._add(key, None)
        self.pop((BUCKET, key), None)

    def ids(self, key: str = KEY) -> list[str]:
        return [ident for ident, _ in self.kept.get(key, [])]

    # --- what boto3's clients are asked

    def list_object_versions(self, *, Bucket: str, Prefix: str) -> dict[str, Any]:  # noqa: N803 - AWS's names, here and below
        assert Bucket == BUCKET
        found: dict[str, list[dict[str, Any]]] = {"Versions": [], "DeleteMarkers": []}
        for key, versions in sorted(self.kept.items()):
            for ident, content in reversed(versions if key.startswith(Prefix) else []):
                latest = ident == versions[-1][0]
                kind = "DeleteMarkers" if content is None else "Versions"
                found[kind].append({"Key": key, "VersionId": ident, "IsLatest": latest})
        return found

    def get_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> Any:  # noqa: N803
        versions = self.kept.get(Key) or [("", None)]
        content = dict(versions)[VersionId] if VersionId else versions[-1][1]
        if content is None:
            return refusal("NoSuchKey", "GetObject")
        return {"Body": io.BytesIO(content.encode()), "ETag": f'"{hash(content)}"'}

    def delete_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> Any:  # noqa: N803
        if VersionId is None:
            self.hide(Key)
            return {}
        if VersionId in self.refused:
            return self.refused[VersionId]
        self.order.append(VersionId)
        self.kept[Key] = [each for each in self.kept[Key] if each[0] != VersionId]
        if not self.kept[Key]:
            del self.kept[Key]
        last = self.kept.get(Key, [("", None)])[-1][1]
        if last is None:
            self.pop((BUCKET, Key), None)
        else:
            super().__setitem__((BUCKET, Key), last)
        return {}

    def get_item(self, *, TableName: str, Key: Any, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        return {"Item": {}} if Key["LockID"]["S"] in self.items_in_table else {}

    def delete_item(self, *, TableName: str, Key: Any) -> dict[str, Any]:  # noqa: N803
        assert TableName == TABLE
        self.items_in_table.discard(Key["LockID"]["S"])
        self.order.append("digest")
        return {}


def bucket(world: World) -> Versioned:
    found = world.objects
    assert isinstance(found, Versioned)
    return found


@pytest.fixture
def up(tmp_path: Path, one_that_is_up: World) -> World:
    return one_that_is_up.fork(tmp_path)


@pytest.fixture(scope="module")
def one_that_is_up(memory: Path) -> World:
    """A stack that is up, whose state is in a versioned bucket beside others, with a lock that was given back."""
    world, versioned = World(Path(tempfile.mkdtemp(dir=memory))), Versioned()
    world.objects = world.aws.objects = world.terraform.objects = versioned
    for name in ("list_object_versions", "get_object", "delete_object"):
        world.aws.answers[f"s3.{name}"] = getattr(versioned, name)
    for name in ("get_item", "delete_item"):
        world.aws.answers[f"dynamodb.{name}"] = getattr(versioned, name)
    for key in (*OTHERS, f"{KEY}.tflock"):
        versioned[BUCKET, key] = "{}"
    versioned.hide(f"{KEY}.tflock")
    world.bootstrap(replace(STACK, role=replace(STACK.role, max_session_hours=2)))
    world.bootstrap(STACK)
    assert (len(versioned.ids()), len(versioned.ids(FINGERPRINT))) == (2, 2)
    return world


@dataclass
class Answer:
    """To the question about the state."""

    yes: bool = True
    asked: list[StateObjects] = field(default_factory=list)

    def __call__(self, found: StateObjects) -> bool:
        self.asked.append(found)
        return self.yes


def destroyed(world: World, answer: Answer | None = None) -> Destroyed:
    with world.run(STACK, "destroy") as run:
        return destroy(run, lambda _doomed: True, with_state=answer or Answer())


def assert_only_others_are_left(world: World) -> None:
    assert set(bucket(world).kept) == set(OTHERS)
    assert bucket(world).items_in_table == {"acme-state/another-md5"}
    assert world.iam.roles == {}


def test_all_versions_go_after_everything_else_and_nothing_of_others(up: World) -> None:
    answer = Answer()
    done = destroyed(up, answer)
    assert [each.key for each in answer.asked] == [KEY]
    gone = [line for line in up.effects if line.startswith(("s3.", "dynamodb."))]
    assert up.effects[-len(gone) :] == gone, "something else came after the state"
    assert done.state_versions == len(gone) - 1
    assert_only_others_are_left(up)
    assert {path.name for path in up.work_dir(STACK).iterdir()} == {"journal.jsonl", "run.lock"}


def test_the_digest_goes_first_and_what_readers_get_last(up: World) -> None:
    before = bucket(up)
    marker, last = before.ids(f"{KEY}.tflock")[-1], before.ids(FINGERPRINT)[-1]
    older = [before.ids(key)[:-1] for key in (KEY, FINGERPRINT, f"{KEY}.tflock")]
    destroyed(up)
    *_, lock, fingerprint, state = before.order
    assert before.order[0] == "digest"
    assert int(state[1:]) == before.made, "the last state that was written"
    assert lock == marker, "the marker of the lock that was given back"
    assert fingerprint == last
    for ids in older:
        assert ids == [each for each in before.order if each in ids], "a replaced version came back to readers"


def test_without_the_option_the_state_stays(up: World) -> None:
    up.destroy(STACK)
    assert bucket(up).order == []
    assert '"resources": []' in up.objects[BUCKET, KEY]
    assert (BUCKET, FINGERPRINT) not in up.objects, "it is of resources that are destroyed"


def test_a_later_run_with_the_option_removes_it(up: World) -> None:
    up.destroy(STACK)
    done = destroyed(up)
    assert done.state_versions
    assert_only_others_are_left(up)
    again = Answer(yes=False)
    assert destroyed(up, again).state_versions == 0
    assert again.asked == []


def test_not_approved_nothing_is_destroyed(up: World) -> None:
    with pytest.raises(ApprovalRequiredError, match="removal of the state"):
        destroyed(up, Answer(yes=False))
    assert up.effects == []
    assert len(up.iam.roles) == 1


def test_a_local_state_goes_with_the_work_dir(world: World) -> None:
    world.bring_up(a_stack(spec()))
    answer = Answer(yes=False)
    with world.run(a_stack(spec()), "destroy") as run:
        destroy(run, lambda _doomed: True, with_state=answer)
    assert answer.asked == []
    assert any("is removed with the local files" in note for note in world.notes("info"))


def test_while_something_is_left_of_a_cluster_the_state_stays(up: World) -> None:
    owned = [{"Key": "kubernetes.io/cluster/ml", "Value": "owned"}]
    up.aws.answers["ec2.describe_volumes"] = {"Volumes": [{"VolumeId": "vol-1", "Size": 1, "Tags": owned}]}
    done = destroyed(up)
    assert not done.left.ledger.clear
    assert done.state_versions is None
    assert bucket(up).order == []
    assert any("The state stays" in note for note in up.notes())


def other_lineage(world: World) -> None:
    state = json.loads(world.objects[BUCKET, KEY])
    world.objects[BUCKET, KEY] = json.dumps(state | {"lineage": "another"})


def not_empty(world: World) -> None:
    state = json.loads(world.objects[BUCKET, KEY])
    resource = {"mode": "managed", "type": "aws_iam_role", "name": "this", "instances": [{"attributes": {}}]}
    world.objects[BUCKET, KEY] = json.dumps(state | {"resources": [resource]})


def deleted_by_hand(world: World) -> None:
    not_empty(world)
    bucket(world).hide(KEY)


def deleted_and_unreadable(world: World) -> None:
    world.objects[BUCKET, KEY] = '{"encrypted_data": "x"}'
    bucket(world).hide(KEY)


def locked(world: World) -> None:
    world.objects[BUCKET, f"{KEY}.tflock"] = json.dumps({"ID": "the-id", "Who": "ada@laptop", "Operation": "Apply"})


@dataclass(frozen=True)
class Meanwhile:
    """What somebody does while the role goes; the error of the run; whether it helps to run it again."""

    name: str
    act: Callable[[World], object]
    error: type[GridbyocError]
    words: str
    status: int = 1


MEANWHILE = [
    Meanwhile("another lineage", other_lineage, StateConflictError, "its lineage is another"),
    Meanwhile("it is not empty", not_empty, StateConflictError, "is not the one that was destroyed"),
    Meanwhile("a state that was not empty was deleted", deleted_by_hand, StateConflictError, "may not be empty"),
    Meanwhile("an unreadable state was deleted", deleted_and_unreadable, StateConflictError, "may not be empty"),
    Meanwhile("it is locked", locked, StateLockedError, "ada@laptop", 8),
]


@pytest.mark.parametrize("case", MEANWHILE, ids=lambda case: case.name)
def test_somebody_elses_state_stays(up: World, case: Meanwhile) -> None:
    """The last state is written by the destroy; what happens then comes right after it."""
    lineage = json.loads(up.objects[BUCKET, KEY])["lineage"]
    up.destroy(STACK)
    case.act(up)
    before = repr(bucket(up))
    with up.run(STACK, "destroy") as run, pytest.raises(case.error) as caught:
        remove_state(run, prepare(run).runner, lineage)
    assert case.words in f"{caught.value.what} {caught.value.why}"
    assert int(caught.value.exit_status) == case.status
    assert repr(bucket(up)) == before


def test_an_empty_state_that_was_deleted_by_hand_goes(up: World) -> None:
    up.destroy(STACK)
    bucket(up).hide(KEY)
    destroyed(up)
    assert_only_others_are_left(up)


def test_a_state_that_is_written_while_the_old_one_goes_stays(up: World) -> None:
    last = json.dumps({"version": 4, "lineage": "new", "resources": []})
    up.meanwhile["dynamodb.delete_item"] = lambda: up.objects.__setitem__((BUCKET, KEY), last)
    with pytest.raises(StateConflictError, match="written meanwhile"):
        destroyed(up)
    assert up.objects[BUCKET, KEY] == last
    assert len(bucket(up).kept[KEY]) == 1


REFUSALS = [
    (refusal("AccessDenied", "DeleteObject", "Access Denied because object protected by object lock."), "retention"),
    (refusal("AccessDenied", "DeleteObject"), "s3:DeleteObjectVersion"),
    (refusal("SlowDown", "DeleteObject"), "busy"),
]


@pytest.mark.parametrize("error, words", REFUSALS)
@pytest.mark.parametrize("which", [0, 1, -1])
def test_what_s3_refuses_is_said_and_a_second_run_goes_on(up: World, error: Exception, words: str, which: int) -> None:
    ident = bucket(up).ids()[which]
    bucket(up).refused[ident] = error
    if which == -1:
        up.destroy(STACK)
        ident = bucket(up).ids()[-1]
        bucket(up).refused = {ident: error}
    with pytest.raises(AwsError) as caught:
        destroyed(up)
    assert words in caught.value.fix
    assert "continues from what exists" in caught.value.rerun
    assert '"resources": []' in up.objects[BUCKET, KEY], "what readers get is the empty state until the end"
    bucket(up).refused.clear()
    destroyed(up)
    assert_only_others_are_left(up)


def test_who_may_not_list_versions_is_told_before_anything_is_destroyed(up: World) -> None:
    up.aws.answers["s3.list_object_versions"] = refusal("AccessDenied", "ListObjectVersions")
    with pytest.raises(AwsError, match="could not be listed"):
        destroyed(up)
    assert up.effects == []


def test_killed_in_the_removal_status_names_the_command_that_goes_on(up: World) -> None:
    up.meanwhile["s3.delete_object"] = lambda: setattr(up, "dies_at", up.instants)
    with pytest.raises(KilledError):
        destroyed(up)
    assert "Run `gridbyoc destroy --with-state`: it continues" in look(up, STACK).next_step


def test_killed_at_every_instant_a_second_run_finishes(up: World) -> None:
    for one in up.killed_everywhere(destroyed):
        destroyed(one)
        assert_only_others_are_left(one)
