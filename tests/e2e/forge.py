"""A loopback server that stands for the parts of GitHub's and GitLab's API that the pipelines call."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "forge-token"


@dataclass
class Forge:
    """What lies on the server, in GitHub's words, and what was asked of it: ``calls`` are method and path."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def add_comment(self, body: str, kind: str = "Bot") -> dict[str, Any]:
        made = {"id": len(self.comments) + 1, "body": body, "user": {"type": kind}, "author": {"id": kind}}
        self.comments.append(made)
        return made

    def add_issue(self, title: str, body: str) -> dict[str, Any]:
        number = len(self.issues) + 1
        made = {"number": number, "iid": number, "title": title, "body": body, "description": body, "state": "open"}
        self.issues.append({**made, "user": {"type": "Bot"}, "author": {"id": "Bot"}})
        return self.issues[-1]

    def answer(self, method: str, path: str, query: dict[str, list[str]], sent: dict[str, Any]) -> tuple[int, Any]:
        """The status and the body; 404 for what the pipelines have no business with."""
        self.calls.append(f"{method} {path}")
        for known_method, form, respond in ROUTES:
            match = re.fullmatch(form, path)
            if match and method == known_method:
                found = respond(self, match, sent)
                return 200, paged(found, query) if isinstance(found, list) else found
        return 404, {"message": f"{method} {path}"}

    def change_issue(self, number: str, sent: dict[str, Any]) -> dict[str, Any]:
        issue = self.issues[int(number) - 1]
        if sent.get("state_event") == "close":
            sent = {"state": "closed"}
        issue.update(sent)
        return issue

    def change_comment(self, number: str, sent: dict[str, Any]) -> dict[str, Any]:
        self.comments[int(number) - 1].update(sent)
        return self.comments[int(number) - 1]

    def opened(self) -> list[dict[str, Any]]:
        return [issue for issue in self.issues if issue["state"] == "open"]


GITHUB = "/repos/acme/platform/issues"
GITLAB = "/projects/7"
NOTES = rf"{GITLAB}/merge_requests/5/notes"
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", rf"{GITHUB}/5/comments", lambda forge, _, __: forge.comments),
    ("POST", rf"{GITHUB}/5/comments", lambda forge, _, sent: forge.add_comment(sent["body"])),
    ("PATCH", rf"{GITHUB}/comments/(\d+)", lambda forge, match, sent: forge.change_comment(match[1], sent)),
    ("GET", GITHUB, lambda forge, _, __: forge.opened()),
    ("POST", GITHUB, lambda forge, _, sent: forge.add_issue(sent["title"], sent["body"])),
    ("POST", rf"{GITHUB}/(\d+)/comments", lambda forge, match, sent: sent),
    ("PATCH", rf"{GITHUB}/(\d+)", lambda forge, match, sent: forge.change_issue(match[1], sent)),
    ("GET", "/user", lambda forge, _, __: {"id": "Bot"}),
    ("GET", NOTES, lambda forge, _, __: forge.comments),
    ("POST", NOTES, lambda forge, _, sent: forge.add_comment(sent["body"])),
    ("PUT", rf"{NOTES}/(\d+)", lambda forge, match, sent: forge.change_comment(match[1], sent)),
    ("GET", rf"{GITLAB}/issues", lambda forge, _, __: forge.opened()),
    ("POST", rf"{GITLAB}/issues", lambda forge, _, sent: forge.add_issue(sent["title"], sent["description"])),
    ("PUT", rf"{GITLAB}/issues/(\d+)", lambda forge, match, sent: forge.change_issue(match[1], sent)),
]


def paged(found: list[Any], query: dict[str, list[str]]) -> list[Any]:
    size, page = (int(query[name][0]) for name in ("per_page", "page"))
    return found[size * (page - 1) : size * page]


@contextmanager
def running_forge() -> Iterator[Forge]:
    forge = Forge()

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            sent = json.loads(self.rfile.read(length) or b"{}")
            allowed = TOKEN in (self.headers.get("PRIVATE-TOKEN"), (self.headers["Authorization"] or "")[7:])
            found = forge.answer(self.command, parts.path, parse_qs(parts.query), sent) if allowed else (401, {})
            body = json.dumps(found[1]).encode()
            self.send_response(found[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = handle_one  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    forge.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
