"""The drawing and what it is drawn from: who is granted what, where the boxes stand, how names are shortened."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbyoc.aws.live_role import LiveDocument
from gridbyoc.operations.page import Admitted, GrantedPolicy, RoleGrants, declared_grant, live_grant
from gridbyoc.show.page.graph import MOST_POLICIES, MOST_PRINCIPALS, Box, Drawing, narrow, wide
from gridbyoc.show.page.tables import cut, shortened
from gridbyoc.stack.model import PolicyStatement, Role
from gridbyoc.stack.words import instant
from tests.unit.page_kit import AUDIT, CANARY, CONTROL_PLANE, HOME, STACK, document, live_role, subject_of, trust

PLANE = "the control plane's account"
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
verdicts = st.sampled_from(["pass", "warn", "fail", "unknown"])
admitted = st.builds(Admitted, names, names, names, verdicts)
policies = st.builds(GrantedPolicy, names, st.sampled_from(["managed", "own", "inline"]), names, verdicts, names)
grants = st.builds(
    RoleGrants, names, st.sampled_from(["", f"arn:aws:iam::{HOME}:role/x"]), st.none() | st.just(12.0),
    st.lists(admitted, max_size=MOST_PRINCIPALS + 3).map(tuple),
    st.lists(policies, max_size=MOST_POLICIES + 3).map(tuple),
    st.none() | policies, st.booleans(),
)  # fmt: skip


def overlap(one: Box, other: Box) -> bool:
    return not (
        one.x + one.width <= other.x
        or other.x + other.width <= one.x
        or one.y + one.height <= other.y
        or other.y + other.height <= one.y
    )


@given(grants)
@settings(max_examples=60, deadline=None)
def test_boxes_stand_inside_and_never_on_each_other(granted: RoleGrants) -> None:
    for drawing in (wide(granted), narrow(granted)):
        for box in drawing.boxes:
            assert box.x >= 0
            assert box.y >= 0
            assert box.x + box.width <= drawing.width
            assert box.y + box.height <= drawing.height
            assert all(box.y < line.y < box.y + box.height for line in box.lines)
        assert not [pair for pair in combinations(drawing.boxes, 2) if overlap(*pair)]


@given(grants)
@settings(max_examples=30, deadline=None)
def test_text_fits_into_its_box(granted: RoleGrants) -> None:
    for drawing in (wide(granted), narrow(granted)):
        for box in drawing.boxes:
            assert all(len(line.text) * 5.5 <= box.width - 14 for line in box.lines)


def ends(drawing: Drawing, kind: str) -> int:
    return sum(edge.kind.startswith(kind) for edge in drawing.edges)


def test_every_principal_leads_to_the_role_and_the_role_to_every_policy() -> None:
    granted = live_grant(subject_of(live_role()))
    drawing = wide(granted)
    assert (ends(drawing, "admits"), ends(drawing, "grants"), ends(drawing, "limit")) == (2, 1, 0)
    assert [edge.label for edge in drawing.edges[:2]] == ["with the external id", "without an external id"]
    assert ends(narrow(granted), "grants") == 1
    assert drawing == wide(granted)


def test_many_are_counted() -> None:
    granted = live_grant(subject_of(live_role()))
    crowd = replace(granted, admitted=granted.admitted * 20, policies=granted.policies * 40)
    texts = [line.text for box in wide(crowd).boxes for line in box.lines]
    assert "and 28 more" in texts
    assert "and 16 more" in texts
    assert len(wide(crowd).boxes) == MOST_PRINCIPALS + MOST_POLICIES + 3


def test_a_boundary_is_drawn_below_the_role() -> None:
    body = document({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})
    role = live_role(boundary=LiveDocument("boundary", f"arn:aws:iam::{HOME}:policy/limit", body, "v1"))
    granted = live_grant(subject_of(role))
    assert granted.boundary is not None
    assert granted.boundary.allows == "all but iam:*"
    assert (granted.boundary.verdict, granted.boundary.remark) == ("warn", "not in the stack file")
    box = next(box for box in wide(granted).boxes if box.kind == "boundary")
    above = next(box for box in wide(granted).boxes if box.kind == "role")
    assert box.y > above.y + above.height
    assert ends(wide(granted), "limit") == 1


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (trust(CONTROL_PLANE), (PLANE, "with the external id", "pass")),
        (trust(CONTROL_PLANE, ids=(CANARY, "old")), (PLANE, "with one of 2 external ids", "fail")),
        (trust(CONTROL_PLANE, ids=None), (PLANE, "without an external id", "fail")),
        (trust(AUDIT, ids=None), ("declared in the stack file", "without an external id", "warn")),
        (trust("arn:aws:iam::999999999999:root"), ("not in the stack file", "with the external id", "fail")),
        (trust("*"), ("everybody", "with the external id", "fail")),
        (trust(AUDIT, ids=None, effect="Deny"), ("a Deny", "refused", "pass")),
    ],
)  # fmt: skip
def test_a_principal_in_a_few_words(statement: object, expected: tuple[str, str, str]) -> None:
    (found,) = live_grant(subject_of(live_role(statement))).admitted
    assert (found.who, found.terms, found.verdict) == expected


def test_other_conditions_are_named_without_their_values() -> None:
    condition = {"StringEquals": {"sts:ExternalId": CANARY, "aws:PrincipalOrgID": "o-secret"}}
    (found,) = live_grant(subject_of(live_role(trust(CONTROL_PLANE, Condition=condition)))).admitted
    assert found.terms == "with the external id, depending on aws:PrincipalOrgID"


def test_services_and_not_principal_are_told() -> None:
    service = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    rest = {"Effect": "Allow", "NotPrincipal": {"AWS": AUDIT}, "Action": "sts:AssumeRole"}
    first, second = live_grant(subject_of(live_role(service, rest))).admitted
    assert (first.name, first.verdict) == ("Service ec2.amazonaws.com", "fail")
    assert (second.name, second.verdict) == (f"all but {AUDIT}", "fail")


def test_what_could_not_be_read_is_unknown() -> None:
    unread = LiveDocument("trust", "trust", None, unread="the caller may not call iam:GetRole")
    secret = LiveDocument("attached", f"arn:aws:iam::{HOME}:policy/y", None, unread="throttled")
    role = live_role(trust=unread, policies=(secret,), unlisted_attached="not permitted", max_session_seconds=None)
    granted = live_grant(subject_of(role))
    assert [each.verdict for each in granted.admitted] == ["unknown"]
    assert [each.allows for each in granted.policies] == ["it could not be read (throttled)", "not permitted"]
    assert granted.session_hours is None


def test_a_policy_in_a_few_words() -> None:
    wide_open = document(
        {"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
    )
    role = live_role(policies=(LiveDocument("inline", "x", wide_open), LiveDocument("inline", "y", document())))
    first, second = live_grant(subject_of(role)).policies
    assert (first.allows, first.verdict, first.remark) == ("everything; denies iam:*", "fail", "not in the stack file")
    assert (second.verdict, second.allows[:27]) == ("fail", "it could not be understood ")


def test_policies_are_judged_by_arn_and_content() -> None:
    body = document({"Effect": "Allow", "Action": "*", "Resource": "*"})
    arns = {
        f"arn:aws:iam::{HOME}:policy/grid-x": ("own", "fail", "version v2 has a statement that"),
        "arn:aws:iam::aws:policy/AmazonS3FullAccess": ("managed", "pass", "version v2"),
        f"arn:aws:iam::{HOME}:policy/AmazonS3FullAccess": ("managed", "fail", "not in the stack file"),
        f"arn:aws:iam::{HOME}:policy/x/grid-x": ("managed", "fail", "not in the stack file"),
        f"arn:aws:iam::{HOME}:policy/audit": ("managed", "pass", "known: the stack file accepts it"),
    }
    policies = (*(LiveDocument("attached", arn, body, "v2") for arn in arns), LiveDocument("inline", "guard", body))
    known = Role(known_policies=(f"arn:aws:iam::{HOME}:policy/audit",), known_inline_policies=("guard",))
    granted = live_grant(subject_of(live_role(policies=policies), replace(STACK, role=known)))
    told = [*arns.values(), ("inline", "pass", "known: the stack file accepts it")]
    for found, (kind, verdict, remark) in zip(granted.policies, told, strict=True):
        assert (found.kind, found.verdict) == (kind, verdict), found.name
        assert found.remark.startswith(remark), found.name


def test_without_a_live_role_the_stack_file_is_drawn() -> None:
    asked = Role(
        name="grid-x", permissions_boundary="arn:aws:iam::1:policy/b", managed_policies=("A",),
        trusted_principals=(AUDIT,), statements=(PolicyStatement(("s3:*",)),),
    )  # fmt: skip
    granted = declared_grant(replace(STACK, role=asked))
    assert not granted.live
    assert [each.terms for each in granted.admitted] == ["with the external id"] * 2
    assert [each.name for each in granted.policies] == ["A", "the role's own policy"]
    assert granted.policies[-1].allows == "s3:*"
    bare = declared_grant(replace(STACK, role=replace(asked, statements=())))
    assert [each.name for each in bare.policies] == ["A"]
    assert wide(granted).boxes


def test_long_names_are_shortened_and_keep_their_end() -> None:
    arn = f"arn:aws:iam::{HOME}:role/some/very/long/path/the-name"
    assert shortened(arn, 100) == arn
    assert shortened(arn, 46) == f"{HOME}:role/some/very/long/path/the-name"
    assert shortened(arn, 20).endswith("the-name")
    assert len(shortened(arn, 20)) == 20
    assert cut("one, two, three", 10) == "one, two…"


@given(st.text(max_size=80), st.integers(4, 60))
def test_what_is_shortened_is_never_longer(text: str, longest: int) -> None:
    assert len(shortened(text, longest)) <= max(longest, 0)
    assert len(cut(text, longest)) <= longest


def test_times_are_in_utc_and_strange_ones_as_they_are() -> None:
    assert instant("2026-11-02T13:00:00+02:00") == "2026-11-02 11:00 UTC"
    assert instant("2026-11-02T13:00:00") == "2026-11-02 13:00 UTC"
    assert instant("soon") == "soon"
