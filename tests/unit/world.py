"""A world in memory for whole runs: Terraform, AWS, the control plane and time, and the operations' front doors.

Only the work_dir is real. Whatever changes the outside is a line of ``log``, in its order. After every run the world
looks for what must never be: an external id in the journal, the logs, the events, an error or a command line; a saved
plan that stays; a live cluster whose role does not accept the id that the cluster holds.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from gridbyoc import __version__
from gridbyoc.aws import AwsSession
from gridbyoc.control_plane import connect
from gridbyoc.control_plane.model import Phase, Registrar
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.bootstrap import bootstrap
from gridbyoc.operations.clusters import CreatedOne, create_cluster
from gridbyoc.operations.destroy import Destroyed, DestroyPlan, destroy
from gridbyoc.operations.events import Event, Note, StepFinished
from gridbyoc.operations.journal import JOURNAL, Journal, read_journal
from gridbyoc.operations.lock import SAVED_PLAN, hold
from gridbyoc.operations.options import Approval, BootstrapOptions
from gridbyoc.operations.partial import limited, named_clusters
from gridbyoc.operations.report import Report
from gridbyoc.operations.review.review import Review
from gridbyoc.operations.run import Choices, Environment, Run
from gridbyoc.stack.files import HOME, make_private_dir
from gridbyoc.stack.model import (
    AssumeRole,
    Aws,
    ClusterSpec,
    ControlPlane,
    InstanceType,
    Role,
    Stack,
    TerraformSettings,
)
from gridbyoc.terraform import Binary
from gridbyoc.terraform.process import RunCommand
from tests.unit.fakes import Time, stack
from tests.unit.memory_aws import FINGERPRINT, Iam, MemoryAws
from tests.unit.memory_module import GridbyocModule
from tests.unit.memory_plane import MemoryPlane
from tests.unit.memory_terraform import VERSION, MemoryTerraform

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
BINARY = Binary(("terraform",), "terraform", VERSION, "/usr/bin/terraform")
SECRET_MARK = "external-id-"
"""A part of every external id in these tests."""
FAST = Choices(poll_interval=5.0, wait_timeout=5400.0)


class KilledError(BaseException):
    """The process is gone at this instant: nothing that follows in it happens."""


@dataclass(frozen=True)
class Files:
    """What lies in a ``.gridbyoc``: mode and content of each file by its path, the target of a link; directories."""

    contents: Mapping[Path, tuple[int, bytes | str | None]]

    @classmethod
    def of(cls, directory: Path) -> Files:
        contents: dict[Path, tuple[int, bytes | str | None]] = {}
        for path in (directory / HOME, *sorted((directory / HOME).rglob("*"))) if (directory / HOME).exists() else ():
            mode = path.lstat().st_mode
            content = str(path.readlink()) if stat.S_ISLNK(mode) else path.read_bytes() if stat.S_ISREG(mode) else None
            contents[path.relative_to(directory)] = (stat.S_IMODE(mode), content)
        return cls(contents)

    def write(self, directory: Path) -> None:
        """Make them again below ``directory``."""
        directory.mkdir(parents=True, exist_ok=True)
        for relative, (mode, content) in self.contents.items():
            path = directory / relative
            if isinstance(content, str):
                path.symlink_to(content)
            elif content is None:
                path.mkdir(mode)
            else:
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                    file.write(content)


@dataclass
class Life:
    """Of one run: once it is over, what its threads still do is neither shown nor recorded."""

    over: bool = False


@dataclass
class World:
    """One account, one control plane, one directory.

    ``dies_at``: the run is killed at the instant of this number. An instant is right before or right after something
    changes outside; ``instants`` counts those of the last run. ``meanwhile`` is called once, at the line of the log
    that is its key: somebody else's hand.
    """

    directory: Path
    time: Time = field(default_factory=Time)
    log: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    asked: list[Review] = field(default_factory=list)
    doomed: list[DestroyPlan] = field(default_factory=list)
    meanwhile: dict[str, Callable[[], object]] = field(default_factory=dict)
    on_instant: Callable[[], object] = lambda: None
    dies_at: int | None = None
    instants: int = 0
    locked_out: list[str] = field(default_factory=list)
    runs: int = 0
    binary: Binary = BINARY
    environ: dict[str, str] = field(default_factory=lambda: {"AWS_ACCESS_KEY_ID": "AKIAMEMORY"})
    _life: Life = field(default_factory=Life)
    _left: Files = field(default_factory=lambda: Files({}), repr=False)

    def __post_init__(self) -> None:
        self.iam = Iam(self.now)
        self.objects: dict[tuple[str, str], str] = {}
        self.aws = MemoryAws(self.iam, self.objects, self.happens)
        self.module = GridbyocModule(self.iam, self.happens)
        self.terraform = MemoryTerraform(self.module, self.happens, self.objects, begins=self._begins)
        self.plane = MemoryPlane(self.time, self.happens)

    # --- ``Services``

    @property
    def run_command(self) -> RunCommand:
        return self.terraform

    def find_binary(self, _asked: str | None, _environ: Mapping[str, str], *, directory: Path) -> Binary:
        self._begins()
        return self.binary

    def open_session(self, region: str, profile: str | None) -> AwsSession:
        return self.aws.session(region, profile)

    def assume_role(self, caller: AwsSession, role: AssumeRole) -> AwsSession:
        return self.aws.assume_role(caller, role)

    def connect(self, control_plane: ControlPlane, **given: Any) -> Registrar:
        return connect(control_plane, **given) if control_plane.type == "manual" else self.plane

    # --- the operations

    def bootstrap(
        self,
        stack: Stack,
        *,
        yes: bool = True,
        yes_destroy: bool = False,
        answer: bool | None = None,
        choices: Choices = FAST,
        **options: Any,
    ) -> Report:
        """Run it under the stack's lock. ``answer`` is given to the question; without one it must not be asked."""
        with self.run(stack, "bootstrap", choices) as run:
            return bootstrap(run, self.approval(yes, yes_destroy, answer), BootstrapOptions(**options))

    def destroy(
        self, stack: Stack, *, yes: bool = True, delete_data: bool = False, choices: Choices = FAST
    ) -> Destroyed:
        """Run it under the stack's lock, with this answer."""

        def approve(doomed: DestroyPlan) -> bool:
            self.doomed.append(doomed)
            return yes

        with self.run(stack, "destroy", choices) as run:
            return destroy(run, approve, delete_data=delete_data)

    def create(self, stack: Stack, name: str, *, choices: Choices = FAST) -> CreatedOne:
        """``clusters create``, under the stack's lock."""
        with self.run(stack, "clusters create", choices) as run:
            return create_cluster(run, name)

    def approval(self, yes: bool, yes_destroy: bool, answer: bool | None) -> Approval:
        def ask(review: Review) -> bool:
            assert answer is not None, "it was asked"
            assert SECRET_MARK not in repr(review)
            self.asked.append(review)
            return answer

        return Approval(yes, yes_destroy, ask)

    def converge(self, stack: Stack, *, yes_destroy: bool = False, **options: Any) -> Report:
        """What every failure must leave possible: the next run comes to one role and one cluster of each name."""
        report = self.bootstrap(stack, yes_destroy=yes_destroy, **options)
        assert len(self.iam.roles) == 1
        assert {role["Arn"] for role in self.iam.roles.values()} == {report.role_arn}
        held = [self.plane.held()[each.id] for each in self.plane.live().values() if each.status != "terminating"]
        names = sorted(each.name for each in self.plane.live().values() if each.status != "terminating")
        assert names == sorted(each.name for each in stack.clusters)
        assert {role for role, _ in held} <= {report.role_arn}
        assert all(external_id in self.iam.accepted(role) for role, external_id in held)
        assert all(cluster.status == "running" for cluster in report.clusters)
        return report

    @contextmanager
    def run(self, stack: Stack, verb: str, choices: Choices = FAST) -> Iterator[Run]:
        """A run as the command line opens one, and the search for what must never be once it is over."""
        work_dir = self.work_dir(stack)
        make_private_dir(work_dir)
        self.runs += 1
        self.log.clear()
        self.events.clear()
        self.plane.calls.clear()
        self.instants, self._life = 0, Life()
        life = self._life

        def emit(event: Event) -> None:
            if not life.over:
                self.events.append(event)

        journal = Journal(work_dir / JOURNAL, self.now, f"run-{self.runs}", lambda: life.over)
        outside = Environment(self.environ, self.directory, emit, self.time.clock, self._sleep, self.now, services=self)
        run = Run(stack, work_dir, outside, choices, journal)
        try:
            with hold(work_dir, verb=verb, now=self.now, wait=0.0), journal.of_run(verb, __version__):
                yield limited(run, named_clusters(stack, choices.clusters))
        except KilledError:
            self._put_back()
            raise
        except GridbyocError as error:
            self._search(work_dir, f"{error!r} {error.__dict__}")
            assert not (work_dir / SAVED_PLAN).exists()
            raise
        self._search(work_dir, "")
        assert not (work_dir / SAVED_PLAN).exists()

    # --- copies

    def bring_up(self, stack: Stack) -> None:
        """``bootstrap(stack)`` as the first run of a world in which nothing was arranged: done once, then copied."""
        assert self.runs == 0
        assert (self._outside(), self.meanwhile) == (World(self.directory)._outside(), {})
        found = next((each for each in _BROUGHT_UP if each[0] == stack), None)
        if found is None:
            first = World(self.directory)
            first.bootstrap(stack)
            found = (stack, first, Files.of(self.directory))
            _BROUGHT_UP.append(found)
        else:
            found[2].write(self.directory)
        found[1]._copy_to(self)

    def fork(self, directory: Path) -> World:
        """This world a second time, with its files below ``directory``: what happens in one is not so in the other."""
        Files.of(self.directory).write(directory)
        return self._copy_to(World(directory))

    def _copy_to(self, twin: World) -> World:
        """All but the directory and who looks on; what is frozen is shared, and a ``Secret`` is never copied."""
        values = (*self.plane.clusters.values(), *self.events, *self.asked, *self.doomed)
        kept = {name: value for name, value in vars(self).items() if name not in {"directory", "on_instant"}}
        vars(twin).update(copy.deepcopy(kept, {id(self): twin, **{id(each): each for each in values}}))
        return twin

    def killed_everywhere(self, run: Callable[[World], object]) -> Iterator[World]:
        """This world as the run leaves it that is killed at its first instant, its second, ... and its last, and before
        each command of Terraform.

        A copy at the instant is what a kill leaves: the disk as it is, and nothing of what the process does on its way
        out. That is left to ``dies_at``. Of instants between which nothing came to differ, one is taken.
        """
        places = (self.directory / "killed" / str(number) for number in itertools.count())
        whole = self.fork(next(places))
        left: dict[str, tuple[World, Files]] = {}

        def look() -> None:
            files = Files.of(whole.directory)
            # all that a later run works from; the logs are for people alone
            left_behind = repr((sorted(each for each in files.contents.items() if each[0].parent.name != "logs"),
                                whole._outside(), whole.locked_out))  # fmt: skip
            if left_behind not in left:
                left[left_behind] = (whole._copy_to(World(next(places))), files)

        whole.on_instant = look
        run(whole)
        assert left
        for world, files in left.values():
            files.write(world.directory)
            yield world

    def _outside(self) -> str:
        """All that stands outside the directory and that a run meets."""
        parts = (self.iam, self.aws, self.module, self.terraform, self.plane)
        fields = [
            {name: value for name, value in vars(part).items()
             if not callable(value) and name not in {"iam", "time", "calls", "commands"}}
            for part in parts
        ]  # fmt: skip
        return repr((fields, self.plane.held(), self.time.now, self.environ))

    # --- what a test looks at

    def work_dir(self, stack: Stack) -> Path:
        return self.directory / ".gridbyoc" / stack.name

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.time.now)

    def notes(self, level: str = "warning") -> list[str]:
        """What was said, of this level."""
        return [each.message for each in self.events if isinstance(each, Note) and each.level == level]

    def steps(self) -> dict[str, str]:
        """How each step ended, the last time it was taken."""
        return {each.step: each.outcome for each in self.events if isinstance(each, StepFinished)}

    def details(self, step: str) -> list[str]:
        """What the step said of itself at each end."""
        return [each.detail for each in self.events if isinstance(each, StepFinished) and each.step == step]

    def detail(self, step: str) -> str:
        """What the step said of itself at its last end."""
        return self.details(step)[-1]

    def journal(self, stack: Stack) -> list[dict[str, Any]]:
        return list(read_journal(self.work_dir(stack) / JOURNAL))

    @property
    def made_roles(self) -> int:
        """How many roles have ever been created."""
        return self.iam.made_roles

    def terraform_state(self, stack: Stack) -> dict[str, Any]:
        """The local state document."""
        found: dict[str, Any] = json.loads((self.work_dir(stack) / "terraform.tfstate").read_text())
        return found

    def put_state(self, stack: Stack, document: Mapping[str, Any]) -> None:
        """Write it, as somebody else."""
        (self.work_dir(stack) / "terraform.tfstate").write_text(json.dumps(document))

    def taint(self, stack: Stack) -> None:
        """The role of a stack that is up, as Terraform keeps one whose making was cut off."""
        state = self.terraform_state(stack)
        (role,) = (each for each in state["resources"] if each["type"] == "aws_iam_role")
        role["instances"][0]["status"] = "tainted"
        self.put_state(stack, state)

    @property
    def effects(self) -> list[str]:
        """The log without the records of a run: Terraform's init, the state, and the fingerprint beside it."""
        records = ("state ", FINGERPRINT)
        return [line for line in self.log if line != "init" and not line.startswith(records)]

    # --- what happens

    def happens(self, what: str) -> None:
        """Note it; die here, if this is the instant; let somebody else act."""
        if self._life.over:
            raise KilledError
        if not what.startswith("before "):
            self.log.append(what)
        self.instants += 1
        self._look_for_locked_out(what)
        self.on_instant()
        if what in self.meanwhile:
            self.meanwhile.pop(what)()
        if self.instants == self.dies_at:
            self._die()

    def _begins(self) -> None:
        """Right before a command of Terraform, which may change nothing: a run may be killed there as well."""
        self.on_instant()

    def _die(self) -> None:
        self._life.over = True
        self._left = Files.of(self.directory)
        raise KilledError

    def _put_back(self) -> None:
        """What the dying process would have cleaned up is there again; the lock is the kernel's to drop.

        A thread of the dead run, which a real kill ends, may be in the middle of a write, and make its file once more.
        """
        for last in (False, False, False, True):
            try:
                shutil.rmtree(self.directory / HOME)
                self._left.write(self.directory)
                return
            except OSError:
                if last:
                    raise

    def _look_for_locked_out(self, what: str) -> None:
        for ident, (role, external_id) in self.plane.held().items():
            if external_id and external_id not in self.iam.accepted(role):
                self.locked_out.append(f"{ident} at {what}")

    def _sleep(self, seconds: float) -> None:
        self.time.sleep(seconds)
        if "sleep" in self.meanwhile:
            self.meanwhile.pop("sleep")()

    def _search(self, work_dir: Path, error: str) -> None:
        places = {
            "journal": (work_dir / JOURNAL).read_text(),
            "logs": "\n".join(path.read_text() for path in work_dir.glob("logs/*.log")),
            "events": repr(self.events),
            "error": error,
            "command lines": repr(self.terraform.commands),
        }
        leaks = [name for name, text in places.items() if SECRET_MARK in text]
        assert leaks == [], leaks


