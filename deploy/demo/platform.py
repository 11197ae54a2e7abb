"""The joint itself, brought up through its public commands: cloud, people, agent. The demo and the fault tests share it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import psutil

from deploy.demo.processes import Plant, free_port, wait_until
from protocols.text import Text

EMAIL, PASSWORD = "manager@demo.example", "sunmao-demo-2026"
TENANT, SITE = "示范塑胶 Demo Plastics", "一号车间 Workshop 1"


class Platform:
    """A cloud with one tenant, and an agent, as processes of `plant`; on the embedded database, or the one at `dsn`."""

    def __init__(self, plant: Plant, dsn: str | None = None) -> None:
        self.plant = plant
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = Path("cloud")
        self._where = ("--data", self.data, *(("--dsn", dsn) if dsn else ()))
        self.config = Path("agent.toml")
        self.client = httpx.Client(base_url=f"{self.url}/api/v1", timeout=10)

    def start_cloud(self) -> None:
        """Start the cloud and wait until it answers."""
        self.plant.start("cloud", "sunmao-cloud", "serve", *self._where, "--port", str(self.port))
        wait_until(self._ready, 60, Text("the cloud", "云端就绪"), self.plant.check)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def create_tenant(self) -> None:
        """Make the company, its site and its manager, and sign in as the manager."""
        self.plant.run("sunmao-cloud", "tenant", "create", "--name", TENANT, "--site", SITE, *self._where)
        user = ("user", "create", "--email", EMAIL, "--password-stdin", *self._where)
        self.plant.run("sunmao-cloud", *user, answer=f"{PASSWORD}\n")
        session = self.client.post("/sessions", json={"email": EMAIL, "password": PASSWORD})
        session.raise_for_status()
        self.client.headers["Authorization"] = f"Bearer {session.json()['token']}"

    def code(self) -> str:
        """Make a one-time code in the cloud."""
        return str(self.plant.run("sunmao-cloud", "code", "create", *self._where)["code"])

    def enrol(self) -> None:
        """Make a one-time code in the cloud and hand it to the agent."""
        self.plant.run("sunmao-edge", "enrol", self.code(), "--config", self.config)

    def simulate(self, name: str, template: str, *options: str) -> str:
        """Start a simulated device and return the address it answers on."""
        self.plant.start(name, "sunmao-edge", "simulate", template, *options, "--json")
        line = wait_until(
            lambda: self.plant.last_line(name),
            30,
            Text(f"the simulator of {name}", f"模拟设备 {name}"),
            self.plant.check,
        )
        return str(json.loads(line)["address"])

    def write_config(self, devices: Iterable[tuple[str, str, str]], extra: str = "", state_dir: str = "state") -> None:
        """Write the agent's TOML: `devices` are (name, template, address), `extra` goes at the end."""
        tables = [f'[agent]\nname = "workshop-1"\nstate_dir = "{state_dir}"\n\n[cloud]\nurl = "{self.url}"\n']
        for name, template, address in devices:
            if address.startswith("opc.tcp://"):
                connection = f'endpoint = "{address}"\nsecurity = "none"'
            else:
                host, _, port = address.rpartition(":")
                connection = f'host = "{host}"\nport = {port}'
            tables.append(f'[[device]]\nname = "{name}"\ntemplate = "{template}"\n[device.connection]\n{connection}\n')
        (self.plant.folder / self.config).write_text("\n".join([*tables, extra]), encoding="utf-8")

    def start_agent(self) -> None:
        """Start the agent."""
        self.plant.start("agent", "sunmao-edge", "run", "--config", self.config)

    def buffer(self) -> Any:
        """Return the agent's durable counters and what waits in its buffer."""
        return self.plant.run("sunmao-edge", "buffer", "stats", "--config", self.config)

    def get(self, path: str, **parameters: str | int) -> Any:
        """Return the answer of the public API."""
        answer = self.client.get(path, params=parameters)
        answer.raise_for_status()
        return answer.json()

    def drain(self, deadline_s: float = 60) -> tuple[Any, Any]:
        """Wait until the agent has nothing left to send; return its counters and the cloud's figures of that moment.

        An agent that runs still collects - when a device goes, a last bad reading of each point - so the counters must
        be the same before and after the cloud was asked.
        """

        def drained() -> tuple[Any, Any] | None:
            before = self.buffer()
            stored = self.get("/telemetry/stats")
            done = before["rows"] == before["frames"] == 0 and self.buffer()["state"] == before["state"]
            return (before["state"], stored) if done else None

        return wait_until(drained, deadline_s, Text("an empty buffer", "缓存清空"), self.plant.check)

    def family(self, name: str) -> list[psutil.Process]:
        """Return the process `name`, its children, and for the cloud those of its embedded database."""
        first = [self.plant.processes[name].pid]
        if name == "cloud":
            first.append(int((self.plant.folder / self.data / "postgres" / "postmaster.pid").read_text().split()[0]))
        return [one for pid in first for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]

    def memory_mb(self, name: str) -> float:
        """Return the memory of the family of `name` in megabytes.

        Proportional set size: a page that several processes share counts once in their sum.
        """
        return round(sum(one.memory_full_info().pss for one in self.family(name)) / 1e6, 1)
