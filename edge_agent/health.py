"""The agent's condition: reported to the cloud, and written to the status file for `sunmao-edge status`."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from edge_agent import __version__
from edge_agent.atomic_file import write_file
from edge_agent.buffer import Buffer
from edge_agent.buffer_state import Stats
from edge_agent.cloud_link import CloudLink
from edge_agent.forward import Uplink
from edge_agent.identity import Login, load_identity
from edge_agent.outlets.outlet import OutletState
from protocols.errors import ConfigError, SunmaoError
from protocols.reading import now_us
from protocols.text import Text
from protocols.uplink.messages import ConfigReport, DeviceReport, Health, HealthReply

HEALTH = "/api/v1/uplink/health"
STATUS_EVERY_S = 2.0
STATUS_FILE = "status.json"
RATES, RATE_AFTER_S = 150, 30.0
"""How many looks at the counter the rate of collecting is taken from, and the least time they must span, seconds."""


class ConfigState(msgspec.Struct, frozen=True):
    """The configuration in force.

    Attributes:
        version: of the file in force (`config.version_of`).
        state: "applied", or "failed" where the file was changed since and is not used.
        reason_en, reason_zh: why it is not used; for an applied one what takes effect only after a restart.
        since: when it came into this state, microseconds UTC.
    """

    version: str
    state: str
    reason_en: str = ""
    reason_zh: str = ""
    since: int = 0


class Status(msgspec.Struct, frozen=True):
    """What the status file holds. `clock_offset_us`: cloud's clock minus this box's, None while unknown."""

    pid: int
    name: str
    agent_id: str
    health: Health
    uplink: Uplink
    missed_cycles: dict[str, int]
    clock_offset_us: int | None
    config: ConfigState = ConfigState("", "applied")
    outlets: list[OutletState] = []


class HealthReporter:
    """Writes the status file and reports to the cloud until cancelled.

    Args:
        name: the agent's name.
        state_dir: where the status file goes.
        buffer, link, login: as for the forwarder.
        devices: gives the devices as they are now.
        uplink: gives the way to the cloud as it is now.
        missed: gives the missed poll cycles by device.
        config: gives the state of the configuration.
        outlets: gives the outlets as they are now.
        diagnostics: gives whether the cloud may ask this box to look at something.
        every_s: time between reports, seconds.
    """

    def __init__(
        self,
        name: str,
        state_dir: Path,
        buffer: Buffer,
        link: CloudLink,
        login: Login,
        *,
        devices: Callable[[], Sequence[DeviceReport]],
        uplink: Callable[[], Uplink],
        missed: Callable[[], dict[str, int]],
        config: Callable[[], ConfigState],
        outlets: Callable[[], list[OutletState]],
        diagnostics: Callable[[], bool],
        every_s: float,
    ) -> None:
        self._name = name
        self._state_dir = state_dir
        self._buffer = buffer
        self._link = link
        self._login = login
        self._devices = devices
        self._uplink = uplink
        self._missed = missed
        self._config = config
        self._outlets = outlets
        self._diagnostics = diagnostics
        self._every_s = every_s
        self._started = now_us()
        self._clock_offset: int | None = None
        self._rates: deque[tuple[float, int]] = deque(maxlen=RATES)
        self._soon = asyncio.Event()
        self._configuration: Callable[[], Awaitable[ConfigReport]] | None = None
        self._heard: Callable[[HealthReply], None] = lambda reply: None

    def follow(
        self, configuration: Callable[[], Awaitable[ConfigReport]], heard: Callable[[HealthReply], None]
    ) -> None:
        """Report `configuration` too, and hand the cloud's answers to `heard`."""
        self._configuration, self._heard = configuration, heard

    def hurry(self) -> None:
        """Make the next report at once."""
        self._soon.set()

    async def write_status(self) -> None:
        """Keep the status file fresh until cancelled; a full disk only makes it old."""
        while True:
            identity = load_identity(self._state_dir)
            status = Status(
                os.getpid(),
                self._name,
                identity.agent_id if identity else "",
                await self._health(),
                self._uplink(),
                self._missed(),
                self._clock_offset,
                self._config(),
                self._outlets(),
            )
            with suppress(OSError):  # a full disk is the buffer's to announce
                content = msgspec.json.encode(status)
                await asyncio.to_thread(write_file, self._state_dir / STATUS_FILE, content, durable=False)
            await asyncio.sleep(STATUS_EVERY_S)

    async def report(self) -> None:
        """Report to the cloud until cancelled. Failures are the forwarder's to announce, for it meets the same.

        While the forwarder waits for the cloud, this waits too: what is overloaded is left alone.
        """
        while True:
            self._soon.clear()
            if self._uplink().state != "down" and load_identity(self._state_dir):
                with suppress(SunmaoError):
                    token = await self._login.token()
                    sent = now_us()
                    reply = await self._link.post(HEALTH, await self._health(), HealthReply, token)
                    self._clock_offset = reply.server_time - (sent + now_us()) // 2
                    self._heard(reply)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), self._every_s)

    async def _health(self) -> Health:
        stats: Stats = await self._buffer.stats()
        return Health(
            agent_version=__version__,
            time=now_us(),
            started=self._started,
            devices=list(self._devices()),
            collected=stats.state.collected,
            dropped=stats.state.dropped,
            set_aside=stats.state.set_aside,
            buffer_rows=stats.rows,
            buffer_bytes=stats.bytes,
            buffer_limit_bytes=stats.limit,
            oldest_unsent=stats.oldest,
            disk_free_bytes=shutil.disk_usage(self._state_dir).free,
            rss_bytes=_rss_bytes(),
            config=await self._configuration() if self._configuration else None,
            missed_cycles=sum(self._missed().values()),
            clock_offset_us=self._clock_offset,
            buffer_hours_left=self._hours_left(stats),
            at_risk=self._buffer.at_risk,
            diagnostics="allowed" if self._diagnostics() else "refused",
        )

    def _hours_left(self, stats: Stats) -> float | None:
        """Return how long the room left lasts at the rate of collecting seen lately; None while that is unknown."""
        now, collected = asyncio.get_running_loop().time(), stats.state.collected
        self._rates.append((now, collected))
        since, first = self._rates[0]
        if now - since < RATE_AFTER_S or collected <= first or not stats.bytes_per_row:
            return None
        room = min(stats.limit * 9 // 10 - stats.bytes, shutil.disk_usage(self._state_dir).free)
        return round(max(room, 0) / stats.bytes_per_row * (now - since) / (collected - first) / 3600, 1)


def read_status(state_dir: Path) -> Status | None:
    """Return the last status written, None if there is none; raises ConfigError if it cannot be read."""
    path = state_dir / STATUS_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Status)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(Text(f"cannot be read: {error}", f"无法读取：{error}"), key=str(path)) from error


def _rss_bytes() -> int:
    """Return the resident memory of this process (proc(5), statm: second field, in pages)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
