"""Play a scenario's steps: decide which request a step strikes, and answer it in front of a server."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gridbyoc.sandbox.api.failures import UNKNOWN, ApiError
from gridbyoc.sandbox.aws_extra.call import (
    AwsAnswer,
    AwsAnswerError,
    Environ,
    answer_with,
    iam_prefix,
    read_call,
)
from gridbyoc.sandbox.aws_extra.layer import StartResponse, WsgiApp
from gridbyoc.sandbox.scenario.model import (
    EVERY_REQUEST_TO_AWS,
    PLANE,
    TERRAFORM,
    ClusterDisguise,
    ScenarioAnswer,
    ScenarioStep,
    steps_of,
)
from gridbyoc.sandbox.scenario.played import PlayedLog

OWN_AGENT = "gridbyoc-sandbox"
"""In the agent of the requests that the sandbox's own control plane sends to the local AWS; no step strikes them."""

WEB_PAGE = b"<html><title>Sign in</title>Sign in to the hotel's network</html>"


@dataclass(slots=True)
class _Progress:
    """How far one step is. ``turn``: the requests that it counts; ``began``: when it first struck."""

    turn: int = 0
    struck: int = 0
    began: float | None = None
    over: bool = False


class ScenarioPlay:
    """Decides which step strikes a request. Thread-safe.

    ``told`` is called with a step's index in ``steps`` and the request's name for each strike; ``clock`` is monotonic.
    """

    def __init__(
        self,
        steps: Sequence[ScenarioStep],
        told: Callable[[int, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps = tuple(steps)
        self._told = told
        self._clock = clock
        self._lock = threading.Lock()
        self._progress = [_Progress() for _ in self._steps]

    def take(self, name: str, path: str = "") -> ScenarioStep | None:
        """Count a request; return the first step that strikes it, or ``None``."""
        with self._lock:
            striking = [
                index
                for index, (step, progress) in enumerate(zip(self._steps, self._progress, strict=True))
                if self._strikes(step, progress, name, path)
            ]
            if not striking:
                return None
            index = striking[0]
            self._progress[index].struck += 1
            self._told(index, name)
            return self._steps[index]

    def _strikes(self, step: ScenarioStep, progress: _Progress, name: str, path: str) -> bool:
        if progress.over:
            return False
        fits = fits_request(step.on, name) and (not step.path or fnmatchcase(path, step.path))
        progress.turn += fits_request(step.after, name) if step.after else fits
        if step.until and progress.struck and fits_request(step.until, name):
            progress.over = True
            return False
        if progress.turn < step.nth or not fits:
            return False
        if step.times is not None and progress.struck >= step.times:
            return False
        if step.seconds is None:
            return True
        now = self._clock()
        progress.began = now if progress.began is None else progress.began
        return now - progress.began < step.seconds


def fits_request(wanted: str, name: str) -> bool:
    """Whether a request has a name, or fits a pattern of names."""
    if wanted == EVERY_REQUEST_TO_AWS:
        return not name.startswith((f"{PLANE}:", f"{TERRAFORM}:"))
    return fnmatchcase(name, wanted)


@dataclass(frozen=True, slots=True)
class PlayedSide:
    """One server's part: the name of a request, and an error in the service's form (headers and body)."""

    name: Callable[[Environ], str]
    refusal: Callable[[Environ, ScenarioAnswer], AwsAnswer]


class ScenarioLayer:
    """Handles requests before ``app``: plays the steps, and passes every other request on."""

    def __init__(self, app: WsgiApp, play: ScenarioPlay, side: PlayedSide, sleep: Callable[[float], object]) -> None:
        self._app = app
        self._play = play
        self._side = side
        self._sleep = sleep

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if OWN_AGENT in str(environ.get("HTTP_USER_AGENT", "")):
            return self._app(environ, start_response)
        step = self._play.take(self._side.name(environ), str(environ.get("PATH_INFO", "")))
        if step is None:
            return self._app(environ, start_response)
        self._sleep(step.delay)
        if step.cut == "connection" and step.when == "before":
            return _hang_up(environ)
        replaced = step.answer is not None or step.page
        if replaced and step.when == "before":
            return _send(start_response, self._own_answer(environ, step))
        if not (replaced or step.cut or step.cluster):
            return self._app(environ, start_response)
        answer = _captured(self._app, environ)
        if step.cut == "connection":
            return _hang_up(environ)
        if replaced:
            return _send(start_response, self._own_answer(environ, step))
        if step.cluster:
            return _send(start_response, _with_phase(answer, step.cluster))
        return _send(start_response, answer, half=True)

    def _own_answer(self, environ: Environ, step: ScenarioStep) -> AwsAnswer:
        if step.answer is None:
            return AwsAnswer(200, WEB_PAGE, {"Content-Type": "text/html; charset=utf-8"})
        if step.answer.body is not None:
            answer = AwsAnswer(step.answer.status, step.answer.body.encode(), {"Content-Type": "application/json"})
        else:
            answer = self._side.refusal(environ, step.answer)
        again = {} if step.answer.retry_after is None else {"Retry-After": str(step.answer.retry_after)}
        return AwsAnswer(step.answer.status, answer.body, {**answer.headers, **again})


def _captured(app: WsgiApp, environ: Environ) -> AwsAnswer:
    """The application's answer."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    body = b"".join(app(environ, lambda status, headers, *_rest: started.append((status, headers))))
    status, headers = started[-1]
    return AwsAnswer(int(status.split()[0]), body, dict(headers))


def _send(start_response: StartResponse, answer: AwsAnswer, *, half: bool = False) -> Iterable[bytes]:
    """Send an answer; ``half`` announces all of its body and sends the first half."""
    kept = [(name, value) for name, value in answer.headers.items() if name.lower() != "content-length"]
    phrase = next((each.phrase for each in HTTPStatus if each == answer.status), "Unknown")
    status = f"{answer.status} {phrase}"
    start_response(status, [*kept, ("Content-Length", str(len(answer.body)))])
    return [answer.body[: len(answer.body) // 2] if half else answer.body]


def _hang_up(environ: Environ) -> Iterable[bytes]:
    """Close the connection without an answer; the server then cannot write one."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise BrokenPipeError


def _with_phase(answer: AwsAnswer, change: ClusterDisguise) -> AwsAnswer:
    """The answer with each of its clusters changed; an error stays."""
    if answer.status != HTTPStatus.OK:
        return answer
    document: dict[str, Any] = json.loads(answer.body)
    for cluster in document.get("clusters", [document]):
        cluster["status"] |= {"phase": f"CLUSTER_STATE_{change.phase}", "reason": change.reason}
    return AwsAnswer(answer.status, json.dumps(document).encode(), answer.headers)


# --- the two servers ------------------------------------------------------------------------------------------------


def aws_side() -> PlayedSide:
    """The local AWS's part."""

    def name(environ: Environ) -> str:
        call = read_call(environ)
        return f"{iam_prefix(call.service)}:{call.operation}"

    def refusal(environ: Environ, answer: ScenarioAnswer) -> AwsAnswer:
        error = AwsAnswerError(answer.code or "InternalFailure", answer.message or answer.code, answer.status)
        return answer_with(read_call(environ), error)

    return PlayedSide(name, refusal)


def plane_side() -> PlayedSide:
    """The local control plane's part."""
    return PlayedSide(
        lambda environ: plane_request(str(environ["REQUEST_METHOD"]), str(environ.get("PATH_INFO", ""))), plane_refusal
    )


_CLUSTERS = re.compile(r"/+v1/(?:core|projects/[^/]+)/clusters(?P<id>/[^/]+)?/?")
_BY_METHOD = {
    ("GET", False): "ListClusters",
    ("POST", False): "CreateCluster",
    ("GET", True): "GetCluster",
    ("PUT", True): "UpdateCluster",
    ("DELETE", True): "DeleteCluster",
}
_BY_PATH = {("POST", "/v1/auth/login"): "Login", ("GET", "/v1/auth/user"): "GetUser"}


def plane_request(method: str, path: str) -> str:
    """The name of a request to the control plane."""
    clusters = _CLUSTERS.fullmatch(path)
    found = _BY_METHOD.get((method, bool(clusters["id"]))) if clusters else _BY_PATH.get((method, path))
    return f"{PLANE}:{found or 'Other'}"


def plane_refusal(_environ: Environ, answer: ScenarioAnswer) -> AwsAnswer:
    """An error of the control plane."""
    body = json.dumps(ApiError((UNKNOWN, answer.status), answer.message).body()).encode()
    return AwsAnswer(answer.status, body, {"Content-Type": "application/json"})


def with_scenario(app: WsgiApp, config: Mapping[str, Any], side: PlayedSide) -> WsgiApp:
    """``app`` with the scenario of a server's settings in front of it."""
    play = ScenarioPlay(steps_of(config["steps"]), PlayedLog(Path(config["log"])).add)
    return ScenarioLayer(app, play, side, time.sleep)
