"""A Terraform that needs no process: commands, events, state and saved plans as the real one has them, in memory.

It takes the place of ``gridbyoc.terraform.process.run``, so that command lines, transcripts, logs, errors and the
reading of states are the product's own. Which resources a root module makes is a ``Configuration`` in Python
(``memory_module`` has the gridbyoc module's). ``tests/functional/test_memory_terraform.py`` runs the same cases against
this one and the real one.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gridbyoc.terraform.process import Cause, ExitInfo, Interrupts, LineSink, ProcessCommand

Attributes = dict[str, Any]
Happens = Callable[[str], None]
VERSION = (1, 11, 4)
RECORD = Path(".terraform") / "terraform.tfstate"
MODULES = Path(".terraform") / "modules" / "modules.json"


REASONS = {
    "cannot_update": "replace_because_cannot_update",
    "tainted": "replace_because_tainted",
    "replace_triggered_by": "replace_by_triggers",
}
"""A reason in the event stream, and the same in ``show -json``."""


class Unknown:
    """A value that is known after the apply."""

    def __repr__(self) -> str:
        return "(known after apply)"


UNKNOWN = Unknown()


class ProviderError(Exception):
    """A provider's diagnostic. ``made``: what exists all the same, which the state keeps as tainted."""

    def __init__(self, summary: str, detail: str = "", made: Attributes | None = None) -> None:
        super().__init__(summary)
        self.summary, self.detail, self.made = summary, detail, made


@dataclass(frozen=True)
class Provider:
    """How one kind of resource is made, read, changed and taken away.

    ``computed``: what is known after the creation alone; ``recomputed``: what of it is not known after a change either.
    """

    create: Callable[[Attributes], Attributes]
    read: Callable[[Attributes], Attributes | None]
    update: Callable[[Attributes, Attributes], Attributes]
    delete: Callable[[Attributes], None]
    computed: tuple[str, ...] = ()
    recomputed: tuple[str, ...] = ()
    import_: Callable[[str], Attributes] = lambda _ident: {}


Look = Callable[[str, str], Any]
"""An attribute of a resource by its address, as it is now or as it is planned."""


@dataclass(frozen=True)
class Resource:
    """One resource of a configuration, at the address ``module.type.name[key]``.

    ``arguments`` says what is asked for. A change of one in ``forces`` replaces it, and so does any change of
    ``triggered_by``; a change of one in ``ignored`` is none. ``needs`` are addresses that must be there first;
    ``sensitive`` are arguments whose values Terraform marks so.
    """

    module: str
    type: str
    name: str
    provider: Provider
    arguments: Callable[[Look], Attributes]
    key: str | int | None = None
    forces: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    triggered_by: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    sensitive: frozenset[str] = frozenset()

    @property
    def address(self) -> str:
        return address_of(self.module, self.type, self.name, self.key)


@dataclass(frozen=True)
class Output:
    """An output of the root module; ``needs`` are addresses that must have been made for it to be written."""

    value: Callable[[Look], Any]
    needs: tuple[str, ...] = ()
    sensitive: bool = False


@dataclass(frozen=True)
class Configuration:
    """A root module: its resources, each after those that it needs, and its outputs."""

    resources: tuple[Resource, ...]
    outputs: Mapping[str, Output]


def address_of(module: str, kind: str, name: str, key: str | int | None = None) -> str:
    index = "" if key is None else f"[{json.dumps(key)}]"
    return ".".join(part for part in (module, kind, name) if part) + index


@dataclass(frozen=True)
class Change:
    """What a plan does to one address. ``resource`` is ``None`` for one that the configuration has no more."""

    address: str
    action: str
    reason: str = ""
    resource: Resource | None = None


