"""Write what is generated from the code: the shipped help and its copy in the manual, the tables of codes, the schemas
of the JSON outputs, the manual's pages of the examples and of the Terraform module.

Run with ``make docs``; the suite fails where the files differ from what this writes.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from click.testing import CliRunner

import gridbyoc
import gridbyoc.cli
import gridbyoc.show
from gridbyoc import errors
from gridbyoc.aws.permissions import PHASES, needs_of
from gridbyoc.cli.completion import CODES
from gridbyoc.cli.explanations import EXPLANATIONS, of_error
from gridbyoc.cli.main import cli
from gridbyoc.errors.cards import CARDS
from gridbyoc.operations import events
from gridbyoc.operations.fleet.model import RESULTS
from gridbyoc.operations.preflight.catalogue import CHECKS, KINDS
from gridbyoc.operations.verify_model import KINDS as PROOF_KINDS
from gridbyoc.render.pipelines import ENGINES, PipelineSettings, PipelineStack, default_source, render_pipeline
from gridbyoc.show.fleet import FleetStartedLine, StackFinishedLine, StackStartedLine, StackWaitingLine
from gridbyoc.show.output import Output
from gridbyoc.stack.model import AssumeRole, Aws, ControlPlane, Role, S3Backend, Stack, TerraformSettings

ROOT = Path(gridbyoc.__file__).parent.parent


def help_text() -> str:
    """What ``gridbyoc --help`` prints."""
    return CliRunner().invoke(cli, ["--help"], prog_name="gridbyoc").output


def install_steps(*, published: bool, version: str) -> str:
    """How to install gridbyoc where it shall run, with and without PyPI."""
    released = f"""```console
$ pip install 'gridbyoc[embedded]=={version}'
```"""
    unreleased = f"""gridbyoc is not on PyPI yet. Build a wheel in a clone and install it anywhere, or let pip read the
Git repository:

```console
$ make build
$ pip install "$(ls dist/gridbyoc-*.whl)[embedded]"
$ pip install 'gridbyoc[embedded] @ git+https://YOUR_GIT_HOST/gridbyoc@v{version}'
```"""
    return released if published else unreleased


def jobs_install(*, published: bool, version: str) -> str:
    """The default source of the gridbyoc that jobs of a rendered pipeline install."""
    source = default_source(version, on_pypi=published)
    settings = PipelineSettings((), f"=={version}", install_from=source)
    if published:
        return f"By default they install exactly the running version from PyPI: `{settings.requirement}`."
    return (
        "gridbyoc is not on PyPI yet. By default they install a wheel in your repository,\n"
        f"`{settings.requirement}`: run `make build` in a clone of gridbyoc, and commit the\n"
        f"wheel from `dist/` as `{source}`."
    )


def error_table() -> str:
    """A row for each error: code, meaning, exit status."""
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = sorted((k for k in found if issubclass(k, errors.GridbyocError)), key=lambda kind: kind.code)
    rows = [f"| `{kind.code}` | {of_error(kind).title} | {int(kind.exit_status)} |" for kind in kinds]
    return "\n".join(["| code | means | status |", "|---|---|---|", *rows])


def preflight_page() -> str:
    """A section for each group of checks, a row for each code."""
    groups = dict.fromkeys(kind.group for check in CHECKS for kind in check.kinds)
    sections = [
        "\n".join([f"## {group.capitalize()}", "", "| code | check | means |", "|---|---|---|", *_kind_rows(group)])
        for group in groups
    ]
    return "\n\n".join(sections)


def verify_table() -> str:
    """A row for each finding of ``verify``."""
    rows = [f"| `{each.code}` | {each.meaning} | {each.otherwise} |" for each in PROOF_KINDS]
    return "\n".join(["| code | question | not `pass` |", "|---|---|---|", *rows])


def failures_page() -> str:
    """A section for each failure card, by where the failure comes from."""
    families = {"GBY-A": "AWS", "GBY-C": "The control plane", "GBY-T": "Terraform, providers and the state"}
    parts = []
    for family, heading in families.items():
        parts.append(f"## {heading}")
        for card in (each.filled({}) for each in CARDS if each.code.startswith(family)):
            parts += [
                f'<a id="{card.code.lower()}"></a>',  # a link that outlives the title
                f"### {card.code}: {card.title}",
                _plain(f"{card.cause[0].upper()}{card.cause[1:]}"),
                f"**Do:** {_plain(card.fix)}",
                f"**Re-run:** {card.rerun}",
            ]
    return "\n\n".join(parts)


def needs_page() -> str:
    """A section for each phase, a row for each action and resource, for a stack that has everything."""
    parts = []
    for phase, title in PHASES.items():
        if phase == "assume-role":
            needs = needs_of(ASSUMING, "PARTITION", phases=[phase], part="caller")
        else:
            needs = needs_of(EVERYTHING, "PARTITION", "ACCOUNT", phases=[phase])
        rows = dict.fromkeys((need.action, need.resource, need.purpose, need.unseen) for need in needs)
        cells = [
            f"| `{action}` | `{resource}` | {purpose}{f' ({unseen})' if unseen else ''} |"
            for action, resource, purpose, unseen in sorted(rows)
        ]
        parts.append("\n".join([f"### {title}", "", "| action | resource | for |", "|---|---|---|", *cells]))
    return "\n\n".join(parts)


EVERYTHING = Stack(
    "NAME",
    Aws("REGION"),
    Role(permissions_boundary="arn:PARTITION:iam::ACCOUNT:policy/BOUNDARY"),
    (),
    ControlPlane(),
    TerraformSettings(S3Backend("BUCKET", "KEY", "REGION", kms_key_id="KEY_ID", dynamodb_table="TABLE")),
)
ASSUMING = dataclasses.replace(
    EVERYTHING, aws=Aws("REGION", assume_role=AssumeRole("arn:PARTITION:iam::ACCOUNT:role/ROLE"))
)


def _plain(text: str) -> str:
    """Markdown in which a star outside of code is a star."""
    return "`".join(part if odd % 2 else part.replace("*", r"\*") for odd, part in enumerate(text.split("`")))


def _kind_rows(group: str) -> list[str]:
    kinds = [kind for kind in KINDS if kind.group == group]
    return [
        f"| `{k.code}` | {f'[{k.title}]({k.link})' if k.link else k.title} | {' '.join(k.meaning.split())} |"
        for k in kinds
    ]


def examples_page() -> str:
    """A section for each numbered example, with its text, and the base that one of them extends."""
    found = sorted((ROOT / "examples").glob("[0-9]*.yaml"))
    found += [path for name in ("bases", "accounts") for path in sorted((ROOT / "examples" / name).glob("*.yaml"))]
    named = [(path.relative_to(ROOT / "examples").as_posix(), path.read_text().strip()) for path in found]
    return "\n\n".join(f"## {name}\n\n```yaml\n{text}\n```" for name, text in named)


def module_page() -> str:
    """The module's README, with links that lead from the manual."""
    text = (ROOT / "modules" / "gridbyoc" / "README.md").read_text()
    return re.sub(r"\[(?:[^\]]+)\]\((examples[^)]*)\)", r"`modules/gridbyoc/\1`", text)


