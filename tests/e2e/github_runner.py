"""GitHub's runner in small: conditions, expressions, outputs, artifacts, and the shell steps for real."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.job_shell import Machine

TOKENS = re.compile(r"\s*('(?:[^']|'')*'|==|!=|&&|\|\||[()!]|[A-Za-z_][\w.-]*)")


class Expression:
    """https://docs.github.com/actions/reference/workflows-and-actions/expressions, as far as we use it."""

    def __init__(self, text: str, contexts: dict[str, Any]) -> None:
        self.tokens = TOKENS.findall(text)
        assert "".join(self.tokens) == re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", text), text
        self.contexts = contexts

    def value(self) -> Any:
        found = self._any()
        assert not self.tokens
        return found

    def _any(self) -> Any:
        left = self._all()
        while self.tokens[:1] == ["||"]:
            self.tokens.pop(0)
            right = self._all()
            left = left or right
        return left

    def _all(self) -> Any:
        left = self._compared()
        while self.tokens[:1] == ["&&"]:
            self.tokens.pop(0)
            right = self._compared()
            left = left and right
        return left

    def _compared(self) -> Any:
        left = self._one()
        if self.tokens[:1] in (["=="], ["!="]):
            same = self.tokens.pop(0) == "=="
            return (left == self._one()) is same
        return left

    def _one(self) -> Any:
        token = self.tokens.pop(0)
        if token == "(":
            found = self._any()
            assert self.tokens.pop(0) == ")"
            return found
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token == "!":
            return not self._one()
        if self.tokens[:1] == ["("]:
            return self._called(token)
        found = self.contexts
        for part in token.split("."):
            found = found.get(part, "") if isinstance(found, dict) else ""
        return found

    def _called(self, name: str) -> Any:
        self.tokens.pop(0)
        given = [] if self.tokens[0] == ")" else [self._any()]
        assert self.tokens.pop(0) == ")"
        if name == "cancelled":
            return False
        assert name == "fromJSON"
        return json.loads(given[0])


@dataclass
class GithubRun:
    """One event's run of a workflow. ``results`` are the jobs' ends; ``environments`` those whose approval it took.

    ``approve`` is asked for each of these, by its name, before the job begins.
    """

    workflow: dict[str, Any]
    machine: Machine
    contexts: dict[str, Any]
    env: dict[str, str]
    approve: Callable[[str], bool] = lambda _: True
    results: dict[str, str] = field(default_factory=dict)
    environments: list[str] = field(default_factory=list)

    def run(self) -> dict[str, str]:
        """Run each job whose condition holds, in the file's order, which is theirs; a matrix job for each entry."""
        self.contexts["needs"] = {}
        self.machine.stored.clear()
        for name, job in self.workflow["jobs"].items():
            needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            # without a function of the status in it, a condition holds only after jobs that succeeded
            fine = "cancelled()" in job.get("if", "") or all(self.results[each] == "success" for each in needs)
            self.results[name] = self._jobs(name, job) if fine and self._holds(job) else "skipped"
            self.contexts["needs"].setdefault(name, {"outputs": {}})["result"] = self.results[name]
        return {name: result for name, result in self.results.items() if result != "skipped"}

    def _jobs(self, name: str, job: dict[str, Any]) -> str:
        entries = [{}]
        if "strategy" in job:
            assert job["strategy"]["fail-fast"] is False
            entries = Expression(job["strategy"]["matrix"][4:-3], self.contexts).value()["include"]
            assert 0 < len(entries) <= 256
        ends = set()
        for entry in entries:
            self.contexts["matrix"] = entry
            ends.add(self._job(name, job))
        return "success" if ends == {"success"} else "failure"

    def again(self, name: str) -> str:
        """Run one job of it once more, as the button does."""
        return self._jobs(name, self.workflow["jobs"][name])

    def _holds(self, part: dict[str, Any]) -> bool:
        return bool(Expression(part["if"], self.contexts).value()) if "if" in part else True

    def _text(self, value: str) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: str(Expression(match[1], self.contexts).value()), value)

    def _texts(self, values: dict[str, str]) -> dict[str, str]:
        return {name: self._text(str(value)) for name, value in values.items()}

    def _job(self, name: str, job: dict[str, Any]) -> str:
        workspace = self.machine.workspace()
        self.contexts["steps"] = {}
        self.contexts["secrets"] = self.contexts["all_secrets"] if "environment" in job else {}
        if "environment" in job:
            self.environments.append(self._text(job["environment"]))
            if not self.approve(self.environments[-1]):
                return "failure"
        env = {**self.env, **self._texts(self.workflow.get("env", {})), **self._texts(job.get("env", {}))}
        for step in job["steps"]:
            fine = not self._holds(step) or self._step(name, step, workspace, env)
            if not fine and not step.get("continue-on-error"):
                return "failure"
        self.contexts["needs"][name] = {"outputs": self._texts(job.get("outputs", {}))}
        return "success"

    def _step(self, job: str, step: dict[str, Any], workspace: Path, env: dict[str, str]) -> bool:
        if "uses" in step:
            self._action(step["uses"].partition("@")[0], self._texts(step.get("with", {})), workspace)
            return True
        assert "${{" not in step["run"]
        files = {name: workspace.parent / f"{name}-{workspace.name}" for name in ("ENV", "OUTPUT", "STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        given = {f"GITHUB_{name}": str(file) for name, file in files.items()} | {"GITHUB_WORKSPACE": str(workspace)}
        own = {**env, **self._texts(step.get("env", {})), **given}
        status = self.machine.bash(job, step["run"], workspace, own)
        env.update(key_values(files["ENV"].read_text()))
        self.machine.said += files["STEP_SUMMARY"].read_text()
        if "id" in step:
            self.contexts["steps"][step["id"]] = {"outputs": key_values(files["OUTPUT"].read_text())}
        return status == 0

    def _action(self, name: str, given: dict[str, str], workspace: Path) -> None:
        if name == "actions/checkout":
            assert given["persist-credentials"] == "False"
            self.machine.check_out(workspace)
        elif name == "actions/upload-artifact":
            self.machine.store(given["name"], *(workspace / path for path in given["path"].split()))
        elif name == "actions/download-artifact" and "pattern" in given:
            for each in fnmatch.filter(self.machine.stored, given["pattern"]):
                self.machine.fetch(each, workspace / given["path"] / each)
        elif name == "actions/download-artifact":
            self.machine.fetch(given["name"], workspace)
        elif name == "aws-actions/configure-aws-credentials":
            assert given["role-to-assume"].startswith("arn:aws:iam::")
            assert given["aws-region"]
        else:
            assert name in {"actions/setup-python", "actions/cache"}, name


def key_values(text: str) -> dict[str, str]:
    """What a step wrote to GITHUB_ENV or GITHUB_OUTPUT, in both of its forms."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, equals, value = line.partition("=")
        if "<<" in name or not equals:
            name, _, mark = line.partition("<<")
            held = []
            while (line := next(lines)) != mark:
                held.append(line)
            value = "\n".join(held)
        found[name] = value
    return found
