"""Write the screens of ``docs/screens.md``: what six commands show on a terminal of 80 columns.

Run with ``make docs``. The screens come from the product's own writers. The stack is brought up in memory, with the
Terraform, AWS and control plane of ``tests/unit/world.py``. The suite fails if the page differs.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from rich.console import Console

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from gridbyoc.aws.quotas import AccountQuotas, Limit, QuotaReading, Use  # noqa: E402 - the tests are beside the package
from gridbyoc.cli.app import App  # noqa: E402
from gridbyoc.control_plane.model import Phase  # noqa: E402
from gridbyoc.operations.drift import find_drift  # noqa: E402
from gridbyoc.operations.events import (  # noqa: E402
    ClusterProgress,
    Event,
    ResourceProgress,
    StepFinished,
    StepStarted,
    WaitExpected,
)
from gridbyoc.operations.plan import make_plan  # noqa: E402
from gridbyoc.operations.prepare import prepare  # noqa: E402
from gridbyoc.operations.quotas.review import QuotaNeed, review  # noqa: E402
from gridbyoc.operations.review.review import review_of  # noqa: E402
from gridbyoc.operations.verify import prove  # noqa: E402
from gridbyoc.show.drift import DRIFT  # noqa: E402
from gridbyoc.show.live import RunBoard, fitted  # noqa: E402
from gridbyoc.show.output import Output  # noqa: E402
from gridbyoc.show.plan import PLAN  # noqa: E402
from gridbyoc.show.quotas import QUOTAS, QuotasFound  # noqa: E402
from gridbyoc.show.verify import VERIFY  # noqa: E402
from gridbyoc.stack.secret import Secret  # noqa: E402
from gridbyoc.stack.service_quotas import quota_by_code  # noqa: E402
from gridbyoc.vendors import facts_of  # noqa: E402
from tests.unit.fakes import Time  # noqa: E402
from tests.unit.memory_aws import MANAGED  # noqa: E402
from tests.unit.world import NOON, World, a_stack, phases, spec  # noqa: E402

WIDTH = 80
ROLE = {
    "name": "grid-ml-prod",
    "managed_policies": facts_of("grid").permissions.managed_policies,
    "external_id": Secret("0f6b7c1e94d84a5fb1c2a7d3e85f9604"),
}
STACK = a_stack(spec(), **ROLE)
BOTH = a_stack(spec(), spec("batch"), **ROLE)
ALLOWED = {
    "AmazonEC2FullAccess": ["ec2:*", "autoscaling:*", "elasticloadbalancing:*", "cloudwatch:*"],
    "AmazonGuardDutyFullAccess_v2": "guardduty:*",
    "AmazonRoute53ResolverFullAccess": "route53resolver:*",
    "AmazonS3FullAccess": "s3:*",
    "AmazonSNSFullAccess": "sns:*",
    "AmazonSQSFullAccess": "sqs:*",
    "AmazonVPCFullAccess": "ec2:*",
    "CloudWatchLogsFullAccess": "logs:*",
    "IAMFullAccess": "iam:*",
    "AdministratorAccess": "*",
}
"""What AWS's policies allow in this world, in short."""
PROVIDER = "hashicorp/aws 5.100.0 from registry.terraform.io"
SPINNER = re.compile("[\u2800-\u28ff]")
R = TypeVar("R")


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def text_of(output: Output[R], result: R) -> str:
    """A command's result as the terminal shows it."""
    screen = Terminal()
    app = App({"COLUMNS": str(WIDTH), "NO_COLOR": "1"}, ROOT, ROOT, io.StringIO(), screen, Terminal())
    app.show(output, result, "demo")
    return re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())


def while_it_works(events: Iterable[Event], until: Callable[[Event], bool], seconds: float) -> str:
    """The live view ``seconds`` after the event ``until``: the lines that scrolled by, and the drawn ones."""
    time, screen = Time(), io.StringIO()
    board, console = RunBoard(time.clock), Console(file=screen, width=WIDTH, no_color=True)
    for event in events:
        for line in board.take(event):
            console.print(fitted(line, WIDTH), soft_wrap=True)
        if until(event):
            break
    time.now += seconds
    console.print(board.drawn())
    return SPINNER.sub("⠹", screen.getvalue())


