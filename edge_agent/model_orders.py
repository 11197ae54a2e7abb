"""Follows what models the cloud wants at the stations: fetches what is missing, piece by piece, and hands it over."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge_agent.cloud_link import CloudLink, Rejected
from edge_agent.config import Config
from edge_agent.identity import Login, load_identity
from edge_agent.parts import Parts
from protocols.errors import Malformed, SunmaoError
from protocols.text import Text
from protocols.uplink.models import MODELS, PART, BundlePart, ModelOrder, ModelsReport, ModelsWanted, PartRequest

if TYPE_CHECKING:
    from edge_agent.inspect.model_switch import ModelSwitch

NOT_OFFERED_S = 600.0
"""How long a cloud that does not know this is left alone."""
FILES = ("card.toml", "checksums.txt", "signature", "model.onnx")
_DIGEST = re.compile(r"[0-9a-f]{64}")

_log = logging.getLogger("sunmao.edge")


class ModelOrders:
    """Reports what the stations run and does what is wanted, until cancelled.

    Args:
        parts: what runs, the stations among it.
        config: gives the configuration in force.
        link, login: as for the forwarder.
    """

    def __init__(self, parts: Parts, config: Callable[[], Config], link: CloudLink, login: Login) -> None:
        self._parts = parts
        self._config = config
        self._link = link
        self._login = login

    async def run(self) -> None:
        """Ask every `agent.report_s`. What fails is tried again the next time, from where it stopped."""
        while True:
            agent = self._config().agent
            seconds = agent.report_s
            try:
                if await asyncio.to_thread(load_identity, agent.state_dir) is not None:
                    await self._ask()
            except SunmaoError as error:
                if isinstance(error, Rejected) and error.status in (404, 405):
                    seconds = NOT_OFFERED_S
                _log.info("models: %s", error.explain("en"))
            except OSError as error:
                _log.warning("models: %s: %s", error.filename, error.strerror)
            await asyncio.sleep(seconds)

    async def _ask(self) -> None:
        models = self._parts.models()
        if not models:
            return
        report = ModelsReport([each.report() for each in models.values()])
        wanted = await self._link.post(MODELS, report, ModelsWanted, await self._login.token())
        for order in wanted.orders:
            station = models.get(order.station)
            if station is not None and station.report().order != order.number and not station.waits:
                await self._follow(station, order)

    async def _follow(self, station: ModelSwitch[Any], order: ModelOrder) -> None:
        from models.errors import ModelError  # noqa: PLC0415 - only where models run

        try:
            for digest in (order.run, order.shadow):
                if digest and not await asyncio.to_thread(station.slots.has, digest):
                    await self._fetch(station, digest)
        except ModelError as error:
            await station.refuse(order, Text(error.en, error.zh))
            return
        await station.obey(order)

    async def _fetch(self, station: ModelSwitch[Any], digest: str) -> None:
        """Fetch a bundle, each file from where an earlier try ended; raises ModelError if it is not what it should be."""
        if not _DIGEST.fullmatch(digest):
            raise Malformed(Text(f"'{digest}' names no model", f"“{digest}”不是模型标识"))
        slots = station.slots
        for file in FILES:
            offset = await asyncio.to_thread(slots.written, digest, file)
            while True:
                request = PartRequest(digest, file, offset)
                part = await self._link.post(PART, request, BundlePart, await self._login.token())
                await asyncio.to_thread(slots.write, digest, file, offset, part.content)
                offset += len(part.content)
                if offset >= part.size:
                    break
                if not part.content:
                    raise Malformed(Text(f"{file} ends before its end", f"{file} 提前结束"))
        await asyncio.to_thread(slots.complete, digest)
