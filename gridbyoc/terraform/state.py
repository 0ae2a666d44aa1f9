"""Where the state lies, and the short ways to read it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, OutputMissingError
from gridbyoc.stack.files import json_object, open_private, read_json, read_private, write_atomic
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import minute

RECORD = Path(".terraform") / "terraform.tfstate"
_OWNED = re.compile(r"\.gridbyoc-(\d+)-\w+")
_BLOCK = re.compile(r'^\s*backend\s+"(\w+)"\s*\{', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the state is kept; without a word of it, in a file of the work_dir. ``config`` is known after an init."""

    type: str = "local"
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def remote(self) -> bool:
        """The state does not lie in a file here."""
        return self.type != "local"

    def state_file(self, work_dir: Path) -> Path:
        """The file of a local state."""
        return work_dir / str(self.config.get("path") or "terraform.tfstate")


def backend_of(work_dir: Path) -> Backend:
    """The backend that the work_dir was initialised with, else the one that its ``.tf`` files ask for."""
    # https://developer.hashicorp.com/terraform/language/backend#initialize-the-backend
    backend = read_json(work_dir / RECORD).get("backend")
    if isinstance(backend, dict) and isinstance(backend.get("type"), str):
        config = backend.get("config")
        return Backend(backend["type"], config if isinstance(config, dict) else {})
    for path in sorted(work_dir.glob("*.tf")):
        with suppress(OSError):
            if match := _BLOCK.search(read_private(path).decode("utf-8", "replace")):
                return Backend(match[1])
    return Backend()


def standing_role(work_dir: Path) -> bool:
    """Whether the local state of ``work_dir`` holds an IAM role; the file alone is read, no Terraform is started."""
    return bool(standing_roles(work_dir))


def standing_roles(work_dir: Path) -> frozenset[str]:
    """The ARNs of the IAM roles that the local state of ``work_dir`` holds, also of one that is being replaced."""
    roles = State(read_json(backend_of(work_dir).state_file(work_dir))).of("aws_iam_role")
    arns = (role.get("arn") for role in roles)
    return frozenset(arn for arn in arns if isinstance(arn, str))


