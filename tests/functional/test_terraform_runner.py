"""The Runner's verbs on real Terraform, the one on PATH and the embedded one."""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path

import pytest

from gridbyoc.errors import (
    FileError,
    OutputMissingError,
    StalePlanError,
    StateLockedError,
    TerraformError,
    TerraformInterruptedError,
    TerraformNotFoundError,
    TerraformTimeoutError,
)
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import (
    ApplySummary,
    Binary,
    Diagnostic,
    Log,
    Outputs,
    PlannedChange,
    ResourceChange,
    ResourceEvent,
    Runner,
    Version,
    find_binary,
)
from tests.functional.terraform_kit import (
    CANARY,
    OUTPUTS,
    ROLE_ARN,
    Recorder,
    drive,
    environment,
    make_runner,
    nobody_in,
    processes_in,
    root,
    script,
    thing,
)


@pytest.fixture(scope="module", params=["terraform", "embedded"])
def binary(request: pytest.FixtureRequest) -> Binary:
    return find_binary(request.param, environment())


@pytest.fixture(scope="module")
def terraform() -> Binary:
    return find_binary("terraform", environment())


def logs(work_dir: Path) -> str:
    return "".join(path.read_text() for path in sorted((work_dir / "logs").iterdir()))


def test_the_whole_way(binary: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing(), OUTPUTS)
    heard = Recorder()
    runner = make_runner(binary, work_dir, on_event=heard)
    assert runner.init_needed("digest")
    runner.init(digest="digest")
    assert not runner.init_needed("digest")
    assert runner.validate() == ()
    assert not runner.state().has_resources
    with pytest.raises(OutputMissingError):
        runner.output()
    plan = runner.plan(out=work_dir / "saved.tfplan")
    assert (plan.add, plan.change, plan.destroy, plan.has_changes) == (1, 0, 0, True)
    assert plan.changes == (ResourceChange("terraform_data.a", "create"),)
    assert set(plan.outputs) == {"role_arn", "external_id"}
    assert runner.show(work_dir / "saved.tfplan")["resource_changes"][0]["address"] == "terraform_data.a"
    assert runner.apply(work_dir / "saved.tfplan") == ApplySummary(1, 0, 0)
    assert runner.output() == Outputs(ROLE_ARN, Secret(CANARY))
    assert runner.state().has_resources
    assert runner.show()["values"]["outputs"]["external_id"]["value"] == CANARY
    assert not runner.plan().has_changes
    assert runner.apply() == ApplySummary(0, 0, 0)
    assert runner.plan(destroy=True).destroy == 1
    assert runner.destroy() == ApplySummary(0, 0, 1)
    assert not runner.state().has_resources
    assert runner.version() == ".".join(map(str, binary.version))
    assert Version(runner.version(), heard.events[0].ui if isinstance(heard.events[0], Version) else "") in heard
    assert PlannedChange(ResourceChange("terraform_data.a", "create")) in heard
    assert ResourceEvent("terraform_data.a", "create", "started") in heard
    assert CANARY not in logs(work_dir) + repr(heard.events)


def test_what_it_writes_is_for_the_owner_alone(terraform: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing(), OUTPUTS)
    runner = make_runner(terraform, work_dir)
    runner.plan(out=work_dir / "saved.tfplan")
    runner.apply(work_dir / "saved.tfplan")
    runner.output()
    for path in work_dir.rglob("*"):
        if path.name != "main.tf":
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_events_come_while_it_runs(binary: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing(script="sleep 1; echo said; sleep 1"))
    heard = Recorder()
    make_runner(binary, work_dir, on_event=heard).apply()
    at = {str(event): time for event, time in zip(heard.events, heard.times, strict=True)}
    started = at[str(ResourceEvent("terraform_data.a", "create", "started"))]
    said = next(time for event, time in at.items() if "(local-exec): said" in event)
    done = next(time for event, time in at.items() if "'done'" in event)
    assert 0.7 < said - started < 1.7
    assert done - said > 0.7


def test_refresh_only_and_drift(terraform: Binary, tmp_path: Path) -> None:
    runner = make_runner(terraform, root(tmp_path / "w", thing()))
    runner.apply()
    assert not runner.plan(refresh_only=True).has_changes


def test_outputs_alone_are_changes_too(terraform: Binary, tmp_path: Path) -> None:
    plan = make_runner(terraform, root(tmp_path / "w", OUTPUTS)).plan()
    assert (plan.add, plan.has_changes) == (0, True)


