"""Terraform acts with the credentials that boto3 has resolved, whatever the source, and has them renewed.

Real Terraform on a state in S3, whose backend looks for credentials as the AWS provider does
(https://github.com/hashicorp/aws-sdk-go-base) and asks STS who they are; STS tells here which key that was.
``pytest -s`` prints the table.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.credentials import CredentialProvider, RefreshableCredentials
from moto.server import ThreadedMotoServer

from gridbyoc.aws import AwsSession, caller_identity, open_session
from gridbyoc.aws.credential_feed import HELPER, CredentialFeed, FeedRequest
from gridbyoc.errors import AccountMismatchError, AwsCredentialsError, GridbyocError, TerraformError
from gridbyoc.terraform import Binary, find_binary
from tests.functional.short_lived import ShortLived, short_lived
from tests.functional.terraform_kit import environment, make_runner, root, thing

PROCESS = """#!/bin/sh
echo made >> {directory}/process.calls
number=$(wc -l < {directory}/process.calls)
key='"AccessKeyId": "ASIAPROCESS%s", "SecretAccessKey": "secret", "SessionToken": "t"'
printf "{{\\"Version\\": 1, $key, \\"Expiration\\": \\"%s\\"}}" "$(printf %04d "$number")" \
  "$(date -u -d '+{seconds} seconds' +%Y-%m-%dT%H:%M:%SZ)"
"""
CONFIG = """
[profile static]
aws_access_key_id = ASIASTATIC
aws_secret_access_key = secret

[profile process]
credential_process = {directory}/process

[profile role]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = static

[profile web]
role_arn = arn:aws:iam::123456789012:role/r
web_identity_token_file = {directory}/token

[profile sso]
sso_session = acme
sso_account_id = 123456789012
sso_role_name = Admin

[sso-session acme]
sso_start_url = https://acme.awsapps.com/start
sso_region = us-east-1

[profile both]
sso_session = acme
sso_account_id = 123456789012
sso_role_name = Admin
aws_access_key_id = ASIASTATIC
aws_secret_access_key = secret

[default]
aws_access_key_id = ASIADEFAULT
aws_secret_access_key = secret
"""
KEY = {"AWS_ACCESS_KEY_ID": "ASIAENV", "AWS_SECRET_ACCESS_KEY": "secret"}
WEB = {"AWS_WEB_IDENTITY_TOKEN_FILE": "{directory}/token", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r"}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(Bucket="states")  # type: ignore[call-overload]  # keywords
    yield url
    server.stop()


@pytest.fixture(scope="module")
def service() -> Iterator[ShortLived]:
    with short_lived() as made:
        yield made


@pytest.fixture(scope="module")
def binary() -> Binary:
    return find_binary("terraform", environment())


@dataclass
class Scene:
    """A directory with the user's files, and an environment that both boto3 and Terraform are given."""

    directory: Path
    environ: dict[str, str]
    service: ShortLived
    binary: Binary
    setenv: Callable[[str, str], None]

    def write_process(self, seconds: float) -> None:
        program = self.directory / "process"
        program.write_text(PROCESS.format(directory=self.directory, seconds=seconds))
        program.chmod(0o755)

    def set(self, **variables: str) -> None:
        for name, given in variables.items():
            value = given.replace("{directory}", str(self.directory))
            self.environ[name] = value
            self.setenv(name, value)  # botocore reads the process's own environment

    def feed(self, asked: FeedRequest | None = None, session: AwsSession | None = None) -> CredentialFeed:
        asked = asked or FeedRequest()
        sessions: dict[str | None, AwsSession] = {None: session} if session else {}

        def opened(profile: str | None) -> AwsSession:
            if profile not in sessions:
                sessions[profile] = open_session("us-east-1", profile or asked.profile)
            return sessions[profile]

        return CredentialFeed(self.environ, self.directory, asked, opened)

    def runner(self, feed: CredentialFeed, key: str, *, backend: str = "", script: str = "true") -> Any:
        text = f'terraform {{\n  backend "s3" {{\n    bucket = "states"\n    key = "{key}"\n    region = "us-east-1"\n'
        text += f"    use_path_style = true\n    use_lockfile = true\n    {backend}\n  }}\n}}\n"
        work_dir = root(self.directory / "w", text, thing(script=script))
        return make_runner(self.binary, work_dir, environ=self.environ, credentials=feed)


