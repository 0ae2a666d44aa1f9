"""A bundle as a file: whole or refused in words, whoever made it."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.errors import BundleError, BundleKeyError
from gridbyoc.operations.bundle.file import BUNDLE
from gridbyoc.operations.bundle.make import read_bundle
from gridbyoc.operations.sealed_file import LARGEST_HEADER, PAYLOAD_NAME
from gridbyoc.stack.secret import Secret

HEADER_NAME, KEY_VARIABLE = BUNDLE.header_name, BUNDLE.key_variable
CANARY = "canary-5b1d-external-id"
KEY = Secret("a passphrase of some length")
DIGEST = "0" * 64
HEADER: dict[str, Any] = {
    "stack": "demo",
    "created": "2026-11-25T12:00:00+00:00",
    "tool": "0.1.0",
    "terraform": {"flavour": "terraform", "version": "1.11.4"},
    "digests": {"stack_files": {"gridbyoc.yaml": DIGEST}, "module": DIGEST, "lock_file": ""},
    "summary": {
        "has_changes": True,
        "terraform": {"add": 1, "change": 0, "destroy": 0},
        "clusters": {"create": 1, "update": 0, "delete": 0},
        "destroys": [],
    },
}
PAYLOAD: dict[str, Any] = {
    "plan": base64.b64encode(CANARY.encode()).decode(),
    "lock_file": None,
    "overrides": ["aws.region=eu-west-1"],
    "root": DIGEST,
    "environment": DIGEST,
    "run": "0123456789ab",
    "against": {
        "account_id": "123456789012",
        "region": "us-east-1",
        "control_plane": "http://127.0.0.1",
        "state": {"place": "local", "lineage": CANARY, "serial": 3},
        "clusters": [{"id": "id-a", "name": "a", "spec": DIGEST}],
    },
    "terraform": {
        "add": 1, "change": 0, "destroy": 0, "has_changes": True, "outputs": ["role_arn"],
        "changes": [{"address": "aws_iam_role.this", "action": "create", "reason": ""}],
    },
    "changes": [
        {"action": "update", "name": "a", "cluster": "id-a",
         "fields": [{"field": "instance_types[t2.medium]", "before": "(absent)", "after": "offered"}]}
    ],
}  # fmt: skip
PLAIN = BUNDLE.pack(HEADER, PAYLOAD, None)


@cache
def sealed() -> bytes:
    """The same, encrypted."""
    return BUNDLE.pack(HEADER, PAYLOAD, KEY)


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(*parts: tuple[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, content in parts:
            archive.writestr(name, content)
    return stream.getvalue()


def with_header(data: bytes, **fields: Any) -> bytes:
    """The same file, with other words in its header."""
    (name, head), payload = members(data).items()
    return zipped((name, json.dumps(json.loads(head) | fields).encode()), payload)


@pytest.mark.parametrize("pack_it,key", [(lambda: PLAIN, None), (sealed, KEY)], ids=["plain", "sealed"])
def test_what_was_packed_is_read(pack_it: Callable[[], bytes], key: Secret | None) -> None:
    data = pack_it()
    header, payload = BUNDLE.unpack(data, key)
    assert {name: header[name] for name in HEADER} == HEADER
    assert payload == PAYLOAD
    bundle = read_bundle(data, key)
    assert bundle.plan == CANARY.encode()
    assert (bundle.basis.state.serial, bundle.basis.clusters[0].name) == (3, "a")
    assert bundle.changes[0].fields[0].after == "offered"
    assert bundle.terraform.changes[0].address == "aws_iam_role.this"
    assert "plan=" not in repr(bundle)
    assert "aws.region" not in repr(bundle)


def test_the_header_alone_needs_no_key() -> None:
    assert BUNDLE.read_header(sealed())["stack"] == "demo"
    assert BUNDLE.read_header(PLAIN)["encryption"] is None


def test_an_encrypted_bundle_holds_nothing_in_clear() -> None:
    for text in (CANARY, PAYLOAD["plan"], "123456789012", "id-a", KEY.reveal()):
        assert text.encode() not in sealed()
    assert BUNDLE.pack(HEADER, PAYLOAD, KEY) != sealed()  # a salt and a nonce of its own each time


def test_another_key_and_no_key_are_told_apart_from_tampering() -> None:
    with pytest.raises(BundleKeyError, match="not the key of this bundle"):
        BUNDLE.unpack(sealed(), Secret("another passphrase, as long"))
    with pytest.raises(BundleKeyError, match="there is no key"):
        BUNDLE.unpack(sealed(), None)


def test_a_payload_that_was_changed_is_refused() -> None:
    for data, key in ((sealed(), KEY), (PLAIN, None)):
        found = members(data)
        for content in (
            b"",
            found[PAYLOAD_NAME][:-1],
            found[PAYLOAD_NAME][:-1] + bytes([found[PAYLOAD_NAME][-1] ^ 1]),
            bytes([found[PAYLOAD_NAME][0] ^ 1]) + found[PAYLOAD_NAME][1:],
        ):
            with pytest.raises(BundleError):
                BUNDLE.unpack(zipped((HEADER_NAME, found[HEADER_NAME]), (PAYLOAD_NAME, content)), key)


def test_another_plan_under_the_same_header_is_refused() -> None:
    """Without a key, the header's digest is what ties the two: a copy that went wrong is noticed."""
    other = members(BUNDLE.pack(HEADER, {**PAYLOAD, "plan": base64.b64encode(b"another").decode()}, None))
    with pytest.raises(BundleError, match="is not a bundle that can be used") as caught:
        BUNDLE.unpack(zipped((HEADER_NAME, HEAD), (PAYLOAD_NAME, other[PAYLOAD_NAME])), None)
    assert "does not match its header" in caught.value.why


