"""What `plan --out` and `bundle show` ask for before anything is done."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from gridbyoc.cli.app import App
from gridbyoc.cli.bundle import key_for, read_file
from gridbyoc.errors import BundleKeyError, FileError, UsageError
from gridbyoc.operations.bundle.file import BUNDLE
from gridbyoc.operations.bundle.make import check_bundleable, environment_digest
from gridbyoc.show.bundle import bundle_json, bundle_lines
from gridbyoc.stack.load import load
from gridbyoc.stack.secret import Secret
from tests.unit.fakes import stack
from tests.unit.test_bundle_file import HEADER, KEY, PAYLOAD, PLAIN, sealed


def app_with(**environ: str) -> App:
    return App(environ, Path("/"), Path("/"), io.StringIO(), io.StringIO(), io.StringIO())


def test_a_bundle_needs_a_key_or_a_word_that_it_shall_have_none() -> None:
    secret = "a key of some length"
    assert key_for(app_with(GRIDBYOC_BUNDLE_KEY=secret), unencrypted=False) == Secret(secret)
    for environ in ({}, {"CI": "true", "GITHUB_ACTIONS": "true"}):
        with pytest.raises(BundleKeyError, match="no key") as caught:
            key_for(app_with(**environ), unencrypted=False)
        assert "--unencrypted" in caught.value.fix
    with pytest.raises(BundleKeyError, match="--unencrypted was given"):
        key_for(app_with(GRIDBYOC_BUNDLE_KEY=secret), unencrypted=True)
    app = app_with()
    assert key_for(app, unencrypted=True) is None
    assert "NOT encrypted" in app.stderr.getvalue()  # type: ignore[attr-defined]  # a StringIO


def test_a_stack_from_standard_input_makes_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="standard input"):
        check_bundleable(stack(), tmp_path / "x.bundle")


def test_a_bundle_takes_no_stack_file_s_place(tmp_path: Path) -> None:
    """`plan --out gridbyoc.yaml`, meant as a flag and the stack file."""
    file = tmp_path / "gridbyoc.yaml"
    file.write_text(
        "version: 1\nname: x\naws: {region: us-east-1}\nclusters: [{name: x, instance_types: [t2.medium]}]\n"
    )
    (tmp_path / "link").symlink_to(file)
    for out in (file, tmp_path / "link", tmp_path / "." / "gridbyoc.yaml"):
        with pytest.raises(UsageError, match="would replace"):
            check_bundleable(load(str(file), environ={}), out)
    check_bundleable(load(str(file), environ={}), tmp_path / "x.bundle")


@pytest.mark.parametrize("name", ["nothing", ".", "x\0y"])
def test_a_bundle_that_cannot_be_read_is_said_so(name: str) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        read_file(app_with(), name)


@pytest.mark.parametrize("key,word", [(KEY, "AES-256-GCM"), (None, "no: it holds secrets in plain text")])
def test_a_header_is_shown(key: Secret | None, word: str) -> None:
    header = BUNDLE.read_header(sealed() if key else PLAIN)
    text = "\n".join(bundle_lines(header))
    assert f"encrypted  {word}" in text
    assert "1 to add, 0 to change, 0 to destroy" in text
    found = bundle_json(header)
    assert found["encrypted"] is (key is not None)
    assert "encryption" not in found


def test_a_header_cannot_steer_a_terminal_or_a_job() -> None:
    hostile = {**HEADER, "stack": "a\x1b[31m\n::error::x", "tool": "\r"}
    lines = bundle_lines(BUNDLE.read_header(BUNDLE.pack(hostile, PAYLOAD, None)))
    assert all(line.isprintable() for line in lines)


def test_a_bundle_needs_a_place_before_anything_is_planned(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "x.bundle", tmp_path):
        with pytest.raises(FileError, match="directory"):
            check_bundleable(stack(), path)


def test_default_tags_and_endpoints_of_the_environment_are_part_of_a_plan() -> None:
    """Terraform's AWS provider takes them from the environment of the apply, whatever the saved plan shows."""
    there = {"AWS_REGION": "x", "AWS_SECRET_ACCESS_KEY": "y", "PATH": "z"}
    assert environment_digest(there) == environment_digest({})
    for name in ("TF_AWS_DEFAULT_TAGS_team", "AWS_S3_ENDPOINT", "AWS_IAM_ENDPOINT"):
        assert environment_digest({**there, name: "a"}) != environment_digest(there)
        assert environment_digest({name: "a"}) != environment_digest({name: "b"})
