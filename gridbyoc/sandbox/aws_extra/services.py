"""The names of one service: what requests are signed for, botocore's model, and the prefix of its actions in IAM.

Shape: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

_MODELS = {
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
    "monitoring": "cloudwatch",
    "email": "ses",
    "elasticfilesystem": "efs",
    "states": "stepfunctions",
}
_BY_VERSION = {("elasticloadbalancing", "2012-06-01"): "elb", ("elasticloadbalancing", "2015-12-01"): "elbv2"}
_PREFIXES = {"monitoring": "cloudwatch", "tagging": "tag", "email": "ses"}


def model_name(signed_for: str, version: str = "") -> str:
    """botocore's name of a service; empty where it has none of that name."""
    name = _BY_VERSION.get((signed_for, version)) or _MODELS.get(signed_for, signed_for)
    return name if name in _known() else ""


def iam_prefix(signed_for: str) -> str:
    """What stands before the colon of the service's actions."""
    return _PREFIXES.get(signed_for, signed_for)


@functools.cache
def _known() -> frozenset[str]:
    spec = importlib.util.find_spec("botocore")
    places = (spec.submodule_search_locations if spec else None) or ()
    return frozenset(child.name for place in places for child in (Path(place) / "data").iterdir() if child.is_dir())
