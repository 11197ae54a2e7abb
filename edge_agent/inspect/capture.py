"""Takes a picture for every trigger and leaves it in the station's folder, where it is judged exactly once.

A picture is taken when its trigger comes or not at all: taken later it would show another part. So a trigger waits for
nothing; one that finds the camera busy or too many pictures waiting is dropped, counted and told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from edge_agent.backoff import full_jitter
from edge_agent.config_inspection import CameraConfig, TriggerConfig
from edge_agent.inspect.camera import Camera, camera_of
from edge_agent.inspect.source_folder import PictureFolder
from edge_agent.inspect.trigger import PointTrigger
from protocols.errors import SunmaoError
from protocols.reading import Reading, now_us
from protocols.text import Text
from protocols.uplink.messages import PointRef

LONGEST_WAIT_S = 30.0


class _Trigger(NamedTuple):
    time_us: int
    part: str


class Capture:
    """The camera of one station.

    Args:
        camera, trigger: of the configuration; ConfigError is raised where the camera's library is not installed.
        folder: takes the pictures.
        taken: called when a picture lies in the folder.
        dropped: called with the reason when a part goes by without a picture.
    """

    def __init__(
        self,
        camera: CameraConfig,
        trigger: TriggerConfig,
        folder: PictureFolder,
        taken: Callable[[], None],
        dropped: Callable[[str, Text], None],
    ) -> None:
        self._open = camera_of(camera)
        self._camera: Camera | None = None
        self._failed: Text | None = None
        self._config = trigger
        self._folder = folder
        self._taken = taken
        self._dropped = dropped
        self._point = PointTrigger(trigger)
        self._at_work = False
        self._next: _Trigger | None = None
        self._called = asyncio.Event()
        self._counted: Counter[str] = Counter()

    @property
    def trouble(self) -> Text | None:
        """What is wrong with the camera: now if it is watched, else since its last picture."""
        now = self._camera.trouble if self._camera else None
        return _said(now) if now else self._failed

    @property
    def counted(self) -> Counter[str]:
        """Return "triggers", and of these "dropped"; "passed": see `PointTrigger`; and what the camera counts."""
        return self._counted + (self._camera.counted if self._camera else Counter())

    async def run(self) -> None:
        """Take pictures until cancelled; raises OSError if the folder cannot be written."""
        self._at_work = True
        try:
            async with self._open() as camera:
                self._camera = camera
                if self._config.period_s is not None:
                    await self._by_the_clock(camera, self._config.period_s)
                await self._by_the_point(camera)
        finally:
            self._at_work = False
            if self._camera:
                self._counted += self._camera.counted
            self._camera = None

    def heard(self, rows: Iterable[tuple[PointRef, Reading]]) -> None:
        """Look for triggers in the live readings of the device that triggers."""
        for part in self._point.heard(rows):
            self._trigger(part)
        if unseen := self._point.passed - self._counted["passed"]:
            self._counted["passed"] += unseen
            why = Text("they went by between two readings of the counter", "在计数器两次读取之间通过")
            self._dropped(f"+{unseen}", why)

    async def _by_the_point(self, camera: Camera) -> None:
        while True:
            await self._called.wait()
            try:
                if self._next is not None:
                    await self._take(camera, self._next)
            finally:
                self._next = None
                self._called.clear()

    async def _by_the_clock(self, camera: Camera, period_s: float) -> None:
        clock = asyncio.get_running_loop().time
        due, failures = clock(), 0
        while True:
            await asyncio.sleep(due - clock())
            trigger = self._admitted(None)
            failures = 0 if trigger is None or await self._take(camera, trigger) else failures + 1
            # A picture that was due while the one before was taken is left out.
            due = max(due + period_s, clock())
            if failures:
                due += full_jitter(failures, period_s, max(LONGEST_WAIT_S, period_s))

    def _trigger(self, part: str | None) -> None:
        if not self._at_work or self._next is not None:
            self._counted["triggers"] += 1
            busy = Text("the camera was busy with the part before", "相机仍在拍摄上一个工件")
            idle = Text("the station does not judge", "检测工位未运行")
            self._drop(_named(part, now_us()), busy if self._at_work else idle)
        elif trigger := self._admitted(part):
            self._next = trigger
            self._called.set()

    def _admitted(self, part: str | None) -> _Trigger | None:
        """Count a trigger and return it, unless as many pictures as may wait are waiting."""
        time_us = now_us()
        trigger = _Trigger(time_us, _named(part, time_us))
        self._counted["triggers"] += 1
        if self._folder.waiting >= self._config.waiting:
            waiting = self._folder.waiting
            self._drop(trigger.part, Text(f"{waiting} pictures wait to be judged", f"已有 {waiting} 张图片等待检测"))
            return None
        return trigger

    async def _take(self, camera: Camera, trigger: _Trigger) -> bool:
        try:
            shot = await camera.take(self._config.deadline_s)
        except SunmaoError as error:
            why = _said(error)
            self._failed = None if camera.watched else why
            self._drop(trigger.part, why)
            return False
        await asyncio.to_thread(self._folder.put, shot.content, trigger.part, trigger.time_us * 1000)
        self._failed = None
        self._taken()
        return True

    def _drop(self, part: str, why: Text) -> None:
        self._counted["dropped"] += 1
        self._dropped(part, why)


def _said(error: SunmaoError) -> Text:
    return Text(error.explain("en"), error.explain("zh"))


def _named(part: str | None, time_us: int) -> str:
    """Return `part`, or what names a part that has no name: the time of its trigger, UTC."""
    return part or datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
