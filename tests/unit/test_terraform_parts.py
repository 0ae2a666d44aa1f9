"""The Runner's small parts: environment, signals, redaction, logs, state files, outputs, the record of an init."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.errors import FileError, OutputMissingError, TerraformError
from gridbyoc.stack.redaction import Redactor
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import Backend, Binary, Outputs, State, check_mirror
from gridbyoc.terraform.backend_history import InitRecord
from gridbyoc.terraform.environment import child_environment, provider_source, write_cli_config
from gridbyoc.terraform.events import ProviderEvent
from gridbyoc.terraform.logs import KEPT, Logs
from gridbyoc.terraform.process import Interrupts
from gridbyoc.terraform.runner import FLAG, TerraformCommandLine
from gridbyoc.terraform.state import backend_of, read_json, read_outputs, sensitive_values

BINARY = Binary(("/bin/terraform",), "terraform", (1, 11, 4), "/bin/terraform")
EMBEDDED = Binary(("python", "embedded.py"), "embedded", (1, 15, 5), "gridbyoc-terraform")


# --- binary ---


@pytest.mark.parametrize("version, lock", [((1, 9, 9), False), ((1, 10, 0), True), ((2, 0, 0), True)])
def test_s3_native_lock_comes_with_1_10(version: tuple[int, int, int], lock: bool) -> None:
    assert Binary(("t",), "tofu", version, "t").s3_native_lock is lock


def test_a_command_for_people_can_be_pasted() -> None:
    assert BINARY.command(Path("/a b"), "force-unlock", "x") == "/bin/terraform '-chdir=/a b' force-unlock x"
    assert EMBEDDED.command(Path("/a"), "init") == "gridbyoc-terraform -chdir=/a init"


# --- environment ---


def test_where_a_provider_comes_from_is_said_if_it_is_known(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "registry.terraform.io" / "hashicorp" / "aws").mkdir(parents=True)
    home, registry = {"HOME": str(tmp_path)}, "registry.terraform.io"
    aws, null = (ProviderEvent(f"hashicorp/{name}", "1.0.0", "installing") for name in ("aws", "null"))
    assert provider_source(mirror, aws, registry, home) == ("mirror", str(mirror))
    assert provider_source(mirror, null, registry, home) == ("registry", registry)
    assert provider_source(None, replace(aws, cached=True), registry, home) == ("cache", "")
    assert provider_source(None, aws, "registry.opentofu.org", home) == ("registry", "registry.opentofu.org")
    assert provider_source(None, replace(aws, name="example.com/a/b"), registry, home) == ("registry", "example.com")
    # the user's own configuration may name a mirror: a signature shows that a registry was used
    for environ in ({**home, "TF_CLI_CONFIG_FILE": "/x"}, home):
        (tmp_path / ".terraformrc").touch()
        assert provider_source(None, aws, registry, environ) == ("", "")
        assert provider_source(None, replace(aws, signed=True), registry, environ) == ("registry", registry)


def test_traps_are_dropped_and_the_rest_passes() -> None:
    given_environ = {
        "TF_CLI_ARGS": "-x", "TF_CLI_ARGS_apply": "-destroy", "TF_WORKSPACE": "other", "TF_LOG": "TRACE",
        "TF_LOG_PATH": "/x", "TF_VAR_name": "x", "TF_DATA_DIR": "/x", "TF_REATTACH_PROVIDERS": "{}",
        "TF_INPUT": "1", "TERRAFORM_CONFIG": "/x", "TF_FORCE_LOCAL_BACKEND": "1",
        "GRIDBYOC_BUNDLE_KEY": "k", "GRIDBYOC_HANDOFF_KEY": "k", "GRID_API_KEY": "k", "LIGHTNING_API_KEY": "k",
        "AWS_PROFILE": "p", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "HTTPS_PROXY": "x", "TF_TOKEN_example_com": "t",
        "TF_PLUGIN_CACHE_DIR": "/cache", "PATH": "/bin",
    }  # fmt: skip
    assert child_environment(given_environ) == {
        "AWS_PROFILE": "p", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "HTTPS_PROXY": "x", "TF_TOKEN_example_com": "t",
        "TF_PLUGIN_CACHE_DIR": "/cache", "PATH": "/bin",
        "TF_INPUT": "0", "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_WORKSPACE": "default", "GOGC": "400",
    }  # fmt: skip


def test_gogc_of_the_user_stays() -> None:
    assert child_environment({"GOGC": "50"})["GOGC"] == "50"


def test_a_cli_configuration_stays_if_it_exists_and_gives_way_to_ours(tmp_path: Path) -> None:
    there = tmp_path / "rc"
    there.write_text("")
    assert child_environment({"TF_CLI_CONFIG_FILE": str(there)})["TF_CLI_CONFIG_FILE"] == str(there)
    assert "TF_CLI_CONFIG_FILE" not in child_environment({"TF_CLI_CONFIG_FILE": str(tmp_path / "gone")})
    assert child_environment({"TF_CLI_CONFIG_FILE": str(there)}, tmp_path / "ours")["TF_CLI_CONFIG_FILE"] == str(
        tmp_path / "ours"
    )


# --- mirror ---


def test_a_mirror_is_taken_from_the_stack_before_the_environment(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "host.example" / "acme" / "tool").mkdir(parents=True)
    assert check_mirror(None, {}) is None
    assert check_mirror(None, {"GRIDBYOC_PROVIDER_MIRROR": ""}) is None
    assert check_mirror(None, {"GRIDBYOC_PROVIDER_MIRROR": str(tmp_path / "b")}) == tmp_path / "b"
    assert check_mirror(tmp_path / "a", {"GRIDBYOC_PROVIDER_MIRROR": str(tmp_path / "b")}) == tmp_path / "a"


def test_what_is_no_mirror_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TerraformError, match="no provider mirror at") as gone:
        check_mirror(tmp_path / "gone", {})
    assert "not a readable directory" in gone.value.why
    with pytest.raises(TerraformError) as empty:
        check_mirror(tmp_path, {})
    assert "HOST/NAMESPACE/TYPE" in empty.value.why
    assert "providers mirror" in empty.value.fix


def test_the_cli_configuration_names_what_the_mirror_has(tmp_path: Path) -> None:
    mirror = tmp_path / 'a "b" ${c}'
    (mirror / "host.example" / "acme" / "tool").mkdir(parents=True)
    written = write_cli_config(mirror, tmp_path)
    text = written.read_text()
    assert text.count('["host.example/acme/tool"]') == 2
    assert '\\"b\\"' in text
    assert written.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [written.name]


def test_a_work_dir_that_cannot_take_it_is_a_file_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="Cannot write"):
        write_cli_config(tmp_path, tmp_path / "gone")
    (tmp_path / ".gridbyoc.tfrc").mkdir()
    with pytest.raises(FileError):
        write_cli_config(tmp_path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".gridbyoc.tfrc"]


# --- command lines ---


def argv_of(binary: Binary, cmd: str, *args: str, **options: object) -> tuple[str, ...]:
    found: list[tuple[str, ...]] = []
    TerraformCommandLine(binary, Path("/w"), found.append).cmd(cmd, *args, **options)
    return found[0]


def test_options_are_built_by_python_terraform() -> None:
    assert argv_of(BINARY, "apply", "plan", input=False, json=FLAG, lock_timeout="10s", out=None) == (
        "/bin/terraform", "apply", "-input=false", "-json", "-lock-timeout=10s", "plan",
    )  # fmt: skip
    assert argv_of(EMBEDDED, "state pull") == ("python", "embedded.py", "state", "pull")


@pytest.mark.parametrize(
    "name", ["plan", "apply", "destroy", "init", "output", "set_workspace", "show_workspace", "aply", "output_cmd"]
)
def test_other_ways_to_run_a_command_are_closed(name: str) -> None:
    line = TerraformCommandLine(BINARY, Path("/w"), lambda argv: argv)
    with pytest.raises(AttributeError):
        getattr(line, name)


def test_variables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"terraform\.tfvars\.json"):
        argv_of(BINARY, "plan", var={})


def test_the_state_is_not_read_for_a_command_line(tmp_path: Path) -> None:
    (tmp_path / "terraform.tfstate").write_text("no json")
    assert TerraformCommandLine(BINARY, tmp_path, len).cmd("version") == 2


# --- interrupts ---


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_a_second_ctrl_c_insists_but_an_echo_of_the_first_does_not() -> None:
    clock = Clock()
    interrupts = Interrupts(clock)
    assert [interrupts.asked, interrupts.second_interrupt] == [False, False]
    interrupts.signalled(signal.SIGINT)
    assert [interrupts.asked, interrupts.second_interrupt] == [True, False]
    clock.time = 0.1
    interrupts.signalled(signal.SIGINT)
    assert not interrupts.second_interrupt
    clock.time = 8.0
    interrupts.signalled(signal.SIGTERM)
    assert not interrupts.second_interrupt
    interrupts.signalled(signal.SIGINT)
    assert interrupts.second_interrupt


def test_signals_are_forgotten_with_the_next_command_but_a_request_is_not() -> None:
    interrupts = Interrupts()
    interrupts.signalled(signal.SIGTERM)
    with interrupts.listening():
        assert not interrupts.asked
    interrupts.request()
    with interrupts.listening():
        assert interrupts.asked
        assert interrupts.requested


def test_the_handlers_are_put_back() -> None:
    # a shell starts what it puts into the background with SIGINT ignored, and then it stays so
    given = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        interrupts = Interrupts()
        with interrupts.listening():
            assert signal.getsignal(signal.SIGINT) == interrupts.signalled
            signal.raise_signal(signal.SIGINT)
            assert interrupts.asked
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    finally:
        signal.signal(signal.SIGINT, given)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts().listening():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# --- redaction ---


@pytest.mark.parametrize("value", ["plain-1", 'quo"te', "a<b>&c", "a/b=c", "ünï", "line\nbreak"])
def test_every_form_of_a_secret_is_masked(value: str) -> None:
    redactor = Redactor([Secret(value)])
    html_escaped = json.dumps(value)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    for form in (value, json.dumps(value, ensure_ascii=False)[1:-1], quote(value), quote(value, safe="")):
        assert redactor.clean(f"x {form} y") == "x [secret] y"
    if value.isascii():
        assert redactor.clean(f"x {html_escaped} y") == "x [secret] y"


def test_the_longer_secret_is_masked_first() -> None:
    assert Redactor([Secret("abc"), Secret("abcdef")]).clean("abcdef abc") == "[secret] [secret]"


def test_an_empty_secret_is_none() -> None:
    redactor = Redactor([Secret("")])
    assert redactor.clean("text") == "text"
    assert redactor.learn([Secret("text")])
    assert not redactor.learn([Secret("text")])


@given(st.text(min_size=1), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    masked = Redactor([Secret(secret)]).clean(before + secret + after)
    assert secret not in masked.replace("[secret]", "")


# --- logs ---


def ticking() -> Callable[[], datetime]:
    moments = (datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=n) for n in range(10_000))
    return lambda: next(moments)


def test_a_log_holds_the_argv_and_no_secret(tmp_path: Path) -> None:
    log = Logs(tmp_path / "logs", Redactor([Secret("hush")]), ticking()).open("state pull", ("/bin/tf", "a b"))
    log.line("say hush")
    log.close()
    assert log.path.read_text() == "# 20260101T000000.000000Z /bin/tf 'a b'\nsay [secret]\n"
    assert log.path.name.endswith("-state-pull.log")
    assert log.path.stat().st_mode & 0o777 == 0o600
    assert log.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_closed_log_takes_no_more_and_does_not_raise(tmp_path: Path) -> None:
    log = Logs(tmp_path / "logs", Redactor(), ticking()).open("plan", ())
    log.close()
    log.line("late")
    assert "late" not in log.path.read_text()


def test_the_newest_fifty_are_kept(tmp_path: Path) -> None:
    logs = Logs(tmp_path / "logs", Redactor(), ticking())
    paths = [logs.open("plan", ()).path for _ in range(KEPT + 5)]
    assert sorted((tmp_path / "logs").iterdir()) == sorted(paths[-KEPT:])


def test_what_was_written_before_a_secret_was_known_is_scrubbed(tmp_path: Path) -> None:
    redactor = Redactor()
    logs = Logs(tmp_path / "logs", redactor, ticking())
    log = logs.open("apply", ())
    log.line("say hush")
    redactor.learn([Secret("hush")])
    logs.scrub()
    log.line("say hush again")
    assert log.path.read_text().endswith("say [secret]\nsay [secret] again\n")


def test_a_work_dir_that_is_not_there_is_a_file_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="work_dir") as error:
        Logs(tmp_path / "gone" / "logs", Redactor(), ticking()).open("plan", ())
    assert error.value.why
    assert error.value.fix


# --- state ---


def initialised(work_dir: Path, kind: str, **config: Any) -> None:
    (work_dir / ".terraform").mkdir()
    (work_dir / ".terraform" / "terraform.tfstate").write_text(
        json.dumps({"version": 3, "backend": {"type": kind, "config": config, "hash": 1}})
    )


def test_the_backend_is_local_where_nothing_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('terraform {\n  # backend "s3" {\n}\n')
    assert backend_of(tmp_path) == Backend()
    assert not backend_of(tmp_path).remote
    assert backend_of(tmp_path).state_file(tmp_path) == tmp_path / "terraform.tfstate"


def test_the_backend_is_the_one_that_was_initialised(tmp_path: Path) -> None:
    initialised(tmp_path, "s3", bucket="b")
    assert backend_of(tmp_path) == Backend("s3", {"bucket": "b"})
    assert backend_of(tmp_path).remote


def test_a_local_backend_may_name_its_file(tmp_path: Path) -> None:
    initialised(tmp_path, "local", path="here.tfstate")
    assert backend_of(tmp_path).state_file(tmp_path) == tmp_path / "here.tfstate"


def test_before_the_init_the_backend_is_what_the_files_ask_for(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('terraform {\n  backend "s3" {\n    bucket = "b"\n  }\n}\n')
    assert backend_of(tmp_path) == Backend("s3")


@pytest.mark.parametrize("content", ["", "no json", "[]", "[" * 100_000, '{"backend": 1}', '{"backend": {"type": 1}}'])
def test_a_damaged_record_is_no_record(tmp_path: Path, content: str) -> None:
    (tmp_path / ".terraform").mkdir()
    (tmp_path / ".terraform" / "terraform.tfstate").write_text(content)
    assert backend_of(tmp_path) == Backend()


@pytest.mark.parametrize(
    "state, expected",
    [
        ({}, False),
        ({"resources": []}, False),
        ({"resources": None}, False),
        ({"resources": [{"mode": "data", "instances": [{}]}]}, False),
        ({"resources": [{"mode": "managed", "instances": []}]}, False),
        ({"resources": [{"mode": "managed", "instances": [{}]}]}, True),
    ],
)
def test_resources_in_a_state(state: dict[str, Any], expected: bool) -> None:
    assert State(state).has_resources is expected


def test_json_that_is_not_there(tmp_path: Path) -> None:
    assert read_json(tmp_path / "gone") == {}


# --- outputs ---


def output(value: object, *, sensitive: bool = False) -> dict[str, object]:
    return {"value": value, "sensitive": sensitive, "type": "string"}


def test_outputs_are_read() -> None:
    document = {"role_arn": output("arn"), "external_id": output("id", sensitive=True), "role_name": output("r")}
    assert read_outputs(document) == Outputs("arn", Secret("id"), "r")
    assert "id" not in repr(read_outputs(document)).replace("external_id", "")


@pytest.mark.parametrize("name", [None, output(None), "text"])
def test_the_role_name_is_optional(name: object) -> None:
    document = {"role_arn": output("arn"), "external_id": output("id"), "role_name": name}
    assert read_outputs(document).role_name is None


def test_missing_outputs_are_named() -> None:
    with pytest.raises(OutputMissingError, match=r"role_arn and no output external_id") as nothing:
        read_outputs({})
    assert "Nothing has been applied" in nothing.value.why
    with pytest.raises(OutputMissingError, match="no output external_id") as other:
        read_outputs({"role_arn": output("arn"), "external_id": output("")})
    assert "role_arn" not in other.value.what
    assert "role_arn and external_id" in other.value.fix
    assert "Nothing was" not in other.value.rerun, "they may be the outputs of an apply"


def test_sensitive_outputs_are_secrets_and_so_is_the_external_id() -> None:
    document = {"a": output("1", sensitive=True), "b": output("2"), "external_id": output("3"), "c": output([1])}
    assert sensitive_values(document) == (Secret("1"), Secret("3"))


# --- the record of an init ---


def record(work_dir: Path, binary: Binary = BINARY, mirror: Path | None = None) -> InitRecord:
    return InitRecord(work_dir, binary, mirror)


def test_an_init_is_remembered_until_something_changes(tmp_path: Path) -> None:
    package = tmp_path / ".terraform" / "providers" / "host.example" / "acme" / "tool" / "1.0.0" / "linux_amd64"
    package.mkdir(parents=True)
    (tmp_path / ".terraform.lock.hcl").write_text("lock")
    assert not record(tmp_path).holds("d1")
    record(tmp_path).write("d1")
    assert record(tmp_path).holds("d1")
    assert not record(tmp_path).holds("d2")
    assert not record(tmp_path, EMBEDDED).holds("d1")
    assert not record(tmp_path, mirror=tmp_path).holds("d1")
    (tmp_path / ".terraform.lock.hcl").write_text("other lock")
    assert not record(tmp_path).holds("d1")
    (tmp_path / ".terraform.lock.hcl").write_text("lock")
    assert record(tmp_path).holds("d1")
    package.rmdir()
    assert not record(tmp_path).holds("d1")


def test_a_provider_that_links_to_nowhere_asks_for_an_init(tmp_path: Path) -> None:
    package = tmp_path / ".terraform" / "providers" / "host.example" / "acme" / "tool" / "1.0.0" / "linux_amd64"
    package.parent.mkdir(parents=True)
    cache = tmp_path / "cache"
    cache.mkdir()
    package.symlink_to(cache)
    record(tmp_path).write("d")
    assert record(tmp_path).holds("d")
    cache.rmdir()
    assert not record(tmp_path).holds("d")


def test_a_forgotten_init_is_needed(tmp_path: Path) -> None:
    record(tmp_path).write("d")
    record(tmp_path).forget()
    assert not record(tmp_path).holds("d")
    record(tmp_path).forget()


def test_a_record_that_cannot_be_written_costs_an_init_and_no_more(tmp_path: Path) -> None:
    record(tmp_path / "gone").write("d")
    assert not record(tmp_path / "gone").holds("d")
