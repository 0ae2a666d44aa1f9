"""Take the pictures of the documentation from what really runs: a stack on a sandbox, its report, the doctor's table.

Run with ``make screenshots``. A ``chromium`` must be on PATH; with ``pngquant`` the pictures become smaller.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
from rich.console import Console
from rich.text import Text

from gridbyoc.sandbox import Sandbox, SandboxSettings, running_sandbox

IMAGES = Path(__file__).parent / "images"
ACCOUNT = "123456789012"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/platform/byoc-boundary"
STACK = f"""\
version: 1
name: ml-prod
aws: {{region: us-east-1, account_id: "{ACCOUNT}"}}
role:
  name: grid-ml-prod
  permissions_boundary: {BOUNDARY}
  trusted_principals: ["arn:aws:iam::{ACCOUNT}:role/platform-oncall"]
  trusted_principals_without_external_id: ["arn:aws:iam::{ACCOUNT}:role/security-audit"]
clusters:
  - name: ml-prod
    performance_profile: default
    instance_types: [m6i.xlarge, {{name: g4dn.xlarge, overprovisioned_ondemand_count: 1}}]
  - name: ml-batch
    performance_profile: cost-saving
    instance_types: [t3.medium, c5.2xlarge]
"""
WIDTH = 120
"""Columns of the terminal that the doctor is shown on."""

FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""rich's SVG loads its font from the network; the reader's own fixed-width font does as well."""


@dataclass(frozen=True)
class Shot:
    """A picture of a page at a width: its light and its dark form side by side, from ``part`` (an id) on."""

    name: str
    width: int
    height: int
    schemes: tuple[str, ...]
    part: str = ""


SHOTS = (
    Shot("report-1280", 1280, 1266, ("light",)),
    Shot("report-1280-dark", 1280, 1266, ("dark",)),
    Shot("report-runs", 1280, 1180, ("light",), "clusters"),
    Shot("report-390", 390, 1150, ("light", "dark")),
)


def main() -> None:
    """Everything, into ``docs/images``."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("There is no chromium on PATH. Install one, e.g. with: apt-get install chromium")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "gridbyoc.yaml").write_text(STACK)
        with running_sandbox(SandboxSettings(create_seconds=2)) as sandbox:
            env = _environ(sandbox, directory)
            _live(sandbox, env, directory)
            _doctor("doctor", env, directory, "gridbyoc doctor, on an account that has room")
            _shoot(chromium, directory)
        with running_sandbox(SandboxSettings(account="new")) as sandbox:
            iam(sandbox).create_policy(**_boundary())
            _doctor("doctor-new", _environ(sandbox, directory), directory, "gridbyoc doctor, on a new account")


def iam(sandbox: Sandbox):  # noqa: ANN201 - boto3's client
    """IAM of the local AWS."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("iam", endpoint_url=sandbox.aws_url, region_name="us-east-1", **keys)


def _environ(sandbox: Sandbox, home: Path) -> dict[str, str]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith("GRIDBYOC_SKIP")}
    return {**sandbox.environ(keep), "HOME": str(home), "GRIDBYOC_POLL_INTERVAL": "0.5s"}


def _boundary() -> dict[str, str]:
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["organizations:*", "account:*"], "Resource": "*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return {"PolicyName": "byoc-boundary", "Path": "/platform/", "PolicyDocument": document}


def _live(sandbox: Sandbox, env: Mapping[str, str], directory: Path) -> None:
    """A stack's life: bootstrap, a new external id, somebody at the role's console, and the report."""
    client = iam(sandbox)
    client.create_policy(**_boundary())
    for words in (["bootstrap", "--yes"], ["rotate", "--yes"]):
        subprocess.run(_argv(*words), cwd=directory, env=env, check=True, stdout=subprocess.DEVNULL)
    client.update_role(RoleName="grid-ml-prod", MaxSessionDuration=3600)
    action = {"Effect": "Allow", "Action": ["ssm:StartSession", "ssm:TerminateSession"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [action]})
    client.put_role_policy(RoleName="grid-ml-prod", PolicyName="debug-access", PolicyDocument=document)
    subprocess.run(_argv("report", "--out", "report.html"), cwd=directory, env=env, check=True)


def _argv(*words: str) -> list[str]:
    return [sys.executable, "-m", "gridbyoc", *words]


def _shoot(chromium: str, directory: Path) -> None:
    """A frame for each form: a browser's window does not become as narrow as a telephone, a frame does."""
    for shot in SHOTS:
        frames = "".join(
            f'<iframe src="report.html#{shot.part}" style="border:0;width:{shot.width}px;height:{shot.height}px;'
            f'color-scheme:{scheme}"></iframe>'
            for scheme in shot.schemes
        )
        body = f'<body style="margin:0;display:flex;gap:20px;overflow:hidden;background:#9aa3ae">{frames}</body>'
        (directory / "frame.html").write_text(f"<!DOCTYPE html>{body}")
        wide = shot.width * len(shot.schemes) + 20 * (len(shot.schemes) - 1)
        target = IMAGES / f"{shot.name}.png"
        subprocess.run(
            [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--allow-file-access-from-files", f"--window-size={wide},{shot.height}", f"--screenshot={target}",
             (directory / "frame.html").as_uri()],
            check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if pngquant := shutil.which("pngquant"):
            subprocess.run([pngquant, "--force", "--skip-if-larger", "--ext", ".png", "64", str(target)], check=False)


def _doctor(name: str, env: Mapping[str, str], directory: Path, title: str) -> None:
    """What a terminal of ``WIDTH`` columns shows, as an SVG."""
    text = _without_our_paths(captured(_argv("doctor"), env, directory), env)
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"), force_terminal=True)  # noqa: PTH123, SIM115
    console.print(Text.from_ansi(f"$ gridbyoc doctor\n{text}"))
    svg = FONTS.sub("", console.export_svg(title=title)).replace("Fira Code", "ui-monospace, Menlo, Consolas")
    (IMAGES / f"{name}.svg").write_text(svg)


def _without_our_paths(text: str, env: Mapping[str, str]) -> str:
    """Where things lie on the machine that takes the pictures is nothing for a page about the tool."""
    terraform, mirror = shutil.which("terraform", path=env.get("PATH")), env.get("GRIDBYOC_PROVIDER_MIRROR")
    for ours, common in ((mirror, "/srv/terraform-mirror"), (terraform, "/usr/local/bin/terraform")):
        text = text.replace(ours, common) if ours else text
    return re.sub(r" +$", "", text, flags=re.MULTILINE)


def captured(argv: list[str], env: Mapping[str, str], directory: Path) -> str:
    """What the command writes to a terminal, with its colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    terminal = {**env, "TERM": "xterm-256color"}
    process = subprocess.Popen(argv, cwd=directory, env=terminal, stdin=subprocess.DEVNULL, stdout=theirs)
    os.close(theirs)
    chunks = []
    try:
        while chunk := os.read(ours, 65536):
            chunks.append(chunk)
    except OSError:
        pass  # Linux's way to say that the other end is shut
    process.wait()
    return b"".join(chunks).decode().replace("\r\n", "\n")


if __name__ == "__main__":
    main()
