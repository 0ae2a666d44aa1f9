"""``gridbyoc sandbox run`` and ``up`` as processes: environment, status, signals, and what is left behind."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gridbyoc.errors import CommandNotStartedError
from gridbyoc.sandbox.command import run_command

SANDBOX = [sys.executable, "-m", "gridbyoc", "sandbox"]
FAST = ["--create-seconds", "0", "--delete-seconds", "0"]


def run(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SANDBOX, *arguments], capture_output=True, text=True, timeout=120, env=dict(os.environ) | (environ or {})
    )


def python(code: str) -> list[str]:
    return ["--", sys.executable, "-c", code]


def start(arguments: Sequence[str], *, new_group: bool = True) -> subprocess.Popen[str]:
    return subprocess.Popen([*SANDBOX, *arguments], stdout=subprocess.PIPE, text=True, start_new_session=new_group)


def test_a_command_sees_the_sandbox_and_its_status_is_ours() -> None:
    code = (
        "import os, sys, boto3, requests\n"
        "print(boto3.client('sts').get_caller_identity()['Account'])\n"
        "auth = (os.environ['GRID_USER_ID'], os.environ['GRID_API_KEY'])\n"
        "print(requests.get(os.environ['GRID_URL'] + '/v1/core/clusters', auth=auth).json()['defaultCluster'])\n"
        "sys.exit(42)\n"
    )
    foreign = {"AWS_PROFILE": "nowhere", "AWS_SESSION_TOKEN": "x", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
               "AWS_CONFIG_FILE": "/nowhere", "HTTP_PROXY": "http://127.0.0.1:9"}  # fmt: skip
    done = run("run", *python(code), environ=foreign)
    assert (done.stdout.split(), done.returncode) == (["123456789012", "grid-cloud"], 42), done.stderr


def test_options_after_the_command_are_the_commands() -> None:
    done = run(
        "run", *FAST, "--region", "eu-west-1", "--", "sh", "-c", 'echo "$AWS_REGION" "$@"', "x", "--help", "--tls"
    )
    assert done.stdout == "eu-west-1 --help --tls\n"


def test_a_command_that_dies_by_a_signal_ends_us_with_128_and_its_number() -> None:
    assert run("run", "--", "sh", "-c", "kill -9 $$").returncode == 137


@pytest.mark.parametrize("command", ["no-such-program-here", "./plain.txt"])
def test_a_command_that_is_not_there_is_said(command: str) -> None:
    with pytest.raises(CommandNotStartedError, match=command) as caught:
        run_command([command], os.environ)
    assert caught.value.shell_status == 127


def test_a_program_that_cannot_be_run_is_said(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    done = run("run", "--", str(broken))
    assert (done.returncode, "could not be started" in done.stderr) == (126, True)


def test_gridbyoc_itself_is_found_without_its_environment_on_the_path_and_python_stays_the_callers() -> None:
    done = run("run", "--", "sh", "-c", "command -v gridbyoc; gridbyoc --version; command -v python3",
               environ={"PATH": "/usr/bin:/bin"})  # fmt: skip
    first, version, *rest = done.stdout.splitlines()
    assert Path(first).name == "gridbyoc"
    assert version.startswith("gridbyoc")
    assert not rest or rest[0].startswith("/usr/bin/")


def test_wrong_times_are_refused() -> None:
    done = run("run", "--create-seconds", "soon", "--", "true")
    assert (done.returncode, "create-seconds" in done.stderr) == (2, True)
    assert run("run").returncode == 2


def test_state_and_access_log_are_where_they_were_asked_for(tmp_path: Path) -> None:
    code = "import os, requests; requests.get(os.environ['GRID_URL'] + '/nothing')"
    done = run("run", "--state", str(tmp_path / "s"), "--access-log", str(tmp_path / "log"), *python(code))
    assert done.returncode == 0
    assert '"path": "/nothing"' in (tmp_path / "log").read_text()
    assert (tmp_path / "s" / "control-plane.sqlite").exists()


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    done = run("run", "--access-log", str(tmp_path / "no" / "log"), "--", "true")
    assert (done.returncode, "cannot use" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


WAITS = (
    "import os, signal, sys, time\n"
    "def told(number, frame):\n"
    "    print('got', signal.Signals(number).name, flush=True)\n"
    "    time.sleep(0.5)\n"  # the sandbox must still be there
    "    import requests; print(requests.get(os.environ['GRID_URL'] + '/x').status_code, flush=True)\n"
    "    sys.exit(7)\n"
    "signal.signal(signal.SIGHUP, lambda *_: os.write(1, b'hup\\n'))\n"
    "signal.signal(signal.SIGINT, told); signal.signal(signal.SIGTERM, told)\n"
    "os.write(1, b'ready\\n')\n"  # a print that is still being written would refuse that of the handler
    "time.sleep(60)\n"
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_us_alone_reaches_the_command_and_the_sandbox_outlives_it(number: int) -> None:
    process = start(["run", *python(WAITS)])
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline() == "hup\n"
    process.send_signal(number)
    rest, _ = process.communicate(timeout=60)
    assert rest.split() == ["got", signal.Signals(number).name, "404"]
    assert process.returncode == 7


def test_ctrl_c_on_a_terminal_reaches_the_command_once() -> None:
    code = WAITS.replace("sys.exit(7)", "time.sleep(0.5); print('end', flush=True); os._exit(9)")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [*SANDBOX, "run", *python(code)])  # noqa: S606 -- a list, and no shell is wanted
    text = read_until(terminal, "ready")
    os.write(terminal, b"\x03")
    text += read_until(terminal, "end")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert text.count("got SIGINT") == 1, text
    assert os.waitstatus_to_exitcode(status) == 9


RC = """\
PS1='me> '
export AWS_PROFILE=real AWS_SECRET_ACCESS_KEY=real AWS_ENDPOINT_URL_IAM=https://iam.amazonaws.com
PROMPT_COMMAND='export AWS_ENDPOINT_URL=https://iam.amazonaws.com'
"""
THROTTLED = """\
version: 1
title: It is slow
steps:
  - {on: "control-plane:ListClusters", answer: {status: 429, message: slow down}}
  - {on: "sts:GetCallerIdentity", answer: {status: 403, code: ExpiredToken, message: It has ended}}
