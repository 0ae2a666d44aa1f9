"""GitLab's runner in small: ``extends``, rules, variables, artifacts of needed jobs, and the scripts for real."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.job_shell import Machine
from tests.e2e.shell_steps import loaded

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
    child: GitlabPipeline | None = None

    def run(self) -> dict[str, bool]:
        """Run each job whose rules let it in, and whose needed jobs were fine, in the order of the stages.

        A job that triggers a child pipeline ends as that does; the child's jobs count as this pipeline's.
        """
        self.machine.stored.clear()
        return self._run()

    def _run(self) -> dict[str, bool]:
        jobs = {name: job for name, job in self.file.items() if isinstance(job, dict) and not name.startswith(".")}
        done: dict[str, bool] = {}
        for name, job in sorted(jobs.items(), key=lambda item: self.file["stages"].index(item[1]["stage"])):
            rule = next((each for each in job["rules"] if holds(each["if"], self.variables)), None)
            fine = all(done.get(need) for need in job.get("needs", done)) or (rule or {}).get("when") == "always"
            if rule and fine and "trigger" in job:
                done |= self._child(job["trigger"])
            elif rule and fine:
                self.manual += [name] if rule.get("when") == "manual" else []
                done[name] = self._job(name, job)
        return done

    def _child(self, trigger: dict[str, Any]) -> dict[str, bool]:
        """https://docs.gitlab.com/ci/pipelines/downstream_pipelines/#dynamic-child-pipelines"""
        assert trigger["strategy"] == "depend"
        (included,) = trigger["include"]
        (file,) = loaded(
            (self.machine.stored[f"{included['job']}/{included['artifact']}"] / included["artifact"]).read_text()
        )
        assert trigger["forward"] == {"pipeline_variables": True}
        given = {**self.variables, "CI_PIPELINE_SOURCE": "parent_pipeline"}
        self.child = GitlabPipeline(file, self.machine, given, self.manual, self.environments)
        return self.child._run()

    def again(self, name: str) -> bool:
        """Run one job of it once more, as the button does."""
        of = self if name in self.file else self.child
        assert of is not None
        return of._job(name, of.file[name])

    def _job(self, name: str, job: dict[str, Any]) -> bool:
        base = self.file[job["extends"]] if "extends" in job else {}
        workspace = self.machine.workspace()
        own = {**base.get("variables", {}), **job.get("variables", {})}
        if own.get("GIT_STRATEGY") != "none":
            self.machine.check_out(workspace)
        known = {**self.variables, "CI_PROJECT_DIR": str(workspace), "CI_JOB_ID": str(self.machine.jobs)}
        # without `needs`, a job has the artifacts of every job before it
        for need in job.get("needs", list(self.file)):
            self._artifacts_of(need, workspace)
        env = known | {key: expanded(str(value), known) for key, value in own.items()}
        env |= {key: f"token for {value['aud']}" for key, value in job.get("id_tokens", {}).items()}
        self.environments += [job["environment"]["name"]] if "environment" in job else []
        script = "\n".join([*job.get("before_script", []), *job["script"]])
        status = self.machine.bash(name, script, workspace, env)
        if "after_script" in job:
            self.machine.bash(name, "\n".join(job["after_script"]), workspace, env)
        assert not (workspace / ".gridbyoc-token").exists()
        self._keep(name, job, workspace, fine=status == 0)
        return status == 0

    def _keep(self, name: str, job: dict[str, Any], workspace: Path, *, fine: bool) -> None:
        kept = job.get("artifacts", {})
        if not fine and kept.get("when") != "always":
            return
        for path in [*kept.get("paths", []), *kept.get("reports", {}).values()]:
            place = workspace / path
            files = [each for each in place.rglob("*") if each.is_file()] if place.is_dir() else [place]
            if place.exists():
                self.machine.store(f"{name}/{path}", *files, below=workspace)

    def _artifacts_of(self, need: str, workspace: Path) -> None:
        """Put what the job kept into the workspace."""
        for name in self.machine.stored:
            if name.startswith(f"{need}/"):
                self.machine.fetch(name, workspace)


def expanded(text: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$(\$|\w+)", lambda match: "$" if match[1] == "$" else variables.get(match[1], ""), text)
