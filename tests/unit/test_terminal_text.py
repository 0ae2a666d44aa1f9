"""What comes from elsewhere steers no terminal and no page: sequences, controls, reordering, what has no width."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.cli.app import App
from gridbyoc.control_plane.model import Cleaner
from gridbyoc.errors import Problem, TerraformError
from gridbyoc.operations.events import ClusterProgress, Event, FindingMade, Note, StepFinished
from gridbyoc.operations.journal import Journal
from gridbyoc.show.ci import annotation, code_quality, sarif
from gridbyoc.show.error import error_lines
from gridbyoc.show.layout import write_table
from gridbyoc.show.live import Live, RunBoard
from gridbyoc.show.output import Output
from gridbyoc.show.run import RUN
from gridbyoc.show.view import view_of
from gridbyoc.stack.redaction import Redactor
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import json_escaped, json_text, plain_text, printable, visible
from gridbyoc.terraform import Diagnostic, Log, parse_event
from gridbyoc.terraform.events import Transcript
from gridbyoc.terraform.logs import Logs
from tests.unit.fakes import Time

HOSTILE = {
    "OSC 8": ("go \x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\ now", "go here now"),
    "OSC 52": ("\x1b]52;c;ZXZpbA==\x07after", "after"),
    "a title": ("\x1b]0;root@prod\x07after", "after"),
    "OSC without an end": ("\x1b]0;title and all the rest", "0;title and all the rest"),
    "DCS": ("\x1bP+q544e\x1b\\after", "after"),
    "BEL": ("a\x07b", "a b"),
    "CSI": ("\x1b[2J\x1b[1;1Hclean\x1b[0m", "clean"),
    "private CSI": ("\x1b[?1049hafter", "after"),
    "reset": ("\x1bcafter", "after"),
    "C1 CSI": ("\x9b31mred", "red"),
    "C1 OSC": ("\x9d52;c;ZXZpbA==\x9cafter", "after"),
    "C1 alone": ("a\x85b", "a b"),
    "ESC at the end": ("a\x1b", "a "),
    "carriage return": ("Plan: 1 to destroy\rNo changes.", "Plan: 1 to destroy No changes."),
    "backspace": ("bad\x08\x08\x08good", "bad   good"),
    "bidi override": ("user\u202etxt.exe", "user txt.exe"),
    "bidi isolate": ("a\u2066b\u2069c", "a b c"),
    "no width": ("pay\u200bpal\ufeff", "pay pal "),
    "tag characters": ("a\U000e0041b", "a b"),
    "DEL": ("a\x7fb", "a b"),
}
NAMES = list(HOSTILE)
TEXTS = [text for text, _ in HOSTILE.values()]


def harmless(text: str) -> bool:
    """Whether a terminal prints it, and does nothing else."""
    return all(char.isprintable() or char in "\n\t" for char in text)


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=NAMES)
def test_a_message_keeps_its_words_alone(text: str, shown: str) -> None:
    assert plain_text(text) == shown
    assert plain_text(f"one\n\ttwo {text}\r\n") == f"one\n\ttwo {shown}\n"
    assert printable(f" {text}\n{text} ") == " ".join(f"{shown} {shown}".split())
    # the same idea for the control plane's words, for Terraform's, and for a review, which marks what it hides
    assert Cleaner()(text) == " ".join(shown.split())
    assert visible(text) != text
    assert harmless(visible(text))


@given(st.text())
def test_nothing_but_what_can_be_seen_comes_out(text: str) -> None:
    for made in (plain_text(text), printable(text), visible(text), json_escaped(text), json_text({"a": text})):
        assert harmless(made)
    assert json.loads(json_text({"a": [text]}, indent=2)) == {"a": [text]}
    if harmless(text):
        assert plain_text(text) == text


def test_a_secret_that_a_sequence_cuts_is_redacted_all_the_same() -> None:
    line = json.dumps({"type": "diagnostic", "diagnostic": {"summary": "it is hun\x1b[0mter2"}})
    found = parse_event(line, Redactor((Secret("hunter2-0123456789"), Secret("hunter2"))).clean)
    assert isinstance(found, Diagnostic)
    assert "hunter2" not in found.summary


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_what_terraform_and_modules_say(tmp_path: Path, text: str) -> None:
    place = {"filename": f"modules/{text}.tf", "start": {"line": 3}}
    body = {"severity": "error", "summary": text, "detail": f"x {text}", "address": f'a.b["{text}"]', "range": place}
    found = parse_event(json.dumps({"type": "diagnostic", "diagnostic": body}, ensure_ascii=False), clean=str)
    assert isinstance(found, Diagnostic)
    assert harmless(str(found))
    said = parse_event(json.dumps({"type": "provision_progress", "@message": f"local-exec: {text}"}))
    assert isinstance(said, Log)
    assert harmless(said.message)
    seen: list[object] = []
    redactor = Redactor(())
    logs = Logs(tmp_path / "logs", redactor, lambda: datetime(2026, 1, 2, tzinfo=timezone.utc))
    transcript = Transcript(logs.open("plan", ("terraform", "plan", text)), redactor, seen.append)
    transcript.line("stderr", f"Error: {text}")
    transcript.line("stdout", json.dumps({"@message": text, "@level": "info"}, ensure_ascii=False))
    transcript.end("exit status 1")
    assert all(map(harmless, transcript.text))
    assert harmless(repr(seen))
    (log,) = (tmp_path / "logs").iterdir()
    assert harmless(log.read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_what_is_printed(tmp_path: Path, text: str) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    events: tuple[Event, ...] = (
        Note(text, "warning"), StepFinished("apply", 1.0, "done", text), ClusterProgress(text, "failed", text, 1.0),
        FindingMade("GBY-O005", text, "warn", text, text, text, "clusters", "x.yaml", 1),
    )  # fmt: skip
    out, err = io.StringIO(), io.StringIO()
    for as_lines in (True, False):
        with view_of(RUN, as_lines, out, err, environ={}, clock=Time().clock) as show:
            for event in events:
                show(event)
    app = App({}, tmp_path, tmp_path, io.StringIO(), out, err)
    app.line(text)
    app.note(text)
    for format_ in ("json", "jsonl"):
        machine = replace(app, format=format_)
        machine.show(Output("a", lambda value: {"a": value}, lambda _value, _screen: None), text)
        machine.deliver()
    write_table(out, ("a", "b"), [(text, text)], environ={})
    error = TerraformError(text, diagnostics=(f"{text}\n{text}",), why=text, fix=text)
    out.write(plain_text("\n".join(error_lines(error))))
    journal = Journal(tmp_path / "journal.jsonl", lambda: datetime(2026, 1, 2, tzinfo=timezone.utc), "r1")
    journal.write("step_done", detail=text)
    assert json.loads(journal.path.read_text())["detail"] == text
    for written in (out.getvalue(), err.getvalue(), journal.path.read_text()):
        assert harmless(written)
    drawn = Terminal()
    with Live(drawn, RunBoard(Time().clock), environ={"NO_COLOR": "1", "TERM": "xterm"}) as live:
        for event in events:
            live(event)
    write_table(drawn, ("a", "b"), [(text, text)], environ={"NO_COLOR": "1", "TERM": "xterm"})
    # its own cursor movements are all that it draws with
    assert not any(char in drawn.getvalue() for char in "\x07\x08\x9b\x9d\u202e\u2066\u200b")
    assert "\x1b]" not in drawn.getvalue()


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_what_a_platform_shows(text: str) -> None:
    problem = Problem("x.yaml", 1, "name", text, text)
    line = annotation("error", f"{text}\n{text}", file=f"{text}.yaml", line=1, title=text)
    assert harmless(line)
    assert "\n" not in line
    (issue,) = code_quality([("error", problem, "x.yaml")])
    assert harmless(issue["description"])
    (result,) = sarif([("error", problem, "x.yaml")], version="1")["runs"][0]["results"]
    assert harmless(result["message"]["text"])
