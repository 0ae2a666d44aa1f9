"""The failure cards: real texts and the card each is about, what the fix says, and what must never be lost or said."""

from __future__ import annotations

import json
import string

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc import errors
from gridbyoc.aws.session import domain_errors
from gridbyoc.control_plane.failures import HttpAnswer, RequestContext, error_for, not_the_api
from gridbyoc.errors import AwsError, ExitStatus, GridbyocError, StateLockedError
from gridbyoc.errors.cards import (
    CARDS,
    UNSAID,
    card_for,
    card_for_answer,
    card_for_aws,
    card_for_reason,
    with_known_failure,
)
from gridbyoc.operations.preflight.catalogue import KINDS
from gridbyoc.stack.redaction import Redactor, without_secrets
from gridbyoc.terraform import Diagnostic
from gridbyoc.terraform.failures import failed
from tests.unit.failure_texts import ANSWERS, REASONS, TEXTS, UNKNOWN
from tests.unit.test_terraform_failures import failure

ROLE_ADDRESS = "module.gridbyoc.aws_iam_role.this"


def test_a_real_text_leads_to_its_card() -> None:
    for code, text, facts in TEXTS:
        card = card_for(text)
        assert card is not None, text
        assert card.code == code, text
        said = f"{card.cause} {card.fix}"
        assert [fact for fact in facts if fact not in said] == [], text
        assert "{" not in said, text


@pytest.mark.parametrize("code, status, words, is_api", ANSWERS)
def test_an_answer_of_the_control_plane_leads_to_its_card(code: str, status: int, words: str, is_api: bool) -> None:
    card = card_for_answer(status, words, is_api=is_api)
    assert card is not None
    assert card.code == code


@pytest.mark.parametrize("code, reason", REASONS)
def test_the_reason_of_a_failed_cluster_leads_to_its_card(code: str, reason: str) -> None:
    card = card_for_reason(reason)
    assert card is not None
    assert card.code == code


def test_every_card_is_met_by_a_text() -> None:
    met = {code for code, *_ in (*TEXTS, *ANSWERS, *REASONS)}
    assert {card.code for card in CARDS} - met == set()


def test_codes_are_unique_over_errors_cards_and_kinds() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GridbyocError)]
    codes = [*(kind.code for kind in kinds), *(card.code for card in CARDS), *(kind.code for kind in KINDS)]
    assert [code for code in set(codes) if codes.count(code) > 1] == []
    assert all(len(card.code) == 8 and card.code.startswith(("GBY-A1", "GBY-C1", "GBY-T1")) for card in CARDS)


def test_a_card_is_whole() -> None:
    for card in CARDS:
        fields = {name for _, name, _, _ in string.Formatter().parse(card.title + card.cause + card.fix) if name}
        assert fields <= set(UNSAID), card
        assert card.cause.endswith((".", "?")), card
        assert card.fix.endswith((".", "?")), card
        assert "re-run is safe" in card.rerun, card
        assert card.patterns, card


def test_a_policy_that_aws_does_not_name_leaves_no_gap() -> None:
    found = card_for(
        "User: arn:aws:iam::1:user/a is not authorized to perform: iam:CreateRole on resource: x "
        "because no service control policy allows the iam:CreateRole action"
    )
    assert found is not None
    assert "POLICY_ARN" not in found.fix


@pytest.mark.parametrize("text", UNKNOWN)
def test_an_unknown_failure_passes_through_whole(text: str) -> None:
    assert card_for(text) is None
    error = failed(failure(errors=(Diagnostic("error", text, "and more"),)))
    assert error.code == "GBY-T001"
    assert error.diagnostics == (f"Error: {text}\nand more",)


def test_the_wrapped_text_for_people_is_read_too() -> None:
    text = "│ Error: Failed to install provider\n│ \n│ Error while installing hashicorp/aws v5.1.0: the local package\n"
    text += "│ doesn't match\n│ any of the checksums previously recorded in the\n│ dependency lock file\n╵"
    card = card_for(text)
    assert card is not None
    assert card.code == "GBY-T104"


