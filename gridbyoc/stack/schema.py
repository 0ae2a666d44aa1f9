"""The stack file's JSON Schema (2020-12): load it, look up places in it, and report its errors as problems."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridbyoc.stack.findings import Findings
from gridbyoc.stack.words import Place, did_you_mean, listed, nearest, show

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Schema = dict[str, Any]


def schema_text() -> str:
    """The schema file's text: JSON that ends with a line feed."""
    return Path(__file__).with_name("schema.json").read_text(encoding="utf-8")


@functools.cache
def schema() -> Schema:
    """The schema as data; do not modify it."""
    loaded: Schema = json.loads(schema_text())
    return loaded


def resolved(node: Schema) -> Schema:
    """A schema with its ``$ref`` resolved; keys beside the ``$ref`` win."""
    while "$ref" in node:
        target = schema()["$defs"][node["$ref"].rpartition("/")[2]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def schemas_at(place: Place) -> list[Schema]:
    """Every schema that applies to a value at ``place``; empty if a stack file has no such place."""
    found = [schema()]
    for part in place:
        found = [inner for node in found for inner in _step(node, part)]
    return found


def takes_text(place: Place) -> bool:
    """Whether the value at ``place`` must be text."""
    found = schemas_at(place)
    return bool(found) and all(node.get("type") == "string" for node in found)


def sections() -> Iterator[Place]:
    """The places of optional mappings and lists, outermost first; places inside lists are not included."""
    yield from _sections(schema(), ())


def _sections(node: Schema, place: Place) -> Iterator[Place]:
    required = (*node.get("required", ()), *node.get("else", {}).get("required", ()))
    for key, inner in node.get("properties", {}).items():
        child = resolved(inner)
        if child.get("type") in {"object", "array"} and key not in required:
            yield (*place, key)
            yield from _sections(child, (*place, key))


def _step(node: Schema, part: str | int) -> list[Schema]:
    if isinstance(part, int):
        inner = node.get("items")
    else:
        inner = node.get("properties", {}).get(part, node.get("additionalProperties"))
    if not isinstance(inner, dict):
        return []
    inner = resolved(inner)
    return [resolved(branch) for branch in inner["anyOf"]] if "anyOf" in inner else [inner]


EXTERNAL_ID_ADVICE = (
    "gridbyoc generates one; to give your own, write `external_id_from: {env: VARIABLE}` or"
    " `external_id_from: {file: PATH}`, and remove this value"
)
_SECRETS = "secrets do not belong in a stack file: credentials come from the environment or a login"
_ADVICE = {
    "external_id": EXTERNAL_ID_ADVICE,
    "role_arn": "a stack creates its role; for an existing role use `gridbyoc register --role-arn`",
    "cost_savings": "write `performance_profile: cost-saving`",
    "workspace": "Terraform workspaces are not used: one stack, one state",
    **dict.fromkeys(("api_key", "token", "password", "secret", "secret_key", "access_key"), _SECRETS),
    **dict.fromkeys(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), _SECRETS),
}
_NOUNS = {"object": "a mapping", "array": "a list", "string": "text", "integer": "a whole number", "number": "a number"}
_NOUNS |= {"boolean": "`true` or `false`"}
_EXTERNAL_ID_FROM = "external_id_from"
_WRITTEN = {
    "object": "a mapping is written `{key: value}`, or one `key: value` a line",
    "array": "a list is written `[first, second]`, or one item a line, each after `- `",
}
_EXAMPLES: dict[tuple[str, ...], str] = {
    ("version",): "write `version: 1`",
    ("name",): "write `name: my-stack`",
    ("clusters",): "write `clusters: [{name: my-cluster}]`",
    ("clusters", "name"): "write `name: my-cluster`",
}


def check_shape(findings: Findings, against: Schema | None = None) -> list[ValidationError]:
    """Report errors of type, key and range; return the schema's other errors, for ``leftovers``.

    ``against`` is another file's schema; by default, the stack file's.
    """
    others: list[ValidationError] = []
    for error in _errors(findings.document.data, schema() if against is None else against):
        report = _REPORTERS.get(str(error.validator))
        if report:
            report(findings, _place(error), error)
        else:
            others.append(error)
    return others


def leftovers(findings: Findings, errors: list[ValidationError]) -> None:
    """Report the errors for which no rule has reported a problem with a better message."""
    for error in errors:
        place = _place(error)
        if not findings.known_at(place):
            findings.problem(place, "does not have the form required here", _schema_of(error).get("description", ""))


def secret_advice(key: str) -> str | None:
    """The advice for a key that would hold a secret; ``None`` for other keys."""
    advice = _ADVICE.get(key.lower().replace("-", "_"))
    return advice if advice in (EXTERNAL_ID_ADVICE, _SECRETS) else None


def _errors(data: Any, against: Schema) -> Iterator[ValidationError]:  # noqa: ANN401 - any YAML value
    from jsonschema import Draft202012Validator  # here: half of the time to load a stack file's reader

    for error in Draft202012Validator(against).iter_errors(data):
        yield from _branches(error)


