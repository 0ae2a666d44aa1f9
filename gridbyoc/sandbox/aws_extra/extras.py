"""Everything that is answered here, put together from the sandbox's settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gridbyoc.sandbox.aws_extra.account_limits import AccountLimits
from gridbyoc.sandbox.aws_extra.call_log import CallLog
from gridbyoc.sandbox.aws_extra.caller import Handler
from gridbyoc.sandbox.aws_extra.instance_types import describe_instance_type_offerings, describe_instance_types
from gridbyoc.sandbox.aws_extra.layer import Extras
from gridbyoc.sandbox.aws_extra.places import describe_availability_zones, describe_regions
from gridbyoc.sandbox.aws_extra.quota_book import QuotaBook, QuotaSettings
from gridbyoc.sandbox.aws_extra.service_quotas import ServiceQuotas
from gridbyoc.sandbox.aws_extra.simulation import Simulator
from gridbyoc.sandbox.aws_extra.user_boundary import (
    after_create_user,
    before_create_user,
    delete_user_permissions_boundary,
    put_user_permissions_boundary,
)


def make_extras(config: Mapping[str, Any], now: Callable[[], float] = time.time) -> Extras:
    """``config`` is what the parent made of the sandbox's settings; ``now`` gives seconds since the epoch."""
    denied = tuple(config.get("denied_by_scp", ()))
    log = config.get("aws_log")
    return Extras(
        _operations(QuotaBook(QuotaSettings(**config.get("quotas", {})), now), Simulator(denied)),
        {("iam", "CreateUser"): after_create_user},
        {("iam", "CreateUser"): before_create_user},
        enforce_iam=bool(config.get("enforce_iam")),
        denied_by_scp=denied,
        log=CallLog(Path(log), now) if log else None,
    )


def _operations(book: QuotaBook, simulator: Simulator) -> dict[tuple[str, str], Handler]:
    limits = AccountLimits(book)
    services: dict[str, Mapping[str, Handler]] = {
        "servicequotas": ServiceQuotas(book).operations(),
        "iam": {
            **simulator.operations(),
            "GetAccountSummary": limits.get_account_summary,
            "PutUserPermissionsBoundary": put_user_permissions_boundary,
            "DeleteUserPermissionsBoundary": delete_user_permissions_boundary,
        },
        "autoscaling": {"DescribeAccountLimits": limits.describe_account_limits},
        "ec2": {
            "DescribeRegions": describe_regions,
            "DescribeAvailabilityZones": describe_availability_zones,
            "DescribeInstanceTypes": describe_instance_types,
            "DescribeInstanceTypeOfferings": describe_instance_type_offerings,
        },
    }
    return {(service, name): handler for service, named in services.items() for name, handler in named.items()}
