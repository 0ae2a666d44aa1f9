"""EC2 instance types: their form, and which of them run on Arm."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gridbyoc.stack.botocore_data import known_types
from gridbyoc.stack.findings import Fault
from gridbyoc.stack.words import nearest, show

_FORM = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_SIZES = ("nano", "micro", "small", "medium", "large", "xlarge", "metal")
_SIZE = re.compile(r"nano|micro|small|medium|large|[0-9]{0,3}xlarge|metal(-[0-9]{1,3}xl)?")
# Graviton families carry a g right after the generation (m6g, c7gn, x2gd, im4gn); a1 came before that rule.
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
# Grace CPUs (p6e-gb200) and Apple silicon (mac2, mac-m4) are Arm as well.
_ARM = re.compile(r"a1|[a-z]+[0-9]+g[a-z-]*|[a-z0-9]+-g[bh][0-9]+|mac(?!1$)[a-z0-9-]*")
_SIBLINGS = {
    "a1": ("m6i", "m5"),
    "t4g": ("t3",),
    "g5g": ("g5", "g4dn"),
    "x2gd": ("x2iedn", "x2idn"),
    "im4gn": ("i4i",),
    "is4gen": ("i4i", "d3en"),
}
_ORDER = {size: rank for rank, size in enumerate(_SIZES)}


def is_arm(instance_type: str) -> bool:
    """Whether the type's family runs on Arm (``t4g.medium``, ``c7gn.large``), by the rules of AWS's names."""
    return bool(_ARM.fullmatch(instance_type.partition(".")[0]))


def instance_type_fault(name: str) -> Fault | None:
    """Not of the form ``family.size``, or an Arm type: the control planes run amd64 images only."""
    if not _FORM.fullmatch(name):
        return _malformed(name)
    family, _, size = name.partition(".")
    if is_arm(name):
        sibling = amd64_sibling(name)
        advice = f"the nearest amd64 type is `{sibling}`" if sibling else "choose a type of an Intel or AMD family"
        return Fault(f"`{name}` is an Arm type: clusters run amd64 only", advice)
    if not _SIZE.fullmatch(size):
        close = nearest(size, [*_SIZES, *(f"{count}xlarge" for count in (2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 48))])
        hint = f"did you mean `{family}.{close}`?" if close else "sizes are `medium`, `xlarge`, `8xlarge`, `metal`, …"
        return Fault(f"`{name}` has no size that EC2 knows", hint)
    return None


def _malformed(name: str) -> Fault:
    better = name.strip().lower()
    if _FORM.fullmatch(better):
        return Fault(f"{show(name)} is not an instance type", f"write `{better}`")
    close = nearest(name, known_types())
    hint = f"did you mean `{close}`?" if close else "it is written family.size, such as `t2.medium`"
    return Fault(f"{show(name)} is not an instance type", hint)


def amd64_sibling(name: str) -> str | None:
    """The amd64 type nearest to an Arm one (``t4g.medium`` → ``t3.medium``); ``None`` where none is near."""
    family, _, size = name.partition(".")
    known = known_types()
    for candidate in _sibling_families(family):
        if f"{candidate}.{size}" in known:
            return f"{candidate}.{size}"
        larger = [other for other in known if other.startswith(f"{candidate}.") and _rank(other) > _rank(name)]
        if larger:
            return min(larger, key=_rank)
    return None


def _sibling_families(family: str) -> Iterator[str]:
    """``m6gd`` → m6id, m6i, m6a, then the generations before and after."""
    yield from _SIBLINGS.get(family, ())
    match = re.fullmatch(r"([a-z]+)([0-9]+)g([a-z]*)", family)
    if match:
        letters, generation, rest = match[1], int(match[2]), match[3]
        for number in (generation, generation - 1, generation + 1):
            yield from dict.fromkeys((f"{letters}{number}i{rest}", f"{letters}{number}i", f"{letters}{number}a"))


def _rank(name: str) -> tuple[int, int]:
    """An order of sizes: nano < … < xlarge < 2xlarge < … < metal."""
    size = name.partition(".")[2]
    count = re.match(r"[0-9]+", size)
    word = "xlarge" if count else size.partition("-")[0]
    return _ORDER.get(word, len(_SIZES)), int(count[0]) if count else 1
