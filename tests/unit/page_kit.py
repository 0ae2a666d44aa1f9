"""What the tests of the page share: a page of given parts, and a strict reader of what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from gridbyoc.aws import Caller
from gridbyoc.aws.live_role import LiveDocument, LiveRole
from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.operations.drift import Drift, DriftFound
from gridbyoc.operations.finding import Finding, FindingKind
from gridbyoc.operations.page import Page, Reading, live_grant, past_runs
from gridbyoc.operations.status import Status
from gridbyoc.operations.verify import Proof, verify
from gridbyoc.operations.verify_model import RoleSubject
from gridbyoc.render import data_dir
from gridbyoc.show.page.html import page_html
from gridbyoc.stack.model import Aws, ClusterSpec, ControlPlane, InstanceType, Role, Stack, TerraformSettings
from gridbyoc.stack.secret import Secret

CANARY = "canary-0123456789abcdef"
HOME = "123456789012"
ROLE = f"arn:aws:iam::{HOME}:role/grid-x"
CONTROL_PLANE = "arn:aws:iam::302180240179:root"
AUDIT = f"arn:aws:iam::{HOME}:role/audit"
NOON = datetime(2026, 11, 2, 12, tzinfo=timezone.utc)
TEMPLATES = data_dir("templates")
STYLES = (TEMPLATES / "report" / "page.css").read_text()
KIND = FindingKind("GBY-X901", "tools", "a check", "Looks.", "https://docs.aws.amazon.com/x")
STACK = Stack(
    "ml",
    Aws("us-east-1", account_id=HOME),
    Role(trusted_principals_without_external_id=(AUDIT,)),
    (ClusterSpec("ml", (InstanceType("m5.large"),), "cost-saving"), ClusterSpec("more")),
    ControlPlane(),
    TerraformSettings(),
    Path("gridbyoc.yaml"),
)
JOURNAL: tuple[dict[str, Any], ...] = (
    {"time": "2026-11-02T11:00:00+00:00", "run": "a", "type": "run_started", "verb": "bootstrap", "version": "1"},
    {"time": "2026-11-02T11:00:01+00:00", "run": "a", "type": "step_started", "step": "init"},
    {"time": "2026-11-02T11:00:01+00:00", "run": "a", "type": "step_started", "step": "preflight"},
    {"time": "2026-11-02T11:00:04+00:00", "run": "a", "type": "step_done", "step": "init", "seconds": 3, "detail": "d"},
    {"time": "2026-11-02T11:00:05+00:00", "run": "a", "type": "step_failed", "step": "preflight", "seconds": 4.0,
     "code": "preflight_blocked"},
    {"time": "2026-11-02T11:00:05+00:00", "run": "a", "type": "run_ended", "verb": "bootstrap",
     "code": "preflight_blocked"},
    {"time": "2026-11-02T11:10:00+00:00", "run": "b", "type": "run_started", "verb": "rotate", "version": "1"},
    {"time": "2026-11-02T11:10:02+00:00", "run": "b", "type": "step_started", "step": "apply"},
)  # fmt: skip


def trust(*principals: str, ids: tuple[str, ...] | None = (CANARY,), effect: str = "Allow", **more: Any) -> Any:
    """A statement of a trust policy."""
    condition = {} if ids is None else {"StringEquals": {"sts:ExternalId": list(ids)}}
    who = {"AWS": list(principals)}
    return {"Effect": effect, "Principal": who, "Action": "sts:AssumeRole", "Condition": condition, **more}


def document(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def live_role(*statements: Any, policies: tuple[LiveDocument, ...] | None = None, **fields: Any) -> LiveRole:
    """A role with these statements in its trust policy."""
    everything = document({"Effect": "Allow", "Action": ["ec2:*", "s3:*"], "Resource": "*"})
    own = LiveDocument("attached", f"arn:aws:iam::{HOME}:policy/grid-x", everything, "v1")
    found = statements or (trust(CONTROL_PLANE), trust(AUDIT, ids=None))
    made = LiveRole(ROLE, LiveDocument("trust", "trust", document(*found)), policies or (own,), None, 43200)
    return replace(made, **fields)


def subject_of(role: LiveRole, stack: Stack = STACK) -> RoleSubject:
    return RoleSubject(role, Secret(CANARY), stack.role, stack.aws.region, NOON)


def a_page(role: LiveRole | None = None, *, secrets: tuple[str, ...] = (CANARY,), **fields: Any) -> Page:
    """A page of which every part could be read, a warning in most."""
    found = role or live_role()
    findings = verify(RoleSubject(found, Secret(CANARY), STACK.role, "us-east-1", NOON))
    proof = Proof("ml", found, Caller(HOME, AUDIT), "302180240179", Secret(CANARY), findings, NOON)
    clusters = (Cluster("id-1", "ml", Phase.RUNNING, role_arn=ROLE, created_at=NOON),)
    page = Page(
        stack=STACK,
        made=NOON,
        version="1.0",
        granted=live_grant(subject_of(found)),
        status=Reading(Status(None, None, ROLE, "admitted", clusters, {}, False, "Nothing: the stack is up.")),
        proof=Reading(proof),
        drift=Reading(DriftFound([Drift("role", ROLE, "differs")])),
        findings=Reading((Finding(KIND, "warn", "read", "needed", "Do `this`."), Finding(KIND, "pass", "fine"))),
        history=past_runs(JOURNAL),
        secrets=tuple(map(Secret, secrets)),
    )
    return replace(page, **fields)


def html(page: Page) -> str:
    return page_html(page, TEMPLATES)


@dataclass
class Element:
    """One start tag."""

    tag: str
    attributes: dict[str, str]


VOID = {"meta", "link", "br", "hr", "img", "input"}
SVG_EMPTY = {"path", "circle", "rect", "use"}


@dataclass
class Read(HTMLParser):
    """A page read strictly: every tag is closed, in order. ``text`` is what stands between them."""

    elements: list[Element] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"<{tag}> has an attribute twice: {names}"
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_EMPTY, f"<{tag}/> is no empty element"
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> is out of order, at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self._open[-1] if self._open else "", data))

    def having(self, name: str) -> Iterator[Element]:
        return (each for each in self.elements if name in each.attributes)

    def named(self, *tags: str) -> list[Element]:
        return [each for each in self.elements if each.tag in tags]

    @property
    def text(self) -> str:
        return " ".join(text for tag, text in self.texts if tag not in ("style", "script"))


def read(text: str) -> Read:
    """Parse it to its end; every element is closed."""
    found = Read()
    found.feed(text)
    found.close()
    assert found._open == []
    return found
