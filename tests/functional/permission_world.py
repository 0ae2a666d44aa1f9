"""A local AWS that holds everybody to their policies, and an IAM user in it with just the policy that a test gives."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import botocore.session

from gridbyoc.aws import AwsSession, caller_identity
from gridbyoc.aws.permissions import Need, policy_document
from gridbyoc.operations.finding import Finding
from gridbyoc.operations.preflight.examine import examine
from gridbyoc.operations.preflight.model import PreflightContext, Shared
from gridbyoc.operations.preflight.permissions import CHECKS
from gridbyoc.sandbox import Sandbox
from gridbyoc.stack.model import Stack
from tests.unit.preflight_kit import scene_of

ACCOUNT = "123456789012"
REGION = "us-west-2"


@dataclass(frozen=True)
class Runner:
    """The user: what the tool is run as."""

    box: Sandbox
    name: str
    key: str
    secret: str
    directory: Path

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{ACCOUNT}:user/{self.name}"

    def environ(self) -> dict[str, str]:
        """For a process that runs as this user."""
        kept = {name: value for name, value in self.box.env.items() if name.startswith("AWS_")}
        return {**kept, "AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_REGION": REGION}

    def session(self) -> AwsSession:
        config = self.directory / "aws-config"
        config.write_text(f"[default]\nregion = {REGION}\nendpoint_url = {self.box.aws_url}\n")
        core = botocore.session.Session()
        core.set_config_variable("config_file", str(config))
        return AwsSession(boto3.session.Session(self.key, self.secret, botocore_session=core), REGION)

    def may(self, needs: Iterable[Need]) -> None:
        """From now on this, and nothing else."""
        self.has(policy_document(needs))

    def has(self, document: dict[str, Any]) -> None:
        """The policy, as one document."""
        admin(self.box, "iam").put_user_policy(
            UserName=self.name, PolicyName="runs-gridbyoc", PolicyDocument=json.dumps(document)
        )


def admin(box: Sandbox, service: str) -> Any:
    """A client of whoever may do everything."""
    return boto3.client(
        service, REGION, endpoint_url=box.aws_url, aws_access_key_id="test", aws_secret_access_key="test"
    )


def new_runner(box: Sandbox, name: str, directory: Path) -> Runner:
    """Make the user, with a key and without a policy."""
    iam = admin(box, "iam")
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return Runner(box, name, made["AccessKeyId"], made["SecretAccessKey"], directory)


def scene_as(session: AwsSession, stack: Stack) -> PreflightContext:
    """The preflight's view of a stack, with this session's caller."""
    return replace(scene_of(stack), session=Shared(lambda: session), caller=Shared(lambda: caller_identity(session)))


def permissions(scene: PreflightContext) -> list[Finding]:
    """What the group ``permissions`` finds."""
    return list(examine(scene, CHECKS))


def named(findings: Iterable[Finding]) -> set[str]:
    """Every action that a finding names."""
    actions: set[str] = set()
    for finding in findings:
        if finding.verdict != "pass":
            actions |= set(finding.facts.get("actions", [finding.facts.get("action", finding.detail)]))
    return actions