def test_a_failed_apply_names_resource_and_file(binary: Binary, tmp_path: Path) -> None:
    heard = Recorder()
    runner = make_runner(binary, root(tmp_path / "w", thing(script="echo hush; exit 3")), on_event=heard,
                         secrets=[Secret("hush")])  # fmt: skip
    with pytest.raises(TerraformError) as caught:
        runner.apply()
    error = caught.value
    assert type(error) is TerraformError
    assert "local-exec provisioner error (terraform_data.a, main.tf:" in error.what
    assert "exit status 3" in error.diagnostics[0]
    assert "continues" in error.rerun
    told = [error.what, error.why, error.fix, *error.diagnostics, repr(heard.events), logs(tmp_path / "w")]
    assert "[secret]" in "".join(told)
    assert "hush;" not in "".join(told)
    assert any(isinstance(event, ResourceEvent) and event.state == "failed" for event in heard)


def test_an_invalid_root_is_refused_by_validate_and_plan(binary: Binary, tmp_path: Path) -> None:
    runner = make_runner(binary, root(tmp_path / "w", 'output "x" { value = var.missing }'))
    for verb in (runner.validate, runner.plan):
        with pytest.raises(TerraformError, match=r"undeclared input variable \(main\.tf:1\)") as caught:
            verb()
        assert "Nothing was created" in caught.value.rerun


def test_init_says_why_it_failed(binary: Binary, tmp_path: Path) -> None:
    runner = make_runner(binary, root(tmp_path / "w", 'module "x" { source = "./gone" }'))
    with pytest.raises(TerraformError) as caught:
        runner.init(digest="d")
    told = "".join(caught.value.diagnostics)
    assert "main.tf" in told
    assert "gone" in told
    assert runner.init_needed("d")


def test_init_without_json_says_why_too(terraform: Binary, tmp_path: Path) -> None:
    old = Binary(terraform.argv, "terraform", (1, 8, 0), terraform.path)
    heard = Recorder()
    runner = make_runner(old, root(tmp_path / "w", 'module "x" { source = "./gone" }'), on_event=heard)
    with pytest.raises(TerraformError, match="Unreadable module directory") as caught:
        runner.init(upgrade=True, reconfigure=True)
    assert "gone" in caught.value.diagnostics[0]
    assert any(isinstance(event, Log) and event.message.startswith(("Initializing", "Upgrading")) for event in heard)
    assert "init -no-color -input=false -upgrade -reconfigure" in logs(tmp_path / "w")


def test_a_changed_backend_is_explained(terraform: Binary, tmp_path: Path) -> None:
    backend = 'terraform {{ \n backend "local" {{ \n path = "{}.tfstate" \n }} \n }}'
    work_dir = root(tmp_path / "w", backend.format("one"), OUTPUTS)
    runner = make_runner(terraform, work_dir)
    runner.init(digest="one")
    runner.apply()
    assert (work_dir / "one.tfstate").exists()
    assert runner.output().role_arn == ROLE_ARN
    root(work_dir, backend.format("two"), OUTPUTS)
    with pytest.raises(TerraformError, match="Backend initialization required"):
        runner.plan()
    assert runner.init_needed("one")
    with pytest.raises(TerraformError, match="Backend configuration changed") as caught:
        runner.init()
    assert "init -migrate-state" in caught.value.fix


def test_a_stale_plan_is_not_applied(terraform: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing())
    runner = make_runner(terraform, work_dir)
    runner.plan(out=work_dir / "saved.tfplan")
    runner.apply()
    with pytest.raises(StalePlanError, match="state changed") as caught:
        runner.apply(work_dir / "saved.tfplan")
    assert "Saved plan is stale" in caught.value.diagnostics[0]
    assert "makes a new plan" in caught.value.fix


def test_traps_in_the_environment_do_nothing(terraform: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing(), 'variable "name" { default = "given" }\noutput "n" { value = var.name }')
    traps = environment(
        TF_CLI_ARGS_apply="-destroy", TF_CLI_ARGS="-no-such-flag", TF_WORKSPACE="elsewhere", TF_LOG="TRACE",
        TF_VAR_name="trap", TF_DATA_DIR=str(tmp_path / "data"), TF_CLI_CONFIG_FILE=str(tmp_path / "gone"),
    )  # fmt: skip
    heard = Recorder()
    runner = make_runner(terraform, work_dir, environ=traps, on_event=heard)
    assert runner.apply().add == 1
    assert runner.apply().destroy == 0
    assert runner.show()["values"]["outputs"]["n"]["value"] == "given"
    assert (work_dir / "terraform.tfstate").exists()
    assert not (tmp_path / "data").exists()
    assert not any(isinstance(event, Diagnostic) for event in heard)


