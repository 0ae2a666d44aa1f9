"""``gridbyoc handoff``, and the part of ``gridbyoc register`` that reads a handoff."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.bundle import read_file
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import command, load_stack, pass_app, profile_option, set_option, stack_argument, url_option
from gridbyoc.cli.outputs import mask_in_github
from gridbyoc.cli.running import Duration, lock_option, open_run, terraform_options
from gridbyoc.errors import SAFE_NOTHING_DONE, HandoffKeyError, UsageError
from gridbyoc.stack.clock import utc_now

if TYPE_CHECKING:
    from gridbyoc.control_plane.model import Created, Grant, Registrar
    from gridbyoc.operations.events import Emit
    from gridbyoc.operations.handoff.file import Handoff
    from gridbyoc.operations.register import EditRequest
    from gridbyoc.stack.model import ClusterSpec, ControlPlane, DialectName, Stack
    from gridbyoc.stack.secret import Secret


@command("handoff")
@stack_argument
@set_option
@profile_option
@click.option("--out", default=None, metavar="FILE", help="Write the encrypted handoff to this file.")
@click.option(
    "--reveal",
    is_flag=True,
    help="For a vendor without an API: print what to send, external id in clear (masked in a GitHub job's log).",
)
@click.option(
    "--valid-for", type=Duration(), default="7d", show_default=True, help="How long the file is valid: 12h, 7d."
)
@lock_option
@terraform_options
@url_option
@pass_app
def handoff(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    out: str | None,
    reveal: bool,
    valid_for: float,
    lock_timeout: float | None,
    terraform_bin: str | None,
    url: str | None,
) -> None:
    """Write all that somebody else needs to register clusters through STACK_FILE's role, without AWS permissions.

    The file holds role ARN, external id, region, account and control plane, encrypted with the key in
    GRIDBYOC_HANDOFF_KEY; `gridbyoc register --handoff FILE NAME` reads it. For a vendor without an API, --reveal prints
    what to send instead. The role must be up, and its trust proven. The journal records the handover. Nothing in AWS is
    changed (docs/two-people.md).
    """
    from gridbyoc.operations.handoff.make import (
        check_out,
        check_revealable,
        check_validity,
        make_handoff,
        show_handoff,
        write_handoff,
    )
    from gridbyoc.operations.run import Choices
    from gridbyoc.show.handoff import HANDOFF_WRITTEN, WrittenHandoff

    if (out is None) is not reveal:
        raise UsageError(
            "Give either --out FILE or --reveal.",
            why="--out writes an encrypted file; --reveal prints a page for a vendor without an API.",
            rerun=SAFE_NOTHING_DONE,
        )
    valid = check_validity(valid_for)
    key = None if out is None else _required_key(app)
    with open_run(app, stack_file, overrides, "handoff", Choices(terraform_bin, url, lock_timeout=lock_timeout)) as run:
        if out is None or key is None:
            check_revealable(run.stack)
            show_handoff(run, make_handoff(run, valid), lambda made: show_page(app, made))
        else:
            place = Path(app.cwd, out)
            check_out(run.stack, place)
            made = make_handoff(run, valid)
            write_handoff(run, made, key, place)
            app.show(HANDOFF_WRITTEN, WrittenHandoff(made, out), made.stack)
    tell_next(app, "handoff")


def show_page(app: App, made: Handoff) -> None:
    """Show what to send, with the external id in clear; in a GitHub job's log it is masked from here on."""
    from gridbyoc.show.handoff import HANDOFF_PAGE

    mask_in_github(app, made.external_id)
    app.show(HANDOFF_PAGE, made, made.stack)


def _required_key(app: App) -> Secret:
    from gridbyoc.operations.handoff.file import HANDOFF

    key = HANDOFF.key_in(app.environ)
    if key is None:
        raise HandoffKeyError(
            "There is no key to encrypt the handoff with.",
            why="A handoff holds the external id, and is sent to others.",
            fix=f"Set {HANDOFF.key_variable} (`openssl rand -base64 32` makes one), and send the key "
            "to the other person by another way than the file.",
            rerun=SAFE_NOTHING_DONE,
        )
    return key


@dataclass(frozen=True, slots=True)
class Registration:
    """What a cluster is registered with.

    ``handoff``: the source of role and control plane, if there is one. ``again``: the command that resumes it, without
    ``gridbyoc``.
    """

    plane: ControlPlane
    spec: ClusterSpec
    grant: Grant
    handoff: Handoff | None = None
    again: str = ""

    @property
    def stack(self) -> str | None:
        """The name of the handoff's stack."""
        return self.handoff.stack if self.handoff else None

    def create(self, registrar: Registrar, emit: Emit, edit: EditRequest | None) -> Created:
        """Create the cluster, or adopt an existing one."""
        from gridbyoc.operations.handoff.register import register_handed_over
        from gridbyoc.operations.register import register_cluster

        if self.handoff is not None:
            return register_handed_over(self.handoff, registrar, self.spec, emit, edit=edit)
        return register_cluster(registrar, self.spec, self.grant, emit, edit=edit)


def refuse_beside_handoff(given: Mapping[str, str | None]) -> None:
    """Raise ``UsageError`` for options whose value the handoff already holds."""
    twice = [option for option, value in given.items() if value is not None]
    if twice:
        raise UsageError(
            f"--handoff and {', '.join(twice)} cannot go together.",
            why="The handoff holds role, external id and region.",
            fix="Leave one of them out.",
            rerun=SAFE_NOTHING_DONE,
        )


def from_handoff(
    app: App,
    file: str,
    spec: ClusterSpec,
    expect_stack: str | None,
    stack_file: str | None,
    url: str | None,
    dialect: DialectName | None,
) -> Registration:
    """Open the handoff, and check that it is for this machine's control plane and for the expected stack.

    ``spec`` comes from the command line; the stack file's entry replaces it, if there is one.
    """
    from gridbyoc.control_plane.model import Grant
    from gridbyoc.operations.handoff.file import HANDOFF, open_handoff
    from gridbyoc.operations.handoff.register import check_stack, plane_of_handoff

    opened = open_handoff(read_file(app, file, "handoff"), HANDOFF.key_in(app.environ), utc_now())
    stack = load_stack(app, stack_file) if stack_file else None
    check_stack(opened, expect_stack, stack)
    plane = plane_of_handoff(opened, dialect, url, app.environ, app.home)
    grant = Grant(opened.role_arn, opened.external_id, opened.region)
    again = f"register --handoff {shlex.quote(file)} {shlex.quote(spec.name)}"
    return Registration(plane, _spec_in(app, stack, spec) if stack else spec, grant, opened, again)


def _spec_in(app: App, stack: Stack, asked: ClusterSpec) -> ClusterSpec:
    """The cluster's entry in the stack file, else the command line's."""
    listed = next((spec for spec in stack.clusters if spec.name == asked.name), None)
    file = stack.file or "The stack file"
    if listed is None:
        app.note(
            f"warning: {file} does not list {asked.name}: `gridbyoc drift` will report it, and `gridbyoc bootstrap` "
            "would delete it."
        )
        return asked
    if asked.instance_types or asked.performance_profile:
        raise UsageError(
            f"Both {file} and --instance-types or --cost-savings say what {asked.name} is.",
            fix="Leave the options out, or --stack.",
            rerun=SAFE_NOTHING_DONE,
        )
    return listed