@pytest.fixture
def scene(tmp_path: Path, s3: str, service: ShortLived, binary: Binary, monkeypatch: pytest.MonkeyPatch) -> Scene:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "token").write_text("a-token")
    cached = tmp_path / ".aws" / "sso" / "cache" / f"{hashlib.sha1(b'acme', usedforsecurity=False).hexdigest()}.json"
    cached.parent.mkdir(parents=True)
    ends = datetime.now(timezone.utc) + timedelta(hours=8)
    cached.write_text(json.dumps({"accessToken": "t", "expiresAt": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}))
    (tmp_path / "config").write_text(CONFIG.format(directory=tmp_path))
    service.seconds = 3600
    service.accounts.clear()
    service.sources()
    made = Scene(tmp_path, environment(HOME=str(tmp_path)), service, binary, monkeypatch.setenv)
    made.write_process(3600)
    made.set(
        AWS_CONFIG_FILE=str(tmp_path / "config"), AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "credentials"),
        AWS_EC2_METADATA_DISABLED="true", AWS_REGION="us-east-1", NO_PROXY="127.0.0.1", HOME=str(tmp_path),
        AWS_ENDPOINT_URL_S3=s3, AWS_ENDPOINT_URL_STS=service.url, AWS_ENDPOINT_URL_SSO=service.url,
        AWS_ENDPOINT_URL_DYNAMODB=s3,
    )  # fmt: skip
    # botocore takes the home directory when it is imported
    monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(cached.parent))
    monkeypatch.setattr("botocore.tokens.SSOTokenProvider._SSO_TOKEN_CACHE_DIR", str(cached.parent))
    return made


@dataclass(frozen=True)
class Source:
    """Variables, the profile of stack and backend, and whose key both boto3 and Terraform then act with."""

    key: str
    environ: Mapping[str, str]
    asked: FeedRequest = field(default_factory=FeedRequest)
    terraform: str = ""


