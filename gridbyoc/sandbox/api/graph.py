"""POST /graphql: who the user is and which teams they are in, with a schema that can be asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flask import Flask, request
from graphql import ExecutionResult, GraphQLSchema, build_schema, graphql_sync

from gridbyoc.sandbox.api.account import EMAIL, FIRST_NAME, LAST_NAME
from gridbyoc.sandbox.api.app import Context, body
from gridbyoc.sandbox.api.failures import invalid

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
# @deprecated is declared because graphql-core adds locations to it that clients of 2022 do not know and stop at.


def add_routes(app: Flask, context: Context) -> None:
    """Authenticated by the two headers that the GraphQL clients send, or as everywhere else."""

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


def _check(context: Context) -> None:
    headers = request.headers
    if "X-Grid-User" in headers:
        context.door.check_pair(headers["X-Grid-User"], headers.get("X-Grid-Key", ""))
    else:
        context.door.check(headers.get("Authorization", ""))


@lru_cache(maxsize=1)
def _schema() -> GraphQLSchema:
    return build_schema(_SCHEMA)


def _root(context: Context) -> dict[str, Any]:
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
