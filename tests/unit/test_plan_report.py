"""The report of a plan: nothing secret in it, nothing that a name could do to it, and never too long for a comment."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from gridbyoc.control_plane.model import FieldChange, Grant
from gridbyoc.operations.changes import ClusterChange
from gridbyoc.operations.plan import Plan
from gridbyoc.operations.report import Report
from gridbyoc.operations.review.review import Review, review
from gridbyoc.show.markdown import LIMIT, code, details, fence, fitted, prose
from gridbyoc.show.plan import plan_json, plan_lines, review_markdown
from gridbyoc.show.report import report_markdown
from gridbyoc.stack.model import ClusterSpec, InstanceType
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import PlanSummary, ResourceChange
from tests.unit.fakes import ROLE, cluster, stack

CANARY = "canary-1f7a-external-id"
HOSTILE = "`|</details>\n## <script>\x1b[31m **x** [a](http://b) @octocat #1 ```` ~~~ ![i](x) <!-- \\"
gfm = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def shown(**attributes: Any) -> dict[str, Any]:
    """A plan of one resource that is updated; values are (before, after)."""
    change = {
        "actions": ["update"],
        "before": {name: pair[0] for name, pair in attributes.items()},
        "after": {name: pair[1] for name, pair in attributes.items()},
        "after_unknown": {},
        "before_sensitive": False,
        "after_sensitive": {},
    }
    return {"resource_changes": [{"address": "x.y", "type": "x", "change": change}]}


def change_of(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["resource_changes"][0]["change"]
    return found


def a_plan(*changes: ClusterChange, grant: Grant | None = None, resources: int = 1) -> Plan:
    listed = tuple(ResourceChange(f"x.y[{n}]", "update") for n in range(resources))
    return Plan(PlanSummary(0, resources, 0, listed, (), (), has_changes=True), changes, (), grant)


def of(document: dict[str, Any], plan: Plan | None = None, **more: Any) -> Review:
    return review(stack(), plan or a_plan(), document, **more)


def attributes(document: dict[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    (detail,) = of(document).resources
    return {each.name: (each.before, each.after) for each in detail.attributes}


def test_what_changes_is_listed_and_what_stays_is_not() -> None:
    found = attributes(shown(name=("a", "b"), same=(1, 1), tags=({}, {"x": "y"}), gone=("z", None), none=(None, "")))
    assert found == {"name": ("a", "b"), "tags": (None, '{"x": "y"}'), "gone": ("z", None)}


def test_sensitive_and_unknown_values_are_words() -> None:
    document = shown(
        secret=(CANARY, CANARY + "2"), inner=({"a": CANARY}, {"a": "x"}), kept=(CANARY, CANARY), arn=("a", None)
    )
    change_of(document)["before_sensitive"] = {"secret": True, "inner": {"a": True}, "kept": True}
    change_of(document)["after_sensitive"] = {"secret": True, "kept": True}
    change_of(document)["after_unknown"] = {"arn": True, "inner": {"a": [False, True]}, "id": True}
    assert attributes(document) == {
        "secret": ("(sensitive)", "(sensitive)"),
        "inner": ("(sensitive)", "(sensitive)"),
        "arn": ("a", "(known after apply)"),
        "id": (None, "(known after apply)"),
    }


def test_a_resource_that_is_marked_as_a_whole() -> None:
    document = shown(a=(CANARY, CANARY + "2"))
    change_of(document)["after_sensitive"] = True
    assert attributes(document) == {"a": ("(sensitive)", "(sensitive)")}


def test_a_secret_that_nobody_marked_is_taken_out_all_the_same() -> None:
    grant = Grant(ROLE, Secret("granted-" + CANARY), "us-east-1")
    document = shown(text=(f"id {CANARY}", f"granted-{CANARY} in {CANARY}2"), policy=(None, f'{{"a": "{CANARY}"}}'))
    document["output_changes"] = {
        "external_id": {"before": CANARY, "after": CANARY, "before_sensitive": False},
        "short": {"before": "x", "after": "x", "before_sensitive": True},
        "own": {"before": None, "after": CANARY + "2", "after_sensitive": True},
    }
    found = of(document, a_plan(grant=grant), warnings=[f"beware of {CANARY}"])
    assert CANARY not in review_markdown(found) + json.dumps(plan_json(found)) + repr(found)
    assert "[secret]" in review_markdown(found)


def trust_of(*ids: str) -> str:
    condition = {"StringEquals": {"sts:ExternalId": list(ids)}}
    return json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Condition": condition}]})


@pytest.mark.parametrize(
    "name,before,after,says",
    [
        ("assume_role_policy", trust_of("ab"), trust_of("cd"), "(sensitive)"),
        ("assume_role_policy", "no document: " + CANARY, "no document: ab", "(sensitive)"),
        ("external_id", "ab", "cd", "(sensitive)"),
        ("previous_external_ids", ["ab"], ["cd"], "(sensitive)"),
        (
            "settings",
            {"externalId": "ab", "x": 1},
            {"externalId": "cd", "x": 2},
            '{"externalId": "(sensitive)", "x": 2}',
        ),
        ("settings", [{"role": trust_of("ab")}], [{"role": trust_of("cd")}], "(sensitive)"),
        ("policy", trust_of("ab"), trust_of("ab").replace("Allow", "Deny"), '"sts:ExternalId": "(sensitive)"'),
        ("text", "of cd-" + CANARY, f"of {CANARY}", "of [secret]"),
    ],
)
def test_an_external_id_is_masked_wherever_it_stands(name: str, before: Any, after: Any, says: str) -> None:
    document = shown(**{name: (before, after), "elsewhere": (trust_of(CANARY), trust_of(CANARY))})
    ((found, (_old, new)),) = attributes(document).items()
    assert found == name
    assert new is not None
    assert new == says or (says in new and says != "(sensitive)")
    text = review_markdown(of(document)) + json.dumps(plan_json(of(document)))
    assert CANARY not in text
    assert not any(word in text for word in ('"ab"', '"cd"', "`ab`", ": ab", ": cd"))


def test_an_external_id_that_was_there_before_somebody_changed_it_is_masked_as_well() -> None:
    document = shown(text=(f"of {CANARY}", "of nobody"))
    drift = {"actions": ["update"], "before": {"assume_role_policy": trust_of(CANARY)}, "after": {}}
    document["resource_drift"] = [{"address": "role", "type": "aws_iam_role", "change": drift}]
    assert attributes(document) == {"text": ("of [secret]", "of nobody")}


def test_another_layout_of_a_document_is_no_change() -> None:
    assert of(shown(policy=('{"a":  1}', '{ "a": 1 }'))).resources[0].attributes == ()


def test_a_policy_is_told_line_by_line() -> None:
    two = [json.dumps({"Statement": [{"Action": action, "Resource": "*"}]}) for action in ("a:B", "c:D")]
    text = review_markdown(of(shown(policy=tuple(two))))
    assert '-      "Action": "a:B",' in text
    assert '+      "Action": "c:D",' in text


def test_clusters_costs_and_warnings() -> None:
    there = cluster("a", instance_types=(InstanceType("t2.medium"),), performance_profile="default")
    update = ClusterChange("update", "a", ClusterSpec("a", (), "cost-saving"), there, (FieldChange("p", "x", "y"),))
    gone = ClusterChange("delete", "b", None, cluster("b"))
    found = of({}, a_plan(update, gone), warnings=["Beware."])
    text = review_markdown(found)
    assert text.startswith("<!-- gridbyoc plan demo -->\n### Plan of `demo`\n")
    for line in (
        "- Beware.",
        "- The cluster `a` is changed\n  - `p`: `x` → `y`",
        "- The cluster `b` is deleted",
        "**Destroys**\n\n- `cluster b`",
    ):
        assert line in text
    assert [line for line in text.splitlines() if "$50" in line or "$10" in line] == [
        r"- before: a: about \$50 a day standing (default profile)",
        r"- before: b: about \$50 a day standing (default profile)",
        r"- after: a: about \$10 a day standing (cost-saving profile)",
    ]
    assert plan_json(found)["standing_cost"]["after"] == ["a: about $10 a day standing (cost-saving profile)"]


def test_what_was_changed_outside_is_named() -> None:
    document = shown(tags=({"a": "by hand"}, {"a": "b"}), arn=("a", None))
    change_of(document)["after_unknown"] = {"arn": True}
    document["resource_drift"] = [
        {
            "address": "x.y",
            "change": {"actions": ["update"], "before": {"tags": {}}, "after": {"tags": {"a": "by hand"}}},
        },
        {"address": "x.z", "change": {"actions": ["update"], "before": {}, "after": {"count": 1}}},
    ]
    found = of(document)
    assert "**Changed outside Terraform**\n\n- `x.y`\n" in review_markdown(found)
    assert plan_json(found)["changed_outside"] == ["x.y"]
    document["resource_drift"][0]["change"] = {"actions": ["delete"], "before": {"tags": {}}, "after": None}
    assert of(document).outside == ("x.y",)


def test_what_terraform_computes_anew_after_each_apply_is_nobody_s_change() -> None:
    """A policy's count of attachments is 0 in the state of the apply that made it, and read as 1 by the next plan."""
    document = shown(tags=({"a": "b"}, {"a": "c"}), arn=("a", None))
    change_of(document)["after_unknown"] = {"arn": True}
    body = {
        "actions": ["update"],
        "before": {"attachment_count": 0, "tags": None},
        "after": {"attachment_count": 1, "tags": {}, "arn": "a"},
    }
    document["resource_drift"] = [{"address": "x.y", "change": body}]
    assert of(document).outside == ()
    assert "Changed outside" not in review_markdown(of(document))


