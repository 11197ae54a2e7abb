"""Power cuts replayed: a buffer's system calls are recorded, and the disk is rebuilt as each cut may have left it.

What was synced is there; of what was written since, any sectors of 512 bytes are and others are not, whatever their order;
a file removed since may be back. Each disk is opened with the product: all that counted as held is there, once, and as it
was. SUNMAO_CUTS sets how many disks are rebuilt for each instant (all, none, and otherwise at random; 4 in the suite).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.buffer import Buffer
from edge_agent.config import BufferConfig
from tests.edge_agent.numbered import drain

WRITER = Path(__file__).with_name("settling_writer.py")
GROUPS = 25
SECTOR = 512
CUTS = int(os.environ.get("SUNMAO_CUTS", "4"))

pytestmark = [
    pytest.mark.skipif(not shutil.which("strace"), reason="POWER CUTS ARE NOT REPLAYED: no strace here"),
    pytest.mark.timeout(60 + 60 * CUTS),
]

_CALL = re.compile(r'\d+ +(?P<name>\w+)\((?:\d+<(?P<fd>[^>]*)>|"(?P<path>[^"]*)")(?:, "(?P<data>[^"]*)")?(?P<rest>.*)')
_RESUMED = re.compile(r"\d+ +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")


def _bytes(escaped: str | None) -> bytes:
    return bytes.fromhex((escaped or "").replace("\\x", ""))


@dataclass
class Write:
    """Bytes on their way to a file; without `data` the file is cut to `offset`."""

    offset: int
    data: bytes | None = None

    def onto(self, content: bytearray, keep: random.Random | None) -> None:
        """Apply it: wholly, or, at random, some of its sectors."""
        if self.data is None:
            if keep is None or keep.random() < 0.5:
                content[self.offset :] = b""
            return
        for at in range(0, len(self.data), SECTOR):
            if keep is None or keep.random() < 0.5:
                begin, piece = self.offset + at, self.data[at : at + SECTOR]
                content.extend(bytes(max(begin + len(piece) - len(content), 0)))
                content[begin : begin + len(piece)] = piece


@dataclass
class Disk:
    """What is safe of each file, and what is under way; the numbers said to be held and let go."""

    safe: dict[str, bytearray] = field(default_factory=dict)
    under_way: dict[str, list[Write]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    held: int = 0
    gone: int = 0

    def cut(self, folder: Path, keep: random.Random | None, *, nothing: bool = False) -> None:
        """Leave in `folder` what a power cut leaves now: of what is under way all, nothing or, with `keep`, some."""
        folder.mkdir()
        for name, safe in self.safe.items():
            if name in self.removed and (keep is None or keep.random() < 0.5) and not nothing:
                continue
            content = bytearray(safe)
            for write in () if nothing else self.under_way[name]:
                write.onto(content, keep)
            (folder / name).write_bytes(content)


def _states(trace: list[str]) -> Iterator[Disk]:
    """Yield the disk as it is after each call that changes it, the same object each time."""
    disk, syncing = Disk(), dict[str, tuple[str, int]]()
    for line in trace:
        thread = line.split(maxsplit=1)[0]
        if resumed := _RESUMED.match(line):
            if resumed["name"] in ("fsync", "fdatasync") and resumed["rest"].endswith("= 0"):
                _synced(disk, *syncing.pop(thread))
                yield disk
            continue
        call = _CALL.match(line)
        if call is None:
            continue
        path = _bytes(call["fd"] if call["fd"] is not None else call["path"]).decode()
        file = path.rpartition("/")[2]
        if call["name"] == "write":
            if call["rest"].startswith(", "):
                said = _bytes(call["data"]).split()
                if len(said) == 2 and said[0] in (b"held", b"gone"):
                    setattr(disk, said[0].decode(), int(said[1]))
        elif "/state" not in path or file.endswith("-shm"):  # shared memory is made anew
            continue
        elif call["name"] == "unlink":
            disk.removed.add(file)
        elif call["name"] in ("fsync", "fdatasync"):
            what = (file, len(disk.under_way.get(file, [])))
            if call["rest"].endswith("= 0"):
                _synced(disk, *what)
            else:
                syncing[thread] = what
        else:
            numbers = re.findall(r"\d+", call["rest"])
            write = (
                Write(int(numbers[1]), _bytes(call["data"])) if call["name"] == "pwrite64" else Write(int(numbers[0]))
            )
            if file in disk.removed:  # a new file under an old name
                disk.removed.discard(file)
                disk.safe.pop(file), disk.under_way.pop(file)
            disk.safe.setdefault(file, bytearray())
            disk.under_way.setdefault(file, []).append(write)
        yield disk


def _synced(disk: Disk, file: str, writes: int) -> None:
    """The first `writes` under way to `file` have arrived; if it is the folder, what was removed is."""
    if file in disk.safe:
        for write in disk.under_way[file][:writes]:
            write.onto(disk.safe[file], None)
        del disk.under_way[file][:writes]
    elif file == "state":
        for name in disk.removed:
            disk.safe.pop(name), disk.under_way.pop(name)
        disk.removed.clear()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder whose syncs cost nothing, where there is one."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as folder:
        yield Path(folder)


def _recorded(folder: Path) -> list[str]:
    """Run the writer; the system calls it made."""
    trace = folder / "trace"
    calls = "trace=pwrite64,fdatasync,fsync,ftruncate,unlink,write"
    command = ["strace", "-f", "-y", "-xx", "-s", "1000000", "-e", calls, "-o", trace, sys.executable, WRITER]
    child = subprocess.run([*command, folder / "state", str(GROUPS)], capture_output=True, check=False)
    if b"ptrace" in child.stderr:
        pytest.skip(f"POWER CUTS ARE NOT REPLAYED: {child.stderr.decode().strip()}")
    assert child.returncode == 0, child.stderr
    return trace.read_text().splitlines()


@pytest.mark.faults
async def test_whatever_a_power_cut_leaves_what_was_held_is_there_once_and_true(
    tmp_path: Path, memory: Path, record_property: Callable[[str, object], None]
) -> None:
    """the power is cut at any instant, with any sectors of what was not synced on the disk"""
    generator, images, instants = random.Random(512), 0, 0
    for disk in _states(_recorded(tmp_path)):
        if disk.held == 0:
            continue
        instants += 1
        for cut in range(CUTS):
            folder = memory / "cut"
            disk.cut(folder, generator if cut > 1 else None, nothing=cut == 0)
            await _judge(folder, disk)
            shutil.rmtree(folder)
            images += 1
    assert disk.held == GROUPS * 50
    record_property("figure", f"{instants} instants, {images:,} disks: 0 lost, 0 wrong")
    assert images > 100


async def _judge(folder: Path, disk: Disk) -> None:
    buffer = Buffer(folder, BufferConfig(limit_mb=1), "en")
    await buffer.open()
    collected = (await buffer.stats()).state.collected
    found = await drain(buffer)
    await buffer.close()
    first = found[0] if found else collected
    assert not [name for name in os.listdir(folder) if name.endswith(".damaged")]
    assert collected >= disk.held, "lost"
    assert first <= disk.gone, "lost"
    assert found == list(range(first, collected)), "lost, twice or wrong"
