"""A local state that was cut off in the middle of a write, and the copy from before that Terraform keeps beside it.

Terraform truncates the file and writes it anew after every resource, in place. Killed in between, it leaves an empty
file, which reads like no state at all: https://github.com/hashicorp/terraform (internal/states/statemgr/filesystem.go).
"""

from __future__ import annotations

from pathlib import Path

from gridbyoc.stack.files import read_json, read_private, write_atomic
from gridbyoc.terraform.state import has_resources


def put_back(state_file: Path) -> bool:
    """Put ``terraform.tfstate.backup`` in the place of a state that is empty or torn; whether that was so.

    The copy is of the moment when the Terraform that was cut off began. Nothing is done to a state that can be read,
    where there is no copy, or where the copy knows of no resource. Nobody may hold the lock. Raises ``FileError`` and
    ``OSError``.
    """
    if not state_file.exists() or read_json(state_file):
        return False
    copy = state_file.with_name(f"{state_file.name}.backup")
    if not has_resources(read_json(copy)):
        return False
    write_atomic(state_file, read_private(copy))
    return True


def is_torn(state_file: Path) -> bool:
    """Whether the file holds something that is no JSON object. An empty one is no state, to Terraform as well."""
    return state_file.exists() and state_file.stat().st_size > 0 and not read_json(state_file)
