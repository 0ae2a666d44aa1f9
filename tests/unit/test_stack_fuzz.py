"""Whatever stands in a stack file: a stack, or ``StackError``."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridbyoc.stack.schema import schema
from tests.unit.stack_helpers import CLUSTERS, HEAD, problems_of

relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def known_words(node: Any) -> set[str]:
    if isinstance(node, dict):
        return {word for value in node.values() for word in known_words(value)} | set(node.get("properties", {}))
    if isinstance(node, list):
        return {word for value in node for word in known_words(value)}
    return {node} if isinstance(node, str) and len(node) < 60 else set()


WORDS = sorted(known_words(schema()))
texts = st.sampled_from(WORDS) | st.text(max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


def value_of(node: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that are nearly right: of the schema's form, with something else in its place now and then."""
    from gridbyoc.stack.schema import resolved

    node = resolved(node)
    if "anyOf" in node:
        return st.one_of([value_of(branch) for branch in node["anyOf"]]) | scalars
    examples = st.sampled_from([*node.get("examples", []), *node.get("enum", []), node.get("const", "x")])
    if node.get("type") == "object":
        keys = {key: value_of(inner) for key, inner in node.get("properties", {}).items()}
        return st.fixed_dictionaries({}, optional=keys) | examples | scalars
    if node.get("type") == "array":
        return st.lists(value_of(node.get("items", {})), max_size=3) | examples | scalars
    return examples | examples | scalars


YAMLISH = st.text(st.sampled_from("abc01 \n\t:-[]{},&*!|>'\"#%@`?~<=\\é\x85\u2028\ufeff"), max_size=60)


@relaxed
@given(st.text() | YAMLISH)
def test_any_text(text: str) -> None:
    problems_of(text)
    problems_of(HEAD + CLUSTERS + text)
    problems_of(HEAD + CLUSTERS + "role: " + text)


@relaxed
@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    problems_of(data)


@relaxed
@given(values)
def test_any_value(value: Any) -> None:
    problems_of(json.dumps(value))


@relaxed
@given(value_of(schema()))
def test_anything_that_is_nearly_a_stack_file(value: Any) -> None:
    for problem in problems_of(json.dumps(value)):
        assert problem.message
        assert problem.file == "<stdin>"
        assert str(problem).isprintable()


@relaxed
@given(st.lists(st.text() | st.builds("{}={}".format, st.sampled_from(WORDS), st.text()), max_size=3))
def test_any_override(overrides: list[str]) -> None:
    problems_of(HEAD + CLUSTERS, *overrides)


@relaxed
@given(st.builds("{}{}={}".format, st.sampled_from(["role", "clusters", "terraform.backend", "aws"]), texts, texts))
def test_overrides_near_the_known_places(override: str) -> None:
    problems_of(HEAD + CLUSTERS, override)
