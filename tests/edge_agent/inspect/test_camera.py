"""From a part that a machine announces to the machine that throws it out: real Modbus, a real camera over HTTP."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from pyModbusTCP.server import DataBank, ModbusServer

from edge_agent.audit import FILE as AUDIT
from edge_agent.config import Config, parse_config
from edge_agent.config_inspection import TriggerConfig
from edge_agent.inspect.trigger import PointTrigger
from edge_agent.outlets.outlets import Outlets
from edge_agent.parts import Parts
from protocols.errors import ConfigError
from protocols.reading import BAD, GOOD, UNCERTAIN, Reading, Value
from protocols.uplink.codec import decode
from protocols.uplink.messages import Event, Inspection, PointRef
from tests.edge_agent.conftest import OpenBuffer, until
from tests.edge_agent.inspect.conftest import SignedBundle, drop, small_picture

CONFIG = """
[agent]
name = "a"
allow_writes = {allow}
[cloud]
url = "http://127.0.0.1:1"
[[device]]
name = "press"
protocol = "modbus"
period_s = 0.05
connection = {{ host = "127.0.0.1", port = {modbus} }}
[[device.point]]
name = "parts"
address = 10
[[device.point]]
name = "serial"
address = 11
[[device.point]]
name = "ejector"
table = "coil"
address = 3
write = {{ values = [true, false] }}
[[inspection]]
device = "camera-1"
folder = "pictures"
bundle = "{bundle}"
trust = {trust}
[inspection.camera]
url = "http://127.0.0.1:{camera}/snapshot.jpg"
user = "viewer"
password = "secret"
auth = "basic"
[inspection.trigger]
{trigger}
deadline_s = {deadline}
[inspection.output]
device = "press"
point = "{output}"
reject = true
safe = false
"""
BY_COUNTER = 'device = "press"\npoint = "parts"\non = "change"\npart_point = "serial"'


class Camera(ThreadingHTTPServer):
    """Answers with a JPEG as `mood` says: "good", "flawed", "page", "refuses", or "hangs" until it is let go."""

    daemon_threads = True
    mood = "good"
    asked = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.let_go = threading.Event()


class _Answer(BaseHTTPRequestHandler):
    server: Camera

    def do_GET(self) -> None:
        camera = self.server
        camera.asked += 1
        mood = camera.mood
        if mood == "hangs":
            camera.let_go.wait(20)
        allowed = self.headers.get("authorization") == "Basic dmlld2VyOnNlY3JldA=="
        file = BytesIO()
        Image.fromarray(small_picture(camera.asked, mood == "flawed")).save(file, "JPEG", quality=95)
        body = b"<html>log in</html>" if mood == "page" else file.getvalue()
        self.send_response(503 if mood == "refuses" else 200 if allowed else 401)
        self.send_header("content-length", str(len(body)))
        with suppress(BrokenPipeError):  # of an agent that did not wait so long
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def camera() -> Iterator[Camera]:
    with Camera() as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        served.let_go.set()
        served.shutdown()
        thread.join()


class Line:
    """A press that counts its parts, the station behind it and what the buffer holds of them."""

    def __init__(self, folder: Path, bundle: SignedBundle, camera: Camera, open_buffer: OpenBuffer) -> None:
        self.folder, self.bundle, self.camera, self._open = folder, bundle, camera, open_buffer
        self.bank = DataBank()
        self.server = ModbusServer("127.0.0.1", 0, no_block=True, data_bank=self.bank)
        self.count = 0

    def config(
        self, trigger: str = BY_COUNTER, deadline: float = 10, output: str = "ejector", allow: str = "true"
    ) -> Config:
        modbus = self.server._service.server_address[1] if self.server.is_run else 502
        text = CONFIG.format(
            modbus=modbus, camera=self.camera.server_address[1], bundle=self.bundle.folder,
            trust=json.dumps(self.bundle.trust), trigger=trigger, deadline=deadline, output=output, allow=allow,
        )  # fmt: skip
        return parse_config(text, self.folder / "agent.toml")

    @asynccontextmanager
    async def running(self, trigger: str = BY_COUNTER, deadline: float = 10) -> AsyncIterator[None]:
        self.server.start()
        self.bank.set_holding_registers(10, [7, 0])
        (self.folder / "state").mkdir()
        self.buffer = await self._open()
        try:
            async with (
                Outlets(self.buffer, self.folder / "state") as outlets,
                Parts(self.buffer, outlets) as self.parts,
            ):
                await self.parts.become(self.config(trigger, deadline))
                await until(lambda: {report.state for report in self.parts.reports()} == {"up"})
                yield
        finally:
            self.server.stop()

    def part(self, serial: int) -> None:
        self.count += 1
        self.bank.set_holding_registers(10, [7 + self.count, serial])

    def counters(self) -> dict[str, int]:
        return self.parts.reports()[-1].counters

    async def judged(self, count: int) -> None:
        done = self.folder / "pictures" / "done"
        await until(lambda: len(list(done.iterdir())) == count)

    async def held(self) -> tuple[list[Inspection], list[Event], dict[str, set[int]]]:
        """Inspections, events, and the qualities of the station's readings by point."""
        await self.buffer.flush()
        delivery = await self.buffer.take(10**9)
        batches = [decode(frame.payload) for frame in delivery.frames] if delivery else []
        qualities: dict[str, set[int]] = {}
        for batch in batches:
            if batch.columns:
                codes = memoryview(batch.columns.quality).cast("h")
                for index, code in zip(memoryview(batch.columns.point).cast("I"), codes, strict=True):
                    point = batch.columns.points[index]
                    if point.device == "camera-1":
                        qualities.setdefault(point.name, set()).add(code)
        inspections = [one for batch in batches for one in batch.inspections]
        return inspections, [one for batch in batches for one in batch.events], qualities


