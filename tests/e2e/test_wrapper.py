"""A wrapper around Terraform that turns status 2 into 0, as setup-terraform's does: no command believes it."""

from __future__ import annotations

import json
import shutil

from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import fast_stack, without_aws_provider
from tests.functional.terraform_kit import script

WRAPPER = '"{}" "$@"; code=$?; [ $code = 2 ] && exit 0; exit $code'


def test_changes_are_neither_denied_nor_skipped(tool: Tool, world: World) -> None:
    tool = without_aws_provider(tool)
    stack = fast_stack(tool, world, "wrapped")
    tool("bootstrap", str(stack.file), "--yes")
    module = stack.directory / "mod" / "main.tf"
    module.write_text(module.read_text().replace('input = "x"', 'input = "y"'))
    plain = shutil.which("terraform", path=tool.env["PATH"])
    wrapper = str(script(tool.directory / "wrapper", WRAPPER.format(plain)))

    for command in (("plan",), ("drift",), ("bootstrap", "--yes")):
        ran = tool(*command, str(stack.file), "--terraform-bin", wrapper, "--format", "json", status=1)
        told = json.loads(ran.out.splitlines()[-1])
        assert told["code"] == "GBY-T011"
        assert f"{wrapper} cannot be trusted: the plan has 1 change" in told["what"]
        assert "terraform_wrapper: false" in told["fix"]
        assert "No changes" not in ran.out + ran.err
    assert not (stack.work_dir / "converged.json").exists()
    assert not (stack.work_dir / "gridbyoc.tfplan").exists()
    assert '"y"' not in (stack.work_dir / "terraform.tfstate").read_text()

    tool("bootstrap", str(stack.file), "--yes")
    assert '"y"' in (stack.work_dir / "terraform.tfstate").read_text()
