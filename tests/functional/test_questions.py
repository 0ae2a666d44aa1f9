"""Questions on a real terminal: what was typed before one was asked does not answer it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.terminal import on_terminal

REST = ("AWS region", "AWS profile", "AWS account", "Control plane", "Cluster name", "Performance", "Instance types")


def test_what_was_typed_ahead_answers_no_question(tmp_path: Path) -> None:
    with on_terminal("new", cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}) as terminal:
        terminal.send("typed-ahead\n")
        terminal.expect("Stack name")
        assert terminal.is_silent(0.3), terminal.text
        terminal.send("asked\n")
        for question in REST:
            terminal.expect(question)
            terminal.send("\n")
        assert terminal.end() == 0
    assert "name: asked" in (tmp_path / "gridbyoc.yaml").read_text()