def test_a_rotation_says_that_clusters_are_given_the_new_id() -> None:
    summary = PlanSummary(1, 1, 1, (), (), ("external_id", "other"), has_changes=True)
    kept, new = (
        ClusterChange("none", "a", ClusterSpec("a"), cluster("a")),
        ClusterChange("create", "b", ClusterSpec("b")),
    )
    plan = Plan(summary, (kept, new), (), Grant(ROLE, Secret("x" * 9), "us-east-1"))
    text = review_markdown(of({}, plan))
    assert "- The cluster `a` is unchanged\n  - `external_id`: it receives the new value after the apply\n- The" in text
    assert "      external_id: receives the new value after the apply" in plan_lines(of({}, plan))
    assert Plan(summary, (kept,), (), None).handed_on == ()


def test_a_plan_of_nothing_is_short() -> None:
    nothing = Plan(PlanSummary(0, 0, 0, (), (), (), has_changes=False), (ClusterChange("none", "a"),), (), None)
    text = review_markdown(of({}, nothing))
    assert "**No changes: both sides are as the stack file asks.**" in text
    assert "<details>" not in text


@pytest.mark.parametrize("resources,size", [(1, 0), (1, 100_000), (60, 300), (190, 100), (3000, 0), (20, 3000)])
def test_a_comment_is_never_too_long_and_says_what_it_leaves_out(resources: int, size: int) -> None:
    document = shown(text=("a", "\u20ac" * size))
    document["resource_changes"] = document["resource_changes"] * resources
    text = review_markdown(of(document))
    assert len(text) <= len(text.encode()) <= LIMIT
    complete = text.count("</details>") == resources
    assert complete != ("sections are left out" in text)
    assert text.count("<details>") == text.count("</details>")


