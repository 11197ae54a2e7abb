"""Whether readings would get out by the other ways than the cloud: a broker that lets us in, a folder that can be written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

from edge_agent.check_room import existing
from edge_agent.config import Config
from edge_agent.finding import Finding
from edge_agent.outlets.config import FileConfig, OutletConfig, SparkplugConfig
from edge_agent.outlets.outlets import make_outlet
from protocols.errors import ConfigError, SunmaoError
from protocols.text import Text


async def check_outlets(config: Config) -> AsyncIterator[Finding]:
    """Yield one finding for each outlet; nothing is published and nothing written."""
    for outlet in config.outlets:
        subject = f"outlet {outlet.name}"
        try:
            make_outlet(outlet, config.agent.state_dir, lambda *_: None)
            said = await _looked_at(outlet)
        except SunmaoError as error:
            yield Finding(subject, "wrong", error.what, error.mend or Text("", ""))
        else:
            yield Finding(subject, "ok", said)


async def _looked_at(outlet: OutletConfig) -> Text:
    if isinstance(outlet, SparkplugConfig):
        return await _broker(outlet)
    assert isinstance(outlet, FileConfig)  # noqa: S101 - there are no more kinds
    place = await asyncio.to_thread(existing, outlet.folder)
    if not (await asyncio.to_thread(place.is_dir) and os.access(place, os.R_OK | os.W_OK | os.X_OK)):
        raise ConfigError(
            Text(f"{outlet.folder} cannot be written", f"{outlet.folder} 无法写入"),
            Text("make the folder writable for this user", "请为当前用户开放该文件夹的写权限"),
        )
    return Text(f"{outlet.folder} can be written", f"{outlet.folder} 可写入")


async def _broker(outlet: SparkplugConfig) -> Text:
    from protocols.mqtt.link import Link  # noqa: PLC0415 - paho only where it is used

    # Under a name of its own: with the outlet's a broker would throw out the agent that runs.
    connection = outlet.connection.model_copy(update={"client_id": None})
    link = Link(outlet.name, connection, lambda _: None)
    try:
        await link.open()
        await link.ping()
    finally:
        await link.close()
    return Text(f"the broker at {connection.address} lets us in", f"MQTT 服务器 {connection.address} 可登录")