def test_a_member_that_is_compressed_is_refused_however_small() -> None:
    """Beside a header that is as long as what the other member unpacks to."""
    long = json.dumps(json.loads(HEAD) | {"padding": "x" * 2 * len(BODY)}).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(HEADER_NAME, long)
        archive.writestr(PAYLOAD_NAME, BODY, zipfile.ZIP_DEFLATED)
    with pytest.raises(BundleError) as caught:
        BUNDLE.unpack(stream.getvalue(), None)
    assert "compressed" in caught.value.why


def test_a_header_that_was_changed_is_refused() -> None:
    with pytest.raises(BundleError, match="changed after it was made"):
        BUNDLE.unpack(with_header(sealed(), stack="other"), KEY)


@pytest.mark.parametrize(
    "field,value,what",
    [("n", 2**30, "does not know"), ("cipher", "none", "does not know"), ("kdf", "md5", "does not know"),
     ("r", 1, "does not know"), ("salt", "x", "header is damaged"), ("nonce", 1, "header is damaged")],
)  # fmt: skip
def test_other_parameters_of_the_encryption_are_refused_before_they_are_used(
    field: str, value: object, what: str
) -> None:
    lock = {**BUNDLE.read_header(sealed())["encryption"], field: value}
    with pytest.raises(BundleError, match=what):
        BUNDLE.unpack(with_header(sealed(), encryption=lock), KEY)


def test_a_bundle_in_clear_cannot_take_the_place_of_an_encrypted_one() -> None:
    with pytest.raises(BundleKeyError, match="not encrypted"):
        BUNDLE.unpack(PLAIN, KEY)
    with pytest.raises(BundleError):
        BUNDLE.unpack(with_header(sealed(), encryption=None), None)


@given(st.integers(0, len(PLAIN) - 1))
def test_a_file_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(BundleError):
        BUNDLE.unpack(PLAIN[:length], None)


