"""A plan's permission changes in words, from documents as ``terraform show -json`` writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridbyoc.aws.policy import parse_policy
from gridbyoc.operations.review.permissions import (
    Documents,
    Trusted,
    attached_arns,
    permission_changes,
    standing_trust,
)
from gridbyoc.operations.review.words import plain_sentence, secrets_in

CANARY = "canary-9c4e-external-id"
MODULE = "module.gridbyoc"
ROOT = "arn:aws:iam::302180240179:root"
GRID = "any principal of account 302180240179"


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


def words(*changes: dict[str, Any], trusted: tuple[Trusted, ...] = (), documents: Documents | None = None) -> list[str]:
    found = permission_changes({"resource_changes": [QUIET_ROLE, *changes]}, trusted, documents or {})
    lines = [plain_sentence(sentence.whole) for sentence in found]
    assert CANARY not in "".join(lines)
    return lines


def policy(before: Any, after: Any, **more: Any) -> list[str]:
    return words(change("aws_iam_policy", before and {"policy": before}, after and {"policy": after}, **more))


def test_gained_and_lost_actions() -> None:
    was, now = document(allow("eks:*", "ecr:*")), document(allow("eks:*", "s3:Get*", "iam:PassRole"))
    assert policy(was, now) == [
        "The role `grid-x` gains `iam:PassRole` on all resources (creates principals)",
        "The role `grid-x` gains `s3:Get*` on all resources (reads data)",
        "The role `grid-x` loses `ecr:*` on all resources (spends money, deletes, reads data)",
    ]


def test_moving_an_action_to_another_statement_is_no_change() -> None:
    one = document(allow("eks:*", "ecr:*"))
    two = document(allow("ecr:*", Sid="A"), allow("eks:*", on=["*"], Sid="B"))
    assert policy(one, two) == []


@pytest.mark.parametrize(
    "before,after,line",
    [
        (
            None, document(allow("*")),
            "The role `grid-x` gains `*` on all resources (creates principals, spends money, deletes, reads data)",
        ),
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
            "The role `grid-x` gains everything but `iam:*` on all resources "
            "(creates principals, spends money, deletes, reads data)",
        ),
        (
            None, document({"Effect": "Allow", "Action": "a:B", "NotResource": "arn:x"}),
            "The role `grid-x` gains `a:B` on all resources but `arn:x`",
        ),
        (
            None, document(allow("a:B", Condition={"StringEquals": {"aws:X": CANARY}})),
            "The role `grid-x` gains `a:B` on all resources, under a condition on `aws:X`",
        ),
        (None, "{}", "The role `grid-x` has a policy that cannot be described: check it yourself"),
    ],
)  # fmt: skip
def test_one_policy(before: str | None, after: str | None, line: str) -> None:
    assert line in policy(before, after)


def test_a_policy_that_is_not_known_yet() -> None:
    found = words(change("aws_iam_policy", None, {}, unknown={"policy": True}))
    assert found == [
        "The role `grid-x` gets a policy that is known only after the apply: `module.gridbyoc.aws_iam_policy.this`"
    ]


def test_who_may_assume_the_role() -> None:
    other = "arn:aws:iam::111122223333:role/ci"
    was, now = {"assume_role_policy": trust(ROOT)}, {"assume_role_policy": trust(ROOT, other)}
    assert words(role(was, now)) == [f"The role `grid-x` may now be assumed by `{other}` (with the external id)"]
    assert words(role(now, was)) == [f"The role `grid-x` may no longer be assumed by `{other}` (with the external id)"]


def test_a_root_s_arn_and_the_bare_account_are_one_principal() -> None:
    bare = {"assume_role_policy": trust("302180240179")}
    assert words(role({"assume_role_policy": trust(ROOT)}, bare)) == []


def test_dropping_the_external_id_is_told_as_what_it_is() -> None:
    was, now = {"assume_role_policy": trust(ROOT)}, {"assume_role_policy": trust(ROOT, ids=())}
    found = words(role(was, now))
    assert f"The role `grid-x` may now be assumed by `{GRID}` (without the external id)" in found
    assert f"The role `grid-x` may no longer be assumed by `{GRID}` (with the external id)" in found
    assert "The role `grid-x` no longer accepts 1 external id" in found


def test_a_rotation_counts_and_does_not_show() -> None:
    was, now = {"assume_role_policy": trust(ROOT)}, {"assume_role_policy": trust(ROOT, ids=(CANARY, "b" * 9, "c" * 9))}
    assert words(role(was, now)) == ["The role `grid-x` accepts 2 external ids that it did not accept before"]
    found = {secret.reveal() for secret in secrets_in({"resource_changes": [role(was, now)]})}
    assert found == {CANARY, "b" * 9, "c" * 9}


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
    assert "known only after the apply" in words(new)[1]
    gone = role({"assume_role_policy": trust(ROOT)})
    assert words(gone) == ["The role `grid-x` is destroyed: nobody can assume it any more"]


def test_a_trust_policy_with_an_id_that_is_not_made_yet_is_held_against_the_one_that_stands() -> None:
    rotated = role({"assume_role_policy": trust(ROOT)}, {}, unknown={"assume_role_policy": True})
    control_plane = Trusted("302180240179", True)
    accepts = "The role `grid-x` accepts external ids that are known only after the apply"
    assert words(rotated, trusted=(control_plane,)) == [accepts]
    assert words(rotated, trusted=(control_plane, Trusted("arn:x", False))) == [
        "The role `grid-x` may now be assumed by `arn:x` (without the external id)", accepts,
    ]  # fmt: skip
    assert words(rotated, trusted=(Trusted("111122223333", True),)) == [
        "The role `grid-x` may now be assumed by `any principal of account 111122223333` (with the external id)",
        "The role `grid-x` may no longer be assumed by `any principal of account 302180240179` (with the external id)",
        accepts,
    ]
    assert "known only after the apply" in words(rotated)[0]


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
        "The role `grid-x` allows sessions of up to 7200 seconds; before, 3600"
    ]


def test_attachments_and_inline_policies() -> None:
    kind = "aws_iam_role_policy_attachment"
    arn, mine = "arn:aws:iam::aws:policy/IAMFullAccess", "arn:aws:iam::123456789012:policy/IAMFullAccess"
    assert words(change(kind, None, {"policy_arn": arn})) == [
        "The role `grid-x` gets 1 policy of AWS attached: `IAMFullAccess`"
    ]
    assert words(change(kind, None, {"policy_arn": mine})) == [f"The role `grid-x` gets the policy `{mine}` attached"]
    assert words(change(kind, {"policy_arn": mine}, None)) == [f"The role `grid-x` loses the policy `{mine}`"]
    found = words(change(kind, None, {}, unknown={"policy_arn": True}))
    assert "the same apply creates" in found[0]
    inline = {"inline_policy": [{"name": "x", "policy": document(allow("a:B"))}]}
    assert words(role({"inline_policy": []}, inline)) == ["The role `grid-x` gains `a:B` on all resources"]


def attachment(before: str | None, after: str | None, **more: Any) -> dict[str, Any]:
    sides = [arn and {"policy_arn": arn} for arn in (before, after)]
    kept = {"actions": ["no-op"]} if before == after else {}
    return change("aws_iam_role_policy_attachment", *sides, **kept, **more)


def documents(**found: str) -> Documents:
    return {name: parse_policy(text, name=name, kind="identity") for name, text in found.items()}


def test_what_an_attached_policy_allows_is_told() -> None:
    read = documents(full=document(allow("iam:*", "ec2:Describe*")), less=document(allow("ec2:*")))
    lines = words(attachment(None, "full"), attachment("less", "less"), documents=read)
    assert lines == [
        "The role `grid-x` gets the policy `full` attached",
        "The role `grid-x` gains `iam:*` on all resources (creates principals, deletes)",
    ]
    assert words(attachment("full", None), attachment("less", "less"), documents=read) == [
        "The role `grid-x` loses the policy `full`",
        "The role `grid-x` loses `iam:*` on all resources (creates principals, deletes)",
    ]


def test_a_policy_that_cannot_be_read_is_no_policy_that_allows_nothing() -> None:
    unread: Documents = {"new": "the caller may not call iam:GetPolicyVersion", "kept": "it may not either"}
    assert words(attachment(None, "new"), attachment("kept", "kept"), documents=unread) == [
        "The role `grid-x` gets the policy `new` attached",
        "The role `grid-x` gains what `new` allows, which could not be read: "
        "the caller may not call iam:GetPolicyVersion",
        "The role `grid-x` keeps what `kept` allows, which could not be read: it may not either",
    ]


def test_the_own_policy_is_not_read_and_counts_with_what_the_plan_says_of_it() -> None:
    own = {"name": "grid-x", "arn": "own", "policy": document(allow("a:B"))}
    more = {**own, "policy": document(allow("a:B", "c:D"))}
    shown = {"resource_changes": [change("aws_iam_policy", own, more), attachment("own", "own")]}
    assert attached_arns(shown) == ()
    assert attached_arns({"resource_changes": [*shown["resource_changes"], attachment(None, "other")]}) == ("other",)
    assert words(*shown["resource_changes"]) == ["The role `grid-x` gains `c:D` on all resources"]
    elsewhere = [change("aws_iam_policy", own, own, module="module.other", actions=["no-op"]), attachment(None, "own")]
    assert "The role `grid-x` gains `a:B` on all resources" in words(*elsewhere)


def test_nothing_is_read_where_no_policy_changes() -> None:
    tagged = role({"tags": {}, "assume_role_policy": trust(ROOT)}, {"tags": {"a": "b"}})
    assert attached_arns({"resource_changes": [tagged, attachment("kept", "kept")]}) == ()


@pytest.mark.parametrize(
    "before,after,gains",
    [
        (allow("ec2:*"), [allow("ec2:*"), allow("EC2:RunInstances", "ec2:Describe*")], 0),
        (allow("ec2:*", on="arn:x"), [allow("ec2:*", on="arn:x"), allow("ec2:RunInstances", on="arn:y")], 1),
        (allow("ec2:*", on="arn:x"), [allow("ec2:*", on=["arn:x", "arn:y"])], 1),
        (
            allow("ec2:*", Condition={"Bool": {"a:b": "true"}}),
            [allow("ec2:*", Condition={"Bool": {"a:b": "true"}}), allow("ec2:Run*")],
            1,
        ),
        (allow("x:Y"), [allow("x:Y"), allow("ec2:*"), allow("ec2:RunInstances", Condition={"Bool": {"a": "b"}})], 1),
        ({"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}, [allow("ec2:Run*")], 2),
        (allow("*"), [allow("*"), {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], 0),
    ],
)
def test_what_something_wider_covers_is_no_gain(before: Any, after: list[Any], gains: int) -> None:
    found = policy(document(before), document(*after))
    assert sum(" gains " in line or " no longer denied " in line for line in found) == gains, found
    assert not any(" loses " in line for line in found) or gains, found


def test_a_deny_is_not_covered_by_what_is_allowed() -> None:
    deny = {"Effect": "Deny", "Action": "ec2:RunInstances", "Resource": "*"}
    assert policy(document(allow("ec2:*")), document(allow("ec2:*"), deny)) == [
        "The role `grid-x` is now denied `ec2:RunInstances` on all resources (spends money)"
    ]


def test_a_long_list_of_actions_is_counted() -> None:
    actions = [f"ec2:Describe{letter}" for letter in "ABCDEFGH"]
    (line,) = policy(None, document(allow(*actions, "ec2:TerminateInstances")))
    assert line.startswith("The role `grid-x` gains `ec2:TerminateInstances`, `ec2:DescribeA`")
    assert "`ec2:DescribeE` and 3 more on all resources (deletes)" in line


def test_who_may_assume_the_role_as_before() -> None:
    standing = {"assume_role_policy": trust(ROOT)}
    as_before = f"The role `grid-x` may be assumed by `{GRID}` (with the external id), as before"

    def of(*changes: dict[str, Any], trusted: tuple[Trusted, ...] = ()) -> list[str]:
        return [plain_sentence(each.whole) for each in standing_trust({"resource_changes": list(changes)}, trusted)]

    assert of(role(standing, {**standing, "tags": {}}, actions=["no-op"])) == [as_before]
    assert of(role(standing, {"assume_role_policy": trust(ROOT, "arn:x")})) == [as_before]
    assert of(role(standing, {"assume_role_policy": trust("arn:x")})) == []
    later = role(standing, {}, unknown={"assume_role_policy": True})
    assert of(later, trusted=(Trusted("302180240179", True), Trusted("arn:x", True))) == [as_before]
    assert of(later, trusted=(Trusted("302180240179", False),)) == []
    assert of(role(None, standing)) == of(role(standing, None)) == []
    assert "cannot be described" in of(role({"assume_role_policy": "{}"}, {"assume_role_policy": "{}"}))[0]


def test_a_role_that_is_only_forgotten_stays() -> None:
    gone = role({"assume_role_policy": trust(ROOT)}, None, actions=["forget"])
    assert words(gone) == ["The role `grid-x` stays in AWS, but is no longer managed"]


def test_what_a_reviewer_should_stop_at() -> None:
    def alarming(*changes: dict[str, Any], **more: Any) -> list[str]:
        found = permission_changes({"resource_changes": [QUIET_ROLE, *changes]}, **more)
        return [plain_sentence(each.says) for each in found if each.alarming]

    assert alarming(change("aws_iam_policy", None, {"policy": document(allow("a:B", "s3:GetObject"))})) == [
        "gains `s3:GetObject` on all resources (reads data)"
    ]
    assert alarming(change("aws_iam_policy", {"policy": document(allow("s3:GetObject"))}, None)) == []
    was = {"assume_role_policy": trust(ROOT)}
    assert alarming(role(was, {"assume_role_policy": trust(ROOT, "arn:x")})) == []
    assert len(alarming(role(was, {"assume_role_policy": trust(ROOT, ids=())}))) == 1
    assert len(alarming(role(was, {"assume_role_policy": trust("*")}))) == 1
    assert len(alarming(role({**was, "permissions_boundary": "arn:x"}, {**was, "permissions_boundary": None}))) == 1


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
