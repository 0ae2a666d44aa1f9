"""What a run left that was cut off: how it is told from what is somebody else's, and how a state is put back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gridbyoc.aws.stray import Sought, policy_tags, stray_roles
from gridbyoc.errors import AwsError
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.adopt import cut_off_since
from gridbyoc.terraform.torn import put_back

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


def record(kind: str, effect: str, minute: int) -> dict[str, Any]:
    return {"type": kind, "effect": effect, "time": (NOON + timedelta(minutes=minute)).isoformat()}


BEGAN, ENDED = record("effect_started", "apply", 1), record("effect_done", "apply", 2)
AGAIN, GONE = record("effect_started", "apply", 3), record("effect_done", "destroy", 4)


@pytest.mark.parametrize(
    "records, minute",
    [
        ((), None),
        ((BEGAN,), 1),
        ((BEGAN, ENDED), None),
        ((BEGAN, AGAIN), 1),
        ((BEGAN, ENDED, AGAIN), 3),
        ((BEGAN, AGAIN, GONE), None),
        ((record("effect_started", "create", 1), {"type": "run_started"}), None),
        (({"type": "effect_started", "effect": "apply", "time": "yesterday"},), None),
    ],
)
def test_since_when_an_apply_was_cut_off(records: tuple[dict[str, Any], ...], minute: int | None) -> None:
    expected = None if minute is None else NOON + timedelta(minutes=minute)
    assert cut_off_since(records) == expected


def role(name: str, *, external_id: str = "another", minutes: int = 1) -> dict[str, Any]:
    condition = {"StringEquals": {"sts:ExternalId": external_id}}
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Condition": condition}]}
    made = NOON + timedelta(minutes=minutes)
    return {"RoleName": name, "AssumeRolePolicyDocument": trust, "CreateDate": made}


@dataclass
class Iam:
    """As much of IAM as is asked."""

    roles: list[dict[str, Any]]
    tags: dict[str, str] = field(default_factory=lambda: {"gridbyoc:stack": "mine"})
    error: str = ""

    def iam(self) -> Iam:
        return self

    def get_paginator(self, _name: str) -> Iam:
        return self

    def paginate(self, **_how: object) -> Iterator[dict[str, Any]]:
        self._maybe_fail()
        yield {"Roles": self.roles}

    def get_role(self, RoleName: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self._maybe_fail()
        return {"Role": next(each for each in self.roles if each["RoleName"] == RoleName)}

    def get_policy(self, PolicyArn: str) -> dict[str, Any]:  # noqa: N803
        self._maybe_fail()
        return {"Policy": {"Arn": PolicyArn, "Tags": self._listed()}}

    def list_role_tags(self, RoleName: str) -> dict[str, Any]:  # noqa: N803
        return {"Tags": self._listed()}

    def _listed(self) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    def _maybe_fail(self) -> None:
        if self.error:
            raise ClientError({"Error": {"Code": self.error}}, "ListRoles")


SOUGHT = Sought("mine", "/", prefix="grid-", external_id=Secret("own"), since=NOON)


@pytest.mark.parametrize(
    "iam, sought, found",
    [
        (Iam([role("grid-a", external_id="own", minutes=-99)]), SOUGHT, ("grid-a",)),
        (Iam([role("grid-a", external_id="own"), role("grid-b")]), SOUGHT, ("grid-a",)),
        (Iam([role("grid-a", external_id="own")]), replace(SOUGHT, known=frozenset({"grid-a"})), ()),
        (Iam([role("other-a", external_id="own")]), SOUGHT, ()),
        (Iam([role("grid-a")]), SOUGHT, ("grid-a",)),
        (Iam([role("grid-a"), role("grid-b")]), SOUGHT, ("grid-a", "grid-b")),
        (Iam([role("grid-a")]), replace(SOUGHT, used=frozenset({"grid-a"})), ()),
        (Iam([role("grid-a")]), replace(SOUGHT, since=None), ()),
        (Iam([role("grid-a", minutes=-1)]), SOUGHT, ()),
        (Iam([role("grid-a")], tags={"gridbyoc:stack": "theirs"}), SOUGHT, ()),
        (Iam([role("grid-a")], tags={}), SOUGHT, ()),
        (Iam([role("grid-a"), role("fixed")]), replace(SOUGHT, name="fixed"), ("fixed",)),
        (Iam([], error="AccessDenied"), SOUGHT, ()),
        (Iam([], error="NoSuchEntity"), replace(SOUGHT, name="fixed"), ()),
    ],
)
def test_which_role_is_the_stacks(iam: Any, sought: Sought, found: tuple[str, ...]) -> None:
    assert stray_roles(iam, sought) == found


def test_a_policys_tags() -> None:
    session: Any = Iam([])
    assert policy_tags(session, "arn:aws:iam::123456789012:policy/a") == {"gridbyoc:stack": "mine"}
    missing: Any = Iam([], error="NoSuchEntity")
    assert policy_tags(missing, "arn:aws:iam::123456789012:policy/a") is None
    broken: Any = Iam([], error="ServiceFailure")
    with pytest.raises(AwsError):
        policy_tags(broken, "arn:aws:iam::123456789012:policy/a")
    with pytest.raises(AwsError):
        stray_roles(broken, SOUGHT)


STATE = json.dumps({"version": 4, "resources": [{"mode": "managed", "instances": [{}]}]})
EMPTY = json.dumps({"version": 4, "resources": []})


@pytest.mark.parametrize(
    "state, copy, put",
    [
        ("", STATE, True),
        (STATE[:20], STATE, True),
        (STATE, STATE, False),
        (EMPTY, STATE, False),
        ("", EMPTY, False),
        ("", STATE[:20], False),
        ("", None, False),
        (None, STATE, False),
    ],
)
def test_a_state_that_was_cut_off_is_put_back(tmp_path: Path, state: str | None, copy: str | None, put: bool) -> None:
    file = tmp_path / "terraform.tfstate"
    for path, text in ((file, state), (tmp_path / "terraform.tfstate.backup", copy)):
        if text is not None:
            path.write_text(text)
    assert put_back(file) is put
    if put:
        assert file.read_text() == STATE
        assert file.stat().st_mode & 0o777 == 0o600
    elif state is not None:
        assert file.read_text() == state
