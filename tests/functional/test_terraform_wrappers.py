"""A wrapper around Terraform that changes its status, its output or its version: named and refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gridbyoc.errors import TerraformError, TerraformWrapperError
from gridbyoc.terraform import Binary, PlanSummary, Runner, find_binary
from tests.functional.terraform_kit import OUTPUTS, environment, make_runner, root, script, thing

REAL = find_binary("terraform", environment())
TERRAFORM = f'"{REAL.path}" "$@"'
NOT_VERSION = f'[ "$1" = version ] && exec {TERRAFORM}'
# hashicorp/setup-terraform with terraform_wrapper on; outside of a job's step it prints its outputs.
SETUP_TERRAFORM = f"{TERRAFORM}; code=$?; [ $code = 0 ] || [ $code = 2 ] && exit 0; echo ::error::$code; exit 1"
TEE = f'{TERRAFORM} | tee "$0.log"'
TEE_ALL = f'{TERRAFORM} 2>&1 | tee "$0.log"'
SWALLOW = f"{NOT_VERSION}; {TERRAFORM} >/dev/null"
LOSE_LINES = f"{TERRAFORM} | grep -v planned_change; exit 2"
ADD_TEXT = f'{NOT_VERSION}; echo "ACME Terraform"; exec {TERRAFORM}'
ALWAYS_1 = f"{TERRAFORM}; exit 1"
BROKEN = 'output "x" { value = var.missing }'
HEALED = ("terraform_wrapper: false", "pipefail", "--terraform-bin")


def wrapped(tmp_path: Path, text: str, version: tuple[int, int, int] = REAL.version) -> Binary:
    program = script(tmp_path / "terraform", text)
    return Binary((str(program),), "terraform", version, str(program))


def runner_of(tmp_path: Path, text: str, *parts: str) -> Runner:
    return make_runner(wrapped(tmp_path, text), root(tmp_path / "w", *parts))


def refused(tmp_path: Path, error: TerraformError, kind: type[TerraformError], words: str) -> None:
    assert type(error) is kind
    assert re.search(words, error.what), error.what
    assert all(each in error.fix for each in HEALED)
    assert str(tmp_path / "terraform") in error.what or "exit status was 0 nevertheless" in error.why


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SETUP_TERRAFORM, "the plan has 1 change, but its exit status is 0"),
        (TEE, "the plan has 1 change, but its exit status is 0"),
        (TEE_ALL, "the plan has 1 change, but its exit status is 0"),
        (SWALLOW, "no output of Terraform arrived, and plan ended with status 2"),
        (LOSE_LINES, "the plan counts more changes than it lists"),
        (f"{TERRAFORM} | grep -v change_summary; exit 2", "the plan did not complete"),
        (ALWAYS_1, "plan completed without an error, but its exit status is 1"),
    ],
)
def test_a_plan_with_changes(tmp_path: Path, text: str, words: str) -> None:
    runner = runner_of(tmp_path, text, thing())
    saved = tmp_path / "w" / "saved.tfplan"
    with pytest.raises(TerraformError) as caught:
        runner.plan(out=saved)
    refused(tmp_path, caught.value, TerraformWrapperError, words)
    assert "Nothing was created" in caught.value.rerun
    assert not saved.exists()  # it holds secrets, and nobody will apply it


def test_changed_outputs_alone(tmp_path: Path) -> None:
    with pytest.raises(TerraformWrapperError, match="2 changed outputs, but its exit status is 0"):
        runner_of(tmp_path, SETUP_TERRAFORM, OUTPUTS).plan()


@pytest.mark.parametrize("text", [SETUP_TERRAFORM, TEE, ADD_TEXT])
def test_where_both_agree_the_plan_is_believed(tmp_path: Path, text: str) -> None:
    make_runner(REAL, root(tmp_path / "w", thing())).apply()
    plan = runner_of(tmp_path, text, thing()).plan()
    assert plan == PlanSummary(0, 0, 0, (), (), (), has_changes=False)


@pytest.mark.parametrize("part", ["forget", "move"])
def test_what_terraform_does_not_count_is_a_change_too(tmp_path: Path, part: str) -> None:
    """Terraform's own status says so, and no number does: https://developer.hashicorp.com/terraform/language/moved."""
    make_runner(REAL, root(tmp_path / "w", thing())).apply()
    moved = thing("b") + "moved {\n from = terraform_data.a\n to = terraform_data.b\n}"
    removed = "removed {\n from = terraform_data.a\n lifecycle {\n destroy = false\n }\n}"
    runner = make_runner(REAL, root(tmp_path / "w", moved if part == "move" else removed))
    plan = runner.plan()
    assert (plan.add, plan.change, plan.destroy, plan.has_changes) == (0, 0, 0, True)
    with pytest.raises(TerraformWrapperError, match="the plan has 1 change"):
        runner_of(tmp_path, TEE, moved if part == "move" else removed).plan()


