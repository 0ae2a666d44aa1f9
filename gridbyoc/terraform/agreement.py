"""Whether a command's exit status and its output agree. Neither is believed where the other contradicts it.

A program that stands before Terraform may change either. The wrapper of hashicorp/setup-terraform turns status 2 into 0
(https://github.com/hashicorp/setup-terraform/blob/main/wrapper/terraform.js); ``terraform "$@" | tee log`` ends with 0
always; a version manager runs another version in another directory; output may be lost or mixed with text.
"""

from __future__ import annotations

import re
from typing import Final

from gridbyoc.errors import TerraformWrapperError
from gridbyoc.stack.words import counted
from gridbyoc.terraform.events import ChangeSummary, Diagnostic, OutputsEvent, PlannedChange, Version
from gridbyoc.terraform.transcript import Transcript

WHY: Final = (
    "A program that stands before Terraform changes its exit status, its output or its version, so that none of them "
    "can be believed."
)
FIX: Final = (
    "In GitHub Actions set `terraform_wrapper: false` for hashicorp/setup-terraform. A script of your own ends in "
    '`exec terraform "$@"` and prints nothing on standard output; with a pipe it needs `set -o pipefail`. With a '
    "version manager (tfenv, asdf, mise) pin one version for the stack's directory. Or name Terraform itself: "
    "--terraform-bin or GRIDBYOC_TERRAFORM_BIN."
)
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_SUCCESS = re.compile("success|initialized", re.IGNORECASE)
_WRITES = frozenset({"apply", "destroy"})
Numbers = tuple[int, int, int]


def numbers_of(version: str) -> Numbers | None:
    """``1.11.4`` of a version such as ``v1.11.4-beta1``; ``None`` where it does not begin so."""
    match = _NUMBERS.match(version.removeprefix("v"))
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def wrapper_error(path: str, words: str, *, rerun: str) -> TerraformWrapperError:
    """The refusal of the program ``path``; ``words`` say what contradicts what."""
    return TerraformWrapperError(f"{path} cannot be believed: {words}.", why=WHY, fix=FIX, rerun=rerun)


def unheeded_errors(said: Transcript, *, events: bool) -> tuple[Diagnostic, ...]:
    """The errors that a command with a good exit status has told all the same.

    Where it speaks in ``events``, or has answered with a document, text beside them may be another program's.
    """
    if events:
        return tuple(each for each in said.kept(Diagnostic) if each.severity == "error")
    if said.stdout.strip():
        return tuple(each for each in said.in_document() if each.severity == "error")
    return said.errors()


def contradiction(verb: str, code: int, said: Transcript, version: Numbers) -> str:
    """What of a command with a good exit status and without errors contradicts itself, in words; empty: nothing.

    ``said`` is its event stream; ``version`` is what the binary answered when it was asked.
    """
    heard = said.kept(Version)
    if not heard:
        return f"nothing of Terraform's own output arrived, and {verb} ended with status {code}"
    speaks = numbers_of(heard[0].terraform)
    if speaks is not None and speaks != version:
        asked, runs = (".".join(map(str, each)) for each in (version, speaks))
        return f"it answered that it is version {asked}, and {verb} was run by version {runs}"
    if verb == "plan":
        return _of_plan(code, said)
    if verb in _WRITES and _counts(said, planned=False) is None:
        return f"{verb} ended with status {code} and did not say what it had done"
    return ""


def without_success(verb: str, said: Transcript) -> str:
    """A command with a good status whose text for people does not say so, in words; empty: it does.

    Each such command has its sentence: "successfully initialized", "Import successful!", "Successfully moved",
    "successfully unlocked", in Terraform and OpenTofu alike.
    """
    text = "\n".join(said.text).strip()
    if _SUCCESS.search(text):
        return ""
    last = text.splitlines()[-1].strip() if text else "nothing"
    return f"{verb} ended with status 0 and does not say that it succeeded (its last words: {last[:200]!r})"


def complete_failure(verb: str, code: int, said: Transcript) -> str:
    """A bad exit status after a command that came to its end without an error, in words; empty: no such thing."""
    ended = _counts(said, planned=verb == "plan") is not None and verb in {"plan", *_WRITES}
    return f"{verb} came to its end without an error, and its exit status is {code}" if ended and code > 0 else ""


def _of_plan(code: int, said: Transcript) -> str:
    counts = _counts(said, planned=True)
    if counts is None:
        return f"the plan did not come to its end, and its exit status is {code}"
    changes = [event.change.action for event in said.kept(PlannedChange)]
    outputs = [name for event in said.kept(OutputsEvent) for name in event.changed]
    counted_ = (counts.add, counts.change, counts.destroy, counts.imported)
    if code == 0 and (any(counted_) or changes or outputs):
        found = counted(max(sum(counted_), len(changes)) or len(outputs), "change" if changes else "changed output")
        return f"the plan has {found}, and its exit status is 0, which says that there is none"
    listed = {word: changes.count(word) + changes.count("replace") for word in ("create", "delete")}
    if counts.add > listed["create"] or counts.destroy > listed["delete"] or counts.change > changes.count("update"):
        return "the plan counts more changes than it lists"
    return ""


def _counts(said: Transcript, *, planned: bool) -> ChangeSummary | None:
    found = [event for event in said.kept(ChangeSummary) if (event.operation == "plan") is planned]
    return found[-1] if found else None
