"""The proof of a stack's role, or of any other role: a table, a closing sentence, JSON, SARIF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, TypedDict

import gridbyoc
from gridbyoc.operations.finding import Finding, FindingKind, Verdict, tally
from gridbyoc.operations.verify import Proof
from gridbyoc.operations.verify_model import ProofFinding, proof_finding
from gridbyoc.operations.verify_role import PolicyInShort, RoleProof
from gridbyoc.show.ci import digest_of, sarif_log, sarif_place
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.words import enumerated, json_text, printable

COLUMNS = ("code", "check", "verdict", "found")


def verify_rows(proof: Proof | RoleProof) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows, one per finding; a finding that does not pass includes what to do."""
    return COLUMNS, [
        (f.code, f.title, f.verdict, f"{f.detail}. {f.fix}" if f.fix and f.verdict != "pass" else f.detail)
        for f in proof.findings
    ]


def verify_summary(proof: Proof | RoleProof) -> str:
    """One sentence: what was judged, and the result."""
    outcome = {
        "pass": "Proven",
        "warn": "Proven, with remarks",
        "unknown": "Not everything could be proven",
        "fail": "The proof fails",
    }[proof.verdict]
    roles = proof.roles if isinstance(proof, Proof) else (proof.role,)
    return f"{outcome}: {', '.join(role.arn for role in roles)}, {tally(f.verdict for f in proof.findings)}."


class VerifyBody(TypedDict):
    """What the role grants, judged by IAM's rules; ``verdict`` is the worst of the findings.

    ``further_roles``: the other roles by name, if the module makes several; a finding names its ``role`` then.
    """

    role_arn: str
    further_roles: dict[str, str]
    verdict: Verdict
    findings: list[ProofFinding]


def verify_json(proof: Proof) -> VerifyBody:
    """The proof's document; it contains no secret."""
    return {
        "role_arn": proof.role.arn,
        "further_roles": {name: role.arn for name, role in proof.further.items()},
        "verdict": proof.verdict,
        "findings": [proof_finding(finding) for finding in proof.findings],
    }


def _write(proof: Proof, screen: Screen) -> None:
    screen.table(*verify_rows(proof))
    screen.line()
    screen.line(verify_summary(proof))


def verify_sarif(proof: Proof | RoleProof, places: Mapping[str, tuple[str, int | None]]) -> dict[str, Any]:
    """A SARIF 2.1.0 log: a rule for each question, a result for each finding that does not pass.

    ``places``: file, from the repository's root, and line for a code. A rule has no helpUri: the documentation has no
    address of its own.
    """
    kinds = {finding.code: finding.kind for finding in proof.findings}
    codes = list(kinds)
    rules = [_rule(kind) for kind in kinds.values()]
    results = [
        _result(codes.index(finding.code), finding, _arn_of(finding, proof), places.get(finding.code))
        for finding in proof.findings
        if finding.verdict != "pass"
    ]
    return sarif_log(rules, results, version=gridbyoc.__version__)


def _arn_of(finding: Finding, proof: Proof | RoleProof) -> str:
    """The ARN of the role that a finding is about: another module may make several."""
    role = proof.further.get(finding.role, proof.role) if isinstance(proof, Proof) else proof.role
    return role.arn


def _rule(kind: FindingKind) -> dict[str, Any]:
    said = f"{kind.meaning} Verdict: {kind.otherwise}."
    return {
        "id": kind.code,
        "name": "".join(word.capitalize() for word in kind.title.split()),
        "shortDescription": {"text": kind.title},
        "fullDescription": {"text": said.replace("`", "")},
        "help": {
            "text": f"{said} See: gridbyoc explain {kind.code}".replace("`", ""),
            "markdown": f"{said} See `gridbyoc explain {kind.code}`.",
        },
    }


def _result(index: int, finding: Finding, arn: str, place: tuple[str, int | None] | None) -> dict[str, Any]:
    """One result. SARIF has no level for ``unknown``: it is a warning, and the property ``verdict`` has the word."""
    name = arn.rpartition("/")[2]
    location: dict[str, Any] = {"logicalLocations": [{"name": name, "fullyQualifiedName": arn, "kind": "resource"}]}
    if place and place[0]:
        location["physicalLocation"] = sarif_place(*place)
    parts = (arn, finding.code, *finding.statements)
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": "error" if finding.verdict == "fail" else "warning",
        "message": {"text": printable(f"{finding.detail}. {finding.fix}".strip())},
        "locations": [location],
        "partialFingerprints": {"gridbyocVerify/v1": digest_of(*parts)},
        "properties": {"verdict": finding.verdict, "statements": list(finding.statements)},
    }


def _stack_sarif(proof: Proof, _stack: str) -> str:
    return json_text(verify_sarif(proof, proof.places), indent=2)


VERIFY = Output("verify", verify_json, _write, others={"sarif": _stack_sarif})


class VerifyRoleBody(TypedDict):
    """What a role not made by gridbyoc admits and may do; ``verdict`` is the worst of the findings.

    ``external_id_given``: whether the findings are about one given id, or about whether any is asked for. ``unlisted``:
    why policies may be missing in ``may_do``.
    """

    role_arn: str
    principals: list[str]
    external_id_given: bool
    verdict: Verdict
    findings: list[ProofFinding]
    may_do: list[Annotated[dict[str, Any], PolicyInShort]]
    unlisted: str
    permissions_boundary: str | None
    max_session_seconds: int | None


def verify_role_json(proof: RoleProof) -> VerifyRoleBody:
    """The proof's document; it contains no secret."""
    role = proof.role
    return {
        "role_arn": role.arn,
        "principals": list(proof.principals),
        "external_id_given": proof.external_id is not None,
        "verdict": proof.verdict,
        "findings": [proof_finding(finding) for finding in proof.findings],
        "may_do": [asdict(policy) for policy in proof.may_do],
        "unlisted": role.unlisted,
        "permissions_boundary": proof.boundary,
        "max_session_seconds": role.max_session_seconds,
    }


def _write_role(proof: RoleProof, screen: Screen) -> None:
    role = proof.role
    screen.table(*verify_rows(proof))
    screen.line()
    if proof.may_do:
        rows = [(each.name, _may_do(each)) for each in proof.may_do]
        screen.table(("policy", "lets the role do, on some resource or on all"), rows)
    if role.unlisted:
        screen.line(f"Not every policy could be listed: {role.unlisted}.")
    elif not proof.may_do:
        screen.line("The role has no policy: it may do nothing.")
    if proof.boundary:
        screen.line(f"Its permissions boundary is {proof.boundary}: the role may do nothing that it does not allow.")
    screen.line()
    screen.line(verify_summary(proof))
    if proof.external_id is None:
        screen.line("No external id was given: the findings say whether one is asked for, not which one.")


def _may_do(policy: PolicyInShort) -> str:
    if policy.unread:
        return f"not known: {policy.unread}"
    denied = f"; denies {enumerated(policy.denies, limit=20)}" if policy.denies else ""
    return f"{enumerated(policy.allows, limit=20) or 'nothing'}{denied}"


def _role_sarif(proof: RoleProof, _stack: str) -> str:
    return json_text(verify_sarif(proof, {}), indent=2)


VERIFY_ROLE = Output("verify_role", verify_role_json, _write_role, stack="none", others={"sarif": _role_sarif})
