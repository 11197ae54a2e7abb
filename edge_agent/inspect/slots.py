"""Which models a station has: the one configured at the box, and those the cloud has sent; two can decide, one beside them.

    state/models/<station>/slots.json      what decides, what did before, what judges beside it, what became of the last order
    state/models/<station>/<digest>/       a bundle, complete and verified
    state/models/<station>/<digest>.part/  one under way; it goes on where it stopped

`slots.json` is replaced in one step, after the bundle it names is on disk, so that an end at any moment leaves a station
that runs the model before or the new one. A new model is on trial for its first parts. Somebody who configures another
bundle at the box thereby takes back everything the cloud has ordered.
"""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from edge_agent.atomic_file import sync, write_file
from edge_agent.config import ForecastConfig, InspectionConfig, MachineHealthConfig
from models.bundle import LIMITS
from models.errors import BundleRefused
from protocols.text import Text
from protocols.uplink.models import ModelOrder, StationModels

TRIAL_PARTS = 20
"""Parts after which a new model is kept, unless it was too slow for them."""
MOST_STARTS = 3
"""A trial during which the station starts so often is over: the model is taken to end it."""

Outcome = Literal["", "trial", "done", "failed", "returned"]


class _State(msgspec.Struct):
    """What `slots.json` holds. A digest "" stands for the configured bundle, None for no model.

    `bundle`: the configured folder. `order`, `latency_us`: of the last order. `starts`: since the trial began. `new`: what
    decides is not merely the one before, ordered back.
    """

    bundle: str
    run: str = ""
    previous: str | None = None
    shadow: str | None = None
    order: int = 0
    latency_us: int = 0
    outcome: Outcome = ""
    reason_en: str = ""
    reason_zh: str = ""
    starts: int = 0
    new: bool = False


