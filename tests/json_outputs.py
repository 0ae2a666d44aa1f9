"""Every JSON document that the tool writes in a test, held against the schema that ships for it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from gridbyoc.show.stackfile import output_schema

NESTED = ("document", "result", "left")
"""Keys whose value may be a nested document."""


def check_outputs(args: Sequence[str], out: str) -> str:
    """``out`` again: with ``--format json`` exactly one document on one line, with ``jsonl`` one on each line."""
    asked = format_in(args)
    lines = out.splitlines()
    if asked == "json":
        assert len(lines) == 1, f"{args}: {len(lines)} lines instead of one document\n{out[:2000]}"
    if asked in ("json", "jsonl"):
        for line in lines:
            check_document(json.loads(line))
    return out


def format_in(args: Sequence[str]) -> str:
    """What ``--format`` asks for last; empty where it is not given."""
    words = [*args[: args.index("--")]] if "--" in args else [*args]
    given = [word.removeprefix("--format=") for word in words if word.startswith("--format=")]
    given += [word for before, word in itertools.pairwise(words) if before == "--format"]
    return given[-1] if given else ""


def check_document(document: Mapping[str, Any]) -> None:
    """It says its type, and is as the schema of that type says; so is each document in it."""
    error = next(validator_of(document["type"]).iter_errors(document), None)
    assert error is None, f"{document['type']}: {'.'.join(map(str, error.path))}: {error.message}"
    inner = [document.get(name) for name in NESTED]
    inner += [stack.get("document") for stack in document.get("stacks", ()) if isinstance(stack, dict)]
    for each in inner:
        if isinstance(each, dict) and "type" in each:
            check_document(each)


@cache
def validator_of(name: str) -> Draft202012Validator:
    text = output_schema(name)
    assert text is not None, f"no schema of {name}"
    schema = json.loads(text)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