def pipelines() -> dict[Path, str]:
    """The Make file that ships with the repository, and an example of each engine's file."""
    stack = PipelineStack("ml-prod", "stacks/ml-prod.yaml", "us-west-2")
    source = default_source(gridbyoc.__version__, on_pypi=gridbyoc.ON_PYPI)
    settings = PipelineSettings((stack,), f"=={gridbyoc.__version__}", paths=("stacks",), install_from=source)
    examples = ROOT / "examples" / "pipelines"
    found = {
        examples / engine.path.lstrip("."): render_pipeline(engine, settings, ["stacks"]) for engine in ENGINES.values()
    }
    return {**found, ROOT / ENGINES["make"].path: render_pipeline(ENGINES["make"], PipelineSettings((), "==0"))}


Schema = dict[str, Any]
Hint = Any
"""A type, as an annotation names it."""
DRAFT = "https://json-schema.org/draft/2020-12/schema"
STACK: Mapping[str, Schema] = {
    "named": {"type": "string"},
    "optional": {"anyOf": [{"type": "string"}, {"type": "null"}]},
}
IN_A_FLEET = {*RESULTS.values(), "error"} - {"validate"}
"""Documents that a fleet passes on, each with the stack's name and its file."""
PLAIN: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def schemas() -> dict[Path, str]:
    """The JSON Schema of each output, and of each event of ``--format jsonl``."""
    found = {output.type: output_schema(output) for output in outputs()}
    found |= {event.type: event_schema(event) for event in vars(events).values() if hasattr(event, "type")}
    lines = (FleetStartedLine, StackStartedLine, StackWaitingLine, StackFinishedLine)
    found |= {get_args(get_type_hints(line)["type"])[0]: line_schema(line) for line in lines}
    place = ROOT / "gridbyoc" / "show" / "schemas"
    return {place / f"{name}.json": json.dumps(schema, indent=2) + "\n" for name, schema in found.items()}


def outputs() -> Iterator[Output[Any]]:
    """Every output of the package."""
    for package in (gridbyoc.show, gridbyoc.cli):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            values = vars(importlib.import_module(module.name)).values()
            yield from (value for value in values if isinstance(value, Output))


def output_schema(output: Output[Any]) -> Schema:
    """An output's document."""
    defs: dict[str, Schema] = {}
    body = output.json.__globals__[output.json.__annotations__["return"]]  # type: ignore[attr-defined]  # a function
    about = {"stack": STACK[output.stack]} if output.stack != "none" else {}
    schema = _object_schema(body, defs, {"type": {"const": output.type}, **about})
    if output.type in IN_A_FLEET:
        schema["properties"] |= {
            name: {"type": "string"} for name in ("stack", "file") if name not in schema["properties"]
        }
    return _whole(body, schema, defs)


