"""Which points of a machine tell what it does and what it makes: chosen by their dictionary entries, or as its settings say.

Nothing is chosen between several: then the figure has no value, and its reason names them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isnan
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from cloud.production.schemas import EquipmentSettings
from cloud.production.state_log import Kind
from protocols.text import Text

PROBLEMS: Mapping[str, Text] = MappingProxyType(
    {
        "no_state": Text(
            "no point says whether the machine runs; map one to 'machine_state' or 'machine_running', or set a threshold",
            "没有能反映设备运行状态的点；请将某点映射为“设备运行状态”或“设备运行中”，或设置阈值",
        ),
        "several_states": Text(
            "several points say whether the machine runs; choose one in the settings",
            "有多个点反映设备运行状态，请在设置中选择其一",
        ),
        "no_count": Text(
            "no point counts parts; map one to 'part_count_total' or 'part_count_good'",
            "没有计数点；请将某点映射为“加工总件数”或“良品数”",
        ),
        "several_counts": Text(
            "several points count the same thing; choose one in the settings",
            "同一数量有多个计数点，请在设置中选择其一",
        ),
        "no_quality": Text(
            "no point tells good parts from rejects; map 'part_count_good' or 'part_count_reject', or declare all good",
            "没有区分良品与不良品的点；请映射“良品数”或“不良品数”，或声明全部为良品",
        ),
    }
)

STATE_CODES = ("machine_state", "machine_running")
_COUNTS = (("total", "part_count_total"), ("good", "part_count_good"), ("scrap", "part_count_reject"))
_CYCLES = "cycle_count_total"
_VERDICT = "inspection_verdict"


class Point(NamedTuple):
    """A current series of a machine."""

    series_id: int
    name: str
    property: str


@dataclass
class Sources:
    """What a machine is read from.

    Attributes:
        states: series whose values, in this order, `kind` takes; none where nothing tells the state.
        counters: what is counted -> series.
        cycles: whether the total is counted in cycles.
        inspects: whether parts are inspected there.
        codes: dictionary entries, or point names where there is none, of all of these.
        problems: what is missing, see PROBLEMS.
    """

    states: list[int] = field(default_factory=list)
    kind: Callable[[tuple[float, ...]], Kind] = field(default=lambda _: Kind.UNKNOWN)
    counters: dict[str, int] = field(default_factory=dict)
    cycles: bool = False
    inspects: bool = False
    codes: set[str] = field(default_factory=set)
    problems: set[str] = field(default_factory=set)

    @property
    def takes_part(self) -> bool:
        """Whether the machine says anything about production at all; a meter does not."""
        return bool(self.states or self.counters or self.inspects) or bool(
            self.problems & {"several_states", "several_counts"}
        )


@lru_cache(maxsize=1)
def _kinds() -> Mapping[tuple[int, int | None], Kind]:
    """Return what machine_state and operating_mode together mean; None stands for a machine without a mode."""
    with (Path(__file__).parent / "state_kinds.csv").open(encoding="utf-8", newline="") as file:
        return {
            (int(row["machine_state"]), int(row["operating_mode"]) if row["operating_mode"] else None): Kind[
                row["kind"].upper()
            ]
            for row in csv.DictReader(file)
        }


def sources_of(points: Sequence[Point], settings: EquipmentSettings) -> Sources:
    """Return what a machine with `points` is read from."""
    found = Sources()
    _find_state(found, points, settings)
    _find_counters(found, points, settings)
    if _named(points, None, _VERDICT):
        found.inspects = True
        found.codes.add(_VERDICT)
    return found


def _named(points: Sequence[Point], name: str | None, code: str) -> list[Point]:
    """Return the point the settings name, or those mapped to `code`."""
    return [point for point in points if (point.name == name if name else point.property == code)]


def _find_state(found: Sources, points: Sequence[Point], settings: EquipmentSettings) -> None:
    if settings.threshold_point is not None and settings.threshold is not None:
        chosen = _named(points, settings.threshold_point, "")
        if len(chosen) == 1:
            _take(found, chosen)
            limit = settings.threshold
            found.kind = lambda values: _switch(values[0], limit)
            return
    for code in STATE_CODES:
        states = _named(points, settings.state_point, code)
        if len(states) > 1:
            found.problems.add("several_states")
            return
        if states:
            _read_state(found, points, settings, states[0])
            return
    found.problems.add("no_state")


def _read_state(found: Sources, points: Sequence[Point], settings: EquipmentSettings, state: Point) -> None:
    values = settings.state_values
    if values is not None:
        kinds = {value: Kind[name.upper()] for value, name in values.items()}
        _take(found, [state])
        found.kind = lambda seen: Kind.UNKNOWN if isnan(seen[0]) else kinds.get(round(seen[0]), Kind.UNKNOWN)
    elif state.property == "machine_state":
        modes = _named(points, settings.mode_point, "operating_mode")[:2]
        _take(found, [state, *modes] if len(modes) == 1 else [state])
        found.kind = _standard
    else:
        faults = _named(points, settings.fault_point, "fault_active")[:2]
        _take(found, [state, *faults] if len(faults) == 1 else [state])
        found.kind = _running


def _take(found: Sources, points: Sequence[Point]) -> None:
    found.states = [point.series_id for point in points]
    found.codes |= {point.property or point.name for point in points}


def _standard(values: tuple[float, ...]) -> Kind:
    """Read machine_state, and operating_mode where there is one, as `state_kinds.csv` has it; other values are unknown."""
    state, *mode = values
    if isnan(state):
        return Kind.UNKNOWN
    known = None if not mode or isnan(mode[0]) else round(mode[0])
    return _kinds().get((round(state), known), Kind.UNKNOWN)


def _running(values: tuple[float, ...]) -> Kind:
    """Read machine_running, and fault_active where there is one."""
    running, *fault = values
    if isnan(running):
        return Kind.UNKNOWN
    if running:
        return Kind.PRODUCING
    return Kind.FAULT if fault and fault[0] == 1 else Kind.IDLE


def _switch(value: float, limit: float) -> Kind:
    return Kind.UNKNOWN if isnan(value) else Kind.PRODUCING if value >= limit else Kind.IDLE


def _find_counters(found: Sources, points: Sequence[Point], settings: EquipmentSettings) -> None:
    names = {"total": settings.total_point, "good": settings.good_point, "scrap": settings.scrap_point}
    for role, code in _COUNTS:
        chosen = _named(points, names[role], code)
        if len(chosen) > 1:
            found.problems.add("several_counts")
        elif chosen:
            found.counters[role] = chosen[0].series_id
            found.codes.add(chosen[0].property or chosen[0].name)
    cycles = _named(points, None, _CYCLES)
    if "total" not in found.counters and not {"good", "scrap"} <= found.counters.keys() and len(cycles) == 1:
        found.counters["total"] = cycles[0].series_id
        found.cycles = True
        found.codes.add(_CYCLES)
