"""Evaluating 500 alarm rules while 10,000 points deliver a reading a second: readings per second of processor time.

The evaluation's own process and the database server are counted together, without the ingest. 20 rules watch all points
of an entry, 480 one point each, so every reading is under a rule and each second some sources go beyond their limits and
come back. The limit is what one core would have to do: 10,000 readings in a second of processor time.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil

from cloud.alarms.schemas import RuleRequest
from cloud.core.db import Database, prepare
from cloud.core.embedded import EmbeddedPostgres
from cloud.core.settings import load_secrets
from protocols.dictionary.entries import load_dictionary
from protocols.reading import GOOD
from protocols.uplink.codec import encode
from protocols.uplink.messages import Batch, Columns, Delivery, Frame, PointRef
from tests.benchmarks.comparison import Comparison
from tests.cloud.alarms.conftest import Plant, make_plant

MACHINES, POINTS, RULES, SECONDS = 100, 100, 500, 60
ENTRIES = [entry for entry in load_dictionary().values() if entry.data_type == "REAL_MEASURE"][:20]


async def _rules(plant: Plant) -> None:
    series = [point.series_id for point in await plant.doors.telemetry.points(plant.scope)]
    limits = {"kind": "threshold", "high_high": 140.0, "high": 135.0, "low": 65.0, "deadband": 2.0}
    selections = [{"property": entry.code} for entry in ENTRIES]
    selections += [{"series_id": one} for one in series[: RULES - len(ENTRIES)]]
    requests = [
        (
            RuleRequest.model_validate(
                {"name": f"rule {n}", "selection": selection, "condition": limits, "on_delay_s": 2}
            ),
            "",
        )
        for n, selection in enumerate(selections)
    ]
    check, plant.alarms.rules._check = plant.alarms.rules._check, _unchecked  # type: ignore[method-assign,assignment]
    await plant.alarms.rules.create_all(plant.principal, requests)
    plant.alarms.rules._check = check  # type: ignore[method-assign]


async def _unchecked(*_: object) -> None:
    """What is made here is right; looking 10,000 points up 500 times is not what is measured."""


async def _deliver(plant: Plant, points: list[PointRef], values: np.ndarray) -> None:
    count = len(points)
    columns = Columns(
        points=points,
        point=np.arange(count, dtype="<u4").tobytes(),
        source_time=np.full(count, int(plant.at.timestamp() * 1e6), "<i8").tobytes(),
        value=values.astype("<f8").tobytes(),
        quality=np.full(count, GOOD, "<i2").tobytes(),
        delay=np.zeros(count, "<i4").tobytes(),
    )
    plant.seq += 1
    frame = Frame(plant.seq, encode(Batch(columns=columns)))
    receipt = await plant.doors.telemetry.deliver(plant.agent, Delivery(str(plant.agent.agent_id), [frame]))
    assert receipt.stored == [plant.seq]


def _processor_s(server: psutil.Process) -> float:
    processes = [psutil.Process(), server, *server.children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def _evaluate(dsn: str, server: psutil.Process) -> tuple[float, int]:
    async with Database(dsn) as db:
        plant = await make_plant(db)
        points = [
            PointRef(f"machine-{machine}", f"P{n:03d}", ENTRIES[n % len(ENTRIES)].code, ENTRIES[n % len(ENTRIES)].unit)
            for machine in range(MACHINES)
            for n in range(POINTS)
        ]
        random = np.random.default_rng(7)
        values = np.full(len(points), 100.0)
        await _deliver(plant, points, values)
        await _rules(plant)
        await plant.run()
        spent = 0.0
        for second in range(SECONDS):
            plant.at += timedelta(seconds=1)
            if second % 20 == 0:
                await plant.heard()
            values += random.normal(0, 3, len(points)) - 0.02 * (values - 100)
            await _deliver(plant, points, values)
            before = _processor_s(server)
            await plant.run()
            spent += _processor_s(server) - before
        statistics = await plant.alarms.statistics(
            plant.scope, plant.at - timedelta(days=1), plant.at + timedelta(days=1)
        )
        assert statistics.raised > 0
        return spent, statistics.raised


def measure() -> Comparison:
    with tempfile.TemporaryDirectory(prefix="sunmao-bench-") as folder:
        secrets = load_secrets(Path(folder))
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        try:
            dsn = prepare(postgres.start(), secrets.database_password)
            pid = int((Path(folder) / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            spent, raised = asyncio.run(_evaluate(dsn, psutil.Process(pid)))
        finally:
            postgres.stop()
    count = MACHINES * POINTS
    print(f"{spent / SECONDS:.2f} s of processor time for each second; {raised} alarms raised", file=sys.stderr)
    what = f"{count:,} readings in a second, of which {RULES} rules watch every one"
    ours = count * SECONDS / spent
    return Comparison("alarms", what, "readings/CPU s", round(ours, 1), count, round(ours / count, 3))
