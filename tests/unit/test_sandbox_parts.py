"""The sandbox's settings, environment, keys and offers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.errors import UsageError
from gridbyoc.sandbox import SandboxSettings, settings_from_environ
from gridbyoc.sandbox.api.spec import ClusterRecord, ClusterTiming, is_due, phase_at
from gridbyoc.sandbox.running import (
    api_key_for,
    aws_variables,
    cleaned,
    control_plane_variables,
    make_tls_files,
    require_extra,
)
from gridbyoc.sandbox.settings import known_types
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import facts_of


def test_settings_come_from_the_environment() -> None:
    environ = {"GRIDBYOC_SANDBOX_CREATE_SECONDS": "0.5", "GRIDBYOC_SANDBOX_DELETE_SECONDS": "7",
               "GRIDBYOC_SANDBOX_API_KEY": "k"}  # fmt: skip
    assert settings_from_environ(environ) == SandboxSettings(create_seconds=0.5, delete_seconds=7, api_key=Secret("k"))
    assert settings_from_environ({}) == SandboxSettings()


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1e9"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="seconds"):
        settings_from_environ({"GRIDBYOC_SANDBOX_CREATE_SECONDS": text})


def test_the_extra_is_named_where_it_is_missing() -> None:
    with pytest.raises(UsageError) as caught:
        require_extra(("json", "no_such_package_of_ours"))
    assert "no_such_package_of_ours" in caught.value.why
    assert "json" not in caught.value.why
    assert "pip install 'gridbyoc[sandbox]'" in caught.value.fix


def test_nothing_that_leads_elsewhere_is_left_in_the_environment() -> None:
    foreign = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_IAM", "AWS_CA_BUNDLE", "GRID_CLUSTER_ID",
               "LIGHTNING_CLOUD_PROJECT_ID", "MOTO_PORT")  # fmt: skip
    kept = cleaned(dict.fromkeys(foreign, "x") | {"HOME": "/home/ada", "GRIDBYOC_DEBUG": "1", "PATH": "/bin"})
    assert kept == {
        "HOME": "/home/ada",
        "GRIDBYOC_DEBUG": "1",
        "PATH": "/bin",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def test_no_proxy_keeps_what_either_spelling_holds() -> None:
    kept = cleaned({"NO_PROXY": "a.example, b.example", "no_proxy": "b.example,127.0.0.1"})
    assert kept["NO_PROXY"] == kept["no_proxy"] == "a.example,b.example,127.0.0.1,localhost"


def test_the_variables_that_lead_to_the_sandbox(tmp_path: Path) -> None:
    aws = aws_variables("http://127.0.0.1:1", "eu-west-1", tmp_path / "empty")
    assert (aws["AWS_ENDPOINT_URL"], aws["AWS_REGION"], aws["AWS_DEFAULT_REGION"]) == (
        "http://127.0.0.1:1",
        "eu-west-1",
        "eu-west-1",
    )
    plane = control_plane_variables("http://127.0.0.1:2", Secret("k"), None)
    assert plane == {
        "GRID_URL": "http://127.0.0.1:2",
        "GRID_USERNAME": "ada",
        "GRID_USER_ID": "user-ada-0001",
        "GRID_API_KEY": "k",
        "LIGHTNING_CLOUD_URL": "http://127.0.0.1:2",
        "LIGHTNING_USER_ID": "user-ada-0001",
        "LIGHTNING_API_KEY": "k",
    }
    assert control_plane_variables("u", Secret("k"), tmp_path)["REQUESTS_CA_BUNDLE"] == str(tmp_path)


def test_a_key_is_random_unless_it_is_given_or_kept(tmp_path: Path) -> None:
    assert api_key_for(SandboxSettings()) != api_key_for(SandboxSettings())
    assert api_key_for(SandboxSettings(api_key=Secret("k"))) == Secret("k")
    first = api_key_for(SandboxSettings(state_dir=tmp_path))
    assert api_key_for(SandboxSettings(state_dir=tmp_path)) == first
    assert api_key_for(SandboxSettings(state_dir=tmp_path, api_key=Secret("new"))) == Secret("new")
    assert api_key_for(SandboxSettings(state_dir=tmp_path)) == Secret("new")
    assert (tmp_path / "api-key").stat().st_mode & 0o077 == 0


def test_the_tls_key_is_private_and_the_certificate_names_this_machine(tmp_path: Path) -> None:
    from cryptography import x509

    files = make_tls_files(tmp_path)
    assert files.key.stat().st_mode & 0o077 == 0
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_every_default_instance_type_has_a_size_and_two_prices() -> None:
    types = known_types()
    defaults = facts_of("grid").default_instance_types
    assert len(defaults) == len(set(defaults)) == 27
    for name in defaults:
        assert types[name].cpu > 0
        assert 0 < types[name].spot < types[name].on_demand


ORDER = ["QUEUED", "PENDING", "CONFIGURING", "RUNNING"]


@given(st.floats(0, 100), st.lists(st.floats(0, 200), min_size=1, max_size=8))
def test_time_only_moves_a_cluster_forward(create_seconds: float, times: list[float]) -> None:
    timing = ClusterTiming(create_seconds, 1)
    record = ClusterRecord("a", "a", {}, created_at=0, started_at=0, verdict="")
    seen = [ORDER.index(phase_at(record, now, timing)) for now in sorted(times)]
    assert seen == sorted(seen)
    assert phase_at(record, create_seconds, timing) == "RUNNING"


@given(st.floats(0, 100), st.floats(0, 200), st.sampled_from([None, "", "bad"]), st.floats(0, 50))
def test_a_deleted_cluster_ends_deleted_whatever_it_was(
    deleted_at: float, now: float, verdict: str | None, delete_seconds: float
) -> None:
    record = ClusterRecord("a", "a", {}, 0, 0, deleted_at=deleted_at, verdict=verdict)
    timing = ClusterTiming(10, delete_seconds)
    over = now >= deleted_at + delete_seconds
    assert phase_at(record, now, timing) == ("DELETED" if over else "PENDING")
    assert not is_due(record, now, timing)
