"""Stable rule ids for problems of a stack file: the error's code, and the section that the problem is in."""

from __future__ import annotations

from gridbyoc.errors import Problem, StackError
from gridbyoc.steps.events import FindingMade

SECTIONS = {
    "file": "The file as a whole: YAML, unknown keys at the top.",
    "version": "The format's version.",
    "name": "The stack's name.",
    "protect": "Whether the stack may be destroyed.",
    "aws": "Where the role is made.",
    "role": "The IAM role: trust, policies, boundary, tags.",
    "clusters": "The clusters and their instance types.",
    "control_plane": "The control plane's address and dialect.",
    "terraform": "State, module and provider.",
}
"""Section → what its rules are about."""


def rule_of(level: str, problem: Problem) -> str:
    """``GBY-S001.clusters``; a warning is ``GBY-S001.clusters.warning``."""
    section = problem.path.partition(".")[0].partition("[")[0]
    found = section if section in SECTIONS else "file"
    return f"{StackError.code}.{found}{'' if level == 'error' else '.warning'}"


def finding_text(finding: FindingMade) -> str:
    """A preflight finding in a sentence or two: what was found, and what to do."""
    return f"{finding.check}: {finding.read}. {finding.fix}".strip()