def test_the_report_is_in_the_order_of_addresses() -> None:
    one, other = shown(text=("a", "b")), shown(text=("a", "c"))
    one["resource_changes"][0]["address"], other["resource_changes"][0]["address"] = "x.b", "x.a"
    changes = [*one["resource_changes"], *other["resource_changes"]]
    reviews = [of({"resource_changes": found}) for found in (changes, changes[::-1])]
    assert [detail.address for detail in reviews[0].resources] == ["x.a", "x.b"]
    assert review_markdown(reviews[0]) == review_markdown(reviews[1])
    assert plan_json(reviews[0]) == plan_json(reviews[1])


def test_very_many_permissions_and_clusters_are_cut_with_words() -> None:
    names = tuple(ClusterChange("delete", f"{n}-{'x' * 90}") for n in range(2000))
    text = review_markdown(of({}, a_plan(*names)))
    assert len(text.encode()) <= LIMIT
    assert "sections are left out" in text
    assert text.count("- `cluster ") > 100


def tokens(text: str) -> list[Token]:
    found = []
    for token in gfm.parse(text):
        found += [token, *(token.children or [])]
    return found


def kinds(text: str) -> set[str]:
    return {token.type for token in tokens(text)}


PARAGRAPH = {"paragraph_open", "inline", "paragraph_close", "text"}
anything = st.text(max_size=60) | st.text(alphabet="`|<>*_[]()!#@&\\~-+=.1 \n$'\"/:", max_size=40)


