"""What a job of GitHub Actions prints: text is text to its runner, and a command is one."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.cli.app import App
from gridbyoc.cli.github_log import GithubLog, log_of
from gridbyoc.show.ci import mask_command

GITHUB = {"GITHUB_ACTIONS": "true"}
PIECES = st.sampled_from(
    ["::", ":", "##[", "add-mask", "set-output name=a", "]", "\n", "\r", " ", "\t", "\u2003", "x", '"']
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


def commands(text: str) -> list[str]:
    """The lines that the runner would take for commands.

    https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
    """
    lines = re.split(r"\r\n|\r|\n", text)
    return [line for line in lines if line.lstrip().startswith("::") or "##[" in line]


@given(st.lists(TEXTS, max_size=4))
def test_no_text_is_a_command(texts: list[str]) -> None:
    stream = io.StringIO(newline="")
    log = GithubLog(stream)
    for text in texts:
        # as print() does it: the line's end is written by itself
        log.write(text)
        log.write("\n")
    assert commands(stream.getvalue()) == []


@given(TEXTS)
def test_what_is_json_stays_what_it_is(text: str) -> None:
    stream = io.StringIO(newline="")
    GithubLog(stream).write(json.dumps({text: [text]}, indent=2, ensure_ascii=False) + "\n")
    assert json.loads(stream.getvalue()) == {text: [text]}
    assert commands(stream.getvalue()) == []


def test_ordinary_text_is_left_alone() -> None:
    stream = io.StringIO()
    text = "arn:aws:iam::123456789012:role/x\n  std::string ## [a] #[b]\n"
    assert GithubLog(stream).write(text) == len(text)
    assert stream.getvalue() == text


@pytest.mark.parametrize("environ", [GITHUB, {}])
def test_an_error_of_aws_commands_nothing_and_a_mask_does(environ: dict[str, str]) -> None:
    err = io.StringIO()
    app = App(environ, Path("/"), Path("/"), io.StringIO(), io.StringIO(), log_of(err, environ))
    app.command(mask_command("secret"))
    app.note("error: AccessDenied\n  ::stop-commands::x")
    wanted = ["::add-mask::secret"] if environ else ["::add-mask::secret", "  ::stop-commands::x"]
    assert commands(err.getvalue()) == wanted
