"""What of a live role a stack file can say; and every reason why one cannot be adopted as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.aws.live_role import LiveDocument, LiveRole
from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import NotAdoptableError
from gridbyoc.operations.adopt import cluster_reasons, clusters_through, imports_of, refuse_more_than_imports
from gridbyoc.operations.adoptable import AdoptableRole, AdoptionRequest, adoptable_role, stack_text
from gridbyoc.stack.load import load
from gridbyoc.stack.model import ClusterSpec, InstanceType, OwnPolicy, Role, S3Backend, Stack
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import facts_of

HOME = "123456789012"
GRID = "302180240179"
ARN = f"arn:aws:iam::{HOME}:role/teams/grid"
OWN = f"arn:aws:iam::{HOME}:policy/teams/grid"
CANARY = "canary-external-id-0123456789"
USUAL = facts_of("grid").permissions.managed_policies
ALL: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements: Any, **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements), **more}


def trusting(**changed: Any) -> dict[str, Any]:
    usual = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{GRID}:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": CANARY}},
    }
    return {key: value for key, value in {**usual, **changed}.items() if value is not None}


def own(*statements: Any, arn: str = OWN, **attributes: Any) -> LiveDocument:
    body = document(*(statements or ({"Effect": "Allow", "Action": ["eks:*"], "Resource": "*"},)))
    return LiveDocument("attached", arn, body, "v1", attributes={"Path": "/teams/", "tags": {}, **attributes})


def managed(*names: str) -> tuple[LiveDocument, ...]:
    return tuple(
        LiveDocument("attached", f"arn:aws:iam::aws:policy/{name}", None, unread="it was not asked for")
        for name in names
    )


def inline(name: str = "by-hand") -> LiveDocument:
    return LiveDocument("inline", name, document(ALL))


def role(*policies: LiveDocument, trust: Any = None, arn: str = ARN, **fields: Any) -> LiveRole:
    attributes = {"Path": "/teams/", "Description": "By hand", "tags": {}, **fields.pop("attributes", {})}
    trusted = LiveDocument("trust", "trust", document(trusting()) if trust is None else trust)
    found = policies or (own(), *managed(*USUAL))
    return replace(LiveRole(arn, trusted, found, max_session_seconds=43200, attributes=attributes), **fields)


def judged(live: LiveRole, shared: tuple[str, ...] = (), **asked: Any) -> AdoptableRole:
    request = AdoptionRequest(**{"role_arn": live.arn, "name": "ml", "region": "us-east-1", **asked})
    return adoptable_role(live, request, shared)


def stack_of(
    live: LiveRole, tmp_path: Path, *clusters: ClusterSpec, shared: tuple[str, ...] = (), **asked: Any
) -> Stack:
    """The stack that the written file is, as every other command reads it."""
    request = AdoptionRequest(**{"role_arn": live.arn, "name": "ml", "region": "us-east-1", **asked})
    found = adoptable_role(live, request, shared)
    assert found.reasons == ()
    assert found.trust is not None
    file = tmp_path / "gridbyoc.yaml"
    text = stack_text(found, found.trust, request, clusters)
    assert CANARY not in text
    file.write_text(text)
    return load(file, environ={}, home=tmp_path, cwd=tmp_path)


def test_the_guides_role_takes_no_list_of_its_own(tmp_path: Path) -> None:
    spec = ClusterSpec("one", (InstanceType("t2.medium"), InstanceType("g4dn.xlarge", 2, 200)), "cost-saving")
    stack = stack_of(role(), tmp_path, spec)
    assert (stack.role.name, stack.role.path, stack.role.description) == ("grid", "/teams/", "By hand")
    assert stack.role.managed_policies is None
    assert [each.actions for each in stack.role.statements or ()] == [("eks:*",)]
    assert stack.role.force_detach_policies is False
    assert (stack.aws.account_id, stack.aws.default_tags) == (HOME, False)
    assert stack.clusters == (spec,)
    assert "managed_policies" not in (tmp_path / "gridbyoc.yaml").read_text()


def test_every_attribute_that_differs_is_a_key_of_the_file(tmp_path: Path) -> None:
    deny = {"Sid": "No", "Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": ["arn:aws:s3:::*"]}
    named = own({"Effect": "Allow", "Action": "eks:*", "Resource": "*"}, deny, arn=f"arn:aws:iam::{HOME}:policy/x/y",
                Path="/x/", Description="of its own", tags={"a": "b"})  # fmt: skip
    trust = document(
        trusting(Principal={"AWS": [GRID, f"arn:aws:iam::{HOME}:role/ci"]}),
        trusting(Principal={"AWS": f"arn:aws:iam::{HOME}:user/ann"}, Condition=None, Sid=""),
    )
    live = role(
        named, *managed("AmazonS3FullAccess", "service-role/X"), trust=trust, max_session_seconds=5400,
        boundary=LiveDocument("boundary", f"arn:aws:iam::{HOME}:policy/bound", None, unread="it was not asked for"),
        attributes={"Path": "/teams/", "Description": 'with "quotes": and\nlines', "tags": {"team": "no", "1": "yes"}},
    )  # fmt: skip
    stack = stack_of(live, tmp_path, backend=S3Backend("states", "ml/state", "eu-west-1"), region="eu-central-1")
    found = stack.role
    assert found.description == 'with "quotes": and\nlines'
    assert found.max_session_seconds == 5400
    assert found.permissions_boundary == f"arn:aws:iam::{HOME}:policy/bound"
    assert found.managed_policies == ("AmazonS3FullAccess", "service-role/X")
    assert found.trusted_principals == (f"arn:aws:iam::{HOME}:role/ci",)
    assert found.trusted_principals_without_external_id == (f"arn:aws:iam::{HOME}:user/ann",)
    assert found.policy == OwnPolicy("y", "/x/", "of its own", {"a": "b"})
    assert [(each.effect, each.sid) for each in found.statements or ()] == [("Allow", None), ("Deny", "No")]
    assert dict(found.tags) == {"team": "no", "1": "yes"}
    assert stack.terraform.backend == S3Backend("states", "ml/state", "eu-west-1")
    assert (stack.aws.region, stack.clusters) == ("eu-central-1", ())


def test_the_account_that_is_trusted_tells_the_control_plane(tmp_path: Path) -> None:
    lightning = facts_of("lightning").trusted_account.account_id
    stack = stack_of(role(trust=document(trusting(Principal={"AWS": lightning}))), tmp_path)
    assert (stack.control_plane.type, stack.role.trusted_account_id) == ("lightning", lightning)
    both = document(trusting(Principal={"AWS": [f"arn:aws:iam::{HOME}:root", f"arn:aws:iam::{GRID}:root"]}))
    stack = stack_of(role(trust=both), tmp_path)
    assert (stack.role.trusted_account_id, stack.role.trusted_principals) == (GRID, (f"arn:aws:iam::{HOME}:root",))


def test_the_tools_own_tags_stand_for_themselves(tmp_path: Path) -> None:
    tags = {"gridbyoc:stack": "ml", "managed-by": "gridbyoc"}
    ours = role(own(tags=tags), *managed(*USUAL), attributes={"tags": {**tags, "team": "ml"}})
    stack = stack_of(ours, tmp_path)
    assert (stack.aws.default_tags, dict(stack.role.tags)) == (True, {"team": "ml"})
    assert stack.role.policy.tags == {}
    half = stack_of(role(own(), *managed(*USUAL), attributes={"tags": tags}), tmp_path)
    assert (half.aws.default_tags, dict(half.role.tags), half.role.policy.tags) == (False, tags, {})


def test_a_policy_that_statements_cannot_say_is_listed_by_its_arn(tmp_path: Path) -> None:
    conditional = own({**ALL, "Condition": {"Bool": {"aws:SecureTransport": "true"}}})
    stack = stack_of(role(conditional, *managed(*USUAL)), tmp_path)
    assert stack.role.statements == ()
    assert stack.role.managed_policies == (OWN, *USUAL)
    shared = stack_of(role(), tmp_path, shared=(OWN,))
    assert (shared.role.statements, shared.role.managed_policies) == ((), (OWN, *USUAL))


def test_what_is_accepted_or_deprecated_stays_and_is_not_managed(tmp_path: Path) -> None:
    company = f"arn:aws:iam::{HOME}:policy/company"
    live = role(own(), own(arn=company), inline("audit"), *managed("AmazonGuardDutyFullAccess", "AmazonS3FullAccess"))
    stack = stack_of(live, tmp_path, accepted=frozenset({company, "audit"}))
    assert set(stack.role.known_policies) == {company, "arn:aws:iam::aws:policy/AmazonGuardDutyFullAccess"}
    assert stack.role.known_inline_policies == ("audit",)
    assert stack.role.managed_policies == ("AmazonS3FullAccess",)
    alone = stack_of(role(own(), *managed(*USUAL)), tmp_path, accepted=frozenset({OWN}))
    assert (alone.role.known_policies, alone.role.statements, alone.role.managed_policies) == ((OWN,), (), None)


@pytest.mark.parametrize(
    "live,words",
    [
        (role(own(), inline()), "the inline policy by-hand"),
        (role(trust=document(trusting(Condition=None))), "no external id"),
        (role(trust=document(trusting(Condition={"StringEquals": {"sts:ExternalId": [CANARY, "b2"]}}))), "2 externa"),
        (role(trust=document(trusting(), trusting())), "several statements"),
        (role(trust=document(trusting(), trusting(Principal={"Service": "ec2.amazonaws.com"}))), "trusts Service"),
        (role(trust=document(trusting(Principal="*"))), "trusts *"),
        (role(trust=document(trusting(Principal={"AWS": "*"}))), "not the ARN of an account"),
        (role(trust=document(trusting(Principal={"AWS": "AROAEXAMPLE"}))), "AROAEXAMPLE"),
        (role(trust=document(trusting(Principal={"AWS": f"arn:aws:iam::{HOME}:role/ci"}))), "no account as a whole"),
        (role(trust=document(trusting(Action=["sts:AssumeRole", "sts:TagSession"]))), "sts:TagSession"),
        (role(trust=document(trusting(Effect="Deny"))), "is a Deny"),
        (role(trust=document(trusting(NotPrincipal={"AWS": HOME}, Principal=None))), "NotPrincipal"),
        (role(trust=document(trusting(Sid="Grid"))), "has a Sid"),
        (role(trust=document(trusting(Condition={"StringLike": {"sts:ExternalId": CANARY}}))), "condition other than"),
        (role(trust=document(trusting(Condition={
            "StringEquals": {"sts:ExternalId": CANARY, "aws:PrincipalArn": "x"}}))), "condition other than"),
        (role(trust=document(trusting(Condition={"StringEquals": {"sts:ExternalId": "a b"}}))), "1 external id;"),
        (role(trust={**document(trusting()), "Version": "2008-10-17"}), "in the form that the module uses"),
        (role(attributes={"tags": {"aws:cloudformation:stack-name": "infra"}}), "CloudFormation stack infra"),
        (role(attributes={"tags": {"gridbyoc:stack": "other"}}), "the stack other"),
        (role(attributes={"Path": "/aws-service-role/x/"}), "service-linked"),
        (role(own(), *managed(*(f"P{number}" for number in range(20)))), "21 managed policies"),
        (role(unread="the caller may not call iam:GetRole"), "could be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_adopted_is_explained(live: LiveRole, words: str) -> None:
    found = judged(live)
    told = [reason for reason in found.reasons if words in reason.what]
    assert told, found.reasons
    assert all(reason.fix for reason in found.reasons)
    assert CANARY not in str(found.reasons)
    assert CANARY not in repr(found)


def test_every_reason_is_told_at_once() -> None:
    both = role(own(), inline(), trust=document(trusting(Sid="x")), attributes={"tags": {"gridbyoc:stack": "other"}})
    assert len(judged(both).reasons) == 3
    assert len(judged(role(), accepted=frozenset({"not-there"})).reasons) == 1


def test_imports_name_each_resource_once() -> None:
    text = "arn:aws-cn:iam::123456789012:role/a/b"
    found = imports_of(replace(Role(), managed_policies=("X", f"arn:aws-cn:iam::{HOME}:policy/own")), text)
    assert found["module.gridbyoc.aws_iam_role.this"] == "b"
    assert found["module.gridbyoc.aws_iam_policy.this[0]"] == "arn:aws-cn:iam::123456789012:policy/a/b"
    key = 'module.gridbyoc.aws_iam_role_policy_attachment.managed["X"]'
    assert found[key] == "b/arn:aws-cn:iam::aws:policy/X"
    own_key = f'module.gridbyoc.aws_iam_role_policy_attachment.managed["arn:aws-cn:iam::{HOME}:policy/own"]'
    assert found[own_key] == f"b/arn:aws-cn:iam::{HOME}:policy/own"
    assert not any("policy.this" in address for address in imports_of(replace(Role(), statements=()), text))


def test_the_id_shows_nowhere() -> None:
    found = judged(role())
    assert found.trust is not None
    assert found.trust.external_id == Secret(CANARY)
    assert CANARY not in repr(found)


def change(address: str, *actions: str, **fields: Any) -> dict[str, Any]:
    return {"address": f"module.gridbyoc.{address}", "change": {"actions": list(actions), **fields}}


@pytest.mark.parametrize(
    "planned,told",
    [
        (change("aws_iam_role.this", "no-op"), ""),
        (change("data.aws_partition.current", "read"), ""),
        (change("terraform_data.this", "create", after={}), ""),
        # marked sensitive from now on, and nothing else
        (change("aws_iam_role.this", "update", before={"a": "1"}, after={"a": "1"}, after_unknown={}), ""),
        (change("aws_iam_role.this", "update", before={"a": "1"}, after={"a": "2"}), "update (a)"),
        (change("aws_iam_role.this", "update", before={"a": "1"}, after={"a": "1"}, after_unknown={"b": True}), "(b)"),
        (change("aws_iam_role.this", "delete", "create", before={"a": "1"}, after={"a": "2"}), "delete and create (a)"),
        (change("aws_iam_policy.this[0]", "create", after={"a": "2"}), "create"),
        (change("terraform_data.this", "delete", "create", before={"x": "1"}, after={"x": "2"}), "delete and create"),
        (change("aws_iam_role.this", "delete", before={"a": "1"}), "delete"),
        (change("aws_iam_role.this"), "aws_iam_role.this: "),
    ],
)
def test_a_plan_that_does_more_than_import_is_refused(planned: dict[str, Any], told: str) -> None:
    calm = change("aws_iam_role_policy_attachment.this[0]", "no-op")
    shown = {"resource_changes": [calm, planned]}
    if not told:
        refuse_more_than_imports(shown, ARN, {})
        return
    with pytest.raises(NotAdoptableError) as caught:
        refuse_more_than_imports(shown, ARN, {})
    (finding,) = caught.value.findings
    assert told in finding


def test_a_value_that_differs_is_not_shown() -> None:
    before, after = {"assume_role_policy": CANARY}, {"assume_role_policy": "another"}
    planned = change("aws_iam_role.this", "update", before=before, after=after)
    with pytest.raises(NotAdoptableError) as caught:
        refuse_more_than_imports({"resource_changes": [planned]}, ARN, {})
    assert CANARY not in str(caught.value.findings)


@pytest.mark.parametrize("planned", [{}, {"importing": {"id": "other"}}, {"importing": None}, None])
def test_a_plan_that_does_not_import_what_was_asked_is_refused(planned: dict[str, Any] | None) -> None:
    """By address and import id: a plan that says nothing of a resource has not looked at it."""
    address = "module.gridbyoc.aws_iam_role.this"
    whole = {"resource_changes": [change("aws_iam_role.this", "no-op", importing={"id": "grid"})]}
    refuse_more_than_imports(whole, ARN, {address: "grid"})
    shown = {} if planned is None else {"resource_changes": [change("aws_iam_role.this", "no-op", **planned)]}
    with pytest.raises(NotAdoptableError) as caught:
        refuse_more_than_imports(shown, ARN, {address: "grid"})
    assert caught.value.findings == (f"{address}: is not imported",)


@pytest.mark.parametrize(
    "changed,words",
    [
        ({}, ()),
        ({"external_id": Secret("another-id")}, ("differs from the role",)),
        ({"external_id": None}, ("does not show which external id",)),
        ({"region": "eu-west-1"}, ("runs in eu-west-1",)),
        ({"region": None}, ()),
    ],
)
def test_a_cluster_that_could_not_go_on_as_it_is(changed: dict[str, Any], words: tuple[str, ...]) -> None:
    usual = {"role_arn": ARN, "external_id": Secret(CANARY), "region": "us-east-1"}
    cluster = Cluster("id", "ml", Phase.RUNNING, **{**usual, **changed})
    found = judged(role())
    reasons = tuple(cluster_reasons((cluster,), found.trust, "us-east-1"))
    assert len(reasons) == len(words)
    assert all(word in reason.what for word, reason in zip(words, reasons, strict=True))
    other = replace(cluster, role_arn=f"{ARN}-2")
    going = replace(cluster, desired_state=Phase.DELETED)
    assert clusters_through((cluster, other, going), ARN) == (cluster,)
