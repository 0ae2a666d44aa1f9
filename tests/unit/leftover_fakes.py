"""An AWS of a few answers: what is not answered is empty, what is denied is denied."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from botocore.exceptions import ClientError

from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.leftovers import DeletedCluster, DeletionPatience, Ledger, Leftover, Search, delete, find
from tests.unit.fakes import Time
from tests.unit.memory_aws import Client, answered

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
PLACE = AccountRegion("aws-us-gov", "123456789012", "us-gov-west-1")
OWNED = [{"Key": "kubernetes.io/cluster/demo", "Value": "owned"}]
DEMO = Search(PLACE, (DeletedCluster("demo"),))


def refused(code: str, message: str = "no", status: int = 400) -> ClientError:
    """An error as AWS sends it."""
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "operation")


@dataclass
class FakeAws:
    """Answers by ``service.operation``: a function of the arguments, a value, or an error to raise."""

    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def client(self, service: str, region: str | None = None) -> Any:
        place = f"{service}@{region}" if region else service
        return Client(lambda operation, arguments: self.answer(f"{place}.{operation}", arguments))

    def answer(self, name: str, arguments: dict[str, Any]) -> Any:
        self.calls.append((name, arguments))
        return answered(self.answers.get(name, {}), arguments)

    def names(self, *parts: str) -> list[str]:
        """The operations called whose name holds one of ``parts``."""
        return [name for name, _ in self.calls if any(part in name for part in parts)]


def found(aws: FakeAws, search: Search = DEMO) -> Ledger:
    session: Any = aws
    return find(session, search, lambda: NOW)


@dataclass
class Run:
    """A deletion: what stayed, what was told, and the time it took."""

    rest: tuple[Leftover, ...]
    events: list[tuple[str, str, str]]
    time: Time


def run_delete(aws: FakeAws, *, search: Search = DEMO, delete_data: bool = True) -> Run:
    """Find and delete, with a clock that only sleeping moves."""
    session: Any = aws
    time, events = Time(), []
    rest = delete(
        session, search, found(aws, search).leftovers, delete_data=delete_data,
        patience=DeletionPatience(pause=1, longest=10, refused=60, deleting=600), clock=time.clock, sleep=time.sleep,
        on_event=lambda one, state, why, _seconds: events.append((one.id, state, why)),
    )  # fmt: skip
    return Run(rest, events, time)
