"""What the control plane needs the role for: an action or two of each policy that its guide attaches."""

from __future__ import annotations

from dataclasses import dataclass

from gridbyoc.aws.policy import Request, ask, principal
from gridbyoc.steps.verify_model import Subject

OWN = "the role's own policy"


@dataclass(frozen=True, slots=True)
class Need:
    """An action, the policy that is there for it, and an example of the resource: what follows ``arn:PARTITION:``.

    ``{region}`` and ``{account}`` are put in; ``*`` alone is for actions that know no resource. ``context`` is what the
    request carries besides.
    """

    action: str
    policy: str
    resource: str = "*"
    context: tuple[tuple[str, str], ...] = ()


_HERE = "{region}:{account}"
NEEDS = (
    Need("eks:CreateCluster", OWN, f"eks:{_HERE}:cluster/gridbyoc-probe"),
    Need("eks:DeleteCluster", OWN, f"eks:{_HERE}:cluster/gridbyoc-probe"),
    Need("ecr:CreateRepository", OWN, f"ecr:{_HERE}:repository/gridbyoc-probe"),
    Need("ecr:GetAuthorizationToken", OWN),
    Need("events:PutRule", OWN, f"events:{_HERE}:rule/gridbyoc-probe"),
    Need("ec2:RunInstances", "AmazonEC2FullAccess", f"ec2:{_HERE}:instance/i-0123456789abcdef0"),
    Need("ec2:CreateLaunchTemplate", "AmazonEC2FullAccess", f"ec2:{_HERE}:launch-template/lt-0123456789abcdef0"),
    Need(
        "autoscaling:CreateAutoScalingGroup",
        "AmazonEC2FullAccess",
        f"autoscaling:{_HERE}:autoScalingGroup:01234567-89ab-cdef-0123-456789abcdef:autoScalingGroupName/gridbyoc-probe",
    ),
    Need(
        "elasticloadbalancing:CreateLoadBalancer",
        "AmazonEC2FullAccess",
        f"elasticloadbalancing:{_HERE}:loadbalancer/net/gridbyoc-probe/0123456789abcdef",
    ),
    Need("ec2:CreateVpc", "AmazonVPCFullAccess", f"ec2:{_HERE}:vpc/vpc-0123456789abcdef0"),
    Need("ec2:CreateNatGateway", "AmazonVPCFullAccess", f"ec2:{_HERE}:natgateway/nat-0123456789abcdef0"),
    Need("s3:CreateBucket", "AmazonS3FullAccess", "s3:::gridbyoc-probe"),
    Need("s3:PutObject", "AmazonS3FullAccess", "s3:::gridbyoc-probe/object"),
    Need("iam:CreateRole", "IAMFullAccess", "iam::{account}:role/gridbyoc-probe"),
    Need("iam:AttachRolePolicy", "IAMFullAccess", "iam::{account}:role/gridbyoc-probe"),
    Need(
        "iam:PassRole",
        "IAMFullAccess",
        "iam::{account}:role/gridbyoc-probe",
        (("iam:PassedToService", "eks.amazonaws.com"),),
    ),
    Need(
        "iam:CreateOpenIDConnectProvider",
        "IAMFullAccess",
        "iam::{account}:oidc-provider/oidc.eks.{region}.amazonaws.com/id/0123456789ABCDEF",
    ),
    Need("sqs:CreateQueue", "AmazonSQSFullAccess", f"sqs:{_HERE}:gridbyoc-probe"),
    Need("sns:CreateTopic", "AmazonSNSFullAccess", f"sns:{_HERE}:gridbyoc-probe"),
    Need("logs:CreateLogGroup", "CloudWatchLogsFullAccess", f"logs:{_HERE}:log-group:gridbyoc-probe"),
    Need("guardduty:CreateDetector", "AmazonGuardDutyFullAccess_v2", f"guardduty:{_HERE}:detector/0123456789abcdef"),
    Need(
        "route53resolver:CreateResolverEndpoint",
        "AmazonRoute53ResolverFullAccess",
        f"route53resolver:{_HERE}:resolver-endpoint/rslvr-in-0123456789abcdef0",
    ),
)


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
