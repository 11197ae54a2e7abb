"""A believable factory for the tests of pages: two sites, three lines, thirteen machines, fourteen days, from one seed.

Machines work around the clock with breaks, stop now and then, and rest on Sundays. What they draw, make and waste follows
from their state, so that figures of different pages agree: energy is the integral of power, parts are cycles that ran.
The last day has a value in two minutes, the days before one in thirty, and every change of state is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import msgspec
import numpy as np
from uuid_utils import uuid7

from protocols.reading import BAD_NO_COMMUNICATION, GOOD, now_us
from protocols.uplink.configuration import version_of
from protocols.uplink.messages import (
    Batch,
    Columns,
    ConfigReport,
    ConfigurationKept,
    ConfigurationReport,
    DeviceReport,
    Health,
    HealthReply,
    Inspection,
    PointRef,
)
from tests.doubles.plant import CONFIGURATION, REJECT_LIMIT, REVIEW_LIMIT, Plant, inspection_of

DAYS, MINUTES_A_DAY, COARSE_MIN, FINE_MIN = 14, 1440, 30, 2
EXECUTING, IDLE, OUT_OF_SERVICE = 3, 2, 1
Array = np.ndarray[Any, np.dtype[np.float64]]


class MachineKind(NamedTuple):
    """What a class of machine draws in kW while it works and waits, its cycle in s, and what its points are."""

    protocol: str
    template: str
    works_kw: float
    waits_kw: float
    cycle_s: float
    points: tuple[tuple[str, str, str], ...]


EVER = {"valid_from": "1970-01-01T00:00:00Z"}
"""What settings ask to hold for all there is."""
_STATE = ("MchState", "machine_state", "C62")
_POWER, _ENERGY = ("PkW", "active_power_total", "KWT"), ("EPI", "energy_active_import", "KWH")
_FAULT = ("FltAct", "fault_active", "C62")
_PARTS = (("GoodCnt", "part_count_good", "C62"), ("RejCnt", "part_count_reject", "C62"), ("CycT", "cycle_time", "SEC"))
KINDS = {
    "injection_moulding": MachineKind("opcua", "demo-injection-moulder", 31, 6.5, 18, (
        _STATE, _FAULT, _POWER, _ENERGY, *_PARTS, ("MeltT", "melt_temperature", "CEL"), ("MldT", "mould_temperature", "CEL"))),
    "cnc": MachineKind("opcua", "opc-40501-machine-tool", 11, 2.2, 95, (
        _STATE, _FAULT, _POWER, _ENERGY, *_PARTS, ("SpdRpm", "spindle_speed", "RPM"))),
    "conveyor": MachineKind("modbus", "", 2.4, 0.3, 18, (_STATE, _POWER, _ENERGY, *_PARTS)),
    "robot": MachineKind("opcua", "opc-40010-robot", 3.1, 0.8, 18, (_STATE, _FAULT, _POWER, _ENERGY)),
    "compressor": MachineKind("modbus", "demo-air-compressor", 34, 11, 0, (
        ("RunSt", "compressor_running", "C62"), _POWER, _ENERGY, ("DisP", "discharge_pressure", "BAR"))),
    "chiller": MachineKind("modbus", "carel-uc2se", 14, 3, 0, (
        _POWER, _ENERGY, ("ChwT", "chilled_water_supply_temperature", "CEL"))),
    "energy_meter": MachineKind("modbus", "demo-energy-meter", 0, 0, 0, (
        _POWER, _ENERGY, ("PF", "power_factor_total", "C62"), ("U1", "voltage_l1_n", "VLT"))),
    "inspection_station": MachineKind("folder", "zoo/part-surface", 0, 0, 0, (
        ("verdict", "inspection_verdict", "C62"), ("score", "inspection_score", "C62"))),
}  # fmt: skip

LINES = {"苏州工厂": ("注塑线", "装配线"), "宁波工厂": ("机加线",)}
MACHINES: dict[str, tuple[str, str, str]] = {
    "注塑机-01": ("injection_moulding", "苏州工厂", "注塑线"),
    "注塑机-02": ("injection_moulding", "苏州工厂", "注塑线"),
    "注塑机-03": ("injection_moulding", "苏州工厂", "注塑线"),
    "装配输送线": ("conveyor", "苏州工厂", "装配线"),
    "取件机器人": ("robot", "苏州工厂", "装配线"),
    "视觉检测-01": ("inspection_station", "苏州工厂", "装配线"),
    "空压机-01": ("compressor", "苏州工厂", ""),
    "冷水机-01": ("chiller", "苏州工厂", ""),
    "苏州总电表": ("energy_meter", "苏州工厂", ""),
    "数控车床-01": ("cnc", "宁波工厂", "机加线"),
    "数控车床-02": ("cnc", "宁波工厂", "机加线"),
    "加工中心-01": ("cnc", "宁波工厂", "机加线"),
    "宁波总电表": ("energy_meter", "宁波工厂", ""),
}
"""Class, site and line ("" for what serves a whole site) of every machine."""
GATEWAYS = {"苏州工厂": "苏州车间网关", "宁波工厂": "宁波车间网关"}
FAULTY, DRIFTING, UNREACHABLE = "注塑机-02", "注塑机-03", "冷水机-01"
"""One that stands still with a fault now, one that rejects more from day to day, one that does not answer now."""


@dataclass
class Factory:
    """The factory once it has delivered.

    Attributes:
        names: all proper names that appear on pages: sites, lines, machines, gateways.
        inspections: newest last.
        sites, lines, equipment: ids by name.
    """

    plants: dict[str, Plant] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    inspections: list[Inspection] = field(default_factory=list)
    sites: dict[str, str] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    equipment: dict[str, str] = field(default_factory=dict)


def deliver_factory(owner: httpx.Client, agents: httpx.Client, *, seed: int = 7) -> Factory:
    """Build the factory through the API that people use (`owner` is signed in) and the uplink that agents use."""
    factory = Factory(names=sorted([*MACHINES, *LINES, *GATEWAYS.values(), *sum(LINES.values(), ())], key=len)[::-1])
    now = now_us() // 60_000_000 * 60_000_000
    random = np.random.default_rng(seed)
    factory.sites = {site["name"]: site["id"] for site in owner.get("/api/v1/sites").raise_for_status().json()}
    for site in LINES:
        if site not in factory.sites:
            made = owner.post("/api/v1/sites", json={"name": site, "time_zone": "Asia/Shanghai"})
            factory.sites[site] = made.raise_for_status().json()["id"]
        code = owner.post("/api/v1/enrolment-codes", json={"site_id": factory.sites[site]}).raise_for_status().json()
        plant = factory.plants[site] = Plant(agents)
        plant.enrol(code["code"], GATEWAYS[site])
        _deliver_site(plant, site, now, random)
        if site == "苏州工厂":
            factory.inspections = _deliver_inspections(plant, now, random)
        report_health(plant, site)
    listed = owner.get("/api/v1/equipment").raise_for_status().json()
    factory.equipment = {each["name"]: each["id"] for each in listed}
    _place(owner, factory)
    _plan_production(owner, factory)
    _await_roll_ups(owner, factory)
    return factory


def _await_roll_ups(owner: httpx.Client, factory: Factory) -> None:
    """Wait until the days behind the machines are rolled up: pages that show a week have nothing to show before."""
    end = datetime.now(UTC)
    waiting = {
        point["series_id"]
        for point in owner.get("/api/v1/points").raise_for_status().json()
        if point["property"] == "active_power_total"
    }
    deadline = time.monotonic() + 120
    while waiting and time.monotonic() < deadline:
        for series in list(waiting):
            query = {"series_id": series, "start": (end - timedelta(days=8)).isoformat(), "end": end.isoformat()}
            answer = owner.get("/api/v1/history", params={**query, "resolution": "1h"}).raise_for_status()
            if len(answer.json()["curves"][0]["samples"]) > 24:
                waiting.remove(series)
        time.sleep(0.2)
    assert not waiting, "the cloud has not rolled the factory's readings up"


def _place(owner: httpx.Client, factory: Factory) -> None:
    """Make the lines and place the machines in them."""
    for site, lines in LINES.items():
        for line in lines:
            made = owner.post("/api/v1/lines", json={"site_id": factory.sites[site], "name": line}).raise_for_status()
            factory.lines[line] = made.json()["id"]
    for name, (_, _, line) in MACHINES.items():
        if line:
            body = {"line_id": factory.lines[line]}
            owner.patch(f"/api/v1/equipment/{factory.equipment[name]}", json=body).raise_for_status()


def _plan_production(owner: httpx.Client, factory: Factory) -> None:
    """Say when work is planned and how fast machines are; hours of old days are heard of every fifteen minutes only."""
    shifts = [
        {"name_en": "Day", "name_zh": "白班", "start": "08:00", "end": "20:00", "breaks": [{"start": "12:00", "end": "12:30"}]},
        {"name_en": "Night", "name_zh": "夜班", "start": "20:00", "end": "08:00", "breaks": [{"start": "00:00", "end": "00:30"}]},
    ]  # fmt: skip
    for site in factory.sites.values():
        body = {
            "site_id": site,
            "valid_from": "2026-01-01",
            "shifts": [{**one, "weekdays": [*range(1, 7)]} for one in shifts],
        }
        owner.put("/api/v1/production/calendars", json=body).raise_for_status()
    for name, (kind, _, _) in MACHINES.items():
        if name not in factory.equipment:
            continue
        machine = f"/api/v1/production/equipment/{factory.equipment[name]}"
        owner.put(f"{machine}/settings", json={"hold_s": 1800}, params=EVER).raise_for_status()
        if KINDS[kind].cycle_s:
            rate = {"valid_from": "2026-01-01T00:00:00Z", "seconds": KINDS[kind].cycle_s}
            owner.put(f"{machine}/run-times", json=rate).raise_for_status()


def report_health(plant: Plant, site: str, *, buffered: int = 0) -> None:
    """Report how a site's gateway and its devices fare; `buffered` readings wait to be sent."""
    now = now_us()
    down = ("192.0.2.17:502 gave no answer within 2 s", "192.0.2.17:502 在 2 秒内无应答")
    devices = [
        DeviceReport(
            name, KINDS[kind].protocol, KINDS[kind].template, kind, "down" if name == UNREACHABLE else "up",
            now - 3_600_000_000, len(KINDS[kind].points), 0, *(down if name == UNREACHABLE else ("", "")),
        )
        for name, (kind, where, _) in MACHINES.items() if where == site
    ]  # fmt: skip
    health = Health(
        "0.1.0", now, now - 9 * 86_400_000_000, devices, 4_812_000, 0, 0, buffered, 1_900_000 + 40 * buffered, 2 << 30,
        now - 1_200_000_000 if buffered else 0, 5 << 30, 88 << 20, ConfigReport(version_of(CONFIGURATION)), 3, -120_000, 31.5,
    )  # fmt: skip
    reply: HealthReply = plant._post("/api/v1/uplink/health", health, HealthReply)
    if reply.wants_configuration:
        plant._post("/api/v1/uplink/configuration", ConfigurationReport(CONFIGURATION), ConfigurationKept)


