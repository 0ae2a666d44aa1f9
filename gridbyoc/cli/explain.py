"""``gridbyoc explain``."""

from __future__ import annotations

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError


@command("explain", formats=("text", "json"))
@click.argument("code", required=False)
@pass_app
def explain(app: App, code: str | None) -> None:
    """Say what a code means (GBY-A118), why it comes up and what to do; without one, list every code.

    Codes are of failures, errors, and the checks of `doctor` and `verify`. docs/failures.md has every failure on one
    page.
    """
    from gridbyoc.cli.explanations import EXPLANATIONS

    if code is None:
        _list(app)
        return
    found = EXPLANATIONS.get(code.upper())
    if found is None:
        raise _unknown(code)
    if app.json:
        app.object(found.fields())
        return
    for line in found.lines():
        app.line(line)


def _list(app: App) -> None:
    from gridbyoc.cli.explanations import EXPLANATIONS

    if app.json:
        app.object([found.fields() for found in EXPLANATIONS.values()])
        return
    app.table(("code", "kind", "means"), [(code, one.kind, one.title) for code, one in EXPLANATIONS.items()])


def _unknown(code: str) -> UsageError:
    from gridbyoc.cli.explanations import EXPLANATIONS
    from gridbyoc.stack.words import nearest

    close = nearest(code, EXPLANATIONS)
    return UsageError(
        f"There is no code {code[:80]!r}.",
        fix=(f"Did you mean {close}? " if close else "") + "`gridbyoc explain` lists them all.",
        rerun=SAFE_NOTHING_DONE,
    )