def _branches(error: ValidationError) -> Iterator[ValidationError]:
    """Replace an ``anyOf`` error with the errors of the branches that match the value's type, if any do."""
    if error.validator != "anyOf":
        yield error
        return
    context = error.context or []
    wrong = {inner.schema_path[0] for inner in context if inner.validator == "type" and not inner.relative_path}
    fitting = [inner for inner in context if inner.schema_path[0] not in wrong]
    if not fitting:
        yield error
    for inner in fitting:
        yield from _branches(inner)


def _schema_of(error: ValidationError) -> dict[str, Any]:
    return error.schema if isinstance(error.schema, dict) else {}


def _mapping(error: ValidationError) -> dict[str, Any]:
    return error.instance if isinstance(error.instance, dict) else {}


def _keys(place: Place) -> tuple[str, ...]:
    """A place without its list positions."""
    return tuple(part for part in place if isinstance(part, str))


def _place(error: ValidationError) -> Place:
    return tuple(error.absolute_path)


def _unknown_keys(findings: Findings, place: Place, error: ValidationError) -> None:
    known = list(_schema_of(error).get("properties", {}))
    allowed = f"allowed: {', '.join(known)}" if known else "nothing is allowed here"
    for key in (key for key in _mapping(error) if key not in known):
        if place[-1:] == (_EXTERNAL_ID_FROM,) and not nearest(key, known):
            # do not repeat it: it may be the external id itself
            findings.problem(place, "holds an unknown key", allowed)
            continue
        hint = _ADVICE.get(key.lower().replace("-", "_")) or did_you_mean(key, known, allowed)
        findings.problem((*place, key), f"unknown key {show(key)}", hint)


def _missing(findings: Findings, place: Place, error: ValidationError) -> None:
    known = _schema_of(error).get("properties", {})
    misspelt = {nearest(key, known) for key in _mapping(error) if key not in known}
    for key in _schema_of(error)["required"]:
        if key not in _mapping(error) and key not in misspelt:
            findings.problem(place, f"`{key}` is missing", _EXAMPLES.get((*_keys(place), key), ""))


def _wrong_type(findings: Findings, place: Place, error: ValidationError) -> None:
    wanted = str(error.validator_value)
    if "enum" in _schema_of(error):
        return  # the error of `enum` says it all
    if not place:
        findings.problem(place, f"must be a mapping, not {_noun(error.instance)}", "begin with `version: 1`")
        return
    if error.instance is None:
        findings.problem(place, f"is empty; it must be {_NOUNS[wanted]}", "give it a value, or remove the key")
        return
    message = f"must be {_NOUNS[wanted]}, not {_noun(error.instance)}"
    findings.problem(place, message, _type_hint(findings, place, error))


def _type_hint(findings: Findings, place: Place, error: ValidationError) -> str:
    wanted, written = str(error.validator_value), findings.document.written.get(place)
    if wanted == "string" and written is not None:
        return "write it in quotes" + ("" if _EXTERNAL_ID_FROM in place else f': "{written}"')
    if wanted in {"integer", "boolean"} and isinstance(error.instance, str) and written is None:
        return "write it without quotes"
    return _WRITTEN.get(wanted, "")


def _noun(value: Any) -> str:  # noqa: ANN401 - any YAML value
    if value is None:
        return "empty"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return names[type(value)]


def _not_allowed(findings: Findings, place: Place, error: ValidationError) -> None:
    allowed = [str(item) for item in _schema_of(error)["enum"]]
    value = error.instance
    hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
    findings.problem(place, f"must be {listed(allowed)}", hint)


def _not_the_version(findings: Findings, place: Place, error: ValidationError) -> None:
    message = f"must be `{error.validator_value}`: this gridbyoc reads only that version of the stack file"
    if not findings.known_at(place):
        findings.problem(place, message, "write `version: 1`, or install the gridbyoc that the file was written for")


def _no_such_type(findings: Findings, place: Place, error: ValidationError) -> None:
    written = "written as `t2.medium` or `{name: t2.medium, root_volume_size: 200}`"
    findings.problem(place, f"must be an instance type, not {_noun(error.instance)}", written)


def _too_few(findings: Findings, place: Place, error: ValidationError) -> None:
    known = list(_schema_of(error).get("properties", {}))
    hint = f"give one of {listed(known)}" if known else "give at least one item, or remove the key"
    findings.problem(place, "is empty", _EXAMPLES.get(_keys(place), hint))


def _too_many(findings: Findings, place: Place, error: ValidationError) -> None:
    known = list(_schema_of(error).get("properties", {}))
    if known and all(key in known for key in _mapping(error)):
        findings.problem(place, f"holds more than one key; allowed is one of {listed(known)}", "keep one")


def _out_of_range(findings: Findings, place: Place, error: ValidationError) -> None:
    low, high = _schema_of(error).get("minimum"), _schema_of(error).get("maximum")
    allowed = f"{low} to {high}" if high is not None else f"{low} or more"
    findings.problem(place, f"is {error.instance}; allowed is {allowed}")


_REPORTERS: Mapping[str, Callable[[Findings, Place, ValidationError], None]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing,
    "type": _wrong_type,
    "enum": _not_allowed,
    "const": _not_the_version,
    "anyOf": _no_such_type,
    "minItems": _too_few,
    "minProperties": _too_few,
    "maxProperties": _too_many,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
}