def test_a_workspace_selected_by_hand_is_not_used(terraform: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing())
    (work_dir / ".terraform").mkdir()
    (work_dir / ".terraform" / "environment").write_text("elsewhere")
    make_runner(terraform, work_dir).apply()
    assert (work_dir / "terraform.tfstate").exists()


def test_the_child_has_no_secret_in_its_argv_and_environment(terraform: Binary, tmp_path: Path) -> None:
    spy = "cat /proc/$PPID/cmdline /proc/$PPID/environ > seen"
    work_dir = root(tmp_path / "w", thing(script=spy), OUTPUTS)
    runner = make_runner(terraform, work_dir, secrets=[Secret(CANARY)])
    runner.apply()
    seen = (work_dir / "seen").read_bytes()
    assert b"apply" in seen
    assert CANARY.encode() not in seen


def test_a_secret_that_is_learnt_later_leaves_the_earlier_logs(terraform: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing(script=f"echo {CANARY}"), OUTPUTS)
    runner = make_runner(terraform, work_dir)
    runner.apply()
    assert CANARY in logs(work_dir)
    runner.output()
    assert CANARY not in logs(work_dir)
    again = Recorder()
    (work_dir / "main.tf").write_text(thing("b", f"echo {CANARY}") + OUTPUTS)
    make_runner(terraform, work_dir, on_event=again).apply()  # a new Runner: known from the state this time
    assert CANARY not in logs(work_dir) + repr(again.events)


def test_a_held_lock_is_said_with_its_holder(binary: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing(script="sleep 30"))
    other = drive(binary, work_dir, "apply")
    other.until("started")
    with pytest.raises(StateLockedError) as caught:
        make_runner(binary, work_dir, lock_timeout="1s").apply()
    assert len(caught.value.lock_id) == 36
    assert make_runner(binary, work_dir).plan(lock=False).add == 1
    assert "who " in caught.value.what
    assert "Nothing was created" in caught.value.rerun
    other.process.terminate()
    assert other.end()[0] == 130


def test_every_verb_has_a_time_out(binary: Binary, tmp_path: Path) -> None:
    runner = make_runner(binary, root(tmp_path / "w", thing(script="sleep 30")), timeout=1.5)
    with pytest.raises(TerraformTimeoutError, match=r"within 1\.5 s, so it was stopped"):
        runner.apply()
    nobody_in(tmp_path / "w")
    assert not (tmp_path / "w" / ".terraform.tfstate.lock.info").exists()
    assert "timeout" in logs(tmp_path / "w")


def test_a_binary_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    deaf = script(tmp_path / "deaf", "trap '' INT\nsleep 30 &\nwait\nsleep 30")
    runner = make_runner(Binary((str(deaf),), "terraform", (1, 11, 0), str(deaf)), root(tmp_path / "w"), timeout=0.3,
                         grace=0.3)  # fmt: skip
    with pytest.raises(TerraformTimeoutError, match="killed") as caught:
        runner.apply()
    assert "not in the state" in caught.value.why
    nobody_in(tmp_path / "w")


def test_a_listener_that_raises_ends_terraform_properly(binary: Binary, tmp_path: Path) -> None:
    def listener(event: object) -> None:
        if isinstance(event, ResourceEvent):
            raise BrokenPipeError("the listener's own")

    work_dir = root(tmp_path / "w", thing(script="sleep 30"))
    with pytest.raises(BrokenPipeError, match="the listener's own"):
        make_runner(binary, work_dir, on_event=listener).apply()
    nobody_in(work_dir)
    assert not (work_dir / ".terraform.tfstate.lock.info").exists()
    assert "execution halted" in logs(work_dir)  # the log goes on to the end


def test_stop_from_another_thread(binary: Binary, tmp_path: Path) -> None:
    runner: list[Runner] = []

    def listener(event: object) -> None:
        if isinstance(event, ResourceEvent):
            threading.Thread(target=runner[0].stop).start()

    work_dir = root(tmp_path / "w", thing(script="sleep 30"))
    runner.append(make_runner(binary, work_dir, on_event=listener))
    with pytest.raises(TerraformInterruptedError) as caught:
        runner[0].apply()
    assert not caught.value.killed
    with pytest.raises(TerraformInterruptedError):
        runner[0].plan()


