"""The folder a recorder leaves files of vibration in: taken one after the other, moved away once they are judged."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from edge_agent.config_machine_health import WaveformConfig
from edge_agent.events import Announce
from edge_agent.inspect.source_folder import PATIENCE_S, Picture, PictureFolder, picture_id
from models.errors import InputError
from models.series.monitor import Block
from models.series.waveform import SUFFIXES, Doubles, blocks_of
from protocols.text import Text

LOOK_S = 1.0
"""How often a folder of vibration is looked at, at the least."""


class WaveFile(NamedTuple):
    """A file that has come."""

    entry: Picture
    content: bytes

    @property
    def taken(self) -> int:
        """When it was written, microseconds UTC."""
        return self.entry.taken_ns // 1000

    def blocks(self, block: Block) -> Doubles:
        """Return its blocks (rows x samples); raises InputError where the file does not go with the model."""
        return blocks_of(self.content, self.entry.path.name, block)


class WaveFolder:
    """Finds whole files, as the folder of a camera does; all calls raise OSError.

    Args:
        device: the watch's name.
        waveform: its table.
        period_s: how far apart files come.
        announce: told of files that cannot be judged.
    """

    def __init__(self, device: str, waveform: WaveformConfig, period_s: float, announce: Announce) -> None:
        self.look_s = min(period_s, LOOK_S)
        self._device = device
        self._folder = PictureFolder(waveform.folder, waveform.keep, SUFFIXES)
        self._announce = announce
        self._ready = False
        self._file: WaveFile | None = None

    async def next(self) -> WaveFile | None:
        """Return the oldest file that waits, if any."""
        self._file = await asyncio.to_thread(self._next)
        return self._file

    def _next(self) -> WaveFile | None:
        if not self._ready:
            self._folder.prepare()
            self._ready = True
        for entry in self._folder.arrived(1):
            try:
                return WaveFile(entry, self._folder.read(entry))
            except FileNotFoundError:
                return None
        return None

    async def judged(self) -> None:
        """Move the last file to done/."""
        if file := self._file:
            await asyncio.to_thread(self._folder.judged, file.entry, self._identifier(file))

    async def refuse(self, why: InputError) -> None:
        """Move the last file, which cannot be judged, to bad/ and say so, unless somebody is still writing it."""
        if (file := self._file) and file.entry.settled_s >= PATIENCE_S:
            text = Text(f"moved to bad/: {why.en}", f"已移至 bad/：{why.zh}")
            self._announce(self._device, "waveform_set_aside", text)
            await asyncio.to_thread(self._folder.set_aside, file.entry, self._identifier(file))

    async def close(self) -> None:
        """Nothing is held open."""

    def _identifier(self, file: WaveFile) -> str:
        return picture_id(self._device, file.entry, file.content)
