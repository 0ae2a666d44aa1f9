"""The page: what it shows, that nothing leaks into it or out of it, and that everybody can read it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridbyoc.aws.live_role import LiveDocument
from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.operations.drift import DriftFound
from gridbyoc.operations.page import PastRun, Reading, declared_grant, live_grant
from gridbyoc.operations.status import Status
from gridbyoc.show.page.html import PAGE, is_page, page_json
from gridbyoc.stack.model import ControlPlane
from tests.json_outputs import check_document
from tests.unit.page_kit import (
    AUDIT,
    CANARY,
    CONTROL_PLANE,
    ROLE,
    STACK,
    STYLES,
    a_page,
    document,
    html,
    live_role,
    read,
    subject_of,
    trust,
)

SECTIONS = ["granted", "clusters", "cost", "runs", "preflight", "proof", "drift", "history"]
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    "</style><script>",
    "</title></svg><b>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u202c",
    "a\x00b\x1b[31m\ud800",
    "x" * 10_000,
    "-->]]>",
    "javascript:alert(1)",
]


def hostile_page(text: str) -> str:
    """``text`` wherever somebody else's text can stand."""
    statement = {"Effect": "Allow", "Action": [text or "x"], "Resource": "*"}
    role = live_role(
        trust(text or "x", Sid=text),
        policies=(LiveDocument("inline", text, document(statement)),),
        unlisted_inline=text,
    )
    page = a_page(role)
    clusters = (Cluster(text, text, Phase.FAILED, reason=text, role_arn=text, performance_profile=text),)
    status = Status(None, text, ROLE, text, clusters, {text: text}, False, text)
    step = page.history[0].steps[0]
    run = PastRun(text, text, text, 1.0, text, text, (replace(step, name=text, detail=text, outcome=text),))
    drift = DriftFound([replace(page.drift.value.differences[0], subject=text, detail=text)], [text], [text])
    return html(
        replace(page, status=Reading(status), history=(run,), drift=Reading(drift), findings=Reading(None, text))
    )


