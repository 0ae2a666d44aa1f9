"""Update one pull request comment, or one issue, from a report. Uses only the standard library."""

import json
import os
import re
import urllib.request
from pathlib import Path

env = os.environ
api = f"{env['GITHUB_API_URL']}/repos/{env['GITHUB_REPOSITORY']}/issues"
mark = env["REPORT_MARK"]


def call(method, url, body=None):
    headers = {"Authorization": f"Bearer {env['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def ours(url):
    """The first comment or issue by a bot that begins with our mark."""
    for page in range(1, 101):
        found = call("GET", f"{url}per_page=100&page={page}")
        for each in found:
            if each["user"]["type"] == "Bot" and (each["body"] or "").startswith(mark):
                return each
        if len(found) < 100:
            return None
    return None


def comment(text):
    """Update our comment; create it only if there are changes. The mark separates it from other environments'."""
    text = f"{mark}\n{text}"
    old = ours(f"{api}/{env['PULL_REQUEST']}/comments?")
    if old:
        call("PATCH", f"{api}/comments/{old['id']}", {"body": text})
    elif env["HAS_CHANGES"] == "true":
        call("POST", f"{api}/{env['PULL_REQUEST']}/comments", {"body": text})


def issue(text):
    old = ours(f"{api}?state=open&")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    body = f"{mark}\n{env['REPORT_TITLE']}. Run: {env['RUN_URL']}\n\n{fence}text\n{text[:60000]}\n{fence}\n"
    if env["HAS_CHANGES"] != "true":
        if old:
            call("POST", f"{api}/{old['number']}/comments", {"body": f"No more drift. Run: {env['RUN_URL']}"})
            call("PATCH", f"{api}/{old['number']}", {"state": "closed", "state_reason": "completed"})
    elif old:
        call("PATCH", f"{api}/{old['number']}", {"body": body})
    else:
        call("POST", api, {"title": env["REPORT_TITLE"], "body": body})


text = Path(env["REPORT_FILE"]).read_text(encoding="utf-8")
comment(text) if env["REPORT_KIND"] == "comment" else issue(text)
