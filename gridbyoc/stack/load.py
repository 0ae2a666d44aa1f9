"""Load a stack file: return a ``Stack``, or raise every problem at once."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

from gridbyoc.errors import Problem, StackError
from gridbyoc.stack import defaults
from gridbyoc.stack.document import STDIN, Document, Origin, broken, decode, read_document, read_source, read_stdin
from gridbyoc.stack.extends import Bounds, StackFileIndex, is_stack_files, take_bases
from gridbyoc.stack.external_id import TO_ASSUME, read_external_id
from gridbyoc.stack.files import work_root_of
from gridbyoc.stack.findings import Findings, in_order
from gridbyoc.stack.model import (
    AssumeRole,
    Aws,
    ClusterSpec,
    ControlPlane,
    InstanceType,
    LocalBackend,
    ModuleOutputs,
    ModuleSource,
    OwnPolicy,
    PolicyStatement,
    Role,
    S3Backend,
    Stack,
    TerraformSettings,
)
from gridbyoc.stack.overrides import apply_overrides
from gridbyoc.stack.rules import check_rules
from gridbyoc.stack.rules.context import RuleContext
from gridbyoc.stack.rules.terraform import is_path
from gridbyoc.stack.sandbox_mark import ignored_places, in_sandbox
from gridbyoc.stack.schema import check_shape, leftovers
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import counted, show
from gridbyoc.vendors import DEFAULT_VENDOR, shared_external_id

Data = dict[str, Any]
_LISTS = {
    "trusted_principals",
    "trusted_principals_without_external_id",
    "managed_policies",
    "known_policies",
    "known_inline_policies",
}
"""The keys of ``role`` that are lists of text."""


@dataclass(frozen=True, slots=True)
class ExternalIds:
    """The external ids that a stack supplies: to its own role, and to the roles that the tool assumes."""

    role: Secret | None = None
    aws: Secret | None = None
    state: Secret | None = None


def build_stack(
    data: Data, context: RuleContext, external_ids: ExternalIds, file: Path | None, work_root: Path | None = None
) -> Stack:
    """The stack of a file without problems; ``data`` includes the defaults (``with_defaults``)."""
    name: str = data["name"]
    return Stack(
        name=name,
        aws=Aws(**_with_role(data["aws"], name, external_ids.aws)),
        role=_role(data.get("role", {}), external_ids.role, data.get("control_plane", {})),
        clusters=tuple(_cluster(item) for item in data["clusters"]),
        control_plane=_control_plane(data.get("control_plane", {}), context),
        terraform=_terraform(data["terraform"], context, name, external_ids.state),
        file=file,
        protect=data.get("protect", False),
        work_root=work_root,
    )


def _with_role(data: Data, stack: str, external_id: Secret | None) -> Data:
    """The mapping with its ``assume_role``, if it has one, as a dataclass."""
    if "assume_role" not in data:
        return data
    fields = {"session_name": f"gridbyoc-{stack}"[:64], **data["assume_role"]}
    variable = fields.pop("external_id_from", {}).get("env")
    return {**data, "assume_role": AssumeRole(**fields, external_id=external_id, external_id_variable=variable)}


def _role(data: Data, external_id: Secret | None, control_plane: Data) -> Role:
    fields = {key: value for key, value in data.items() if key != "external_id_from"}
    for key in _LISTS & fields.keys():
        fields[key] = tuple(fields[key])
    if "statements" in fields:
        fields["statements"] = tuple(_statement(item) for item in fields["statements"])
    for key in ("max_session_hours", "max_session_seconds"):
        if key in fields:
            fields[key] = int(fields[key])
    if "tags" in fields:
        fields["tags"] = MappingProxyType(dict(fields["tags"]))
    if "policy" in fields:
        fields["policy"] = _own_policy(fields["policy"])
    variable = data.get("external_id_from", {}).get("env")
    named = control_plane.get("type", DEFAULT_VENDOR)
    vendor = None if named == "manual" else named
    return Role(external_id=external_id, external_id_variable=variable, vendor=vendor, **fields)


def _own_policy(data: Data) -> OwnPolicy:
    tags = {"tags": MappingProxyType(dict(data["tags"]))} if "tags" in data else {}
    return OwnPolicy(**{**data, **tags})


def _statement(data: Data) -> PolicyStatement:
    fields: Data = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    return PolicyStatement(**fields)


def _cluster(data: Data) -> ClusterSpec:
    types = tuple(_instance_type(item) for item in data.get("instance_types", ()))
    return ClusterSpec(**{**data, "instance_types": types})


def _instance_type(item: str | Data) -> InstanceType:
    if isinstance(item, str):
        return InstanceType(item)
    # JSON Schema accepts 3.0 as a whole number
    fields: Data = {key: value if key == "name" else int(value) for key, value in item.items()}
    return InstanceType(**fields)


def _control_plane(data: Data, context: RuleContext) -> ControlPlane:
    fields = dict(data)
    if "url" in fields:
        fields["url"] = fields["url"].rstrip("/")
    if "ca_bundle" in fields:
        fields["ca_bundle"] = context.path(fields["ca_bundle"])
    return ControlPlane(**fields)


def _terraform(data: Data, context: RuleContext, stack: str, external_id: Secret | None) -> TerraformSettings:
    fields = dict(data)
    s3 = fields.pop("backend", {}).get("s3")
    if "provider_mirror" in fields:
        fields["provider_mirror"] = context.path(fields["provider_mirror"])
    if "module" in fields:
        fields["module"] = _module(fields["module"], context)
    backend = S3Backend(**_with_role(s3, stack, external_id)) if s3 else LocalBackend()
    return TerraformSettings(backend=backend, **fields)


def _module(data: Data, context: RuleContext) -> ModuleSource:
    source = data["source"]
    if is_path(source):
        # `PACKAGE//MODULE`: the package's directory, and the module's directory in it
        base, _, inner = source.partition("//")
        source = f"{context.path(base)}//{inner}" if inner else str(context.path(source))
    return ModuleSource(
        source,
        data.get("version"),
        MappingProxyType(dict(data.get("inputs", {}))),
        _outputs(data["outputs"]) if "outputs" in data else ModuleOutputs(),
        data.get("external_id_input"),
    )


def _outputs(data: Data) -> ModuleOutputs:
    """The module's outputs. ``role_arn`` is the first of several roles; an unnamed ``external_id`` is not an output."""
    roles = dict(data.get("roles", {}))
    if roles and "role_arn" in data:
        roles = {"role": data["role_arn"], **roles}
    first = next(iter(roles.values()), data.get("role_arn", "role_arn"))
    return ModuleOutputs(first, data.get("external_id"), MappingProxyType(roles))


