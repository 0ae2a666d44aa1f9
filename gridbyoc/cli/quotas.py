"""``gridbyoc quotas``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import ActingGroup, pass_app, profile_option, stack_option, url_option
from gridbyoc.cli.running import Duration, open_scene
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    SAFE_RESUMES,
    ApprovalRequiredError,
    AwsError,
    ExitStatus,
    InterruptedRunError,
    QuotaRefusedError,
    QuotaUndecidedError,
    UsageError,
)

if TYPE_CHECKING:
    from gridbyoc.aws.quotas import Increase
    from gridbyoc.operations.events import Emit
    from gridbyoc.operations.preflight.model import PreflightContext
    from gridbyoc.operations.quotas.raising import DecisionPatience, PlannedIncrease
    from gridbyoc.operations.quotas.review import QuotaRow


@click.group("quotas", cls=ActingGroup)
@stack_option
@profile_option
@url_option
@click.pass_context
def quotas(context: click.Context, stack_file: str | None, url: str | None) -> int:
    """Show the account's quotas, their use, and the needs of the stack's new clusters; `request` asks AWS for more.

    Ends with status 4 if a shortage is proven. docs/quotas.md explains the needs.

    Without `request` it only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    if context.invoked_subcommand is not None:
        return int(ExitStatus.DONE)
    from gridbyoc.operations.quotas.review import without_quota
    from gridbyoc.show.quotas import QUOTAS, QuotasFound

    app: App = context.obj
    scene = open_scene(app, stack_file, url=url)
    account, rows = _read(scene)
    found = QuotasFound(account, scene.region, rows, without_quota(scene))
    app.show(QUOTAS, found, _stack(scene))
    if not found.blocked:
        return int(ExitStatus.DONE)
    tell_next(app, "quotas")
    return int(ExitStatus.PREFLIGHT_BLOCKED)


@quotas.command("request")
@stack_option
@profile_option
@url_option
@click.option(
    "--code", "codes", multiple=True, metavar="CODE", help="Only this quota, e.g. L-DB2E81BA; may be repeated."
)
@click.option("--recommended", is_flag=True, help="Request the guide's 1000 vCPUs for every family group in the stack.")
@click.option("--yes", "-y", is_flag=True, help="Approve the requests.")
@click.option("--wait", "wait_", is_flag=True, help="Wait until AWS has decided.")
@click.option("--timeout", type=Duration(), default="30m", show_default=True, help="How long --wait waits.")
@click.option(
    "--poll-interval",
    type=Duration(),
    default="5s",
    show_default=True,
    envvar="GRIDBYOC_POLL_INTERVAL",
    help="The first pause between polls; it grows to 60s.",
)
@pass_app
def request(
    app: App,
    stack_file: str | None,
    url: str | None,
    codes: tuple[str, ...],
    recommended: bool,
    yes: bool,
    wait_: bool,
    timeout: float,
    poll_interval: float,
) -> None:
    """Show the shortages, and request increases from AWS.

    A quota with an undecided request is reported, and never requested twice. AWS decides small increases within minutes
    and large ones within days. Ends with status 1 if AWS refuses, 6 if --wait times out.
    """
    from gridbyoc.operations.quotas.raising import DecisionPatience

    scene = _scene(app, stack_file, url)
    wanted = _known_codes(codes)
    account, rows = _read(scene)
    asks = planned(app, scene, rows, wanted, recommended=recommended)
    patience = DecisionPatience(timeout, poll_interval, time.monotonic, time.sleep) if wait_ else None
    finish(app, scene, account, filed(app, scene, asks, yes=yes), patience, untold_of(rows, wanted))


@quotas.command("status")
@stack_option
@profile_option
@url_option
@pass_app
def status(app: App, stack_file: str | None, url: str | None) -> None:
    """List the requests for increases of these quotas, with status, case and time."""
    from gridbyoc.aws.quotas import list_requests
    from gridbyoc.show.quotas import QUOTA_HISTORY, History
    from gridbyoc.stack.service_quotas import home_region

    scene = _scene(app, stack_file, url)
    account = _guarded(scene)
    regions = dict.fromkeys((scene.region, home_region(scene.region)))
    requests = [each for region in regions for each in list_requests(scene.session(), region)]
    app.show(QUOTA_HISTORY, History(account, tuple(regions), requests), _stack(scene))


