"""A scenario: its file, its JSON Schema, its rules, and the scenarios that ship."""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from gridbyoc.errors import FileError, Problem, ScenarioError, UsageError
from gridbyoc.sandbox.aws_extra.call import model_name, service_of
from gridbyoc.sandbox.settings import check_quotas
from gridbyoc.stack.document import Document, read_document
from gridbyoc.stack.findings import Findings, in_order
from gridbyoc.stack.schema import check_shape, leftovers
from gridbyoc.stack.words import counted, did_you_mean, listed, nearest, show

ScenarioSide = Literal["aws", "control-plane", "terraform"]
"""The server, or the wrapper around Terraform, that plays a step."""
PLANE = "control-plane"
TERRAFORM = "terraform"
EVERY_REQUEST_TO_AWS = "aws:*"
PLANE_OPERATIONS = ("ListClusters", "CreateCluster", "GetCluster", "UpdateCluster", "DeleteCluster", "Login", "GetUser")
EFFECTS = ("answer", "page", "cut", "cluster", "disk")
LARGEST_FILE = 256 * 1024


@dataclass(frozen=True, slots=True)
class ScenarioAnswer:
    """An answer in place of the service's. ``body`` is the whole body; without it, an error in the service's form."""

    status: int
    code: str = ""
    message: str = ""
    retry_after: int | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterDisguise:
    """What clusters look like in an answer: their phase, without its prefix, and the reason."""

    phase: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """One fault. ``docs/sandbox.md`` describes each field; ``times`` ``None``: no limit."""

    on: str
    path: str = ""
    nth: int = 1
    after: str = ""
    times: int | None = 1
    seconds: float | None = None
    until: str = ""
    when: Literal["before", "after"] = "before"
    delay: float = 0.0
    answer: ScenarioAnswer | None = None
    page: bool = False
    cut: Literal["", "connection", "half"] = ""
    cluster: ClusterDisguise | None = None
    disk: Literal["", "full"] = ""

    @property
    def side(self) -> ScenarioSide:
        """The server that plays it."""
        return _side(self.on)

    @property
    def request(self) -> str:
        """The request that it strikes, in words."""
        return self.on + (f" ({self.path})" if self.path else "") + (f" (after {self.after})" if self.after else "")

    def __str__(self) -> str:
        """The request and the fault, in a few words."""
        return f"{self.request} {self._effect()}"

    def _effect(self) -> str:
        acted = "after the service had acted" if self.when == "after" else "before the service saw it"
        if self.answer:
            said = self.answer.code or self.answer.message
            return f"answered with {self.answer.status}{f' ({said})' if said else ''}"
        if self.cut == "half":
            return "answered in part, then cut off"
        if self.cut:
            return f"cut off {acted}"
        if self.page:
            return "answered with a web page"
        if self.cluster:
            return f"answered with phase {self.cluster.phase}"
        return "with a full disk" if self.disk else f"delayed by {self.delay:g} s"