_MOST_ENTRIES, _MOST_FILES, _MOST_BYTES = 1000, 100, 64 * 1024
_NAME = re.compile(rb"""^name:[ \t]*["']?([a-z0-9._-]+)["']?[ \t]*(?:#.*)?\r?$""", re.MULTILINE)
_EXTENDS = re.compile(rb"^extends:", re.MULTILINE)
_VERSION = re.compile(rb"^version:[ \t]*1[ \t]*(?:#.*)?\r?$", re.MULTILINE)


def check_siblings(findings: Findings, file: Path | None) -> None:
    """Warn if another stack file in the directory of ``file`` has the same name."""
    name = findings.document.text("name")
    if file is None or name is None:
        return
    index = StackFileIndex()
    for other in _yaml_files(file.parent):
        if _stack_name(other, file, index) == name and not _is_mere_base(other, file, index):
            message = f"{show(other.name)} has the same stack name: both would use the work_dir `.gridbyoc/{name}`"
            findings.warning(("name",), message, "give each stack a name of its own")


def _yaml_files(directory: Path) -> list[Path]:
    try:
        entries = itertools.islice(os.scandir(directory), _MOST_ENTRIES)
        found = [entry.name for entry in entries if entry.name.endswith((".yaml", ".yml")) and entry.is_file()]
    except OSError:
        return []
    return [directory / name for name in sorted(found)[:_MOST_FILES]]


def _stack_name(other: Path, file: Path, index: StackFileIndex) -> str | None:
    """The stack name in ``other``, read without a full parse; ``None`` if it is ``file`` itself or not a stack file."""
    try:
        if other.samefile(file):
            return None
        with other.open("rb") as stream:
            head = stream.read(_MOST_BYTES)
    except OSError:
        return None
    match, extends = _NAME.search(head), _EXTENDS.search(head)
    if match is None:
        return index.glance(other).name if extends else None
    return match[1].decode() if extends or _VERSION.search(head) else None


def _is_mere_base(other: Path, file: Path, index: StackFileIndex) -> bool:
    """Whether ``other`` is a base of ``file`` and not a stack of its own: then ``file`` inherits its name from it."""
    return other in index.glance(file).sources and not index.scan(other).whole


