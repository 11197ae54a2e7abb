"""A small plant for tests of the cloud: an enrolled agent that delivers readings and inspections over the real uplink.

Run as a program it keeps delivering: `python -m tests.doubles.plant URL CODE [SECONDS]`.
"""

from __future__ import annotations

import io
import math
import sys
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from PIL import Image, ImageDraw
from uuid_utils import uuid7

from protocols.reading import BAD_NO_COMMUNICATION, GOOD, Quality, Reading, now_us
from protocols.uplink.codec import columns_of, encode
from protocols.uplink.configuration import version_of
from protocols.uplink.messages import (
    MEDIA_TYPE,
    Batch,
    ChallengeReply,
    ChallengeRequest,
    ConfigReport,
    ConfigurationKept,
    ConfigurationReport,
    Delivery,
    DeviceReport,
    EnrolReply,
    EnrolRequest,
    Frame,
    Health,
    HealthReply,
    Inspection,
    PointRef,
    Receipt,
    SecondOpinion,
    TokenReply,
    TokenRequest,
)
from protocols.uplink.models import MODELS, ModelOrder, ModelsReport, ModelsWanted, StationModels

CONFIGURATION = '[buffer]\nlimit_mb = 2048\n\n[[device]]\nname = "meter-1"\ntemplate = "demo-energy-meter"\n'
"""What the plant's agent has in force."""

REVIEW_LIMIT, REJECT_LIMIT = 3.0, 4.5

POINTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "moulder-1": (
        ("MachineStatus", "machine_state", "C62"),
        ("CycleTime", "cycle_time", "SEC"),
        ("GoodParts", "part_count_good", "C62"),
        ("RejectParts", "part_count_reject", "C62"),
        ("MeltTemperature", "melt_temperature", "CEL"),
        ("MouldTemperature", "mould_temperature", "CEL"),
        ("ClampForce", "clamp_force", "B47"),
        ("ActivePower", "active_power_total", "KWT"),
        ("MouldId", "mould_id", "C62"),
    ),
    "meter-1": (
        ("P", "active_power_total", "KWT"),
        ("EPI", "energy_active_import", "KWH"),
        ("PF", "power_factor_total", "C62"),
        ("UA", "voltage_l1_n", "VLT"),
        ("IA", "current_l1", "AMP"),
        ("F", "frequency_grid", "HTZ"),
    ),
    "compressor-1": (
        ("RunState", "machine_running", "C62"),
        ("DischargePressure", "discharge_pressure", "BAR"),
        ("DischargeTemperature", "discharge_temperature", "CEL"),
        ("Power", "active_power_total", "KWT"),
        ("Speed", "motor_speed", "RPM"),
        ("OilTemperature", "oil_temperature", "CEL"),
        ("RunHours", "operating_hours_total", "HUR"),
    ),
    "camera-1": (
        ("verdict", "inspection_verdict", "C62"),
        ("score", "inspection_score", "C62"),
        ("latency", "inspection_latency", "SEC"),
    ),
}

CLASSES = {
    "moulder-1": ("opcua", "demo-injection-moulder", "injection_moulding"),
    "meter-1": ("modbus", "demo-energy-meter", "energy_meter"),
    "compressor-1": ("modbus", "demo-air-compressor", "compressor"),
    "camera-1": ("folder", "zoo/part-surface", "inspection_station"),
}


