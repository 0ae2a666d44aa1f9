"""The mark of a sandbox in the environment, and what gridbyoc refuses and ignores there.

``sandbox run``, ``sandbox shell`` and ``sandbox up`` set the mark. A shell's start-up files, direnv or the user may
change the variables that lead to the sandbox; a command that has the mark then ends before it sends anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from gridbyoc.errors import SAFE_NOTHING_DONE, OutsideSandboxError
from gridbyoc.stack.loopback import is_loopback

SANDBOX_MARK = "GRIDBYOC_SANDBOX"
"""Environment variable: the directory of the sandbox that this environment leads to."""

SANDBOX_MEMBERS = "GRIDBYOC_SANDBOX_MEMBER_ACCOUNTS"
"""Environment variable: the ids of the sandbox's member accounts, if it has any."""

OF_AN_ACCOUNT = (
    ("aws", "account_id"),
    ("aws", "assume_role"),
    ("aws", "profile"),
    ("control_plane", "url"),
    ("terraform", "backend", "s3", "assume_role"),
    ("terraform", "backend", "s3", "profile"),
)
"""The places of a stack file that name an account of the user. In a sandbox they are ignored."""

_ENDPOINT = "AWS_ENDPOINT_URL"
_IGNORES_ENDPOINTS = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"


def in_sandbox(environ: Mapping[str, str]) -> bool:
    """Whether the environment has the mark."""
    return bool(environ.get(SANDBOX_MARK))


def ignored_places(environ: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The places to ignore in the sandbox of ``environ``: with member accounts, accounts and roles count."""
    members = bool(environ.get(SANDBOX_MEMBERS))
    return tuple(place for place in OF_AN_ACCOUNT if not members or place[-1] not in ("account_id", "assume_role"))


def check_environment(environ: Mapping[str, str]) -> None:
    """Raise ``OutsideSandboxError`` if the environment has the mark, and AWS's variables lead elsewhere."""
    if not in_sandbox(environ):
        return
    if not is_loopback(environ.get(_ENDPOINT, "")):
        raise _outside(f"{_ENDPOINT} does not lead to this machine, or is not set.")
    if environ.get(_IGNORES_ENDPOINTS, "").lower() == "true":
        raise _outside(f"{_IGNORES_ENDPOINTS} is set: AWS's clients would ignore {_ENDPOINT}.")
    for name, value in sorted(environ.items()):
        # a service's own endpoint (AWS_ENDPOINT_URL_IAM, the older AWS_S3_ENDPOINT), or a source of credentials
        if name.startswith("AWS_") and "://" in value and not is_loopback(value):
            raise _outside(f"{name} leads to another machine.")


def check_address(url: str, environ: Mapping[str, str]) -> None:
    """Raise ``OutsideSandboxError`` if the environment has the mark, and a control plane's URL is not on loopback."""
    if in_sandbox(environ) and not is_loopback(url):
        raise _outside(f"The control plane's address would be {url}.")


def check_own_login(environ: Mapping[str, str]) -> None:
    """Raise ``OutsideSandboxError`` if the environment has the mark: a command would replace the user's own login."""
    if in_sandbox(environ):
        raise OutsideSandboxError(
            "In the sandbox, the login and the default cluster of your own account stay as they are.",
            why="The environment holds the sandbox's key; this would replace what your home directory holds.",
            fix="Nothing to do: the sandbox needs no login. To try the command, use an empty home directory: "
            f'`env -u {SANDBOX_MARK} HOME="$(mktemp -d)" gridbyoc login`.',
            rerun=SAFE_NOTHING_DONE,
        )


def _outside(why: str) -> OutsideSandboxError:
    return OutsideSandboxError(
        "This is a sandbox's shell or command, but its environment no longer leads to the sandbox.",
        why=why,
        fix="Leave the sandbox (`exit`) and start it again: `gridbyoc sandbox shell`.",
        rerun=SAFE_NOTHING_DONE,
    )
