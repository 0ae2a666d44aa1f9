"""vCPUs: of instance types, and in use by family group and market."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gridbyoc.aws.offerings import type_facts
from gridbyoc.aws.quotas.counting import pages
from gridbyoc.aws.quotas.limits import reason
from gridbyoc.aws.quotas.model import Use
from gridbyoc.aws.session import AwsSession, domain_errors
from gridbyoc.errors import AwsError
from gridbyoc.stack.service_quotas import ON_DEMAND, SPOT, vcpu_quota

Running = Mapping[tuple[str, str], int]
"""How many instances run of a type in a market."""


@dataclass(frozen=True, slots=True)
class Machines:
    """vCPUs by instance type, and in use by quota code; ``None`` where they could not be read, and why."""

    vcpus: Mapping[str, int] | None
    in_use: Mapping[str, Use] | None
    vcpus_why: str = ""
    in_use_why: str = ""

    def use(self, code: str) -> Use:
        """What is in use of a vCPU quota."""
        return Use(None, why=self.in_use_why) if self.in_use is None else self.in_use.get(code, Use(0))


def read_machines(session: AwsSession, types: Iterable[str]) -> Machines:
    """Ask for the running instances, then once for the vCPUs of their types and of ``types``; raises nothing."""
    why, running = "", None
    try:
        with domain_errors("The running instances could not be read"):
            running = _running(session)
    except AwsError as error:
        why = reason(error)
    wanted = {*types, *(name for name, _ in running or ())}
    try:
        vcpus = {name: facts.vcpus for name, facts in type_facts(session, wanted).items() if facts.vcpus}
    except AwsError as error:
        unread = Use(None, why=reason(error))
        in_use = None if running is None else dict.fromkeys(_codes(running), unread)
        return Machines(None, in_use, reason(error), why)
    return Machines(vcpus, None if running is None else _in_use(running, vcpus), in_use_why=why)


def _running(session: AwsSession) -> Running:
    states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    found = pages(session.client("ec2"), "describe_instances", "Reservations", Filters=states)
    machines = [machine for reservation in found for machine in reservation["Instances"]]
    markets = ((str(machine["InstanceType"]), _market(machine)) for machine in machines)
    return Counter((name, market) for name, market in markets if market)


def _market(machine: Mapping[str, Any]) -> str:
    """Empty where the instance counts in neither: on a dedicated host, or of a Capacity Block.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html#ec2-on-demand-instances-limits
    """
    if dict(machine.get("Placement") or {}).get("Tenancy") == "host":
        return ""
    return {None: ON_DEMAND, "spot": SPOT}.get(machine.get("InstanceLifecycle"), "")


def _codes(running: Running) -> Iterator[str]:
    for name, market in running:
        quota = vcpu_quota(name, market)
        if quota:
            yield quota.code


def _in_use(running: Running, vcpus: Mapping[str, int]) -> dict[str, Use]:
    found: dict[str, Use] = {}
    for (name, market), count in sorted(running.items()):
        quota = vcpu_quota(name, market)
        if quota is None:
            continue
        before = found.get(quota.code, Use(0))
        if name not in vcpus:
            found[quota.code] = Use(None, why=f"EC2 does not say how many vCPUs a running {name} has.")
        elif before.value is not None:
            found[quota.code] = Use(before.value + count * vcpus[name])
    return found
