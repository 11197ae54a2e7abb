"""Runs a function of a signed archive behind walls, from outside: gives it its files, keeps its checkpoints, takes what came out.

In the folder of the task lie `archive.zip` and the inputs, `input.NAME`; a checkpoint is `state.zip`, and what came out are
`output.NAME`. Of the folders that the code writes to only regular files are read, by descriptors and never by a link.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

import msgspec

from models.archive import read_archive, unzipped, zip_of
from models.archive_child import PROOF, Call
from models.errors import ModelError
from models.process_tree import use_of
from models.sandbox import OWN, Room
from models.sandbox_proof import DISK, PROCESSES
from models.task import ARCHIVE, INPUT, OUTPUT, STATE, PythonTask

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_FILE, _MOST_FILES = 64 << 20, 100
_LINE = 1 << 17
_LOOK_S, _SAY_S = 0.5, 0.2
_OUTPUTS, _STATE = 0, 1


class _Said(msgspec.Struct):
    """A line of the code inside."""

    done: int = 0
    all: int = 0
    checkpoint: int | None = None
    result: Any = msgspec.UNSET
    failed: dict[str, str] | None = None


class _Walled:
    """A process that is inside. Use as a context; `why` is set where it had to be ended."""

    def __init__(self, call: Call, memory: int, time_s: float) -> None:
        self.why: ModelError | None = None
        self._memory, self._until, self._time_s = memory, time.monotonic() + time_s, time_s
        here, there = socket.socketpair()
        command = [sys.executable, "-P", "-m", "models.archive_child"]
        self._process = subprocess.Popen(command, stdin=there.fileno(), stdout=sys.stderr.fileno(), cwd="/")
        there.close()
        self._line, self._ended = here, threading.Event()
        here.sendall(msgspec.json.encode(call) + b"\n")
        self.own: list[int] = []

    def __enter__(self) -> _Walled:
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            _, self.own, _, _ = socket.recv_fds(self._line, 1, len(OWN))
            if len(self.own) != len(OWN):
                raise ModelError("sandbox", "this machine cannot wall it off", "本机无法隔离运行外来代码")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._process.kill()
        self._process.wait()
        self._line.close()
        for descriptor in self.own:
            os.close(descriptor)

    def talk(self, hear: Callable[[_Said], None]) -> Any:
        """Let it go, hear what it says, and return its result; raises ModelError for whatever else becomes of it."""
        self._line.sendall(b"\n")
        with self._line.makefile("rb") as lines:
            while line := lines.readline(_LINE):
                try:
                    said = msgspec.json.decode(line, type=_Said)
                except msgspec.MsgspecError as error:
                    raise ModelError("said", "it says what nobody understands", "其消息无法识别") from error
                if said.result is not msgspec.UNSET:
                    return said.result
                if said.failed:
                    words = {"reason": "", "en": "", "zh": ""} | said.failed
                    raise ModelError(words["reason"], words["en"], words["zh"])
                hear(said)
                if said.checkpoint is not None:
                    self._line.sendall(b"\n")
        if self.why:
            raise self.why
        code = self._process.wait()
        raise ModelError(
            "ended",
            f"its process ended by {code}: of its own accord, or beyond its computing time",
            f"进程以 {code} 结束：自行退出或超出计算时间",
        )

    def _watch(self) -> None:
        """End it where it takes more than it may."""
        while not self._ended.wait(_LOOK_S):
            if time.monotonic() > self._until:
                most = f"{self._time_s:g}"
                self.why = ModelError("time", f"it ran for more than {most} s", f"运行超过 {most} 秒")
            elif use_of(self._process.pid).memory > self._memory:
                most = f"{self._memory >> 20} MiB"
                self.why = ModelError("memory", f"it needs more than {most}", f"所需内存超过 {most}")
            else:
                continue
            self._process.kill()
            return


def run_archive(task: PythonTask, folder: Path, say: Callable[[dict[str, Any]], None]) -> Any:
    """Run the task of `folder` and return what its function has; raises ModelError."""
    archive = read_archive((folder / ARCHIVE).read_bytes(), [task.signer])
    say({"chip": "CPUExecutionProvider"})
    with TemporaryDirectory(prefix="walls-", dir=folder) as name:
        built = Path(name)
        given = {"archive": built / "archive", "inputs": built / "inputs"}
        files = {f"archive/{file}": content for file, content in archive.files.items()}
        files |= {f"inputs/{file}": (folder / f"{INPUT}{file}").read_bytes() for file in task.inputs}
        for one in (*given.values(), built / "room"):
            one.mkdir()
        for file, content in files.items():
            (built / file).parent.mkdir(parents=True, exist_ok=True)
            (built / file).write_bytes(content)
        _let_read(built)
        seen = {key: str(path) for key, path in given.items()}
        processes = Room("", {}).processes + 2 * (os.cpu_count() or 1)
        room = Room(str(built / "room"), seen, task.disk, processes, network=task.network)
        call = Call(task.entry, room, task.parameters)
        with _Walled(call, task.limits.memory, task.time_s) as walled:
            if (folder / STATE).exists():
                _restore(walled.own, unzipped((folder / STATE).read_bytes(), _MOST_FILE))
            told = 0.0

            def hear(said: _Said) -> None:
                nonlocal told
                if said.checkpoint is not None:
                    _keep(folder, walled.own)
                    say({"checkpoint": said.checkpoint})
                elif said.done == said.all or time.monotonic() - told >= _SAY_S:
                    told = time.monotonic()
                    say({"stage": "run", "done": said.done, "all": said.all})

            result = walled.talk(hear)
            for file, content in _files(walled.own[_OUTPUTS], "outputs").items():
                (folder / f"{OUTPUT}{file}").write_bytes(content)
            return result


def prove() -> str:
    """Return why foreign code is not run here: what got past the walls, or why there are none. Empty: they hold."""
    with (
        TemporaryDirectory(prefix="walls-") as name,
        NamedTemporaryFile() as secret,
        socket.socket(socket.AF_UNIX) as local,
        socket.socket() as loopback,
    ):
        line = f"sunmao-{os.getpid()}-{time.monotonic_ns()}"
        local.bind(f"\0{line}")
        local.listen()
        port = 9
        try:
            loopback.bind(("127.0.0.1", 0))
            loopback.listen()
            port = loopback.getsockname()[1]
        except OSError:
            pass  # there is no loopback here, either
        tried = {"secret": secret.name, "pid": os.getpid(), "port": port, "line": line}
        call = Call(PROOF, Room(name, {}, DISK, PROCESSES), tried)
        try:
            with _Walled(call, 1 << 30, 30) as walled:
                past = list(walled.talk(lambda _: None))
            past += ["write a file outside"] if secret.tell() != os.stat(secret.name).st_size else []
            return ", ".join(past)
        except (ModelError, OSError) as error:
            return str(error)


def _let_read(built: Path) -> None:
    """Let whoever the code becomes read its files, whatever the mask of this process."""
    for path, folders, files in os.walk(built):
        for name in (*folders, *files):
            (Path(path) / name).chmod(0o755 if name in folders else 0o644)


def _keep(folder: Path, own: list[int]) -> None:
    """Write a checkpoint, whole or not at all."""
    kept = {
        f"{OWN[place]}/{name}": content
        for place in (_OUTPUTS, _STATE)
        for name, content in _files(own[place], OWN[place]).items()
    }
    packed = zip_of(kept)
    if len(packed) > _MOST_FILE or sum(map(len, kept.values())) > _MOST_FILE:
        raise _too_much("checkpoint", "检查点")
    with NamedTemporaryFile(dir=folder, delete=False) as file:
        file.write(packed)
        file.flush()
        os.fsync(file.fileno())
    shutil.move(file.name, folder / STATE)


def _restore(own: list[int], kept: dict[str, bytes]) -> None:
    for path, content in kept.items():
        place, _, name = path.partition("/")
        if place not in OWN or not _NAME.fullmatch(name):
            raise ModelError("state", f"'{path[:100]}' is no part of a checkpoint", f"“{path[:100]}”不属于检查点")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(name, flags, dir_fd=own[OWN.index(place)]), "wb") as file:
            os.fchmod(file.fileno(), 0o666)
            file.write(content)


def _files(descriptor: int, what: str) -> dict[str, bytes]:
    """Return the files of a folder that foreign code has written, flat and regular; raises ModelError."""
    found: dict[str, bytes] = {}
    left = 4 * _MOST_FILE
    for name in sorted(os.listdir(descriptor)):
        if not _NAME.fullmatch(name) or len(found) == _MOST_FILES:
            raise ModelError(
                "outputs",
                f"{what}/{name[:100]}: at most {_MOST_FILES} files, named with letters, digits, '.', '_' and '-'",
                f"{what}/{name[:100]}：至多 {_MOST_FILES} 个文件，文件名仅限字母、数字、“.”“_”“-”",
            )
        try:
            one = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
        except OSError as error:
            raise _no_file(what, name) from error
        with os.fdopen(one, "rb") as file:
            if not stat.S_ISREG(os.fstat(one).st_mode):
                raise _no_file(what, name)
            found[name] = file.read(_MOST_FILE + 1)
        left -= len(found[name])
        if len(found[name]) > _MOST_FILE or left < 0:
            raise _too_much(f"{what}/{name}", f"{what}/{name}")
    return found


def _no_file(what: str, name: str) -> ModelError:
    return ModelError("outputs", f"{what}/{name} is no regular file", f"{what}/{name} 不是普通文件")


def _too_much(en: str, zh: str) -> ModelError:
    most = f"{_MOST_FILE >> 20} MiB"
    return ModelError(
        "too_large",
        f"{en}: a file has at most {most}, all together four times as much",
        f"{zh}：单个文件至多 {most}，合计至多其四倍",
    )
