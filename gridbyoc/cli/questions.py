"""What ``gridbyoc new`` asks on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gridbyoc.cli.app import App

if TYPE_CHECKING:
    from gridbyoc.stack.findings import Fault
    from gridbyoc.stack.starter import Starter

Check = Callable[[str], "Fault | None"]


def ask_starter(app: App, given: Mapping[str, str | None]) -> Starter:
    """The choices: what the options gave; on a terminal, the answers for the rest; the defaults for what is left."""
    from gridbyoc.stack.starter import Starter

    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if app.interactive:
        chosen |= _answers(app, chosen)
    if "instance_types" in chosen:
        chosen["instance_types"] = tuple(_split(chosen["instance_types"]))
    return Starter(**chosen)


def _answers(app: App, chosen: Mapping[str, Any]) -> dict[str, str]:
    """Ask, in the order of the file, for what is not chosen yet; an empty answer to an optional question is none."""
    from gridbyoc.stack import defaults
    from gridbyoc.stack.regions import region_fault
    from gridbyoc.stack.rules.clusters import cluster_name_fault
    from gridbyoc.stack.rules.place import account_id_fault, stack_name_fault
    from gridbyoc.stack.starter import cluster_name

    known: dict[str, Any] = dict(chosen)

    def ask(key: str, question: str, default: str, check: Check) -> None:
        if key not in known and (answer := _ask(app, question, default, check)):
            known[key] = answer

    ask("name", "Stack name", defaults.STACK_NAME, stack_name_fault)
    ask("region", "AWS region", defaults.REGION, region_fault)
    ask("profile", "AWS profile (empty: the usual credentials)", "", _anything)
    ask("account_id", "AWS account id, as a guard (empty: none)", "", lambda text: account_id_fault(text))
    ask("type", "Control plane (grid, lightning)", "grid", lambda text: _one_of(text, ("grid", "lightning")))
    dialect = known["type"]
    ask("cluster", "Cluster name", cluster_name(known["name"]), lambda text: cluster_name_fault(text, dialect))
    if dialect == "grid":
        profiles = ("cost-saving", "default")
        question = "Performance profile (cost-saving: about $10 a day, default: about $50)"
        ask("performance_profile", question, profiles[0], lambda text: _one_of(text, profiles))
    ask("instance_types", "Instance types", ",".join(defaults.INSTANCE_TYPES), _types_fault)
    return known


def _ask(app: App, question: str, default: str, check: Check) -> str:
    """Ask until the answer is allowed."""
    while True:
        answer = app.prompt(question, default=default).strip()
        fault = check(answer) if answer else None
        if fault is None:
            return answer
        app.note(f"  {fault.message}" + (f" ({fault.hint})" if fault.hint else ""))


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _anything(_text: str) -> None:
    return None


def _one_of(text: str, allowed: tuple[str, ...]) -> Fault | None:
    from gridbyoc.stack.findings import Fault
    from gridbyoc.stack.words import did_you_mean, listed

    return None if text in allowed else Fault(f"must be {listed(allowed)}", did_you_mean(text, allowed))


def _types_fault(text: str) -> Fault | None:
    from gridbyoc.stack.instance_types import instance_type_fault

    return next(filter(None, map(instance_type_fault, _split(text))), None)
