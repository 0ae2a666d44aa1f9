"""One AWS provider for many runs of Terraform, which it is attached to: the same provider, in its debugging mode.

Each command of Terraform hashes the provider's 700 MB, and starts it, and reads 5 MB of its schema; attached, it does
none of this (``short_schema``). For tests of what a run comes to, not of how Terraform gets its provider; and for one
run at a time, because a provider is configured anew by each.
https://developer.hashicorp.com/terraform/plugin/debugging#starting-a-provider-in-debug-mode
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gridbyoc.render.root import AWS_PROVIDER
from tests.e2e.conftest import Tool
from tests.functional.terraform_cli import TerraformCli

ROOM = Path(__file__).parents[2]
ROOT = f'terraform {{\n  required_providers {{\n    aws = {{ version = "{AWS_PROVIDER}" }}\n  }}\n}}\n'
# It ends with us, however we end: the pipe that the inner shell reads from (3, which is ours) is closed then. The outer
# one ends with the provider.
RUN = 'exec 3<&0; "$0" -debug & provider=$!; (read -r end <&3; kill $provider) >/dev/null & wait $provider'


@dataclass(frozen=True)
class AttachedProvider:
    """A provider that runs; ``address`` is what Terraform wants to know of it."""

    address: str

    def attach(self, tool: Tool) -> Tool:
        """The same tool, with a ``terraform`` on its PATH that is attached to this provider."""
        programs = tool.directory.parent / "attached"
        programs.mkdir()
        program = programs / "terraform"
        address = f"TF_REATTACH_PROVIDERS='{self.address}'"
        program.write_text(f"#!/bin/sh\nexport {address}\nexec '{shutil.which('terraform')}' \"$@\"\n")
        program.chmod(0o755)
        return replace(tool, env={**tool.env, "PATH": f"{programs}{os.pathsep}{tool.env['PATH']}"})


@contextmanager
def running_provider(environ: Mapping[str, str], directory: Path, mirror: Path | None) -> Iterator[AttachedProvider]:
    """Start it in ``directory``, with the credentials and the endpoints of ``environ``."""
    (directory / "main.tf").write_text(ROOT)
    TerraformCli(directory, mirror, environ).init(directory)
    (program,) = directory.glob(".terraform/providers/*/hashicorp/aws/*/*/terraform-provider-aws*")
    with (
        # Its socket's path may have 107 characters (unix(7)): a test's own directory is too long for it.
        tempfile.TemporaryDirectory(prefix="aws-") as sockets,
        subprocess.Popen(
            ["/bin/sh", "-c", RUN, str(program)],
            env={"PATH": os.environ["PATH"], "TMPDIR": sockets, "GOGC": "400", **environ},
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        lines = (re.search(r"TF_REATTACH_PROVIDERS='(.+)'", line) for line in process.stdout)
        address = next((found[1] for found in lines if found), "")
        assert address, "the provider ended before it said where it listens"
        with shortened(address, Path(sockets) / "short") as short:
            yield AttachedProvider(short)


@contextmanager
def shortened(address: str, socket: Path) -> Iterator[str]:
    """The address of the same provider with a short schema."""
    at = json.loads(address)
    (provider,) = at.values()
    argv = [sys.executable, "-m", "tests.e2e.short_schema", provider["Addr"]["String"], str(socket)]
    with subprocess.Popen(argv, cwd=ROOM, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        provider["Addr"]["String"] = str(socket)
        yield json.dumps(at)
