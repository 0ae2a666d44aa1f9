"""Update one merge request note, or one issue, from a report. Uses only the standard library."""

import json
import os
import re
import urllib.request
from pathlib import Path

env = os.environ
api = f"{env['CI_API_V4_URL']}/projects/{env['CI_PROJECT_ID']}"
mark = env["REPORT_MARK"]


def call(method, url, body=None):
    headers = {"PRIVATE-TOKEN": env["GRIDBYOC_GITLAB_TOKEN"], "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


me = call("GET", f"{env['CI_API_V4_URL']}/user")["id"]


def ours(url, field):
    """The first note or issue by this token's user that begins with our mark."""
    for page in range(1, 101):
        found = call("GET", f"{url}per_page=100&page={page}")
        for each in found:
            if each["author"]["id"] == me and (each[field] or "").startswith(mark):
                return each
        if len(found) < 100:
            return None
    return None


def note(text):
    notes = f"{api}/merge_requests/{env['CI_MERGE_REQUEST_IID']}/notes"
    old = ours(f"{notes}?", "body")
    call("PUT" if old else "POST", f"{notes}/{old['id']}" if old else notes, {"body": text})


def issue(text):
    old = ours(f"{api}/issues?state=opened&", "description")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    body = f"{mark}\n{env['REPORT_TITLE']}. Job: {env['CI_JOB_URL']}\n\n{fence}text\n{text[:60000]}\n{fence}\n"
    if env["HAS_CHANGES"] != "true":
        if old:
            call("PUT", f"{api}/issues/{old['iid']}", {"state_event": "close"})
    elif old:
        call("PUT", f"{api}/issues/{old['iid']}", {"description": body})
    else:
        call("POST", f"{api}/issues", {"title": env["REPORT_TITLE"], "description": body})


text = Path(env["REPORT_FILE"]).read_text(encoding="utf-8")
note(text) if env["REPORT_KIND"] == "note" else issue(text)
