"""A camera that hands out its present picture over HTTP, as nearly every network camera does.

The address is the one of the configuration and no other: redirections are not followed and no proxy is asked.
"""

from __future__ import annotations

import asyncio

import httpx

from edge_agent.config_inspection import CameraConfig
from models.vision.pictures import MAX_BYTES
from protocols.errors import Malformed, Refused, Unreachable
from protocols.text import Text


class SnapshotCamera:
    """Fetches pictures from one camera over a connection that lasts; use as `async with`."""

    def __init__(self, config: CameraConfig) -> None:
        self._config = config
        auth: httpx.Auth | None = None
        if config.user is not None:
            password = config.password.get_secret_value() if config.password else ""
            kinds = {"basic": httpx.BasicAuth, "digest": httpx.DigestAuth}
            auth = kinds[config.auth](config.user, password)
        self._client = httpx.AsyncClient(auth=auth, timeout=config.timeout_s, trust_env=False)

    async def __aenter__(self) -> SnapshotCamera:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def take(self, within_s: float) -> bytes:
        """Return the file of the present picture, JPEG or PNG, of at most `MAX_BYTES`.

        Raises Unreachable if it is not whole after the camera's time limit or `within_s` seconds, whichever is less,
        Refused if the camera says no and Malformed if what it sends is no picture.
        """
        url = self._config.url
        within_s = min(within_s, self._config.timeout_s)
        content = bytearray()
        try:
            async with asyncio.timeout(within_s), self._client.stream("GET", url) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise Refused(
                        Text(f"the camera {url} answers {answer.status_code}", f"相机 {url} 返回 {answer.status_code}"),
                        Text("check address, user and password", "请检查地址、用户名和密码"),
                    )
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > MAX_BYTES:
                        raise self._nonsense(f"more than {MAX_BYTES >> 20} MiB")
        except TimeoutError as error:
            raise Unreachable(
                Text(
                    f"the camera {url} sent no picture within {within_s:g} s",
                    f"相机 {url} 在 {within_s:g} 秒内未送出图片",
                ),
                Text("check the camera and its network", "请检查相机及其网络"),
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise Unreachable(
                Text(f"the camera {url} does not answer: {why}", f"相机 {url} 无应答：{why}"),
                Text("check address, cable and power", "请检查地址、网线和电源"),
            ) from error
        if not content.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
            raise self._nonsense(answer.headers.get("content-type", "no type")[:80])
        return bytes(content)

    def _nonsense(self, why: str) -> Malformed:
        url = self._config.url
        return Malformed(
            Text(f"the camera {url} does not send a JPEG or PNG ({why})", f"相机 {url} 送出的不是 JPEG 或 PNG({why})"),
            Text("use the address of its snapshot, not of a page or a stream", "请填写快照地址，而不是网页或视频流"),
        )
