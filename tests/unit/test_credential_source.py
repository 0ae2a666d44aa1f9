"""Where the credentials come from, when they end, and what helps against missing ones; never the keys themselves."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore import exceptions
from botocore.credentials import CredentialProvider, RefreshableCredentials

from gridbyoc.aws import AwsSession, open_session
from gridbyoc.aws.credential_process import TIMEOUT, BoundedProcess, process_timeout
from gridbyoc.aws.credential_source import CredentialSource, credential_source
from gridbyoc.aws.credential_words import help_for, help_for_code
from gridbyoc.aws.session import domain_errors
from gridbyoc.errors import AwsCredentialsError, UsageError
from gridbyoc.operations.preflight.identity import judged_source

NOW = datetime.now(timezone.utc).replace(microsecond=0)
LATER = NOW + timedelta(hours=1)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIACANARY", "AWS_SECRET_ACCESS_KEY": "canary-secret"}
START_URL = "https://acme.awsapps.com/start"


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore reads the process's own environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def source(home: Path, session: AwsSession | None = None) -> CredentialSource:
    found = credential_source(session or open_session("us-east-1"), os.environ, home)
    assert "canary" not in repr(found).lower()
    return found


def fetched(method: str, expires: datetime, profile: str | None = None) -> AwsSession:
    """A session whose credentials come from a provider that would have to be asked over the network."""

    class Provider(CredentialProvider):  # type: ignore[misc]  # botocore has no types
        METHOD = method
        CANONICAL_NAME = method

        def load(self) -> Any:
            return RefreshableCredentials("ASIACANARY", "canary-secret", "canary-token", expires, dict, method)

    core = botocore.session.Session(profile=profile)
    core.get_component("credential_provider").insert_before("assume-role", Provider())
    return AwsSession(boto3.session.Session(botocore_session=core, region_name="us-east-1"), "us-east-1")


def setenv(monkeypatch: pytest.MonkeyPatch, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_the_environment_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, KEYS)
    assert source(tmp_path) == CredentialSource("environment", None, None, renews=False, temporary=False)


def test_a_profile_that_the_environment_wins_over_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials").write_text("[other]\naws_access_key_id = a\naws_secret_access_key = b\n")
    setenv(monkeypatch, {**KEYS, "AWS_PROFILE": "other"})
    found = source(tmp_path)
    assert (found.kind, found.overridden) == ("environment", "other")
    assert source(tmp_path, open_session("us-east-1", "other")).text == "credentials file, profile other"


@pytest.mark.parametrize(
    "environ, profile, ignored",
    [
        ({"AWS_PROFILE": "one", "AWS_DEFAULT_PROFILE": "two"}, "two", "one"),
        ({"AWS_PROFILE": "two", "AWS_DEFAULT_PROFILE": "two"}, "two", None),
        ({"AWS_DEFAULT_PROFILE": "two"}, "two", None),
        ({"AWS_PROFILE": "one"}, "one", None),
    ],
)
def test_a_variable_that_another_one_wins_over_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], profile: str, ignored: str | None
) -> None:
    keys = "aws_access_key_id = a\naws_secret_access_key = b\n"
    (tmp_path / "credentials").write_text(f"[one]\n{keys}[two]\n{keys}")
    setenv(monkeypatch, environ)
    found = source(tmp_path)
    assert (found.profile, found.ignored) == (profile, ignored)
    assert ("AWS_PROFILE=one" in judged_source(found, NOW).detail) == bool(ignored)


def test_temporary_keys_of_the_environment_end_when_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, {**KEYS, "AWS_SESSION_TOKEN": "canary", "AWS_CREDENTIAL_EXPIRATION": LATER.isoformat()})
    assert source(tmp_path) == CredentialSource("environment", None, LATER, renews=False, temporary=True)


def test_expired_keys_of_the_environment_are_an_error_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = (NOW - timedelta(hours=1)).isoformat()
    setenv(monkeypatch, {**KEYS, "AWS_SESSION_TOKEN": "canary", "AWS_CREDENTIAL_EXPIRATION": over})
    with pytest.raises(AwsCredentialsError, match="no usable") as caught:
        source(tmp_path)
    assert "AWS_CREDENTIAL_EXPIRATION" in caught.value.fix


@pytest.mark.parametrize("file, kind", [("credentials", "credentials file"), ("config", "config file")])
def test_a_profile_of_either_file(tmp_path: Path, file: str, kind: str) -> None:
    header = "[ops]" if file == "credentials" else "[profile ops]"
    (tmp_path / file).write_text(f"{header}\naws_access_key_id = AKIACANARY\naws_secret_access_key = canary\n")
    found = source(tmp_path, open_session("us-east-1", "ops"))
    assert (found.kind, found.profile, found.temporary, found.renews) == (kind, "ops", False, False)


@pytest.mark.parametrize(
    "method, text",
    [
        ("assume-role", "assumed role, profile default"),
        ("assume-role-with-web-identity", "web identity, profile default"),
        ("custom-process", "process, profile default"),
        ("container-role", "container"),
        ("iam-role", "instance metadata"),
        ("login", "console login, profile default"),
        ("something-new", "something-new"),
    ],
)
def test_what_is_fetched_is_renewed(tmp_path: Path, method: str, text: str) -> None:
    found = source(tmp_path, fetched(method, LATER))
    assert (found.text, found.expires, found.renews, found.temporary) == (text, LATER, True, True)


def test_web_identity_of_the_environment_is_of_no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token")})
    assert source(tmp_path, fetched("assume-role-with-web-identity", LATER)).text == "web identity"


def sso_login(home: Path, name: str, **token: str) -> None:
    (home / "config").write_text(f"[profile ops]\nsso_start_url = {START_URL}\nsso_region = us-east-1\n")
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    (cache / f"{hashlib.sha1(name.encode()).hexdigest()}.json").write_text(json.dumps(token))  # noqa: S324 - a file's name


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%SUTC"])
def test_an_sso_login_ends_with_the_later_of_token_and_credentials(tmp_path: Path, form: str) -> None:
    end = NOW + timedelta(hours=8)
    sso_login(tmp_path, START_URL, expiresAt=end.strftime(form))
    found = source(tmp_path, fetched("sso", LATER, "ops"))
    assert (found.text, found.expires, found.renews) == ("SSO, profile ops", end, False)


@pytest.mark.parametrize("token", [{"expiresAt": "2026-01-01T00:00:00Z", "refreshToken": "canary"}, {"expiresAt": "?"}])
def test_an_sso_login_that_renews_itself_or_cannot_be_read(tmp_path: Path, token: dict[str, str]) -> None:
    sso_login(tmp_path, START_URL, **token)
    found = source(tmp_path, fetched("sso", LATER, "ops"))
    assert (found.expires, found.renews) == (LATER, True)


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(AwsCredentialsError, match="no AWS credentials") as caught:
        source(tmp_path)
    assert "aws sso login" in caught.value.fix


@pytest.mark.parametrize(
    "error, command",
    [
        (exceptions.SSOTokenLoadError(error_msg="x"), "`aws sso login`"),
        (exceptions.UnauthorizedSSOTokenError(), "`aws sso login`"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="x"), "`aws sso login`"),
        (exceptions.ProfileNotFound(profile="x"), "`aws configure list-profiles`"),
        (exceptions.PartialCredentialsError(provider="env", cred_var="x"), "secret"),
        (exceptions.NoCredentialsError(), "`aws sso login`"),
        (RuntimeError("the refreshed credentials are still expired."), "AWS_CREDENTIAL_EXPIRATION"),
    ],
)
def test_each_reason_has_its_command(error: Exception, command: str) -> None:
    assert command in help_for(error)
    with pytest.raises(AwsCredentialsError) as caught, domain_errors("It did not work"):
        raise error
    assert caught.value.fix == help_for(error)


def test_other_faults_are_not_taken_for_credentials() -> None:
    with pytest.raises(RuntimeError, match="thread"), domain_errors("It did not work"):
        raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    "code, word", [("ExpiredToken", "over"), ("SignatureDoesNotMatch", "clock"), ("InvalidClientTokenId", "inactive")]
)
def test_each_refusal_has_its_words(code: str, word: str) -> None:
    assert word in help_for_code(code)


class Endless:
    """A process that ends when it is killed, and not before."""

    def __init__(self, command: list[str], **_options: Any) -> None:
        self.command = command
        self.signals: list[str] = []

    def communicate(self, timeout: float) -> tuple[bytes, bytes]:
        raise subprocess.TimeoutExpired(self.command, timeout)

    def wait(self, timeout: float) -> int:
        raise subprocess.TimeoutExpired(self.command, timeout)

    def terminate(self) -> None:
        self.signals.append("terminate")

    def kill(self) -> None:
        self.signals.append("kill")


def test_a_process_that_does_not_end_is_stopped_and_not_waited_for_again() -> None:
    made: list[Endless] = []

    def popen(*args: Any, **options: Any) -> Endless:
        made.append(Endless(*args, **options))
        return made[-1]

    start = BoundedProcess(55, lambda: AwsCredentialsError("slow"), popen)
    for _ in range(2):
        with pytest.raises(AwsCredentialsError, match="slow"):
            start(["helper"]).communicate()
    assert [(process.command, process.signals) for process in made] == [(["helper"], ["terminate", "kill"])]


def test_the_end_of_the_wait_may_be_set() -> None:
    assert process_timeout({}) == process_timeout({TIMEOUT: ""}) == 55
    assert process_timeout({TIMEOUT: "300"}) == 300
    for text in ("soon", "0", "-1", "inf", "nan"):
        with pytest.raises(UsageError, match=f"{TIMEOUT}={text} is not a number of seconds"):
            process_timeout({TIMEOUT: text})


def test_what_fetches_credentials_for_botocore_waits_no_longer_than_our_own_clients() -> None:
    core = open_session("us-east-1").core
    assert core is not None
    config = core.get_default_client_config()
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (5, 20, 4)
