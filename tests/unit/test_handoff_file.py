"""The handoff as a file: what was packed is read, and anything else is refused by its own error."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.errors import (
    BundleError,
    HandoffError,
    HandoffExpiredError,
    HandoffKeyError,
    WrongFileKindError,
)
from gridbyoc.operations.bundle.file import BUNDLE
from gridbyoc.operations.handoff.file import HANDOFF, Handoff, open_handoff, pack_handoff
from gridbyoc.operations.handoff.record import fingerprint, is_of, last_handoff, new_salt
from gridbyoc.operations.sealed_file import PAYLOAD_NAME, noun_of
from gridbyoc.show.handoff import HANDOFF_HEADER, HANDOFF_PAGE, HANDOFF_WRITTEN, WrittenHandoff, header_lines
from gridbyoc.show.output import Screen
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import Outputs
from tests.json_outputs import check_document
from tests.unit import test_bundle_file
from tests.unit.test_bundle_file import members, with_header, zipped

CANARY = "canary-5b1d-external-id"
KEY = Secret("a passphrase of some length")
NOON = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
WEEK = timedelta(days=7)
ROLE = "arn:aws:iam::123456789012:role/grid-cloud-1"
MADE = Handoff(
    stack="ml-prod",
    role_arn=ROLE,
    roles={"role": ROLE},
    external_id=Secret(CANARY),
    region="eu-west-1",
    account_id="123456789012",
    control_plane="grid",
    url="https://plane.test",
    vendor="",
    org_id=None,
    by="arn:aws:iam::123456789012:user/ada",
    created=NOON,
    expires=NOON + WEEK,
    trust="scrypt:00:11",
    tool="0.6.0",
)


@cache
def sealed() -> bytes:
    return pack_handoff(MADE, KEY)


def test_what_was_packed_is_read() -> None:
    assert open_handoff(sealed(), KEY, NOON) == MADE
    with_org = replace(MADE, org_id="org-1")
    assert open_handoff(pack_handoff(with_org, KEY), KEY, NOON).org_id == "org-1"


def test_nothing_but_the_ciphertext_holds_the_external_id() -> None:
    header = HANDOFF.read_header(sealed())
    written = WrittenHandoff(MADE, "x.handoff")
    documents = HANDOFF_WRITTEN.document(written, "ml-prod"), HANDOFF_HEADER.document(header, "ml-prod")
    places = [
        *members(sealed()).values(),
        sealed(),
        repr(MADE),
        json.dumps(header),
        "\n".join(header_lines(header)),
        json.dumps(documents),
    ]
    coded = (CANARY, base64.b64encode(CANARY.encode()).decode(), CANARY.encode().hex(), KEY.reveal())
    for place in places:
        data = place if isinstance(place, bytes) else place.encode()
        assert not any(each.encode() in data for each in coded)
    for private in (ROLE, MADE.account_id, MADE.by):
        assert private not in json.dumps(header)


def test_the_documents_are_as_their_schemas_say() -> None:
    check_document(HANDOFF_WRITTEN.document(WrittenHandoff(MADE, "x.handoff"), "ml-prod"))
    check_document(HANDOFF_HEADER.document(HANDOFF.read_header(sealed()), "ml-prod"))


@pytest.mark.parametrize(
    ("passed", "valid"),
    [(WEEK - timedelta(seconds=1), True), (WEEK, False), (WEEK + timedelta(days=400), False), (timedelta(0), True)],
)
def test_it_is_valid_until_its_time_and_not_at_it(passed: timedelta, valid: bool) -> None:
    if valid:
        assert open_handoff(sealed(), KEY, NOON + passed) == MADE
        return
    with pytest.raises(HandoffExpiredError, match="ml-prod expired at 2026-12-07 12:00 UTC") as caught:
        open_handoff(sealed(), KEY, NOON + passed)
    assert caught.value.exit_status == 4
    assert "clusters wait" in caught.value.fix


def test_the_expiry_in_the_header_is_not_believed() -> None:
    """A header that was changed is noticed: it is authenticated along."""
    later = with_header(sealed(), expires="2099-01-01T00:00:00+00:00")
    with pytest.raises(HandoffError, match="changed after it was made"):
        open_handoff(later, KEY, NOON)


def test_each_wrong_key_has_its_words() -> None:
    with pytest.raises(HandoffKeyError, match="not the key of this handoff") as caught:
        open_handoff(sealed(), Secret("another passphrase, as long"), NOON)
    assert "its key" in caught.value.fix
    with pytest.raises(HandoffKeyError, match="there is no key") as caught:
        open_handoff(sealed(), None, NOON)
    assert "GRIDBYOC_HANDOFF_KEY" in caught.value.fix
    assert caught.value.exit_status == 2


def test_the_key_is_its_own_and_has_the_rules_of_a_bundles() -> None:
    assert HANDOFF.key_in({"GRIDBYOC_BUNDLE_KEY": "sixteen letters!"}) is None
    assert HANDOFF.key_in({"GRIDBYOC_HANDOFF_KEY": "sixteen letters!\n"}) == Secret("sixteen letters!")
    with pytest.raises(HandoffKeyError, match="too short") as caught:
        HANDOFF.key_in({"GRIDBYOC_HANDOFF_KEY": "a short one"})
    assert "a short one" not in f"{caught.value.what} {caught.value.why}"


def test_a_key_that_is_not_text_is_refused_as_such() -> None:
    for sealed_format in (HANDOFF, BUNDLE):
        with pytest.raises(sealed_format.key_error, match="not text in UTF-8"):
            sealed_format.key_in({sealed_format.key_variable: "\udcff" + "k" * 32})


def test_a_handoff_in_clear_is_never_taken_with_and_without_a_key() -> None:
    header = HANDOFF.read_header(sealed())
    clear = HANDOFF.pack({name: header[name] for name in header if name != "encryption"}, {"stack": "x"}, None)
    for key in (KEY, None):
        with pytest.raises(HandoffError) as caught:
            open_handoff(clear, key, NOON)
        assert "not encrypted" in caught.value.why


def test_a_plan_bundle_is_no_handoff_and_the_other_way_round() -> None:
    bundle = test_bundle_file.PLAIN
    assert (noun_of(bundle), noun_of(sealed()), noun_of(b"x"), noun_of(zipped())) == ("bundle", "handoff", "", "")
    with pytest.raises(WrongFileKindError, match="not a handoff: it is a bundle") as caught:
        open_handoff(bundle, KEY, NOON)
    assert "gridbyoc apply" in caught.value.why
    with pytest.raises(WrongFileKindError, match="not a bundle: it is a handoff") as caught:
        BUNDLE.unpack(sealed(), KEY)
    assert "register --handoff" in caught.value.why


def test_a_bundle_under_the_names_of_a_handoff_is_refused() -> None:
    """The kind stands in the authenticated header as well."""
    found = members(test_bundle_file.sealed())
    renamed = zipped(("handoff.json", found["bundle.json"]), (PAYLOAD_NAME, found[PAYLOAD_NAME]))
    with pytest.raises(HandoffError) as caught:
        open_handoff(renamed, test_bundle_file.KEY, NOON)
    assert "not that of a handoff" in caught.value.why
    mine = members(sealed())
    other = zipped(("bundle.json", mine["handoff.json"]), (PAYLOAD_NAME, mine[PAYLOAD_NAME]))
    with pytest.raises(BundleError):
        BUNDLE.unpack(other, KEY)


@given(st.integers(0, 10_000))
def test_a_file_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(HandoffError):
        open_handoff(sealed()[: length % len(sealed())], KEY, NOON)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_byte_that_was_changed_is_noticed_or_means_nothing(place: int, by: int) -> None:
    bent = bytearray(sealed())
    bent[place % len(bent)] ^= by
    try:
        found = open_handoff(bytes(bent), KEY, NOON)
    except (HandoffError, HandoffKeyError):
        return
    assert found == MADE


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(HandoffError):
        open_handoff(data, KEY, NOON)
    assert noun_of(data) == ""


@pytest.mark.parametrize("field", ["role_arn", "external_id", "expires", "control_plane", "created"])
def test_a_payload_of_another_shape_is_refused_without_quoting_it(field: str) -> None:
    """By whoever has the key: an older or a newer version, say."""
    plane = {"type": "grid", "url": "x", "vendor": ""}
    header = {"stack": "x", "created": "x", "expires": "x", "tool": "x", "control_plane": plane}
    payload: dict[str, Any] = {
        "stack": "x", "role_arn": ROLE, "roles": {}, "external_id": CANARY, "region": "x", "account_id": "x",
        "control_plane": {**plane, "org_id": None}, "by": "x", "created": NOON.isoformat(),
        "expires": NOON.isoformat(), "trust": "x", "tool": "x",
    }  # fmt: skip
    for wrong in ({CANARY: 1}, CANARY) if field in ("created", "expires") else ({CANARY: 1},):
        with pytest.raises(HandoffError) as caught:
            open_handoff(HANDOFF.pack(header, {**payload, field: wrong}, KEY), KEY, NOON)
        assert f"/{field}" in caught.value.why
        assert CANARY not in f"{caught.value.what} {caught.value.why}"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(HandoffError, match="can be used"):
        open_handoff(pack_handoff(replace(MADE, expires=datetime(2099, 1, 1)), KEY), KEY, NOON)


def test_a_header_cannot_steer_a_terminal() -> None:
    data = pack_handoff(replace(MADE, stack="a\x1b[31m\n::error::x", url="\r"), KEY)
    assert all(line.isprintable() for line in header_lines(HANDOFF.read_header(data)))


def test_a_page_cannot_hold_a_line_or_a_sequence_of_the_handoffs_maker() -> None:
    lines: list[str] = []

    class Page:
        def line(self, text: str = "") -> None:
            lines.append(text)

    page: Screen = Page()  # type: ignore[assignment]  # what the writer calls
    made = replace(MADE, external_id=Secret("id\n  role         arn:other"), url="https://x\x1b[2J\u202e")
    HANDOFF_PAGE.text(made, page)
    text = "\n".join(lines)
    assert len(text.splitlines()) == 6
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_fingerprint_is_of_one_policy_and_cannot_be_looked_up() -> None:
    policy = {"Statement": [{"Condition": {"StringEquals": {"sts:ExternalId": CANARY}}}]}
    one, other = (fingerprint(policy, new_salt()) for _ in range(2))
    assert one.split(":")[2] != other.split(":")[2]
    assert is_of(one, policy)
    assert is_of(one, json.loads(json.dumps(policy)))
    assert not is_of(one, {"Statement": []})
    for broken in ("", "x", "scrypt:zz:11", "scrypt", "None", one[:-1], "scrypt:00:\u00e9"):
        assert not is_of(broken, policy)


TRUSTS = {ROLE: {"Statement": [{"Condition": {"StringEquals": {"sts:ExternalId": CANARY}}}]}}
RECORD = {
    "type": "effect_done",
    "effect": "handoff",
    "time": NOON.isoformat(),
    "how": "file",
    "role": ROLE,
    "trust": fingerprint(TRUSTS, b"salt"),
    "id": fingerprint(CANARY, b"salt"),
    "expires": (NOON + WEEK).isoformat(),
}
SAME = Outputs(ROLE, Secret(CANARY))


@pytest.mark.parametrize(
    ("outputs", "trusts", "admitted", "expected"),
    [
        (SAME, TRUSTS, True, "unchanged"),
        (SAME, {ROLE: {"Statement": []}}, True, "unchanged"),  # who else gets in is not what was handed over
        (SAME, TRUSTS, False, "changed"),
        (SAME, TRUSTS, None, "unchanged"),
        (SAME, {ROLE: {"Statement": []}}, None, "unknown"),
        (SAME, {ROLE: None}, None, "unknown"),
        (SAME, {}, None, "unknown"),
        (None, {}, None, "changed"),
        (Outputs(f"{ROLE}-2", Secret(CANARY)), TRUSTS, True, "changed"),
        (Outputs(ROLE, Secret("another-external-id")), TRUSTS, True, "changed"),
        (Outputs(ROLE, Secret(CANARY), roles={"a": ROLE, "b": f"{ROLE}-2"}), TRUSTS, True, "changed"),
        (Outputs(ROLE, Secret(CANARY), roles={"a": ROLE}), TRUSTS, True, "unchanged"),
    ],
)
def test_whether_what_was_handed_over_still_stands(
    outputs: Outputs | None, trusts: dict[str, Any], admitted: bool | None, expected: str
) -> None:
    found = last_handoff([{**RECORD, "role": "older"}, RECORD], outputs, trusts, admitted=admitted)
    assert found is not None
    assert (found.standing, found.role_arn, found.expired(NOON), found.expired(NOON + WEEK)) == (
        expected, ROLE, False, True,
    )  # fmt: skip


def test_a_handoff_that_was_begun_is_none_and_a_damaged_record_proves_nothing() -> None:
    begun = {**RECORD, "type": "effect_started"}
    assert last_handoff([begun, {**RECORD, "effect": "apply"}], SAME, TRUSTS, admitted=True) is None
    damaged = last_handoff([{**RECORD, "id": None, "expires": "soon"}], SAME, TRUSTS, admitted=True)
    assert damaged is not None
    assert (damaged.standing, damaged.expired(NOON)) == ("changed", True)
