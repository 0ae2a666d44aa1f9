"""Check the clusters' instance types: they exist, run amd64, and are offered in the region and its zone a."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gridbyoc.aws.offerings import TypeFacts, offered_types, type_facts, zone_names
from gridbyoc.errors import SAFE_NOTHING_DONE, AwsError, GridbyocError
from gridbyoc.operations.finding import Finding, FindingKind, Verdict
from gridbyoc.operations.preflight.examine import guarded
from gridbyoc.operations.preflight.model import Check, PreflightContext, Shared
from gridbyoc.stack.document import Fault
from gridbyoc.stack.model import InstanceType
from gridbyoc.stack.regions import known_types
from gridbyoc.stack.service_quotas import amd64_sibling, family_group, instance_type_fault, is_arm
from gridbyoc.stack.words import Place, place_text
from gridbyoc.vendors import facts_of

CLOSEST = 40
"""How many types are described in detail: those whose names suggest the closest match."""

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
    """The candidate most similar to ``wanted``. Deterministic, whatever the order of the candidates."""
    others = [each for each in candidates if each.name != wanted.name]
    return min(others, key=lambda each: _distance(wanted, each)).name if others else None


def likely_facts(name: str) -> TypeFacts:
    """The facts of a type, guessed from its name: an ``8xlarge`` has 32 vCPUs, an ``r`` 8 GiB for each."""
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
    """The difference of two sizes, in doublings."""
    return round(abs(math.log2(max(one, 1)) - math.log2(max(other, 1))), 2)


def _parts(name: str) -> tuple[str, int, str]:
    """Letters, generation and rest of the family: ``g4dn.xlarge`` becomes ``g``, 4, ``dn``."""
    found = _FAMILY.match(name.partition(".")[0])
    return (found[1], int(found[2] or 0), found[3]) if found else (name, 0, "")


class Alternatives:
    """The types that a place offers, fetched when the first alternative is needed.

    ``offered`` returns every type there, ``describe`` the facts of some; both may raise ``GridbyocError``.
    """

    def __init__(
        self, offered: Callable[[], Collection[str]], describe: Callable[[Collection[str]], Mapping[str, TypeFacts]]
    ) -> None:
        self._offered = offered
        self._describe = describe

    def to(self, name: str, facts: TypeFacts | None = None, *, current: bool = False) -> str | None:
        """The best replacement for ``name``; ``None`` if there is none, or it is unknown.

        ``facts`` is EC2's description of ``name``, if available; ``current``: of the current generation only.
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


GROUP = "offerings"
EXISTS = FindingKind(
    "GBY-O001",
    GROUP,
    "instance types exist",
    "Each instance type of the stack exists in EC2. Fails for a name that no region offers and no list of AWS "
    "contains.",
    "https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-types.html",
)
AMD64 = FindingKind(
    "GBY-O002",
    GROUP,
    "instance types are amd64",
    "Each instance type runs x86_64 images, by its name and by EC2's description. Fails for an Arm type.",
    "https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html",
)
REGION = FindingKind(
    "GBY-O003",
    GROUP,
    "instance types in the region",
    "The region offers each instance type. Fails if it does not; warns if the control plane's own list, "
    "which a cluster without instance types gets, has types that it does not offer.",
    "https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-regions.html",
)
ZONE = FindingKind(
    "GBY-O004",
    GROUP,
    "instance types in zone a",
    "The region's zone a, where Grid places its work, offers each instance type. Fails if it does not, and "
    "warns if the account has no such zone, and for Lightning, whose zones are unknown.",
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-regions-availability-zones.html",
)
CURRENT = FindingKind(
    "GBY-O005",
    GROUP,
    "instance types are current",
    "Each instance type is of the current generation. Warns for an earlier generation, which AWS will retire.",
    "https://aws.amazon.com/ec2/previous-generation/",
)
LISTED = "ec2:DescribeInstanceTypeOfferings"
DESCRIBED = "ec2:DescribeInstanceTypes"
LOOK = "`aws ec2 describe-instance-type-offerings` lists what is offered."
SOURCES = ((EXISTS, LISTED), (AMD64, DESCRIBED), (REGION, LISTED), (ZONE, LISTED), (CURRENT, DESCRIBED))


