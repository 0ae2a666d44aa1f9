"""The settings of a sandbox."""

from __future__ import annotations

import csv
import math
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.service_quotas import quota_codes

if TYPE_CHECKING:
    from gridbyoc.sandbox.scenario.model import Scenario

ACCOUNTS = ("healthy", "new")
OUTCOMES = ("approved", "denied")


def read_quotas(texts: Iterable[str]) -> dict[str, float]:
    """``("ec2/L-1216C47A=64",)`` as a mapping. Raises ``UsageError`` for an invalid text or an unknown quota."""
    return {key: _number(key, text) for key, text in _pairs(texts, "a quota", "ec2/L-1216C47A=64")}


def read_quota_names(texts: Iterable[str]) -> dict[str, str]:
    """``("ec2/L-1216C47A=Another name",)`` as a mapping. Raises ``UsageError`` as ``read_quotas`` does."""
    return dict(_pairs(texts, "a quota's name", "ec2/L-1216C47A=Another name"))


def check_quotas(keys: Mapping[str, object]) -> None:
    """Raise ``UsageError`` if no quota has a given ``SERVICE/CODE``."""
    known = {f"{quota.service}/{quota.code}" for quota in quota_codes()}
    for key in keys:
        if key not in known:
            near = [each for each in sorted(known) if each.endswith(key.rpartition("/")[2])] or sorted(known)
            raise refused(f"There is no quota {key!r} in the sandbox.", f"Name one of: {', '.join(near)}.")


def refused(what: str, fix: str) -> UsageError:
    """The error for an invalid setting."""
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)


def _pairs(texts: Iterable[str], what: str, example: str) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    for key, _, value in pairs:
        if not key.strip() or not value.strip():
            raise refused(f"{key!r} is not {what} with a value.", f"Write it like {example}.")
    found = {key.strip(): value.strip() for key, _, value in pairs}
    check_quotas(found)
    return list(found.items())


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not math.isfinite(value) or value < 0:
        raise refused(f"The value of {key} must be a number from 0, not {text!r}.", "Write it like ec2/L-1216C47A=64.")
    return value


AWS_ACCOUNT_ID = "123456789012"
"""The account of moto's test credentials (read in moto's settings)."""

USERNAME = "ada"
USER_ID = "user-ada-0001"
ENV_PREFIX = "GRIDBYOC_SANDBOX_"

