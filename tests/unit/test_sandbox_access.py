"""Who is let in, what the errors look like, and what the access log must not hold."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from gridbyoc.sandbox.api.app import shown_query
from tests.unit.sandbox_kit import BASIC, EXTERNAL_ID, KEY, USER_ID, Plane, grid_body


@pytest.fixture
def plane(tmp_path: Path) -> Plane:
    return Plane(tmp_path)


def basic(user: str, key: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()


def token_of(plane: Plane, name: str = "ada") -> str:
    answer = plane.client.post("/v1/auth/login", json={"apiKey": KEY, "username": name})
    assert answer.status_code == 200
    return str(answer.json["token"])


def test_the_recorded_login_of_the_grid_cli(plane: Plane) -> None:
    token = token_of(plane)
    user = plane.get("/v1/auth/user", Authorization=f"Bearer {token}")
    assert (user["id"], user["username"]) == (USER_ID, "ada")


def test_a_login_takes_the_users_id_for_the_name_and_either_spelling(plane: Plane) -> None:
    assert token_of(plane, USER_ID)
    assert plane.client.post("/v1/auth/login", json={"api_key": KEY, "username": "ada"}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [{"apiKey": "wrong", "username": "ada"}, {"apiKey": KEY, "username": "eve"}, {"apiKey": 5, "username": "ada"}, {}],
)
def test_a_wrong_login(plane: Plane, body: object) -> None:
    answer = plane.client.post("/v1/auth/login", json=body)
    assert (answer.status_code, answer.json) == (
        401,
        {"code": 16, "message": "invalid username or API key", "details": []},
    )


WRONG_HEADERS = (
    "", "Basic", "Basic !!!", "Basic /w==", basic(USER_ID, "wrong"), basic("ada", KEY), basic("", ""), "Bearer nothing",
    "Bearer ", KEY, basic(USER_ID, "ключ"),
)  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/core/clusters", "/v1/memberships", "/v1/auth/user", "/v1/core/clusters/x/logs"])
def test_without_the_right_header_there_is_401(plane: Plane, path: str) -> None:
    for header in WRONG_HEADERS:
        answer = plane.call("GET", path, Authorization=header)
        assert (answer.status_code, answer.json["code"], answer.json["details"]) == (401, 16, []), header


def test_a_key_without_a_user_id_is_a_bearer_token(plane: Plane) -> None:
    assert plane.call("GET", "/v1/core/clusters", Authorization=f"Bearer {KEY}").status_code == 200
    assert plane.call("GET", "/v1/core/clusters", Authorization=f"Bearer {KEY}x").status_code == 401


def test_a_token_can_be_renewed_ends_with_the_logout_and_after_a_day(plane: Plane) -> None:
    first = f"Bearer {token_of(plane)}"
    renewed = plane.call("POST", "/v1/auth/refresh", {"duration": "3600s"}, Authorization=first).json["token"]
    assert plane.call("POST", "/v1/auth/logout", {}, Authorization=first).json == {}
    assert plane.call("GET", "/v1/auth/user", Authorization=first).status_code == 401
    second = f"Bearer {renewed}"
    assert plane.call("GET", "/v1/auth/user", Authorization=second).status_code == 200
    plane.now += 24 * 3600 + 1
    assert plane.call("GET", "/v1/auth/user", Authorization=second).status_code == 401


def test_slashes_at_the_front_are_one(plane: Plane) -> None:
    for path in ("//v1/core/clusters", "///v1/core/clusters", "/v1/core/clusters/"):
        sent = {"PATH_INFO": path}
        answer = plane.client.get("/", environ_overrides=sent, headers={"Authorization": BASIC})
        assert (answer.status_code, answer.json["clusters"]) == (200, [])


def test_paths_and_methods_that_are_not_there_are_refused_in_the_same_form(plane: Plane) -> None:
    assert plane.call("GET", "/v1/nothing").json == {"code": 5, "message": "Not Found", "details": []}
    answer = plane.call("PATCH", "/v1/core/clusters")
    assert (answer.status_code, answer.json["code"]) == (501, 12)


def test_a_body_that_is_no_object(plane: Plane) -> None:
    for text in ("{", "[]", '"x"', "nul", '{"name": NaN}', "[" * 20_000, b"\xff"):
        answer = plane.client.post("/v1/core/clusters", data=text, headers={"Authorization": BASIC})
        assert (answer.status_code, answer.json["code"], answer.json["details"]) == (400, 3, []), text[:20]


def test_a_body_that_is_too_large(plane: Plane) -> None:
    answer = plane.client.post("/v1/core/clusters", data=b" " * 5_000_000, headers={"Authorization": BASIC})
    assert (answer.status_code, answer.json["details"]) == (413, [])


def test_a_fault_of_ours_is_500_and_says_nothing_of_itself(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    (tmp_path / "plane.sqlite").write_bytes(b"this is no database any more, " * 500)
    answer = plane.call("GET", "/v1/core/clusters")
    assert (answer.status_code, answer.json) == (
        500,
        {"code": 13, "message": "internal error of the sandbox", "details": []},
    )


def test_the_access_log_tells_what_was_asked_and_no_secret(plane: Plane) -> None:
    plane.create(body=grid_body())
    token = token_of(plane)
    plane.call("GET", f"/v1/core/clusters/x/logs?token={token}&limit=5")
    plane.call("GET", "/sign-in?redirectTo=http://localhost:1/x")
    text = plane.access_log.read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    assert [(entry["method"], entry["path"], entry["status"]) for entry in entries] == [
        ("POST", "/v1/core/clusters", 200),
        ("POST", "/v1/auth/login", 200),
        ("GET", "/v1/core/clusters/x/logs", 400),
        ("GET", "/sign-in", 302),
    ]
    assert entries[0]["agent"] == "Grid-CLI-0.8.81"
    assert "limit=5" in entries[2]["query"]
    for secret in (KEY, EXTERNAL_ID, token, BASIC.partition(" ")[2]):
        assert secret not in text


def test_secret_parameters_are_taken_out_of_a_query() -> None:
    assert shown_query("token=Basic+abc&end=1&authToken=x&token=y") == (
        "token=%5Bsecret%5D&end=1&authToken=%5Bsecret%5D&token=%5Bsecret%5D"
    )


def test_the_browser_login_sends_the_browser_back_with_everything(plane: Plane) -> None:
    path = "/sign-in?redirectTo=http%3A%2F%2Flocalhost%3A8123%2Flogin-complete"
    assert plane.client.head(path).status_code < 400
    answer = plane.client.get(path)
    target = urlsplit(answer.headers["Location"])
    assert (answer.status_code, target.netloc, target.path) == (302, "localhost:8123", "/login-complete")
    sent = parse_qs(target.query)
    assert (sent["key"], sent["userID"]) == ([KEY], [USER_ID])
    assert plane.get("/v1/auth/user", Authorization=f"Bearer {sent['token'][0]}")["id"] == USER_ID
    for page in ("/cli-login-successful?token=x", "/cli-login-failed", "/me/apps"):
        assert "sandbox" in plane.client.get(page).text


@pytest.mark.parametrize(
    "target", ["https://example.com/", "http://example.com/", "//example.com", "", "http://localhost.example.com/"]
)
def test_the_browser_login_sends_nobody_elsewhere(plane: Plane, target: str) -> None:
    assert plane.client.get("/sign-in", query_string={"redirectTo": target}).status_code == 400


def test_what_a_delete_of_the_lightning_cli_asks_first(plane: Plane) -> None:
    project = plane.get("/v1/memberships")["memberships"][0]["projectId"]
    query = "clusterId=x&phaseIn=LIGHTNINGAPP_INSTANCE_STATE_RUNNING"
    assert plane.get(f"/v1/projects/{project}/appinstances?{query}")["lightningapps"] == []
    assert plane.call("GET", "/v1/projects/other/appinstances").status_code == 404


GRAPH = {"X-Grid-User": USER_ID, "X-Grid-Key": KEY}


def test_graphql_answers_what_the_grid_cli_asks(plane: Plane) -> None:
    ask = {"query": "{ getUser { username firstName lastName email } }"}
    assert plane.client.post("/graphql", json=ask, headers=GRAPH).json["data"]["getUser"]["username"] == "ada"
    teams = "query GetUserTeams { getUserTeams { success message teams { id name members { id } } } }"
    answer = plane.client.post("/graphql", json={"query": teams, "operationName": "GetUserTeams"}, headers=GRAPH)
    assert answer.json == {"data": {"getUserTeams": {"success": True, "message": "", "teams": []}}}


def test_graphql_describes_itself_in_words_that_clients_of_2022_know(plane: Plane) -> None:
    ask = {"query": "{ __schema { queryType { name } types { name } directives { name locations } } }"}
    schema = plane.client.post("/graphql", json=ask, headers=GRAPH).json["data"]["__schema"]
    assert schema["queryType"] == {"name": "Query"}
    assert {"User", "Member", "Team", "TeamsResult"} <= {each["name"] for each in schema["types"]}
    assert not any("DIRECTIVE" in location for each in schema["directives"] for location in each["locations"])


def test_graphql_refuses(plane: Plane) -> None:
    wrong = {"X-Grid-User": USER_ID, "X-Grid-Key": "wrong"}
    assert plane.client.post("/graphql", json={"query": "{ x }"}, headers=wrong).status_code == 401
    assert plane.client.post("/graphql", json={"query": "{ x }"}).status_code == 401
    assert plane.client.post("/graphql", json={}, headers=GRAPH).status_code == 400
    assert "errors" in plane.client.post("/graphql", json={"query": "{ nonsense }"}, headers=GRAPH).json
