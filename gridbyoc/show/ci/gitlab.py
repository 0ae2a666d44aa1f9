"""GitLab CI: the Terraform widget of a merge request, and Code Quality.

https://docs.gitlab.com/user/infrastructure/iac/mr_integration/ and https://docs.gitlab.com/ci/testing/code_quality/
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gridbyoc.errors import Problem
from gridbyoc.show.ci.rules import finding_text, rule_of
from gridbyoc.stack.words import printable
from gridbyoc.steps.events import FindingMade

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
            "description": printable(f"{f'{problem.path}: ' if problem.path else ''}{problem.message}"),
            "check_name": rule_of(level, problem),
            "fingerprint": fingerprint(problem, path),
            "severity": "blocker" if level == "error" else "minor",
            "location": {"path": path or problem.file, "lines": {"begin": problem.line or 1}},
        }
        for level, problem, path in problems
    ]


def finding_issues(findings: Sequence[tuple[FindingMade, str]]) -> list[dict[str, Any]]:
    """The same for preflight findings: each with its file from the repository's root. A check is its code."""
    return [
        {
            "description": printable(finding_text(finding)),
            "check_name": finding.code,
            "fingerprint": _digest(path, finding.path, finding.code, finding.check),
            "severity": {"fail": "blocker", "warn": "minor"}.get(finding.verdict, "info"),
            "location": {"path": path or finding.file, "lines": {"begin": finding.line or 1}},
        }
        for finding, path in findings
    ]


def fingerprint(problem: Problem, path: str) -> str:
    """The same for the same problem, wherever in the file it has moved to."""
    return _digest(path, problem.path, problem.message)


def _digest(*parts: str) -> str:
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
