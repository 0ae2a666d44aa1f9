"""Update one pull request comment, or an issue for each stack, from the jobs' reports."""

import json
import os
import re
import urllib.request

env = os.environ
api = f"{env['GITHUB_API_URL']}/repos/{env['GITHUB_REPOSITORY']}/issues"
names = [stack["name"] for stack in json.loads(env["STACKS"])["include"]]
LIMIT = 65_000  # a comment or an issue may have 65,536 characters


def call(method, url, body=None):
    headers = {"Authorization": f"Bearer {env['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def ours(url, marks):
    """By its mark, the first comment or issue by a bot that begins with it."""
    known = {}
    for page in range(1, 101):
        found = call("GET", f"{url}per_page=100&page={page}")
        for each in found:
            mark = (each["body"] or "").partition("\n")[0].rstrip("\r")
            if each["user"]["type"] == "Bot" and mark in marks:
                known.setdefault(mark, each)
        if len(found) < 100:
            break
    return known


def comment(mark):
    """Update our comment; create it only if there is something to look at. The mark is of this environment."""
    text, news = plan_page(mark, names, env["RUN_URL"], LIMIT)
    old = ours(f"{api}/{env['PULL_REQUEST']}/comments?", {mark}).get(mark)
    if old:
        call("PATCH", f"{api}/comments/{old['id']}", {"body": text})
    elif news:
        call("POST", f"{api}/{env['PULL_REQUEST']}/comments", {"body": text})


def issues(form):
    marks = {name: form.replace("{name}", name) for name in names}
    known = ours(f"{api}?state=open&", set(marks.values()))
    for name, mark in marks.items():
        place = Path("reports", f"drift-{name}")
        if place.joinpath("status.txt").exists():
            issue(mark, env["REPORT_TITLE"].replace("{name}", name), known.get(mark), place)


def issue(mark, title, old, place):
    text = place.joinpath("drift.txt").read_text(encoding="utf-8")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    body = f"{mark}\n{title}. Run: {env['RUN_URL']}\n\n{fence}text\n{text[:60000]}\n{fence}\n"
    if place.joinpath("status.txt").read_text().strip() == "0":
        if old:
            call("POST", f"{api}/{old['number']}/comments", {"body": f"No more drift. Run: {env['RUN_URL']}"})
            call("PATCH", f"{api}/{old['number']}", {"state": "closed", "state_reason": "completed"})
    elif old:
        call("PATCH", f"{api}/{old['number']}", {"body": body})
    else:
        call("POST", api, {"title": title, "body": body})


comment(env["REPORT_MARK"]) if env["REPORT_KIND"] == "comment" else issues(env["REPORT_MARK"])
