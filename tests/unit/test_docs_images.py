"""The pictures of the documentation: there, small, and without anything that is loaded from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import gridbyoc

DOCS = Path(gridbyoc.__file__).parent.parent / "docs"
LARGEST = 300_000


def test_every_picture_is_there_and_every_one_is_shown() -> None:
    shown = {name for page in DOCS.glob("*.md") for name in re.findall(r"!\[.+?\]\(images/(.+?)\)", page.read_text())}
    assert shown == {path.name for path in (DOCS / "images").iterdir()}
    assert len(shown) >= 5


def test_pictures_are_small_and_reach_for_nothing() -> None:
    for path in (DOCS / "images").iterdir():
        assert path.stat().st_size < LARGEST, path.name
        if path.suffix == ".svg":
            text = path.read_text()
            assert ElementTree.fromstring(text).tag.endswith("svg")  # noqa: S314 - our own file
            assert re.findall(r"@import|@font-face|url\((?!#|&quot;#)|xlink:href", text) == [], path.name
