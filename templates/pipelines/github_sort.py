"""Sort the stacks by their plans: those with changes, and those that destroy something. Standard library alone."""

import json
import os
from pathlib import Path

found = {"apply": [], "destroy": []}
for stack in json.loads(os.environ["STACKS"])["include"]:
    file = Path("reports", f"plan-{stack['name']}", "plan.json")
    plan = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"has_changes": False}
    if plan["has_changes"]:
        found["destroy" if plan["destroys"] else "apply"].append(stack)
with Path(os.environ["GITHUB_OUTPUT"]).open("a") as output:
    for kind, many in (("apply", "applies"), ("destroy", "destroys")):
        output.write(f"{kind}={json.dumps({'include': found[kind]})}\n{many}={len(found[kind])}\n")
