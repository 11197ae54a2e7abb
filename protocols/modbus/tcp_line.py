"""The TCP connection to a place, shared by all devices of this process that are behind it.

Serial servers and small gateways take few connections, and a transparent one sends each answer to all of them: so there is
one connection to a host and port, and its units take turns. Who does not answer holds nobody up for long:

* Modbus TCP numbers its transactions. Whoever has waited much longer than answers usually take here lets the next one
  begin, and whose last request went unanswered never holds anybody up. An answer that comes after its time is known by
  its number and dropped; the connection lives on.
* Serial frames have no number, and the line behind the server can carry one request at a time. A unit whose last request
  went unanswered is not asked again before its late answer, if there is one, has had as long again to come and be dropped.
* Whose last request went unanswered is given a few times the usual time only, until it has answered, be it too late.

A connection on which nothing at all has been heard for a while is made anew.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from time import monotonic
from weakref import WeakValueDictionary

from protocols.modbus.config import ModbusConnection
from protocols.modbus.pdu import Heard, Trace
from protocols.modbus.tcp_wire import NO_FRAME, Garbled, TcpWire

SILENCE_S = 5.0
"""A connection on which requests go unanswered for so long, in seconds, is given up."""

_PATIENCE, _LEAST_PATIENCE_S = 4.0, 0.05
"""How many times the usual answering time, and how long at least, a request keeps the next one from being sent."""

_LEAST_PROBE_S = 0.25
"""How long at least a silent unit is given to answer, in seconds."""

_QUEUE = 10
"""How many of its timeouts a request waits for its turn."""

_REMEMBERED = 1024
"""Unanswered transactions whose late answers are recognised."""


class Silent(Exception):
    """No answer came; `waited_s` is how long that took."""

    def __init__(self, waited_s: float) -> None:
        super().__init__()
        self.waited_s = waited_s


class HungUp(Exception):
    """The connection has ended."""


class _Asked:
    """A request under way."""

    __slots__ = ("answer", "patience", "sent", "tid", "timer", "trace", "unit")

    def __init__(self, unit: int, tid: int, trace: Trace | None) -> None:
        self.unit = unit
        self.tid = tid
        self.trace = trace
        self.sent = monotonic()
        self.answer: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        self.timer: asyncio.TimerHandle | None = None
        self.patience: asyncio.TimerHandle | None = None


class TcpLine:
    """The connection to one host and port in one framing."""

    def __init__(self, host: str, port: int, serial: bool) -> None:
        self._place = host, port
        self._serial = serial
        self._opening = asyncio.Lock()
        self._wire: TcpWire | None = None
        self._users = 0
        self._tid = 0
        self._asked: dict[int, _Asked] = {}
        self._holding: set[_Asked] = set()
        self._queue: deque[asyncio.Future[None]] = deque()
        self._late: dict[int, int] = {}
        self._fault: Garbled | None = None
        self._silent: set[int] = set()
        self._quiet_until: dict[int, float] = {}
        self._heard = 0.0
        self._usual_s = 0.0
        self.dropped: Counter[int] = Counter()
        """Late answers that were recognised and dropped, by unit."""

    async def join(self, timeout_s: float) -> TcpWire:
        """Connect if there is no connection; return it, as a token to ask with. Raises OSError or TimeoutError."""
        async with self._opening:
            if self._wire is None:
                async with asyncio.timeout(timeout_s):
                    _, wire = await asyncio.get_running_loop().create_connection(
                        lambda: TcpWire(self._serial, self._on_frame, self._on_end), *self._place
                    )
                self._wire, self._fault, self._heard = wire, None, monotonic()
                self._late.clear()
            self._users += 1
            return self._wire

    async def leave(self, wire: TcpWire) -> None:
        """Hang up if nobody else uses the connection; the socket is closed when this returns."""
        self._users -= 1
        if self._users == 0 and self._wire is not None:
            self._wire.end(None)
        if wire is not self._wire:
            await asyncio.sleep(0)  # lets the event loop close the socket

    def current(self, wire: TcpWire) -> bool:
        """Return whether `wire` is still the connection."""
        return wire is self._wire

    async def ask(
        self, wire: TcpWire, connection: ModbusConnection, function_code: int, body: bytes, trace: Trace | None
    ) -> Heard:
        """Send a request and return its answer. Raises Silent, Garbled or HungUp; only after Silent may it be used on."""
        unit = connection.unit_id
        limit = 1 if self._serial else connection.pipeline
        await self._turn(unit, limit, _QUEUE * connection.timeout_s)
        if wire is not self._wire:
            fault, self._fault = self._fault, None
            self._next()
            raise fault or HungUp
        asked = self._send(wire, unit, function_code, body, trace)
        waits = self._waits_s(unit, connection.timeout_s)
        asked.timer = asyncio.get_running_loop().call_later(waits, self._expire, asked, waits)
        try:
            return await asked.answer
        except asyncio.CancelledError:
            self._give_up(asked, connection.timeout_s)
            raise
        except Silent:
            self._silent.add(unit)
            self._give_up(asked, connection.timeout_s)
            if monotonic() - self._heard > SILENCE_S:
                wire.end(None)
            raise
        finally:
            self._settle(asked)

    async def _turn(self, unit: int, limit: int, longest_s: float) -> None:
        """Wait until this unit may ask. Raises Silent if that takes too long."""
        if (quiet := self._quiet_until.get(unit, 0.0) - monotonic()) > 0:
            await asyncio.sleep(quiet)
        self._quiet_until.pop(unit, None)
        begun = monotonic()
        first = True
        while (first and self._queue) or len(self._holding) >= limit:
            turn = asyncio.get_running_loop().create_future()
            if first:
                self._queue.append(turn)
            else:
                self._queue.appendleft(turn)
            first = False
            try:
                async with asyncio.timeout(longest_s):
                    await turn
            except BaseException as error:
                if turn in self._queue:
                    self._queue.remove(turn)
                self._next()  # what this one was given, if anything, is the next one's
                if isinstance(error, TimeoutError):
                    raise Silent(monotonic() - begun) from None
                raise

    def _next(self) -> None:
        """Let the next one that waits look whether it may ask."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _send(self, wire: TcpWire, unit: int, function_code: int, body: bytes, trace: Trace | None) -> _Asked:
        while True:
            self._tid = self._tid % 0xFFFF + 1
            if self._tid not in self._asked and self._tid not in self._late:
                break
        asked = _Asked(unit, 0 if self._serial else self._tid, trace)
        if self._serial:
            wire.forget()
        frame = wire.send(unit, function_code, body, None if self._serial else asked.tid)
        if trace is not None:
            trace(True, frame)
        self._asked[asked.tid] = asked
        if self._serial or unit not in self._silent:
            self._holding.add(asked)
            if not self._serial:
                patience = max(_PATIENCE * self._usual_s, _LEAST_PATIENCE_S)
                asked.patience = asyncio.get_running_loop().call_later(patience, self._release, asked)
        self._next()
        return asked

    def _waits_s(self, unit: int, timeout_s: float) -> float:
        """Return how long to wait for an answer of `unit`, in seconds."""
        if unit not in self._silent or not self._usual_s:
            return timeout_s
        return min(timeout_s, max(_PATIENCE * self._usual_s, _LEAST_PROBE_S))

    def _expire(self, asked: _Asked, waited_s: float) -> None:
        """End a request that has waited long enough; half a frame is none."""
        if asked.answer.done():
            return
        wire = self._wire
        if wire is not None and wire.half_a_frame:
            wire.end(Garbled(*NO_FRAME))
        else:
            asked.answer.set_exception(Silent(waited_s))

    def _give_up(self, asked: _Asked, timeout_s: float) -> None:
        """Remember that the answer to `asked` may still come."""
        if self._serial:
            self._quiet_until[asked.unit] = monotonic() + timeout_s
        else:
            self._late[asked.tid] = asked.unit
            while len(self._late) > _REMEMBERED:
                del self._late[next(iter(self._late))]

    def _settle(self, asked: _Asked) -> None:
        """Take `asked` off the books."""
        for timer in (asked.timer, asked.patience):
            if timer is not None:
                timer.cancel()
        if self._asked.get(asked.tid) is asked:
            del self._asked[asked.tid]
        self._release(asked)

    def _release(self, asked: _Asked) -> None:
        """Let others ask though `asked` may still wait."""
        if asked in self._holding:
            self._holding.remove(asked)
            self._next()

    def _on_frame(self, tid: int, heard: Heard, frame: bytes) -> None:
        self._heard = monotonic()
        asked = self._asked.get(tid)
        if self._is_late(tid, heard, asked):
            self.dropped[heard.unit] += 1
            self._silent.discard(heard.unit)
            return
        if asked is None or asked.answer.done():
            if self._asked:
                raise Garbled("the answer to another request", "对其他请求的应答")
            raise Garbled("an answer nobody asked for", "未请求的应答")
        if asked.trace is not None:
            asked.trace(False, frame)
        if asked.unit != heard.unit:
            raise Garbled("the answer to another request", "对其他请求的应答")
        self._silent.discard(asked.unit)
        took = self._heard - asked.sent
        self._usual_s = took if not self._usual_s else 0.9 * self._usual_s + 0.1 * took
        asked.answer.set_result(heard)
        self._release(asked)  # so that the next one asks while this one's task wakes

    def _is_late(self, tid: int, heard: Heard, asked: _Asked | None) -> bool:
        """Return whether `heard` answers a request that has been given up."""
        if not self._serial:
            return self._late.pop(tid, None) == heard.unit
        return heard.unit in self._quiet_until and (asked is None or asked.unit != heard.unit)

    def _on_end(self, why: Garbled | None) -> None:
        """End all that is under way; what nobody waits for is told to who asks next."""
        self._wire = None
        self._fault = None if self._asked else why
        for asked in tuple(self._asked.values()):
            if not asked.answer.done():
                asked.answer.set_exception(why or HungUp())
        self._asked.clear()
        self._quiet_until.clear()
        while self._queue:
            self._next()


class TcpLines:
    """The lines that are in use, so that whoever goes to the same place shares one."""

    def __init__(self) -> None:
        self._lines: WeakValueDictionary[tuple[object, ...], TcpLine] = WeakValueDictionary()

    def line(self, connection: ModbusConnection) -> TcpLine:
        """Return the line to where `connection` goes; one of its own where it shares none."""
        serial = connection.framing != "tcp"
        host = connection.host or ""
        if not connection.share:
            return TcpLine(host, connection.port, serial)
        key = (asyncio.get_running_loop(), host, connection.port, serial)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = TcpLine(host, connection.port, serial)
        return line
