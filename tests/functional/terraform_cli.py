"""Real Terraform in a directory, in an environment of its own: what the tests of templates and modules run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TerraformCli:
    """``home`` is a private directory for the CLI configuration; ``mirror`` as the fixture ``provider_mirror``."""

    home: Path
    mirror: Path | None
    environ: Mapping[str, str]

    def run(self, cwd: Path, *args: str, ok: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["terraform", *args], cwd=cwd, env=self._environ(), capture_output=True, text=True, timeout=150
        )
        assert done.returncode in ok, f"terraform {args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def init(self, cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
        return self.run(cwd, "init", "-input=false", "-no-color", *args)

    def apply(self, cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
        return self.run(cwd, "apply", "-input=false", "-auto-approve", "-no-color", *args)

    def outputs(self, cwd: Path) -> dict[str, Any]:
        answer = json.loads(self.run(cwd, "output", "-json").stdout)
        return {name: each["value"] for name, each in answer.items()}

    def _environ(self) -> dict[str, str]:
        configuration = self.home / "terraform.rc"
        if not configuration.exists():
            text = ""
            if self.mirror:
                text = f'provider_installation {{\n  filesystem_mirror {{\n    path = "{self.mirror}"\n  }}\n}}\n'
            configuration.write_text(text)
        base = {"PATH": os.environ["PATH"], "HOME": str(self.home), "TF_CLI_CONFIG_FILE": str(configuration)}
        return base | {"CHECKPOINT_DISABLE": "1", "GOGC": "400"} | dict(self.environ)
