"""The child on the nodes of a site's Ray cluster: one task whole on one of them, an inspection of many pictures on all at once.

The worker is Ray's driver, so nothing of Ray is reached from outside the site. Ray finds a node and sees that one is gone; what
a piece of the work had found until then is kept here, and the piece goes on elsewhere from there. A node needs this package
installed and no disk in common: what a child reads and writes travels with its task.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, NamedTuple

import msgspec
import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cloud.compute.engine import Heard, LocalProcess, Outcome
from models.task import RESULTS, STATE, BackfillTask, EvaluateTask, FitTask, InspectTask, ProbeTask, Shown, Task
from protocols.errors import Unreachable
from protocols.text import Text

_CPU = "CPUExecutionProvider"
_NODES = 5
"""Nodes a piece may lose before the attempt counts as broken."""
_FEWEST, _MOST, _BYTES = 16, 1000, 64 << 20
"""Pictures of a piece, and their bytes: a child takes a second to start, and a piece has to fit into memory."""
_PIECES_PER_CORE = 2
_FOLDS = 5
"""Of a recipe that names no number; see `models.vision.recipe`."""
_PROGRESS_S = 0.5
_CONNECT_S = 5


class _Word(NamedTuple):
    """What a node says: a line of its child, findings since the last ones, or the end and the files the child wrote.

    A checkpoint of an archive's run is `outputs` before the end.
    """

    line: dict[str, Any] | None
    findings: bytes
    cpu_ms: int
    outcome: Outcome | None = None
    outputs: dict[str, bytes] | None = None
    contained: bool = False


class RayCluster:
    """Runs tasks on the nodes of the cluster whose head is at `address`, HOST:PORT; a node of it runs on this machine.

    The environment is as `cloud.compute.ray_site` says. Raises Unreachable where there is no such cluster.
    """

    def __init__(self, address: str) -> None:
        self.contained = False
        self._cpu_ms: dict[object, int] = {}
        try:
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()  # Ray would try for minutes
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", namespace="sunmao")
        except (RayError, OSError, RuntimeError, ValueError) as error:
            first = str(error).strip().partition("\n")[0]
            raise Unreachable(
                Text(f"no Ray cluster at {address}: {first}", f"{address} 没有可用的 Ray 集群：{first}"),
                Text(
                    "start it here by `sunmao-cloud compute node`, with the same token",
                    "请在本机用 sunmao-cloud compute node 启动，并使用同一令牌",
                ),
            ) from error

    async def run(self, folder: Path, provider: str, heard: Heard) -> Outcome:
        """Run the task of `folder` and leave there what came out; cancelled, end it on every node."""
        with redirect_stdout(sys.stderr):  # Ray prints what it hears of its nodes
            return await self._run(folder, provider, heard)

    async def _run(self, folder: Path, provider: str, heard: Heard) -> Outcome:
        self._cpu_ms = {}
        content = (folder / "task.json").read_bytes()
        task = msgspec.json.decode(content, type=Task)
        if isinstance(task, ProbeTask):
            return await self._prove(content)
        if isinstance(task, BackfillTask):
            return await self._follow(folder, provider, heard)
        files: dict[str, bytes] = {}

        def hear(word: _Word) -> None:
            if word.outputs and not word.outcome:
                for name, content in word.outputs.items():
                    _replace(folder / name, content)
                files.update(word.outputs)
            if word.line:
                heard(word.line)

        if isinstance(task, InspectTask):
            return await _Inspection(self, task, folder, provider, heard).run()
        if isinstance(task, EvaluateTask):
            outcome = await _Inspection(self, task.inspection(), folder, provider, heard).run()
            if outcome.result is None:
                return outcome
            # Every finding is there: what is left to a child is to make the figures of them.
            files |= _files(folder, ("task.json", "before.toml", "before.onnx", RESULTS))
            end = await self.somewhere(files, None, provider, hear)
            return end.outcome or _BROKEN
        files |= _files(folder)
        if isinstance(task, FitTask):
            files |= await self._folds(task, folder, provider, heard)
        end = await self.somewhere(files, None, provider, hear)
        for name, output in (end.outputs or {}).items():
            (folder / name).write_bytes(output)
        return end.outcome or _BROKEN

    async def _folds(self, task: FitTask, folder: Path, provider: str, heard: Heard) -> dict[str, bytes]:
        """Return what the parts of a fit that can be done apart have found, each on some node; nothing where there is only one.

        One that fails is left to the fit itself, which says why.
        """
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        if len(nodes) == 1 or task.recipe.get("family") == "texture":
            return {}
        shared, found = ray.put(_files(folder, [shown.file for shown in task.learn])), dict[str, bytes]()

        def hear(word: _Word) -> None:
            if word.line and "log" in word.line:
                heard(word.line)

        async def one(number: int) -> None:
            order = msgspec.json.encode(msgspec.structs.replace(task, fold=number))
            end = await self.somewhere({"task.json": order}, shared, provider, hear)
            found.update(end.outputs or {})

        await asyncio.gather(*(one(number) for number in range(int(task.recipe.get("folds", _FOLDS)))))
        return found

    async def _follow(self, folder: Path, provider: str, heard: Heard) -> Outcome:
        """Run a back-fill whole on one node, and on another one from what it had found where that is lost."""
        results = folder / RESULTS
        whole = results.read_bytes() if results.exists() else b""
        results.write_bytes(whole[: whole.rfind(b"\n") + 1])
        files = _files(folder)

        def hear(word: _Word) -> None:
            if word.findings:
                with results.open("ab") as file:
                    file.write(word.findings)
                    file.flush()
                    os.fsync(file.fileno())
                files[RESULTS] = results.read_bytes()
                heard({"checkpoint": files[RESULTS].count(b"\n")})
            if word.line:
                heard(word.line)

        return (await self.somewhere(files, None, provider, hear)).outcome or _BROKEN

    def close(self) -> None:
        """Leave the cluster."""
        with redirect_stdout(sys.stderr):
            ray.shutdown()

    def cpu_ms(self) -> int:
        """Return the computing time used so far on all nodes together, in ms."""
        return sum(self._cpu_ms.values())

    def memory_mb(self) -> int:
        """Return 0: how much the nodes' children take is not told."""
        return 0

    async def somewhere(
        self, files: dict[str, bytes], shared: object, provider: str, hear: Callable[[_Word], None]
    ) -> _Word:
        """Run one child on some node, and on another one where that is lost; return its last word.

        `shared` is what several children get, put once: more files. `hear` may add to `files` what is to be gone on from.
        """
        for _ in range(_NODES):
            with suppress(RayError):
                async for word in self._words(files, shared, provider):
                    hear(word)
                    if word.outcome:
                        return word
        return _Word(None, b"", 0)

    async def _words(
        self, files: dict[str, bytes], shared: object, provider: str, **options: Any
    ) -> AsyncIterator[_Word]:
        gpus = 0 if provider == _CPU else 1
        stream = _CHILD.options(num_gpus=gpus, **options).remote(files, shared or {}, provider)
        run = object()
        try:
            async for reference in stream:
                word: _Word = await reference
                self._cpu_ms[run] = word.cpu_ms
                yield word
        except asyncio.CancelledError:
            ray.cancel(stream, force=True)
            raise

    async def _prove(self, task: bytes) -> Outcome:
        """Probe every node; the cluster counts as its weakest one."""
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        words = await asyncio.gather(*(self._proof(task, node) for node in nodes))
        self.contained = all(word.contained for word in words)
        weakest = min((word.outcome or _BROKEN for word in words), key=_strength, default=_BROKEN)
        if weakest.result:
            found = [
                word.outcome.result["probed"]["no_walls"] for word in words if word.outcome and word.outcome.result
            ]
            weakest.result["probed"]["no_walls"] = max(found)  # one node without walls is enough
        return weakest

    async def _proof(self, task: bytes, node: str) -> _Word:
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        last = _Word(None, b"", 0)
        with suppress(RayError):
            async for word in self._words({"task.json": task}, None, _CPU, scheduling_strategy=there):
                last = word
        return last


