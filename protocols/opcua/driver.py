"""The OPC UA driver: subscription first, polling where a server has none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

from protocols.driver import BrowsedPoint, Deliver, Samples
from protocols.errors import Refused
from protocols.opcua.browse import browse
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.opcua.history import read_history
from protocols.opcua.paths import Nodes
from protocols.opcua.read import read_arrays, read_points
from protocols.opcua.session import Session
from protocols.opcua.subscription import Subscriptions
from protocols.opcua.write import write_value
from protocols.reading import Reading, Value
from protocols.text import Text


class OpcuaDriver:
    """Talks to one OPC UA server. See `protocols.driver.Driver` for the promises."""

    Connection: ClassVar[type[OpcuaConnection]] = OpcuaConnection
    Point: ClassVar[type[OpcuaPoint]] = OpcuaPoint
    subscribes: ClassVar[bool] = True

    def __init__(self, device: str, connection: OpcuaConnection, points: Sequence[OpcuaPoint]) -> None:
        self._device = device
        self._connection = connection
        self._session = Session(device, connection)
        self._points = points
        self._nodes = Nodes(self._session, connection.machine)
        self._subscriptions = Subscriptions(device, connection, self._session, self._nodes)

    async def open(self) -> None:
        """Connect, log in, learn the server's namespaces and limits, find the points that are given by their place."""
        await self._session.open()
        with self._session.failures_named():
            await self._nodes.find(self._points)

    async def read(self, points: Sequence[OpcuaPoint]) -> list[Reading]:
        """Read `points` once, in requests the server allows; a node it does not know is BadNodeIdUnknown."""
        with self._session.failures_named():
            return await read_points(self._session, self._nodes, points)

    async def subscribe(self, points: Sequence[OpcuaPoint], period_s: float, deliver: Deliver) -> None:
        """Have changes of `points` delivered; raises Refused if the server or the configuration wants polling."""
        if self._connection.mode == "poll":
            raise Refused(Text('mode = "poll" is configured', '配置为轮询（mode = "poll"）'), key=self._device)
        with self._session.failures_named():
            await self._subscriptions.add(points, period_s, deliver)

    async def watch(self) -> None:
        """Wait while the session and its subscriptions live; keep-alives and data both count as signs of life."""
        with self._session.failures_named():
            await self._subscriptions.watch()

    async def browse(self) -> AsyncIterator[BrowsedPoint]:
        """Yield the variables under the server's Objects folder, without those describing the server itself."""
        with self._session.failures_named():
            async for point in browse(self._session):
                yield point

    async def history(self, points: Sequence[OpcuaPoint], start: int, end: int) -> AsyncIterator[Sequence[Reading]]:
        """Yield what the server has kept of `points` from `start` to `end`, at most `history_s` back from `end`."""
        start = max(start, end - int(self._connection.history_s * 1e6))
        if start < end:
            with self._session.failures_named():
                async for page in read_history(self._session, self._nodes, points, start, end):
                    yield page

    async def read_arrays(self, points: Sequence[OpcuaPoint]) -> list[Samples]:
        """Read the arrays of `points` once; what is no array of finite numbers is BadTypeMismatch."""
        with self._session.failures_named():
            return await read_arrays(self._session, self._nodes, points)

    def counters(self) -> dict[str, int]:
        """Return "overflows": readings before which changes were lost in the server's queue."""
        return {"overflows": self._subscriptions.overflows}

    def notices(self) -> list[Text]:
        """Return what a person should know: a certificate that ends soon, deadbands and items the server refuses."""
        return [*self._session.notices, *self._subscriptions.notices]

    async def write(self, point: OpcuaPoint, value: Value) -> None:
        """Write `value` to the node of `point`, in the node's type; see `protocols.opcua.write`."""
        point.check_write(value)
        await write_value(self._session, self._nodes, self._device, point, value)

    async def close(self) -> None:
        """End subscriptions and session."""
        await self._subscriptions.close()
        await self._session.close()
