"""Remote inspection: a signed model kept warm on a stronger machine, asked for a second opinion over HTTP.

    POST /inspect   a JPEG or PNG, `Authorization: Bearer TOKEN` -> Opinion      GET /health -> {"model", "version", "provider", "waiting"}

Asked with the one token of the server, or, where it works for an offer, with those of its servings: then what it answers is metered.

Plain ASGI: the way of a picture is one request on a connection that lasts and one pipe. Every child inspects one picture at a
time; more than WAITING of them waiting is answered 429, for a line has no use for an answer that comes late.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from cloud.compute.engine import child_environment, without_network
from cloud.compute.opinion_meter import OpinionMeter
from protocols.errors import ConfigError
from protocols.text import Text

MOST_BYTES = 16 * 1024 * 1024
WAITING = 32
_BUSY = 429
_log = logging.getLogger(__name__)
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Child:
    """One warm model."""

    def __init__(self, process: Process, about: dict[str, str]) -> None:
        self._process = process
        self.about = about

    @classmethod
    async def start(cls, bundle: Path, trust: Sequence[str]) -> _Child:
        """Start one; raises ConfigError with the child's own words if the bundle is not run."""
        command = [*without_network(), sys.executable, "-P", "-m", "models.inspect_child", str(bundle), *trust]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=child_environment()
        )
        child = cls(process, {})
        said = await child._answer()
        if "ready" not in said:
            await child.stop()
            failed = said.get("failed", {"en": "its process ended", "zh": "进程已结束"})
            raise ConfigError(
                Text(failed["en"], failed["zh"]),
                Text("give a bundle that one of the keys has signed", "请提供由所给公钥签名的模型包"),
                key="BUNDLE",
            )
        child.about = said["ready"]
        return child

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, content: bytes) -> dict[str, Any]:
        """Return what it says of a picture; empty if it has ended."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(len(content).to_bytes(4, "big") + content)
        with suppress(ConnectionError):
            await self._process.stdin.drain()
        return await self._answer()

    async def stop(self) -> None:
        """End it."""
        if self.alive:
            self._process.kill()
        await self._process.wait()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = await self._process.stdout.readline()
        return dict(msgspec.json.decode(line)) if line else {}


class InspectionServer:
    """An ASGI application, between `start` and `stop`; with a meter that decides who is let in, `token` is nobody's."""

    def __init__(self, bundle: Path, trust: Sequence[str], token: str, meter: OpinionMeter | None = None) -> None:
        self._bundle, self._trust, self._token, self._meter = bundle, trust, token.encode(), meter
        self._idle: asyncio.Queue[_Child] = asyncio.Queue()
        self._children: list[_Child] = []
        self._waiting = 0
        self.about: dict[str, str] = {}

    async def start(self, children: int) -> None:
        """Start so many children; raises ConfigError if the bundle is not run."""
        for _ in range(children):
            await self._start()

    async def stop(self) -> None:
        """Stop them."""
        for child in self._children:
            await child.stop()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        status, body = await self._answer(scope, receive)
        content = msgspec.json.encode(body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        if status == _BUSY:
            headers.append((b"retry-after", b"1"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, scope: Mapping[str, Any], receive: Receive) -> tuple[int, dict[str, Any]]:
        given = dict(scope["headers"]).get(b"authorization", b"")
        caller = given.removeprefix(b"Bearer ")
        if self._meter:
            if refused := self._meter.refusal(caller):
                return _problem(refused.status, *refused.words)
        elif not hmac.compare_digest(given, b"Bearer " + self._token):
            return _problem(401, "the token is missing or wrong", "令牌缺失或错误")
        match scope["method"], scope["path"]:
            case "GET", "/health":
                return 200, {**self.about, "waiting": self._waiting}
            case "POST", "/inspect":
                return await self._inspect(receive, caller)
        return _problem(404, "there is POST /inspect and GET /health", "仅有 POST /inspect 与 GET /health")

    async def _inspect(self, receive: Receive, caller: bytes) -> tuple[int, dict[str, Any]]:
        content = await _body(receive)
        if content is None:
            return _problem(413, f"a picture has at most {MOST_BYTES >> 20} MiB", f"图片最大 {MOST_BYTES >> 20} MiB")
        if self._waiting >= WAITING:
            return _problem(_BUSY, "too many pictures wait", "等待的图片过多")
        said = await self._ask(content)
        if "found" in said:
            if self._meter:
                self._meter.count(caller, said["found"]["latency_us"])
            return 200, {**self.about, **said["found"]}
        if "failed" in said:
            return 422, said["failed"]
        return _problem(503, "the model is being started again", "模型正在重新启动")

    async def _ask(self, content: bytes) -> dict[str, Any]:
        self._waiting += 1
        try:
            child = await self._idle.get()
        finally:
            self._waiting -= 1
        # The child's answers come in the order of its pictures: who hangs up must not leave one behind.
        return await asyncio.shield(asyncio.create_task(self._asked(child, content)))

    async def _asked(self, child: _Child, content: bytes) -> dict[str, Any]:
        said = await child.ask(content)
        if not said:
            await child.stop()
            try:
                await self._start()
            except ConfigError as error:
                _log.warning("%s", error)  # the dead one keeps its place: whoever asks next has it tried again
            else:
                self._children.remove(child)
                return said
        self._idle.put_nowait(child)
        return said

    async def _start(self) -> None:
        child = await _Child.start(self._bundle, self._trust)
        self._children.append(child)
        self.about = child.about
        self._idle.put_nowait(child)


async def _body(receive: Receive) -> bytes | None:
    """Return the body; None for one that is too large."""
    content = bytearray()
    while True:
        message = await receive()
        content += message.get("body", b"")
        if len(content) > MOST_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(content)


def _problem(status: int, en: str, zh: str) -> tuple[int, dict[str, Any]]:
    return status, {"reason": "", "en": en, "zh": zh}
