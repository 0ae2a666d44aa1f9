"""Access denied, by the kind of policy that denies it.

IAM says which kind it was: ``because no KIND policy allows the ACTION action`` or ``with an explicit deny in a KIND
policy``, since 2026 with the policy's ARN behind it. Not every service does.
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

from gridbyoc.errors.cards.model import Card

_WHO = "{principal} may not do {action} on {resource}"
_POLICY = r"(?:[:,]? (?P<policy>arn:[\w-]{1,20}:[^\s,;)\"]{1,400}))?"


def _because(kind: str) -> str:
    return rf"because no {kind} allows the (?P<action>[\w-]+:[\w*]+) action"


def _deny(kind: str) -> str:
    return rf"with an explicit deny in an? {kind}{_POLICY}"


ENCODED = Card(
    "GBY-A110",
    "EC2 refuses an operation, in an encoded message",
    "EC2 does not permit {action} to the caller, and its reasons are in the encoded message.",
    "Decode them: `aws sts decode-authorization-message --encoded-message MESSAGE --query DecodedMessage --output "
    "text` (needs sts:DecodeAuthorizationMessage); MESSAGE stands whole in Terraform's words or in the log. Then "
    "allow the action: `gridbyoc policy` prints the whole policy that the caller needs.",
    # asquarezone/TerraformZone#1; where the message says the reason in clear too, that is the better card
    (r"^(?!.*is not authorized to perform: ).*Encoded authorization failure message",),
)
SCP = Card(
    "GBY-A111",
    "Denied by a service control policy",
    f"{_WHO}: a service control policy of the organization denies it, whatever the account itself allows.",
    "Only who manages the organization can change that: ask for {action} to be allowed in this account{by_policy}, or "
    "take an account of another organizational unit. Where it demands that new roles carry a permissions boundary, "
    "name that in role.permissions_boundary. `gridbyoc policy` prints every action that is needed.",
    (_deny("service control policy"), _because("service control policy")),
)
RCP = Card(
    "GBY-A112",
    "Denied by a resource control policy",
    f"{_WHO}: a resource control policy of the organization denies it, whatever the account itself allows.",
    "Only who manages the organization can change that: ask for {action} on {resource} to be allowed{by_policy}.",
    (_deny("resource control policy"), _because("resource control policy")),
)
BOUNDARY = Card(
    "GBY-A113",
    "Denied by a permissions boundary",
    f"{_WHO}: the caller's permissions boundary does not allow it, and what it does not allow no other policy can.",
    "Have {action} allowed in the boundary of {principal}{by_policy}. Where the boundary wants new roles to carry a "
    "boundary too, name it in role.permissions_boundary. `gridbyoc policy` prints every action that is needed.",
    (_deny("permissions boundary"), _because("permissions boundary")),
)
SESSION = Card(
    "GBY-A114",
    "Denied by a session policy",
    f"{_WHO}: the policy that was given when the role was assumed does not allow it.",
    "Assume the role without a session policy, or with one that allows {action}; look at what hands out the "
    "credentials (CI, `credential_process`, a permission set). `gridbyoc policy` prints every action that is needed.",
    (_deny("session policy"), _because("session policy")),
)
ENDPOINT = Card(
    "GBY-A115",
    "Denied by a VPC endpoint's policy",
    f"{_WHO}: the request went through a VPC endpoint, and its policy does not allow it.",
    "Have {action} allowed in the endpoint's policy{by_policy}, or run from a network that does not use the endpoint.",
    (_deny("VPC endpoint policy"), _because("VPC endpoint policy")),
)
RESOURCE = Card(
    "GBY-A116",
    "Denied by the resource's own policy",
    f"{_WHO}: the policy of the resource itself (a bucket's, a key's, a role's trust policy) does not allow it.",
    "Have {principal} allowed to do {action} in the policy of {resource}: the trust policy for sts:AssumeRole, the "
    "key policy for kms:*, the bucket policy for s3:*.",
    (
        _deny("resource-based policy"),
        _because("resource-based policy"),
        # sts:AssumeRole names no policy: the role's trust policy is the one that must allow it
        r"is not authorized to perform: (?P<action>sts:AssumeRole\w*) on resource: arn:[^\s,]{1,400}(?! because)",
    ),
)
IDENTITY_DENY = Card(
    "GBY-A117",
    "Explicitly denied by the caller's policy",
    f"{_WHO}: a Deny in a policy of the caller says so, and a Deny wins over every Allow.",
    "Find the Deny that covers {action} in the policies of {principal} and of its groups{by_policy}, and except this "
    "action or this resource from it. Allowing it elsewhere does not help. Where it denies new roles without a "
    "permissions boundary, name that in role.permissions_boundary.",
    (_deny("identity-based policy"), r"with an explicit deny(?! in)"),
)
IDENTITY = Card(
    "GBY-A118",
    "Action is not allowed to the caller",
    f"{_WHO}: no policy of the caller allows it.",
    "Allow {action} to {principal}: `gridbyoc policy` prints the whole policy that the caller needs; attach it to the "
    "role or permission set, or run as one that has it (aws.profile, AWS_PROFILE).",
    (
        _because("identity-based policy"),
        # Services and API versions that do not say which policy: ministryofjustice/cloud-platform-environments#4030
        r"is not authorized to perform: (?P<action>[\w-]+:[\w*]+)",
        r"You are not authorized to perform this operation",
        r"\bUnauthorizedOperation\b",
    ),
)
PLAIN = Card(
    "GBY-A119",
    "Access denied, without a reason",
    "AWS does not permit {action} to the caller, and says neither why nor on what. S3 does that: the caller's "
    "policies, the bucket's policy, a key's policy or a policy of the organization may be the reason.",
    "Allow {action} to the caller: `gridbyoc policy` prints the whole policy that it needs. The event in CloudTrail "
    "(errorCode AccessDenied) often says more.",
    (
        # hashicorp/terraform#14402: Error putting S3 ACL: AccessDenied: Access Denied
        r"\bAccessDenied(?:Exception)?\b|\bAccess Denied\b",
        r"StatusCode: 403\b.{0,300}\bapi error (?:Forbidden|403)\b",
        r"\bNotAuthorized(?:Exception)?\b|\bAuthorizationError\b",
    ),
)

ACCESS = (ENCODED, SCP, RCP, BOUNDARY, SESSION, ENDPOINT, RESOURCE, IDENTITY_DENY, IDENTITY, PLAIN)
