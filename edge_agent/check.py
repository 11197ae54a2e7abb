"""Looks whether all is in order before and while the agent runs: devices, models, cameras, cloud, clock, room, security."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

from edge_agent.check_camera import check_camera
from edge_agent.check_device import check_device, read_device
from edge_agent.check_network import check_cloud
from edge_agent.check_outlets import check_outlets
from edge_agent.check_room import check_room, existing
from edge_agent.check_security import check_security
from edge_agent.config import Config, ForecastConfig, InspectionConfig, MachineHealthConfig
from edge_agent.finding import Finding, Severity
from models.bundle import read_bundle
from models.errors import ModelError
from models.trial import try_bundle
from protocols.text import Text

__all__ = ["Finding", "Severity", "check", "read_device", "steps"]


async def check(config: Config, path: Path | None = None) -> AsyncIterator[Finding]:
    """Yield what was found, as it is found; `path` is the configuration file, whose rights are then looked at, too."""
    for device in config.devices:
        async for finding in check_device(device):
            yield finding
    for judging in config.judging:
        yield await asyncio.to_thread(_judging, judging, config.agent.state_dir)
        if isinstance(judging, InspectionConfig) and judging.camera and find_spec("onnxruntime"):
            yield await check_camera(judging.device, judging.camera, config.agent.state_dir)
    async for finding in check_cloud(config.cloud, config.agent.state_dir):
        yield finding
    async for finding in check_outlets(config):
        yield finding
    yield await check_room(config)
    for finding in await asyncio.to_thread(check_security, config, path):
        yield finding


def steps(config: Config) -> int:
    """Return about how many findings a check will have, for a progress bar."""
    cameras = sum(station.camera is not None for station in config.inspections)
    return len(config.devices) + len(config.judging) + cameras + len(config.outlets) + 12


def _judging(judging: InspectionConfig | MachineHealthConfig | ForecastConfig, state_dir: Path) -> Finding:
    try:
        from edge_agent.inspect.runtime import load_detector, load_monitor  # noqa: PLC0415 - onnxruntime where it is used
    except ModuleNotFoundError as error:
        return Finding(
            judging.device,
            "wrong",
            Text(f"a model needs the package '{error.name}'", f"运行模型缺少软件包“{error.name}”"),
            Text("install sunmao-iiot[inference]", "请安装 sunmao-iiot[inference]"),
        )
    try:
        if isinstance(judging, MachineHealthConfig):
            card = load_monitor(judging.bundle, judging.trust, judging.sensors or None).card
            found = f"{card.name} {card.version}"
            return Finding(judging.device, "ok", Text(f"{found} passes its trial run", f"{found} 试运行通过"))
        if isinstance(judging, ForecastConfig):
            bundle = read_bundle(judging.bundle, judging.trust)
            try_bundle(bundle)
            found = f"{bundle.card.name} {bundle.card.version}"
            return Finding(judging.device, "ok", Text(f"{found} passes its trial run", f"{found} 试运行通过"))
        detector, chosen = load_detector(judging.bundle, judging.trust, state_dir)
    except ModelError as error:
        mend = Text("fit, sign or copy the bundle again", "请重新训练、签名或复制模型包")
        return Finding(judging.device, "wrong", Text(error.en, error.zh), mend)
    if not os.access(existing(judging.folder), os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            judging.device,
            "wrong",
            Text(f"{judging.folder} cannot be written", f"{judging.folder} 无法写入"),
            Text("make the folder writable for this user", "请为当前用户开放该文件夹的写权限"),
        )
    found, way = f"{detector.card.name} {detector.card.version}", chosen.sentence()
    passes = Text(f"{found} passes its trial run; {way.en}", f"{found} 试运行通过；{way.zh}")
    return Finding(judging.device, "ok", passes)
