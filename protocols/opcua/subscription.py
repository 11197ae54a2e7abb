"""Subscriptions of one session: created, listened to, and watched for silence."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from asyncua import ua
from asyncua.ua import uaerrors

from protocols.driver import Deliver
from protocols.errors import Refused, SunmaoError, Unreachable
from protocols.opcua.codec import decode
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.opcua.paths import Nodes
from protocols.opcua.session import Session
from protocols.reading import BAD_NODE_ID_UNKNOWN, Quality, Reading, now_us
from protocols.text import Text

_MISSES = 3
"""Keep-alives that may fail to come before a subscription counts as dead."""

_LEAST_KEEPALIVE_S = 0.1
"""A server that revises its keep-alive to less has its messages waited for this long; loops and networks jitter."""

_LIFETIME_MISSES = 10
"""Keep-alive periods without a publish request after which the server forgets a subscription (at least 3, Part 4)."""

_RETRY_S = 30.0
"""How often points the server did not know are asked for again: a program may be loaded into the machine meanwhile."""


class _Subscription:
    """One subscription of the server: which points it carries, to whom, and when it was last heard of."""

    def __init__(self, device: str, deliver: Deliver, sampling_ms: float, created: ua.CreateSubscriptionResult) -> None:
        self.id: int = created.SubscriptionId
        self.device = device
        self.deliver = deliver
        self.sampling_ms = sampling_ms
        self.points: dict[int, OpcuaPoint] = {}
        self.unknown: list[OpcuaPoint] = []
        keepalive_s = created.RevisedPublishingInterval * max(created.RevisedMaxKeepAliveCount, 1) / 1000
        self.silence_s = _MISSES * max(keepalive_s, _LEAST_KEEPALIVE_S)
        self.heard = time.monotonic()

    def take(self, message: ua.NotificationMessage) -> None:
        """Deliver the data in `message`; raises Unreachable if it announces the subscription's end."""
        self.heard = time.monotonic()
        arrival = now_us()
        points = self.points
        for notification in message.NotificationData or ():
            if isinstance(notification, ua.DataChangeNotification):
                self.deliver(
                    [
                        decode(points[item.ClientHandle], item.Value, arrival)
                        for item in notification.MonitoredItems
                        if item.ClientHandle in points
                    ]
                )
            elif isinstance(notification, ua.StatusChangeNotification):
                status = notification.Status.name
                raise Unreachable(
                    Text(f"the server ended the subscription: {status}", f"服务器终止了订阅：{status}"), key=self.device
                )


