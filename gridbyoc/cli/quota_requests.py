"""``gridbyoc quotas request``: what is asked for, the asking, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    SAFE_RESUMES,
    ApprovalRequiredError,
    AwsError,
    InterruptedRunError,
    QuotaRefusedError,
    QuotaUndecidedError,
)

if TYPE_CHECKING:
    from gridbyoc.aws.quotas import Increase
    from gridbyoc.steps.events import Emit
    from gridbyoc.steps.preflight.scene import Scene
    from gridbyoc.steps.quotas.raising import Ask, Patience
    from gridbyoc.steps.quotas.review import QuotaRow

STATUS = "`gridbyoc quotas status` shows where the requests stand."


def planned(
    app: App, scene: Scene, rows: Sequence[QuotaRow], codes: Sequence[str], *, recommended: bool
) -> tuple[Ask, ...]:
    """What is to be asked for, with the requests that are open already; what is left out is said on stderr."""
    from gridbyoc.steps.quotas.raising import asks, look_up
    from gridbyoc.steps.quotas.words import read_words

    chosen = asks(rows, codes=codes, recommended=recommended)
    asked = {ask.row.quota.code for ask in chosen}
    for row in rows:
        if row.quota.code in asked or (codes and row.quota.code not in codes):
            continue
        if row.verdict == "unknown":
            app.note(f"{row.quota.code} {row.quota.name}: not asked for, it cannot be told ({read_words(row)})")
        elif codes:
            app.note(f"{row.quota.code} {row.quota.name}: nothing to ask for ({read_words(row)})")
    for code in codes:
        if code not in {row.quota.code for row in rows}:
            app.note(f"{code}: nothing in the stack file counts against it")
    return tuple(look_up(scene.session(), ask) for ask in chosen)


def untold_of(rows: Sequence[QuotaRow], codes: Sequence[str]) -> tuple[str, ...]:
    """The codes of the rows (of ``codes`` only, where there are any) that nothing is known of."""
    chosen = [row for row in rows if not codes or row.quota.code in codes]
    return tuple(row.quota.code for row in chosen if row.verdict == "unknown")


def filed(app: App, scene: Scene, asks: Sequence[Ask], *, yes: bool) -> tuple[Ask, ...]:
    """The asks with what AWS said to each; ``ApprovalRequiredError`` where nobody approves."""
    from gridbyoc.steps.quotas.raising import file

    if not any(ask.result == "to file" for ask in asks):
        return tuple(asks)
    _announce(app, asks, scene.caller().account_id)
    if not yes and not _approved(app):
        raise ApprovalRequiredError("The requests were not approved.", rerun=SAFE_NOTHING_DONE)
    return tuple(file(scene.session(), ask) if ask.result == "to file" else ask for ask in asks)


def _announce(app: App, asks: Sequence[Ask], account: str) -> None:
    from gridbyoc.show.quotas import ask_table
    from gridbyoc.show.table import plain_table

    app.note(f"AWS will be asked for this, in account {account}:")
    for line in plain_table(*ask_table(asks)).splitlines():
        app.note(f"  {line}")


def _approved(app: App) -> bool:
    if not app.interactive:
        raise ApprovalRequiredError(
            "This needs an approval, and there is no terminal to ask on.",
            fix="Look at what is asked for above, then run again with --yes.",
            rerun=SAFE_NOTHING_DONE,
        )
    return app.confirm("Ask AWS for this?", flag="--yes")


def finish(
    app: App, scene: Scene, account: str, asks: Sequence[Ask], patience: Patience | None, untold: Sequence[str] = ()
) -> None:
    """Wait, where there is ``patience`` to; show what came of it; ``QuotaRefusedError``, ``QuotaUndecidedError``.

    ``untold`` are the codes of which nothing is known.
    """
    from gridbyoc.show.quotas import ask_table, asks_object

    done = _followed(app, scene, asks, patience) if patience else tuple(asks)
    if app.json:
        app.record(asks_object(done, untold, account=account, region=scene.region))
    elif done:
        app.table(*ask_table(done))
    else:
        short = f"nothing is proven to be short; {', '.join(untold)} cannot be told"
        known = short if untold else "nothing to ask for"
        app.line(f"Account {account}, region {scene.region}: {known}.")
    _refuse(scene, done)
    waiting = [ask for ask in done if ask.request is not None and ask.request.open]
    if waiting and patience:
        raise QuotaUndecidedError(
            f"AWS has not decided about {_codes(waiting)} within {patience.timeout:g} s.",
            fix=f"Run again with --wait to go on waiting. {STATUS}",
            rerun=SAFE_RESUMES,
        )
    if done:
        tell_next(app, "quotas request" if waiting else "quotas granted")


def _refuse(scene: Scene, asks: Sequence[Ask]) -> None:
    """Raise for what AWS did not take, cannot raise, or has decided against."""
    from gridbyoc.steps.quotas.raising import granted

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
        fix="Write to AWS Support about it (the quota's page in the console has the case), ask for less, or take "
        "another region.",
        rerun="A re-run is safe: what is open or granted is not asked for again.",
    )


def _followed(app: App, scene: Scene, asks: Sequence[Ask], patience: Patience) -> tuple[Ask, ...]:
    """The asks with their requests as they stand in the end; an interrupt leaves them to AWS."""
    from gridbyoc.show import renderer
    from gridbyoc.steps.events import Note
    from gridbyoc.steps.quotas.raising import follow

    requests = [ask.request for ask in asks if ask.request is not None]
    with renderer(app.json, app.stdout, app.stderr, environ=app.environ, clock=patience.clock) as view:

        def trouble(error: AwsError, _seconds: float) -> None:
            view(Note(f"{error.what} {error.why}".strip(), "warning"))

        try:
            seen = follow(scene.session(), requests, patience, on_progress=_telling(view), on_trouble=trouble)
        except KeyboardInterrupt:
            what = "Interrupted while AWS decides; the requests stay as they are."
            raise InterruptedRunError(what, fix=STATUS, rerun=SAFE_RESUMES) from None
    by_id = {request.id: request for request in seen}
    return tuple(replace(ask, request=by_id[ask.request.id]) if ask.request else ask for ask in asks)


def _telling(view: Emit) -> Callable[[Increase, float], None]:
    """A line for each change of a request's status."""
    from gridbyoc.steps.events import Note

    told: dict[str, str] = {}

    def tell(request: Increase, seconds: float) -> None:
        if told.get(request.id) != request.status:
            told[request.id] = request.status
            view(Note(f"{request.quota.code} {request.quota.name}: {request.status} after {seconds:.0f}s"))

    return tell


def _codes(asks: Sequence[Ask]) -> str:
    return ", ".join(ask.row.quota.code for ask in asks)
