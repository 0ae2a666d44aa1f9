"""Everything that is answered here, put together from the sandbox's settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from gridbyoc.sandbox.aws_extra.account_limits import AccountLimits
from gridbyoc.sandbox.aws_extra.caller import Handler
from gridbyoc.sandbox.aws_extra.instance_types import describe_instance_type_offerings, describe_instance_types
from gridbyoc.sandbox.aws_extra.layer import Extras
from gridbyoc.sandbox.aws_extra.places import describe_availability_zones, describe_regions
from gridbyoc.sandbox.aws_extra.quota_book import QuotaBook, QuotaSettings
from gridbyoc.sandbox.aws_extra.service_quotas import ServiceQuotas
from gridbyoc.sandbox.aws_extra.simulation import Simulator


def make_extras(config: Mapping[str, Any], now: Callable[[], float] = time.time) -> Extras:
    """``config`` is what ``account_config`` made of the settings; ``now`` gives seconds since the epoch."""
    quotas = QuotaSettings(**config.get("quotas", {}))
    book = QuotaBook(quotas, now)
    limits = AccountLimits(book)
    simulator = Simulator(config.get("denied_by_scp", ()))
    services: dict[str, Mapping[str, Handler]] = {
        "servicequotas": ServiceQuotas(book).operations(),
        "iam": {**simulator.operations(), "GetAccountSummary": limits.get_account_summary},
        "autoscaling": {"DescribeAccountLimits": limits.describe_account_limits},
        "ec2": {
            "DescribeRegions": describe_regions,
            "DescribeAvailabilityZones": describe_availability_zones,
            "DescribeInstanceTypes": describe_instance_types,
            "DescribeInstanceTypeOfferings": describe_instance_type_offerings,
        },
    }
    return Extras({(service, name): handler for service, named in services.items() for name, handler in named.items()})
