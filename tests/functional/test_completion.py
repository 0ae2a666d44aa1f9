"""A completion starts quickly: it loads none of the large libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LARGE = ("boto3", "botocore", "jinja2", "jsonschema", "requests", "rich", "cryptography", "filelock")
PROGRAM = f"""
import sys
for name in {LARGE!r}:
    sys.modules[name] = None  # an import of it fails
from click.shell_completion import ShellComplete
from gridbyoc.cli.main import cli
for words, incomplete in ([], "boot"), (["plan"], ""), (["bootstrap", "--cluster"], "m"), (["explain"], "GBY-R007"):
    found = ShellComplete(cli, {{}}, "gridbyoc", "_GRIDBYOC_COMPLETE").get_completions(words, incomplete)
    print(*(each.value for each in found))
"""


def test_no_large_library_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "gridbyoc.yaml").write_text("version: 1\nname: ml\nclusters: [{name: ml-a}]\n")
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["bootstrap", "gridbyoc.yaml", "ml-a", "GBY-R007"], done.stderr
