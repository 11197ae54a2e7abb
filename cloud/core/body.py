"""Reading request bodies: never more than a stated cap, never anything but the message asked for."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.core.errors import TooLarge
from protocols.errors import Malformed
from protocols.text import Text
from protocols.uplink.messages import MEDIA_TYPE

T = TypeVar("T")

MAX_BODY_BYTES = 1024 * 1024
"""Cap on the body of an operation that does not set its own."""


class BodyLimit:
    """ASGI middleware: no operation reads more than its cap. `caps` lists paths that may take more, in bytes."""

    def __init__(self, app: ASGIApp, caps: dict[str, int]) -> None:
        self._app = app
        self._caps = caps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a counted body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cap = self._caps.get(scope["path"], MAX_BODY_BYTES)
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > cap:
                raise too_large(cap)
            return message

        await self._app(scope, counted, send)


def too_large(cap: int) -> TooLarge:
    """Return the answer to a body above `cap` bytes."""
    return TooLarge(
        Text(f"The body is above {cap} bytes; send less at a time.", f"请求内容超过 {cap} 字节，请分批发送。")
    )


async def read_message(request: Request, kind: type[T]) -> T:
    """Return the MessagePack message of type `kind` in the body; raises Malformed, or TooLarge above the cap."""
    body = await request.body()
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Malformed(
            Text(f"not a {kind.__name__} in MessagePack: {error}", f"不是 MessagePack 格式的 {kind.__name__}:{error}")
        ) from error


def message(reply: msgspec.Struct) -> Response:
    """Return `reply` as a MessagePack answer."""
    return Response(msgspec.msgpack.encode(reply), media_type=MEDIA_TYPE)


def speaks(request: type[msgspec.Struct], reply: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the `openapi_extra` of an operation that takes and gives MessagePack messages."""

    def content(kind: type[msgspec.Struct]) -> dict[str, Any]:
        return {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary", "title": kind.__name__}}}

    return {
        "requestBody": {"required": True, "content": content(request)},
        "responses": {"200": {"description": reply.__name__, "content": content(reply)}},
    }