def event_schema(event: type) -> Schema:
    """An event's line. ``stack`` and ``file``: in the stream of a fleet."""
    defs: dict[str, Schema] = {}
    schema = _object_schema(event, defs, {"type": {"const": event.type}})  # type: ignore[attr-defined]  # of an event
    schema["properties"] |= {name: {"type": "string"} for name in ("stack", "file") if name not in schema["properties"]}
    return _whole(event, schema, defs)


def line_schema(line: type) -> Schema:
    """A line of a fleet's own."""
    defs: dict[str, Schema] = {}
    return _whole(line, _object_schema(line, defs, {}), defs)


def _whole(body: type, schema: Schema, defs: Mapping[str, Schema]) -> Schema:
    text = _words(body)
    title = re.split(r"(?<=\.)\s|(?<!:):\s|;\s", text, maxsplit=1)[0].rstrip(".")
    more = {"$defs": {name: defs[name] for name in sorted(defs)}} if defs else {}
    return {"$schema": DRAFT, "title": title, "description": text, **schema, **more}


def _object_schema(kind: type, defs: dict[str, Schema], first: Mapping[str, Schema]) -> Schema:
    """A ``TypedDict`` or a dataclass: its keys, no others, and those that are required."""
    hints = {name: hint for name, hint in get_type_hints(kind, include_extras=True).items() if not _of_class(hint)}
    required = kind.__required_keys__ if is_typeddict(kind) else hints  # type: ignore[attr-defined]  # of a TypedDict
    properties = {**first, **{name: _schema(hint, defs) for name, hint in hints.items()}}
    needed = [name for name in properties if name in required or name in first]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def _of_class(hint: object) -> bool:
    return get_origin(hint) is ClassVar


def _schema(hint: Hint, defs: dict[str, Schema]) -> Schema:
    origin, args = get_origin(hint), get_args(hint)
    if hasattr(hint, "__metadata__"):
        (what,) = hint.__metadata__
        return _reference(what, defs)
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    if hint is Any:
        return {}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(each, defs) for each in args]}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _schema(args[1], defs)}
    if origin in (list, tuple, Sequence):
        return {"type": "array", "items": _schema(args[0], defs)}
    if is_typeddict(hint) or dataclasses.is_dataclass(hint):
        return _reference(hint, defs)
    raise TypeError(f"no schema for {hint}")


def _reference(what: Hint, defs: dict[str, Schema]) -> Schema:
    """To a definition: of a ``TypedDict``, of what ``asdict`` makes of a dataclass, or of an output's document."""
    name = what.type if isinstance(what, Output) else what.__name__
    if name not in defs:
        defs[name] = {}  # one that holds itself ends here
        if isinstance(what, Output):
            whole = output_schema(what)
            defs.update(whole.pop("$defs", {}))
            defs[name] = {key: value for key, value in whole.items() if key != "$schema"}
        else:
            defs[name] = {"description": _words(what), **_object_schema(what, defs, {})}
    return {"$ref": f"#/$defs/{name}"}


def _words(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split()).replace("``", "`")


def between(text: str, name: str, content: str) -> str:
    """``text`` with what stands between the two ``name`` markers replaced."""
    pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
    return re.sub(pattern, lambda match: match[1] + content + match[2], text, flags=re.DOTALL)


def generated() -> dict[Path, str]:
    """Each file and what it must hold."""
    commands, status = ROOT / "docs" / "commands.md", ROOT / "docs" / "exit-status.md"
    examples, module = ROOT / "docs" / "examples.md", ROOT / "docs" / "module.md"
    preflight, failures = ROOT / "docs" / "preflight.md", ROOT / "docs" / "failures.md"
    pipelines_page = ROOT / "docs" / "pipelines.md"
    permissions, verify = ROOT / "docs" / "permissions.md", ROOT / "docs" / "verify.md"
    install = install_steps(published=gridbyoc.ON_PYPI, version=gridbyoc.__version__)
    fenced = f"```text\n{help_text().strip()}\n```"
    return {
        ROOT / "gridbyoc" / "cli" / "help.txt": help_text(),
        CODES: "".join(f"{code} {each.title}\n" for code, each in EXPLANATIONS.items()),
        **{
            path: between(path.read_text(), "install", install)
            for path in (ROOT / "README.md", ROOT / "docs" / "index.md")
        },
        pipelines_page: between(
            pipelines_page.read_text(), "jobs", jobs_install(published=gridbyoc.ON_PYPI, version=gridbyoc.__version__)
        ),
        commands: between(commands.read_text(), "help", fenced),
        examples: between(examples.read_text(), "examples", examples_page()),
        module: module_page(),
        failures: between(failures.read_text(), "cards", failures_page()),
        preflight: between(preflight.read_text(), "checks", preflight_page()),
        verify: between(verify.read_text(), "findings", verify_table()),
        permissions: between(permissions.read_text(), "needs", needs_page()),
        status: between(status.read_text(), "codes", error_table()),
        **pipelines(),
        **schemas(),
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
