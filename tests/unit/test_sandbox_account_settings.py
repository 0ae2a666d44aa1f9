"""The settings of the sandbox's AWS account, as they are given and as they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from gridbyoc.errors import UsageError
from gridbyoc.sandbox import SandboxSettings, settings_from_environ
from gridbyoc.sandbox.settings import read_quota_names, read_quotas


def test_quotas_are_read_from_what_is_typed() -> None:
    assert read_quotas(["ec2/L-1216C47A=64", " vpc/L-F678F1CE = 1.5"]) == {"ec2/L-1216C47A": 64, "vpc/L-F678F1CE": 1.5}
    assert read_quota_names(["ec2/L-1216C47A=Some = name"]) == {"ec2/L-1216C47A": "Some = name"}
    assert read_quotas([]) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ec2/L-1216C47A", "not a quota with a value"),
        ("=5", "not a quota with a value"),
        ("ec2/L-1216C47A=", "not a quota with a value"),
        ("ec2/L-1216C47A=many", "must be a number from 0"),
        ("ec2/L-1216C47A=-1", "must be a number from 0"),
        ("ec2/L-1216C47A=inf", "must be a number from 0"),
        ("ec2/L-NONE=5", "There is no quota 'ec2/L-NONE'"),
    ],
)
def test_what_is_no_quota_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_quotas([text])


def test_a_code_under_the_wrong_service_is_told_the_right_one() -> None:
    with pytest.raises(UsageError) as caught:
        read_quotas(["vpc/L-1216C47A=5"])
    assert caught.value.fix == "Name one of: ec2/L-1216C47A."


@pytest.mark.parametrize(
    "given",
    [
        {"account": "old"},
        {"quota_outcome": "maybe"},
        {"quota_seconds": -1},
        {"quotas": {"ec2/L-NONE": 1}},
        {"quota_names": {"x": "y"}},
        {"denied_by_scp": ("CreateRole",)},
        {"denied_by_scp": ("iam:Create Role",)},
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SandboxSettings(**given)


@pytest.mark.parametrize(("text", "enforced"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_the_environment_chooses_account_and_enforcement(text: str, enforced: bool) -> None:
    environ = {"GRIDBYOC_SANDBOX_ACCOUNT": "new", "GRIDBYOC_SANDBOX_ENFORCE_IAM": text}
    settings = settings_from_environ(environ)
    assert (settings.account, settings.enforce_iam) == ("new", enforced)
