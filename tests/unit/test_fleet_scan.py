"""The quick look at stack files: it finds what the full read finds, or leaves the text to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.stack.document import read_document
from gridbyoc.stack.extends import StackFileIndex, sources
from gridbyoc.stack.load import load
from gridbyoc.stack.scan import Scan, by_lines, in_full, scan

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
PLAIN = """\
# ours
---
version: 1
name: ml-prod  # as in the wiki
extends:
- ../base.yaml
- 'b c.yaml'
aws: {region: us-west-2, account_id: "123456789012"}
terraform:
  module:
    source: ./mod//inner
    inputs: {witness: x}
clusters:
  - name: ml-prod
"""


def test_a_plain_file_is_read_by_its_lines() -> None:
    found = by_lines(PLAIN)
    assert found == in_full(PLAIN)
    assert found == Scan(
        frozenset({"version", "name", "extends", "aws", "terraform", "clusters"}),
        "ml-prod", ("../base.yaml", "b c.yaml"), ("./mod//inner",),
    )  # fmt: skip
    assert found.is_stack
    assert found.whole


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_examples_are_plain(file: Path) -> None:
    text = file.read_text()
    assert by_lines(text) is not None
    assert scan(text) == in_full(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"version": 1, "name": "x"}',
        '"name": x\n',
        "name: x\n  y\n",
        "name: &a x\n",
        "name: 012\n",
        "name: 1e5\n",
        "name: ~\n",
        "a: {b: c,\nname: x}\n",
        "a: 'b\nname: x'\n",
        'a: "b\n\n  c"\nname: x\n',
        "<<: {name: x}\n",
        "name: x\nname: y\n",
        "extends: *a\n",
        "extends: {a: b}\n",
        "extends: [a, [b]]\n",
        "extends: [a,\nb]\n",
        "? name\n: x\n",
        "name: |\n x\n",
        "terraform: {module: {source: *x}}\n",
        'terraform: {"module": {"source":"./m"}}\n',
        "-name: x\n",
        "\ufeffname: x\n",
        "a: &x {source: ./m}\nterraform: {module: *x}\n",
        "terraform:\n  module:\n    source: >\n      ./m\n",
        "name: x:y\n",
        "extends: 12\n",
        "extends: true\n",
        "name: don't\n",
        "a: b\n...\n",
        "name: !!str x\n",
        "name: x\u2028y: z\n",
    ],
)
def test_what_is_not_plain_is_read_in_full(text: str) -> None:
    found = by_lines(text)
    assert found is None or found == in_full(text)
    assert scan(text) == in_full(text)


PIECES = [
    "version: 1\n",
    "name: a\n",
    'name: "b"\n',
    "name:\n",
    "extends: a.yaml\n",
    "extends: [a, b]\n",
    "extends:\n",
    "- c\n",
    "  - d\n",
    "clusters:\n",
    "  - name: x\n",
    "terraform:\n",
    "  module: {source: ./m}\n",
    "    source: ../n\n",
    "  x: [1,\n",
    "2]\n",
    " y\n",
    "'q\n",
    "'\n",
    '"',
    "# c\n",
    "\n",
    "---\n",
    "a: |\n",
    "&a ",
    "*a\n",
    "<<: {}\n",
    "{",
    "}\n",
    "\t",
    "k: v # {\n",
    "z: 'a' #'\n",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=9).map("".join) | st.text(alphabet="ab:-#[]{}'\"|&*\n ,1", max_size=40)
)
def test_both_ways_find_the_same_in_any_valid_text(text: str) -> None:
    document = read_document(text, "")
    if document.broken or not isinstance(document.data, dict) or document.faults:
        return
    quick, full = by_lines(text), in_full(text)
    if quick is not None:
        assert (quick.keys, quick.name, quick.extends) == (full.keys, full.name, full.extends)
        assert set(full.modules) <= set(quick.modules)


def test_sources_are_every_file_missing_ones_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/stack.yaml").write_text("version: 1\nextends: [../x.yaml, ../y.yaml]\nclusters: []\n")
    (tmp_path / "x.yaml").write_text("name: of-x\nterraform: {module: {source: ./mod}}\n")
    (tmp_path / "y.yaml").write_text("extends: [gone.yaml, a/stack.yaml, /etc/passwd]\n")
    wanted = [tmp_path / name for name in ("a/stack.yaml", "y.yaml", "gone.yaml", "x.yaml")]
    assert sources(tmp_path / "a/stack.yaml") == tuple(wanted)
    glance = StackFileIndex().glance(tmp_path / "a/stack.yaml")
    assert (glance.name, glance.modules) == ("of-x", (tmp_path / "mod",))
    assert glance.keys >= {"version", "clusters", "name"}


def test_the_name_at_a_glance_is_the_one_that_wins_when_all_is_read(tmp_path: Path) -> None:
    """A base of the nearer base wins over the farther one, and the work_dir is called by it."""
    (tmp_path / "stack.yaml").write_text("version: 1\nextends: [far.yaml, near.yaml]\nclusters: [{name: x}]\n")
    (tmp_path / "far.yaml").write_text("name: far\n")
    (tmp_path / "near.yaml").write_text("extends: below.yaml\n")
    (tmp_path / "below.yaml").write_text("name: below\n")
    assert load(tmp_path / "stack.yaml", environ={}).name == "below"
    assert StackFileIndex().glance(tmp_path / "stack.yaml").name == "below"


def test_what_is_no_file_says_nothing_and_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"version: 1\0")
    for name in ("pipe.yaml", "binary.yaml", "gone.yaml", "."):
        assert StackFileIndex().scan(tmp_path / name) == Scan()
