"""Where the gateways deliver: our uplink and ThingsBoard's MQTT interface, each served by a process that counts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Protocol

import msgspec
import numpy as np
import paho.mqtt.client as mqtt

from protocols.uplink import messages as m
from protocols.uplink.codec import decode
from tests.doubles.cloud import CloudDouble

Times = dict[str, list[int]]
"""By device: when the values of its first point arose, milliseconds."""


class Sink(Protocol):
    """A running sink. `address` is what a gateway is configured with."""

    address: Any

    def values(self) -> int:
        """Return how many numbers have arrived."""

    def times(self) -> Times:
        """Return what arrived of every device's first point."""


class _Counting:
    def __init__(self, count: Any) -> None:
        self.count = count
        self.kept: Times = {}

    def add(self, device: str, time_ms: int) -> None:
        self.kept.setdefault(device, []).append(time_ms)


class _CountingCloud(CloudDouble):
    """Counts what it is sent instead of keeping it."""

    counting: _Counting

    def _batches(self, body: bytes) -> m.Receipt:
        delivery = msgspec.msgpack.decode(body, type=m.Delivery)
        for frame in delivery.frames:
            columns = decode(frame.payload).columns
            if columns is None:
                continue
            number = np.frombuffer(columns.point, "<u4")
            good = np.frombuffer(columns.quality, "<i2") >= 0
            self.counting.count.value += int(good.sum())
            times = np.frombuffer(columns.source_time, "<i8") // 1000
            for index, point in enumerate(columns.points):
                if point.name == "p0":
                    for moment in times[(number == index) & good]:
                        self.counting.add(point.device, int(moment))
        return m.Receipt([frame.seq for frame in delivery.frames])


async def _serve_ours(pipe: Connection, count: Any, address: str) -> None:
    cloud = _CountingCloud()
    cloud.counting = _Counting(count)
    pipe.send(await cloud.start())
    while await asyncio.to_thread(_asked, pipe):
        pipe.send(cloud.counting.kept)
    await cloud.stop()


async def _serve_thingsboard(pipe: Connection, count: Any, address: str) -> None:
    """Answer what the gateway asks of ThingsBoard and count its telemetry."""
    counting = _Counting(count)

    def on_message(client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic.startswith("v1/devices/me/rpc/request/"):
            if b"getSessionLimits" in message.payload:
                number = message.topic.rpartition("/")[2]
                client.publish(f"v1/devices/me/rpc/response/{number}", json.dumps(_LIMITS), qos=1)
        elif message.topic == "v1/gateway/telemetry":
            for device, rows in json.loads(message.payload).items():
                for row in rows:
                    counting.count.value += len(row["values"])
                    if "p0" in row["values"]:
                        counting.add(device, row["ts"])

    host, _, port = address.rpartition(":")
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
    client.on_message = on_message
    client.connect(host, int(port))
    client.subscribe([("v1/devices/me/rpc/request/+", 1), ("v1/gateway/telemetry", 1)])
    client.loop_start()
    pipe.send(address)
    while await asyncio.to_thread(_asked, pipe):
        pipe.send(counting.kept)
    client.loop_stop()


_LIMITS = {
    "maxPayloadSize": 65536,
    "maxInflightMessages": 100,
    "rateLimits": {"messages": "0:0,", "telemetryMessages": "0:0,", "telemetryDataPoints": "0:0,"},
    "gatewayRateLimits": {"messages": "0:0,", "telemetryMessages": "0:0,", "telemetryDataPoints": "0:0,"},
}
"""No limits, so that the gateway and not ThingsBoard's quota is measured."""


def _asked(pipe: Connection) -> bool:
    with contextlib.suppress(EOFError):
        pipe.recv()
        return True
    return False


def _run(serve: Any, pipe: Connection, count: Any, address: str) -> None:
    asyncio.run(serve(pipe, count, address))


class _Process:
    def __init__(self, pipe: Connection, count: Any) -> None:
        self.address = pipe.recv()
        self._pipe = pipe
        self._count = count

    def values(self) -> int:
        return int(self._count.value)

    def times(self) -> Times:
        self._pipe.send("times")
        kept: Times = self._pipe.recv()
        return kept

    def until(self, values: int, deadline_s: float) -> float:
        """Wait until more than `values` have arrived and return the monotonic time; raises TimeoutError."""
        deadline = time.monotonic() + deadline_s
        while self.values() <= values:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no value within {deadline_s} s")
            time.sleep(0.02)
        return time.monotonic()


@contextmanager
def _sink(serve: Any, address: str) -> Iterator[_Process]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    count = context.Value("Q", 0, lock=False)  # one writer
    process = context.Process(target=_run, args=(serve, there, count, address), daemon=True)
    process.start()
    there.close()
    try:
        yield _Process(here, count)
    finally:
        here.close()
        process.join(5)
        process.kill()


@contextmanager
def our_cloud() -> Iterator[_Process]:
    """Serve our uplink; `address` is the cloud's URL."""
    with _sink(_serve_ours, "") as sink:
        yield sink


@contextmanager
def thingsboard(broker: str) -> Iterator[_Process]:
    """Play ThingsBoard at the MQTT broker `broker`, host:port."""
    with _sink(_serve_thingsboard, broker) as sink:
        yield sink
