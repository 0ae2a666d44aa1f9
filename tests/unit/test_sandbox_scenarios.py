"""Scenarios: their files, the decision which request a step strikes, what happens to it, and the summary at the end."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gridbyoc.cli.app import App
from gridbyoc.cli.sandbox import rehearsal_environ, sandbox, tell_played
from gridbyoc.errors import FileError, ScenarioError, UsageError
from gridbyoc.sandbox import Sandbox
from gridbyoc.sandbox.aws_extra.call import AwsAnswer
from gridbyoc.sandbox.scenario.model import ScenarioAnswer, load_scenario, read_scenario, shipped, steps_of
from gridbyoc.sandbox.scenario.played import PlayedLog
from gridbyoc.sandbox.scenario.playing import PlayedSide, ScenarioLayer, ScenarioPlay, plane_refusal, plane_request
from tests.json_outputs import check_outputs
from tests.unit.fakes import Time

FILE = "version: 1\ntitle: t\nsteps:\n  - {step}\n"


def play(*steps: dict[str, Any], time: Time | None = None) -> tuple[ScenarioPlay, list[tuple[int, str]]]:
    told: list[tuple[int, str]] = []
    return ScenarioPlay(steps_of(steps), lambda *strike: told.append(strike), (time or Time()).clock), told


def test_each_scenario_that_ships_says_what_it_plays_and_how_it_ends() -> None:
    found = shipped()
    assert len(found) >= 12
    assert [each.name for each in found] == sorted(each.name for each in found)
    for each in found:
        assert all((each.title, each.plays, each.expect, each.ends)), each.name
        assert each.steps or each.account, each.name
        assert each.ends is None or (each.ends.status == 0) == (not each.ends.code), each.name


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("{on: iam:CreateRoll, delay: 1}", "an unknown operation of iam (did you mean `CreateRole`?)"),
        ("{on: iam:Make*, delay: 1}", "an unknown operation of iam"),
        ("{on: control-plane:Make, delay: 1}", "an unknown operation of control-plane"),
        ("{on: iamm:CreateRole, delay: 1}", "names the unknown service `iamm` (did you mean `iam`?)"),
        ("{on: iam:CreateRole, until: iam:GetRoll, delay: 1}", "steps[0].until"),
        ("{on: iam:CreateRole}", "plays nothing"),
        ("{on: iam:CreateRole, page: true, cut: half}", "holds `page` and `cut`"),
        ("{on: iam:CreateRole, delay: 1, times: 2, always: true}", "holds `times` and `always`"),
        ("{on: iam:CreateRole, delay: 1, wen: after}", "unknown key `wen` (did you mean `when`?)"),
        ("{on: iam:CreateRole, delay: 1, times: x}", "must be a whole number, not text"),
        ("{on: iam:CreateRole, delay: 1, nth: 0}", "is 0; allowed is 1 or more"),
        ("{on: iam:CreateRole, cluster: {phase: FAILED}}", "is of no use with `iam:CreateRole`"),
        ("{on: iam:CreateRole, disk: full}", "is of no use with `iam:CreateRole`"),
        ("{on: control-plane:GetCluster, cluster: {phase: LOST}}", "must be `QUEUED`"),
        ("{on: control-plane:GetCluster, after: iam:CreateRole, delay: 1}", "another service's server"),
        ("{on: terraform:apply, disk: full, always: true}", "allowed: on, nth, times, disk"),
        ("{on: iam:CreateRole, when: after, delay: 1}", "is of no use here"),
        ("{on: iam:CreateRole, answer: {status: 400, code: X, body: y}}", "a whole `body` and parts of an error"),
        ("[]", "must be a mapping"),
    ],
)
def test_a_problem_is_said_with_its_place(step: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_scenario(FILE.format(step=step), "mine.yaml")
    (problem, *_) = caught.value.problems
    assert said in str(problem)
    assert str(problem).startswith("mine.yaml:4: steps[0]")


def test_a_service_is_named_by_the_prefix_of_its_actions() -> None:
    """``tag``: neither botocore's name of the service nor the one that requests are signed for."""
    (step,) = read_scenario(FILE.format(step="{on: tag:GetResources, delay: 1}"), "mine.yaml").steps
    assert step.on == "tag:GetResources"


def test_problems_outside_of_steps_are_said() -> None:
    with pytest.raises(ScenarioError) as caught:
        read_scenario("version: 2\nsteps: []\naccount: {quotas: {ec2/L-0: 1}}\nends: {status: x}\n", "mine.yaml")
    said = "\n".join(map(str, caught.value.problems))
    for part in ("version: must be `1`", "`title` is missing", "There is no quota 'ec2/L-0'", "must be a whole number"):
        assert part in said
    with pytest.raises(ScenarioError, match="1 problem"):
        read_scenario("version: 1\ntitle: t\nsteps: []\n", "mine.yaml")


