"""Where Terraform's state is kept: the rules of S3."""

from __future__ import annotations

import re
from collections.abc import Callable

from gridbyoc.stack.arns import parse_arn
from gridbyoc.stack.findings import Fault, Findings
from gridbyoc.stack.regions import region_fault
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.words import Place, show

_S3: Place = ("terraform", "backend", "s3")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BUCKET_RULE = "3 to 63 of a-z, 0-9, `.` and `-`, beginning and ending with a letter or digit"
_KEPT_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_KEPT_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def bucket_fault(name: str) -> Fault | None:
    """The naming rules of general purpose buckets."""
    if name.startswith("s3://"):
        return Fault(f"{show(name)} is an address, not a bucket", "the bucket's name stands alone, `key` is apart")
    if not _BUCKET.fullmatch(name):
        return Fault(f"{show(name)} is not a bucket's name", f"allowed: {_BUCKET_RULE}")
    if ".." in name or re.fullmatch(r"[0-9]+(\.[0-9]+){3}", name):
        return Fault(f"{show(name)} is not a bucket's name", "no two dots in a row, and no IP address")
    if name.startswith(_KEPT_STARTS) or name.endswith(_KEPT_ENDS):
        return Fault(f"{show(name)} begins or ends with what AWS keeps for itself")
    return None


def key_fault(key: str) -> Fault | None:
    """1 to 1024 bytes, no ``/`` at either end (Terraform refuses those)."""
    if not key.strip():
        return Fault("is empty", "such as `gridbyoc/ml-prod.tfstate`")
    if len(key.encode("utf-8", "surrogatepass")) > 1024:
        return Fault("is longer than the 1024 bytes that S3 allows")
    if key.startswith("/") or key.endswith("/"):
        return Fault(f"{show(key)} begins or ends with `/`", f"write {show(key.strip('/'))}" if key.strip("/") else "")
    return None if key.isprintable() else Fault(f"{show(key)} holds characters that cannot be printed")


_KEY_ID = "[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}"
_ALIAS = "alias/[A-Za-z0-9/_-]+"
"""Just what Terraform's S3 backend takes (``validateKMSKey``):
https://github.com/hashicorp/terraform/blob/main/internal/backend/remote-state/s3/validate.go
"""
_KEY_FORM = (
    "Terraform takes a key's id as a UUID in lower case (third group from 1 to 5, fourth from 8 to b), as "
    "mrk- and 32 digits, or an alias as alias/NAME; `aws kms list-keys` shows them"
)


def kms_key_fault(text: str, context: Context) -> Fault | None:
    """The ARN of a key or of an alias, or a key's id."""
    arn = parse_arn(text)
    if arn:
        named = arn.service == "kms" and re.fullmatch(f"key/({_KEY_ID})|{_ALIAS}", arn.resource)
        return None if named else Fault(f"{show(text)} is not the ARN of a KMS key", _KEY_FORM)
    if re.fullmatch(f"{_KEY_ID}|{_ALIAS}", text):
        return None
    form = f"give a key's ARN, such as `arn:{context.partition or 'aws'}:kms:us-west-2:123456789012:key/…`; {_KEY_FORM}"
    return Fault(f"{show(text)} is not a KMS key", form)


def check_backend(findings: Findings, context: Context) -> None:
    """Bucket, key, region, KMS key, DynamoDB table."""
    text = findings.document.text
    rules: dict[str, Callable[[str], Fault | None]] = {
        "bucket": bucket_fault,
        "key": key_fault,
        "region": region_fault,
        "kms_key_id": lambda value: kms_key_fault(value, context),
    }
    for name, rule in rules.items():
        value = text(*_S3, name)
        if value is not None:
            findings.fault((*_S3, name), rule(value))
    table = text(*_S3, "dynamodb_table")
    if table is not None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", table):
            findings.problem((*_S3, "dynamodb_table"), f"{show(table)} is not a table's name")
        advice = "from Terraform 1.10 on the lock is kept in S3 itself: remove the key"
        findings.warning((*_S3, "dynamodb_table"), "locking with DynamoDB is deprecated by Terraform", advice)
    if findings.document.at(*_S3, "encrypt") is False:
        findings.warning((*_S3, "encrypt"), "the state holds the external id and would be stored unencrypted")