def test_death_of_the_child_is_told(tmp_path: Path) -> None:
    dying = script(tmp_path / "dying", "echo almost; kill -9 $$")
    with pytest.raises(TerraformError, match="SIGKILL") as caught:
        make_runner(Binary((str(dying),), "terraform", (1, 11, 0), "x"), root(tmp_path / "w")).plan()
    assert caught.value.code == "GBY-T110"
    assert caught.value.why.endswith(" almost")


def test_answers_that_are_no_json(tmp_path: Path) -> None:
    odd = script(tmp_path / "odd", "echo '<html>'")
    runner = make_runner(Binary((str(odd),), "terraform", (1, 11, 0), "x"), root(tmp_path / "w"))
    with pytest.raises(TerraformError, match="exactly one JSON object"):
        runner.show()
    (tmp_path / "w" / "terraform.tfstate").write_text('{"encrypted_data": "x"}')
    with pytest.raises(TerraformError, match="exactly one JSON object"):
        runner.state()


def test_force_unlock_of_a_lock_that_is_not_there(terraform: Binary, tmp_path: Path) -> None:
    with pytest.raises(TerraformError) as caught:
        make_runner(terraform, root(tmp_path / "w")).force_unlock("abc")
    assert "LocalState not locked" in caught.value.why


def test_a_state_that_could_not_be_saved_blocks_what_would_make_it_worse(terraform: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing())
    (work_dir / "errored.tfstate").write_text('{"version": 4, "lineage": "a", "serial": 1, "resources": []}')
    for verb in (make_runner(terraform, work_dir).plan, make_runner(terraform, work_dir).apply):
        with pytest.raises(TerraformError, match=r"errored\.tfstate") as caught:
            verb()
        assert "state push errored.tfstate" in caught.value.fix


def test_the_binary_went_away(tmp_path: Path) -> None:
    gone = Binary((str(tmp_path / "gone"),), "terraform", (1, 11, 0), str(tmp_path / "gone"))
    with pytest.raises(TerraformNotFoundError, match="cannot be started"):
        make_runner(gone, root(tmp_path / "w")).plan()
    assert "not run to completion" in logs(tmp_path / "w")


def test_a_work_dir_that_is_missing_or_no_directory(terraform: Binary, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for work_dir in (tmp_path / "gone", tmp_path / "file"):
        with pytest.raises(FileError, match="cannot be written"):
            make_runner(terraform, work_dir).plan()


def test_init_fills_a_shared_plugin_cache_with_the_callers_umask(terraform: Binary, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror" / "host.example" / "acme" / "tool" / "1.0.0" / f"{os.uname().sysname.lower()}_amd64"
    mirror.mkdir(parents=True)
    script(mirror / "terraform-provider-tool_v1.0.0", "exit 1")
    (tmp_path / "cache").mkdir()
    work_dir = root(
        tmp_path / "w",
        'terraform {\n required_providers {\n tool = {\n source = "host.example/acme/tool"\n }\n }\n }',
    )
    environ = environment(TF_PLUGIN_CACHE_DIR=str(tmp_path / "cache"))
    runner = make_runner(terraform, work_dir, environ=environ, provider_mirror=tmp_path / "mirror")
    runner.init(digest="d")
    assert not runner.init_needed("d")
    assert "host.example/acme/tool" in (work_dir / ".terraform.lock.hcl").read_text()
    assert stat.S_IMODE((tmp_path / "cache" / "host.example").stat().st_mode) == 0o777 & ~umask()
    assert not make_runner(terraform, work_dir, provider_mirror=tmp_path / "mirror").init_needed("d")
    assert make_runner(terraform, work_dir).init_needed("d")


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_output_does_not_need_the_providers(terraform: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", OUTPUTS)
    runner = make_runner(terraform, work_dir)
    runner.apply()
    root(work_dir, OUTPUTS, "this is not even HCL")
    assert runner.output().role_arn == ROLE_ARN
    assert sorted(path.name for path in work_dir.iterdir()) == ["logs", "main.tf", "terraform.tfstate"]


def test_a_damaged_local_state_is_told_by_terraform(terraform: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", OUTPUTS)
    (work_dir / "terraform.tfstate").write_text("{}}")
    runner = make_runner(terraform, work_dir)
    for verb in (runner.output, runner.state):
        with pytest.raises(TerraformError) as caught:
            verb()
        assert re.search("not .*JSON|after top-level value", caught.value.why + "".join(caught.value.diagnostics))


def test_a_background_job_of_a_provisioner_is_neither_waited_for_nor_killed(terraform: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing(script="sleep 5 >/dev/null 2>&1 & exec true"))
    assert make_runner(terraform, work_dir).apply().add == 1
    assert "sleep 5" in "".join(processes_in(work_dir))