SOURCES = {
    "access key in the environment": Source("env", KEY),
    "credentials file": Source("static", {"AWS_PROFILE": "static"}),
    "process": Source("process", {"AWS_PROFILE": "process"}),
    "source_profile": Source("role", {"AWS_PROFILE": "role"}),
    "web identity of a profile": Source("web", {"AWS_PROFILE": "web"}),
    "web identity of the environment": Source("web", WEB),
    "SSO": Source("sso", {"AWS_PROFILE": "sso"}),
    "default profile": Source("default", {}),
    "aws.profile over a key in the environment": Source("process", KEY, FeedRequest("process")),
    "two variables": Source("static", {"AWS_DEFAULT_PROFILE": "static", "AWS_PROFILE": "process"}),
    "two variables, the other way": Source("process", {"AWS_DEFAULT_PROFILE": "process", "AWS_PROFILE": "static"}),
    "a key that boto3 does not read": Source(
        "static", {"AWS_PROFILE": "static", "AWS_ACCESS_KEY": "ASIAOTHER", "AWS_SECRET_KEY": "secret"}
    ),
    "a profile with SSO and a key": Source("sso", {"AWS_PROFILE": "both"}),
    "a profile's role over web identity": Source("role", {"AWS_PROFILE": "role", **WEB}),
    "a key over a profile and web identity": Source("env", {"AWS_PROFILE": "role", **WEB, **KEY}),
    "a backend with a profile of its own": Source("env", KEY, FeedRequest(None, "process"), terraform="process"),
    "a backend and a stack with profiles": Source("sso", {}, FeedRequest("sso", "role"), terraform="role"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_terraform_has_the_key_that_boto3_has(scene: Scene, name: str) -> None:
    source = SOURCES[name]
    scene.set(**source.environ)
    session = open_session("us-east-1", source.asked.profile)
    key = caller_identity(session).arn.rpartition("/")[2]
    assert key.removeprefix("ASIA").rstrip("0123456789").lower() == source.key
    made = sum(scene.service.made.values())
    profile = source.asked.backend or source.asked.profile
    runner = scene.runner(
        scene.feed(source.asked, session), f"{abs(hash(name))}", backend=f'profile = "{profile}"' if profile else ""
    )
    runner.init()
    assert scene.service.sources() == {source.terraform or source.key}
    if not source.terraform:
        assert sum(scene.service.made.values()) == made, "Terraform had the session's own key, not a new one"


RENEWED = {
    "process": {"AWS_PROFILE": "process"},
    "role": {"AWS_PROFILE": "role"},
    "web": {"AWS_PROFILE": "web"},
    "web of the environment": WEB,
    "sso": {"AWS_PROFILE": "sso"},
    "login": {"AWS_PROFILE": "console"},
}


@pytest.mark.parametrize("name", RENEWED)
def test_credentials_that_end_in_the_middle_of_an_apply_are_renewed(scene: Scene, name: str) -> None:
    scene.service.seconds = 2
    scene.write_process(2)
    scene.set(**RENEWED[name])
    session = console_login(scene) if name == "login" else None
    runner = scene.runner(scene.feed(session=session), f"renewed-{name}", script="sleep 3")
    runner.init()
    source = name.partition(" ")[0]
    assert scene.service.sources() == {source}
    before = calls_of(scene, source)
    assert runner.apply().add == 1
    assert calls_of(scene, source) - before >= 2, "once at the start, and once for the write after the pause"
    scene.service.seconds = 3600
    scene.write_process(3600)
    assert runner.plan().has_changes is False


def calls_of(scene: Scene, source: str) -> int:
    calls = scene.directory / "process.calls"
    return len(calls.read_text().splitlines()) if source == "process" else scene.service.made[source]


def console_login(scene: Scene) -> AwsSession:
    """A session of a source that no SDK of Terraform's reads, with the keys of the service."""
    (scene.directory / "config").write_text("[profile console]\nlogin_session = arn:aws:sts::1:assumed-role/a/b\n")

    def login() -> dict[str, str]:
        made = scene.service.key("login")
        names = {"access_key": "key", "secret_key": "secret", "token": "token", "expiry_time": "ends"}
        return {name: made[each] for name, each in names.items()}

    class Login(CredentialProvider):  # type: ignore[misc]  # botocore has no types
        METHOD = "login"
        CANONICAL_NAME = "login"

        def load(self) -> Any:
            return RefreshableCredentials.create_from_metadata(login(), login, "login")

    core = botocore.session.Session(profile="console")
    core.get_component("credential_provider").insert_before("assume-role", Login())
    return AwsSession(boto3.session.Session(botocore_session=core, region_name="us-east-1"), "us-east-1")


def test_a_source_that_terraform_cannot_read_reaches_it(scene: Scene) -> None:
    session = console_login(scene)
    scene.runner(scene.feed(FeedRequest("console"), session), "console", backend='profile = "console"').init()
    assert scene.service.sources() == {"login"}


def test_terraform_without_us_finds_the_user_s_own_files(scene: Scene) -> None:
    """Nothing of the run is in the work_dir: what is done there by hand, or by another job, works as before."""
    scene.set(AWS_PROFILE="static")
    runner = scene.runner(scene.feed(), "by-hand", backend='profile = "static"')
    runner.init()
    work_dir = scene.directory / "w"
    texts = [path.read_text(errors="replace") for path in work_dir.rglob("*") if path.is_file()]
    assert not [text for text in texts if "credential_process" in text or "/gridbyoc-" in text]
    planned = subprocess.run(
        ["terraform", "plan", "-input=false"], cwd=work_dir, env=scene.environ, capture_output=True
    )
    assert planned.returncode == 0, planned.stderr
    assert scene.service.sources() == {"static"}


@contextmanager
def offered(feed: CredentialFeed) -> Iterator[Mapping[str, str | None]]:
    with feed.offered(acting=False) as variables:
        yield variables


def ask(variables: Mapping[str, str | None], number: str = "0") -> subprocess.CompletedProcess[str]:
    """Run the process of a profile as an SDK does."""
    directory = Path(str(variables["AWS_CONFIG_FILE"])).parent
    argv = ["/bin/sh", str(directory / "credentials.sh"), number]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20)


def test_what_the_process_prints_and_what_lies_on_the_disk(scene: Scene) -> None:
    scene.set(AWS_PROFILE="process")
    with offered(scene.feed()) as variables:
        config = Path(str(variables["AWS_CONFIG_FILE"]))
        assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
        said = json.loads(ask(variables).stdout)
        assert (said["Version"], said["SecretAccessKey"], said["SessionToken"]) == (1, "secret", "t")
        assert datetime.fromisoformat(said["Expiration"].replace("Z", "+00:00")) > datetime.now(timezone.utc)
        written = [path.read_text() for path in config.parent.iterdir() if path.is_file()]
        assert not [text for text in written if "secret" in text.replace("aws_secret", "") or "ASIA" in text]
    assert not config.parent.exists()


def test_what_terraform_starts_finds_no_other_credentials_and_no_other_profile(scene: Scene) -> None:
    scene.set(**KEY, **WEB, AWS_SESSION_TOKEN="t", AWS_DEFAULT_PROFILE="static", AWS_PROFILE="sso", AWS_ACCESS_KEY="x")
    with offered(scene.feed(FeedRequest("process"))) as variables:
        assert variables["AWS_PROFILE"] == "process"
        gone = {*KEY, *WEB, "AWS_SESSION_TOKEN", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY", "AWS_SECRET_KEY"}
        assert {name for name in gone if variables[name] is None} == gone
    with offered(scene.feed()) as variables:
        assert variables.keys().isdisjoint({*KEY, *WEB, "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"})
        assert (variables["AWS_PROFILE"], variables["AWS_DEFAULT_PROFILE"]) == ("static", None)
        assert (variables["AWS_SESSION_TOKEN"], variables["AWS_ACCESS_KEY"]) == ("t", None)
    scene.set(AWS_SECURITY_TOKEN="s")
    with offered(scene.feed()) as variables:
        assert (variables["AWS_SESSION_TOKEN"], variables["AWS_SECURITY_TOKEN"]) == ("s", None), "in boto3's order"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"REQUESTS_CA_BUNDLE": "/requests.pem"}, "/requests.pem"),
        ({"REQUESTS_CA_BUNDLE": "/requests.pem", "AWS_PROFILE": "own"}, "/profile.pem"),
        ({"AWS_PROFILE": "own", "AWS_CA_BUNDLE": "/aws.pem"}, "/aws.pem"),
        ({**KEY, "AWS_PROFILE": "own"}, "/profile.pem"),
    ],
)
def test_terraform_trusts_the_certificates_that_boto3_trusts(
    scene: Scene, environ: dict[str, str], expected: str | None
) -> None:
    (scene.directory / "config").write_text("[profile own]\nca_bundle = /profile.pem\n")
    scene.environ.pop("REQUESTS_CA_BUNDLE", None)
    scene.set(**environ)
    with offered(scene.feed()) as variables:
        assert variables.get("AWS_CA_BUNDLE") == expected


