"""``gridbyoc new``, ``validate`` and ``schema``."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbyoc.cli.app import App
from gridbyoc.cli.options import read_stack
from gridbyoc.cli.stackfile import new, schema, validate
from gridbyoc.errors import GridbyocError, StackError, UsageError
from gridbyoc.stack.load import load
from gridbyoc.stack.sandbox_mark import SANDBOX_MARK
from gridbyoc.stack.schema import schema_text
from gridbyoc.stack.starter import Starter, starter_text
from tests.json_outputs import check_outputs
from tests.unit.stack_helpers import CLUSTERS, HEAD, NOWHERE, problems_of


class Outside:
    """One command after the other in one directory."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd
        self.environ: dict[str, str] = {}
        self.out, self.err = io.StringIO(), io.StringIO()

    def run(self, command: click.Command, *args: str, stdin: str = "", answers: str | None = None) -> Result:
        self.out, self.err = io.StringIO(), io.StringIO()
        app = App(
            environ=self.environ,
            home=self.cwd,
            cwd=self.cwd,
            stdin=io.StringIO(stdin),
            stdout=self.out,
            stderr=self.err,
            interactive=answers is not None,
        )
        result = CliRunner().invoke(command, list(args), obj=app, input=answers or "", standalone_mode=False)
        if result.exception and not isinstance(result.exception, GridbyocError):
            raise result.exception
        if result.exception is None:
            check_outputs(args, self.out.getvalue())
        return result

    def json(self) -> Any:
        return json.loads(self.out.getvalue())


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path)


@pytest.mark.parametrize(
    "named", [("one.yaml",), ("-f", "one.yaml"), ("--stack", "one.yaml"), ("one.yaml", "-f", "one.yaml")]
)
def test_a_stack_file_is_named_by_position_or_option(outside: Outside, named: tuple[str, ...]) -> None:
    (outside.cwd / "one.yaml").write_text(f"{HEAD}{CLUSTERS}")
    assert outside.run(validate, *named).exception is None
    assert "one.yaml" in outside.out.getvalue()


def test_two_stack_files_are_refused(outside: Outside) -> None:
    with pytest.raises(click.UsageError, match=r"Two stack files are named: a\.yaml and --stack b\.yaml\."):
        outside.run(validate, "a.yaml", "-f", "b.yaml")


@pytest.mark.parametrize("written", ["", "aws: {region: us-east-1, profile: file}\n"])
def test_a_profile_of_the_command_line_wins_over_the_file_and_is_shown(outside: Outside, written: str) -> None:
    head = HEAD if not written else "version: 1\nname: demo\n" + written
    (outside.cwd / "one.yaml").write_text(f"{head}{CLUSTERS}")
    told = io.StringIO()
    app = App({}, outside.cwd, outside.cwd, io.StringIO(), io.StringIO(), told, profile="123")
    assert read_stack(app, "one.yaml", ("aws.profile=set",)).stack.aws.profile == "123"
    assert "AWS profile: 123 (--profile)" in told.getvalue()


def test_new_writes_a_starter_that_is_valid_as_it_is(outside: Outside) -> None:
    assert outside.run(new).exception is None
    file = outside.cwd / "gridbyoc.yaml"
    stack = load(file, environ={})
    assert (stack.name, stack.aws.region, stack.clusters[0].name) == ("my-stack", "us-east-1", "my-stack")
    assert (stack.aws.account_id, stack.control_plane.url) == (None, None)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert "gridbyoc sandbox run -- gridbyoc bootstrap --yes" in outside.out.getvalue()


def test_new_in_a_sandbox_does_not_advise_a_second_sandbox(outside: Outside) -> None:
    outside.environ[SANDBOX_MARK] = "/sandbox"
    assert outside.run(new).exception is None
    assert "sandbox run" not in outside.out.getvalue()
    assert "gridbyoc plan " in outside.out.getvalue()


def test_new_takes_flags(outside: Outside) -> None:
    flags = "s/a.yaml --name a.b --region eu-west-1 --profile p --account-id 012345678901 --cluster c --force"
    flags += " --instance-types t3.large,g5.xlarge --performance-profile default --type grid"
    (outside.cwd / "s").mkdir()
    assert outside.run(new, *flags.split()).exception is None
    stack = load("s/a.yaml", environ={}, cwd=outside.cwd)
    assert (stack.aws.region, stack.aws.profile, stack.aws.account_id) == ("eu-west-1", "p", "012345678901")
    assert [item.name for item in stack.clusters[0].instance_types] == ["t3.large", "g5.xlarge"]
    assert (stack.clusters[0].name, stack.clusters[0].performance_profile) == ("c", "default")
    assert "gridbyoc validate s/a.yaml" in outside.out.getvalue()


