"""Foreign code inside its walls: one call of a function of an archive.

    python -P -m models.archive_child       with a socket as its standard input

Whoever starts it sends a line, a `Call`; it goes inside (`models.sandbox`), sends a line and with it a descriptor of each of
`sandbox.OWN`, waits for a line back, and calls the function with a `Job`. What that writes to standard output and error is the
job's log. On the socket it says `{"done", "all"}`, `{"checkpoint": n}` - it goes on when that is answered -, and at the end
`{"result"}`, or `{"failed": {"reason", "en", "zh"}}`. Nothing it says is believed but as its own word.
"""

from __future__ import annotations

import errno
import importlib
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from models.sandbox import JOB, Room, wall_off

PROOF = "proof"
"""The entry that tries the walls; see `models.sandbox_proof`."""
_MEND = MappingProxyType(
    {
        errno.ENOSPC: ("its folders are full", "可写目录已满"),
        errno.EFBIG: ("a file may not become that large", "单个文件过大"),
        errno.EAGAIN: ("it may not start more processes", "进程数已达上限"),
        errno.ENETUNREACH: ("it has no network: the task has to ask for it", "无网络权限，须在任务中申请"),
        errno.EROFS: ("only outputs, state and scratch can be written", "仅 outputs、state、scratch 可写"),
        errno.EMFILE: ("it may not open more files", "打开文件数已达上限"),
    }
)
_RESULT_BYTES = 64 * 1024


class Call(msgspec.Struct, frozen=True):
    """What is called, `module:function` or PROOF, where and with what; processor seconds are limited by whoever starts it."""

    entry: str
    room: Room
    parameters: dict[str, Any]


class Job:
    """What the function of an archive is given.

    Attributes:
        inputs: folder of the inputs by their names, read-only.
        outputs: folder for what is to come out: files whose names have letters, digits, '.', '_' and '-', no folders.
        state: folder for what it needs to go on from a checkpoint; also flat. At the beginning both are as they were at the
            last checkpoint, empty if there is none.
        scratch: folder for everything else; nothing of it is kept.
        parameters: of the task.
    """

    def __init__(self, line: socket.socket, parameters: dict[str, Any]) -> None:
        self._line, self.parameters, self._done = line, parameters, 0
        self.inputs, self.outputs, self.state, self.scratch = (
            Path(JOB, name) for name in ("inputs", "outputs", "state", "scratch")
        )

    def progress(self, done: int, count: int) -> None:
        """Say that `done` of `count` steps are done."""
        self._done = done
        _say(self._line, {"done": done, "all": count})

    def checkpoint(self) -> None:
        """Keep outputs and state as they are now: if the machine is lost, the function is called again with these."""
        _say(self._line, {"checkpoint": self._done})
        self._line.recv(1)


def _say(line: socket.socket, said: object) -> None:
    line.sendall(msgspec.json.encode(said) + b"\n")


def _called(entry: str, line: socket.socket, parameters: dict[str, Any]) -> Any:
    if entry == PROOF:
        from models.sandbox_proof import trespasses  # noqa: PLC0415 - not where others' code is run

        return trespasses(**parameters)
    module, _, name = entry.partition(":")
    sys.path.insert(0, f"{JOB}/archive")
    function: Callable[[Job], Any] = getattr(importlib.import_module(module), name)
    return function(Job(line, parameters))


def _failed(error: BaseException) -> dict[str, Any]:
    """Return why a call failed: the innermost line of the archive's own, the error, and what can be done about it."""
    own = f"{JOB}/archive/"
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(own)]
    where = f"{lines[-1].filename.removeprefix(own)}, line {lines[-1].lineno}: " if lines else ""
    what = f"{where}{type(error).__name__}: {error}"[:500]
    mend = _MEND.get(error.errno or 0) if isinstance(error, OSError) else None
    en, zh = (f" ({mend[0]})", f"({mend[1]})") if mend else ("", "")
    return {"failed": {"reason": type(error).__name__, "en": what + en, "zh": what + zh}}


def main() -> None:
    """Answer one call; ends with the reason where there can be no walls."""
    line = socket.socket(fileno=os.dup(0))
    call = msgspec.json.decode(line.makefile("rb").readline(), type=Call)
    try:
        own = wall_off(call.room)
    except OSError as error:
        sys.exit(str(error))
    os.close(0)
    os.environ.update({"HOME": f"{JOB}/scratch", "TMPDIR": f"{JOB}/scratch"})
    os.chdir(f"{JOB}/scratch")
    socket.send_fds(line, [b"\n"], own)
    for descriptor in own:
        os.close(descriptor)
    if not line.recv(1):
        return
    try:
        result = _called(call.entry, line, call.parameters)
        told = msgspec.json.encode({"result": result})
        if len(told) > _RESULT_BYTES:
            raise ValueError(f"what it returns has more than {_RESULT_BYTES >> 10} KiB")
        line.sendall(told + b"\n")
    except BaseException as error:
        traceback.print_exc()
        _say(line, _failed(error))


if __name__ == "__main__":
    main()
