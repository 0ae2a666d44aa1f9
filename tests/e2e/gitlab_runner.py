"""GitLab's runner in small: ``extends``, rules, variables, artifacts of needed jobs, and the scripts for real."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.job_shell import Machine

CLAUSE = re.compile(r'\$(\w+)(?: (==|!=) (?:"([^"]*)"|(null)|\$(\w+)))?')


def holds(condition: str, variables: dict[str, str]) -> bool:
    """https://docs.gitlab.com/ci/jobs/job_rules/#cicd-variable-expressions, as far as we use it."""
    for clause in condition.split(" && "):
        match = CLAUSE.fullmatch(clause)
        assert match, clause
        value = variables.get(match[1])
        wanted = None if match[4] else variables.get(match[5]) if match[5] else match[3]
        fine = bool(value) if match[2] is None else (value == wanted) is (match[2] == "==")
        if not fine:
            return False
    return True


@dataclass
class GitlabPipeline:
    """One pipeline. ``manual`` are the jobs that somebody had to start; ``environments`` what they were bound to."""

    file: dict[str, Any]
    machine: Machine
    variables: dict[str, str]
    manual: list[str] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)

    def run(self) -> dict[str, bool]:
        """Run each job whose rules let it in, and whose needed jobs were fine, in the order of the stages."""
        jobs = {name: job for name, job in self.file.items() if isinstance(job, dict) and not name.startswith(".")}
        done: dict[str, bool] = {}
        for name, job in sorted(jobs.items(), key=lambda item: self.file["stages"].index(item[1]["stage"])):
            rule = next((each for each in job["rules"] if holds(each["if"], self.variables)), None)
            if rule and all(done.get(need) for need in job["needs"]):
                self.manual += [name] if rule.get("when") == "manual" else []
                done[name] = self._job(name, job)
        return done

    def again(self, name: str) -> bool:
        """Run one job of it once more, as the button does."""
        return self._job(name, self.file[name])

    def _job(self, name: str, job: dict[str, Any]) -> bool:
        base = self.file[job["extends"]]
        workspace = self.machine.workspace()
        self.machine.check_out(workspace)
        known = {**self.variables, "CI_PROJECT_DIR": str(workspace), "CI_JOB_ID": str(self.machine.jobs)}
        for need in job["needs"]:
            known.update(self._artifacts_of(need, workspace))
        own = {**base["variables"], **job.get("variables", {})}
        env = known | {key: expanded(str(value), known) for key, value in own.items()}
        env |= {key: f"token for {value['aud']}" for key, value in job.get("id_tokens", {}).items()}
        self.environments += [job["environment"]["name"]] if "environment" in job else []
        script = "\n".join([*job.get("before_script", []), *job["script"]])
        status = self.machine.bash(name, script, workspace, env)
        if "after_script" in job:
            self.machine.bash(name, "\n".join(job["after_script"]), workspace, env)
        assert not (workspace / ".gridbyoc-token").exists()
        self._keep(name, job, workspace)
        return status == 0

    def _keep(self, name: str, job: dict[str, Any], workspace: Path) -> None:
        kept = job.get("artifacts", {})
        for path in [*kept.get("paths", []), *kept.get("reports", {}).values()]:
            if (workspace / path).exists():
                self.machine.store(f"{name}/{path}", workspace / path)

    def _artifacts_of(self, need: str, workspace: Path) -> dict[str, str]:
        """Put what the needed job kept into the workspace; return the variables of its dotenv report."""
        for name in self.machine.stored:
            if name.startswith(f"{need}/"):
                self.machine.fetch(name, workspace)
        dotenv = self.file[need].get("artifacts", {}).get("reports", {}).get("dotenv")
        lines = (workspace / dotenv).read_text().splitlines() if dotenv else []
        return {key: value for key, _, value in (line.partition("=") for line in lines)}


def expanded(text: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$(\$|\w+)", lambda match: "$" if match[1] == "$" else variables.get(match[1], ""), text)