def test_a_role_that_exists_is_imported_by_the_very_command() -> None:
    detail = (
        "operation error IAM: CreateRole, https response error StatusCode: 409, RequestID: r, "
        "EntityAlreadyExists: Role with name grid-ml already exists."
    )
    error = failed(failure(errors=(Diagnostic("error", "creating IAM Role (grid-ml): " + detail, "", ROLE_ADDRESS),)))
    assert error.code == "GBY-A120"
    assert f"`terraform -chdir=/w import {ROLE_ADDRESS} grid-ml`" in error.fix
    assert "role.name" in error.fix
    assert "grid-ml" in error.why
    assert error.exit_status is ExitStatus.FAILED


def test_a_policy_that_exists_is_imported_by_its_arn() -> None:
    text = "creating IAM Policy (grid-ml): EntityAlreadyExists: A policy called grid-ml already exists."
    error = failed(failure(errors=(Diagnostic("error", text),)))
    assert "import 'module.gridbyoc.aws_iam_policy.this[0]' POLICY_ARN" in error.fix
    assert "list-policies" in error.fix


def test_each_failure_of_a_run_says_what_to_do() -> None:
    denied = "api error AccessDenied: User: arn:aws:iam::1:user/a is not authorized to perform: {0} on resource: * "
    denied += "because no identity-based policy allows the {0} action"
    names = ("iam:CreateRole", "iam:CreatePolicy")
    found = failed(failure(errors=tuple(Diagnostic("error", denied.format(name)) for name in names)))
    assert all(name in found.fix and name in found.why for name in names)
    assert found.code == "GBY-A118"
    assert len(found.diagnostics) == 2
    assert "continues" in found.rerun
    assert "until this is fixed" in found.rerun


def test_the_profile_of_the_run_stands_in_the_command() -> None:
    error = Diagnostic("error", "No valid credential sources found", "the SSO session has expired or is invalid")
    assert "`aws sso login --profile team-a`" in failed(failure(errors=(error,), profile="team-a")).fix


def test_a_held_lock_has_the_card_of_its_kind_and_keeps_its_words() -> None:
    detail = "Error message: operation error S3: PutObject, https response error StatusCode: 412, RequestID: , "
    detail += (
        "api error PreconditionFailed: At least one of the pre-conditions you specified did not hold\nLock Info:\n"
    )
    detail += "  ID:        d00e686f\n  Who:       ada@host\n"
    error = failed(failure(errors=(Diagnostic("error", "Error acquiring the state lock", detail),), remote_state=True))
    assert isinstance(error, StateLockedError)
    assert (error.code, error.exit_status, error.lock_id) == ("GBY-T120", ExitStatus.LOCKED, "d00e686f")
    assert "force-unlock d00e686f" in error.fix
    assert error.diagnostics == (f"Error: Error acquiring the state lock\n{detail}",)


def test_a_lock_that_may_not_be_written_is_no_other_run() -> None:
    detail = "Error message: operation error S3: PutObject, https response error StatusCode: 403, RequestID: r, "
    detail += "api error AccessDenied: Access Denied"
    error = failed(failure(errors=(Diagnostic("error", "Error acquiring the state lock", detail),), remote_state=True))
    assert isinstance(error, StateLockedError)
    assert error.code == "GBY-A119"
    assert "could not be taken" in error.what
    assert "Allow s3:PutObject" in error.fix
    assert "other run" not in error.what + error.fix


@pytest.mark.parametrize("verb, code", [("apply", "GBY-T110"), ("plan", "GBY-T110")])
def test_a_kill_for_want_of_memory_has_a_card(verb: str, code: str) -> None:
    error = failed(failure(verb, code=-9))
    assert error.code == code
    assert "memory" in error.fix


def refused(code: str, message: str, operation: str = "CreateRole") -> AwsError:
    with pytest.raises(AwsError) as caught, domain_errors("It did not work"):
        raise ClientError({"Error": {"Code": code, "Message": message}}, operation)
    return caught.value


def test_botocores_errors_carry_their_card_and_aws_own_words() -> None:
    message = "User: arn:aws:iam::1:user/a is not authorized to perform: iam:GetRole on resource: role x with an "
    message += (
        "explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1"
    )
    error = refused("AccessDenied", message, "GetRole")
    assert error.code == "GBY-A111"
    assert message in error.why
    assert "arn:aws:organizations::1:policy" in error.fix
    assert type(error) is AwsError
    other = refused("TeapotException", "short and stout")
    assert (other.code, other.why) == ("GBY-A001", "TeapotException: short and stout")
    assert "Mend what AWS names" in other.fix


