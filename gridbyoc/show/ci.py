"""The commands and files that CI platforms read, each in the platform's documented format."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gridbyoc.errors import Problem, StackError
from gridbyoc.operations.events import FindingMade
from gridbyoc.stack.words import plain_text, printable

if TYPE_CHECKING:
    from gridbyoc.operations.plan import Plan


SECTIONS = {
    "file": "The file as a whole: YAML, unknown keys at the top.",
    "version": "The format's version.",
    "name": "The stack's name.",
    "protect": "Whether the stack may be destroyed.",
    "aws": "The AWS account and region of the role.",
    "role": "The IAM role: trust, policies, boundary, tags.",
    "clusters": "The clusters and their instance types.",
    "control_plane": "The control plane's address and dialect.",
    "terraform": "State, module and provider.",
}
"""Each section with the subject of its rules."""


def rule_of(level: str, problem: Problem) -> str:
    """The rule of a problem: ``GBY-S001.clusters``; for a warning ``GBY-S001.clusters.warning``."""
    section = problem.path.partition(".")[0].partition("[")[0]
    found = section if section in SECTIONS else "file"
    return f"{StackError.code}.{found}{'' if level == 'error' else '.warning'}"


def finding_text(finding: FindingMade) -> str:
    """A preflight finding in a sentence or two: the result, and what to do."""
    return f"{finding.check}: {finding.read}. {finding.fix}".strip()


def mask_command(value: str) -> str:
    """The command that masks ``value`` in the job's log from now on. It shows the value itself to the runner."""
    return f"::add-mask::{_data(value)}"


def annotation(level: str, message: str, *, file: str = "", line: int | None = None, title: str = "") -> str:
    """A GitHub annotation; ``level`` is error, warning or notice."""
    given = {"file": file, "line": str(line) if line and file else "", "title": title}
    properties = ",".join(f"{name}={_property(value)}" for name, value in given.items() if value)
    return f"::{level}{' ' if properties else ''}{properties}::{_shown(message)}"


def problem_annotation(level: str, problem: Problem, path: str) -> str:
    """A stack problem at its line; ``path`` is the file relative to the repository's root, empty if it is in none."""
    where = f"{problem.path}: " if problem.path else ""
    hint = f" ({problem.hint})" if problem.hint else ""
    return annotation(level, f"{where}{problem.message}{hint}", file=path, line=problem.line, title="gridbyoc validate")


def level_of(finding: FindingMade) -> str:
    """The level of a finding's annotation."""
    return {"fail": "error", "warn": "warning"}.get(finding.verdict, "notice")


def finding_annotation(finding: FindingMade, path: str) -> str:
    """A preflight finding at its line of the stack file; ``path`` as for a problem."""
    return annotation(level_of(finding), finding_text(finding), file=path, line=finding.line, title=finding.code)


def output_lines(values: Mapping[str, str], *, delimiter: Callable[[], str] = lambda: uuid.uuid4().hex) -> str:
    """Job outputs for ``$GITHUB_OUTPUT``. Each value ends with a fresh random delimiter, which no value can contain."""
    text = ""
    for name, value in values.items():
        mark = f"gridbyoc_{delimiter()}"
        while mark in value:
            mark = f"gridbyoc_{delimiter()}"
        text += f"{name}<<{mark}\n{value}\n{mark}\n"
    return text


def _shown(text: str) -> str:
    """Text for people, without characters that control a terminal or reorder text on a page."""
    return _data(plain_text(text))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _shown(text).replace(":", "%3A").replace(",", "%2C")


TERRAFORM_REPORT = "gridbyoc-terraform-report.json"
"""The file for ``artifacts: reports: terraform``."""
CODE_QUALITY = "gridbyoc-code-quality.json"
"""The file for ``artifacts: reports: codequality``."""


def terraform_report(plan: Plan) -> dict[str, int]:
    """Numbers of creations, updates and deletions on both sides; a replacement counts as a deletion and a creation."""
    terraform = plan.terraform
    clusters = [change.action for change in plan.clusters]
    return {
        "create": (terraform.add if terraform else 0) + clusters.count("create"),
        "update": (terraform.change if terraform else 0) + clusters.count("update"),
        "delete": (terraform.destroy if terraform else 0) + clusters.count("delete"),
    }


def code_quality(problems: Sequence[tuple[str, Problem, str]]) -> list[dict[str, Any]]:
    """A Code Quality issue for each problem, given as level, problem, and file relative to the repository's root."""
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
    """A Code Quality issue for each preflight finding, given with its file relative to the repository's root."""
    return [
        {
            "description": printable(finding_text(finding)),
            "check_name": finding.code,
            "fingerprint": digest_of(path, finding.path, finding.code, finding.check),
            "severity": {"fail": "blocker", "warn": "minor"}.get(finding.verdict, "info"),
            "location": {"path": path or finding.file, "lines": {"begin": finding.line or 1}},
        }
        for finding, path in findings
    ]


def fingerprint(problem: Problem, path: str) -> str:
    """A digest that stays the same if the problem moves within the file."""
    return digest_of(path, problem.path, problem.message)


def digest_of(*parts: str) -> str:
    """A digest of the parts, in their order."""
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(problems: Sequence[tuple[str, Problem, str]], *, version: str) -> dict[str, Any]:
    """A SARIF log with one run.

    Problems are given as level (error, warning), problem, and file relative to the root.
    """
    used = sorted({rule_of(level, problem) for level, problem, _ in problems})
    rules = [{"id": rule, "shortDescription": {"text": SECTIONS[rule.split(".")[1]]}} for rule in used]
    return sarif_log(rules, [_result(level, problem, path, used) for level, problem, path in problems], version=version)


def sarif_log(
    rules: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]], *, version: str
) -> dict[str, Any]:
    """A SARIF 2.1.0 log with one run of gridbyoc."""
    driver = {"name": "gridbyoc", "semanticVersion": version, "rules": list(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": list(results)}],
    }


def sarif_place(file: str, line: int | None) -> dict[str, Any]:
    """A physical location: a file by its path from the repository's root, and the line if known."""
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(file.encode("utf-8", "surrogateescape"))}}
    return {**place, "region": {"startLine": line}} if line else place


def _result(level: str, problem: Problem, path: str, rules: Sequence[str]) -> dict[str, Any]:
    rule = rule_of(level, problem)
    where = f"{problem.path}: " if problem.path else ""
    hint = f" ({problem.hint})" if problem.hint else ""
    return {
        "ruleId": rule,
        "ruleIndex": rules.index(rule),
        "level": level,
        "message": {"text": printable(f"{where}{problem.message}{hint}")},
        "locations": [{"physicalLocation": sarif_place(path or problem.file, problem.line)}],
        "partialFingerprints": {"gridbyocProblem/v1": fingerprint(problem, path)},
    }
