"""The page of screens is what the commands show."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import gridbyoc

ROOT = Path(gridbyoc.__file__).parent.parent


def test_the_page_is_what_the_commands_show() -> None:
    spec = importlib.util.spec_from_file_location("screens", ROOT / "docs" / "screens.py")
    assert spec is not None
    assert spec.loader is not None
    screens = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(screens)
    assert screens.page() == (ROOT / "docs" / "screens.md").read_text(encoding="utf-8"), "run `make docs`"