class State:
    """A state document, its instances by address in the order in which they were made."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.lineage = str(document.get("lineage") or uuid.uuid4())
        self.serial = int(document.get("serial") or 0)
        self.exists = bool(document)
        self.outputs: dict[str, Any] = dict(document.get("outputs") or {})
        self.instances: dict[str, dict[str, Any]] = {}
        for resource in document.get("resources") or ():
            head = {name: resource.get(name) for name in ("module", "mode", "type", "name", "provider")}
            for instance in resource["instances"]:
                key = instance.get("index_key")
                address = address_of(resource.get("module") or "", resource["type"], resource["name"], key)
                self.instances[address] = {"head": head, **instance}

    def document(self) -> dict[str, Any]:
        grouped: dict[str, dict[str, Any]] = {}
        for found in self.instances.values():
            head = {name: value for name, value in found["head"].items() if value}
            resource = grouped.setdefault(json.dumps(head), {**head, "instances": []})
            resource["instances"].append({name: value for name, value in found.items() if name != "head"})
        return {
            "version": 4, "terraform_version": ".".join(map(str, VERSION)), "serial": self.serial,
            "lineage": self.lineage, "outputs": self.outputs, "resources": list(grouped.values()),
            "check_results": None,
        }  # fmt: skip

    def put(self, resource: Resource, attributes: Attributes, *, tainted: bool = False) -> None:
        kind = "terraform.io/builtin/terraform" if resource.type == "terraform_data" else "registry/hashicorp/aws"
        head = {
            "module": resource.module, "mode": "managed", "type": resource.type, "name": resource.name,
            "provider": f'provider["{kind}"]',
        }  # fmt: skip
        instance: dict[str, Any] = {"head": head, "schema_version": 0, "attributes": attributes}
        if resource.key is not None:
            instance["index_key"] = resource.key
        if tainted:
            instance["status"] = "tainted"
        needs = {need.partition("[")[0] for need in resource.needs}
        for address, found in self.instances.items():
            if address.partition("[")[0] in needs:
                needs |= set(found["dependencies"])
        instance["dependencies"] = sorted(needs)
        self.instances[resource.address] = instance


@dataclass
class Faults:
    """What goes wrong, by command (``init``, ``plan``, …). Each fault happens once.

    ``errors``: the summaries of its next failures. ``interrupt`` and ``timeout`` stop the command, an apply before the
    resource of that address. ``holder``: somebody holds the state's lock for as long as it is set.
    """

    errors: dict[str, list[str]] = field(default_factory=dict)
    interrupt: dict[str, str] = field(default_factory=dict)
    timeout: dict[str, str] = field(default_factory=dict)
    holder: str = ""


class _StopError(Exception):
    """The command was asked to stop."""


@dataclass
class MemoryTerraform:
    """Runs commands. ``configure`` reads a root module's files, by name; ``objects`` are the states in S3."""

    configure: Callable[[Mapping[str, str]], Configuration]
    happens: Happens = lambda _what: None
    objects: dict[tuple[str, str], str] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    begins: Callable[[], object] = lambda: None
    """Called right before each command."""

    def __call__(
        self,
        command: ProcessCommand,
        on_line: LineSink,
        *,
        interrupts: Interrupts,
        clock: Callable[[], float] = lambda: 0.0,
        on_stop: Callable[[Cause], None] = lambda _cause: None,
    ) -> ExitInfo:
        """As ``gridbyoc.terraform.process.run``."""
        words, cwd = command.argv[1:], command.cwd
        assert cwd is not None
        self.commands.append(words)
        self.begins()
        if words[0].startswith("-chdir="):
            words, cwd = words[1:], Path(words[0].removeprefix("-chdir="))
        call = _Call(self, cwd, words, on_line)
        try:
            code = call.run()
        except _StopError:
            cause = Cause.INTERRUPT if self.faults.interrupt.pop(call.verb, None) is not None else Cause.TIMEOUT
            self.faults.timeout.pop(call.verb, None)
            on_stop(cause)
            return ExitInfo(1, 0.0, cause)
        return ExitInfo(code, 0.0)


