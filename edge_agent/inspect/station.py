"""An inspection station: every picture of a folder judged exactly once, also over a kill or a power cut.

A picture stays in the folder until its inspection is durable, and its inspection has an identifier made from the file
itself. So a picture found again after a crash gives the inspection that the buffer already knows, and is skipped there.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from edge_agent.config import Config, InspectionConfig
from edge_agent.inspect.capture import Capture
from edge_agent.inspect.drift_watch import DriftWatch
from edge_agent.inspect.model_switch import ModelSwitch
from edge_agent.inspect.output import Output
from edge_agent.inspect.punctuality import Punctuality
from edge_agent.inspect.remote_opinion import RemoteOpinion
from edge_agent.inspect.runtime import Judgement, bundle_stamp, judge, load_detector, second_opinion
from edge_agent.inspect.source_folder import PATIENCE_S, Picture, PictureFolder, picture_id
from edge_agent.inspect.watch_state import WatchState
from edge_agent.sink import Sink
from models.errors import InputError, ModelError
from models.verdict import VERDICTS, Verdict
from models.vision.detector import Detector
from protocols.reading import GOOD, UNCERTAIN, Reading, now_us, plausible_time
from protocols.text import Text
from protocols.uplink.messages import DeviceReport, Inspection, PointRef, SecondOpinion

POLL_S = 0.1
RETRY_S = 2.0
GROUP = 8
"""Most pictures judged before their inspections are made durable together."""


class _Judged(NamedTuple):
    picture: Picture
    identifier: str
    content: bytes
    judgement: Judgement

    def after_s(self, arrived: int) -> float:
        """Return how long after the picture was taken its verdict was there at `arrived`, microseconds UTC."""
        return (arrived - self.picture.taken_ns // 1000) / 1e6


class _SetAside(NamedTuple):
    picture: Picture
    identifier: str
    why: InputError


class Station:
    """Runs one [[inspection]] of the configuration.

    Args:
        inspection: what to run.
        sink: takes inspections, readings and events.
        config: returns the configuration in force, by which an output writes.
    """

    def __init__(self, inspection: InspectionConfig, sink: Sink, config: Callable[[], Config]) -> None:
        self._config = inspection
        self._sink = sink
        self._folder = PictureFolder(inspection.folder, inspection.keep)
        self._points = [
            PointRef(inspection.device, "verdict", "inspection_verdict", "C62"),
            PointRef(inspection.device, "score", "inspection_score", "C62"),
            PointRef(inspection.device, "latency", "inspection_latency", "SEC"),
        ]
        self._whole = config
        self._drift: DriftWatch | None = None
        self._arrived = asyncio.Event()
        self._punctuality = Punctuality(inspection.device, sink.announce)
        self._output = inspection.output and Output(inspection.device, inspection.output, config, sink.announce)
        self._remote = inspection.remote and RemoteOpinion(inspection.device, inspection.remote, sink)
        self._models = ModelSwitch(
            inspection,
            config,
            sink.announce,
            self._arrived.set,
            lambda folder: load_detector(folder, inspection.trust, config().agent.state_dir).detector,
        )
        self._failing: Text | None = None
        self._capture: Capture | None = None
        if inspection.camera and inspection.trigger:
            self._points.append(PointRef(inspection.device, "response", "inspection_response", "SEC"))
            self._capture = Capture(
                inspection.camera, inspection.trigger, self._folder, self._arrived.set, self._missing
            )
        self._model = ""
        self._state = WatchState(Text("inspecting again", "检测已恢复"))

    @property
    def listens_to(self) -> frozenset[str]:
        """The device whose live readings are to be given to `heard`, if any."""
        trigger = self._config.trigger
        return frozenset({trigger.device} if trigger and trigger.device else ())

    def heard(self, rows: Iterable[tuple[PointRef, Reading]]) -> None:
        """Look for triggers in the live readings of the device that triggers."""
        if self._capture is not None:
            self._capture.heard(rows)

    async def run(self) -> None:
        """Inspect until cancelled, and write the outputs beside it."""
        output = asyncio.create_task(self._output.run()) if self._output else None
        try:
            await self._run()
        finally:
            if output:
                await _ended(output)
            if self._remote:
                await self._remote.close()

    async def _run(self) -> None:
        """Inspect for ever. A refused model or an unusable folder is announced once and tried again."""
        while True:
            stamp = await asyncio.to_thread(bundle_stamp, self._config.bundle)
            try:
                detector = await self._models.begin()
                await asyncio.to_thread(self._folder.prepare)
                await self._serve(detector)
            except ModelError as error:
                self._set_state("down", "model_refused", Text(error.en, error.zh))
                # A trial run is costly, and a refused bundle stays refused until somebody replaces it.
                while not self._models.waits and await asyncio.to_thread(bundle_stamp, self._config.bundle) == stamp:  # noqa: ASYNC110 - folders do not call
                    await asyncio.sleep(RETRY_S)
                await self._models.changed(None)
            except OSError as error:
                where = os.fsencode(error.filename or self._config.folder).decode("utf-8", "replace")
                reason = Text(f"{where}: {error.strerror}", f"{where}:{error.strerror}")
                self._set_state("down", "folder_unusable", reason)
                await asyncio.sleep(RETRY_S)

    @property
    def models(self) -> ModelSwitch[Detector]:
        """What models it runs."""
        return self._models

    def report(self) -> DeviceReport:
        """Return the station as it is now."""
        return DeviceReport(
            name=self._config.device,
            protocol="inspection",
            template=self._model,
            equipment_class="inspection_station",
            state=self._state.state,
            since=self._state.since,
            points=len(self._points),
            unmapped=sum(not point.property for point in self._points),
            reason_en=self._state.reason.en,
            reason_zh=self._state.reason.zh,
            counters=self._counters(),
        )

    def _counters(self) -> dict[str, int]:
        counted = self._punctuality.counted + Counter(self._drift.counters() if self._drift else {})
        for part in (self._capture, self._output, self._remote):
            counted += part.counted if part else Counter()
        return dict(counted)

    async def _serve(self, detector: Detector) -> None:
        """Judge what arrives, and beside it take pictures, for ever; raises OSError if the folder cannot be used."""
        await self._follow(detector)
        if self._capture is None:
            await self._inspect(detector, None)
            return
        taking = asyncio.create_task(self._capture.run())
        try:
            await self._inspect(detector, taking)
        finally:
            await _ended(taking)

    async def _follow(self, detector: Detector) -> None:
        """Name what is said by `detector` from here on, and watch for drift against its own parts."""
        self._model = f"{detector.card.name} {detector.card.version}"
        self._drift = await asyncio.to_thread(
            DriftWatch, self._config, detector, self._whole().agent.state_dir, self._sink.announce
        )

    async def _inspect(self, detector: Detector, taking: asyncio.Task[None] | None) -> None:
        while True:
            self._arrived.clear()
            if self._models.waits and (changed := await self._models.changed(detector)):
                if changed is not detector:
                    await self._follow(changed)
                detector = changed
            pictures = await asyncio.to_thread(self._folder.arrived, GROUP)
            if taking is not None and taking.done():
                taking.result()
            if self._capture and (trouble := self._capture.trouble):
                self._set_state("down", "camera_down", trouble)
            else:
                self._set_state("up", "inspecting", Text("", ""))
            outcomes = [await asyncio.to_thread(self._judge, detector, picture) for picture in pictures]
            if self._failing:
                await self._models.give_back(self._failing)
                self._failing = None
            settled = [outcome for outcome in outcomes if outcome is not None]
            for outcome in settled:
                await self._note(detector, outcome)
            if settled:
                await self._sink.flush()
                await asyncio.to_thread(self._move, settled)
                if self._drift:
                    await asyncio.to_thread(self._drift.keep)
            if len(settled) < GROUP:
                # Not `wait_for`, which in Python 3.11 can lose a cancellation that comes with the event.
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._arrived.wait()

    async def _note(self, detector: Detector, outcome: _Judged | _SetAside) -> None:
        if isinstance(outcome, _Judged):
            await self._take(detector, outcome)
            return
        text = Text(f"moved to bad/: {outcome.why.en}", f"已移至 bad/:{outcome.why.zh}")
        self._sink.announce(self._config.device, "picture_set_aside", text)

    def _judge(self, detector: Detector, picture: Picture) -> _Judged | _SetAside | None:
        """Return what came of the picture; None if it is gone, or unreadable but perhaps still being written."""
        content = b""
        try:
            content = self._folder.read(picture)
            judgement = judge(detector, content, picture.part)
        except FileNotFoundError:
            return None
        except OSError as error:
            why = InputError(
                "unreadable", f"{picture.part}: {error.strerror}", f"{picture.part}：无法读取：{error.strerror}"
            )
        except InputError as error:
            why = error
        else:
            return _Judged(picture, picture_id(self._config.device, picture, content), content, judgement)
        if why.reason == "no_score" and self._models.on_trial:
            self._failing = Text(why.en, why.zh)
            return None
        if why.reason == "unreadable" and picture.settled_s < PATIENCE_S:
            return None
        return _SetAside(picture, picture_id(self._config.device, picture, content), why)

    async def _take(self, detector: Detector, judged: _Judged) -> None:
        """Do what a verdict calls for; only then hear what the model beside it says, and note both."""
        arrived = now_us()
        late = self._settle(judged.picture.part, judged.judgement.finding.verdict, judged.after_s(arrived))
        second = None
        if beside := self._models.shadow:
            second = await asyncio.to_thread(second_opinion, beside, judged.content, judged.picture.part)
        await self._models.judged(judged.judgement.latency_us)
        self._add(detector, judged, arrived, late=late, second=second)
        if self._remote:
            self._remote.ask(judged.identifier, judged.content, judged.judgement.finding.verdict)

    def _add(
        self, detector: Detector, judged: _Judged, arrived: int, *, late: bool, second: SecondOpinion | None
    ) -> None:
        time = plausible_time(judged.picture.taken_ns // 1000, arrived)
        finding, latency_us = judged.judgement.finding, judged.judgement.latency_us
        inspection = Inspection(
            id=judged.identifier,
            device=self._config.device,
            time=time,
            part=judged.picture.part,
            verdict=finding.verdict,
            score=finding.score,
            review_limit=finding.review,
            reject_limit=finding.reject,
            model=detector.card.name,
            model_version=detector.card.version,
            latency_us=latency_us,
            picture=judged.judgement.picture,
            heatmap=judged.judgement.heatmap,
            shadow=second,
            defect=finding.defect.name if finding.defect else "",
            chance=finding.defect.chance if finding.defect else 0.0,
            aligned=finding.aligned,
            **self._lot_and_serial(judged.picture.part),
        )
        values = (VERDICTS.index(finding.verdict), finding.score, latency_us / 1e6, judged.after_s(arrived))
        qualities = (UNCERTAIN if late else GOOD, GOOD, GOOD, GOOD)
        readings = [
            (point, Reading(point.name, value, quality, time, arrived))
            for point, value, quality in zip(self._points, values, qualities, strict=False)
        ]
        self._sink.add_inspection(inspection, readings)
        if self._drift and (
            measured := self._drift.add(finding.score, judged.judgement.signs, finding.verdict, time, arrived)
        ):
            self._sink.add_readings(measured)

    def _lot_and_serial(self, part: str) -> dict[str, str]:
        found = self._config.part_pattern and re.search(self._config.part_pattern, part)
        return {name: value for name, value in found.groupdict().items() if value} if found else {}

    def _settle(self, part: str, verdict: Verdict, after_s: float) -> bool:
        """Do what the verdict calls for, `after_s` seconds after the part came, and return whether that is too late."""
        trigger = self._config.trigger
        if trigger is not None and after_s > trigger.deadline_s:
            self._punctuality.late(part, after_s, trigger.deadline_s)
            # By now another part lies where this one would be rejected.
            self._safe(f"{part} judged too late")
            return True
        self._punctuality.in_time()
        if self._output and verdict == "reject":
            self._output.reject(part)
        return False

    def _missing(self, part: str, why: Text) -> None:
        self._punctuality.missing(part, why)
        self._safe(f"{part} not inspected")

    def _safe(self, why: str) -> None:
        if self._output:
            self._output.safe(why)

    def _set_state(self, state: str, kind: str, reason: Text) -> None:
        if told := self._state.become(state, reason):
            self._sink.announce(self._config.device, kind, told)
            if state == "down":
                self._safe(kind)

    def _move(self, settled: list[_Judged | _SetAside]) -> None:
        for outcome in settled:
            if isinstance(outcome, _Judged):
                self._folder.judged(outcome.picture, outcome.identifier)
            else:
                self._folder.set_aside(outcome.picture, outcome.identifier)


async def _ended(task: asyncio.Task[None]) -> None:
    """End `task`, again where a library lost the cancellation; what it failed of is told by who waits for it."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.5)
    if not task.cancelled():
        task.exception()