def test_new_for_lightning_has_no_performance_profile(outside: Outside) -> None:
    outside.run(new, "--type", "lightning")
    stack = load("gridbyoc.yaml", environ={}, cwd=outside.cwd)
    assert (stack.control_plane.type, stack.clusters[0].performance_profile) == ("lightning", None)


def test_new_never_replaces_without_force(outside: Outside) -> None:
    file = outside.cwd / "gridbyoc.yaml"
    file.write_text("mine")
    result = outside.run(new)
    assert isinstance(result.exception, UsageError)
    assert "--force" in result.exception.fix
    assert file.read_text() == "mine"
    assert outside.run(new, "--force").exception is None
    assert file.read_text() != "mine"


@pytest.mark.parametrize("file, words", [("gone/a.yaml", "There is no directory"), (".", "is a directory")])
def test_new_where_it_cannot_be(outside: Outside, file: str, words: str) -> None:
    result = outside.run(new, file)
    assert isinstance(result.exception, UsageError)
    assert words in result.exception.what


def test_new_refuses_bad_choices_and_writes_nothing(outside: Outside) -> None:
    result = outside.run(new, "--region", "us-west-2a", "--instance-types", "t4g.medium")
    assert isinstance(result.exception, StackError)
    assert [(p.file, p.path) for p in result.exception.problems] == [
        ("gridbyoc.yaml", "aws.region"),
        ("gridbyoc.yaml", "clusters[0].instance_types[0]"),
    ]
    assert list(outside.cwd.iterdir()) == []


def test_new_to_standard_output(outside: Outside) -> None:
    outside.run(new, "-", "--name", "x")
    assert not problems_of(outside.out.getvalue())
    assert list(outside.cwd.iterdir()) == []


def test_new_in_json(outside: Outside) -> None:
    outside.run(new, "--format", "json")
    assert outside.json() == {"type": "new", "file": "gridbyoc.yaml", "text": None}


def test_new_asks_on_a_terminal_until_the_answer_is_allowed(outside: Outside) -> None:
    answers = ["Bad Name", "good", "us-west-2a", "us-west-2", "admin", "12", "123456789012", "", "ml.x", "ml-x"]
    answers += ["defualt", "default", "t4g.nano", "t3.large", ""]
    result = outside.run(new, answers="\n".join(answers))
    assert result.exception is None, result.exception
    stack = load("gridbyoc.yaml", environ={}, cwd=outside.cwd)
    assert (stack.name, stack.aws.region, stack.aws.profile, stack.aws.account_id) == (
        "good",
        "us-west-2",
        "admin",
        "123456789012",
    )
    assert (stack.clusters[0].name, stack.clusters[0].performance_profile) == ("ml-x", "default")
    told = outside.err.getvalue()
    for words in ("`us-west-2`", "12 digits", "for instance `ml-x`", "did you mean `default`?", "`t3.nano`"):
        assert words in told


def test_new_asks_only_for_what_is_not_given(outside: Outside) -> None:
    given = "--name=a --region=us-east-1 --profile=p --account-id=123456789012 --type=lightning --cluster=c"
    result = outside.run(new, *given.split(), answers="\n")
    assert result.exception is None
    assert result.output.count(":") == 1
    assert "Instance types" in result.output


def test_no_input_asks_nothing(outside: Outside) -> None:
    assert outside.run(new, "--no-input", answers="").exception is None


def test_validate_a_good_file(outside: Outside) -> None:
    outside.run(new, "--account-id", "123456789012", "--profile", "p")
    assert outside.run(validate).return_value == 0
    assert "gridbyoc.yaml is valid." in outside.out.getvalue()
    assert "us-east-1, profile p, account 123456789012 only" in outside.out.getvalue()
    assert "local, in .gridbyoc/my-stack" in outside.out.getvalue()
    assert outside.run(validate, "--format", "json").return_value == 0
    found = outside.json()
    assert (found["stack"], found["valid"], found["problems"]) == ("my-stack", True, [])


