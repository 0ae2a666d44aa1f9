"""A role that the stack file names: assumed once, renewed in time, and used for the account alone."""

from __future__ import annotations

import io
import json
import traceback
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.credentials import Credentials
from click.testing import CliRunner, Result

from gridbyoc.aws import AwsSession, Caller, assume_role
from gridbyoc.aws.credential_source import credential_source, current_credentials
from gridbyoc.aws.permissions import Need, Part, SimulatedPrincipal, SimulationResult, needs_of
from gridbyoc.cli.app import App
from gridbyoc.cli.policy import policy
from gridbyoc.errors import AccountMismatchError, AwsCredentialsError, AwsError, UsageError
from gridbyoc.operations.credentials import UserArguments, wanted_of
from gridbyoc.operations.preflight.permissions import judged, other_credentials
from gridbyoc.operations.run import Choices
from gridbyoc.operations.state_unlock import find_lock
from gridbyoc.render import render
from gridbyoc.stack.model import AssumeRole, Aws, S3Backend, Stack, TerraformSettings
from gridbyoc.stack.secret import Secret
from tests.unit.memory_aws import ACCOUNT, refusal
from tests.unit.preflight_kit import scene_of
from tests.unit.stack_helpers import CLUSTERS, HEAD, loaded, problems_of, stack_of
from tests.unit.world import World, a_stack

CENTRAL = "999999999999"
EXTERNAL_ID = "canary-of-the-role-7"
ROLE = AssumeRole(f"arn:aws:iam::{ACCOUNT}:role/platform/gridbyoc", Secret(EXTERNAL_ID), "DEPLOY_ID", "gridbyoc-demo")
STATE = S3Backend("acme-state", "demo.tfstate", "eu-west-1")
STACK = a_stack(aws=Aws("us-east-1", account_id=ACCOUNT, assume_role=ROLE), terraform=TerraformSettings(backend=STATE))


class Sts:
    """STS: keys that last for ``seconds``, or ``refused`` with that code."""

    def __init__(self, seconds: float = 3600, refused: Exception | None = None) -> None:
        self.seconds, self.refused = seconds, refused
        self.asked: list[dict[str, Any]] = []

    def assume_role(self, **given: Any) -> dict[str, Any]:
        self.asked.append(given)
        if self.refused:
            raise self.refused
        ends = datetime.now(timezone.utc) + timedelta(seconds=self.seconds)
        number = len(self.asked)
        return {
            "Credentials": {
                "AccessKeyId": f"ASIA{number}", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": ends,
            }
        }  # fmt: skip


class Chain:
    """boto3's session of the caller."""

    def get_credentials(self) -> Credentials:
        return Credentials("AKIACALLER", "secret", method="env")


def caller(sts: Sts) -> AwsSession:
    return AwsSession(cast(boto3.session.Session, Chain()), "us-east-1", _clients={("sts", "us-east-1"): sts})


def test_it_is_assumed_at_the_first_call_and_then_kept() -> None:
    sts = Sts()
    session = assume_role(caller(sts), ROLE)
    assert sts.asked == []
    keys = [current_credentials(session).access_key_id for _ in range(3)]
    assert keys == ["ASIA1"] * 3
    assert sts.asked == [
        {
            "RoleArn": ROLE.role_arn, "RoleSessionName": "gridbyoc-demo", "DurationSeconds": 3600,
            "ExternalId": EXTERNAL_ID,
        }
    ]  # fmt: skip


def test_without_an_external_id_none_is_sent() -> None:
    sts = Sts()
    current_credentials(assume_role(caller(sts), replace(ROLE, external_id=None, duration="1h30m")))
    assert sts.asked[0].keys() == {"RoleArn", "RoleSessionName", "DurationSeconds"}
    assert sts.asked[0]["DurationSeconds"] == 5400


def test_a_short_session_is_not_renewed_at_every_call_but_before_it_ends() -> None:
    sts = Sts(900)
    session = assume_role(caller(sts), ROLE)
    found = session.credentials()
    assert found is not None
    assert {found.get_frozen_credentials().access_key for _ in range(3)} == {"ASIA1"}
    cast(Any, found)._expiry_time -= timedelta(seconds=780)  # two of fifteen minutes are left
    assert found.get_frozen_credentials().access_key == "ASIA2"


