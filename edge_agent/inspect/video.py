"""A camera that sends video: over the network by RTSP, or over USB by Video4Linux. PyAV (FFmpeg's libraries) decodes it.

A thread decodes without end and keeps the newest picture only, so that a trigger has one at once and memory is bounded
however fast the camera sends. What a stream may demand is bounded, too: pixels of a picture, seconds without data,
seconds without a picture.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from io import BytesIO
from typing import ClassVar, NamedTuple
from urllib.parse import quote, urlsplit

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from edge_agent.backoff import full_jitter
from edge_agent.config_inspection import CameraConfig
from edge_agent.inspect.camera import Shot
from models.vision.pictures import MAX_PIXELS
from protocols.errors import Malformed, Refused, SunmaoError, Unreachable
from protocols.text import Text

OPEN_S = 10.0
"""Longest time from the first packet to the camera until the stream is known."""
LEAST_SILENCE_S = 2.0
"""How long a stream may be silent, however short the wait for a picture."""
BLIND_S = 20.0
"""Longest time of a stream without one picture; between key frames cameras leave ten seconds at most."""
LAG_S = 3.0
"""How far a stream may fall behind before it is opened anew, which throws the backlog away."""
DRIFT = 0.001
"""How much faster or slower than this box's clock a camera's may run; quartz stays below a tenth of it."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
JPEG_QUALITY = 95


class Source(NamedTuple):
    """What FFmpeg is told to open. `address` may hold a password; `shown` is for people."""

    address: str
    shown: str
    form: str
    options: dict[str, str]


def source_of(config: CameraConfig) -> Source:
    """Return what FFmpeg has to open for this camera."""
    if config.kind == "usb":
        return Source(config.url, config.url, "v4l2", {"video_size": config.size} if config.size else {})
    address = config.url
    if config.user is not None:
        password = config.password.get_secret_value() if config.password else ""
        parts = urlsplit(address)
        address = parts._replace(netloc=f"{quote(config.user, '')}:{quote(password, '')}@{parts.netloc}").geturl()
    # Over TCP no packet is lost, and a picture with holes would be judged like a flawed part.
    return Source(address, config.url, "rtsp", {"rtsp_transport": "tcp", "allowed_media_types": "video"})


class _Picture(NamedTuple):
    frame: av.VideoFrame
    taken: float


