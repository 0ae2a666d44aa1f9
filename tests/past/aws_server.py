"""The sandbox's local AWS with what stood in the account when the old stacks were made, under the same ids.

IAM and S3 give an id to what is made, so that nobody can ask for one: they are put into moto before it serves.
Run as ``python -m tests.past.aws_server`` in the place of ``gridbyoc.sandbox.aws_server``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gridbyoc.sandbox.aws_server import main, settle_moto
from gridbyoc.sandbox.settings import AWS_ACCOUNT_ID
from tests.past import DATA


def fill_moto(found: Mapping[str, Any]) -> None:
    """Make what ``aws.json`` says (``tests.past.build`` writes it)."""
    from moto.iam.models import iam_backends
    from moto.s3.models import s3_backends

    iam = iam_backends[AWS_ACCOUNT_ID]["aws"]
    for policy in found["policies"]:
        _add_policy(iam, policy)
    for role in found["roles"]:
        _add_role(iam, role)
    _add_bucket(s3_backends[AWS_ACCOUNT_ID]["aws"], found["bucket"])


def _add_policy(iam: Any, policy: Mapping[str, Any]) -> None:
    document = json.dumps(policy["document"])
    made = iam.create_policy(policy["description"], policy["path"], document, policy["name"], policy["tags"])
    made.id = policy["id"]
    made.create_date = made.update_date = _when(policy["created"])


def _add_role(iam: Any, role: Mapping[str, Any]) -> None:
    made = iam.create_role(
        role["name"], json.dumps(role["trust"]), role["path"], role["boundary"], role["description"], role["tags"],
        str(role["max_session"]),
    )  # fmt: skip
    iam.roles[role["id"]] = iam.roles.pop(made.id)
    made.id = role["id"]
    made.create_date = _when(role["created"])
    for arn in role["attached"]:
        iam.attach_role_policy(arn, role["name"])


def _add_bucket(s3: Any, bucket: Mapping[str, Any]) -> None:
    s3.create_bucket(bucket["name"], "us-east-1")
    s3.put_bucket_versioning(bucket["name"], "Enabled")
    for each in bucket["objects"]:
        made = s3.put_object(bucket["name"], each["key"], each["body"].encode(), encryption="AES256")
        made._version_id = each["version"]


def _when(text: str) -> datetime:
    """moto keeps times without a zone, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=None)


if __name__ == "__main__":
    settle_moto()
    fill_moto(json.loads((DATA / "aws.json").read_text()))
    main()
