"""HCL text: what may stand in a .tf file and how it is lined up."""

from __future__ import annotations

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.render import hcl
from gridbyoc.render.hcl import Hcl, align, identifier, is_identifier, only_hcl


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", '"plain"'),
        ("", '""'),
        ('say "no"', r'"say \"no\""'),
        ("C:\\dir", r'"C:\\dir"'),
        ("a\nb\rc\td", r'"a\nb\rc\td"'),
        ("${var.x}", r'"\u0024{var.x}"'),
        ("$${x}", r'"$\u0024{x}"'),
        ("%{if true}", r'"\u0025{if true}"'),
        ("100 % of $5", '"100 % of $5"'),
        ("\0\x7f", r'"\u0000\u007F"'),
        ("é\u202e", r'"\u00E9\u202E"'),
        ("😀", r'"\U0001F600"'),
        (True, "true"),
        (False, "false"),
        (42, "42"),
    ],
)
def test_hcl_writes_a_literal(value: object, text: str) -> None:
    assert hcl(value) == text


@given(st.text())
def test_hcl_is_printable_ascii_and_opens_no_template(text: str) -> None:
    literal = hcl(text)
    assert literal.isascii()
    assert literal.isprintable()
    assert "${" not in literal
    assert "%{" not in literal
    assert only_hcl(literal) is literal


def test_hcl_refuses_what_is_not_text() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        hcl("\ud800")
    with pytest.raises(TypeError, match="NoneType"):
        hcl(None)


def test_a_template_prints_nothing_that_did_not_pass_the_filter() -> None:
    environment = jinja2.Environment(finalize=only_hcl, autoescape=False)  # noqa: S701  HCL, not HTML
    environment.filters["hcl"] = hcl
    assert environment.from_string("x = {{ x | hcl }}").render(x="${y}") == r'x = "\u0024{y}"'
    with pytest.raises(TypeError, match="hcl filter"):
        environment.from_string("x = {{ x }}").render(x="y")


@pytest.mark.parametrize("name", ["a", "_a", "a-b", "A1"])
def test_identifier_lets_names_through(name: str) -> None:
    assert is_identifier(name)
    assert identifier(name) == Hcl(name)


@pytest.mark.parametrize("name", ["", "1a", "-a", "a b", "a.b", "a\n", "é", 'a" = 1'])
def test_identifier_refuses_the_rest(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        identifier(name)


def test_align_lines_up_neighbours_only() -> None:
    text = """\
a {
  x = 1
  long = 2

  y = 3
  b {
    z = 4
  }
  map = {
    k = "v = w"
    key = 1
  }
  x = 1
  yy = 2
}
"""
    assert (
        align(text)
        == """\
a {
  x    = 1
  long = 2

  y = 3
  b {
    z = 4
  }
  map = {
    k   = "v = w"
    key = 1
  }
  x  = 1
  yy = 2
}
"""
    )
