"""Watches for drift at one station, over restarts; says what has changed by its name, and what to do about it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec

from edge_agent.atomic_file import write_file
from edge_agent.config_inspection import InspectionConfig
from edge_agent.events import Announce
from edge_agent.plant_shifts import StationShifts
from models.drift import REFERENCE, Cause, Comparison, Drift, ShiftEnd, Signs, Watch
from models.vision.detector import Detector
from protocols.reading import GOOD, Reading
from protocols.text import Text
from protocols.uplink.messages import PointRef

KEEP_EVERY = 20
"""Parts after which what is known is written down: so many a power cut may cost."""

_log = logging.getLogger("sunmao.edge")


class DriftWatch:
    """The watch of one station for one model.

    Args:
        inspection: the station's configuration.
        detector: the model in use; what was learnt with another is forgotten.
        state_dir: where what is known is kept.
        announce: told when a cause is found, changes or is gone.
    """

    def __init__(self, inspection: InspectionConfig, detector: Detector, state_dir: Path, announce: Announce) -> None:
        station, parts = inspection.device, inspection.drift_parts
        self._shifts = sorted(inspection.shifts)
        self._plan = StationShifts(state_dir, station)
        self._station = station
        self._card = detector.card
        self._announce = announce
        self._path = state_dir / f"drift-{sha256(station.encode()).hexdigest()[:16]}.msgpack"
        self._drift = Drift(_kept(self._path, detector.digest, parts) or Watch(detector.digest, parts))
        self._since_kept = 0
        self._points = {
            name: PointRef(station, f"drift_{name}", f"inspection_drift_{name}", "C62")
            for name in ("score", "brightness", "sharpness")
        }

    @property
    def cause(self) -> Cause | None:
        """What has changed, at present."""
        return self._drift.watch.cause

    def counters(self) -> dict[str, int]:
        """Return how many parts of the reference there are while it is not whole."""
        known = len(self._drift.watch.score)
        return {"drift_reference": known} if known < REFERENCE else {}

    def add(self, score: float, signs: Signs, verdict: str, time: int, arrived: int) -> list[tuple[PointRef, Reading]]:
        """Take the next part; return what a comparison measured, when one was due: stability indices, unmapped.

        One is due at the first part of another shift, too, of the shift before it.
        """
        before, wanted = self.cause, self._card.reject.wanted
        self._since_kept += 1
        ended = self._drift.begin(self._shift_of(time), wanted)
        if ended:
            self._tell(before, ended.comparison)
            self._tell_shift(ended)
            before = self.cause
        comparison = self._drift.add(score, signs, verdict, wanted)
        if comparison:
            self._tell(before, comparison)
        elif ended:
            comparison = ended.comparison
        else:
            return []
        return [
            (point, Reading(point.name, comparison.psi[name], GOOD, time, arrived))
            for name, point in self._points.items()
        ]

    def keep(self) -> None:
        """Write down what is known, if enough has been added, and look for other shifts; touches the disk."""
        self._plan.refresh()
        if self._since_kept < KEEP_EVERY:
            return
        try:
            write_file(self._path, msgspec.msgpack.encode(self._drift.watch))
            self._since_kept = 0
        except OSError as error:
            # The disk is watched elsewhere; here the watch goes on in memory.
            _log.warning("%s: %s", self._path, error.strerror)

    def _shift_of(self, time: int) -> str:
        """Return when the shift began that `time` is in: by the plant's calendar, else by the station's own shifts."""
        begin = self._plan.begin_of(time)
        return shift_at(time, self._shifts) if begin is None else f"{_local(begin):%Y-%m-%d %H:%M}"

    def _tell_shift(self, ended: ShiftEnd) -> None:
        found = ended.comparison
        shown = ", ".join(f"{name} {found.psi[name]:.2f} / {found.distance[name]:.2f}" for name in found.psi)
        share = ended.rejected / ended.parts
        self._announce(
            self._station,
            "drift_shift",
            Text(
                f"shift of {ended.shift}: {ended.parts} parts, {share:.1%} rejected; PSI / KS: {shown}",
                f"{ended.shift} 班次：{ended.parts} 件，不合格率 {share:.1%}；PSI / KS：{shown}",
            ),
        )

    def _tell(self, before: Cause | None, found: Comparison) -> None:
        if found.cause == before:
            return
        psi = ", ".join(f"{name} {value:.2f}" for name, value in found.psi.items())
        low, high = (f"{share:.1%}" for share in found.rejects)
        shown = Text(f"(PSI: {psi}; rejects {low} to {high})", f"(PSI：{psi}；不合格率 {low} 至 {high})")
        if found.cause == "lighting":
            text = Text(
                f"pictures have another brightness or sharpness {shown.en}", f"图片亮度或清晰度发生变化{shown.zh}"
            )
            self._announce(self._station, "drift_lighting", text)
        elif found.cause == "variant":
            text = Text(f"parts look unlike those before {shown.en}", f"工件外观与此前不同{shown.zh}")
            self._announce(self._station, "drift_variant", text)
        elif found.cause == "model":
            text = Text(
                f"scores have risen although the pictures are as bright, sharp and alike as before {shown.en}",
                f"图片亮度、清晰度和外观未变，但分值升高{shown.zh}",
            )
            self._announce(self._station, "drift_model", text)
        else:
            text = Text(f"parts are as they were {shown.en}", f"工件恢复如常{shown.zh}")
            self._announce(self._station, "drift_over", text)


def shift_at(time: int, begins: Sequence[str]) -> str:
    """Return when the shift began that `time`, microseconds UTC, is in, by the box's clock; "" without shifts.

    `begins`: when shifts begin, "HH:MM", in order.
    """
    if not begins:
        return ""
    local = _local(time)
    today = [begin for begin in begins if begin <= f"{local:%H:%M}"]
    day = local if today else local - timedelta(days=1)
    return f"{day:%Y-%m-%d} {today[-1] if today else begins[-1]}"


def _local(time: int) -> datetime:
    """Return microseconds UTC as the box's clock shows them."""
    return datetime.fromtimestamp(time / 1e6, UTC).astimezone()


def _kept(path: Path, model: str, parts: int) -> Watch | None:
    """Return what was kept for this model; None if there is nothing, or nothing that can be used."""
    try:
        watch = msgspec.msgpack.decode(path.read_bytes(), type=Watch)
    except (OSError, msgspec.MsgspecError):
        return None
    return watch if (watch.model, watch.parts) == (model, parts) else None