def test_a_session_that_cannot_be_renewed_says_why_and_shows_no_external_id() -> None:
    said = f"User: arn:aws:iam::{CENTRAL}:user/ada is not authorized to perform: sts:AssumeRole with {EXTERNAL_ID}"
    session = assume_role(caller(Sts(refused=refusal("AccessDenied", "AssumeRole", said))), ROLE)
    with pytest.raises(AwsCredentialsError) as caught:
        current_credentials(session)
    error = caught.value
    words = "".join(traceback.format_exception(error)) + error.why + error.fix
    assert ROLE.role_arn in error.what
    assert "user/ada is not authorized" in error.why
    assert "gridbyoc policy --as assumed-role" in error.fix
    assert "external_id_from gives" in error.fix
    assert EXTERNAL_ID not in words
    assert EXTERNAL_ID not in repr((ROLE, session, STACK))


def test_a_refusal_is_not_asked_for_again_at_once() -> None:
    sts, now = Sts(refused=refusal("AccessDenied", "AssumeRole")), [0.0]
    session = assume_role(caller(sts), ROLE, lambda: now[0])
    for moment, asked in ((0.0, 1), (29.0, 1), (31.0, 2)):
        now[0] = moment
        with pytest.raises(AwsCredentialsError, match="cannot be assumed"):
            current_credentials(session)
        assert len(sts.asked) == asked
    now[0], sts.refused = 62.0, None
    assert current_credentials(session).access_key_id == "ASIA3"


@pytest.mark.parametrize(
    ("code", "words"),
    [("ValidationError", "at most 1h"), ("ExpiredToken", "Log in again"), ("Throttling", "Run again")],
)
def test_other_refusals_have_a_fix_of_their_own(code: str, words: str) -> None:
    session = assume_role(caller(Sts(refused=refusal(code, "AssumeRole"))), ROLE)
    with pytest.raises(AwsError) as caught:
        current_credentials(session)
    assert words in caught.value.fix
    assert isinstance(caught.value, AwsCredentialsError) == (code != "Throttling")


def test_the_source_is_the_callers_and_names_the_role(tmp_path: Path) -> None:
    source = credential_source(assume_role(caller(Sts()), ROLE), {}, tmp_path)
    assert source.text == f"environment, which assumes {ROLE.role_arn}"
    assert (source.renews, source.temporary) == (True, True)
    assert source.expires is not None