def test_every_profile_keeps_its_name_and_its_settings(scene: Scene) -> None:
    (scene.directory / "config").write_text(
        '[default]\nregion = eu-west-1\n[profile "with space"]\nca_bundle = ca.pem\ns3 =\n  addressing_style = path\n'
        "role_arn = arn:aws:iam::123456789012:role/r\nsource_profile = default\nservices = mine\n"
        "[services mine]\nsts =\n  endpoint_url = http://127.0.0.1:1\n"
    )
    (scene.directory / "credentials").write_text("[default]\naws_access_key_id = A\naws_secret_access_key = B\n[x]\n")
    with offered(scene.feed()) as variables:
        found = botocore.session.Session()
        found.set_config_variable("config_file", variables["AWS_CONFIG_FILE"])
        found.set_config_variable("credentials_file", variables["AWS_SHARED_CREDENTIALS_FILE"])
        config = found.full_config
    profiles = config["profiles"].items()
    processes = {name: profile.pop("credential_process").rpartition(" ")[2] for name, profile in profiles}
    assert processes == {"default": "0", "with space": "1", "x": "2"}
    assert config["profiles"] == {
        "default": {"region": "eu-west-1"},
        "with space": {"ca_bundle": f"{Path.cwd()}/ca.pem", "s3": {"addressing_style": "path"}, "services": "mine"},
        "x": {},
    }
    assert config["services"] == {"mine": {"sts": {"endpoint_url": "http://127.0.0.1:1"}}}


