"""Update one merge request note, or an issue for each stack, from the jobs' reports."""

import json
import os
import re
import urllib.request

env = os.environ
api = f"{env['CI_API_V4_URL']}/projects/{env['CI_PROJECT_ID']}"
names = env["STACKS"].split()
LIMIT = 900_000  # a note may have 1,000,000 characters


def call(method, url, body=None):
    headers = {"PRIVATE-TOKEN": env["GRIDBYOC_GITLAB_TOKEN"], "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


me = call("GET", f"{env['CI_API_V4_URL']}/user")["id"]


def ours(url, field, marks):
    """By its mark, the first note or issue by this token's user that begins with it."""
    known = {}
    for page in range(1, 101):
        found = call("GET", f"{url}per_page=100&page={page}")
        for each in found:
            mark = (each[field] or "").partition("\n")[0].rstrip("\r")
            if each["author"]["id"] == me and mark in marks:
                known.setdefault(mark, each)
        if len(found) < 100:
            break
    return known


def note(mark):
    notes = f"{api}/merge_requests/{env['CI_MERGE_REQUEST_IID']}/notes"
    text, _ = plan_page(mark, names, env["CI_PIPELINE_URL"], LIMIT)
    old = ours(f"{notes}?", "body", {mark}).get(mark)
    call("PUT" if old else "POST", f"{notes}/{old['id']}" if old else notes, {"body": text})


def issues(form):
    marks = {name: form.replace("{name}", name) for name in names}
    known = ours(f"{api}/issues?state=opened&", "description", set(marks.values()))
    for name, mark in marks.items():
        place = Path("reports", f"drift-{name}")
        if place.joinpath("status.txt").exists():
            issue(mark, env["REPORT_TITLE"].replace("{name}", name), known.get(mark), place)


def issue(mark, title, old, place):
    text = place.joinpath("drift.txt").read_text(encoding="utf-8")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    body = f"{mark}\n{title}. Pipeline: {env['CI_PIPELINE_URL']}\n\n{fence}text\n{text[:60000]}\n{fence}\n"
    if place.joinpath("status.txt").read_text().strip() == "0":
        if old:
            call("PUT", f"{api}/issues/{old['iid']}", {"state_event": "close"})
    elif old:
        call("PUT", f"{api}/issues/{old['iid']}", {"description": body})
    else:
        call("POST", f"{api}/issues", {"title": title, "description": body})


note(env["REPORT_MARK"]) if env["REPORT_KIND"] == "note" else issues(env["REPORT_MARK"])
