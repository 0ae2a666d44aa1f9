"""The state: its backend, its document, its outputs and its lock, read without a full Terraform run."""

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

from gridbyoc.errors import SAFE, OutputMissingError
from gridbyoc.stack.files import json_object, open_private, read_json, read_private, write_atomic
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import minute

RECORD = Path(".terraform") / "terraform.tfstate"
_OWNED = re.compile(r"\.gridbyoc-(\d+)-\w+")
_BLOCK = re.compile(r'^\s*backend\s+"(\w+)"\s*\{', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the state is kept; by default in a file of the work_dir. ``config`` is known after an init."""

    type: str = "local"
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def remote(self) -> bool:
        """Whether the state is not a local file."""
        return self.type != "local"

    def state_file(self, work_dir: Path) -> Path:
        """The file of a local state."""
        return work_dir / str(self.config.get("path") or "terraform.tfstate")


def backend_of(work_dir: Path) -> Backend:
    """The backend that the work_dir was initialised with, else the one that its ``.tf`` files declare."""
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
    """Whether the local state of ``work_dir`` holds an IAM role. Reads only the file, without starting Terraform."""
    return bool(standing_roles(work_dir))


def standing_roles(work_dir: Path) -> frozenset[str]:
    """The ARNs of the IAM roles in the local state of ``work_dir``, including a role that is being replaced."""
    roles = State(read_json(backend_of(work_dir).state_file(work_dir))).of("aws_iam_role")
    arns = (role.get("arn") for role in roles)
    return frozenset(arn for arn in arns if isinstance(arn, str))


@dataclass(frozen=True, slots=True)
class ModuleInState:
    """A module in the state: whether it has resources, its IAM role, and the role's trust and grants.

    ``trust`` is the role's trust policy (it contains external ids), ``policies`` the documents of policies that the
    module created, ``attached`` the ARNs of every policy that it attached.
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
    """One instance of a resource. ``module`` is the module's address (``module.NAME``), empty for the root module.

    ``content`` is its attributes in any format of the state; it may contain secrets.
    """

    address: str
    module: str
    mode: str
    type: str
    content: object = field(repr=False)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Its attributes; empty if it has none."""
        return self.content if isinstance(self.content, Mapping) else {}


@dataclass(frozen=True)
class State:
    """A state document (version 4, as ``state pull`` prints it); an empty mapping means that there is no state.

    The document contains secrets: never log it.
    """

    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def lineage(self) -> str:
        """The id that all versions of one state share; empty if there is none."""
        return str(self.document.get("lineage") or "")

    @property
    def serial(self) -> int:
        """The number of this version of the state."""
        serial = self.document.get("serial")
        return serial if isinstance(serial, int) else 0

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The root module's outputs, in the document's form."""
        outputs = self.document.get("outputs")
        return outputs if isinstance(outputs, dict) else {}

    @cached_property
    def kinds(self) -> frozenset[tuple[str, str]]:
        """Module and type of every resource, including data sources and resources without an instance."""
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
        """Whether it has neither an instance nor an output."""
        return not self.instances and not self.outputs

    @property
    def has_resources(self) -> bool:
        """Whether it has a resource; data sources do not count."""
        return any(each.get("mode") == "managed" and each.get("instances") for each in self._resources())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the instances' attributes and of the outputs, to compare states without revealing secrets."""
        instances = {each.address: each.content for each in self.instances}
        content = json.dumps([instances, self.outputs], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    def same_content(self, other: State) -> bool:
        """Whether both have the same instances with the same attributes, and the same outputs."""
        return self.digest == other.digest and self.addresses == other.addresses

    def of(self, kind: str, module: str | None = None) -> tuple[Mapping[str, Any], ...]:
        """The attributes of each managed instance of a type, in ``module`` or (``None``) in any module."""
        found = (each for each in self.instances if (each.mode, each.type) == ("managed", kind))
        return tuple(each.attributes for each in found if module is None or each.module == module)

    def at(self, address: str) -> Mapping[str, Any]:
        """The attributes of the instance at an address; empty if there is none."""
        return next((each.attributes for each in self.instances if each.address == address), {})

    def module(self, address: str) -> ModuleInState:
        """The role and policies of the module ``address`` (``module.NAME``)."""
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
        """An empty state of the same lineage with serial 0, to push to a backend before its first state."""
        kept = {name: self.document[name] for name in ("version", "terraform_version", "lineage")}
        return State({**kept, "serial": 0, "outputs": {}, "resources": []})

    def whole(self) -> State:
        """This state with every required field. Without a lineage, a push would overwrite any other state."""
        needed = {"version": 4, "terraform_version": "1.5.0", "serial": 1, "outputs": {}, "resources": []}
        return State({**needed, **self.document, "lineage": self.document.get("lineage") or str(uuid.uuid4())})

    def _resources(self) -> Iterator[Mapping[str, Any]]:
        # https://developer.hashicorp.com/terraform/language/state (format: Terraform's statefile/version4.go)
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
    """A policy document; empty if it is missing or unreadable."""
    return json_object(str(text)) or {}


@contextmanager
def bare_directory(work_dir: Path, backend: Backend) -> Iterator[Path]:
    """A directory that requires no provider; for a remote state it has the same backend, already initialised.

    ``output`` is ten times faster here, because in the work_dir it first hashes every provider (707 MB for AWS) against
    the lock file. Terraform accepts the copied record because it hashes the backend's values, not its text.
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
    """A directory to initialise with only this backend, for a state that lies elsewhere."""
    blank = _temporary(work_dir)
    try:
        here = backend if backend.remote else Backend("local", {"path": str(backend.state_file(work_dir))})
        write_atomic(blank / "backend.tf.json", _backend_json(here))
        yield blank
    finally:
        shutil.rmtree(blank, ignore_errors=True)


def _temporary(work_dir: Path) -> Path:
    """Create a directory named after this process; delete those of dead processes, which may hold a state."""
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
        pass  # another user's process
    return True


def _backend_json(backend: Backend) -> str:
    """The block in Terraform's JSON syntax. Strings there are templates, so ``_literal`` escapes them."""
    config = {name: _literal(value) for name, value in backend.config.items() if value is not None}
    return json.dumps({"terraform": {"backend": {backend.type: config}}})


def _literal(value: object) -> object:
    return value.replace("${", "$${").replace("%{", "%%{") if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs for the control plane. ``role_name`` is ``None`` if the module does not have that output.

    ``roles``: the ARN of each role by its name if the module creates several; ``role_arn`` is the first of them.
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
    """Read the object of ``output -json``. Raises ``OutputMissingError``, which names the missing outputs."""
    role_arn, external_id, role_name = (_text(document, name) for name in ("role_arn", "external_id", "role_name"))
    if role_arn is None or external_id is None:
        missing = [name for name, value in (("role_arn", role_arn), ("external_id", external_id)) if value is None]
        raise OutputMissingError(
            f"The state has no output {' and no output '.join(missing)}.",
            why="The module does not have these outputs." if document else "Nothing has been applied yet.",
            fix="A module that replaces the gridbyoc module must have the outputs role_arn and external_id."
            if document
            else "Run `gridbyoc bootstrap` first.",
            rerun=SAFE,  # the outputs may be those of an apply that has just changed something
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
            rerun=SAFE,  # the outputs may be those of an apply that has just changed something
        )
    return {str(name): arn for name, arn in roles.items()}


def sensitive_values(document: Mapping[str, Any]) -> tuple[Secret, ...]:
    """Every text output that is marked sensitive, and the external id even if it is not marked."""
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
    """Who holds a lock, as the holder recorded it; missing texts are empty."""

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
    """Parse the JSON of a lock; ``None`` if it is not one. Its fields: statemgr.LockInfo in Terraform's source."""
    found = json_object(text)
    if found is None:
        return None
    names = {"ID": "id", "Operation": "operation", "Who": "who", "Version": "version", "Path": "path"}
    texts = {field: str(found.get(name) or "") for name, field in names.items()}
    return LockInfo(**texts, created=_time(str(found.get("Created") or "")))


def local_lock(state_file: Path) -> LockInfo | None:
    """The lock file beside a local state file, even if the process that wrote it has ended."""
    with suppress(OSError):
        return parse_lock(read_private(state_file.parent / f".{state_file.name}.lock.info"))
    return None


def locally_held(state_file: Path) -> bool:
    """Whether a process holds the file's lock now. The kernel releases it with the process; the lock file stays."""
    try:
        with os.fdopen(open_private(state_file, os.O_RDWR), "r+b") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _time(text: str) -> datetime | None:
    """Parse RFC 3339 with Go's nanoseconds; ``None`` if it is invalid."""
    with suppress(ValueError):
        found = datetime.fromisoformat(_LONG_FRACTION.sub(r"\1", _padded(text)).replace("Z", "+00:00"))
        return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return None


def _padded(text: str) -> str:
    """Pad the fraction to six digits: Go drops trailing zeros, and Python 3.10 reads only three or six digits."""
    return re.sub(r"\.(\d{1,5})(?=\D|$)", lambda match: "." + match[1].ljust(6, "0"), text)
