"""A thin-wall injection moulding machine with a four-cavity mould: cycles, parts, process values, power.

Time runs in blocks of 600 s. Every block holds 141 cycles and two stops that together last 36 s, at seeded places with
seeded shares; cycle durations vary by 2 % around 4 s and fill the rest of the block exactly. So the number of cycles and
the energy up to any instant are closed forms:

    cycles(t) = 141 floor(t / 600) + cycles finished in the present block
    E(t)      = (P_mean x 564 s + P_idle x 36 s) floor(t / 600) + energy in the present block + integral of the heaters

Power is constant within a phase of the cycle (close, inject, hold, plasticise, cool, open), whose lengths are fixed
fractions of the cycle; the barrel heaters add 9 kW and a slow swing.

Of every 25 parts exactly one, at a seeded place, is bad (4 %). Its shot shows it: see `DEFECTS`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import pi

from protocols.library.physics.load import KJ_PER_KWH, Ripple, elapsed_us
from protocols.library.physics.seeded import below, drift, unit_interval
from protocols.reading import Value

CAVITIES = 4
PARTS_PER_DEFECT = 25
BLOCK_US = 600_000_000
STOPPED_US = 36_000_000
CYCLES_PER_BLOCK = 141
CYCLES_PER_ORDER = 2000
EXECUTING, NOT_EXECUTING = 3, 2  # value list of machine_state
AUTOMATIC = 3  # operating mode "processing"

PHASES = (
    ("close", 0.10, 18.0),
    ("inject", 0.10, 58.0),
    ("hold", 0.15, 24.0),
    ("plasticise", 0.35, 38.0),
    ("cool", 0.15, 10.0),
    ("open", 0.15, 16.0),
)
"""Phase, fraction of the cycle, drive power in kW."""

HEATERS_KW, IDLE_KW = 9.0, 5.0
MEAN_KW = sum(fraction * power for _, fraction, power in PHASES)

DEFECTS: Mapping[str, Mapping[str, float]] = {
    "short_shot": {"melt_cushion": 2.6, "injection_pressure_max": -95.0, "holding_pressure_max": -60.0},
    "flash": {"melt_cushion": -1.9, "injection_pressure_max": 110.0, "holding_pressure_max": 70.0},
    "burn_mark": {"melt_temperature": 11.0, "injection_pressure_max": 45.0},
    "sink_mark": {"melt_cushion": -1.2, "holding_pressure_max": -90.0, "mould_temperature": 4.0},
    "black_spot": {"melt_temperature": 7.0},
    "scratch": {},
}
"""What a shot with a bad part of this kind adds to its process values, in dictionary units; a scratch comes later."""


@dataclass(frozen=True)
class Part:
    """One moulded part. `index` counts from 0 over the machine's run; `finished_us` is when the mould opened, UTC."""

    index: int
    cycle: int
    cavity: int
    finished_us: int
    defect: str | None


