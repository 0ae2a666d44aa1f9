"""``gridbyoc apply`` and ``gridbyoc bundle``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.bootstrap import ask
from gridbyoc.cli.completion import complete_file
from gridbyoc.cli.next_step import after_bundle, after_report
from gridbyoc.cli.options import FORMATS, command, group, pass_app, profile_option, stack_argument
from gridbyoc.cli.reporting import report_options
from gridbyoc.cli.running import brief_option, choices_options, open_run, preflight_options
from gridbyoc.errors import SAFE_NOTHING_DONE, BundleKeyError, FileError, UsageError
from gridbyoc.stack.clock import utc_now

if TYPE_CHECKING:
    from gridbyoc.cli.reporting import Reporting
    from gridbyoc.operations.run import Checks, Choices
    from gridbyoc.stack.secret import Secret

LARGEST = 256 * 1024 * 1024
"""The most bytes that are read of a bundle."""


@command("apply", formats=(*FORMATS, "markdown"))
@click.argument("file", type=str, shell_complete=complete_file)
@stack_argument
@profile_option
@click.option("--yes", "-y", is_flag=True, help="Approve creation and change (never destruction).")
@click.option("--yes-destroy", is_flag=True, help="Approve destruction and replacement as well.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the clusters to run.")
@brief_option
@report_options
@preflight_options
@choices_options
@pass_app
def apply(
    app: App,
    file: str,
    stack_file: str,
    yes: bool,
    yes_destroy: bool,
    brief: bool,
    checks: Checks | None,
    choices: Choices,
    reporting: Reporting,
) -> None:
    """Apply the bundle FILE exactly as it was planned, with the STACK_FILE that it was made from.

    If anything has changed since (stack file, module, state, clusters, account, tool), nothing is done: status 9, and a
    line for each difference. GRIDBYOC_BUNDLE_KEY is the key of an encrypted bundle.
    """
    from gridbyoc.operations.bundle.apply import apply_bundle
    from gridbyoc.operations.bundle.file import BUNDLE
    from gridbyoc.operations.bundle.make import read_bundle
    from gridbyoc.operations.options import Approval
    from gridbyoc.show.report import report_output

    bundle = read_bundle(read_file(app, file), BUNDLE.key_in(app.environ))
    approval = Approval(yes, yes_destroy, lambda review: ask(app, review, brief=brief))
    chosen = replace(choices, checks=checks)
    with open_run(app, stack_file, bundle.overrides, "apply", chosen) as run:
        report = apply_bundle(reporting.watching(run), bundle, approval)
    # first: a report file that cannot be written must not hide the result
    app.show(report_output(reporting.warnings), report, report.stack)
    reporting.applied(report)
    after_report(app, report, sets=bundle.overrides)


@group("bundle")
def bundle() -> None:
    """Inspect a plan bundle, as `plan --out` writes it."""


@command("show")
@click.argument("file", type=str, shell_complete=complete_file)
@click.option(
    "--reveal", is_flag=True, help="For a handoff: print everything, the external id in clear. Needs the key."
)
@pass_app
def show(app: App, file: str, reveal: bool) -> None:
    """Show the plain header of the bundle FILE: its stack, and what it would do. Needs no key.

    Do not rely on it: only `apply`, which has the key, can tell whether the bundle was tampered with. FILE may also be
    a handoff (`gridbyoc handoff --out`), which `register` reads.
    """
    from gridbyoc.cli.handoff import show_page
    from gridbyoc.operations.bundle.file import BUNDLE
    from gridbyoc.operations.handoff.file import HANDOFF, open_handoff
    from gridbyoc.operations.sealed_file import noun_of
    from gridbyoc.show.bundle import BUNDLE_HEADER
    from gridbyoc.show.handoff import HANDOFF_HEADER

    data = read_file(app, file)
    if noun_of(data) == HANDOFF.noun:
        if reveal:
            show_page(app, open_handoff(data, HANDOFF.key_in(app.environ), utc_now()))
            return
        header = HANDOFF.read_header(data)
        app.show(HANDOFF_HEADER, header, header["stack"])
        return
    if reveal:
        raise UsageError(
            "--reveal is for a handoff, but the file is not one.", fix="Leave it out.", rerun=SAFE_NOTHING_DONE
        )
    header = BUNDLE.read_header(data)
    app.show(BUNDLE_HEADER, header, header["stack"])
    after_bundle(app, file, tuple(header["digests"]["stack_files"]))


bundle.add_command(show)


def read_file(app: App, file: str, noun: str = "bundle") -> bytes:
    """The bytes of a bundle or a handoff; ``FileError`` if it cannot be read."""
    try:
        with Path(app.cwd, file).open("rb") as stream:
            return stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or "it is not a path"
        raise FileError(
            f"The {noun} {file} cannot be read: {reason}.",
            fix="Name a file that you may read.",
            rerun=SAFE_NOTHING_DONE,
        ) from None


def key_for(app: App, *, unencrypted: bool) -> Secret | None:
    """The key for a new bundle; ``None`` if an unencrypted one was requested. ``BundleKeyError`` for neither or both.

    A saved plan holds the external id and every variable in plain text.
    """
    from gridbyoc.operations.bundle.file import BUNDLE

    key = BUNDLE.key_in(app.environ)
    if key is None and not unencrypted:
        raise BundleKeyError(
            "There is no key to encrypt the bundle with.",
            why="A saved plan holds the external id and every variable in plain text, for every reader of the file.",
            fix=f"Set {BUNDLE.key_variable} (`openssl rand -base64 32` makes one); or, if nobody else can read it, "
            "give --unencrypted.",
            rerun=SAFE_NOTHING_DONE,
        )
    if key is not None and unencrypted:
        raise BundleKeyError(
            f"{BUNDLE.key_variable} is set, but --unencrypted was given.",
            fix="Leave one of them out.",
            rerun=SAFE_NOTHING_DONE,
        )
    if key is None:
        app.note(
            "warning: The bundle is NOT encrypted: anybody who can read it can read the external id. Keep it private."
        )
    return key
