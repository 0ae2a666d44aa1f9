"""The requests that put a role to the test: what its control plane needs it for (``vendors.needs_of``)."""

from __future__ import annotations

from gridbyoc.aws.policy import Request, ask, principal
from gridbyoc.steps.verify_model import Subject
from gridbyoc.vendors import Need

OWN = "the role's own policy"


def need_request(need: Need, subject: Subject, *, anywhere: bool = False) -> Request:
    """The request as the role would make it in the stack's region; ``anywhere``: on whatever resource is allowed.

    What a policy may look at besides (tags, networks, organisations) is not known here.
    """
    role = subject.role
    resource = need.resource.format(region=subject.region, account=role.account_id)
    context = {
        "aws:RequestedRegion": subject.region,
        "aws:SecureTransport": "true",
        "aws:CurrentTime": subject.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **dict(need.context),
    }
    return ask(
        need.action,
        actor=principal(role.arn),
        resource=None if anywhere else "*" if resource == "*" else f"arn:{role.partition}:{resource}",
        context=context,
        others_unknown=True,
    )
