"""Pictures of a camera that sends video: GStreamer's RTSP server over real TCP, and what FFmpeg reads from a USB camera."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import av
import pytest
from PIL import Image

from edge_agent.check_camera import check_camera
from edge_agent.config import parse_config
from edge_agent.config_inspection import CameraConfig
from edge_agent.inspect import camera as cameras
from edge_agent.inspect import video
from edge_agent.inspect.camera import camera_of
from edge_agent.inspect.video import Source, VideoReader, source_of
from edge_agent.outlets.outlets import Outlets
from edge_agent.parts import Parts
from models.vision.pictures import MAX_PIXELS
from protocols.errors import ConfigError, Malformed, Refused, SunmaoError, Unreachable
from protocols.uplink.codec import decode
from tests.edge_agent.conftest import OpenBuffer
from tests.edge_agent.conftest import until as until_async
from tests.edge_agent.inspect.conftest import SignedBundle
from tests.peers.rtsp.film import PASSWORD, USER, Film, RtspCamera, has_server, number_in, numbered, until


@pytest.fixture
def rtsp() -> Iterator[RtspCamera]:
    if not has_server():
        pytest.skip("NOT TESTED against an RTSP server: gir1.2-gst-rtsp-server-1.0 or what it plays is not installed")
    with RtspCamera() as served:
        yield served


@pytest.fixture
def readers() -> Iterator[list[VideoReader]]:
    """Readers put here are ended."""
    started: list[VideoReader] = []
    yield started
    for reader in started:
        reader.stop()
    for reader in started:
        reader.join()


def reading(
    readers: list[VideoReader], rtsp: RtspCamera, silence_s: float = 5.0, max_age_s: float = 60.0, **more: object
) -> VideoReader:
    config = CameraConfig(url=rtsp.url, **{"user": USER, "password": PASSWORD} | more)  # type: ignore[arg-type]
    reader = VideoReader(source_of(config), silence_s, max_age_s, keyframes=config.keyframes)
    readers.append(reader)
    reader.start()
    return reader


def number(reader: VideoReader) -> int:
    """The number of the newest picture, -1 where there is none."""
    try:
        return number_in(reader.newest(0.0)[0].to_image())
    except SunmaoError:
        return -1


def test_the_newest_picture_is_kept_and_no_other(rtsp: RtspCamera, readers: list[VideoReader]) -> None:
    reader = reading(readers, rtsp)
    assert number_in(reader.newest(20.0)[0].to_image()) >= 0
    until(lambda: rtsp.film.sent > number(reader) + 1 > 20)
    rtsp.paused.set()
    # Nobody took those between, and none waits; the last one is known to be whole when the next one begins.
    until(lambda: number(reader) == rtsp.film.sent - 2)
    age = reader.newest(0.0)[1]
    assert 0 <= age < reader.newest(0.0)[1]
    assert reader.counted.total() == 0
    rtsp.paused.clear()


def test_an_old_picture_is_refused_a_stall_is_noticed_and_ends(rtsp: RtspCamera, readers: list[VideoReader]) -> None:
    reader = reading(readers, rtsp, silence_s=2.0, max_age_s=0.5)
    reader.newest(20.0)
    rtsp.paused.set()

    def says(words: str) -> bool:
        try:
            reader.newest(0.0)
        except Unreachable as error:
            return words in error.explain("en")
        return False

    until(lambda: says("s old, more than 0.5 s"))
    until(lambda: says("sends nothing any more"))
    rtsp.paused.clear()
    until(lambda: number(reader) >= rtsp.film.sent - 3)
    assert reader.error is None
    assert reader.counted["stream_breaks"] >= 1


def test_a_camera_that_was_cut_off_comes_back(rtsp: RtspCamera, readers: list[VideoReader]) -> None:
    reader = reading(readers, rtsp, max_age_s=0.5)
    reader.newest(20.0)
    rtsp.pull_out()
    until(lambda: reader.error is not None)
    assert isinstance(reader.error, Unreachable)
    rtsp.plug_in()
    until(lambda: reader.error is None)
    until(lambda: number(reader) >= rtsp.film.sent - 3)


@pytest.mark.parametrize(("change", "says"), [({"password": "wr@ng"}, "401"), ({"user": "x"}, "401"), ({}, "404")])
def test_a_camera_that_says_no_is_refused_without_its_password(
    rtsp: RtspCamera, readers: list[VideoReader], change: dict[str, str], says: str
) -> None:
    if says == "404":
        rtsp = type("Moved", (), {"url": f"{rtsp.url}-2"})()  # type: ignore[assignment]
    reader = reading(readers, rtsp, **change)
    with pytest.raises(Refused, match=says) as refused:
        reader.newest(20.0)
    for secret in (PASSWORD, "wr@ng", "%40"):
        assert secret not in f"{refused.value.explain('en')}{refused.value.explain('zh')}{reader.name}"


def test_key_frames_only(rtsp: RtspCamera, readers: list[VideoReader]) -> None:
    reader = reading(readers, rtsp, keyframes=True)
    seen = set()
    until(lambda: seen.add(number(reader)) or len(seen - {-1}) >= 3)  # type: ignore[func-returns-value]
    assert {each % 10 for each in seen - {-1}} == {0}


def test_garbage_is_counted_and_lived_through(rtsp: RtspCamera, readers: list[VideoReader]) -> None:
    reader = reading(readers, rtsp)
    reader.newest(20.0)
    rtsp.garbage = b"\x00\x00\x00\x01\x65" + random.Random(1).randbytes(20_000)
    until(lambda: reader.counted["not_decoded"] >= 5)
    rtsp.garbage = None
    until(lambda: number(reader) >= rtsp.film.sent - 3)
    assert reader.is_alive()


def test_a_huge_picture_is_never_decoded(
    rtsp: RtspCamera, readers: list[VideoReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "BLIND_S", 0.5)
    size = (8192, 4096)
    assert size[0] * size[1] > MAX_PIXELS
    rtsp.garbage = Film(size).next()
    reader = reading(readers, rtsp)
    with pytest.raises(Malformed, match="30 million pixels"):
        reader.newest(30.0)
    assert reader._newest is None
    rtsp.garbage = None
    until(lambda: number(reader) >= 0)


@pytest.mark.parametrize(
    "sends",
    [b"", b"garbage\r\n" * 1000, b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nX: ", b"$\x00\xff\xff" * 1000],
    ids=["silence", "garbage", "header", "packets"],
)
def test_who_talks_without_end_or_not_at_all_is_left(
    sends: bytes, readers: list[VideoReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "OPEN_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ended = threading.Event()

        def talk() -> None:
            while not ended.is_set():
                with suppress(OSError):
                    other, _ = server.accept()
                    with other:
                        while not ended.is_set():
                            other.settimeout(0.1)
                            with suppress(TimeoutError):
                                other.sendall(sends)
                            ended.wait(0 if sends else 0.1)

        thread = threading.Thread(target=talk)
        thread.start()
        reader = VideoReader(source_of(CameraConfig(url=f"rtsp://127.0.0.1:{server.getsockname()[1]}/1")), 2.0, 1.0)
        readers.append(reader)
        reader.start()
        try:
            with pytest.raises((Unreachable, Malformed)):
                reader.newest(30.0)
            assert reader.error is not None
        finally:
            ended.set()
            thread.join()


def test_a_damaged_picture_is_not_given_and_none_that_is_built_on_it(
    tmp_path: Path, readers: list[VideoReader]
) -> None:
    film = Film(slices=2)
    pictures = [film.next() for _ in range(9)]
    pictures[5] = pictures[5][: pictures[5].rfind(b"\x00\x00\x01")]  # without its lower half
    (tmp_path / "film.h264").write_bytes(b"".join(pictures))
    reader = VideoReader(Source(str(tmp_path / "film.h264"), "film", "h264", {}), 5.0, 60.0)
    readers.append(reader)
    reader.start()
    until(lambda: reader.error is not None)
    assert number(reader) == 4
    assert reader.counted["not_decoded"] == 1


def test_raw_video_is_read_as_a_usb_camera_sends_it(tmp_path: Path, readers: list[VideoReader]) -> None:
    """Video4Linux hands out raw pictures; there is no camera here, so the same decoder reads them from a file."""
    file = tmp_path / "raw.yuv"
    pictures = [av.VideoFrame.from_image(numbered(n, (320, 240)).convert("RGB")) for n in (7, 300)]
    file.write_bytes(b"".join(each.reformat(format="yuyv422").to_ndarray().tobytes() for each in pictures))
    options = {"video_size": "320x240", "pixel_format": "yuyv422", "framerate": "10"}
    reader = VideoReader(Source(str(file), str(file), "rawvideo", options), 5.0, 60.0)
    readers.append(reader)
    reader.start()
    until(lambda: number(reader) == 300)
    until(lambda: reader.error is not None)
    assert "ended the video" in str(reader.error)


def test_a_camera_that_is_not_plugged_in_is_named(readers: list[VideoReader]) -> None:
    config = CameraConfig(url="/dev/video63", size="1280x720")
    assert source_of(config) == Source("/dev/video63", "/dev/video63", "v4l2", {"video_size": "1280x720"})
    reader = VideoReader(source_of(config), 2.0, 1.0)
    readers.append(reader)
    reader.start()
    with pytest.raises(Unreachable, match="there is no camera /dev/video63"):
        reader.newest(20.0)


async def test_a_usb_camera_that_the_agent_has_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CameraConfig(url="/dev/video63")
    assert (await check_camera("station", config, tmp_path)).found.en == "there is no camera /dev/video63"
    monkeypatch.setattr("edge_agent.check_camera.running_status", lambda _: object())
    assert (await check_camera("station", config, tmp_path)).severity == "look"


def test_a_backlog_shows_as_age_and_the_clocks_may_differ() -> None:
    behind = video._Behind()
    assert behind.seconds(100.0, 7.0) == 0.0
    for second in range(1, 3601):
        assert behind.seconds(100.0 + second, 7.0 + second * 0.9999) < 0.01  # the camera's clock is slow
    assert behind.seconds(3702.0, 7.0 + 3600 * 0.9999) == pytest.approx(2.0, abs=0.01)  # sent two seconds ago
    assert behind.seconds(3703.0, None) == 0.0


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"needs the package 'av' - install sunmao-iiot\[camera\]"):
        camera_of(CameraConfig(url="rtsp://127.0.0.1/1"))


@pytest.mark.parametrize(
    ("camera", "key", "says", "zh"),
    [
        ('url = "rtsp://u:hunter2@10.0.0.1/1"', "inspection[1].camera.url", "keys of their own", "各自的键"),
        ('url = "rtsps://10.0.0.1/1"', "inspection[1].camera.url", "rtsp://192.168.1.20/stream", "地址"),
        ('url = "/etc/passwd"', "inspection[1].camera.url", "/dev/video0", "地址"),
        ('url = "/dev/video0"\nuser = "u"', "inspection[1].camera.user", "means nothing", "没有意义"),
        ('url = "rtsp://10.0.0.1/1"\nsize = "640x480"', "inspection[1].camera.size", "means nothing", "没有意义"),
        ('url = "http://10.0.0.1/1"\nmax_age_s = 1.0', "inspection[1].camera.max_age_s", "means nothing", "没有意义"),
    ],
)
def test_a_wrong_camera_is_one_clear_line(camera: str, key: str, says: str, zh: str, tmp_path: Path) -> None:
    head, _, tail = STATION.partition('url = "{url}"\nuser = "{user}"\npassword = "{password}"')
    text = f"{head}{camera}{tail}".format(bundle="b", trust=json.dumps(["A" * 43 + "="]))
    with pytest.raises(ConfigError) as refused:
        parse_config(text, tmp_path / "agent.toml")
    assert refused.value.key == key
    assert says in refused.value.explain("en")
    assert "hunter2" not in refused.value.explain("en") + refused.value.explain("zh")
    assert zh in refused.value.explain("zh")


STATION = """
[agent]
name = "a"
[cloud]
url = "http://127.0.0.1:1"
[[inspection]]
device = "camera-1"
folder = "pictures"
bundle = "{bundle}"
trust = {trust}
[inspection.camera]
url = "{url}"
user = "{user}"
password = "{password}"
[inspection.trigger]
period_s = 0.2
deadline_s = 5
"""


async def test_a_station_judges_video_tells_of_a_cut_and_goes_on(
    rtsp: RtspCamera, tmp_path: Path, small_bundle: SignedBundle, open_buffer: OpenBuffer
) -> None:
    text = STATION.format(
        bundle=small_bundle.folder, trust=json.dumps(small_bundle.trust), url=rtsp.url, user=USER, password=PASSWORD
    )
    config = parse_config(text, tmp_path / "agent.toml")
    (tmp_path / "state").mkdir()
    station = config.inspections[0]
    assert station.camera is not None
    found = await check_camera(station.device, station.camera, tmp_path / "state")
    assert (found.title.zh, found.severity) == ("camera-1：相机", "ok")
    assert "640 x 480 pixels" in found.found.en
    buffer = await open_buffer()
    async with Outlets(buffer, tmp_path / "state") as outlets, Parts(buffer, outlets) as parts:
        await parts.become(config)
        done = tmp_path / "pictures" / "done"
        await until_async(lambda: done.is_dir() and len(list(done.iterdir())) >= 3)
        with Image.open(BytesIO(sorted(done.iterdir())[-1].read_bytes())) as picture:
            assert (picture.format, picture.size) == ("JPEG", (640, 480))
            assert number_in(picture) > 0
        rtsp.pull_out()
        await until_async(lambda: parts.reports()[0].state == "down")
        assert rtsp.url in parts.reports()[0].reason_en
        rtsp.plug_in()
        await until_async(lambda: parts.reports()[0].state == "up")
        assert parts.reports()[0].counters["stream_breaks"] >= 1
    await until_async(lambda: not [each for each in threading.enumerate() if each.name.startswith("video ")])
    await buffer.flush()
    delivery = await buffer.take(10**9)
    assert delivery is not None
    events = [event for frame in delivery.frames for event in decode(frame.payload).events]
    assert {"camera_down", "inspecting"} <= {event.kind for event in events}
    assert PASSWORD not in repr(events)
