"""Each mandatory action of the least-privilege policy, taken away from a user that runs real Terraform: it stops, and
names the action.

Which these are, and which kind of run needs them, is read from the policy that ``create-user`` wrote and from the list
of actions: an action that is new there is tried here without a word in this file.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from gridbyoc.aws.permissions import MANDATORY, Need, needs_of
from gridbyoc.errors import GridbyocError
from gridbyoc.render import render
from gridbyoc.sandbox import Sandbox, SandboxSettings
from gridbyoc.show.error import error_lines
from gridbyoc.stack.load import load
from gridbyoc.stack.model import Stack
from gridbyoc.terraform import Runner, find_binary
from tests.e2e.conftest import Tool, stack_text
from tests.e2e.deployment_user import granted, taken_away
from tests.e2e.other_hand import READ_S3, changed, leave_things
from tests.e2e.scene import seconds_since, show
from tests.e2e.warm_python import warm_sandbox

ACCOUNT = "123456789012"
USER = "ada"
BUCKET, KEY, TABLE = "acme-tf-state", "gridbyoc/every.tfstate", "locks"
ROLE, PATH = "grid-every", "/platform/"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy{PATH}{ROLE}"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
SETTINGS = (
    f"{{name: {ROLE}, path: {PATH}, permissions_boundary: '{BOUNDARY}', tags: {{team: ml}}, "
    "managed_policies: [AmazonS3FullAccess]}"
)
"""One of AWS's policies calls for the same actions as nine."""
BACKEND = f"""\
terraform:
  backend:
    s3:
      bucket: {BUCKET}
      key: {KEY}
      region: us-east-1
      dynamodb_table: {TABLE}
      kms_key_id: arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-44cd-96ef-1234567890ab
"""
Before = Callable[[Need], AbstractContextManager[None]]
OWN_KEY = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
Run = Callable[[], object]


@dataclass(frozen=True)
class Account:
    """The AWS account, as its administrator."""

    sandbox: Sandbox

    def client(self, service: str) -> Any:
        return boto3.client(
            service, "us-east-1", endpoint_url=self.sandbox.aws_url, aws_access_key_id="test",
            aws_secret_access_key="test",
        )  # fmt: skip

    def prepare(self) -> None:
        """What the stack file speaks of and the stack does not make."""
        self.client("iam").create_policy(PolicyName="boundary", PolicyDocument=READ_S3)
        self.client("s3").create_bucket(Bucket=BUCKET)
        self.client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def unlock(self) -> None:
        """Both locks gone that a run leaves which may not give them back."""
        self.client("s3").delete_object(Bucket=BUCKET, Key=f"{KEY}.tflock")
        self.client("dynamodb").delete_item(TableName=TABLE, Key={"LockID": {"S": f"{BUCKET}/{KEY}"}})


@dataclass(frozen=True)
class Trial:
    """Runs with an action less: by action the command, its time and what was said; and those that did not stop."""

    account: Account
    iam: Any
    stopped: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)

    def without(self, needs: Iterable[Need], command: str, run: Run, before: Before) -> None:
        for need in needs:
            if need.action in self.stopped:
                continue
            began = time.monotonic()
            with before(need), taken_away(self.iam, USER, need.action):
                said = said_by(run)
            self.account.unlock()
            named = next((line.strip() for line in said if re.search(rf"{need.action}\b", line)), None)
            if named is None:
                self.passed.append(f"{command} without {need.action} said: {said}")
            else:
                words = named[max(named.find("not authorized"), 0) :]
                self.stopped[need.action] = (command, seconds_since(began), words[:120])


def said_by(run: Run) -> list[str]:
    """The failure that the user sees; empty if the run did not fail."""
    try:
        run()
    except GridbyocError as error:
        return error_lines(error)
    return []


@dataclass(frozen=True)
class Scene:
    """A user made by ``create-user`` for a stack that makes every action necessary, and Terraform run as that user."""

    account: Account
    stack: Stack
    terraform: Runner

    def start(self) -> None:
        """As a fresh checkout does: the backend first, and then a plan."""
        self.terraform.init(reconfigure=True)
        self.terraform.plan()


@pytest.fixture
def scene(tmp_path: Path, provider_mirror: Path) -> Iterator[Scene]:
    with warm_sandbox(SandboxSettings(enforce_iam=True)) as sandbox:
        Account(sandbox).prepare()
        keys = {"HOME": str(tmp_path), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
        tool = Tool(tmp_path / "stack", {**sandbox.environ(os.environ), **keys})
        tool.directory.mkdir()
        text = stack_text("every", role=SETTINGS, extra=BACKEND)
        file = tool.write(text.replace("region: us-east-1}", f"region: us-east-1, profile: gridbyoc-{USER}}}", 1))
        tool("credentials", "create-user", USER, "--yes")
        stack = load(file, environ={})
        work_dir = render(stack, tmp_path / "work").work_dir
        environ = {name: value for name, value in sandbox.env.items() if name not in OWN_KEY} | keys
        environ["PATH"] = os.environ["PATH"]
        runner = Runner(find_binary(None, environ), work_dir, environ=environ, provider_mirror=provider_mirror)
        yield Scene(Account(sandbox), stack, runner)


@pytest.mark.timeout(400)  # forty runs in one world, because each goes on from where the last one stopped
def test_a_run_stops_and_names_each_mandatory_action_that_is_taken_away(scene: Scene) -> None:
    account, terraform, iam = scene.account, scene.terraform, scene.account.client("iam")
    arn = f"arn:aws:iam::{ACCOUNT}:user/{USER}"
    needs = needs_of(scene.stack, account_id=ACCOUNT, phases=MANDATORY, principal=arn)
    mandatory = {need.action for need in needs}
    allowed = granted(iam, USER)
    assert mandatory <= allowed
    trial = Trial(account, iam)

    def left(_need: Need) -> AbstractContextManager[None]:
        leave_things(iam, ROLE)
        return nullcontext()

    state = [need for need in needs if need.phase == "state"]
    trial.without(state, "init, plan", scene.start, lambda _: nullcontext())
    scene.start()
    trial.without(of(needs, "create"), "apply", terraform.apply, lambda _: nullcontext())
    terraform.apply()
    trial.without(of(needs, "read"), "plan", terraform.plan, left)
    trial.without(of(needs, "update"), "apply", terraform.apply, lambda need: changed(iam, ROLE, POLICY, need.purpose))
    trial.without(reversed(of(needs, "delete")), "destroy", terraform.destroy, left)
    terraform.destroy()

    show("one action less", [(action, *rest) for action, rest in sorted(trial.stopped.items())])
    counted = f"{len(mandatory)} actions taken away, {len(trial.stopped)} runs failed"
    show(
        counted, [(f"{len(allowed - mandatory)} more are not mandatory: without them something is unknown, by design",)]
    )
    assert trial.passed == []
    assert set(trial.stopped) == mandatory


def of(needs: Iterable[Need], *words: str) -> list[Need]:
    """Those whose purpose names one of these changes of a resource of Terraform's, in their order."""
    kinds = [(need, need.purpose.partition(": ")[2]) for need in needs if need.purpose.startswith("aws_")]
    return [need for need, kind in kinds if any(word in kind for word in words)]