@dataclass(frozen=True, slots=True)
class ModuleInState:
    """What the state has of a module: whether anything at all, its IAM role, and what that is granted.

    ``trust`` is the role's trust policy (it holds external ids), ``policies`` the documents of policies that the module
    made, ``attached`` the ARNs of every policy that it attached.
    """

    present: bool = False
    role_arn: str | None = None
    role_name: str | None = None
    trust: Mapping[str, Any] = field(default_factory=dict, repr=False)
    policies: tuple[Mapping[str, Any], ...] = ()
    attached: frozenset[str] = frozenset()
    own_policy: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class StateInstance:
    """One instance of a resource. ``module`` is the module's address (``module.NAME``), empty in the root module.

    ``content`` is what the state holds of it, and a secret may be in it: its attributes, in every format that there is.
    """

    address: str
    module: str
    mode: str
    type: str
    content: object = field(repr=False)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Its attributes; empty where it has none."""
        return self.content if isinstance(self.content, Mapping) else {}


@dataclass(frozen=True)
class State:
    """A state document (version 4, as ``state pull`` prints it); an empty mapping is a state that is not there.

    The document holds secrets: for reading, not for a log.
    """

    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def lineage(self) -> str:
        """What all versions of one state have in common; empty where there is none."""
        return str(self.document.get("lineage") or "")

    @property
    def serial(self) -> int:
        """The number of this version."""
        serial = self.document.get("serial")
        return serial if isinstance(serial, int) else 0

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The outputs of the root module, as the document has them."""
        outputs = self.document.get("outputs")
        return outputs if isinstance(outputs, dict) else {}

    @cached_property
    def kinds(self) -> frozenset[tuple[str, str]]:
        """Module and type of every resource, data sources and those without an instance among them."""
        return frozenset((str(each.get("module") or ""), str(each.get("type"))) for each in self._resources())

    @cached_property
    def instances(self) -> tuple[StateInstance, ...]:
        """The instances of all resources and data sources."""
        return tuple(self._instances())

    @property
    def addresses(self) -> frozenset[str]:
        """The addresses of all instances."""
        return frozenset(each.address for each in self.instances)

    @property
    def empty(self) -> bool:
        """Neither an instance nor an output."""
        return not self.instances and not self.outputs

    @property
    def has_resources(self) -> bool:
        """Whether there is a resource in it; data sources do not count."""
        return any(each.get("mode") == "managed" and each.get("instances") for each in self._resources())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the instances' attributes and of the outputs: no secret can be read back, it is for comparing."""
        instances = {each.address: each.content for each in self.instances}
        content = json.dumps([instances, self.outputs], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    def same_content(self, other: State) -> bool:
        """Both hold the same instances with the same attributes, and the same outputs."""
        return self.digest == other.digest and self.addresses == other.addresses

    def of(self, kind: str, module: str | None = None) -> tuple[Mapping[str, Any], ...]:
        """The attributes of each managed instance of a type, of that module or (``None``) of any."""
        found = (each for each in self.instances if (each.mode, each.type) == ("managed", kind))
        return tuple(each.attributes for each in found if module is None or each.module == module)

    def at(self, address: str) -> Mapping[str, Any]:
        """The attributes of the instance at that address; empty where there is none."""
        return next((each.attributes for each in self.instances if each.address == address), {})

    def module(self, address: str) -> ModuleInState:
        """The managed resources of the module ``address`` (``module.NAME``), as far as they matter here."""
        roles = self.of("aws_iam_role", address)
        role = roles[0] if roles else {}
        attached = (each.get("policy_arn") for each in self.of("aws_iam_role_policy_attachment", address))
        return ModuleInState(
            any((each.module, each.mode) == (address, "managed") for each in self.instances),
            role.get("arn"),
            role.get("name"),
            _policy(role.get("assume_role_policy")),
            tuple(_policy(each.get("policy")) for each in self.of("aws_iam_policy", address)),
            frozenset(arn for arn in attached if isinstance(arn, str)),
            next(iter(self.of("aws_iam_policy", address)), {}),
        )

    def seed(self) -> State:
        """An empty state of the same lineage, older than any: what a remote place is given before its first state."""
        kept = {name: self.document[name] for name in ("version", "terraform_version", "lineage")}
        return State({**kept, "serial": 0, "outputs": {}, "resources": []})

    def whole(self) -> State:
        """With a lineage, whatever else it says: one without would be written over any other."""
        needed = {"version": 4, "terraform_version": "1.5.0", "serial": 1, "outputs": {}, "resources": []}
        return State({**needed, **self.document, "lineage": self.document.get("lineage") or str(uuid.uuid4())})

    def _resources(self) -> Iterator[Mapping[str, Any]]:
        # https://developer.hashicorp.com/terraform/language/state (its format: Terraform's statefile/version4.go)
        resources = self.document.get("resources")
        yield from (each for each in (resources if isinstance(resources, list) else ()) if isinstance(each, dict))

    def _instances(self) -> Iterator[StateInstance]:
        for resource in self._resources():
            module, mode, kind = (str(resource.get(name) or "") for name in ("module", "mode", "type"))
            parts = (module, "data" if mode == "data" else "", kind, str(resource.get("name") or ""))
            address = ".".join(part for part in parts if part)
            for instance in resource.get("instances") or ():
                if isinstance(instance, dict):
                    key = instance.get("index_key")
                    marks = ("" if key is None else f"[{json.dumps(key)}]") + str(instance.get("deposed") or "")
                    content = instance.get("attributes", instance.get("attributes_flat"))
                    yield StateInstance(address + marks, module, mode, kind, content)


def _policy(text: object) -> Mapping[str, Any]:
    """A policy document; empty where there is none that can be read."""
    return json_object(str(text)) or {}


@contextmanager
def bare_directory(work_dir: Path, backend: Backend) -> Iterator[Path]:
    """A directory that requires no provider, and for remote state has the same backend, already initialised.

    ``output`` is ten times faster here: in the work_dir it first hashes every provider (707 MB for AWS) against the
    lock file. The copied record is accepted because Terraform hashes the backend's values, not its text.
    """
    bare = _temporary(work_dir)
    try:
        if backend.remote:
            (bare / RECORD.parent).mkdir()
            write_atomic(bare / RECORD, read_private(work_dir / RECORD))
            write_atomic(bare / "backend.tf.json", _backend_json(backend))
        yield bare
    finally:
        shutil.rmtree(bare, ignore_errors=True)


@contextmanager
def blank_directory(work_dir: Path, backend: Backend) -> Iterator[Path]:
    """A directory with nothing but this backend in it, to be initialised: for a state that lies elsewhere."""
    blank = _temporary(work_dir)
    try:
        here = backend if backend.remote else Backend("local", {"path": str(backend.state_file(work_dir))})
        write_atomic(blank / "backend.tf.json", _backend_json(here))
        yield blank
    finally:
        shutil.rmtree(blank, ignore_errors=True)


def _temporary(work_dir: Path) -> Path:
    """A new directory that names us as its owner; those of owners that were killed go (they may hold a state)."""
    for left in work_dir.glob(".gridbyoc-*-*/"):
        match = _OWNED.fullmatch(left.name)
        if match and not _alive(int(match[1])):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f".gridbyoc-{os.getpid()}-", dir=work_dir))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True


def _backend_json(backend: Backend) -> str:
    """The block in Terraform's JSON syntax, where a text is a template unless its marks are doubled."""
    config = {name: _literal(value) for name, value in backend.config.items() if value is not None}
    return json.dumps({"terraform": {"backend": {backend.type: config}}})


