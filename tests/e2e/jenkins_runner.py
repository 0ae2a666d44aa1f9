"""Jenkins in small: the stages of our Jenkinsfile with their conditions, inputs, credentials and shells, for real.

It reads blocks, literals and the few steps that our template uses, and refuses all else. It is no Groovy: that
Jenkins itself takes the file is not shown by it. https://www.jenkins.io/doc/book/pipeline/syntax/
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.job_shell import Machine

LITERAL = re.compile(r"'''.*?'''|'(?:[^'\\\n]|\\.)*'", re.DOTALL)
CLAUSE = re.compile(r"(!?)(env|params)\.(\w+)(?: (==|!=) (?:params\.(\w+)|(.+)))?")
SHELL = re.compile(r"(?:def (\w+) = )?sh(?:\(returnStatus: true, script: (.+)\)| (.+))", re.DOTALL)


@dataclass
class Block:
    """One statement, and what stands in its braces, if it has any."""

    head: str
    body: list[Block] | None = None

    def named(self, name: str) -> list[Block]:
        """The parts of one of its blocks; none where it has no such block."""
        return next((each.body or [] for each in self.body or [] if each.head == name), [])


def parsed(text: str) -> list[Block]:
    """Statements end with their line, unless a bracket is open."""
    plain = re.sub(r"^\s*//.*", "", text, flags=re.MULTILINE)
    blocks, end = statements(plain, 0)
    assert end == len(plain), "a brace is closed that was not opened"
    return blocks


def statements(text: str, at: int) -> tuple[list[Block], int]:
    found: list[Block] = []
    head, depth = "", 0
    while at < len(text):
        literal, char = LITERAL.match(text, at), text[at]
        at = literal.end() if literal else at + 1
        depth += (char in "([") - (char in ")]")
        if char == "{":
            body, at = statements(text, at)
            found.append(Block(head.strip(), body))
            head = ""
        elif depth or char not in "}\n":
            head += literal[0] if literal else char
        else:
            found += [Block(head.strip())] if head.strip() else []
            head = ""
            if char == "}":
                break
    return found, at


def value(text: str) -> Any:
    """A literal: our escapes mean in Python what they mean in Groovy."""
    return ast.literal_eval(text)


@dataclass
class JenkinsBuild:
    """One build. ``env`` and ``params`` are the build's; ``credentials`` what Jenkins keeps: a text, or two.

    ``approve`` answers an input, by its message, where a person would. ``result`` is the build's end; ``ran`` the
    stages that were run; ``asked`` the inputs; ``archived`` the artifacts.
    """

    text: str
    machine: Machine
    env: dict[str, str]
    credentials: dict[str, str | tuple[str, str]]
    params: dict[str, str] = field(default_factory=dict)
    by_timer: bool = False
    approve: Callable[[str], bool] = lambda _: True
    result: str = "SUCCESS"
    ran: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    archived: dict[str, str] = field(default_factory=dict)

    def run(self) -> JenkinsBuild:
        (pipeline,) = parsed(self.text)
        for each in pipeline.named("parameters"):
            default = re.search(r"(?:choices: \[|defaultValue: )('[^']*')", each.head)
            assert default, each.head
            self.params.setdefault(value(re.search(r"name: ('\w+')", each.head)[1]), value(default[1]))  # type: ignore[index]  # each has one
        assert pipeline.body is not None
        assert Block("agent none") in pipeline.body
        common = self.variables(pipeline)
        for stage in pipeline.named("stages"):
            if self.result in ("SUCCESS", "UNSTABLE"):
                self.stage(stage, common)
        return self

    @staticmethod
    def variables(block: Block) -> dict[str, str]:
        pairs = (each.head.split(" = ", 1) for each in block.named("environment"))
        return {name: value(text) for name, text in pairs}

    def stage(self, stage: Block, common: dict[str, str]) -> None:
        assert stage.body is not None
        when, asks = stage.named("when"), {each.head.split()[0]: each.head for each in stage.named("input")}
        # without these an agent is taken, and somebody asked, for a stage that is then left out
        assert Block("beforeInput true") in when or not asks
        agent = next((each.head.split()[0] for each in stage.body if each.head.startswith("agent")), "")
        assert Block("beforeAgent true") in when or not agent
        name = value(stage.head.removeprefix("stage(").removesuffix(")"))
        if not all(self.holds(each) for each in when if not each.head.startswith("before")):
            return
        if asks:
            self.asked.append(value(asks["message"].split(" ", 1)[1]))
            if not self.approve(self.asked[-1]):
                self.result = "ABORTED"
                return
        self.ran.append(name)
        workspace = self.machine.workspace() if agent else None
        if workspace:
            self.machine.check_out(workspace)
        env = {**self.env, **self.params, **common, **self.variables(stage), "STAGE_NAME": name}
        self.steps(stage.named("steps"), workspace, env)

    def holds(self, condition: Block) -> bool:
        head, inner = condition.head, condition.body or []
        if head == "not":
            return not self.holds(inner[0])
        if head == "anyOf":
            return any(map(self.holds, inner))
        if head == "expression":
            return all(map(self.clause, inner[0].head.split(" && ")))
        if head.startswith("branch "):
            return self.env["BRANCH_NAME"] == value(head.removeprefix("branch "))
        return {"changeRequest()": "CHANGE_ID" in self.env, "triggeredBy 'TimerTrigger'": self.by_timer}[head]

    def clause(self, text: str) -> bool:
        match = CLAUSE.fullmatch(text)
        assert match, text
        given = (self.env if match[2] == "env" else self.params).get(match[3])
        if match[4] is None:
            return bool(given) is not (match[1] == "!")
        other = self.params[match[5]] if match[5] else value(match[6])
        return (given == other) is (match[4] == "==")

    def steps(self, steps: list[Block], workspace: Path | None, env: dict[str, str]) -> None:
        """Run one after the other, until one has failed."""
        known: dict[str, int] = {}
        taken = False
        for step in steps:
            if self.result not in ("SUCCESS", "UNSTABLE"):
                return
            if step.body is None:
                self.step(step.head, workspace, env, known)
            elif step.head.startswith("withCredentials"):
                self.steps(step.body, workspace, env | self.bound(step.head, workspace))
            elif step.head == "script":
                self.steps(step.body, workspace, env)
            else:
                match = re.fullmatch(r"(else )?if \((\w+) (==|!=) (\d+)\)", step.head)
                assert match, step.head
                fits = (known[match[2]] == int(match[4])) is (match[3] == "==")
                chosen = fits and not (match[1] and taken)
                taken = fits or bool(match[1] and taken)
                self.steps(step.body if chosen else [], workspace, env)

    def step(self, head: str, workspace: Path | None, env: dict[str, str], known: dict[str, int]) -> None:
        shell = SHELL.fullmatch(head)
        name, _, rest = head.partition(" ")
        if head.startswith(("unstable(", "error(")):
            self.result = "UNSTABLE" if head.startswith("unstable") else "FAILURE"
        elif name == "echo":
            self.machine.said += value(rest) + "\n"
        elif shell:
            assert workspace
            status = self.shell(value(shell[2] or shell[3]), workspace, env)
            if shell[1]:
                known[shell[1]] = status
            elif status:
                self.result = "FAILURE"
        else:
            self.artifact(name, dict(re.findall(r"(\w+): ('[^']*')", rest)), rest, workspace)

    def shell(self, script: str, workspace: Path, env: dict[str, str]) -> int:
        """Its first line chooses the shell, which gets no option: Jenkins' own -xe are for a script without one."""
        assert script.startswith("#!/bin/bash\n")
        return self.machine.bash(env["STAGE_NAME"], script, workspace, env, flags=())

    def artifact(self, step: str, given: dict[str, str], rest: str, workspace: Path | None) -> None:
        assert workspace
        if step == "stash":
            files = [each for each in workspace.glob(value(given["includes"])) if each.is_file()]
            self.machine.store(value(given["name"]), *files, below=workspace)
        elif step == "unstash":
            self.machine.fetch(value(rest), workspace)
        else:
            assert step == "archiveArtifacts", step
            for file in workspace.glob(value(given["artifacts"])):
                self.archived[file.name] = file.read_text()

    def bound(self, head: str, workspace: Path | None) -> dict[str, str]:
        """The variables that credentials are bound to; a file's holds the path of a copy beside the workspace."""
        env: dict[str, str] = {}
        assert workspace
        for kind, text in re.findall(r"(\w+)\(([^()]+)\)", head):
            given = {name: value(each) for name, each in re.findall(r"(\w+): ('[^']*')", text)}
            held = self.credentials[given["credentialsId"]]
            if kind == "usernamePassword":
                env[given["usernameVariable"]], env[given["passwordVariable"]] = held
                continue
            assert isinstance(held, str)
            assert kind in ("string", "file")
            if kind == "file":
                file = workspace.parent / f"{workspace.name}.{given['variable']}"
                file.write_text(held)
                held = str(file)
            env[given["variable"]] = held
        return env
