"""The live role against the state: each attribute that differs is seen, and IAM's own ways of writing are not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.operations.converged import stands_as_in_state
from gridbyoc.operations.role_policies import normal_form
from gridbyoc.stack.model import Role
from gridbyoc.terraform import State

ROLE = "arn:aws:iam::123456789012:role/grid"
OWN = "arn:aws:iam::123456789012:policy/grid"
S3 = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["a"]}, "Action": "sts:x"}]}
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["eks:*", "ecr:*"], "Resource": ["*"]}],
}


def facts() -> dict[str, Any]:
    return {
        "role": {
            "Arn": ROLE, "RoleId": "AROA1", "Path": "/", "Description": "d", "MaxSessionDuration": 43200,
            "PermissionsBoundary": {"PermissionsBoundaryArn": "b"}, "trust": copy.deepcopy(TRUST), "tags": {"a": "b"},
        },
        "attached": sorted([S3, OWN]),
        "inline": {},
        "policies": [
            {"Arn": OWN, "PolicyId": "ANPA1", "Path": "/", "Description": "p", "DefaultVersionId": "v1",
             "document": copy.deepcopy(DOCUMENT), "tags": {}}
        ],
    }  # fmt: skip


def resource(kind: str, *instances: dict[str, Any]) -> dict[str, Any]:
    found = [{"attributes": each} for each in instances]
    return {"module": "module.gridbyoc", "mode": "managed", "type": kind, "name": "this", "instances": found}


def state() -> dict[str, Any]:
    role = {
        "arn": ROLE, "unique_id": "AROA1", "path": "/", "description": "d", "max_session_duration": 43200,
        "permissions_boundary": "b", "assume_role_policy": json.dumps(TRUST), "tags_all": {"a": "b"},
    }  # fmt: skip
    policy = {
        "arn": OWN, "policy_id": "ANPA1", "path": "/", "description": "p", "policy": json.dumps(DOCUMENT),
        "tags_all": None,
    }  # fmt: skip
    attachments = ({"policy_arn": S3}, {"policy_arn": OWN})
    return {
        "resources": [
            resource("aws_iam_role", role),
            resource("aws_iam_policy", policy),
            resource("aws_iam_role_policy_attachment", *attachments),
        ]
    }


def test_the_same() -> None:
    assert stands_as_in_state(facts(), State(state()), Role())


def test_what_terraform_would_not_touch_is_no_difference() -> None:
    found = facts()
    found["role"]["trust"]["Statement"] = found["role"]["trust"]["Statement"][0]
    found["role"]["trust"]["Statement"]["Principal"] = {"AWS": "a"}
    found["policies"][0]["document"]["Statement"][0] |= {"Action": ["ecr:*", "eks:*"], "Resource": "*"}
    assert stands_as_in_state(found, State(state()), Role())


def test_policies_beside_those_of_terraform_are_a_difference_unless_the_stack_file_accepts_them() -> None:
    read_only = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    beside, inline = facts(), facts()
    beside["attached"].append(read_only)
    inline["inline"] = {"x": {}}
    known = Role(known_policies=(read_only,), known_inline_policies=("x",))
    for found in (beside, inline):
        assert not stands_as_in_state(found, State(state()), Role())
        assert stands_as_in_state(found, State(state()), known)
    assert stands_as_in_state(facts(), State(state()), known)
    beside["attached"].append(read_only.replace("policy/", "policy/x/"))
    assert not stands_as_in_state(beside, State(state()), known)


@pytest.mark.parametrize("name", ["Arn", "RoleId", "Path", "Description", "MaxSessionDuration", "PermissionsBoundary"])
def test_each_attribute_of_the_role(name: str) -> None:
    for other in (None, "other"):
        found = facts()
        found["role"][name] = {"PermissionsBoundaryArn": other} if name == "PermissionsBoundary" else other
        assert not stands_as_in_state(found, State(state()), Role())


@pytest.mark.parametrize("name", ["Arn", "PolicyId", "Path", "Description"])
def test_each_attribute_of_the_policy(name: str) -> None:
    found = facts()
    found["policies"][0][name] = "other"
    assert not stands_as_in_state(found, State(state()), Role())


def test_documents_tags_attachments_and_what_is_missing() -> None:
    def edited(edit: Any) -> dict[str, Any]:
        found = facts()
        edit(found)
        return found

    edits = [
        lambda f: f["role"]["trust"]["Statement"][0].update(Effect="Deny"),
        lambda f: f["role"]["tags"].update(a="c"),
        lambda f: f["role"].update(tags={}),
        lambda f: f["policies"][0]["document"]["Statement"][0].update(Action=["eks:*"]),
        lambda f: f["policies"][0].update(tags={"new": "x"}),
        lambda f: f["attached"].remove(S3),
        lambda f: f["policies"].clear(),
    ]
    for number, edit in enumerate(edits):
        assert not stands_as_in_state(edited(edit), State(state()), Role()), number
    assert not stands_as_in_state(facts(), State(), Role())
    assert not stands_as_in_state(facts(), State({"resources": [resource("aws_iam_role")]}), Role())


texts = st.text(max_size=3)
documents = st.recursive(
    texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=12
)


@given(documents)
def test_one_form_is_kept_and_survives_json(document: object) -> None:
    once = normal_form(document)
    assert normal_form(once) == once
    assert normal_form(json.loads(json.dumps(document))) == once


@given(st.lists(texts, min_size=2, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_texts_does_not_count_and_each_of_them_does(values: list[str], random: Any) -> None:
    shuffled = values.copy()
    random.shuffle(shuffled)
    assert normal_form({"Action": values}) == normal_form({"Action": shuffled})
    assert normal_form({"Action": values}) != normal_form({"Action": [*values[1:], values[0] + "x"]})


def test_what_nobody_looks_at_here_is_never_taken_for_standing() -> None:
    """A file that somebody put beside the rendered ones makes a bucket: it may have changed, and nobody would see."""
    foreign = {"mode": "managed", "type": "aws_s3_bucket", "name": "x", "instances": [{"attributes": {"bucket": "x"}}]}
    for more in (foreign, {**foreign, "module": "module.gridbyoc"}, {**foreign, "type": "aws_iam_role"}):
        found = state()
        found["resources"].append(more)
        assert not stands_as_in_state(facts(), State(found), Role())
    found["resources"][-1] = {"module": "module.gridbyoc", "mode": "data", "type": "aws_partition", "instances": []}
    assert stands_as_in_state(facts(), State(found), Role())