def test_validate_tells_what_is_in_the_file(outside: Outside) -> None:
    text = HEAD + "clusters: [{name: ml, instance_types: [{name: t2.large, overprovisioned_ondemand_count: 2}]}]\n"
    more = "terraform: {backend: {s3: {bucket: abc, key: k}}}\nrole: {name_prefix: grid-}\n"
    outside.run(validate, "-", stdin=text + more)
    told = outside.out.getvalue()
    for words in ("Standard input is valid", "t2.large (2 kept ready)", "s3://abc/k (us-east-1)", "after grid-"):
        assert words in told
    outside.run(validate, "-", stdin=HEAD + CLUSTERS + "terraform: {module: {source: a/b/c, version: '1'}}\n")
    assert "created by the module a/b/c" in outside.out.getvalue()


def test_validate_a_bad_file(outside: Outside) -> None:
    (outside.cwd / "a.yaml").write_text("version: 1\nname: A\n" + CLUSTERS)
    result = outside.run(validate, "a.yaml", "--set", "aws.region=us-west-2a")
    assert isinstance(result.exception, StackError)
    result = outside.run(validate, "a.yaml", "--set", "aws.region=us-west-2a", "--format", "json")
    assert result.return_value == 2
    first, second = outside.json()["problems"]
    assert first == {
        "level": "error",
        "file": "a.yaml",
        "line": 2,
        "path": "name",
        "message": "`A` cannot be a stack's name",
        "hint": "allowed: 1 to 63 of a-z, 0-9, `.`, `_` and `-`, beginning and ending with a letter or digit",
    }
    assert (second["file"], second["line"], second["hint"]) == ("--set", None, "write `us-west-2`")


def test_validate_shows_warnings(outside: Outside) -> None:
    text = HEAD + CLUSTERS + "control_plane: {url: 'http://grid.example.com'}\n"
    assert outside.run(validate, "-", stdin=text).return_value == 0
    assert "warning: <stdin>:4: control_plane.url" in outside.err.getvalue()
    outside.run(validate, "-", "--format", "json", stdin=text)
    assert [item["level"] for item in outside.json()["problems"]] == ["warning"]


def test_schema_prints_the_schema(outside: Outside) -> None:
    outside.run(schema)
    assert outside.out.getvalue() == schema_text()


@settings(deadline=None)
@given(
    st.builds(
        Starter,
        name=st.text() | st.sampled_from(["no", "null", "1", "a: b", "{x}", "a#b"]),
        region=st.text(),
        profile=st.none() | st.text(),
        account_id=st.none() | st.text(),
        cluster=st.none() | st.text(),
        instance_types=st.lists(st.text()).map(tuple),
    )
)
def test_a_starter_says_what_was_chosen(choices: Starter) -> None:
    faults = problems_of(starter_text(choices))
    assert not [problem for problem in faults if not problem.path and "half a character" not in problem.message]


@pytest.mark.parametrize("trust", ["arn:aws:iam::111122223333:role/Acme", "111122223333"])
def test_a_starter_for_a_vendor_without_an_api(trust: str, outside: Outside) -> None:
    outside.run(new, "-", "--type", "manual", "--vendor", "Acme AI", "--trust", trust)
    text = outside.out.getvalue()
    made = load("-", environ={}, stdin=text, cwd=NOWHERE, home=NOWHERE)
    assert (made.control_plane.vendor, made.role.managed_policies, made.clusters) == ("Acme AI", (), ())
    assert trust in (made.role.trusted_account_id, *made.role.trusted_principals)


@pytest.mark.parametrize(
    "options",
    [
        ("--type", "manual", "--vendor", "Acme"),
        ("--type", "manual", "--trust", "111122223333"),
        ("--type", "manual", "--vendor", "Acme", "--trust", "111122223333", "--cluster", "x"),
        ("--vendor", "Acme"),
    ],
)
def test_a_starter_that_lacks_something_is_not_written(options: tuple[str, ...], outside: Outside) -> None:
    assert isinstance(outside.run(new, "-", *options).exception, StackError | UsageError)
    assert not outside.out.getvalue()


def test_a_terminal_asks_for_a_vendor_without_an_api(outside: Outside) -> None:
    outside.run(new, answers="\n\n\n\nmanual\nAcme AI\n111122223333\n")
    made = load(outside.cwd / "gridbyoc.yaml", environ={})
    assert (made.control_plane.vendor, made.role.trusted_account_id) == ("Acme AI", "111122223333")


def test_a_starters_words_stay_text() -> None:
    for name in ("no", "null", "on", "123", "true"):
        stack = load("-", environ={}, stdin=starter_text(Starter(name=name)), cwd=NOWHERE, home=NOWHERE)
        assert stack.name == name
