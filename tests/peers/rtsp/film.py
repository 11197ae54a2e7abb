"""A film whose pictures carry their number, and GStreamer's RTSP server that shows it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

SYSTEM_PYTHON = "/usr/bin/python3"
FIELDS = 16
FPS = 10
USER, PASSWORD = "viewer", "p@ss/w:rd"


def numbered(number: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """A grey picture with the bits of `number` in the upper half: white fields on black."""
    bits = np.array([number >> bit & 1 for bit in range(FIELDS)], np.uint8) * 255
    row = np.repeat(bits, -(-size[0] // FIELDS))[: size[0]]
    grey = np.full((size[1], size[0]), 128, np.uint8)
    grey[: size[1] // 2] = row
    return Image.fromarray(grey)


def number_in(picture: Image.Image) -> int:
    grey = np.asarray(picture.convert("L"))
    width = -(-grey.shape[1] // FIELDS)
    return sum(int(grey[grey.shape[0] // 4, bit * width + width // 2] > 128) << bit for bit in range(FIELDS))


def has_server() -> bool:
    """Return whether Debian's gir1.2-gst-rtsp-server-1.0, python3-gi and gstreamer1.0-plugins-good are installed."""
    look = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst;"
        " Gst.init(None); exit(Gst.ElementFactory.find('rtph264pay') is None)"
    )
    return subprocess.run([SYSTEM_PYTHON, "-c", look], capture_output=True, check=False).returncode == 0


class Film:
    """Encodes pictures as H.264, a key frame first and then every `gop`."""

    def __init__(
        self,
        size: tuple[int, int] = (640, 480),
        gop: int = 10,
        draw: Callable[[int], Image.Image] | None = None,
        slices: int = 1,
    ) -> None:
        self.size, self.sent = size, 0
        self._draw = draw or (lambda number: numbered(number, size))
        self._codec = av.CodecContext.create("libx264", "w")
        self._codec.width, self._codec.height = size
        self._codec.pix_fmt, self._codec.framerate, self._codec.gop_size = "yuv420p", FPS, gop
        self._codec.time_base = Fraction(1, FPS)
        self._codec.options = {
            **{"preset": "ultrafast", "tune": "zerolatency", "crf": "20"},
            "x264-params": f"repeat-headers=1:threads=1:slices={slices}",
        }

    def next(self) -> bytes:
        frame = av.VideoFrame.from_image(self._draw(self.sent).convert("RGB"))
        frame.pts = self.sent
        self.sent += 1
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))


class RtspCamera:
    """A camera that sends what it is told to, ten pictures a second; use as `with`."""

    def __init__(self, film: Film | None = None) -> None:
        self.film = film or Film()
        self.paused = threading.Event()
        self.garbage: bytes | None = None
        self.port = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._send)

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/stream"

    def __enter__(self) -> RtspCamera:
        self.plug_in()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self.pull_out()

    def plug_in(self) -> None:
        """Start the server, at the port it had before if it ran."""
        peer = Path(__file__).with_name("gst_peer.py")
        with self._lock:
            self._server = subprocess.Popen(
                [SYSTEM_PYTHON, str(peer), str(self.port), USER, PASSWORD],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"GST_DEBUG": "0"},
            )  # fmt: skip
            assert self._server.stdout is not None
            self.port = json.loads(self._server.stdout.readline())["port"]

    def pull_out(self) -> None:
        """Kill the server."""
        with self._lock, self._server as server:
            server.kill()

    def _send(self) -> None:
        while not self._ended.wait(1 / FPS):
            if self.paused.is_set():
                continue
            picture = self.garbage or self.film.next()
            with self._lock:
                server = self._server
                assert server.stdin is not None
                if server.poll() is None:
                    try:
                        server.stdin.write(len(picture).to_bytes(4, "big") + picture)
                        server.stdin.flush()
                    except BrokenPipeError:
                        pass


def until(holds, deadline_s: float = 40.0) -> None:
    """Wait until `holds()`; fails after the deadline."""
    end = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
