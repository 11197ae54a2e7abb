"""The joint under violence: real processes are killed or cut off while data flows, then everything is counted."""

from __future__ import annotations

import psutil
import pytest

from tests.faults.conftest import NOTHING_LOST, Joint

pytestmark = pytest.mark.faults


def test_agent_killed_in_mid_stream(joint: Joint) -> None:
    """kill -9 of the agent, three times while it reads and sends"""
    for _ in range(3):
        joint.platform.start_agent()
        reached = joint.stored()["readings"]
        joint.until(lambda reached=reached: joint.stored()["readings"] > reached + 100, "readings in the cloud")
        joint.platform.plant.kill("agent")
    joint.platform.start_agent()
    assert joint.close() == NOTHING_LOST


def test_cloud_killed_in_mid_stream(joint: Joint) -> None:
    """kill -9 of the cloud and its database, twice while they store"""
    joint.platform.start_agent()
    for _ in range(2):
        reached = joint.stored()["readings"]
        joint.until(lambda reached=reached: joint.stored()["readings"] > reached + 100, "readings in the cloud")
        killed = joint.platform.family("cloud")
        for process in killed:
            process.kill()
        joint.platform.plant.processes.pop("cloud").wait()
        psutil.wait_procs(killed, 30)
        collected = joint.collected()
        joint.until(lambda collected=collected: joint.collected() > collected + 100, "readings during the outage")
        joint.platform.start_cloud()
    assert joint.close() == NOTHING_LOST


def test_cloud_away_for_a_while(joint: Joint) -> None:
    """the cloud is stopped and comes back: one line each, nothing lost"""
    joint.platform.start_agent()
    joint.until(lambda: joint.collected() > 100, "readings")
    joint.platform.plant.stop("cloud")
    joint.until(lambda: any(joint.platform.url in line for line in joint.log()), "the line that says so")
    collected = joint.collected()
    joint.until(lambda: joint.collected() > collected + 300, "readings during the outage")
    joint.platform.start_cloud()
    joint.until(lambda: joint.platform.buffer()["rows"] < 100, "the backlog to go")
    said = joint.log()
    assert sum(joint.platform.url in line for line in said) == 1, said
    assert joint.close() == NOTHING_LOST
