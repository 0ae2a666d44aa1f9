"""The variables of the environment that name files: made absolute once, where the program begins.

Terraform runs in the work_dir, not in the caller's directory, and neither it nor most of its providers expand ``~``.
Read from one environment of absolute paths, a variable names the same file for boto3, for requests and for Terraform.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

EXPANDED_BY_BOTO3 = frozenset({"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"})
"""``botocore.configloader.raw_config_parse`` expands ``$NAME`` and ``~`` in these, whatever files there are."""
FILES = (
    *sorted(EXPANDED_BY_BOTO3),
    "AWS_CA_BUNDLE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_LOGIN_CACHE_DIRECTORY",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "CURL_CA_BUNDLE",
    "GIT_CONFIG_GLOBAL",
    "GIT_SSL_CAINFO",
    "NETRC",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "TF_CLI_CONFIG_FILE",
    "TF_PLUGIN_CACHE_DIR",
)
LISTS = ("AWS_DATA_PATH", "SSL_CERT_DIR")
"""Several directories, with ``os.pathsep`` between them."""
_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)


def absolute_paths(environ: Mapping[str, str], cwd: Path) -> dict[str, str]:
    """The variables that name a path in another way than by an absolute one, with the absolute path instead.

    ``~`` and ``$NAME`` are expanded as boto3 does; a name that boto3 takes as it stands stays if there is such a file.
    """
    found: dict[str, str] = {}
    for name in (*FILES, *LISTS):
        given = environ.get(name, "")
        parts = given.split(os.pathsep) if name in LISTS else [given]
        literally = name not in EXPANDED_BY_BOTO3
        made = os.pathsep.join(_absolute(part, environ, cwd, literally=literally) for part in parts)
        if made != given:
            found[name] = made
    return found


def _absolute(text: str, environ: Mapping[str, str], cwd: Path, *, literally: bool) -> str:
    if not text:
        return text
    as_given = os.path.join(cwd, text)  # noqa: PTH118 - a Path would drop a last "/." or "//", which is not ours to change
    return as_given if literally and os.path.lexists(as_given) else os.path.join(cwd, _expanded(text, environ))  # noqa: PTH118


def _expanded(text: str, environ: Mapping[str, str]) -> str:
    """As ``os.path.expandvars`` and ``expanduser`` do, from ``environ``: a variable that is not set stays as it is."""
    text = _VARIABLE.sub(lambda match: environ.get(match[1] or match[2] or "", match[0]), text)
    home = environ.get("HOME", "")
    if home and (text == "~" or text.startswith("~/")):
        return home.rstrip("/") + text[1:]
    return os.path.expanduser(text)  # noqa: PTH111 - a Path raises for a user that is not known
