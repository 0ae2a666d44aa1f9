"""Render pipelines for CI engines. They run the same gridbyoc commands as a team would by hand."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import jinja2

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.render import quoting
from gridbyoc.render.module import AUDIENCES
from gridbyoc.render.templates import data_dir, template_environment
from gridbyoc.stack.model import DialectName
from gridbyoc.stack.regions import partition_of
from gridbyoc.vendors import DEFAULT_VENDOR, VENDORS, ClientVariables, VendorType, facts_of

_PATH = re.compile(r"(?!-)[A-Za-z0-9._/@+=,:-]+")
"""The paths that `gridbyoc fleet matrix` passes to jobs: a shell reads them as one word without quotes."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_BRANCH = re.compile(r"(?!.*(//|\.\.|/\.|\.lock(/|$)))[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}(?<![./])")
"""A branch's name without the characters that are wildcards in filters.
https://git-scm.com/docs/git-check-ref-format"""
_WORDS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_CRON_FIELD = r"(\*|[0-9]{1,2}(-[0-9]{1,2})?)(/[0-9]{1,2})?"
_CRON = re.compile(rf"{_CRON_FIELD}(,{_CRON_FIELD})*( {_CRON_FIELD}(,{_CRON_FIELD})*){{4}}")
_CLAUSE = r"(==|>=|<=|~=|!=|<|>)[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?"
_VERSIONS = re.compile(rf"{_CLAUSE}(,{_CLAUSE})*")
_PYTHON = re.compile(r"3\.[1-9][0-9]")
_GIT = re.compile(r"git\+(https://|ssh://git@)[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._-]+)+@[A-Za-z0-9][A-Za-z0-9._/-]*")
"""A repository and a commit, tag or branch, without a user's key: the pipeline's file is committed.
https://pip.pypa.io/en/stable/topics/vcs-support/"""
_WHEEL = re.compile(r"([A-Za-z0-9._][A-Za-z0-9._-]*/)*gridbyoc-[A-Za-z0-9._+]+(-[A-Za-z0-9._]+){3}\.whl")
_SOURCES = "a Git reference, such as git+https://git.example.com/gridbyoc@v1.2.3, or a wheel's path in this repository"


@dataclass(frozen=True, slots=True)
class PipelineStack:
    """One stack in a pipeline. ``file`` is its path from the repository's root, with ``/``.

    ``own_address``: the stack file sets an address other than the service's default. The jobs may send the key there
    only if a setting of the engine, which no pull request can change, names the address, too.
    ``control_plane`` ``None``: the vendor has no API, and the jobs need no key. ``environment`` is from the engine's
    settings, never from the stack file.
    """

    name: str
    file: str
    region: str
    control_plane: DialectName | None = DEFAULT_VENDOR
    own_address: bool = False
    environment: str = ""

    @property
    def slug(self) -> str:
        """The name as part of a job's id: only letters, digits and ``-``."""
        return re.sub(r"[^a-z0-9]+", "-", self.name)

    @property
    def audience(self) -> str:
        """The audience of a job's token: STS in the partition of the stack's region."""
        return AUDIENCES.get(partition_of(self.region) or "aws", "sts.amazonaws.com")


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """The inputs of every engine's template.

    ``stacks`` are those in ``paths`` when the file is written. ``paths`` are for ``gridbyoc fleet matrix``, with which
    the pipeline looks up the stacks in each run. ``runner`` is the label of the machines that run the jobs, empty for
    the engine's default. ``install_from`` is a Git reference or a wheel in the repository; if it is empty, jobs install
    ``version_spec`` from a package index. Raises ``UsageError`` for a value that an engine could misread.
    """

    stacks: tuple[PipelineStack, ...]
    version_spec: str
    branch: str = "main"
    environment: str = "production"
    runner: str = ""
    drift_schedule: str = "23 3 * * *"
    python_version: str = "3.13"
    paths: tuple[str, ...] = (".",)
    install_from: str = ""

    def __post_init__(self) -> None:
        """Check each value once for all engines."""
        _check(_VERSIONS, "--version-spec", self.version_spec, "a version, such as ==1.2.3, or >=1.2,<2")
        _check(_BRANCH, "--branch", self.branch, "a branch's name, such as main, without wildcards")
        _check(_WORDS, "--environment", self.environment, "letters, digits, `_`, `.` and `-`, such as production")
        _check(_CRON, "--drift-schedule", self.drift_schedule, "five fields of cron in digits, such as '23 3 * * *'")
        _check(_PYTHON, "--python-version", self.python_version, "a version of Python, such as 3.13")
        if self.runner:
            _check(_WORDS, "--runner", self.runner, "one label: letters, digits, `_`, `.` and `-`")
        if self.install_from:
            form = _GIT if self.from_git else _WHEEL
            _check(form, "--install-from", self.install_from, _SOURCES)
            if not self.from_git:
                check_path(self.install_from)
        for path in self.paths:
            check_path(path)
        check_stacks(self.stacks)

    @property
    def control_planes(self) -> tuple[VendorType, ...]:
        """The control planes of the stacks, each once, in a fixed order."""
        used = {stack.control_plane for stack in self.stacks}
        return tuple(vendor for vendor in VENDORS if vendor in used)

    @property
    def own_addresses(self) -> frozenset[VendorType]:
        """The control planes of which a stack file sets an address other than the service's default."""
        return frozenset(stack.control_plane for stack in self.stacks if stack.own_address and stack.control_plane)

    @property
    def requirement(self) -> str:
        """What pip installs: gridbyoc with the embedded Terraform, so that the jobs need no other."""
        if self.from_git:
            return f"gridbyoc[embedded] @ {self.install_from}"
        return f"./{self.install_from}[embedded]" if self.install_from else f"gridbyoc[embedded]{self.version_spec}"

    @property
    def source_option(self) -> str:
        """The option that writes ``requirement`` again."""
        return f"--install-from={self.install_from}" if self.install_from else f"--version-spec={self.version_spec}"

    @property
    def from_git(self) -> bool:
        """Whether pip needs Git."""
        return self.install_from.startswith("git+")

    @property
    def image(self) -> str:
        """The jobs' container image. The slim one has no Git."""
        return f"python:{self.python_version}{'' if self.from_git else '-slim'}"

    @property
    def cache_key(self) -> str:
        """A name for the cache of what ``requirement`` installs. GitHub refuses commas in it, GitLab slashes.

        https://github.com/actions/toolkit/blob/main/packages/cache/src/cache.ts (checkKey)
        https://docs.gitlab.com/ci/yaml/#cachekey
        """
        return hashlib.sha256(self.requirement.encode()).hexdigest()[:12]


def default_source(version: str, *, on_pypi: bool) -> str:
    """The ``install_from`` of a pipeline that names no source: a wheel in the repository until PyPI has gridbyoc."""
    return "" if on_pypi else f"wheels/gridbyoc-{version}-py3-none-any.whl"


def check_path(path: str) -> None:
    """``UsageError`` for a path that a job's script would not read as one word, or that leaves the repository."""
    _check(_PATH, "The path", path, "letters, digits and `._/@+=,:-`")
    if path.startswith("/") or ".." in path.split("/"):
        raise _wrong(f"The path {path!r} leaves the current directory.", "Run this at the repository's root.")


def check_stacks(stacks: Sequence[PipelineStack]) -> None:
    """``UsageError`` for a value that an engine could misread, and for names that are too similar.

    Jobs take the environment, the role and the concurrency group by a stack's name: no two may share one.
    """
    for stack in stacks:
        check_path(stack.file)
        _check(_NAME, "The stack's name", stack.name, "what the stack file's schema allows")
        _check(_REGION, "The region", stack.region, "an AWS region")
        if stack.environment:
            _check(
                _WORDS, "The environment", stack.environment, "letters, digits, `_`, `.` and `-`, such as production"
            )
    counted = Counter(stack.slug for stack in stacks)
    twice = [f"{stack.name} ({stack.file})" for stack in stacks if counted[stack.slug] > 1]
    if twice:
        raise _wrong(f"The names of these stacks are too similar: {', '.join(twice)}.", "Rename one of them.")


def _check(form: re.Pattern[str], what: str, value: str, wanted: str) -> None:
    if form.fullmatch(value) is None:
        raise _wrong(f"{what} {value!r} cannot be used in a pipeline.", f"Give {wanted}.")


def _wrong(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)


EngineName = Literal["github", "gitlab", "make", "jenkins", "argo"]
LONGEST_CRON_NAME = 52
"""Characters. The longest name of a CronWorkflow, because Argo appends a time to its workflows' names.
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#cron-job-limitations"""


@dataclass(frozen=True, slots=True)
class PipelineEngine:
    """A CI engine: the path of its file in a repository, the next step after writing it, and its comment mark.

    ``ignores`` are the settings that have no effect on it.
    """

    name: EngineName
    path: str
    next: str
    ignores: frozenset[str] = frozenset()
    mark: str = "#"

    @property
    def first_line(self) -> str:
        """The start of the first line of every file that we write."""
        return f"{self.mark} Written by `gridbyoc pipeline {self.name}`"


_ALL_BUT_STACKS = frozenset(
    {"runner", "branch", "environment", "drift_schedule", "python_version", "version_spec", "install_from"}
)
ENGINES: dict[str, PipelineEngine] = {
    engine.name: engine
    for engine in (
        PipelineEngine("github", ".github/workflows/gridbyoc.yml", "Create its three environments"),
        PipelineEngine("gitlab", ".gitlab-ci.gridbyoc.yml", "Include it in .gitlab-ci.yml"),
        PipelineEngine("make", "make/gridbyoc.mk", "Add `include make/gridbyoc.mk` to your Makefile", _ALL_BUT_STACKS),
        PipelineEngine("jenkins", "Jenkinsfile.gridbyoc", "Create a multibranch job from it", mark="//"),
        PipelineEngine(
            "argo", "argo/gridbyoc.yaml", "Create the objects that it names, then apply it", frozenset({"runner"})
        ),
    )
}
ChildEvent = Literal["review", "apply", "drift", "destroy"]
"""The start of GitLab's pipeline: a merge request, a commit on the branch, the schedule, or a person who destroys."""
LARGEST_CHILD = 5 * 1024 * 1024
"""Bytes: https://docs.gitlab.com/ci/pipelines/downstream_pipelines/#dynamic-child-pipelines"""


def render_child(settings: PipelineSettings, event: ChildEvent) -> str:
    """GitLab's child pipeline: the jobs of each stack for ``event``. ``UsageError`` if GitLab would refuse its size."""
    text = (
        _environment()
        .get_template("pipelines/gitlab_child.j2")
        .render(settings=settings, stacks=settings.stacks, event=event)
    )
    if len(text) > LARGEST_CHILD:
        raise _wrong(
            f"The child pipeline of {len(settings.stacks)} stacks is larger than GitLab's 5 MB.",
            "Write two pipelines, each for a part of the paths: `gridbyoc pipeline gitlab PATH --out FILE`.",
        )
    return text


def render_pipeline(engine: PipelineEngine, settings: PipelineSettings, again: Sequence[str] = ()) -> str:
    """The pipeline's text, ending with a line feed. ``again``: the arguments that write it again, for its header.

    Raises ``UsageError`` for a value that the engine's language cannot express.
    """
    template = _environment().get_template(f"pipelines/{engine.name}.j2")
    files = [stack.file for stack in settings.stacks] or ["gridbyoc.yaml"]
    try:
        return head(engine, again) + template.render(settings=settings, stacks=settings.stacks, files=files)
    except ValueError as error:
        text = f"The pipeline cannot be written for {engine.name}: {error}."
        raise UsageError(text, fix="Rename the file.", rerun=SAFE_NOTHING_DONE) from None


@cache
def _environment() -> jinja2.Environment:
    """Cached, because Jinja compiles each template once per environment."""
    environment = template_environment(
        finalize=quoting.only_quoted,
        filters={name: getattr(quoting, name) for name in _FILTERS},
        # GitHub, GitLab and Argo use Jinja's default braces themselves.
        syntax={
            **{"variable_start_string": "[[", "variable_end_string": "]]"},
            **{"block_start_string": "[%", "block_end_string": "%]"},
            **{"comment_start_string": "[#", "comment_end_string": "#]"},
        },
    )
    environment.globals |= {"script": script, "object_name": object_name, "variables": variables, "address": address}
    environment.globals["vendors"] = VENDORS
    return environment


_FILTERS = ("yaml", "github", "literal", "gitlab", "argo", "groovy", "make", "comment", "word")


def head(engine: PipelineEngine, again: Sequence[str]) -> str:
    """The first lines: who wrote the file, and how to write it again. ``is_ours`` recognizes a file by them."""
    command = quoting.comment(shlex.join(["gridbyoc", "pipeline", engine.name, *again]))
    return f"{engine.first_line}: change its options, not this file.\n{engine.mark} Again: {command}\n"


def is_ours(engine: PipelineEngine, text: str) -> bool:
    """Whether gridbyoc wrote a file."""
    return text.startswith(engine.first_line)


def script(name: str, indent: int) -> quoting.Quoted:
    """A Python program from the templates directory; every line but the first is indented by ``indent`` spaces."""
    text = (data_dir("templates") / "pipelines" / name).read_text(encoding="utf-8").rstrip("\n")
    return quoting.Quoted(text.replace("\n", "\n" + " " * indent).replace(" " * indent + "\n", "\n"))


def variables(vendor: VendorType) -> ClientVariables:
    """The variables of a control plane's credentials."""
    return facts_of(vendor).client.variables


def address(vendor: VendorType) -> str:
    """The variable of a control plane's address."""
    return facts_of(vendor).address.variable


def object_name(text: str) -> str:
    """A Kubernetes object's name made of ``text``, short enough for a CronWorkflow."""
    name = f"gridbyoc-{text}"
    if len(name) <= LONGEST_CRON_NAME:
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_CRON_NAME - 9].rstrip('-')}-{digest}"