@dataclass(frozen=True)
class _Block:
    """Cycle i runs from starts[i] to ends[i], microseconds from the block's beginning; what lies between are stops."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]


class Moulder:
    """One machine, as a pure function of the instant (microseconds UTC)."""

    tan_phi = 0.62
    shares = (0.338, 0.331, 0.331)

    def __init__(self, seed: int, start_us: int) -> None:
        self.seed = seed
        self.start_us = start_us
        self._heaters = Ripple(1.2, 140.0, 2 * pi * unit_interval(seed, "moulder/heaters"))

    def parts_made(self, now_us: int) -> int:
        """Return how many parts, good and bad, have been finished."""
        return CAVITIES * _finished(self.seed, elapsed_us(self.start_us, now_us))

    def rejects_made(self, now_us: int) -> int:
        """Return how many bad parts have been finished."""
        groups, rest = divmod(self.parts_made(now_us), PARTS_PER_DEFECT)
        return groups + (self._bad_place(groups) < rest)

    def part(self, index: int) -> Part:
        """Return part `index`, made or still to be made."""
        cycle, cavity = divmod(index, CAVITIES)
        block, i = divmod(cycle, CYCLES_PER_BLOCK)
        finished_us = self.start_us + block * BLOCK_US + _block(self.seed, block).ends[i]
        group, place = divmod(index, PARTS_PER_DEFECT)
        defect = None
        if place == self._bad_place(group):
            defect = sorted(DEFECTS)[below(len(DEFECTS), self.seed, "moulder/defect", group)]
        return Part(index, cycle, cavity, finished_us, defect)

    def power_kw(self, now_us: int) -> float:
        """Return the active power of drives and heaters, kW."""
        elapsed = elapsed_us(self.start_us, now_us)
        phase = _phase(self.seed, elapsed)
        drives = IDLE_KW if phase is None else PHASES[phase][2]
        return drives + HEATERS_KW + self._heaters.at(elapsed / 1e6)

    def energy_kwh(self, now_us: int) -> float:
        """Return the integral of `power_kw` since the start, kWh."""
        elapsed = elapsed_us(self.start_us, now_us)
        blocks, within = divmod(elapsed, BLOCK_US)
        whole_block = (MEAN_KW * (BLOCK_US - STOPPED_US) + IDLE_KW * STOPPED_US) / 1e6
        heaters = HEATERS_KW * elapsed / 1e6 + self._heaters.integral(elapsed / 1e6)
        kilojoules = blocks * whole_block + _drive_kilojoules(_block(self.seed, blocks), within) + heaters
        return kilojoules / KJ_PER_KWH

    def values(self, now_us: int) -> dict[str, Value]:
        """Return the values of this instant by dictionary code (barrel zones: code.1 to code.4), in dictionary units.

        Values of a shot (times, pressures, cushion) are those of the last finished cycle.
        """
        elapsed = elapsed_us(self.start_us, now_us)
        seconds = elapsed / 1e6
        phase = _phase(self.seed, elapsed)
        name = None if phase is None else PHASES[phase][0]
        cycles = _finished(self.seed, elapsed)
        parts, rejects = self.parts_made(now_us), self.rejects_made(now_us)
        barrel = {
            f"barrel_zone_temperature.{zone}": setpoint + 1.1 * self._drift(f"zone{zone}", seconds, 45.0)
            for zone, setpoint in enumerate((205.0, 218.0, 226.0, 230.0), start=1)
        }
        return {
            "machine_state": NOT_EXECUTING if phase is None else EXECUTING,
            "machine_running": phase is not None,
            "operating_mode": AUTOMATIC,
            "cycle_count_total": cycles,
            "part_count_total": parts,
            "part_count_good": parts - rejects,
            "part_count_reject": rejects,
            "clamp_force": 0.0 if name in {None, "open"} else 1180.0 + 9.0 * self._drift("clamp", seconds, 30.0),
            "screw_speed": 240.0 + 4.0 * self._drift("screw", seconds, 20.0) if name == "plasticise" else 0.0,
            "active_power_total": self.power_kw(now_us),
            "energy_active_import": self.energy_kwh(now_us),
            "oil_temperature": 46.0 + 1.5 * self._drift("oil", seconds, 120.0),
            "mould_id": "M-0417",
            "production_order_id": f"WO-{below(9000, self.seed, 'moulder/order') + 1000 + cycles // CYCLES_PER_ORDER}",
            **barrel,
            **self._shot(cycles - 1, seconds),
        }

    def _shot(self, cycle: int, seconds: float) -> dict[str, float]:
        """Return the process values of the finished cycle `cycle` (-1: the last one before the start)."""
        block, i = divmod(cycle, CYCLES_PER_BLOCK)
        times = _block(self.seed, block)
        duration = (times.ends[i] - times.starts[i]) / 1e6
        length = {name: fraction * duration for name, fraction, _ in PHASES}
        values = {
            "cycle_time": duration,
            "injection_time": length["inject"],
            "holding_time": length["hold"],
            "plasticizing_time": length["plasticise"],
            "cooling_time": length["plasticise"] + length["cool"],
            "melt_cushion": 7.5 + 0.25 * self._scatter("cushion", cycle),
            "injection_pressure_max": 1240.0 + 12.0 * self._scatter("injection", cycle),
            "holding_pressure_max": 620.0 + 8.0 * self._scatter("holding", cycle),
            "melt_temperature": 234.0 + 1.3 * self._drift("melt", seconds, 60.0),
            "mould_temperature": 38.0 + 0.8 * self._drift("mould", seconds, 90.0),
        }
        for cavity in range(CAVITIES if cycle >= 0 else 0):
            defect = self.part(cycle * CAVITIES + cavity).defect
            for code, change in DEFECTS[defect].items() if defect else ():
                values[code] += change
        return values

    def _bad_place(self, group: int) -> int:
        return below(PARTS_PER_DEFECT, self.seed, "moulder/bad", group)

    def _drift(self, name: str, seconds: float, period_s: float) -> float:
        return drift(self.seed, f"moulder/{name}", seconds, period_s)

    def _scatter(self, name: str, cycle: int) -> float:
        return 2 * unit_interval(self.seed, f"moulder/{name}", cycle) - 1


_PHASE_ENDS = tuple(accumulate(fraction for _, fraction, _ in PHASES))


@lru_cache(maxsize=16)
def _block(seed: int, block: int) -> _Block:
    """Return the cycles of a block: durations scaled to fill it, with one stop in each of its halves."""
    weights = [1 + 0.04 * (unit_interval(seed, f"moulder/cycle/{block}", i) - 0.5) for i in range(CYCLES_PER_BLOCK)]
    scale = (BLOCK_US - STOPPED_US) / sum(weights)
    ends = [round(weight * scale) for weight in accumulate(weights)]
    half = CYCLES_PER_BLOCK // 2
    first = 8 + below(half - 8, seed, "moulder/stop1", block)
    second = half + below(half, seed, "moulder/stop2", block)
    stop = round((0.2 + 0.6 * unit_interval(seed, "moulder/stop", block)) * STOPPED_US)
    before = [stop * (i >= first) + (STOPPED_US - stop) * (i >= second) for i in range(CYCLES_PER_BLOCK)]
    starts = [0, *ends[:-1]]
    return _Block(
        tuple(at + late for at, late in zip(starts, before, strict=True)),
        tuple(at + late for at, late in zip(ends, before, strict=True)),
    )


def _finished(seed: int, elapsed: int) -> int:
    """Return how many cycles have ended after `elapsed` microseconds."""
    block, within = divmod(elapsed, BLOCK_US)
    return block * CYCLES_PER_BLOCK + bisect_right(_block(seed, block).ends, within)


def _phase(seed: int, elapsed: int) -> int | None:
    """Return the index in PHASES of the cycle running after `elapsed` microseconds, None in a stop."""
    block, within = divmod(elapsed, BLOCK_US)
    times = _block(seed, block)
    i = bisect_right(times.starts, within) - 1
    if i < 0 or within >= times.ends[i]:
        return None
    done = (within - times.starts[i]) / (times.ends[i] - times.starts[i])
    return min(bisect_right(_PHASE_ENDS, done), len(PHASES) - 1)


def _drive_kilojoules(times: _Block, within: int) -> float:
    """Return the drives' energy from the beginning of a block to `within` microseconds, kJ."""
    ended = bisect_right(times.ends, within)
    finished = sum(times.ends[:ended]) - sum(times.starts[:ended])
    kilojoules, running = MEAN_KW * finished, 0
    if ended < CYCLES_PER_BLOCK and within > times.starts[ended]:
        running = within - times.starts[ended]
        duration, begin = times.ends[ended] - times.starts[ended], 0.0
        for (_, fraction, power), end in zip(PHASES, _PHASE_ENDS, strict=True):
            kilojoules += power * min(max(running - begin * duration, 0.0), fraction * duration)
            begin = end
    return (kilojoules + IDLE_KW * (within - finished - running)) / 1e6
