"""SARIF 2.1.0 for problems of a stack file, as code scanning reads it.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from gridbyoc.errors import Problem
from gridbyoc.show.ci.gitlab import fingerprint
from gridbyoc.show.ci.rules import SECTIONS, rule_of
from gridbyoc.stack.words import printable

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(problems: Sequence[tuple[str, Problem, str]], *, version: str) -> dict[str, Any]:
    """A log with one run. A problem: its level (error, warning), itself, and its file from the repository's root."""
    used = sorted({rule_of(level, problem) for level, problem, _ in problems})
    driver = {
        "name": "gridbyoc",
        "semanticVersion": version,
        "rules": [{"id": rule, "shortDescription": {"text": SECTIONS[rule.split(".")[1]]}} for rule in used],
    }
    results = [_result(level, problem, path, used) for level, problem, path in problems]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _result(level: str, problem: Problem, path: str, rules: Sequence[str]) -> dict[str, Any]:
    rule = rule_of(level, problem)
    where = f"{problem.path}: " if problem.path else ""
    hint = f" ({problem.hint})" if problem.hint else ""
    place: dict[str, Any] = {
        "artifactLocation": {"uri": quote((path or problem.file).encode("utf-8", "surrogateescape"))}
    }
    if problem.line:
        place["region"] = {"startLine": problem.line}
    return {
        "ruleId": rule,
        "ruleIndex": rules.index(rule),
        "level": level,
        "message": {"text": printable(f"{where}{problem.message}{hint}")},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"gridbyocProblem/v1": fingerprint(problem, path)},
    }
