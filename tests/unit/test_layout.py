"""Text and tables on terminals of every width: no line too long, no word cut, nothing lost."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.cli.app import App
from gridbyoc.operations.events import ClusterProgress, StepFinished
from gridbyoc.show.layout import columns_of, width_of, wrapped
from gridbyoc.show.run import RUN

ARN = "arn:aws:iam::123456789012:role/platform/grid-cloud-20261130091505156600000001"
WIDTHS = (60, 80, 120)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(tmp_path: Path, width: int, **environ: str) -> tuple[App, Terminal, Terminal]:
    out, err = Terminal(), Terminal()
    app = App({"COLUMNS": str(width), "NO_COLOR": "1", **environ}, tmp_path, tmp_path, io.StringIO(), out, err)
    return app, out, err


def shown(stream: Terminal) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).split("\n")[:-1]


def fits(line: str, width: int) -> bool:
    """Whether it is not too long, or holds one word (and a sign) that cannot be broken."""
    return columns_of(line) <= width or len([word for word in line.split() if any(map(str.isalnum, word))]) <= 1


WORDS = st.text(st.characters(categories=("L", "N", "P"), exclude_characters="`"), min_size=1, max_size=90)
SENTENCES = st.builds(
    lambda lead, words: lead + " ".join(words),
    st.sampled_from(["", "  ", "  - ", "! ", "role      ", "  why: ", "      + "]),
    st.lists(WORDS, min_size=1, max_size=20),
)


@given(SENTENCES, st.integers(20, 130))
def test_a_text_breaks_between_words_only(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert [word for line in lines for word in line.split()] == text.split()
    assert all(fits(line, width) for line in lines)


@given(
    st.lists(st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=4, max_size=4), min_size=1, max_size=4),
    st.integers(30, 130),
)
def test_a_table_of_any_width_loses_nothing_and_cuts_no_word(rows: list[list[str]], width: int) -> None:
    app, out, _ = screen(Path(), width)
    columns = ("code", "check", "verdict", "found")
    app.table(columns, rows)
    lines = shown(out)
    assert all(fits(line, width) for line in lines)
    words = [word for line in lines for word in line.split()]
    for row in rows:
        for cell in row:
            assert all(word in words for word in cell.split())


@pytest.mark.parametrize("width", WIDTHS)
def test_an_arn_stays_whole_beside_its_label(tmp_path: Path, width: int) -> None:
    app, out, err = screen(tmp_path, width)
    app.line(f"role      {ARN}")
    app.note(f"warning: the role {ARN} stays, and so does everything that it may do in this account.")
    app.table(
        ("kind", "arn", "because"), [("role", ARN, "It has the name that the stack file gives, and no other use.")]
    )
    for stream in (out, err):
        assert any(ARN in line for line in shown(stream))
        assert all(fits(line, width) for line in shown(stream))


def test_a_narrow_table_becomes_blocks(tmp_path: Path) -> None:
    row = ("L-DB2E81BA", "Running On-Demand G and VT instances", "us-east-1", "0", "", "fail")
    columns = ("code", "name", "region", "limit", "in use", "verdict")
    app, out, _ = screen(tmp_path, 120)
    app.table(columns, [row, row])
    assert shown(out)[0].split() == ["code", "name", "region", "limit", "in", "use", "verdict"]
    app, out, _ = screen(tmp_path, 40)
    app.table(columns, [row, row])
    block = ["code     L-DB2E81BA", "  name     Running On-Demand G and VT", "           instances",
             "  region   us-east-1  limit 0", "  verdict  fail"]  # fmt: skip
    assert shown(out) == [*block, "", *block]


def test_continued_lines_stand_below_the_text() -> None:
    assert wrapped("  why: a b c d e f g h i j", 20) == ["  why: a b c d e f g", "       h i j"]
    assert wrapped("  - one two three four five", 18) == ["  - one two three", "    four five"]
    assert wrapped("steps     render 0.0s  init 1.0s  apply 3.0s", 31) == [
        "steps     render 0.0s",
        "          init 1.0s  apply 3.0s",
    ]
    # a command to type is a word, if it fits
    assert wrapped("Continue with `gridbyoc clusters wait ml`.", 34) == [
        "Continue with",
        "  `gridbyoc clusters wait ml`.",
    ]


def test_the_width_is_the_terminals() -> None:
    assert width_of(io.StringIO(), {"COLUMNS": "60"}) is None
    assert width_of(Terminal(), {"COLUMNS": "60"}) == 60
    assert width_of(Terminal(), {"COLUMNS": "wide"}) is None
    assert wrapped("word " * 40, None) == ["word " * 40]


def test_a_terminal_that_cannot_draw_gets_fitted_lines_without_control_characters(tmp_path: Path) -> None:
    app, out, err = screen(tmp_path, 60, TERM="dumb")
    with app.view(RUN) as view:
        view(StepFinished("trust", 0.1, "done", f"the control plane may assume {ARN} with the external id"))
        view(ClusterProgress("ml", "pending", "words of a control plane that says much about its work", 9.0))
    app.table(("code", "found"), [("GBY-V001", f"the role {ARN} is admitted " * 2)])
    for stream in (out, err):
        assert "\x1b" not in stream.getvalue()
        assert "\r" not in stream.getvalue()
        assert all(fits(line, 60) for line in shown(stream))
        assert any(ARN in line for line in shown(stream))


def test_a_pipe_gets_each_line_whole(tmp_path: Path) -> None:
    out = io.StringIO()
    App({"COLUMNS": "20"}, tmp_path, tmp_path, io.StringIO(), out, io.StringIO()).line("word " * 20)
    assert out.getvalue() == "word " * 20 + "\n"
