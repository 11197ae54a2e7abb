"""Serves a simulated device of the library over its real protocol, until stopped: `sunmao-edge simulate`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from protocols.catalogue import simulator_class
from protocols.driver import Simulator
from protocols.library.physics import behaviour
from protocols.library.templates import load_template
from protocols.reading import now_us
from protocols.text import Language, Text


def simulate(
    device: str,
    *,
    port: int = 0,
    seed: int = 1,
    start: int | None = None,
    load: Sequence[str] = (),
    tick: float = 0.1,
    as_json: bool = False,
    language: Language = "en",
) -> None:
    """Serve `device` on 127.0.0.1, say where in one line of standard output, and return after SIGINT or SIGTERM.

    Args:
        device: id of a template in the library, or the path of one.
        port: TCP port; 0 lets the system choose.
        seed: simulators with the same seed and start agree with each other.
        start: when the simulated workshop started, microseconds UTC; now where None.
        load: templates of the machines whose power an energy meter measures.
        tick: how often values change, in seconds.
        as_json: write the line as a JSON object: device, protocol, address, seed, start.
        language: of the line where it is not JSON.

    Raises ConfigError for a template, load or port that cannot be used.
    """
    begun = now_us() if start is None else start
    template = load_template(device)
    protocol = template.device.protocol
    values = behaviour(template, seed, begun, [load_template(name) for name in load])
    # A server of a companion specification is known by its namespaces, a Modbus device by what it says of itself.
    said: dict[str, Any] = {"namespaces": template.fingerprint.namespaces} if protocol == "opcua" else {}
    if protocol == "modbus" and template.fingerprint.identification:
        said = {"identity": (template.device.manufacturer, template.fingerprint.identification[0])}
    points = (*template.points, *template.signs)
    simulator = simulator_class(protocol)(points, lambda: values(now_us()), port=port, tick_s=tick, **said)

    def announce(address: str) -> None:
        found = {"device": device, "protocol": protocol, "address": address, "seed": seed, "start": begun}
        line = Text(
            f"{device} answers on {address} ({protocol}), seed {seed}, start {begun}; Ctrl-C ends it",
            f"{device} 已在 {address}({protocol})提供服务，种子 {seed}，起点 {begun}；按 Ctrl-C 结束",
        )
        sys.stdout.write((json.dumps(found) if as_json else line.to(language)) + "\n")
        sys.stdout.flush()

    asyncio.run(_serve(simulator, announce))


async def _serve(simulator: Simulator, announce: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    announce(await simulator.start())
    try:
        await stop.wait()
    finally:
        await simulator.stop()
