"""Reads every point of a device and compares value, unit and clock with what they should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from edge_agent.config import DeviceConfig
from edge_agent.finding import Finding, Severity, and_more
from edge_agent.normalise import Normaliser
from protocols.dictionary.entries import load_dictionary
from protocols.dictionary.units import load_units
from protocols.driver import Driver, PointConfig
from protocols.errors import Refused, SunmaoError
from protocols.reading import Reading
from protocols.reading import Severity as Quality
from protocols.text import Text
from protocols.uplink.messages import PointRef
from protocols.uplink.rows import Row

WORST_CLOCK_OFFSET_S = 60.0
NOTED_CLOCK_OFFSET_S = 5.0
BROWSE_S = 20.0
"""Longest time given to asking a device which units it declares."""

_CLOCK_NODE = "i=2258"
"""OPC UA's Server_ServerStatus_CurrentTime (Part 5, 12.10; node ids in Part 6, A.1)."""

_STEPS: Mapping[str, Text] = {
    "BadNodeIdUnknown": Text(
        "browse the device again: the server has no such node", "请重新浏览设备：服务器中没有该节点"
    ),
    "BadUserAccessDenied": Text("give the user the right to read it", "请为该用户开放读取权限"),
    "BadNotReadable": Text("the device does not let it be read; remove it", "设备不允许读取该点，请删除"),
    "BadOutOfRange": Text("the device has no such register; check the address", "设备没有该寄存器，请核对地址"),
    "BadTypeMismatch": Text(
        "check the type; arrays and structures are no points", "请核对类型；数组和结构体不能作为点"
    ),
    "BadWaitingForInitialData": Text(
        "nothing was published yet; check topic and publisher", "尚未收到数据；请检查主题与发布者"
    ),
    "UncertainEngineeringUnitsExceeded": Text(
        "check unit, scale, type and byte order, or give the point its own low and high",
        "请核对单位、比例、类型和字节序，或为该点设置 low 与 high",
    ),
}


async def read_device(device: DeviceConfig, only: Sequence[str] = ()) -> Sequence[Row]:
    """Read a device once, all points or those named `only`, in canonical units; raises as its driver does."""
    points = [point for point in device.points if not only or point.name in only]
    driver = device.driver()
    try:
        await driver.open()
        readings = await driver.read(points)
    finally:
        await driver.close()
    return Normaliser(device, {})(readings)[0]


async def check_device(device: DeviceConfig) -> AsyncIterator[Finding]:
    """Yield what is found at one device: its points, and its clock where it tells the time."""
    asked = [*device.points, *_clock_point(device)]
    driver = device.model_copy(update={"points": tuple(asked)}).driver()
    try:
        await driver.open()
        readings = await driver.read(asked)
        units = await _declared_units(driver, device)
    except SunmaoError as error:
        mend = error.mend or Text("check cable, power and address", "请检查网线、电源和地址")
        yield Finding(device.name, "wrong", error.what, mend)
        return
    finally:
        await driver.close()
    count = len(device.points)
    yield _points(device, Normaliser(device, {})(readings[:count])[0], units)
    for reading in readings[count:]:
        if isinstance(reading.value, str):
            yield _clock(device, reading)


def _points(device: DeviceConfig, readings: Sequence[Row], units: Sequence[Text]) -> Finding:
    doubtful = [(ref, reading) for ref, reading in readings if not reading.quality.good]
    count = len(readings)
    if not doubtful and not units:
        return Finding(
            device.name, "ok", Text(f"{count} points read, all plausible", f"已读取 {count} 个点，均正常")
        )  # fmt: skip
    listed = and_more([f"{ref.name} ({reading.quality.cause})" for ref, reading in doubtful])
    bad = any(reading.quality.severity is Quality.BAD for _, reading in doubtful)
    causes = {reading.quality.cause: None for _, reading in doubtful}
    steps = [_STEPS[cause] for cause in causes if cause in _STEPS]
    if not steps:
        steps = [Text("check these points' addresses and types", "请核对这些点的地址和类型")]
    if units:
        steps.append(Text("set the unit that the device declares", "请按设备声明的单位设置"))
    found = Text(
        f"{len(doubtful)} of {count} points doubtful: {listed}", f"{count} 个点中 {len(doubtful)} 个存疑：{listed}"
    )
    if units:
        wrong = Text(f"{len(units)} units differ", f"{len(units)} 个单位不符")
        found = Text(f"{found.en}; {wrong.en}", f"{found.zh}；{wrong.zh}") if doubtful else wrong
    by_name = {point.name: point for point in device.points}
    return Finding(
        device.name,
        "wrong" if bad or units else "look",
        found,
        Text("; ".join(step.en for step in steps), "；".join(step.zh for step in steps)),
        [*(_detail(by_name[ref.name], ref, reading) for ref, reading in doubtful), *units],
    )


