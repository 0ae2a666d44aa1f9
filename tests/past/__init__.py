"""Stacks that an earlier revision made, as data, and what opens them: nobody's stack breaks."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parents[1] / "data" / "past"
STACKS = ("past-local", "past-s3", "past-granted", "past-rotating", "past-replacing")
BUCKET = "past-states"
BUNDLE_KEY = "the key of both jobs in the past"
BY_HAND = "AdministratorAccess"
"""Attached to the role of ``past-granted`` by hand."""
