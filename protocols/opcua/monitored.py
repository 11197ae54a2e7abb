"""Asks for monitored items: sampling, queue and deadband of each point, and what a server's refusal means."""

from __future__ import annotations

import math
from collections.abc import Sequence

from asyncua import ua

from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.opcua.profiles import Profile
from protocols.text import Text

FILTER_REFUSED = {
    ua.StatusCodes.BadMonitoredItemFilterInvalid,
    ua.StatusCodes.BadMonitoredItemFilterUnsupported,
    ua.StatusCodes.BadFilterNotAllowed,
    ua.StatusCodes.BadDeadbandFilterInvalid,  # also where a percentage needs an EURange the node lacks
}
FULL = {ua.StatusCodes.BadTooManyMonitoredItems, ua.StatusCodes.BadOutOfMemory, ua.StatusCodes.BadResourceUnavailable}
"""Answers of a server that has no room for one more item, though it can be read (Part 4, 5.12.2.4)."""

OVERFLOWN = 0x0480
"""Info bits of a StatusCode, type DataValue with the overflow bit (Part 4, 7.39.1): the queue lost a change before it."""

_SAMPLES = 4
"""Times a value is looked at in one period, so that one that changes once a period loses none to their jitter."""

_QUEUE = 20
"""Shortest queue asked for: room for a publish answer or two that come late."""

_SHOWN = 3


def sampling_ms(connection: OpcuaConnection, profile: Profile | None, period_s: float) -> float:
    """Return how often the server shall look at a value."""
    if connection.sampling_s is not None:
        return connection.sampling_s * 1000
    least = profile.sampling_s.value if profile and profile.sampling_s else 0.0
    return max(period_s / _SAMPLES, least) * 1000


def publishing_ms(connection: OpcuaConnection, profile: Profile | None) -> float:
    """Return how often the server shall send what has changed."""
    least = profile.publishing_s.value if profile and profile.publishing_s else 0.0
    return max(connection.publishing_s, least) * 1000


def queue_size(connection: OpcuaConnection, profile: Profile | None, sampling_ms: float, publishing_ms: float) -> int:
    """Return how many changes the server shall keep: those of two sendings at least, no more than it can."""
    if connection.queue_size is not None:
        return connection.queue_size
    wanted = max(_QUEUE, math.ceil(2 * publishing_ms / sampling_ms))
    return min(wanted, profile.queue_size.value) if profile and profile.queue_size else wanted


def deadband_filter(point: OpcuaPoint) -> ua.DataChangeFilter | None:
    """Return the filter that keeps changes below the point's deadband at the server; None without a deadband."""
    if point.deadband is None and point.deadband_percent is None:
        return None
    absolute = point.deadband is not None
    value = (point.deadband or 0.0) / abs(point.scale) if absolute else point.deadband_percent
    return ua.DataChangeFilter(
        Trigger=ua.DataChangeTrigger.StatusValue,
        DeadbandType=ua.DeadbandType.Absolute if absolute else ua.DeadbandType.Percent,
        DeadbandValue=value,
    )


def item_request(
    node: ua.NodeId, handle: int, sampling_ms: float, queue_size: int, filter_: ua.DataChangeFilter | None
) -> ua.MonitoredItemCreateRequest:
    """Return the request to monitor the value of `node`."""
    parameters = ua.MonitoringParameters(
        ClientHandle=handle, SamplingInterval=sampling_ms, QueueSize=queue_size, DiscardOldest=True
    )
    if filter_ is not None:
        parameters.Filter = filter_
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=parameters,
    )


def unfiltered_notice(points: Sequence[OpcuaPoint], why: str) -> Text:
    """Say that the server does not keep the deadband of `points`."""
    who = _named(points)
    return Text(
        f"the server keeps no deadband for {who.en} ({why}); every change is taken",
        f"服务器不支持{who.zh}的死区（{why}），将采集每次变化",
    )


def polled_notice(points: Sequence[OpcuaPoint], why: str) -> Text:
    """Say that the server has no room for monitored items of `points`."""
    who = _named(points)
    return Text(
        f"the server has no room to watch {who.en} ({why}); polled each period instead",
        f"服务器的监视项已满，{who.zh}改为按周期轮询（{why}）",
    )


def overflow_notice(queue_size: int) -> Text:
    """Say that changes were lost in the server."""
    return Text(
        f"changes were lost in the server's queues, which hold {queue_size} of each point;"
        " raise queue_size or lower publishing_s, or look less often with sampling_s",
        f"服务器队列（每点 {queue_size} 个值）溢出，部分变化已丢失；请增大 queue_size、减小 publishing_s 或增大 sampling_s",
    )


def _named(points: Sequence[OpcuaPoint]) -> Text:
    names = ", ".join(point.name for point in points[:_SHOWN])
    more = len(points) - _SHOWN
    return (
        Text(f"{names} and {more} more", f"“{names}”等 {len(points)} 个点") if more > 0 else Text(names, f"“{names}”")
    )
