"""The role's policies before a run: there, attachable, few enough, short enough; only proof fails."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gridbyoc.operations.preflight.model import PreflightContext
from gridbyoc.operations.preflight.policies import CHECKS, own_policy, policy_arns
from gridbyoc.stack.model import Aws, ClusterSpec, ModuleSource, PolicyStatement, Role, TerraformSettings
from gridbyoc.vendors import facts_of
from tests.unit.fakes import stack
from tests.unit.preflight_kit import refusal, results, scene_of, verdicts

MANAGED_POLICIES = facts_of("grid").permissions.managed_policies

FINE = {f"GBY-M00{number}": "pass" for number in (1, 2, 3, 4)}
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"


@dataclass
class Iam:
    """An IAM that knows every policy but ``missing``; ``refused`` has the code of its no, by policy or operation."""

    missing: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    summary: dict[str, int] = field(default_factory=lambda: {"AttachedPoliciesPerRoleQuota": 10})
    asked: list[str] = field(default_factory=list)

    def get_policy(self, *, PolicyArn: str) -> dict[str, Any]:  # noqa: N803 - IAM's own name
        self.asked.append(PolicyArn)
        name = PolicyArn.rsplit("/", 1)[-1]
        if name in self.refused:
            raise refusal("GetPolicy", self.refused[name])
        if name in self.missing:
            raise refusal("GetPolicy", "NoSuchEntity")
        return {"Policy": {"IsAttachable": name not in self.dead}}

    def get_account_summary(self) -> dict[str, Any]:
        if "summary" in self.refused:
            raise refusal("GetAccountSummary", self.refused["summary"])
        return {"SummaryMap": self.summary}


def looking_at(
    role: Role | None = None, iam: Iam | None = None, *, region: str = "us-east-1", **fields: Any
) -> PreflightContext:
    it = stack(ClusterSpec("ml"), role=role or Role(), aws=Aws(region), **fields)
    return scene_of(it, iam=iam or Iam())


def test_the_modules_own_policies_pass() -> None:
    iam = Iam()
    found = results(looking_at(iam=iam), CHECKS)
    assert verdicts(found) == FINE
    assert sorted(iam.asked) == sorted(f"arn:aws:iam::aws:policy/{name}" for name in MANAGED_POLICIES)
    assert found["GBY-M003"][0].detail == "10 (9 managed and 1 own)"


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_arns_are_of_the_regions_partition(region: str, partition: str) -> None:
    iam = Iam()
    results(looking_at(iam=iam, region=region), CHECKS)
    assert {arn.split(":")[1] for arn in iam.asked} == {partition}


def test_a_policy_that_is_not_there_fails_with_the_nearest() -> None:
    role = Role(managed_policies=("AmazonS3FullAcces", "IAMFullAccess"))
    found = results(looking_at(role, Iam(missing=("AmazonS3FullAcces",))), CHECKS)
    assert verdicts(found) == {**FINE, "GBY-M001": "fail"}
    (finding,) = found["GBY-M001"]
    assert (finding.subject, finding.detail) == ("AmazonS3FullAcces", "IAM does not know it")
    assert finding.fix == "Write AmazonS3FullAccess in role.managed_policies."


def test_one_that_aws_has_given_up_names_its_successor() -> None:
    role = Role(managed_policies=("AmazonGuardDutyFullAccess",))
    (finding,) = results(looking_at(role, Iam(dead=("AmazonGuardDutyFullAccess",))), CHECKS)["GBY-M001"]
    assert (finding.verdict, finding.detail) == ("fail", "it can no longer be attached")
    assert finding.facts["alternative"] == "AmazonGuardDutyFullAccess_v2"


def test_one_that_aws_has_given_up_stays_on_a_role_that_has_it() -> None:
    role = Role(managed_policies=("AmazonOldFullAccess",))
    scene = looking_at(role, Iam(dead=("AmazonOldFullAccess",)))
    assert verdicts(results(scene, CHECKS))["GBY-M001"] == "fail"
    for has_role in (True, None):
        assert verdicts(results(replace(scene, has_role=has_role), CHECKS))["GBY-M001"] == "warn"


@pytest.mark.parametrize("name", ["AmazonSESFullAccess", "AmazonEFSFullAccess", "AmazonGuardDutyFullAccess_v2"])
def test_another_services_policy_is_never_what_was_meant(name: str) -> None:
    (finding,) = results(looking_at(Role(managed_policies=(name,)), Iam(missing=(name,))), CHECKS)["GBY-M001"]
    assert finding.facts["alternative"] is None
    assert "Write" not in finding.fix


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
def test_what_may_not_be_read_is_unknown(code: str) -> None:
    iam = Iam(refused={"IAMFullAccess": code, "boundary": code, "summary": code})
    found = results(looking_at(Role(permissions_boundary=BOUNDARY), iam), CHECKS)
    assert verdicts(found) == {
        "GBY-M001": "unknown", "GBY-M002": "unknown", "GBY-M003": "unknown", "GBY-M004": "pass",
    }  # fmt: skip
    assert found["GBY-M001"][0].subject == "IAMFullAccess"


def test_the_boundary_is_looked_for_under_its_own_arn() -> None:
    iam = Iam()
    assert verdicts(results(looking_at(Role(permissions_boundary=BOUNDARY), iam), CHECKS)) == FINE
    assert BOUNDARY in iam.asked
    (finding,) = results(looking_at(Role(permissions_boundary=BOUNDARY), Iam(missing=("boundary",))), CHECKS)[
        "GBY-M002"
    ]
    assert finding.verdict == "fail"
    assert finding.fix == f"Create {BOUNDARY} first, or correct the stack file."


@pytest.mark.parametrize(
    ("limit", "statements", "verdict"),
    [(10, None, "pass"), (9, None, "fail"), (9, (), "pass"), (None, None, "unknown")],
)
def test_only_a_proven_excess_of_policies_fails(limit: int | None, statements: Any, verdict: str) -> None:
    summary = {} if limit is None else {"AttachedPoliciesPerRoleQuota": limit}
    found = results(looking_at(Role(statements=statements), Iam(summary=summary)), CHECKS)
    assert verdicts(found)["GBY-M003"] == verdict


@pytest.mark.parametrize(("count", "verdict"), [(10, "pass"), (300, "fail")])
def test_the_own_policy_must_be_short_enough(count: int, verdict: str) -> None:
    actions = tuple(f"service{number:03}:DoSomething" for number in range(count))
    found = results(looking_at(Role(statements=(PolicyStatement(actions),))), CHECKS)
    assert verdicts(found)["GBY-M004"] == verdict


def test_the_own_policy_is_the_modules() -> None:
    made = own_policy((PolicyStatement(("s3:*",), ("*",), "Deny", "NoBuckets"), PolicyStatement(("eks:*",))))
    assert made["Statement"] == [
        {"Sid": "NoBuckets", "Effect": "Deny", "Action": ["s3:*"], "Resource": ["*"]},
        {"Effect": "Allow", "Action": ["eks:*"], "Resource": ["*"]},
    ]


def test_a_policy_named_twice_is_attached_once() -> None:
    both = Role(managed_policies=("IAMFullAccess", "arn:aws:iam::aws:policy/IAMFullAccess"))
    assert policy_arns(both, "aws") == ("arn:aws:iam::aws:policy/IAMFullAccess",)


def test_of_another_modules_role_nothing_is_known() -> None:
    other = TerraformSettings(module=ModuleSource("acme/role/aws"))
    assert results(looking_at(terraform=other), CHECKS) == {}
    assert results(scene_of(None), CHECKS) == {}