_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9*?]+|\*")


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """The settings of one sandbox.

    Times are seconds; port 0 is any free one; ``api_key`` ``None``: random, or the state's.

    ``create_seconds``: from a create to RUNNING (0: immediately); ``delete_seconds``: from a delete to DELETED.
    ``trusted_account_id`` ``None``: the account of the vendor to which a cluster's spec belongs. ``state_dir`` keeps
    the control plane's clusters and key; without it they are forgotten.

    The local AWS: ``account`` is ``healthy`` (room for everything that the guide asks for) or ``new`` (the quotas of a
    new account). ``quotas`` and ``quota_names`` change single quotas, by ``service/code``. A quota request is open for
    ``quota_seconds`` and then has the ``quota_outcome``, ``approved`` or ``denied``. ``enforce_iam`` enforces the
    policies of every key but ``test``. ``denied_by_scp``: patterns of actions (``iam:CreateRole``, ``eks:*``) that the
    organization denies. ``member_accounts``: further accounts, each with the role that AWS Organizations creates.
    ``session_seconds``: how long a session of a role lasts; ``None``: as long as was asked for. Each request is
    appended to ``aws_log``.

    ``scenario``: the faults that both servers play; its account is not looked at here.
    """

    region: str = "us-east-1"
    create_seconds: float = 2.0
    delete_seconds: float = 1.0
    trusted_account_id: str | None = None
    api_key: Secret | None = None
    state_dir: Path | None = None
    access_log: Path | None = None
    port: int = 0
    aws_port: int = 0
    tls: bool = False
    account: str = "healthy"
    quotas: Mapping[str, float] = field(default_factory=dict)
    quota_names: Mapping[str, str] = field(default_factory=dict)
    quota_seconds: float = 5.0
    quota_outcome: str = "approved"
    enforce_iam: bool = False
    denied_by_scp: tuple[str, ...] = ()
    member_accounts: tuple[str, ...] = ()
    session_seconds: float | None = None
    aws_log: Path | None = None
    scenario: Scenario | None = None

    def __post_init__(self) -> None:
        for name in ("create_seconds", "delete_seconds", "quota_seconds"):
            if not 0 <= getattr(self, name) <= 86_400:
                raise _refused(f"{name} must be 0 to 86400 seconds, not {getattr(self, name)!r}.")
        for name, allowed in (("account", ACCOUNTS), ("quota_outcome", OUTCOMES)):
            if getattr(self, name) not in allowed:
                raise refused(f"{name} is {getattr(self, name)!r}.", f"Give one of: {', '.join(allowed)}.")
        for pattern in self.denied_by_scp:
            if not _ACTION.fullmatch(pattern):
                raise refused(f"{pattern!r} is not an action.", "Write it like iam:CreateRole or eks:*.")
        for account in self.member_accounts:
            if not re.fullmatch("[0-9]{12}", account) or account == AWS_ACCOUNT_ID:
                raise refused(f"{account!r} is not another account.", "Write 12 digits like 111111111111.")
        if self.session_seconds is not None and not 1 <= self.session_seconds <= 43_200:
            raise _refused(f"session_seconds must be 1 to 43200 seconds, not {self.session_seconds!r}.")
        check_quotas({**self.quotas, **self.quota_names})


def settings_from_environ(environ: Mapping[str, str]) -> SandboxSettings:
    """The settings in the environment.

    Reads ``GRIDBYOC_SANDBOX_CREATE_SECONDS``, ``_DELETE_SECONDS``, ``_API_KEY``, ``_ACCOUNT`` and ``_ENFORCE_IAM``.
    Raises ``UsageError`` for an invalid number or account.
    """
    key = environ.get(f"{ENV_PREFIX}API_KEY")
    return SandboxSettings(
        create_seconds=_seconds(environ, "CREATE_SECONDS", SandboxSettings().create_seconds),
        delete_seconds=_seconds(environ, "DELETE_SECONDS", SandboxSettings().delete_seconds),
        api_key=Secret(key) if key else None,
        account=environ.get(f"{ENV_PREFIX}ACCOUNT") or "healthy",
        enforce_iam=environ.get(f"{ENV_PREFIX}ENFORCE_IAM", "").lower() in {"1", "true", "yes", "on"},
    )


def new_api_key() -> Secret:
    """A random API key in the service's format: letters, digits and hyphens."""
    return Secret(f"sandbox-{secrets.token_hex(16)}")


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(ENV_PREFIX + name, "")
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        raise _refused(f"{ENV_PREFIX}{name} must be a number of seconds, not {text!r}.") from None


def _refused(what: str) -> UsageError:
    return UsageError(what, fix="Give a number of seconds, such as 2.", rerun=SAFE_NOTHING_DONE)


@dataclass(frozen=True, slots=True)
class KnownType:
    """Memory in GiB; prices in USD per hour, us-east-1, as once published: for display, not for planning."""

    name: str
    cpu: int
    gpu: int
    memory: float
    on_demand: float
    spot: float


@lru_cache(maxsize=1)
def known_types() -> dict[str, KnownType]:
    """The types in the data file beside this module, by name."""
    with (Path(__file__).parent / "instance_types.csv").open(newline="") as file:
        rows = [
            KnownType(
                row["name"], int(row["cpu"]), int(row["gpu"]), float(row["memory"]),
                float(row["on_demand"]), float(row["spot"]),
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip
    return {row.name: row for row in rows}
