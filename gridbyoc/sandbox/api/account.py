"""The routes about the user: login, user, memberships, and the apps that a delete asks for."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

from gridbyoc.sandbox.api.access import Doorkeeper
from gridbyoc.sandbox.api.answers import rfc3339
from gridbyoc.sandbox.api.app import Context, body
from gridbyoc.sandbox.api.failures import NOT_FOUND, ApiError
from gridbyoc.sandbox.api.fields import camel

PROJECT_ID = "project-ada-0001"
FIRST_NAME, LAST_NAME = "Ada", "Lovelace"
EMAIL = "ada@example.com"

Answer = dict[str, Any]


def add_routes(app: Flask, context: Context) -> None:
    """Only the login itself is open to anyone."""
    routes = _Routes(context)
    app.post("/v1/auth/login")(routes.login)
    app.post("/v1/auth/refresh")(routes.refresh)
    app.post("/v1/auth/logout")(routes.logout)
    app.get("/v1/auth/user")(routes.user)
    app.get("/v1/memberships")(routes.memberships)
    app.get("/v1/projects/<project_id>/appinstances")(routes.apps)


class _Routes:
    def __init__(self, context: Context) -> None:
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
