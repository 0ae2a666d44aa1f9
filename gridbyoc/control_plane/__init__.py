"""The control plane: the service that creates clusters, and our client of its API."""

from gridbyoc.control_plane.connect import connect, log_in
from gridbyoc.control_plane.credentials import context_of, current_context, set_context
from gridbyoc.control_plane.wait import wait_until

__all__ = ["connect", "context_of", "current_context", "log_in", "set_context", "wait_until"]
