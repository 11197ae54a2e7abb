"""Agent and uplink killed at random instants of an outage that comes and goes; then every number is looked for."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_agent.identity import enrol
from tests.doubles.cloud import CODE, SWALLOW, CloudDouble

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
FEW, MANY = 6, 100


async def test_agent_and_uplink_killed_at_random(
    tmp_path: Path, pytestconfig: pytest.Config, record_property: Callable[[str, object], None]
) -> None:
    """kill -9 at random instants of an outage: 100 times in `make faults`, a few in the suite"""
    kills = MANY if pytestconfig.getoption("markexpr") == "faults" else FEW
    generator = random.Random(1500)
    cloud = CloudDouble()
    await cloud.start()
    await enrol(tmp_path, cloud.url, CODE, "killed")
    promised = 0
    for _ in range(kills):
        match generator.randrange(4):
            case 0:
                await cloud.stop()
            case 1:
                cloud.faults.append(SWALLOW)
        agent = await started(tmp_path, cloud.url, 0)
        promised = max(promised, await line(agent))
        if generator.random() < 0.5:
            await asyncio.sleep(generator.uniform(0, 0.2))
            await cloud.stop()
        await asyncio.sleep(generator.uniform(0, 0.3))
        agent.kill()
        out, _ = await agent.communicate()
        promised = max([promised, *map(int, out.split(b"\n")[:-1])])
        await cloud.stop()
        await cloud.start()
    cloud.faults.clear()
    last = await started(tmp_path, cloud.url, promised + 100)
    out, err = await asyncio.wait_for(last.communicate(), 120)
    assert (last.returncode, b"Traceback" in err) == (0, False), err
    collected = int(out.split()[-1])
    await cloud.stop()

    assert collected >= promised, "nothing that was on disk is lost"
    assert sorted(int(time) for _, time, *_ in cloud.readings()) == list(range(collected)), "each once, none missing"
    last_of: dict[str, float] = defaultdict(lambda: -1.0)
    for _, batch in sorted(cloud.ledger.items()):
        if (columns := batch.columns) is not None:
            values = np.frombuffer(columns.value, "<f8")
            for point, value in zip(np.frombuffer(columns.point, "<u4"), values, strict=True):
                name = columns.points[point].name
                assert value > last_of[name], "a tag's readings are in order of their numbers"
                last_of[name] = float(value)
    assert len({epoch for epoch, _ in cloud.ledger}) == 1
    record_property("figure", f"{kills} kills: 0 of {collected:,} readings lost, 0 twice")


async def started(state_dir: Path, url: str, most: int) -> Process:
    arguments = ("-m", "tests.faults.killed_agent", str(state_dir), url, str(most))
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE, stderr=PIPE, cwd=ROOT)


async def line(process: Process) -> int:
    assert process.stdout is not None
    said = await asyncio.wait_for(process.stdout.readline(), 60)
    if not said:
        _, err = await process.communicate()
        pytest.fail(err.decode())
    return int(said)