def _literal(value: object) -> object:
    return value.replace("${", "$${").replace("%{", "%%{") if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the control plane is given. ``role_name`` is ``None`` with a module that does not say it.

    ``roles``: the ARN of each role by its name, where the module makes several; ``role_arn`` is the first of them.
    """

    role_arn: str
    external_id: Secret
    role_name: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)

    @property
    def every_role(self) -> Mapping[str, str]:
        """Each role by its name; the only one is called ``role``."""
        return self.roles or {"role": self.role_arn}


def read_outputs(document: Mapping[str, Any]) -> Outputs:
    """Read the object of ``output -json``; ``OutputMissingError`` names what is not in it."""
    role_arn, external_id, role_name = (_text(document, name) for name in ("role_arn", "external_id", "role_name"))
    if role_arn is None or external_id is None:
        missing = [name for name, value in (("role_arn", role_arn), ("external_id", external_id)) if value is None]
        raise OutputMissingError(
            f"The state has no output {' and no output '.join(missing)}.",
            why="The module has other outputs than these." if document else "Nothing has been applied yet.",
            fix="A module in the gridbyoc module's place must have the outputs role_arn and external_id."
            if document
            else "Run `gridbyoc bootstrap` first.",
            rerun=SAFE_NOTHING_DONE,
        )
    return Outputs(role_arn, Secret(external_id), role_name, _roles(document))


def _roles(document: Mapping[str, Any]) -> dict[str, str]:
    """``OutputMissingError`` for a role without an ARN: nothing could be said of it."""
    output = document.get("roles")
    value = output.get("value") if isinstance(output, dict) else None
    roles = value if isinstance(value, dict) else {}
    missing = [str(name) for name, arn in roles.items() if not isinstance(arn, str) or not arn]
    if missing:
        raise OutputMissingError(
            f"The module hands on no ARN for {', '.join(missing)}.",
            why="terraform.module.outputs.roles names an output for it, and that has no value.",
            fix="Correct or remove its name there, or have the module make the role.",
            rerun=SAFE_NOTHING_DONE,
        )
    return {str(name): arn for name, arn in roles.items()}


def sensitive_values(document: Mapping[str, Any]) -> tuple[Secret, ...]:
    """Every output marked sensitive that is a text, and the external id whether it is marked or not."""
    return tuple(
        Secret(text)
        for name in document
        if (text := _text(document, name)) is not None
        and (name == "external_id" or document[name].get("sensitive") is True)
    )


def _text(document: Mapping[str, Any], name: str) -> str | None:
    output = document.get(name)
    value = output.get("value") if isinstance(output, dict) else None
    return value if isinstance(value, str) and value else None


_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")


@dataclass(frozen=True, slots=True)
class LockInfo:
    """Who holds a lock, as the holder wrote it; texts are empty where it does not say."""

    id: str
    operation: str = ""
    who: str = ""
    version: str = ""
    created: datetime | None = None
    path: str = ""

    @property
    def host(self) -> str:
        """The machine in ``user@host``."""
        return self.who.rpartition("@")[2]

    def __str__(self) -> str:
        since = f", since {minute(self.created)}" if self.created else ""
        what = self.operation.removeprefix("OperationType").lower() or "an operation"
        return f"{self.who or 'somebody'}, {what}{since}, lock {self.id or '(without an id)'}"


def parse_lock(text: str | bytes) -> LockInfo | None:
    """The JSON of a lock; ``None`` where it is none. Its fields: statemgr.LockInfo in Terraform's source."""
    found = json_object(text)
    if found is None:
        return None
    names = {"ID": "id", "Operation": "operation", "Who": "who", "Version": "version", "Path": "path"}
    texts = {field: str(found.get(name) or "") for name, field in names.items()}
    return LockInfo(**texts, created=_time(str(found.get("Created") or "")))


def local_lock(state_file: Path) -> LockInfo | None:
    """The note beside a local state file, whether or not its writer still lives."""
    with suppress(OSError):
        return parse_lock(read_private(state_file.parent / f".{state_file.name}.lock.info"))
    return None


def locally_held(state_file: Path) -> bool:
    """Whether a process holds the lock on the file right now: the kernel drops it with the process, the note stays."""
    try:
        with os.fdopen(open_private(state_file, os.O_RDWR), "r+b") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _time(text: str) -> datetime | None:
    """RFC 3339 with Go's nanoseconds."""
    with suppress(ValueError):
        found = datetime.fromisoformat(_LONG_FRACTION.sub(r"\1", _padded(text)).replace("Z", "+00:00"))
        return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return None


def _padded(text: str) -> str:
    """Go drops trailing zeros of the fraction; Python 3.10 reads three or six digits alone."""
    return re.sub(r"\.(\d{1,5})(?=\D|$)", lambda match: "." + match[1].ljust(6, "0"), text)
