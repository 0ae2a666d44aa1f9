"""The proof, as a table, a closing sentence, and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, TypedDict

from gridbyoc.operations.verdict import Verdict, tally
from gridbyoc.operations.verify import Proof
from gridbyoc.operations.verify_model import VerifyFinding
from gridbyoc.show.output import Output, Screen

COLUMNS = ("code", "check", "verdict", "found")


def verify_rows(proof: Proof) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows: a finding each; what does not pass says what to do."""
    return COLUMNS, [
        (f.code, f.check, f.verdict, f"{f.detail}. {f.fix}" if f.fix and f.verdict != "pass" else f.detail)
        for f in proof.findings
    ]


def verify_summary(proof: Proof) -> str:
    """One sentence: what was judged and how it came out."""
    outcome = {
        "pass": "Proven",
        "warn": "Proven, with remarks",
        "unknown": "Not all could be proven",
        "fail": "The proof fails",
    }[proof.verdict]
    return f"{outcome}: {proof.role.arn}, {tally(f.verdict for f in proof.findings)}."


class VerifyBody(TypedDict):
    """What the role grants, judged by IAM's own rules; ``verdict`` is the worst of the findings."""

    role_arn: str
    verdict: Verdict
    findings: list[Annotated[dict[str, Any], VerifyFinding]]


def verify_json(proof: Proof) -> VerifyBody:
    """The proof; it holds no secret."""
    return {
        "role_arn": proof.role.arn,
        "verdict": proof.verdict,
        "findings": [asdict(finding) for finding in proof.findings],
    }


def _write(proof: Proof, screen: Screen) -> None:
    screen.table(*verify_rows(proof))
    screen.line()
    screen.line(verify_summary(proof))


VERIFY = Output("verify", verify_json, _write)
