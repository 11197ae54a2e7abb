"""The folder a recorder leaves files of vibration in: taken one after the other, moved away once they are judged."""

from __future__ import annotations

from typing import NamedTuple

from edge_agent.config_machine_health import WaveformConfig
from edge_agent.inspect.source_folder import PATIENCE_S, Picture, PictureFolder, picture_id
from models.series.waveform import SUFFIXES


class WaveFile(NamedTuple):
    """A file that has come: its bytes, and the time at which it was written, microseconds UTC."""

    entry: Picture
    content: bytes

    @property
    def name(self) -> str:
        """The file's name."""
        return self.entry.path.name

    @property
    def taken(self) -> int:
        """When it was written."""
        return self.entry.taken_ns // 1000

    @property
    def settled(self) -> bool:
        """Whether nobody is still writing it."""
        return self.entry.settled_s >= PATIENCE_S


class WaveFolder:
    """Finds whole files, as the folder of a camera does; all calls touch the disk and raise OSError."""

    def __init__(self, device: str, waveform: WaveformConfig) -> None:
        self._device = device
        self._folder = PictureFolder(waveform.folder, waveform.keep, SUFFIXES)
        self._ready = False

    def next(self) -> WaveFile | None:
        """Return the oldest file that waits, if any."""
        if not self._ready:
            self._folder.prepare()
            self._ready = True
        for entry in self._folder.arrived(1):
            try:
                return WaveFile(entry, self._folder.read(entry))
            except FileNotFoundError:
                return None
        return None

    def judged(self, file: WaveFile) -> None:
        """Move a judged file to done/."""
        self._folder.judged(file.entry, picture_id(self._device, file.entry, file.content))

    def set_aside(self, file: WaveFile) -> None:
        """Move a file that cannot be judged to bad/."""
        self._folder.set_aside(file.entry, picture_id(self._device, file.entry, file.content))
