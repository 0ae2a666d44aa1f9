"""botocore's errors in our words: none of them repeats what was set, and nobody is asked anything."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ProfileNotFound,
)
from botocore.loaders import JSONFileLoader, Loader

from gridbyoc.aws import open_session
from gridbyoc.aws.service_models import LazyMembers, SmallModels, read_model
from gridbyoc.aws.session import domain_errors
from gridbyoc.errors import AwsCredentialsError, AwsError

TOKEN = "canary-session-token"


def words_of(error: Exception) -> str:
    """Everything that is shown of it, with ``--debug`` too."""
    with pytest.raises(AwsError) as caught, domain_errors("It did not work"):
        raise error
    shown = "".join(traceback.format_exception(caught.value))
    return f"{caught.value.what} {caught.value.why} {caught.value.fix} {shown}"


@pytest.mark.parametrize(
    "error",
    [
        HTTPClientError(error=ValueError(f"Invalid header value b'{TOKEN}\\n'")),
        ValueError(f"Invalid endpoint: {TOKEN}"),
        FileNotFoundError(2, "No such file", TOKEN),
    ],
)
def test_what_was_set_is_not_repeated(error: Exception) -> None:
    words = words_of(error)
    assert "It did not work" in words
    assert TOKEN not in words


def test_an_address_that_does_not_answer_is_named() -> None:
    assert "http://localhost:9" in words_of(EndpointConnectionError(endpoint_url="http://localhost:9"))


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        ProfileNotFound(profile="nope"),
        CredentialRetrievalError(provider="custom-process", error_msg="it ended with 3"),
    ],
)
def test_missing_credentials_say_so(error: Exception) -> None:
    with pytest.raises(AwsCredentialsError) as caught, domain_errors("It did not work"):
        raise error
    assert "Log in" in caught.value.fix


def test_no_mfa_code_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile base]\naws_access_key_id = a\naws_secret_access_key = b\n"
        "[profile mfa]\nsource_profile = base\nrole_arn = arn:aws:iam::123456789012:role/r\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/me\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))  # botocore reads the process's own environment
    session = open_session("us-east-1", "mfa")
    with pytest.raises(AwsCredentialsError, match="MFA"), domain_errors("It did not work"):
        session.sts().get_caller_identity()


def test_no_variable_is_unset_in_a_sandbox_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next command would use the user's own account."""
    url = "http://127.0.0.1:1"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)  # as above
    fixes = []
    for mark in ("", "/sandbox"):
        monkeypatch.setenv("GRIDBYOC_SANDBOX", mark)
        with pytest.raises(AwsError) as caught, domain_errors("It did not work"):
            raise EndpointConnectionError(endpoint_url=url)
        fixes.append(caught.value.fix)
    assert "unset AWS_ENDPOINT_URL" in fixes[0]
    assert "unset" not in fixes[1]
    assert "leave this shell" in fixes[1]


SERVICES = [
    "autoscaling",
    "dynamodb",
    "ec2",
    "efs",
    "eks",
    "elb",
    "elbv2",
    "iam",
    "logs",
    "s3",
    "service-quotas",
    "sso",
    "sts",
]


@pytest.mark.parametrize("service", SERVICES)
def test_a_model_read_in_part_is_the_whole_one(service: str) -> None:
    def documented(found: dict[str, Any]) -> dict[str, Any]:
        return found | {"documentation": ""} if isinstance(found.get("documentation"), str) else found

    loader = Loader()
    path = Path(loader.BUILTIN_DATA_PATH, service, loader.determine_latest_version(service, "service-2"), "service-2")
    found, whole = SmallModels().load_file(str(path)), JSONFileLoader().load_file(str(path))
    assert list(found) == list(whole)
    for section in whole.keys() - {"documentation"}:
        read = found[section]
        if section in {"operations", "shapes"}:
            assert isinstance(read, LazyMembers)
            read = {name: read[name] for name in read}
        assert json.loads(json.dumps(read), object_hook=documented) == json.loads(
            json.dumps(whole[section]), object_hook=documented
        )


def test_models_of_another_layout_and_of_a_user_are_read_as_a_whole(tmp_path: Path) -> None:
    model = {"operations": {"A": {"documentation": "x"}}, "shapes": {"B": {"type": "string"}}}
    (tmp_path / "service-2.json").write_text(json.dumps(model, indent=1))
    assert SmallModels().load_file(str(tmp_path / "service-2")) == model
    assert SmallModels().load_file(str(tmp_path / "none-2")) is None
    with pytest.raises(ValueError, match="another layout"):
        read_model(b'{\n  "shapes":{\n  "B":{\n    "type":"string"\n  }\n  }\n}\n'.splitlines(keepends=True))


def test_a_session_reads_the_models_in_part() -> None:
    operations = open_session("us-east-1").boto._session.get_service_model("ec2")._service_description["operations"]
    assert isinstance(operations, LazyMembers)