def _stack(scene: PreflightContext) -> str | None:
    return scene.stack.name if scene.stack else None


def _scene(app: App, stack_file: str | None, url: str | None) -> PreflightContext:
    """``gridbyoc quotas --stack FILE request`` is the same as with the option at the end."""
    parent = click.get_current_context().parent
    before = parent.params if parent else {}
    return open_scene(app, stack_file or before.get("stack_file"), url=url or before.get("url"))


def _guarded(scene: PreflightContext) -> str:
    """The caller's account, which must be the stack's."""
    from gridbyoc.aws import guard_account

    caller = scene.caller()
    aws = scene.stack.aws if scene.stack else None
    guard_account(caller, aws.account_id if aws else None, aws.role_arn if aws else None)
    return caller.account_id


def _read(scene: PreflightContext) -> tuple[str, tuple[QuotaRow, ...]]:
    from gridbyoc.operations.quotas.review import quota_rows

    return _guarded(scene), quota_rows(scene)


def _known_codes(codes: Sequence[str]) -> tuple[str, ...]:
    from gridbyoc.stack.service_quotas import quota_codes
    from gridbyoc.stack.words import nearest

    known = [quota.code for quota in quota_codes()]
    for code in codes:
        if code.upper() not in known:
            close = nearest(code.upper(), known)
            raise UsageError(
                f"There is no quota {code!r} here.",
                fix=f"Did you mean {close}?" if close else "`gridbyoc quotas` lists the codes.",
                rerun=SAFE_NOTHING_DONE,
            )
    return tuple(code.upper() for code in codes)


STATUS = "`gridbyoc quotas status` shows the status of the requests."


def planned(
    app: App, scene: PreflightContext, rows: Sequence[QuotaRow], codes: Sequence[str], *, recommended: bool
) -> tuple[PlannedIncrease, ...]:
    """The planned increases, with the open requests for them; quotas left out are named on stderr."""
    from gridbyoc.operations.quotas.raising import asks, look_up
    from gridbyoc.operations.quotas.review import read_words

    chosen = asks(rows, codes=codes, recommended=recommended)
    asked = {ask.row.quota.code for ask in chosen}
    for row in rows:
        if row.quota.code in asked or (codes and row.quota.code not in codes):
            continue
        if row.verdict == "unknown":
            app.note(f"{row.quota.code} {row.quota.name}: not requested, because it is unknown ({read_words(row)})")
        elif codes:
            app.note(f"{row.quota.code} {row.quota.name}: nothing to request ({read_words(row)})")
    for code in codes:
        if code not in {row.quota.code for row in rows}:
            app.note(f"{code}: nothing in the stack file counts against it")
    return tuple(look_up(scene.session(), ask) for ask in chosen)


def untold_of(rows: Sequence[QuotaRow], codes: Sequence[str]) -> tuple[str, ...]:
    """The codes of the unknown rows (only of ``codes``, if given)."""
    chosen = [row for row in rows if not codes or row.quota.code in codes]
    return tuple(row.quota.code for row in chosen if row.verdict == "unknown")


def filed(
    app: App, scene: PreflightContext, asks: Sequence[PlannedIncrease], *, yes: bool
) -> tuple[PlannedIncrease, ...]:
    """The increases with AWS's answers; ``ApprovalRequiredError`` if not approved."""
    from gridbyoc.operations.quotas.raising import file

    if not any(ask.result == "to file" for ask in asks):
        return tuple(asks)
    _announce(app, asks, scene.caller().account_id)
    if not yes and not _approved(app):
        raise ApprovalRequiredError("The requests were not approved.", rerun=SAFE_NOTHING_DONE)
    return tuple(file(scene.session(), ask) if ask.result == "to file" else ask for ask in asks)


def _announce(app: App, asks: Sequence[PlannedIncrease], account: str) -> None:
    from gridbyoc.show.quotas import ask_table

    app.note(f"This will be requested from AWS, in account {account}:")
    app.note_table(*ask_table(asks))


