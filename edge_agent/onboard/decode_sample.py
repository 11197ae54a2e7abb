"""Finds out which registers a Modbus device has, and samples them, gently: reads only, at a bounded pace.

A device that falls silent or breaks the protocol ends the work with that failure; nothing is asked again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import NamedTuple

from protocols.errors import ConfigError, Refused
from protocols.modbus.config import BIT_TABLES, ModbusConnection, Table
from protocols.modbus.link import ModbusLink
from protocols.modbus.plan import FUNCTION_CODES
from protocols.text import Text

_BLOCKS = (64, 16, 1)
"""Registers asked for at once while exploring: a block the device refuses is tried again in smaller ones."""

_NO_FUNCTION, _NO_ADDRESS, _NO_VALUE = 0x01, 0x02, 0x03
_GATEWAY = {0x0A, 0x0B}

Advance = Callable[[], None]


class Range(NamedTuple):
    """Addresses `first` to `last`, both included, of one table."""

    table: Table
    first: int
    last: int


DEFAULT_RANGES = (Range("input", 0, 199), Range("holding", 0, 199))


def parse_range(text: str) -> Range:
    """Return the range written as "holding:0-199" or "input:0x1000-0x10FF" or "holding:30". Raises ConfigError."""
    found = re.fullmatch(r"(coil|discrete|input|holding):(\w+)(?:-(\w+))?", text)
    try:
        if found:
            first = int(found[2], 0)
            last = int(found[3], 0) if found[3] else first
            if 0 <= first <= last <= 0xFFFF:
                return Range(found[1], first, last)  # type: ignore[arg-type]
    except ValueError:
        pass
    raise ConfigError(
        Text(f"'{text}' is not a range of registers", f"“{text}”不是有效的寄存器范围"),
        Text("write e.g. holding:0-199 or input:0x1000-0x10FF", "请写成 holding:0-199 或 input:0x1000-0x10FF"),
        key="--range",
    )


class RegisterSampler:
    """One connection to a device of unknown registers.

    Args:
        device: named in messages.
        connection: how to reach it.
        rate: most requests per second.
    """

    def __init__(self, device: str, connection: ModbusConnection, rate: float) -> None:
        self._device = device
        self._connection = connection
        self._link = ModbusLink(device, connection)
        self._wait = 1.0 / rate
        self._next = 0.0

    async def open(self) -> None:
        """Connect. Raises Unreachable."""
        await self._link.open()

    async def close(self) -> None:
        """Let go of the device."""
        await self._link.close()

    async def explore(self, wanted: Range, advance: Advance) -> list[int]:
        """Return which addresses of `wanted` the device has; `advance` is called once for each of them looked at.

        Raises Unreachable, Malformed, or Refused where the device is busy or reports failures.
        """
        found: list[int] = []
        place = wanted.first
        while place <= wanted.last:
            count = min(_BLOCKS[0], wanted.last + 1 - place)
            answered = await self._present(wanted.table, place, count, 0)
            if answered is None:
                return []
            found += answered
            place += count
            for _ in range(count):
                advance()
        return found

    async def _present(self, table: Table, address: int, count: int, level: int) -> list[int] | None:
        """Return the addresses that exist; None where the device does not have the table at all."""
        answer = await self._read(table, address, count)
        if not isinstance(answer, int):
            return list(range(address, address + count))
        if answer == _NO_FUNCTION:
            return None
        if count == 1:
            return []
        step = _BLOCKS[level + 1]
        found: list[int] = []
        for start in range(address, address + count, step):
            part = await self._present(table, start, min(step, address + count - start), min(level + 1, 1))
            found += part or []
        return found

    async def sample(
        self,
        places: Mapping[Table, Sequence[int]],
        seconds: float,
        period_s: float,
        advance: Advance,
        enough: Callable[[], bool] = lambda: False,
    ) -> dict[Table, list[tuple[float, dict[int, int]]]]:
        """Return what `places` held, every `period_s` for `seconds`: table -> (seconds since the start, registers).

        It ends sooner once `enough` says so. A request the device refuses for once leaves its registers out of that snapshot. A round that takes longer than
        the period is followed by the next at once. Raises Unreachable or Malformed.
        """
        shots: dict[Table, list[tuple[float, dict[int, int]]]] = {table: [] for table in places}
        start = monotonic()
        for turn in range(max(1, round(seconds / period_s))):
            await asyncio.sleep(max(0.0, start + turn * period_s - monotonic()))
            if turn and enough():
                break
            for table, addresses in places.items():
                held: dict[int, int] = {}
                time = monotonic() - start
                for first, count in _blocks(addresses, self._connection.max_registers):
                    answer = await self._read(table, first, count)
                    if not isinstance(answer, int):
                        held.update(enumerate(answer, first))
                shots[table].append((time, held))
            advance()
        return shots

    async def _read(self, table: Table, address: int, count: int) -> list[int] | int:
        """Return registers or bits, or the exception code of an absent address; any other exception is Refused."""
        now = monotonic()
        await asyncio.sleep(max(0.0, self._next - now))
        self._next = max(now, self._next) + self._wait
        bits = table in BIT_TABLES
        size = (count + 7) // 8 if bits else 2 * count
        answer = await self._link.exchange(FUNCTION_CODES[table], address, count, size)
        if isinstance(answer, bytes):
            if bits:
                return [answer[i // 8] >> i % 8 & 1 for i in range(count)]
            return [int.from_bytes(answer[i : i + 2], "big") for i in range(0, size, 2)]
        if answer in {_NO_FUNCTION, _NO_ADDRESS, _NO_VALUE}:
            return answer
        if answer in _GATEWAY:
            raise self._link.unit_absent()
        raise Refused(
            Text(
                f"{self._device}: exception {answer} at {table}:{address}; it is left alone",
                f"{self._device}：{table}:{address} 返回异常码 {answer}，已停止访问",
            ),
            Text("wait until the device is ready, or name another range", "请等设备就绪，或指定其他范围"),
        )


def _blocks(addresses: Sequence[int], limit: int) -> Iterator[tuple[int, int]]:
    """Cut `addresses`, ascending, into requests (first, count) without gaps; a cut falls on an even distance."""
    limit = max(1, limit - limit % 4)
    start = 0
    for i in range(1, len(addresses) + 1):
        if i == len(addresses) or addresses[i] != addresses[i - 1] + 1 or i - start == limit:
            yield addresses[start], i - start
            start = i