@dataclass(frozen=True, slots=True)
class Types:
    """The stack's instance types, each with its first place in the file, and the possible replacements."""

    scene: PreflightContext
    places: Mapping[str, Place]
    instead: Alternatives

    @property
    def zone(self) -> str:
        """The zone where the service places its work."""
        return f"{self.scene.region}a"

    def of_what_stands(self, finding: Finding) -> Finding:
        """The finding; a warning if only existing clusters use the type: they need nothing new.

        A cluster whose types the control plane does not show counts as using every type.
        """
        if finding.verdict != "fail" or finding.subject not in self.places:
            return finding
        standing = {cluster.name: cluster.instance_types for cluster in self.scene.listed() or ()}
        named = [spec for spec in self.scene.wanted if _names(spec.instance_types, finding.subject)]
        old = all(_has(standing.get(spec.name), finding.subject) for spec in named)
        return replace(finding, verdict="warn") if old else finding

    def finding(
        self,
        kind: FindingKind,
        verdict: Verdict,
        name: str,
        said: str,
        *,
        needed: str,
        other: str | None,
        source: str = "",
    ) -> Finding:
        """A finding about one type: its place, the problem, and the replacement."""
        place = self.places[name]
        file, line = self.scene.where(place)
        short = Path(file).name
        where = ", ".join(part for part in (f"{short}:{line}" if line else short, place_text(place)) if part)
        fix = f"Use {other}, the most similar available type." if other else f"Choose another type. {LOOK}"
        facts = {"path": place_text(place), "file": file or None, "line": line, "alternative": other}
        return Finding(kind, verdict, f"{said} ({where})", needed, fix, source, subject=name, facts=facts, at=place)


def _has(standing: Sequence[InstanceType] | None, name: str) -> bool:
    return standing is not None and (not standing or _names(standing, name))


def _names(types: Sequence[InstanceType], name: str) -> bool:
    return any(item.name == name for item in types)


def _look(scene: PreflightContext) -> Iterator[Finding]:
    types = Types(scene, _places(scene), _alternatives(scene))
    told: set[str] = set()
    bad: set[str] = set()
    for finding in map(types.of_what_stands, _trouble(types)):
        told.add(finding.code)
        bad |= {finding.subject} if finding.verdict == "fail" else set()
        yield finding
    if fine := ", ".join(name for name in types.places if name not in bad):
        yield from (Finding(kind, "pass", fine, source=source) for kind, source in SOURCES if kind.code not in told)


def _trouble(types: Types) -> Iterator[Finding]:
    """The problems; those that need no AWS call come first."""
    faults = {name: fault for name in types.places if (fault := instance_type_fault(name))}
    yield from (_unfit(types, name, fault) for name, fault in faults.items())
    asked = [name for name in types.places if name not in faults]
    if any(not spec.instance_types for spec in types.scene.wanted):
        yield from _default_types(types.scene)
    if not asked:
        return
    offered = offered_types(types.scene.session(), asked)
    if not offered:
        _anything_at_all(types.scene)
    yield from (_missing(types, name) for name in asked if name not in offered)
    if there := [name for name in asked if name in offered]:
        yield from guarded((ZONE,), _zone_trouble(types, there))
        yield from guarded((AMD64, CURRENT), _kind_trouble(types, there))


def _places(scene: PreflightContext) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for number, spec in scene.numbered:
        for index, item in enumerate(spec.instance_types):
            found.setdefault(item.name, ("clusters", number, "instance_types", index))
    return found


def _alternatives(scene: PreflightContext) -> Alternatives:
    def everything() -> frozenset[str]:
        session = scene.session()
        return offered_types(session, zone=f"{scene.region}a") or offered_types(session)

    return Alternatives(Shared(everything), lambda names: type_facts(scene.session(), names))


