"""The plant's shifts at the box: asked of the cloud now and then, kept on disk, looked up by who tells something per shift."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_agent.atomic_file import write_file
from edge_agent.cloud_link import CloudLink
from edge_agent.config import Config
from edge_agent.identity import Login, load_identity
from protocols.errors import SunmaoError
from protocols.uplink.shifts import SHIFTS, PlannedShift, ShiftsPlanned, ShiftsRequest

ASK_S = 900.0
"""How often the cloud is asked; a change of a calendar is known so soon."""
FILE = "shifts.json"

_log = logging.getLogger("sunmao.edge")


class PlantShifts:
    """Asks for the shifts of the inspection stations until cancelled; what was heard last stays while the cloud is away.

    Args:
        config: gives the configuration in force.
        link, login: as for the forwarder.
    """

    def __init__(self, config: Callable[[], Config], link: CloudLink, login: Login) -> None:
        self._config, self._link, self._login = config, link, login

    async def run(self) -> None:
        """Ask every `ASK_S`, and soon after another station is configured or the box has enrolled."""
        asked: list[str] = []
        due = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            agent, stations = self._config().agent, [each.device for each in self._config().inspections]
            try:
                ask = stations and (clock() >= due or stations != asked)
                if ask and await asyncio.to_thread(load_identity, agent.state_dir) is not None:
                    asked, due = stations, clock() + ASK_S
                    await self._ask(agent.state_dir / FILE, stations)
            except SunmaoError as error:
                _log.info("shifts: %s", error.explain("en"))
            except OSError as error:
                _log.warning("shifts: %s: %s", error.filename, error.strerror)
            await asyncio.sleep(agent.report_s)

    async def _ask(self, path: Path, stations: list[str]) -> None:
        planned = await self._link.post(SHIFTS, ShiftsRequest(stations), ShiftsPlanned, await self._login.token())
        content = msgspec.json.encode(planned)
        if content != await asyncio.to_thread(_read, path):
            await asyncio.to_thread(write_file, path, content)


class StationShifts:
    """The planned shifts of one station, as last heard."""

    def __init__(self, state_dir: Path, station: str) -> None:
        self._path, self._station = state_dir / FILE, station
        self._stamp = 0
        self._shifts: list[PlannedShift] = []
        self.refresh()

    def refresh(self) -> None:
        """Look whether something else was heard; touches the disk."""
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                heard = msgspec.json.decode(_read(self._path), type=ShiftsPlanned)
                self._shifts, self._stamp = heard.stations.get(self._station, []), stamp
        except (OSError, msgspec.MsgspecError):
            self._shifts = []

    def begin_of(self, time: int) -> int | None:
        """Return when the shift began that `time` is in, both microseconds UTC; None where the plan does not reach.

        Between two shifts that is the end of the one before.
        """
        shifts = self._shifts
        if not shifts or not shifts[0].start <= time < shifts[-1].end:
            return None
        last = shifts[bisect_right(shifts, time, key=lambda shift: shift.start) - 1]
        return last.start if time < last.end else last.end


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