def test_what_has_no_credentials_says_why(scene: Scene) -> None:
    scene.set(AWS_PROFILE="process")
    (scene.directory / "process").write_text("#!/bin/sh\necho 'Please log in first' >&2; exit 1\n")
    feed = scene.feed()
    with offered(feed) as variables:
        done = ask(variables)
        assert (done.returncode, done.stdout) == (1, "")
        assert "Please log in first" in done.stderr
        assert isinstance(feed.failure, AwsCredentialsError)
        scene.write_process(3600)
        assert ask(variables).returncode == 0
        assert feed.failure is None, "what was got at the second try is no failure"
        assert ask(variables, "x").returncode == ask(variables, "99").returncode == 1
    with pytest.raises(AssertionError):
        assert ask(variables).returncode == 0, "the run has ended"


def test_the_reason_is_told_where_terraform_fails(scene: Scene) -> None:
    scene.set(AWS_PROFILE="process")
    (scene.directory / "process").write_text("#!/bin/sh\necho 'Please log in first' >&2; exit 1\n")
    with pytest.raises(TerraformError) as caught:
        scene.runner(scene.feed(), "refused").init()
    assert "Please log in first" in caught.value.why


def test_a_helper_whose_run_has_ended_says_so(tmp_path: Path) -> None:
    argv = [sys.executable, "-I", "-S", str(HELPER), str(tmp_path / "s"), "0"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not answer" in done.stderr


def test_credentials_that_become_another_account_s_are_refused(scene: Scene) -> None:
    """A process that is logged in elsewhere by now must not make half of a stack there."""
    scene.service.seconds = 2
    scene.set(AWS_PROFILE="role")
    session = open_session("us-east-1")
    assert caller_identity(session).account_id == "123456789012"
    scene.service.accounts |= {f"ASIAROLE{number:04}": "222222222222" for number in range(2, 99)}
    feed = scene.feed(session=session)
    with pytest.raises(AccountMismatchError, match="222222222222") as caught, feed.offered(acting=True):
        raise AssertionError("Terraform would have been started")
    assert "123456789012" in caught.value.what
    with offered(feed) as variables:
        assert ask(variables).returncode == 1
    assert isinstance(feed.failure, GridbyocError)


def test_a_long_directory_for_temporary_files_is_not_used(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.set(AWS_PROFILE="static")
    long = scene.directory / ("d" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with offered(scene.feed()) as variables:
        assert ask(variables).returncode == 0
    assert not list(long.iterdir())
