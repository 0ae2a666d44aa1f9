"""A plan's permission changes in words, from documents as ``terraform show -json`` writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridbyoc.steps.review.permissions import Trusted, permission_changes, trusted_ids
from gridbyoc.steps.review.words import plain_sentence

CANARY = "canary-9c4e-external-id"
MODULE = "module.gridbyoc"
ROOT = "arn:aws:iam::302180240179:root"


def change(
    kind: str, before: Any, after: Any, *, unknown: Any = None, module: str = MODULE, **more: Any
) -> dict[str, Any]:
    actions = ["update"] if before and after else ["create"] if after is not None else ["delete"]
    body = {"actions": actions, "before": before, "after": after, "after_unknown": unknown or {}, **more}
    return {"address": f"{module}.{kind}.this", "module_address": module, "type": kind, "name": "this", "change": body}


def role(before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    named = {"name": "grid-x"}
    return change("aws_iam_role", before and {**named, **before}, None if after is None else {**named, **after}, **more)


QUIET_ROLE = role({"max_session_duration": 1}, {"max_session_duration": 1}, actions=["no-op"])


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def trust(*principals: str, ids: tuple[str, ...] = (CANARY,), **more: Any) -> str:
    condition = {"Condition": {"StringEquals": {"sts:ExternalId": list(ids)}}} if ids else {}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": list(principals)}}
    return document({**statement, **condition, **more})


def words(*changes: dict[str, Any], trusted: tuple[Trusted, ...] = ()) -> list[str]:
    found = permission_changes({"resource_changes": [QUIET_ROLE, *changes]}, trusted)
    lines = [plain_sentence(sentence) for sentence in found]
    assert CANARY not in "".join(lines)
    return lines


def policy(before: Any, after: Any, **more: Any) -> list[str]:
    return words(change("aws_iam_policy", before and {"policy": before}, after and {"policy": after}, **more))


def test_gained_and_lost_actions() -> None:
    was, now = document(allow("eks:*", "ecr:*")), document(allow("eks:*", "s3:Get*", "iam:PassRole"))
    assert policy(was, now) == [
        "The role `grid-x` gains `iam:PassRole`, `s3:Get*` on all resources",
        "The role `grid-x` loses `ecr:*` on all resources",
    ]


def test_moving_an_action_to_another_statement_is_no_change() -> None:
    one = document(allow("eks:*", "ecr:*"))
    two = document(allow("ecr:*", Sid="A"), allow("eks:*", on=["*"], Sid="B"))
    assert policy(one, two) == []


@pytest.mark.parametrize(
    "before,after,line",
    [
        (None, document(allow("*")), "The role `grid-x` gains `*` on all resources"),
        (document(allow("a:B")), None, "The role `grid-x` loses `a:B` on all resources"),
        (None, document(allow("a:B", on="arn:x")), "The role `grid-x` gains `a:B` on `arn:x`"),
        (
            None, document({"Effect": "Deny", "Action": "a:B", "Resource": "*"}),
            "The role `grid-x` is now denied `a:B` on all resources",
        ),
        (
            document({"Effect": "Deny", "Action": "a:B", "Resource": "*"}), document(allow("c:D")),
            "The role `grid-x` is no longer denied `a:B` on all resources",
        ),
        (
            None, document({"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"}),
            "The role `grid-x` gains everything but `iam:*` on all resources",
        ),
        (
            None, document({"Effect": "Allow", "Action": "a:B", "NotResource": "arn:x"}),
            "The role `grid-x` gains `a:B` on all resources but `arn:x`",
        ),
        (
            None, document(allow("a:B", Condition={"StringEquals": {"aws:X": CANARY}})),
            "The role `grid-x` gains `a:B` on all resources, under a condition on `aws:X`",
        ),
        (None, "{}", "The role `grid-x` has a policy that cannot be put into words: look at it"),
    ],
)  # fmt: skip
def test_one_policy(before: str | None, after: str | None, line: str) -> None:
    assert line in policy(before, after)


def test_a_policy_that_is_not_known_yet() -> None:
    found = words(change("aws_iam_policy", None, {}, unknown={"policy": True}))
    assert found == [
        "The role `grid-x` gets a policy that is known after the apply only: `module.gridbyoc.aws_iam_policy.this`"
    ]


def test_who_may_assume_the_role() -> None:
    other = "arn:aws:iam::111122223333:role/ci"
    was, now = {"assume_role_policy": trust(ROOT)}, {"assume_role_policy": trust(ROOT, other)}
    assert words(role(was, now)) == [f"The role `grid-x` may now be assumed by `{other}` (with the external id)"]
    assert words(role(now, was)) == [f"The role `grid-x` may no longer be assumed by `{other}` (with the external id)"]


def test_dropping_the_external_id_is_told_as_what_it_is() -> None:
    was, now = {"assume_role_policy": trust(ROOT)}, {"assume_role_policy": trust(ROOT, ids=())}
    found = words(role(was, now))
    assert f"The role `grid-x` may now be assumed by `{ROOT}` (without the external id)" in found
    assert f"The role `grid-x` may no longer be assumed by `{ROOT}` (with the external id)" in found
    assert "The role `grid-x` no longer accepts 1 external id" in found


def test_a_rotation_counts_and_does_not_show() -> None:
    was, now = {"assume_role_policy": trust(ROOT)}, {"assume_role_policy": trust(ROOT, ids=(CANARY, "b" * 9, "c" * 9))}
    assert words(role(was, now)) == ["The role `grid-x` accepts 2 external ids that it did not accept before"]
    assert trusted_ids({"resource_changes": [role(was, now)]}) == {CANARY, "b" * 9, "c" * 9}


def test_everybody_and_everybody_but() -> None:
    anybody = document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"})
    but = document({"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": "1" * 12}})
    found = words(role({"assume_role_policy": trust(ROOT)}, {"assume_role_policy": anybody}))
    assert "The role `grid-x` may now be assumed by `*` (without the external id)" in found
    found = words(role({"assume_role_policy": trust(ROOT)}, {"assume_role_policy": but}))
    assert any("`everybody but 111111111111`" in line for line in found)


def test_a_new_role_and_one_that_goes() -> None:
    new = role(None, {"max_session_duration": 3600}, unknown={"assume_role_policy": True})
    assert words(new, trusted=(Trusted("123456789012", True), Trusted("arn:x", False)))[:3] == [
        "The role `grid-x` is new",
        "The role `grid-x` may now be assumed by `any principal of account 123456789012` (with the external id)",
        "The role `grid-x` may now be assumed by `arn:x` (without the external id)",
    ]
    assert "known after the apply only" in words(new)[1]
    gone = role({"assume_role_policy": trust(ROOT)})
    assert words(gone) == ["The role `grid-x` is destroyed: nobody can assume it any more"]


def test_a_trust_policy_with_an_id_that_is_not_made_yet_is_held_against_the_one_that_stands() -> None:
    rotated = role({"assume_role_policy": trust(ROOT)}, {}, unknown={"assume_role_policy": True})
    control_plane = Trusted("302180240179", True)
    accepts = "The role `grid-x` accepts external ids that are known after the apply only"
    assert words(rotated, trusted=(control_plane,)) == [accepts]
    assert words(rotated, trusted=(control_plane, Trusted("arn:x", False))) == [
        "The role `grid-x` may now be assumed by `arn:x` (without the external id)", accepts,
    ]  # fmt: skip
    assert words(rotated, trusted=(Trusted("111122223333", True),)) == [
        "The role `grid-x` may now be assumed by `any principal of account 111122223333` (with the external id)",
        "The role `grid-x` may no longer be assumed by `any principal of account 302180240179` (with the external id)",
        accepts,
    ]
    assert "known after the apply only" in words(rotated)[0]


def test_boundary_and_session() -> None:
    def of(before: Any, after: Any) -> list[str]:
        return words(role(before, after))

    one, two = {"permissions_boundary": "arn:one"}, {"permissions_boundary": "arn:two"}
    none: dict[str, Any] = {"permissions_boundary": None}
    assert of(none, one) == ["The role `grid-x` is bounded by `arn:one`"]
    assert of(one, two) == ["The role `grid-x` is bounded by `arn:two`, no longer by `arn:one`"]
    assert of(one, none) == [
        "The role `grid-x` is no longer bounded by `arn:one`: nothing limits its policies any more"
    ]
    assert of({"max_session_duration": 3600}, {"max_session_duration": 7200}) == [
        "The role `grid-x` lends sessions of up to 7200 seconds; it was 3600"
    ]


def test_attachments_and_inline_policies() -> None:
    kind = "aws_iam_role_policy_attachment"
    arn = "arn:aws:iam::aws:policy/IAMFullAccess"
    assert words(change(kind, None, {"policy_arn": arn})) == [f"The role `grid-x` gets the policy `{arn}` attached"]
    assert words(change(kind, {"policy_arn": arn}, None)) == [f"The role `grid-x` loses the policy `{arn}`"]
    found = words(change(kind, None, {}, unknown={"policy_arn": True}))
    assert "made in the same apply" in found[0]
    inline = {"inline_policy": [{"name": "x", "policy": document(allow("a:B"))}]}
    assert words(role({"inline_policy": []}, inline)) == ["The role `grid-x` gains `a:B` on all resources"]


def test_a_policy_of_no_role_is_told_by_its_own_name() -> None:
    alone = change("aws_iam_policy", None, {"name": "own", "policy": document(allow("a:B"))}, module="")
    assert words(alone) == ["The policy `own` gains `a:B` on all resources"]


@pytest.mark.parametrize(
    "shown", [{}, {"resource_changes": None}, {"resource_changes": [{"change": None}]}, {"resource_changes": ["x"]}]
)
def test_other_shapes_say_nothing(shown: dict[str, Any]) -> None:
    assert permission_changes(shown) == ()


def test_names_cannot_steer_a_terminal() -> None:
    found = words(change("aws_iam_role_policy_attachment", None, {"policy_arn": "arn\x1b[31m\n::error::x"}))
    assert "\x1b" not in found[0]
    assert "\n" not in found[0]
