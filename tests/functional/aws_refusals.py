"""A small AWS on loopback that knows who the caller is and refuses the rest, with AWS's own error bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

ACCOUNT = "123456789012"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/Deployer/ci"
REQUEST = "7a62c49f-347e-4fc4-9331-6e8eEXAMPLE"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status, AWS's error code, and its message."""

    status: int
    code: str
    message: str


Answers = Mapping[str, Refusal]
"""By the action of the query protocol (``CreateRole``, or ``CreateRole NAME`` for one role), ``S3`` for all without."""


def _who() -> str:
    return (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>{CALLER}</Arn><UserId>AROAEXAMPLE:ci</UserId><Account>{ACCOUNT}</Account>"
        f"</GetCallerIdentityResult><ResponseMetadata><RequestId>{REQUEST}</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )


def _refusal(action: str, refusal: Refusal) -> str:
    words = f"<Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>"
    if action == "S3":
        return f"<Error>{words}<RequestId>{REQUEST}</RequestId><HostId>EXAMPLE</HostId></Error>"
    return f"<ErrorResponse><Error><Type>Sender</Type>{words}</Error><RequestId>{REQUEST}</RequestId></ErrorResponse>"


def _handler(answers: Answers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
            asked = parse_qs(body)
            action = asked.get("Action", ["S3"])[0]
            unknown = Refusal(403, "AccessDenied", f"{action} is not answered here")
            refusal = answers.get(f"{action} {asked.get('RoleName', [''])[0]}") or answers.get(action, unknown)
            if action == "GetCallerIdentity" and action not in answers:
                self._send(200, _who())
            else:
                self._send(refusal.status, _refusal(action, refusal))

        def _send(self, status: int, text: str) -> None:
            content = b"" if self.command == "HEAD" else text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("x-amzn-RequestId", REQUEST)
            self.send_header("x-amz-request-id", REQUEST)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _answer  # noqa: N815 - http.server's own names

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def refusing_aws(answers: Answers) -> Iterator[dict[str, str]]:
    """The variables that lead a client to it, while it runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answers))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-west-2",
            "AWS_MAX_ATTEMPTS": "1",
            "NO_PROXY": "127.0.0.1",
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
