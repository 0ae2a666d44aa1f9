"""What a sandbox is told before it starts."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.sandbox.quota_settings import ACCOUNTS, OUTCOMES, check_quotas, refused
from gridbyoc.stack.secret import Secret

AWS_ACCOUNT_ID = "123456789012"
"""The account that moto's test credentials belong to (read in moto's settings)."""

USERNAME = "ada"
USER_ID = "user-ada-0001"
ENV_PREFIX = "GRIDBYOC_SANDBOX_"

_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9*?]+|\*")


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """One sandbox. Times are seconds; a port of 0 is any free one; ``api_key`` ``None``: made, or the state's own.

    ``create_seconds`` is from a create to RUNNING (0: at once), ``delete_seconds`` from a delete to DELETED.
    ``trusted_account_id`` ``None``: the account of the vendor whose form a cluster's spec has.
    ``state_dir`` keeps the control plane's clusters and key for the next time; without it they are forgotten.

    The local AWS: ``account`` is ``healthy`` (room for everything that the guide asks for) or ``new`` (what AWS gives
    to a new account). ``quotas`` and ``quota_names`` change single quotas, by ``service/code``. A request for more is
    open for ``quota_seconds`` and then has the ``quota_outcome``, ``approved`` or ``denied``. ``enforce_iam`` holds
    every key but ``test`` to its policies. ``denied_by_scp`` are patterns of actions (``iam:CreateRole``, ``eks:*``)
    that the organization denies. Each request is appended to ``aws_log``.
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
    aws_log: Path | None = None

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
        check_quotas({**self.quotas, **self.quota_names})


def settings_from_environ(environ: Mapping[str, str]) -> SandboxSettings:
    """The settings that ``GRIDBYOC_SANDBOX_CREATE_SECONDS``, ``_DELETE_SECONDS``, ``_API_KEY``, ``_ACCOUNT`` and
    ``_ENFORCE_IAM`` ask for.

    Raises ``UsageError`` for a number that is none, and for an account that is none.
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
    """A random API key in the form that the service gives out: letters, digits and hyphens."""
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
    return UsageError(what, fix="Give a number of seconds, for instance 2.", rerun=SAFE_NOTHING_DONE)
