"""The routes about the user: login, user, memberships, and the apps that a delete asks for."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

from gridbyoc.sandbox.api.answers import rfc3339
from gridbyoc.sandbox.api.app import Context, body
from gridbyoc.sandbox.api.failures import NOT_FOUND, ApiError
from gridbyoc.sandbox.api.fields import camel

PROJECT_ID = "project-ada-0001"
FIRST_NAME, LAST_NAME = "Ada", "Lovelace"
EMAIL = "ada@example.com"


def add_routes(app: Flask, context: Context) -> None:
    """Only the login itself is open to anyone."""
    door = context.door

    def header() -> str:
        return request.headers.get("Authorization", "")

    def login() -> dict[str, Any]:
        fields = {camel(key): value for key, value in body().items()}
        return {"token": door.login(fields.get("username"), fields.get("apiKey"))}

    def refresh() -> dict[str, Any]:
        door.check(header())
        return {"token": door.new_token()}

    def logout() -> dict[str, Any]:
        door.check(header())
        door.logout(header())
        return {}

    def user() -> dict[str, Any]:
        door.check(header())
        return _user(context)

    def memberships() -> dict[str, Any]:
        door.check(header())
        return {"memberships": [_membership(context)]}

    def apps(project_id: str) -> dict[str, Any]:
        door.check(header())
        if project_id != PROJECT_ID:
            raise ApiError(NOT_FOUND, f"project {project_id} not found")
        return {"lightningapps": [], "nextPageToken": "", "previousPageToken": ""}

    app.post("/v1/auth/login")(login)
    app.post("/v1/auth/refresh")(refresh)
    app.post("/v1/auth/logout")(logout)
    app.get("/v1/auth/user")(user)
    app.get("/v1/memberships")(memberships)
    app.get("/v1/projects/<project_id>/appinstances")(apps)


def _user(context: Context) -> dict[str, Any]:
    return {
        "id": context.door.user_id,
        "username": context.door.username,
        "email": EMAIL,
        "firstName": FIRST_NAME,
        "lastName": LAST_NAME,
        "status": {"verified": True, "completedSignup": True, "completedProjectOnboarding": True},
    }


def _membership(context: Context) -> dict[str, Any]:
    return {
        "projectId": PROJECT_ID,
        "name": "default-project",
        "displayName": "Default project",
        "userId": context.door.user_id,
        "ownerId": context.door.user_id,
        "ownerType": "OWNER_TYPE_USER",
        "isDefault": True,
        "roles": [],
        "createdAt": rfc3339(0),
    }
