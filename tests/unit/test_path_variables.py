"""Variables that name files mean the same file for boto3 and for Terraform, which runs in another directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridbyoc.cli.main import FILES, LISTS, absolute_paths

HERE = Path("/here")
HOME = {"HOME": "/home/ada", "PLACE": "there"}


@pytest.mark.parametrize(
    ("given", "absolute"),
    [
        ("file", "/here/file"),
        ("../file", "/here/../file"),
        ("~", "/home/ada"),
        ("~/file", "/home/ada/file"),
        ("$HOME/file", "/home/ada/file"),
        ("${PLACE}/file", "/here/there/file"),
        ("$NOWHERE/file", "/here/$NOWHERE/file"),
        ("~nobody-of-that-name/file", "/here/~nobody-of-that-name/file"),
    ],
)
def test_a_path_is_expanded_and_starts_at_the_callers_directory(given: str, absolute: str) -> None:
    for name in (*FILES, *LISTS):
        assert absolute_paths({**HOME, name: given}, HERE) == {name: absolute}


@pytest.mark.parametrize("given", ["", "/etc/file", "/etc/../file/"])
def test_what_needs_no_change_stays(given: str) -> None:
    for name in (*FILES, *LISTS):
        assert absolute_paths({**HOME, name: given}, HERE) == {}, name


def test_each_directory_of_a_list_is_a_path() -> None:
    environ = {**HOME, "SSL_CERT_DIR": "certs:/etc/ssl:~/own:", "SSL_CERT_FILE": "a:b"}
    assert absolute_paths(environ, HERE) == {
        "SSL_CERT_DIR": "/here/certs:/etc/ssl:/home/ada/own:",
        "SSL_CERT_FILE": "/here/a:b",
    }


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_that_very_name_is_meant_unless_boto3_expands_it(name: str, tmp_path: Path) -> None:
    (tmp_path / "~").mkdir()
    (tmp_path / "~" / "file").write_text("")
    expanded = name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    meant = "/home/ada/file" if expanded else f"{tmp_path}/~/file"
    assert absolute_paths({**HOME, name: "~/file"}, tmp_path) == {name: meant}


def test_other_variables_are_not_paths() -> None:
    assert absolute_paths({**HOME, "AWS_PROFILE": "~", "AWS_REGION": "x", "PATH": "bin"}, HERE) == {}