def shape(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Which elements there are, with the names of their attributes."""
    return [(each.tag, tuple(each.attributes)) for each in read(text).elements]


@pytest.mark.parametrize(
    "statement, verdict",
    [
        (trust(CONTROL_PLANE), "pass"),
        (trust(CONTROL_PLANE, ids=None), "fail"),
        (trust(CONTROL_PLANE, ids=(CANARY, "another-id")), "fail"),
        (trust(CONTROL_PLANE, Condition={"ForAllValues:StringEquals": {"sts:ExternalId": CANARY}}), "fail"),
        (trust(CONTROL_PLANE, Condition={"StringLike": {"sts:ExternalId": CANARY}}), "warn"),
        (trust(AUDIT, ids=None), "warn"),
        ({**trust(), "Effect": "Deny", "NotPrincipal": {"AWS": AUDIT}, "Principal": None}, "unknown"),
        (trust("arn:aws:iam::666666666666:root"), "fail"),
    ],
)
def test_whom_the_role_admits_is_judged_as_verify_does(statement: dict[str, Any], verdict: str) -> None:
    granted = live_grant(subject_of(live_role(statement)))
    assert [each.verdict for each in granted.admitted] == [verdict]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(text: str) -> None:
    made = hostile_page(text)
    found = read(made)
    assert found.named("script", "img", "b") == []
    assert not [name for each in found.elements for name in each.attributes if name.startswith("on")]
    assert not any(char in made for char in "\u202e\x00\x1b\ud800")
    assert max(map(len, made.split("\n"))) < 10_000


@cache
def plain_tags() -> set[str]:
    return {each.tag for each in read(hostile_page("plain")).elements}


@given(st.text(st.characters(), max_size=40))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_text_changes_the_pages_structure(text: str) -> None:
    found = read(hostile_page(text))
    assert {each.tag for each in found.elements} <= plain_tags()
    assert all(each.attributes["href"].startswith(("#", "https://docs.")) for each in found.named("a"))


def test_the_external_id_shows_nowhere() -> None:
    role = live_role(trust("arn:aws:iam::302180240179:root", Sid=f"of{CANARY}"))
    clusters = (Cluster("1", f"c-{CANARY}", Phase.FAILED, reason=f"bad id {CANARY}"),)
    status = Status(None, None, ROLE, CANARY, clusters, {}, False, "Nothing.")
    page = a_page(
        role, status=Reading(status), drift=Reading(None, f"no {CANARY}"), secrets=(CANARY, "key-of-the-plane")
    )
    run = replace(page.history[0], code="key-of-the-plane", steps=())
    page = replace(page, history=(run, *page.history))
    for made in (html(page), json.dumps(page_json(page))):
        assert CANARY not in made
        assert "key-of-the-plane" not in made
        assert "[secret]" in made
    assert CANARY not in repr(a_page())


def test_a_secret_too_short_to_be_told_from_words_is_left() -> None:
    assert "the control plane" in read(html(a_page(secrets=(CANARY, "the")))).text


def test_it_reaches_for_nothing() -> None:
    made = html(a_page())
    found = read(made)
    assert found.named("script", "link", "img", "iframe", "object", "embed", "form", "input") == []
    assert not list(found.having("src")) + list(found.having("srcset")) + list(found.having("style"))
    assert re.findall(r"url\(|@import|@font-face", STYLES) == []
    policy = next(each.attributes["content"] for each in found.named("meta") if "http-equiv" in each.attributes)
    styles = made.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(styles.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_every_reference_leads_somewhere_and_no_id_is_there_twice() -> None:
    found = read(html(a_page()))
    ids = [each.attributes["id"] for each in found.having("id")]
    assert len(set(ids)) == len(ids)
    for each in found.having("href"):
        target = each.attributes["href"]
        assert target.startswith("https://docs.aws.amazon.com/") or target[1:] in ids, target
    for name in ("aria-labelledby", "marker-end"):
        for each in found.having(name):
            for target in each.attributes[name].removeprefix("url(#").removesuffix(")").split():
                assert target in ids
    assert [each for each in SECTIONS if each not in ids] == []


def test_headings_go_down_one_by_one() -> None:
    levels = [int(each.tag[1]) for each in read(html(a_page())).elements if re.fullmatch("h[1-6]", each.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tables_have_headings_and_captions_and_drawings_have_words() -> None:
    found = read(html(a_page()))
    tables = len(found.named("table"))
    assert tables == len(found.named("caption")) > 5
    assert {each.attributes.get("scope") for each in found.named("th")} == {"col", "row"}
    drawings = [each for each in found.named("svg") if each.attributes.get("role") == "img"]
    assert len(drawings) == 2
    assert all("aria-labelledby" in each.attributes for each in drawings)
    silent = [each for each in found.named("svg") if each not in drawings and "x" not in each.attributes]
    assert all(each.attributes["aria-hidden"] == "true" for each in silent)
    assert read(html(a_page())).named("html")[0].attributes["lang"] == "en"


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme: int) -> None:
    """https://www.w3.org/TR/WCAG21/#contrast-minimum: 4.5 to 1 for text, 3 to 1 for what is drawn."""
    block = re.findall(r":root \{(.*?)\}", STYLES, re.DOTALL)[scheme]
    colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    for ink in ("ink", "muted", "accent", "pass", "warn", "fail", "none"):
        for ground in ("page", "card", "tint"):
            light, dark = sorted((_luminance(colors[ink]), _luminance(colors[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{ink} on {ground}"


def test_a_whole_page_says_what_it_should() -> None:
    text = " ".join(read(html(a_page())).text.split())
    for words in (
        "1 of 2 running", "1 difference", "1 warn, 1 pass", "about $60 a day", "rotate: killed", "together: about $60",
        "with the external id", "Check the drift:", "1 check passes", "failed: preflight_blocked",
        "without an external id",
        "more", "missing", "needed: needed",
    ):  # fmt: skip
        assert words in text, words


def test_what_could_not_be_read_is_said_and_costs_nothing_else() -> None:
    unread = Reading(None, "no answer <within> 2 s")
    page = a_page(status=unread, proof=unread, drift=unread, findings=unread, history=())
    page = replace(page, granted=declared_grant(STACK), stack=replace(STACK, clusters=()))
    text = " ".join(read(html(page)).text.split())
    assert text.count("no answer <within> 2 s") == 6
    for words in (
        "what the stack file declares",
        "There has been no run here yet",
        "The stack file declares no clusters",
    ):
        assert words in text
    data = page_json(page)
    assert data["unread"] == dict.fromkeys(("status", "verify", "drift", "preflight"), "no answer <within> 2 s")
    assert data["status"] is None


def test_a_stack_without_flaws_says_so() -> None:
    page = a_page(drift=Reading(DriftFound()), findings=Reading(()))
    text = read(html(page)).text
    assert "are as the stack file asks" in text
    assert "Every check passes" in text


def test_drift_that_is_not_known_is_not_none() -> None:
    page = a_page(drift=Reading(DriftFound(unknown=["the attached policies: denied"], remarks=["A remark."])))
    text = read(html(page)).text
    assert "not all compared" in text
    assert "the attached policies: denied" in text
    assert "A remark." in text
    assert "are as the stack file asks" not in text
    assert page_json(page)["drift_unknown"] == ["the attached policies: denied"]


def test_a_control_plane_that_nobody_asked_is_not_said_to_be_as_the_stack_file_asks() -> None:
    remark = "What the control plane has is unknown: there is no key."
    page = a_page(drift=Reading(DriftFound(unasked="there is no key", remarks=[remark])))
    text = read(html(page)).text
    assert "none of the role; control plane not asked" in text
    assert "No drift of the role: AWS and the live role are as the stack file asks." in text
    assert "the control plane are as" not in text
    assert remark in text


def test_lightning_has_no_price() -> None:
    text = read(html(a_page(stack=replace(STACK, control_plane=ControlPlane("lightning"))))).text
    assert "no performance profile to price" in text
    assert "$" not in text


def test_the_same_page_is_the_same_file_and_known_as_ours() -> None:
    assert html(a_page()) == html(a_page())
    assert is_page(html(a_page()))
    assert not is_page("<html>mine</html>")
    assert not is_page(" " * 2000 + html(a_page()))


def test_data_is_json_and_holds_every_part() -> None:
    data = json.loads(json.dumps(PAGE.document(a_page(), "demo")))
    check_document(data)
    assert data["type"] == "page"
    assert data["granted"]["admitted"][0]["terms"] == "with the external id"
    assert [run["verb"] for run in data["history"]] == ["rotate", "bootstrap"]
    assert data["status"]["clusters"][0]["status"] == "running"
    assert data["unread"] == {}


def test_data_can_always_be_written() -> None:
    status = replace(a_page().status.value, holder="a\ud800", unknown={"side": "\udfff"})
    written = json.dumps(page_json(a_page(status=Reading(status))), ensure_ascii=False).encode()
    assert b'"a?"' in written


def test_only_the_newest_runs_are_shown_and_the_rest_are_counted() -> None:
    page = a_page()
    many = tuple(replace(page.history[0], ident=str(number)) for number in range(100))
    assert "60 earlier runs" in read(html(replace(page, history=many))).text


def test_colour_is_never_alone_and_shapes_differ() -> None:
    made = html(a_page())
    shapes = {name: re.search(rf'id="sign-{name}".*?</symbol>', made).group() for name in ("pass", "warn", "fail")}
    assert len({re.sub("sign-[a-z]+", "", each) for each in shapes.values()}) == 3
    for words in re.findall(r'<span class="mark \w+">.*?</svg>\s*<span>(.*?)</span>', made, re.DOTALL):
        assert words.strip()