class VideoReader(threading.Thread):
    """Keeps the newest picture of a stream, and opens it anew when it breaks; `stop` ends it.

    Args:
        source: what to open.
        silence_s: seconds without data after which the stream counts as stalled.
        max_age_s: oldest picture that is given out.
        keyframes: decode nothing between key frames.
    """

    def __init__(self, source: Source, silence_s: float, max_age_s: float, *, keyframes: bool = False) -> None:
        super().__init__(name=f"video {source.shown}", daemon=True)
        self._source = source
        self._silence_s = silence_s
        self._max_age_s = max_age_s
        self._skip = "NONKEY" if keyframes else "DEFAULT"
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._newest: _Picture | None = None
        self.error: SunmaoError | None = None
        """Why no pictures come at present."""
        self.counted: Counter[str] = Counter()
        """"stream_breaks", and "not_decoded": pictures that came damaged or not at all."""

    def stop(self) -> None:
        """End the thread, at the latest when the stream has been silent for `silence_s`."""
        self._ended.set()

    def newest(self, within_s: float) -> tuple[av.VideoFrame, float]:
        """Return the newest picture and its age in seconds, at most `max_age_s`; wait for one up to `within_s` seconds.

        Raises what is wrong with the stream, and Unreachable if there is no picture or an old one only.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.error or self._age() <= self._max_age_s, within_s)
            picture, age = self._newest, self._age()
            if picture is not None and age <= self._max_age_s:
                return picture.frame, age
            if self.error is not None:
                raise self.error.with_traceback(None)
        shown = self._source.shown
        if picture is None:
            raise Unreachable(
                Text(
                    f"the camera {shown} sent no picture within {within_s:g} s",
                    f"相机 {shown} 在 {within_s:g} 秒内未送出图片",
                ),
                Text("check the camera and its network", "请检查相机及其网络"),
            )
        raise Unreachable(
            Text(
                f"the newest picture of the camera {shown} is {age:.1f} s old, more than {self._max_age_s:g} s",
                f"相机 {shown} 的最新图片已有 {age:.1f} 秒，超过 {self._max_age_s:g} 秒",
            ),
            Text(
                "raise max_age_s, or the camera's rate of pictures or of key frames",
                "请增大 max_age_s，或提高相机的帧率或关键帧频率",
            ),
        )

    def run(self) -> None:
        """Read the stream, again and again, until stopped."""
        failures = 0
        while not self._ended.is_set():
            begun = time.monotonic()
            try:
                self._read()
            except SunmaoError as error:
                failed = error
            except Exception as error:  # whatever the library meets, the next try may do
                failed = self._failure(error)
            else:
                return
            # A stream that breaks again and again is tried ever more slowly, even if it gives a picture each time.
            lasted = self._newest is not None and self._newest.taken - begun > LONGEST_WAIT_S
            failures = 1 if lasted else failures + 1
            with self._changed:
                self.error = failed
                self.counted["stream_breaks"] += 1
                self._changed.notify_all()
            self._ended.wait(full_jitter(failures, FIRST_WAIT_S, LONGEST_WAIT_S))

    def _age(self) -> float:
        return time.monotonic() - self._newest.taken if self._newest else float("inf")

    def _read(self) -> None:
        """Read until stopped; raises what ends the stream."""
        source = self._source
        # The limits of pixels and threads hold for the decoder that looks what the stream is, too.
        options = {**source.options, "max_pixels": str(MAX_PIXELS), "threads": "1", "analyzeduration": "2000000"}
        waits = (OPEN_S, self._silence_s)
        with av.open(source.address, format=source.form, options=options, timeout=waits) as container:
            self._decode(container)

    def _decode(self, container: InputContainer) -> None:
        shown = self._source.shown
        stream = next((each for each in container.streams.video if each.codec_context), None)
        if stream is None:
            raise self._nonsense(Text("no video that can be decoded", "没有可解码的视频"))
        decoder = stream.codec_context
        decoder.options = {"max_pixels": str(MAX_PIXELS)}
        decoder.thread_count = 1  # more would hold pictures back
        decoder.skip_frame = self._skip  # type: ignore[assignment]
        seen = time.monotonic()
        behind, sound = _Behind(), _Sound(self.counted)
        for packet in container.demux(stream):
            if self._ended.is_set():
                return
            now = time.monotonic()
            frame = sound.picture(packet)
            if frame is not None:
                seen = now
                lag = behind.seconds(now, frame.time)
                if lag > LAG_S:
                    raise Unreachable(
                        Text(f"the video of {shown} comes {LAG_S:g} s late", f"{shown} 的视频延迟 {LAG_S:g} 秒"),
                        Text(
                            "lower the camera's resolution or rate of pictures, or set keyframes = true",
                            "请降低相机的分辨率或帧率，或设置 keyframes = true",
                        ),
                    )
                with self._changed:
                    self._newest, self.error = _Picture(frame, now - lag), None
                    self._changed.notify_all()
            elif now - seen > BLIND_S:
                raise self._nonsense(Text(f"no picture in {BLIND_S:g} s", f"{BLIND_S:g} 秒内没有图片"))
        raise Unreachable(
            Text(f"the camera {shown} ended the video", f"相机 {shown} 结束了视频"),
            Text("check the camera and its network", "请检查相机及其网络"),
        )

    def _failure(self, error: Exception) -> SunmaoError:
        """Return what FFmpeg's error means; not its own text, which holds the address with the password."""
        shown = self._source.shown
        if isinstance(error, PermissionError):
            return Refused(
                Text(f"{shown} may not be read", f"无权读取 {shown}"),
                Text(
                    "add the user of the agent to the group that owns it: usermod -aG video USER, then start anew",
                    "请将边缘代理的用户加入该设备所属的组：usermod -aG video 用户名，然后重新启动",
                ),
            )
        if isinstance(error, FileNotFoundError):
            return Unreachable(
                Text(f"there is no camera {shown}", f"没有相机 {shown}"),
                Text(
                    "plug it in; `ls /dev/video*` shows what is there", "请接好相机；用 `ls /dev/video*` 查看现有设备"
                ),
            )
        why = getattr(error, "strerror", None) or type(error).__name__
        if isinstance(error, av.error.HTTPClientError):
            return Refused(
                Text(f"the camera {shown} says no: {why}", f"相机 {shown} 拒绝：{why}"),
                Text("check path, user and password", "请检查路径、用户名和密码"),
            )
        if isinstance(error, (av.error.ExitError, TimeoutError)):
            return Unreachable(
                Text(f"the camera {shown} sends nothing any more", f"相机 {shown} 不再送出数据"),
                Text("check the camera and its network", "请检查相机及其网络"),
            )
        if isinstance(error, (av.error.InvalidDataError, av.error.PatchWelcomeError)):
            return self._nonsense(Text("it cannot be read", "无法读取"))
        return Unreachable(
            Text(f"the camera {shown} does not answer: {why}", f"相机 {shown} 无应答：{why}"),
            Text(
                "check address, cable and power, and whether another program uses it",
                "请检查地址、网线和电源，以及是否被其他程序占用",
            ),
        )

    def _nonsense(self, why: Text) -> Malformed:
        shown = self._source.shown
        return Malformed(
            Text(f"the camera {shown} sends no usable video: {why.en}", f"相机 {shown} 送出的视频无法使用：{why.zh}"),
            Text(
                f"set it to H.264, H.265 or MJPEG of at most {MAX_PIXELS // 1_000_000} million pixels",
                f"请设为 H.264、H.265 或 MJPEG，且不超过 {MAX_PIXELS // 10_000} 万像素",
            ),
        )


