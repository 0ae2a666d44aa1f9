"""``gridbyoc rotate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.bootstrap import Yes, carry_out
from gridbyoc.cli.options import command, load_stack, pass_app, set_option, stack_argument
from gridbyoc.cli.running import choices_options, now
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError

if TYPE_CHECKING:
    from gridbyoc.stack.model import Stack
    from gridbyoc.steps.run import Choices


@command("rotate")
@stack_argument
@set_option
@click.option("--role", is_flag=True, help="Replace the role itself, not only the external id.")
@click.option("--yes", "-y", is_flag=True, help="Approve the rotation.")
@click.option("--yes-destroy", is_flag=True, help="Approve that the old role is destroyed at the end (--role).")
@choices_options
@pass_app
def rotate(
    app: App, stack_file: str, overrides: tuple[str, ...], role: bool, yes: bool, yes_destroy: bool, choices: Choices
) -> None:
    """Give the stack a new external id, without a moment in which the control plane cannot assume the role.

    The role accepts the old and the new one; the control plane gets the new; once every cluster runs with it, the
    old is dropped. role.rotation in STACK_FILE records it. With --role a new role is made beside the old one, which
    goes once no cluster runs through it. Killed anywhere, `rotate` or `bootstrap` goes on.
    """
    stack = load_stack(app, stack_file, overrides)
    file = None if role else _rotatable_file(stack)
    what = "role" if role else "external id"
    if not yes and not app.confirm(f"Rotate the {what} of {stack.name}?", flag="--yes"):
        raise UsageError("The rotation was not approved.", rerun=SAFE_NOTHING_DONE)
    if file is not None:
        from gridbyoc.stack.write_back import write_back

        mark = now().strftime("%Y-%m-%dT%H:%M:%SZ")
        write_back(file, {("role", "rotation"): mark})
        app.note(f"{file}: role.rotation is now {mark}; commit it.")
    carry_out(app, stack_file, overrides, choices, Yes(True, yes_destroy), new_role=role, verb="rotate")


def _rotatable_file(stack: Stack) -> Path:
    if stack.terraform.module is not None:
        why, fix = "The stack uses another module.", "Rotate with that module's own inputs, then run bootstrap."
    elif stack.role.external_id is not None:
        why = "The stack brings its own external id (role.external_id_from)."
        fix = "Put a new value there and run bootstrap: the old one is accepted until the control plane has the new."
    elif stack.file is None:
        why, fix = "The stack file came from standard input.", "Change role.rotation in it and run bootstrap."
    else:
        return stack.file
    raise UsageError("The external id cannot be rotated by this command.", why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
