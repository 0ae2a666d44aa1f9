"""Where a resource has a policy of its own, which may allow what the caller's policies do not.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from dataclasses import replace

from botocore.exceptions import ClientError

from gridbyoc.aws.permissions.simulate import Answer
from gridbyoc.aws.session import AwsSession, domain_errors, error_code

_OWN_POLICY = {
    "dynamodb": "the table's own policy may allow it, which the simulator does not see",
    "kms": "the key's own policy may allow it, which the simulator does not see",
}


def doubted(session: AwsSession, answers: tuple[Answer, ...], region: str) -> tuple[Answer, ...]:
    """The answers, in which a denial that a resource's own policy may lift has become ``unknown``.

    A bucket's policy is looked for (``s3:GetBucketPolicy``); a bucket without one lifts nothing. Raises ``AwsError``
    where S3 cannot be reached.
    """
    implicit = [answer for answer in answers if answer.effect == "denied" and answer.by == "identity"]
    buckets = {_bucket(answer) for answer in implicit if answer.need.action.startswith("s3:")} - {"", "*"}
    reasons = {bucket: _of_bucket(session, bucket, region) for bucket in sorted(buckets)}
    return tuple(_doubt(answer, reasons) if answer in implicit else answer for answer in answers)


def _doubt(answer: Answer, reasons: dict[str, str]) -> Answer:
    service = answer.need.action.split(":", 1)[0]
    reason = reasons.get(_bucket(answer), "") if service == "s3" else _OWN_POLICY.get(service, "")
    return replace(answer, effect="unknown", why=f"{answer.why}; {reason}") if reason else answer


def _bucket(answer: Answer) -> str:
    return answer.need.resource.split(":", 5)[-1].split("/", 1)[0]


def _of_bucket(session: AwsSession, bucket: str, region: str) -> str:
    with domain_errors(f"The policy of the bucket {bucket} could not be read"):
        try:
            session.client("s3", region).get_bucket_policy(Bucket=bucket)
        except ClientError as error:
            none = error_code(error) in {"NoSuchBucketPolicy", "NoSuchBucket"}
            return "" if none else f"the bucket's policy, which may allow it, could not be read ({error_code(error)})"
    return "the bucket's own policy may allow it, which the simulator does not see"