"""
SIGNED = "Authorization: AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/sts/aws4_request, Signature=0"
ASKS = f"""\
curl -s -o /dev/null -w '%{{http_code}}\\n' $GRID_URL/v1/core/clusters
curl -s -H '{SIGNED}' -d 'Action=GetCallerIdentity&Version=2011-06-15' $AWS_ENDPOINT_URL > identity
exit 7
"""


def test_a_shell_leads_to_the_sandbox_whatever_its_own_files_say(tmp_path: Path) -> None:
    """And plays a scenario; leaving it ends the sandbox with the shell's status."""
    (tmp_path / ".bashrc").write_text(RC)
    (tmp_path / "slow.yaml").write_text(THROTTLED)
    shell = {"HOME": str(tmp_path), "SHELL": shutil.which("bash") or "", "TERM": "dumb", "AWS_SESSION_TOKEN": "real"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, [*SANDBOX, "shell", "--scenario", "slow.yaml"], {**os.environ, **shell})  # noqa: S606 -- as above
    text = read_until(terminal, "(sandbox) me> ")
    (tmp_path / "asks").write_text(ASKS)
    os.write(terminal, b"env | grep ^AWS_ > seen; echo $GRIDBYOC_SANDBOX > mark; echo wr'it'ten\n")
    text += read_until(terminal, "written")
    os.write(terminal, b". ./asks\n")
    text += read_until(terminal, "(ExpiredToken)")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    assert seen.pop("AWS_ENDPOINT_URL").startswith("http://127.0.0.1:")
    assert (seen.pop("AWS_ACCESS_KEY_ID"), seen.pop("AWS_SECRET_ACCESS_KEY")) == ("test", "test")
    assert set(seen) == {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
                         "AWS_EC2_METADATA_DISABLED"}  # fmt: skip
    assert "1 time: control-plane:ListClusters answered with 429 (slow down)" in text
    assert "429" in text.partition("asks")[2]
    assert "<Code>ExpiredToken</Code>" in (tmp_path / "identity").read_text()
    assert os.waitstatus_to_exitcode(status) == 7
    assert not Path((tmp_path / "mark").read_text().strip()).exists()


def read_until(terminal: int, word: str) -> str:
    text = ""
    end = time.monotonic() + 60
    while word not in text and time.monotonic() < end:
        try:
            text += os.read(terminal, 4096).decode()
        except OSError:  # nobody has the other end any more: what came is for the test to judge
            return text
    return text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_prints_what_a_shell_can_read_and_stops_when_it_is_told(number: int) -> None:
    process = start(["up", *FAST])
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(18)]
    variables = dict(re.findall(r"^export (\w+)=(.*)$", "".join(lines), re.MULTILINE))
    assert {"AWS_ENDPOINT_URL", "GRID_URL", "GRID_API_KEY", "LIGHTNING_CLOUD_URL", "NO_PROXY"} <= set(variables)
    shell = "".join(lines) + 'curl -s "$GRID_URL/nothing" || true; echo "$GRID_URL"'
    read = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=30)
    assert read.stdout.splitlines()[-1].endswith(variables["GRID_URL"])
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_up_ends_when_a_server_does() -> None:
    process = start(["up", *FAST])
    assert process.stdout
    for _ in range(17):
        process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == 1
