"""State in S3 (a local one): outputs the short way, locks, and what is said when the bucket is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from gridbyoc.errors import OutputMissingError, StateLockedError, TerraformError, TerraformWrapperError
from gridbyoc.stack.rules.context import RuleContext
from gridbyoc.stack.rules.terraform import kms_key_fault
from gridbyoc.terraform import Binary, find_binary
from gridbyoc.terraform.state import backend_of
from tests.functional.terraform_kit import (
    CANARY,
    OUTPUTS,
    ROLE_ARN,
    environment,
    make_runner,
    root,
    script,
    thing,
)


@pytest.fixture(scope="module")
def environ() -> Iterator[dict[str, str]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environ = environment(
        AWS_ENDPOINT_URL=f"http://{host}:{port}", AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing",
        AWS_REGION="us-west-2", NO_PROXY="127.0.0.1",
    )  # fmt: skip
    s3 = boto3.client(
        "s3", endpoint_url=environ["AWS_ENDPOINT_URL"], region_name="us-east-1", aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )  # fmt: skip
    s3.create_bucket(Bucket="states")
    yield environ
    server.stop()


@pytest.fixture(scope="module", params=["terraform", "embedded"])
def binary(request: pytest.FixtureRequest) -> Binary:
    return find_binary(request.param, environment())


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    return f"""
terraform {{
  backend "s3" {{
    bucket       = "states"
    key          = "{abs(hash(request.node.name))}.tfstate"
    region       = "us-west-2"
    use_lockfile = true
  }}
}}
"""


def test_outputs_come_from_the_bucket_without_the_providers(
    binary: Binary, environ: dict[str, str], backend: str, tmp_path: Path
) -> None:
    work_dir = root(tmp_path / "w", backend, OUTPUTS, thing())
    runner = make_runner(binary, work_dir, environ=environ)
    runner.init(digest="d")
    assert not runner.init_needed("d")
    assert not runner.state().has_resources
    with pytest.raises(OutputMissingError):
        runner.output()
    assert runner.apply().add == 1
    assert not (work_dir / "terraform.tfstate").exists()
    root(work_dir, backend, OUTPUTS, "provider that cannot be read")
    assert runner.output().role_arn == ROLE_ARN
    assert runner.state().has_resources
    assert [path.name for path in work_dir.iterdir() if path.name.startswith(".gridbyoc-")] == [".gridbyoc-init.json"]
    assert CANARY not in "".join(path.read_text() for path in (work_dir / "logs").iterdir())


def test_where_the_short_way_fails_the_plain_one_answers(environ: dict[str, str], backend: str, tmp_path: Path) -> None:
    real = find_binary("terraform", environ)
    # A Terraform that does not accept the copied record of the backend.
    choosy = script(
        tmp_path / "choosy", f'case "$PWD" in */.gridbyoc-*) echo "Error: no" >&2; exit 1;; esac\nexec {real.path} "$@"'
    )
    binary = Binary((str(choosy),), "terraform", real.version, str(choosy))
    runner = make_runner(binary, root(tmp_path / "w", backend, OUTPUTS), environ=environ)
    runner.init()
    runner.apply()
    assert runner.output().role_arn == ROLE_ARN


def test_without_an_init_it_is_not_taken_for_empty(environ: dict[str, str], backend: str, tmp_path: Path) -> None:
    real = find_binary("terraform", environ)
    runner = make_runner(real, root(tmp_path / "w", backend, OUTPUTS), environ=environ)
    for verb in (runner.output, runner.state):
        with pytest.raises(TerraformError, match="Backend initialization required") as caught:
            verb()
        assert type(caught.value) is TerraformError
        assert f"-chdir={tmp_path / 'w'} init`" in caught.value.fix


@pytest.mark.parametrize(
    ("swallowed", "words"),
    [
        ("pull|output", "output ended with status 0 but printed nothing"),
        ("pull", "state pull prints no state, but output reads one"),
    ],
)
def test_a_state_that_does_not_arrive_is_not_taken_for_none(
    environ: dict[str, str], backend: str, tmp_path: Path, swallowed: str, words: str
) -> None:
    """``destroy`` would find nothing to destroy, and ``bootstrap`` would make everything again."""
    real = find_binary("terraform", environ)
    runner = make_runner(real, root(tmp_path / "w", backend, OUTPUTS), environ=environ)
    runner.init()
    runner.apply()
    text = f'for word in "$@"; do case "$word" in {swallowed}) exec >/dev/null;; esac; done; exec {real.path} "$@"'
    program = str(script(tmp_path / "quiet", text))
    quiet = make_runner(Binary((program,), "terraform", real.version, program), tmp_path / "w", environ=environ)
    with pytest.raises(TerraformWrapperError, match=words):
        quiet.state()
    standing = backend_of(tmp_path / "w")
    with pytest.raises(TerraformWrapperError, match=words):
        quiet.pull(standing)


def test_a_lock_left_by_a_killed_run_is_named_and_taken_away(
    binary: Binary, environ: dict[str, str], backend: str, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    work_dir = root(tmp_path / "w", backend, OUTPUTS, thing(script=f"test -e {flag} || kill -9 $PPID; true"))
    runner = make_runner(binary, work_dir, environ=environ, lock_timeout="0s")
    runner.init()
    with pytest.raises(TerraformError, match="SIGKILL") as killed:
        runner.apply()
    assert "lock of the remote state may still be held" in killed.value.why
    assert "force-unlock LOCK_ID" in killed.value.fix
    flag.touch()
    with pytest.raises(StateLockedError) as locked:
        runner.apply()
    assert f"force-unlock {locked.value.lock_id}`" in locked.value.fix
    assert locked.value.code == "GBY-T120"
    runner.force_unlock(locked.value.lock_id)
    assert runner.apply().add == 1


def test_a_bucket_that_is_not_there(environ: dict[str, str], backend: str, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", backend.replace('"states"', '"nowhere"'), OUTPUTS)
    with pytest.raises(TerraformError, match="nowhere") as caught:
        make_runner(find_binary("terraform", environ), work_dir, environ=environ).init()
    assert "Create the S3 bucket" in caught.value.fix


def test_without_credentials(environ: dict[str, str], backend: str, tmp_path: Path) -> None:
    bare = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    bare |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    with pytest.raises(TerraformError, match="No valid credential sources found") as caught:
        make_runner(find_binary("terraform", environ), root(tmp_path / "w", backend), environ=bare).init()
    assert "AWS credentials" in caught.value.fix


KEY_IDS = ("1234abcd-12ab-44cd-96ef-1234567890ab", "1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-" + "a" * 32, "mrk-1")


@pytest.mark.parametrize(
    "key",
    [*KEY_IDS, "alias/a/b_c-d", "alias/a.b", *(f"arn:aws:kms:us-east-1:210987654321:{name}" for name in (
        f"key/{KEY_IDS[0]}", f"key/{KEY_IDS[1]}", "alias/x", "key/alias/x",
    ))],
)  # fmt: skip
def test_a_kms_key_that_terraform_refuses_is_refused_in_the_stack_file(
    environ: dict[str, str], tmp_path: Path, key: str
) -> None:
    text = f'terraform {{\n  backend "s3" {{\n bucket = "states"\n key = "k"\n kms_key_id = "{key}"\n  }}\n}}\n'
    runner = make_runner(find_binary("terraform", environment()), root(tmp_path / "w", text), environ=environ)
    refusal = ""
    try:
        runner.init()
    except TerraformError as error:
        refusal = error.what
    assert ("KMS Key" in refusal) == (kms_key_fault(key, RuleContext(tmp_path, tmp_path, "aws")) is not None), refusal
