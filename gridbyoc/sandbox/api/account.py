"""The routes about the user: login, user, memberships, and the apps that clients list before a delete."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Flask, redirect, request
from graphql import ExecutionResult, GraphQLSchema, build_schema, graphql_sync
from werkzeug.wrappers import Response

from gridbyoc.sandbox.api.answers import rfc3339
from gridbyoc.sandbox.api.app import ApiContext, Doorkeeper, body
from gridbyoc.sandbox.api.failures import NOT_FOUND, ApiError, invalid
from gridbyoc.sandbox.api.spec import camel

PROJECT_ID = "project-ada-0001"
FIRST_NAME, LAST_NAME = "Ada", "Lovelace"
EMAIL = "ada@example.com"

Answer = dict[str, Any]


def add_routes(app: Flask, context: ApiContext) -> None:
    """Add the routes; only the login needs no authentication."""
    routes = _AccountRoutes(context)
    app.post("/v1/auth/login")(routes.login)
    app.post("/v1/auth/refresh")(routes.refresh)
    app.post("/v1/auth/logout")(routes.logout)
    app.get("/v1/auth/user")(routes.user)
    app.get("/v1/memberships")(routes.memberships)
    app.get("/v1/projects/<project_id>/appinstances")(routes.apps)


class _AccountRoutes:
    def __init__(self, context: ApiContext) -> None:
        self._door = context.door

    def login(self) -> Answer:
        fields = {camel(key): value for key, value in body().items()}
        return {"token": self._door.login(fields.get("username"), fields.get("apiKey"))}

    def refresh(self) -> Answer:
        self._check()
        return {"token": self._door.new_token()}

    def logout(self) -> Answer:
        self._door.logout(self._check())
        return {}

    def user(self) -> Answer:
        self._check()
        return _user(self._door)

    def memberships(self) -> Answer:
        self._check()
        return {"memberships": [_membership(self._door)]}

    def apps(self, project_id: str) -> Answer:
        self._check()
        if project_id != PROJECT_ID:
            raise ApiError(NOT_FOUND, f"project {project_id} not found")
        return {"lightningapps": [], "nextPageToken": "", "previousPageToken": ""}

    def _check(self) -> str:
        authorization = request.headers.get("Authorization", "")
        self._door.check(authorization)
        return authorization


def _user(door: Doorkeeper) -> Answer:
    return {
        "id": door.user_id,
        "username": door.username,
        "email": EMAIL,
        "firstName": FIRST_NAME,
        "lastName": LAST_NAME,
        "status": {"verified": True, "completedSignup": True, "completedProjectOnboarding": True},
    }


def _membership(door: Doorkeeper) -> Answer:
    return {
        "projectId": PROJECT_ID,
        "name": "default-project",
        "displayName": "Default project",
        "userId": door.user_id,
        "ownerId": door.user_id,
        "ownerType": "OWNER_TYPE_USER",
        "isDefault": True,
        "roles": [],
        "createdAt": rfc3339(0),
    }


PAGES = {
    "/cli-login-successful": "You are logged in to the sandbox. You can close this page.",
    "/cli-login-failed": "The login to the sandbox failed.",
    "/me/apps": "You are logged in to the sandbox. You can close this page.",
}


def add_browser_routes(app: Flask, context: ApiContext) -> None:
    """Add the browser login.

    It needs no authentication: the server is on loopback, and the key is only for this sandbox.
    """

    def sign_in() -> Response:
        target = urlsplit(request.args.get("redirectTo", ""))
        if target.scheme != "http" or target.hostname not in ("localhost", "127.0.0.1"):
            raise invalid("redirectTo must be an address on this machine, such as http://localhost:8000/login-complete")
        given = {"token": context.door.new_token(), "key": context.door.key().reveal(), "userID": context.door.user_id}
        query = urlencode(parse_qsl(target.query) + list(given.items()))
        return redirect(urlunsplit((target.scheme, target.netloc, target.path, query, "")))

    def page() -> str:
        return f"<!doctype html><title>gridbyoc sandbox</title><p>{PAGES[request.path]}</p>"

    app.get("/sign-in")(sign_in)
    for path in PAGES:
        app.add_url_rule(path, f"page {path}", page)


_SCHEMA = """
directive @deprecated(reason: String = "No longer supported") on FIELD_DEFINITION | ENUM_VALUE
type User {
  userId: String username: String firstName: String lastName: String email: String
  isVerified: Boolean completedSignup: Boolean isBlocked: Boolean
}
type Member { id: String username: String firstName: String lastName: String }
type Team { id: String name: String createdAt: String role: String members: [Member] }
type TeamsResult { success: Boolean message: String teams: [Team] }
type Query { getUser: User getUserTeams: TeamsResult }
"""
# @deprecated is declared here because graphql-core adds locations to it that clients of 2022 do not know and reject.


def add_graph_routes(app: Flask, context: ApiContext) -> None:
    """Add GraphQL, authenticated by the two headers of its clients, or as the other routes."""

    def answer() -> dict[str, Any]:
        _check(context)
        query = body().get("query")
        if not isinstance(query, str):
            raise invalid("query is required")
        variables, operation = body().get("variables"), body().get("operationName")
        result: ExecutionResult = graphql_sync(
            _schema(), query, _root(context), variable_values=variables, operation_name=operation
        )
        return dict(result.formatted)

    app.post("/graphql")(answer)


def _check(context: ApiContext) -> None:
    headers = request.headers
    if "X-Grid-User" in headers:
        context.door.check_pair(headers["X-Grid-User"], headers.get("X-Grid-Key", ""))
    else:
        context.door.check(headers.get("Authorization", ""))


@lru_cache(maxsize=1)
def _schema() -> GraphQLSchema:
    return build_schema(_SCHEMA)


def _root(context: ApiContext) -> dict[str, Any]:
    user = {
        "userId": context.door.user_id,
        "username": context.door.username,
        "firstName": FIRST_NAME,
        "lastName": LAST_NAME,
        "email": EMAIL,
        "isVerified": True,
        "completedSignup": True,
        "isBlocked": False,
    }
    return {"getUser": user, "getUserTeams": {"success": True, "message": "", "teams": []}}
