"""What runs a job on a machine: the adapter interface, and the engine that is always there, a contained local process.

An engine runs `models.task_child` on a folder that holds `task.json` and its files, hands on what the child says, and kills it
when told. What runs by Slurm, Kubernetes or SkyPilot is one more class with the same `run`: the folder has to be where the
child is, its lines have to come back, and cancelling has to end it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from models.process_tree import use_of

Heard = Callable[[dict[str, Any]], None]
"""Called with every line the child says but its last word, see `models.task_child`; and with `{"log": line}` for all else it writes."""

_PART = 4096


class Outcome(NamedTuple):
    """What became of a run: what came out, or the child's own words why not, or neither - it just ended, by `code`."""

    result: dict[str, Any] | None
    failed: dict[str, str] | None
    code: int


class Engine(Protocol):
    """Runs the child on a folder."""

    async def run(self, folder: Path, provider: str, heard: Heard) -> Outcome:
        """Run to the end; cancelled, kill the child."""

    def cpu_ms(self) -> int:
        """Return the computing time used so far by what runs now, in ms."""

    def memory_mb(self) -> int:
        """Return the memory of what runs now, in MiB; 0 where that is not known."""

    @property
    def contained(self) -> bool:
        """Whether the child has no network, as far as is known yet."""

    def close(self) -> None:
        """Let go of what it holds."""


class LocalProcess:
    """The child as a process of this machine: without a network where the system allows that, and without our secrets."""

    def __init__(self) -> None:
        self._prefix = without_network()
        self._child: Process | None = None

    @property
    def contained(self) -> bool:
        """Whether the child has no network."""
        return bool(self._prefix)

    async def run(self, folder: Path, provider: str, heard: Heard) -> Outcome:
        """Run the child on `folder`."""
        prefix = [] if _asks_for_network(folder) else self._prefix
        command = [*prefix, sys.executable, "-P", "-m", "models.task_child", str(folder), provider]
        child = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=folder, env=child_environment(), limit=1 << 24
        )
        self._child = child
        try:
            (result, failed), _ = await asyncio.gather(_listen(child, heard), _overhear(child, heard))
            return Outcome(result, failed, await child.wait())
        finally:
            self._child = None
            if child.returncode is None:
                child.kill()
                await child.wait()
            if child.stdin:
                child.stdin.close()

    def close(self) -> None:
        """Nothing is held between runs."""

    def cpu_ms(self) -> int:
        """Return the computing time of the child and of what it has started, in ms."""
        return use_of(self._child.pid).cpu_ms if self._child else 0

    def memory_mb(self) -> int:
        """Return the resident memory of the child and of what it has started, in MiB."""
        return use_of(self._child.pid).memory >> 20 if self._child else 0


async def _listen(child: Process, heard: Heard) -> tuple[dict[str, Any] | None, dict[str, str] | None]:
    assert child.stdout is not None  # noqa: S101 - it is a pipe
    result, failed = None, None
    async for line in child.stdout:
        try:
            said = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError:  # a library of the child's prints
            heard({"log": line.decode(errors="replace")})
            continue
        if "failed" in said:
            failed = said["failed"]
        elif said.keys() & {"stage", "checkpoint", "chip"}:
            heard(said)
        else:
            result = said
    return result, failed


async def _overhear(child: Process, heard: Heard) -> None:
    """Hand on what the child writes beside what it says, by lines; one without an end is cut."""
    assert child.stderr is not None  # noqa: S101 - it is a pipe
    rest = b""
    while part := await child.stderr.read(_PART):
        *lines, rest = (rest + part).split(b"\n")
        if len(rest) > _PART:
            lines, rest = [*lines, rest], b""
        for line in lines:
            heard({"log": line.decode(errors="replace")})
    if rest:
        heard({"log": rest.decode(errors="replace")})


class _Asks(msgspec.Struct):
    network: bool = False


def _asks_for_network(folder: Path) -> bool:
    """Return whether the task is foreign code that may have a network: the walls are its own then, see `models.sandbox`."""
    try:
        return msgspec.json.decode((folder / "task.json").read_bytes(), type=_Asks).network
    except msgspec.MsgspecError:
        return False  # the child says what is wrong with it


def child_environment() -> dict[str, str]:
    """Return the environment of a child: none of our secrets."""
    return {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "LANG", "LC_ALL")}


def without_network() -> list[str]:
    """Return the command that starts another one in a network namespace of its own; empty where that is not allowed."""
    unshare = shutil.which("unshare")
    for options in (["--net"], ["--net", "--map-root-user"]):
        if unshare and subprocess.run([unshare, *options, "true"], capture_output=True, check=False).returncode == 0:
            return [unshare, *options, "--"]
    return []