@pytest.mark.parametrize(
    ("text", "verb", "parts", "words"),
    [
        (TEE, Runner.plan, BROKEN, "terraform plan failed: Reference to undeclared input variable"),
        (TEE, Runner.apply, thing(script="exit 3"), "terraform apply failed: local-exec provisioner error"),
        (TEE, Runner.validate, BROKEN, "terraform validate failed: Reference to undeclared input variable"),
        (TEE, Runner.init, 'module "x" { source = "./gone" }', "terraform init failed: Unreadable module directory"),
        (TEE_ALL, lambda runner: runner.import_("terraform_data.x", "id"), "", "terraform import failed"),
    ],
)
def test_an_error_with_status_0_is_a_failure(
    tmp_path: Path, text: str, verb: Callable[[Runner], object], parts: str, words: str
) -> None:
    runner = runner_of(tmp_path, text, parts)
    with pytest.raises(TerraformError) as caught:
        verb(runner)
    refused(tmp_path, caught.value, TerraformError, words)
    assert runner.init_needed("digest")


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (lambda runner: runner.force_unlock("abc"), "force-unlock ended with status 0 .*LocalState not locked"),
        (lambda runner: runner.move("a.b", "a.c"), "state mv ended with status 0 but does not say that it succeeded"),
    ],
)
def test_text_that_does_not_say_that_it_succeeded(tmp_path: Path, verb: Callable[[Runner], object], words: str) -> None:
    with pytest.raises(TerraformWrapperError) as caught:
        verb(runner_of(tmp_path, TEE, thing()))
    refused(tmp_path, caught.value, TerraformWrapperError, words)


def test_text_that_says_that_it_succeeded(tmp_path: Path) -> None:
    make_runner(REAL, root(tmp_path / "w", thing())).apply()
    runner_of(tmp_path, f"exec {TERRAFORM}", thing()).move("terraform_data.a", "terraform_data.b")
    make_runner(wrapped(tmp_path, f"exec {TERRAFORM}", (1, 8, 0)), tmp_path / "w").init()


def test_a_destroy_that_fails(tmp_path: Path) -> None:
    part = 'resource "terraform_data" "a" {\n provisioner "local-exec" {\n when = destroy\n command = "exit 3"\n }\n}'
    make_runner(REAL, root(tmp_path / "w", part)).apply()
    runner = runner_of(tmp_path, TEE, part)
    with pytest.raises(TerraformError) as caught:
        runner.destroy()
    refused(tmp_path, caught.value, TerraformError, "terraform destroy failed: local-exec provisioner error")
    assert runner.state().has_resources


@pytest.mark.parametrize("verb", [Runner.apply, Runner.destroy])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SWALLOW, "no output of Terraform arrived"),
        (f"{TERRAFORM} | grep -v change_summary", "ended with status 0 but did not report what it did"),
        (ALWAYS_1, "completed without an error, but its exit status is 1"),
    ],
)
def test_an_apply_that_does_not_say_what_it_did(
    tmp_path: Path, verb: Callable[[Runner], object], text: str, words: str
) -> None:
    with pytest.raises(TerraformWrapperError, match=words) as caught:
        verb(runner_of(tmp_path, text, thing()))
    assert "continues" in caught.value.rerun


def test_a_terraform_that_is_killed_behind_a_pipe(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, TEE, thing(script="kill -9 $PPID; sleep 5"))
    with pytest.raises(TerraformWrapperError, match="apply ended with status 0 but did not report what it did"):
        runner.apply()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ADD_TEXT, "output ended with status 0 but did not print exactly one JSON object"),
        (SWALLOW, "output ended with status 0 but printed nothing"),
    ],
)
def test_outputs_that_do_not_arrive_as_they_are(tmp_path: Path, text: str, words: str) -> None:
    make_runner(REAL, root(tmp_path / "w", OUTPUTS)).apply()
    runner = runner_of(tmp_path, text, OUTPUTS)
    with pytest.raises(TerraformWrapperError) as caught:
        runner.output()
    refused(tmp_path, caught.value, TerraformWrapperError, words)
    with pytest.raises(TerraformWrapperError, match="show ended with status 0"):
        runner.show()


def test_an_output_that_fails_with_status_0(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, TEE, OUTPUTS)
    (tmp_path / "w" / "terraform.tfstate").write_text("{}}")
    with pytest.raises(TerraformError) as caught:
        runner.output()
    assert "exit status was 0 nevertheless" in caught.value.why


# --- when the binary is asked for its version ---


def test_text_beside_the_version_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    banner = script(tmp_path / "terraform", f"echo ACME; exec {TERRAFORM}")
    with pytest.raises(TerraformWrapperError) as caught:
        find_binary(str(banner), environment())
    refused(tmp_path, caught.value, TerraformWrapperError, "it adds text to the JSON of .version -json. \\('ACME'\\)")
    behind = script(tmp_path / "terraform", f'{TERRAFORM}; echo "::set-output name=stdout::x"')
    with pytest.raises(TerraformWrapperError, match="set-output"):
        find_binary(str(behind), environment())


def test_a_version_manager_may_install_once_and_warn_on_stderr(tmp_path: Path) -> None:
    text = f'[ -e "$0.there" ] || echo "Installing Terraform"; touch "$0.there"; echo warn >&2; exec {TERRAFORM}'
    assert find_binary(str(script(tmp_path / "terraform", text)), environment()).version == REAL.version


def test_another_version_than_the_one_that_answered(tmp_path: Path) -> None:
    runner = make_runner(wrapped(tmp_path, f"exec {TERRAFORM}", (1, 5, 7)), root(tmp_path / "w", thing()))
    with pytest.raises(TerraformWrapperError, match=r"answered 1\.5\.7, but version \S+ ran plan") as caught:
        runner.plan()
    assert "pin one version for the stack's directory" in caught.value.fix
