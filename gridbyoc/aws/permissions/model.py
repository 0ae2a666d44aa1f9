"""One permission that the tool or Terraform needs, and where it is needed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Phase = Literal[
    "state",
    "plan",
    "apply",
    "destroy",
    "preflight",
    "quotas",
    "increase",
    "verify",
    "resume",
    "leftovers",
    "cleanup",
    "bucket",
]

PHASES: dict[Phase, str] = {
    "state": "every run that has its state in S3",
    "plan": "plan, and every other run that refreshes the state",
    "apply": "bootstrap, rotate: what Terraform makes and changes",
    "destroy": "destroy: what Terraform deletes",
    "preflight": "doctor, and the look before a plan or a bootstrap",
    "quotas": "doctor: what the account has room for, and what a region offers",
    "increase": "quotas: asking AWS for more",
    "verify": "verify: the live policies",
    "resume": "bootstrap: what a run left that was cut off, and whether anything has changed",
    "leftovers": "leftovers, destroy: finding what outlived a cluster",
    "cleanup": "leftovers --delete, destroy: deleting it",
    "bucket": "state init: making the bucket of the state",
}
"""Each phase in words, in the order of a stack's life."""

MANDATORY: frozenset[Phase] = frozenset({"state", "plan", "apply", "destroy"})
"""Without these plan, apply or destroy ends in the middle; without the others something is unknown or not done."""

REQUESTED_REGION = "aws:RequestedRegion"

_TERRAFORM_SUFFIX = "20260101000000000000000001"
"""What Terraform puts behind a name prefix: 26 digits."""


@dataclass(frozen=True, slots=True)
class Need:
    """One action on one resource. ``resource`` is an ARN in which ``*`` stands for what is not known before.

    ``purpose`` says what needs it. ``condition`` is a context key and the value that the request carries: a policy can
    be narrowed to it, and a simulation must know it. ``unseen`` says why a plain run may never call it, with the
    source.
    """

    action: str
    resource: str
    purpose: str
    phase: Phase
    condition: tuple[str, str] | None = None
    unseen: str = ""

    @property
    def mandatory(self) -> bool:
        """Whether plan, apply or destroy needs it."""
        return self.phase in MANDATORY

    @property
    def example(self) -> str:
        """A resource as a request would name it: IAM simulates names, not patterns."""
        if self.resource == "*":
            return "*"
        return example_of(self.resource)


def literal(text: str) -> str:
    """``text`` as a policy must write it so that it means itself: no wildcards, no variables.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
    """
    return re.sub(r"[*?]|\$(?=\{)", lambda match: f"${{{match[0]}}}", text)


def example_of(pattern: str) -> str:
    """A pattern's text as a request has it: what ``literal`` wrote is itself again, ``*`` is a generated name."""
    return re.sub(r"\$\{([*?$])\}|\*", lambda match: match[1] or _TERRAFORM_SUFFIX, pattern)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the needs are: the partition (``aws``, ``aws-cn``, ...), the account, the stack's region.

    ``account_id`` ``*`` and ``region`` ``*`` stand for any.
    """

    partition: str = "aws"
    account_id: str = "*"
    region: str = "*"

    def iam(self, resource: str) -> str:
        """The ARN of something in IAM: ``role/platform/x``."""
        return f"arn:{self.partition}:iam::{self.account_id}:{resource}"

    def aws_policy(self, name: str) -> str:
        """The ARN of one of AWS's own managed policies."""
        return f"arn:{self.partition}:iam::aws:policy/{name}"

    def s3(self, resource: str) -> str:
        """The ARN of a bucket, or of an object in it."""
        return f"arn:{self.partition}:s3:::{resource}"

    def regional(self, service: str, resource: str, region: str | None = None) -> str:
        """The ARN of something in a region."""
        return f"arn:{self.partition}:{service}:{region or self.region}:{self.account_id}:{resource}"
