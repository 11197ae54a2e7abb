"""Cameras: what is asked of every one, and the one that hands out its present picture over HTTP, as nearly all do.

The address is the one of the configuration and no other: redirections are not followed and no proxy is asked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import ClassVar, NamedTuple, Protocol

import httpx

from edge_agent.config_inspection import CameraConfig
from models.vision.pictures import MAX_BYTES
from protocols.errors import ConfigError, Malformed, Refused, SunmaoError, Unreachable
from protocols.text import Text


class Shot(NamedTuple):
    """A picture, JPEG or PNG, and how many seconds before it was asked for it was taken."""

    content: bytes
    age_s: float


class Camera(Protocol):
    """One camera in use; use as `async with`.

    `watched`: whether it notices by itself what is wrong and when that is over; else only asking it for a picture tells.
    """

    watched: ClassVar[bool]

    @property
    def trouble(self) -> SunmaoError | None:
        """What is wrong with it now, if it is watched."""

    @property
    def counted(self) -> Counter[str]:
        """What it counts, for the report."""

    async def __aenter__(self) -> Camera: ...

    async def __aexit__(self, *error: object) -> None: ...

    async def take(self, within_s: float) -> Shot:
        """Return the present picture; raises SunmaoError after its own time limit or `within_s` seconds at the latest."""


def camera_of(config: CameraConfig) -> Callable[[], Camera]:
    """Return what makes the camera of `config`; raises ConfigError where the library it needs is not installed."""
    if config.kind == "snapshot":
        return partial(SnapshotCamera, config)
    if find_spec("av") is None:
        raise ConfigError(
            Text("a camera's video needs the package 'av'", "读取相机视频缺少软件包“av”"),
            Text("install sunmao-iiot[camera]", "请安装 sunmao-iiot[camera]"),
            key="camera.url",
        )
    from edge_agent.inspect.video import VideoCamera  # noqa: PLC0415 - 100 MB of libraries where they are used

    return partial(VideoCamera, config)


class SnapshotCamera:
    """Fetches pictures from one camera over a connection that lasts; use as `async with`."""

    watched: ClassVar[bool] = False
    trouble: SunmaoError | None = None

    def __init__(self, config: CameraConfig) -> None:
        self._config = config
        self.counted: Counter[str] = Counter()
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

    async def take(self, within_s: float) -> Shot:
        """Return the present picture, a file of at most `MAX_BYTES`.

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
        return Shot(bytes(content), 0.0)

    def _nonsense(self, why: str) -> Malformed:
        url = self._config.url
        return Malformed(
            Text(f"the camera {url} does not send a JPEG or PNG ({why})", f"相机 {url} 送出的不是 JPEG 或 PNG({why})"),
            Text("use the address of its snapshot, not of a page or a stream", "请填写快照地址，而不是网页或视频流"),
        )
