"""Writes one point of a device: allowed by the configuration twice, checked, recorded before and after, read back.

Nothing else in the agent writes to a device.
"""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import msgspec

from edge_agent import audit
from edge_agent.config import Config, DeviceConfig
from edge_agent.events import uuid7
from protocols.dictionary.entries import load_dictionary
from protocols.dictionary.units import load_units
from protocols.driver import PointConfig
from protocols.errors import ConfigError, Malformed, SunmaoError, Unreachable
from protocols.reading import Value, now_us, same_value
from protocols.text import Text

SETTLE_S = (0.0, 0.3, 0.7)
"""How long after the confirmation the point is read back, each time it still differs: some devices take a moment."""

_WORDS = {"true": True, "on": True, "开": True, "false": False, "off": False, "关": False}


class Written(msgspec.Struct, frozen=True):
    """What came of a write; values in `unit`. `exit_code` as of the commands."""

    id: str
    device: str
    point: str
    unit: str
    before: Value
    wanted: Value
    after: Value
    outcome: audit.Outcome
    exit_code: int
    found: Text


async def write_point(config: Config, device: str, point: str, value: str, reason: str) -> Written:
    """Write `value`, as a person types it in the point's unit, to `point` of `device`, for `reason`.

    Every attempt on a point that exists is recorded, also one that is not allowed. Raises ConfigError for a device or
    point that does not exist and for a missing reason, Refused where the attempt can not be recorded.
    """
    chosen = config.device(device)
    known = chosen.point(point)
    if not reason.strip():
        raise ConfigError(Text("a reason is missing", "缺少原因"), Text("say why", "请说明原因"), key="--reason")
    wanted = parse_value(value, known)
    write = _Write(config.agent.state_dir, chosen, known, wanted, reason.strip())
    try:
        if not config.agent.allow_writes:
            raise ConfigError(
                Text("this agent may not write to devices", "本代理不允许写入设备"),
                Text("set allow_writes = true", "请设置 allow_writes = true"),
                key="agent.allow_writes",
            )
        known.check_write(wanted)
    except SunmaoError as error:
        write.begin(None)
        return write.ended("refused", None, error, 2)
    return await _write(write, chosen, known, wanted)


def parse_value(text: str, point: PointConfig) -> Value:
    """Return what a person means by `text`: one of the listed values, else a truth value, a number or the text itself."""
    if point.write is not None and point.write.values is not None:
        for value in point.write.values:
            if text == str(value):
                return value
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return text


async def _write(write: _Write, device: DeviceConfig, point: PointConfig, wanted: Value) -> Written:
    driver = device.driver()
    try:
        try:
            await driver.open()
            before = (await driver.read([point]))[0].value
        except SunmaoError as error:
            write.begin(None)
            return write.ended("refused", None, error, error.exit_code)
        write.begin(before)
        try:
            await driver.write(point, wanted)
        except (Unreachable, Malformed) as error:
            return write.ended("unconfirmed", None, error, error.exit_code)
        except SunmaoError as error:
            return write.ended("refused", None, error, error.exit_code)
        try:
            for wait in SETTLE_S:
                await asyncio.sleep(wait)
                after = (await driver.read([point]))[0].value
                if same_value(after, wanted):
                    return write.ended("written", after, None, 0)
        except SunmaoError as error:
            return write.ended("unverified", None, error, 1)
        return write.ended("unverified" if after is None else "differs", after, None, 1)
    finally:
        await driver.close()


class _Write:
    """One attempt, from its record to its result."""

    def __init__(self, state_dir: Path, device: DeviceConfig, point: PointConfig, wanted: Value, reason: str) -> None:
        self._state_dir = state_dir
        entry = load_dictionary()[point.property] if point.property else None
        unit = point.unit or (entry.unit if entry else "")
        self._symbol = load_units()[unit].symbol if unit in load_units() else unit
        self._record = audit.Record(
            uuid7(), now_us(), audit.user(), device.name, point.name, unit, None, wanted, reason
        )

    def begin(self, before: Value) -> None:
        """Record the attempt, with the value the point has `before`; it is on disk when this returns."""
        self._record = msgspec.structs.replace(self._record, before=before)
        audit.append(self._state_dir, self._record)

    def ended(self, outcome: audit.Outcome, after: Value, error: SunmaoError | None, exit_code: int) -> Written:
        """Record the outcome and return it."""
        found = self._sentence(outcome, after, error)
        record = msgspec.structs.replace(self._record, outcome=outcome, after=after, text_en=found.en, text_zh=found.zh)
        audit.append(self._state_dir, record)
        return Written(
            record.id,
            record.device,
            record.point,
            record.unit,
            record.before,
            record.wanted,
            after,
            outcome,
            exit_code,
            found,
        )

    def _sentence(self, outcome: audit.Outcome, after: Value, error: SunmaoError | None) -> Text:
        record = self._record
        before, wanted, read = self._shown(record.before), self._shown(record.wanted), self._shown(after)
        because = Text(error.explain("en"), error.explain("zh")) if error else Text("", "")
        said = {
            "written": Text(f"set from {before} to {wanted}, read back", f"已由 {before} 改为 {wanted}，回读一致"),
            "refused": Text(f"not set to {wanted}: {because.en}", f"未改为 {wanted}：{because.zh}"),
            "differs": Text(
                f"was to be set from {before} to {wanted}, and reads {read}",
                f"欲由 {before} 改为 {wanted}，但回读为 {read}",
            ),
            "unverified": Text(
                f"set from {before} to {wanted}; the device confirmed, but it can not be read back {because.en}".rstrip(),
                f"已由 {before} 改为 {wanted}；设备已确认，但无法回读 {because.zh}".rstrip(),
            ),
            "unconfirmed": Text(
                f"may or may not be set to {wanted}, look at the machine before trying again: {because.en}",
                f"不确定是否已改为 {wanted}，重试前请到现场确认：{because.zh}",
            ),
        }[outcome]
        return Text(
            f"{record.point}: {said.en} ({record.user}: {record.reason})",
            f"{record.point}：{said.zh}({record.user}：{record.reason})",
        )

    def _shown(self, value: Value) -> str:
        return f"{'?' if value is None else value} {self._symbol}".strip()
