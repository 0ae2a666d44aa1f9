"""Whether a role's trust policy admits the control plane, and only with the external id. No AWS calls here.

The rules of the language: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import functools
import re
from typing import Any

_ANOTHER_ID = "gridbyoc-sandbox.an-id-that-nobody-gave"


def trust_problem(document: dict[str, Any], account_id: str, external_id: str) -> str:
    """What is wrong with the trust policy, in words that hold no external id; empty if nothing is."""
    if _admits(document, account_id, None):
        return (
            f"its trust policy admits AWS account {account_id} without any external id, so that others could have the "
            "service use this role; add the condition StringEquals sts:ExternalId"
        )
    if _admits(document, account_id, _ANOTHER_ID):
        return f"its trust policy admits AWS account {account_id} with any external id; name the one that was given"
    if _admits(document, account_id, external_id):
        return ""
    if not any(_is_for(statement, account_id) for statement in statements_of(document)):
        return (
            f"its trust policy does not let AWS account {account_id} assume it (sts:AssumeRole); "
            f"add arn:aws:iam::{account_id}:root as a principal, with the external id as the condition"
        )
    return (
        f"its trust policy does not admit AWS account {account_id} with the external id that this cluster was given; "
        "register the external id that the role's trust policy names, or put this one into the policy"
    )


def statements_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """A policy's statements; a single one may stand alone, without a list."""
    found = as_list(document.get("Statement"))
    return [statement for statement in found if isinstance(statement, dict)]


def as_list(value: object) -> list[Any]:
    """IAM lets a single value stand where a list may."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def matches(pattern: str, text: str) -> bool:
    """IAM's wildcards: ``*`` for any characters, ``?`` for one."""
    return _compiled(pattern).fullmatch(text) is not None


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = [{"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern]
    return re.compile("".join(parts), re.DOTALL)


def _admits(document: dict[str, Any], account_id: str, external_id: str | None) -> bool:
    applying = [
        statement.get("Effect")
        for statement in statements_of(document)
        if _is_for(statement, account_id) and _conditions_hold(statement.get("Condition"), external_id)
    ]
    return "Allow" in applying and "Deny" not in applying


def _is_for(statement: dict[str, Any], account_id: str) -> bool:
    """Whether it speaks of assuming the role and of that account (``NotPrincipal`` is not used in trust policies)."""
    actions = [action.lower() for action in as_list(statement.get("Action")) if isinstance(action, str)]
    if not any(matches(action, "sts:assumerole") for action in actions):
        return False
    principal = statement.get("Principal")
    named = as_list(principal.get("AWS")) if isinstance(principal, dict) else as_list(principal)
    root = re.compile(rf"arn:aws[a-z-]*:iam::{re.escape(account_id)}:root")
    return any(name in ("*", account_id) or root.fullmatch(str(name)) for name in named)


def _conditions_hold(condition: object, external_id: str | None) -> bool:
    """All of them, for a caller that gives that external id (``None``: none) and nothing else that is known."""
    if not isinstance(condition, dict):
        return True
    return all(
        _holds(operator, key, [str(value) for value in as_list(wanted)], external_id)
        for operator, keys in condition.items()
        for key, wanted in (keys.items() if isinstance(keys, dict) else ())
    )


def _holds(operator: str, key: str, wanted: list[str], external_id: str | None) -> bool:
    """One condition. One on another key than sts:ExternalId cannot be judged here and counts as not met."""
    if key.lower() != "sts:externalid":
        return False
    qualifier, _, name = operator.lower().rpartition(":")
    if name == "null":
        return any((value.lower() == "true") == (external_id is None) for value in wanted)
    negated = "not" in name
    if external_id is None:
        return negated or name.endswith("ifexists") or qualifier == "forallvalues"
    name = name.removesuffix("ifexists").replace("not", "")
    tests = {
        "stringequals": lambda value: value == external_id,
        "stringequalsignorecase": lambda value: value.lower() == external_id.lower(),
        "stringlike": lambda value: matches(value, external_id),
    }
    return name in tests and any(map(tests[name], wanted)) != negated
