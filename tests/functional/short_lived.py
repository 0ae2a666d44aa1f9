"""A token service and an SSO portal whose credentials live for seconds, and who has used which key.

moto gives an hour at least. Here a key's name says which source it was made for, so that a request of Terraform's,
which signs with it, tells where Terraform has it from.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

NAMESPACE = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
ACCOUNT = "123456789012"
_KEY = re.compile(r"Credential=([^/]+)/")


@dataclass
class ShortLived:
    """``seconds`` that a key lives; ``made`` how many there were for each source; ``terraform`` the keys it used."""

    url: str = ""
    seconds: float = 3600.0
    accounts: dict[str, str] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)
    terraform: list[str] = field(default_factory=list)

    def key(self, source: str) -> dict[str, str]:
        self.made[source] += 1
        number = self.made[source]
        ends = datetime.now(timezone.utc) + timedelta(seconds=self.seconds)
        key = f"ASIA{source.upper()}{number:04}"
        return {"key": key, "secret": "secret", "token": f"token-{number}", "ends": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}

    def sources(self) -> set[str]:
        """Those whose keys Terraform has used since the last look."""
        found = {re.sub(r"^ASIA|\d+$", "", key).lower() for key in self.terraform}
        self.terraform.clear()
        return found


@contextmanager
def short_lived() -> Iterator[ShortLived]:
    made = ShortLived()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made_key = made.key("sso")
            ends = int(datetime.fromisoformat(made_key["ends"].replace("Z", "+00:00")).timestamp() * 1000)
            names = {"accessKeyId": "key", "secretAccessKey": "secret", "sessionToken": "token"}
            role = {name: made_key[field_] for name, field_ in names.items()} | {"expiration": ends}
            self._answer(json.dumps({"roleCredentials": role}), "application/json")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            action = parse_qs(body)["Action"][0]
            if action == "GetCallerIdentity":
                found = _KEY.search(self.headers.get("Authorization", ""))
                key = found[1] if found else ""
                if "aws-sdk-go" in self.headers.get("User-Agent", "").lower():
                    made.terraform.append(key)
                account = made.accounts.get(key, ACCOUNT)
                inner = f"<Arn>arn:aws:iam::{account}:user/{key}</Arn><UserId>U</UserId><Account>{account}</Account>"
            else:
                found_key = made.key("role" if action == "AssumeRole" else "web")
                names = {"AccessKeyId": "key", "SecretAccessKey": "secret", "SessionToken": "token"}
                fields = "".join(f"<{name}>{found_key[field_]}</{name}>" for name, field_ in names.items())
                inner = f"<Credentials>{fields}<Expiration>{found_key['ends']}</Expiration></Credentials>"
            text = f"<{action}Response {NAMESPACE}><{action}Result>{inner}</{action}Result></{action}Response>"
            self._answer(text, "text/xml")

        def _answer(self, text: str, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()
