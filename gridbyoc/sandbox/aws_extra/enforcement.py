"""Every request held to the policies of whoever signed it.

Shape: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html; the codes of each
protocol: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html,
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html.
moto can do this too (``INITIAL_NO_AUTH_ACTION_COUNT``, ``moto.iam.access_control``). It is not used: it refuses the
key ``test``, with which the sandbox's own control plane looks at roles; it leaves out the reason that AWS gives; its
evaluator is the one that ``policy`` tells of. Signatures are not checked, and resources' own policies play no part.
"""

from __future__ import annotations

from collections.abc import Sequence

from gridbyoc.sandbox.aws_extra.actions import action_of, needs_of
from gridbyoc.sandbox.aws_extra.answer import AwsError
from gridbyoc.sandbox.aws_extra.call import Call
from gridbyoc.sandbox.aws_extra.context import context_of
from gridbyoc.sandbox.aws_extra.decision import decide, refusal
from gridbyoc.sandbox.aws_extra.policy import ALLOWED, Request
from gridbyoc.sandbox.aws_extra.principals import Principal

_ALWAYS = {"sts:GetCallerIdentity"}
_UNSIGNED = {"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"}
_JSON = {"json": 400, "rest-json": 403}
"""The protocols whose error codes end in Exception, with the status of a refusal."""


def authorize(call: Call, principal: Principal | None, denied_by_scp: Sequence[str]) -> None:
    """Raise ``AwsError`` unless the principal (``None``: the key is nobody's) may do it."""
    if not call.access_key:
        if call.operation not in _UNSIGNED:
            raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        return
    if principal is None:
        raise _unknown_key(call)
    if principal.powers.administrator or action_of(call) in _ALWAYS:
        return
    context = context_of(call, principal.context)
    for action, resource in needs_of(call, principal.account_id):
        decision = decide(principal.powers, Request(action, resource, context), denied_by_scp)
        if decision.decision != ALLOWED:
            raise _denied(call, refusal(decision, principal.arn, action, _resource_words(call, resource)))


def _denied(call: Call, said: str) -> AwsError:
    if call.protocol == "ec2":
        return AwsError("UnauthorizedOperation", f"You are not authorized to perform this operation. {said}", 403)
    if call.protocol in _JSON:
        return AwsError("AccessDeniedException", said, _JSON[call.protocol])
    return AwsError("AccessDenied", said, 403)


def _unknown_key(call: Call) -> AwsError:
    if call.protocol == "ec2":
        return AwsError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    if call.service == "s3":
        said = "The AWS Access Key Id you provided does not exist in our records."
        return AwsError("InvalidAccessKeyId", said, 403)
    code = "UnrecognizedClientException" if call.protocol in _JSON else "InvalidClientTokenId"
    return AwsError(code, "The security token included in the request is invalid.", _JSON.get(call.protocol, 403))


def _resource_words(call: Call, resource: str) -> str:
    """IAM names its own by kind and name; EC2 and S3 name nothing where they mean everything."""
    if call.service == "iam" and ":iam::" in resource:
        kind, _, path = resource.split(":", 5)[5].partition("/")
        return f"{kind} {path.rpartition('/')[2]}"
    return "" if resource == "*" and call.service in {"ec2", "s3"} else resource