def values_at(time_us: int, start_us: int) -> dict[str, dict[str, float | str]]:
    """Return every point's value at an instant; power follows the cycle, energy is its integral, cycles make parts."""
    t = (time_us - start_us) / 1e6
    cycle = 18.0 + 0.6 * math.sin(t / 97)
    phase = (t % cycle) / cycle
    parts = int(t / cycle) + 412
    moulder_kw = 11 + (26 if phase < 0.15 else 8 if phase < 0.5 else 1) + 0.4 * math.sin(t * 1.7)
    pressure = 7.05 + 0.35 * math.sin(t / 11)
    compressor_kw = 15.5 + 2.5 * math.cos(t / 11)
    meter_kw = moulder_kw + compressor_kw + 3.2
    return {
        "moulder-1": {
            "MachineStatus": 3, "CycleTime": round(cycle, 2), "GoodParts": parts - parts // 40,
            "RejectParts": parts // 40, "MeltTemperature": round(231 + 1.4 * math.sin(t / 23), 1),
            "MouldTemperature": round(62 + 0.8 * math.sin(t / 41), 1), "ClampForce": round(885 + 6 * math.sin(t / 5), 1),
            "ActivePower": round(moulder_kw, 2), "MouldId": "M-2207",
        },
        "meter-1": {
            "P": round(meter_kw, 2), "EPI": round(18240 + t * 36 / 3600, 3), "PF": round(0.93 + 0.02 * math.sin(t / 31), 3),
            "UA": round(231 + math.sin(t / 7), 1), "IA": round(meter_kw / 0.64, 1), "F": round(50 + 0.02 * math.sin(t / 13), 3),
        },
        "compressor-1": {
            "RunState": 1, "DischargePressure": round(pressure, 2), "DischargeTemperature": round(83 + 2 * math.sin(t / 60), 1),
            "Power": round(compressor_kw, 2), "Speed": round(2480 + 220 * math.cos(t / 11)), "OilTemperature": round(71 + math.sin(t / 50), 1),
            "RunHours": round(8213 + t / 3600, 2),
        },
    }  # fmt: skip


def picture_of(number: int, defect: bool) -> tuple[bytes, bytes]:
    """Return a part's picture (JPEG) and heat map (PNG, grey): a moulded disc, scratched where `defect`."""
    random, size = Random(number), 320
    grain = np.random.default_rng(number).normal(0, 3.5, (size, size))
    y, x = np.mgrid[0:size, 0:size] - size / 2
    shade = 152 + 26 * (-x - y) / size + grain
    ground = 38 + 5 * np.sin(x / 9) + grain / 2
    inside = np.hypot(x, y)
    grey = np.where(inside < 132, shade + 20 * (np.abs(inside - 118) < 3) - 22 * (np.abs(inside - 48) < 3), ground)
    tint = np.array([0.93, 1.0, 1.02])
    image = Image.fromarray(np.clip(grey[..., None] * tint, 0, 255).astype(np.uint8), "RGB")
    heat = np.clip(np.random.default_rng(number).normal(9, 4, (40, 40)), 0, 255)
    if defect:
        angle, cx, cy = random.uniform(0, math.pi), random.uniform(120, 200), random.uniform(120, 200)
        dx, dy = 42 * math.cos(angle), 42 * math.sin(angle)
        draw = ImageDraw.Draw(image)
        draw.line((cx - dx, cy - dy, cx + dx, cy + dy), fill=(66, 70, 72), width=3)
        draw.line((cx - dx, cy - dy + 2, cx + dx, cy + dy + 2), fill=(205, 212, 214), width=1)
        for step in np.linspace(-1, 1, 15):
            hx, hy = (cx + step * dx) / 8, (cy + step * dy) / 8
            yy, xx = np.mgrid[0:40, 0:40]
            heat = np.maximum(heat, 250 * np.exp(-((xx - hx) ** 2 + (yy - hy) ** 2) / 5))
    heat_image = Image.fromarray(heat.astype(np.uint8), "L").resize((160, 160), Image.Resampling.BICUBIC)
    return _bytes(image, "JPEG"), _bytes(heat_image, "PNG")


def _bytes(image: Image.Image, format: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format)
    return stream.getvalue()


