"""``clusters edit --write`` on a stack file with bases: what stands in the file is written, a base never is."""

from __future__ import annotations

from typing import Any

from gridbyoc.errors import UsageError
from tests.functional.test_cluster_edit_cli import EDIT, LARGER, STACK, Tool, cluster, edits, puts, tool, written

__all__ = ["cluster", "tool"]


def test_a_cluster_of_the_file_is_written_and_the_base_stays(tool: Tool, cluster: dict[str, Any]) -> None:
    base = written(tool, "role: {tags: {team: ml}}\n").rename(tool.directory / "base.yaml")
    file = written(tool, STACK.replace("name: demo", "name: demo\nextends: base.yaml"))
    tool(*EDIT, "--yes", "--write", EDITOR=edits(tool, LARGER))
    assert "- m5.large" in file.read_text()
    assert base.read_text() == "role: {tags: {team: ml}}\n"


def test_a_cluster_of_a_base_is_refused_before_the_editor_opens(tool: Tool, cluster: dict[str, Any]) -> None:
    text = STACK.replace("version: 1\nname: demo\n", "")
    base = written(tool, text).rename(tool.directory / "base.yaml")
    file = written(tool, "version: 1\nname: demo\nextends: base.yaml\n")
    error = tool.fails(UsageError, *EDIT, "--yes", "--write", EDITOR="false")
    assert f"{base}:2" in error.why
    assert (base.read_text(), "m5" in file.read_text(), puts(tool)) == (text, False, [])