def test_a_scenario_is_found_by_its_name_or_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(FILE.format(step="{on: iam:CreateRole, delay: 1.5}"))
    assert str(load_scenario("mine.yaml", tmp_path).steps[0]) == "iam:CreateRole delayed by 1.5 s"
    assert load_scenario("aws-throttling", tmp_path).ends
    with pytest.raises(UsageError, match="Did you mean `aws-throttling`"):
        load_scenario("aws-throtling", tmp_path)
    with pytest.raises(FileError, match="cannot be read"):
        load_scenario("./none", tmp_path)


def test_a_step_counts_its_own_requests() -> None:
    playing, told = play({"on": "iam:CreateRole", "nth": 2, "times": 2, "page": True})
    names = ["iam:CreateRole", "iam:GetRole", *["iam:CreateRole"] * 3]
    assert [playing.take(name) is not None for name in names] == [False, False, True, True, False]
    assert told == [(0, "iam:CreateRole")] * 2


def test_the_first_step_that_fits_is_played_and_the_others_count() -> None:
    playing, told = play({"on": "iam:*", "page": True}, {"on": "iam:GetRole", "nth": 2, "page": True})
    for _ in range(3):
        playing.take("iam:GetRole")
    assert [index for index, _ in told] == [0, 1]


def test_a_step_begins_after_another_request_and_lasts_until_one() -> None:
    step = {"on": "aws:*", "after": "iam:AttachRolePolicy", "nth": 2, "until": "sts:GetCallerIdentity", "page": True}
    playing, _ = play(step)
    before = ["sts:GetCallerIdentity", "iam:AttachRolePolicy", "iam:GetRole"]
    during = ["iam:AttachRolePolicy", "s3:PutObject"]
    over = ["control-plane:GetCluster", "sts:GetCallerIdentity", "iam:AttachRolePolicy"]
    struck = [playing.take(name) is not None for name in (*before, *during, *over)]
    assert struck == [False] * 3 + [True] * 2 + [False] * 3


def test_a_step_lasts_for_seconds_from_its_first_strike() -> None:
    time = Time()
    playing, _ = play({"on": "iam:GetRole", "seconds": 3, "page": True}, time=time)
    struck = []
    for at in (10, 12.5, 13, 14):
        time.now = at
        struck.append(playing.take("iam:GetRole") is not None)
    assert struck == [True, True, False, False]


def test_a_path_narrows_the_requests_down() -> None:
    playing, _ = play({"on": "s3:PutObject", "path": "*.tfstate", "page": True})
    assert playing.take("s3:PutObject", "/bucket/a.tfstate.tflock") is None
    assert playing.take("s3:PutObject", "/bucket/a.tfstate") is not None


class Service:
    """A service behind the layer, and what a client gets from it."""

    def __init__(self, step: dict[str, Any], body: bytes = b"0123456789") -> None:
        self.asked = 0
        self.waited: list[float] = []
        self._body = body
        side = PlayedSide(lambda environ: str(environ["name"]), plane_refusal)
        self._layer = ScenarioLayer(self._answer, play({"on": "x:Y", **step})[0], side, self.waited.append)
        self.ours, self.theirs = socket.socketpair()

    def _answer(self, _environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.asked += 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [self._body]

    def call(self, name: str = "x:Y", agent: str = "") -> AwsAnswer:
        started: list[Any] = []
        environ = {"name": name, "werkzeug.socket": self.ours, "HTTP_USER_AGENT": agent}
        body = b"".join(self._layer(environ, lambda *given: started.extend(given)))
        return AwsAnswer(int(started[0].split()[0]), body, dict(started[1]))


def test_an_answer_replaces_the_services() -> None:
    answer = {"status": 429, "message": "slow down", "retry_after": 7}
    service = Service({"answer": answer, "delay": 2})
    got = service.call()
    assert (got.status, json.loads(got.body)["message"], got.headers["Retry-After"]) == (429, "slow down", "7")
    assert (service.asked, service.waited) == (0, [2])
    assert service.call().body == b"0123456789"
    after = Service({"answer": answer, "when": "after"})
    assert (after.call().status, after.asked) == (429, 1)
    assert Service({"answer": {"status": 200, "body": "{}"}}).call().body == b"{}"


def test_a_page_replaces_the_services_answer() -> None:
    for when, asked in (("before", 0), ("after", 1)):
        service = Service({"page": True, "when": when})
        got = service.call()
        assert (got.status, got.headers["Content-Type"][:9], service.asked) == (200, "text/html", asked)


@pytest.mark.parametrize(("when", "asked"), [("before", 0), ("after", 1)])
def test_a_connection_is_cut(when: str, asked: int) -> None:
    service = Service({"cut": "connection", "when": when})
    with pytest.raises(BrokenPipeError):
        service.call()
    assert (service.theirs.recv(10), service.asked) == (b"", asked)


def test_half_an_answer_announces_all_of_it() -> None:
    got = Service({"cut": "half"}).call()
    assert (got.body, got.headers["Content-Length"]) == (b"01234", "10")


def test_a_clusters_phase_is_changed_in_each_form_of_the_answer() -> None:
    cluster = {"id": "a", "status": {"phase": "CLUSTER_STATE_RUNNING", "reason": "", "more": 1}}
    for body in (cluster, {"clusters": [cluster]}):
        service = Service({"cluster": {"phase": "FAILED", "reason": "why"}}, json.dumps(body).encode())
        document = json.loads(service.call().body)
        (changed,) = document.get("clusters", [document])
        assert changed["status"] == {"phase": "CLUSTER_STATE_FAILED", "reason": "why", "more": 1}


def test_the_sandboxs_own_requests_and_those_of_no_step_pass() -> None:
    service = Service({"page": True})
    assert service.call(agent="Boto3/1 gridbyoc-sandbox").body == b"0123456789"
    assert service.call(name="x:Z").body == b"0123456789"
    assert service.call().body != b"0123456789"


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/core/clusters", "ListClusters"),
        ("POST", "/v1/projects/p/clusters", "CreateCluster"),
        ("GET", "//v1/core/clusters/a", "GetCluster"),
        ("PUT", "/v1/core/clusters/a", "UpdateCluster"),
        ("DELETE", "/v1/core/clusters/a", "DeleteCluster"),
        ("GET", "/v1/core/clusters/a/logs", "Other"),
        ("POST", "/v1/auth/login", "Login"),
    ],
)
def test_requests_to_the_control_plane_have_names(method: str, path: str, name: str) -> None:
    assert plane_request(method, path) == f"control-plane:{name}"