@dataclass(frozen=True, slots=True)
class ScenarioEnd:
    """How ``bootstrap`` ends: status, the error's code, and the status of the same command run again (``None``: no)."""

    status: int
    code: str = ""
    again: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario. ``raw_steps`` are the steps as written, for the servers."""

    name: str
    title: str
    plays: str
    expect: str
    ends: ScenarioEnd | None
    steps: tuple[ScenarioStep, ...]
    raw_steps: tuple[Mapping[str, Any], ...]
    account: str | None = None
    quotas: Mapping[str, float] | None = None


def shipped() -> tuple[Scenario, ...]:
    """The scenarios that ship, by name."""
    return tuple(read_scenario(path.read_text(encoding="utf-8"), path.stem) for path in _shipped_files())


def shipped_text(name: str) -> str:
    """The file of a scenario that ships. Raises ``UsageError`` for an unknown name."""
    files = {path.stem: path for path in _shipped_files()}
    if name not in files:
        raise _unknown(name, list(files))
    return files[name].read_text(encoding="utf-8")


def load_scenario(named: str, cwd: Path) -> Scenario:
    """The scenario that ships under a name, or the one in a file.

    A text with a slash or the ending ``.yaml`` or ``.yml`` is a file. Raises ``UsageError`` for an unknown name,
    ``FileError`` if the file cannot be read, ``ScenarioError`` with every problem.
    """
    if "/" not in named and not named.endswith((".yaml", ".yml")):
        return read_scenario(shipped_text(named), named)
    try:
        with (cwd / named).open("rb") as stream:
            text = stream.read(LARGEST_FILE).decode()
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or "It is not UTF-8 text."
        raise FileError(f"The scenario file {show(named)} cannot be read.", why=why) from None
    return read_scenario(text, named)


def read_scenario(text: str, name: str) -> Scenario:
    """Read and check a scenario; ``ScenarioError`` with every problem: file, line, path, what is allowed."""
    document = read_document(text, name)
    findings = Findings(document, problems=list(document.faults))
    if not document.broken:
        _check(findings)
    if findings.problems:
        problems: tuple[Problem, ...] = in_order(findings.problems, name)
        said = f"The scenario {show(name)} has {counted(len(problems), 'problem')}."
        raise ScenarioError(said, problems=problems, fix="`gridbyoc sandbox scenarios NAME` prints one that ships.")
    data = document.data
    ends, account = data.get("ends"), data.get("account", {})
    return Scenario(
        name=name,
        title=data["title"],
        plays=_one_line(data.get("plays", "")),
        expect=_one_line(data.get("expect", "")),
        ends=ScenarioEnd(**ends) if ends else None,
        steps=steps_of(data["steps"]),
        raw_steps=tuple(data["steps"]),
        account=account.get("kind"),
        quotas=account.get("quotas"),
    )


def steps_of(raw: Sequence[Mapping[str, Any]]) -> tuple[ScenarioStep, ...]:
    """Steps that were checked already."""
    return tuple(_step(each) for each in raw)


def _step(raw: Mapping[str, Any]) -> ScenarioStep:
    fields = dict(raw)
    if fields.pop("always", False) or {"seconds", "until"} & fields.keys():
        fields["times"] = None
    if "answer" in fields:
        fields["answer"] = ScenarioAnswer(**fields["answer"])
    if "cluster" in fields:
        fields["cluster"] = ClusterDisguise(**fields["cluster"])
    return ScenarioStep(**fields)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _shipped_files() -> list[Path]:
    return sorted((Path(__file__).parent / "shipped").glob("*.yaml"), key=lambda file: file.stem)


def _unknown(name: str, known: Sequence[str]) -> UsageError:
    near = nearest(name, known)
    return UsageError(
        f"There is no scenario {show(name)}." + (f" Did you mean {show(near)}?" if near else ""),
        fix="`gridbyoc sandbox scenarios` lists them; a file is named with its ending, such as my-scenario.yaml.",
    )


# --- checks ---------------------------------------------------------------------------------------------------------


@functools.cache
def scenario_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))
    return found


def _check(findings: Findings) -> None:
    """Report every problem: those of the schema, then those of rules that a schema cannot state."""
    others = check_shape(findings, scenario_schema())
    document = findings.document
    for place, step in _raw_steps(document):
        _check_effect(findings, place, step)
        _check_duration(findings, place, step)
        for key in ("on", "after", "until"):
            if isinstance(name := step.get(key), str) and not findings.known_at((*place, key)):
                _check_request(findings, (*place, key), name)
        _check_sides(findings, place, step)
    quotas = document.mapping("account", "quotas")
    try:
        check_quotas(quotas)
    except UsageError as error:
        findings.problem(("account", "quotas"), error.what.rstrip("."), error.fix.rstrip("."))
    if not quotas and not document.at("account", "kind") and document.at("steps") == []:
        findings.problem(("steps",), "is empty, and there is no `account`: the scenario would play nothing")
    leftovers(findings, others)


def _raw_steps(document: Document) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    found = document.at("steps")
    for index, step in enumerate(found if isinstance(found, list) else []):
        if isinstance(step, dict):
            yield ("steps", index), step


def _check_effect(findings: Findings, place: tuple[str | int, ...], step: Mapping[str, Any]) -> None:
    given = [effect for effect in EFFECTS if effect in step]
    if len(given) > 1:
        findings.problem(place, f"holds {' and '.join(f'`{each}`' for each in given)}", "keep one of them")
    if not given and "delay" not in step:
        findings.problem(place, "plays nothing", f"give one of {listed(['delay', *EFFECTS])}")
    answer = step.get("answer")
    if isinstance(answer, dict) and "body" in answer and {"code", "message"} & answer.keys():
        findings.problem((*place, "answer"), "holds a whole `body` and parts of an error", "keep one of them")
    if step.get("when") == "after" and ({"cluster", "disk"} & step.keys() or step.get("cut") == "half" or not given):
        findings.problem((*place, "when"), "is of no use here", "remove it")


def _check_duration(findings: Findings, place: tuple[str | int, ...], step: Mapping[str, Any]) -> None:
    given = [key for key in ("times", "seconds", "until", "always") if key in step]
    if len(given) > 1:
        findings.problem(place, f"holds {' and '.join(f'`{each}`' for each in given)}", "keep one of them")


def _check_request(findings: Findings, place: tuple[str | int, ...], name: str) -> None:
    if name in (EVERY_REQUEST_TO_AWS, f"{PLANE}:*"):
        return
    service, _, operation = name.partition(":")
    known = _operations(service)
    if not known:
        near = did_you_mean(service, ["iam", "sts", "s3", "ec2", "eks", "servicequotas", PLANE, TERRAFORM])
        findings.problem(place, f"names the unknown service {show(service)}", near)
    elif not any(fnmatchcase(each, operation) for each in known):
        otherwise = f"one of {listed(known)}" if len(known) < 10 else "operations are named as in AWS's API"
        findings.problem(place, f"names an unknown operation of {service}", did_you_mean(operation, known, otherwise))


def _check_sides(findings: Findings, place: tuple[str | int, ...], step: Mapping[str, Any]) -> None:
    on = str(step.get("on"))
    for key in ("after", "until"):
        if key in step and _side(str(step[key])) != _side(on):
            findings.problem((*place, key), "is a request to another service's server", "name one of the same server")
    for effect, side in (("cluster", PLANE), ("disk", TERRAFORM)):
        if effect in step and _side(on) != side:
            findings.problem((*place, effect), f"is of no use with {show(on)}", f"use it with `{side}:…`")
    if _side(on) == TERRAFORM and set(step) - {"on", "nth", "times", "disk"}:
        findings.problem(place, f"holds a key that {show(on)} does not have", "allowed: on, nth, times, disk")


def _side(name: str) -> ScenarioSide:
    if name.startswith(f"{PLANE}:"):
        return "control-plane"
    return "terraform" if name.startswith(f"{TERRAFORM}:") else "aws"


@functools.cache
def _operations(service: str) -> tuple[str, ...]:
    """The operations of a service; empty if there is no such service."""
    if service == PLANE:
        return PLANE_OPERATIONS
    if service == TERRAFORM:
        return ("apply",)
    name = model_name(service) or model_name(service_of(service))
    return _model_operations(name) if name else ()


def _model_operations(name: str) -> tuple[str, ...]:
    from botocore.loaders import Loader

    try:
        return tuple(Loader().load_service_model(name, "service-2")["operations"])
    except (OSError, gzip.BadGzipFile, ValueError, KeyError):  # a service without a model in this botocore
        return ()
