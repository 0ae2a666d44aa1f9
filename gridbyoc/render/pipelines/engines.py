"""The engines: where each one's file lies, how it is begun, and rendering it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.render.data import data_dir
from gridbyoc.render.pipelines import quoting
from gridbyoc.render.pipelines.settings import PipelineSettings, PipelineStack
from gridbyoc.render.templates import template_environment
from gridbyoc.vendors import facts_of

EngineName = Literal["github", "gitlab", "make", "jenkins", "argo"]
CREDENTIALS = {"grid": "GRID", "lightning": "LIGHTNING"}
"""Dialect → how the names of its two credentials in the environment begin: ``..._USER_ID`` and ``..._API_KEY``."""
LONGEST_CRON_NAME = 52
"""Characters of a CronWorkflow's name: its workflows get a time behind it.
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#cron-job-limitations"""


@dataclass(frozen=True, slots=True)
class Engine:
    """A CI engine: where its file lies in a repository, what to do with it, and the sign that begins a comment there.

    ``ignores`` are the settings that mean nothing to it.
    """

    name: EngineName
    path: str
    next: str
    ignores: frozenset[str] = frozenset()
    mark: str = "#"

    @property
    def first_line(self) -> str:
        """How the first line of a file of ours begins."""
        return f"{self.mark} Written by `gridbyoc pipeline {self.name}`"


_ALL_BUT_STACKS = frozenset(
    {"fleet", "runner", "branch", "environment", "drift_schedule", "python_version", "version_spec"}
)
ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("github", ".github/workflows/gridbyoc.yml", "Make its three environments", frozenset({"fleet"})),
        Engine("gitlab", ".gitlab-ci.gridbyoc.yml", "Include it in .gitlab-ci.yml", frozenset({"fleet"})),
        Engine("make", "make/gridbyoc.mk", "Add `include make/gridbyoc.mk` to your Makefile", _ALL_BUT_STACKS),
        Engine("jenkins", "Jenkinsfile.gridbyoc", "Make a multibranch job of it", frozenset({"fleet"}), "//"),
        Engine("argo", "argo/gridbyoc.yaml", "Make what it names, then apply it", frozenset({"runner"})),
    )
}


def render_pipeline(engine: Engine, settings: PipelineSettings, again: Sequence[str] = ()) -> str:
    """The pipeline's text, its end a line feed. ``again``: the command line that writes it again, for its head.

    ``UsageError`` for a value that the engine's language has no form for.
    """
    environment = template_environment(
        finalize=quoting.only_quoted,
        filters={name: getattr(quoting, name) for name in _FILTERS},
        # Jinja's own braces are GitHub's, GitLab's and Argo's as well.
        syntax={
            **{"variable_start_string": "[[", "variable_end_string": "]]"},
            **{"block_start_string": "[%", "block_end_string": "%]"},
            **{"comment_start_string": "[#", "comment_end_string": "#]"},
        },
    )
    environment.globals |= {"script": script, "object_name": object_name, "ids": CREDENTIALS, "address": address}
    template = environment.get_template(f"pipelines/{engine.name}.j2")
    files = [stack.file for stack in settings.stacks] or ["gridbyoc.yaml"]
    try:
        return head(engine, again) + template.render(settings=settings, stacks=settings.stacks, files=files)
    except ValueError as error:
        text = f"This cannot be written for {engine.name}: {error}."
        raise UsageError(text, fix="Rename the file.", rerun=SAFE_NOTHING_DONE) from None


_FILTERS = ("yaml", "github", "literal", "gitlab", "argo", "groovy", "make", "comment", "word")


def head(engine: Engine, again: Sequence[str]) -> str:
    """The first lines: whose file this is, and how to write it again. ``is_ours`` knows a file by them."""
    command = quoting.comment(shlex.join(["gridbyoc", "pipeline", engine.name, *again]))
    return f"{engine.first_line}: change its options, not this file.\n{engine.mark} Again: {command}\n"


def is_ours(engine: Engine, text: str) -> bool:
    """Whether a file was written by this."""
    return text.startswith(engine.first_line)


def script(name: str, indent: int) -> quoting.Quoted:
    """A Python program out of the templates' directory, each line but the first moved ``indent`` blanks in."""
    text = (data_dir("templates") / "pipelines" / name).read_text(encoding="utf-8").rstrip("\n")
    return quoting.Quoted(text.replace("\n", "\n" + " " * indent).replace(" " * indent + "\n", "\n"))


def address(stack: PipelineStack) -> str:
    """The variable that names the control plane's address."""
    return facts_of(stack.control_plane).address.variable


def object_name(text: str) -> str:
    """A Kubernetes object's name made of ``text``, short enough for a CronWorkflow."""
    name = f"gridbyoc-{text}"
    if len(name) <= LONGEST_CRON_NAME:
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_CRON_NAME - 9].rstrip('-')}-{digest}"