# --- a run


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The caller is of the central account."""
    made = World(tmp_path)
    made.aws.account = CENTRAL
    return made


def of_the_account(world: World) -> set[str]:
    return {call.partition(":")[2].partition(".")[0] for call in world.aws.calls if call.startswith(f"{ACCOUNT}:")}


def test_a_run_works_with_the_role_and_reads_the_state_as_the_caller(world: World) -> None:
    report = world.bootstrap(STACK)
    assert report.account_id == ACCOUNT
    assert world.aws.assumed == [ROLE]
    assert "iam" in of_the_account(world)
    assert "s3" not in of_the_account(world)
    assert not [call for call in world.aws.calls if call.startswith("iam.")]
    world.aws.calls.clear()
    again = world.bootstrap(STACK)
    assert not again.changed
    assert {"s3.get_object", f"{ACCOUNT}:iam.get_role"} <= set(world.aws.calls)
    values = json.loads((world.work_dir(STACK) / "terraform.tfvars.json").read_text())
    assert (values["profile"], values["account_id"]) == ("gridbyoc-assumed-demo", ACCOUNT)
    assert EXTERNAL_ID not in "".join(map(str, (*world.log, *world.events)))
    files = [path for path in world.work_dir(STACK).rglob("*") if path.is_file()]
    assert not [path for path in files if EXTERNAL_ID.encode() in path.read_bytes()]


def test_the_state_has_a_role_of_its_own_if_the_file_says_so(world: World) -> None:
    state_role = replace(ROLE, role_arn=f"arn:aws:iam::{CENTRAL}:role/state", external_id=None)
    stack = replace(STACK, terraform=TerraformSettings(backend=replace(STATE, assume_role=state_role)))
    world.bootstrap(stack)
    world.aws.calls.clear()
    world.bootstrap(stack)
    assert set(world.aws.assumed) == {ROLE, state_role}
    assert f"{CENTRAL}:s3.get_object" in world.aws.calls
    backend = (world.work_dir(stack) / "backend.tf").read_text()
    assert 'profile = "gridbyoc-state-demo"' in " ".join(backend.split())


def test_a_role_of_another_account_is_refused_before_anything(world: World) -> None:
    other = replace(ROLE, role_arn=f"arn:aws:iam::{CENTRAL}:role/gridbyoc")
    wrong = replace(STACK, aws=replace(STACK.aws, assume_role=other))
    with pytest.raises(AccountMismatchError, match=f"role/gridbyoc is in account {CENTRAL}") as caught:
        world.bootstrap(wrong)
    assert "aws.assume_role.role_arn" in caught.value.fix
    assert caught.value.exit_status == 4
    assert world.effects == []


def test_the_state_of_a_wrong_account_is_not_looked_at_either(world: World) -> None:
    other = replace(ROLE, role_arn=f"arn:aws:iam::{CENTRAL}:role/gridbyoc")
    wrong = replace(STACK, aws=replace(STACK.aws, assume_role=other))
    with world.run(wrong, "test") as run, pytest.raises(AccountMismatchError, match=f"is in account {CENTRAL}"):
        find_lock(run)
    assert not [call for call in world.aws.calls if ".s3." in call or call.startswith("s3.")]
    with world.run(STACK, "test") as run:  # the caller is of another account than the stack, as it may be
        assert find_lock(run) is None
    assert [call for call in world.aws.calls if call.startswith("s3.")]


def test_without_a_role_nothing_is_assumed_and_the_root_is_as_ever(world: World, tmp_path: Path) -> None:
    plain = replace(STACK, aws=Aws("us-east-1", profile="p"))
    world.bootstrap(plain)
    assert world.aws.assumed == []
    assert not [call for call in world.aws.calls if ":" in call]
    render(plain, tmp_path / "w", s3_native_lock=True)
    texts = {path.name: path.read_text() for path in (tmp_path / "w").glob("*.tf*")}
    assert "gridbyoc-" not in texts["backend.tf"] + texts["providers.tf"]
    assert json.loads(texts["terraform.tfvars.json"])["profile"] == "p"


def test_terraform_never_sees_the_variables_of_the_external_ids(world: World) -> None:
    state_role = replace(ROLE, external_id_variable="STATE_ID")
    stack = replace(STACK, terraform=TerraformSettings(backend=replace(STATE, assume_role=state_role)))
    stack = replace(stack, role=replace(stack.role, external_id_variable="OWN_ID"))
    assert stack.secret_variables == {"DEPLOY_ID", "STATE_ID", "OWN_ID"}
    with world.run(stack, "test", Choices()) as run:
        outside = replace(run.outside, environ={"DEPLOY_ID": "x", "STATE_ID": "x", "OWN_ID": "x", "PATH": "/bin"})
        assert replace(run, outside=outside).terraform_environ == {"PATH": "/bin"}


# --- permissions


def actions(stack: Stack, part: Part) -> set[str]:
    return {need.action for need in needs_of(stack, part=part)}


def test_the_role_needs_the_account_and_the_caller_the_role_and_the_state() -> None:
    role, by_caller = needs_of(STACK, part="role"), needs_of(STACK, part="caller")
    assert not [need for need in role if "acme-state" in need.resource or need.action == "sts:AssumeRole"]
    assert {need.resource for need in by_caller if need.action == "sts:AssumeRole"} == {ROLE.role_arn}
    assert {"s3:PutObject", "s3:GetObject", "s3:ListBucket"} <= actions(STACK, "caller")
    assert not [need for need in by_caller if need.action.startswith(("iam:", "ec2:"))]
    plain = replace(STACK, aws=Aws("us-east-1", account_id=ACCOUNT))
    assert set(needs_of(STACK, part="role")) <= set(needs_of(plain))
    assert {need.action for need in needs_of(plain)} >= {"s3:PutObject", "iam:CreateRole"}


def test_a_role_that_reads_the_state_needs_it_and_the_caller_does_not() -> None:
    shared = replace(STACK, terraform=TerraformSettings(backend=replace(STATE, assume_role=ROLE)))
    assert "s3:PutObject" in actions(shared, "role")
    assert actions(shared, "caller") == {"sts:AssumeRole"}
    assert (shared.state_is_apart, STACK.state_is_apart) == (False, True)
    own = replace(ROLE, role_arn=f"arn:aws:iam::{CENTRAL}:role/state")
    third = replace(STACK, terraform=TerraformSettings(backend=replace(STATE, assume_role=own)))
    assert actions(third, "caller") == {"sts:AssumeRole"}
    assert not [need for need in needs_of(third, part="role") if "acme-state" in need.resource]


def test_a_user_that_is_made_for_such_a_stack_may_assume_the_role(tmp_path: Path) -> None:
    made = wanted_of(UserArguments("ada"), Caller(CENTRAL, f"arn:aws:iam::{CENTRAL}:root"), STACK, {}, tmp_path)
    (document,) = [policy.document for policy in made.policies if policy.document]
    allowed = {action for statement in document["Statement"] for action in statement["Action"]}
    assert "sts:AssumeRole" in allowed
    assert "iam:CreateRole" not in allowed


def test_a_permission_that_is_missing_belongs_into_the_roles_policy() -> None:
    need = Need("iam:CreateRole", "*", "the role: create", "apply")
    denied = SimulationResult(need, "denied", "identity", "no policy of the caller allows it")
    role = SimulatedPrincipal("role", ROLE.role_arn)
    for stack, words in ((STACK, f"the policy of {ROLE.role_arn}"), (replace(STACK, aws=Aws("us-east-1")), "caller's")):
        simulation, action = judged(scene_of(stack), role, [denied])
        assert ROLE.role_arn in simulation.detail
        assert words in action.fix


def policy_of(tmp_path: Path, *args: str) -> tuple[str, Result]:
    """``gridbyoc policy`` of a stack file with a role, an external id and a state in S3."""
    state = "terraform: {backend: {s3: {bucket: acme-tf-state, key: a.tfstate}}}\n"
    text = with_role(", external_id_from: {env: DEPLOY_EXTERNAL_ID}, duration: 2h", ARN.replace("gridbyoc", "p/deploy"))
    (tmp_path / "gridbyoc.yaml").write_text(text + state)
    out = io.StringIO()
    app = App({"DEPLOY_EXTERNAL_ID": EXTERNAL_ID}, tmp_path, tmp_path, io.StringIO(), out, io.StringIO())
    result = CliRunner().invoke(policy, list(args), obj=app, standalone_mode=False)
    return out.getvalue(), result


def test_the_role_is_written_with_its_trust_and_without_the_external_id(tmp_path: Path) -> None:
    pipeline = f"arn:aws:iam::{CENTRAL}:role/pipeline"
    out, _ = policy_of(tmp_path, "--as", "assumed-role", "--principal", pipeline)
    text = " ".join(out.split())
    assert 'name = "deploy" path = "/p/"' in text
    assert "max_session_duration = 7200" in text
    assert f'Principal = {{ AWS = [ "{pipeline}", ] }}' in text
    assert 'StringEquals = { "sts:ExternalId" = [ var.external_id, ] }' in text
    assert "sensitive = true" in text
    assert "iam:CreateRole" in text
    assert "acme-tf-state" not in text
    assert EXTERNAL_ID not in text
    caller_policy, _ = policy_of(tmp_path, "--for", "caller")
    assert "sts:AssumeRole" in caller_policy
    assert "acme-tf-state/a.tfstate" in caller_policy
    assert "iam:CreateRole" not in caller_policy


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--as", "assumed-role"), "needs --principal"),
        (("--as", "assumed-role", "--principal", "arn:aws:sts::1:assumed-role/a/b"), "--principal"),
        (("--as", "assumed-role", "--principal", "*"), "no wildcards"),
        (("--as", "assumed-role", "--for", "caller"), "who assumes it"),
    ],
)
def test_options_of_the_policy_that_do_not_fit_are_refused(tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    error = policy_of(tmp_path, *args)[1].exception
    assert isinstance(error, UsageError)
    assert words in error.what


def test_the_preflight_does_not_judge_the_state_by_the_role() -> None:
    assert other_credentials(scene_of(STACK))
    assert not other_credentials(scene_of(replace(STACK, aws=Aws("us-east-1"))))


# --- the stack file

ARN = f"arn:aws:iam::{ACCOUNT}:role/gridbyoc"


def with_role(more: str = "", arn: str = ARN) -> str:
    """A stack file that names this role, with these further keys."""
    return f"{HEAD}{CLUSTERS}aws:\n  region: us-east-1\n  assume_role: {{role_arn: '{arn}'{more}}}\n"


def test_the_external_id_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    text = with_role(", external_id_from: {env: DEPLOY_EXTERNAL_ID}, duration: 15m")
    found = stack_of(text, environ={"DEPLOY_EXTERNAL_ID": EXTERNAL_ID}).aws.assume_role
    assert found is not None
    assert (found.external_id, found.external_id_variable, found.seconds) == (
        Secret(EXTERNAL_ID), "DEPLOY_EXTERNAL_ID", 900,
    )  # fmt: skip
    assert found.session_name.startswith("gridbyoc-")
    (tmp_path / "id").write_text(EXTERNAL_ID + "\n")
    from_file = stack_of(with_role(", external_id_from: {file: id}"), cwd=tmp_path)
    assert from_file.aws.assume_role is not None
    assert from_file.aws.assume_role.external_id == Secret(EXTERNAL_ID)


def test_a_file_outside_the_repository_has_to_say_that_it_holds_an_external_id(tmp_path: Path) -> None:
    """AWS records the external id in the account of the role, which the author of a stack file chooses."""
    inside, outside = tmp_path / "repository", tmp_path / "home"
    (inside / ".git").mkdir(parents=True)
    outside.mkdir()
    for file in (inside / "id", outside / "token", outside / "deploy-external-id"):
        file.write_text(EXTERNAL_ID)
    (inside / "external-id").symlink_to(outside / "token")
    read = {
        name: not problems_of(with_role(f", external_id_from: {{file: '{name}'}}"), cwd=inside)
        for name in ("id", "external-id", str(outside / "token"), str(outside / "deploy-external-id"))
    }
    assert list(read.values()) == [True, False, False, True]
    (problem,) = problems_of(with_role(", external_id_from: {file: external-id}"), cwd=inside)
    assert "outside the repository" in problem.message


@pytest.mark.parametrize(
    ("arn", "more", "place", "words"),
    [
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b", "", "role_arn", "is not the ARN of a role"),
        (f"arn:aws:iam::{ACCOUNT}:role/*", "", "role_arn", "is not the ARN of a role"),
        (f"arn:aws-cn:iam::{ACCOUNT}:role/a", "", "role_arn", "partition `aws-cn`"),
        (ARN, ", duration: 10m", "duration", "not a session's duration"),
        (ARN, ", duration: 12h1m", "duration", "not a session's duration"),
        (ARN, ", session_name: a/b", "session_name", "cannot be a session's name"),
        (ARN, ", external_id_from: {env: AWS_SECRET_ACCESS_KEY}", "external_id_from.env", "another secret"),
        (ARN, ", external_id_from: {env: UNSET_ID}", "external_id_from.env", "is not set"),
        (ARN, f", external_id: {EXTERNAL_ID}", "external_id", "unknown key"),
    ],
)
def test_faults_are_named(arn: str, more: str, place: str, words: str) -> None:
    (problem,) = problems_of(with_role(more, arn), environ={"AWS_SECRET_ACCESS_KEY": EXTERNAL_ID})
    assert problem.path == f"aws.assume_role.{place}"
    assert words in problem.message
    assert EXTERNAL_ID not in str(problem)


def test_a_role_of_another_account_than_the_guards_is_warned_of() -> None:
    text = with_role() + f"  account_id: '{CENTRAL}'\n"
    (warning,) = loaded(text).warnings
    assert f"is a role of account {ACCOUNT}, but the stack is for {CENTRAL}" in warning.message
