"""A bucket policy that denies requests without TLS, beside whatever else it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, AwsError
from gridbyoc.stack.files import json_object

SID = "DenyRequestsWithoutTls"


def requires_tls(policy: str | None, bucket: str, partition: str) -> bool:
    """Whether a statement denies everybody everything on the bucket and its objects without TLS."""
    return any(_denies(statement, bucket, partition) for statement in _statements(_document(policy, bucket)))


def policy_with_tls(policy: str | None, bucket: str, partition: str) -> str:
    """``policy`` (``None``: there is none yet) with such a statement put beside the others, which stay as they are."""
    document = _document(policy, bucket)
    statements = _statements(document)
    taken = {statement.get("Sid") for statement in statements}
    sid = next(name for name in (SID, *(f"{SID}{number}" for number in range(2, 1000))) if name not in taken)
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html (enforce encryption in transit)
    ours = {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": list(_resources(bucket, partition)),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", **document, "Statement": [*statements, ours]})


def _resources(bucket: str, partition: str) -> tuple[str, str]:
    arn = f"arn:{partition}:s3:::{bucket}"
    return arn, f"{arn}/*"


def _document(policy: str | None, bucket: str) -> dict[str, Any]:
    found = json_object(policy or "{}")
    if found is None:
        raise AwsError(
            f"The policy of the bucket {bucket} is not a JSON object.",
            fix="Mend or delete it, then run again.",
            rerun=SAFE_NOTHING_DONE,
        )
    return found


def _statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = document.get("Statement", [])
    listed = found if isinstance(found, list) else [found]
    return [statement for statement in listed if isinstance(statement, dict)]


def _denies(statement: Mapping[str, Any], bucket: str, partition: str) -> bool:
    resources = _listed(statement.get("Resource"))
    return (
        statement.get("Effect") == "Deny"
        and statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        and any(action in {"*", "s3:*"} for action in _listed(statement.get("Action")))
        and ("*" in resources or all(arn in resources for arn in _resources(bucket, partition)))
        and _only_without_tls(statement.get("Condition"))
    )


def _only_without_tls(condition: object) -> bool:
    """The condition is that alone: a second one would narrow what is denied."""
    if not isinstance(condition, dict) or len(condition) != 1 or not isinstance(condition.get("Bool"), dict):
        return False
    pairs = {str(key).lower(): _listed(value) for key, value in condition["Bool"].items()}
    return set(pairs) == {"aws:securetransport"} and [str(v).lower() for v in pairs["aws:securetransport"]] == ["false"]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