class _Call:
    """One command."""

    def __init__(self, terraform: MemoryTerraform, cwd: Path, words: Sequence[str], on_line: LineSink) -> None:
        self._terraform, self._cwd, self._on_line = terraform, cwd, on_line
        two = " ".join(words[:2])
        self.verb = two if words[0] == "state" else words[0]
        rest = words[2:] if words[0] == "state" else words[1:]
        self._flags = [word for word in rest if word.startswith("-")]
        self._args = [word for word in rest if not word.startswith("-")]
        self._json = "-json" in self._flags
        if self.verb == "apply" and "-destroy" in self._flags:
            self.verb = "destroy"

    def run(self) -> int:
        run = getattr(self, f"_{self.verb.replace(' ', '_').replace('-', '_')}")
        if self._streams:
            number = ".".join(map(str, VERSION))
            self.event("version", f"Terraform {number}", terraform=number, ui="1.2")
        try:
            self._fault(self.verb)
            self.stop_if_asked("")
            return int(run())
        except ProviderError as error:
            self._error(error)
            return 1

    # --- commands

    def _init(self) -> int:
        self._terraform.happens("init")
        backend = self._asked_backend()
        if backend is not None:
            record = {"version": 3, "terraform_version": "1.11.4", "backend": {**backend, "hash": 1}}
            _write(self._cwd / RECORD, json.dumps(record))
        modules = [{"Key": "", "Source": "", "Dir": "."}]
        modules += [{"Key": name, "Source": f"./{name}", "Dir": name} for name in self._called_modules()]
        _write(self._cwd / MODULES, json.dumps({"Modules": modules}))
        _write(self._cwd / ".terraform.lock.hcl", "# providers\n")
        self._say("Terraform has been successfully initialized!")
        return 0

    def _plan(self) -> int:
        self._check_ready()
        state, root = self._state(), self._root
        destroy, targets = "-destroy" in self._flags, self._options("-target")
        engine = _Engine(self, state, self._terraform.configure(root))
        changes = engine.plan(destroy=destroy, targets=targets)
        changed = engine.show(changes, destroy=destroy, targeted=bool(targets))
        out = self._options("-out")
        if out:
            saved = {
                "lineage": state.lineage, "serial": state.serial, "exists": state.exists, "destroy": destroy,
                "targets": targets, "root": root,
            }  # fmt: skip
            _write(Path(out[0]), json.dumps(saved))
        return 2 if changed else 0

    def _apply(self) -> int:
        self._check_ready()
        state, root, targets, destroy = self._state(), self._root, self._options("-target"), self.verb == "destroy"
        if self._args:
            saved = json.loads(Path(self._args[0]).read_text())
            if (saved["serial"], saved["exists"]) != (state.serial, state.exists) or (
                state.exists and saved["lineage"] != state.lineage
            ):
                raise ProviderError(
                    "Saved plan is stale",
                    "The given plan file can no longer be applied because the state was changed by another operation "
                    "after the plan was created.",
                )
            state.lineage, destroy, targets = saved["lineage"], saved["destroy"], saved["targets"]
            root = saved["root"]  # a saved plan carries its configuration: what was rendered since does not count
        engine = _Engine(self, state, self._terraform.configure(root))
        changes = engine.plan(destroy=destroy, targets=targets)
        engine.show(changes, destroy=destroy, targeted=bool(targets))
        try:
            return engine.apply(changes, destroy=destroy, targeted=bool(targets))
        except _StopError:
            self.save(state)
            raise

    _destroy = _apply

    def _show(self) -> int:
        saved = json.loads(Path(self._args[0]).read_text())
        engine = _Engine(self, self._state(), self._terraform.configure(saved["root"]))
        changes = engine.plan(destroy=saved["destroy"], targets=saved["targets"])
        self._print(json.dumps(engine.document(changes, destroy=saved["destroy"])))
        return 0

    def _output(self) -> int:
        self._print(json.dumps(self._state().outputs))
        return 0

    def _state_pull(self) -> int:
        state = self._state()
        if state.exists:
            self._print(json.dumps(state.document()))
        return 0

    def _state_push(self) -> int:
        """Over nothing, an empty state, or an older one of its lineage; it keeps the serial that it has."""
        self._check_lock("OperationTypeInvalid")
        pushed, there = State(json.loads((self._cwd / self._args[0]).read_text())), self._state()
        if there.instances or there.outputs:
            if pushed.lineage != there.lineage:
                raise ProviderError("Failed to write state", "cannot import state with lineage")
            if pushed.serial < there.serial:
                raise ProviderError("Failed to write state", "cannot import state with serial")
        self._write_state(pushed)
        self._terraform.happens(f"push {pushed.serial}")
        return 0

    def _state_mv(self) -> int:
        self._check_lock("OperationTypeInvalid")
        state, (source, target) = self._state(), self._args
        moved = {address: found for address, found in state.instances.items() if _within(address, source)}
        if not moved:
            raise ProviderError(
                "Invalid source address", f"Cannot move {source}: does not match anything in the state."
            )
        if any(_within(address, target) for address in state.instances):
            raise ProviderError("Invalid target address", f"Cannot move to {target}: there is already a resource.")
        for address, found in moved.items():
            new = target + address[len(source) :]
            del state.instances[address]
            found["head"] = {**found["head"], "module": new.rpartition(f".{found['head']['type']}.")[0]}
            if source.startswith("module."):
                found["dependencies"] = [each.replace(f"{source}.", f"{target}.") for each in found["dependencies"]]
            state.instances[new] = found
        self.save(state)
        self._say(f"Successfully moved {len(moved)} object(s).")
        return 0

    def _import(self) -> int:
        self._check_ready("OperationTypeImport")
        address, ident = self._args
        state, configuration = self._state(), self._terraform.configure(self._root)
        resource = next((each for each in configuration.resources if each.address == address), None)
        if resource is None:
            raise ProviderError(f'resource address "{address}" does not exist in the configuration.')
        if address in state.instances:
            raise ProviderError("Resource already managed by Terraform", f"{address} is in the state already.")
        state.put(resource, resource.provider.import_(ident))
        self._terraform.happens(f"import {address}")
        self.save(state)
        self._say("Import successful!")
        return 0

    def _force_unlock(self) -> int:
        self._terraform.faults.holder = ""
        self._say("Terraform state has been successfully unlocked!")
        return 0

    # --- what they share

    def happens(self, what: str) -> None:
        self._terraform.happens(what)

    def stop_if_asked(self, address: str) -> None:
        faults = self._terraform.faults
        if address in (faults.interrupt.get(self.verb), faults.timeout.get(self.verb)):
            raise _StopError

    def event(self, kind: str, message: str, **fields: Any) -> None:
        """A line of the stream; nothing for a command that does not speak in events."""
        if self._streams:
            self._print(json.dumps({"@level": "info", "@message": message, "type": kind, **fields}))

    def _error(self, error: ProviderError, address: str = "") -> None:
        self.diagnostic("error", error.summary, error.detail, address)

    def diagnostic(self, severity: str, summary: str, detail: str = "", address: str = "") -> None:
        body = {"severity": severity, "summary": summary, "detail": detail, "address": address}
        if self._streams:
            level = {"@level": severity, "@message": f"{severity.capitalize()}: {summary}"}
            self._print(json.dumps({**level, "type": "diagnostic", "diagnostic": body}))
            return
        for line in (f"{severity.capitalize()}: {summary}", "", *detail.splitlines()):
            self._on_line("stderr", f"│ {line}")

    def save_on_the_way(self, state: State) -> None:
        """A file is written after each resource; an object in S3 at the end, or every 20 seconds."""
        if isinstance(self._place(), Path):
            self.save(state)

    def save(self, state: State) -> None:
        """Write the state where it belongs, if that changes it."""
        before = State(self._document())
        state.serial = before.serial
        if before.exists and before.document() == state.document():
            return
        state.serial += 1
        self._write_state(state)
        state.exists = True
        self._terraform.happens(f"state {state.serial}")

    def _write_state(self, state: State) -> None:
        text = json.dumps(state.document())
        place = self._place()
        if isinstance(place, Path):
            _write(place, text)
        else:
            self._terraform.objects[place] = text

    @property
    def _streams(self) -> bool:
        return self._json and self.verb in {"init", "plan", "apply", "destroy"}

    def _say(self, text: str) -> None:
        """A sentence for people, as an event where the command speaks JSON."""
        self.event("log", text) if self._json else self._print(text)

    def _print(self, text: str) -> None:
        for line in text.splitlines():
            self._on_line("stdout", line)

    def _options(self, name: str) -> list[str]:
        return [flag.partition("=")[2] for flag in self._flags if flag.startswith(f"{name}=")]

    def _fault(self, verb: str) -> None:
        waiting = self._terraform.faults.errors.get(verb)
        if waiting:
            raise ProviderError(waiting.pop(0))

    def _check_ready(self, operation: str = "") -> None:
        """What Terraform checks before it works: an init for this backend and these modules, and the lock."""
        asked = self._asked_backend()
        record = _read(self._cwd / RECORD).get("backend")
        if asked is not None and record is None:
            raise ProviderError('Backend initialization required, please run "terraform init"')
        if asked is not None and {**asked, "hash": 1} != record:
            raise ProviderError("Backend configuration changed")
        installed = {each["Key"] for each in _read(self._cwd / MODULES).get("Modules", [])}
        missing = [name for name in self._called_modules() if name not in installed]
        if missing:
            raise ProviderError("Module not installed", f"module.{missing[0]} is not yet installed.")
        if "-lock=false" not in self._flags:
            self._check_lock(operation or f"OperationType{self.verb.capitalize()}")

    def _check_lock(self, operation: str) -> None:
        holder = self._terraform.faults.holder
        if holder:
            detail = (
                "Error message: resource temporarily unavailable\nLock Info:\n"
                f"  ID:        1f0ee4bc-0000-0000-0000-000000000001\n  Path:      terraform.tfstate\n"
                f"  Operation: {operation}\n  Who:       {holder}\n  Created:   2026-01-02 12:00:00 UTC\n"
            )
            raise ProviderError("Error acquiring the state lock", detail)

    @cached_property
    def _root(self) -> dict[str, str]:
        paths = sorted(path for path in self._cwd.iterdir() if path.name.endswith((".tf", ".tfvars.json")))
        return {path.name: path.read_text() for path in paths}

    def _text(self) -> str:
        return "\n".join(text for name, text in self._root.items() if name.endswith(".tf"))

    def _called_modules(self) -> list[str]:
        return re.findall(r'^module "(\w+)"', self._text(), re.MULTILINE)

    def _asked_backend(self) -> dict[str, Any] | None:
        for file in self._cwd.glob("backend.tf.json"):
            ((kind, config),) = json.loads(file.read_text())["terraform"]["backend"].items()
            return {"type": kind, "config": config}
        block = re.search(r'^\s*backend "(\w+)" \{(.*?)\}', self._text(), re.MULTILINE | re.DOTALL)
        if block is None:
            return None
        pairs = re.findall(r'^\s*(\w+)\s*= (?:"(.*)"|(\w+))$', block[2], re.MULTILINE)
        config = {name: text or json.loads(word) for name, text, word in pairs}
        return {"type": block[1], "config": config or {"path": None, "workspace_dir": None}}

    def _place(self) -> Path | tuple[str, str]:
        named = self._options("-state")
        if named:
            return Path(named[0])
        backend = _read(self._cwd / RECORD).get("backend") or {"type": "local", "config": {}}
        if backend["type"] == "local":
            return self._cwd / str(backend["config"].get("path") or "terraform.tfstate")
        return backend["config"]["bucket"], backend["config"]["key"]

    def _document(self) -> dict[str, Any]:
        place = self._place()
        if isinstance(place, Path):
            return _read(place)
        found: dict[str, Any] = json.loads(self._terraform.objects.get(place, "{}"))
        return found

    def _state(self) -> State:
        return State(self._document())