def _deliver_site(plant: Plant, site: str, now: int, random: np.random.Generator) -> None:
    minutes = now - 60_000_000 * np.arange(DAYS * MINUTES_A_DAY, dtype=np.int64)[::-1]
    kilowatts = 6.0 + random.normal(0, 0.3, len(minutes))
    machines = [name for name, (kind, where, _) in MACHINES.items() if where == site and kind != "inspection_station"]
    for name in sorted(machines, key=lambda name: MACHINES[name][0] == "energy_meter"):
        kind = MACHINES[name][0]
        state = _states(name, minutes, random)
        values = _values(name, kind, state, random, total_kw=kilowatts)
        if kind != "energy_meter":
            kilowatts = kilowatts + values["PkW"]
        _deliver_machine(plant, name, KINDS[kind].points, minutes, state, values)


def _states(name: str, minutes: np.ndarray[Any, np.dtype[np.int64]], random: np.random.Generator) -> Array:
    """Return the machine's state each minute: it works but for breaks, stops and Sundays; see FAULTY for the present."""
    local = minutes // 60_000_000 + 8 * 60
    of_day, weekday = local % 1440, (local // 1440 + 3) % 7
    state = np.full(len(minutes), EXECUTING, float)
    for begin in (12 * 60, 18 * 60, 0, 4 * 60):
        state[(of_day >= begin) & (of_day < begin + 25)] = IDLE
    at = 0
    while (at := at + int(random.exponential(170)) + 20) < len(state):
        lasts = int(random.lognormal(1.9, 0.8)) + 1
        state[at : at + lasts] = OUT_OF_SERVICE if lasts > 30 else IDLE
        at += lasts
    state[(weekday == 6) & (minutes < minutes[-1] - 86_400_000_000)] = OUT_OF_SERVICE
    state[-150:] = EXECUTING
    if name == FAULTY:
        state[-22:] = IDLE
    return state


def _values(name: str, kind: str, state: Array, random: np.random.Generator, *, total_kw: Array) -> dict[str, Array]:
    about: Callable[[float, float], Array] = lambda middle, width: middle + random.normal(0, width, len(state))  # noqa: E731
    works, data = state == EXECUTING, KINDS[kind]
    wear = np.linspace(0, 1, len(state)) if name == DRIFTING else 0.0
    power = np.where(
        works, data.works_kw * (1 + 0.05 * wear), np.where(state == IDLE, data.waits_kw, 0.2 * data.waits_kw)
    )
    power = total_kw if kind == "energy_meter" else np.maximum(power + random.normal(0, 0.03, len(state)) * power, 0)
    values = {"MchState": state, "PkW": power, "EPI": 20_000 + np.cumsum(power) / 60}
    values["FltAct"] = np.zeros(len(state))
    if name == FAULTY:
        values["FltAct"][-22:] = 1
    if data.cycle_s:
        made = np.cumsum(np.where(works, 60 / data.cycle_s, 0.0))
        rejected = np.cumsum(np.where(works, 60 / data.cycle_s * (0.015 + 0.05 * wear), 0.0))
        values |= {"GoodCnt": np.floor(made - rejected), "RejCnt": np.floor(rejected)}
        values["CycT"] = about(data.cycle_s, 0.02 * data.cycle_s)
    slow = np.sin(np.arange(len(state)) / 97)
    values |= {
        "MeltT": about(231, 0.4) + 1.2 * slow + 4 * wear, "MldT": about(62, 0.2) + slow, "RunSt": works.astype(float),
        "SpdRpm": np.where(works, about(5200, 60), 0.0), "DisP": about(7.1, 0.06) + 0.2 * slow,
        "ChwT": about(9.5, 0.1) + 0.4 * slow, "PF": 0.93 + 0.02 * slow, "U1": about(231, 0.8),
    }  # fmt: skip
    return values


def _deliver_machine(
    plant: Plant,
    name: str,
    points: Sequence[tuple[str, str, str]],
    minutes: np.ndarray[Any, np.dtype[np.int64]],
    state: Array,
    values: dict[str, Array],
) -> None:
    coarse = np.zeros(len(minutes), bool)
    coarse[::COARSE_MIN], coarse[-MINUTES_A_DAY::FINE_MIN], coarse[-1] = True, True, True
    changed = np.r_[True, np.diff(state) != 0]
    parts = [(number, np.flatnonzero(coarse | changed if code == "machine_state" else coarse))
             for number, (_, code, _) in enumerate(points)]  # fmt: skip
    rows = np.concatenate([rows for _, rows in parts])
    point = np.repeat(np.arange(len(points)), [len(rows) for _, rows in parts])
    value = np.concatenate([values[points[number][0]][rows].round(3) for number, rows in parts])
    bad = (rows >= len(minutes) - 60) & (name == UNREACHABLE)
    order = np.argsort(minutes[rows], kind="stable")
    columns = Columns(
        [PointRef(name, *each) for each in points],
        point[order].astype("<u4").tobytes(),
        minutes[rows][order].astype("<i8").tobytes(),
        np.where(bad, np.nan, value)[order].astype("<f8").tobytes(),
        np.where(bad, int(BAD_NO_COMMUNICATION), int(GOOD))[order].astype("<i2").tobytes(),
        np.full(len(rows), 3000, "<u4").tobytes(),
    )
    plant.deliver(Batch(columns=columns))


def _deliver_inspections(plant: Plant, now: int, random: np.random.Generator) -> list[Inspection]:
    """Deliver an inspection every 40 minutes; the last two dozen with their pictures."""
    drawn = {scratched: [inspection_of(n, now, defect=scratched) for n in range(4)] for scratched in (False, True)}
    made = []
    for number, time_us in enumerate(range(now - DAYS * 86_400_000_000, now, 2400 * 1_000_000)):
        luck = random.random()
        score = (
            random.uniform(5, 8)
            if luck < 0.05
            else random.uniform(3.1, 4.4)
            if luck < 0.1
            else random.uniform(0.4, 2.6)
        )
        judged = drawn[score >= REJECT_LIMIT][number % 4]
        verdict = "reject" if score >= REJECT_LIMIT else "review" if score >= REVIEW_LIMIT else "pass"
        kept = {} if time_us > now - 24 * 2400 * 1_000_000 else {"picture": b"", "heatmap": b""}
        made.append(
            msgspec.structs.replace(
                judged,
                id=str(uuid7()),
                device="视觉检测-01",
                time=time_us,
                part=f"P-{number:05d}",
                verdict=verdict,
                score=score,
                **kept,
            )
        )
    for first in range(0, len(made), 100):
        plant.deliver(Batch(inspections=made[first : first + 100]))
    return made