@pytest.mark.parametrize(
    "error, code",
    [(NoCredentialsError(), "GBY-A102"), (EndpointConnectionError(endpoint_url="http://localhost:9"), "GBY-A143")],
)
def test_what_botocore_cannot_do_has_a_card(error: Exception, code: str) -> None:
    with pytest.raises(AwsError) as caught, domain_errors("It did not work"):
        raise error
    assert caught.value.code == code


def test_a_signature_error_does_not_repeat_the_session_token() -> None:
    message = (
        "The request signature we calculated does not match the signature you provided. The Canonical String for this "
        "request should have been\n'POST\n/\n\nhost:iam.amazonaws.com\nx-amz-date:20260101T000000Z\n"
        "x-amz-security-token:canary-session-token\n\nhost;x-amz-date;x-amz-security-token\nabc'"
    )
    error = refused("SignatureDoesNotMatch", message)
    assert error.code == "GBY-A105"
    assert "canary" not in f"{error.why}{error.fix}{error}"
    assert "x-amz-date:20260101T000000Z" in error.why


def test_terraforms_words_do_not_repeat_it_either() -> None:
    line = json.dumps({"@message": "should have been 'POST\nx-amz-security-token:canary/+=\n\nhost;x-amz-date'"})
    clean = Redactor().clean(line)
    assert "canary" not in clean
    assert json.loads(clean)["@message"].endswith("[secret]\n\nhost;x-amz-date'")
    assert Redactor().clean("external_id = shown") == "external_id = shown"


@pytest.mark.parametrize("text", ['"sts:ExternalId": "canary"', "external_id = canary", "AWS_SESSION_TOKEN=canary&x",
                                  "Signature=canary", "<Token-0>canary</Token-0>"])  # fmt: skip
def test_named_secrets_are_taken_out(text: str) -> None:
    assert "canary" not in without_secrets(text)


def asked() -> RequestContext:
    return RequestContext("https://plane.example", "GET", lambda text, *_: text, cluster_id="c-1")


def test_answers_keep_the_words_of_the_server_and_the_statuses_of_their_kind() -> None:
    error = error_for(HttpAnswer(401, {}, b'{"message": "unknown key"}'), asked())
    assert (error.code, error.why, error.http_status) == ("GBY-C103", "unknown key", 401)
    assert "gridbyoc login" in error.fix
    busy = error_for(HttpAnswer(429, {"retry-after": "7"}, b'{"message": "slow"}'), asked())
    assert busy.code == "GBY-C108"
    assert "7 s" in busy.fix
    page = not_the_api(HttpAnswer(200, {"content-type": "text/html"}, b"<html>"), asked())
    assert page.code == "GBY-C110"
    assert error_for(HttpAnswer(418, {}, b'{"message": "teapot"}'), asked()).code == "GBY-C001"


def test_without_a_card_an_error_stays_as_it_is() -> None:
    error = AwsError("No.", why="w", fix="f")
    assert with_known_failure(error, None) is error
    assert (error.code, error.why, error.fix) == ("GBY-A001", "w", "f")
    assert AwsError.code == "GBY-A001"


def test_a_code_of_aws_and_its_message_are_read_together() -> None:
    card = card_for_aws("AccessDenied", "Access Denied", operation="PutObject")
    assert card is not None
    assert (card.code, "PutObject" in card.fix) == ("GBY-A119", True)


_PIECES = [text for _, text, _ in TEXTS] + ["{", "}", "{action}", "│", "\n", "%s", "arn:aws:iam::", "AccessDenied: "]


@given(st.lists(st.sampled_from(_PIECES) | st.text(), max_size=6).map("".join))
def test_matching_never_raises_and_loses_nothing(text: str) -> None:
    card = card_for(text)
    assert card is None or card.code in {each.code for each in CARDS}
    diagnostic = Diagnostic("error", "Something", text)
    error = failed(failure(errors=(diagnostic,)))
    assert error.diagnostics == (str(diagnostic),)
    assert "".join(error.diagnostics).endswith(text)