def told_of(name: str, played: dict[int, int], status: int | None = 1) -> str:
    app = App({}, Path("/"), Path("/"), io.StringIO(), io.StringIO(), io.StringIO())
    tell_played(app, load_scenario(name, Path("/")), played, status)
    assert isinstance(app.stderr, io.StringIO)
    return app.stderr.getvalue()


def test_the_user_is_told_what_was_played() -> None:
    text = told_of("aws-throttling", {0: 2, 1: 1})
    assert "  2 times: iam:CreateRole answered with 400 (Throttling)\n" in text
    assert "  1 time: iam:CreatePolicy answered with 500 (ServiceFailure)\n" in text
    assert "  not played: iam:AttachRolePolicy answered with 400 (Throttling)\n" in text
    assert "  status 1; `gridbyoc bootstrap --yes` should end with 0\n" in text
    assert text.endswith(
        "  expect: Nothing, except that the run takes some seconds longer: Terraform sends each request again.\n"
    )


def test_the_user_is_told_that_nothing_was_played() -> None:
    text = told_of("session-ends", {}, 0)
    assert text.endswith("the scenario played nothing: the run never reached aws:* (after iam:AttachRolePolicy)\n")
    quotas = told_of("quota-too-low", {}, 4)
    assert "  account: the quotas of a new account\n  account: the quota ec2/L-1216C47A is 1\n" in quotas
    assert "played nothing" not in quotas


def test_a_rehearsal_keeps_its_work_dirs_apart_from_those_of_real_roles() -> None:
    running = Sandbox("", "", {}, Path("/s"), Path("/s/log"), ())
    scenario = load_scenario("session-ends", Path("/"))
    assert rehearsal_environ(scenario, running, {}) == {"GRIDBYOC_WORK_ROOT": "/s/work"}
    assert rehearsal_environ(scenario, running, {"GRIDBYOC_WORK_ROOT": "/mine"}) == {}


def test_strikes_are_counted_from_the_record(tmp_path: Path) -> None:
    log = PlayedLog(tmp_path / "played.jsonl")
    assert log.counts() == {}
    for step in (1, 0, 1):
        log.add(step, "iam:CreateRole")
    assert log.counts() == {0: 1, 1: 2}


def output_of(*args: str) -> str:
    out = io.StringIO()
    app = App({}, Path("/"), Path("/"), io.StringIO(), out, io.StringIO())
    CliRunner().invoke(sandbox, list(args), obj=app, standalone_mode=False, catch_exceptions=False)
    return out.getvalue()


def test_scenarios_are_listed_and_printed() -> None:
    assert "aws-throttling " in output_of("scenarios")
    assert read_scenario(output_of("scenarios", "session-ends"), "copy.yaml").title.startswith("The AWS session ends")
    assert json.loads(output_of("scenarios", "--schema"))["$id"] == "urn:gridbyoc:scenario:1"
    for more in ([], ["quota-full"]):
        args = ["scenarios", *more, "--format", "json"]
        check_outputs(args, output_of(*args))


def test_an_answer_without_words_is_described_by_its_status() -> None:
    (step,) = steps_of([{"on": "iam:GetRole", "answer": {"status": 503}}])
    assert (str(step), step.answer) == ("iam:GetRole answered with 503", ScenarioAnswer(503))
