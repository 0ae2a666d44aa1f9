"""``gridbyoc explain``: every code that there is, and the nearest one for what is none."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import gridbyoc
from gridbyoc import errors
from gridbyoc.aws.policy import PolicyDocumentError
from gridbyoc.cli.app import App
from gridbyoc.cli.explain import explain
from gridbyoc.cli.explanations import EXPLANATIONS
from gridbyoc.errors import GridbyocError, UsageError
from gridbyoc.errors.cards import CARDS
from gridbyoc.operations.preflight.catalogue import KINDS
from gridbyoc.operations.verify_model import KINDS as PROOF_KINDS
from gridbyoc.show.output import Format
from tests.json_outputs import check_outputs


def said(*args: str, form: Format = "text") -> str:
    out = StringIO()
    app = App({}, Path(), Path(), StringIO(), out, StringIO(), format=form)
    found = CliRunner().invoke(explain, list(args), obj=app, standalone_mode=False)
    if found.exception is not None:
        raise found.exception
    return check_outputs((f"--format={form}",), out.getvalue())


def test_nothing_that_has_a_code_is_missing() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GridbyocError)]
    codes = {kind.code for kind in kinds} | {card.code for card in CARDS} | {kind.code for kind in KINDS}
    codes |= {question.code for question in PROOF_KINDS} | {PolicyDocumentError.code}
    assert set(EXPLANATIONS) == codes
    assert len(codes) > 100


def test_every_code_in_the_program_is_explained() -> None:
    sources = [path for path in Path(gridbyoc.__file__).parent.rglob("*.py") if "_data" not in path.parts]
    written = {code for path in sources for code in re.findall(r"GBY-[A-Z][0-9]{3}\b", path.read_text())}
    assert written - EXPLANATIONS.keys() == set()


def test_every_explanation_has_a_cause_and_a_remedy_without_a_placeholder() -> None:
    for one in EXPLANATIONS.values():
        assert one.title, one
        assert one.fix, one
        assert one.cause or one.kind == "error", one
        assert not re.search(r"\{[a-z_.0-9]*\}", f"{one.title} {one.cause} {one.fix} {one.rerun}"), one


@pytest.mark.parametrize("code", ["GBY-A122", "gby-a122"])
def test_a_card_is_told_with_cause_fix_and_rerun(code: str) -> None:
    text = said(code)
    assert text.startswith("GBY-A122: ")
    assert "  why: AmazonGuardDutyFullAccess has been deprecated" in text
    assert "  do:  Use its successor AmazonGuardDutyFullAccess_v2" in text
    assert "re-run is safe" in text


def test_an_error_is_told_with_its_exit_status_and_a_check_with_its_page() -> None:
    assert "exit status: 8" in said("GBY-T005")
    assert "https://developer.hashicorp.com/terraform/install" in said("GBY-D001")


def test_a_finding_of_verify_is_told_with_its_question() -> None:
    text = said("GBY-V011")
    assert text.startswith("GBY-V011: Is the stack's external id the only one that is accepted?")
    assert "warn for one that a rotation under way keeps" in text
    assert "docs/verify.md" in text


def test_json_has_the_same_fields() -> None:
    one: dict[str, Any] = json.loads(said("GBY-C103", form="json"))
    assert one["kind"] == "failure"
    assert set(one) == {"type", "code", "kind", "title", "cause", "fix", "rerun"}
    assert json.loads(said("GBY-R001", form="json"))["exit_status"] == 8
    every: list[dict[str, Any]] = json.loads(said(form="json"))["codes"]
    assert [each["code"] for each in every] == list(EXPLANATIONS)


def test_without_a_code_all_are_listed() -> None:
    listed = said()
    assert all(code in listed for code in EXPLANATIONS)


@pytest.mark.parametrize("code, near", [("GBY-A12", "GBY-A1"), ("GBYT005", "GBY-T005"), ("gby_t137", "GBY-T137")])
def test_an_unknown_code_leads_to_the_nearest(code: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        said(code)
    assert f"Did you mean {near}" in caught.value.fix


def test_what_is_like_no_code_leads_to_the_list() -> None:
    with pytest.raises(UsageError) as caught:
        said("x" * 300)
    assert caught.value.fix == "`gridbyoc explain` lists them all."
    assert len(caught.value.what) < 120