class _Engine:
    """Plan and apply of one configuration on one state."""

    def __init__(self, call: _Call, state: State, configuration: Configuration) -> None:
        self._call, self._state, self._configuration = call, state, configuration
        self._planned: dict[str, Attributes] = {}
        self._drifted: list[Change] = []

    # --- plan

    def plan(self, *, destroy: bool, targets: Sequence[str]) -> list[Change]:
        self._refresh()
        if destroy:
            gone = self._dependents(targets) if targets else list(self._state.instances)
            return [Change(address, "delete") for address in reversed(gone)]
        changes: dict[str, Change] = {}
        for resource in self._configuration.resources:
            changes[resource.address] = self._change(resource, changes)
        gone = [address for address in self._state.instances if address not in changes]
        deletes = [Change(address, "delete", "delete_because_no_resource_config") for address in reversed(gone)]
        return [*deletes, *(change for change in changes.values() if change.action != "noop")]

    def _refresh(self) -> None:
        providers = {each.type: each.provider for each in self._configuration.resources}
        for address, instance in list(self._state.instances.items()):
            provider = providers.get(instance["head"]["type"])
            found = provider.read(instance["attributes"]) if provider else instance["attributes"]
            if found == instance["attributes"]:
                continue
            self._drifted.append(Change(address, "update" if found else "delete"))
            if found is None:
                del self._state.instances[address]
            else:
                instance["attributes"] = found

    def _dependents(self, targets: Sequence[str]) -> list[str]:
        """The targets and everything that depends on them, in the order of the state."""
        names = [address for address in self._state.instances if any(_within(address, each) for each in targets)]
        while True:
            bare = {address.partition("[")[0] for address in names}
            more = [
                address
                for address, found in self._state.instances.items()
                if address not in names and bare & set(found.get("dependencies") or ())
            ]
            if not more:
                return [address for address in self._state.instances if address in names]
            names += more

    def _change(self, resource: Resource, changes: Mapping[str, Change]) -> Change:
        asked = resource.arguments(self._look)
        found = self._state.instances.get(resource.address)
        unknown = dict.fromkeys(resource.provider.computed, UNKNOWN)
        triggered = any(changes[each].action in {"update", "replace"} for each in resource.triggered_by)
        if found is None:
            self._planned[resource.address] = {**unknown, **asked}
            return Change(resource.address, "create", "replace_triggered_by" if triggered else "", resource)
        before = found["attributes"]
        differ = {
            name for name, value in asked.items()
            if name not in resource.ignored and (value is UNKNOWN or value != before.get(name))
        }  # fmt: skip
        if found.get("status") == "tainted":
            reason = "tainted"
        elif triggered:
            reason = "replace_triggered_by"
        elif differ & resource.forces:
            reason = "cannot_update"
        else:
            again = dict.fromkeys(resource.provider.recomputed if differ else (), UNKNOWN)
            self._planned[resource.address] = {**before, **{name: asked[name] for name in differ}, **again}
            return Change(resource.address, "update" if differ else "noop", resource=resource)
        self._planned[resource.address] = {**unknown, **asked}
        return Change(resource.address, "replace", reason, resource)

    def _look(self, address: str, name: str) -> Any:
        if address in self._planned:
            return self._planned[address].get(name, UNKNOWN)
        return self._state.instances[address]["attributes"].get(name, UNKNOWN)

    def show(self, changes: Sequence[Change], *, destroy: bool, targeted: bool) -> bool:
        """The plan as events; whether there is anything to do."""
        for change in self._drifted:
            self._call.event("resource_drift", "drift", change=_change_body(change))
        for change in changes:
            self._call.event("planned_change", f"{change.address}: Plan", change=_change_body(change))
        self._call.event("change_summary", "Plan", changes={**_counts(changes), "operation": "plan"})
        if targeted:
            self._call.diagnostic("warning", "Resource targeting is in effect")
            return bool(changes)
        outputs = self._output_actions(destroy=destroy)
        if outputs:
            shown = {name: {"sensitive": False, "action": action} for name, action in outputs.items()}
            self._call.event("outputs", f"Outputs: {len(outputs)}", outputs=shown)
        return bool(changes) or any(action != "noop" for action in outputs.values())

    def document(self, changes: Sequence[Change], *, destroy: bool) -> dict[str, Any]:
        """The plan as ``show -json`` has it."""
        listed = {change.address: change for change in changes}
        kept = [Change(each.address, "no-op", "", each) for each in self._configuration.resources
                if each.address not in listed and not destroy]  # fmt: skip
        outputs = self._output_actions(destroy=destroy)
        return {
            "format_version": "1.2",
            "terraform_version": ".".join(map(str, VERSION)),
            "resource_changes": [self._body(change) for change in (*changes, *kept)],
            "output_changes": {name: self._output_body(name, action) for name, action in outputs.items()},
        }

    def _output_body(self, name: str, action: str) -> dict[str, Any]:
        output = self._configuration.outputs[name]
        value = None if action == "delete" else output.value(self._look)
        return {
            "actions": ["no-op" if action == "noop" else action],
            "before": self._state.outputs.get(name, {}).get("value"),
            **({} if value is UNKNOWN else {"after": value}),
            "after_unknown": value is UNKNOWN,
            "before_sensitive": output.sensitive,
            "after_sensitive": output.sensitive,
        }

    def _body(self, change: Change) -> dict[str, Any]:
        found = self._state.instances.get(change.address)
        before = found["attributes"] if found else None
        after = None if change.action == "delete" else self._planned[change.address]
        marks = dict.fromkeys(change.resource.sensitive if change.resource else (), True)
        reason = {"action_reason": REASONS.get(change.reason, change.reason)} if change.reason else {}
        resource = change.resource
        module = (resource.module if resource else found["head"]["module"] if found else "") or ""
        head = found["head"] if found else {"type": resource.type, "name": resource.name} if resource else {}
        return {
            "address": change.address,
            **({"module_address": module} if module else {}),
            "mode": "managed",
            "type": head["type"],
            "name": head["name"],
            "change": {
                "actions": ["delete", "create"] if change.action == "replace" else [change.action],
                "before": _plain(before),
                "after": _plain(after),
                "after_unknown": {name: True for name, value in (after or {}).items() if value is UNKNOWN},
                "before_sensitive": marks if before is not None else False,
                "after_sensitive": marks if after is not None else False,
            },
            **reason,
        }

    def _output_actions(self, *, destroy: bool) -> dict[str, str]:
        if destroy:
            return dict.fromkeys(self._state.outputs, "delete")
        actions = {}
        for name, output in self._configuration.outputs.items():
            value, before = output.value(self._look), self._state.outputs.get(name)
            if before is None:
                actions[name] = "create"
            else:
                actions[name] = "noop" if value is not UNKNOWN and value == before["value"] else "update"
        return actions

    # --- apply

    def apply(self, changes: Sequence[Change], *, destroy: bool, targeted: bool) -> int:
        """Deletions first, dependents before what they need; then the rest in the configuration's order."""
        known = {} if destroy else {name: each.value(self._look) for name, each in self._configuration.outputs.items()}
        self._planned = {}
        failed: set[str] = set()
        done: list[Change] = []
        removals = [change for change in changes if change.action in {"delete", "replace"}]
        order = list(self._state.instances)
        for change in sorted(removals, key=lambda each: -order.index(each.address)):
            self._call.stop_if_asked(change.address)
            self._delete(change, failed)
        for change in changes:
            if change.action == "delete":
                done += [change] if change.address not in failed else []
            elif not failed & {change.address, *(change.resource.needs if change.resource else ())}:
                self._call.stop_if_asked(change.address)
                self._make(change, failed)
                done += [change] if change.address not in failed else []
            else:
                failed.add(change.address)
        if not targeted:
            self._write_outputs(failed, known, destroy=destroy)
        self._call.save(self._state)
        if failed:
            return 1
        self._call.event("change_summary", "Done", changes={**_counts(done), "operation": self._call.verb})
        return 0

    def _delete(self, change: Change, failed: set[str]) -> None:
        instance = self._state.instances[change.address]
        kinds = {each.type: each.provider for each in self._configuration.resources}
        self._progress(change.address, "apply_start", "delete")
        try:
            if instance["head"]["type"] in kinds:
                kinds[instance["head"]["type"]].delete(instance["attributes"])
        except ProviderError as error:
            self._fail(change.address, "delete", error, failed)
            return
        del self._state.instances[change.address]
        self._call.save_on_the_way(self._state)
        self._progress(change.address, "apply_complete", "delete")

    def _make(self, change: Change, failed: set[str]) -> None:
        resource = change.resource
        assert resource is not None
        action = "update" if change.action == "update" else "create"
        self._progress(change.address, "apply_start", action)
        asked = resource.arguments(self._look)
        try:
            if action == "update":
                before = self._state.instances[change.address]["attributes"]
                kept = {name: before.get(name) for name in resource.ignored}
                made = resource.provider.update(before, {**asked, **kept})
            else:
                made = resource.provider.create(asked)
        except ProviderError as error:
            if error.made is not None:
                self._state.put(resource, error.made, tainted=True)
                self._call.save_on_the_way(self._state)
            self._fail(change.address, action, error, failed)
            return
        self._state.put(resource, made)
        self._call.save_on_the_way(self._state)
        self._progress(change.address, "apply_complete", action)

    def _fail(self, address: str, action: str, error: ProviderError, failed: set[str]) -> None:
        failed.add(address)
        self._progress(address, "apply_errored", action)
        self._call._error(error, address)

    def _progress(self, address: str, kind: str, action: str) -> None:
        hook = {"resource": {"addr": address}, "action": action, "elapsed_seconds": 0}
        self._call.event(kind, f"{address}: {kind}", hook=hook)

    def _write_outputs(self, failed: set[str], known: Mapping[str, Any], *, destroy: bool) -> None:
        """``known``: as planned. An output that was known then is written also where what it needs has failed."""
        if destroy and not failed:
            self._state.outputs = {}
        if not destroy:
            for name, output in self._configuration.outputs.items():
                value = known[name] if failed & set(output.needs) else output.value(self._look)
                if value is not UNKNOWN:
                    mark = {"sensitive": True} if output.sensitive else {}
                    self._state.outputs[name] = {"value": value, "type": "string", **mark}
        self._call.save_on_the_way(self._state)


def _plain(attributes: Attributes | None) -> Attributes | None:
    """What is known; a value of any type (``{"value", "type"}`` in the state) as itself."""
    if attributes is None:
        return None
    known = {name: value for name, value in attributes.items() if value is not UNKNOWN}
    dynamic = {"value", "type"}
    return {
        name: value["value"] if isinstance(value, dict) and value.keys() == dynamic else value
        for name, value in known.items()
    }


def _change_body(change: Change) -> dict[str, Any]:
    reason = {"reason": change.reason} if change.reason else {}
    return {"resource": {"addr": change.address}, "action": change.action, **reason}


def _counts(changes: Sequence[Change]) -> dict[str, int]:
    actions = [change.action for change in changes]
    return {
        "add": sum(each in {"create", "replace"} for each in actions),
        "change": actions.count("update"),
        "import": 0,
        "remove": sum(each in {"delete", "replace"} for each in actions),
    }


def _within(address: str, target: str) -> bool:
    return address == target or address.startswith((f"{target}.", f"{target}["))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