def _detail(point: PointConfig, ref: PointRef, reading: Reading) -> Text:
    """Say what a doubtful point gave, and what would have been plausible."""
    units = load_units()
    symbol = units[ref.unit].symbol if ref.unit in units else ""
    value = (
        "-" if reading.value is None else f"{reading.value:g}" if isinstance(reading.value, float) else reading.value
    )
    said = f"{point.name}: {value} {symbol}".rstrip() + f", {reading.quality.cause}"
    entry = load_dictionary().get(point.property or "")
    low, high = (entry.typical_min, entry.typical_max) if entry else (None, None)
    if point.low is not None or point.high is not None:
        low, high = point.low, point.high
        symbol = units[point.unit].symbol if point.unit is not None and point.unit in units else ""
    if reading.value is None or (low is None and high is None):
        return Text(said, said)
    span = f"{'…' if low is None else f'{low:g}'}..{'…' if high is None else f'{high:g}'} {symbol}".rstrip()
    return Text(f"{said}; plausible: {span}", f"{said}；合理范围：{span}")


async def _declared_units(driver: Driver, device: DeviceConfig) -> list[Text]:
    """Return how the units a device declares differ from the configured ones; [] where it declares none."""
    nodes = {node: point for point in device.points if (node := getattr(point, "node", None)) is not None}
    differing: list[Text] = []
    if not nodes:
        return differing
    units = load_units()
    with suppress(Refused, TimeoutError):
        async with asyncio.timeout(BROWSE_S):
            async for found in driver.browse():
                point = nodes.get(found.address.get("node"))
                if (
                    point is None
                    or found.unit is None
                    or found.unit not in units
                    or (point.scale, point.offset) != (1.0, 0.0)
                ):
                    continue
                entry = load_dictionary().get(point.property or "")
                ours = point.unit or (entry.unit if entry else None)
                if ours is not None and ours != found.unit:
                    theirs, symbol = units[found.unit].symbol, units[ours].symbol if ours in units else ours
                    differing.append(
                        Text(
                            f"{point.name}: the device delivers {theirs}, configured is {symbol}",
                            f"{point.name}：设备单位为 {theirs}，配置为 {symbol}",
                        )
                    )
    return differing


def _clock_point(device: DeviceConfig) -> list[Any]:
    if device.protocol != "opcua":
        return []
    model = type(device.points[0])
    return [model.model_validate({"name": "clock of the device", "node": _CLOCK_NODE})]


def _clock(device: DeviceConfig, reading: Reading) -> Finding:
    """Compare the device's clock with this box's: its times are what values are stored under."""
    told = datetime.fromisoformat(str(reading.value).replace("Z", "+00:00")).timestamp()
    offset = round(told - reading.arrival_time / 1e6, 1) + 0.0  # + 0.0: never -0.0
    severity: Severity = "ok"
    if abs(offset) > NOTED_CLOCK_OFFSET_S:
        severity = "wrong" if abs(offset) > WORST_CLOCK_OFFSET_S else "look"
    return Finding(
        f"{device.name}/clock",
        severity,
        Text(f"{offset:+.1f} s against this box", f"与本机相差 {offset:+.1f} 秒"),
        Text("set the device's time (NTP): its values carry its time", "请校准设备时间(NTP)：数据以设备时间为准"),
    )
