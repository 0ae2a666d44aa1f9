"""``gridbyoc quotas``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import ActingGroup, pass_app, stack_option, url_option
from gridbyoc.cli.running import Duration
from gridbyoc.cli.scenes import open_scene
from gridbyoc.errors import SAFE_NOTHING_DONE, ExitStatus, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridbyoc.aws.quotas import Increase
    from gridbyoc.steps.preflight.scene import Scene
    from gridbyoc.steps.quotas.review import QuotaRow


@click.group("quotas", cls=ActingGroup)
@stack_option
@url_option
@click.pass_context
def quotas(context: click.Context, stack_file: str | None, url: str | None) -> int:
    """What the account may have, what is in use, and what the stack's new clusters need; `request` asks for more.

    Ends with status 4 where something is proven to be short. docs/quotas.md says what is needed of what, and why.

    Without `request` it only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    if context.invoked_subcommand is not None:
        return int(ExitStatus.DONE)
    app: App = context.obj
    scene = open_scene(app, stack_file, url=url)
    account, rows = _read(scene)
    blocked = any(row.verdict == "fail" for row in rows)
    _show_rows(app, scene, account, rows, blocked=blocked)
    return int(ExitStatus.PREFLIGHT_BLOCKED) if blocked else int(ExitStatus.DONE)


@quotas.command("request")
@stack_option
@url_option
@click.option("--code", "codes", multiple=True, metavar="CODE", help="Only this quota, e.g. L-DB2E81BA; many times.")
@click.option("--recommended", is_flag=True, help="Ask for the guide's 1000 vCPUs of every family group in the stack.")
@click.option("--yes", "-y", is_flag=True, help="Approve the requests.")
@click.option("--wait", "wait_", is_flag=True, help="Wait until AWS has decided.")
@click.option("--timeout", type=Duration(), default="30m", show_default=True, help="How long --wait waits.")
@click.option(
    "--poll-interval",
    type=Duration(),
    default="5s",
    show_default=True,
    envvar="GRIDBYOC_POLL_INTERVAL",
    help="The first pause between looks; it grows to 60s.",
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
    """Ask AWS for what is short, after showing it.

    A quota with a request that AWS has yet to decide is reported, and never asked for twice. AWS decides about small
    increases in minutes and about large ones in days. Ends with status 1 where AWS says no, 6 where --wait ran out.
    """
    from gridbyoc.cli.quota_requests import filed, finish, planned, untold_of
    from gridbyoc.steps.quotas.raising import Patience

    scene = _scene(app, stack_file, url)
    wanted = _known_codes(codes)
    account, rows = _read(scene)
    asks = planned(app, scene, rows, wanted, recommended=recommended)
    patience = Patience(timeout, poll_interval, time.monotonic, time.sleep) if wait_ else None
    finish(app, scene, account, filed(app, scene, asks, yes=yes), patience, untold_of(rows, wanted))


@quotas.command("status")
@stack_option
@url_option
@pass_app
def status(app: App, stack_file: str | None, url: str | None) -> None:
    """List the requests for more of these quotas, with state, case and time."""
    from gridbyoc.aws.quotas import list_requests
    from gridbyoc.show.quotas import request_object, request_table
    from gridbyoc.stack.service_quotas import home_region

    scene = _scene(app, stack_file, url)
    account = _guarded(scene)
    regions = dict.fromkeys((scene.region, home_region(scene.region)))
    requests = [each for region in regions for each in list_requests(scene.session(), region)]
    if app.json:
        listed = [request_object(each) for each in requests]
        app.object({"type": "quota_history", "account_id": account, "regions": list(regions), "requests": listed})
        return
    if requests:
        app.table(*request_table(requests))
    app.line(f"Account {account}, {' and '.join(regions)}: {_count(requests)}.")


def _count(requests: Sequence[Increase]) -> str:
    from gridbyoc.stack.words import counted

    return counted(len(requests), "request") if requests else "no requests"


def _scene(app: App, stack_file: str | None, url: str | None) -> Scene:
    """``gridbyoc quotas --stack FILE request`` means the same as with the option at the end."""
    parent = click.get_current_context().parent
    before = parent.params if parent else {}
    return open_scene(app, stack_file or before.get("stack_file"), url=url or before.get("url"))


def _guarded(scene: Scene) -> str:
    """The caller's account; it must be the one that the stack is for."""
    from gridbyoc.aws import guard_account

    caller = scene.caller()
    guard_account(caller, scene.stack.aws.account_id if scene.stack else None)
    return caller.account_id


def _read(scene: Scene) -> tuple[str, tuple[QuotaRow, ...]]:
    from gridbyoc.steps.quotas.scene import quota_rows

    return _guarded(scene), quota_rows(scene)


def _show_rows(app: App, scene: Scene, account: str, rows: Sequence[QuotaRow], *, blocked: bool) -> None:
    from gridbyoc.show.quotas import quota_advice, quota_table, quotas_object
    from gridbyoc.steps.quotas.scene import without_quota

    if app.json:
        app.object(quotas_object(rows, account=account, region=scene.region, blocked=blocked))
        return
    app.table(*quota_table(rows))
    app.line()
    for line in quota_advice(rows, without_quota(scene)):
        app.line(line)
    short = sum(row.verdict == "fail" for row in rows)
    what = f"{short} of {len(rows)} short" if short else "nothing is proven to be short"
    app.line(f"Account {account}, region {scene.region}: {what}.")
    if short:
        tell_next(app, "quotas")


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