StackSource = Path | str
Stdin = TextIO | str | bytes | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid stack, the warnings about its file, and the file and line of each value."""

    stack: Stack
    warnings: tuple[Problem, ...]
    origin: Origin


def load(
    source: StackSource,
    *,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str],
    stdin: Stdin = None,
    cwd: Path | None = None,
    home: Path | None = None,
) -> Stack:
    """``read``, reduced to the stack."""
    return read(source, overrides=overrides, environ=environ, stdin=stdin, cwd=cwd, home=home).stack


def read(
    source: StackSource,
    *,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str],
    stdin: Stdin = None,
    cwd: Path | None = None,
    home: Path | None = None,
    any_instance_type: bool = False,
) -> Loaded:
    """Read and check a stack file (YAML 1.2, so JSON as well).

    ``source`` is a path, or ``-`` for standard input; ``stdin`` is then a stream or the text itself. ``overrides`` are
    ``PATH=VALUE``. The bases that the file ``extends`` are merged in. ``environ`` supplies the variable of
    ``role.external_id_from.env`` and the root of work_dirs. ``home`` (default: ``HOME`` in ``environ``) replaces
    ``~/``. ``cwd`` is the directory for a relative ``source`` and for paths in a file from stdin.

    ``any_instance_type`` accepts instance types that no cluster can run on, for callers that check them themselves; if
    the file has any other problem, all problems are raised. Raises ``StackError`` with every problem: file, line,
    path, what is allowed.
    """
    here = cwd or Path.cwd()
    file = None if str(source) == "-" else Path(os.path.normpath(here / source))
    base = file.parent if file else here
    document = _document(file, str(source), stdin, Bounds.of(base, environ))
    take_bases(document, file, base, environ)
    where = _Where(file, base, home or Path(environ.get("HOME") or base))
    return _checked(document, overrides, environ, where, any_instance_type=any_instance_type)


@dataclass(frozen=True, slots=True)
class _Where:
    file: Path | None
    base: Path
    home: Path


def _document(file: Path | None, name: str, stdin: Stdin, bounds: Bounds) -> Document:
    shown = name if file else STDIN
    text = decode(read_source(file, shown) if file else read_stdin(stdin), shown)
    document = read_document(text, shown)
    if file and file.is_symlink() and not bounds.hold(file) and not is_stack_files(document, text):
        # someone else's repository may contain the link: problems would show lines of an arbitrary file
        raise broken(shown, "is a link to a file that is not a stack file", "give the path of the stack file itself")
    if document.data is None and not document.broken:
        raise broken(shown, "is empty", "`gridbyoc new` writes a starter")
    return document


def _checked(
    document: Document,
    overrides: Sequence[str],
    environ: Mapping[str, str],
    where: _Where,
    *,
    any_instance_type: bool,
) -> Loaded:
    if document.broken:
        raise _error(document, document.faults)
    findings = Findings(document, problems=list(document.faults))
    if isinstance(document.data, dict):
        findings.problems += apply_overrides(document, overrides)
        if in_sandbox(environ):
            _ignore_accounts(findings, environ)
        defaults.drop_empty_sections(document)
        defaults.complete_manual(document)
    context = RuleContext.of(document, where.base, where.home, defaults.REGION)
    rest = check_shape(findings)
    check_rules(findings, context)
    external_id = read_external_id(findings, context, environ)
    if external_id is not None and (known := shared_external_id(external_id.reveal())):
        advice = "choose one of your own" if known.own else "ask the vendor for one of your own"
        findings.warning(
            ("role", "external_id_from"), f"points to an external id that is not a secret: {known.why}", advice
        )
    aws_id, state_id = (read_external_id(findings, context, environ, source) for source in TO_ASSUME)
    leftovers(findings, rest)
    if findings.problems and not (any_instance_type and findings.types_only):
        raise _error(document, findings.problems)
    check_siblings(findings, where.file)
    complete = defaults.with_defaults(document.data)
    external_ids = ExternalIds(external_id, aws_id, state_id)
    stack = build_stack(complete, context, external_ids, where.file, work_root_of(environ))
    return Loaded(stack, in_order(findings.warnings, document.file), document.origin)


def _ignore_accounts(findings: Findings, environ: Mapping[str, str]) -> None:
    """Remove the values that name an account of the user: the sandbox has an account and a control plane of its own."""
    for place in ignored_places(environ):
        *outer, key = place
        holder = findings.document.mapping(*outer)
        if key in holder:
            findings.warning(place, "is ignored in the sandbox, which has an account and a control plane of its own")
            del holder[key]


def _error(document: Document, problems: Sequence[Problem]) -> StackError:
    ordered = in_order(list(problems), document.file)
    return StackError(f"The stack file {show(document.file)} has {counted(len(ordered), 'problem')}.", problems=ordered)
