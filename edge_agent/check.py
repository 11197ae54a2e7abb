"""Looks whether all is in order before and while the agent runs: devices, models, cloud, clock, room for an outage."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from edge_agent.buffer import FILE
from edge_agent.buffer_file import peek
from edge_agent.cloud_link import CloudLink
from edge_agent.config import Config, DeviceConfig, InspectionConfig
from edge_agent.identity import Login
from edge_agent.normalise import Normaliser
from models.errors import ModelError
from protocols.errors import SunmaoError
from protocols.reading import Reading, Severity
from protocols.text import Text
from protocols.uplink.messages import PointRef

BYTES_PER_ROW = 30.0
"""Room one reading takes in the buffer until there is a backlog to measure it by; small groups compress least."""
WORST_CLOCK_OFFSET_S = 60.0
LEAST_HOURS = 24.0


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at: what, whether it is in order, what was found, and the next step if it is not."""

    subject: str
    ok: bool
    found: Text
    mend: Text = Text("", "")


async def read_device(device: DeviceConfig, only: Sequence[str] = ()) -> list[tuple[PointRef, Reading]]:
    """Read a device once, all points or those named `only`, in canonical units; raises as its driver does."""
    points = [point for point in device.points if not only or point.name in only]
    driver = device.driver()
    try:
        await driver.open()
        readings = await driver.read(points)
    finally:
        await driver.close()
    return Normaliser(device, {})(readings)[0]


async def check(config: Config) -> AsyncIterator[Finding]:
    """Yield what was found, as it is found."""
    for device in config.devices:
        yield await _device(device)
    for inspection in config.inspections:
        yield await asyncio.to_thread(_inspection, inspection)
    async for finding in _cloud(config):
        yield finding
    yield _room(config)


async def _device(device: DeviceConfig) -> Finding:
    try:
        readings = await read_device(device)
    except SunmaoError as error:
        mend = error.mend or Text("check cable, power and address", "请检查网线、电源和地址")
        return Finding(device.name, False, error.what, mend)
    doubtful = [(ref, reading) for ref, reading in readings if not reading.quality.good]
    count = len(readings)
    if not doubtful:
        return Finding(device.name, True, Text(f"{count} points read, all plausible", f"已读取 {count} 个点，均正常"))
    listed = ", ".join(f"{ref.name} ({reading.quality.cause})" for ref, reading in doubtful[:5])
    more = f" +{len(doubtful) - 5}" if len(doubtful) > 5 else ""
    bad = any(reading.quality.severity is Severity.BAD for _, reading in doubtful)
    mend = (
        Text("check these points' addresses and types", "请核对这些点的地址和类型")
        if bad
        else Text("check these points' unit, scale and order", "请核对这些点的单位、比例和字节序")
    )
    return Finding(
        device.name,
        False,
        Text(
            f"{len(doubtful)} of {count} points doubtful: {listed}{more}",
            f"{count} 个点中 {len(doubtful)} 个存疑：{listed}{more}",
        ),
        mend,
    )


def _inspection(inspection: InspectionConfig) -> Finding:
    try:
        from edge_agent.inspect.runtime import load_detector  # noqa: PLC0415 - onnxruntime only where it is used
    except ModuleNotFoundError as error:
        return Finding(
            inspection.device,
            False,
            Text(f"inspection needs the package '{error.name}'", f"视觉检测缺少软件包“{error.name}”"),
            Text("install sunmao-iiot[inference]", "请安装 sunmao-iiot[inference]"),
        )
    try:
        card = load_detector(inspection.bundle, inspection.trust).card
    except ModelError as error:
        mend = Text("fit, sign or copy the bundle again", "请重新训练、签名或复制模型包")
        return Finding(inspection.device, False, Text(error.en, error.zh), mend)
    if not os.access(_existing(inspection.folder), os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            inspection.device,
            False,
            Text(f"{inspection.folder} cannot be written", f"{inspection.folder} 无法写入"),
            Text("make the folder writable for this user", "请为当前用户开放该文件夹的写权限"),
        )
    found = f"{card.name} {card.version}"
    return Finding(inspection.device, True, Text(f"{found} passes its trial run", f"{found} 试运行通过"))


async def _cloud(config: Config) -> AsyncIterator[Finding]:
    async with CloudLink(config.cloud.url, config.cloud.ca) as link:
        login = Login(config.agent.state_dir, link)
        try:
            await login.token()
        except SunmaoError as error:
            yield Finding("cloud", False, error.what, error.mend or Text("", ""))
            return
    url = config.cloud.url
    plain = url.startswith("http:") and urlsplit(url).hostname not in ("127.0.0.1", "::1", "localhost")
    secrecy = Text(", without encryption", "，未加密") if plain else Text("", "")
    yield Finding("cloud", True, Text(f"{url} lets us in{secrecy.en}", f"{url} 登录成功{secrecy.zh}"))
    offset = (login.clock_offset_us or 0) / 1e6
    yield Finding(
        "clock",
        abs(offset) <= WORST_CLOCK_OFFSET_S,
        Text(f"{-offset:+.1f} s against the cloud", f"与云端相差 {-offset:+.1f} 秒"),
        Text("set this box's time (NTP)", "请校准本机时间(NTP)"),
    )


def _room(config: Config) -> Finding:
    """How long an outage the buffer can bridge at the configured rate."""
    state_dir, limit = config.agent.state_dir, config.buffer.limit_mb * 1e6
    path = state_dir / FILE
    used, per_row = 0.0, BYTES_PER_ROW
    if path.exists():
        try:
            stats = peek(path)
        except SunmaoError as error:
            return Finding("buffer", False, error.what, error.mend or Text("", ""))
        used = stats.bytes
        if stats.rows > 10_000:
            per_row = stats.bytes / stats.rows
    free = float(shutil.disk_usage(_existing(state_dir)).free)
    rate = sum(1 / (point.period_s or device.period_s) for device in config.devices for point in device.points)
    hours = min(max(limit - used, 0.0), free) / per_row / rate / 3600 if rate else float("inf")
    return Finding(
        "buffer",
        hours >= LEAST_HOURS,
        Text(
            f"room for {hours:,.0f} h without the cloud at {rate:.0f} values/s; {free / 1e9:.1f} GB free on disk",
            f"按每秒 {rate:.0f} 个值，断网可缓存 {hours:,.0f} 小时；磁盘剩余 {free / 1e9:.1f} GB",
        ),
        Text(
            f"raise buffer.limit_mb or free disk space, for at least {LEAST_HOURS:.0f} h",
            f"请增大 buffer.limit_mb 或清理磁盘，至少满足 {LEAST_HOURS:.0f} 小时",
        ),
    )


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