class Subscriptions:
    """All subscriptions of one session, served by one chain of publish requests."""

    def __init__(self, device: str, connection: OpcuaConnection, session: Session, nodes: Nodes) -> None:
        self._device = device
        self._connection = connection
        self._session = session
        self._nodes = nodes
        self._by_id: dict[int, _Subscription] = {}
        self._handles = count(1)
        self._publishing: asyncio.Task[None] | None = None
        self._retry_at = math.inf

    async def add(self, points: Sequence[OpcuaPoint], period_s: float, deliver: Deliver) -> None:
        """Subscribe to `points`. Those the server does not know are delivered as bad at once and retried by `watch`.

        Raises Refused if the server has no subscriptions at all.
        """
        connection = self._connection
        keepalive_count = max(1, round(connection.keepalive_s / connection.publishing_s))
        parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=connection.publishing_s * 1000,
            RequestedLifetimeCount=_LIFETIME_MISSES * keepalive_count,
            RequestedMaxKeepAliveCount=keepalive_count,
            MaxNotificationsPerPublish=10_000,
        )
        with self._session.failures_named(besides=(uaerrors.BadServiceUnsupported, uaerrors.BadTooManySubscriptions)):
            try:
                created = await self._session.services.create_subscription(parameters, None)
            except (uaerrors.BadServiceUnsupported, uaerrors.BadTooManySubscriptions) as error:
                raise Refused(
                    Text(f"the server gives no subscription: {error}", f"服务器不提供订阅：{error}"),
                    Text(
                        'points are polled; mode = "poll" says so from the start', '改为轮询；也可直接设 mode = "poll"'
                    ),
                    key=self._device,
                ) from error
        subscription = _Subscription(self._device, deliver, (connection.sampling_s or period_s) * 1000, created)
        self._by_id[subscription.id] = subscription
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._publish(), name=f"opcua-publish-{self._device}")
        await self._monitor(subscription, points)

    async def watch(self) -> None:
        """Wait until the session or a subscription has failed and raise why."""
        tasks = {self._session.maintenance, *([self._publishing] if self._publishing else [])}
        tick = min([self._connection.keepalive_s, *(s.silence_s / _MISSES for s in self._by_id.values())])
        while True:
            done, _ = await asyncio.wait(tasks, timeout=tick, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            now = time.monotonic()
            for subscription in self._by_id.values():
                if now - subscription.heard > subscription.silence_s:
                    raise Unreachable(
                        Text(
                            f"the subscription has been silent for {now - subscription.heard:.1f} s",
                            f"订阅已 {now - subscription.heard:.1f} 秒没有任何消息",
                        ),
                        key=self._device,
                    )
            if now >= self._retry_at:
                await self._retry()

    async def close(self) -> None:
        """Stop publishing. The server's side ends with the session."""
        task, self._publishing = self._publishing, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, SunmaoError):
                await task

    async def _monitor(self, subscription: _Subscription, points: Sequence[OpcuaPoint]) -> None:
        unknown: list[tuple[OpcuaPoint, Quality]] = []
        items: list[tuple[OpcuaPoint, ua.MonitoredItemCreateRequest]] = []
        for point in points:
            node = self._nodes.node(point)
            if node is None:
                unknown.append((point, BAD_NODE_ID_UNKNOWN))
            else:
                handle = next(self._handles)
                subscription.points[handle] = point  # before the request: data may overtake its answer
                items.append((point, self._request(node, handle, subscription.sampling_ms)))

        async def create(part: Sequence[tuple[OpcuaPoint, Any]]) -> list[ua.MonitoredItemCreateResult]:
            parameters = ua.CreateMonitoredItemsParameters(
                SubscriptionId=subscription.id,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                ItemsToCreate=[request for _, request in part],
            )
            return list(await self._session.services.create_monitored_items(parameters))

        for (point, request), result in zip(items, await self._session.in_parts("monitor", items, create), strict=True):
            if not result.StatusCode.is_good():
                del subscription.points[request.RequestedParameters.ClientHandle]
                unknown.append((point, Quality.from_status_code(result.StatusCode.value)))
        known_bad = set(subscription.unknown)
        subscription.unknown = [point for point, _ in unknown]
        if unknown:
            self._retry_at = time.monotonic() + _RETRY_S
            now = now_us()
            subscription.deliver(
                [Reading(point.name, None, quality, now, now) for point, quality in unknown if point not in known_bad]
            )

    async def _retry(self) -> None:
        self._retry_at = math.inf
        await self._session.refresh_namespaces()
        for subscription in self._by_id.values():
            if subscription.unknown:
                await self._nodes.find(subscription.unknown)
                await self._monitor(subscription, subscription.unknown)

    def _request(self, node: ua.NodeId, handle: int, sampling_ms: float) -> ua.MonitoredItemCreateRequest:
        return ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=ua.MonitoringParameters(
                ClientHandle=handle,
                SamplingInterval=sampling_ms,
                QueueSize=self._connection.queue_size,
                DiscardOldest=True,
            ),
        )

    async def _publish(self) -> None:
        acknowledgements: list[ua.SubscriptionAcknowledgement] = []
        while True:
            with self._session.failures_named(besides=(uaerrors.BadTimeout,)):
                try:
                    response = await self._session.services.publish(acknowledgements)
                except uaerrors.BadTimeout:
                    continue  # the request waited too long at the server; ask again
            result = response.Parameters
            subscription = self._by_id.get(result.SubscriptionId)
            if subscription is not None:
                with self._session.failures_named():
                    subscription.take(result.NotificationMessage)
            acknowledgements = (
                [
                    ua.SubscriptionAcknowledgement(
                        SubscriptionId=result.SubscriptionId,
                        SequenceNumber=result.NotificationMessage.SequenceNumber,
                    )
                ]
                if result.NotificationMessage.NotificationData
                else []
            )