@given(st.integers(0, len(PLAIN) - 1), st.integers(1, 255))
def test_a_byte_that_was_changed_is_noticed_or_means_nothing(place: int, by: int) -> None:
    bent = bytearray(PLAIN)
    bent[place] ^= by
    try:
        header, payload = BUNDLE.unpack(bytes(bent), None)
    except BundleError:
        return
    assert payload == PAYLOAD
    assert {name: header[name] for name in HEADER} == HEADER


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(BundleError):
        BUNDLE.read_header(data)


HEAD, BODY = members(PLAIN)[HEADER_NAME], members(PLAIN)[PAYLOAD_NAME]
HOSTILE = {
    "a member that climbs": zipped((HEADER_NAME, HEAD), (PAYLOAD_NAME, BODY), ("../../etc/cron.d/x", b"x")),
    "another name": zipped(("/bundle.json", HEAD), (PAYLOAD_NAME, BODY)),
    "one member": zipped((HEADER_NAME, HEAD)),
    "no member": zipped(),
    "the other order": zipped((PAYLOAD_NAME, BODY), (HEADER_NAME, HEAD)),
    "a bomb": zipped((HEADER_NAME, HEAD), (PAYLOAD_NAME, b"\0" * 20_000_000), how=zipfile.ZIP_DEFLATED),
    "a large header": zipped((HEADER_NAME, b" " * (LARGEST_HEADER + 1)), (PAYLOAD_NAME, BODY)),
    "a header that is a list": zipped((HEADER_NAME, b"[]"), (PAYLOAD_NAME, BODY)),
    "a header that nests": zipped((HEADER_NAME, b"[" * 100_000), (PAYLOAD_NAME, BODY)),
    "a header that is no text": zipped((HEADER_NAME, b"\xff\xfe"), (PAYLOAD_NAME, BODY)),
    "a header of another kind": with_header(PLAIN, kind="other"),
    "a header without digests": with_header(PLAIN, digests={}),
    "a count that is text": with_header(PLAIN, summary={**HEADER["summary"], "terraform": {"add": "1"}}),
    "a count below none": with_header(
        PLAIN, summary={**HEADER["summary"], "terraform": {"add": -1, "change": 0, "destroy": 0}}
    ),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError) as caught:
        BUNDLE.unpack(data, None)
    assert caught.value.why


def test_a_bomb_that_says_it_is_small_is_not_opened() -> None:
    large = zipped((HEADER_NAME, HEAD), (PAYLOAD_NAME, b"x" * 50))
    bent = large.replace((50).to_bytes(4, "little"), (2**31).to_bytes(4, "little"))
    assert bent != large
    with pytest.raises(BundleError):
        BUNDLE.unpack(bent, None)


def test_another_format_names_both_versions() -> None:
    with pytest.raises(BundleError, match="format 2; this version of gridbyoc reads 1"):
        BUNDLE.read_header(with_header(PLAIN, format=2))


@pytest.mark.parametrize("field", PAYLOAD)
def test_a_payload_of_another_shape_is_refused_without_quoting_it(field: str) -> None:
    bent = {**PAYLOAD, field: {CANARY: 1} if field != "against" else CANARY}
    with pytest.raises(BundleError) as caught:
        BUNDLE.unpack(BUNDLE.pack(HEADER, bent, None), None)
    assert f"/{field}" in caught.value.why
    assert CANARY not in str(caught.value.why)


def test_a_plan_that_is_no_base64_is_refused() -> None:
    with pytest.raises(BundleError, match="saved plan"):
        read_bundle(BUNDLE.pack(HEADER, {**PAYLOAD, "plan": "!!"}, None), None)


def test_the_key_comes_from_the_environment() -> None:
    assert BUNDLE.key_in({}) is None
    assert BUNDLE.key_in({KEY_VARIABLE: "  \n"}) is None
    assert BUNDLE.key_in({KEY_VARIABLE: "sixteen letters!\n"}) == Secret("sixteen letters!")
    with pytest.raises(BundleKeyError, match="too short") as caught:
        BUNDLE.key_in({KEY_VARIABLE: "a short one"})
    assert "a short one" not in caught.value.why + caught.value.what
