"""The login through a browser: the page that sends it back to the waiting client, and where it ends up."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Flask, redirect, request
from werkzeug.wrappers import Response

from gridbyoc.sandbox.api.app import Context
from gridbyoc.sandbox.api.failures import invalid

PAGES = {
    "/cli-login-successful": "You are logged in to the sandbox. This page can be closed.",
    "/cli-login-failed": "The login to the sandbox failed.",
    "/me/apps": "You are logged in to the sandbox. This page can be closed.",
}


def add_routes(app: Flask, context: Context) -> None:
    """Open to anyone, as loopback is: there is one user, and nothing behind the key but this sandbox."""

    def sign_in() -> Response:
        target = urlsplit(request.args.get("redirectTo", ""))
        if target.scheme != "http" or target.hostname not in ("localhost", "127.0.0.1"):
            raise invalid("redirectTo must be an address on this machine, such as http://localhost:8000/login-complete")
        given = {"token": context.door.new_token(), "key": context.door.key().reveal(), "userID": context.door.user_id}
        query = urlencode(parse_qsl(target.query) + list(given.items()))
        return redirect(urlunsplit((target.scheme, target.netloc, target.path, query, "")))

    def page() -> str:
        return f"<!doctype html><title>gridbyoc sandbox</title><p>{PAGES[request.path]}</p>"

    app.get("/sign-in")(sign_in)
    for path in PAGES:
        app.add_url_rule(path, f"page {path}", page)
