"""``gridbyoc pipeline``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

import gridbyoc
from gridbyoc import __version__
from gridbyoc.cli.app import App
from gridbyoc.cli.completion import complete_stack_file
from gridbyoc.cli.options import command, pass_app
from gridbyoc.cli.pipeline_check import PIPELINE_CHECK, compare
from gridbyoc.errors import SAFE_NOTHING_DONE, ExitStatus, UsageError
from gridbyoc.show.output import Output, Screen

if TYPE_CHECKING:
    from gridbyoc.render.pipelines import ChildEvent, PipelineEngine, PipelineSettings

LARGEST = 16 * 1024 * 1024
_NOT_REPEATED = frozenset({"engine", "paths", "out", "check", "force", "fleet", "child"})
_SETTINGS = ("branch", "environment", "runner", "drift_schedule", "python_version", "version_spec", "install_from")


@dataclass(frozen=True, slots=True)
class Written:
    """A pipeline's file, ``None`` if its ``text`` goes to standard output; ``advice`` is the next step."""

    file: str | None
    changed: bool = False
    text: str | None = None
    advice: str = ""


class PipelineBody(TypedDict):
    """The file that was written, and whether that changed it; with --out -, the text instead."""

    file: str | None
    changed: bool
    text: str | None


def _pipeline_json(done: Written) -> PipelineBody:
    return {"file": done.file, "changed": done.changed, "text": done.text}


def _write_pipeline(done: Written, screen: Screen) -> None:
    if done.text is not None:
        screen.document(done.text.rstrip("\n"))
        return
    did = "Wrote" if done.changed else "Nothing has changed in"
    screen.line(f"{did} {done.file}. {done.advice}: see docs/pipelines.md.")


PIPELINE = Output("pipeline", _pipeline_json, _write_pipeline, stack="none")


@command("pipeline", short_help="Write a pipeline for a CI engine.")
@click.argument("engine", type=click.Choice(["github", "gitlab", "make", "jenkins", "argo"]))
@click.argument("paths", nargs=-1, type=str, shell_complete=complete_stack_file)
@click.option("--out", default=None, metavar="PATH", help="File or directory to write to; - is standard output.")
@click.option("--check", is_flag=True, help="Write nothing; show a diff, and whether the present file still works.")
@click.option("--force", is_flag=True, help="Replace a file that this command did not write.")
@click.option("--fleet", is_flag=True, hidden=True, help="Without effect: every pipeline finds its stacks.")
@click.option(
    "--child",
    type=click.Choice(["review", "apply", "drift", "destroy"]),
    default=None,
    metavar="EVENT",
    help="gitlab: write the jobs of each stack for EVENT (review, apply, drift, destroy); its pipeline runs this.",
)
@click.option("--branch", default="main", show_default=True, metavar="NAME", help="Merges to this branch are applied.")
@click.option(
    "--environment",
    default="production",
    show_default=True,
    metavar="NAME",
    help="The environment that approves applies.",
)
@click.option("--runner", default="", metavar="LABEL", help="The machines that run the jobs (default: the engine's).")
@click.option(
    "--drift-schedule", default="23 3 * * *", show_default=True, metavar="CRON", help="When to look for drift."
)
@click.option("--python-version", default="3.13", show_default=True, metavar="3.N", help="The Python of the jobs.")
@click.option(
    "--version-spec",
    default=f"=={__version__}",
    show_default=gridbyoc.ON_PYPI,
    metavar="SPEC",
    help="Jobs install this gridbyoc version from a package index, such as ==1.2.3.",
)
@click.option(
    "--install-from",
    default="",
    show_default=False if gridbyoc.ON_PYPI else "a wheel in wheels/",
    metavar="SOURCE",
    help="Jobs install gridbyoc from a Git reference (git+https://HOST/PATH@TAG) or a wheel in this repository.",
)
@pass_app
def pipeline(
    app: App,
    /,
    engine: str,
    paths: tuple[str, ...],
    out: str | None,
    check: bool,
    force: bool,
    child: ChildEvent | None,
    **given: Any,  # noqa: ANN401 - the options of the settings
) -> int:
    """Write a pipeline for ENGINE that validates, plans, applies, checks for drift, and destroys on request.

    The pipeline looks up the stacks in PATHS (files and directories; default: here) in each run: a new stack file
    needs no new pipeline. The file goes where the engine looks for it, or to --out. A file that this command did not
    write is left alone. docs/pipelines.md describes each engine's one-time setup.

    --check ends with status 3 if the file differs but still works, and with status 1 if it does not work.
    """
    from gridbyoc.render.pipelines import ENGINES, render_child, render_pipeline
    from gridbyoc.stack.files import read_text

    chosen = ENGINES[engine]
    _check_options(chosen, given, check=check, out=out)
    given["install_from"] = _source(given["install_from"])
    if child is not None:
        _check_child(chosen, out)
        app.show(PIPELINE, Written(None, text=render_child(_settings(app, chosen, paths, given), child)))
        return int(ExitStatus.DONE)
    settings = _settings(app, chosen, paths, given)
    text = render_pipeline(chosen, settings, _again(paths))
    if out == "-":
        app.show(PIPELINE, Written(None, text=text))
        return int(ExitStatus.DONE)
    target = _target(app, chosen, out)
    present = read_text(target, LARGEST)
    if check:
        found = compare(chosen, settings, _shown(app, target), present, text, app.cwd)
        app.show(PIPELINE_CHECK, found)
        return found.status
    _write(app, chosen, target, present, text, force=force)
    if chosen.name != "make":
        _tell_missing_wheel(app, settings)
    return int(ExitStatus.DONE)


