"""One cloud and one simulated meter for all faults; every test has an agent of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.platform import Platform
from deploy.demo.processes import Plant, free_port, wait_until
from edge_agent.buffer_care import peek
from protocols.text import Text

METER = "demo-energy-meter"
LOADS = ("--load", "demo-injection-moulder", "--load", "demo-air-compressor")


class Joint:
    """An agent that reads the meter and hands to the cloud.

    Attributes:
        platform: the cloud, shared; its `config` is this agent's.
        meter: address of the simulated meter.
    """

    def __init__(self, platform: Platform, meter: str, name: str) -> None:
        self.platform = platform
        self.meter = meter
        self.name = name
        platform.config = Path(f"{name}.toml")
        self.figure = "one line, no traceback"
        self._state_dir = f"state-{name}"
        self._before = self.stored()
        log = platform.plant.log("agent")
        self._said_before = log.stat().st_size if log.exists() else 0

    def configure(self, *, state_dir: str = "", address: str = "") -> None:
        """Write the agent's configuration: one meter, ten times a second. A state directory once given is kept."""
        self._state_dir = state_dir or self._state_dir
        devices = [(f"meter-{self.name}", METER, address or self.meter)]
        self.platform.write_config(devices, state_dir=self._state_dir)
        path = self.platform.plant.folder / self.platform.config
        path.write_text(path.read_text().replace("[device.connection]", "period_s = 0.1\n[device.connection]"))

    def stored(self) -> Any:
        """Return what the cloud holds of the tenant."""
        return self.platform.get("/telemetry/stats")

    def collected(self) -> int:
        """Return what the agent has made durable."""
        file = self.platform.plant.folder / self._state_dir / "buffer.db"
        return peek(file).state.collected if file.exists() else 0

    def until(self, condition: Callable[[], object], what: str, deadline_s: float = 60) -> None:
        """Wait for `condition` while every process lives."""
        wait_until(condition, deadline_s, Text(what, what), self.platform.plant.check)

    def log(self) -> list[str]:
        """Return what the agent has said."""
        return self.platform.plant.log("agent").read_bytes()[self._said_before :].decode().splitlines()

    def close(self) -> dict[str, int]:
        """End the agent with an empty buffer and return the differences that must be zero."""
        plant = self.platform.plant
        plant.stop("agent")
        # What was read in the last moment is on disk and not yet sent: runs that find no meter hand it over.
        self.configure(address=f"127.0.0.1:{free_port()}")
        buffer = self.platform.buffer()
        while buffer["frames"]:
            self.platform.start_agent()
            self.platform.drain()
            plant.stop("agent")
            buffer = self.platform.buffer()
        state = buffer["state"]
        now = self.stored()
        lost = state["collected"] - (now["readings"] - self._before["readings"])
        self.figure = f"{lost} of {state['collected']:,} readings lost, {now['duplicates']} twice"
        return {
            "lost": lost,
            "dropped": state["dropped"],
            "set aside": state["set_aside"],
            "duplicates": now["duplicates"],
            "ledger": now["readings"] - now["ledger_readings"],
        }


NOTHING_LOST = {"lost": 0, "dropped": 0, "set aside": 0, "duplicates": 0, "ledger": 0}


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running cloud with one tenant."""
    with Plant(tmp_path_factory.mktemp("faults")) as plant:
        platform = Platform(plant)
        platform.start_cloud()
        platform.create_tenant()
        yield platform
        platform.client.close()


@pytest.fixture(scope="session")
def meter(platform: Platform) -> str:
    """Address of a simulated energy meter."""
    return platform.simulate("meter", METER, *LOADS)


@pytest.fixture(scope="session")
def names() -> Iterator[str]:
    """Names no other agent has."""
    return (f"agent-{number}" for number in count(1))


@pytest.fixture
def joint(
    platform: Platform, meter: str, names: Iterator[str], record_property: Callable[[str, object], None]
) -> Iterator[Joint]:
    """An agent of this test alone, configured and enrolled; ended with the test."""
    joint = Joint(platform, meter, next(names))
    joint.configure()
    platform.enrol()
    yield joint
    record_property("figure", joint.figure)
    if "agent" in platform.plant.processes:
        platform.plant.stop("agent")
