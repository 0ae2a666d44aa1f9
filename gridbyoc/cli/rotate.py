"""``gridbyoc rotate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.bootstrap import Yes, carry_out
from gridbyoc.cli.options import command, load_stack, pass_app, profile_option, set_option, stack_argument
from gridbyoc.cli.running import brief_option, choices_options, no_control_plane_option
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.stack.clock import utc_now

if TYPE_CHECKING:
    from gridbyoc.operations.run import Choices
    from gridbyoc.stack.model import Stack


@command("rotate")
@stack_argument
@set_option
@profile_option
@click.option("--role", is_flag=True, help="Replace the role itself, not only the external id.")
@click.option("--yes", "-y", is_flag=True, help="Approve creation and change, as for bootstrap.")
@click.option("--yes-destroy", is_flag=True, help="Approve destroying the old role at the end (--role).")
@click.option("--drop-old", is_flag=True, help="For a vendor without an API: it has the new id, so drop the old one.")
@brief_option
@choices_options
@no_control_plane_option
@pass_app
def rotate(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    role: bool,
    yes: bool,
    yes_destroy: bool,
    drop_old: bool,
    brief: bool,
    choices: Choices,
) -> None:
    """Give the stack a new external id, without a moment in which the control plane cannot assume the role.

    The role accepts the old and the new id; the control plane gets the new one; once every cluster uses it, the old one
    is dropped. role.rotation in STACK_FILE records it. With --role a new role is created beside the old one, which is
    deleted once no cluster runs through it. Other pending changes of the file are applied as well, as the plan shows.
    If the command is killed, `rotate` or `bootstrap` continues.

    A vendor without an API cannot be asked what it holds, so this takes two runs: after `rotate --no-control-plane` the
    role accepts both ids; you give the vendor the new id (with --role also the new role); once the vendor confirms that
    it works, `rotate --no-control-plane --drop-old` drops the old one.
    """
    from gridbyoc.operations.options import BootstrapOptions

    approved = Yes(yes, yes_destroy)
    if drop_old:
        _check_drop(load_stack(app, stack_file, overrides), role=role)
        options = BootstrapOptions(needs_role=True, drop_old=True)
        carry_out(app, stack_file, overrides, choices, approved, options, brief=brief, verb="rotate")
        return
    if role:
        options = BootstrapOptions(new_role=True)
        carry_out(app, stack_file, overrides, choices, approved, options, brief=brief, verb="rotate")
        return
    file = _rotatable_file(load_stack(app, stack_file, overrides))
    mark = utc_now().strftime("%Y-%m-%dT%H:%M:%SZ")
    options = BootstrapOptions(needs_role=True, on_approved=lambda: _record(app, file, mark))
    carry_out(
        app, stack_file, overrides, choices, approved, options,
        brief=brief, alter=lambda stack: replace(stack, role=replace(stack.role, rotation=mark)), verb="rotate",
    )  # fmt: skip


def _check_drop(stack: Stack, *, role: bool) -> None:
    if stack.control_plane.type != "manual":
        why, fix = (
            "This control plane shows which id its clusters hold.",
            "Run `gridbyoc bootstrap`: it drops the old id itself.",
        )
    elif stack.terraform.module is not None:
        why, fix = "The stack uses another module.", "Take the old id out with that module's own inputs."
    elif role:
        why, fix = (
            "A new role would be created.",
            "Leave --role out: --drop-old drops an old role as well as an old id.",
        )
    else:
        return
    raise UsageError("--drop-old cannot be used here.", why=why, fix=fix, rerun=SAFE_NOTHING_DONE)


def _record(app: App, file: Path, mark: str) -> None:
    """Record the rotation once the plan is approved, before it is applied.

    The file has a killed one, but not a refused one.
    """
    from gridbyoc.stack.edit import write_back

    write_back(file, {("role", "rotation"): mark})
    app.note(f"{file}: role.rotation is now {mark}; commit it.")


def _rotatable_file(stack: Stack) -> Path:
    if stack.terraform.module is not None:
        why, fix = "The stack uses another module.", "Rotate with that module's own inputs, then run bootstrap."
    elif stack.role.external_id is not None:
        why = "The stack brings its own external id (role.external_id_from)."
        fix = (
            "Put a new value there and run bootstrap: the old one is accepted until the control plane has the new one."
        )
    elif stack.file is None:
        why, fix = "The stack file came from standard input.", "Change role.rotation in it and run bootstrap."
    else:
        return stack.file
    raise UsageError("The external id cannot be rotated by this command.", why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
