"""How often `identify` names the right template of the library, and how often it names none for an unknown device.

Every Modbus device of the library is served over TCP, three times: one that refuses addresses it has no point at, one
that answers 0 there, one that answers noise there. `identify` has no other knowledge than the device's answers. A
template counts as right, too, when it has the same map as the device's own: every point of one is a point of the other
of the same meaning; no value of a point can then tell them apart. "itself" counts the device's own template only, ahead of
all of the same map. For the held-out rows the device's own template and those of its
family (the same map, or one a part of the other) are taken out of the library, and the only right answer is none.

python -m tests.benchmarks.identify [--limit N] [--seed S]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from edge_agent.onboard.identify import SURE, Match, modbus_templates, rank, read_all
from protocols.library.physics import behaviour
from protocols.library.templates import Template
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.identification import identification
from protocols.modbus.simulator import ModbusSimulator
from protocols.reading import Value

START = 1_700_000_000_000_000
NOON = START + 4 * 3600 * 10**6
FILLS = ("refuses", "zeros", "noise")


class Filled(dict[int, int | None]):
    """A table that has a register at every address."""

    def __init__(self, fill: str, salt: str, values: Mapping[int, int | None]) -> None:
        super().__init__(values)
        self._fill, self._salt = fill, salt

    def get(self, place: int, default: object = None) -> object:  # type: ignore[override]
        """Return the register, which is always there."""
        if place in self or self._fill == "refuses":
            return super().get(place, default)
        return 0 if self._fill == "zeros" else noise(self._salt, place)


def noise(salt: str, place: int) -> int:
    """Return what a device may hold at a register nobody described: often nothing, a setting or any number."""
    digest = blake2b(f"{salt}/{place}".encode(), digest_size=4).digest()
    if digest[0] < 128:
        return 0
    return digest[1] if digest[0] < 192 else int.from_bytes(digest[2:], "big")


class FilledSimulator(ModbusSimulator):
    """A simulated device that answers at addresses of no point."""

    fill, salt = "refuses", ""

    def _take(self, values: Mapping[str, Value]) -> None:
        super()._take(values)
        self._image = {
            code: Filled(self.fill, self.salt, table) if table else table for code, table in self._image.items()
        }


class Answers(NamedTuple):
    """What one device answered."""

    identity: dict[str, str]
    values: dict[str, dict[str, Value]]


class Outcome(NamedTuple):
    """What was answered for one device: as it is, and with its family held out."""

    device: str
    matches: list[Match]
    held_out: list[Match]
    twins: set[str]


def places(template: Template) -> set[tuple[object, ...]]:
    """Return where the points of a template are and what they mean."""
    return {
        (point.table, point.address, point.type, point.order, point.bit, point.property, point.unit, point.scale)
        for point in template.points
        if isinstance(point, ModbusPoint)
    }


def twins(template: Template, templates: Sequence[Template]) -> set[str]:
    """Return the ids of templates no value can tell from this one: the same points."""
    mine = places(template)
    return {other.device.id for other in templates if places(other) == mine}


def family(template: Template, templates: Sequence[Template]) -> set[str]:
    """Return the ids of templates that share at least half of the smaller one's points with this one."""
    mine = places(template)
    return {
        other.device.id for other in templates if 2 * len(mine & places(other)) >= min(len(mine), len(places(other)))
    }


async def answered(template: Template, fill: str, templates: Sequence[Template], seed: int) -> Answers:
    """Serve `template` and ask it all that `identify` asks."""
    values = behaviour(template, seed, START)
    points = [point for point in (*template.points, *template.signs) if isinstance(point, ModbusPoint)]
    simulator = FilledSimulator(points, lambda: values(NOON), tick_s=3600.0)
    simulator.fill, simulator.salt = fill, f"{seed}/{template.device.id}"
    host, _, port = (await simulator.start()).rpartition(":")
    connection = ModbusConnection(host=host, port=int(port), timeout_s=10.0)
    try:
        # pymodbus answers function 43/14 alike for all servers of a process: what the device would say is put in here.
        said = template.fingerprint.identification[:1]
        identity = await identification("device", connection) | dict(zip(("product_code",), said, strict=False))
        return Answers(identity, await read_all("device", connection, templates))
    finally:
        await simulator.stop()


def outcome(template: Template, answers: Answers, templates: Sequence[Template]) -> Outcome:
    """Rank the templates for the device of `template`."""
    relatives = family(template, templates)
    others = [other for other in templates if other.device.id not in relatives]
    return Outcome(
        template.device.id,
        rank(templates, answers.values, answers.identity),
        rank(others, answers.values, answers.identity),
        twins(template, templates),
    )


def _tied(outcome: Outcome) -> bool:
    """Return whether a template of the same map fits just as well."""
    best, *others = outcome.matches
    return any(
        match.template in outcome.twins and (match.score, match.bits) == (best.score, best.bits) for match in others
    )


def table(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """Return the figures as a table, and the devices that went wrong."""
    lines = [
        "device  | devices | itself | top-1 | top-3 | sure, right | sure, wrong | not sure | held out: none | held out: wrong"
    ]
    notes = []
    for fill, found in outcomes.items():
        itself = [o for o in found if o.matches and o.matches[0].template == o.device and not _tied(o)]
        first = [o for o in found if o.matches and o.matches[0].template in o.twins]
        third = [o for o in found if {match.template for match in o.matches[:3]} & o.twins]
        sure = [o for o in found if o.matches and o.matches[0].score >= SURE]
        right = [o for o in sure if o in first]
        fooled = [o for o in found if o.held_out and o.held_out[0].score >= SURE]
        n = len(found)
        shares = [len(part) / n for part in (itself, first, third, right)]
        shares += [(len(sure) - len(right)) / n, (n - len(sure)) / n, (n - len(fooled)) / n, len(fooled) / n]
        lines.append(f"{fill:7} | {n:7} | " + " | ".join(f"{share:6.1%}" for share in shares))
        for o in found:
            if o not in right:
                notes.append(f"{fill}: {o.device}: " + ", ".join(f"{m.template} {m.score:.2f}" for m in o.matches[:4]))
            if o in fooled:
                notes.append(f"{fill}: {o.device} held out: {o.held_out[0].template} {o.held_out[0].score:.2f}")
    return "\n".join([*lines, "", *notes])


async def measure(limit: int | None = None, seed: int = 11) -> dict[str, list[Outcome]]:
    """Identify every device, or the first `limit` ones; sixteen at a time, for most of the time is waiting."""
    templates = modbus_templates()
    turns = asyncio.Semaphore(16)

    async def one(template: Template, fill: str) -> Outcome:
        async with turns:
            return outcome(template, await answered(template, fill, templates, seed), templates)

    return {fill: await asyncio.gather(*(one(template, fill) for template in templates[:limit])) for fill in FILLS}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    begin = time.perf_counter()
    outcomes = asyncio.run(measure(arguments.limit, arguments.seed))
    print(table(outcomes))
    ambiguous = sum(len(o.twins) > 1 for o in outcomes[FILLS[0]])
    print(f"{ambiguous} devices have a twin with the same map; {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
