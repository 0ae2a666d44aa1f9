"""The drawing of the grants: positions of the boxes for principals, role and policies, and of the lines.

Pure arithmetic on text of 11 pixels, so that the same stack gives the same drawing. There are two drawings: side by
side for a wide screen, one column for a narrow one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gridbyoc.operations.page import Admitted, GrantedPolicy, RoleGrants
from gridbyoc.show.page.tables import cut, shortened

MOST_PRINCIPALS, MOST_POLICIES = 12, 24
"""Further boxes are combined into one that counts them."""

TALL, LOW, GAP, HEAD = 48, 42, 8, 26
COLUMNS = ((0.0, 262.0), (452.0, 190.0), (698.0, 276.0))
"""Left edge and width of each column."""
MONO, SANS = 6.7, 5.5
"""Width in pixels of an average character in text of 11 pixels."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text in a box; ``kind`` is its CSS class, ``y`` its baseline."""

    text: str
    kind: str
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its CSS class, its full name, its lines, a word on the right, and its mark (a verdict)."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str
    lines: tuple[Line, ...]
    tag: str = ""
    mark: str = ""

    @property
    def middle(self) -> float:
        """The vertical middle."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Edge:
    """A line between boxes: an SVG path, and optionally a label with its position."""

    path: str
    kind: str
    label: str = ""
    title: str = ""
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """One SVG. ``name`` makes its ids unique on the page; ``heads`` are headings: text, x, y."""

    name: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    heads: tuple[tuple[str, float, float], ...]


HEADS = ("Who may assume it", "The role", "What it may do")


def wide(granted: RoleGrants) -> Drawing:
    """The drawing in three columns."""
    left, middle, right = COLUMNS
    who, what = _people(granted), _policies(granted)
    heights = (_height(len(who), TALL), _height(len(what), LOW), 0.0 if granted.boundary is None else 312.0, 96.0)
    tallest = max(heights)
    people = list(_column(who, left, TALL, HEAD + (tallest - heights[0]) / 2))
    policies = list(_column(what, right, LOW, HEAD + (tallest - heights[1]) / 2))
    role = _role(granted, middle[0], HEAD + tallest / 2 - 46, middle[1])
    edges = [_into(box, each, role, (n + 1) / (len(people) + 1)) for n, (box, each) in _numbered(people, granted)]
    edges += [_out(role, box) for box in policies]
    limit = _boundary(granted, middle[0], role.y + role.height + 44, middle[1])
    edges += (
        [Edge(f"M{limit[0].x + limit[0].width / 2:g},{limit[0].y:g} V{role.y + role.height + 2:g}", "limit")]
        if limit
        else []
    )
    heads = tuple((text, place[0], 12.0) for text, place in zip(HEADS, (left, middle, right), strict=True))
    return Drawing(
        "wide", right[0] + right[1], HEAD + tallest + 4, (*people, role, *limit, *policies), tuple(edges), heads
    )


def narrow(granted: RoleGrants) -> Drawing:
    """The drawing in one column, 340 pixels wide, with a rail on the left."""
    place, top = (22.0, 318.0), 0.0
    people = list(_column(_people(granted, terms=True), place, TALL + 18, top + HEAD))
    top = _below(people, top + HEAD)
    role = _role(granted, place[0], top + HEAD, place[1])
    limit = _boundary(granted, place[0], role.y + role.height + GAP, place[1])
    below = _below([role, *limit], top)
    policies = list(_column(_policies(granted), place, LOW, below + HEAD))
    edges = [_rail(box.middle, role.middle - 8, box.x, arrow_below=True) for box in people]
    edges += [_rail(role.middle + 8, box.middle, box.x, arrow_below=False) for box in policies]
    heads = ((HEADS[0], 22.0, 14.0), (HEADS[1], 22.0, top + 14), (HEADS[2], 22.0, below + 14))
    height = _below(policies, below + HEAD)
    return Drawing("narrow", 342, height, (*people, role, *limit, *policies), tuple(edges), heads)


@dataclass(frozen=True, slots=True)
class _Content:
    title: str
    first: str
    second: str
    kind: str
    tag: str = ""
    mark: str = ""
    third: str = ""


def _people(granted: RoleGrants, *, terms: bool = False) -> list[_Content]:
    found = [_person(each, terms=terms) for each in granted.admitted[:MOST_PRINCIPALS]]
    more = len(granted.admitted) - len(found)
    return (
        [*found, _Content(f"{more} more", f"and {more} more", "all are in the table below", "rest")] if more else found
    )


def _person(each: Admitted, *, terms: bool) -> _Content:
    mark = "" if each.verdict == "pass" else each.verdict
    title = f"{each.name}: {each.who}, {each.terms}"
    return _Content(title, each.who, each.name, "principal", mark=mark, third=each.terms if terms else "")


def _policies(granted: RoleGrants) -> list[_Content]:
    found = [_policy(each) for each in granted.policies[:MOST_POLICIES]]
    more = len(granted.policies) - len(found)
    return (
        [*found, _Content(f"{more} more", f"and {more} more", "all are in the table below", "rest")] if more else found
    )


def _policy(each: GrantedPolicy) -> _Content:
    mark = "" if each.verdict in ("pass", "unknown") else each.verdict
    title = f"{each.name} ({each.kind}): {each.allows}"
    second = each.remark if mark else each.allows
    tag = "" if each.kind == "managed" else each.kind
    return _Content(title, each.short, second, "policy", tag, mark)


def _column(contents: Sequence[_Content], place: tuple[float, float], height: float, top: float) -> Iterator[Box]:
    for number, each in enumerate(contents):
        yield _box(each, place[0], top + number * (height + GAP), place[1], height)


def _box(each: _Content, x: float, y: float, width: float, height: float) -> Box:
    room = width - 26
    beside = len(each.tag) * SANS + (20 if each.mark else 0)
    first = shortened(each.first, int((room - beside) / (MONO if each.kind == "policy" else 6.4)))
    if each.kind in ("policy", "rest"):
        lines = [Line(first, "name", y + (18 if each.second else 25))]
        lines += [Line(cut(each.second, int(room / SANS)), "note", y + 33)] if each.second else []
    else:
        lines = [Line(first, "who", y + 20), Line(shortened(each.second, int(room / MONO)), "name", y + 37)]
    if each.third:
        lines.append(Line(cut(each.third, int(room / SANS)), "note", y + 54))
    return Box(x, y, width, height, each.kind, each.title, tuple(lines), each.tag, each.mark)


def _role(granted: RoleGrants, x: float, y: float, width: float) -> Box:
    hours = "" if granted.session_hours is None else f"sessions of at most {granted.session_hours:g} h"
    account = granted.role_arn.split(":")[4] if granted.role_arn.count(":") >= 5 else ""
    lines = (
        Line(shortened(granted.role_name, int((width - 28) / 7.6)), "role-name", y + 34),
        Line(f"in account {account}" if account else "as the stack file asks", "note", y + 55),
        Line(hours, "note", y + 72),
    )
    return Box(x, y, width, 92, "role", granted.role_arn or granted.role_name, lines)


def _boundary(granted: RoleGrants, x: float, y: float, width: float) -> tuple[Box, ...]:
    limit = granted.boundary
    if limit is None:
        return ()
    room = int((width - 28) / MONO)
    mark = limit.verdict if limit.verdict in ("warn", "fail") else ""
    lines = (
        Line("Permissions boundary", "who", y + 18),
        Line(shortened(limit.short, room), "name", y + 35),
        Line(cut(limit.allows, int((width - 28) / SANS)), "note", y + 51),
    )
    return (Box(x, y, width, 64, "boundary", f"{limit.name}: {limit.allows}", lines, mark=mark),)


def _numbered(people: Sequence[Box], granted: RoleGrants) -> Iterator[tuple[int, tuple[Box, Admitted]]]:
    return enumerate(zip(people, granted.admitted, strict=False))


def _into(box: Box, each: Admitted, role: Box, share: float) -> Edge:
    """A line to the role's left side, at the fraction ``share`` of its height."""
    start, end, y, goal = box.x + box.width, role.x - 5, box.middle, round(role.y + role.height * share, 1)
    path = f"M{start:g},{y:g} H{end - 46:g} C{end - 14:g},{y:g} {end - 34:g},{goal:g} {end:g},{goal:g}"
    kind = "refused" if each.terms.startswith("refused") else f"admits {each.verdict}"
    return Edge(path, kind, cut(each.terms, 26), each.terms, start + 10, y - 6)


def _out(role: Box, box: Box) -> Edge:
    start, end, y = role.x + role.width, box.x, box.middle
    bend = (start + end) / 2
    return Edge(f"M{start:g},{role.middle:g} C{bend:g},{role.middle:g} {bend:g},{y:g} {end:g},{y:g}", "grants")


def _rail(start: float, end: float, x: float, *, arrow_below: bool) -> Edge:
    """A line from one box's left side to another's along the rail."""
    tip = x - 6 if arrow_below else x
    return Edge(f"M{x:g},{start:g} H8 V{end:g} H{tip:g}", "admits pass" if arrow_below else "grants")


def _height(count: int, each: float) -> float:
    return count * each + max(count - 1, 0) * GAP


def _below(boxes: Sequence[Box], otherwise: float) -> float:
    return max((box.y + box.height for box in boxes), default=otherwise) + GAP
