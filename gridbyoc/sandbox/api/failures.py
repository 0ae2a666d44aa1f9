"""Error responses of the control plane: grpc-gateway's body and status."""

from __future__ import annotations

from typing import Any

# https://grpc.io/docs/guides/status-codes/ and grpc-gateway's HTTP status for each.
UNKNOWN = 2
INVALID_ARGUMENT = (3, 400)
NOT_FOUND = (5, 404)
ALREADY_EXISTS = (6, 409)
PERMISSION_DENIED = (7, 403)
FAILED_PRECONDITION = (9, 400)
UNIMPLEMENTED = (12, 501)
INTERNAL = (13, 500)
UNAUTHENTICATED = (16, 401)


class ApiError(Exception):
    """An error response. Clients show ``message`` to the user; it holds no secret."""

    def __init__(self, kind: tuple[int, int], message: str) -> None:
        super().__init__(message)
        self.grpc_code, self.status = kind
        self.message = message

    def body(self) -> dict[str, Any]:
        """The body.

        ``details`` must be present and empty: clients crash if it is missing, or if it contains objects.
        """
        return {"code": self.grpc_code, "message": self.message, "details": []}


def invalid(message: str) -> ApiError:
    """400: the request is invalid in itself."""
    return ApiError(INVALID_ARGUMENT, message)


def not_found(cluster_id: str) -> ApiError:
    """404: no such cluster."""
    return ApiError(NOT_FOUND, f"cluster {cluster_id} not found")
