"""Stack file → ``Stack``, or every problem at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from gridbyoc.errors import Problem, StackError
from gridbyoc.stack import defaults
from gridbyoc.stack.build import build_stack
from gridbyoc.stack.document import Document, Origin, read_document
from gridbyoc.stack.extends import Bounds, is_stack_files, take_bases
from gridbyoc.stack.external_id import read_external_id
from gridbyoc.stack.files import work_root_of
from gridbyoc.stack.findings import Findings, in_order
from gridbyoc.stack.model import Stack
from gridbyoc.stack.overrides import apply_overrides
from gridbyoc.stack.rules import Context, check_rules
from gridbyoc.stack.shape import check_shape, leftovers
from gridbyoc.stack.siblings import check_siblings
from gridbyoc.stack.source import STDIN, broken, decode, read_source, read_stdin
from gridbyoc.stack.words import counted, show

Source = Path | str
Stdin = TextIO | str | bytes | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid stack, what is worth a word about its file, and where its values stand."""

    stack: Stack
    warnings: tuple[Problem, ...]
    origin: Origin


def load(
    source: Source,
    *,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str],
    stdin: Stdin = None,
    cwd: Path | None = None,
    home: Path | None = None,
) -> Stack:
    """The stack of a file: ``read`` without its warnings."""
    return read(source, overrides=overrides, environ=environ, stdin=stdin, cwd=cwd, home=home).stack


def read(
    source: Source,
    *,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str],
    stdin: Stdin = None,
    cwd: Path | None = None,
    home: Path | None = None,
    any_instance_type: bool = False,
) -> Loaded:
    """Read and check a stack file (YAML 1.2, so JSON as well).

    ``source`` is a path, or ``-`` for standard input: ``stdin`` is then a stream or the text itself. ``overrides`` are
    ``PATH=VALUE``. What the file ``extends`` is merged in. ``environ`` answers ``role.external_id_from.env``, and says
    where work_dirs lie; ``home``
    (default: its ``HOME``) is what ``~/`` means; ``cwd`` is where a relative ``source`` lies, and what paths in a file
    from stdin are relative to.
    ``any_instance_type`` lets types pass that no cluster can run on, for whoever looks at them otherwise; a file with
    another problem is refused with all of them. Raises ``StackError`` with every problem: file, line, path, what is
    allowed.
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
        # a link in a repository that is not ours: problems would show lines of whatever it leads to
        raise broken(shown, "is a link to a file that is no stack file", "name the stack file itself")
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
        defaults.drop_empty_sections(document)
    context = Context.of(document, where.base, where.home, defaults.REGION)
    rest = check_shape(findings)
    check_rules(findings, context)
    external_id = read_external_id(findings, context, environ)
    leftovers(findings, rest)
    if findings.problems and not (any_instance_type and findings.types_only):
        raise _error(document, findings.problems)
    check_siblings(findings, where.file)
    complete = defaults.with_defaults(document.data)
    stack = build_stack(complete, context, external_id, where.file, work_root_of(environ))
    return Loaded(stack, in_order(findings.warnings, document.file), document.origin)


def _error(document: Document, problems: Sequence[Problem]) -> StackError:
    ordered = in_order(list(problems), document.file)
    return StackError(f"The stack file {show(document.file)} has {counted(len(ordered), 'problem')}.", problems=ordered)
