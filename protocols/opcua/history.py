"""Reads what a server has kept of its variables: raw values in pages, with their source times (Part 11, 6.5.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from asyncua import ua
from asyncua.ua import uaerrors

from protocols.opcua.codec import decode
from protocols.opcua.config import OpcuaPoint
from protocols.opcua.paths import Nodes
from protocols.opcua.session import Session
from protocols.reading import Reading, now_us
from protocols.text import Text

NODES = 10
VALUES = 1000
"""Nodes in one request and values of each in one answer: far below the largest message taken, soon answered."""

_NO_HISTORY = (
    uaerrors.BadHistoryOperationUnsupported,
    uaerrors.BadHistoryOperationInvalid,
    uaerrors.BadServiceUnsupported,
    uaerrors.BadNotImplemented,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_READABLE = 0x04
"""HistoryRead in the attribute AccessLevel (Part 3, 8.57)."""


class _Wanted(NamedTuple):
    """What is still to be read of one point. Times in microseconds UTC; `more` is the server's continuation point."""

    point: OpcuaPoint
    node: ua.NodeId
    start: int
    more: bytes | None = None


async def read_history(
    session: Session, nodes: Nodes, points: Sequence[OpcuaPoint], start: int, end: int
) -> AsyncIterator[list[Reading]]:
    """Yield the raw values from `start` to `end` of those of `points` whose nodes keep history, a page at a time.

    A node that refuses is left out, and said in `session.notices`.
    """
    for first in range(0, len(kept := await _keeping(session, nodes, points)), NODES):
        wanted = [_Wanted(point, node, start) for point, node in kept[first : first + NODES]]
        while wanted:
            # One request has one start, which does not count for those that go on from a continuation point.
            asked = [want for want in wanted if want.more] or [want for want in wanted if want.start == wanted[0].start]
            try:
                results = await session.in_parts(
                    "history", asked, lambda part: _request(session, part, end), besides=_NO_HISTORY
                )
            except _NO_HISTORY:
                return
            arrival = now_us()
            page: list[Reading] = []
            following = [want for want in wanted if want not in asked]
            for want, result in zip(asked, results, strict=True):
                values = getattr(result.HistoryData, "DataValues", None) or []
                readings = [decode(want.point, value, arrival) for value in values]
                page += readings
                if not result.StatusCode.is_good() and result.StatusCode.value != ua.StatusCodes.BadNoData:
                    _say(session, want.point, result.StatusCode)
                elif readings and (following_ := _following(want, readings, result.ContinuationPoint)):
                    following.append(following_)
            wanted = following
            if page:
                yield page


def _following(want: _Wanted, readings: Sequence[Reading], more: bytes | None) -> _Wanted | None:
    """Return what is left after a page, None at the end.

    Some servers, asyncua among them, cut an answer at the number asked for and give no continuation point: a full page
    without one is asked for again from its last time on. What then comes twice has times the taker has seen.
    """
    if more:
        return want._replace(more=more) if more != want.more else None
    last = readings[-1].source_time
    return want._replace(start=last, more=None) if len(readings) >= VALUES and last > want.start else None


async def _keeping(session: Session, nodes: Nodes, points: Sequence[OpcuaPoint]) -> list[tuple[OpcuaPoint, ua.NodeId]]:
    """Return those of `points` whose nodes keep history, with the nodes."""
    known = [(point, node) for point in points if (node := nodes.node(point)) is not None]
    levels = await session.read([node for _, node in known], ua.AttributeIds.AccessLevel)
    return [
        pair
        for pair, (level, _) in zip(known, levels, strict=True)
        if isinstance(level.Value.Value, int) and level.Value.Value & _READABLE
    ]


async def _request(session: Session, part: Sequence[_Wanted], end: int) -> list[ua.HistoryReadResult]:
    details = ua.ReadRawModifiedDetails(
        IsReadModified=False,
        StartTime=_time(part[0].start),
        EndTime=_time(end),
        NumValuesPerNode=VALUES,
        ReturnBounds=False,
    )
    parameters = ua.HistoryReadParameters(
        HistoryReadDetails=details,
        TimestampsToReturn=ua.TimestampsToReturn.Both,
        ReleaseContinuationPoints=False,
        NodesToRead=[ua.HistoryReadValueId(NodeId=want.node, ContinuationPoint=want.more) for want in part],
    )
    return list(await session.services.history_read(parameters))


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _say(session: Session, point: OpcuaPoint, status: ua.StatusCode) -> None:
    notice = Text(
        f"the history of {point.name} cannot be read ({status.name}); check the rights of the user at the server",
        f"无法读取“{point.name}”的历史数据（{status.name}），请检查该用户在服务器上的权限",
    )
    if notice not in session.notices:
        session.notices.append(notice)