def screens() -> Iterator[tuple[str, str]]:
    """Title and text of each screen."""
    with _world() as world:
        with world.run(STACK, "plan") as run:
            site = prepare(run)
            plan = make_plan(run, site)
            found = review_of(run, site, plan)
            if plan.saved:
                plan.saved.unlink()
        yield "gridbyoc plan", text_of(PLAN, found)
        world.plane.noon = NOON
        world.plane.story = phases((0.0, Phase.QUEUED), (60.0, Phase.PENDING), (2220.0, Phase.RUNNING))
        world.bootstrap(STACK)
        events = _steady(world.events, installs=True)
        yield (
            "gridbyoc bootstrap --yes: the apply",
            while_it_works(
                events, lambda e: isinstance(e, ResourceProgress) and (e.finished, e.state) == (7, "started"), 7
            ),
        )
        world.bootstrap(BOTH)
        events = _steady(world.events, installs=False)
        yield (
            "gridbyoc bootstrap --yes: the wait",
            while_it_works(
                events, lambda e: isinstance(e, ClusterProgress) and (e.name, e.status) == ("batch", "pending"), 31
            ),
        )
        _somebody_acts(world)
        with world.run(BOTH, "drift") as run:
            drift = find_drift(run)
        yield "gridbyoc drift", text_of(DRIFT, drift)
        with world.run(BOTH, "verify") as run:
            pass
        yield "gridbyoc verify", text_of(VERIFY, prove(run, now=world.now))
    yield "gridbyoc quotas", text_of(QUOTAS, _quotas())


@contextmanager
def _world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        world.iam.managed = ALLOWED
        yield world


def _steady(events: Iterable[Event], *, installs: bool) -> list[Event]:
    """The events with times and an order that are the same each time.

    The Terraform in memory installs no provider; ``installs``: its init says what a real one does.
    """
    found: list[Event] = []
    init: list[Event] = []
    for event in events:
        if isinstance(event, StepFinished) and event.step == "init":
            init = [replace(event, seconds=4.2, outcome="done", detail=PROVIDER) if installs else event]
            continue
        if isinstance(event, StepStarted) and event.step == "plan":  # init and the preflight run at the same time
            found += init
        if isinstance(event, ClusterProgress) and event.age is not None:
            event = replace(event, age={"ml": 2235.0, "batch": 736.0}[event.name])
        if isinstance(event, WaitExpected) and event.count:
            event = replace(event, shortest=2235.0, median=2235.0, longest=2235.0)
        found.append(event)
    return found


def _somebody_acts(world: World) -> None:
    (role,) = world.iam.roles.values()
    world.iam.attach(str(role["RoleName"]), f"{MANAGED}AdministratorAccess")
    role["MaxSessionDuration"] = 3600


def _quotas() -> QuotasFound:
    """Four quotas of an account, one of which is too low."""
    values = {"L-1216C47A": (64, 10, QuotaNeed(2, "t2.medium 2")), "L-DB2E81BA": (0, 0, QuotaNeed(4, "g4dn.xlarge 4")),
              "L-F678F1CE": (5, 3, QuotaNeed(1, "1 for the new cluster")),
              "L-FE177D64": (1000, 41, QuotaNeed(15, "15 for the new cluster"))}  # fmt: skip
    readings = {
        code: QuotaReading(quota_by_code(code), "us-east-1", Limit(float(limit), quota_by_code(code).name), Use(used))
        for code, (limit, used, _) in values.items()
    }
    account = AccountQuotas(readings, {"t2.medium": 2, "g4dn.xlarge": 4})
    rows = review(account, {code: need for code, (_, _, need) in values.items()})
    return QuotasFound("123456789012", "us-east-1", rows)


PAGE = """\
# What the commands show

<!-- Written by docs/screens.py: run `make docs` after a change. -->

Six screens on a terminal of {width} columns. Texts and tables fit the width of the terminal; the environment variable
`COLUMNS` overrides it. Lines break between words only: an ARN, a code or an address that is longer than the terminal is
wide stands whole, so that it can be copied. If a table is too wide, each row becomes a block.

While a command works, the last lines are redrawn on a terminal (not if `TERM` is `dumb`; `NO_COLOR` turns colours off).
Without a terminal, in a pipe or a pipeline, the same facts are plain lines without control characters: one when
something changes, and one every five minutes for a cluster that stays as it is. `--format jsonl` has them as
[events](json.md): `provider_progress`, `resource_progress`, `wait_expected` and `cluster_progress`.

*7 of 14* counts the changes of the plan that are done: a replacement is two, as in the plan's summary. The time beside
a cluster that starts is its age. The line below it says how long clusters of this control plane took before, from the
journals of this stack and of those beside it. If there is none yet, it is the time that the control plane's guide
names.
"""


def page() -> str:
    """The page."""
    parts = [PAGE.format(width=WIDTH)]
    for title, text in screens():
        body = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
        parts.append(f"## {title}\n\n```text\n{body}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    (ROOT / "docs" / "screens.md").write_text(page(), encoding="utf-8")