def inspection_of(number: int, time_us: int, *, defect: bool, score: float | None = None) -> Inspection:
    """Return one inspection of `camera-1`; a heavier model has been asked, too."""
    picture, heatmap = picture_of(number, defect)
    score = score if score is not None else (6.2 if defect else 1.1) + Random(number).uniform(-0.7, 0.7)
    verdict = "reject" if score >= REJECT_LIMIT else "review" if score >= REVIEW_LIMIT else "pass"
    second = SecondOpinion("part-surface-large", "2.0.0", "reject" if defect else "pass", score * 1.3, 48_000)
    return Inspection(
        id=str(uuid7()), device="camera-1", time=time_us, part=f"P-{number:05d}", verdict=verdict, score=score,
        review_limit=REVIEW_LIMIT, reject_limit=REJECT_LIMIT, model="part-surface", model_version="1.0.0",
        latency_us=21_400 + number % 7 * 900, picture=picture, heatmap=heatmap,
        shadow=second, defect="scratch" if defect and number % 4 else "", chance=0.91 if defect and number % 4 else 0.0,
    )  # fmt: skip


@dataclass
class Plant:
    """An enrolled agent. Every method is one real HTTP exchange with the cloud at `client.base_url`."""

    client: httpx.Client
    start_us: int = field(default_factory=now_us)
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    epoch: str = field(default_factory=lambda: str(uuid4()))
    seq: int = 0
    agent_id: str = ""
    token: str = ""

    def enrol(self, code: str, name: str = "workshop-1") -> None:
        """Redeem a one-time code and log in."""
        self.agent_id = self._post("/api/v1/agents/enrol", self.enrol_request(code, name), EnrolReply).agent_id
        nonce = self._post("/api/v1/agents/challenge", ChallengeRequest(self.agent_id), ChallengeReply).nonce
        signature = self.key.sign(b"sunmao-login:" + self.agent_id.encode() + nonce)
        self.token = self._post("/api/v1/agents/token", TokenRequest(self.agent_id, nonce, signature), TokenReply).token

    def enrol_request(self, code: str, name: str) -> EnrolRequest:
        """Return what this agent sends to be let in."""
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return EnrolRequest(code, name, public, self.key.sign(b"sunmao-enrol:" + code.encode()), "0.1.0")

    def deliver(self, batch: Batch) -> None:
        """Deliver one batch and see it acknowledged."""
        self.seq += 1
        receipt = self._post("/api/v1/uplink/batches", Delivery(self.epoch, [Frame(self.seq, encode(batch))]), Receipt)
        assert receipt.stored == [self.seq], receipt.refused

    def deliver_values(
        self, times_us: list[int], *, broken: str = "", inspections: list[Inspection] | None = None
    ) -> None:
        """Deliver all machines' values at these instants; the machine `broken` cannot be read."""
        readings = []
        for time_us in times_us:
            for device, values in values_at(time_us, self.start_us).items():
                for name, property_code, unit in POINTS[device]:
                    quality: Quality = BAD_NO_COMMUNICATION if device == broken else GOOD
                    value = None if device == broken else values[name]
                    ref = PointRef(device, name, property_code, unit)
                    readings.append((ref, Reading(name, value, quality, time_us, time_us + 3000)))
        for inspection in inspections or []:
            verdict = ("pass", "review", "reject").index(inspection.verdict)
            for (name, code, unit), value in zip(
                POINTS["camera-1"], (verdict, inspection.score, inspection.latency_us / 1e6), strict=True
            ):
                ref = PointRef("camera-1", name, code, unit)
                readings.append((ref, Reading(name, value, GOOD, inspection.time, inspection.time)))
        columns, texts = columns_of(readings)
        self.deliver(Batch(columns=columns, texts=texts, inspections=inspections or []))

    def deliver_value(self, device: str, name: str, value: float) -> None:
        """Deliver one value of now."""
        _, code, unit = next(point for point in POINTS[device] if point[0] == name)
        self.deliver_point(device, name, code, unit, value)

    def deliver_point(self, device: str, name: str, code: str, unit: str, value: float) -> None:
        """Deliver one value of now of any point."""
        now = now_us()
        columns, texts = columns_of([(PointRef(device, name, code, unit), Reading(name, value, GOOD, now, now))])
        self.deliver(Batch(columns=columns, texts=texts))

    def runs(self, models: StationModels) -> ModelOrder | None:
        """Say what an inspection station runs; return what it shall run."""
        wanted = self._post(MODELS, ModelsReport([models]), ModelsWanted).orders
        return wanted[0] if wanted else None

    def report_health(self, *, broken: str = "", config: ConfigReport | None = None) -> HealthReply:
        """Report what the agent is and how it fares; `config` says so of another configuration than its own."""
        now = now_us()
        devices = [
            DeviceReport(
                name, protocol, template, equipment_class, "down" if name == broken else "up", self.start_us,
                len(POINTS[name]), 0,
                *(("no answer from 192.0.2.7:502 within 2 s", "192.0.2.7:502 在 2 秒内无应答") if name == broken else ("", "")),
            )
            for name, (protocol, template, equipment_class) in CLASSES.items()
        ]  # fmt: skip
        health = Health(
            "0.1.0", now, self.start_us, devices, 250_000, 0, 0, 420, 1_900_000, 2_147_483_648, 0, 5 << 30, 88 << 20,
            config or ConfigReport(version_of(CONFIGURATION)), 3, -120_000, 31.5,
        )  # fmt: skip
        reply: HealthReply = self._post("/api/v1/uplink/health", health, HealthReply)
        if reply.wants_configuration:
            self._post("/api/v1/uplink/configuration", ConfigurationReport(CONFIGURATION), ConfigurationKept)
        return reply

    def deliver_past(self, hours: float, *, step_s: float = 5.0) -> None:
        """Deliver the machines' values of the past hours."""
        now = now_us()
        self.start_us = now - int(hours * 3600e6)
        times = list(range(self.start_us, now, int(step_s * 1e6)))
        for first in range(0, len(times), 500):
            self.deliver_values(times[first : first + 500])

    def deliver_inspections(
        self, count: int, *, every_s: float = 19.0, defects: tuple[int, ...] = ()
    ) -> list[Inspection]:
        """Deliver `count` past inspections, the last one a few seconds ago; those numbered in `defects` are scratched."""
        now = now_us()
        made = []
        for number in range(count):
            time_us = now - int((count - number) * every_s * 1e6)
            score = 3.6 if number % 17 == 9 else None
            made.append(
                inspection_of(number, time_us, defect=number in defects, score=None if number in defects else score)
            )
        for first in range(0, count, 20):
            self.deliver_values([], inspections=made[first : first + 20])
        return made

    def _post(self, path: str, body: msgspec.Struct, reply: Any) -> Any:
        headers = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        response = self.client.post(path, content=msgspec.msgpack.encode(body), headers=headers)
        assert response.is_success, f"{path}: {response.status_code} {response.text}"
        return msgspec.msgpack.decode(response.content, type=reply) if reply else None


def main() -> None:
    """Enrol, deliver two hours of the past, then the present until told to stop."""
    url, code, *rest = sys.argv[1:]
    end = time.monotonic() + float(rest[0]) if rest else math.inf
    with httpx.Client(base_url=url, timeout=30) as client:
        plant = Plant(client)
        plant.enrol(code)
        plant.report_health()
        plant.deliver_past(2.0)
        plant.deliver_inspections(40, defects=(4, 21, 33, 38))
        print("ready", flush=True)
        number = 40
        while time.monotonic() < end:
            new = number % 19 == 0
            inspections = [inspection_of(number, now_us(), defect=number % 5 == 0)] if new else []
            plant.deliver_values([now_us()], inspections=inspections)
            if number % 5 == 0:
                plant.report_health()
            number += 1
            time.sleep(1)


if __name__ == "__main__":
    main()
