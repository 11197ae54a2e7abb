"""What a technician means by "look there": ranges of addresses and serial ports; and the looking itself, machine by machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edge_agent.onboard.discover import Place, discover, parse_places
from edge_agent.onboard.discover_serial import Setting, discover_serial, parse_settings
from edge_agent.ui.drafts import Machine
from edge_agent.ui.jobs import Job
from edge_agent.ui.recognise import machine_on_line, machines_of
from protocols.errors import ConfigError
from protocols.text import Text

TIMEOUT_S = 1.0
MOST_UNITS = 247

_LINE_SETTINGS = ("9600,19200,38400,115200", "N,E")
"""Speeds and parities tried on a serial port, the usual ones first, until somebody answers."""

_LOOKING = Text("looking for machines", "正在搜索设备")


class Wanted(NamedTuple):
    """Where to look, and for which Modbus units."""

    places: Sequence[Place]
    ports: Sequence[str]
    units: Sequence[int]

    @property
    def settings(self) -> list[Setting]:
        """How the serial ports may be set."""
        return parse_settings(*_LINE_SETTINGS, 1) if self.ports else []

    @property
    def steps(self) -> int:
        """Number of places, and of settings of serial ports, to look at."""
        return len(self.places) + len(self.ports) * len(self.settings)


def parse_wanted(where: str, units: str) -> Wanted:
    """Return what is meant by `where`, ranges and serial ports parted by spaces or commas, and by `units`, "1-10".

    Raises ConfigError where one of them is none, or nothing is named.
    """
    words = where.replace(",", " ").split()
    ports = list(dict.fromkeys(word for word in words if word.startswith("/")))
    places = list(dict.fromkeys(place for word in words if word not in ports for place in parse_places(word)))
    if not places and not ports:
        raise ConfigError(
            Text("no range is named", "未填写搜索范围"),
            Text("write where the machines are, e.g. 192.168.1.20-40", "请填写设备所在范围，例如 192.168.1.20-40"),
        )
    return Wanted(places, ports, parse_units(units))


def parse_units(text: str) -> list[int]:
    """Return the unit ids of "1", "1-10" or "1,3,5-7"; raises ConfigError."""
    try:
        found: list[int] = []
        for part in text.replace(",", " ").split() or ["1"]:
            first, dash, last = part.partition("-")
            found += range(int(first), int(last if dash else first) + 1)
        if found and min(found) >= 0 and max(found) <= MOST_UNITS:
            return list(dict.fromkeys(found))
    except ValueError:
        pass
    raise ConfigError(
        Text(f"'{text}' is not a range of unit ids", f"“{text}”不是有效的从站号范围"),
        Text("write e.g. 1 or 1-10", "请写成 1 或 1-10"),
    )


def serial_ports(dev: Path = Path("/dev")) -> list[str]:
    """Return the serial ports to suggest: adapters by their lasting name, else by the one they have at present."""
    lasting = sorted((dev / "serial" / "by-id").glob("*"))
    return [str(port) for port in lasting or sorted((*dev.glob("ttyUSB*"), *dev.glob("ttyACM*")))]


async def look_for_machines(wanted: Wanted, folder: Path, rate: float, job: Job) -> AsyncIterator[Machine]:
    """Yield the machines that answer, each compared with the library; `rate` is the most questions a second.

    Raises Unreachable or Refused for a serial port that cannot be used.
    """
    job.begin(_LOOKING, wanted.steps)
    looked = 0

    def advance() -> None:
        nonlocal looked
        looked += 1
        job.doing, job.done, job.total = _LOOKING, looked, wanted.steps

    async for found in discover(wanted.places, wanted.units, rate=rate, timeout_s=TIMEOUT_S, advance=advance):
        async for machine in machines_of(found, folder, job):
            yield machine
    for port in wanted.ports:
        line = discover_serial(port, wanted.settings, wanted.units, rate=rate, timeout_s=TIMEOUT_S, advance=advance)
        async for told in line:
            yield await machine_on_line(told, job)
