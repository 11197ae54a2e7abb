"""Subscriptions of one session: created, listened to, and watched for silence."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Coroutine, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from asyncua import ua
from asyncua.ua import uaerrors

from protocols.driver import Deliver
from protocols.errors import Refused, SunmaoError, Unreachable
from protocols.opcua import monitored
from protocols.opcua.codec import decode
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.opcua.paths import Nodes
from protocols.opcua.read import read_points
from protocols.opcua.session import Session
from protocols.reading import Quality, Reading, now_us
from protocols.text import Text

_MISSES = 3
"""Keep-alives that may fail to come before a subscription counts as dead."""

_LEAST_KEEPALIVE_S = 0.1
"""A server that revises its keep-alive to less has its messages waited for this long; loops and networks jitter."""

_LIFETIME_MISSES = 10
"""Keep-alive periods without a publish request after which the server forgets a subscription (at least 3, Part 4)."""

_GONE = {ua.StatusCodes.BadNodeIdUnknown, ua.StatusCodes.BadNodeIdInvalid}
"""What a server says of an item whose node was taken away; it comes back by being asked for anew."""

_PUBLISHES = 4
"""Publish requests that wait at the server at a time: some send one answer of 1,000 changes for each in a cycle."""

_VERIFY_S = 60.0
"""How often the nodes of all items are looked for: most servers say nothing when one is taken away."""

_RETRY_S = 30.0
"""How often points the server did not know are asked for again: a program may be loaded into the machine meanwhile."""


class _Subscription:
    """One subscription of the server: which points it carries, to whom, and when it was last heard of."""

    def __init__(self, device: str, deliver: Deliver, period_s: float, created: ua.CreateSubscriptionResult) -> None:
        self.id: int = created.SubscriptionId
        self.device = device
        self.deliver = deliver
        self.period_s = period_s
        self.points: dict[int, OpcuaPoint] = {}
        self.items: dict[int, int] = {}
        self.unknown: list[OpcuaPoint] = []
        self.polled: list[OpcuaPoint] = []
        self.gone: set[int] = set()
        self.overflows = 0
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
                readings = []
                for item in notification.MonitoredItems:
                    handle, data = item.ClientHandle, item.Value
                    if handle in points:
                        readings.append(decode(points[handle], data, arrival))
                        if data.StatusCode is not None and (code := data.StatusCode.value):
                            if code & monitored.OVERFLOWN == monitored.OVERFLOWN:
                                self.overflows += 1
                            if code & 0xFFFF_0000 in _GONE:
                                self.gone.add(handle)
                self.deliver(readings)
            elif isinstance(notification, ua.StatusChangeNotification):
                status = notification.Status.name
                raise Unreachable(
                    Text(f"the server ended the subscription: {status}", f"服务器终止了订阅：{status}"), key=self.device
                )


class Subscriptions:
    """All subscriptions of one session, served by a few publish requests that take turns.

    Attributes:
        notices: what a person should know: deadbands a server does not keep, points it has no room for.
    """

    def __init__(self, device: str, connection: OpcuaConnection, session: Session, nodes: Nodes) -> None:
        self.notices: list[Text] = []
        self._device = device
        self._connection = connection
        self._session = session
        self._nodes = nodes
        self._by_id: dict[int, _Subscription] = {}
        self._handles = count(1)
        self._queue_size = 0
        self._items = 0
        self._publishers = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._retry_at = math.inf
        self._verify_at = time.monotonic() + _VERIFY_S

    @property
    def overflows(self) -> int:
        """Readings that came with the sign that changes before them were lost in the server's queue."""
        return sum(subscription.overflows for subscription in self._by_id.values())

    async def add(self, points: Sequence[OpcuaPoint], period_s: float, deliver: Deliver) -> None:
        """Subscribe to `points`. Those the server does not know are delivered as bad at once and retried by `watch`.

        Raises Refused if the server has no subscriptions at all.
        """
        connection = self._connection
        publishing_ms = monitored.publishing_ms(connection, self._session.profile)
        keepalive_count = max(1, round(connection.keepalive_s * 1000 / publishing_ms))
        parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=publishing_ms,
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
        subscription = _Subscription(self._device, deliver, period_s, created)
        first = not self._by_id
        self._by_id[subscription.id] = subscription
        if first:
            self._publishers = _PUBLISHES
            for _ in range(_PUBLISHES):
                self._start(self._publish(), "publish")
        await self._monitor(subscription, points)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.add(asyncio.create_task(work, name=f"opcua-{name}-{self._device}"))

    async def watch(self) -> None:
        """Wait until the session or a subscription has failed and raise why."""
        tick = min([self._connection.keepalive_s, *(s.silence_s / _MISSES for s in self._by_id.values())])
        while True:
            tasks = {self._session.maintenance, *self._tasks}
            done, _ = await asyncio.wait(tasks, timeout=tick, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
                self._tasks.discard(task)
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
            if now >= self._verify_at:
                await self._verify()
            if any(subscription.gone for subscription in self._by_id.values()):
                await self._forget_gone()
            if now >= self._retry_at:
                await self._retry()

    async def close(self) -> None:
        """Stop publishing. The server's side ends with the session."""
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError, SunmaoError):
                await task

    async def _monitor(self, subscription: _Subscription, points: Sequence[OpcuaPoint]) -> None:
        """Have `points` monitored: with their deadbands where the server keeps them, polled where it has no room."""
        profile = self._session.profile
        room = max(profile.monitored_items.value - self._items, 0) if profile and profile.monitored_items else None
        fitting, crowded = points[:room], list(points[len(points[:room]) :])
        keeps = not (profile and profile.deadband and not profile.deadband.value)
        refused = await self._create(subscription, fitting, filtered=keeps)
        again = [point for point, code in refused if code in monitored.FILTER_REFUSED]
        unkept = again or [point for point in fitting if not keeps and monitored.deadband_filter(point) is not None]
        if unkept:
            self.notices.append(monitored.unfiltered_notice(unkept, self._why(refused, monitored.FILTER_REFUSED)))
        if again:
            refused = [(point, code) for point, code in refused if code not in monitored.FILTER_REFUSED]
            refused += await self._create(subscription, again, filtered=False)
        crowded += [point for point, code in refused if code in monitored.FULL]
        if crowded:
            self.notices.append(monitored.polled_notice(crowded, self._why(refused, monitored.FULL)))
            if not subscription.polled:
                self._start(self._poll(subscription), "poll")
            subscription.polled += crowded
        self._note_unknown(subscription, [(point, code) for point, code in refused if code not in monitored.FULL])

    def _why(self, refused: Sequence[tuple[OpcuaPoint, int]], codes: Collection[int]) -> str:
        """Return the server's reason among `codes`, or whose known limit it is."""
        said = next((code for _, code in refused if code in codes), None)
        profile = self._session.profile
        return ua.StatusCode(said).name if said is not None else profile.name if profile else ""

    async def _create(
        self, subscription: _Subscription, points: Sequence[OpcuaPoint], *, filtered: bool
    ) -> list[tuple[OpcuaPoint, int]]:
        """Create the monitored items of `points`; return those there are none of, each with the server's reason."""
        connection, profile = self._connection, self._session.profile
        sampling_ms = monitored.sampling_ms(connection, profile, subscription.period_s)
        publishing_ms = monitored.publishing_ms(connection, profile)
        self._queue_size = monitored.queue_size(connection, profile, sampling_ms, publishing_ms)
        refused: list[tuple[OpcuaPoint, int]] = []
        items: list[tuple[OpcuaPoint, ua.MonitoredItemCreateRequest]] = []
        for point in points:
            node = self._nodes.node(point)
            if node is None:
                refused.append((point, ua.StatusCodes.BadNodeIdUnknown))
                continue
            handle = next(self._handles)
            subscription.points[handle] = point  # before the request: data may overtake its answer
            filter_ = monitored.deadband_filter(point) if filtered else None
            items.append((point, monitored.item_request(node, handle, sampling_ms, self._queue_size, filter_)))

        async def create(part: Sequence[tuple[OpcuaPoint, Any]]) -> list[ua.MonitoredItemCreateResult]:
            parameters = ua.CreateMonitoredItemsParameters(
                SubscriptionId=subscription.id,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                ItemsToCreate=[request for _, request in part],
            )
            return list(await self._session.services.create_monitored_items(parameters))

        for (point, request), result in zip(items, await self._session.in_parts("monitor", items, create), strict=True):
            handle = request.RequestedParameters.ClientHandle
            if result.StatusCode.is_good():
                subscription.items[handle] = result.MonitoredItemId
                self._items += 1
            else:
                del subscription.points[handle]
                refused.append((point, result.StatusCode.value))
        return refused

    def _note_unknown(self, subscription: _Subscription, refused: Sequence[tuple[OpcuaPoint, int]]) -> None:
        known_bad = set(subscription.unknown)
        subscription.unknown = [point for point, _ in refused]
        if refused:
            self._retry_at = time.monotonic() + _RETRY_S
            now = now_us()
            subscription.deliver(
                [
                    Reading(point.name, None, Quality.from_status_code(code), now, now)
                    for point, code in refused
                    if point not in known_bad
                ]
            )

    async def _verify(self) -> None:
        """Look for the nodes of all items; one that is there no more is bad from now on, and gone."""
        for subscription in self._by_id.values():
            items = [(handle, self._nodes.node(subscription.points[handle])) for handle in subscription.items]
            known = [(handle, node) for handle, node in items if node is not None]
            classes = await self._session.read([node for _, node in known], ua.AttributeIds.NodeClass)
            now = now_us()
            for (handle, _), (data, _) in zip(known, classes, strict=True):
                if data.StatusCode.value & 0xFFFF_0000 in _GONE:
                    quality = Quality.from_status_code(data.StatusCode.value)
                    subscription.gone.add(handle)
                    subscription.deliver([Reading(subscription.points[handle].name, None, quality, now, now)])
        self._verify_at = time.monotonic() + _VERIFY_S

    async def _forget_gone(self) -> None:
        """Delete the items whose nodes were taken away, so that these are asked for anew with the unknown ones."""
        for subscription in self._by_id.values():
            gone, subscription.gone = sorted(subscription.gone), set()
            subscription.unknown += [subscription.points.pop(handle) for handle in gone]
            self._items -= len(gone)

            ids = [subscription.items.pop(handle) for handle in gone if handle in subscription.items]

            async def delete(part: Sequence[int], subscription: _Subscription = subscription) -> list[ua.StatusCode]:
                parameters = ua.DeleteMonitoredItemsParameters(
                    SubscriptionId=subscription.id, MonitoredItemIds=list(part)
                )
                return list(await self._session.services.delete_monitored_items(parameters))

            await self._session.in_parts("monitor", ids, delete)
        self._retry_at = min(self._retry_at, time.monotonic() + _RETRY_S)

    async def _retry(self) -> None:
        self._retry_at = math.inf
        await self._session.refresh_namespaces()
        for subscription in self._by_id.values():
            if subscription.unknown:
                await self._nodes.find(subscription.unknown)
                await self._monitor(subscription, subscription.unknown)

    async def _poll(self, subscription: _Subscription) -> None:
        """Read each period what the server has no room to monitor."""
        clock = time.monotonic
        due = clock()
        while True:
            subscription.deliver(await read_points(self._session, self._nodes, subscription.polled))
            due = max(due + subscription.period_s, clock())
            await asyncio.sleep(due - clock())

    async def _publish(self) -> None:
        acknowledgements: list[ua.SubscriptionAcknowledgement] = []
        while True:
            with self._session.failures_named(besides=(uaerrors.BadTimeout, uaerrors.BadTooManyPublishRequests)):
                try:
                    response = await self._session.services.publish(acknowledgements)
                except uaerrors.BadTimeout:
                    continue  # the request waited too long at the server; ask again
                except uaerrors.BadTooManyPublishRequests:
                    if self._publishers > 1:
                        self._publishers -= 1
                        return
                    await asyncio.sleep(self._connection.publishing_s)
                    continue
            result = response.Parameters
            subscription = self._by_id.get(result.SubscriptionId)
            if subscription is not None:
                lost = subscription.overflows
                with self._session.failures_named():
                    subscription.take(result.NotificationMessage)
                if lost == 0 and subscription.overflows:
                    self.notices.append(monitored.overflow_notice(self._queue_size))
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
