"""What the account may have and has: Auto Scaling's DescribeAccountLimits, IAM's GetAccountSummary.

Shape: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAccountLimits.html and
https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html (botocore ``autoscaling``, ``iam``).
moto has no DescribeAccountLimits. Its summary is taken, with the quotas that the sandbox was given put in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbyoc.sandbox.aws_extra.caller import Caller
from gridbyoc.sandbox.aws_extra.quota_book import QuotaBook
from gridbyoc.stack.service_quotas import home_region, quota_by_code

_IN_SUMMARY = {
    "RolesQuota": "L-FE177D64",
    "PoliciesQuota": "L-E95E4862",
    "AttachedPoliciesPerRoleQuota": "L-0DA4ABF3",
}


class AccountLimits:
    """The two operations, over the account's book of quotas."""

    def __init__(self, book: QuotaBook) -> None:
        self._book = book

    def describe_account_limits(self, caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
        """Auto Scaling groups and launch configurations: how many there may be, and how many there are."""
        from moto.autoscaling.models import autoscaling_backends

        backend = autoscaling_backends[caller.account_id][caller.region]
        return {
            "MaxNumberOfAutoScalingGroups": self._value("L-CDE20ADC", caller, caller.region),
            "MaxNumberOfLaunchConfigurations": self._value("L-6B80B8FA", caller, caller.region),
            "NumberOfAutoScalingGroups": len(backend.autoscaling_groups),
            "NumberOfLaunchConfigurations": len(backend.launch_configurations),
        }

    def get_account_summary(self, caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
        """moto's, with our quotas."""
        from moto.iam.models import iam_backends
        from moto.utilities.utils import get_partition

        summary = iam_backends[caller.account_id][get_partition(caller.region)].get_account_summary().summary_map
        home = home_region(caller.region)
        quotas = {name: self._value(code, caller, home) for name, code in _IN_SUMMARY.items()}
        return {"SummaryMap": {**summary, **quotas}}

    def _value(self, code: str, caller: Caller, region: str) -> int:
        return int(self._book.value(quota_by_code(code), caller.account_id, region))
