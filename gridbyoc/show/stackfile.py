"""Results of the commands about the stack file itself: ``new``, ``validate``, ``fmt``, ``schema``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypedDict

import gridbyoc
from gridbyoc.errors import Problem
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.model import ClusterSpec, Stack
from gridbyoc.stack.words import json_text

Found = Sequence[tuple[str, Problem]]
"""Problems, each with its level: ``error`` or ``warning``."""
Placed = list[tuple[str, Problem, str]]
"""Problems, each with its level and its file's path relative to the repository's root."""


@dataclass(frozen=True, slots=True)
class Starting:
    """A starter stack file: its path, or its text if it goes to standard output.

    ``sandboxed``: written in a sandbox.
    """

    file: str | None
    text: str | None = None
    sandboxed: bool = False


class NewBody(TypedDict):
    """The starter stack file that was written; for ``-``, its text."""

    file: str | None
    text: str | None


def _new_json(made: Starting) -> NewBody:
    return {"file": made.file, "text": made.text}


def _write_new(made: Starting, screen: Screen) -> None:
    if made.file is None:
        screen.document((made.text or "").rstrip("\n"))
        return
    named = "" if made.file == "gridbyoc.yaml" else f" {shlex.quote(made.file)}"
    screen.line(f"Wrote {made.file}. Next:")
    screen.line(f"  gridbyoc validate{named}")
    if made.sandboxed:  # a second sandbox would leave a work_dir whose role the first one does not have
        screen.line(f"  gridbyoc plan{named}   # what it would do in this sandbox")
    else:
        screen.line(f"  gridbyoc sandbox run -- gridbyoc bootstrap --yes{named}   # try it, without an AWS account")
        screen.line(f"  gridbyoc plan{named}                                      # what it would do in your account")
    screen.line(f"  gridbyoc bootstrap{named}")


NEW = Output("new", _new_json, _write_new, stack="none")


@dataclass(frozen=True, slots=True)
class Validated:
    """The problems found in the stack file ``name``, read in ``cwd``; ``stack`` is ``None`` if it is not valid.

    ``placed`` finds the problems' files in the repository.
    """

    name: str
    cwd: Path
    stack: Stack | None
    found: Found
    placed: Callable[[Found], Placed]


class LevelledProblem(TypedDict):
    """One problem of a stack file. ``path`` is the key's path, such as ``aws.region``."""

    level: Literal["error", "warning"]
    file: str
    line: int | None
    path: str
    message: str
    hint: str


class ValidateBody(TypedDict):
    """Every problem of a stack file; ``valid``: none of them is an error."""

    file: str
    valid: bool
    problems: list[LevelledProblem]


def problem_json(problem: Problem, level: Literal["error", "warning"]) -> LevelledProblem:
    """One problem."""
    return {
        "level": level,
        "file": problem.file,
        "line": problem.line,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }


def _validate_json(done: Validated) -> ValidateBody:
    problems = [problem_json(problem, "error" if level == "error" else "warning") for level, problem in done.found]
    return {"file": done.name, "valid": done.stack is not None, "problems": problems}


def _write_validated(done: Validated, screen: Screen) -> None:
    for _, problem in done.found:
        screen.note(f"warning: {problem}")
    if done.stack:
        for line in summary(done.stack, done.name, done.cwd):
            screen.line(line)


def _sarif(done: Validated, _stack: str) -> str:
    from gridbyoc.show.ci import sarif

    return json_text(sarif(done.placed(done.found), version=gridbyoc.__version__), indent=2)


VALIDATE = Output("validate", _validate_json, _write_validated, stack="optional", others={"sarif": _sarif})


def summary(stack: Stack, name: str, cwd: Path) -> Iterator[str]:
    """The lines that ``validate`` writes for a valid file."""
    guard = f", account {stack.aws.account_id} only" if stack.aws.account_id else ""
    profile = f", profile {stack.aws.profile}" if stack.aws.profile else ""
    yield f"{'Standard input' if name == '-' else name} is valid."
    yield f"  stack          {stack.name}"
    yield f"  region         {stack.aws.region}{profile}{guard}"
    if stack.aws.role_arn:
        yield f"  assumes        {stack.aws.role_arn}"
    yield f"  role           {_role(stack)}"
    if stack.protect:
        yield "  protected      nothing in it is destroyed or replaced"
    for cluster in stack.clusters:
        yield f"  cluster        {_cluster(cluster)}"
    plane = stack.control_plane
    yield f"  control plane  {', '.join(filter(None, (plane.type, plane.url, plane.vendor)))}"
    yield f"  state          {_state(stack, cwd)}"


