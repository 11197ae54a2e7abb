"""Receivers of notices: one HTTP server that plays the group robots and a webhook, and a mail server. All on loopback.

Each robot checks what it gets as its vendor documents, and answers as the vendor's server does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

SECRET = "SEC0123456789"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@dataclass
class Post:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Receiver:
    """Answers of the next requests come first out of `answers` (status, headers, body), else as the vendor's would."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)

    def answer(self, post: Post) -> tuple[int, dict[str, str], bytes]:
        if self.answers:
            return self.answers.pop(0)
        name = urlsplit(post.path).path.strip("/")
        body = {"dingtalk": _dingtalk, "wecom": _wecom, "feishu": _feishu, "webhook": _webhook}[name](post)
        return (200 if body is not None else 401), {}, json.dumps(body or {}).encode()


def _mac(key: str | bytes, signed: str | bytes) -> str:
    key, signed = (part.encode() if isinstance(part, str) else part for part in (key, signed))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _dingtalk(post: Post) -> dict[str, Any]:
    query = {name: values[0] for name, values in parse_qs(urlsplit(post.path).query).items()}
    if query.get("access_token") != "token":
        return {"errcode": 300005, "errmsg": "token is not exist"}
    stamp = query.get("timestamp", "0")
    fresh = abs(time.time() * 1000 - int(stamp)) < 3_600_000
    if not fresh or query.get("sign") != _mac(SECRET, f"{stamp}\n{SECRET}"):
        return {"errcode": 310000, "errmsg": "sign not match"}
    body = post.json
    assert body["msgtype"] == "markdown"
    assert body["markdown"]["title"]
    assert len(post.raw) <= 20_000
    return {"errcode": 0, "errmsg": "ok"}


def _wecom(post: Post) -> dict[str, Any]:
    if parse_qs(urlsplit(post.path).query).get("key") != ["key"]:
        return {"errcode": 93000, "errmsg": "invalid webhook url"}
    body = post.json
    assert body["msgtype"] == "markdown"
    if len(body["markdown"]["content"].encode()) > 4096:
        return {"errcode": 40058, "errmsg": "markdown.content exceed max length 4096"}
    return {"errcode": 0, "errmsg": "ok"}


def _feishu(post: Post) -> dict[str, Any]:
    body = post.json
    stamp = body.get("timestamp", "0")
    fresh = abs(time.time() - int(stamp)) < 3600
    if not fresh or body.get("sign") != _mac(f"{stamp}\n{SECRET}", ""):
        return {"code": 19021, "msg": "sign match fail or timestamp is not within one hour from current time"}
    assert body["msg_type"] == "interactive"
    assert body["card"]["header"]["title"]["tag"] == "plain_text"
    return {"code": 0, "msg": "success", "data": {}}


def _webhook(post: Post) -> dict[str, Any] | None:
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.raw
    fresh = abs(time.time() - int(post.headers["webhook-timestamp"])) < 300
    good = fresh and f"v1,{_mac(key, signed)}" in post.headers["webhook-signature"].split(" ")
    return {"ok": True} if good else None


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Serve on a port of the system's choice."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            post = Post(self.path, headers, self.rfile.read(int(headers["content-length"])))
            receiver.posts.append(post)
            status, more, body = receiver.answer(post)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Mailbox:
    """A mail server: what it took, and the answer it gives instead where one is set."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    answer: str = ""

    async def handle_DATA(  # noqa: N802 - aiosmtpd's interface
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.answer:
            return self.answer
        mail = message_from_bytes(bytes(envelope.content or b""), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


class _AnyPort(Controller):
    def _trigger_server(self) -> None:
        """Ask whether the server is up - at the port it has got."""
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    controller = _AnyPort(box, hostname="127.0.0.1", port=0)
    controller.start()
    box.port = controller.port
    try:
        yield box
    finally:
        controller.stop()
