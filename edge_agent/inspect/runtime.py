"""From a picture's bytes to a verdict with evidence, by a bundle that has passed every check on this box."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from edge_agent.inspect.probe import Probe, probe
from models.bundle import read_bundle
from models.drift import Signs, signs_of
from models.errors import InputError
from models.series.forecast import Forecaster
from models.series.monitor import Monitor
from models.session import Way
from models.trial import try_bundle
from models.vision.detector import Detector, Finding, heatmap_png
from models.vision.pictures import decode, fit_to
from protocols.uplink.messages import SecondOpinion

EVIDENCE_SIDE = 640
HEATMAP_SIDE = 256
EVIDENCE_BYTES = 60_000
"""Largest evidence picture, so that a slow link carries one a second."""


class Judgement(NamedTuple):
    """A finding, the time it took from the picture's bytes to the verdict, what drift shows in, and pictures as evidence."""

    finding: Finding
    latency_us: int
    signs: Signs
    picture: bytes
    heatmap: bytes


class Loaded(NamedTuple):
    """A model that may run here, and the way of running it that was measured to be best."""

    detector: Detector
    chosen: Probe


def bundle_stamp(folder: Path) -> list[tuple[str, int, int]]:
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


def load_monitor(folder: Path, trust: Sequence[str], sensors: Iterable[str] | None) -> Monitor:
    """Return the health model in `folder`; raises ModelError as `load_detector` does, or unless `sensors` are the model's.

    `sensors` None: it shall be a model of vibration.
    """
    bundle = read_bundle(folder, trust)
    try_bundle(bundle)
    monitor = Monitor(bundle)
    if (sensors is None) != (monitor.block is not None):
        raise InputError(
            "sensors",
            "a model of vibration takes [machine_health.waveform] or [machine_health.array], another one [machine_health.sensors]",
            "振动模型使用 [machine_health.waveform] 或 [machine_health.array]，其他模型使用 [machine_health.sensors]",
        )
    if sensors is None:
        return monitor
    for name in sorted(set(monitor.sensors).symmetric_difference(sensors)):
        have = ", ".join(monitor.sensors)
        raise InputError(
            "sensors",
            f"the model's sensors are {have}; those of the configuration differ: '{name}'",
            f"模型的传感器为 {have}；配置与之不符：“{name}”",
        )
    return monitor


def load_forecaster(folder: Path, trust: Sequence[str]) -> Forecaster:
    """Return the seasonal model in `folder`; raises ModelError as `load_detector` does."""
    bundle = read_bundle(folder, trust)
    try_bundle(bundle)
    return Forecaster(bundle)


def load_detector(folder: Path, trust: Sequence[str], state_dir: Path) -> Loaded:
    """Return the model in `folder`; raises ModelError unless it is signed, unaltered, allowed and survives its trial run.

    How it runs best is measured when it is used for the first time, and kept in `state_dir`.
    """
    bundle = read_bundle(folder, trust)
    try_bundle(bundle)
    chosen = probe(bundle, state_dir)
    return Loaded(Detector(bundle, Way(chosen.provider, chosen.threads)), chosen)


def judge(detector: Detector, content: bytes, name: str) -> Judgement:
    """Return the judgement on a JPEG or PNG file; raises InputError naming `name` if it is no picture."""
    begin = time.perf_counter_ns()
    picture = decode(content, name)
    grey = fit_to(picture, detector.sees)
    finding = detector.inspect(grey)
    latency_us = (time.perf_counter_ns() - begin) // 1000
    return Judgement(
        finding,
        latency_us,
        signs_of(grey if detector.card.tiling is None else fit_to(picture, detector.side)),
        evidence_jpeg(picture),
        heatmap_png(finding, _within(picture.size, HEATMAP_SIDE)),
    )


def second_opinion(detector: Detector, content: bytes, name: str) -> SecondOpinion | None:
    """Return what a model beside the deciding one says of the file; None if it can say nothing."""
    begin = time.perf_counter_ns()
    try:
        finding = detector.inspect(fit_to(decode(content, name), detector.sees))
    except InputError:
        return None
    latency_us = (time.perf_counter_ns() - begin) // 1000
    card = detector.card
    return SecondOpinion(card.name, card.version, finding.verdict, finding.score, latency_us)


def evidence_jpeg(picture: Image.Image) -> bytes:
    """Return the picture as a JPEG of at most `EVIDENCE_SIDE` pixels a side and `EVIDENCE_BYTES` bytes."""
    size = _within(picture.size, EVIDENCE_SIDE)
    while True:
        small = picture.resize(size, Image.Resampling.BOX) if size != picture.size else picture
        for quality in (85, 70, 50):
            file = BytesIO()
            small.save(file, "JPEG", quality=quality)
            if file.tell() <= EVIDENCE_BYTES:
                return file.getvalue()
        size = _within(size, max(size) // 2)


def _within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return `size` scaled down, proportions kept, to at most `side` a side."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