def _role(stack: Stack) -> str:
    if stack.terraform.module:
        return f"created by the module {stack.terraform.module.source}"
    return stack.role.name or f"a generated name{f' after {stack.role.name_prefix}' if stack.role.name_prefix else ''}"


def _cluster(cluster: ClusterSpec) -> str:
    types = [
        item.name + (f" ({item.overprovisioned_ondemand_count} kept ready)" * bool(item.overprovisioned_ondemand_count))
        for item in cluster.instance_types
    ]
    profile = f" ({cluster.performance_profile})" if cluster.performance_profile else ""
    return f"{cluster.name}{profile}: {', '.join(types) or 'the instance types of the control plane'}"


def _state(stack: Stack, cwd: Path) -> str:
    from gridbyoc.stack.model import S3Backend

    backend = stack.terraform.backend
    if isinstance(backend, S3Backend):
        return f"s3://{backend.bucket}/{backend.key} ({backend.region})"
    work_dir = stack.work_dir() if stack.file else stack.work_dir(cwd)
    return f"local, in {work_dir.relative_to(cwd) if work_dir.is_relative_to(cwd) else work_dir}"


class FmtBody(TypedDict):
    """The stack files that were changed, or would be with --check."""

    changed: list[str]


def _fmt_json(changed: Sequence[str]) -> FmtBody:
    return {"changed": list(changed)}


def _write_fmt(changed: Sequence[str], screen: Screen) -> None:
    for name in changed:
        screen.line(name)


FMT = Output("fmt", _fmt_json, _write_fmt, stack="none")


@dataclass(frozen=True, slots=True)
class SchemaDocument:
    """A JSON Schema, as text."""

    name: str
    text: str


class SchemaBody(TypedDict):
    """A JSON Schema (2020-12): of the stack file (``stack_file``), or of an output."""

    name: str
    schema: dict[str, Any]


def _schema_json(found: SchemaDocument) -> SchemaBody:
    return {"name": found.name, "schema": json.loads(found.text)}


SCHEMA = Output("schema", _schema_json, lambda found, screen: screen.document(found.text.rstrip("\n")), stack="none")


@dataclass(frozen=True, slots=True)
class SchemaCompared:
    """Whether ``file`` differs from this version's schema of the stack file."""

    file: str
    differs: bool


class SchemaCheckBody(TypedDict):
    """Whether a file differs from this version's schema of the stack file."""

    file: str
    differs: bool


def _schema_check_json(found: SchemaCompared) -> SchemaCheckBody:
    return {"file": found.file, "differs": found.differs}


def _write_schema_check(found: SchemaCompared, screen: Screen) -> None:
    fix = f"not the schema of this version: `gridbyoc schema > {shlex.quote(found.file)}`"
    screen.line(f"{found.file} is {fix if found.differs else 'the schema of this version.'}")


SCHEMA_CHECK = Output("schema_check", _schema_check_json, _write_schema_check, stack="none")


class SchemaTitle(TypedDict):
    """An output: its ``type``, and a description."""

    name: str
    title: str


class SchemasBody(TypedDict):
    """The outputs that have a schema."""

    outputs: list[SchemaTitle]


def _schemas_json(found: Mapping[str, str]) -> SchemasBody:
    return {"outputs": [{"name": name, "title": title} for name, title in found.items()]}


def _write_schemas(found: Mapping[str, str], screen: Screen) -> None:
    screen.table(("name", "description"), list(found.items()))


SCHEMAS = Output("schemas", _schemas_json, _write_schemas, stack="none")


def output_schema(name: str) -> str | None:
    """The schema of the output ``name`` as text; ``None`` if there is none of that name."""
    return (files("gridbyoc.show") / "schemas" / f"{name}.json").read_text("utf-8") if name in _names() else None


def output_schemas() -> dict[str, str]:
    """Every output that has a schema, with its title."""
    found = {name: json.loads(output_schema(name) or "{}") for name in _names()}
    return {name: str(schema.get("title", "")) for name, schema in found.items()}


@cache
def _names() -> tuple[str, ...]:
    there = (files("gridbyoc.show") / "schemas").iterdir()
    return tuple(sorted(each.name.removesuffix(".json") for each in there if each.name.endswith(".json")))
