"""``gridbyoc report`` as a user calls it: a stack that stands, one that does not, and files that are in the way."""

from __future__ import annotations

import json
import stat

import pytest

from gridbyoc.show.page.html import is_page
from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import EXTERNAL_ID, fast_stack, policy
from tests.unit.page_kit import read

pytestmark = pytest.mark.usefixtures("measured")


def test_a_standing_stack_on_one_page(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "reported")
    file = str(stack.file)
    tool("bootstrap", file, "--yes")
    journal, state = (
        (stack.work_dir / "journal.jsonl").read_bytes(),
        (stack.work_dir / "terraform.tfstate").read_bytes(),
    )
    grants = policy({"Action": "ssm:StartSession", "Resource": "*"})
    world.iam().put_role_policy(RoleName="fast-reported", PolicyName=f"of-{EXTERNAL_ID}", PolicyDocument=grants)

    done = tool("report", file)
    page = tool.directory / "gridbyoc-reported.html"
    text = page.read_text()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert is_page(text)
    assert EXTERNAL_ID not in text + done.text
    assert tool.env["GRID_API_KEY"] not in text + done.text
    words = " ".join(read(text).text.split())
    for expected in (
        "1 of 1 running",
        "with the external id",
        "bootstrap: done",
        "302180240179",
        "GBY-V001",
        "GBY-Q001",
    ):
        assert expected in words
    assert "Could not be read" not in words

    data = json.loads(tool("report", file, "--format", "json", "--no-checks").out)
    assert data["unread"] == {"preflight": "it was left out (--no-checks)"}
    assert [run["verb"] for run in data["history"]] == ["bootstrap"]
    assert EXTERNAL_ID not in json.dumps(data)
    tool("report", file, "--no-checks")
    assert "left out" in page.read_text()

    late = tool("report", file, "--timeout", "0.05s")
    assert "warning: drift could not be read: no answer within 0.05 s" in late.err
    assert "no answer within 0.05 s" in page.read_text()
    assert (stack.work_dir / "journal.jsonl").read_bytes() == journal
    assert (stack.work_dir / "terraform.tfstate").read_bytes() == state
    assert list(stack.work_dir.glob(".reading-*")) == []


def test_what_cannot_be_read_does_not_cost_the_page(tool: Tool) -> None:
    tool.write("version: 1\nname: fresh\naws: {region: us-east-1}\nclusters: [{name: fresh}]\n")
    nowhere = "http://127.0.0.1:1"
    done = tool(
        "report", "--out", "-", "--url", nowhere, "--timeout", "60s", AWS_ENDPOINT_URL=nowhere, AWS_MAX_ATTEMPTS="1"
    )
    found = read(done.out)
    words = " ".join(found.text.split())
    assert "Shown instead: what the stack file declares." in words
    assert words.count("Could not be read.") >= 4
    assert "There has been no run here yet" in words
    assert list(tool.directory.glob("*.html")) == []


def test_a_file_that_is_no_report_stays(tool: Tool) -> None:
    tool.write("version: 1\nname: kept\naws: {region: us-east-1}\nclusters: [{name: kept}]\n")
    mine = tool.write("<p>mine</p>", "mine.html")
    refused = tool("report", "--out", "mine.html", "--no-checks", status=1)
    assert "is not a report of gridbyoc" in refused.err
    assert mine.read_text() == "<p>mine</p>"
    assert "There is no directory" in tool("report", "--out", "not/there.html", status=1).err
    assert "is not a file" in tool("report", "--out", ".", status=1).err
    assert tool("report", "--out", "-", "--format", "json", status=2).text
    tool("report", "--out", "mine.html", "--no-checks", "--force")
    assert is_page(mine.read_text())
