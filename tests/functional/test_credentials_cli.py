"""``gridbyoc credentials`` as a user calls it, and killed after every call that changes something."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from gridbyoc.aws import AwsSession, caller_identity
from gridbyoc.aws.iam_user import User, WantedPolicy, look_at_user, make_key, put_policies
from gridbyoc.aws.profile_file import read_profile
from gridbyoc.errors import AwsError, FileError, UsageError
from gridbyoc.operations.credentials import (
    ReadyUser,
    UserArguments,
    UserDeletion,
    check,
    create_user,
    delete_user,
    fitting,
    wanted_of,
)
from gridbyoc.sandbox import Sandbox
from gridbyoc.stack.secret import Secret
from tests.e2e import warm_python
from tests.functional.leftover_world import session_at
from tests.unit.fakes import Time

pytestmark = pytest.mark.usefixtures("measured")

EMPTY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}
CHANGES = ("create_", "delete_", "attach_", "detach_", "tag_", "put_", "remove_")


class Killed(BaseException):
    """The process is gone: nothing catches it."""


@dataclass
class Client:
    """IAM, until ``left`` calls that change something were carried out; or with an answer lost on the way."""

    real: Any
    left: int
    lose: str = ""
    changes: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.real, name)
        if not name.startswith(CHANGES):
            return call

        def changing(**arguments: Any) -> Any:
            answer = call(**arguments)
            self.changes.append(name)
            if name == self.lose:
                self.lose = ""
                answer = call(**arguments)  # as botocore does by itself where no answer came
                answer["ResponseMetadata"]["RetryAttempts"] = 1
            self.left -= 1
            if not self.left:
                raise Killed
            return answer

        return changing


@dataclass
class Account:
    """One directory, one AWS account."""

    session: AwsSession
    home: Path

    @property
    def file(self) -> Path:
        return self.home / ".aws" / "credentials"

    def create(self, asked: UserArguments, session: AwsSession | None = None, **environ: str) -> ReadyUser:
        session = session or self.session
        wanted = wanted_of(asked, caller_identity(self.session), None, environ, self.home)
        return create_user(session, wanted, approve=lambda _found: True, sleep=Time().sleep)

    def delete(self, asked: UserArguments, session: AwsSession | None = None) -> UserDeletion:
        caller, session = caller_identity(self.session), session or self.session
        return delete_user(session, caller, asked, environ={}, home=self.home, approve=lambda _doomed: True)

    def dying(self, after: int, *, lose: str = "") -> tuple[AwsSession, Client]:
        client = Client(self.session.iam(), after, lose)
        return replace(self.session, _clients={("iam", self.session.region): client}), client

    def faults(self, name: str) -> list[str]:
        """What is not as it must be once the user is ready."""
        user, stored = look_at_user(self.session, name), read_profile(self.file, f"gridbyoc-{name}")
        if user is None or stored is None:
            return ["no user, or no profile"]
        found = [] if [key.id for key in user.keys] == [stored.access_key_id] else [f"keys {len(user.keys)}"]
        found += [] if [arn.rsplit("/", 1)[-1] for arn in user.attached] == [f"gridbyoc-{name}"] else ["policies"]
        return found + ([] if stored.owner == user.arn else ["owner"])

    def left(self, name: str) -> list[str]:
        """What is there of the user."""
        policies = self.session.iam().list_policies(Scope="Local", MaxItems=1000)["Policies"]
        found = [policy["Arn"] for policy in policies if name in policy["Arn"]]
        found += ["user"] if look_at_user(self.session, name) else []
        return found + (["profile"] if read_profile(self.file, f"gridbyoc-{name}") else [])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with warm_python.warm_sandbox() as running:
        yield running


@pytest.fixture
def account(sandbox: Sandbox, tmp_path: Path) -> Account:
    return Account(session_at(sandbox.aws_url, tmp_path), tmp_path)


def test_made_whole_and_left_alone_the_second_time(account: Account) -> None:
    ready = account.create(UserArguments("once", tags={"team": "ml"}))
    assert len(ready.changes) == 3
    assert account.faults("once") == []
    before = account.file.read_bytes()
    assert account.create(UserArguments("once", tags={"team": "ml"})).changes == ()
    assert account.file.read_bytes() == before
    tags = {tag["Key"]: tag["Value"] for tag in account.session.iam().list_user_tags(UserName="once")["Tags"]}
    stored = read_profile(account.file, "gridbyoc-once")
    assert stored is not None
    ours = {"gridbyoc:purpose": "deployment-user", "gridbyoc:access-key": stored.access_key_id}
    assert tags == {**ours, "team": "ml"}


def test_killed_after_every_change_the_next_run_converges(account: Account) -> None:
    killed = 0
    for after in range(1, 50):
        name = f"kill-{after}"
        session, client = account.dying(after)
        try:
            account.create(UserArguments(name), session)
        except Killed:
            killed += 1
        else:
            break
        account.create(UserArguments(name))
        assert account.faults(name) == [], client.changes
        assert account.create(UserArguments(name)).changes == ()
    assert killed == len(client.changes) == 5  # user, policy, attachment, key, tag
    assert account.file.read_text().count("[gridbyoc-") == killed + 1


def test_killed_while_it_deletes_the_next_run_finishes(account: Account) -> None:
    killed = 0
    for after in range(1, 50):
        name = f"doomed-{after}"
        account.create(UserArguments(name))
        account.create(UserArguments(name, uses=("plan",)))  # a second version of the policy
        session, client = account.dying(after)
        try:
            account.delete(UserArguments(name), session)
        except Killed:
            killed += 1
        else:
            break
        account.delete(UserArguments(name))
        assert account.left(name) == [], client.changes
    assert killed == len(client.changes) == 5  # detached, version, policy, key, user
    assert account.left(name) == []
    assert account.file.read_bytes() == b""
    assert account.delete(UserArguments(name)).lines == ()


def test_a_key_whose_answer_was_lost_is_not_left_behind(account: Account) -> None:
    session, client = account.dying(99, lose="create_access_key")
    account.create(UserArguments("twice"), session)
    assert account.faults("twice") == []
    assert client.changes[-3:] == ["create_access_key", "delete_access_key", "tag_user"]


def test_a_key_that_another_run_makes_at_the_same_time_is_left_to_it(account: Account) -> None:
    account.create(UserArguments("pair"))
    user = look_at_user(account.session, "pair")
    assert user is not None
    with pytest.raises(AwsError, match="Another run"):
        make_key(account.session, replace(user, keys=()))
    assert account.faults("pair") == []
    account.delete(UserArguments("pair"))


def test_a_key_that_was_used_is_never_thrown_away(account: Account) -> None:
    account.create(UserArguments("used"))
    account.file.unlink()
    with pytest.raises(AwsError, match="an access key that is not in the profile") as caught:
        account.create(UserArguments("used"))
    assert "aws iam delete-access-key --user-name used" in caught.value.fix
    user = look_at_user(account.session, "used")
    assert user is not None
    assert len(user.keys) == 1


def test_a_key_that_lies_in_another_profile_is_not_lost_though_nobody_used_it_yet(account: Account) -> None:
    session, client = account.dying(5)
    with pytest.raises(Killed):
        account.create(UserArguments("new"), session)
    assert client.changes[-1] == "tag_user"
    with pytest.raises(AwsError, match="an access key that is not in the profile") as caught:
        account.create(UserArguments("new", profile="elsewhere"))
    assert "was kept in another profile" in caught.value.why
    assert account.create(UserArguments("new")).changes == ()


def test_a_file_that_cannot_be_written_leaves_no_key(account: Account) -> None:
    (account.home / ".aws").write_text("a file")
    with pytest.raises(FileError):
        account.create(UserArguments("nowhere"))
    assert look_at_user(account.session, "nowhere") is None


def test_an_inactive_key_is_told(account: Account) -> None:
    account.create(UserArguments("idle"))
    stored = read_profile(account.file, "gridbyoc-idle")
    assert stored is not None
    iam = account.session.iam()
    iam.update_access_key(UserName="idle", AccessKeyId=str(stored.access_key_id), Status="Inactive")
    with pytest.raises(AwsError, match="inactive"):
        account.create(UserArguments("idle"))


def test_what_is_not_ours_is_not_touched(account: Account) -> None:
    iam = account.session.iam()
    iam.create_user(UserName="boss")
    for call in (account.create, account.delete):
        with pytest.raises(AwsError, match="not created by gridbyoc"):
            call(UserArguments("boss"))
    document = json.dumps(EMPTY)
    arn = iam.create_policy(PolicyName="gridbyoc-eve", PolicyDocument=document)["Policy"]["Arn"]
    with pytest.raises(AwsError, match="policy"):
        account.create(UserArguments("eve"))
    assert look_at_user(account.session, "eve") is None
    assert account.delete(UserArguments("eve")).lines == ()
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 0


def test_a_profile_of_somebody_elses_is_not_overwritten(account: Account) -> None:
    account.file.parent.mkdir()
    theirs = "[gridbyoc-rob]\naws_access_key_id = AKIATHEIRS\naws_secret_access_key = theirs\n"
    account.file.write_text(theirs)
    with pytest.raises(FileError, match="belongs to somebody else"):
        account.create(UserArguments("rob"))
    account.delete(UserArguments("rob"))
    assert account.file.read_text() == theirs
    config = account.home / ".aws" / "config"
    config.write_text("[profile mine]\nrole_arn = arn:aws:iam::123456789012:role/x\n[profile plain]\nregion = x\n")
    with pytest.raises(FileError, match="exists in"):
        account.create(UserArguments("rob", profile="mine"))
    assert look_at_user(account.session, "rob") is None
    account.create(UserArguments("rob", profile="plain"))
    assert account.delete(UserArguments("rob", profile="plain")).lines[-1].startswith("remove the profile plain")
    assert account.file.read_text().startswith(theirs)


def test_a_profile_that_cannot_be_written_is_refused_before_anything_is_made(account: Account) -> None:
    """What stands in [DEFAULT] is part of every profile, for every program that reads the file as botocore does."""
    with pytest.raises(FileError, match="written in a way that cannot be changed"):
        account.create(UserArguments("una", profile="DEFAULT"))
    loop = account.home / "loop"
    loop.symlink_to("loop")
    with pytest.raises(FileError, match="Cannot follow"):
        account.create(UserArguments("una", file=loop))
    assert account.left("una") == []


def test_an_attached_policy_of_somebody_elses_is_detached_and_stays(account: Account) -> None:
    account.create(UserArguments("ivy"))
    iam = account.session.iam()
    document = json.dumps(EMPTY)
    arn = iam.create_policy(PolicyName="theirs", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_user_policy(UserName="ivy", PolicyArn=arn)
    account.create(UserArguments("ivy", uses=("plan",)))
    user = look_at_user(account.session, "ivy")
    assert user is not None
    assert arn in user.attached
    account.delete(UserArguments("ivy"))
    assert account.left("ivy") == []
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 0


def test_a_user_called_as_the_others_second_policy_is_another_user(account: Account) -> None:
    """The second policy of `sam` would be `gridbyoc-sam-2`, and that is the first one of `sam-2`."""
    account.create(UserArguments("sam"))
    account.create(UserArguments("sam-2"))
    lines = account.delete(UserArguments("sam")).lines
    assert not [line for line in lines if "sam-2" in line]
    assert account.faults("sam-2") == []
    arn = look_at_user(account.session, "sam-2").attached[0]  # type: ignore[union-attr]  # it is there
    with pytest.raises(AwsError, match="created for another user"):
        put_policies(account.session, User("sam", "/", "arn", ours=True), [WantedPolicy(arn, EMPTY, "sam")], [])
    account.delete(UserArguments("sam-2"))
    assert account.left("sam-2") == []


def test_what_somebody_gave_the_user_is_told_before_it_goes(account: Account) -> None:
    account.create(UserArguments("kim"))
    iam = account.session.iam()
    iam.create_group(GroupName="crew")
    iam.add_user_to_group(GroupName="crew", UserName="kim")
    iam.put_user_policy(UserName="kim", PolicyName="extra", PolicyDocument=json.dumps(EMPTY))
    lines = account.delete(UserArguments("kim")).lines
    assert {"remove it from the group crew", "delete its inline policy extra"} <= set(lines)
    assert look_at_user(account.session, "kim") is None


def test_full_access_and_back(account: Account) -> None:
    account.create(UserArguments("wide", full_access=True))
    user = look_at_user(account.session, "wide")
    assert user is not None
    assert user.attached == ("arn:aws:iam::aws:policy/IAMFullAccess",)
    account.create(UserArguments("wide"))
    assert account.faults("wide") == []
    assert account.create(UserArguments("wide", full_access=True)).changes == (
        "attach the policy arn:aws:iam::aws:policy/IAMFullAccess",
        "remove the policy arn:aws:iam::123456789012:policy/gridbyoc-wide",
    )
    assert account.left("wide") == ["user", "profile"]


def test_a_boundary_is_set_and_changed(account: Account) -> None:
    first, second = (f"arn:aws:iam::aws:policy/{name}" for name in ("PowerUserAccess", "ReadOnlyAccess"))
    account.create(UserArguments("held", boundary=first))
    assert account.create(UserArguments("held", boundary=first)).changes == ()
    assert account.create(UserArguments("held")).changes == ()
    assert account.create(UserArguments("held", boundary=second)).changes == (
        f"set its permissions boundary to {second}",
    )
    user = look_at_user(account.session, "held")
    assert user is not None
    assert user.boundary == second


def test_many_edits_of_the_policy_keep_within_its_five_versions(account: Account) -> None:
    for use in ("plan", "bootstrap", "destroy", "doctor", "verify", "leftovers", "all"):
        account.create(UserArguments("edits", uses=(use,)))
    arn = "arn:aws:iam::123456789012:policy/gridbyoc-edits"
    versions = account.session.iam().list_policy_versions(PolicyArn=arn)["Versions"]
    assert [version["VersionId"] for version in versions if version["IsDefaultVersion"]] == ["v7"]
    assert len(versions) == 5


class SlowSts:
    """A boto3 session whose STS knows a new key only after some tries."""

    def __init__(self, refusals: int, arn: str) -> None:
        self.refusals, self.arn = refusals, arn

    def client(self, *_service: str, **_options: Any) -> SlowSts:
        return self

    def get_caller_identity(self) -> dict[str, str]:
        self.refusals -= 1
        if self.refusals >= 0:
            raise ClientError({"Error": {"Code": "InvalidClientTokenId", "Message": "no"}}, "GetCallerIdentity")
        return {"Arn": self.arn}


def test_a_new_key_is_waited_for_and_not_for_ever(account: Account) -> None:
    from gridbyoc.aws.iam_user import await_key

    def wait(refusals: int, arn: str = "ada") -> list[float]:
        time = Time()
        slow: Any = SlowSts(refusals, arn)
        await_key(replace(account.session, boto=slow), "AKIA", Secret("x"), arn="ada", sleep=time.sleep)
        return time.naps

    assert wait(3) == [1.0, 2.0, 4.0]
    with pytest.raises(AwsError, match="not valid 60 s after"):
        wait(99)
    with pytest.raises(AwsError, match="belongs to eve"):
        wait(0, "eve")


@pytest.mark.parametrize(
    "asked, word",
    [
        (UserArguments("a b"), "NAME"),
        (UserArguments("x" * 65), "NAME"),
        (UserArguments("a", profile="p]"), "--profile-name"),
        (UserArguments("a", path="team"), "--path"),
        (UserArguments("a", boundary="x"), "--permissions-boundary"),
        (UserArguments("a", tags={"aws:x": "y"}), "--tag"),
        (UserArguments("a", tags={"gridbyoc:purpose": "y"}), "--tag"),
        (UserArguments("a", tags={str(number): "" for number in range(49)}), "--tag"),
    ],
)
def test_what_the_command_line_alone_tells(asked: UserArguments, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        check(asked, "us-east-1")


def test_a_document_that_is_too_large_is_divided() -> None:
    statements = [{"Sid": f"S{number}", "Action": ["x" * 4000]} for number in range(5)]
    parts = fitting({"Version": "2012-10-17", "Statement": statements})
    assert [len(part["Statement"]) for part in parts] == [1, 1, 1, 1, 1]
    with pytest.raises(UsageError, match="6 policies"):
        fitting({"Statement": [*statements, *statements[:1]]})


@dataclass(frozen=True)
class Tool:
    """The command in a directory and a HOME of its own."""

    directory: Path
    env: dict[str, str]

    def __call__(self, *args: str, status: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = warm_python.completed(("credentials", *args), self.directory, {**self.env, **env})
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def tool(sandbox: Sandbox, tmp_path: Path) -> Tool:
    file = tmp_path / "credentials"
    file.write_text("[default]\nregion = eu-west-1\n")
    env = {**sandbox.environ(os.environ), "HOME": str(tmp_path), "AWS_SHARED_CREDENTIALS_FILE": str(file)}
    return Tool(tmp_path, env)


def test_as_a_user_calls_it(tool: Tool) -> None:
    assert "--yes" in tool("create-user", "cleo", status=2).stderr
    made = tool("create-user", "cleo", "--yes", "--debug")
    file = tool.directory / "credentials"
    stored = read_profile(file, "gridbyoc-cleo")
    assert stored is not None
    assert stored.secret_access_key is not None
    secret = stored.secret_access_key.reveal()
    assert "aws configure sso" in made.stderr
    assert "env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY AWS_PROFILE=gridbyoc-cleo" in made.stdout
    assert "can be read by others" not in made.stderr
    file.chmod(0o644)
    again = tool("create-user", "cleo", "--yes", "--format", "json")
    assert "can be read by others: `chmod 600 " in again.stderr
    told = json.loads(again.stdout)
    assert (told["changes"], told["profile"], told["credentials_file"]) == ([], "gridbyoc-cleo", str(file))
    shown = tool("show", AWS_PROFILE="gridbyoc-cleo")
    assert "user/moto" in shown.stdout
    assert "has no effect" in shown.stderr
    mine = tool("show", "--profile", "gridbyoc-cleo", "--format", "json")
    found = json.loads(mine.stdout)
    assert (found["source"], found["arn"]) == ("credentials file", "arn:aws:iam::123456789012:user/cleo")
    assert "--yes-destroy" in tool("delete-user", "cleo", status=2).stderr
    gone = tool("delete-user", "cleo", "--yes-destroy")
    assert file.read_text() == "[default]\nregion = eu-west-1\n"
    for done in (made, again, shown, mine, gone):
        assert secret not in done.stdout + done.stderr
    holders = [path for path in tool.directory.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert holders == []


def test_credentials_that_are_fetched(tool: Tool, sandbox: Sandbox) -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
    session_at(sandbox.aws_url, tool.directory).iam().create_role(
        RoleName="x", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    keys = {"Version": 1, "AccessKeyId": "ASIAX", "SecretAccessKey": "canary-x", "SessionToken": "canary-y"}
    answer = tool.directory / "answer.json"
    answer.write_text(json.dumps({**keys, "Expiration": "2099-01-01T00:00:00Z"}))
    config = tool.directory / "config"
    config.write_text(
        f"[profile process]\ncredential_process = cat {answer}\n"
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/x\ncredential_source = Environment\n"
    )
    process = tool("show", "--profile", "process", AWS_CONFIG_FILE=str(config))
    assert "source     process, profile process\n" in process.stdout
    assert "expires    2099-01-01 00:00 UTC" in process.stdout
    assert "renewed automatically" in process.stdout
    assert "canary" not in process.stdout + process.stderr
    role = json.loads(tool("show", "--profile", "role", "--format", "json", AWS_CONFIG_FILE=str(config)).stdout)
    assert (role["source"], role["profile"], role["temporary"], role["renews"]) == ("assumed role", "role", True, True)
    assert ":assumed-role/x/" in role["arn"]
    missing = tool("show", "--profile", "nope", status=1, AWS_CONFIG_FILE=str(config))
    assert "aws configure list-profiles" in missing.stderr
    nothing = tool("show", status=1, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_CONFIG_FILE=str(config))
    assert "GBY-A" in nothing.stderr


def test_a_stack_narrows_it_and_guards_the_account(tool: Tool) -> None:
    text = (
        "version: 1\nname: team-x\naws: {region: eu-west-1, account_id: '%s', profile: gridbyoc-dora}\n"
        "role: {name: grid-team-x}\nclusters:\n  - {name: team-x, instance_types: [t2.medium]}\n"
    )
    (tool.directory / "gridbyoc.yaml").write_text(text % "999999999999")
    assert "999999999999" in tool("create-user", "dora", "--yes", status=4).stderr
    (tool.directory / "gridbyoc.yaml").write_text((text % "999999999999").replace(", profile: gridbyoc-dora", ""))
    assert "warning: The stack is for account 999999999999" in tool("show").stderr
    (tool.directory / "gridbyoc.yaml").write_text(text % "123456789012")
    tool("create-user", "dora", "--yes", "--path", "/ops/")
    iam = boto3.client(
        "iam", endpoint_url=tool.env["AWS_ENDPOINT_URL"], region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    arn = "arn:aws:iam::123456789012:policy/ops/gridbyoc-dora"
    document: Any = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    create = [s for s in document["Statement"] if "iam:CreateRole" in s["Action"]]
    assert [s["Resource"] for s in create] == [["arn:aws:iam::123456789012:role/grid-team-x"]]
    tags = {tag["Key"]: tag["Value"] for tag in iam.list_user_tags(UserName="dora")["Tags"]}
    assert tags["gridbyoc:stack"] == "team-x"
    assert "path /ops/" in tool("create-user", "dora", "--yes", status=1).stderr
    assert "user/ops/dora" in tool("show").stdout
    tool("delete-user", "dora", "--yes-destroy")


@pytest.mark.parametrize("tail", [["--tag", "x"], ["--for", "plan", "--iam-full-access"], ["--for", "nothing"]])
def test_wrong_options(tool: Tool, tail: list[str]) -> None:
    tool("create-user", "zoe", "--yes", *tail, status=2)


@pytest.mark.parametrize("region, partition", [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")])
def test_other_partitions(tool: Tool, region: str, partition: str) -> None:
    done = tool("create-user", "kai", "--yes", "--format", "json", AWS_REGION=region, AWS_DEFAULT_REGION=region)
    told = json.loads(done.stdout)
    assert told["arn"] == f"arn:{partition}:iam::123456789012:user/kai"
    assert told["policies"] == [f"arn:{partition}:iam::123456789012:policy/gridbyoc-kai"]
    tool("delete-user", "kai", "--yes-destroy", AWS_REGION=region, AWS_DEFAULT_REGION=region)
