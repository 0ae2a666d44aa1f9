"""Is the live role what the state says it is? Only then may a later run take it for what Terraform would make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gridbyoc.aws.live_role import LiveRole
from gridbyoc.stack.files import json_object
from gridbyoc.stack.model import Role
from gridbyoc.steps.role_policies import normal_form

MODULE = "module.gridbyoc"
ROLE = {
    "arn": "Arn",
    "unique_id": "RoleId",
    "path": "Path",
    "description": "Description",
    "max_session_duration": "MaxSessionDuration",
    "tags_all": "tags",
}
POLICY = {"arn": "Arn", "policy_id": "PolicyId", "path": "Path", "description": "Description", "tags_all": "tags"}
"""Attribute of the provider → what IAM calls it."""
EXCLUSIVE = ("aws_iam_role_policies_exclusive", "aws_iam_role_policy_attachments_exclusive")
"""What the rendered root holds beside the module for an exclusive role: lists of what the role may have."""
KNOWN = {
    (MODULE, kind)
    for kind in (
        "aws_iam_role",
        "aws_iam_policy",
        "aws_iam_role_policy_attachment",
        "aws_partition",
        "terraform_data",
    )
} | {(None, kind) for kind in EXCLUSIVE}
"""What the gridbyoc module is made of; its ``terraform_data`` lie in the state alone."""


def facts_of(role: LiveRole) -> dict[str, Any] | None:
    """All that Terraform would read of a role and its policies, JSON-able; ``None`` where not all of it could be read.

    The same for the same role; it holds the external id. AWS's own policies count by their ARN, for what they say is
    not the stack's.
    """
    if role.unknown:
        return None
    attached = [each for each in role.policies if each.kind == "attached"]
    return {
        "role": {**role.attributes, "trust": role.trust.document},
        "attached": sorted(each.name for each in attached),
        "inline": {each.name: each.document for each in role.policies if each.kind == "inline"},
        "policies": [
            {**each.attributes, "document": each.document}
            for each in sorted(attached, key=lambda each: each.name)
            if each.name.split(":")[4] == role.account_id
        ],
    }


def stands_as_in_state(facts: Mapping[str, Any], state: Mapping[str, Any], declared: Role) -> bool:
    """Whether role, own policy and attachments are live what they are in the state, attribute by attribute.

    The state is what Terraform saw when it last looked; somebody may have changed the role since. Beside what Terraform
    made, the role may have policies that the stack file accepts (``declared``), and no others.
    """
    if any((each.get("module"), each.get("type")) not in KNOWN for each in state.get("resources") or ()):
        return False  # nobody here looks at it
    roles = list(_of(state, "aws_iam_role"))
    policies = {each["arn"]: each for each in _of(state, "aws_iam_policy")}
    attached = {str(each["policy_arn"]) for each in _of(state, "aws_iam_role_policy_attachment")}
    live = {each["Arn"]: each for each in facts["policies"]}
    return (
        len(roles) == 1
        and _same_role(facts["role"], roles[0])
        and attached <= set(facts["attached"]) <= attached | set(declared.known_policies)
        and set(facts["inline"]) <= set(declared.known_inline_policies)
        and policies.keys() <= live.keys()
        and all(_same_policy(live[arn], policy) for arn, policy in policies.items())
    )


def _of(state: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    for resource in state.get("resources") or ():
        if (resource.get("module"), resource.get("type"), resource.get("mode")) == (MODULE, kind, "managed"):
            yield from (instance["attributes"] for instance in resource["instances"])


def _same_role(live: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    boundary = (live["PermissionsBoundary"] or {}).get("PermissionsBoundaryArn")
    return (
        _same(live, kept, ROLE)
        and (boundary or "") == (kept["permissions_boundary"] or "")
        and normal_form(live["trust"]) == normal_form(json_object(kept["assume_role_policy"]))
    )


def _same_policy(live: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    return _same(live, kept, POLICY) and normal_form(live["document"]) == normal_form(json_object(kept["policy"]))


def _same(live: Mapping[str, Any], kept: Mapping[str, Any], names: Mapping[str, str]) -> bool:
    return all((live[there] or None) == (kept[here] or None) for here, there in names.items())
