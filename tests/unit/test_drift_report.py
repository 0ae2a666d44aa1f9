"""Drift as text, Markdown, JSON and in a fleet: which attribute, as it is, as it should be, on which side."""

from __future__ import annotations

import json
from pathlib import Path

from gridbyoc.operations.drift import Drift, DriftFound
from gridbyoc.operations.fleet.model import Member, Result, detail_of
from gridbyoc.operations.fleet.run import FleetReport
from gridbyoc.operations.review.review import AttributeChange
from gridbyoc.operations.review.words import Name, RoleSentence
from gridbyoc.show.drift import NONE, NONE_OF_THE_ROLE, drift_json, drift_lines, drift_markdown, drift_rows
from gridbyoc.show.fleet import advice_lines

HOURS = AttributeChange("max_session_duration", "3600", "43200")
TRUST = AttributeChange("assume_role_policy", "(sensitive)", "(sensitive)")
POLICY = AttributeChange("policy", '{\n  "a": 1\n}', '{\n  "a": 2\n}')
FOUND = DriftFound(
    differences=[
        Drift("terraform", "aws_iam_role.this", "was changed outside; bootstrap would update it", (HOURS, TRUST)),
        Drift("terraform", "aws_iam_policy.this", "bootstrap would update it", (POLICY,)),
        Drift("role", "arn:admin", "is attached"),
        Drift("control plane", "cluster a", "differs", (AttributeChange("spot", None, "true"),)),
    ],
    permissions=[RoleSentence(("The role",), ("may no longer be assumed by ", Name("arn:x")))],
    remarks=["Accepted on the role by the stack file: arn:y."],
)


def test_text_names_attributes_and_sides() -> None:
    assert [row[0] for row in drift_rows(FOUND)] == ["terraform", "terraform", "role", "control plane"]
    assert drift_lines(FOUND) == [
        "",
        "aws_iam_role.this, actual -> as the stack file asks:",
        "  max_session_duration: 3600 -> 43200",
        "  assume_role_policy: (sensitive) -> (sensitive)",
        "",
        "aws_iam_policy.this, actual -> as the stack file asks:",
        "    policy:",
        "   {",
        '  -  "a": 1',
        '  +  "a": 2',
        "   }",
        "",
        "cluster a, actual -> as the stack file asks:",
        "  spot: (none) -> true",
        "",
        "Changes of the role's permissions that bootstrap would make:",
        "  The role may no longer be assumed by `arn:x`",
        "",
        "Accepted on the role by the stack file: arn:y.",
    ]


def test_no_drift_is_said_where_all_is_known_alone() -> None:
    assert drift_lines(DriftFound()) == [NONE]
    assert NONE in drift_markdown("demo", DriftFound())
    unknown = DriftFound(unknown=["the attached policies: denied"])
    assert drift_lines(unknown) == ["Unknown: the attached policies: denied."]
    assert NONE not in drift_markdown("demo", unknown)
    unasked = DriftFound(unasked="there is no key")
    assert drift_lines(unasked) == [NONE_OF_THE_ROLE]
    assert NONE not in drift_markdown("demo", unasked)


def test_markdown_and_json_say_the_same() -> None:
    text = drift_markdown("demo", FOUND)
    assert text.startswith(
        "<!-- gridbyoc drift demo -->\n### Drift of `demo`\n\n**4 differences from the stack file.**"
    )
    assert "  - max_session_duration: 3600\n  + max_session_duration: 43200\n" in text
    assert "- The role may no longer be assumed by `arn:x`" in text
    first = drift_json(FOUND)["drift"][0]
    assert first["attributes"][0] == {"name": "max_session_duration", "before": "3600", "after": "43200"}


def test_a_fleet_says_which_attribute() -> None:
    said = {"drift": json.loads(json.dumps(drift_json(FOUND)))}
    assert detail_of("drift", said) == "4 drifted: terraform: aws_iam_role.this: max_session_duration: 3600 -> 43200"
    member = Member("demo", Path("demo.yaml"), "demo.yaml", "demo")
    lines = advice_lines(FleetReport("drift", 1, 0.0, (Result(member, "changes", 3, said=said),), interrupted=False))
    assert lines[0] == "demo: terraform: aws_iam_role.this: was changed outside; bootstrap would update it"
    assert lines[1] == "  max_session_duration: 3600 -> 43200"
    assert "demo: role: arn:admin: is attached" in lines
    assert lines[-1] == "demo: bootstrap would change: The role may no longer be assumed by `arn:x`"
