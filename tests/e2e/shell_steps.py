"""Which shell steps a pipeline has, and which of them have been run: found in its text, and seen by the shell itself.

Two sources answer them. The list of steps comes from the rendered files alone; what ran is what bash says of
each line that it came to. So a step that no test runs, and a branch within one, are both seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, get_args

from ruamel.yaml import YAML

from gridbyoc.render.pipelines import (
    ENGINES,
    ChildEvent,
    PipelineSettings,
    PipelineStack,
    render_child,
    render_pipeline,
)

WRITTEN_FOR = "==1.0.0"
OTHER_STACK: dict[str, Any] = {
    "name": "other", "file": "stacks/other.yaml", "region": "cn-north-1", "control_plane": "lightning",
    "own_address": True, "environment": "eu",
}  # fmt: skip
OTHERS: dict[str, Any] = {
    "version_spec": ">=1.2,<2", "branch": "trunk", "environment": "eu", "runner": "big", "python_version": "3.12",
    "drift_schedule": "0 4 * * 1-5", "paths": ("stacks", "more"),
    "install_from": "git+https://git.example.com/gridbyoc@v1.2.3",
}  # fmt: skip
"""A value for each setting but the stacks that is not its default."""
WORDS_OF_THE_SHELL = re.compile(r"\s*(#.*|fi|else|then|done( < \S+)?|esac|)")
HERE = re.compile(r"<<'(\w+)'")


@dataclass(frozen=True, order=True)
class Shell:
    """What one process of a shell runs, one text for each step; ``job`` is the engine's own name for where."""

    job: str
    steps: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.steps)

    def commands(self) -> Iterator[tuple[int, int]]:
        """Each line that begins a command: the step that it is of, and its number in the whole text."""
        line = 0
        for number, step in enumerate(self.steps):
            here = None
            for each in step.split("\n"):
                line += 1
                if here is None and not WORDS_OF_THE_SHELL.fullmatch(each):
                    yield number, line
                mark = HERE.search(each)
                here = mark[1] if mark else None if each.strip() == here else here


@dataclass
class Ledger:
    """The shells of an engine's rendered files, and the lines of each that a shell has come to."""

    engine: str
    found: set[Shell] = field(default_factory=set)
    lines: dict[tuple[str, str], set[int]] = field(default_factory=dict)

    def read(self, rendered: str) -> None:
        """Take down what there is in a rendered file."""
        self.found |= set(SHELLS[self.engine](rendered))

    def note(self, job: str, text: str, lines: set[int]) -> None:
        """Take down what a shell has run."""
        self.lines.setdefault((job, text), set()).update(lines)

    def check(self, stack: str) -> str:
        """How many there are, and ran, in words; ``AssertionError`` where a step, or a line of one, never ran.

        ``stack`` is the one whose pipeline was run: what any option makes of its pipeline is among what must have run.
        """
        wanted = self.found | of_all_options(self.engine, stack)
        commands = {(shell, *each) for shell in wanted for each in shell.commands()}
        ran = {each for each in commands if each[2] in self.lines.get((each[0].job, each[0].text), ())}
        there, run = ({(shell, number) for shell, number, _ in some} for some in (commands, ran))
        jobs = len({shell.job for shell in wanted})
        said = f"{self.engine}: {len(there)} shell steps in {jobs} jobs, {len(run)} ran"
        assert there, said
        missing = [f"{shell.job}, line {line}: {line_of(shell, line)}" for shell, _, line in sorted(commands - ran)]
        assert not missing, "\n".join([said, *missing])
        assert set(self.lines) <= {(shell.job, shell.text) for shell in wanted}, "something ran that is in no file"
        return said


def line_of(shell: Shell, line: int) -> str:
    return shell.text.split("\n")[line - 1].strip()


