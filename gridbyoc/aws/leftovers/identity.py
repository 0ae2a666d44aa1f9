"""IAM's kinds: roles, instance profiles, policies and OIDC providers.

One list call returns every role with its tags. The tagging service finds policies by tag, in IAM's home region. It does
not know roles and does not reliably return instance profiles, so these and OIDC providers are listed and read singly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.leftovers.model import Api, Ours, Resource, ResourceKind, ScanScope, none_if_gone, tags_of
from gridbyoc.aws.live_role import find_role

SERVICE_PATH = "/aws-service-role/"
"""The path of service-linked roles: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html"""


def _roles(api: Api, _scope: ScanScope) -> Iterator[Resource]:
    # Unlike ListRoles, this call returns tags. It uses the largest pages: an account may have 5,000 roles.
    large = {"PageSize": 1000}
    for item in api.pages(
        "iam", "get_account_authorization_details", "RoleDetailList", Filter=["Role"], PaginationConfig=large
    ):
        if not str(item["Path"]).startswith(SERVICE_PATH):
            yield _role(item)


def _look_role(api: Api, _place: AccountRegion, name: str) -> Resource | None:
    role = find_role(api.client("iam"), name)
    return _role(role) if role else None


def _role(item: Mapping[str, Any]) -> Resource:
    name = str(item["RoleName"])
    return Resource("role", name, item["Arn"], name, tags_of(item.get("Tags")), created_at=item.get("CreateDate"))


def _delete_role(api: Api, resource: Resource, _ours: Ours) -> None:
    """Detach its policies, then delete it. If a foreign instance profile still has it, AWS refuses."""
    name = resource.id
    for policy in list(api.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=name)):
        api.call("iam", "detach_role_policy", RoleName=name, PolicyArn=policy["PolicyArn"])
    for inline in list(api.pages("iam", "list_role_policies", "PolicyNames", RoleName=name)):
        api.call("iam", "delete_role_policy", RoleName=name, PolicyName=inline)
    api.call("iam", "delete_role", RoleName=name)


def _profiles(api: Api, scope: ScanScope) -> Iterator[Resource]:
    for item in api.pages("iam", "list_instance_profiles", "InstanceProfiles"):
        found = _look_profile(api, scope.place, item["InstanceProfileName"])
        if found:
            yield found


@none_if_gone
def _look_profile(api: Api, _place: AccountRegion, name: str) -> Resource | None:
    item = api.call("iam", "get_instance_profile", InstanceProfileName=name)["InstanceProfile"]
    made = item.get("CreateDate")
    return Resource("instance profile", name, item["Arn"], name, tags_of(item.get("Tags")), created_at=made)


def _delete_profile(api: Api, resource: Resource, _ours: Ours) -> None:
    item = api.call("iam", "get_instance_profile", InstanceProfileName=resource.id)["InstanceProfile"]
    for role in item.get("Roles") or ():
        api.call("iam", "remove_role_from_instance_profile", InstanceProfileName=resource.id, RoleName=role["RoleName"])
    api.call("iam", "delete_instance_profile", InstanceProfileName=resource.id)


def _policies(api: Api, scope: ScanScope) -> Iterator[Resource]:
    for arn in scope.tagged:
        if arn.startswith(scope.place.iam("policy/")) and (found := _look_policy(api, scope.place, arn)):
            yield found


@none_if_gone
def _look_policy(api: Api, _place: AccountRegion, arn: str) -> Resource | None:
    item = api.call("iam", "get_policy", PolicyArn=arn)["Policy"]
    tags = tags_of(item.get("Tags"))
    return Resource("policy", arn, arn, str(item["PolicyName"]), tags, created_at=item.get("CreateDate"))


def _delete_policy(api: Api, resource: Resource, ours: Ours) -> None:
    """Detach it from the cluster's roles, then delete it. If anybody else uses it, AWS refuses."""
    for role in list(api.pages("iam", "list_entities_for_policy", "PolicyRoles", PolicyArn=resource.id)):
        if ours(("role", role["RoleName"])):
            api.call("iam", "detach_role_policy", RoleName=role["RoleName"], PolicyArn=resource.id)
    for version in list(api.pages("iam", "list_policy_versions", "Versions", PolicyArn=resource.id)):
        if not version["IsDefaultVersion"]:
            api.call("iam", "delete_policy_version", PolicyArn=resource.id, VersionId=version["VersionId"])
    api.call("iam", "delete_policy", PolicyArn=resource.id)


def _issuers(api: Api, scope: ScanScope) -> Iterator[Resource]:
    for item in api.pages("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList"):
        found = _look_issuer(api, scope.place, item["Arn"])
        if found:
            yield found


@none_if_gone
def _look_issuer(api: Api, _place: AccountRegion, arn: str) -> Resource | None:
    item = api.call("iam", "get_open_id_connect_provider", OpenIDConnectProviderArn=arn)
    made = item.get("CreateDate")
    return Resource("OIDC provider", arn, arn, str(item.get("Url", "")), tags_of(item.get("Tags")), created_at=made)


def _delete_issuer(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("iam", "delete_open_id_connect_provider", OpenIDConnectProviderArn=resource.id)


ROLE = ResourceKind("role", _roles, _look_role, _delete_role)
INSTANCE_PROFILE = ResourceKind("instance profile", _profiles, _look_profile, _delete_profile)
POLICY = ResourceKind("policy", _policies, _look_policy, _delete_policy, needs_tagging=True)
OIDC_PROVIDER = ResourceKind("OIDC provider", _issuers, _look_issuer, _delete_issuer)
