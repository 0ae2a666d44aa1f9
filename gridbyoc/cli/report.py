"""``gridbyoc report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app, profile_option, set_option, stack_argument, url_option
from gridbyoc.cli.running import Duration, open_run, terraform_options
from gridbyoc.errors import SAFE_NOTHING_DONE, FileError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from gridbyoc.operations.page import Page

BEGINNING = 4096
"""The bytes of a file that show whether it is one of our pages."""


@command("report")
@stack_argument
@set_option
@profile_option
@click.option(
    "--out", metavar="FILE", default=None, help="The file to write (default: gridbyoc-NAME.html; - is stdout)."
)
@click.option("--force", is_flag=True, help="Overwrite a file that is no report of gridbyoc.")
@click.option("--no-checks", is_flag=True, help="Leave the preflight checks out.")
@click.option("--no-drift", is_flag=True, help="Leave the drift out: no Terraform plan runs.")
@click.option("--local", is_flag=True, help="Read only the stack file and the journal; ask no service.")
@click.option(
    "--timeout",
    "deadline",
    type=Duration(),
    default="2m",
    show_default=True,
    help="The total time; the page marks parts that did not answer by then as not read.",
)
@terraform_options
@url_option
@pass_app
def report(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    out: str | None,
    force: bool,
    no_checks: bool,
    no_drift: bool,
    local: bool,
    deadline: float,
    terraform_bin: str | None,
    url: str | None,
) -> None:
    """Write an HTML page about STACK_FILE: who was granted what, clusters, runs, findings, drift, history.

    The page needs no network and no script, and contains no secret. If a part cannot be read, the page says why.
    --format json prints the same data, and with --out also writes the page.

    Only reads, needs no lock, and leaves nothing behind but the page (docs/reading.md).
    """
    from gridbyoc.operations.page import PageOptions, gather
    from gridbyoc.operations.run import Choices
    from gridbyoc.render import data_dir
    from gridbyoc.show.page.html import page_output

    with open_run(app, stack_file, overrides, "report", Choices(terraform_bin, url), lock=False) as run:
        target = page_target(app, out, f"gridbyoc-{run.stack.name}.html", force=force)
        page = gather(run, PageOptions(not no_checks, deadline, drift=not no_drift, live=not local))
    if target is None or not app.drawn:
        app.show(page_output(data_dir("templates")), page, page.stack.name)
    if target is not None:
        _write(app, page, target)
    _tell_unread(app, page)


def page_target(app: App, out: str | None, default: str, *, force: bool) -> Path | None:
    """The file to write, ``None`` if there is none; refused before anything is read."""
    from gridbyoc.show.page.html import is_page

    if out == "-":
        if not app.drawn:
            fix = "Give --out a file."
            raise UsageError(f"--format {app.format} uses stdout already.", fix=fix, rerun=SAFE_NOTHING_DONE)
        return None
    if out is None:
        if not app.drawn:
            return None
        out = default
    path = Path(app.cwd, out)
    if not path.parent.is_dir():
        raise FileError(f"There is no directory {path.parent}.", fix="Create it first.", rerun=SAFE_NOTHING_DONE)
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is not a file.", fix="Give --out another name.", rerun=SAFE_NOTHING_DONE)
    if path.exists() and not force:
        with path.open("rb") as stream:
            begins = stream.read(BEGINNING).decode(errors="replace")
        if begins and not is_page(begins):
            raise FileError(
                f"{path} exists, and is not a report of gridbyoc.",
                fix="Give --out another name, or --force to overwrite it.",
                rerun=SAFE_NOTHING_DONE,
            )
    return path


def _write(app: App, page: Page, target: Path) -> None:
    from gridbyoc.render import data_dir
    from gridbyoc.show.page.html import page_html

    write_page(app, target, page_html(page, data_dir("templates")), page.made)


def write_page(app: App, target: Path, text: str, made: datetime) -> None:
    """Write a page, and say so."""
    from gridbyoc.stack.files import write_atomic
    from gridbyoc.stack.words import minute

    write_atomic(target, text.encode("utf-8", "replace"))
    app.note(f"{target}: as of {minute(made)}, {len(text) // 1024} KiB.")


def _tell_unread(app: App, page: Page) -> None:
    from gridbyoc.stack.redaction import redacted

    for name, why in page.unread.items():
        if name not in page.left_out:
            app.note(f"warning: {name} could not be read: {redacted(why, page.secrets)}")
