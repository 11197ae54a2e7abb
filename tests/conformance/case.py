"""What the conformance suite has to know of one protocol. A protocol joins by a file `<protocol>_case.py` here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from protocols.catalogue import driver_class, simulator_class
from protocols.driver import Driver, PointConfig, Simulator
from protocols.reading import Value

Values = Callable[[], Mapping[str, Value]]


@dataclass(frozen=True)
class DriverCase:
    """One protocol, or one manner of speaking it.

    name: of the case. protocol: of the catalogue.
    points, values: what the simulator serves, one point for each kind of value the protocol carries; a value of None
    must arrive with bad quality. other_values: a second set, no value equal to that in `values`.
    absent: a point the simulator does not serve.
    address: "host:port" of 127.0.0.1 as `Simulator.start` returns it, for a given port.
    connection: the fields of a connection to such an address.
    refused_connections, refused_points: fields the models or the driver must refuse before any network is touched.
    nonsense: what a peer sends that does not speak the protocol, in answer to anything.
    program: one the simulator needs; where it is not installed, tests with a simulator are skipped.
    simulator_options: passed to the simulator; it must show new values at once and take `port`.
    goodbye: the device itself tells that it goes, before its link ends.
    serial: the device is reached over a serial port that leads to the simulator, or to the peer, on TCP.
    """

    name: str
    protocol: str
    points: Sequence[PointConfig]
    values: Mapping[str, Value]
    other_values: Mapping[str, Value]
    absent: PointConfig
    address: Callable[[int], str]
    connection: Callable[[str], Mapping[str, Any]]
    refused_connections: Sequence[Mapping[str, Any]]
    refused_points: Sequence[Mapping[str, Any]]
    nonsense: bytes
    program: str | None = None
    simulator_options: Mapping[str, Any] = field(default_factory=dict)
    goodbye: bool = False
    serial: bool = False

    def simulator(self, values: Values, port: int = 0) -> Simulator:
        """Return a simulator of `points`, not started."""
        return simulator_class(self.protocol)(self.points, values, port=port, **self.simulator_options)

    def driver(self, address: str, points: Sequence[PointConfig] | None = None, **fields: Any) -> Driver:
        """Return a driver for `points` (the case's own if none are given) at `address`, not open."""
        kind = driver_class(self.protocol)
        connection = kind.Connection.model_validate({**self.connection(address), **fields})
        return kind("device-1", connection, self.points if points is None else points)
