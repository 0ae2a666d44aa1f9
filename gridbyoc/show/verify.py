"""The proof, as a table, a closing sentence, and JSON."""

from __future__ import annotations

from typing import Any

from gridbyoc.operations.verify import Proof, finding_object

COLUMNS = ("code", "check", "verdict", "found")


def verify_rows(proof: Proof) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows: a finding each; what does not pass says what to do."""
    return COLUMNS, [
        (f.code, f.check, f.verdict, f"{f.detail}. {f.fix}" if f.fix and f.verdict != "pass" else f.detail)
        for f in proof.findings
    ]


def verify_summary(proof: Proof) -> str:
    """One sentence: what was judged and how it came out."""
    counts = {word: sum(f.verdict == word for f in proof.findings) for word in ("pass", "warn", "fail", "unknown")}
    parts = [f"{count} {word}" for word, count in counts.items() if count]
    outcome = {
        "pass": "Proven",
        "warn": "Proven, with remarks",
        "unknown": "Not all could be proven",
        "fail": "The proof fails",
    }[proof.verdict]
    return f"{outcome}: {proof.role.arn}, {', '.join(parts)}."


def verify_object(proof: Proof) -> dict[str, Any]:
    """The proof as the JSON object of ``--format json``; it holds no secret."""
    return {
        "type": "verify",
        "role_arn": proof.role.arn,
        "verdict": proof.verdict,
        "findings": [finding_object(finding) for finding in proof.findings],
    }