def _approved(app: App) -> bool:
    if not app.interactive:
        raise ApprovalRequiredError(
            "This needs an approval, but there is no terminal to ask on.",
            fix="Check the requests above, then run again with --yes.",
            rerun=SAFE_NOTHING_DONE,
        )
    return app.confirm("Request this from AWS?", flag="--yes")


def finish(
    app: App,
    scene: PreflightContext,
    account: str,
    asks: Sequence[PlannedIncrease],
    patience: DecisionPatience | None,
    untold: Sequence[str] = (),
) -> None:
    """Wait if there is ``patience``, and show the result; ``QuotaRefusedError``, ``QuotaUndecidedError``.

    ``untold`` are the codes that nothing is known about.
    """
    from gridbyoc.show.quotas import QUOTA_REQUESTS, Asked

    done = _followed(app, scene, asks, patience) if patience else tuple(asks)
    app.show(QUOTA_REQUESTS, Asked(account, scene.region, done, untold), _stack(scene))
    _refuse(scene, done)
    waiting = [ask for ask in done if ask.request is not None and ask.request.open]
    if waiting and patience:
        raise QuotaUndecidedError(
            f"AWS has not decided about {_codes(waiting)} within {patience.timeout:g} s.",
            fix=f"Run again with --wait to continue waiting. {STATUS}",
            rerun=SAFE_RESUMES,
        )
    if done:
        tell_next(app, "quotas request" if waiting else "quotas granted")


def _refuse(scene: PreflightContext, asks: Sequence[PlannedIncrease]) -> None:
    """Raise if AWS rejected, cannot raise, or denied an increase."""
    from gridbyoc.operations.quotas.raising import granted

    refused = [ask for ask in asks if ask.result in ("refused", "not adjustable")]
    decided = [ask for ask in asks if ask.request is not None and not ask.request.open]
    denied = [ask for ask in decided if ask.request and not granted(scene.session(), ask.request)]
    if not refused and not denied:
        return
    words = [f"{ask.row.quota.code}: {ask.why or ask.result}" for ask in refused]
    words += [f"{ask.row.quota.code} ended as {ask.request.status}" for ask in denied if ask.request]
    raise QuotaRefusedError(
        f"AWS does not raise {_codes((*refused, *denied))}.",
        why="; ".join(words),
        fix="Write to AWS Support about it (the quota's page in the console has the case), request less, or use "
        "another region.",
        rerun="A re-run is safe: open or granted increases are not requested again.",
    )


def _followed(
    app: App, scene: PreflightContext, asks: Sequence[PlannedIncrease], patience: DecisionPatience
) -> tuple[PlannedIncrease, ...]:
    """The increases with the final status of their requests; after an interrupt, the requests stay with AWS."""
    from gridbyoc.operations.events import Note
    from gridbyoc.operations.quotas.raising import follow
    from gridbyoc.show.run import RUN

    requests = [ask.request for ask in asks if ask.request is not None]
    with app.view(RUN) as view:

        def trouble(error: AwsError, _seconds: float) -> None:
            view(Note(f"{error.what} {error.why}".strip(), "warning"))

        try:
            seen = follow(scene.session(), requests, patience, on_progress=_telling(view), on_trouble=trouble)
        except KeyboardInterrupt:
            what = "Interrupted while AWS decides; the requests stay open."
            raise InterruptedRunError(what, fix=STATUS, rerun=SAFE_RESUMES) from None
    by_id = {request.id: request for request in seen}
    return tuple(replace(ask, request=by_id[ask.request.id]) if ask.request else ask for ask in asks)


def _telling(view: Emit) -> Callable[[Increase, float], None]:
    """A line for each change of a request's status."""
    from gridbyoc.operations.events import Note

    told: dict[str, str] = {}

    def tell(request: Increase, seconds: float) -> None:
        if told.get(request.id) != request.status:
            told[request.id] = request.status
            view(Note(f"{request.quota.code} {request.quota.name}: {request.status} after {seconds:.0f}s"))

    return tell


def _codes(asks: Sequence[PlannedIncrease]) -> str:
    return ", ".join(ask.row.quota.code for ask in asks)
