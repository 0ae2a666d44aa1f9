"""The doctor's findings on a terminal, and where there is none."""

from __future__ import annotations

import io
import re

import pytest

from gridbyoc.operations.finding import Finding, FindingKind
from gridbyoc.show.layout import write_table
from gridbyoc.show.preflight import write_preflight

ONE = FindingKind("GBY-A901", "tools", "alpha", "Looks.")
TWO = FindingKind("GBY-B901", "quotas", "beta", "Looks.")
FINDINGS = (
    Finding(ONE, "pass", "pp " * 100, "not shown", "nor this"),
    Finding(TWO, "fail", "limit 5", "8 vCPUs", "Ask for [bold]more[/bold]", subject="vCPUs"),
    Finding(TWO, "unknown", "no answer"),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(width: int, **environ: str) -> list[str]:
    """What is drawn, without its colours."""
    stream = Terminal()
    write_preflight(stream, FINDINGS, environ={"TERM": "xterm", **environ}, width=width)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()


@pytest.mark.parametrize("width", [80, 120, 140])
def test_groups_and_one_line_for_what_passes(width: int) -> None:
    found = [line.rstrip() for line in lines(width)]
    assert max(map(len, found)) <= width
    assert found[0] == "Tools  1 pass"
    assert found[1].startswith("✓ pass     GBY-A901  alpha")
    assert found[1].endswith("…")
    assert found[2:4] == ["", "Quotas  1 fail, 1 unknown"]
    assert found[4].split() == ["✗", "fail", "GBY-B901", "beta:", "vCPUs", "limit", "5"]
    assert found[5:7] == [f"{'':21}needed: 8 vCPUs", f"{'':21}do: Ask for [bold]more[/bold]"]
    assert found[7].startswith("? unknown  GBY-B901  beta")


def test_no_color_takes_the_colours_and_leaves_the_rest() -> None:
    plain, coloured = Terminal(), Terminal()
    write_preflight(plain, FINDINGS, environ={"NO_COLOR": "1"}, width=100)
    write_preflight(coloured, FINDINGS, environ={}, width=100)
    assert "\x1b[32m" not in plain.getvalue()
    assert "\x1b[32m" in coloured.getvalue()


def test_a_pipe_gets_a_line_for_each_finding_in_full() -> None:
    stream = io.StringIO()
    write_preflight(stream, FINDINGS, environ={})
    heading, *rows = stream.getvalue().splitlines()
    assert heading.split()[:4] == ["code", "check", "verdict", "found"]
    assert len(rows) == 3
    assert "pp " * 100 in rows[0]


def test_what_fails_says_where_it_was_read_and_where_there_is_more() -> None:
    kind = FindingKind("GBY-A902", "tools", "alpha", "Looks.", "https://example.com/a")
    stream = Terminal()
    found = (
        Finding(kind, "fail", "0", source="ec2:DescribeVpcs"),
        Finding(kind, "pass", "1", source="ec2:DescribeVpcs"),
    )
    write_preflight(stream, found, environ={"NO_COLOR": "1"}, width=100)
    assert stream.getvalue().count("ec2:DescribeVpcs") == 1
    assert stream.getvalue().count("https://example.com/a") == 1


def test_nothing_found_is_nothing_drawn() -> None:
    stream = Terminal()
    write_preflight(stream, (), environ={}, width=80)
    assert stream.getvalue() == ""


def test_a_narrow_table_loses_no_letter_and_keeps_its_codes_whole() -> None:
    stream = Terminal()
    row = ("L-DB2E81BA", "Running On-Demand G and VT instances", "us-east-1", "0", "4 vCPUs (g4dn.xlarge 4)", "fail")
    columns = ("code", "name", "region", "limit", "needed", "verdict")
    write_table(stream, columns, [row], environ={"NO_COLOR": "1"}, width=50)
    assert "L-DB2E81BA" in stream.getvalue()
    assert "…" not in stream.getvalue()