_BROKEN = Outcome(None, None, 1)


def _strength(outcome: Outcome) -> tuple[bool, bool, float]:
    if outcome.result is None:
        return False, False, 0.0
    found = outcome.result["probed"]
    return True, found["provider"] != _CPU, found["speed"]


class _Piece:
    """Some of the pictures, what has been found of them, and how much of that has been written down."""

    def __init__(self, pictures: list[Shown]) -> None:
        self.pictures, self.findings = pictures, b""
        self.done, self.written = 0, 0


class _Broken(Exception):
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


class _Inspection:
    """Many pictures in pieces on as many cores as there are; findings are written down in the order of the pictures."""

    def __init__(self, cluster: RayCluster, task: InspectTask, folder: Path, provider: str, heard: Heard) -> None:
        self._cluster, self._task, self._folder = cluster, task, folder
        self._provider, self._heard = provider, heard
        self._durable, self._chip = time.monotonic(), ""
        path = folder / RESULTS
        whole = path.read_bytes() if path.exists() else b""  # a line that was being written counts as not done
        path.write_bytes(whole[: whole.rfind(b"\n") + 1])
        self._before = self._lines = whole.count(b"\n")
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        left = task.pictures[self._before :]
        most = min(_MOST, max(_FEWEST, -(-len(left) // (cores * _PIECES_PER_CORE))))
        self._pieces = [_Piece(pictures) for pictures in _cut(left, folder, most)]
        self._turn = asyncio.Semaphore(cores + 1)
        self._model = ray.put(_files(folder, ("before.toml", "before.onnx")))

    async def run(self) -> Outcome:
        """Run all pieces."""
        with (self._folder / RESULTS).open("ab") as file:
            try:
                async with asyncio.TaskGroup() as group:
                    for piece in self._pieces:
                        group.create_task(self._do(piece, file))
            except ExceptionGroup as several:
                broken = several.exceptions[0]
                if isinstance(broken, _Broken):
                    return broken.outcome
                raise
            self._write_down(file, at_once=True)
        lines = (self._folder / RESULTS).read_bytes().splitlines()
        return Outcome({"inspected": Counter(msgspec.json.decode(line)["verdict"] for line in lines)}, None, 0)

    async def _do(self, piece: _Piece, file: BinaryIO) -> None:
        async with self._turn:
            files = _files(self._folder, [one.file for one in piece.pictures])
            files["task.json"] = msgspec.json.encode(msgspec.structs.replace(self._task, pictures=piece.pictures))

            def hear(word: _Word) -> None:
                if word.findings:
                    piece.findings += word.findings
                    files[RESULTS] = piece.findings
                    self._write_down(file)
                if word.line:
                    self._hear(piece, word.line)

            end = await self._cluster.somewhere(files, self._model, self._provider, hear)
        outcome = end.outcome or _BROKEN
        if outcome.result is None:
            raise _Broken(outcome)

    def _hear(self, piece: _Piece, line: dict[str, Any]) -> None:
        if "stage" in line:
            piece.done = line["done"]
            done = self._before + sum(each.done for each in self._pieces)
            self._heard(line | {"done": done, "all": len(self._task.pictures)})
        elif "chip" in line and line["chip"] != self._chip:
            self._chip = line["chip"]
            self._heard(line)
        elif "log" in line:
            self._heard(line)

    def _write_down(self, file: BinaryIO, *, at_once: bool = False) -> None:
        """Write what has been found up to the first picture that is missing, and say so when it is durable."""
        for piece in self._pieces:
            new = piece.findings[piece.written :]
            file.write(new)
            piece.written += len(new)
            self._lines += new.count(b"\n")
            if piece.findings.count(b"\n") < len(piece.pictures):
                break
        if at_once or time.monotonic() - self._durable >= self._task.checkpoint_s:
            file.flush()
            os.fsync(file.fileno())
            self._durable = time.monotonic()
            self._heard({"checkpoint": self._lines})


def _cut(pictures: list[Shown], folder: Path, most: int) -> Iterator[list[Shown]]:
    """Yield the pictures in pieces of at most so many, and of at most _BYTES unless one alone has more."""
    piece: list[Shown] = []
    size = 0
    for shown in pictures:
        path = folder / shown.file
        more = path.stat().st_size if path.is_file() else 0
        if piece and (len(piece) == most or size + more > _BYTES):
            yield piece
            piece, size = [], 0
        piece.append(shown)
        size += more
    if piece:
        yield piece


def _files(folder: Path, names: Iterable[str] = ()) -> dict[str, bytes]:
    """Return the files of a folder, or those of `names` that are there: of one that is not its child has to speak."""
    paths = [folder / name for name in names] if names else folder.iterdir()
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def _replace(path: Path, content: bytes) -> None:
    """Write a file over the one before, wholly or not at all."""
    fresh = path.with_name(f".{path.name}")
    fresh.write_bytes(content)
    fresh.replace(path)


def _child(files: dict[str, bytes], shared: dict[str, bytes], provider: str) -> Iterator[_Word]:
    """On a node: run the child on these files and yield what it says."""
    engine, lines = LocalProcess(), SimpleQueue[dict[str, Any] | None]()
    ended: list[Outcome] = []
    with TemporaryDirectory(prefix="sunmao-") as name:
        folder = Path(name)
        given = shared | files
        for file, content in given.items():
            (folder / file).write_bytes(content)
        results, seen = folder / RESULTS, len(given.get(RESULTS, b""))

        def run() -> None:
            try:
                ended.append(asyncio.run(engine.run(folder, provider, lines.put)))
            finally:
                lines.put(None)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        cpu_ms, said = 0, 0.0
        while (line := lines.get()) is not None:
            cpu_ms = max(cpu_ms, engine.cpu_ms())
            if "checkpoint" in line and (folder / STATE).exists():
                yield _Word(line, b"", cpu_ms, None, _files(folder, (STATE,)))
            elif "checkpoint" in line:
                new = results.read_bytes()[seen:]
                new = new[: new.rfind(b"\n") + 1]
                seen += len(new)
                yield _Word(None, new, cpu_ms)
            elif "stage" not in line or line["done"] == line["all"] or time.monotonic() - said >= _PROGRESS_S:
                said = time.monotonic()
                yield _Word(line, b"", cpu_ms)
        thread.join()
        findings = results.read_bytes()[seen:] if results.exists() else b""
        outputs = {file: content for file, content in _files(folder).items() if file not in {*given, RESULTS}}
        yield _Word(None, findings, cpu_ms, ended[0], outputs, engine.contained)


_CHILD = ray.remote(num_cpus=1, max_retries=0, num_returns="streaming")(_child)
