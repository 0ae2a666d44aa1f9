"""GitLab CI: the Terraform widget of a merge request, and Code Quality.

https://docs.gitlab.com/user/infrastructure/iac/mr_integration/ and https://docs.gitlab.com/ci/testing/code_quality/
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gridbyoc.errors import Problem
from gridbyoc.show.ci.rules import rule_of

if TYPE_CHECKING:  # with it come boto3 and requests, which nobody needs to validate a file
    from gridbyoc.steps.plan import Plan

TERRAFORM_REPORT = "gridbyoc-terraform-report.json"
"""``artifacts: reports: terraform``"""
CODE_QUALITY = "gridbyoc-code-quality.json"
"""``artifacts: reports: codequality``"""


def terraform_report(plan: Plan) -> dict[str, int]:
    """How much would be created, updated and deleted, on both sides; a replacement is a deletion and a creation."""
    terraform = plan.terraform
    clusters = [change.action for change in plan.clusters]
    return {
        "create": (terraform.add if terraform else 0) + clusters.count("create"),
        "update": (terraform.change if terraform else 0) + clusters.count("update"),
        "delete": (terraform.destroy if terraform else 0) + clusters.count("delete"),
    }


def code_quality(problems: Sequence[tuple[str, Problem, str]]) -> list[dict[str, Any]]:
    """An issue for each problem: its level, the problem, and the file from the repository's root."""
    return [
        {
            "description": f"{f'{problem.path}: ' if problem.path else ''}{problem.message}",
            "check_name": rule_of(level, problem),
            "fingerprint": fingerprint(problem, path),
            "severity": "blocker" if level == "error" else "minor",
            "location": {"path": path or problem.file, "lines": {"begin": problem.line or 1}},
        }
        for level, problem, path in problems
    ]


def fingerprint(problem: Problem, path: str) -> str:
    """The same for the same problem, wherever in the file it has moved to."""
    text = "\0".join((path, problem.path, problem.message))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
