"""What the stack says, as the values of the root module's variables."""

from __future__ import annotations

import datetime
from types import MappingProxyType

from gridbyoc.render.root import root_values
from gridbyoc.stack.model import (
    Aws,
    ControlPlane,
    ModuleSource,
    PolicyStatement,
    Role,
    Stack,
    TerraformSettings,
)
from gridbyoc.stack.secret import Secret

OURS = {"gridbyoc:stack": "ml", "managed-by": "gridbyoc"}


def stack(role: Role | None = None, *, aws: Aws | None = None, module: ModuleSource | None = None) -> Stack:
    terraform = TerraformSettings(module=module)
    return Stack("ml", aws or Aws("us-west-2"), role or Role(), (), ControlPlane(), terraform)


def test_what_the_stack_does_not_say_is_left_to_the_module() -> None:
    assert root_values(stack()) == {
        "region": "us-west-2",
        "default_tags": OURS,
        "trusted_account_id": "302180240179",
    }


def test_everything_the_stack_says_is_handed_on() -> None:
    role = Role(
        name="grid-ml",
        name_prefix="grid-",
        path="/platform/",
        permissions_boundary="arn:aws:iam::123456789012:policy/boundary",
        max_session_hours=6,
        trusted_account_id="111122223333",
        external_id=Secret("an-external-id"),
        rotation="2026-11",
        trusted_principals=("a",),
        trusted_principals_without_external_id=("b",),
        managed_policies=("AmazonS3FullAccess",),
        statements=(PolicyStatement(("eks:*",)), PolicyStatement(("s3:*",), ("arn:x",), "Deny", "No")),
        tags={"team": "ml"},
    )
    assert root_values(stack(role, aws=Aws("eu-west-2", "admin", "123456789012"))) == {
        "region": "eu-west-2",
        "profile": "admin",
        "account_id": "123456789012",
        "default_tags": OURS,
        "role_name": "grid-ml",
        "role_name_prefix": "grid-",
        "path": "/platform/",
        "permissions_boundary": "arn:aws:iam::123456789012:policy/boundary",
        "max_session_duration": 21600,
        "trusted_account_id": "111122223333",
        "external_id": "an-external-id",
        "external_id_rotation": "2026-11",
        "trusted_principals": ["a"],
        "trusted_principals_without_external_id": ["b"],
        "managed_policies": ["AmazonS3FullAccess"],
        "policy_statements": [
            {"sid": None, "effect": "Allow", "actions": ["eks:*"], "resources": ["*"]},
            {"sid": "No", "effect": "Deny", "actions": ["s3:*"], "resources": ["arn:x"]},
        ],
        "tags": {"team": "ml"},
    }


def test_an_empty_list_is_not_nothing() -> None:
    values = root_values(stack(Role(managed_policies=(), statements=())))
    assert values["managed_policies"] == values["policy_statements"] == []


def test_a_tag_of_the_users_wins_whatever_its_case() -> None:
    values = root_values(stack(Role(tags={"Managed-By": "us"})))
    assert values["default_tags"] == {"gridbyoc:stack": "ml"}
    assert values["tags"] == {"Managed-By": "us"}


def test_our_tags_give_way_where_there_is_no_room() -> None:
    tags = {f"key{number}": "" for number in range(49)}
    assert "default_tags" not in root_values(stack(Role(tags=tags)))
    tags.pop("key0")
    assert root_values(stack(Role(tags=tags)))["default_tags"] == OURS


def test_another_module_gets_its_own_inputs_and_the_tags_through_the_provider() -> None:
    inputs = MappingProxyType({"a": MappingProxyType({"b": (1, None, True)}), "since": datetime.date(2026, 11, 1)})
    module = ModuleSource("gridai/gridbyoc/aws", "1.0.0", inputs)
    values = root_values(stack(Role(name="unused", tags={"team": "ml"}), module=module))
    assert values == {
        "region": "us-west-2",
        "default_tags": {**OURS, "team": "ml"},
        "module_inputs": {"a": {"b": [1, None, True]}, "since": "2026-11-01"},
    }
