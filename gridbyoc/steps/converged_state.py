"""Is the live role what the state says it is? Only then may a later run take it for what Terraform would make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

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
"""Attribute of the provider → what it is called in the facts (``read_live_facts``)."""
KNOWN = {
    (MODULE, kind)
    for kind in (
        "aws_iam_role",
        "aws_iam_policy",
        "aws_iam_role_policy_attachment",
        "aws_partition",
        "terraform_data",
    )
}
"""What the gridbyoc module is made of; its ``terraform_data`` lie in the state alone."""


def stands_as_in_state(facts: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Whether role, own policy and attachments are live what they are in the state, attribute by attribute.

    The state is what Terraform saw when it last looked; somebody may have changed the role since. More attachments
    than Terraform made, and inline policies, are nothing that it would change.
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
        and attached <= set(facts["attached"])
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
        and canonical(live["trust"]) == canonical(json.loads(kept["assume_role_policy"]))
    )


def _same_policy(live: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    return _same(live, kept, POLICY) and canonical(live["document"]) == canonical(json.loads(kept["policy"]))


def _same(live: Mapping[str, Any], kept: Mapping[str, Any], names: Mapping[str, str]) -> bool:
    return all((live[there] or None) == (kept[here] or None) for here, there in names.items())


def canonical(document: object) -> object:
    """A policy document in one form: IAM hands a list of one as the one, and texts in an order of its own.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    if isinstance(document, Mapping):
        return {key: canonical(value) for key, value in document.items()}
    if isinstance(document, list):
        values = [canonical(value) for value in document]
        if len(values) == 1:
            return values[0]
        return sorted(values, key=str) if all(isinstance(value, str) for value in values) else values
    return document
