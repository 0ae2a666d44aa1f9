"""Argo Workflows in small: steps, their loops, suspension, parameters, artifacts, and the scripts for real.

https://argo-workflows.readthedocs.io/en/latest/fields/, as far as our templates use it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.job_shell import Machine

KINDS = {"steps", "suspend", "script"}


def filled(text: str, scope: dict[str, str]) -> str:
    """What the controller puts in the place of each ``{{...}}``; one that it does not know is an error."""
    return re.sub(r"\{\{(.*?)\}\}", lambda match: scope[match[1]], text)


@dataclass
class ArgoWorkflow:
    """One workflow, submitted from a WorkflowTemplate or by a CronWorkflow: ``given`` are its parameters.

    ``config`` is the ConfigMap's content, ``secret`` the Secret's, ``resume`` whether somebody resumes a workflow that
    waits. ``phase`` is its end; ``ran`` the nodes that were run, in order, with the service account of each pod.
    """

    document: dict[str, Any]
    machine: Machine
    config: dict[str, str]
    secret: dict[str, str]
    given: dict[str, str] = field(default_factory=dict)
    resume: Callable[[], bool] = lambda: True
    phase: str = "Running"
    ran: list[tuple[str, str]] = field(default_factory=list)

    def run(self) -> ArgoWorkflow:
        spec = self.document["spec"].get("workflowSpec", self.document["spec"])
        assert set(self.given) <= {each["name"] for each in spec["arguments"]["parameters"]}
        scope = {}
        for each in spec["arguments"]["parameters"]:
            if "valueFrom" in each:
                value = self.config[each["valueFrom"]["configMapKeyRef"]["key"]]
            else:  # without a value, whoever submits it must give one
                value = each["value"] if "value" in each else self.given[each["name"]]
            scope[f"workflow.parameters.{each['name']}"] = self.given.get(each["name"], value)
        templates = {each["name"]: each for each in spec["templates"]}
        fine, _ = self.node(templates, templates[spec["entrypoint"]], scope, {})
        if self.phase == "Running" and fine is not None:
            self.phase = "Succeeded" if fine else "Failed"
        return self

    def node(
        self, templates: dict[str, Any], template: dict[str, Any], scope: dict[str, str], files: dict[str, Path]
    ) -> tuple[bool | None, dict[str, str | Path]]:
        """How it ended, ``None`` while it waits, and its outputs by their names in ``{{steps.NAME...}}``."""
        (kind,) = KINDS & set(template)
        if kind == "suspend":
            return (True if self.resume() else None), {}
        if kind == "script":
            return self.pod(template, scope, files)
        for mutex in template.get("synchronization", {}).get("mutexes", []):
            assert filled(mutex["name"], scope)
        known: dict[str, str | Path] = dict(scope)
        for group in template["steps"]:
            ends = []
            for step in group:
                for item in self.items(step, known):
                    end, outputs = self.step(templates, step, known | item)
                    ends.append(end or (True if end is False and step.get("continueOn", {}).get("failed") else end))
                    known |= {f"steps.{step['name']}.outputs.{name}": each for name, each in outputs.items()}
            if not all(ends):
                return (None if None in ends else False), {}
        return True, {}

    @staticmethod
    def items(step: dict[str, Any], known: dict[str, Any]) -> list[dict[str, str]]:
        if "withParam" not in step:
            return [{}]
        listed = json.loads(filled(step["withParam"], known))
        return [{f"item.{name}": value for name, value in each.items()} for each in listed]

    def step(
        self, templates: dict[str, Any], step: dict[str, Any], known: dict[str, Any]
    ) -> tuple[bool | None, dict[str, str | Path]]:
        given = step.get("arguments", {})
        # a template sees the workflow's parameters and its own inputs, and nothing of its caller
        scope = {name: each for name, each in known.items() if name.startswith("workflow.")}
        for each in given.get("parameters", []):
            scope[f"inputs.parameters.{each['name']}"] = filled(each["value"], known)
        files = {each["name"]: known[each["from"].strip("{}")] for each in given.get("artifacts", [])}
        return self.node(templates, templates[step["template"]], scope, files)

    def pod(
        self, template: dict[str, Any], scope: dict[str, str], files: dict[str, Path]
    ) -> tuple[bool, dict[str, str | Path]]:
        """Run a template's script in a checkout; its ``/tmp`` is a directory beside that."""
        script, inputs = template["script"], template["inputs"]
        self.ran.append((template["name"], template["serviceAccountName"]))
        workspace = self.machine.workspace()
        own = workspace.with_suffix(".tmp")
        own.mkdir()
        assert script["workingDir"] == "/work"
        for each in inputs["artifacts"]:
            if "git" in each:
                assert each["path"] == "/work"
                assert filled(each["git"]["repo"], scope) == self.config["repository"]
                assert filled(each["git"]["revision"], scope)
                self.machine.check_out(workspace)
            else:
                shutil.copy(files[each["name"]], own / Path(each["path"]).name)
        missing = {f"inputs.parameters.{each['name']}" for each in inputs.get("parameters", [])} - set(scope)
        assert not missing
        assert script["envFrom"] == [{"secretRef": {"name": "gridbyoc"}}]
        env = self.secret | {each["name"]: filled(each["value"], scope) for each in script["env"]}
        program, *flags = script["command"]
        assert program == "bash"
        job, source = f"{self.document['metadata']['name']}/{template['name']}", script["source"]
        there = source.replace("/tmp/", f"{own}/")
        fine = self.machine.bash(job, there, workspace, env, flags=tuple(flags), written=source) == 0
        return fine, self.outputs(template.get("outputs", {}), own) if fine else {}

    @staticmethod
    def outputs(declared: dict[str, Any], own: Path) -> dict[str, str | Path]:
        found: dict[str, str | Path] = {}
        for each in declared.get("parameters", []):
            found[f"parameters.{each['name']}"] = (own / Path(each["valueFrom"]["path"]).name).read_text().rstrip("\n")
        for each in declared.get("artifacts", []):
            found[f"artifacts.{each['name']}"] = own / Path(each["path"]).name
        return found
