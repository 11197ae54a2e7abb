"""Three kinds of dead link between an agent and the cloud, each in a network namespace of its own; then every number is counted.

Pulled: the cable is out. Black hole: the way is refused at once. Silent: what is sent goes nowhere and nobody says so.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_agent.buffer_care import peek
from edge_agent.identity import enrol
from tests.doubles.cloud import CODE, CloudDouble

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
SHORT_S, LONG_S = 3.0, 20.0
"""How long a link stays dead after it was noticed: in the suite, and in `make faults`."""
NOWHERE = "02:00:00:00:de:ad"


@dataclass
class Link:
    """A pair of interfaces: `near` is the cloud's here, the other one the agent's in the namespace `space`."""

    space: str
    near: str
    here: str
    there: str

    def make(self) -> None:
        """Make it, up and with addresses."""
        far = f"{self.near}f"
        ip("netns", "add", self.space)
        ip("link", "add", self.near, "type", "veth", "peer", "name", far, "netns", self.space)
        ip("address", "add", f"{self.here}/30", "dev", self.near)
        ip("link", "set", self.near, "up")
        ip("-n", self.space, "address", "add", f"{self.there}/30", "dev", far)
        ip("-n", self.space, "link", "set", far, "up")

    def die(self, kind: str) -> None:
        """Let it die in this way."""
        if kind == "pulled":
            ip("link", "set", self.near, "down")
        elif kind == "black hole":
            ip("-n", self.space, "route", "add", "blackhole", f"{self.here}/32")
        else:
            ip("-n", self.space, "neighbour", "replace", self.here, "lladdr", NOWHERE, "dev", f"{self.near}f")

    def live(self, kind: str) -> None:
        """Mend it."""
        if kind == "pulled":
            ip("link", "set", self.near, "up")
        elif kind == "black hole":
            ip("-n", self.space, "route", "delete", "blackhole", f"{self.here}/32")
        else:
            ip("-n", self.space, "neighbour", "delete", self.here, "dev", f"{self.near}f")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True)


@pytest.fixture
def links() -> Iterator[list[Link]]:
    """Three links; skipped where none can be made."""
    pid = os.getpid()
    made = [
        Link(f"sunmao-{pid}-{n}", f"sm{pid}{n}", f"10.84.{pid % 256}.{4 * n + 1}", f"10.84.{pid % 256}.{4 * n + 2}")
        for n in range(3)
    ]
    try:
        for link in made:
            link.make()
        yield made
    except (OSError, subprocess.CalledProcessError) as error:
        why = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        pytest.skip(f"DEAD LINKS ARE NOT TESTED: no network namespaces here: {why}")
    finally:
        for link in made:
            with suppress(OSError):
                subprocess.run(["ip", "link", "delete", link.near], capture_output=True, check=False)
                subprocess.run(["ip", "netns", "delete", link.space], capture_output=True, check=False)


async def test_a_dead_link_of_each_kind_loses_and_doubles_nothing(
    links: list[Link],
    tmp_path: Path,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    """a dead link of three kinds - pulled, black hole, silent - in network namespaces: noticed, mended, caught up"""
    kinds = ("pulled", "black hole", "silent")
    dead_s = LONG_S if pytestconfig.getoption("markexpr") == "faults" else SHORT_S
    said = await asyncio.gather(
        *(_outage(link, kind, tmp_path / kind, dead_s) for link, kind in zip(links, kinds, strict=True))
    )
    record_property("figure", f"0 lost, 0 twice; {'; '.join(said)}")


async def _outage(link: Link, kind: str, state_dir: Path, dead_s: float) -> str:
    cloud = CloudDouble(host=link.here)
    await cloud.start()
    await enrol(state_dir, cloud.url, CODE, "cut off")
    async with _started(link, state_dir, cloud.url, 0) as agent:
        said = asyncio.create_task(agent.stdout.read())
        arrived = Arrived(cloud)
        await _until(lambda: len(arrived.numbers()) > 500, f"{kind}: readings")

        link.die(kind)
        cut = time.monotonic()
        announced = peek(state_dir / "buffer.db").state.events
        await _until(lambda: peek(state_dir / "buffer.db").state.events > announced, f"{kind}: noticed")
        noticed_s = time.monotonic() - cut
        await asyncio.sleep(dead_s)

        held = peek(state_dir / "buffer.db").state.collected
        link.live(kind)
        mended = time.monotonic()
        await _until(lambda: max(arrived.numbers()) >= held, f"{kind}: new readings")
        back_s, behind = time.monotonic() - mended, len(set(range(held)) - arrived.known)
        await _until(
            lambda: len(arrived.numbers()) >= held and arrived.known >= set(range(held)), f"{kind}: the backlog"
        )
        caught_up_s = time.monotonic() - mended

        agent.kill()
        promised = int((await said).split(b"\n")[-2])
    async with _started(link, state_dir, cloud.url, promised + 100) as last:
        out, err = await asyncio.wait_for(last.communicate(), 120)
    await cloud.stop()
    assert (last.returncode, b"Traceback" in err) == (0, False), err
    assert arrived.numbers() == set(range(int(out.split()[-1]))), "none missing"
    assert arrived.count == len(arrived.known), "each once"
    assert behind > 0, "what is new does not wait for what is old"
    return (
        f"{kind}: noticed after {noticed_s:.0f} s, new values {back_s:.0f} s after it was mended,"
        f" {behind:,} behind caught up after {caught_up_s:.0f} s"
    )


class Arrived:
    """The numbers that have come to a cloud: `known`, and the `count` of those that came."""

    def __init__(self, cloud: CloudDouble) -> None:
        self._cloud = cloud
        self._looked_at = set[tuple[str, int]]()
        self.known = set[int]()
        self.count = 0

    def numbers(self) -> set[int]:
        """Return those known by now."""
        for key in self._cloud.ledger.keys() - self._looked_at:
            self._looked_at.add(key)
            if (columns := self._cloud.ledger[key].columns) is not None:
                times = memoryview(columns.source_time).cast("q")
                self.count += len(times)
                self.known.update(times)
        return self.known


async def _until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(150):
            while not condition():  # noqa: ASYNC110 - another process's file
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"waited in vain for {what}")


@asynccontextmanager
async def _started(link: Link, state_dir: Path, url: str, most: int) -> AsyncIterator[asyncio.subprocess.Process]:
    command = ("ip", "netns", "exec", link.space, sys.executable, "-m", "tests.faults.killed_agent")
    agent = await asyncio.create_subprocess_exec(
        *command, str(state_dir), url, str(most), stdout=PIPE, stderr=PIPE, cwd=ROOT
    )
    try:
        yield agent
    finally:
        with suppress(ProcessLookupError):
            agent.kill()
        await agent.wait()
