"""The environment that leads a program to the sandbox and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gridbyoc.sandbox.settings import USER_ID, USERNAME
from gridbyoc.stack.secret import Secret

FOREIGN = ("AWS_", "GRID_", "LIGHTNING_", "MOTO_")
"""Prefixes of what would lead elsewhere: a profile, a session token, one service's own endpoint, a context."""


def aws_variables(aws_url: str, region: str, empty_file: Path) -> dict[str, str]:
    """The local AWS with moto's test credentials; ``empty_file`` stands in for the user's own AWS files."""
    return {
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": str(empty_file),
        "AWS_SHARED_CREDENTIALS_FILE": str(empty_file),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def control_plane_variables(url: str, api_key: Secret, ca_file: Path | None) -> dict[str, str]:
    """The local control plane under the names that each dialect's clients read."""
    variables = {
        "GRID_URL": url,
        "GRID_USERNAME": USERNAME,
        "GRID_USER_ID": USER_ID,
        "GRID_API_KEY": api_key.reveal(),
        "LIGHTNING_CLOUD_URL": url,
        "LIGHTNING_USER_ID": USER_ID,
        "LIGHTNING_API_KEY": api_key.reveal(),
    }
    if ca_file:
        # requests reads the first (and so does the lightning CLI), websocket-client the second.
        variables |= {"REQUESTS_CA_BUNDLE": str(ca_file), "WEBSOCKET_CLIENT_CA_BUNDLE": str(ca_file)}
    return variables


def cleaned(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without what leads elsewhere, and with loopback kept away from any proxy."""
    kept = {name: value for name, value in environ.items() if not name.startswith(FOREIGN)}
    return kept | no_proxy_variables(environ)


def no_proxy_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """``NO_PROXY`` in both spellings, with 127.0.0.1 added to what either holds."""
    hosts: list[str] = []
    for name in ("NO_PROXY", "no_proxy"):
        hosts += [host.strip() for host in environ.get(name, "").split(",")]
    wanted = ",".join(dict.fromkeys([host for host in hosts if host] + ["127.0.0.1", "localhost"]))
    return {"NO_PROXY": wanted, "no_proxy": wanted}
