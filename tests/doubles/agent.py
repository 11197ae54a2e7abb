"""An edge agent reduced to its side of the uplink: a key, an enrolment, and deliveries exactly as told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.reading import GOOD, Quality, Reading
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
    DesiredConfiguration,
    DesiredRequest,
    EnrolReply,
    EnrolRequest,
    Frame,
    Health,
    HealthReply,
    PointRef,
    Receipt,
    TokenReply,
    TokenRequest,
)

T = TypeVar("T")

POWER = PointRef("meter-1", "P", "active_power_total", "KWT")
ENERGY = PointRef("meter-1", "EPI", "energy_active_import", "KWH")


def readings(
    point: PointRef, values: Sequence[float | str | None], start_us: int, step_us: int = 1_000_000, quality: int = GOOD
) -> list[tuple[PointRef, Reading]]:
    """Return readings of `point` at even steps."""
    return [
        (point, Reading(point.name, value, Quality(quality), start_us + i * step_us, start_us + i * step_us))
        for i, value in enumerate(values)
    ]


def frame(seq: int, rows: Sequence[tuple[PointRef, Reading]]) -> Frame:
    """Return a frame that holds `rows`."""
    columns, texts = columns_of(rows)
    return Frame(seq, encode(Batch(columns=columns, texts=texts)))


class AgentDouble:
    """Speaks to the cloud at `url`."""

    def __init__(self, url: str, name: str = "workshop-1") -> None:
        self.key = Ed25519PrivateKey.generate()
        self.name = name
        self.epoch = str(uuid4())
        self.agent_id = ""
        self.token = ""
        self.diagnostics = "allowed"
        """What it says of being asked to look at something; "" is old software."""
        self.http = httpx.AsyncClient(base_url=url, timeout=30)

    async def post(self, path: str, body: msgspec.Struct | bytes, *, token: bool = False) -> httpx.Response:
        content = body if isinstance(body, bytes) else msgspec.msgpack.encode(body)
        headers = {"Content-Type": MEDIA_TYPE, **({"Authorization": f"Bearer {self.token}"} if token else {})}
        return await self.http.post(f"/api/v1{path}", content=content, headers=headers)

    def enrol_request(self, code: str) -> EnrolRequest:
        proof = self.key.sign(b"sunmao-enrol:" + code.encode())
        return EnrolRequest(code, self.name, self.key.public_key().public_bytes_raw(), proof, "0.1.0")

    async def enrol(self, code: str) -> EnrolReply:
        reply = _decoded(await self.post("/agents/enrol", self.enrol_request(code)), EnrolReply)
        self.agent_id = reply.agent_id
        return reply

    async def log_in(self) -> None:
        challenge = await self.post("/agents/challenge", ChallengeRequest(self.agent_id))
        nonce = _decoded(challenge, ChallengeReply).nonce
        self.token = _decoded(await self.post("/agents/token", self.token_request(nonce)), TokenReply).token

    def token_request(self, nonce: bytes) -> TokenRequest:
        signature = self.key.sign(b"sunmao-login:" + self.agent_id.encode() + nonce)
        return TokenRequest(self.agent_id, nonce, signature)

    async def report(self, config: ConfigReport | None = None) -> HealthReply:
        """Report health, with `config` in it."""
        health = Health("0.1.0", 1, 1, [], 0, 0, 0, 0, 0, 0, 0, 0, 0, config=config, diagnostics=self.diagnostics)
        return _decoded(await self.post("/uplink/health", health, token=True), HealthReply)

    async def configured(self, shared: str, **outcome: Any) -> HealthReply:
        """Say that the configuration `shared` is in force, and tell it if the cloud asks."""
        reply = await self.report(ConfigReport(version_of(shared), **outcome))
        if reply.wants_configuration:
            told = await self.post("/uplink/configuration", ConfigurationReport(shared), token=True)
            _decoded(told, ConfigurationKept)
        return reply

    async def desired(self) -> DesiredConfiguration:
        return _decoded(
            await self.post("/uplink/configuration/desired", DesiredRequest(), token=True), DesiredConfiguration
        )

    async def deliver(self, *frames: Frame) -> Receipt:
        answer = await self.post("/uplink/batches", Delivery(self.epoch, list(frames)), token=True)
        return _decoded(answer, Receipt)


def _decoded(answer: httpx.Response, kind: type[T]) -> T:
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
    return msgspec.msgpack.decode(answer.content, type=kind)