class _Sound:
    """Decodes, and lets no picture through that is damaged or built on one that is: it would be judged like a flawed part."""

    def __init__(self, counted: Counter[str]) -> None:
        self._counted = counted
        self._whole = False

    def picture(self, packet: Packet[VideoStream]) -> av.VideoFrame | None:
        """Return the latest sound picture that `packet` completes, if any."""
        found = None
        try:
            for frame in packet.decode():
                self._whole = not frame.is_corrupt and (self._whole or frame.key_frame)
                self._counted["not_decoded"] += frame.is_corrupt
                found = frame if self._whole else found
        except (av.error.FFmpegError, ValueError):
            self._counted["not_decoded"] += 1
            self._whole = False
        return found


class _Behind:
    """How many seconds what arrives is behind what the camera takes, by the camera's own clock against this one.

    What arrives with the least delay is taken to arrive at once; a backlog, in the network or here, arrives later.
    """

    def __init__(self) -> None:
        self._least = float("inf")
        self._last = 0.0

    def seconds(self, now: float, by_camera: float | None) -> float:
        if by_camera is None:
            return 0.0
        offset = now - by_camera
        self._least = min(offset, self._least + DRIFT * (now - self._last))
        self._last = now
        return offset - self._least


class VideoCamera:
    """The newest pictures of one camera's video; use as `async with`.

    Args:
        config: the camera.
    """

    watched: ClassVar[bool] = True

    def __init__(self, config: CameraConfig) -> None:
        self._timeout_s = config.timeout_s
        silence_s = max(config.timeout_s, LEAST_SILENCE_S)
        self._reader = VideoReader(source_of(config), silence_s, config.max_age_s, keyframes=config.keyframes)

    @property
    def counted(self) -> Counter[str]:
        """See `VideoReader`."""
        return self._reader.counted

    @property
    def trouble(self) -> SunmaoError | None:
        """What is wrong with the stream now."""
        return self._reader.error

    async def __aenter__(self) -> VideoCamera:
        self._reader.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._reader.stop()
        await asyncio.to_thread(self._reader.join, LEAST_SILENCE_S)  # whoever opens a USB camera next needs it free

    async def take(self, within_s: float) -> Shot:
        """Return the newest picture as a JPEG; raises as `VideoReader.newest`, after the time limit at the latest."""
        return await asyncio.to_thread(self._take, min(within_s, self._timeout_s))

    def _take(self, within_s: float) -> Shot:
        frame, age_s = self._reader.newest(within_s)
        file = BytesIO()
        frame.to_image().save(file, "JPEG", quality=JPEG_QUALITY)  # type: ignore[no-untyped-call]
        return Shot(file.getvalue(), age_s)
