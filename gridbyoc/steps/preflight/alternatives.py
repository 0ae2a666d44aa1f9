"""The instance type that is nearest to one that cannot be had: GPUs first, then family group, vCPUs and memory."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping

from gridbyoc.aws.offerings import TypeFacts
from gridbyoc.errors import GridbyocError
from gridbyoc.stack.instance_types import amd64_sibling, instance_type_fault, is_arm
from gridbyoc.stack.service_quotas import family_group

CLOSEST = 40
"""How many types are looked at closely, of those whose names promise the most."""

_FAMILY = re.compile(r"([a-z]+)-?([0-9]*)([a-z0-9-]*)")
_SMALL = {"nano": 0.5, "micro": 1, "small": 2, "medium": 4, "large": 8}
_GIB_PER_VCPU = {"c": 2, "r": 8, "x": 16, "i": 8, "z": 8, "u": 16, "p": 8}
_GPUS = {
    "g2.2xlarge": 1,
    "g2.8xlarge": 4,
    "g3s.xlarge": 1,
    "g3.4xlarge": 1,
    "g3.8xlarge": 2,
    "g3.16xlarge": 4,
    "p2.xlarge": 1,
    "p2.8xlarge": 8,
    "p2.16xlarge": 16,
    "p3.2xlarge": 1,
    "p3.8xlarge": 4,
    "p3.16xlarge": 8,
}
"""GPUs of types that AWS is retiring or has retired, which EC2 no longer describes
(https://docs.aws.amazon.com/ec2/latest/instancetypes/pg.html)."""

Distance = tuple[bool, float, bool, bool, float, float, bool, bool, int, int, str]


def nearest_type(wanted: TypeFacts, candidates: Collection[TypeFacts]) -> str | None:
    """The candidate that is most like ``wanted``; the same one for the same candidates, in whatever order."""
    others = [each for each in candidates if each.name != wanted.name]
    return min(others, key=lambda each: _distance(wanted, each)).name if others else None


def likely_facts(name: str) -> TypeFacts:
    """What a type would be by the rules of AWS's names: an ``8xlarge`` has 32 vCPUs, an ``r`` 8 GiB for each."""
    letters, _, rest = _parts(name)
    size = name.partition(".")[2]
    many = re.match(r"[0-9]+", size)
    vcpus = 96 if size.startswith("metal") else 4 * int(many[0] if many else 1) if size.endswith("xlarge") else 2
    memory = _SMALL.get(size, vcpus * _GIB_PER_VCPU.get(letters[:1], 4))
    gpus = _GPUS.get(name, _likely_gpus(letters, vcpus))
    maker = ("AMD" if rest.startswith("ad") else "NVIDIA") if gpus else ""
    return TypeFacts(name, vcpus, int(memory * 1024), gpus, maker)


def _likely_gpus(letters: str, vcpus: int) -> int:
    if letters == "p":
        return 8 if vcpus >= 96 else 1
    return (8 if vcpus >= 192 else 4 if vcpus in (48, 96) else 1) if letters in ("g", "gr") else 0


def _distance(wanted: TypeFacts, other: TypeFacts) -> Distance:
    letters, generation, rest = _parts(wanted.name)
    others_letters, others_generation, others_rest = _parts(other.name)
    return (
        bool(wanted.gpus) != bool(other.gpus),
        _apart(wanted.gpus, other.gpus),
        (family_group(wanted.name) or "Standard") != family_group(other.name),
        letters != others_letters,
        _apart(wanted.vcpus, other.vcpus),
        _apart(wanted.memory, other.memory),
        wanted.gpu_maker != other.gpu_maker,
        not other.current,
        abs(generation - others_generation),
        len(set(rest) ^ set(others_rest)),
        other.name,
    )


def _apart(one: int, other: int) -> float:
    """How many doublings lie between two sizes."""
    return round(abs(math.log2(max(one, 1)) - math.log2(max(other, 1))), 2)


def _parts(name: str) -> tuple[str, int, str]:
    """``g4dn.xlarge`` → ``g``, 4, ``dn``."""
    found = _FAMILY.match(name.partition(".")[0])
    return (found[1], int(found[2] or 0), found[3]) if found else (name, 0, "")


class Alternatives:
    """What a place offers, asked for when the first alternative is needed.

    ``offered`` gives every type there, ``describe`` what some of them are; both may raise ``GridbyocError``.
    """

    def __init__(
        self, offered: Callable[[], Collection[str]], describe: Callable[[Collection[str]], Mapping[str, TypeFacts]]
    ) -> None:
        self._offered = offered
        self._describe = describe

    def to(self, name: str, facts: TypeFacts | None = None, *, current: bool = False) -> str | None:
        """The type to take in the place of ``name``; ``None`` where there is none, or it cannot be told.

        ``facts`` is what EC2 says of ``name``, where it does; ``current``: of the current generation only.
        """
        sibling = amd64_sibling(name) if is_arm(name) else None
        try:
            offered = self._offered()
            if sibling in offered:
                return sibling
            wanted = facts or likely_facts(sibling or name)
            fit = [each for each in offered if not instance_type_fault(each)]
            close = sorted(fit, key=lambda each: _distance(wanted, likely_facts(each)))[:CLOSEST]
            known = [each for each in self._describe(close).values() if "x86_64" in each.architectures]
            return nearest_type(wanted, [each for each in known if each.current or not current])
        except GridbyocError:
            return sibling