class Slots:
    """The models of one station. Everything but `report` and `judged` touches the disk.

    Args:
        settings: the station's, or the watch's, configuration.
        state_dir: the agent's folder.
    """

    def __init__(self, settings: InspectionConfig | MachineHealthConfig | ForecastConfig, state_dir: Path) -> None:
        self._configured = settings.bundle
        self._station = settings.device
        self._folder = state_dir / "models" / sha256(settings.device.encode()).hexdigest()[:16]
        self._state = self._load()
        self._latencies: list[int] = []
        self._configured_digest = ""

    @property
    def on_trial(self) -> bool:
        """Whether the model that decides has still to prove itself."""
        return self._state.outcome == "trial"

    @property
    def compared_with(self) -> Path | None:
        """Folder of the model before, if what decides has been ordered in its place and was not there before it."""
        previous = self._state.previous
        return None if previous is None or not self._state.new else self.folder(previous)

    @property
    def shadow(self) -> str | None:
        """Digest of the model that judges beside the one that decides."""
        return self._state.shadow

    def report(self) -> StationModels:
        """Return what the station runs and what became of the last order."""
        state = self._state

        def named(digest: str | None) -> str:
            return self._configured_digest if digest == "" else digest or ""

        return StationModels(
            self._station,
            named(state.run),
            named(state.previous),
            named(state.shadow),
            state.order,
            state.outcome,
            state.reason_en,
            state.reason_zh,
        )

    def begin(self) -> Path:
        """Return the folder of the model to decide with; one on trial that ended the agent too often is returned."""
        self._configured_digest = self._digest_of(self._configured)
        if self.on_trial:
            self._state.starts += 1
            if self._state.starts >= MOST_STARTS:
                self.give_back(
                    Text(
                        f"the station started {self._state.starts} times during its trial",
                        f"试运行期间工位启动了 {self._state.starts} 次",
                    )
                )
            else:
                self.keep()
        return self.folder(self._state.run)

    def folder(self, digest: str) -> Path:
        """Return where a model is; `digest` may be that of the configured one."""
        return self._configured if digest in ("", self._configured_digest) else self._folder / digest

    def has(self, digest: str) -> bool:
        """Return whether the model is here, complete."""
        return self.folder(digest).is_dir()

    def written(self, digest: str, file: str) -> int:
        """Return how many bytes of a file have come already."""
        try:
            return (self._folder / f"{digest}.part" / file).stat().st_size
        except FileNotFoundError:
            return 0

    def write(self, digest: str, file: str, offset: int, content: bytes) -> None:
        """Put a piece of a file behind what has come; raises OSError, BundleRefused where it would grow too large."""
        if offset + len(content) > LIMITS[file]:
            raise BundleRefused(
                "too_large", f"{file} is above {LIMITS[file]} bytes", f"{file} 超过 {LIMITS[file]} 字节"
            )
        folder = self._folder / f"{digest}.part"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / file).open("r+b" if offset else "wb") as part:
            part.seek(offset)
            part.write(content)
            part.truncate()

    def complete(self, digest: str) -> None:
        """Give the bundle that has come its name; raises BundleRefused, and drops it, if it is another one; OSError."""
        folder = self._folder / f"{digest}.part"
        if self._digest_of(folder) != digest:
            shutil.rmtree(folder)
            raise BundleRefused("altered", f"{digest[:12]} came damaged", f"{digest[:12]} 传输损坏")
        for name in LIMITS:
            sync(folder / name)
        folder.replace(self._folder / digest)
        sync(self._folder)

    def put(self, order: ModelOrder) -> None:
        """Take what `order` wants, all of it here and verified, as what the station runs; raises OSError."""
        state, run = self._state, "" if order.run == self._configured_digest else order.run
        if order.run and run != state.run:
            state.new = run != state.previous
            state.previous, state.run = state.run, run
            state.outcome, state.starts = "trial", 0
            self._latencies.clear()
        elif not self.on_trial:
            state.outcome = "done"
        state.shadow = ("" if order.shadow == self._configured_digest else order.shadow) if order.shadow else None
        state.order, state.latency_us = order.number, order.latency_us
        state.reason_en = state.reason_zh = ""
        self.keep()
        self._sweep()

    def refuse(self, order: ModelOrder, why: Text) -> None:
        """Note that an order cannot be followed."""
        state = self._state
        state.order, state.outcome, state.reason_en, state.reason_zh = order.number, "failed", why.en, why.zh
        self.keep()

    def give_back(self, why: Text) -> bool:
        """Let the model before decide again; False if there is none."""
        state = self._state
        if state.previous is None:
            return False
        state.run, state.previous = state.previous, None
        state.shadow = None
        state.outcome, state.reason_en, state.reason_zh = "returned", why.en, why.zh
        self.keep()
        return True

    def judged(self, latency_us: int) -> Text | None:
        """Take the time of a part judged by a model on trial; return why it has to go, if it has."""
        self._latencies.append(latency_us)
        if len(self._latencies) < TRIAL_PARTS:
            return None
        p95, most = sorted(self._latencies)[int(TRIAL_PARTS * 0.95)], self._state.latency_us
        if most and p95 > most:
            return Text(
                f"95 % of its verdicts take up to {p95 / 1000:.0f} ms, more than the {most / 1000:.0f} ms allowed",
                f"95% 的判定耗时达 {p95 / 1000:.0f} 毫秒，超过允许的 {most / 1000:.0f} 毫秒",
            )
        self._state.outcome = "done"
        return None

    def keep(self) -> None:
        """Write down what the station runs; raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_file(self._folder / "slots.json", msgspec.json.encode(self._state))

    def _load(self) -> _State:
        fresh = _State(str(self._configured))
        try:
            state = msgspec.json.decode((self._folder / "slots.json").read_bytes(), type=_State)
        except (OSError, msgspec.MsgspecError):
            return fresh
        usable = state.bundle == fresh.bundle and (not state.run or (self._folder / state.run).is_dir())
        return state if usable else fresh

    def _sweep(self) -> None:
        """Remove what no slot names."""
        named = {self._state.run, self._state.previous, self._state.shadow}
        for entry in self._folder.iterdir():
            if entry.is_dir() and entry.name not in named:
                shutil.rmtree(entry, ignore_errors=True)

    @staticmethod
    def _digest_of(folder: Path) -> str:
        try:
            return sha256((folder / "checksums.txt").read_bytes()[: LIMITS["checksums.txt"] + 1]).hexdigest()
        except OSError:
            return ""
