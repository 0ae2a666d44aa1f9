"""Reading a state document, a lock's note, and the backend that a work_dir records."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.errors import TerraformError
from gridbyoc.terraform import (
    Backend,
    LockInfo,
    State,
    earlier_backends,
    forget_record,
    local_lock,
    locally_held,
    parse_lock,
    place_words,
    recorded_backend,
    remember,
    same_place,
)
from gridbyoc.terraform.backend_history import local_state

S3 = Backend("s3", {"bucket": "b", "key": "k", "region": "r"})


def resource(name: str = "a", **more: Any) -> dict[str, Any]:
    instance = {"attributes": {"id": name}} | more.pop("instance", {})
    return {"mode": "managed", "type": "x", "name": name, "instances": [instance], **more}


def document(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": 4, "serial": 3, "lineage": "L", "outputs": {}, "resources": list(resources), **more}


def test_addresses_are_terraforms_own() -> None:
    found = State(
        document(
            resource(),
            resource("b", module="module.m"),
            resource("c", mode="data"),
            resource("d", instance={"index_key": "k"}),
            resource("e", instance={"index_key": 0}),
        )
    )
    assert found.addresses == {"x.a", "module.m.x.b", "data.x.c", 'x.d["k"]', "x.e[0]"}
    assert (found.lineage, found.serial, found.empty) == ("L", 3, False)


@pytest.mark.parametrize("odd", [{}, {"resources": None, "outputs": None}, {"resources": [3], "serial": "x"}])
def test_a_state_that_is_not_there_or_says_nothing_is_empty(odd: dict[str, Any]) -> None:
    assert State(odd).empty
    assert State(odd).serial == 0


def test_a_state_with_outputs_alone_is_one() -> None:
    assert not State(document(outputs={"o": {"value": 1}})).empty
    assert not State(document(resource())).empty


def test_content_is_attributes_and_outputs_and_nothing_else() -> None:
    one = State(document(resource()))
    assert one.same_content(State(document(resource(), serial=9, lineage="M", terraform_version="1.12.0")))
    assert not one.same_content(State(document(resource(instance={"attributes": {"id": "other"}}))))
    assert not one.same_content(State(document(resource(), outputs={"o": {"value": 1}})))
    assert not one.same_content(State(document(resource(), resource("b"))))


@given(st.lists(st.text(), unique=True), st.integers(0))
def test_the_order_of_resources_does_not_matter(names: list[str], serial: int) -> None:
    resources = [resource(name) for name in names]
    forward, backward = document(*resources), document(*reversed(resources), serial=serial)
    assert State(forward).same_content(State(backward))


def test_a_state_is_never_pushed_without_a_lineage() -> None:
    assert len(State({"resources": []}).whole().lineage) == 36
    assert State(document(resource())).whole().seed().document == document(serial=0) | {"terraform_version": "1.5.0"}


@given(st.datetimes(timezones=st.just(timezone.utc)), st.integers(0, 999))
def test_a_lock_is_read_whatever_its_fraction_of_a_second(when: datetime, nanoseconds: int) -> None:
    digits = f"{when.microsecond:06}{nanoseconds:03}".rstrip("0")
    text = f"{when:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + (f".{digits}" if digits else "") + "Z"
    info = parse_lock(json.dumps({"ID": "i", "Who": "ada@box", "Operation": "OperationTypeApply", "Created": text}))
    assert info is not None
    assert info.created is not None
    assert abs(info.created - when) < timedelta(microseconds=1)
    assert info.host == "box"
    assert "ada@box, apply, since " in str(info)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", b"\xff"])
def test_what_is_no_lock_is_none(text: str | bytes) -> None:
    assert parse_lock(text) is None


def test_a_lock_that_says_little_is_still_told() -> None:
    info = parse_lock("{}")
    assert info == LockInfo("")
    assert str(info) == "somebody, an operation, lock (without an id)"
    created = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert parse_lock('{"Created": "2026-01-02T03:04:05"}') == LockInfo("", created=created)


def test_the_kernel_says_whether_a_local_lock_is_held(tmp_path: Path) -> None:
    file = tmp_path / "terraform.tfstate"
    assert not locally_held(file)
    assert local_lock(file) is None
    file.touch()
    (tmp_path / ".terraform.tfstate.lock.info").write_text('{"ID": "i"}')
    assert local_lock(file) == LockInfo("i")
    holding = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert locally_held(file)
        other.kill()
    assert not locally_held(file)
    with file.open("r+b") as stream:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def record(work_dir: Path, backend: Backend) -> None:
    (work_dir / ".terraform").mkdir(exist_ok=True)
    note = {"backend": {"type": backend.type, "config": {**backend.config, "profile": None}}}
    (work_dir / ".terraform" / "terraform.tfstate").write_text(json.dumps(note))


def test_places_are_told_by_terraform_then_by_us_then_by_a_file(tmp_path: Path) -> None:
    assert earlier_backends(tmp_path) == ()
    assert recorded_backend(tmp_path) is None
    (tmp_path / "terraform.tfstate").write_text(json.dumps(document()))
    assert earlier_backends(tmp_path) == ()
    (tmp_path / "terraform.tfstate").write_text(json.dumps(document(resource())))
    assert earlier_backends(tmp_path) == (Backend(),)
    remember(tmp_path, S3)
    assert earlier_backends(tmp_path) == (S3, Backend())
    record(tmp_path, Backend())
    assert earlier_backends(tmp_path) == (Backend(), S3, Backend())
    assert recorded_backend(tmp_path) == Backend()
    forget_record(tmp_path)
    assert earlier_backends(tmp_path) == (S3, Backend())


def test_a_file_that_cannot_be_read_may_still_be_a_state(tmp_path: Path) -> None:
    (tmp_path / "terraform.tfstate").write_text("{ cut off")
    assert earlier_backends(tmp_path) == (Backend(),)
    with pytest.raises(TerraformError, match="not a readable state"):
        local_state(tmp_path, Backend())
    (tmp_path / "terraform.tfstate").write_text("")
    assert earlier_backends(tmp_path) == ()
    assert local_state(tmp_path, Backend()) == {}


def test_settings_do_not_make_another_place(tmp_path: Path) -> None:
    assert same_place(S3, Backend("s3", {**S3.config, "use_lockfile": True}))
    assert not same_place(S3, Backend("s3", {**S3.config, "key": "other"}))
    assert not same_place(S3, Backend("s3", {**S3.config, "bucket": "other"}))
    assert not same_place(S3, Backend())
    assert same_place(Backend("http", {"address": "a"}), Backend("http", {"address": "a"}))
    assert not same_place(Backend("http", {"address": "a"}), Backend("http", {"address": "b"}))
    assert place_words(S3, tmp_path) == "s3://b/k"
    assert place_words(Backend(), tmp_path) == str(tmp_path / "terraform.tfstate")
    assert place_words(Backend("http"), tmp_path) == "the http backend"