_BROUGHT_UP: list[tuple[Stack, World, Files]] = []
"""See ``World.bring_up``."""


def phases(*steps: tuple[float, Phase] | tuple[float, Phase, str]) -> tuple[tuple[float, Phase, str], ...]:
    """A cluster's story (see ``MemoryPlane``)."""
    return tuple((step[0], step[1], step[2] if len(step) > 2 else "") for step in steps)


MANAGED = ("AmazonS3FullAccess",)
"""A role with one managed policy makes as much of a point as one with nine."""
LARGE, HUGE = InstanceType("m5.large"), InstanceType("m5.4xlarge")
CREATES = ["CreateRole", "CreatePolicy", "AttachRolePolicy", "AttachRolePolicy"]


def spec(name: str = "ml", kind: InstanceType = LARGE) -> ClusterSpec:
    return ClusterSpec(name, (kind,))


def a_stack(*clusters: ClusterSpec, terraform: TerraformSettings | None = None, aws: Aws | None = None,
            **role: Any) -> Stack:  # fmt: skip
    """A stack ``demo`` with these clusters (``ml``), and these settings of its role."""
    settings = {"terraform": terraform or TerraformSettings(), "aws": aws or Aws("us-east-1")}
    return stack(*(clusters or (spec(),)), role=Role(**{"managed_policies": MANAGED, **role}), **settings)
