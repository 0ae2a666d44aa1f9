"""The condition keys that a request brings along, beside those of its principal.

Shape: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html and, for ``iam:…``,
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
"""

from __future__ import annotations

from collections.abc import Mapping

from gridbyoc.sandbox.aws_extra.call import Call

_IAM = {
    "PermissionsBoundary": "iam:permissionsboundary",
    "PolicyArn": "iam:policyarn",
    "AWSServiceName": "iam:awsservicename",
}


def context_of(call: Call, principal: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The values of each key; keys in lower case."""
    context = {**principal, "aws:requestedregion": [call.region], "aws:securetransport": ["false"]}
    if call.service == "iam":
        context |= {key: [str(call.parameters[name])] for name, key in _IAM.items() if call.parameters.get(name)}
    if call.service == "sts" and call.parameters.get("ExternalId"):
        context["sts:externalid"] = [str(call.parameters["ExternalId"])]
    tags = call.parameters.get("Tags")
    named = [tag for tag in tags if isinstance(tag, dict) and "Key" in tag] if isinstance(tags, list) else []
    if named:
        context["aws:tagkeys"] = [str(tag["Key"]) for tag in named]
        context |= {f"aws:requesttag/{str(tag['Key']).lower()}": [str(tag.get("Value", ""))] for tag in named}
    return context
