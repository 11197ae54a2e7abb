"""The folder a camera leaves its pictures in: which are complete, and where they go once they are judged.

    pictures/cap-17.jpg            left by the camera, written in place or written elsewhere and renamed
    pictures/done/<id>-cap-17.jpg  judged; the last `keep` stay
    pictures/bad/<id>-cap-17.jpg   not a picture that can be judged; a person looks at these

Polled, because neither network shares nor FTP servers tell of changes. What the agent fetches from a camera itself is
`put` here, too, so that it outlives a crash like any other picture.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from models.vision.pictures import MAX_BYTES, SUFFIXES

PATIENCE_S = 3.0
"""How long a file that cannot be read must stay unchanged before it is set aside: a slow camera may still be writing."""

_NAME_LENGTH = 120


class Picture(NamedTuple):
    """A picture that waits. `taken_ns`: the file's modification time, UTC. `settled_s`: how long it has not changed."""

    path: Path
    size: int
    taken_ns: int
    settled_s: float

    @property
    def part(self) -> str:
        """The part's identifier: the file's name without its suffix, as valid text of at most 120 characters."""
        return os.fsencode(self.path.stem).decode("utf-8", "replace")[:_NAME_LENGTH]


class PictureFolder:
    """Finds complete pictures and moves judged ones; all calls touch the disk."""

    def __init__(self, folder: Path, keep: int, suffixes: Collection[str] = SUFFIXES) -> None:
        self.folder = folder
        self._suffixes = suffixes
        self._keep = keep
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}
        self._whole: dict[str, tuple[int, int]] = {}

    @property
    def waiting(self) -> int:
        """How many pictures that were `put` here are not moved yet."""
        return len(self._whole)

    def prepare(self) -> None:
        """Create the folders; raises OSError."""
        for name in ("done", "bad"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def arrived(self, most: int) -> list[Picture]:
        """Return up to `most` pictures that have not changed since the last call, oldest first; raises OSError."""
        now = time.monotonic()
        seen: dict[str, tuple[tuple[int, int], float]] = {}
        settled: list[Picture] = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if Path(entry.name).suffix.lower() not in self._suffixes or entry.name.startswith("."):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if not stat.S_ISREG(status.st_mode):
                    continue
                mark = (status.st_size, status.st_mtime_ns)
                before = self._seen.get(entry.name)
                seen[entry.name] = before if before and before[0] == mark else (mark, now)
                if self._whole.get(entry.name) == mark:
                    settled.append(Picture(Path(entry.path), *mark, PATIENCE_S))
                elif before and before[0] == mark:
                    settled.append(Picture(Path(entry.path), *mark, now - before[1]))
        for name in self._seen.keys() - seen.keys():
            self._whole.pop(name, None)  # somebody took it away
        self._seen = seen
        return sorted(settled, key=lambda picture: (picture.taken_ns, picture.path.name))[:most]

    def put(self, content: bytes, part: str, taken_ns: int) -> None:
        """Leave a picture of `part`, which is known to be whole and so waits for no second look; raises OSError.

        A part of which a picture waits already gets "~2" and so on behind its name.
        """
        stem = (
            "".join(c if c.isprintable() and c not in "/." else "_" for c in part)
            .encode()[:200]
            .decode(errors="ignore")
        )
        suffix = ".png" if content.startswith(b"\x89PNG") else ".jpg"
        name, number = f"{stem}{suffix}", 1
        while (self.folder / name).exists():
            number += 1
            name = f"{stem}~{number}{suffix}"
        hidden = self.folder / f".{name}"
        hidden.write_bytes(content)
        os.utime(hidden, ns=(taken_ns, taken_ns))
        status = hidden.stat()
        self._whole[name] = (status.st_size, status.st_mtime_ns)
        hidden.replace(self.folder / name)

    def read(self, picture: Picture) -> bytes:
        """Return the file's bytes, one more than `MAX_BYTES` at most.

        Raises OSError; FileNotFoundError also if the camera has put another picture in its place.
        """
        descriptor = os.open(picture.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(MAX_BYTES + 1)
            if not _is(picture, os.fstat(file.fileno())):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(picture.path))
            return content

    def judged(self, picture: Picture, identifier: str) -> None:
        """Move a judged picture to done/ and drop the oldest there beyond `keep`; raises OSError."""
        self._move(picture, "done", identifier)
        kept = sorted(os.listdir(self.folder / "done"))  # the identifiers begin with the time
        for name in kept[: max(len(kept) - self._keep, 0)]:
            (self.folder / "done" / name).unlink(missing_ok=True)

    def set_aside(self, picture: Picture, identifier: str) -> None:
        """Move a picture that cannot be judged to bad/, where it stays; raises OSError."""
        self._move(picture, "bad", identifier)

    def _move(self, picture: Picture, to: str, identifier: str) -> None:
        """Move the picture, unless the camera has put another in its place, which waits to be judged itself."""
        if self._whole.get(picture.path.name) == (picture.size, picture.taken_ns):
            del self._whole[picture.path.name]
        if not _is(picture, picture.path.lstat()):
            return
        name = f"{identifier}-{picture.part}{picture.path.suffix}"
        picture.path.replace(self.folder / to / name.encode()[:250].decode("utf-8", "ignore"))


def _is(picture: Picture, status: os.stat_result) -> bool:
    return (status.st_size, status.st_mtime_ns) == (picture.size, picture.taken_ns)


def picture_id(device: str, picture: Picture, content: bytes) -> str:
    """Return the identifier of a picture: the same for the same file, in this run or after a crash.

    A UUID version 7 (RFC 9562, 5.7) whose time is the file's and whose other bits are a hash of station, name and
    content.
    """
    name = os.fsencode(picture.path.name)
    digest = sha256(b"\0".join((device.encode(), name, sha256(content).digest()))).digest()
    bits = (picture.taken_ns // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(digest[:10])
    return str(UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))
