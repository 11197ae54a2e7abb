"""An inspection station: every picture of a folder judged exactly once, also over a kill or a power cut.

A picture stays in the folder until its inspection is durable, and its inspection has an identifier made from the file
itself. So a picture found again after a crash gives the inspection that the buffer already knows, and is skipped there.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

from edge_agent.config import InspectionConfig
from edge_agent.inspect.runtime import Judgement, judge, load_detector
from edge_agent.inspect.source_folder import PATIENCE_S, Picture, PictureFolder, picture_id
from edge_agent.sink import Sink
from models.errors import InputError, ModelError
from models.verdict import VERDICTS
from models.vision.detector import Detector
from protocols.reading import GOOD, Reading, now_us, plausible_time
from protocols.text import Text
from protocols.uplink.messages import DeviceReport, Inspection, PointRef

POLL_S = 0.1
RETRY_S = 2.0
GROUP = 8
"""Most pictures judged before their inspections are made durable together."""


class _Judged(NamedTuple):
    picture: Picture
    identifier: str
    judgement: Judgement


class _SetAside(NamedTuple):
    picture: Picture
    identifier: str
    why: InputError


class Station:
    """Runs one [[inspection]] of the configuration."""

    def __init__(self, config: InspectionConfig, sink: Sink) -> None:
        self._config = config
        self._sink = sink
        self._folder = PictureFolder(config.folder, config.keep)
        self._points = [
            PointRef(config.device, "verdict", "inspection_verdict", "C62"),
            PointRef(config.device, "score", "inspection_score", "C62"),
            PointRef(config.device, "latency", "inspection_latency", "SEC"),
        ]
        self._model = ""
        self._state = "waiting"
        self._since = now_us()
        self._reason = Text("", "")

    async def run(self) -> None:
        """Inspect until cancelled. A refused model or an unusable folder is announced once and tried again."""
        while True:
            stamp = await asyncio.to_thread(_stamp, self._config.bundle)
            try:
                detector = await asyncio.to_thread(load_detector, self._config.bundle, self._config.trust)
                await asyncio.to_thread(self._folder.prepare)
                await self._inspect(detector)
            except ModelError as error:
                self._set_state("down", "model_refused", Text(error.en, error.zh))
                # A trial run is costly, and a refused bundle stays refused until somebody replaces it.
                while await asyncio.to_thread(_stamp, self._config.bundle) == stamp:  # noqa: ASYNC110 - folders do not call
                    await asyncio.sleep(RETRY_S)
            except OSError as error:
                where = os.fsencode(error.filename or self._config.folder).decode("utf-8", "replace")
                reason = Text(f"{where}: {error.strerror}", f"{where}:{error.strerror}")
                self._set_state("down", "folder_unusable", reason)
                await asyncio.sleep(RETRY_S)

    def report(self) -> DeviceReport:
        """Return the station as it is now."""
        return DeviceReport(
            name=self._config.device,
            protocol="inspection",
            template=self._model,
            equipment_class="inspection_station",
            state=self._state,
            since=self._since,
            points=len(self._points),
            unmapped=0,
            reason_en=self._reason.en,
            reason_zh=self._reason.zh,
        )

    async def _inspect(self, detector: Detector) -> None:
        """Judge what arrives, for ever; raises OSError if the folder cannot be used."""
        self._model = f"{detector.card.name} {detector.card.version}"
        while True:
            pictures = await asyncio.to_thread(self._folder.arrived, GROUP)
            self._set_state("up", "inspecting", Text("", ""))
            outcomes = [await asyncio.to_thread(self._judge, detector, picture) for picture in pictures]
            settled = [outcome for outcome in outcomes if outcome is not None]
            for outcome in settled:
                if isinstance(outcome, _Judged):
                    self._add(detector, outcome)
                else:
                    self._sink.announce(
                        self._config.device,
                        "picture_set_aside",
                        Text(f"moved to bad/: {outcome.why.en}", f"已移至 bad/:{outcome.why.zh}"),
                    )
            if settled:
                await self._sink.flush()
                await asyncio.to_thread(self._move, settled)
            if len(settled) < GROUP:
                await asyncio.sleep(POLL_S)

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
            return _Judged(picture, picture_id(self._config.device, picture, content), judgement)
        if why.reason == "unreadable" and picture.settled_s < PATIENCE_S:
            return None
        return _SetAside(picture, picture_id(self._config.device, picture, content), why)

    def _add(self, detector: Detector, judged: _Judged) -> None:
        arrived = now_us()
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
        )
        values = (VERDICTS.index(finding.verdict), finding.score, latency_us / 1e6)
        readings = [
            (point, Reading(point.name, value, GOOD, time, arrived))
            for point, value in zip(self._points, values, strict=True)
        ]
        self._sink.add_inspection(inspection, readings)

    def _move(self, settled: list[_Judged | _SetAside]) -> None:
        for outcome in settled:
            if isinstance(outcome, _Judged):
                self._folder.judged(outcome.picture, outcome.identifier)
            else:
                self._folder.set_aside(outcome.picture, outcome.identifier)

    def _set_state(self, state: str, kind: str, reason: Text) -> None:
        """Note the state; announce a trouble once, and its end once."""
        if (state, reason) == (self._state, self._reason):
            return
        if state == "down":
            self._sink.announce(self._config.device, kind, reason)
        elif self._state == "down":
            self._sink.announce(self._config.device, kind, Text("inspecting again", "检测已恢复"))
        if state != self._state:
            self._since = now_us()
        self._state, self._reason = state, reason


def _stamp(folder: Path) -> list[tuple[str, int, int]]:
    """Return what changes when somebody replaces a file of the bundle: names, inodes and times."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry.name, status.st_ino, status.st_mtime_ns)
                for entry in entries
                for status in [entry.stat(follow_symlinks=False)]
            )
    except OSError:
        return []