def _anything_at_all(scene: PreflightContext) -> None:
    """Raise ``AwsError`` if EC2 lists no types at all: such an endpoint proves nothing about ours."""
    if not offered_types(scene.session()):
        what = f"EC2 lists no instance type at all for {scene.region}."
        raise AwsError(what, fix="Check the region and AWS_ENDPOINT_URL.", rerun=SAFE_NOTHING_DONE)


def _unfit(types: Types, name: str, fault: Fault) -> Finding:
    if is_arm(name):
        said, other = "an Arm type, but clusters run amd64 only", types.instead.to(name)
        return types.finding(AMD64, "fail", name, said, needed="x86_64", other=other)
    found = types.finding(EXISTS, "fail", name, fault.message, needed="a type of EC2's", other=None)
    if not fault.hint:
        return found
    end = "" if fault.hint.endswith(("?", "…")) else "."
    return replace(found, fix=f"{fault.hint[:1].upper()}{fault.hint[1:]}{end}")


def _missing(types: Types, name: str) -> Finding:
    other = types.instead.to(name)
    if name in known_types():
        said, needed = f"{types.scene.region} does not offer it", f"offered in {types.scene.region}"
        return types.finding(REGION, "fail", name, said, needed=needed, other=other, source=LISTED)
    said = f"there is no such type: {types.scene.region} does not offer it, and no list of AWS contains it"
    return types.finding(EXISTS, "fail", name, said, needed="a type of EC2's", other=other, source=LISTED)


def _zone_trouble(types: Types, there: Sequence[str]) -> Iterator[Finding]:
    session = types.scene.session()
    offered = offered_types(session, there, zone=types.zone)
    if not offered and types.zone not in (zones := zone_names(session)):
        read = f"this account has no zone {types.zone}; it has {', '.join(zones)}"
        fix = "Ask the control plane's support where it places its work in this account, or choose another region."
        yield Finding(ZONE, "warn", read, types.zone, fix, "ec2:DescribeAvailabilityZones", facts={"zones": zones})
        return
    stack = types.scene.stack
    verdict: Verdict = "warn" if stack and facts_of(stack.control_plane.api).zone is None else "fail"
    for name in (each for each in there if each not in offered):
        said, other = f"{types.zone} does not offer it, other zones do", types.instead.to(name)
        needed = f"offered in {types.zone}"
        yield types.finding(ZONE, verdict, name, said, needed=needed, other=other, source=LISTED)


def _kind_trouble(types: Types, there: Sequence[str]) -> Iterator[Finding]:
    for name, each in type_facts(types.scene.session(), there).items():
        if each.architectures and "x86_64" not in each.architectures:
            said, other = f"runs {' and '.join(each.architectures)} only", types.instead.to(name, each)
            yield types.finding(AMD64, "fail", name, said, needed="x86_64", other=other, source=DESCRIBED)
        elif not each.current:
            said, other = "of an earlier generation", types.instead.to(name, each, current=True)
            found = types.finding(CURRENT, "warn", name, said, needed="a current type", other=other, source=DESCRIBED)
            yield replace(found, fix=f"{other} is the most similar current type." if other else LOOK)


def _default_types(scene: PreflightContext) -> Iterator[Finding]:
    """Check the list that the service's client gives a cluster without instance types. Lightning chooses itself."""
    plane = scene.stack.control_plane if scene.stack else None
    defaults = facts_of(plane.type).default_instance_types if plane and plane.type != "manual" else ()
    if not defaults:
        return
    offered = offered_types(scene.session(), defaults)
    if not offered:
        _anything_at_all(scene)
    missing = [name for name in defaults if name not in offered]
    read = f"{len(offered)} of the {len(defaults)} types that a cluster without instance types gets"
    if missing:
        fix = "Name the types that you want under `instance_types`: types that are not offered can never start."
        new = any(not spec.instance_types for spec in scene.new_clusters())
        verdict: Verdict = "fail" if new and not offered else "warn"
        read, facts = f"{read}; not offered: {', '.join(missing)}", {"missing": missing}
        yield Finding(REGION, verdict, read, "all of them", fix, LISTED, subject="the service's list", facts=facts)


CHECKS = (Check((EXISTS, AMD64, REGION, ZONE, CURRENT), _look),)
