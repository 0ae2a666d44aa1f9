"""The documentation as a site: it builds without a warning, and a reader's browser loads nothing from another host."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[2]
LOADED = {"src", "srcset", "poster", "data", "action"}
"""Attributes whose address a browser fetches; of ``link`` elements, ``href`` as well."""
ELSEWHERE = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?\s*((?:[a-z]+:)?//[^"')\s]+)""", re.IGNORECASE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. In strict mode the builder aborts on a warning: a dead link, a page that the navigation lacks."""
    target = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(target)))
    return target


class Loads(HTMLParser):
    """Collects the addresses that a browser fetches to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = LOADED | ({"href"} if tag == "link" else set())
        self.found += [value for name, value in attrs if name in named and value]
        self.found += [
            address for name, value in attrs if name == "style" for address in IN_STYLES.findall(value or "")
        ]


def loaded_by(page: str) -> list[str]:
    parser = Loads()
    parser.feed(page)
    return [*parser.found, *IN_STYLES.findall("".join(re.findall(r"<style.*?</style>", page, re.DOTALL)))]


def test_every_page_is_there(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}
    assert len(pages) > 40
    assert not list(site.rglob("*.py"))


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        found = loaded_by(path.read_text())
        assert found
        assert [address for address in found if ELSEWHERE.match(address)] == [], path.name
        assert 'class="mermaid"' not in path.read_text(), "the theme fetches what draws it"
    for path in site.rglob("*.css"):
        assert IN_STYLES.findall(path.read_text()) == [], path.name


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md"])
def test_links_of_pages_outside_of_the_site_lead_to_files(name: str) -> None:
    page = ROOT / name
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()) if not ELSEWHERE.match(link)]
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/a.css">',
        '<img src="http://cdn.example/a.png">',
        '<p style="background: url(https://cdn.example/a.png)">',
        "<style>@import 'https://cdn.example/a.css';</style>",
    ],
)
def test_what_is_loaded_is_noticed(page: str) -> None:
    assert any(ELSEWHERE.match(address) for address in loaded_by(page))


def test_a_link_that_a_reader_clicks_is_none() -> None:
    assert loaded_by('<a href="https://docs.aws.amazon.com">AWS</a>') == []