def _check_options(engine: PipelineEngine, given: dict[str, Any], *, check: bool, out: str | None) -> None:
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    unused = [name for name in given if name in engine.ignores and context.get_parameter_source(name) is source]
    if unused:
        raise _wrong(f"--{unused[0].replace('_', '-')} has no effect on {engine.name}.", "Leave it out.")
    if check and out == "-":
        raise _wrong("Standard output cannot be checked.", "Name a file with --out, or leave it out.")


def _source(named: str) -> str:
    from gridbyoc.render.pipelines import default_source

    source = click.get_current_context().get_parameter_source("version_spec")
    from_index = source is click.core.ParameterSource.COMMANDLINE
    if named and from_index:
        raise _wrong("--install-from and --version-spec name two versions.", "Leave one of them out.")
    return named or ("" if from_index else default_source(__version__, on_pypi=gridbyoc.ON_PYPI))


def _tell_missing_wheel(app: App, settings: PipelineSettings) -> None:
    wheel = settings.install_from
    if wheel and not settings.from_git and not Path(app.cwd, wheel).exists():
        app.note(
            f"note: The jobs install {wheel}, which does not exist yet. Build it in a clone of gridbyoc with "
            "`make build` and commit it here, or name a Git reference with --install-from."
        )


def _check_child(engine: PipelineEngine, out: str | None) -> None:
    if engine.name != "gitlab":
        raise _wrong(f"--child has no effect on {engine.name}.", "Leave it out.")
    if out != "-":
        raise _wrong("--child is for a job that hands the text on.", "Add --out -, and redirect standard output.")


def _settings(app: App, engine: PipelineEngine, paths: tuple[str, ...], given: dict[str, Any]) -> PipelineSettings:
    from gridbyoc.operations.fleet.find import find_members
    from gridbyoc.operations.fleet.pipeline_stacks import pipeline_stacks
    from gridbyoc.render.pipelines import PipelineSettings
    from gridbyoc.show.fleet import check_stack_count

    chosen = {name: given[name] for name in _SETTINGS}
    if engine.name == "make" and not paths:
        default = app.environ.get("GRIDBYOC_STACK") or "gridbyoc.yaml"
        if not Path(app.cwd, default).exists():
            return PipelineSettings(stacks=(), **chosen)
        paths = (default,)
    searched = tuple(_from_root(app, path) for path in paths or (".",))
    members = find_members(searched, app.cwd, environ=app.environ)
    if engine.name == "github":
        check_stack_count(len(members), "github")
    stacks = pipeline_stacks(
        members,
        app.cwd,
        app.environ,
        app.home,
        environment=given["environment"],
        in_jobs=engine.name != "make",
        warn=app.note,
    )
    return PipelineSettings(stacks=stacks, paths=searched, **chosen)


def _from_root(app: App, path: str) -> str:
    """The path relative to the current directory, which is assumed to be the repository's root."""
    from gridbyoc.render.pipelines import check_path

    try:
        found = os.path.relpath(app.cwd / path, app.cwd)
    except ValueError:
        found = path
    check_path(found)
    return found


def _again(paths: tuple[str, ...]) -> list[str]:
    """The typed options and paths, for the file's head; options for where the file goes are left out."""
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    own = [param for param in context.command.params if param.expose_value and param.name not in _NOT_REPEATED]
    said = [param for param in own if context.get_parameter_source(str(param.name)) is source]
    values = [(max(param.opts, key=len), context.params[str(param.name)]) for param in said]
    return [*(name if value is True else f"{name}={value}" for name, value in values), *paths]


def _target(app: App, engine: PipelineEngine, out: str | None) -> Path:
    if out is None:
        return app.cwd / engine.path
    path = Path(app.cwd, out)
    return path / engine.path if out.endswith("/") or path.is_dir() else path


def _write(app: App, engine: PipelineEngine, target: Path, present: str | None, text: str, *, force: bool) -> None:
    from gridbyoc.render.pipelines import is_ours
    from gridbyoc.stack.files import file_error, write_atomic

    name = _shown(app, target)
    if present is not None and not force and not is_ours(engine, present):
        raise _wrong(
            f"{name} exists already, and was not written by `gridbyoc pipeline {engine.name}`.",
            "Name another path with --out, or give --force to replace it.",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error("Cannot create the directory", target.parent, error) from None
    changed = write_atomic(target, text, mode=0o644)
    app.show(PIPELINE, Written(name, changed=changed, advice=engine.next))


def _shown(app: App, target: Path) -> str:
    return str(target.relative_to(app.cwd)) if target.is_relative_to(app.cwd) else str(target)


def _wrong(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)
