"""The reports of all stacks' plans as one page that a forge accepts. Uses only the standard library."""

import json
from pathlib import Path


def plan_page(mark, names, run, limit):
    """The page, at most ``limit`` bytes, and whether it has anything to look at.

    The reports of each stack are in ``reports/plan-NAME``. A report that does not fit is only named.
    """
    places = {name: Path("reports", f"plan-{name}") for name in names}
    plans = {
        name: json.loads(place.joinpath("plan.json").read_text(encoding="utf-8"))
        for name, place in places.items()
        if place.joinpath("plan.json").exists()
    }
    texts = {name: places[name].joinpath("plan.md").read_text(encoding="utf-8") for name in plans}
    changed = [name for name, plan in plans.items() if plan["has_changes"]]
    failed = [name for name in names if name not in plans]
    same = [name for name in plans if name not in changed]
    if len(names) == 1 and not failed:
        return f"{mark}\n{texts[names[0]]}", bool(changed)
    head = [mark, f"**{len(names)} stacks: {len(changed)} with changes, {len(failed)} without a plan**", ""]
    head += [f"- no plan ([the run]({run}) says why): {', '.join(failed)}"] if failed else []
    destroys = [f"{name} ({len(plans[name]['destroys'])})" for name in changed if plans[name]["destroys"]]
    head += [f"- destroy something: {', '.join(destroys)}"] if destroys else []
    head += [f"- no changes: {', '.join(same)}"] if same else []

    def left_out(names):
        return [f"Too long for this page: {', '.join(names)}. [The run]({run}) has the reports."] if names else []

    def size(lines):
        return len("\n".join(lines).encode()) + 1

    room = limit - size([*head, "", *left_out(changed)])
    shown, left = [], []
    for name in changed:
        section = [f"\n<details><summary>{name}</summary>\n", texts[name], "\n</details>"]
        if size(section) > room:
            left.append(name)
        else:
            room -= size(section)
            shown += section
    return "\n".join([*head, *shown, "", *left_out(left)]), bool(changed or failed)