@pytest.fixture
def line(tmp_path: Path, small_bundle: SignedBundle, camera: Camera, open_buffer: OpenBuffer) -> Line:
    return Line(tmp_path, small_bundle, camera, open_buffer)


async def test_a_counted_part_is_photographed_judged_and_thrown_out(line: Line) -> None:
    async with line.running():
        line.part(101)
        await line.judged(1)
        line.camera.mood = "flawed"
        line.part(102)
        await line.judged(2)
        await until(lambda: line.counters().get("writes") == 1)
        assert line.bank.get_coils(3) == [True]
        inspections, _, qualities = await line.held()
        assert [(one.part, one.verdict) for one in inspections] == [("101", "pass"), ("102", "reject")]
        assert qualities == {name: {int(GOOD)} for name in ("verdict", "score", "latency", "response")}
        assert line.counters() == {"triggers": 2, "writes": 1, "drift_reference": 1}
        records = [json.loads(row) for row in (line.folder / "state" / AUDIT).read_text().splitlines()]
        assert [(one["point"], one["wanted"], one.get("outcome")) for one in records] == [
            ("ejector", True, None),
            ("ejector", True, "written"),
        ]
        assert records[0]["reason"] == "camera-1: 102 rejected"
        line.camera.mood = "good"
        line.count += 2
        line.part(105)
        await until(lambda: line.counters().get("passed") == 2)
        await until(lambda: line.bank.get_coils(3) == [False])  # nobody knows of them; the next may be good


async def test_a_late_verdict_says_so_and_throws_out_nobody(line: Line) -> None:
    """The part before the camera has gone on; whatever is there now must not be thrown out in its stead."""
    async with line.running():
        drop(line.folder / "pictures", ".left.png", 3, flawed=True)
        os.utime(line.folder / "pictures" / ".left.png", (time.time() - 60,) * 2)  # left by a run that was cut off
        (line.folder / "pictures" / ".left.png").rename(line.folder / "pictures" / "old.png")
        await until(lambda: line.counters() == {"late": 1, "writes": 1})
        records = [json.loads(row) for row in (line.folder / "state" / AUDIT).read_text().splitlines()]
        assert {(one["wanted"], one["reason"]) for one in records} == {(False, "camera-1: old judged too late")}
        _, events, qualities = await line.held()
        assert (qualities["verdict"], qualities["score"]) == ({int(UNCERTAIN)}, {int(GOOD)})
        assert [event.kind for event in events] == ["verdict_late"]


async def test_a_camera_in_trouble_is_told_once_holds_up_nobody_and_comes_back(line: Line) -> None:
    async with line.running(trigger="period_s = 0.05", deadline=0.3):
        await until(lambda: line.counters().get("triggers", 0) >= 2)
        for mood, words in (("hangs", "no picture within"), ("page", "JPEG or PNG"), ("refuses", "answers 503")):
            line.camera.mood = mood
            await until(lambda words=words: words in line.parts.reports()[-1].reason_en)  # type: ignore[misc]
            assert line.parts.reports()[0].state == "up"
        line.camera.mood = "good"
        await until(lambda: line.parts.reports()[-1].state == "up")
        _, events, _ = await line.held()
        kinds = [event.kind for event in events if event.kind in ("camera_down", "inspecting")]
        assert kinds == ["camera_down"] * 3 + ["inspecting"]
        assert line.counters()["dropped"] >= 3


def test_edges_of_a_point() -> None:
    def found(on: str, *values: tuple[Value, int]) -> list[str | None]:
        trigger = PointTrigger(TriggerConfig(device="p", point="n", on=on, part_point="s"))  # type: ignore[arg-type]
        serial = (PointRef("p", "s", "", ""), Reading("s", "A7", GOOD, 0, 0))
        rows = [serial, *((PointRef("p", "n", "", ""), Reading("n", v, type(GOOD)(q), 0, 0)) for v, q in values)]
        return trigger.heard(rows)

    good, bad = int(GOOD), int(BAD)
    assert found("rise", (True, good)) == []
    assert found("rise", (False, good), (True, good), (True, good), (False, good), (1, good)) == ["A7", "A7"]
    assert found("rise", (False, good), (True, bad), (False, good)) == []
    assert found("change", (5, good), (6, good), (None, bad), (6, good), (0, good)) == ["A7", "A7"]
    counter = PointTrigger(TriggerConfig(device="p", point="n", on="change"))
    ref = PointRef("p", "n", "", "")
    assert counter.heard([(ref, Reading("n", v, GOOD, 0, 0)) for v in (5, 9)]) == [None]
    assert counter.passed == 3


@pytest.mark.parametrize(
    ("changed", "key", "says"),
    [
        ({"trigger": 'device = "press"\npoint = "prats"'}, "inspection[1].trigger.point", "parts"),
        ({"trigger": 'device = "perss"\npoint = "parts"'}, "inspection[1].trigger.device", "press"),
        ({"trigger": BY_COUNTER + "\nperiod_s = 1.0"}, "inspection[1].trigger.point", "either"),
        ({"output": "parts"}, "inspection[1].output.reject", "may not be written"),
        ({"allow": "false"}, "inspection[1].output", "may not write"),
    ],
)
def test_a_wrong_trigger_or_output_is_one_clear_line(line: Line, changed: dict[str, str], key: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        line.config(**changed)  # type: ignore[arg-type]
    assert refused.value.key == key
    assert says in refused.value.explain("en")
