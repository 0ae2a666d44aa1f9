"""Standard streams that are closed or full, and a place that is gone: words and a status, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

STACK = (
    "version: 1\nname: streams\naws: {region: us-east-1}\nclusters: [{name: streams, instance_types: [t2.medium]}]\n"
)


def shell(directory: Path, line: str) -> subprocess.CompletedProcess[str]:
    """``line`` in a shell, where ``$tool`` is the program."""
    script = f'tool="$0 -m gridbyoc"; {line}'
    return subprocess.run(
        ["/bin/sh", "-c", script, sys.executable],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("$tool --help >&-", 0),
        ("$tool validate >&-", 0),
        ("$tool validate <&-", 0),
        ("$tool validate nothing.yaml 2>&-", 2),
        ("$tool validate nothing.yaml <&- >&- 2>&-", 2),
        ("$tool validate - <&-", 2),
        ("$tool login --username ada --key-stdin <&-", 2),
        ("$tool --help >/dev/full", 1),
        ("$tool schema >/dev/full", 1),
    ],
)
def test_a_stream_that_is_closed_or_full(tmp_path: Path, line: str, status: int) -> None:
    (tmp_path / "gridbyoc.yaml").write_text(STACK)
    ran = shell(tmp_path, line)
    assert ran.returncode == status
    assert "Traceback" not in ran.stderr
    assert "Internal error in gridbyoc" not in ran.stderr


def test_an_error_that_stdout_does_not_take_is_told_on_stderr(tmp_path: Path) -> None:
    ran = shell(tmp_path, "$tool plan nothing.yaml --format json >/dev/full")
    assert ran.returncode == 2
    assert "there is no such file" in ran.stderr


def test_a_directory_that_is_gone_is_named_as_the_reason(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    ran = shell(gone, 'rmdir "$PWD"; $tool plan')
    assert ran.returncode == 1
    assert "current directory" in ran.stderr


def test_wrong_usage_ends_with_an_object_too(tmp_path: Path) -> None:
    ran = shell(tmp_path, "$tool plan --format json --bogus")
    assert ran.returncode == 2
    told = json.loads(ran.stdout)
    assert (told["code"], told["exit_status"]) == ("GBY-U001", 2)
    assert "--bogus" in told["what"]


@pytest.mark.parametrize(
    "encoding",
    ["PYTHONIOENCODING=ascii", "PYTHONIOENCODING=latin-1", "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0", "LC_ALL=C"],
)
def test_a_stream_that_lacks_a_character_gets_an_escape(tmp_path: Path, encoding: str) -> None:
    """It is no fault of the stack file, which is UTF-8; and JSON means the same."""
    (tmp_path / "gridbyoc.yaml").write_text(f"{STACK}role: {{tags: {{team: ✔😀}}}}\n", encoding="utf-8")
    ran = shell(tmp_path, f"{encoding} $tool validate --format json; {encoding} $tool validate")
    assert ran.returncode == 2
    assert json.loads(ran.stdout)["problems"][0]["message"] == 'contains "✔", "😀"'
    assert "✔" in ran.stderr or "\\u2714" in ran.stderr
    assert "UTF-8" not in ran.stderr