@given(anything)
def test_a_code_span_is_one_code_span(text: str) -> None:
    found = tokens(f"a {code(text)} b")
    spans = [token.content for token in found if token.type == "code_inline"]
    assert len(spans) == 1
    assert {token.type for token in found} <= PARAGRAPH | {"code_inline"}
    if text.isprintable() and text.strip():
        assert spans[0].strip() == text.strip()


@given(anything)
def test_prose_is_nothing_but_text(text: str) -> None:
    found = kinds(f"- {prose(text)}")
    assert found <= PARAGRAPH | {
        "bullet_list_open",
        "list_item_open",
        "list_item_close",
        "bullet_list_close",
        "text_special",
    }
    assert "@octocat" not in prose(f"{text}@octocat")


@given(st.lists(anything, max_size=5))
def test_a_code_block_is_one_code_block(lines: list[str]) -> None:
    found = tokens(f"{fence(lines, 'diff')}\n\nafter")
    assert [token.type for token in found if token.type != "text"] == [
        "fence",
        "paragraph_open",
        "inline",
        "paragraph_close",
    ]


@given(anything)
def test_a_section_s_summary_holds_no_markup(text: str) -> None:
    parsed = gfm.parse(details(text, "inside"))
    assert [token.type for token in parsed] == [
        "html_block",
        "paragraph_open",
        "inline",
        "paragraph_close",
        "html_block",
    ]
    inner = parsed[0].content.removeprefix("<details><summary><code>").removesuffix("</code></summary>\n")
    assert "<" not in inner
    assert ">" not in inner


def test_a_hostile_name_is_only_ever_a_name() -> None:
    change = ClusterChange("update", HOSTILE, None, cluster("a"), (FieldChange(HOSTILE, HOSTILE, HOSTILE),))
    document = shown(**{HOSTILE: (HOSTILE, HOSTILE * 2)})
    document["resource_changes"][0]["address"] = HOSTILE
    text = review_markdown(of(document, a_plan(change), warnings=[HOSTILE]))
    found = tokens(text)
    assert not {"link_open", "image", "html_inline", "s_open"} & {token.type for token in found}
    blocks = [token.content.strip() for token in found if token.type == "html_block"]
    assert blocks[0].startswith("<!-- gridbyoc plan demo -->")
    assert blocks[1].startswith("<details><summary><code>~ `|&lt;/details&gt;")
    assert blocks[2:] == ["</details>"]
    assert [token.tag for token in found if token.type == "heading_open"] == ["h3"]
    assert "\x1b" not in text


def test_fitted_keeps_whole_blocks() -> None:
    assert fitted(["a", "b"], left_out="{count} left", limit=100) == "a\n\nb\n"
    assert fitted(["a" * 30, "b" * 30, "c" * 40], left_out="{count} left", limit=100) == "a" * 30 + "\n\n2 left\n"


@pytest.mark.parametrize(
    "changed,line", [(False, "Nothing changed"), (True, "Applied: AWS 3 added; clusters 1 created.")]
)
def test_the_report_of_an_apply(changed: bool, line: str) -> None:
    resources = {"add": 3 if changed else 0, "change": 0}
    action = "create" if changed else "none"
    found = report_markdown(
        Report("demo", "1", ROLE, "grid", changed, resources, (cluster("a"),), {"a": action}, {"init": 0.5}),  # type: ignore[dict-item]  # a word
        ["Beware of <b>."],
    )
    assert "**Warnings**\n\n- Beware of \\<b\\>.\n" in found
    assert line in found
    assert f"- role `{ROLE}`" in found
    assert "- cluster `a`: `running` (`id-a`)" in found