@cache
def of_all_options(engine: str, name: str) -> frozenset[Shell]:
    """The shells of one stack's pipeline, whatever options it is written with; other stacks' count as its own.

    Every setting is its default in some pipelines and another in the rest: a step that depends on one is in either.
    """
    own, other = (
        PipelineStack(name, "gridbyoc.yaml", "us-east-1", environment="production"),
        PipelineStack(**OTHER_STACK),
    )
    assert set(OTHER_STACK) == {each.name for each in fields(own)}
    assert set(OTHERS) | {"stacks"} == {each.name for each in fields(PipelineSettings)}
    known = {key: value for key, value in OTHERS.items() if key not in ENGINES[engine].ignores}
    base = PipelineSettings((own,), WRITTEN_FOR)
    made = [base, replace(base, stacks=(own, other)), replace(base, stacks=(other,), **known)]
    texts = [render_pipeline(ENGINES[engine], settings) for settings in made]
    if engine == "gitlab":
        texts += [render_child(settings, event) for settings in made for event in get_args(ChildEvent)]
    shells = {shell for text in texts for shell in SHELLS[engine](text)}
    return frozenset(replace(shell, job=re.sub(r"\bother\b", name, shell.job)) for shell in shells)


def loaded(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


def under(part: Any, keys: set[str]) -> Iterator[Any]:
    """What stands under any of the keys, however deep."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in keys:
                yield value
            yield from under(value, keys)
    elif isinstance(part, list):
        for value in part:
            yield from under(value, keys)


def github_shells(text: str) -> list[Shell]:
    (workflow,) = loaded(text)
    steps = [(job, step) for job, of in workflow["jobs"].items() for step in of["steps"]]
    found = [Shell(job, (step["run"],)) for job, step in steps if "run" in step]
    assert len(found) == sum(isinstance(each, str) for each in under(workflow, {"run"}))
    return found


def gitlab_shells(text: str) -> list[Shell]:
    (file,) = loaded(text)
    found = []
    for name, job in file.items():
        if isinstance(job, dict) and not name.startswith(".") and "trigger" not in job:
            found.append(Shell(name, (*job.get("before_script", []), *job["script"])))
            found += [Shell(name, tuple(job["after_script"]))] if "after_script" in job else []
    keys = {"script", "before_script", "after_script", "pre_get_sources_script"}
    assert sum(len(shell.steps) for shell in found) == sum(map(len, under(file, keys)))
    return found


def argo_shells(text: str) -> list[Shell]:
    found = []
    for document in loaded(text):
        spec = document["spec"].get("workflowSpec", document["spec"])
        name = document["metadata"]["name"]
        scripts = [each for each in spec["templates"] if "script" in each]
        found += [Shell(f"{name}/{each['name']}", (each["script"]["source"],)) for each in scripts]
        assert len(scripts) == len(list(under(document, {"script", "container", "containerSet", "initContainers"})))
    return found


STAGE = re.compile(r"\n    stage\('([^']+)'\) \{(.*?)\n    \}(?=\n)", re.DOTALL)
SHELL = re.compile(r"\bsh(?: |\(returnStatus: true, script: )'''(.*?)'''", re.DOTALL)


def jenkins_shells(text: str) -> list[Shell]:
    found = [Shell(name, (script,)) for name, body in STAGE.findall(text) for script in SHELL.findall(body)]
    assert len(found) == len(re.findall(r"\b(?:sh|bat|powershell|pwsh)\b *[('\"]", text))
    return found


RULE = re.compile(r"^(?:\$\(\w+\): )?([^\s:=#]+):[^=\n]*\n((?:\t.*\n)+)", re.MULTILINE)


def make_shells(text: str) -> list[Shell]:
    """A recipe's line is a shell of its own, as it stands there; one that only stops make is none."""
    found = [Shell(target, (line[1:],)) for target, recipe in RULE.findall(text) for line in recipe.splitlines()]
    assert len(found) == len(re.findall(r"^\t", text, re.MULTILINE))
    return [shell for shell in found if "$(error " not in shell.text]


SHELLS: dict[str, Callable[[str], list[Shell]]] = {
    "github": github_shells, "gitlab": gitlab_shells, "make": make_shells, "jenkins": jenkins_shells,
    "argo": argo_shells,
}  # fmt: skip
