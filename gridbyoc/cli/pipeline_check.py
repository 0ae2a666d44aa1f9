"""Compare a pipeline's file with the one that would be written: does the present one still work?

A file of an older version lists its stacks, and its jobs install the version that it names. It works as long as it
calls commands that exist, covers every stack, and hands on the keys that the stacks need.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from gridbyoc import __version__
from gridbyoc.errors import ExitStatus
from gridbyoc.show.output import Output, Screen

if TYPE_CHECKING:
    from gridbyoc.render.pipelines import PipelineEngine, PipelineSettings

_CALL = re.compile(r"(?<!<!-- )(?<![\"'\w.-])gridbyoc ((?:fleet )?[a-z]+)\b([^\n|;>]*)")
_OPTION = re.compile(r"(?<=\s)--[a-z][a-z-]*")
_PINNED = re.compile(r"gridbyoc(?:\[embedded\]==([0-9][^\s\"',]*)|-([0-9][^\s\"'-]*)-py3\S*\.whl)")
"""A version of a package index, or a wheel's."""
_LISTED = re.compile(
    r"STACK_FILES?(?::| =) *[\"']([^\"'$]+)[\"']|name: STACK_FILE\n +value: \"([^\"{]+)\"|^GRIDBYOC_STACKS \?=(.*)$",
    re.MULTILINE,
)
"""Where a file lists stacks: GitHub, GitLab, Jenkins; Argo; make."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A pipeline's file, ``None`` if there is none, and its generated text.

    ``version``: what its jobs install if they install exactly one version. ``faults`` keep it from working; ``None`` if
    that is not known: somebody else wrote it, or a newer gridbyoc.
    """

    file: str
    present: str | None
    text: str
    version: str | None = None
    faults: tuple[str, ...] | None = ()

    @property
    def status(self) -> int:
        """The exit status."""
        if self.faults:
            return int(ExitStatus.FAILED)
        return int(ExitStatus.DONE if self.present == self.text else ExitStatus.CHANGES_PENDING)


class PipelineCheckBody(TypedDict):
    """A pipeline's file compared with the generated text.

    ``works`` is ``null`` if that is not known; ``faults`` say why it does not. ``version`` is what its jobs install.
    """

    file: str
    differs: bool
    works: bool | None
    faults: list[str]
    version: str | None


def _check_json(found: Compared) -> PipelineCheckBody:
    return {
        "file": found.file,
        "differs": found.present != found.text,
        "works": None if found.faults is None else not found.faults,
        "faults": list(found.faults or ()),
        "version": found.version,
    }


def _write_check(found: Compared, screen: Screen) -> None:
    before, after = (found.present or "").splitlines(), found.text.splitlines()
    title = f"{found.file} (generated)"
    for line in difflib.unified_diff(before, after, found.file, title, lineterm=""):
        screen.line(line)
    screen.line(_verdict(found))


def _verdict(found: Compared) -> str:
    if found.present == found.text:
        return f"{found.file} is up to date."
    if found.present is None:
        return f"{found.file} does not exist."
    if found.faults is None:
        return f"{found.file} differs. Whether it works is not known: this version did not write its like."
    if found.faults:
        return f"{found.file} does not work: {'; '.join(found.faults)}. Write it again."
    version = f" with gridbyoc {found.version}" if found.version and found.version != __version__ else ""
    return f"{found.file} differs, and still works{version}: it covers every stack and calls only what exists."


PIPELINE_CHECK = Output("pipeline_check", _check_json, _write_check, stack="none")


def compare(
    engine: PipelineEngine, settings: PipelineSettings, file: str, present: str | None, text: str, cwd: Path
) -> Compared:
    """Compare a file with the generated ``text``. ``settings`` has the stacks that it must cover."""
    from gridbyoc.render.pipelines import is_ours

    pinned = {index or wheel for index, wheel in _PINNED.findall(present or "")}
    version = pinned.pop() if len(pinned) == 1 else None
    if present is None or present == text:
        return Compared(file, present, text, version)
    if not is_ours(engine, present) or (version and _order(version) > _order(__version__)):
        return Compared(file, present, text, version, None)
    called = () if version and version != __version__ else unknown_calls(engine, present)
    return Compared(file, present, text, version, (*called, *_uncovered(engine, settings, present, cwd)))


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def unknown_calls(engine: PipelineEngine, text: str) -> tuple[str, ...]:
    """A sentence for each call of gridbyoc in a pipeline that this version's command line would refuse."""
    from gridbyoc.cli.main import cli

    lines = [line for line in text.splitlines() if not line.lstrip().startswith((engine.mark, "#"))]
    calls = dict.fromkeys(_CALL.findall("\n".join(lines)))
    context = click.Context(cli)
    found = []
    for verb, rest in calls:
        known: click.Command | None = cli
        for word in verb.split():
            known = known.get_command(context, word) if isinstance(known, click.Group) else None
        options = {opt for param in known.params for opt in (*param.opts, *param.secondary_opts)} if known else set()
        odd = [option for option in _OPTION.findall(rest) if known and option not in options]
        if known is None or odd:
            found.append(
                f"it calls `gridbyoc {' '.join((verb, *odd[:1]))}`, which gridbyoc {__version__} does not have"
            )
    return tuple(dict.fromkeys(found))


def _uncovered(engine: PipelineEngine, settings: PipelineSettings, text: str, cwd: Path) -> Iterator[str]:
    """Needs of today's stacks that the file does not meet."""
    from gridbyoc.render.pipelines import address, variables

    listed = {path for groups in _LISTED.findall(text) for path in "".join(groups).split()}
    if listed:
        yield from (f"{s.name} ({s.file}) is not in it" for s in settings.stacks if s.file not in listed)
        yield from (f"{path} is in it, and does not exist" for path in sorted(listed) if not (cwd / path).exists())
    if engine.name not in ("github", "jenkins"):  # the other engines' jobs have every setting
        return
    for vendor in settings.control_planes:
        wanted = [variables(vendor).api_key, *([address(vendor)] if vendor in settings.own_addresses else ())]
        yield from (f"its jobs do not get {name}" for name in wanted if name not in text)
